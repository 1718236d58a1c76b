//! Uploads and variants that are answered before they are made.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::{Client, claim_path, process_path};
use crate::support::{File, Launch, Server, database, disk, eventually, pictures, pixels, work};

/// One piece of work at a time, which a test can hold on to.
fn single() -> Launch {
    Launch::new()
        .setting("media.concurrency", 1)
        .setting("media.queue_length", 0)
        .setting("media.process_timeout", 600)
}

fn small() -> Vec<u8> {
    pictures::png(&pictures::photo(48, 32))
}

#[test]
fn an_upload_is_acknowledged_with_an_id_and_claimed_once() {
    let server = Server::start();
    let bytes = small();
    let answer = server.background_form("", &[File::new(&bytes)]);
    let json = answer.json();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(2));
    let id = answer.upload_ids().remove(0);
    assert_eq!(id.len(), 36);

    let answer = server.claim(&id);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let uploaded = answer.claimed();
    let json = answer.json();
    assert_eq!(json["files"], json["uploads"]);
    assert_eq!(json["files"][0]["alias"], *uploaded.alias);
    assert_eq!(uploaded.details["width"], 48);
    assert_eq!(uploaded.details["content_type"], "image/png");
    pixels::assert_equal(
        &pixels::decode(&server.original(&uploaded.alias)),
        &pixels::decode(&bytes),
    );
    server.claim_once(&id).refused(400, "already-claimed");
    assert_eq!(disk::objects(&server.files()).len(), 1);
    disk::assert_nothing_unfinished(&server);
    // The token is the right one.
    let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
    server.delete(&path).status(204);
    disk::assert_nothing_stored(&server);
}

#[test]
fn each_file_has_an_id_and_an_outcome_of_its_own() {
    let server = Server::with([("server.max_file_count", "3")]);
    let (first, third) = (small(), pictures::png(&pictures::photo(30, 20)));
    let damaged = &first[..first.len() / 2];
    let files = [File::new(&first), File::new(damaged), File::new(&third)];
    let ids = server.background_form("", &files).upload_ids();
    assert_eq!(ids.len(), 3);
    assert_eq!(server.claim(&ids[2]).claimed().details["width"], 30);
    server.claim(&ids[1]).refused(422, "media-damaged");
    assert_eq!(server.claim(&ids[0]).claimed().details["width"], 48);
    assert_eq!(database::unclaimed(&server.data()), Vec::<String>::new());
}

#[test]
fn the_query_counts_for_the_work_that_is_done_later() {
    let server = Server::start();
    let claim = |query| {
        let ids = server.background_form(query, &[File::new(&small())]);
        server.claim(&ids.upload_ids()[0])
    };
    assert_eq!(claim("?resize=12").claimed().details["width"], 12);
    let message = claim("?max_width=20").refused(422, "validate-width");
    assert!(
        message.contains("20") && message.contains("48"),
        "{message}"
    );
    claim("?allow_image=false").refused(422, "media-disallowed");
}

#[test]
fn an_upload_that_fails_says_why_and_is_gone_with_its_claim() {
    let server = Server::start();
    for (bytes, code) in [
        (&b"hello, world"[..], "discover-error"),
        (&small()[..200], "media-damaged"),
    ] {
        let id = server.background(bytes);
        let now = server.upload_form("", &[File::new(bytes)]).json();
        let answer = server.claim(&id);
        assert_eq!(
            answer.refused(422, code),
            now["msg"].as_str().expect("text")
        );
        server.claim_once(&id).refused(400, "already-claimed");
    }
    disk::assert_nothing_stored(&server);
    assert_eq!(database::jobs(&server.data()), Vec::<String>::new());
}

#[test]
fn work_that_needs_more_memory_than_there_is_fails_as_in_the_foreground() {
    let server = Server::with([("media.memory", "1")]);
    let id = server.background(&pictures::webp(&pictures::photo(1500, 1000)));
    server.claim(&id).refused(422, "validate-memory");
    disk::assert_nothing_stored(&server);
}

