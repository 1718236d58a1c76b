//! Variants go when nobody uses them or when they take too much room; nothing else does.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use crate::support::client::process_path;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{Launch, Server, database, disk, eventually, pictures};

/// How many files of originals and variants there are.
fn stored(server: &Server) -> usize {
    disk::objects(&server.files()).len()
}

fn variants(server: &Server) -> BTreeSet<String> {
    let keys = database::texts(&server.data(), "SELECT variant FROM variants");
    keys.into_iter().collect()
}

#[test]
fn a_variant_that_nobody_uses_is_dropped_and_made_again_when_it_is_asked_for() {
    let server = Server::with([("media.retention.variants", "1s")]);
    let alias = server
        .upload(&pictures::png(&pictures::photo(90, 60)))
        .alias;
    let original = server.original(&alias);
    let path = process_path("webp", &alias, "thumbnail=30");
    let made = server.get(&path).ok().body;
    eventually("it is dropped", || (stored(&server) == 1).then_some(()));
    eventually("its row, too", || {
        variants(&server).is_empty().then_some(())
    });
    server.head(&path).status(404);
    let details = format!("/image/details/process.webp?src={alias}&thumbnail=30");
    server.get(&details).refused(404, "alias-not-found");
    assert_eq!(server.original(&alias), original);
    assert_eq!(server.get(&path).ok().body, made);
}

#[test]
fn a_variant_in_use_stays_although_it_is_served_from_memory() {
    let server = Server::with([("media.retention.variants", "6s")]);
    let alias = server
        .upload(&pictures::png(&pictures::photo(90, 60)))
        .alias;
    for size in [30, 40] {
        server.process("webp", &alias, &format!("thumbnail={size}"));
    }
    let object = || {
        let query = "SELECT object FROM variants WHERE variant = 'thumbnail/30/webp'";
        database::texts(&server.data(), query)
    };
    let before = object();
    assert_eq!(before.len(), 1);
    eventually("the unused one is dropped", || {
        server.process("webp", &alias, "thumbnail=30");
        (variants(&server).len() == 1).then_some(())
    });
    assert_eq!(object(), before, "not made anew");
}

#[test]
fn uses_are_written_down_when_the_server_stops() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(90, 60)))
        .alias;
    server.process("webp", &alias, "thumbnail=30");
    let launch = server.stop();
    let data = launch.folder().join("data");
    database::change(&data, "UPDATE variants SET accessed_at = 5");
    let server = launch.setting("media.retention.variants", "200y").start();
    server.process("webp", &alias, "thumbnail=30");
    let _launch = server.stop();
    let times = database::texts(&data, "SELECT CAST(accessed_at AS TEXT) FROM variants");
    assert_ne!(times, ["5"]);
}

#[test]
fn whoever_is_reading_a_variant_gets_all_of_it() {
    let server = Server::with([("media.retention.variants", "1s")]);
    let alias = server
        .upload(&pictures::png(&pictures::noise(1500, 1500, 1)))
        .alias;
    let path = process_path("png", &alias, "blur=0.5");
    let whole = server.get(&path).ok().body.len();
    assert!(whole > 5_000_000, "{whole}");
    let mut stream = server.connect();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = vec![0; 1000];
    stream.read_exact(&mut answer).expect("it begins");
    eventually("it is dropped", || (stored(&server) == 1).then_some(()));
    stream.read_to_end(&mut answer).expect("it goes on");
    let head = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    assert_eq!(answer.len() - head - 4, whole);
}

/// A server with four variants of about 350 KB each. The first is the one least recently made,
/// the second least recently used.
fn with_four_variants() -> (Launch, String) {
    let server = Server::with([("server.api_key", "key")]);
    let alias = server
        .upload(&pictures::png(&pictures::noise(350, 350, 1)))
        .alias;
    for size in [346, 347, 348, 349] {
        server.process("png", &alias, &format!("resize={size}"));
    }
    let launch = server.stop();
    let data = launch.folder().join("data");
    let ago = "UPDATE variants SET accessed_at = accessed_at - 3600000 WHERE variant = \
               'resize/347/png'";
    database::change(&data, ago);
    (launch, alias)
}

