//! The log of removals.

use serde_json::{Value, json};

use crate::support::{Answer, File, Server, database, eventually, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn with_key() -> Server {
    Server::with([("server.api_key", KEY.1), ("server.max_file_count", "2")])
}

fn call(server: &Server, method: &str, route: &str) -> Answer {
    server.send(method, &format!("/internal/{route}"), &[KEY], None)
}

fn log(server: &Server, query: &str) -> Vec<Value> {
    let json = call(server, "GET", &format!("audit{query}")).ok().json();
    assert_eq!(json["msg"], "ok");
    json["audit"].as_array().expect("a list").clone()
}

#[test]
fn every_removal_is_recorded_with_who_why_and_what() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(30, 20));
    let uploads: Vec<_> = (0..4).map(|_| server.upload(&bytes)).collect();
    let page = call(&server, "GET", "hashes").ok().json();
    let hash = page["page"]["hashes"][0]["hex"].clone();

    let path = format!("/image/delete/{}/{}", uploads[0].token, uploads[0].alias);
    let answer = server.send("DELETE", &path, &[("X-Request-Id", "mine-1")], None);
    answer.status(204);
    let route = format!("delete?alias={}&reason=asked%20for", uploads[1].alias);
    let deleted = call(&server, "POST", &route).ok();
    let route = format!("purge?alias={}&block=true&reason=bad", uploads[2].alias);
    call(&server, "POST", &route).ok();
    let digest = hash.as_str().expect("a hash")[..64].to_owned();
    call(&server, "DELETE", &format!("blocklist?hash={digest}")).status(204);

    let log = log(&server, "");
    let column = |name: &str| {
        log.iter()
            .map(|entry| entry[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        column("action"),
        ["unblock", "purge", "block", "delete", "delete"]
    );
    assert_eq!(
        column("actor"),
        ["admin", "admin", "admin", "admin", "token"]
    );
    let mut purged = [&uploads[2].alias, &uploads[3].alias];
    purged.sort();
    assert_eq!(log[1]["aliases"], json!(purged));
    assert_eq!(log[3]["aliases"], json!([uploads[1].alias]));
    assert_eq!(log[4]["aliases"], json!([uploads[0].alias]));
    assert_eq!(
        column("reason"),
        [
            json!(null),
            json!("bad"),
            json!("bad"),
            json!("asked for"),
            json!(null)
        ]
    );
    assert_eq!(log[0]["hash"], json!(digest));
    for entry in &log[1..] {
        assert_eq!(entry["hash"], hash);
    }
    assert_eq!(log[4]["request_id"], "mine-1");
    assert_eq!(
        log[3]["request_id"].as_str(),
        deleted.header("x-request-id")
    );
    assert!(
        log[0]["time"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    // No secret is kept.
    assert!(!json!(log).to_string().contains(&uploads[0].token));
}

#[test]
fn what_removes_nothing_is_not_recorded() {
    let server = with_key();
    let good = pictures::png(&pictures::photo(30, 20));
    let uploaded = server.upload(&good);
    server
        .delete(&format!("/image/delete/wrong/{}", uploaded.alias))
        .status(403);
    server.delete("/image/delete/any/absent.png").status(204);
    call(&server, "POST", "delete?alias=absent").status(404);
    call(&server, "POST", "purge?alias=absent&block=true").status(404);
    // A request that fails as a whole takes its first file back; nobody knew it.
    server
        .upload_form("", &[File::new(&good), File::new(b"text")])
        .refused(400, "discover-error");
    let long = "x".repeat(1001);
    let route = format!("delete?alias={}&reason={long}", uploaded.alias);
    let message = call(&server, "POST", &route).refused(400, "invalid-query");
    assert!(
        message.contains("1000") && message.contains("1001"),
        "{message}"
    );
    assert_eq!(log(&server, ""), Vec::<Value>::new());
    server.original(&uploaded.alias);
}

#[test]
fn the_log_is_paged_newest_first() {
    let server = with_key();
    let mut aliases: Vec<_> = (0..5)
        .map(|n| {
            let bytes = pictures::png(&pictures::photo(30 + n, 20));
            let alias = server.upload(&bytes).alias;
            call(&server, "POST", &format!("delete?alias={alias}")).ok();
            alias
        })
        .collect();
    aliases.reverse();
    let mut found = Vec::new();
    let mut before = String::new();
    loop {
        let json = call(&server, "GET", &format!("audit?limit=2&before={before}"))
            .ok()
            .json();
        for entry in json["audit"].as_array().expect("a list") {
            found.push(entry["aliases"][0].as_str().expect("an alias").to_owned());
        }
        match json["next"].as_i64() {
            Some(next) => before = next.to_string(),
            None => break,
        }
    }
    assert_eq!(found, aliases);
    for query in ["?before=x", "?limit=x"] {
        call(&server, "GET", &format!("audit{query}")).refused(400, "invalid-query");
    }
}

#[test]
fn old_entries_are_forgotten() {
    let server = with_key();
    for n in 0..2 {
        let bytes = pictures::png(&pictures::photo(30 + n, 20));
        let alias = server.upload(&bytes).alias;
        call(&server, "POST", &format!("delete?alias={alias}")).ok();
    }
    let launch = server.stop();
    let data = launch.folder().join("data");
    database::change(
        &data,
        "UPDATE audit SET created_at = created_at - 7200000 WHERE number = 1",
    );
    let server = launch.setting("server.audit_retention", "1h").start();
    eventually("the old one is forgotten", || {
        (log(&server, "").len() == 1).then_some(())
    });
    assert_eq!(log(&server, "")[0]["number"], 2);
}

/// A server with named keys, and a log of five entries.
fn with_log() -> Server {
    let server = Server::with([
        ("server.api_key", KEY.1),
        ("server.named_keys.ada", "key-of-ada"),
        ("server.named_keys.grace_h", "key-of-grace"),
    ]);
    for (number, key) in ["key-of-ada", "key-of-grace", KEY.1].iter().enumerate() {
        let bytes = pictures::png(&pictures::photo(30 + number as u32, 20));
        let alias = server.upload(&bytes).alias;
        let path = format!("/internal/purge?alias={alias}&reason=%3D1%2B1,%20%22{number}%22");
        let answer = server.send("POST", &path, &[("X-Api-Token", key)], None);
        answer.ok();
    }
    let uploaded = server.upload(&pictures::png(&pictures::photo(40, 20)));
    let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
    let headers = [("X-Request-Id", "-1")];
    server.send("DELETE", &path, &headers, None).status(204);
    let digest = "ab".repeat(32);
    call(&server, "POST", &format!("blocklist?hash={digest}")).status(201);
    server
}

#[test]
fn the_log_tells_the_name_of_the_key_and_is_filtered() {
    let server = with_log();
    let of = |query: &str, column: &str| {
        let entries = log(&server, query).into_iter();
        let mut texts: Vec<_> = entries
            .map(|entry| entry[column].as_str().unwrap_or("-").to_owned())
            .collect();
        texts.reverse();
        texts.join(" ")
    };
    assert_eq!(of("", "action"), "purge purge purge delete block");
    assert_eq!(of("", "key"), "ada grace_h - - -");
    assert_eq!(of("?action=purge", "key"), "ada grace_h -");
    assert_eq!(of("?actor=token", "action"), "delete");
    assert_eq!(of("?key=ada", "key"), "ada");
    assert_eq!(of("?key=ada&action=block", "key"), "");
    assert_eq!(of("?key=nobody", "key"), "");
    let first = log(&server, "?key=ada")[0]["time"].clone();
    let first = first.as_str().expect("a time");
    assert_eq!(of(&format!("?until={first}&key=ada"), "key"), "ada");
    let day = &first[..10];
    let query = format!("?since={day}&until={day}&key=ada");
    assert_eq!(of(&query, "key"), "ada");
    assert_eq!(of("?until=2020-01-01", "key"), "");
    assert_eq!(of("?since=2999-12-31", "key"), "");

    // Filters hold on every page.
    let json = call(&server, "GET", "audit?action=purge&limit=2")
        .ok()
        .json();
    let next = json["next"].as_i64().expect("one more");
    assert_eq!(of(&format!("?action=purge&before={next}"), "key"), "ada");
    for query in [
        "action=burn",
        "actor=nobody",
        "key=Ada",
        "since=yesterday",
        "until=2026-13-01",
        "format=xml",
    ] {
        let message = call(&server, "GET", &format!("audit?{query}")).refused(400, "invalid-query");
        let (name, value) = query.split_once('=').expect("a pair");
        assert!(
            message.contains(name) && message.contains(value),
            "{message}"
        );
    }
}

#[test]
fn the_log_is_had_as_csv_that_no_spreadsheet_takes_for_formulas() {
    let server = with_log();
    let answer = call(&server, "GET", "audit?format=csv&limit=1").ok();
    assert_eq!(
        answer.header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    assert!(
        answer
            .header("content-disposition")
            .is_some_and(|value| value.starts_with("attachment"))
    );
    let mut reader = csv::Reader::from_reader(&answer.body[..]);
    let head = reader.headers().expect("a head").clone();
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    let cells = |column: &str| {
        let at = head.iter().position(|name| name == column);
        let at = at.expect("a column");
        rows.iter().map(move |row| row[at].to_owned())
    };
    let column = |column: &str| cells(column).collect::<Vec<_>>();
    assert_eq!(
        column("action"),
        ["block", "delete", "purge", "purge", "purge"]
    );
    assert_eq!(column("key"), ["", "", "", "grace_h", "ada"]);
    assert_eq!(
        column("reason")[2..],
        ["'=1+1, \"2\"", "'=1+1, \"1\"", "'=1+1, \"0\""]
    );
    assert_eq!(column("request_id")[1], "'-1");
    assert!(
        column("bytes")[2]
            .parse::<u64>()
            .is_ok_and(|bytes| bytes > 0)
    );
    assert_eq!(column("amount")[0], "1");
    // The same as JSON tells.
    let json = log(&server, "");
    let numbers: Vec<_> = json
        .iter()
        .map(|entry| entry["number"].to_string())
        .collect();
    assert_eq!(column("number"), numbers);
    let text = call(&server, "GET", "audit?format=csv&key=ada").ok().text();
    assert_eq!(text.lines().count(), 2, "{text}");
    let empty = call(&server, "GET", "audit?format=csv&until=2020-01-01");
    assert_eq!(empty.ok().text().lines().count(), 1);
}

#[test]
fn a_long_log_is_sent_whole() {
    let server = with_key();
    let alias = server
        .upload(&pictures::png(&pictures::photo(30, 20)))
        .alias;
    call(&server, "POST", &format!("delete?alias={alias}")).ok();
    let launch = server.stop();
    let data = launch.folder().join("data");
    database::change(
        &data,
        "INSERT INTO audit (action, actor, aliases, created_at) \
         WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 2500) \
         SELECT 'delete', 'admin', '[]', 1795000000000 + n FROM more",
    );
    let server = launch.start();
    let answer = call(&server, "GET", "audit?format=csv").ok();
    let text = String::from_utf8(answer.body).expect("UTF-8");
    assert_eq!(text.lines().count(), 1 + 2501);
}
