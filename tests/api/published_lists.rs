//! Lists of PDQ hashes that another server publishes, with a signature of minisign.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use minisign::KeyPair;
use serde_json::{Value, json};

use crate::support::upstream::{Reply, Upstream};
use crate::support::{Launch, Server, eventually};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");
const BRIDGE: &[u8] = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/bridge.jpeg");
const BRIDGE_PDQ: &str = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22";
const OTHER: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Somebody who publishes a list.
struct Publisher {
    keys: KeyPair,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    upstream: Upstream,
}

impl Publisher {
    fn start() -> Self {
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let shown = Arc::clone(&files);
        let upstream =
            Upstream::start(
                move |asked| match shown.lock().expect("no panic").get(&asked.path) {
                    Some(file) => Reply::ok(file),
                    None => Reply::status("404 Not Found", "", b""),
                },
            );
        Self {
            keys: KeyPair::generate_unencrypted_keypair().expect("keys"),
            files,
            upstream,
        }
    }

    fn url(&self) -> String {
        self.upstream.url("/pdq.txt")
    }

    /// A server that follows the list, and looks at it each second.
    fn subscriber(&self) -> Launch {
        let key = self.keys.pk.to_base64();
        Launch::new()
            .setting("server.api_key", KEY.1)
            .setting("media.pdq.subscriptions", format!("{} {key}", self.url()))
            .setting("media.pdq.refresh", "1s")
    }

    /// Shows a list as it was signed at this time.
    fn publish(&self, list: &str, time: u64) {
        self.show(
            list,
            &self.signature(list, &format!("timestamp:{time}\tfile:pdq.txt\thashed")),
        );
    }

    fn signature(&self, list: &str, comment: &str) -> String {
        let (key, list) = (&self.keys.sk, Cursor::new(list));
        minisign::sign(Some(&self.keys.pk), key, list, Some(comment), None)
            .expect("signed")
            .into_string()
    }

    fn show(&self, list: &str, signature: &str) {
        let mut files = self.files.lock().expect("no panic");
        files.insert("/pdq.txt".to_owned(), list.into());
        files.insert("/pdq.txt.minisig".to_owned(), signature.into());
    }
}

fn overview(server: &Server) -> Value {
    server.get_with("/internal/pdq", &[KEY]).ok().json()
}

/// The hashes of the list, sorted.
fn hashes(server: &Server) -> Vec<String> {
    let page = server.get_with("/internal/pdq/list", &[KEY]).ok().json();
    let hashes = page["hashes"].as_array().expect("a list").iter();
    hashes
        .map(|one| one["hash"].as_str().expect("a hash").to_owned())
        .collect()
}

/// Waits until the list cannot be taken, and returns why.
fn fault(server: &Server, part: &str) {
    eventually("a fault of the list", || {
        let told = overview(server);
        let error = told["subscriptions"][0]["error"].as_str();
        error
            .is_some_and(|error| error.contains(part))
            .then_some(())
    });
}

