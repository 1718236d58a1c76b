//! What goes wrong where pointers, and once also sizes and times, have 32 bits; and where there
//! is little memory. What holds on the small target must hold on the large ones.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use super::{Target, on_each_target};
use crate::support::client::Client;
use crate::support::server::Program;
use crate::support::{Launch, database, disk, pictures, pixels, programs};

on_each_target!(
    ranges_reach_behind_four_gigabytes,
    media_from_after_2038_are_served,
    the_clock_goes_on_after_2038,
);

/// More than 32 bits can count, and than a signed offset of 32 bits twice over.
const HUGE: u64 = 5 << 30;

fn ranges_reach_behind_four_gigabytes(target: &Target) {
    let Some(launch) = target.launch("large files") else {
        return;
    };
    let server = launch.start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(16, 16)));
    let launch = server.stop();
    grow(&launch.folder().join("data"));
    let server = launch.start();
    let path = format!("/image/original/{}", uploaded.alias);
    let head = server.head(&path).ok();
    assert_eq!(head.header("content-length"), Some("5368709120"));
    for at in [(1 << 31) - 4, (1 << 32) - 4, HUGE - 8] {
        let range = format!("bytes={at}-{}", at + 7);
        let answer = server.get_with(&path, &[("Range", &range)]).status(206);
        assert_eq!(answer.body, at.to_be_bytes(), "{range}");
        let expected = format!("bytes {at}-{}/{HUGE}", at + 7);
        assert_eq!(answer.header("content-range"), Some(&*expected));
    }
    let last = server.get_with(&path, &[("Range", "bytes=-8")]).status(206);
    assert_eq!(last.body, (HUGE - 8).to_be_bytes());
    server
        .get_with(&path, &[("Range", "bytes=5368709120-")])
        .refused(416, "range-not-satisfiable");
}

/// Makes the only object as large as [`HUGE`], with holes, and lets the database know. At the
/// places that the test looks at stands the place's own number.
fn grow(data: &Path) {
    let files = data.join("files");
    let objects = disk::objects(&files);
    let name = objects.keys().next().expect("one object");
    let file = OpenOptions::new()
        .write(true)
        .open(files.join(name))
        .expect("opened");
    file.set_len(HUGE).expect("a file system with holes");
    for at in [(1 << 31) - 4, (1 << 32) - 4, HUGE - 8] {
        file.write_all_at(&u64::to_be_bytes(at), at)
            .expect("written");
    }
    // Digest, then the size in six bytes, then the format.
    for statement in [
        "UPDATE hashes SET hash = \
         CAST(substr(hash, 1, 32) || x'000140000000' || substr(hash, 39) AS BLOB), size = 5368709120",
        "UPDATE aliases SET hash = \
         CAST(substr(hash, 1, 32) || x'000140000000' || substr(hash, 39) AS BLOB)",
    ] {
        database::change(data, statement);
    }
}

/// In seconds of Unix time 2 214 216 000: more than a signed number of 32 bits.
const IN_2040: &str = "Thu, 01 Mar 2040 12:00:00 GMT";
const IN_2020: &str = "Sun, 01 Mar 2020 12:00:00 GMT";

fn media_from_after_2038_are_served(target: &Target) {
    let Some(launch) = target.launch("dates of media") else {
        return;
    };
    let server = launch.start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(16, 16)));
    let launch = server.stop();
    let data = launch.folder().join("data");
    database::change(&data, "UPDATE hashes SET created_at = 2214216000000");
    let server = launch.start();
    let path = format!("/image/original/{}", uploaded.alias);
    // It is told to have been modified now, as no answer may claim a time to come.
    for (since, status) in [(IN_2020, 200), (IN_2040, 304)] {
        server
            .get_with(&path, &[("If-Modified-Since", since)])
            .status(status);
    }
    let details = server.get(&format!("/image/details/original/{}", uploaded.alias));
    let created = details.ok().json()["created_at"].clone();
    assert_eq!(created, "2040-03-01T12:00:00Z");
}

