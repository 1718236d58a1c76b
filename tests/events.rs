//! A receiver of events: what it is told, in which order, and what happens while it is down.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::postgres::Cluster;

use crate::support::client::{content_type, multipart};
use crate::support::validator::{Question, Validator as Receiver};
use crate::support::{File, Launch, Server, eventually, pictures, programs};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");
const SECRET: &str = "a secret of events";
const DOCS: &str = include_str!("../docs/events.md");

fn telling(url: &str) -> Launch {
    Launch::new()
        .setting("server.api_key", KEY.1)
        .setting("events.url", url)
        .setting("events.secret", SECRET)
}

fn picture(number: u32) -> Vec<u8> {
    pictures::png(&pictures::photo(20 + number, 16))
}

fn call(server: &Server, method: &str, route: &str) {
    let answer = server.send(method, &format!("/internal/{route}"), &[KEY], None);
    assert!(answer.status < 300, "{route}: {}", answer.status);
}

fn import(server: &Server, name: &str, bytes: &[u8]) {
    let body = multipart(&[File {
        filename: Some(name),
        ..File::new(bytes)
    }]);
    let content_type = content_type();
    let headers = [KEY, ("Content-Type", &*content_type)];
    server
        .send("POST", "/internal/import", &headers, Some(&body))
        .status(201);
}

fn body(question: &Question) -> Value {
    serde_json::from_slice(&question.body).expect("JSON")
}

/// The events so far, once there are as many.
fn received(receiver: &Receiver, count: usize) -> Vec<Value> {
    eventually("all events arrive", || {
        let questions = receiver.questions();
        (questions.len() >= count).then(|| questions.iter().map(body).collect())
    })
}

fn health(server: &Server) -> Value {
    let answer = server.send("GET", "/internal/health", &[KEY], None).ok();
    answer.json()["events"].clone()
}

/// A port that nothing listens on, for now.
fn quiet_port() -> (String, impl Fn(u16) -> Receiver) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let open = move |status| {
        let listener = TcpListener::bind(address).expect("the port is still free");
        Receiver::start_on(listener, status)
    };
    (format!("http://{address}/hook?a=b"), open)
}

#[test]
fn additions_and_removals_are_told_with_who_and_what() {
    let receiver = Receiver::start(200);
    let server = telling(&receiver.url()).start();
    let one = server.upload(&picture(1));
    let two = server.upload(&picture(1));
    let other = server.upload(&picture(2));
    server
        .get(&format!(
            "/image/process.webp?src={}&thumbnail=8",
            one.alias
        ))
        .ok();
    server.settle();
    let path = format!("/image/delete/{}/{}", two.token, two.alias);
    server.delete(&path).status(204);
    call(
        &server,
        "POST",
        &format!("purge?alias={}&block=true&reason=bad", one.alias),
    );
    call(&server, "POST", &format!("delete?alias={}", other.alias));

    let events = received(&receiver, 7);
    let column = |name: &str| events.iter().map(|e| e[name].clone()).collect::<Vec<_>>();
    let kinds = [
        "added", "added", "added", "removed", "blocked", "purged", "removed",
    ];
    assert_eq!(column("event"), kinds);
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_i64()).collect();
    assert!(ids.is_sorted() && ids[0].is_some(), "{ids:?}");
    assert_eq!(events[0]["aliases"], json!([one.alias]));
    assert_eq!(events[0]["content_type"], "image/png");
    assert_eq!(events[3]["aliases"], json!([two.alias]));
    assert_eq!(events[3]["actor"], "token");
    assert_eq!(events[3]["destroyed"], json!({ "variants": 0, "bytes": 0 }));
    let sha256 = events[0]["sha256"].clone();
    assert!(
        events[4]["digests"]
            .as_array()
            .expect("a list")
            .contains(&sha256)
    );
    let purged = &events[5];
    assert_eq!(purged["aliases"], json!([one.alias]));
    assert_eq!(purged["sha256"], sha256);
    assert_eq!(
        (&purged["action"], &purged["actor"]),
        (&json!("purge"), &json!("admin"))
    );
    assert_eq!(purged["reason"], "bad");
    assert_eq!(purged["destroyed"]["variants"], 1);
    let original = events[0]["bytes"].as_u64().expect("a number");
    assert!(purged["destroyed"]["bytes"].as_u64() > Some(original));

    // The audit log tells the same, under the number that the event names.
    let log = server
        .send("GET", "/internal/audit", &[KEY], None)
        .ok()
        .json();
    let entries = log["audit"].as_array().expect("a list");
    let entry = entries
        .iter()
        .find(|entry| entry["number"] == purged["entry"]);
    let receipt = &entry.expect("there")["receipt"];
    assert_eq!(receipt["sha256"], sha256);
    assert_eq!(receipt["variants"], 1);
    assert_eq!(receipt["bytes"], purged["destroyed"]["bytes"]);
    assert_eq!(receipt["caches"], Value::Null);
}