#[test]
fn what_can_be_refused_at_once_is_and_leaves_nothing() {
    let server = Server::with([("server.max_file_count", "2"), ("media.max_file_size", "1")]);
    let bytes = small();
    let file = || File::new(&bytes);
    let large = vec![1; 1024 * 1024 + 1];
    let nameless = File {
        filename: None,
        ..file()
    };
    let stray = File {
        field: "image",
        ..file()
    };
    let refused = |query: &str, files: &[File], status, code: &str| {
        server.background_form(query, files).refused(status, code);
    };
    refused("", &[], 400, "validate-no-files");
    refused("", &[File::new(b"")], 400, "validate-file-empty");
    refused("", &[file(), File::new(b"")], 400, "validate-file-empty");
    refused("", &[file(), file(), file()], 400, "file-upload-error");
    refused("", &[file(), stray], 400, "file-upload-error");
    refused("", &[file(), nameless], 400, "file-upload-error");
    refused("", &[file(), File::new(&large)], 413, "validate-file-size");
    refused("?max_file_size=0", &[file()], 413, "validate-file-size");
    refused("?allow_video=1", &[file()], 400, "invalid-query");
    refused("?colour=red", &[file()], 400, "invalid-process-path");
    let answer = server.send("POST", "/image/backgrounded", &[], Some(b"{}"));
    answer.refused(400, "file-upload-error");
    disk::assert_nothing_stored(&server);
    assert_eq!(database::jobs(&server.data()), Vec::<String>::new());
    assert_eq!(database::unclaimed(&server.data()), Vec::<String>::new());
}

#[test]
fn an_id_that_nobody_gave_out_is_refused_at_once() {
    let server = Server::start();
    let started = Instant::now();
    let unknown = "8481e6d3-2fee-4963-b2d9-6866316c77fb";
    server.claim_once(unknown).refused(400, "already-claimed");
    for path in [
        "/image/backgrounded/claim",
        "/image/backgrounded/claim?id=8481e6d3-2fee-4963-b2d9-6866316c77fb",
        "/image/backgrounded/claim?upload_id=",
        "/image/backgrounded/claim?upload_id=mine",
    ] {
        server.get(path).refused(400, "invalid-query");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_head_claims_nothing() {
    let server = Server::start();
    let id = server.background(&small());
    let answer = server.head(&claim_path(&id)).status(405);
    assert_eq!(answer.header("allow"), Some("GET"));
    server.claim(&id).claimed();
}

#[test]
fn a_claim_waits_ten_seconds_and_hears_at_once_when_the_work_is_done() {
    let server = single().start();
    let held = work::hold_processor(&server);
    let id = server.background(&small());
    let started = Instant::now();
    let answer = server.claim_once(&id).status(204);
    let waited = started.elapsed().as_secs_f32();
    assert!((9.5..15.0).contains(&waited), "{waited}");
    assert!(answer.body.is_empty());
    std::thread::scope(|scope| {
        let claim = scope.spawn(|| (server.claim_once(&id), Instant::now()));
        // The work begins when the processor is free, and is done in a moment.
        drop(held);
        eventually("the work is done", || {
            database::jobs(&server.data()).is_empty().then_some(())
        });
        let done = Instant::now();
        let (answer, answered) = claim.join().expect("answered");
        answer.claimed();
        let late = answered.saturating_duration_since(done);
        assert!(late < Duration::from_secs(2), "{late:?}");
    });
}

#[test]
fn of_many_clients_that_wait_for_one_upload_exactly_one_gets_it() {
    let server = single().start();
    for round in 0..4 {
        // Waiting for the work at first, then for an outcome that is there already.
        let held = (round % 2 == 0).then(|| work::hold_processor(&server));
        let id = server.background(&small());
        std::thread::scope(|scope| {
            let claims: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Client::new(server.address).claim(&id)))
                .collect();
            drop(held);
            let answers: Vec<_> = claims
                .into_iter()
                .map(|claim| claim.join().expect("answered"))
                .collect();
            let won = answers.iter().filter(|answer| answer.status == 200);
            assert_eq!(won.count(), 1);
            for answer in answers.iter().filter(|answer| answer.status != 200) {
                answer.refused(400, "already-claimed");
            }
        });
    }
}

