//! How far a long step is: a line that is redrawn on a terminal, elsewhere a line now and then.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::command;

/// How often the line on a terminal is redrawn.
const REDRAWN: Duration = Duration::from_secs(1);
/// How often a line is printed elsewhere.
const REPEATED: Duration = Duration::from_secs(60);

/// A step that takes long.
pub struct Progress {
    name: String,
    started: Instant,
    shown: Instant,
    state: String,
    is_terminal: bool,
}

impl Progress {
    /// Begins a step.
    pub fn begin(name: impl Into<String>) -> Self {
        let now = Instant::now();
        Self {
            name: name.into(),
            started: now,
            shown: now,
            state: String::new(),
            is_terminal: io::stdout().is_terminal(),
        }
    }

    /// Runs the command and follows its output. What tells nothing about progress is passed on.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub fn follow(&mut self, command: &mut Command) -> Result<()> {
        let outcome = command::follow(command, REDRAWN, |line| match line {
            None => self.show(),
            Some(line) => match Note::of(line) {
                Note::State(state) => {
                    self.state = state;
                    self.show();
                }
                Note::Chatter => {}
                Note::Other => {
                    self.clear();
                    println!("{line}");
                }
            },
        });
        self.clear();
        outcome
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn show(&mut self) {
        let pause = if self.is_terminal { REDRAWN } else { REPEATED };
        if self.state.is_empty() || self.shown.elapsed() < pause {
            return;
        }
        self.shown = Instant::now();
        let line = format!(
            "{}: {}, after {}",
            self.name,
            self.state,
            readable(self.elapsed())
        );
        if self.is_terminal {
            // Shorter than any usual terminal: a line that wraps could not be redrawn.
            let short: String = line.chars().take(78).collect();
            print!("\r\x1b[K{short}");
            let _ = io::stdout().flush();
        } else {
            println!("{line}");
        }
    }

    fn clear(&self) {
        if self.is_terminal {
            print!("\r\x1b[K");
            let _ = io::stdout().flush();
        }
    }
}

/// Makes a cargo command tell its progress although no terminal reads it.
pub fn of_cargo(command: &mut Command) -> &mut Command {
    command
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "100")
        .env("CARGO_TERM_COLOR", "never")
}

/// What a line of cargo, cmake or make tells.
#[derive(Debug, PartialEq)]
enum Note {
    State(String),
    Chatter,
    Other,
}

impl Note {
    fn of(line: &str) -> Self {
        // Cargo erases its bar with this before it prints another line.
        let line = line.trim_start_matches("\x1b[K").trim();
        if let Some(state) = of_cargo_bar(line).or_else(|| of_make(line)) {
            return Self::State(state);
        }
        let first = line.split(' ').next().unwrap_or_default();
        let chatter = [
            "",
            "Compiling",
            "Downloaded",
            "Downloading",
            "Finished",
            "Fresh",
            "Installed",
            "Installing",
            "Locking",
            "Updating",
        ];
        if chatter.contains(&first) {
            return Self::Chatter;
        }
        Self::Other
    }
}

/// `Building [====>   ] 12/345: serde, tokio` or `Fetch [==>  ] 53 complete; 30 pending`
fn of_cargo_bar(line: &str) -> Option<String> {
    if let Some(fetched) = line.strip_prefix("Fetch [") {
        let (_, counts) = fetched.split_once("] ")?;
        return Some(format!("fetching crates, {counts}"));
    }
    let (_, rest) = line.strip_prefix("Building [")?.split_once("] ")?;
    let (count, crates) = rest.split_once(':').unwrap_or((rest, ""));
    let (done, all) = count.trim().split_once('/')?;
    // At the right edge cargo cuts the list of crates off.
    let names: Vec<_> = crates
        .split(',')
        .map(|name| name.trim().trim_end_matches('.'))
        .filter(|name| !name.is_empty())
        .take(2)
        .collect();
    let state = format!("{done} of {all} compiled");
    match names.is_empty() {
        true => Some(state),
        false => Some(format!("{state}, now {}", names.join(" and "))),
    }
}

/// `[ 45%] Building C object CMakeFiles/aom_av1.dir/av1.c.o`
fn of_make(line: &str) -> Option<String> {
    let (percent, _) = line.strip_prefix('[')?.split_once("%]")?;
    let percent: u8 = percent.trim().parse().ok()?;
    Some(format!("{percent} % compiled"))
}

/// Minutes and seconds.
pub fn readable(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes => format!("{minutes} min {:02} s", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_cargo_and_make_tell_how_far_they_are() {
        let state = |text: &str| Note::State(text.to_owned());
        for (line, expected) in [
            (
                "    Building [=====>      ] 12/345: serde, tokio(build), syn",
                state("12 of 345 compiled, now serde and tokio(build)"),
            ),
            ("Building [=> ] 1/2: ...", state("1 of 2 compiled")),
            ("\x1b[K    Building [=> ] 1/2", state("1 of 2 compiled")),
            (
                "Fetch [==>   ] 53 complete; 30 pending     ",
                state("fetching crates, 53 complete; 30 pending"),
            ),
            ("[ 45%] Building C object a.o", state("45 % compiled")),
            ("   Compiling serde v1.0.0", Note::Chatter),
            ("    Finished `release` profile", Note::Chatter),
            ("", Note::Chatter),
            ("error: Building [something] else", Note::Other),
            ("warning: unused", Note::Other),
            ("[45] a note", Note::Other),
        ] {
            assert_eq!(Note::of(line), expected, "{line}");
        }
    }

    #[test]
    fn long_times_are_given_in_minutes() {
        assert_eq!(readable(Duration::from_secs(59)), "59 s");
        assert_eq!(readable(Duration::from_secs(60)), "1 min 00 s");
        assert_eq!(readable(Duration::from_secs(3725)), "62 min 05 s");
    }
}