#[test]
fn nothing_is_kept_for_a_receiver_that_is_not_configured() {
    let server = Server::with([("server.api_key", KEY.1)]);
    let uploaded = server.upload(&picture(1));
    call(&server, "POST", &format!("purge?alias={}", uploaded.alias));
    assert_eq!(health(&server), Value::Null);
    let receiver = Receiver::start(200);
    let launch = server.stop();
    let server = launch
        .setting("events.url", receiver.url())
        .setting("events.secret", SECRET)
        .start();
    server.upload(&picture(2));
    let events = received(&receiver, 1);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], "added");
}

#[test]
fn the_documented_check_accepts_what_is_signed_and_nothing_else() {
    let Some(python) = programs::find_or_skip("python3", "signatures of events") else {
        return;
    };
    let receiver = Receiver::start(200);
    let server = telling(&receiver.url()).start();
    server.upload(&picture(1));
    received(&receiver, 1);
    let question = receiver.questions().remove(0);
    assert!(
        question.line.starts_with("POST /scan "),
        "{}",
        question.line
    );
    assert_eq!(question.header("content-type"), Some("application/json"));
    let id = body(&question)["id"].to_string();
    assert_eq!(question.header("x-pict-rs-event"), Some(&*id));
    let signature = question.header("x-pict-rs-signature").expect("signed");
    let code = DOCS.split_once("```python\n").expect("a block").1;
    let code = code.split_once("```").expect("it ends").0;
    let is_genuine = |secret: &str, signature: &str, body: &[u8]| {
        let call = format!(
            "{code}\nimport sys\nprint(is_genuine(b'{secret}', '{signature}', sys.stdin.buffer.read()))"
        );
        let mut child = Command::new(&python)
            .args(["-c", &call])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(body)
            .expect("written");
        let output = child.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(is_genuine(SECRET, signature, &question.body), "True");
    assert_eq!(
        is_genuine("another secret of", signature, &question.body),
        "False"
    );
    let other = [&question.body[..], b" "].concat();
    assert_eq!(is_genuine(SECRET, signature, &other), "False");
    let old = signature.replacen("t=", "t=-", 1);
    assert_eq!(is_genuine(SECRET, &old, &question.body), "False");
}

/// Every subject of an event, with the number and what happened.
fn histories(events: &[Value]) -> BTreeMap<String, Vec<(i64, String)>> {
    let mut histories: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for event in events {
        let aliases = event["aliases"].as_array().expect("a list").iter();
        let subjects = aliases.chain([&event["sha256"]]);
        for subject in subjects {
            let history = histories.entry(subject.to_string()).or_default();
            let id = event["id"].as_i64().expect("a number");
            history.push((id, event["event"].to_string()));
        }
    }
    histories
}

/// Asserts that each subject had its events in order. One that came twice counts once.
fn assert_in_order(events: &[Value]) {
    for (subject, history) in histories(events) {
        let mut ids: Vec<_> = history.iter().map(|(id, _)| *id).collect();
        ids.dedup();
        assert!(ids.is_sorted(), "{subject}: {history:?}");
    }
}

#[test]
fn a_receiver_that_was_down_is_told_everything_in_order() {
    let (url, open) = quiet_port();
    let server = telling(&url).start();
    let mut expected = 0;
    let mut change = |server: &Server, round: u32| {
        for number in 0..6 {
            // The same contents and aliases again and again.
            let name = format!("name-{number}.png");
            let file = picture(number);
            import(server, &name, &file);
            if round.is_multiple_of(2) {
                let extra = server.upload(&file);
                let path = format!("/image/delete/{}/{}", extra.token, extra.alias);
                server.delete(&path).status(204);
                expected += 2;
            }
            call(server, "POST", &format!("purge?alias={name}"));
            expected += 2;
        }
    };
    change(&server, 0);
    change(&server, 1);
    // Down for as long as issue 19 wants it with PICTRS_TEST_DOWN=60.
    let down = std::env::var("PICTRS_TEST_DOWN").ok();
    let down = down.and_then(|text| text.parse().ok()).unwrap_or(3);
    std::thread::sleep(Duration::from_secs(down));
    let told = eventually("the failure is told", || {
        let told = health(&server);
        (!told["error"].is_null()).then_some(told)
    });
    assert!(told["waiting"].as_u64() >= Some(36), "{told}");
    // The death of the server loses nothing.
    let launch = server.kill();
    let server = launch.start();
    change(&server, 2);
    let receiver = open(200);
    // The longest pause is half a minute.
    for _ in 0..30 {
        if receiver.questions().len() >= expected {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let events = received(&receiver, expected);
    assert_in_order(&events);
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_i64()).collect();
    assert_eq!(ids.len(), expected, "none is lost");
    eventually("nothing waits any more", || {
        (health(&server)["waiting"] == 0).then_some(())
    });
    assert_eq!(health(&server)["error"], Value::Null);
}

#[test]
fn an_event_that_is_refused_holds_up_only_what_is_about_the_same() {
    let receiver = Receiver::start(200);
    receiver.answer_first(&[422]);
    let server = telling(&receiver.url()).start();
    let first = server.upload(&picture(1));
    received(&receiver, 1);
    let path = format!("/image/delete/{}/{}", first.token, first.alias);
    server.delete(&path).status(204);
    let other = server.upload(&picture(2));
    let events = received(&receiver, 4);
    let seen: Vec<_> = events
        .iter()
        .map(|event| (&event["event"], &event["aliases"][0]))
        .collect();
    let (added, removed) = (json!("added"), json!("removed"));
    let (first, other) = (json!(first.alias), json!(other.alias));
    assert_eq!(
        seen,
        [
            (&added, &first),
            // It passes what was refused.
            (&added, &other),
            (&added, &first),
            (&removed, &first),
        ]
    );
    assert_eq!(events[0], events[2], "the same event, with the same id");
}

#[test]
fn several_servers_tell_each_event_in_order() {
    let Some(cluster) = Cluster::shared_or_skip("several_servers_tell_each_event") else {
        return;
    };
    let database = cluster.database();
    let files = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(200);
    let launch = || {
        telling(&receiver.url())
            .setting("repo.type", "postgres")
            .setting("repo.url", database.url())
            .setting("store.path", files.path().join("files").display())
    };
    let servers = [launch().start(), launch().start()];
    let mut expected = 0;
    for round in 0..6 {
        for (index, server) in servers.iter().enumerate() {
            let name = format!("name-{}.png", index % 2);
            import(server, &name, &picture(round));
            // By the other one.
            let other = &servers[1 - index];
            call(other, "POST", &format!("purge?alias={name}"));
            expected += 2;
        }
    }
    let events = received(&receiver, expected);
    assert_in_order(&events);
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_i64()).collect();
    assert_eq!(ids.len(), expected);
    assert_eq!(events.len(), expected, "none came twice");
}
