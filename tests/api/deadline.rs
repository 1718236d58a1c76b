//! Clients that say how long they will wait, and that ask where the time went.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::client::{content_type, multipart, process_path};
use crate::support::{Answer, File, Server, database, disk, eventually, pictures, work};

fn nanoseconds_from_now(offset: i128) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    (i128::try_from(now.as_nanos()).expect("small") + offset).to_string()
}

const SECOND: i128 = 1_000_000_000;

#[test]
fn a_deadline_that_has_passed_is_told_on_every_route() {
    let server = Server::with([("server.api_key", "key")]);
    let past = nanoseconds_from_now(-SECOND);
    for (method, path) in [
        ("GET", "/healthz"),
        ("GET", "/image/original/a.png"),
        ("POST", "/image"),
        ("GET", "/internal/aliases?alias=a"),
        ("GET", "/nothing"),
    ] {
        let answer = server.send(method, path, &[("X-Request-Deadline", &past)], None);
        answer.refused(408, "request-timeout");
        assert!(answer.header("x-request-id").is_some());
    }
}

#[test]
fn a_deadline_that_is_no_number_is_refused() {
    let server = Server::start();
    for text in ["2026-11-22T11:07:22Z", "soon", "1.5", ""] {
        server
            .get_with("/healthz", &[("X-Request-Deadline", text)])
            .refused(400, "parse-deadline");
    }
}

#[test]
fn a_deadline_in_the_future_changes_nothing() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(20, 20)))
        .alias;
    for deadline in [nanoseconds_from_now(60 * SECOND), "9".repeat(30)] {
        let path = format!("/image/original/{alias}");
        server
            .get_with(&path, &[("X-Request-Deadline", &deadline)])
            .ok();
    }
}

#[test]
fn work_ends_with_its_deadline_and_leaves_nothing() {
    let server = Server::with([
        ("media.concurrency", "1"),
        ("media.queue_length", "0"),
        ("media.process_timeout", "600"),
    ]);
    let alias = server
        .upload(&pictures::png(&pictures::plain(6000, 6000)))
        .alias;
    let before = disk::objects(&server.files());
    // A minute of work, if anybody let it go on.
    let long = process_path("png", &alias, &work::blurs(70));
    let deadline = nanoseconds_from_now(SECOND / 2);
    let answer = server.get_with(&long, &[("X-Request-Deadline", &deadline)]);
    answer.refused(408, "request-timeout");
    assert!(answer.header("x-request-id").is_some());
    server.wait_for_output("Deadline exceeded");
    eventually("the processor is free again", || {
        (!work::is_busy(&server, &alias)).then_some(())
    });
    let after = disk::objects(&server.files());
    assert!(before.keys().all(|name| after.contains_key(name)));
    server.head(&long).status(404);
}

/// Uploads files that are not done within so many nanoseconds.
fn too_late(server: &Server, query: &str, files: &[File], deadline: i128) {
    let kind = content_type();
    let deadline = nanoseconds_from_now(deadline);
    let headers = [("content-type", &*kind), ("X-Request-Deadline", &deadline)];
    let path = format!("/image?{query}");
    server
        .send("POST", &path, &headers, Some(&multipart(files)))
        .refused(408, "request-timeout");
}

fn aliases(server: &Server) -> usize {
    database::texts(&server.data(), "SELECT alias FROM aliases").len()
}

#[test]
fn of_several_files_none_stays_when_the_deadline_passes_between_them() {
    let server = Server::with([("server.max_file_count", "2")]);
    let quick = pictures::png(&pictures::photo(20, 20));
    let slow = pictures::png(&pictures::plain(6000, 6000));
    let files = [File::new(&quick), File::new(&slow)];
    too_late(&server, &work::blurs(70), &files, 3 * SECOND);
    eventually("nothing is left", || {
        (aliases(&server) == 0 && disk::objects(&server.files()).is_empty()).then_some(())
    });
}

#[test]
fn an_upload_that_is_done_after_its_deadline_is_taken_back() {
    let server = Server::start();
    let file = pictures::png(&pictures::photo(20, 20));
    // Its row has to wait for somebody else.
    let held = database::hold_writes(&server.data());
    too_late(&server, "", &[File::new(&file)], 2 * SECOND);
    assert_eq!(disk::objects(&server.files()).len(), 1);
    drop(held);
    eventually("nothing is left", || {
        // The folders of the file go a moment after it.
        (aliases(&server) == 0 && disk::folders(&server.files()).len() == 1).then_some(())
    });
    disk::assert_nothing_stored(&server);
}

fn stages(answer: &Answer) -> Vec<(String, f64)> {
    let header = answer.header("server-timing").expect("timings");
    header
        .split(", ")
        .map(|stage| {
            let (name, time) = stage.split_once(";dur=").expect("a duration");
            (name.to_owned(), time.parse().expect("milliseconds"))
        })
        .collect()
}

#[test]
fn a_client_that_asks_learns_where_the_time_went() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(300, 200)))
        .alias;
    let ask = [("X-Server-Timing", "1")];
    let path = process_path("webp", &alias, "thumbnail=50");
    let made = stages(&server.get_with(&path, &ask).ok());
    let names: Vec<_> = made.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["queue", "media", "store", "db", "total"]);
    let total = made.last().expect("the total").1;
    for (name, time) in &made {
        assert!((0.0..=total).contains(time), "{name}: {time} of {total}");
    }
    // Known by now: nothing had to be asked or made.
    let served = stages(&server.get_with(&path, &ask).ok());
    assert_eq!(served.len(), 1, "{served:?}");
    assert_eq!(served[0].0, "total");
    assert!(server.get(&path).ok().header("server-timing").is_none());
    let refused = [("X-Server-Timing", "please")];
    let answer = server.get_with(&path, &refused).ok();
    assert!(answer.header("server-timing").is_none());
    assert!(Duration::from_millis(total as u64) < Duration::from_secs(60));
}
