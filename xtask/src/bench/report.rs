//! The document: measured values, targets met or missed, and the method.

use std::{fmt::Write as _, fs};

use anyhow::Result;

use super::{
    inputs::Inputs,
    peers::{Kind, Tools},
};
use crate::command;
use crate::measure::megabytes;

/// A target and its result.
pub struct Verdict {
    /// What was measured.
    pub what: String,
    /// The required value.
    pub target: String,
    /// The measured value.
    pub got: String,
    /// Whether the target is met.
    pub met: bool,
}

/// The results of one tool for one row.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The tool.
    pub kind: Kind,
    /// Median CPU time of all threads, in milliseconds.
    pub cpu: f64,
    /// The largest peak of resident memory, in bytes, including the program itself.
    pub peak: u64,
    /// Size of the result in bytes.
    pub bytes: u64,
    /// SSIMULACRA2 against the linear-light reference; `None` for animations and cleaned files.
    pub score: Option<f64>,
}

/// One row of the table, with the results of all tools.
pub struct Row {
    /// Input and output, for people.
    pub title: String,
    /// In the order of the turns.
    pub figures: Vec<Figures>,
}

impl Row {
    /// The results of one tool, if it took part.
    pub fn of(&self, kind: Kind) -> Option<&Figures> {
        self.figures.iter().find(|figures| figures.kind == kind)
    }
}

/// Means over the photographs, for one peer and one format.
pub struct Curve {
    /// `JPEG` or `WebP`.
    pub format: &'static str,
    /// The peer.
    pub peer: Kind,
    /// The peer's size at quality 80, in bytes.
    pub bytes: f64,
    /// The peer's score there.
    pub score: f64,
    /// The score of ours at the same size, if it took part.
    pub ours: Option<f64>,
}

/// All results.
pub struct Report {
    /// Results of one picture at a time.
    pub rows: Vec<Row>,
    /// Score at equal bytes.
    pub curves: Vec<Curve>,
    /// All targets, in the order measured.
    pub verdicts: Vec<Verdict>,
    /// Further sections with their own tables.
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
    /// When the date cannot be determined.
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
                let title = if index == 0 { &row.title } else { "" };
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

/// Explains the missed targets of the committed run; must be reviewed when the values change.
const MISSED: &str = include_str!("missed.md");

const METHOD: &str = include_str!("method.md");

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.digits$}"))
}

/// The processor's family as reported by the kernel, without its model number.
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
