//! One picture at a time: CPU, peak memory, bytes and score of every tool for every row of the
//! table, tools in turn.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{
    inputs::Inputs,
    peers::{Job, Kind, Task, Tools},
    report::{Report, Verdict},
};
use crate::cache;
use crate::measure::{median, megabytes};

/// What one tool did with one row.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Which tool.
    pub kind: Kind,
    /// Median of CPU milliseconds, all threads.
    pub cpu: f64,
    /// The largest peak of resident memory seen, in bytes, the program itself included.
    pub peak: u64,
    /// Bytes of the result.
    pub bytes: u64,
    /// SSIMULACRA2 against the linear-light reference; `None` for animations and cleaned files.
    pub score: Option<f64>,
}

/// One row of the table with everybody's figures.
pub struct Row {
    /// Input and output, for people.
    pub title: &'static str,
    /// In the order of the turns.
    pub figures: Vec<Figures>,
}

impl Row {
    /// The figures of one tool, when it took part.
    pub fn of(&self, kind: Kind) -> Option<&Figures> {
        self.figures.iter().find(|figures| figures.kind == kind)
    }

    /// The lowest CPU time of these.
    fn best(&self, kinds: [Kind; 2]) -> Option<f64> {
        let cpus = kinds.map(|kind| self.of(kind).map(|figures| figures.cpu));
        cpus.into_iter().flatten().min_by(f64::total_cmp)
    }
}

/// What ours must reach in a row.
enum Target {
    /// CPU beside sharp's, with a better score; `fast` at sharp's own score.
    Thumbnail,
    /// A share of the CPU of the better of sharp and oximg; whether memory is limited too.
    Share { of_best: f64, memory: bool },
    /// CPU not above this peer's; whether memory is limited as for an animation.
    Beside { peer: Kind, memory: bool },
    /// CPU of at most 10 ms.
    Clean,
    /// CPU of 100 ms and not above WebP's, in 80 kB at score 75.
    Avif,
}

/// The peak of memory that a still picture may need, in bytes.
const PEAK: u64 = 30_000_000;

/// The same for an animation of any length.
const PEAK_ANIMATION: u64 = 40_000_000;

