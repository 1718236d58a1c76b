//! A file that stands in for missing ones.

use crate::support::client::process_path;
use crate::support::{Answer, Server, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn set(server: &Server, body: &str) -> Answer {
    let headers = [KEY, ("content-type", "application/json")];
    server.send(
        "POST",
        "/internal/set_not_found",
        &headers,
        Some(body.as_bytes()),
    )
}

fn set_to(server: &Server, alias: &str) {
    let answer = set(server, &format!("{{\"alias\":\"{alias}\"}}")).status(201);
    assert_eq!(answer.json(), serde_json::json!({ "msg": "ok" }));
}

/// Where GET is asked for something that nobody has uploaded.
fn missing() -> [String; 4] {
    [
        "/image/original/absent.png".to_owned(),
        "/image/original?alias=absent.png".to_owned(),
        process_path("webp", "absent.png", "thumbnail=9"),
        format!("/image/original/{}", "x".repeat(1100)),
    ]
}

#[test]
fn set_not_found_answers_404_with_the_bytes_of_the_placeholder() {
    let server = Server::with([("server.api_key", KEY.1)]);
    let bytes = pictures::png(&pictures::photo(30, 20));
    let uploaded = server.upload(&bytes);
    let original = server.get(&format!("/image/original/{}", uploaded.alias));
    set_to(&server, &uploaded.alias);
    for path in missing() {
        let answer = server.get(&path).status(404);
        assert_eq!(answer.body, original.body, "{path}");
        for header in [
            "content-type",
            "content-length",
            "etag",
            "last-modified",
            "x-content-type-options",
        ] {
            assert_eq!(answer.header(header), original.header(header), "{header}");
        }
        assert_eq!(answer.header("cache-control"), Some("public, max-age=5"));
        // What is missing cannot be unchanged, and has no parts.
        let etag = original.header("etag").expect("an ETag");
        for headers in [
            ("If-None-Match", etag),
            ("If-Match", "\"other\""),
            ("Range", "bytes=1-3"),
            ("Range", "bytes=0-1048575"),
            ("Range", "bytes=999999-"),
        ] {
            let answer = server.get_with(&path, &[headers]).status(404);
            assert_eq!(answer.body, original.body, "{headers:?}");
            assert_eq!(answer.header("content-range"), None, "{headers:?}");
        }
        assert_eq!(server.head(&path).status, 404);
        assert!(server.head(&path).header("etag").is_none());
    }
    for path in [
        "/image/details/original/absent.png",
        "/image/details/process.webp?src=absent.png",
        "/image/blurhash?alias=absent.png",
    ] {
        server.get(path).refused(404, "alias-not-found");
    }
    // Other mistakes are told as ever.
    server
        .get("/image/process.mp4?src=absent.png")
        .refused(400, "invalid-file-extension");
    server
        .get("/image/details/original?proxy=http://absent.invalid")
        .refused(404, "proxy-not-found");
    server
        .get("/image/original?proxy=http://absent.invalid")
        .refused(502, "upstream-error");
    // It is kept over the end of the server.
    let server = server.stop().start();
    assert_eq!(server.get(&missing()[0]).status(404).body, original.body);
}

#[test]
fn set_not_found_can_be_unset_and_ends_with_its_alias() {
    let server = Server::with([("server.api_key", KEY.1)]);
    let bytes = pictures::png(&pictures::photo(30, 20));
    let uploaded = server.upload(&bytes);
    let refused = || {
        for path in missing() {
            server.get(&path).refused(404, "alias-not-found");
        }
    };
    refused();
    set_to(&server, &uploaded.alias);
    set(&server, "{\"alias\":null}").ok();
    refused();
    set_to(&server, &uploaded.alias);
    // A placeholder whose file is lost is none.
    let identifier = format!("/internal/identifier?alias={}", uploaded.alias);
    let json = server.get_with(&identifier, &[KEY]).ok().json();
    let path = server
        .files()
        .join(json["identifier"].as_str().expect("a path"));
    let saved = std::fs::read(&path).expect("there");
    std::fs::remove_file(&path).expect("removed");
    refused();
    std::fs::write(&path, saved).expect("written");
    assert_eq!(server.get(&missing()[0]).status, 404);
    server
        .delete(&format!(
            "/image/delete/{}/{}",
            uploaded.token, uploaded.alias
        ))
        .status(204);
    refused();
}

#[test]
fn set_not_found_refuses_what_it_cannot_use() {
    let server = Server::with([("server.api_key", KEY.1)]);
    set(&server, "{\"alias\":\"absent.png\"}").refused(404, "alias-not-found");
    set(&server, "{\"alias\":\"\"}").refused(404, "alias-not-found");
    set(&server, "{\"proxy\":\"http://example.com/a.png\"}").refused(400, "proxy-not-allowed");
    for body in ["", "{", "[]", "{}", "{\"alias\":3}", "\"alias\""] {
        set(&server, body).refused(400, "invalid-json");
    }
    let plain = [KEY, ("content-type", "text/plain")];
    let body = Some(&b"{\"alias\":null}"[..]);
    server
        .send("POST", "/internal/set_not_found", &plain, body)
        .refused(400, "invalid-json");
}
