//! The holder of the API key.

use sha2::{Digest as _, Sha256};

use crate::support::client::process_path;
use crate::support::{Answer, Server, disk, pictures};

const KEY: &str = "the-key";

/// Every internal route of this version, and two that are none.
const ROUTES: [(&str, &str); 24] = [
    ("POST", "/internal/import"),
    ("POST", "/internal/purge?alias=a"),
    ("POST", "/internal/delete?alias=a"),
    ("GET", "/internal/aliases?alias=a"),
    ("HEAD", "/internal/aliases?alias=a"),
    ("GET", "/internal/identifier?alias=a"),
    ("DELETE", "/internal/variants"),
    ("POST", "/internal/set_not_found"),
    ("GET", "/internal/hashes"),
    ("POST", "/internal/prune_missing"),
    ("POST", "/internal/export"),
    ("GET", "/internal/limits"),
    ("GET", "/internal/health"),
    ("GET", "/internal/audit"),
    ("GET", "/internal/blocklist"),
    ("POST", "/internal/blocklist?hash=a"),
    ("DELETE", "/internal/blocklist?hash=a"),
    ("POST", "/internal/prepare_upgrade"),
    ("GET", "/internal/import"),
    ("OPTIONS", "/internal/hashes"),
    ("GET", "/internal/usage"),
    ("POST", "/internal/collect"),
    ("GET", "/internal/purge?alias=a"),
    ("GET", "/internal/absent"),
];

fn with_key() -> Server {
    Server::with([("server.api_key", KEY)])
}

fn call(server: &Server, method: &str, route: &str) -> Answer {
    let path = format!("/internal/{route}");
    server.send(method, &path, &[("X-Api-Token", KEY)], None)
}

#[test]
fn without_the_right_key_everything_is_401_before_the_route_is_looked_at() {
    let server = with_key();
    for (method, path) in ROUTES {
        for headers in [
            &[][..],
            &[("X-Api-Token", "")],
            &[("X-Api-Token", "wrong")],
            &[("X-Api-Token", "the-ke")],
            &[("X-Api-Token", "the-key-and-more")],
            &[("Authorization", KEY)],
        ] {
            refused(&server, method, path, headers);
        }
    }
}

fn refused(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) {
    let answer = server.send(method, path, headers, None);
    if method == "HEAD" {
        answer.status(401);
    } else {
        answer.refused(401, "invalid-api-token");
    }
}

#[test]
fn any_of_several_keys_opens_the_door() {
    let server = Server::with([
        ("server.api_key", KEY),
        ("server.api_keys", "the-new-key,,another-one"),
    ]);
    for key in [KEY, "the-new-key", "another-one"] {
        let headers = [("X-Api-Token", key)];
        server.get_with("/internal/hashes", &headers).ok();
    }
    for key in ["", "the-new-key,,another-one", "the-new-ke", "absent"] {
        refused(&server, "GET", "/internal/hashes", &[("X-Api-Token", key)]);
    }
    // They suffice without the first one.
    let server = Server::with([("server.api_keys", "the-new-key")]);
    let headers = [("X-Api-Token", "the-new-key")];
    server.get_with("/internal/hashes", &headers).ok();
}

#[test]
fn every_path_answers_a_wrong_method_with_405_and_what_it_allows() {
    let server = with_key();
    for (path, allowed) in [
        ("import", "POST"),
        ("purge", "POST"),
        ("delete", "POST"),
        ("aliases", "GET, HEAD"),
        ("identifier", "GET, HEAD"),
        ("variants", "DELETE"),
        ("set_not_found", "POST"),
        ("hashes", "GET, HEAD"),
        ("prune_missing", "POST"),
        ("export", "POST"),
        ("limits", "GET, HEAD"),
        ("health", "GET, HEAD"),
        ("audit", "GET, HEAD"),
        ("blocklist", "GET, HEAD, POST, DELETE"),
        ("prepare_upgrade", "POST"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
            if allowed.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let answer = call(&server, method, path).status(405);
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
    let message = call(&server, "POST", "prepare_upgrade").refused(410, "gone");
    assert!(message.contains("compatibility.md"), "{message}");
}

#[test]
fn without_a_configured_key_no_key_is_right() {
    let server = Server::start();
    for (method, path) in ROUTES {
        for headers in [&[][..], &[("X-Api-Token", "")], &[("X-Api-Token", "any")]] {
            refused(&server, method, path, headers);
        }
    }
}

#[test]
fn an_empty_configured_key_is_no_key() {
    let server = Server::with([("server.api_key", "")]);
    server.wait_for_output("/internal is closed");
    for headers in [&[][..], &[("X-Api-Token", "")]] {
        server
            .send("GET", "/internal/aliases?alias=a", headers, None)
            .refused(401, "invalid-api-token");
    }
}

#[test]
fn aliases_of_a_content_are_listed_from_any_of_them() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(20, 20));
    let mut aliases: Vec<_> = (0..3).map(|_| server.upload(&bytes).alias).collect();
    server.upload(&pictures::png(&pictures::photo(21, 20)));
    aliases.sort();
    for alias in &aliases {
        let answer = call(&server, "GET", &format!("aliases?alias={alias}")).ok();
        let json = answer.json();
        assert_eq!(json["msg"], "ok");
        assert_eq!(json["aliases"], serde_json::json!(aliases));
    }
}

