//! What stands in the log: whom and what a line is about, and no secret.

use serde_json::Value;

use crate::support::client::process_path;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{Launch, Server, eventually, pictures};

fn server() -> Server {
    Server::with([
        ("tracing.logging.format", "json"),
        ("tracing.logging.log_requests", "true"),
        ("client.allow_local_connections", "true"),
        ("client.timeout", "5"),
        ("server.api_key", "key"),
    ])
}

/// The line of the request with this id; every line has to be JSON.
fn line(server: &Server, id: &str) -> Value {
    eventually("the request is logged", || {
        let output = server.output();
        let mut lines = output
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect(line));
        lines.find(|line| line["span"]["id"] == id && line["fields"]["status"].is_u64())
    })
}

#[test]
fn the_line_of_a_request_names_alias_operations_and_milliseconds() {
    let server = server();
    let alias = server
        .upload(&pictures::png(&pictures::photo(64, 48)))
        .alias;
    let about = |id: &str, path: &str| {
        server.get_with(path, &[("X-Request-Id", id)]);
        let line = line(&server, id);
        let ms = line["fields"]["ms"].as_f64();
        assert!(ms.is_some_and(|ms| ms >= 0.0), "{line}");
        line["fields"].clone()
    };
    let original = about("r1", &format!("/image/original/{alias}"));
    assert_eq!(original["alias"], alias);
    assert_eq!(original["status"], 200);
    let variant = about("r2", &process_path("webp", &alias, "thumbnail=16"));
    assert_eq!(variant["alias"], alias);
    assert_eq!(variant["operations"], "thumbnail=16");
    let missing = about("r3", &process_path("webp", "absent.png", "thumbnail=16"));
    assert_eq!(missing["alias"], "absent.png");
    assert_eq!(missing["code"], "alias-not-found");
    let details = about("r4", &format!("/image/details/original?alias={alias}"));
    assert_eq!(details["alias"], alias);
}

#[test]
fn a_failed_fetch_names_the_host_and_its_status_and_shows_no_signature() {
    let upstream = Upstream::start(|_| Reply::status("418 I'm a teapot", "", b""));
    let server = server();
    let url = upstream.url("/a.png?sig=SECRET");
    let encoded = url.replace('?', "%3F").replace('=', "%3D");
    let path = format!("/image/original?proxy={encoded}");
    server
        .get_with(&path, &[("X-Request-Id", "fetch-1")])
        .status(502);
    let line = line(&server, "fetch-1");
    assert_eq!(line["level"], "INFO", "{line}");
    let source = line["fields"]["source"].as_str().expect("a source");
    assert!(source.ends_with("/a.png?…"), "{source}");
    let output = server.output();
    let fetch = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| !line["fields"]["upstream"].is_null())
        .expect("the fetch has a line");
    assert_eq!(fetch["fields"]["upstream"], "127.0.0.1", "{fetch}");
    assert_eq!(fetch["fields"]["upstream_status"], 418, "{fetch}");
    assert_eq!(fetch["fields"]["code"], "upstream-error", "{fetch}");
    assert_eq!(fetch["span"]["id"], "fetch-1", "{fetch}");
    let download = format!("/image/download?url={encoded}");
    server.get(&download).status(502);
    assert!(!server.output().contains("SECRET"), "{}", server.output());
}

#[test]
fn no_token_or_key_stands_in_the_log() {
    let server = server();
    let uploaded = server.upload(&pictures::png(&pictures::photo(64, 48)));
    let id = server.background(&pictures::png(&pictures::photo(20, 20)));
    server.claim(&id).claimed();
    let wrong = "11111111-2222-4333-8444-555555555555";
    server.delete(&format!("/image/delete/{wrong}/{}", uploaded.alias));
    server
        .get_with("/internal/usage", &[("X-Api-Token", "key-that-is-wrong")])
        .status(401);
    server
        .delete(&format!(
            "/image/delete/{}/{}",
            uploaded.token, uploaded.alias
        ))
        .status(204);
    eventually("the last request is logged", || {
        server.output().contains("/image/delete/***").then_some(())
    });
    let output = server.output();
    for secret in [&*uploaded.token, &id, wrong, "key-that-is-wrong"] {
        assert!(!output.contains(secret), "{secret} in {output}");
    }
    assert!(output.contains(&uploaded.alias));
}

#[test]
fn a_fault_of_ours_is_an_error_with_its_cause_and_its_alias() {
    let server = server();
    let alias = server
        .upload(&pictures::png(&pictures::noise(700, 500, 1)))
        .alias;
    let files = server.files();
    let away = files.with_extension("away");
    std::fs::rename(&files, &away).expect("renamed");
    let path = process_path("webp", &alias, "thumbnail=17");
    let answer = server.get_with(&path, &[("X-Request-Id", "fault-1")]);
    std::fs::rename(&away, &files).expect("renamed");
    assert_eq!(answer.status, 500);
    let line = line(&server, "fault-1");
    assert_eq!(line["level"], "ERROR", "{line}");
    assert_eq!(line["fields"]["alias"], alias, "{line}");
    assert_eq!(line["fields"]["operations"], "thumbnail=17", "{line}");
}

#[test]
fn why_a_server_does_not_start_is_said_in_the_format_of_its_log() {
    let blocker = tempfile::NamedTempFile::new().expect("a file");
    let in_the_way = blocker.path().join("below").display().to_string();
    let cases: [(&str, &str, &str, i32); 3] = [
        // Found while settings are read, when they are checked, and when the store is opened.
        ("server.max_file_count", "many", "max_file_count", 78),
        ("client.allowed_hosts", "a b/c:d:e", "allowed_hosts", 78),
        ("store.path", &in_the_way, "below", 1),
    ];
    for (key, value, word, code) in cases {
        let refusal = Launch::new()
            .setting("tracing.logging.format", "json")
            .setting(key, value)
            .environment("RUST_BACKTRACE", "full")
            .refused();
        assert_eq!(refusal.status.code(), Some(code));
        let lines: Vec<Value> = refusal
            .output
            .lines()
            .map(|line| serde_json::from_str(line).expect(&refusal.output))
            .collect();
        let faults: Vec<_> = lines
            .iter()
            .filter(|line| line["level"] == "ERROR")
            .collect();
        assert_eq!(faults.len(), 1, "{}", refusal.output);
        assert!(faults[0].to_string().contains(word), "{}", refusal.output);
        assert!(!refusal.output.contains("<unknown>"), "{}", refusal.output);
    }
    let refusal = Launch::new()
        .setting("server.max_file_count", "many")
        .environment("RUST_BACKTRACE", "full")
        .refused();
    assert!(refusal.output.contains("ERROR"), "{}", refusal.output);
    assert!(!refusal.output.contains("backtrace"), "{}", refusal.output);
}
