//! Decoders that do what an attacker would, for tests of the sandbox. Only builds with debug
//! assertions have them, and only sandboxes do what they say.

use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::process::Command;

use rustix::process::{getpid, test_kill_process};

/// A file that begins so names a misdeed behind it, in one word.
const MARK: &[u8] = b"pict-rs rogue decoder: ";

/// The misdeed that a file asks for.
pub(super) fn asked(source: &[u8]) -> Option<&str> {
    let word = source
        .strip_prefix(MARK)?
        .split(u8::is_ascii_whitespace)
        .next()?;
    str::from_utf8(word).ok()
}

/// Does it. What comes back is what the system said.
pub(super) fn act(misdeed: &str) -> io::Result<()> {
    match misdeed {
        "abort" => std::process::abort(),
        "panic" => panic!("on purpose"),
        "overflow" => Err(io::Error::other(deep(1).to_string())),
        "allocate" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1u8; 16 << 20]);
            }
        }
        "loop" => loop {
            std::hint::spin_loop();
        },
        "open" => File::open("/etc/passwd").map(drop),
        "create" => File::create("/tmp/pict-rs-rogue").map(drop),
        "connect" => TcpStream::connect("127.0.0.1:9").map(drop),
        "fork" => Command::new("/bin/true").status().map(drop),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(drop),
        // The call is what counts, so it does no harm where it is possible.
        "signal" => Ok(test_kill_process(getpid())?),
        // Into the file for results, without end.
        "write" => {
            let piece = vec![1; 1 << 20];
            let results = io::stdout();
            for at in 0.. {
                rustix::io::pwrite(&results, &piece, at << 20)?;
            }
            Ok(())
        }
        "quit" => std::process::exit(0),
        // An answer that is none.
        "lie" => {
            rustix::io::write(io::stdin(), b"\x04\0\0\0null")?;
            std::thread::sleep(std::time::Duration::MAX);
            Ok(())
        }
        _ => Err(io::Error::other("there is no such misdeed")),
    }
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deep(number: u64) -> u64 {
    let frame = std::hint::black_box([number; 512]);
    deep(number + 1) + frame[7]
}