#[test]
fn over_their_budget_the_variants_go_that_were_not_used_for_longest() {
    let (launch, alias) = with_four_variants();
    let server = launch.setting("media.retention.variants_size", 1).start();
    eventually("two are dropped", || (stored(&server) == 3).then_some(()));
    let kept = ["resize/348/png", "resize/349/png"].map(str::to_owned);
    assert_eq!(variants(&server), BTreeSet::from(kept));
    // Later ones push out earlier ones, before the next sweep would come by itself.
    for size in [345, 344] {
        server.process("png", &alias, &format!("resize={size}"));
    }
    eventually("these are the last ones", || {
        let kept = ["resize/345/png", "resize/344/png"].map(str::to_owned);
        (variants(&server) == BTreeSet::from(kept)).then_some(())
    });
    let usage = server.get_with("/internal/usage", &[("X-Api-Token", "key")]);
    let usage = usage.ok().json();
    let bytes = usage["variants"]["bytes"].as_u64().expect("a number");
    assert!(bytes <= 1024 * 1024);
    assert_eq!(usage["variants"]["budget"], 1024 * 1024);
    eventually("the files went as well", || {
        (stored(&server) == 3).then_some(())
    });
    server.original(&alias);
}

#[test]
fn a_budget_counts_what_small_variants_take_on_the_disk() {
    let server = Server::with([
        ("server.api_key", "key"),
        ("media.variants_per_original", "0"),
    ]);
    let alias = server
        .upload(&pictures::png(&pictures::plain(500, 2)))
        .alias;
    for size in 1..=400 {
        // Cheap: a few pixels and less than 200 bytes each.
        server.process("png", &alias, &format!("resize={size}"));
    }
    let usage = |server: &Server| {
        let answer = server.get_with("/internal/usage", &[("X-Api-Token", "key")]);
        let variants = answer.ok().json()["variants"].clone();
        let number = |name: &str| variants[name].as_u64().expect("a number");
        (number("count"), number("bytes"), number("allocated"))
    };
    let files: u64 = disk::objects(&server.files()).values().sum();
    let (count, bytes, allocated) = usage(&server);
    assert_eq!(count, 400);
    assert!(bytes < files && bytes < 400 * 200, "{bytes}");
    assert_eq!(allocated, 400 * (4096 + 512));
    // Many share a folder.
    let folders = disk::folders(&server.files()).len();
    assert!(folders < 270, "{folders}");
    let server = server
        .stop()
        .setting("media.retention.variants_size", 1)
        .start();
    eventually("the budget is kept", || {
        (usage(&server).2 <= 1 << 20).then_some(())
    });
    let kept = usage(&server).0;
    assert!(kept >= 200, "{kept}");
    eventually("the files went as well", || {
        (stored(&server) as u64 == kept + 1).then_some(())
    });
    let blocks: u64 = disk::objects(&server.files())
        .into_keys()
        .map(|name| {
            server
                .files()
                .join(name)
                .metadata()
                .expect("there")
                .blocks()
                * 512
        })
        .sum();
    assert!(blocks <= (1 << 20) + 4096, "{blocks}");
}

