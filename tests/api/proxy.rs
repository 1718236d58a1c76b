//! Media of other servers, under their URL.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use crate::support::client::Client;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{Answer, Launch, Server, database, disk, eventually, pictures, pixels};

const KEY: &str = "the-key";

/// May fetch from this machine.
fn open() -> Launch {
    Launch::new()
        .setting("client.allow_local_connections", true)
        .setting("server.api_key", KEY)
}

fn small() -> Vec<u8> {
    pictures::png(&pictures::photo(48, 32))
}

/// Another picture.
fn other() -> Vec<u8> {
    pictures::png(&pictures::photo(30, 20))
}

/// As Lemmy 1.0 encodes it.
fn encoded(url: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    url.bytes().map(byte).collect()
}

fn original(url: &str) -> String {
    format!("/image/original?proxy={}", encoded(url))
}

fn details(url: &str) -> String {
    format!("/image/details/original?proxy={}", encoded(url))
}

fn process(url: &str, operations: &str) -> String {
    format!("/image/process.webp?proxy={}{operations}", encoded(url))
}

fn internal(server: &Server, method: &str, route: &str, url: &str) -> Answer {
    let path = format!("/internal/{route}?proxy={}", encoded(url));
    server.send(method, &path, &[("X-Api-Token", KEY)], None)
}

fn width(server: &Server, url: &str) -> u64 {
    let json = server.get(&details(url)).ok().json();
    json["width"].as_u64().expect("a number")
}

/// Something that an upstream answers, changed by a test as it goes.
struct Changing(Arc<Mutex<Reply>>);

impl Changing {
    fn upstream(reply: Reply) -> (Self, Upstream) {
        let current = Arc::new(Mutex::new(reply));
        let shared = current.clone();
        let upstream = Upstream::start(move |_| shared.lock().expect("whole").clone());
        (Self(current), upstream)
    }

    fn to(&self, reply: Reply) {
        *self.0.lock().expect("whole") = reply;
    }
}

#[test]
fn head_and_details_before_get_are_404_and_after_it_200_with_one_fetch() {
    let server = open().start();
    let bytes = small();
    let upstream = Upstream::serving(&bytes);
    let url = upstream.url("/a.png?b=1&c=%26");
    let not_yet = [
        ("HEAD", original(&url)),
        ("HEAD", process(&url, "&thumbnail=9")),
        ("HEAD", format!("/image/blurhash?proxy={}", encoded(&url))),
        ("GET", details(&url)),
        (
            "GET",
            format!("/image/details/process.webp?proxy={}", encoded(&url)),
        ),
        (
            "GET",
            format!("/image/process_backgrounded.webp?proxy={}", encoded(&url)),
        ),
    ];
    for (method, path) in &not_yet {
        let answer = server.send(method, path, &[], None).status(404);
        if *method == "GET" {
            answer.refused(404, "proxy-not-found");
        }
    }
    upstream.assert_untouched();

    let answer = server.get(&original(&url)).ok();
    assert_eq!(answer.header("content-type"), Some("image/png"));
    assert!(answer.header("etag").is_some() && answer.header("accept-ranges").is_some());
    pixels::assert_equal(&pixels::decode(&answer.body), &pixels::decode(&bytes));
    server.head(&original(&url)).ok();
    assert_eq!(width(&server, &url), 48);
    server.head(&process(&url, "&thumbnail=9")).status(404);
    server.get(&process(&url, "&thumbnail=9")).ok();
    server.head(&process(&url, "&thumbnail=9")).ok();
    let variant = process(&url, "&thumbnail=9").replace("/image/", "/image/details/");
    assert_eq!(server.get(&variant).ok().json()["width"], 9);
    let blurhash = format!("/image/blurhash?proxy={}", encoded(&url));
    let json = server.get(&blurhash).ok().json();
    assert_eq!(
        json["blurhash"],
        server.get(&details(&url)).json()["blurhash"]
    );
    let later = format!("/image/process_backgrounded.webp?proxy={}", encoded(&url));
    server.get(&later).status(202);
    let part = server.get_with(&original(&url), &[("Range", "bytes=1-3")]);
    assert_eq!(part.status(206).body, b"PNG");
    let etag = answer.header("etag").expect("there").to_owned();
    let same = server.get_with(&original(&url), &[("If-None-Match", &etag)]);
    same.status(304);
    assert_eq!(upstream.paths(), ["/a.png?b=1&c=%26"]);
    // Nor is it fetched again by the next run of the server.
    let server = server.kill().start();
    server.get(&original(&url)).ok();
    assert_eq!(upstream.asked().len(), 1);
}

