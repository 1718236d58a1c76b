//! `media.disk`: variants and media of other servers give way, then they are not taken in, and only then
//! are uploads refused. No upload is ever lost.

/// A long time of traffic on a small disk.
mod replay;

use serde_json::Value;

use crate::support::client::{content_type, multipart, process_path};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{Answer, File, Launch, Server, database, disk, eventually, pictures};

const KEY: [(&str, &str); 1] = [("X-Api-Token", "key")];
const MIB: u64 = 1 << 20;

/// A server with a budget of 16 MiB, of which files may take 15.2.
fn small() -> Launch {
    Launch::new()
        .setting("server.api_key", "key")
        .setting("media.disk", "16 MiB")
        .setting("client.allow_local_connections", true)
}

/// A picture that takes about three bytes a pixel.
fn noise(side: u32, seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(side, side, seed))
}

fn upload(server: &Server, side: u32, seed: u64) -> Answer {
    server.upload_form("", &[File::new(&noise(side, seed))])
}

/// Every path is another picture of about 750 KB.
fn others() -> Upstream {
    Upstream::start(|asked| {
        let seed = asked
            .path
            .bytes()
            .fold(7, |seed, byte| seed * 31 + u64::from(byte));
        Reply::ok(&noise(500, seed))
    })
}

fn proxied(server: &Server, upstream: &Upstream, number: u32) -> Answer {
    let url = upstream.url(&format!("/{number}.png"));
    server.get(&format!("/image/original?proxy={url}"))
}

fn usage(server: &Server) -> Value {
    server.get_with("/internal/usage", &KEY).ok().json()
}

fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("{name}: {of}"))
}

/// Waits until what is stored is within the budget.
fn settled(server: &Server) -> Value {
    eventually("the budget is kept", || {
        let disk = usage(server)["disk"].clone();
        (number(&disk, "used") <= number(&disk, "capacity")).then_some(disk)
    })
}

