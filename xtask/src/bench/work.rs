//! One picture at a time: CPU, peak memory, bytes and score of every tool for every row of the
//! table, with tools taking turns.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::{
    inputs::Inputs,
    peers::{Job, Kind, Task, Tools},
    report::{Figures, Report, Row, Verdict},
};
use crate::cache;
use crate::measure::{median, megabytes};

/// A row of `targets.toml`, which documents each field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    title: String,
    input: String,
    side: Option<u32>,
    to: String,
    targets: Vec<String>,
}

/// The target for ours.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    what: String,
    target: String,
    #[serde(default = "ours")]
    tool: Kind,
    figure: Figure,
    #[serde(default)]
    beside: Vec<Kind>,
    row: Option<String>,
    at_most: Option<f64>,
    at_least: Option<f64>,
    score: Option<f64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Figure {
    Cpu,
    Score,
    Peak,
    Bytes,
}

#[derive(Deserialize)]
struct Plans {
    rows: Vec<Plan>,
    targets: BTreeMap<String, Target>,
}

fn ours() -> Kind {
    Kind::Ours
}

fn plans() -> Plans {
    toml::from_str(include_str!("targets.toml")).expect("targets.toml is right")
}

/// Measures every row and judges it.
///
/// # Errors
/// When a tool fails in a row.
pub fn measure(inputs: &Inputs, tools: &Tools, rounds: u32, report: &mut Report) -> Result<()> {
    let plans = plans();
    for plan in plans.rows {
        let title = plan.title;
        println!("measuring {title}");
        let mut jobs = Vec::new();
        let sources = inputs.named(&plan.input);
        let sources = sources.with_context(|| format!("no input {}", plan.input))?;
        for (number, input) in sources.iter().enumerate() {
            jobs.push(Job {
                input,
                reference: inputs.reference(input, number),
                task: plan.side.map_or(Task::Clean, Task::Variant),
                extension: &plan.to,
            });
        }
        let row = Row {
            figures: over_all(tools, &jobs, rounds, &mut report.missing)
                .with_context(|| title.clone())?,
            title,
        };
        for figures in &row.figures {
            let (name, cpu, peak) = (figures.kind.name(), figures.cpu, figures.peak);
            println!("  {name}: {cpu:.1} ms, {:.1} MB", megabytes(peak));
        }
        for name in &plan.targets {
            let target = plans.targets.get(name);
            let target = target.with_context(|| format!("no target {name}"))?;
            let verdict = judge(&row, target, &report.rows);
            report.verdicts.extend(verdict);
        }
        report.rows.push(row);
    }
    if tools.have(Kind::Ours) {
        let peak = |input| {
            let job = Job {
                input,
                reference: input,
                task: Task::Variant(320),
                extension: "webp",
            };
            run(tools, Kind::Ours, &job, 0)
        };
        let (short, long) = (peak(&inputs.gif_25)?.peak, peak(&inputs.gif_125)?.peak);
        report.verdicts.push(Verdict {
            what: "memory of the GIF independent of its frames".into(),
            target: "125 frames at most 2 MB over 25 frames, beyond the file itself".into(),
            got: format!("{:.1} and {:.1} MB", megabytes(long), megabytes(short)),
            met: {
                let file = |path| fs::metadata(path).map_or(0, |file| file.len());
                let grown = file(&inputs.gif_125).saturating_sub(file(&inputs.gif_25));
                long <= short + grown + 2_000_000
            },
        });
    }
    Ok(())
}