#[test]
fn a_variant_and_a_blurhash_fetch_too() {
    let server = open().start();
    let upstream = Upstream::serving(&small());
    let variant = server.get(&process(&upstream.url("/1"), "&resize=12")).ok();
    assert_eq!(variant.header("content-type"), Some("image/webp"));
    let blurhash = format!("/image/blurhash?proxy={}", encoded(&upstream.url("/2")));
    assert!(server.get(&blurhash).ok().json()["blurhash"].is_string());
    // Mistakes are told before anything is fetched.
    let wrong = process(&upstream.url("/3"), "&resize=big");
    server.get(&wrong).refused(400, "invalid-process-path");
    server
        .get("/image/original?proxy=x.png")
        .refused(400, "invalid-query");
    assert_eq!(upstream.paths(), ["/1", "/2"]);
}

#[test]
fn extra_query_keys_are_ignored_or_given_back_to_the_url() {
    let server = open().start();
    let upstream = Upstream::serving(&small());
    let url = upstream.url("/i");
    // Encoded: what stands behind it is nobody's.
    server.get(&format!("{}&utm=1&foo", original(&url))).ok();
    server.get(&format!("{}&utm=2", process(&url, ""))).ok();
    assert_eq!(upstream.paths(), ["/i"]);
    // As Lemmy 0.19 sends it: not encoded, its own thumbnail at the end.
    let leaky = format!("{url}?w=1&q=a+b&src=%2Fx.png&crop=faces&flag");
    let answer = server.get(&format!("/image/process.png?proxy={leaky}&thumbnail=12"));
    assert_eq!(pixels::decode(&answer.ok().body).width(), 12);
    server.get(&format!("/image/original?proxy={leaky}")).ok();
    // And then asks for its details, encoded.
    server.get(&details(&leaky)).ok();
    let path = "/i?w=1&q=a+b&src=%2Fx.png&crop=faces&flag";
    assert_eq!(upstream.paths(), ["/i", path]);
    // Without a query of its own a URL leaks nothing.
    server.get(&format!("/image/original?proxy={url}&w=1")).ok();
    assert_eq!(upstream.asked().len(), 2);
}

#[test]
fn each_route_has_its_own_order_of_alias_and_proxy() {
    let server = open().start();
    let upstream = Upstream::serving(&small());
    let alias = server.upload(&other()).alias;
    let url = encoded(&upstream.url("/x"));
    let size = |path: &str| {
        let answer = server.get(path).ok();
        pixels::decode(&answer.body).width()
    };
    // The alias is not looked at where the URL wins, nor the URL where the alias does.
    assert_eq!(
        size(&format!("/image/process.png?src={alias}&proxy={url}")),
        30
    );
    assert_eq!(
        size(&format!("/image/process.png?proxy={url}&alias={alias}")),
        30
    );
    let both = format!("/image/process.png?alias=absent.png&src={alias}&proxy=nonsense");
    assert_eq!(size(&both), 30);
    upstream.assert_untouched();
    assert_eq!(
        size(&format!("/image/original?alias={alias}&proxy={url}")),
        48
    );
    let path = format!("/image/details/original?proxy={url}&alias=absent.png");
    assert_eq!(server.get(&path).ok().json()["width"], 48);
}

