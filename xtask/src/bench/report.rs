//! The document: figures as they were measured, targets met or missed, and how it was done.

use std::{fmt::Write as _, fs};

use anyhow::Result;

use super::{
    inputs::Inputs,
    peers::{Kind, Tools},
    quality::Curve,
    work::Row,
};
use crate::command;
use crate::measure::megabytes;

/// A target and what was reached.
pub struct Verdict {
    /// What was measured.
    pub what: String,
    /// What it must reach.
    pub target: String,
    /// What it reached.
    pub got: String,
    /// Whether that is enough.
    pub met: bool,
}

/// Everything that was found out.
pub struct Report {
    /// One picture at a time.
    pub rows: Vec<Row>,
    /// Score at equal bytes.
    pub curves: Vec<Curve>,
    /// All targets, in the order of measuring.
    pub verdicts: Vec<Verdict>,
    /// Sections with tables of their own.
    pub sections: Vec<String>,
    /// What could not be measured, and why.
    pub missing: Vec<String>,
    head: String,
    method: String,
}

impl Report {
    /// A report without figures yet.
    ///
    /// # Errors
    /// When the date cannot be had.
    pub fn new(inputs: &Inputs, tools: &Tools, rounds: u32) -> Result<Self> {
        let date = command::output(command::new("date").args(["-u", "+%Y-%m-%d"]))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let head = format!(
            "Measured on {} on {cores} cores of {}, Linux {}, with {}.\n",
            date.trim(),
            processor(),
            architecture(),
            tools.versions.join(", "),
        );
        let mut method = METHOD.replace("ROUNDS", &rounds.to_string());
        for note in &inputs.notes {
            let _ = writeln!(method, "- {note}");
        }
        Ok(Self {
            rows: Vec::new(),
            curves: Vec::new(),
            verdicts: Vec::new(),
            sections: Vec::new(),
            missing: tools.missing.clone(),
            head,
            method,
        })
    }

    /// The whole document.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "# Benchmarks\n\nWritten by `cargo xtask bench`; run it on your own machine. \
             Compare figures of one run only.\n",
        );
        text += &self.head;
        for missing in &self.missing {
            let _ = writeln!(text, "\nNot measured: {missing}.");
        }
        text.push('\n');
        self.write_targets(&mut text);
        self.write_rows(&mut text);
        self.write_curves(&mut text);
        text += &self.sections.concat();
        text + MISSED + &self.method
    }

    fn write_targets(&self, text: &mut String) {
        if self.verdicts.is_empty() {
            return;
        }
        let met = self.verdicts.iter().filter(|verdict| verdict.met).count();
        let _ = writeln!(text, "## Targets: {met} of {} met\n", self.verdicts.len());
        *text += "| what | target | measured | |\n| --- | --- | --- | --- |\n";
        for verdict in &self.verdicts {
            let word = if verdict.met { "met" } else { "**missed**" };
            let Verdict {
                what, target, got, ..
            } = verdict;
            let _ = writeln!(text, "| {what} | {target} | {got} | {word} |");
        }
        text.push('\n');
    }

    fn write_rows(&self, text: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        *text += "## One picture at a time\n\n\
                  | work | tool | CPU ms | × sharp | peak MB | kB | SSIMULACRA2 |\n\
                  | --- | --- | ---: | ---: | ---: | ---: | ---: |\n";
        for row in &self.rows {
            let sharp = row.of(Kind::Sharp).map(|figures| figures.cpu);
            for (index, figures) in row.figures.iter().enumerate() {
                let title = if index == 0 { row.title } else { "" };
                let name = figures.kind.name();
                let ratio = optional(sharp.map(|sharp| figures.cpu / sharp), 2);
                let (peak, kilobytes) = (megabytes(figures.peak), figures.bytes as f64 / 1e3);
                let score = optional(figures.score, 1);
                let _ = writeln!(
                    text,
                    "| {title} | {name} | {:.1} | {ratio} | {peak:.1} | {kilobytes:.1} | {score} |",
                    figures.cpu
                );
            }
        }
        text.push('\n');
    }

    fn write_curves(&self, text: &mut String) {
        if self.curves.is_empty() {
            return;
        }
        *text += "## Score at equal bytes\n\n\
                  Six photographs at 640 px, means; the peer at quality 80.\n\n\
                  | format | peer | kB | the peer's score | pict-rs at the same bytes |\n\
                  | --- | --- | ---: | ---: | ---: |\n";
        for curve in &self.curves {
            let Curve {
                format,
                peer,
                bytes,
                score,
                ours,
            } = curve;
            let (peer, kilobytes, ours) = (peer.name(), bytes / 1e3, optional(*ours, 1));
            let _ = writeln!(
                text,
                "| {format} | {peer} | {kilobytes:.1} | {score:.1} | {ours} |"
            );
        }
        text.push('\n');
    }
}