/// Means over jobs of one kind; the peak is the maximum. A peer that fails the first job is
/// excluded, and `missing` says why.
fn over_all(
    tools: &Tools,
    jobs: &[Job<'_>],
    rounds: u32,
    missing: &mut Vec<String>,
) -> Result<Vec<Figures>> {
    let mut kinds = Vec::new();
    if let Some(job) = jobs.first() {
        for kind in tools.doing(job) {
            let done = run(tools, kind, job, 0).and_then(|_| is_whole(kind, job));
            match done {
                Ok(()) => kinds.push(kind),
                Err(error) if matches!(kind, Kind::Ours | Kind::OursFast) => return Err(error),
                Err(error) => {
                    let input = job.input.file_name().unwrap_or_default().display();
                    let error = error.to_string();
                    let folder = cache::folder("bench")?.display().to_string();
                    let why = error.lines().next().unwrap_or_default();
                    let why = why.replace(&folder, "");
                    println!("MISSING for {input}: {why}");
                    missing.push(format!("{} with {input}: {why}", kind.name()));
                }
            }
        }
    }
    let mut all = Vec::new();
    for job in jobs {
        all.push(in_turn(tools, job, &kinds, rounds)?);
    }
    let count = jobs.len() as f64;
    let of_kind = |(index, &kind)| {
        let all: Vec<&Figures> = all.iter().map(|figures: &Vec<_>| &figures[index]).collect();
        let scores: Option<f64> = all.iter().map(|figures| figures.score).sum();
        Figures {
            kind,
            cpu: all.iter().map(|figures| figures.cpu).sum::<f64>() / count,
            peak: all.iter().map(|figures| figures.peak).max().unwrap_or(0),
            bytes: all.iter().map(|figures| figures.bytes).sum::<u64>() / jobs.len() as u64,
            score: scores.map(|sum| sum / count),
        }
    };
    Ok(kinds.iter().enumerate().map(of_kind).collect())
}

/// Fails when an animation became a still, which would be cheaper.
fn is_whole(kind: Kind, job: &Job<'_>) -> Result<()> {
    let made = fs::read(output(kind, job)?)?;
    let is_still = !made.windows(4).any(|chunk| chunk == b"ANMF");
    anyhow::ensure!(job.source() != "gif" || !is_still, "it made a still of it");
    Ok(())
}

/// A B C A B C …: so that disturbances of the machine affect all tools equally.
fn in_turn(tools: &Tools, job: &Job<'_>, kinds: &[Kind], rounds: u32) -> Result<Vec<Figures>> {
    let mut runs: Vec<Vec<Run>> = kinds.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (runs, &kind) in runs.iter_mut().zip(kinds) {
            runs.push(run(tools, kind, job, 3)?);
        }
    }
    // Scoring AVIF needs our decoder.
    let is_readable = job.extension != "avif" || tools.have(Kind::Ours);
    let is_scored = is_readable && job.source() != "gif" && job.task != Task::Clean;
    let made: Vec<_> = kinds
        .iter()
        .map(|&kind| output(kind, job))
        .collect::<Result<_>>()?;
    let scores = match is_scored {
        true => {
            let readable = made.iter().map(|path| tools.readable(path));
            tools.scores(job.reference, &readable.collect::<Result<Vec<_>>>()?)?
        }
        false => Vec::new(),
    };
    let mut figures = Vec::new();
    for (index, (&kind, runs)) in kinds.iter().zip(runs).enumerate() {
        figures.push(Figures {
            kind,
            cpu: median(runs.iter().map(|run| run.cpu).collect()),
            peak: runs.iter().map(|run| run.peak).max().unwrap_or(0),
            bytes: fs::metadata(&made[index])?.len(),
            score: scores.get(index).map(|&(score, _)| score),
        });
    }
    Ok(figures)
}

struct Run {
    cpu: f64,
    peak: u64,
}

fn output(kind: Kind, job: &Job<'_>) -> Result<PathBuf> {
    let input = job.input.file_stem().unwrap_or_default().to_string_lossy();
    let tool = kind.name().replace([' ', ','], "-");
    let task = match job.task {
        Task::Variant(side) => side.to_string(),
        Task::Clean => "clean".to_owned(),
    };
    let source = job.source();
    let name = format!("{input}-{source}-{task}-{tool}.{}", job.extension);
    Ok(cache::folder("bench/outputs")?.join(name))
}

fn run(tools: &Tools, kind: Kind, job: &Job<'_>, repeat: u32) -> Result<Run> {
    let mut command = tools.command(kind, job, &output(kind, job)?, repeat);
    let result = command
        .output()
        .with_context(|| format!("cannot start {}", kind.name()))?;
    let text = String::from_utf8_lossy(&result.stdout) + String::from_utf8_lossy(&result.stderr);
    anyhow::ensure!(result.status.success(), "{} failed: {text}", kind.name());
    read(&text).with_context(|| format!("{} printed no figures: {text}", kind.name()))
}