#[test]
fn many_requests_for_one_new_url_are_one_fetch() {
    let barrier = Arc::new(Barrier::new(2));
    let (bytes, at_the_gate) = (small(), barrier.clone());
    let upstream = Upstream::start(move |_| {
        at_the_gate.wait();
        Reply::ok(&bytes)
    });
    let server = open().start();
    let url = upstream.url("/x");
    std::thread::scope(|scope| {
        let requests: Vec<_> = (0..10)
            .map(|number| {
                let (address, url) = (server.address, &url);
                scope.spawn(move || {
                    let client = Client::new(address);
                    match number % 2 {
                        0 => client.get(&original(url)).status,
                        _ => client.get(&process(url, "&thumbnail=9")).status,
                    }
                })
            })
            .collect();
        // All of them have most probably come by then; those who have not find it there.
        std::thread::sleep(Duration::from_millis(300));
        barrier.wait();
        for request in requests {
            assert_eq!(request.join().expect("answered"), 200);
        }
    });
    assert_eq!(upstream.asked().len(), 1);
    assert_eq!(disk::objects(&server.files()).len(), 2);
}

#[test]
fn a_fetch_goes_on_although_its_client_has_gone() {
    let barrier = Arc::new(Barrier::new(2));
    let (bytes, at_the_gate) = (small(), barrier.clone());
    let upstream = Upstream::start(move |_| {
        at_the_gate.wait();
        Reply::ok(&bytes)
    });
    let server = open().start();
    let url = upstream.url("/x");
    let mut stream = server.connect();
    let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", original(&url));
    stream.write_all(request.as_bytes()).expect("sent");
    // Only once it is asked can its client have been heard.
    std::thread::sleep(Duration::from_millis(200));
    stream.shutdown(Shutdown::Both).expect("closed");
    std::thread::sleep(Duration::from_millis(200));
    barrier.wait();
    eventually("it was fetched", || {
        (server.get(&details(&url)).status == 200).then_some(())
    });
    server.get(&original(&url)).ok();
    assert_eq!(upstream.asked().len(), 1);
}

#[test]
fn internal_calls_take_a_url_and_what_they_remove_is_fetched_anew() {
    let server = open().start();
    let upstream = Upstream::serving(&small());
    let url = upstream.url("/x");
    for (method, route) in [
        ("POST", "purge"),
        ("POST", "delete"),
        ("GET", "aliases"),
        ("GET", "identifier"),
    ] {
        internal(&server, method, route, &url).refused(404, "proxy-not-found");
    }
    upstream.assert_untouched();

    server.get(&original(&url)).ok();
    let uploaded = server.upload(&small());
    let json = internal(&server, "GET", "aliases", &url).ok().json();
    let aliases = json["aliases"].as_array().expect("a list").clone();
    assert_eq!(aliases.len(), 2, "the same content has both");
    let json = internal(&server, "GET", "identifier", &url).ok().json();
    assert!(json["identifier"].is_string());
    let json = internal(&server, "POST", "purge", &url).ok().json();
    assert_eq!(json["aliases"], serde_json::json!(aliases));
    disk::assert_nothing_stored(&server);
    internal(&server, "POST", "purge", &url).refused(404, "proxy-not-found");
    server.get(&details(&url)).refused(404, "proxy-not-found");
    let gone = format!("/image/original/{}", uploaded.alias);
    server.get(&gone).refused(404, "alias-not-found");

    // The next GET fetches anew, whichever way it was removed.
    server.get(&original(&url)).ok();
    assert_eq!(upstream.asked().len(), 2);
    internal(&server, "POST", "delete", &url).ok();
    disk::assert_nothing_stored(&server);
    server.get(&process(&url, "&thumbnail=9")).ok();
    assert_eq!(upstream.asked().len(), 3);
    let json = internal(&server, "GET", "aliases", &url).ok().json();
    let alias = json["aliases"][0].as_str().expect("an alias");
    let path = format!("/internal/purge?alias={alias}");
    server
        .send("POST", &path, &[("X-Api-Token", KEY)], None)
        .ok();
    let rows = database::texts(&server.data(), "SELECT url FROM proxies");
    assert_eq!(rows, Vec::<String>::new());
    server.get(&original(&url)).ok();
    assert_eq!(upstream.asked().len(), 4);
}