#[test]
fn a_claim_whose_client_has_gone_is_not_lost_and_an_answered_one_is_not_repeated() {
    let server = Server::start();
    let (mut answered, mut unanswered) = (0, 0);
    // Microseconds until the longest patience ends; a busy machine needs more for the same upload.
    let mut longest = 25_000;
    for round in 0_u64..120 {
        let bytes = pictures::png(&pictures::noise(40, 40, round));
        let id = server.background(&bytes);
        let mut stream = server.connect();
        let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", claim_path(&id));
        stream.write_all(request.as_bytes()).expect("sent");
        // The moment of going is what is tried out; whoever closes its side has gone.
        std::thread::sleep(Duration::from_micros(round * 7919 % longest));
        stream.shutdown(Shutdown::Write).expect("closed");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("closed well");
        let again = server.claim(&id);
        if answer.is_empty() {
            unanswered += 1;
            again.claimed();
        } else {
            answered += 1;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
            let json: Value = serde_json::from_str(body).expect("whole");
            server.original(json["files"][0]["file"].as_str().expect("an alias"));
            again.refused(400, "already-claimed");
        }
        if round % 10 == 9 && answered * 4 < unanswered {
            longest = (longest * 2).min(1_600_000);
        }
    }
    // Else nothing was tried out.
    assert!(answered > 5 && unanswered > 5, "{answered} {unanswered}");
    assert_eq!(database::unclaimed(&server.data()), Vec::<String>::new());
}

#[test]
fn an_outcome_and_unfinished_work_survive_a_restart() {
    let server = single().start();
    let done = server.background(&small());
    eventually("the first is done", || {
        database::jobs(&server.data()).is_empty().then_some(())
    });
    let held = work::hold_processor(&server);
    let pending = server.background(&pictures::png(&pictures::photo(20, 10)));
    eventually("a worker has begun", || {
        let held = "SELECT key FROM jobs WHERE lease IS NOT NULL";
        (database::texts(&server.data(), held).len() == 1).then_some(())
    });
    let launch = server.kill();
    drop(held);
    let server = launch.start();
    assert_eq!(server.claim(&pending).claimed().details["width"], 20);
    assert_eq!(server.claim(&done).claimed().details["width"], 48);
    for id in [&done, &pending] {
        server.claim_once(id).refused(400, "already-claimed");
    }
}

#[test]
fn a_server_that_stops_sends_waiting_claims_away_and_gives_unfinished_work_back() {
    let server = single()
        .setting("server.shutdown_timeout", 1)
        .setting("tracing.logging.targets", "debug")
        .start();
    let held = work::hold_processor(&server);
    let id = server.background(&small());
    let claim = std::thread::spawn({
        let (client, id) = (Client::new(server.address), id.clone());
        move || client.claim_once(&id).status
    });
    // It has looked once, so it waits when the signal comes.
    server.wait_for_output("SELECT finished_at FROM uploads");
    let asked = Instant::now();
    let launch = server.stop();
    assert_eq!(claim.join().expect("answered"), 204);
    assert!(asked.elapsed() < Duration::from_secs(9));
    drop(held);
    let attempts = database::texts(
        &launch.folder().join("data"),
        "SELECT 'attempts ' || attempts || ' ' || coalesce(lease, 'free') FROM jobs",
    );
    // A stop is not the job's fault.
    assert_eq!(attempts, ["attempts 0 free"]);
    launch.start().claim(&id).claimed();
}

#[test]
fn work_that_was_begun_too_often_is_given_up() {
    let server = single().start();
    let held = work::hold_processor(&server);
    let id = server.background(&small());
    let launch = server.kill();
    drop(held);
    // As if it had killed the server each time.
    let data = launch.folder().join("data");
    database::change(&data, "UPDATE jobs SET attempts = 5");
    let server = launch.start();
    let message = server.claim(&id).refused(422, "unknown-error");
    assert_eq!(message, "The server failed");
    eventually("its file goes", || {
        disk::unfinished(&server.files()).is_empty().then_some(())
    });
    assert_eq!(database::jobs(&server.data()), Vec::<String>::new());
}

