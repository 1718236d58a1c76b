//! `cargo xtask load`: many clients that upload and ask for variants, all at once, for minutes.
//! Prints what was answered, how fast, and the memory that the server took; fails when an answer
//! is a fault, or memory passes its bound.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::bench::server::Server;
use crate::cache;
use crate::client::{Answer, Connection, Dice, percentile};

/// Options of `cargo xtask load`.
#[derive(clap::Args)]
pub struct Args {
    /// Clients, each with a connection of its own.
    #[arg(long, default_value_t = 256)]
    connections: u64,
    /// How long they go on.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Of every hundred requests, how many are uploads.
    #[arg(long, default_value_t = 20)]
    uploads: u64,
    /// MB that the server may take at its peak. By default 128 and what `media.memory` (the
    /// server's default, 512 MiB) allows media work.
    #[arg(long, default_value_t = 128 + 537)]
    memory: u64,
    /// Of all that is rolled.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A server that is built already, instead of a release build.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    /// Milliseconds by kind of request.
    times: BTreeMap<&'static str, Vec<f64>>,
    /// Answers by kind and status.
    answers: BTreeMap<(&'static str, u16), u64>,
    /// What should not have happened.
    faults: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// When the server cannot be built or does not start.
pub fn run(args: &Args) -> Result<ExitCode> {
    let program = match &args.program {
        Some(program) => program.clone(),
        None => crate::bench::build_server()?,
    };
    let folder = cache::folder("load")?;
    fs::remove_dir_all(&folder)?;
    let server = Server::start_program(&program, &folder)?;
    println!(
        "{} connections for {} s, {} % uploads, seed {}",
        args.connections, args.seconds, args.uploads, args.seed
    );
    let seen = Mutex::new(Seen::default());
    let aliases = Mutex::new(Vec::new());
    let end = Instant::now() + Duration::from_secs(args.seconds);
    thread::scope(|scope| {
        for client in 0..args.connections {
            let (server, seen, aliases) = (&server, &seen, &aliases);
            scope.spawn(move || {
                let dice = Dice(args.seed.wrapping_mul(7919).wrapping_add(client));
                let mine = work(&server.address, args.uploads, dice, aliases, end);
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add(mine);
            });
        }
    });
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let peak = server.memory("VmHWM")?;
    drop(server);
    let code = verdict(seen, peak, args);
    fs::remove_dir_all(&folder)?;
    Ok(code)
}

fn verdict(seen: Seen, peak: u64, args: &Args) -> ExitCode {
    for ((kind, status), count) in &seen.answers {
        println!("{kind}: {count} answered {status}");
    }
    for (kind, mut times) in seen.times {
        times.sort_by(f64::total_cmp);
        let [p50, p90, p99, most] = [0.5, 0.9, 0.99, 1.0].map(|part| percentile(&times, part));
        println!("{kind}: p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, at most {most:.1} ms");
    }
    let is_bounded = peak <= args.memory * 1_000_000;
    println!(
        "peak memory {:.1} MB, the bound is {} MB: {}",
        peak as f64 / 1e6,
        args.memory,
        if is_bounded { "met" } else { "MISSED" }
    );
    for fault in seen.faults.iter().take(10) {
        println!("fault: {fault}");
    }
    println!("{} faults", seen.faults.len());
    if is_bounded && seen.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One client, until the time is over.
fn work(
    address: &str,
    uploads: u64,
    mut dice: Dice,
    aliases: &Mutex<Vec<String>>,
    end: Instant,
) -> Seen {
    let mut seen = Seen::default();
    let mut connection = None;
    while Instant::now() < end {
        if let Err(error) = step(
            address,
            uploads,
            &mut dice,
            aliases,
            &mut connection,
            &mut seen,
        ) {
            seen.faults.push(format!("{error:#}"));
            // Not a storm of connections, should nobody answer.
            thread::sleep(Duration::from_millis(100));
        }
    }
    seen
}

fn step(
    address: &str,
    uploads: u64,
    dice: &mut Dice,
    aliases: &Mutex<Vec<String>>,
    connection: &mut Option<Connection>,
    seen: &mut Seen,
) -> Result<()> {
    let known = {
        let aliases = aliases.lock().unwrap_or_else(PoisonError::into_inner);
        let at = dice.roll(aliases.len().max(1) as u64);
        aliases.get(usize::try_from(at)?).cloned()
    };
    let is_upload = dice.roll(100) < uploads;
    // Made before there is a connection, which the server would not let wait for it.
    let file = (is_upload || known.is_none()).then(|| picture(dice));
    // Taken out: whatever fails, the next request has a new one.
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(address)?,
    };
    let (kind, started, answer) = match (file, known) {
        (Some(file), _) => {
            let started = Instant::now();
            let answer = open.upload(&file)?;
            if answer.status == 201 {
                let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
                let alias = body["files"][0]["file"].as_str().context("no file")?;
                let mut aliases = aliases.lock().unwrap_or_else(PoisonError::into_inner);
                aliases.push(alias.to_owned());
            }
            ("upload", started, answer)
        }
        (None, Some(alias)) => {
            let extension = ["webp", "jpg", "png"][usize::try_from(dice.roll(3))?];
            let side = 16 * (1 + dice.roll(24));
            let path = format!("/image/process.{extension}?src={alias}&resize={side}");
            let started = Instant::now();
            ("variant", started, open.ask("GET", &path)?)
        }
        // A file is made whenever nothing is known.
        (None, None) => return Ok(()),
    };
    let time = started.elapsed().as_secs_f64() * 1e3;
    *connection = Some(open);
    seen.times.entry(kind).or_default().push(time);
    *seen.answers.entry((kind, answer.status)).or_default() += 1;
    check(kind, &answer)?;
    if answer.status == 503 {
        // As it was asked to, but not as long, so that the server stays busy.
        thread::sleep(Duration::from_millis(50 + dice.roll(200)));
    }
    Ok(())
}

/// Busy is fine if it says when to come again; anything else but success is a fault.
fn check(kind: &str, answer: &Answer) -> Result<()> {
    let is_fine = match answer.status {
        200 | 201 => true,
        503 => answer.asks_to_retry,
        _ => false,
    };
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]);
    ensure!(is_fine, "{kind}: {} {body}", answer.status);
    Ok(())
}