/// Expects that the budget is the reason.
#[track_caller]
fn no_budget(answer: &Answer) {
    answer.refused(503, "insufficient-storage");
    let detail = answer.json()["detail"].as_str().map(str::to_owned);
    let detail = detail.expect("a sentence");
    assert!(detail.contains("media.disk is 16 MiB"), "{detail}");
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn variants_and_proxied_media_give_way_to_uploads() {
    let (server, upstream) = (small().start(), others());
    let first = upload(&server, 500, 0).uploaded().remove(0);
    for size in 490..498 {
        server.process("png", &first.alias, &format!("resize={size}"));
    }
    for number in 0..8 {
        proxied(&server, &upstream, number).ok();
    }
    let mut kept = vec![(first.alias, 0)];
    for seed in 1..18 {
        let uploaded = upload(&server, 500, seed).uploaded().remove(0);
        kept.push((uploaded.alias, seed));
    }
    let disk = settled(&server);
    assert_eq!(number(&disk, "budget"), 16 * MIB);
    assert!(number(&disk, "capacity") <= 16 * MIB - 16 * MIB / 20);
    assert!(number(&disk, "uploads") > 12 * MIB, "{disk}");
    let usage = usage(&server);
    assert_eq!(
        usage["originals"]["count"].as_u64(),
        Some(18 + number(&usage["proxied"], "count"))
    );
    for (alias, seed) in kept {
        let served = image::load_from_memory(&server.original(&alias)).expect("a picture");
        assert_eq!(served.to_rgb8(), pictures::noise(500, 500, seed).to_rgb8());
    }
    eventually("what was dropped is no longer on the disk", || {
        let files: u64 = disk::objects(&server.files()).values().sum();
        (files <= 16 * MIB).then_some(())
    });
    // What was dropped can be had again.
    let again = server.get(&process_path("png", &kept_alias(&server), "resize=490"));
    again.ok();
}

/// Any alias that the server has.
fn kept_alias(server: &Server) -> String {
    let aliases = database::texts(&server.data(), "SELECT alias FROM aliases LIMIT 1");
    aliases.into_iter().next().expect("an alias")
}

#[test]
fn proxied_media_are_refused_before_uploads_and_both_say_why() {
    let (server, upstream) = (small().start(), others());
    let mut uploads = Vec::new();
    for seed in 0..20 {
        uploads.push(upload(&server, 500, seed).uploaded().remove(0));
    }
    for seed in 20..23 {
        uploads.push(upload(&server, 260, seed).uploaded().remove(0));
    }
    // Less than a fortieth is left.
    no_budget(&proxied(&server, &upstream, 1));
    upstream.assert_untouched();
    let disk = usage(&server)["disk"].clone();
    assert_eq!(
        (&disk["takes_proxied"], &disk["takes_uploads"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    uploads.push(upload(&server, 60, 23).uploaded().remove(0));
    no_budget(&upload(&server, 500, 24));
    let backgrounded = server.background_form("", &[File::new(&noise(500, 24))]);
    no_budget(&backgrounded);
    server.wait_for_output("no new proxied media are taken in");
    // A variant is served, whether or not there is room for it.
    server.process("webp", &uploads[0].alias, "resize=200");
    for uploaded in &uploads {
        server.original(&uploaded.alias);
    }
    for uploaded in &uploads[..2] {
        let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
        server.delete(&path).status(204);
    }
    proxied(&server, &upstream, 1).ok();
    upload(&server, 260, 24).uploaded();
}

#[test]
fn a_budget_that_is_used_up_refuses_uploads_before_their_bytes_and_serves_on() {
    let server = Server::with([("server.api_key", "key"), ("server.max_file_count", "1")]);
    let uploads: Vec<_> = (0..24)
        .map(|seed| server.upload(&noise(500, seed)))
        .collect();
    // More is stored already than the budget allows.
    let server = server.stop().setting("media.disk", "16 MiB").start();
    server.wait_for_output("nothing is taken in");
    no_budget(&upload(&server, 20, 99));
    // A search keeps nothing.
    let kind = content_type();
    let headers = [KEY[0], ("Content-Type", kind.as_str())];
    let sample = multipart(&[File::new(&noise(500, 3))]);
    let found = server.send("POST", "/internal/similar", &headers, Some(&sample));
    assert_eq!(
        found.ok().json()["similar"][0]["aliases"][0],
        *uploads[3].alias
    );
    assert_eq!(usage(&server)["disk"]["takes_uploads"], false);
    let variant = process_path("webp", &uploads[3].alias, "resize=100");
    let made = server.get(&variant).ok();
    assert_eq!(server.get(&variant).ok().body, made.body);
    for uploaded in &uploads {
        server.original(&uploaded.alias);
    }
    for uploaded in &uploads[..6] {
        let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
        server.delete(&path).status(204);
    }
    upload(&server, 60, 99).uploaded();
}

#[test]
fn without_a_budget_there_are_no_figures_and_a_tiny_one_is_refused() {
    let server = Server::with([("server.api_key", "key")]);
    assert_eq!(usage(&server)["disk"], Value::Null);
    for (text, part) in [
        ("40 GiBs", "'40 GiBs' is not a size such as 40 GiB"),
        ("40 kB", "at least 16 MiB"),
    ] {
        let output = Launch::new().setting("media.disk", text).refused().output;
        assert!(
            output.contains("media.disk") && output.contains(part),
            "{output}"
        );
    }
    let launch = Launch::new().arguments(["run", "--media-disk", "1.5 GiB"]);
    let server = launch.setting("server.api_key", "key").start();
    assert_eq!(usage(&server)["disk"]["budget"], 3 * 512 * MIB);
}

#[test]
fn growth_is_told_day_by_day_and_when_the_budget_is_full() {
    let server = small().start();
    let growth = |server: &Server| server.get_with("/internal/growth", &KEY).ok().json();
    server.upload(&noise(500, 1));
    let young = growth(&server);
    assert_eq!(young["days"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&young["bytes_per_day"], &young["full"]),
        (&Value::Null, &Value::Null)
    );
    // A start writes it down.
    let server = server.stop().start();
    eventually("today is written down", || {
        let rows = "SELECT class FROM growth WHERE bytes > 0";
        let rows = database::texts(&server.data(), rows);
        (!rows.is_empty()).then_some(())
    });
    let launch = server.stop();
    // Ten days that ended with what is stored now.
    let data = launch.folder().join("data");
    for ago in 1..=10 {
        let before = format!(
            "INSERT INTO growth (day, class, count, bytes, allocated) SELECT day - {ago}, class, count, \
             bytes - {ago} * bytes / 12, allocated - {ago} * allocated / 12 FROM growth \
             WHERE day = (SELECT MAX(day) FROM growth)"
        );
        database::change(&data, &before);
    }
    let server = launch.start();
    let told = growth(&server);
    let days = told["days"].as_array().expect("a list");
    assert_eq!(days.len(), 11);
    assert!(
        days[0]["day"].as_str().is_some_and(|day| day.len() == 10),
        "{told}"
    );
    let uploads = number(&days[10], "uploads");
    let pace = number(&told["bytes_per_day"], "uploads");
    assert!(pace.abs_diff(uploads / 12) < 10, "{told}");
    let full = &told["full"];
    assert_eq!(full["bound"], "budget");
    assert!(
        number(full, "days").abs_diff(number(full, "left") / pace) <= 1,
        "{told}"
    );
    server.send("HEAD", "/internal/growth", &KEY, None).ok();
    server
        .get("/internal/growth")
        .refused(401, "invalid-api-token");
}