#[test]
fn an_upstream_that_fails_is_left_alone_for_a_while_and_not_for_ever() {
    let (changing, upstream) = Changing::upstream(Reply::status("404 Not Found", "", b""));
    let server = open().start();
    let url = upstream.url("/x");
    for _ in 0..3 {
        let message = server.get(&original(&url)).refused(502, "upstream-error");
        assert!(message.contains("404"), "{message}");
        server
            .get(&process(&url, ""))
            .refused(502, "upstream-error");
    }
    assert_eq!(upstream.asked().len(), 1);
    // Others of the same server are not meant.
    server
        .get(&original(&upstream.url("/y")))
        .refused(502, "upstream-error");
    assert_eq!(upstream.asked().len(), 2);
    server.get(&details(&url)).refused(404, "proxy-not-found");
    disk::assert_nothing_stored(&server);
    // Remembered in memory only.
    changing.to(Reply::ok(&small()));
    let server = server.stop().start();
    server.get(&original(&url)).ok();
}

#[test]
fn what_is_no_picture_is_refused_and_not_asked_for_at_once_again() {
    let upstream = Upstream::start(|asked| match asked.path.as_str() {
        "/text" => Reply::ok(b"hello, world"),
        // Cut before its first pixel.
        _ => Reply::ok(&small()[..40]),
    });
    let server = open().start();
    for (path, code) in [("/text", "discover-error"), ("/cut", "media-damaged")] {
        let url = upstream.url(path);
        for _ in 0..3 {
            server.get(&original(&url)).refused(400, code);
        }
    }
    disk::assert_nothing_stored(&server);
    assert_eq!(upstream.asked().len(), 2);
}

/// One that is stale a second after each answer.
const STALE: &str = "Cache-Control: max-age=0\r\nETag: \"one\"\r\n\
                     Last-Modified: Tue, 15 Nov 1994 12:45:26 GMT\r\n";

/// Asks for it until the upstream was asked `times` in all; the copy is served all the time.
fn asked(server: &Server, upstream: &Upstream, url: &str, times: usize) {
    eventually("the upstream is asked", || {
        server.get(&original(url)).ok();
        (upstream.asked().len() >= times).then_some(())
    });
}

#[test]
fn a_stale_copy_is_kept_when_the_upstream_says_that_nothing_has_changed() {
    let (changing, upstream) = Changing::upstream(Reply::with(STALE, &small()));
    let server = open().start();
    let url = upstream.url("/x");
    server.get(&original(&url)).ok();
    let alias = || database::texts(&server.data(), "SELECT alias FROM proxies");
    let first = alias();
    let fresh = "Cache-Control: max-age=60\r\n";
    changing.to(Reply::status("304 Not Modified", fresh, b""));
    asked(&server, &upstream, &url, 2);
    let again = upstream.asked().pop().expect("asked");
    assert_eq!(again.header("if-none-match"), Some("\"one\""));
    let since = again.header("if-modified-since");
    assert_eq!(since, Some("Tue, 15 Nov 1994 12:45:26 GMT"));
    eventually("it is fresh again", || {
        let query = "SELECT url FROM proxies WHERE fresh_until - accessed_at > 50000 \
                     AND etag = '\"one\"' AND last_modified IS NOT NULL";
        (!database::texts(&server.data(), query).is_empty()).then_some(())
    });
    for _ in 0..5 {
        server.get(&original(&url)).ok();
    }
    assert_eq!(upstream.asked().len(), 2);
    assert_eq!(alias(), first);
}

