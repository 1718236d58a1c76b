//! The best format for a client, and an answer in time.

use crate::support::client::{Answer, process_path};
use crate::support::{Launch, Server, disk, eventually, pictures, pixels, work};

const CHROMIUM: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
/// Shows what everybody could show in 1995.
const OLD: &str = "*/*";

/// A server that makes nobody wait for a WebP.
fn hasty() -> Launch {
    Launch::new()
        .setting("media.auto.slow", "webp")
        .setting("media.auto.budget", 0)
        .setting("media.auto.formats", "webp,jpeg,png,gif")
        .setting("media.auto.fallback_max_age", "7s")
}

fn auto(server: &Server, alias: &str, operations: &str, accept: &str) -> Answer {
    let path = process_path("auto", alias, operations);
    let answer = server.get_with(&path, &[("Accept", accept)]).ok();
    assert_eq!(answer.header("vary"), Some("Accept"), "{accept}");
    answer
}

fn type_of(answer: &Answer) -> &str {
    answer.header("content-type").expect("has a type")
}

/// Large enough that nobody takes it for an icon.
fn photo() -> image::DynamicImage {
    pictures::photo(240, 160)
}

#[test]
fn each_client_gets_the_best_that_it_can_show() {
    let server = Server::with([("media.auto.formats", "webp")]);
    let photo = server.upload(&pictures::jpeg(&photo())).alias;
    let logo = server
        .upload(&pictures::png(&pictures::fading(200, 160)))
        .alias;
    let icon = server
        .upload(&pictures::png(&pictures::quarters(32, 32)))
        .alias;
    let film = pictures::gif(&pictures::film(40, 30, 4));
    let film = server.upload(&film).alias;
    for (alias, accept, expected) in [
        (&photo, CHROMIUM, "image/webp"),
        (&photo, OLD, "image/jpeg"),
        (&photo, "image/png;q=0.9, image/webp;q=0.1", "image/png"),
        (&photo, "text/html", "image/jpeg"),
        (&logo, CHROMIUM, "image/webp"),
        (&logo, OLD, "image/png"),
        (&logo, "image/jpeg, image/png;q=0.1", "image/png"),
        (&icon, CHROMIUM, "image/png"),
        (&icon, OLD, "image/png"),
        (&film, CHROMIUM, "image/webp"),
        (&film, OLD, "image/gif"),
    ] {
        let answer = auto(&server, alias, "thumbnail=100", accept);
        assert_eq!(type_of(&answer), expected, "{alias} {accept}");
    }
    let moving = auto(&server, &film, "", CHROMIUM);
    let named = server.get(&process_path("webp", &film, "")).ok();
    assert_eq!(moving.body, named.body);
    let path = format!("/image/details{}", &process_path("auto", &film, "")[6..]);
    let details = server.get_with(&path, &[("Accept", CHROMIUM)]).ok();
    assert_eq!(details.header("vary"), Some("Accept"));
    let details = details.json();
    assert_eq!(details["frames"], 4);
    assert_eq!(details["content_type"], "image/webp");
    // Transparency has survived.
    let logo = auto(&server, &logo, "", OLD).body;
    assert!(pixels::decode(&logo).color().has_alpha());
}

#[test]
fn variants_are_those_of_the_named_format() {
    let server = Server::start();
    let alias = server.upload(&pictures::jpeg(&photo())).alias;
    let named = server
        .get(&process_path("webp", &alias, "thumbnail=50"))
        .ok();
    let stored = disk::objects(&server.files()).len();
    let chosen = auto(&server, &alias, "thumbnail=50", "image/webp");
    assert_eq!(chosen.header("etag"), named.header("etag"));
    assert_eq!(
        chosen.header("cache-control"),
        named.header("cache-control")
    );
    assert_eq!(named.header("vary"), None);
    assert_eq!(disk::objects(&server.files()).len(), stored);
    // Each representation has a tag of its own, and none of a client's is taken for another's.
    let other = auto(&server, &alias, "thumbnail=50", OLD);
    assert_ne!(other.header("etag"), chosen.header("etag"));
    let path = process_path("auto", &alias, "thumbnail=50");
    let tag = chosen.header("etag").expect("has a tag");
    let known = |accept| server.get_with(&path, &[("Accept", accept), ("If-None-Match", tag)]);
    let unchanged = known("image/webp").status(304);
    assert_eq!(unchanged.header("vary"), Some("Accept"));
    known(OLD).ok();
}

#[test]
fn head_never_makes_a_variant() {
    let server = Server::start();
    let alias = server.upload(&pictures::jpeg(&photo())).alias;
    let path = process_path("auto", &alias, "thumbnail=50");
    let head = || server.send("HEAD", &path, &[("Accept", "image/webp")], None);
    head().status(404);
    auto(&server, &alias, "thumbnail=50", OLD);
    head().status(404);
    auto(&server, &alias, "thumbnail=50", "image/webp");
    let answer = head().ok();
    assert_eq!(type_of(&answer), "image/webp");
    assert_eq!(answer.header("vary"), Some("Accept"));
}