#[test]
fn proxied_media_that_nobody_uses_go_and_uploads_of_the_same_bytes_stay() {
    let server = Server::start();
    let shared = pictures::png(&pictures::photo(90, 60));
    let [proxied, uploaded] = [server.upload(&shared), server.upload(&shared)];
    let alone = server.upload(&pictures::png(&pictures::photo(50, 60)));
    server.process("webp", &alone.alias, "thumbnail=30");
    let launch = server.stop();
    // As if the first and the third had been fetched, long ago.
    let fetched = "INSERT INTO proxies SELECT 'http://example.com/' || alias, alias, 1, 1, NULL, \
                   NULL, 1 FROM aliases WHERE alias <> \
                   (SELECT alias FROM aliases ORDER BY created_at LIMIT 1 OFFSET 1)";
    database::change(&launch.folder().join("data"), fetched);
    let server = launch.start();
    eventually("the one that nobody shares is gone", || {
        (stored(&server) == 1).then_some(())
    });
    for gone in [&proxied.alias, &alone.alias] {
        let path = format!("/image/original/{gone}");
        server.get(&path).refused(404, "alias-not-found");
    }
    server.original(&uploaded.alias);
}

#[test]
fn over_their_budget_the_proxied_media_go_that_were_not_used_for_longest() {
    let server = Server::start();
    let upload = |seed| server.upload(&pictures::png(&pictures::noise(500, 500, seed)));
    let [older, newer, mine] = [upload(1), upload(2), upload(3)];
    let launch = server.stop();
    let fetched = "INSERT INTO proxies SELECT 'http://example.com/' || alias, alias, 1, \
                   created_at, NULL, NULL, 1 FROM aliases WHERE alias <> \
                   (SELECT alias FROM aliases ORDER BY created_at DESC LIMIT 1)";
    let alone = "INSERT INTO proxied \
                 SELECT a.hash FROM proxies p JOIN aliases a ON a.alias = p.alias";
    let sums = "INSERT INTO usage_deltas (class, count, bytes, allocated) \
                SELECT 'proxied', COUNT(*), SUM(size), SUM((size + 4095) / 4096 * 4096 + 512) \
                FROM hashes WHERE hash IN (SELECT hash FROM proxied)";
    for statement in [fetched, alone, sums] {
        database::change(&launch.folder().join("data"), statement);
    }
    let server = launch.setting("media.retention.proxy_size", 1).start();
    eventually("one is dropped", || (stored(&server) == 2).then_some(()));
    let path = format!("/image/original/{}", older.alias);
    server.get(&path).refused(404, "alias-not-found");
    server.original(&newer.alias);
    server.original(&mine.alias);
}

#[test]
fn a_proxied_medium_that_is_one_too_many_pushes_an_earlier_one_out_at_once() {
    let upstream = Upstream::start(|request| {
        let seed = if request.path == "/1" { 1 } else { 2 };
        Reply::ok(&pictures::png(&pictures::noise(500, 500, seed)))
    });
    let server = Server::with([
        ("media.retention.proxy_size", "1"),
        ("client.allow_local_connections", "true"),
    ]);
    for path in ["/1", "/2"] {
        let url = upstream.url(path);
        server.get(&format!("/image/original?proxy={url}")).ok();
    }
    // Before the next sweep would come by itself.
    eventually("one is dropped", || (stored(&server) == 1).then_some(()));
}

#[test]
fn a_read_only_server_drops_nothing_and_notes_nothing() {
    let (launch, alias) = with_four_variants();
    let data = launch.folder().join("data");
    let rows = || {
        let query = "SELECT variant || ' ' || accessed_at FROM variants ORDER BY variant";
        database::texts(&data, query)
    };
    let before = rows();
    let server = launch
        .setting("server.read_only", true)
        .setting("media.retention.variants", "1s")
        .setting("media.retention.variants_size", 1)
        .start();
    server.process("png", &alias, "resize=346");
    // Longer than the time between sweeps, of which there are none.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(stored(&server), 5);
    let _launch = server.stop();
    assert_eq!(rows(), before);
}

#[test]
fn a_budget_of_nothing_is_refused() {
    for key in ["variants_size", "proxy_size"] {
        let launch = Launch::new().setting(&format!("media.retention.{key}"), 0);
        let output = launch.refused().output;
        assert!(output.contains(key), "{output}");
    }
}
