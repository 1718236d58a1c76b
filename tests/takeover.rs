//! A running server is taken over. The old one is this program too, in another folder, because it
//! has the same API; `published` takes over from a pict-rs that others have published.

mod load;
mod published;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::{Client, content_type, multipart};
use crate::support::upstream::Upstream;
use crate::support::{Answer, File, Launch, Server, Uploaded, disk, eventually, pictures, pixels};

/// The API keys of the old and the new server.
const OLD: &str = "old-key";
const NEW: &str = "new-key";

fn old_launch() -> Launch {
    Launch::new()
        .setting("server.api_key", OLD)
        .setting("client.allow_local_connections", true)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A server that takes over from `old`.
fn successor(old: SocketAddr) -> Launch {
    Launch::new()
        .setting("server.api_key", NEW)
        .setting("client.allow_local_connections", true)
        .setting("takeover.url", url(old))
        .setting("takeover.api_key", OLD)
        .setting("takeover.rate", 0)
}

/// The same, whose run cannot list the contents, so that only requests bring anything.
fn reader(old: SocketAddr) -> Launch {
    successor(old).setting("takeover.api_key", "wrong")
}

fn internal(server: &Client, key: &str, method: &str, path: &str) -> Answer {
    server.send(method, path, &[("X-Api-Token", key)], None)
}

fn takeover(server: &Client) -> Value {
    let health = internal(server, NEW, "GET", "/internal/health");
    health.ok().json()["takeover"].clone()
}

/// Waits longer than [`eventually`]: a thousand files take their time.
fn wait_until_complete(server: &Client) -> Value {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let takeover = takeover(server);
        if takeover["complete"] == true {
            return takeover;
        }
        assert!(Instant::now() < deadline, "not complete: {takeover}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn picture(number: u32) -> Vec<u8> {
    pictures::png(&pictures::noise(24, 16, u64::from(number)))
}

/// What a client sees of an original.
#[derive(Debug, PartialEq)]
struct Seen {
    body: Vec<u8>,
    etag: Option<String>,
    last_modified: Option<String>,
    content_type: Option<String>,
    details: Value,
}

fn seen(server: &Client, alias: &str) -> Seen {
    let answer = server.get(&format!("/image/original/{alias}")).ok();
    let header = |name| answer.header(name).map(str::to_owned);
    let details = server.get(&format!("/image/details/original/{alias}"));
    Seen {
        etag: header("etag"),
        last_modified: header("last-modified"),
        content_type: header("content-type"),
        details: details.ok().json(),
        body: answer.body,
    }
}

/// Whether the alias can be had, without its bytes.
fn status(server: &Client, alias: &str) -> u16 {
    server.head(&format!("/image/original/{alias}")).status
}

fn delete(server: &Client, uploaded: &Uploaded, token: &str) -> Answer {
    server.delete(&format!("/image/delete/{token}/{}", uploaded.alias))
}

#[test]
fn what_is_unknown_is_brought_with_its_facts_and_stays_when_the_old_server_is_gone() {
    let old = old_launch().start();
    let sources = [
        pictures::png(&pictures::photo(60, 40)),
        pictures::jpeg(&pictures::photo(50, 70)),
        pictures::gif(&pictures::film(20, 20, 3)),
        pictures::webp(&pictures::photo(33, 21)),
    ];
    let mut uploaded: Vec<_> = sources.iter().map(|bytes| old.upload(bytes)).collect();
    // Another alias of the first.
    uploaded.push(old.upload(&sources[0]));
    let expected: Vec<_> = uploaded.iter().map(|one| seen(&old, &one.alias)).collect();

    let new = reader(old.address).start();
    // Whatever is asked for first brings the original.
    let [png, jpeg, gif, webp, again] = &uploaded[..] else {
        panic!("five aliases");
    };
    let head = new.head(&format!("/image/original/{}", png.alias)).ok();
    assert_eq!(head.header("etag"), expected[0].etag.as_deref());
    let range = [("range", "bytes=2-5")];
    let part = new.get_with(&format!("/image/original?alias={}", jpeg.alias), &range);
    assert_eq!(part.status(206).body, expected[1].body[2..=5]);
    let thumbnail = new.process("webp", &gif.alias, "thumbnail=10");
    assert!(pixels::decode(&thumbnail).width() <= 10);
    let path = format!("/image/details/original?alias={}", webp.alias);
    assert_eq!(new.get(&path).ok().json(), expected[3].details);
    let path = format!("/image/blurhash?alias={}", again.alias);
    let blurhash = new.get(&path).ok().json()["blurhash"].clone();
    assert_eq!(blurhash, expected[4].details["blurhash"]);

    new.get("/image/original/absent.png")
        .refused(404, "alias-not-found");
    let queued = format!("/image/process_backgrounded.png?src={}", png.alias);
    new.get(&queued).status(202);
    let page = internal(&new, NEW, "GET", "/internal/hashes").ok().json();
    assert_eq!(page["page"]["hashes"].as_array().map(Vec::len), Some(4));
    let address = old.address;
    let launch = old.kill();
    for (one, expected) in uploaded.iter().zip(&expected) {
        assert_eq!(seen(&new, &one.alias), *expected);
    }
    // A failure of the old server does not mean that it has no such alias.
    let late = "/image/original/late.png";
    new.get(late).refused(503, "predecessor-unavailable");
    assert!(new.get(late).header("retry-after").is_some());
    let old = launch.setting("server.address", address).start();
    let path = "/internal/import";
    let file = File {
        filename: Some("late.png"),
        ..File::new(&sources[0])
    };
    let headers = [("X-Api-Token", OLD), ("content-type", &content_type())];
    old.send("POST", path, &headers, Some(&multipart(&[file])))
        .uploaded();
    new.get(late).ok();
}

#[test]
fn ten_requests_for_one_alias_are_one_transfer() {
    let bytes = picture(1);
    let details = r#"{"msg":"ok","width":24,"height":16,"frames":null,"content_type":"image/png","created_at":"2024-01-02T03:04:05.678901234Z"}"#;
    let sent = bytes.clone();
    let old = Upstream::start(move |asked| {
        use crate::support::upstream::Reply;
        match asked.path.contains("/details/") {
            true => Reply::ok(details.as_bytes()),
            false => Reply::ok(&sent),
        }
    });
    let address = old
        .url("")
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let new = reader(address.parse().expect("an address")).start();
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| assert_eq!(new.original("a%20b.png"), bytes));
        }
    });
    let paths = old.paths();
    let count = |part: &str| paths.iter().filter(|path| path.starts_with(part)).count();
    assert_eq!(count("/image/original?alias=a+b.png"), 1, "{paths:?}");
    assert_eq!(
        count("/image/details/original?alias=a+b.png"),
        1,
        "{paths:?}"
    );
    // An answer of 0.5.0, which tells no blurhash.
    let details = new.get("/image/details/original/a%20b.png").ok().json();
    assert_eq!(details["created_at"], "2024-01-02T03:04:05.678Z");
    assert!(
        details["blurhash"]
            .as_str()
            .is_some_and(|hash| hash.len() > 6)
    );
}

