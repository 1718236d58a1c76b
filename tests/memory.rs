//! How much memory the server and its processes take, and what they give back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use testkit::server::Program;

use crate::support::cgroup::Group;
use crate::support::client::process_path;
use crate::support::{Client, File, Launch, Server, eventually, pictures, programs, server};

const MIB: u64 = 1 << 20;
/// A picture of 24 megapixels.
const LARGE: (u32, u32) = (6000, 4000);

/// Of a client, whose request may wait for all that came before.
const PATIENCE: Duration = Duration::from_secs(500);

/// The file with a number in a comment, so that no two are the same.
fn numbered(jpeg: &[u8], number: u64) -> Vec<u8> {
    let comment = format!("{number:06}");
    let length = u16::try_from(comment.len() + 2).expect("short");
    [
        &jpeg[..2],
        &[0xFF, 0xFE],
        &length.to_be_bytes(),
        comment.as_bytes(),
        &jpeg[2..],
    ]
    .concat()
}

/// `count` clients upload at the same time. How many were taken in; the others were told to come
/// again.
fn upload_at_once(server: &Server, jpeg: &[u8], count: u64) -> u64 {
    let taken = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for number in 0..count {
            let taken = &taken;
            scope.spawn(move || {
                let client = Client::with_timeout(server.address(), PATIENCE);
                let file = numbered(jpeg, number);
                let answer = client.upload_form("", &[File::new(&file)]);
                match answer.status {
                    201 => {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                    503 => assert!(answer.header("retry-after").is_some(), "{answer:?}"),
                    _ => panic!("{answer:?}"),
                }
            });
        }
    });
    taken.into_inner()
}

#[test]
fn two_hundred_large_uploads_at_once_fit_into_a_small_machine() {
    const TEST: &str = "uploads within 512 MB";
    if server::is_emulated() {
        return programs::skip("cgroups", TEST, "the memory of an emulator tells nothing");
    }
    let Some(group) = Group::new(512 * MIB, TEST) else {
        return;
    };
    let jpeg = pictures::jpeg(&pictures::photo(LARGE.0, LARGE.1));
    let server = Launch::of(group.program(Program::under_test())).start();
    let taken = upload_at_once(&server, &jpeg, 200);
    assert!(taken > 0, "none was taken in");
    assert_eq!(group.kills(), 0, "{}", server.output());
    // It goes on.
    server.upload(&pictures::png(&pictures::photo(40, 30)));
    let peak = group.peak() / MIB;
    println!("{taken} of 200 taken in; the group had {peak} MiB at its peak");
    assert!(!server.output().contains("a sandbox has died"));
    server.stop();
}

/// The bytes that server and sandboxes have for themselves, without pages of the program.
fn own_memory(server: &Server) -> u64 {
    let ids = server
        .children()
        .into_iter()
        .map(|id| id.as_raw_nonzero().get());
    let ids = ids.chain([i32::try_from(server.id()).expect("an id")]);
    let of_one = |id: i32| {
        let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        let line = |name: &str| {
            let number = text.lines().find_map(|line| line.strip_prefix(name));
            let number =
                number.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok());
            number.unwrap_or(0)
        };
        let anonymous: u64 = line("Anonymous:");
        anonymous * 1024
    };
    ids.map(of_one).sum()
}

#[test]
fn memory_of_large_pictures_is_given_back() {
    const TEST: &str = "memory after large pictures";
    if server::is_emulated() {
        return programs::skip("cgroups", TEST, "the memory of an emulator tells nothing");
    }
    let photo = pictures::photo(LARGE.0, LARGE.1);
    // Of the one rows are decoded one by one, the other is held whole.
    let (jpeg, webp) = (pictures::jpeg(&photo), pictures::webp(&photo));
    for isolation in ["process", "thread"] {
        let server = Launch::new().setting("media.isolation", isolation).start();
        let alias = server.upload(&webp).alias;
        let variant = |side: u32| {
            let path = process_path("webp", &alias, &format!("resize={side}"));
            let client = Client::with_timeout(server.address(), PATIENCE);
            let answer = client.get(&path);
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        };
        let start = own_memory(&server) / MIB;
        for number in 0..8 {
            upload_at_once(&server, &numbered(&jpeg, 1000 + number), 1);
            variant(100 + u32::try_from(number).expect("small"));
        }
        let one = own_memory(&server) / MIB;
        std::thread::scope(|scope| {
            for side in 200..224 {
                let variant = &variant;
                scope.spawn(move || variant(side));
            }
            upload_at_once(&server, &jpeg, 24);
        });
        let many = own_memory(&server) / MIB;
        println!(
            "{isolation}: {start} MiB after the first, {one} after 16 one by one, {many} after 48 at once"
        );
        let most = start + 160;
        eventually("it is given back", || {
            (own_memory(&server) / MIB < most).then_some(())
        });
        server.stop();
    }
}