#[test]
fn a_stale_copy_gives_way_to_a_newer_one() {
    let (changing, upstream) = Changing::upstream(Reply::with(STALE, &small()));
    let server = open().start();
    let url = upstream.url("/x");
    server.get(&process(&url, "&thumbnail=9")).ok();
    assert_eq!(width(&server, &url), 48);
    changing.to(Reply::ok(&other()));
    eventually("the newer one is served", || {
        server.get(&original(&url)).ok();
        server.get(&process(&url, "&thumbnail=9")).ok();
        (width(&server, &url) == 30).then_some(())
    });
    let json = internal(&server, "GET", "aliases", &url).ok().json();
    assert_eq!(json["aliases"].as_array().map(Vec::len), Some(1));
    // Nothing is left of the old one, nor of its variant.
    server.get(&process(&url, "&thumbnail=9")).ok();
    eventually("the old one is gone", || {
        (disk::objects(&server.files()).len() == 2).then_some(())
    });
    let rows = database::texts(&server.data(), "SELECT alias FROM aliases");
    assert_eq!(rows.len(), 1);
}

#[test]
fn an_old_copy_that_others_use_stays_theirs() {
    let (changing, upstream) = Changing::upstream(Reply::with(STALE, &small()));
    let server = open().start();
    let url = upstream.url("/x");
    let uploaded = server.upload(&small());
    server.get(&original(&url)).ok();
    changing.to(Reply::ok(&other()));
    eventually("the newer one is served", || {
        server.get(&original(&url)).ok();
        (width(&server, &url) == 30).then_some(())
    });
    server.original(&uploaded.alias);
}

#[test]
fn a_stale_copy_outlives_whatever_the_upstream_does() {
    for failure in [
        Reply::status("500 Oh No", "", b""),
        Reply::status("404 Not Found", "", b""),
        Reply::status("410 Gone", "", b""),
        Reply::ok(b"<html>moved</html>"),
        Reply::ok(&small()[..200]),
        Reply::Raw(Vec::new()),
    ] {
        let (changing, upstream) = Changing::upstream(Reply::with(STALE, &small()));
        let server = open().start();
        let url = upstream.url("/x");
        server.get(&original(&url)).ok();
        changing.to(failure);
        asked(&server, &upstream, &url, 2);
        server.wait_for_output("is served although it is stale");
        for _ in 0..5 {
            server.get(&original(&url)).ok();
        }
        // Once failed, it is left alone for a while.
        assert_eq!(upstream.asked().len(), 2);
        assert_eq!(width(&server, &url), 48);
        assert_eq!(disk::objects(&server.files()).len(), 1);
    }
}

#[test]
fn a_stale_copy_does_not_wait_for_its_upstream() {
    let (changing, upstream) = Changing::upstream(Reply::with(STALE, &small()));
    let server = open().start();
    let url = upstream.url("/x");
    server.get(&original(&url)).ok();
    changing.to(Reply::Stall(Vec::new()));
    asked(&server, &upstream, &url, 2);
    // Neither do those who come while it is being asked, and it is asked once.
    for _ in 0..5 {
        server.get(&original(&url)).ok();
    }
    assert_eq!(upstream.asked().len(), 2);
}

#[test]
fn what_is_purged_while_its_upstream_is_asked_does_not_come_back() {
    let barrier = Arc::new(Barrier::new(2));
    let (bytes, newer, at_the_gate) = (small(), other(), barrier.clone());
    let count = AtomicUsize::new(0);
    let upstream = Upstream::start(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            return Reply::with(STALE, &bytes);
        }
        at_the_gate.wait();
        at_the_gate.wait();
        Reply::ok(&newer)
    });
    let server = open().start();
    let url = upstream.url("/x");
    server.get(&original(&url)).ok();
    // Stale by then.
    std::thread::sleep(Duration::from_millis(1100));
    server.get(&original(&url)).ok();
    barrier.wait();
    internal(&server, "POST", "purge", &url).ok();
    barrier.wait();
    server.wait_for_output("was removed while its upstream was asked");
    server.get(&details(&url)).refused(404, "proxy-not-found");
    eventually("nothing is left", || {
        disk::objects(&server.files()).is_empty().then_some(())
    });
}

