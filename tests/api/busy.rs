//! Full queues, big work, one conversion for many.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::{Client, process_path};
use crate::support::{File, Server, disk, eventually, pictures, work};

/// One piece of work at a time, and nobody waits.
fn single() -> (Server, String) {
    let server = Server::with([("media.concurrency", "1"), ("media.queue_length", "0")]);
    let alias = server
        .upload(&pictures::jpeg(&pictures::photo(1500, 1000)))
        .alias;
    (server, alias)
}

#[test]
fn many_requests_for_one_new_variant_are_one_conversion() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::jpeg(&pictures::photo(1200, 900)))
        .alias;
    let path = process_path("webp", &alias, "resize=400&blur=3");
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| Client::new(server.address).get(&path).ok()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("answered"))
            .collect()
    });
    for answer in &answers {
        assert_eq!(answer.body, answers[0].body);
        assert_eq!(answer.header("etag"), answers[0].header("etag"));
    }
    assert_eq!(disk::objects(&server.files()).len(), 2);
    assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
}

#[test]
fn a_full_queue_is_answered_at_once_with_a_time_to_come_back() {
    let (server, alias) = single();
    let running = work::occupy(&server, &alias);
    let started = Instant::now();
    let answer = server.get(&process_path("png", &alias, "thumbnail=999"));
    if !running.is_finished() {
        let message = answer.refused(503, "too-busy");
        assert!(message.contains("waiting"), "{message}");
        let seconds = answer.header("retry-after").expect("a time");
        assert!(seconds.parse::<u32>().is_ok_and(|n| (1..=60).contains(&n)));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    // What needs no processor is served all the same.
    server.original(&alias);
    server.get("/healthz").ok();
    running.join().expect("answered").ok();
    // And what was refused is done later.
    server.process("png", &alias, "thumbnail=999");
}

#[test]
fn uploads_meet_the_same_queue_and_leave_nothing() {
    let (server, alias) = single();
    let before = disk::objects(&server.files());
    let running = work::occupy(&server, &alias);
    let bytes = pictures::png(&pictures::photo(10, 10));
    let answer = server.upload_form("", &[File::new(&bytes)]);
    if !running.is_finished() {
        answer.refused(503, "too-busy");
        assert!(answer.header("retry-after").is_some());
        let names = disk::objects(&server.files());
        assert!(before.keys().all(|name| names.contains_key(name)));
        assert!(
            !names
                .keys()
                .any(|name| name.ends_with(".png") && !before.contains_key(name))
        );
    }
    running.join().expect("answered").ok();
}

#[test]
fn a_queue_lets_as_many_wait_as_the_settings_say() {
    let server = Server::with([("media.concurrency", "1"), ("media.queue_length", "64")]);
    let alias = server
        .upload(&pictures::jpeg(&pictures::photo(800, 600)))
        .alias;
    std::thread::scope(|scope| {
        for size in 1..=20 {
            let path = process_path("jpg", &alias, &format!("thumbnail={size}"));
            let address = server.address;
            scope.spawn(move || Client::new(address).get(&path).ok());
        }
    });
    assert_eq!(disk::objects(&server.files()).len(), 21);
}

/// What runs and what waits.
fn load(server: &Server) -> (u64, u64) {
    let health = server.get_with("/internal/health", &[("X-Api-Token", "key")]);
    let media = health.ok().json()["media"].clone();
    let number = |key: &str| media[key].as_u64().expect("a number");
    (number("running"), number("waiting"))
}

/// Asks for work that would take a minute, and gives up when it is dropped.
fn ask_for_much(server: &Server, alias: &str, blurs: usize) -> TcpStream {
    let mut stream = server.connect();
    let path = process_path("png", alias, &work::blurs(blurs));
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    stream
}

#[test]
fn who_waits_too_long_is_told_to_come_back() {
    let server = Server::with([
        ("media.concurrency", "1"),
        ("media.process_timeout", "600"),
        ("media.queue_timeout", "1"),
        ("server.api_key", "key"),
    ]);
    let alias = server
        .upload(&pictures::png(&pictures::plain(6000, 6000)))
        .alias;
    let much = ask_for_much(&server, &alias, 70);
    eventually("it runs", || (load(&server) == (1, 0)).then_some(()));
    let path = process_path("png", &alias, "thumbnail=30");
    let answer = server.get(&path);
    let message = answer.refused(503, "too-busy");
    assert!(message.contains("within 1 seconds"), "{message}");
    assert!(answer.header("retry-after").is_some());
    drop(much);
    eventually("the processor is free again", || {
        (server.get(&path).status == 200).then_some(())
    });
}

#[test]
fn work_that_waits_for_memory_keeps_no_processor_from_others() {
    let server = Server::with([
        ("media.concurrency", "2"),
        ("media.memory", "400"),
        ("media.process_timeout", "600"),
        ("media.queue_timeout", "600"),
        ("server.api_key", "key"),
    ]);
    let alias = server
        .upload(&pictures::png(&pictures::plain(6000, 6000)))
        .alias;
    let _first = ask_for_much(&server, &alias, 70);
    eventually("the first runs", || (load(&server) == (1, 0)).then_some(()));
    let _second = ask_for_much(&server, &alias, 69);
    eventually("the second waits", || {
        (load(&server) == (1, 1)).then_some(())
    });
    for size in 10..14 {
        server.upload(&pictures::png(&pictures::photo(size, size)));
    }
    assert_eq!(load(&server), (1, 1), "nothing has ended meanwhile");
}

#[test]
fn work_that_nobody_waits_for_any_more_is_given_up() {
    let server = Server::with([
        ("media.concurrency", "1"),
        ("media.queue_length", "0"),
        ("media.process_timeout", "600"),
    ]);
    let alias = server
        .upload(&pictures::png(&pictures::photo(60, 40)))
        .alias;
    drop(work::hold_processor(&server));
    let free = process_path("png", &alias, "thumbnail=77");
    eventually("the processor is free again", || {
        (server.get(&free).status == 200).then_some(())
    });
}

#[test]
fn a_failed_conversion_is_told_at_once_and_to_everybody() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::noise(200, 200, 16)))
        .alias;
    // Somebody else wrote over the stored file.
    for name in disk::objects(&server.files()).into_keys() {
        let path = server.files().join(name);
        let mut bytes = std::fs::read(&path).expect("there");
        let middle = bytes.len() / 2;
        bytes[100..middle].fill(0);
        std::fs::write(&path, bytes).expect("written");
    }
    let path = process_path("webp", &alias, "thumbnail=50");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let started = Instant::now();
                Client::new(server.address)
                    .get(&path)
                    .refused(500, "media-failed");
                assert!(started.elapsed() < Duration::from_secs(5));
            });
        }
    });
    assert_eq!(disk::objects(&server.files()).len(), 1);
    server.get("/healthz").ok();
}

