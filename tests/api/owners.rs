//! For whom an application uploads, and how much that may be.

use serde_json::{Value, json};

use crate::support::client::{Uploaded, content_type, multipart};
use crate::support::upstream::Upstream;
use crate::support::{Answer, File, Launch, Server, disk, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn launch() -> Launch {
    Launch::new()
        .setting("server.api_key", KEY.1)
        .setting("client.allow_local_connections", true)
}

fn picture(seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(64, 64, seed))
}

fn send(server: &Server, path: &str, file: &[u8]) -> Answer {
    let kind = content_type();
    let headers = [KEY, ("content-type", &kind)];
    server.send("POST", path, &headers, Some(&multipart(&[File::new(file)])))
}

fn upload(server: &Server, owner: &str, file: &[u8]) -> Uploaded {
    let answer = send(server, &format!("/image?owner={owner}"), file);
    answer.status(201).uploaded().remove(0)
}

fn call(server: &Server, method: &str, route: &str) -> Answer {
    server.send(method, &format!("/internal/{route}"), &[KEY], None)
}

fn of_one(server: &Server, owner: &str) -> Value {
    call(server, "GET", &format!("owner?owner={owner}"))
        .ok()
        .json()
}

fn names(server: &Server) -> Vec<String> {
    let list = call(server, "GET", "owners").ok().json();
    let list = list["owners"].as_array().expect("a list").iter();
    list.map(|one| one["owner"].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn only_who_has_a_key_may_say_whose_an_upload_is() {
    let server = launch().start();
    let file = picture(1);
    let upstream = Upstream::serving(&file);
    let download = format!("/image/download?owner=a&url={}", upstream.url("/a.png"));
    server
        .upload_form("owner=a", &[File::new(&file)])
        .refused(401, "invalid-api-token");
    server
        .background_form("?owner=a", &[File::new(&file)])
        .refused(401, "invalid-api-token");
    server.get(&download).refused(401, "invalid-api-token");
    server
        .get_with(&download, &[("X-Api-Token", "another")])
        .refused(401, "invalid-api-token");
    assert!(upstream.asked().is_empty());
    disk::assert_nothing_stored(&server);
    for owner in ["", "a%0Ab", &"a".repeat(201)] {
        send(&server, &format!("/image?owner={owner}"), &file).refused(400, "invalid-query");
    }
    let keyless = Server::start();
    send(&keyless, "/image?owner=a", &file).refused(401, "invalid-api-token");
}

#[test]
fn an_owner_has_what_came_any_way_and_nobody_else_hears_of_it() {
    let server = launch().start();
    let upstream = Upstream::serving(&picture(4));
    let first = upload(&server, "%C3%A4%20b", &picture(1));
    send(&server, "/internal/import?owner=%C3%A4%20b", &picture(2)).status(201);
    let waiting = send(&server, "/image/backgrounded?owner=%C3%A4%20b", &picture(3));
    let waiting = waiting.status(202).upload_ids().remove(0);
    server.claim(&waiting).ok();
    let download = format!(
        "/image/download?owner=%C3%A4%20b&url={}",
        upstream.url("/a.png")
    );
    server.get_with(&download, &[KEY]).status(201);
    // The same bytes count once.
    upload(&server, "%C3%A4%20b", &picture(1));
    upload(&server, "other", &picture(1));
    server.upload(&picture(5));

    assert_eq!(names(&server), ["other", "ä b"]);
    let list = call(&server, "GET", "owners?after=other").ok().json();
    assert_eq!(list["quota"], Value::Null);
    assert_eq!(list["next"], Value::Null);
    assert_eq!(list["owners"][0]["owner"], "ä b");
    assert_eq!(list["owners"][0]["aliases"], 5);
    assert_eq!(list["owners"][0]["contents"], 4);
    let one = call(&server, "GET", "owners?limit=1").ok().json();
    assert_eq!(one["next"], "other");

    let own = of_one(&server, "%C3%A4%20b");
    assert_eq!(own["owner"], "ä b");
    assert_eq!((&own["total"], &own["contents"]), (&json!(5), &json!(4)));
    let stored = |seed| picture(seed).len() as u64;
    let bytes = own["bytes"].as_u64().expect("a number");
    let sent: u64 = (1..5).map(stored).sum();
    assert!(bytes > sent / 2 && bytes < sent * 2, "{bytes} of {sent}");
    // Newest first, in pages that have each alias once.
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let page = call(
            &server,
            "GET",
            &format!("owner?owner=%C3%A4%20b&limit=2{next}"),
        );
        let page = page.ok().json();
        let aliases = page["aliases"].as_array().expect("a list").iter();
        found.extend(aliases.map(|one| one["alias"].clone()));
        let Some(place) = page["next"].as_str() else {
            break;
        };
        next = format!("&before={place}");
    }
    assert_eq!(found.len(), 5);
    assert_eq!(found[4], json!(first.alias));
    assert_eq!(of_one(&server, "absent")["aliases"], json!([]));
    call(&server, "GET", "owner?owner=a&before=x").refused(400, "invalid-query");
    call(&server, "GET", "owner").refused(400, "invalid-query");

    let details = server.get(&format!("/image/details/original/{}", first.alias));
    assert!(!details.ok().text().contains("owner"));
}

#[test]
fn an_alias_can_get_another_owner_later() {
    let server = launch().start();
    let upload = server.upload(&picture(1));
    let alias = &upload.alias;
    call(&server, "POST", &format!("owner?owner=a&alias={alias}")).ok();
    assert_eq!(of_one(&server, "a")["total"], 1);
    call(&server, "POST", &format!("owner?owner=b&alias={alias}")).ok();
    assert_eq!(names(&server), ["b"]);
    call(&server, "DELETE", &format!("owner?alias={alias}")).status(204);
    assert!(names(&server).is_empty());
    call(&server, "POST", "owner?owner=b&alias=absent.png").refused(404, "alias-not-found");
    call(&server, "DELETE", "owner?alias=absent.png").refused(404, "alias-not-found");
    call(&server, "POST", &format!("owner?alias={alias}")).refused(400, "invalid-query");
    let both = format!("owner?owner=a&alias={alias}");
    call(&server, "DELETE", &both).refused(400, "invalid-query");
    server.get(&format!("/image/original/{alias}")).ok();
}

#[test]
fn a_purge_of_an_owner_leaves_what_others_have_unless_it_is_refused_from_now_on() {
    let server = launch().start();
    let shared = upload(&server, "kept", &picture(1));
    let gone: Vec<_> = (1..4)
        .map(|seed| upload(&server, "spammer", &picture(seed)))
        .collect();
    let answer = call(&server, "POST", "purge?owner=spammer&reason=spam")
        .ok()
        .json();
    assert_eq!(
        answer,
        json!({ "msg": "ok", "owner": "spammer", "removed": 3, "blocked": 0 })
    );
    for upload in &gone {
        let path = format!("/image/original/{}", upload.alias);
        server.get(&path).refused(404, "alias-not-found");
    }
    server
        .get(&format!("/image/original/{}", shared.alias))
        .ok();
    assert_eq!(names(&server), ["kept"]);
    call(&server, "POST", "purge?owner=spammer").refused(404, "owner-not-found");
    let log = call(&server, "GET", "audit").ok().json();
    assert_eq!(log["audit"].as_array().map(Vec::len), Some(3));
    assert_eq!(log["audit"][0]["reason"], "spam");

    upload(&server, "spammer", &picture(1));
    upload(&server, "spammer", &picture(1));
    let answer = call(&server, "POST", "purge?owner=spammer&block=true")
        .ok()
        .json();
    assert_eq!(answer["removed"], 3);
    assert!(answer["blocked"].as_u64().expect("a number") >= 1);
    server
        .get(&format!("/image/original/{}", shared.alias))
        .refused(404, "alias-not-found");
    server.upload_refused("", &picture(1), 400, "blocked");
    disk::assert_nothing_stored(&server);
    let both = format!("purge?owner=a&alias={}", shared.alias);
    call(&server, "POST", &both).refused(400, "invalid-query");
}

#[test]
fn an_owner_has_no_more_than_the_quota() {
    let server = launch().setting("media.owner_quota", "40 KiB").start();
    // Of 64 × 64 × 3 bytes that cannot be compressed: three fit.
    for seed in 1..4 {
        upload(&server, "a", &picture(seed));
    }
    let refused = send(&server, "/image?owner=a", &picture(4));
    let message = refused.refused(413, "owner-quota");
    assert!(
        message.contains("owner") && !message.contains("'a'"),
        "{message}"
    );
    let told = refused.json();
    assert_eq!(told["limit"], 40 << 10);
    assert!(told["found"].as_u64().expect("a number") > 40 << 10);
    // Nothing of it stays, and what is there already can have more names.
    assert_eq!(of_one(&server, "a")["contents"], 3);
    disk::assert_nothing_unfinished(&server);
    upload(&server, "a", &picture(3));
    upload(&server, "b", &picture(4));
    server.upload(&picture(5));
    let waiting = send(&server, "/image/backgrounded?owner=a", &picture(6));
    let waiting = waiting.status(202).upload_ids().remove(0);
    server.claim(&waiting).refused(422, "owner-quota");
    // What goes makes room.
    let alias = of_one(&server, "a")["aliases"][3]["alias"].clone();
    let alias = alias.as_str().expect("a text");
    call(&server, "POST", &format!("delete?alias={alias}")).ok();
    upload(&server, "a", &picture(7));
    assert_eq!(call(&server, "GET", "owners").json()["quota"], 40 << 10);
    let output = launch().setting("media.owner_quota", "0").refused().output;
    assert!(output.contains("media.owner_quota"), "{output}");
    // Whose quota is used up waits for no work.
    let server = server.stop().setting("media.owner_quota", "10 KiB").start();
    send(&server, "/image/backgrounded?owner=a", &picture(8)).refused(413, "owner-quota");
}

#[test]
fn uploads_at_once_do_not_pass_the_quota_together() {
    let server = launch().setting("media.owner_quota", "40 KiB").start();
    let taken = std::thread::scope(|scope| {
        let server = &server;
        let tries: Vec<_> = (0..12)
            .map(|seed| scope.spawn(move || send(server, "/image?owner=a", &picture(seed)).status))
            .collect();
        let statuses = tries.into_iter().map(|one| one.join().expect("an answer"));
        statuses.filter(|status| *status == 201).count()
    });
    assert_eq!(taken, 3);
    assert_eq!(of_one(&server, "a")["contents"], 3);
}