#[test]
fn what_fails_for_a_while_is_done_when_the_fault_has_gone() {
    let server = single().start();
    let held = work::hold_processor(&server);
    let bytes = small();
    let id = server.background(&bytes);
    // A disk that cannot read, as far as one process can be made to believe it.
    let file = server.files().join(format!(".incoming/{id}.waiting"));
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir(&file).expect("made");
    drop(held);
    eventually("it has failed once", || {
        let failed = "SELECT key FROM jobs WHERE attempts > 0 AND lease IS NULL";
        (database::texts(&server.data(), failed).len() == 1).then_some(())
    });
    std::fs::remove_dir(&file).expect("removed");
    std::fs::write(&file, &bytes).expect("written");
    server.claim(&id).claimed();
    assert!(server.output().contains("to be tried again"));
}

#[test]
fn a_full_queue_is_503_with_a_time_to_come_back_and_keeps_nothing() {
    let server = single()
        .setting("media.background_length", 2)
        .setting("server.max_file_count", 2)
        .start();
    let alias = server.upload(&small()).alias;
    let held = work::hold_processor(&server);
    let bytes = pictures::png(&pictures::photo(9, 9));
    let first = server.background(&bytes);
    let waiting = disk::unfinished(&server.files());
    let refused = |answer: &crate::support::Answer| {
        let message = answer.refused(503, "too-busy");
        assert!(message.contains('2'), "{message}");
        let seconds = answer.header("retry-after").expect("a time");
        assert!(seconds.parse::<u32>().is_ok_and(|n| (1..=60).contains(&n)));
    };
    // Both or none.
    let two = [File::new(&bytes), File::new(&bytes)];
    refused(&server.background_form("", &two));
    assert_eq!(disk::unfinished(&server.files()), waiting);
    let later = format!("/image/process_backgrounded.webp?src={alias}&thumbnail=5");
    server.get(&later).status(202);
    refused(&server.background_form("", &[File::new(&bytes)]));
    refused(&server.get(&later.replace("thumbnail=5", "thumbnail=6")));
    // What is queued already needs no room.
    server.get(&later).status(202);
    assert_eq!(disk::unfinished(&server.files()), waiting);
    drop(held);
    server.claim(&first).claimed();
    eventually("there is room again", || {
        let answer = server.background_form("", &[File::new(&bytes)]);
        (answer.status == 202).then_some(())
    });
}

#[test]
fn requests_go_on_although_the_background_is_full_of_work() {
    let server = single()
        .setting("media.queue_length", 4)
        .setting("server.max_file_count", 40)
        .start();
    let pictures: Vec<_> = (0..40)
        .map(|seed| pictures::png(&pictures::noise(700, 700, seed)))
        .collect();
    let files: Vec<_> = pictures.iter().map(|bytes| File::new(bytes)).collect();
    let ids = server.background_form("?blur=3", &files).upload_ids();
    assert_eq!(ids.len(), 40);
    let uploaded = server.upload(&small());
    server.process("webp", &uploaded.alias, "thumbnail=20");
    // Each of the two waited for one job at most, not for all.
    let left = database::jobs(&server.data()).len();
    assert!(left > 20, "{left}");
    server.get("/healthz").ok();
}

#[test]
fn what_nobody_claims_is_dropped_after_a_while() {
    let server = Server::with([("media.retention.claims", "1s")]);
    let bytes = small();
    let kept = server.upload(&bytes);
    let ids = [
        // The same bytes have another owner; these have not; this is a failure.
        server.background(&bytes),
        server.background(&pictures::png(&pictures::photo(9, 9))),
        server.background(b"hello, world"),
    ];
    eventually("all are dropped", || {
        (database::jobs(&server.data()).is_empty()
            && database::unclaimed(&server.data()).is_empty()
            && disk::objects(&server.files()).len() == 1)
            .then_some(())
    });
    for id in ids {
        server.claim_once(&id).refused(400, "already-claimed");
    }
    server.original(&kept.alias);
    assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
}