/// One client asks for more than fits into the queue, and another one for a single picture. To the
/// server they come from the same proxy.
#[test]
fn a_client_with_many_requests_does_not_hold_up_another() {
    let server = Server::with([
        ("media.concurrency", "1"),
        ("media.queue_length", "8"),
        ("media.queue_timeout", "600"),
        ("server.api_key", "key"),
    ]);
    let large = server
        .upload(&pictures::png(&pictures::plain(1500, 1500)))
        .alias;
    let small = server
        .upload(&pictures::png(&pictures::photo(60, 40)))
        .alias;
    let done = AtomicUsize::new(0);
    let refused = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for count in 0..9 {
            let path = process_path("png", &large, &work::blurs(6 + count));
            let (address, done, refused) = (server.address, &done, &refused);
            scope.spawn(move || {
                let many = [("X-Forwarded-For", "198.51.100.7")];
                let answer = Client::new(address).get_with(&path, &many);
                match answer.status {
                    200 => done.fetch_add(1, Ordering::Relaxed),
                    _ => {
                        answer.refused(503, "too-busy");
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                };
            });
        }
        eventually("the queue is full", || {
            (load(&server) == (1, 8)).then_some(())
        });
        let before = done.load(Ordering::Relaxed);
        let path = process_path("png", &small, "thumbnail=20");
        let one = [("X-Forwarded-For", "203.0.113.5")];
        Client::new(server.address).get_with(&path, &one).ok();
        let after = done.load(Ordering::Relaxed);
        // What ran, one that is the oldest now and then, and one that is answered just now.
        assert!(after - before <= 3, "{before} {after}");
    });
    assert_eq!(refused.into_inner(), 1, "it had to give way");
    assert_eq!(done.into_inner(), 8);
}