/// Of the run in the repository; to be read again when the figures change.
const MISSED: &str = "## Where targets are missed, and why

- **10 points above sharp at 256 px.** Seven to ten points on hard textures; on soft photographs the
  JPEG and WebP coders at quality 80 set the limit for everybody, and the resampler's gain drowns in it.
- **24 MP JPEG to 1024 px.** Most of the time is libjpeg's entropy decoding, which sharp pays as well.
  sharp lets the decoder shrink by 4, which costs sharpness; so does `media.fast`, which meets the target.
- **Everybody with WebP method 2, full size.** Then all of the time is libwebp's, ours and theirs.
- **Score at equal bytes, JPEG.** oximg spends trellis quantisation on it, several times our encoder's
  CPU. `auto_optimize` of our encoder would make 9 % smaller files for 12 times the encoder's time.
- **Score at equal bytes, WebP.** Equal to the first decimal.
- **AVIF beside WebP.** Equal within what two runs differ by.
- **Peak of the large animation.** Its file has 40.7 MB and is held in memory, so 28.5 MB are ours.
- **Server at rest.** It was 10.6 MB before downloads, TLS, metrics and most formats. A static binary for
  amd64, which needs no relocation, takes 13.4 MB (once, by hand): 10.1 MB are pages of the program itself.
- **Upload of a turned photograph.** Its coefficients are decoded, turned and coded again, without loss.
- **Warm variant beside nginx.** nginx keeps files open; we open the file for each answer, so that one
  that is gone is noticed at once.

## What this run does not tell

- The existing pict-rs was not run as a server. ImageMagick stands for its media work.
- Millions of aliases have a part of their own, `cargo xtask bench --only scale`; how the server stands
  256 clients at once: `cargo xtask load`. What they and other trials showed stands in
  [testing.md](testing.md#measured-by-hand).
- One machine, its own disk, clients on the same machine, a native build. Static binaries, ARM,
  networks and slow disks were not measured.

";

const METHOD: &str = "## How it is measured

- Tools take turns, ROUNDS rounds; medians are shown. CPU is that of the whole process, all
  threads, user and system, around one transform from bytes in memory to bytes in memory, three times
  per turn after one to warm up. Reading the file and starting the program (node, too) are not counted.
- ImageMagick is a program that is started for each picture by the existing pict-rs, so for it
  the whole run counts, with the arguments that pict-rs gives (`-strip -auto-orient
  -filter Lanczos2 -resize`) and one thread; its CPU time is read from time(1), in steps of 10 ms.
- JPEG and WebP are at quality 80 everywhere, so look at bytes and score beside CPU. WebP's method (its
  effort, 0 to 6) is 4 for sharp and ImageMagick by default and 2 for oximg, so sharp and oximg are measured with both;
  ours is 4 up to half a megapixel, 2 above that, in animations and for `fast`. sharp runs with one thread and without its cache; JPEG is 4:2:0 everywhere.
- Everybody shrinks with Lanczos-3 (ours by `resize=Lanczos.N`), but ImageMagick with Lanczos-2.
- Peak memory is the kernel's VmHWM after the first transform, the program and its source in memory
  included (for sharp that is node as well, some 45 MB).
- The score is SSIMULACRA2 (crate fast-ssim2) against the source shrunk in linear light with Lanczos-3
  in double precision, by code that no tool under test shares. sharp and ImageMagick shrink in gamma light,
  which this reference counts as a loss. Animations are not scored.
- \"Equal bytes\": ours is encoded at eight qualities, and its score is read at the peer's size on the line
  between two of them.
- Uploads: nine different files, median of the last eight, each beside a plain write, fsync,
  rename and fsync of the folder. nginx serves the same bytes with sendfile, an open-file cache and
  no log; wrk asks both in turn for four seconds, on the same cores.
- Millions of aliases: a database filled by SQL, each alias with a content of its own, in random order
  in every index, 2.8 GB for 5 million; the system has read it once before. Times are those of one client
  over one connection that stays open, for 20,000 random aliases, most of which the server's memory of
  4,096 does not know. Start-up is from the start of the
  process to the answer of /healthz, the median of five.

Pictures:

";

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.digits$}"))
}

/// The processor's family as the kernel names it, without its place in a price list.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = name
        .and_then(|rest| rest.split_once(':'))
        .map(|(_, name)| name.trim());
    name.unwrap_or("an unnamed processor").to_owned()
}

fn architecture() -> &'static str {
    std::env::consts::ARCH
}