/// Measures every row and judges it.
///
/// # Errors
/// When a tool fails at a row.
pub fn measure(inputs: &Inputs, tools: &Tools, rounds: u32, report: &mut Report) -> Result<()> {
    let one = std::slice::from_ref;
    let (twelve, twenty_four) = (&inputs.jpeg_12[..], &inputs.jpeg_24[..]);
    let (png, gif) = (one(&inputs.png_8), one(&inputs.gif_125));
    let (earth, large) = (one(&inputs.gif_44), one(&inputs.gif_large));
    let (heic, avif, jxl) = (&inputs.heic_12[..], &inputs.avif_12[..], &inputs.jxl_12[..]);
    let [phone_jpeg, phone_png, phone_webp] = &inputs.private;
    let share = |of_best, memory| Target::Share { of_best, memory };
    let beside = |peer, memory| Target::Beside { peer, memory };
    let (to, clean) = (Task::Variant, Task::Clean);
    #[rustfmt::skip]
    let rows = [
        ("12 MP JPEG to 256 px JPEG", twelve, to(256), "jpg", Target::Thumbnail),
        ("12 MP JPEG to 256 px WebP", twelve, to(256), "webp", Target::Thumbnail),
        ("12 MP JPEG to 1024 px WebP", twelve, to(1024), "webp", share(0.9, true)),
        ("12 MP JPEG to 1024 px AVIF", twelve, to(1024), "avif", Target::Avif),
        ("24 MP JPEG to 1024 px JPEG", twenty_four, to(1024), "jpg", share(0.9, true)),
        ("8 MP PNG to 1024 px WebP", png, to(1024), "webp", share(0.9, false)),
        ("8 MP PNG to full-size WebP", png, to(0), "webp", share(0.9, false)),
        ("12 MP HEIC to 1024 px WebP", heic, to(1024), "webp", beside(Kind::Vips, false)),
        ("12 MP AVIF to 512 px WebP", avif, to(512), "webp", beside(Kind::Sharp, false)),
        ("12 MP JPEG XL to 1024 px WebP", jxl, to(1024), "webp", beside(Kind::Djxl, false)),
        ("640 × 360 × 125 GIF to 320 px WebP", gif, to(320), "webp", beside(Kind::Oximg, true)),
        ("400 × 400 × 44 GIF to full-size WebP", earth, to(0), "webp", beside(Kind::Oximg, true)),
        ("978 × 720 × 125 GIF to full-size WebP", large, to(0), "webp", beside(Kind::Sharp2, true)),
        ("12 MP JPEG cleaned", one(phone_jpeg), clean, "jpg", Target::Clean),
        ("12 MP PNG cleaned", one(phone_png), clean, "png", Target::Clean),
        ("12 MP WebP cleaned", one(phone_webp), clean, "webp", Target::Clean),
    ];
    for (title, sources, task, extension, target) in rows {
        println!("measuring {title}");
        let mut jobs = Vec::new();
        for (number, input) in sources.iter().enumerate() {
            jobs.push(Job {
                input,
                reference: inputs.reference(input, number),
                task,
                extension,
            });
        }
        let row = Row {
            title,
            figures: over_all(tools, &jobs, rounds, &mut report.missing)
                .with_context(|| title.to_owned())?,
        };
        for figures in &row.figures {
            let (name, cpu, peak) = (figures.kind.name(), figures.cpu, figures.peak);
            println!("  {name}: {cpu:.1} ms, {:.1} MB", megabytes(peak));
        }
        judge(&row, &target, report);
        report.rows.push(row);
        if matches!(target, Target::Avif) {
            beside_webp(report);
        }
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

/// Means over jobs of one sort; the peak is the largest. A peer that cannot do the first of them
/// does not take part, and `missing` says why.
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

/// Fails when an animation became a still, which would be cheap.
fn is_whole(kind: Kind, job: &Job<'_>) -> Result<()> {
    let made = fs::read(output(kind, job)?)?;
    let is_still = !made.windows(4).any(|chunk| chunk == b"ANMF");
    anyhow::ensure!(job.source() != "gif" || !is_still, "it made a still of it");
    Ok(())
}

/// A B C A B C …: whatever the machine does meanwhile, it does to everybody.
fn in_turn(tools: &Tools, job: &Job<'_>, kinds: &[Kind], rounds: u32) -> Result<Vec<Figures>> {
    let mut runs: Vec<Vec<Run>> = kinds.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (runs, &kind) in runs.iter_mut().zip(kinds) {
            runs.push(run(tools, kind, job, 3)?);
        }
    }
    // Ours decodes AVIF for the score.
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

/// Reads what a driver prints, or time(1): user and system seconds and kilobytes.
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

fn judge(row: &Row, target: &Target, report: &mut Report) {
    let Some(ours) = row.of(Kind::Ours) else {
        return;
    };
    let mut say = |what: &str, target: &str, got: String, met| {
        report.verdicts.push(Verdict {
            what: format!("{}: {what}", row.title),
            target: target.to_owned(),
            got,
            met,
        });
    };
    let score = |figures: &Figures| figures.score.unwrap_or(f64::NAN);
    match target {
        Target::Thumbnail => {
            if let Some(sharp) = row.of(Kind::Sharp) {
                let ratio = ours.cpu / sharp.cpu;
                let better = score(ours) - score(sharp);
                say(
                    "CPU",
                    "at most 1.2 × sharp",
                    format!("{ratio:.2} ×"),
                    ratio <= 1.2,
                );
                say(
                    "score",
                    "at least 10 above sharp",
                    format!("{better:+.1}"),
                    better >= 10.0,
                );
            }
            if let (Some(fast), Some(sharp)) = (row.of(Kind::OursFast), row.of(Kind::Sharp)) {
                let ratio = fast.cpu / sharp.cpu;
                let better = score(fast) - score(sharp);
                say(
                    "CPU, fast",
                    "at most 1.0 × sharp",
                    format!("{ratio:.2} ×"),
                    ratio <= 1.0,
                );
                say(
                    "score, fast",
                    "at least sharp's",
                    format!("{better:+.1}"),
                    better >= 0.0,
                );
            }
            memory(ours, &mut say);
        }
        Target::Share {
            of_best,
            memory: limited,
        } => {
            let target = format!("at most {of_best} × the better of sharp and oximg");
            if let Some(best) = row.best([Kind::Sharp, Kind::Oximg]) {
                let ratio = ours.cpu / best;
                say("CPU", &target, format!("{ratio:.2} ×"), ratio <= *of_best);
            }
            if let Some(best) = row.best([Kind::Sharp2, Kind::Oximg2]) {
                let ratio = ours.cpu / best;
                let what = "CPU, everybody with WebP method 2";
                say(what, &target, format!("{ratio:.2} ×"), ratio <= *of_best);
            }
            if *limited {
                memory(ours, &mut say);
            }
        }
        Target::Avif => {
            let (cpu, kilobytes) = (ours.cpu, ours.bytes as f64 / 1e3);
            let got = format!("{cpu:.0} ms");
            say("CPU", "at most 100 ms", got, cpu <= 100.0);
            let got = format!("{kilobytes:.0} kB at {:.1}", score(ours));
            let met = kilobytes <= 80.0 && score(ours) >= 74.5;
            say("bytes", "at most 80 kB at a score of 75", got, met);
            if let Some(sharp) = row.of(Kind::Sharp) {
                let ratio = cpu / sharp.cpu;
                let got = format!("{ratio:.2} ×");
                say("CPU beside sharp", "at most 1.0 ×", got, ratio <= 1.0);
            }
        }
        Target::Beside {
            peer,
            memory: limited,
        } => {
            if let Some(theirs) = row.of(*peer) {
                let ratio = ours.cpu / theirs.cpu;
                let target = format!("at most 1.0 × {}", peer.name());
                say("CPU", &target, format!("{ratio:.2} ×"), ratio <= 1.0);
            }
            if *limited {
                let got = format!("{:.1} MB", megabytes(ours.peak));
                let met = ours.peak <= PEAK_ANIMATION;
                say("peak memory", "at most 40 MB", got, met);
            }
        }
        Target::Clean => {
            let got = format!("{:.1} ms", ours.cpu);
            say("CPU", "at most 10 ms", got, ours.cpu <= 10.0);
        }
    }
}

/// Whether an AVIF costs no more than the WebP of the same picture.
fn beside_webp(report: &mut Report) {
    let cpu = |extension: &str| {
        let title = format!("12 MP JPEG to 1024 px {extension}");
        let row = report.rows.iter().find(|row| row.title == title)?;
        Some(row.of(Kind::Ours)?.cpu)
    };
    let (Some(avif), Some(webp)) = (cpu("AVIF"), cpu("WebP")) else {
        return;
    };
    report.verdicts.push(Verdict {
        what: "12 MP JPEG to 1024 px AVIF: CPU beside WebP".into(),
        target: "at most 1.0 × our WebP".into(),
        got: format!("{:.2} ×", avif / webp),
        met: avif <= webp,
    });
}

fn memory(ours: &Figures, say: &mut impl FnMut(&str, &str, String, bool)) {
    let got = format!("{:.1} MB", megabytes(ours.peak));
    say("peak memory", "at most 30 MB", got, ours.peak <= PEAK);
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
}