#[test]
fn a_copy_that_the_store_has_lost_is_fetched_again() {
    let upstream = Upstream::start(|asked| match asked.header("if-none-match") {
        None => Reply::with("ETag: \"one\"\r\n", &small()),
        Some(_) => Reply::status("304 Not Modified", "", b""),
    });
    let server = open().start();
    let url = upstream.url("/x");
    let lose = || {
        for object in disk::objects(&server.files()).keys() {
            std::fs::remove_file(server.files().join(object)).expect("removed");
        }
    };
    let bytes = server.get(&original(&url)).ok().body;
    lose();
    assert_eq!(server.get(&original(&url)).ok().body, bytes);
    assert_eq!(upstream.asked().len(), 2);
    lose();
    server.get(&process(&url, "&thumbnail=9")).ok();
    assert_eq!(upstream.asked().len(), 3);
    assert_eq!(disk::objects(&server.files()).len(), 2);
}

#[test]
fn a_copy_that_is_dropped_while_it_is_asked_for_is_fetched_again() {
    let upstream = Upstream::serving(&small());
    let server = open().start();
    let url = upstream.url("/x");
    let bytes = server.get(&original(&url)).ok().body;
    // Nobody has told the server's memory yet.
    for rows in [
        "DELETE FROM aliases",
        "DELETE FROM proxies",
        "DELETE FROM hashes",
    ] {
        database::change(&server.data(), rows);
    }
    for object in disk::objects(&server.files()).keys() {
        std::fs::remove_file(server.files().join(object)).expect("removed");
    }
    assert_eq!(server.get(&original(&url)).ok().body, bytes);
    assert_eq!(upstream.asked().len(), 2);
}

#[test]
fn a_server_that_changes_nothing_serves_what_it_has_and_fetches_nothing() {
    let upstream = Upstream::start(|_| Reply::with(STALE, &small()));
    let server = open().start();
    let url = upstream.url("/x");
    server.get(&original(&url)).ok();
    server.get(&process(&url, "&thumbnail=9")).ok();
    std::thread::sleep(Duration::from_millis(1100));
    let server = server.stop().setting("server.read_only", true).start();
    let before = disk::snapshot(&server.files());
    server.get(&original(&url)).ok();
    server.get(&process(&url, "&thumbnail=9")).ok();
    assert_eq!(width(&server, &url), 48);
    server
        .get(&process(&url, "&thumbnail=8"))
        .refused(400, "read-only");
    server
        .get(&original(&upstream.url("/y")))
        .refused(400, "read-only");
    internal(&server, "POST", "purge", &url).refused(400, "read-only");
    assert_eq!(upstream.asked().len(), 1);
    assert_eq!(disk::snapshot(&server.files()), before);
}

#[test]
fn when_it_was_last_asked_for_is_remembered_now_and_then() {
    // The pause between two writes is a tenth of this.
    let server = open().setting("media.retention.proxy", "10s").start();
    let upstream = Upstream::serving(&small());
    let url = upstream.url("/x");
    server.get(&original(&url)).ok();
    let query = "SELECT 'moved' FROM proxies WHERE accessed_at > created_at";
    let moved = || database::texts(&server.data(), query);
    assert_eq!(moved(), Vec::<String>::new());
    eventually("an access is written down", || {
        server.get(&original(&url)).ok();
        (moved().len() == 1).then_some(())
    });
}

#[test]
fn a_damaged_request_line_is_no_reason_to_fetch() {
    let server = Server::start();
    let mut stream = server.connect();
    stream
        .write_all(b"GET /image/original?proxy=http://127.0.0.1:1/a b HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}