#[test]
fn a_published_list_is_followed() {
    let publisher = Publisher::start();
    publisher.publish(&format!("{OTHER}\n{BRIDGE_PDQ},a bridge\n"), 1_700_000_000);
    let server = publisher.subscriber().start();
    eventually("the list", || {
        (hashes(&server) == [OTHER, BRIDGE_PDQ]).then_some(())
    });
    server.upload_refused("", BRIDGE, 400, "blocked");
    let told = overview(&server);
    assert_eq!(
        told["lists"],
        json!([{ "list": publisher.url(), "hashes": 2 }])
    );
    let subscription = &told["subscriptions"][0];
    assert_eq!(subscription["list"], publisher.url());
    assert_eq!(subscription["error"], Value::Null);
    assert_eq!(subscription["signed_at"], "2023-11-14T22:13:20Z");
    let path = format!("/internal/pdq/list?list={}", publisher.url());
    let by_hand = server.send("POST", &path, &[KEY], Some(BRIDGE_PDQ.as_bytes()));
    let message = by_hand.refused(400, "invalid-query");
    assert!(message.contains("media.pdq.subscriptions"), "{message}");

    publisher.publish(&format!("{OTHER}\n"), 1_700_000_001);
    eventually("the change", || (hashes(&server) == [OTHER]).then_some(()));
    server.upload(BRIDGE);
    // It is not fetched again as long as its signature is the same, not even by the next start.
    let fetched = || {
        let asked = publisher.upstream.asked();
        asked
            .iter()
            .filter(|asked| asked.path == "/pdq.txt")
            .count()
    };
    let before = fetched();
    let server = server.stop().start();
    let looked = publisher.upstream.asked().len();
    eventually("looks at the signature", || {
        (publisher.upstream.asked().len() > looked + 1).then_some(())
    });
    assert_eq!(fetched(), before);
    assert_eq!(hashes(&server), [OTHER]);

    // What was removed here comes back as long as it is followed.
    server.send("DELETE", &path, &[KEY], None).ok();
    eventually("the list again", || {
        (hashes(&server) == [OTHER]).then_some(())
    });
    // Its author may sign that it is empty.
    publisher.publish("", 1_700_000_002);
    eventually("no list", || hashes(&server).is_empty().then_some(()));
    let before = fetched();
    let looked = publisher.upstream.asked().len();
    eventually("looks at the signature", || {
        (publisher.upstream.asked().len() > looked + 1).then_some(())
    });
    assert_eq!(fetched(), before);

    // With another key nothing of before counts.
    let stranger = Publisher::start().keys.pk.to_base64();
    let setting = format!("{} {stranger}", publisher.url());
    let server = server
        .stop()
        .setting("media.pdq.subscriptions", setting)
        .start();
    fault(&server, "not of this list and key");
}

#[test]
fn what_its_author_has_not_signed_changes_nothing() {
    let publisher = Publisher::start();
    let list = format!("{BRIDGE_PDQ}\n");
    publisher.publish(&list, 1_700_000_000);
    let server = publisher.subscriber().start();
    eventually("the list", || {
        (hashes(&server) == [BRIDGE_PDQ]).then_some(())
    });

    let other = format!("{OTHER}\n");
    let time = "timestamp:1700000009";
    publisher.show(&list, &Publisher::start().signature(&list, time));
    fault(&server, "not of this list and key");
    publisher.show(&other, &publisher.signature(OTHER, time));
    fault(&server, "not of this list and key");
    publisher.publish(&other, 1_600_000_000);
    fault(&server, "older");
    publisher.show(&other, &publisher.signature(&other, "file:pdq.txt"));
    fault(&server, "when it was made");
    publisher.publish("not a hash\n", 1_700_000_010);
    fault(&server, "line 1");
    publisher.publish(&other, 9_000_000_000_000);
    fault(&server, "in the future");
    publisher.show(&other, "no signature");
    fault(&server, "cannot be read");
    publisher.show(&other, &"a".repeat(5000));
    fault(&server, "4096");
    publisher.files.lock().expect("no panic").clear();
    fault(&server, "404");
    assert_eq!(hashes(&server), [BRIDGE_PDQ]);

    publisher.publish(&other, 1_700_000_011);
    eventually("the next list", || {
        (hashes(&server) == [OTHER]).then_some(())
    });
    assert_eq!(overview(&server)["subscriptions"][0]["error"], Value::Null);
}

#[test]
fn a_list_is_published_as_others_can_take_it() {
    let publisher = Publisher::start();
    let server = Launch::new().setting("server.api_key", KEY.1).start();
    let text = format!("hash,reason\n{BRIDGE_PDQ},private words\n{OTHER},\n");
    let path = "/internal/pdq/list?list=ours";
    server
        .send("POST", path, &[KEY], Some(text.as_bytes()))
        .status(201);
    let answer = server.get_with(&format!("{path}&plain=true"), &[KEY]).ok();
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let text = String::from_utf8(answer.body).expect("UTF-8");
    assert_eq!(text, format!("{OTHER}\n{BRIDGE_PDQ}\n"));
    publisher.publish(&text, 1_700_000_000);
    let follower = publisher.subscriber().start();
    eventually("the list", || {
        (hashes(&follower) == [OTHER, BRIDGE_PDQ]).then_some(())
    });
    server
        .get_with("/internal/pdq/list?list=absent&plain=true", &[KEY])
        .refused(404, "hash-not-found");
}
