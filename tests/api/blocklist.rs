//! Bytes that are not taken in again.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Answer, File, Server, dirty, disk, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn with_key() -> Server {
    Server::with([("server.api_key", KEY.1)])
}

fn call(server: &Server, method: &str, route: &str) -> Answer {
    server.send(method, &format!("/internal/{route}"), &[KEY], None)
}

fn purge_for_ever(server: &Server, alias: &str) -> Value {
    let route = format!("purge?alias={alias}&block=true&reason=unwanted");
    call(server, "POST", &route).ok().json()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[test]
fn a_purged_and_blocked_picture_does_not_come_back_under_any_alias() {
    let server = with_key();
    let image = pictures::photo(90, 60);
    let sent = dirty::commented_jpeg(&image, "a comment");
    let first = server.upload(&sent).alias;
    let second = server.upload(&sent).alias;
    let stored = server.original(&first);
    assert_ne!(stored, sent, "it is cleaned");
    let answer = purge_for_ever(&server, &first);
    let mut aliases = [first.clone(), second];
    aliases.sort();
    assert_eq!(answer["aliases"], json!(aliases));
    let mut blocked = [sha256(&stored), sha256(&sent)];
    assert_eq!(answer["blocked"], json!(blocked));
    disk::assert_nothing_stored(&server);

    let refused = |query: &str, bytes: &[u8]| {
        let message = server.upload_refused(query, bytes, 400, "blocked");
        assert!(!message.contains("unwanted"), "{message}");
    };
    // The same file, also when it is to become another one.
    refused("", &sent);
    refused("resize=30", &sent);
    refused("crop=1x1", &sent);
    // What others have downloaded here, and the same picture with other metadata.
    refused("", &stored);
    refused("resize=30", &stored);
    refused("", &dirty::commented_jpeg(&image, "another comment"));
    // In the background, and under a name.
    let waiting = server.background(&sent);
    server.claim(&waiting).refused(422, "blocked");
    let kind = crate::support::client::content_type();
    let form = crate::support::client::multipart(&[File::new(&sent)]);
    let headers = [KEY, ("content-type", &kind)];
    server
        .send("POST", "/internal/import", &headers, Some(&form))
        .refused(400, "blocked");
    disk::assert_nothing_stored(&server);
    server
        .get(&format!("/image/original/{first}"))
        .refused(404, "alias-not-found");
    // Over a restart, and for nobody else.
    let server = server.stop().start();
    server.upload_refused("", &sent, 400, "blocked");
    server.upload(&pictures::jpeg(&pictures::photo(91, 60)));

    let list = call(&server, "GET", "blocklist").ok().json();
    let mut listed: Vec<_> = list["blocklist"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| {
            assert_eq!(entry["reason"], "unwanted");
            entry["hash"].as_str().expect("a hash").to_owned()
        })
        .collect();
    listed.sort();
    blocked.sort();
    assert_eq!(listed, blocked);
}

#[test]
fn a_file_is_known_by_every_form_it_was_stored_in() {
    let server = with_key();
    let sent = pictures::jpeg(&pictures::photo(90, 60));
    let small = server.upload_with("resize=30", &sent).alias;
    purge_for_ever(&server, &small);
    server.upload_refused("", &sent, 400, "blocked");
    server.upload_refused("resize=31", &sent, 400, "blocked");
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_purge_without_block_lets_it_come_back() {
    let server = with_key();
    let sent = pictures::jpeg(&pictures::photo(90, 60));
    for query in ["", "&block=false"] {
        let alias = server.upload(&sent).alias;
        let answer = call(&server, "POST", &format!("purge?alias={alias}{query}")).ok();
        assert_eq!(answer.json(), json!({ "msg": "ok", "aliases": [alias] }));
    }
    let alias = server.upload(&sent).alias;
    call(&server, "POST", &format!("purge?alias={alias}&block=yes")).refused(400, "invalid-query");
    server.original(&alias);
}

#[test]
fn hashes_enter_and_leave_the_blocklist_one_by_one() {
    let server = with_key();
    let sent = pictures::png(&pictures::photo(30, 20));
    let hash = sha256(&sent);
    let answer = call(&server, "POST", &format!("blocklist?hash={hash}")).status(201);
    assert_eq!(answer.json(), json!({ "msg": "ok", "blocked": [hash] }));
    server.upload_refused("", &sent, 400, "blocked");
    // Once more changes nothing.
    call(&server, "POST", &format!("blocklist?hash={hash}")).status(201);
    call(&server, "DELETE", &format!("blocklist?hash={hash}")).status(204);
    call(&server, "DELETE", &format!("blocklist?hash={hash}")).refused(404, "hash-not-found");
    let alias = server.upload(&sent).alias;
    // By alias: what is there stays, and no copy joins it.
    call(&server, "POST", &format!("blocklist?alias={alias}")).status(201);
    server.original(&alias);
    server.upload_refused("", &sent, 400, "blocked");
    // The hashes that pages of contents show are understood as well.
    let page = call(&server, "GET", "hashes").ok().json();
    let hex = page["page"]["hashes"][0]["hex"].as_str().expect("a hash");
    call(&server, "DELETE", &format!("blocklist?hash={hex}")).status(204);
    for (method, route) in [
        ("POST", "blocklist"),
        ("POST", "blocklist?hash=12"),
        ("DELETE", "blocklist"),
        ("DELETE", "blocklist?hash=xyz"),
    ] {
        call(&server, method, route).refused(400, "invalid-query");
    }
    call(&server, "POST", "blocklist?alias=absent").refused(404, "alias-not-found");
}

#[test]
fn the_blocklist_is_paged_newest_first() {
    let server = with_key();
    let hashes: Vec<_> = (0..5).map(|n| sha256(&[n])).collect();
    for hash in &hashes {
        std::thread::sleep(std::time::Duration::from_millis(2));
        call(&server, "POST", &format!("blocklist?hash={hash}")).status(201);
    }
    let mut found = Vec::new();
    let mut before = String::new();
    loop {
        let json = call(
            &server,
            "GET",
            &format!("blocklist?limit=2&before={before}"),
        )
        .ok()
        .json();
        for entry in json["blocklist"].as_array().expect("a list") {
            found.push(entry["hash"].as_str().expect("a hash").to_owned());
        }
        match json["next"].as_str() {
            Some(next) => before = next.to_owned(),
            None => break,
        }
    }
    found.reverse();
    assert_eq!(found, hashes);
    call(&server, "GET", "blocklist?before=x").refused(400, "invalid-query");
}

#[test]
fn a_block_that_comes_during_an_upload_counts() {
    let server = with_key();
    let sent = pictures::jpeg(&pictures::noise(300, 300, 7));
    let hash = sha256(&sent);
    std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..10)
                        .map(|_| server.upload_form("", &[File::new(&sent)]))
                        .filter(|answer| answer.status == 201)
                        .flat_map(|answer| answer.uploaded())
                        .map(|uploaded| uploaded.alias)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        call(&server, "POST", &format!("blocklist?hash={hash}")).status(201);
        // Nobody who begins now gets in.
        server.upload_refused("", &sent, 400, "blocked");
        for upload in uploads {
            upload.join().expect("no panic");
        }
    });
    server.upload_refused("", &sent, 400, "blocked");
    assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
}