#[test]
fn an_upload_that_is_removed_before_it_is_claimed_says_so() {
    let server = Server::with([("server.api_key", "key")]);
    let bytes = small();
    let known = server.upload(&bytes);
    let id = server.background(&bytes);
    eventually("it is taken in", || {
        database::jobs(&server.data()).is_empty().then_some(())
    });
    let path = format!("/internal/purge?alias={}", known.alias);
    let purged = server.send("POST", &path, &[("X-Api-Token", "key")], None);
    let purged = purged.ok().json();
    assert_eq!(purged["aliases"].as_array().map(Vec::len), Some(2));
    server.claim(&id).refused(422, "alias-not-found");
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_variant_is_made_later_and_once() {
    let server = single().start();
    let alias = server.upload(&small()).alias;
    let held = work::hold_processor(&server);
    let later = format!("/image/process_backgrounded.webp?src={alias}&thumbnail=16&crop=1x1");
    for _ in 0..3 {
        let answer = server.get(&later).status(202);
        assert_eq!(answer.json(), serde_json::json!({ "msg": "ok" }));
    }
    // Another alias of the same content is the same work.
    assert_eq!(database::jobs(&server.data()).len(), 1);
    drop(held);
    let now = process_path("webp", &alias, "thumbnail=16&crop=1x1");
    eventually("it is made", || {
        (server.head(&now).status == 200).then_some(())
    });
    eventually("the job is done", || {
        database::jobs(&server.data()).is_empty().then_some(())
    });
    // Made already: nothing is queued, and what is served is that one.
    let objects = disk::objects(&server.files());
    server.get(&later).status(202);
    assert_eq!(database::jobs(&server.data()), Vec::<String>::new());
    let picture = pixels::decode(&server.get(&now).ok().body);
    assert_eq!((picture.width(), picture.height()), (11, 11));
    assert_eq!(disk::objects(&server.files()), objects);
}

#[test]
fn a_variant_that_cannot_be_asked_for_is_refused() {
    let server = Server::start();
    let alias = server.upload(&small()).alias;
    let later = |extension: &str, query: &str| {
        server.get(&format!("/image/process_backgrounded.{extension}?{query}"))
    };
    later("webp", "src=absent.png&thumbnail=5").refused(404, "alias-not-found");
    later("webp", "proxy=http://example.com/a.png").refused(404, "proxy-not-found");
    later("webp", "thumbnail=5").refused(400, "invalid-query");
    later("mp4", &format!("src={alias}")).refused(400, "invalid-file-extension");
    later("webp", &format!("src={alias}&thumbnail=-1")).refused(400, "invalid-process-path");
    assert_eq!(database::jobs(&server.data()), Vec::<String>::new());
}

#[test]
fn a_variant_of_media_that_is_gone_meanwhile_is_dropped() {
    let server = single().start();
    let uploaded = server.upload(&small());
    let held = work::hold_processor(&server);
    // Two jobs, as the one that has begun waits for the processor already.
    for size in [5, 6] {
        let later = format!(
            "/image/process_backgrounded.webp?src={}&thumbnail={size}",
            uploaded.alias
        );
        server.get(&later).status(202);
    }
    let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
    server.delete(&path).status(204);
    let objects = disk::objects(&server.files());
    drop(held);
    eventually("the jobs are dropped", || {
        database::jobs(&server.data()).is_empty().then_some(())
    });
    assert_eq!(disk::objects(&server.files()), objects);
}

#[test]
fn ids_stand_in_no_log() {
    let server = Server::with([
        ("tracing.logging.log_requests", "true"),
        ("tracing.logging.targets", "debug"),
    ]);
    let taken = server.background(&small());
    let token = server.claim(&taken).claimed().token;
    let failed = server.background(b"hello, world");
    server.claim(&failed).refused(422, "discover-error");
    server.wait_for_output("/image/backgrounded/claim");
    let output = server.output();
    assert!(output.contains("discover-error"), "{output}");
    for secret in [&taken, &token, &failed] {
        assert!(!output.contains(secret.as_str()), "{secret} in the log");
    }
}