#[test]
fn delete_tokens_are_asked_of_the_old_server() {
    let old = old_launch().start();
    let [brought, unknown, kept] = [1, 2, 3].map(|number| old.upload(&picture(number)));
    let new = reader(old.address).start();
    for one in [&brought, &kept] {
        new.original(&one.alias);
    }
    for one in [&brought, &unknown] {
        delete(&new, one, &kept.token).refused(403, "invalid-delete-token");
        assert_eq!(status(&old, &one.alias), 200);
        delete(&new, one, &one.token).status(204);
        for server in [&old, &new] {
            assert_eq!(status(server, &one.alias), 404);
        }
        // As for every alias that is gone.
        delete(&new, one, &one.token).status(204);
    }
    delete(&new, &kept, ".").refused(403, "invalid-delete-token");
    // An alias that is gone at the old server: any token would be right there.
    delete(&old, &kept, &kept.token).status(204);
    let refused = delete(&new, &kept, "guess").refused(403, "invalid-delete-token");
    assert!(refused.contains("another server"), "{refused}");
    old.kill();
    delete(&new, &kept, &kept.token).refused(503, "predecessor-unavailable");
    // Its own uploads do not depend on it.
    let own = new.upload(&picture(4));
    delete(&new, &own, &own.token).status(204);
    let new = new.stop().setting("takeover.url", "").start();
    delete(&new, &kept, &kept.token).refused(403, "invalid-delete-token");
    assert_eq!(status(&new, &kept.alias), 200);
}