#[test]
fn nobody_waits_for_what_is_slow_and_the_next_one_gets_it() {
    let server = hasty().start();
    let alias = server.upload(&pictures::jpeg(&photo())).alias;
    let first = auto(&server, &alias, "thumbnail=90", CHROMIUM);
    assert_eq!(type_of(&first), "image/jpeg");
    assert_eq!(first.header("cache-control"), Some("public, max-age=7"));
    let webp = eventually("the WebP", || {
        let answer = auto(&server, &alias, "thumbnail=90", CHROMIUM);
        (type_of(&answer) == "image/webp").then_some(answer)
    });
    let named = server
        .get(&process_path("webp", &alias, "thumbnail=90"))
        .ok();
    assert_eq!(named.header("etag"), webp.header("etag"));
    assert_eq!(
        webp.header("cache-control"),
        named.header("cache-control"),
        "the right answer is kept as long as any other"
    );
    // The original and both variants.
    assert_eq!(disk::objects(&server.files()).len(), 3);
}

#[test]
fn head_tells_of_the_fallback_as_long_as_there_is_nothing_better() {
    // No job has room, so the best is never made.
    let server = hasty().setting("media.background_length", 0).start();
    let alias = server.upload(&pictures::jpeg(&photo())).alias;
    for _ in 0..3 {
        let answer = auto(&server, &alias, "", CHROMIUM);
        assert_eq!(type_of(&answer), "image/jpeg");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=7"));
    }
    let path = process_path("auto", &alias, "");
    let answer = server
        .send("HEAD", &path, &[("Accept", CHROMIUM)], None)
        .ok();
    assert_eq!(type_of(&answer), "image/jpeg");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=7"));
    // Whoever can show nothing else waits.
    assert_eq!(
        type_of(&auto(&server, &alias, "", "image/webp")),
        "image/webp"
    );
    assert_eq!(type_of(&auto(&server, &alias, "", CHROMIUM)), "image/webp");
}

#[test]
fn work_goes_on_although_its_client_has_another_answer() {
    let server = hasty()
        .setting("media.auto.budget", 1)
        .setting("media.background_length", 0)
        .setting("media.concurrency", 2)
        .start();
    let alias = server
        .upload(&pictures::jpeg(&pictures::photo(1600, 1200)))
        .alias;
    // Whichever of the two is ready first: both are right.
    let first = std::thread::scope(|scope| {
        let ask = || auto(&server, &alias, "blur=2", CHROMIUM);
        let asked: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
        let mut answers = asked.into_iter().map(|asked| asked.join().expect("asked"));
        answers.next().expect("six")
    });
    assert!(["image/jpeg", "image/webp"].contains(&type_of(&first)));
    let head = process_path("webp", &alias, "blur=2");
    eventually("the WebP, for which nobody asks any more", || {
        (server.head(&head).status == 200).then_some(())
    });
    let stored = disk::objects(&server.files()).len();
    assert!(stored <= 3, "{stored} files: something was made twice");
}

#[test]
fn the_best_can_be_ordered_ahead() {
    let server = Server::start();
    let alias = server.upload(&pictures::jpeg(&photo())).alias;
    let path = format!("/image/process_backgrounded.auto?src={alias}&thumbnail=40");
    server
        .get_with(&path, &[("Accept", "image/webp")])
        .status(202);
    let head = process_path("webp", &alias, "thumbnail=40");
    eventually("the WebP", || {
        (server.head(&head).status == 200).then_some(())
    });
}

#[test]
fn a_wrong_operation_or_alias_is_told_as_for_any_format() {
    let server = Server::start();
    let alias = server.upload(&pictures::jpeg(&photo())).alias;
    server
        .get(&process_path("auto", &alias, "crop=99x1"))
        .refused(400, "invalid-process-path");
    let path = process_path("auto", "none.png", "");
    server.get(&path).status(404);
    let answer = server.get("/image/limits").ok().json();
    let extensions = answer["process"]["extensions"].as_array().expect("a list");
    assert!(extensions.contains(&"auto".into()));
}

#[test]
fn looking_into_a_file_waits_its_turn_once() {
    let server = Server::with([
        ("media.concurrency", "1"),
        ("media.queue_length", "0"),
        ("media.process_timeout", "600"),
    ]);
    let logo = server
        .upload(&pictures::png(&pictures::fading(200, 160)))
        .alias;
    server.get(&process_path("png", &logo, "thumbnail=50")).ok();
    let path = process_path("auto", &logo, "thumbnail=50");
    let ask = || server.get_with(&path, &[("Accept", OLD)]);
    let held = work::hold_processor(&server);
    ask().refused(503, "too-busy");
    drop(held);
    eventually("the processor is free again", || {
        (ask().status == 200).then_some(())
    });
    let _held = work::hold_processor(&server);
    assert_eq!(type_of(&ask().ok()), "image/png");
}

#[test]
fn one_frame_of_an_animation_gets_the_format_of_a_still() {
    let server = Server::start();
    let film = pictures::gif(&pictures::film(40, 30, 4));
    let film = server.upload(&film).alias;
    for frame in ["frame=1", "frame=2"] {
        let answer = auto(&server, &film, frame, "image/jpeg, image/gif;q=0.9");
        assert_eq!(type_of(&answer), "image/jpeg", "{frame}");
    }
    let moving = auto(&server, &film, "", "image/jpeg, image/gif;q=0.9");
    assert_eq!(type_of(&moving), "image/gif");
}
