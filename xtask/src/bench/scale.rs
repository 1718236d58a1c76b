//! The server with a database of millions of aliases: how long it takes to start, and to find an
//! alias that was not requested recently.
//!
//! The database is filled once, by SQL, and kept in the cache; its files do not exist, and their
//! bytes are never requested.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::report::Verdict;
use crate::command;
use crate::measure::{self, Dice, ask, median, megabytes, percentile};
use testkit::Server;

/// Requests that are measured, after a tenth as many to warm up.
const REQUESTS: u64 = 20_000;
/// Starts that are measured.
const STARTS: u32 = 5;

/// Fills the database if needed, measures, and judges.
///
/// # Errors
/// When the database cannot be filled or the server gives a wrong answer.
pub fn measure(folder: &Path, program: &Path, aliases: u64) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    let folder = folder.join("scale");
    let large = filled(&folder, program, aliases)?;
    println!("measuring the server on {aliases} aliases");
    let empty = folder.join("empty");
    if empty.exists() {
        fs::remove_dir_all(&empty)?;
    }
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        without.push(start(program, &empty)?);
        with.push(start(program, &large)?);
    }
    // The first run of each pays for a cold page cache.
    let (with, without) = (median(with), median(without));
    verdicts.push(Verdict {
        what: format!("start to first healthy answer, {aliases} aliases"),
        target: "at most 50 ms more than with none".into(),
        got: format!("{with:.0} ms; with none {without:.0} ms"),
        met: with <= without + 50.0,
    });

    // This measures how rows are found, not how fast the disk reads them.
    let mut database = fs::File::open(large.join("database/pict-rs.sqlite3"))?;
    std::io::copy(&mut database, &mut std::io::sink())?;
    let server = measure::start(program, &large, &[])?;
    for (what, path) in [
        ("details", "details/original"),
        ("blurhash", "blurhash?alias="),
    ] {
        let times = lookups(&server, path, aliases)?;
        let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
        let p999 = percentile(&times, 0.999);
        verdicts.push(Verdict {
            what: format!("{what} of a random one of {aliases} aliases, one connection"),
            target: "p99 at most 1 ms".into(),
            got: format!("p50 {p50:.3} ms, p99 {p99:.3} ms, p99.9 {p999:.3} ms"),
            met: p99 <= 1.0,
        });
    }
    // Contents are a millisecond apart, starting at 22:13:20.
    let any_page = |dice: &mut Dice| {
        let second = 80_000 + dice.roll((aliases / 1000).clamp(1, 6_000));
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("hashes?limit=100&timestamp=2023-11-14T{hour:02}:{minute:02}:{second:02}Z")
    };
    for (what, limit, path) in [
        (
            "a page of 100 contents",
            20.0,
            &any_page as &dyn Fn(&mut Dice) -> String,
        ),
        ("the sums of all that is stored", 20.0, &|_| {
            "usage".to_owned()
        }),
    ] {
        let Some(times) = internal(&server, path)? else {
            println!("  not measured, this build has none: {what}");
            continue;
        };
        let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
        verdicts.push(Verdict {
            what: format!("{what}, {aliases} aliases"),
            target: format!("p99 at most {limit} ms"),
            got: format!("p50 {p50:.2} ms, p99 {p99:.2} ms"),
            met: p99 <= limit,
        });
    }
    let peak = server.peak_memory_kib() * 1024;
    println!("  peak memory {:.1} MB", megabytes(peak));
    server.stop();
    Ok(verdicts)
}

/// Sorted milliseconds of 500 requests to the internal API, after 50 to warm up; `None` if the
/// route does not exist.
fn internal(server: &Server, path: &dyn Fn(&mut Dice) -> String) -> Result<Option<Vec<f64>>> {
    let client = measure::client(server);
    let mut dice = Dice(500);
    let mut times = Vec::new();
    for number in 0..550 {
        let url = format!("/internal/{}", path(&mut dice));
        let started = Instant::now();
        let answer = ask(&client, &url)?;
        let time = started.elapsed().as_secs_f64() * 1e3;
        if answer.status == 404 {
            return Ok(None);
        }
        ensure!(answer.status == 200, "GET {url}: {}", answer.status);
        if number >= 50 {
            times.push(time);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(Some(times))
}

/// Sorted milliseconds.
fn lookups(server: &Server, path: &str, aliases: u64) -> Result<Vec<f64>> {
    let client = measure::client(server);
    let mut dice = Dice(aliases);
    let mut times = Vec::new();
    for number in 0..REQUESTS + REQUESTS / 10 {
        let alias = alias(dice.roll(aliases));
        let separator = if path.ends_with('=') { "" } else { "/" };
        let url = format!("/image/{path}{separator}{alias}");
        let started = Instant::now();
        let answer = ask(&client, &url)?;
        let time = started.elapsed().as_secs_f64() * 1e3;
        ensure!(answer.status == 200, "GET {url}: {}", answer.status);
        if number >= REQUESTS / 10 {
            times.push(time);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Milliseconds from the start of the process to the first successful health check.
fn start(program: &Path, folder: &Path) -> Result<f64> {
    let started = Instant::now();
    let server = measure::start(program, folder, &[])?;
    let answer = ask(&server, "/healthz")?;
    ensure!(answer.status == 200, "/healthz: {}", answer.status);
    let time = started.elapsed().as_secs_f64() * 1e3;
    server.stop();
    Ok(time)
}

/// The alias with this number; consecutive ones are far apart in every index.
fn alias(number: u64) -> String {
    let scattered = number.wrapping_mul(2_654_435_761) & 0xffff_ffff;
    format!("{scattered:08x}-0000-4000-8000-{number:012x}.png")
}

/// The folder of a server with this many aliases, each with its own content.
fn filled(folder: &Path, program: &Path, aliases: u64) -> Result<PathBuf> {
    let data = folder.join(aliases.to_string());
    let done = data.join("filled");
    if done.exists() {
        return Ok(data);
    }
    println!("filling a database with {aliases} aliases, once; some minutes");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    // Creates and migrates the database.
    let started = Instant::now();
    measure::start(program, &data, &[])?.stop();
    let mut sqlite = command::new("sqlite3")
        .arg(data.join("database/pict-rs.sqlite3"))
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start sqlite3")?;
    let script = FILL.replace("LAST", &(aliases - 1).to_string());
    sqlite
        .stdin
        .take()
        .context("sqlite3 has no input")?
        .write_all(script.as_bytes())?;
    ensure!(
        sqlite.wait()?.success(),
        "sqlite3 did not fill the database"
    );
    println!(
        "  took {:?}",
        Duration::from_secs(started.elapsed().as_secs())
    );
    fs::write(done, "")?;
    Ok(data)
}

const FILL: &str = include_str!("fill.sql");
