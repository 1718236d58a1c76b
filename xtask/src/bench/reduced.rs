//! What reduced copies save: the same variants of photographs from two servers, of which one makes all of
//! them from the originals.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use testkit::File;

use super::{peers, report::Verdict};
use crate::measure::{self, median};

/// How often both servers take their turn.
const TURNS: usize = 3;
/// What is asked of each photograph, in this order.
const VARIANTS: [(u32, &str); 6] = [
    (256, "webp"),
    (512, "jpg"),
    (128, "jpg"),
    (512, "webp"),
    (256, "jpg"),
    (128, "webp"),
];

/// One turn of one server.
struct Turn {
    /// Of processors, for all variants of all photographs.
    spent: Duration,
    elapsed: Duration,
    /// The variants of each photograph.
    files: Vec<Vec<PathBuf>>,
}

/// Measures and judges.
///
/// # Errors
/// When a server does not start or gives a wrong answer, or the scores cannot be had.
pub fn measure(
    program: &Path,
    folder: &Path,
    photographs: &[PathBuf],
    scorer: &Path,
) -> Result<Vec<Verdict>> {
    println!("measuring reduced copies");
    let folder = folder.join("reduced");
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        for (turns, setting) in turns.iter_mut().zip(["true", "false"]) {
            turns.push(turn(program, &folder.join(setting), setting, photographs)?);
        }
    }
    let count = (photographs.len() * VARIANTS.len()) as f64;
    let per_variant = |times: Vec<Duration>| {
        let times = times.iter().map(|time| time.as_secs_f64() * 1e3 / count);
        median(times.collect())
    };
    let [spent, without_spent] = turns
        .each_ref()
        .map(|turns| per_variant(turns.iter().map(|turn| turn.spent).collect()));
    let [elapsed, without_elapsed] = turns
        .each_ref()
        .map(|turns| per_variant(turns.iter().map(|turn| turn.elapsed).collect()));
    let mut sums = [(0.0, 0); 2];
    for (sum, turns) in sums.iter_mut().zip(&turns) {
        for (photograph, files) in photographs.iter().zip(&turns[0].files) {
            for (score, bytes) in peers::scores(scorer, photograph, files)? {
                sum.0 += score / count;
                sum.1 += bytes;
            }
        }
    }
    let [(score, bytes), (without_score, without_bytes)] = sums;
    let what =
        "six variants of up to 512 px of each photograph, with reduced copies beside without";
    let share = spent / without_spent;
    let growth = bytes as f64 / without_bytes as f64;
    let loss = without_score - score;
    Ok(vec![
        Verdict {
            what: format!("{what}: time of processors for each"),
            target: "at most 0.5 ×".into(),
            got: format!(
                "{share:.2} ×: {spent:.1} ms and {without_spent:.1} ms; on the clock {elapsed:.1} ms and {without_elapsed:.1} ms"
            ),
            met: share <= 0.5,
        },
        Verdict {
            what: format!("{what}: score"),
            target: "at most 0.5 less".into(),
            got: format!("{loss:.2} less: {score:.2} and {without_score:.2}"),
            met: loss <= 0.5,
        },
        Verdict {
            what: format!("{what}: bytes"),
            target: "at most 1.1 ×".into(),
            got: format!("{growth:.3} ×"),
            met: growth <= 1.1,
        },
    ])
}

fn turn(program: &Path, folder: &Path, setting: &str, photographs: &[PathBuf]) -> Result<Turn> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let settings = [("PICTRS__MEDIA__REDUCED_COPIES", setting)];
    let server = measure::start(program, folder, &settings)?;
    let client = measure::client(&server);
    let mut aliases = Vec::new();
    for photograph in photographs {
        let bytes = fs::read(photograph)?;
        let answer = client.try_upload_form("", &[File::new(&bytes)])?;
        aliases.push(measure::alias(&answer)?);
    }
    let (started, used) = (Instant::now(), server.processor_time_of_all());
    let mut bodies = Vec::new();
    for alias in &aliases {
        for (side, extension) in VARIANTS {
            let path = format!("/image/process.{extension}?src={alias}&resize={side}");
            let answer = client.try_send("GET", &path, &[], None)?;
            ensure!(answer.status == 200, "GET {path}: {}", answer.text());
            bodies.push(answer.body);
        }
    }
    let (elapsed, spent) = (
        started.elapsed(),
        server.processor_time_of_all().saturating_sub(used),
    );
    let mut files = Vec::new();
    for (number, bodies) in bodies.chunks(VARIANTS.len()).enumerate() {
        let mut of_one = Vec::new();
        for ((side, extension), body) in VARIANTS.iter().zip(bodies) {
            let file = folder.join(format!("{number}-{side}.{extension}"));
            fs::write(&file, body)?;
            of_one.push(file);
        }
        files.push(of_one);
    }
    Ok(Turn {
        spent,
        elapsed,
        files,
    })
}