#[test]
fn deletions_reach_both_and_nothing_comes_back() {
    let old = old_launch().start();
    let one = old.upload(&picture(1));
    let same = [old.upload(&picture(2)), old.upload(&picture(2))];
    let late = old.upload(&picture(3));
    // So slow that requests come first.
    let new = successor(old.address).setting("takeover.rate", 1).start();
    let path = format!("/internal/aliases?alias={}", same[0].alias);
    let listed = internal(&new, NEW, "GET", &path).ok().json();
    let mut expected = same.each_ref().map(|one| one.alias.clone());
    expected.sort();
    assert_eq!(listed["aliases"], Value::from(expected.to_vec()));
    // The same bytes, uploaded here, are purged with those of the old server.
    let own = new.upload(&picture(2));
    let path = format!("/internal/purge?alias={}", own.alias);
    let purged = internal(&new, NEW, "POST", &path).ok().json();
    assert_eq!(
        purged["aliases"].as_array().map(Vec::len),
        Some(3),
        "{purged}"
    );
    let path = format!("/internal/delete?alias={}", one.alias);
    internal(&new, NEW, "POST", &path).ok();
    internal(&new, NEW, "POST", &path).refused(404, "alias-not-found");
    let gone = [&one.alias, &same[0].alias, &same[1].alias];
    for alias in gone {
        assert_eq!(status(&new, alias), 404);
        let done = || (status(&old, alias) == 404).then_some(());
        eventually("the old server deletes it too", done);
    }
    // While the old server is away, deletions are remembered.
    new.original(&late.alias);
    let address = old.address;
    let launch = old.kill();
    let path = format!("/internal/delete?alias={}", late.alias);
    internal(&new, NEW, "POST", &path).ok();
    let new = new.kill().start();
    let old = launch.setting("server.address", address).start();
    assert_eq!(status(&new, &late.alias), 404);
    // It is told again after a while.
    let deadline = Instant::now() + Duration::from_secs(60);
    while status(&old, &late.alias) != 404 {
        assert!(
            Instant::now() < deadline,
            "the old server never hears of it"
        );
        thread::sleep(Duration::from_millis(100));
    }
    let takeover = wait_until_complete(&new);
    assert_eq!(takeover["deletions_to_pass_on"], 0);
    for alias in gone.into_iter().chain([&late.alias]) {
        assert_eq!(status(&new, alias), 404);
    }
}