#[test]
fn aliases_are_found_by_the_digest_of_what_is_stored() {
    let server = with_key();
    let bytes = pictures::png(&pictures::noise(20, 20, 1));
    let mut aliases = [server.upload(&bytes), server.upload(&bytes)].map(|one| one.alias);
    aliases.sort();
    server.upload(&pictures::png(&pictures::noise(20, 20, 2)));
    let stored = server.original(&aliases[0]);
    let digest = hex::encode(Sha256::digest(&stored));
    let answer = call(&server, "GET", &format!("aliases?hash={digest}")).ok();
    assert_eq!(answer.json()["aliases"], serde_json::json!(aliases));
    // The hash that a list of contents has begins with it.
    let listed = call(&server, "GET", "hashes").ok().json();
    let hashes = listed["page"]["hashes"].as_array().expect("a list");
    let hashes = hashes.iter().filter_map(|one| one["hex"].as_str());
    let hash = hashes
        .filter(|hash| hash.starts_with(&digest))
        .collect::<String>();
    let answer = call(&server, "GET", &format!("aliases?hash={hash}")).ok();
    assert_eq!(answer.json()["aliases"], serde_json::json!(aliases));
    let other = "0".repeat(64);
    call(&server, "GET", &format!("aliases?hash={other}")).refused(404, "hash-not-found");
    call(&server, "GET", "aliases?hash=abc").refused(400, "invalid-query");
}

#[test]
fn the_identifier_is_the_path_below_the_store() {
    let server = with_key();
    let alias = server
        .upload(&pictures::png(&pictures::photo(20, 20)))
        .alias;
    let answer = call(&server, "GET", &format!("identifier?alias={alias}")).ok();
    let json = answer.json();
    assert_eq!(json["msg"], "ok");
    let identifier = json["identifier"].as_str().expect("a path");
    let bytes = std::fs::read(server.files().join(identifier)).expect("there");
    assert_eq!(bytes, server.original(&alias));
}

#[test]
fn purge_removes_every_alias_and_tells_them() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(90, 60));
    let mut aliases: Vec<_> = (0..3).map(|_| server.upload(&bytes).alias).collect();
    server.process("webp", &aliases[1], "thumbnail=30");
    let path = format!("purge?alias={}", aliases[1]);
    let json = call(&server, "POST", &path).ok().json();
    aliases.sort();
    assert_eq!(json["msg"], "ok");
    assert_eq!(json["aliases"], serde_json::json!(aliases));
    disk::assert_nothing_stored(&server);
    for alias in &aliases {
        for path in [
            format!("/image/original/{alias}"),
            format!("/image/details/original/{alias}"),
            process_path("webp", alias, "thumbnail=30"),
        ] {
            server.get(&path).refused(404, "alias-not-found");
        }
    }
    call(&server, "POST", &path).refused(404, "alias-not-found");
}

#[test]
fn delete_removes_one_alias_without_its_token() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(90, 60));
    let (one, other) = (server.upload(&bytes).alias, server.upload(&bytes).alias);
    let json = call(&server, "POST", &format!("delete?alias={one}"))
        .ok()
        .json();
    assert_eq!(json, serde_json::json!({ "msg": "ok" }));
    server
        .get(&format!("/image/original/{one}"))
        .refused(404, "alias-not-found");
    server.original(&other);
    call(&server, "POST", &format!("delete?alias={one}")).refused(404, "alias-not-found");
    call(&server, "POST", &format!("delete?alias={other}")).ok();
    disk::assert_nothing_stored(&server);
}

#[test]
fn what_is_unknown_is_404_and_what_is_missing_400() {
    let server = with_key();
    for (method, route) in [
        ("POST", "purge"),
        ("POST", "delete"),
        ("GET", "aliases"),
        ("GET", "identifier"),
    ] {
        call(&server, method, &format!("{route}?alias=absent.png")).refused(404, "alias-not-found");
        // With both given the proxied one is meant.
        call(&server, method, &format!("{route}?alias=a&proxy=http://x"))
            .refused(404, "proxy-not-found");
        call(&server, method, route).refused(400, "invalid-query");
    }
    call(&server, "POST", "absent").status(404);
    let answer = call(&server, "GET", "purge?alias=a").status(405);
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = call(&server, "POST", "aliases?alias=a").status(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
}
