//! Files are decoded in processes that can do nothing else. A decoder that is hostile, as those of
//! builds with debug assertions can be, costs only its own request.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::support::client::{content_type, multipart, process_path};
use crate::support::{File, Launch, Server, disk, eventually, pictures, programs, server};

/// A file whose decoder does what the word says.
fn rogue(misdeed: &str) -> Vec<u8> {
    format!("pict-rs rogue decoder: {misdeed}\n").into_bytes()
}

fn photo() -> Vec<u8> {
    pictures::png(&pictures::photo(40, 30))
}

/// A server with sandboxes, one at a time, if the binary under test has hostile decoders.
fn launch(test: &str) -> Option<Launch> {
    let launch = Launch::new()
        .setting("media.isolation", "process")
        .setting("media.concurrency", 1)
        .setting("server.api_key", "key");
    if server::is_emulated() {
        programs::skip(
            "sandbox",
            test,
            "an emulator cannot start the program again",
        );
        return None;
    }
    let probe = launch.clone().start();
    let message = probe.upload_refused("", &rogue("open"), 400, "discover-error");
    if !message.contains("open: ") {
        let reason = "the binary was built without debug assertions";
        programs::skip("sandbox", test, reason);
        return None;
    }
    Some(launch)
}

/// The server goes on: it takes a file in, makes a variant, and has nothing left of others.
#[track_caller]
fn assert_unharmed(server: &Server) {
    let uploaded = server.upload(&photo());
    server.process("webp", &uploaded.alias, "thumbnail=16");
    let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
    server.delete(&path).status(204);
    disk::assert_nothing_stored(server);
    disk::assert_nothing_unfinished(server);
}

#[test]
fn a_hostile_decoder_costs_only_its_own_request() {
    let Some(launch) = launch("hostile decoders") else {
        return;
    };
    let server = launch.setting("media.process_timeout", 2).start();
    for (misdeed, status, code, said) in [
        ("abort", 500, "media-failed", "it aborted"),
        ("panic", 500, "media-failed", "on purpose"),
        ("overflow", 500, "media-failed", "it overflowed its stack"),
        ("allocate", 400, "validate-memory", "it needed more memory"),
        ("loop", 400, "process-timeout", ""),
        (
            "connect",
            500,
            "media-failed",
            "system call that is forbidden",
        ),
        ("fork", 500, "media-failed", "system call that is forbidden"),
        (
            "thread",
            500,
            "media-failed",
            "system call that is forbidden",
        ),
        (
            "signal",
            500,
            "media-failed",
            "system call that is forbidden",
        ),
        ("write", 400, "validate-memory", "it wrote more than it may"),
        ("quit", 500, "media-failed", "it broke off"),
        ("lie", 500, "media-failed", "it did not answer as it should"),
    ] {
        let before = server.output().len();
        server.upload_refused("", &rogue(misdeed), status, code);
        eventually(said, || {
            server.output()[before..].contains(said).then_some(())
        });
        assert_unharmed(&server);
    }
    for misdeed in ["open", "create"] {
        let message = server.upload_refused("", &rogue(misdeed), 400, "discover-error");
        assert!(message.contains("Operation not permitted"), "{message}");
        assert_unharmed(&server);
    }
    assert!(!Path::new("/tmp/pict-rs-rogue").exists());
}

