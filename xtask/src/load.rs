//! `cargo xtask load`: many concurrent clients that upload and request variants, for minutes.
//! Prints the number of answers, their times, and the memory of the server; fails on a wrong
//! answer, or when memory exceeds its limit.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::cache;
use crate::measure::{self, Dice, percentile};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Rgb, RgbImage};
use testkit::{Answer, Client, File, Server};

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

/// The clients' observations.
#[derive(Default)]
struct Seen {
    /// Times in milliseconds by kind of request.
    times: BTreeMap<&'static str, Vec<f64>>,
    /// Answers by kind and status.
    answers: BTreeMap<(&'static str, u16), u64>,
    /// Unexpected answers.
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
    let server = measure::start(&program, &folder, &[])?;
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
                let mine = work(server, args.uploads, dice, aliases, end);
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add(mine);
            });
        }
    });
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let peak = server.peak_memory_kib() * 1024;
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

/// One client, until the time is up.
fn work(
    server: &Server,
    uploads: u64,
    mut dice: Dice,
    aliases: &Mutex<Vec<String>>,
    end: Instant,
) -> Seen {
    let mut seen = Seen::default();
    let client = measure::client(server);
    while Instant::now() < end {
        if let Err(error) = step(&client, uploads, &mut dice, aliases, &mut seen) {
            seen.faults.push(format!("{error:#}"));
            // Avoids a storm of connections if the server does not answer.
            thread::sleep(Duration::from_millis(100));
        }
    }
    seen
}

fn step(
    client: &Client,
    uploads: u64,
    dice: &mut Dice,
    aliases: &Mutex<Vec<String>>,
    seen: &mut Seen,
) -> Result<()> {
    let known = {
        let aliases = aliases.lock().unwrap_or_else(PoisonError::into_inner);
        let at = dice.roll(aliases.len().max(1) as u64);
        aliases.get(usize::try_from(at)?).cloned()
    };
    let is_upload = dice.roll(100) < uploads;
    let file = (is_upload || known.is_none()).then(|| picture(dice));
    let (kind, started, answer) = match (file, known) {
        (Some(file), _) => {
            let started = Instant::now();
            let answer = client.try_upload_form("", &[File::new(&file)])?;
            if answer.status == 201 {
                let alias = measure::alias(&answer)?;
                let mut aliases = aliases.lock().unwrap_or_else(PoisonError::into_inner);
                aliases.push(alias);
            }
            ("upload", started, answer)
        }
        (None, Some(alias)) => {
            let extension = ["webp", "jpg", "png"][usize::try_from(dice.roll(3))?];
            let side = 16 * (1 + dice.roll(24));
            let path = format!("/image/process.{extension}?src={alias}&resize={side}");
            let started = Instant::now();
            (
                "variant",
                started,
                client.try_send("GET", &path, &[], None)?,
            )
        }
        // Without a known file, one is uploaded.
        (None, None) => return Ok(()),
    };
    let time = started.elapsed().as_secs_f64() * 1e3;
    seen.times.entry(kind).or_default().push(time);
    *seen.answers.entry((kind, answer.status)).or_default() += 1;
    check(kind, &answer)?;
    if answer.status == 503 {
        // As the server asked, but shorter, so that it stays busy.
        thread::sleep(Duration::from_millis(50 + dice.roll(200)));
    }
    Ok(())
}

/// An answer that the server is busy is fine if it says when to retry; anything else but success is
/// a fault.
fn check(kind: &str, answer: &Answer) -> Result<()> {
    let is_fine = match answer.status {
        200 | 201 => true,
        503 => answer.header("retry-after").is_some(),
        _ => false,
    };
    ensure!(is_fine, "{kind}: {} {}", answer.status, answer.text());
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

/// A unique PNG: coarse noise of 64 to 319 pixels a side, uncompressed, because only the server's
/// work is to be measured.
fn picture(dice: &mut Dice) -> Vec<u8> {
    let (width, height) = (64 + dice.roll(256), 64 + dice.roll(256));
    let colours: Vec<[u8; 8]> = (0..64).map(|_| dice.roll(u64::MAX).to_le_bytes()).collect();
    let noise = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let [r, g, b, ..] = colours[((x / 16 + (y / 16) * 7) % 64) as usize];
        Rgb([r, g, b])
    });
    let mut png = Vec::new();
    let encoder = PngEncoder::new_with_quality(
        &mut png,
        CompressionType::Uncompressed,
        FilterType::NoFilter,
    );
    noise.write_with_encoder(encoder).expect("a PNG in memory");
    png
}

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
    }
}