/// Parses the output of a driver, or of time(1): user and system seconds and kilobytes.
fn read(text: &str) -> Option<Run> {
    let mut cpu = Vec::new();
    let mut peak = None;
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["cpu", milliseconds] => cpu.push(milliseconds.parse().ok()?),
            ["peak", bytes] => peak = bytes.parse().ok(),
            ["time", user, system, kilobytes] => {
                let (user, system): (f64, f64) = (user.parse().ok()?, system.parse().ok()?);
                cpu.push((user + system) * 1e3);
                peak = kilobytes
                    .parse::<u64>()
                    .ok()
                    .map(|kilobytes| kilobytes * 1024);
            }
            _ => {}
        }
    }
    Some(Run {
        cpu: median(cpu),
        peak: peak?,
    })
}

/// `None` when a tool that the target is about does not take part.
fn judge(row: &Row, target: &Target, earlier: &[Row]) -> Option<Verdict> {
    let ours = row.of(target.tool)?;
    let score = |figures: &Figures| figures.score.unwrap_or(f64::NAN);
    // The row with the tools that ours is compared with.
    let other = match &target.row {
        Some(title) => earlier.iter().find(|row| row.title == *title)?,
        None => row,
    };
    let theirs = target.beside.iter().filter_map(|kind| other.of(*kind));
    let (value, got) = match target.figure {
        Figure::Cpu if target.beside.is_empty() => (ours.cpu, format!("{:.1} ms", ours.cpu)),
        Figure::Cpu => {
            let best = theirs.map(|figures| figures.cpu).min_by(f64::total_cmp)?;
            let ratio = ours.cpu / best;
            (ratio, format!("{ratio:.2} ×"))
        }
        Figure::Score => {
            let best = theirs.map(score).max_by(f64::total_cmp)?;
            let better = score(ours) - best;
            (better, format!("{better:+.1}"))
        }
        Figure::Peak => {
            let peak = megabytes(ours.peak);
            (peak, format!("{peak:.1} MB"))
        }
        Figure::Bytes => {
            let kilobytes = ours.bytes as f64 / 1e3;
            (
                kilobytes,
                format!("{kilobytes:.0} kB at {:.1}", score(ours)),
            )
        }
    };
    let met = target.at_most.is_none_or(|most| value <= most)
        && target.at_least.is_none_or(|least| value >= least)
        && target.score.is_none_or(|least| score(ours) >= least);
    Some(Verdict {
        what: format!("{}: {}", row.title, target.what),
        target: target.target.clone(),
        got,
        met,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_drivers_and_of_time_are_understood() {
        let run = read("peak 2048\ncpu 3.5\ncpu 1.5\ncpu 2.5\n").expect("a driver's figures");
        assert_eq!((run.cpu, run.peak), (2.5, 2048));
        let run = read("warning: x\ntime 0.20 0.03 1000\n").expect("figures of time");
        assert!((run.cpu - 230.0).abs() < 1e-9 && run.peak == 1_024_000);
        assert!(read("nothing").is_none());
    }

    #[test]
    fn every_row_has_an_extension_and_targets_that_there_are() {
        let plans = plans();
        for plan in &plans.rows {
            assert!(!plan.to.is_empty() && !plan.targets.is_empty());
            for name in &plan.targets {
                assert!(plans.targets.contains_key(name), "{}: {name}", plan.title);
            }
        }
    }

    #[test]
    fn ours_is_held_against_the_best_of_the_others() {
        let figures = |kind, cpu, score| Figures {
            kind,
            cpu,
            peak: 20_000_000,
            bytes: 79_000,
            score: Some(score),
        };
        let row = Row {
            title: "a row".to_owned(),
            figures: vec![
                figures(Kind::Ours, 95.0, 75.0),
                figures(Kind::Sharp, 100.0, 70.0),
                figures(Kind::Oximg, 120.0, 60.0),
            ],
        };
        let plans = plans();
        let judged = |name: &str| {
            let verdict = judge(&row, &plans.targets[name], &[]);
            verdict.map(|verdict| (verdict.got, verdict.met))
        };
        let said = |got: &str, met| Some((got.to_owned(), met));
        assert_eq!(judged("cpu-share"), said("0.95 ×", false));
        assert_eq!(judged("cpu-thumbnail"), said("0.95 ×", true));
        assert_eq!(judged("score-10"), said("+5.0", false));
        assert_eq!(judged("peak-30"), said("20.0 MB", true));
        assert_eq!(judged("avif-cpu"), said("95.0 ms", true));
        assert_eq!(judged("avif-bytes"), said("79 kB at 75.0", true));
        // These do not take part, or the row does not exist yet.
        assert_eq!(judged("cpu-share-method-2"), None);
        assert_eq!(judged("avif-beside-webp"), None);
    }
}