#[test]
fn the_run_copies_everything_resumes_and_says_when_the_old_server_can_be_stopped() {
    let old = old_launch().start();
    let mut uploaded: Vec<_> = (0..45).map(|number| old.upload(&picture(number))).collect();
    uploaded.push(old.upload(&picture(0)));
    let lost = old.upload(&picture(100));
    let before = disk::objects(&old.files());
    let expected: Vec<_> = uploaded.iter().map(|one| seen(&old, &one.alias)).collect();
    let hashes = |server: &Server, key| {
        let page = internal(server, key, "GET", "/internal/hashes?limit=100")
            .ok()
            .json();
        page["page"]["hashes"].clone()
    };
    // The file of one content is gone there.
    let path = format!("/internal/identifier?alias={}", lost.alias);
    let identifier = internal(&old, OLD, "GET", &path).ok().json()["identifier"].clone();
    let identifier = identifier.as_str().expect("a path");
    std::fs::remove_file(old.files().join(identifier)).expect("it was there");
    assert_eq!(before.len(), 46);

    let new = successor(old.address).setting("takeover.rate", 20).start();
    new.get(&format!("/image/original/{}", lost.alias))
        .refused(502, "predecessor-error");
    eventually("it has begun", || {
        (takeover(&new)["copied"].as_u64() >= Some(20)).then_some(())
    });
    // A power cut in the middle.
    let new = new.kill().start();
    let done = wait_until_complete(&new);
    assert_eq!(done["contents"], 46, "{done}");
    assert_eq!(done["lost"], 1, "{done}");
    for zero in ["changed", "altered", "failed", "deletions_to_pass_on"] {
        assert_eq!(done[zero], 0, "{zero}: {done}");
    }
    assert_eq!(done["unknown_tokens"], 46, "{done}");
    assert_eq!(done["cause"], Value::Null);
    new.wait_for_output("the old server can be stopped");
    let listed = hashes(&old, OLD);
    let others = listed.as_array().expect("a list").iter();
    let others = others.filter(|entry| entry["aliases"][0] != lost.alias.as_str());
    let listed: Vec<_> = others.cloned().collect();
    assert_eq!(hashes(&new, NEW), Value::from(listed));

    old.kill();
    for (one, expected) in uploaded.iter().zip(&expected) {
        assert_eq!(seen(&new, &one.alias), *expected);
    }
    // It is not asked any more.
    new.get("/image/original/absent.png")
        .refused(404, "alias-not-found");
    let new = new.stop().start();
    assert_eq!(takeover(&new)["complete"], true);
    new.get("/image/original/absent.png")
        .refused(404, "alias-not-found");
    let new = new.stop().setting("takeover.url", "").start();
    assert_eq!(takeover(&new), Value::Null);
    assert_eq!(seen(&new, &uploaded[7].alias), expected[7]);
}

#[test]
fn proxied_copies_of_the_old_server_are_served_under_their_urls() {
    let old = old_launch().start();
    let upstream = Upstream::serving(&picture(1));
    let other = Upstream::serving(&picture(2));
    let (known, fresh) = (upstream.url("/a.png"), other.url("/b.png"));
    old.get(&format!("/image/original?proxy={known}")).ok();
    let path = format!("/internal/aliases?proxy={known}");
    let there = internal(&old, OLD, "GET", &path).ok().json();
    let asked = upstream.asked().len();
    let new = successor(old.address).start();
    // Details never fetch from an upstream, but the old server has the copy.
    new.get(&format!("/image/details/original?proxy={known}"))
        .ok();
    let here = internal(&new, NEW, "GET", &path).ok().json();
    assert_eq!(here, there);
    new.head(&format!("/image/original?proxy={fresh}"))
        .status(404);
    new.get(&format!("/image/original?proxy={fresh}")).ok();
    assert_eq!(upstream.asked().len(), asked, "the copy was enough");
    let path = format!("/internal/purge?proxy={known}");
    internal(&new, NEW, "POST", &path).ok();
    eventually("it is purged there too", || {
        let path = format!("/image/details/original?proxy={known}");
        (old.get(&path).status == 404).then_some(())
    });
    // Then the upstream is asked.
    new.get(&format!("/image/original?proxy={known}")).ok();
    assert!(upstream.asked().len() > asked);
}

#[test]
fn names_of_the_old_server_are_taken() {
    let old = old_launch().start();
    let there = old.upload(&picture(1));
    let new = reader(old.address).start();
    let bytes = picture(2);
    let file = File {
        filename: Some(&there.alias),
        ..File::new(&bytes)
    };
    let headers = [("X-Api-Token", NEW), ("content-type", &content_type())];
    let form = multipart(&[file]);
    new.send("POST", "/internal/import", &headers, Some(&form))
        .refused(400, "duplicate-alias");
    assert_eq!(new.original(&there.alias), old.original(&there.alias));
}