#[test]
fn an_upload_that_failed_is_not_tried_again_at_once() {
    let Some(launch) = launch("hostile decoders once more") else {
        return;
    };
    let server = launch.start();
    let deaths = || server.output().matches("a sandbox has died").count();
    for _ in 0..3 {
        let file = rogue("abort");
        let answer = server.upload_form("", &[File::new(&file)]);
        answer.refused(500, "media-failed");
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
    eventually("its death is logged", || (deaths() > 0).then_some(()));
    assert_eq!(deaths(), 1);
    // In the background it is the same file.
    let id = server.background(&rogue("abort"));
    server.claim(&id).refused(422, "media-failed");
    assert_eq!(deaths(), 1);
    // Something else is wanted with it, or it is another file.
    server.upload_refused("max_width=9", &rogue("abort"), 500, "media-failed");
    server.upload_refused("", &rogue("quit"), 500, "media-failed");
    eventually("both are tried", || (deaths() == 3).then_some(()));
    assert_unharmed(&server);
}

#[test]
fn a_background_upload_that_kills_its_decoder_fails_at_once() {
    let Some(launch) = launch("hostile decoders in the background") else {
        return;
    };
    let server = launch.start();
    let ids = ["abort", "quit"].map(|misdeed| server.background(&rogue(misdeed)));
    let good = server.background(&photo());
    for id in &ids {
        server.claim(id).refused(422, "media-failed");
    }
    server.claim(&good).claimed();
    let deaths = || server.output().matches("a sandbox has died").count();
    eventually("both are logged", || (deaths() >= 2).then_some(()));
    assert_eq!(deaths(), 2, "each was begun once");
    disk::assert_nothing_unfinished(&server);
}

#[test]
fn a_sandbox_that_is_killed_in_the_middle_of_an_upload_costs_only_that() {
    let Some(launch) = launch("killed sandboxes") else {
        return;
    };
    let server = launch.setting("media.process_timeout", 600).start();
    let file = rogue("loop");
    let answer = std::thread::scope(|scope| {
        let uploading = scope.spawn(|| server.upload_form("", &[File::new(&file)]));
        let busy = busy(&server);
        kill_process(busy, Signal::KILL).expect("it runs");
        uploading.join().expect("answered")
    });
    answer.refused(500, "media-failed");
    server.wait_for_output("it was killed");
    assert_unharmed(&server);
}

#[test]
fn sandboxes_that_are_killed_without_work_cost_nothing() {
    let Some(launch) = launch("killed idle sandboxes") else {
        return;
    };
    let server = launch.start();
    let photo = photo();
    // One that has ended is replaced.
    let idle = server.children();
    idle.iter().for_each(|id| signal(*id, Signal::KILL));
    server.upload(&photo);
    // One that was sent a job and ends before it reads it, too.
    let idle = server.children();
    assert!(!idle.is_empty());
    idle.iter().for_each(|id| signal(*id, Signal::STOP));
    std::thread::scope(|scope| {
        let uploading = scope.spawn(|| server.upload(&photo));
        // The job is sent as soon as the file is there.
        std::thread::sleep(Duration::from_secs(1));
        assert!(!uploading.is_finished());
        idle.iter().for_each(|id| signal(*id, Signal::KILL));
        uploading.join().expect("uploaded");
    });
    assert!(!server.output().contains("a sandbox has died"));
}

fn signal(process: rustix::process::Pid, signal: Signal) {
    kill_process(process, signal).expect("it runs");
}

/// The sandbox that works, once it has used some processor time.
fn busy(server: &Server) -> rustix::process::Pid {
    let ticks = |id: rustix::process::Pid| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero())).ok()?;
        let rest = stat.rsplit(')').next()?;
        rest.split_whitespace().nth(11)?.parse::<u64>().ok()
    };
    eventually("a sandbox works", || {
        let mut all = server.children().into_iter();
        all.find(|id| ticks(*id).is_some_and(|ticks| ticks > 5))
    })
}

#[test]
fn a_client_that_goes_stops_the_decoder() {
    let Some(launch) = launch("clients that go") else {
        return;
    };
    let server = launch.setting("media.process_timeout", 600).start();
    let body = multipart(&[File::new(&rogue("loop"))]);
    let head = format!(
        "POST /image HTTP/1.1\r\nhost: x\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        content_type(),
        body.len()
    );
    let mut stream = server.connect();
    std::io::Write::write_all(&mut stream, &[head.as_bytes(), &body].concat()).expect("sent");
    let busy = busy(&server);
    drop(stream);
    eventually("the decoder is gone", || {
        (!server.children().contains(&busy)).then_some(())
    });
    assert_unharmed(&server);
}

