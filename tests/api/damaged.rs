//! Stored files that are not as they were stored.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::support::client::{Client, process_path};
use crate::support::server::address_after;
use crate::support::{Launch, Server, disk, eventually, pictures, pixels};

/// One picture of 4 KB and one of 700 KB: they take different ways to the socket.
const SIDES: [u32; 2] = [36, 480];

/// The only stored file that is none of `others`.
fn file(server: &Server, others: &[PathBuf]) -> PathBuf {
    let objects = disk::objects(&server.files()).into_keys();
    let mut paths = objects.map(|name| server.files().join(name));
    let found = paths.find(|path| !others.contains(path)).expect("a file");
    assert!(paths.all(|path| others.contains(&path)));
    found
}

/// Makes a file shorter or longer.
fn resize(file: &Path, change: impl FnOnce(u64) -> u64) {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(file)
        .expect("there");
    let size = file.metadata().expect("there").len();
    file.set_len(change(size)).expect("changed");
}

const CHANGES: [fn(u64) -> u64; 5] = [
    |_| 0,
    |size| size / 2,
    |size| size - 1,
    |size| size + 1,
    |size| size + 300_000,
];

#[test]
fn an_original_of_another_length_is_lost_until_it_is_uploaded_again() {
    for side in SIDES {
        let bytes = pictures::png(&pictures::noise(side, side, 9));
        for change in CHANGES {
            let server = Server::start();
            let alias = server.upload(&bytes).alias;
            let path = format!("/image/original/{alias}");
            let stored = server.original(&alias);
            resize(&file(&server, &[]), change);
            server.get(&path).refused(500, "lost-file");
            server
                .get_with(&path, &[("Range", "bytes=0-9")])
                .refused(500, "lost-file");
            assert_eq!(server.head(&path).status, 500);
            let variant = process_path("webp", &alias, "thumbnail=8");
            server.get(&variant).refused(500, "lost-file");
            eventually("it is logged", || {
                let output = server.output();
                output.contains("is damaged: it has").then_some(())
            });
            let again = server.upload(&bytes).alias;
            assert_eq!(server.original(&again), stored);
            server
                .get(&process_path("webp", &again, "thumbnail=8"))
                .ok();
        }
    }
}

#[test]
fn a_variant_of_another_length_is_made_again_and_leaves_nothing() {
    for (side, size) in [(60, "thumbnail=30"), (600, "thumbnail=480")] {
        let server = Server::start();
        let alias = server
            .upload(&pictures::png(&pictures::noise(side, side, 9)))
            .alias;
        let original = [file(&server, &[])];
        let made = server.process("png", &alias, size);
        for change in CHANGES {
            let variant = file(&server, &original);
            resize(&variant, change);
            let again = server.process("png", &alias, size);
            pixels::assert_equal(&pixels::decode(&again), &pixels::decode(&made));
            eventually("the damaged file goes", || {
                (!variant.exists() && disk::objects(&server.files()).len() == 2).then_some(())
            });
        }
    }
}

#[test]
fn an_answer_that_breaks_off_is_logged_and_counted() {
    let launch = Launch::new().setting("metrics.prometheus_address", "127.0.0.1:0");
    let server = launch.start();
    // More than any buffers between here and there take.
    let bytes = pictures::png(&pictures::noise(2800, 2800, 1));
    let alias = server.upload(&bytes).alias;
    let mut stream = server.connect();
    let request = format!("GET /image/original/{alias} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    stream.read_exact(&mut [0; 1000]).expect("it has begun");
    resize(&file(&server, &[]), |_| 1000);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < bytes.len() - 1000);
    server.wait_for_output("an answer breaks off");
    let output = server.output();
    let address = output
        .lines()
        .find_map(|line| address_after("metrics on http://", line))
        .expect("an address");
    let metrics = crate::support::client::Client::new(address);
    let text = String::from_utf8(metrics.get("/metrics").ok().body).expect("text");
    assert!(text.contains("pict_rs_bodies_broken_off 1"), "{text}");
}

/// Asks so often in a row that the bytes come from memory.
fn ask_often(server: &Server, path: &str) {
    for _ in 0..6 {
        server.get(path).ok();
    }
}

#[test]
fn what_is_served_from_memory_follows_its_file_and_its_removal() {
    let launch = Launch::new()
        .setting("server.api_key", "the-key")
        .setting("metrics.prometheus_address", "127.0.0.1:0");
    let server = launch.start();
    let metrics = eventually("the listener says where it is", || {
        let output = server.output();
        let mut lines = output.lines();
        lines.find_map(|line| address_after("metrics on http://", line))
    });
    let metrics = Client::new(metrics);
    let from_memory = || {
        let text = metrics.get("/metrics").ok();
        let text = String::from_utf8(text.body).expect("UTF-8");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix("pict_rs_read_cache_hits "));
        value.map_or(0, |value| value.parse::<u64>().expect("a number"))
    };
    let bytes = pictures::png(&pictures::noise(36, 36, 9));
    let uploaded = server.upload(&bytes);
    let path = format!("/image/original/{}", uploaded.alias);
    assert_eq!(from_memory(), 0);
    ask_often(&server, &path);
    assert!(from_memory() > 0);
    let whole = server.get(&path).ok();
    let part = server.get_with(&path, &[("Range", "bytes=10-19")]);
    assert_eq!((part.status, &*part.body), (206, &whole.body[10..20]));
    // Somebody removes the file while it is asked for.
    std::fs::remove_file(file(&server, &[])).expect("removed");
    let lost = eventually("the file is missed", || {
        let answer = server.get(&path);
        (answer.status != 200).then_some(answer)
    });
    lost.refused(500, "lost-file");

    let again = server.upload(&bytes);
    let path = format!("/image/original/{}", again.alias);
    ask_often(&server, &path);
    let purge = format!("/internal/purge?alias={}", again.alias);
    server
        .send("POST", &purge, &[("X-Api-Token", "the-key")], None)
        .ok();
    server.get(&path).refused(404, "alias-not-found");
}
