//! What is done in the background, as administrators see it.

use serde_json::{Value, json};

use crate::support::{Server, database, eventually, pictures};

const KEY: [(&str, &str); 1] = [("X-Api-Token", "key")];

fn jobs(server: &Server, query: &str) -> Value {
    let json = server.get_with(&format!("/internal/jobs{query}"), &KEY);
    let json = json.ok().json();
    assert_eq!(json["msg"], "ok");
    json
}

#[test]
fn the_queue_is_listed_without_what_only_clients_may_know() {
    let server = Server::with([("server.api_key", "key"), ("media.background_length", "7")]);
    assert_eq!(
        jobs(&server, ""),
        json!({ "msg": "ok", "queue": { "count": 0, "limit": 7 }, "jobs": [], "runs": [] })
    );
    server
        .get("/internal/jobs")
        .refused(401, "invalid-api-token");
    let alias = server
        .upload(&pictures::png(&pictures::photo(30, 20)))
        .alias;
    // Jobs that are not due for long.
    let job = |kind: &str, subject: &str, detail: &str, due: i64| {
        let change = format!(
            "INSERT INTO jobs (key, kind, subject, detail, attempts, due_at, created_at) \
             VALUES ('{kind}/{subject}', '{kind}', '{subject}', {detail}, 2, {due}, 1795000000000)"
        );
        database::change(&server.data(), &change);
    };
    job("variant", &alias, "'thumbnail=7.webp'", 4_000_000_000_000);
    let secret = "5b7f2a0e-0000-4000-8000-000000000000";
    job("ingest", secret, "NULL", 4_000_000_000_001);
    let json = jobs(&server, "");
    assert_eq!(json["queue"]["count"], 2);
    let [first, second] = &json["jobs"].as_array().expect("a list")[..] else {
        panic!("{json}");
    };
    assert_eq!(
        *first,
        json!({
            "kind": "variant", "alias": alias, "variant": "thumbnail=7.webp", "running": false,
            "attempts": 2, "deaths": 0, "due_at": "2096-10-02T07:06:40Z",
            "created_at": "2026-11-18T11:06:40Z",
        })
    );
    assert_eq!(second["kind"], "upload");
    assert_eq!(second["alias"], Value::Null);
    assert!(!json.to_string().contains(secret));
    assert_eq!(jobs(&server, "?limit=1")["jobs"], json!([first]));
    server
        .get_with("/internal/jobs?limit=x", &KEY)
        .refused(400, "invalid-query");
}

#[test]
fn long_runs_tell_how_far_they_are() {
    let server = Server::with([("server.api_key", "key")]);
    let alias = server
        .upload(&pictures::png(&pictures::photo(30, 20)))
        .alias;
    server.process("webp", &alias, "thumbnail=10");
    server.settle();
    let post = |method: &str, path: &str| server.send(method, path, &KEY, None);
    post("DELETE", "/internal/variants?reason=more%20room").status(204);
    post("POST", "/internal/pdq/scan").status(202);
    let runs = eventually("both have ended", || {
        let runs = jobs(&server, "")["runs"].clone();
        let are_all = |runs: &Vec<Value>| {
            runs.len() == 2 && runs.iter().all(|run| run["complete"] == json!(true))
        };
        runs.as_array().filter(|runs| are_all(runs)).cloned()
    });
    let [scan, variants] = &runs[..] else {
        panic!("{runs:?}");
    };
    assert_eq!(
        (&scan["task"], &scan["progress"]),
        (&json!("scan"), &json!(1))
    );
    assert_eq!(variants["task"], "variants");
    assert_eq!(variants["reason"], "more room");
    for run in [scan, variants] {
        assert_eq!((&run["done"], &run["total"]), (&json!(1.0), &json!(1)));
        assert_eq!(run["seconds_left"], Value::Null);
        assert_eq!(run["stopped"], json!(false));
    }
}