#[test]
fn a_blocked_content_is_not_brought() {
    let old = old_launch().start();
    let bad = old.upload(&picture(1));
    let good = old.upload(&picture(2));
    let page = internal(&old, OLD, "GET", "/internal/hashes").ok().json();
    let hex = page["page"]["hashes"][1]["hex"]
        .as_str()
        .expect("a hash")
        .to_owned();
    let new = reader(old.address).start();
    let path = format!("/internal/blocklist?hash={hex}");
    internal(&new, NEW, "POST", &path).status(201);
    for _ in 0..2 {
        let path = format!("/image/original/{}", bad.alias);
        new.get(&path).refused(404, "alias-not-found");
    }
    new.original(&good.alias);
    // What is here can be blocked, listed and purged, with an alias that is not here yet.
    let path = format!("/internal/blocklist?alias={}", good.alias);
    internal(&new, NEW, "POST", &path).status(201);
    let twin = old.upload(&picture(2));
    let new = new.stop().setting("takeover.api_key", OLD).start();
    let path = format!("/internal/purge?alias={}", good.alias);
    let purged = internal(&new, NEW, "POST", &path).ok().json();
    assert_eq!(purged["aliases"][0], good.alias.as_str(), "{purged}");
    wait_until_complete(&new);
    for one in [bad, good, twin] {
        assert_eq!(status(&new, &one.alias), 404);
    }
}

/// Otherwise it would find everything in itself, and say that the old server can be stopped.
#[test]
fn a_server_that_is_to_take_over_from_itself_says_so() {
    let launch = Launch::new().setting("server.api_key", NEW);
    let server = launch.clone().start();
    let address = server.address;
    server.stop();
    let server = launch
        .setting("server.address", address)
        .setting("takeover.url", url(address))
        .setting("takeover.api_key", NEW)
        .start();
    let said = server
        .get("/image/original/a.png")
        .refused(502, "predecessor-error");
    assert!(said.contains("leads back to this server"), "{said}");
    let cause = eventually("the run fails", || {
        takeover(&server)["cause"].as_str().map(str::to_owned)
    });
    assert!(cause.contains("leads back to this server"), "{cause}");
    assert_eq!(takeover(&server)["complete"], false);
}

#[test]
fn a_takeover_that_cannot_work_is_refused_at_start() {
    let refused = |launch: Launch, part: &str| {
        let refusal = launch.refused();
        assert_eq!(refusal.status.code(), Some(78), "{}", refusal.output);
        assert!(refusal.output.contains(part), "{}", refusal.output);
    };
    refused(
        Launch::new().setting("takeover.url", "http://old"),
        "takeover.api_key",
    );
    refused(
        Launch::new().arguments(["takeover"]),
        "takeover needs the URL",
    );
    let keyed = Launch::new().setting("takeover.api_key", "key");
    let arguments = ["takeover", "old:8080"];
    refused(keyed.arguments(arguments), "takeover.url is not a plain");
    let keyed = Launch::new().setting("takeover.api_key", "key");
    let arguments = [
        "takeover",
        "http://old:8080",
        "--repo-url",
        "mysql://a:hush@b",
    ];
    refused(keyed.arguments(arguments), "takeover.repo_url is not a URL");
    // Under systemd both files are credentials.
    let launch = Launch::new().setting("server.read_only", true);
    let file = launch.folder().join("key");
    std::fs::write(&file, "key\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let arguments = ["takeover", "http://old:8080", "--api-key-file", file];
    refused(launch.clone().arguments(arguments), "server.read_only");
    // A server that is not there yet is no reason not to start.
    let launch = launch.without_environment("PICTRS__SERVER__READ_ONLY");
    let server = launch.arguments(["takeover", "http://127.0.0.1:9", "--api-key-file", file]);
    let server = server.start();
    server
        .get("/image/original/a.png")
        .refused(503, "predecessor-unavailable");
}
