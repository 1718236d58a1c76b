//! What it costs to decode files in processes of their own: the same requests to two servers, of which
//! one decodes in its threads.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::process::{Signal, kill_process};
use testkit::{Client, File, Server, pictures};

use super::report::Verdict;
use crate::measure::{self, median, megabytes};

/// Variants of each measured picture per turn.
const VARIANTS: u32 = 100;
/// What each of them takes: a look at the file, and a conversion.
const JOBS: u32 = 2;
/// How often both servers take their turn.
const TURNS: usize = 5;
/// Requests at a time for variants of large pictures.
const AT_ONCE: u32 = 16;

/// A server and how it decodes.
struct Side {
    server: Server,
    client: Client,
    alias: String,
    /// Milliseconds on the clock and of processors, per job, of each turn.
    figures: [Vec<f64>; 2],
}

impl Side {
    fn start(program: &Path, folder: &Path, isolation: &str, picture: &[u8]) -> Result<Self> {
        let folder = folder.join(isolation);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let settings = [
            ("PICTRS__MEDIA__ISOLATION", isolation),
            ("PICTRS__MEDIA__VARIANTS_PER_ORIGINAL", "0"),
        ];
        let server = measure::start(program, &folder, &settings)?;
        let client = measure::client(&server);
        let answer = client.try_upload_form("", &[File::new(picture)])?;
        Ok(Self {
            alias: measure::alias(&answer)?,
            client,
            server,
            figures: Default::default(),
        })
    }

    fn variant(&self, extension: &str, operations: &str) -> Result<()> {
        let alias = &self.alias;
        let path = format!("/image/process.{extension}?src={alias}&{operations}");
        let answer = self.client.try_send("GET", &path, &[], None)?;
        ensure!(answer.status == 200, "GET {path}: {}", answer.text());
        Ok(())
    }

    /// One variant after the other, none of which exists.
    fn turn(&mut self, number: usize) -> Result<()> {
        let (started, used) = (Instant::now(), self.server.processor_time_of_all());
        for side in 0..VARIANTS {
            self.variant(
                "png",
                &format!(
                    "resize={}&blur={}",
                    8 + side % 24,
                    number * 1000 + 1 + side as usize
                ),
            )?;
        }
        let spent = self.server.processor_time_of_all().saturating_sub(used);
        let [clock, processor] = &mut self.figures;
        clock.push(per_job(started.elapsed()));
        processor.push(per_job(spent));
        Ok(())
    }
}

fn per_job(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3 / f64::from(VARIANTS * JOBS)
}

/// Measures and judges.
///
/// # Errors
/// When a server does not start or gives a wrong answer.
pub fn measure(program: &Path, folder: &Path) -> Result<Vec<Verdict>> {
    println!("measuring processes that decode");
    let folder = folder.join("jobs");
    let small = pictures::png(&pictures::photo(48, 48));
    let mut sides = Vec::new();
    for isolation in ["thread", "process"] {
        sides.push(Side::start(program, &folder, isolation, &small)?);
    }
    for number in 0..TURNS {
        for side in &mut sides {
            side.turn(number)?;
        }
    }
    let mut verdicts = Vec::new();
    for (which, what, most) in [(0, "on the clock", 1.0), (1, "of processors", 0.3)] {
        let [threads, processes] =
            [0, 1].map(|side: usize| median(sides[side].figures[which].clone()));
        let more = processes - threads;
        verdicts.push(Verdict {
            what: format!(
                "a job on a small picture in a process beside one in a thread, time {what}"
            ),
            target: format!("at most {most} ms more"),
            got: format!("{more:.2} ms more: {processes:.2} ms and {threads:.2} ms"),
            met: more <= most,
        });
    }
    verdicts.push(start_of_one(&sides[1])?);
    drop(sides);
    verdicts.extend(memory(program, &folder)?);
    fs::remove_dir_all(&folder)?;
    Ok(verdicts)
}

/// A request that finds no process waiting, beside one that does.
fn start_of_one(side: &Side) -> Result<Verdict> {
    let mut times: [Vec<f64>; 2] = Default::default();
    for number in 0..20 {
        for (kind, times) in times.iter_mut().enumerate() {
            if kind == 0 {
                for id in side.server.children() {
                    kill_process(id, Signal::KILL)?;
                }
                // The server looks whether one is there before it uses it.
                thread::sleep(Duration::from_millis(20));
            }
            let started = Instant::now();
            side.variant("png", &format!("resize=9&blur={}.{kind}", 9000 + number))?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [cold, warm] = times.map(median);
    let more = cold - warm;
    Ok(Verdict {
        what: "start of a process that decodes".into(),
        target: "at most 15 ms".into(),
        got: format!("{more:.1} ms"),
        met: more <= 15.0,
    })
}

/// Peaks of variants of photographs, and what stays.
fn memory(program: &Path, folder: &Path) -> Result<Vec<Verdict>> {
    let large = pictures::jpeg(&pictures::photo(6000, 4000));
    let mut verdicts = Vec::new();
    for isolation in ["thread", "process"] {
        let side = Side::start(program, folder, isolation, &large)?;
        side.server.forget_peak_memory();
        let made: Result<Vec<()>> = thread::scope(|scope| {
            let requests: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let side = &side;
                    let extension = if number % 2 == 0 { "jpg" } else { "webp" };
                    scope.spawn(move || {
                        side.variant(extension, &format!("resize={}", 256 + 48 * number))
                    })
                })
                .collect();
            let ended = requests.into_iter().map(|request| request.join());
            ended
                .map(|made| made.map_err(|_| anyhow::anyhow!("a request panicked"))?)
                .collect()
        });
        made?;
        let workers = side.server.children().len() as u64;
        let peak = side.server.peak_memory_of_all_kib() * 1024;
        let most = 75_000_000 + workers * 8_000_000;
        verdicts.push(Verdict {
            what: format!(
                "16 new variants of a 24 MP photograph at once, peak memory, in a {isolation}"
            ),
            target: format!("at most {:.0} MB", megabytes(most)),
            got: format!(
                "{:.1} MB, {workers} processes beside the server",
                megabytes(peak)
            ),
            met: peak <= most,
        });
        thread::sleep(Duration::from_secs(2));
        let server = side.server.memory_kib("RssAnon") * 1024;
        verdicts.push(Verdict {
            what: format!("memory of the server after that, in a {isolation}"),
            target: "at most 40 MB".into(),
            got: format!("{:.1} MB", megabytes(server)),
            met: server <= 40_000_000,
        });
    }
    Ok(verdicts)
}