impl Seen {
    fn add(&mut self, other: Self) {
        for (kind, times) in other.times {
            self.times.entry(kind).or_default().extend(times);
        }
        for (kind, count) in other.answers {
            *self.answers.entry(kind).or_default() += count;
        }
        self.faults.extend(other.faults);
    }
}

/// A PNG like no other: coarse noise of 64 to 319 pixels a side, not compressed, because only
/// the server's work is to be measured.
fn picture(dice: &mut Dice) -> Vec<u8> {
    let (width, height) = (64 + dice.roll(256), 64 + dice.roll(256));
    let colours: Vec<[u8; 8]> = (0..64).map(|_| dice.roll(u64::MAX).to_le_bytes()).collect();
    let mut rows = Vec::new();
    for y in 0..height {
        rows.push(0);
        for x in 0..width {
            let at = (x / 16 + (y / 16) * 7) % 64;
            rows.extend_from_slice(&colours[at as usize][..3]);
        }
    }
    let mut header = Vec::new();
    header.extend_from_slice(&(width as u32).to_be_bytes());
    header.extend_from_slice(&(height as u32).to_be_bytes());
    // Eight bits, RGB, and the only methods that there are.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &stored(&rows));
    chunk(&mut png, *b"IEND", &[]);
    png
}

/// A zlib stream of stored blocks.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    // So many bytes can be summed up before the sums must be taken modulo.
    for some in bytes.chunks(5_000) {
        for byte in some {
            a += u32::from(*byte);
            b += a;
        }
        a %= 65_521;
        b %= 65_521;
    }
    stream.extend_from_slice(&(b << 16 | a).to_be_bytes());
    stream
}

fn chunk(png: &mut Vec<u8>, name: [u8; 4], bytes: &[u8]) {
    png.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    let from = png.len();
    png.extend_from_slice(&name);
    png.extend_from_slice(bytes);
    let mut crc = u32::MAX;
    for byte in &png[from..] {
        crc = CRC[((crc ^ u32::from(*byte)) & 255) as usize] ^ crc >> 8;
    }
    png.extend_from_slice(&(!crc).to_be_bytes());
}

/// What each byte does to the checksum.
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_png_and_like_no_other() {
        let mut dice = Dice(1);
        let (first, second) = (picture(&mut dice), picture(&mut dice));
        assert_ne!(first, second);
        assert_eq!(picture(&mut Dice(1)), first);
        assert!(first.starts_with(b"\x89PNG"));
        // The well-known end of every PNG, its checksum included.
        assert!(first.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
    }
}