fn the_clock_goes_on_after_2038(target: &Target) {
    const TEST: &str = "a clock in 2040";
    let Some(binary) = target.binary(TEST) else {
        return;
    };
    // A static binary takes no library in, so the clock of a dynamic emulator is changed.
    let emulator = format!("qemu-{}", target.qemu);
    let (Some(emulator), Some(library)) = (programs::find(&emulator), programs::faketime()) else {
        let reason = "qemu-user or libfaketime is not installed";
        return programs::skip("cross", &format!("{TEST} on {}", target.name), reason);
    };
    let program = Program::new(binary, vec![emulator]);
    let server = Launch::of(program)
        .environment("LD_PRELOAD", library.display())
        .environment("FAKETIME", "@2040-03-01 12:00:00")
        .environment("FAKETIME_DONT_FAKE_MONOTONIC", 1)
        .environment("TZ", "UTC")
        .start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(16, 16)));
    let created = uploaded.details["created_at"].as_str().expect("a time");
    assert!(created.starts_with("2040-03-01T12:"), "{created}");
    let answer = server
        .get(&format!("/image/original/{}", uploaded.alias))
        .ok();
    for name in ["date", "last-modified"] {
        let time = answer.header(name).expect("a time");
        assert!(time.starts_with("Thu, 01 Mar 2040 12:"), "{name}: {time}");
    }
    server.wait_for_output("2040-03-01T12:");
    server.stop();
}

/// As on a board with 1 GB: no more can be had for stacks, database, pictures, and here also for
/// what the emulator translates. The defaults must do with it, on the largest pictures that they
/// allow, of a kind that must be decoded whole.
#[test]
fn one_gigabyte_of_memory_is_enough_for_a_small_board() {
    const TEST: &str = "a small board";
    let target = Target::named("armv7l");
    let (Some(binary), Some(emulator)) = (target.binary(TEST), target.emulator(TEST)) else {
        return;
    };
    let mut runner = vec![
        programs::find("prlimit").expect("part of util-linux"),
        // RLIMIT_DATA: everything private that can be written to.
        "--data=1073741824".into(),
    ];
    runner.extend(emulator);
    let server = Launch::of(Program::new(binary, runner))
        .setting("media.process_timeout", 600)
        .setting("media.queue_timeout", 600)
        .start();
    // The emulator needs seconds for each, and more of them beside other tests.
    let client = Client::with_timeout(server.address(), Duration::from_secs(600));
    let large = pictures::webp(&pictures::plain(8000, 5000));
    let uploaded = client.upload(&large);
    std::thread::scope(|scope| {
        for size in [100, 200, 300, 400] {
            let (client, alias) = (&client, &uploaded.alias);
            scope.spawn(move || {
                let made = client.process("jpg", alias, &format!("resize={size}"));
                assert_eq!(pixels::decode(&made).width(), size);
            });
        }
    });
    assert!(!server.output().contains("ERROR"), "{}", server.output());
    server.stop();
}

/// Left alone, the allocator of 64-bit binaries keeps what a burst of pictures needed. What decoders in
/// processes of their own need goes with these, so this is about threads.
#[test]
fn a_burst_of_pictures_leaves_little_memory_in_use() {
    const TEST: &str = "memory after a burst";
    let Some(program) = Target::named("amd64").program(TEST) else {
        return;
    };
    if program.is_emulated() {
        return programs::skip("cross", TEST, "the memory of an emulator tells nothing");
    }
    let server = Launch::of(program)
        .setting("media.isolation", "thread")
        .start();
    let uploaded = server.upload(&pictures::jpeg(&pictures::noise(4000, 3000, 1)));
    std::thread::scope(|scope| {
        for size in 0..16 {
            let (server, alias) = (&server, &uploaded.alias);
            scope.spawn(move || server.process("webp", alias, &format!("resize={}", 300 + size)));
        }
    });
    // Pages of the program itself are the system's to take back.
    let of_the_program = server.memory_kib("RssFile");
    let peak = server.peak_memory_kib() - of_the_program;
    assert!(
        peak < 68 * 1024,
        "{peak} KiB beside {of_the_program} KiB of the program"
    );
}
