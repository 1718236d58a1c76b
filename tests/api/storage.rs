//! What is stored, and what of it nobody needs.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::{Server, disk, pictures};

const KEY: [(&str, &str); 1] = [("X-Api-Token", "key")];

fn usage(server: &Server) -> Value {
    server.get_with("/internal/usage", &KEY).ok().json()
}

fn collect(server: &Server, query: &str) -> Value {
    let path = format!("/internal/collect{query}");
    server.send("POST", &path, &KEY, None).ok().json()
}

/// A file that was written a day ago.
fn write_old(path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, b"12345").expect("written");
    let day = Duration::from_secs(24 * 60 * 60);
    fs::File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(SystemTime::now() - day))
        .expect("set");
}

#[test]
fn usage_tells_what_the_disk_shows() {
    let server = Server::with([("server.api_key", "key")]);
    let nothing = usage(&server);
    assert_eq!(nothing["msg"], "ok");
    assert_eq!(nothing["originals"], json!({ "count": 0, "bytes": 0 }));
    assert_eq!(nothing["variants"]["oldest_access"], Value::Null);
    assert_eq!(nothing["variants"]["budget"], Value::Null);

    let first = server.upload(&pictures::png(&pictures::photo(90, 60)));
    let second = server.upload(&pictures::png(&pictures::photo(90, 60)));
    let other = server.upload(&pictures::png(&pictures::photo(50, 60)));
    let originals: u64 = disk::objects(&server.files()).values().sum();
    server.process("webp", &first.alias, "thumbnail=30");
    server.process("webp", &other.alias, "thumbnail=30");
    let all: u64 = disk::objects(&server.files()).values().sum();
    let now = usage(&server);
    assert_eq!(now["aliases"], json!({ "count": 3 }));
    assert_eq!(now["originals"], json!({ "count": 2, "bytes": originals }));
    assert_eq!(now["variants"]["count"], 2);
    assert_eq!(now["variants"]["bytes"], all - originals);
    assert!(now["variants"]["oldest_access"].is_string());
    assert_eq!(now["garbage"], json!({ "count": 0 }));
    assert_eq!(now["uploads"], json!({ "waiting": 0, "unclaimed": 0 }));

    // Death in between loses nothing of it.
    let server = server.kill().start();
    assert_eq!(usage(&server), now);
    for uploaded in [first, second, other] {
        let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
        server.delete(&path).status(204);
    }
    assert_eq!(usage(&server), nothing);
}

#[test]
fn a_search_finds_files_that_no_row_names_and_removes_them_only_when_told_to() {
    let server = Server::with([("server.api_key", "key")]);
    let alias = server
        .upload(&pictures::png(&pictures::photo(90, 60)))
        .alias;
    server.process("webp", &alias, "thumbnail=30");
    let files = server.files();
    let orphan = "ab/cd/abcd0000000000000000000000000000.png";
    let fresh = "ab/ce/abce0000000000000000000000000000.png";
    let placed = "ab/cf/abcf0000000000000000000000000000.png";
    for name in [
        orphan,
        placed,
        ".incoming/abcf0000000000000000000000000000.png",
        "notes.txt",
        "ab/cd/notes.txt",
    ] {
        write_old(&files.join(name));
    }
    fs::create_dir_all(files.join("ab/ce")).expect("made");
    fs::write(files.join(fresh), b"new").expect("written");
    let before = disk::snapshot(&files);
    let found = json!({
        "msg": "ok",
        "dry_run": true,
        "complete": true,
        "files": 7,
        "orphans": { "count": 1, "bytes": 5, "identifiers": [orphan] },
        "removed": 0,
        "young": 1,
        "strangers": 2,
    });
    assert_eq!(collect(&server, ""), found);
    assert_eq!(collect(&server, "?dry_run=true"), found);
    assert_eq!(disk::snapshot(&files), before);

    assert_eq!(collect(&server, "?dry_run=false")["removed"], 1);
    assert!(!files.join(orphan).exists() && files.join(fresh).exists());
    assert_eq!(collect(&server, "?dry_run=false&min_age=0s")["removed"], 1);
    assert!(!files.join("ab/ce").exists());
    for name in [placed, "notes.txt", "ab/cd/notes.txt"] {
        assert!(files.join(name).exists(), "{name}");
    }
    server.original(&alias);
    assert_eq!(collect(&server, "")["orphans"]["count"], 0);
}

#[test]
fn a_search_with_a_bad_query_is_refused_and_a_read_only_server_only_looks() {
    let launch = Server::with([("server.api_key", "key")]).stop();
    let server = launch.setting("server.read_only", true).start();
    let send = |query: &str| {
        let path = format!("/internal/collect?{query}");
        server.send("POST", &path, &KEY, None)
    };
    for query in ["dry_run=maybe", "dry_run=", "min_age=soon"] {
        let message = send(query).refused(400, "invalid-query");
        let (key, _) = query.split_once('=').expect("a pair");
        assert!(message.contains(key), "{message}");
    }
    send("dry_run=false").refused(400, "read-only");
    send("dry_run=true").ok();
}

#[test]
fn what_other_limits_would_drop_is_told_and_stays() {
    let server = Server::with([("server.api_key", "key")]);
    let preview = |query: &str| {
        let answer = server.get_with(&format!("/internal/retention{query}"), &KEY);
        answer.ok().json()
    };
    assert_eq!(
        preview(""),
        json!({ "msg": "ok", "disk": null, "unused": null })
    );
    // Noise, so that files have sizes that can be told apart.
    let alias = server
        .upload(&pictures::png(&pictures::noise(600, 600, 1)))
        .alias;
    server.process("png", &alias, "resize=500");
    server.settle();
    let now = usage(&server);
    let variants = now["variants"]["bytes"].as_u64().expect("bytes");
    assert!(variants > 300_000, "{now}");

    let large = &preview("?disk=1%20GiB")["disk"];
    assert_eq!(large["budget"], 1 << 30);
    assert_eq!(
        (&large["would_drop"], &large["first"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(large["takes_uploads"], true);

    // Room for the upload, but not for both.
    let small = &preview("?disk=1.5MiB")["disk"];
    let number = |name: &str| small[name].as_u64().expect("a number");
    assert!(number("uploads") < number("capacity"), "{small}");
    assert!(number("used") > number("capacity"), "{small}");
    assert!(number("would_drop") > 0 && number("would_drop") <= number("used") - number("uploads"));
    let first = small["first"].as_array().expect("a list");
    assert_eq!(first.len(), 1, "{small}");
    assert_eq!(first[0]["kind"], "variant");
    let page = server.get_with("/internal/hashes", &KEY).ok().json();
    assert_eq!(first[0]["hex"], page["page"]["hashes"][0]["hex"]);
    assert!(
        first[0]["bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes >= variants)
    );

    // Not even for the upload, which is never dropped.
    let tiny = &preview("?disk=1MiB")["disk"];
    assert_eq!(
        (&tiny["takes_uploads"], &tiny["takes_proxied"]),
        (&json!(false), &json!(false))
    );

    assert_eq!(
        preview("?unused=0s")["unused"],
        json!({ "variants": { "count": 1, "bytes": variants }, "proxied": { "count": 0 } })
    );
    assert_eq!(preview("?unused=1d")["unused"]["variants"]["count"], 0);
    for query in ["disk=much", "unused=long"] {
        let path = format!("/internal/retention?{query}");
        server.get_with(&path, &KEY).refused(400, "invalid-query");
    }
    assert_eq!(usage(&server), now);
}