#[test]
fn no_sandbox_outlives_its_server() {
    let Some(launch) = launch("sandboxes whose server is killed") else {
        return;
    };
    let server = launch.setting("media.process_timeout", 600).start();
    let file = rogue("loop");
    let sandbox = std::thread::scope(|scope| {
        scope.spawn(|| server.try_upload_form("", &[File::new(&file)]));
        let busy = busy(&server);
        server.signal(Signal::KILL);
        busy
    });
    let place = format!("/proc/{}/exe", sandbox.as_raw_nonzero());
    eventually("it has gone", || {
        // What is left of an ended process has no program.
        std::fs::read_link(&place).is_err().then_some(())
    });
}

#[test]
fn sandboxes_see_nothing_of_the_environment_and_end_without_work() {
    if server::is_emulated() {
        return programs::skip("sandbox", "idle sandboxes", "the program is emulated");
    }
    let launch = Launch::new().setting("media.isolation", "process");
    let server = launch.setting("server.api_key", "a-secret-key").start();
    server.upload(&photo());
    let sandboxes = server.children();
    assert!(!sandboxes.is_empty());
    for id in &sandboxes {
        let place = format!("/proc/{}", id.as_raw_nonzero());
        let read = |name: &str| std::fs::read(format!("{place}/{name}")).expect("readable");
        let environment = String::from_utf8_lossy(&read("environ")).into_owned();
        assert_eq!(environment, "MIMALLOC_ARENA_RESERVE=0\0");
        let status = String::from_utf8_lossy(&read("status")).into_owned();
        let has = |line: &str| status.lines().any(|found| found.replace('\t', " ") == line);
        assert!(
            has("NoNewPrivs: 1") && has("Seccomp: 2") && has("Threads: 1"),
            "{status}"
        );
        let open = std::fs::read_dir(format!("{place}/fd"))
            .expect("readable")
            .count();
        assert_eq!(open, 3, "a socket, results and last words");
    }
    let since = Instant::now();
    while !server.children().is_empty() {
        assert!(
            since.elapsed() < Duration::from_secs(90),
            "{:?}",
            server.children()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    // And start again when there is work.
    server.upload(&pictures::png(&pictures::photo(41, 30)));
    assert!(!server.children().is_empty());
}

#[test]
fn health_and_doctor_tell_where_files_are_decoded() {
    let mode = |setting: &str| {
        let launch = Launch::new().setting("media.isolation", setting);
        let server = launch.setting("server.api_key", "key").start();
        server.upload(&photo());
        let answer = server.get_with("/internal/health", &[("X-Api-Token", "key")]);
        let isolation = answer.ok().json()["media"]["isolation"].clone();
        (isolation, server.children().len())
    };
    let (isolation, children) = mode("thread");
    assert_eq!(isolation["mode"], "thread");
    assert_eq!(children, 0);
    if server::is_emulated() {
        return programs::skip("sandbox", "health", "the program is emulated");
    }
    let (isolation, children) = mode("auto");
    assert_eq!(isolation["mode"], "process");
    assert!(isolation["missing"].is_array(), "{isolation}");
    assert!(children > 0);
    let report = Launch::new()
        .arguments(["doctor", "--json"])
        .command()
        .output();
    let report: serde_json::Value =
        serde_json::from_slice(&report.expect("it runs").stdout).expect("JSON");
    let lines = report["isolation"].as_array().expect("a list").clone();
    assert!(lines.len() > 3, "{lines:?}");
    assert_eq!(lines[0]["ok"], true, "{lines:?}");
}

#[test]
fn a_variant_is_the_same_in_a_thread_and_in_a_sandbox() {
    let made = ["thread", "auto"].map(|isolation| {
        let server = Server::with([("media.isolation", isolation)]);
        let file = pictures::jpeg(&pictures::photo(300, 200));
        let uploaded = server.upload(&file);
        let variants = ["png", "jpg", "webp", "avif", "jxl"].map(|extension| {
            let path = process_path(extension, &uploaded.alias, "resize=64&blur=1");
            server.get(&path).ok().body
        });
        (
            server.original(&uploaded.alias),
            uploaded.details["blurhash"].clone(),
            variants,
        )
    });
    assert!(made[0] == made[1]);
}
