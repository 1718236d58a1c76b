//! How far a long command has come: a bar on a terminal, lines in the log elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines of the log.
const PAUSE: Duration = Duration::from_secs(5);

/// The progress of one phase.
pub struct Progress {
    phase: &'static str,
    bar: Option<ProgressBar>,
    /// When a line was logged last.
    logged: Mutex<Option<Instant>>,
}

impl Progress {
    /// `phase` is what is done, e.g. `copying`.
    pub fn new(phase: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}");
            let bar = ProgressBar::new(0).with_prefix(phase);
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self {
            phase,
            bar,
            logged: Mutex::new(None),
        }
    }

    /// `done` of `total` are done, the last of them in `part`.
    pub fn report(&self, part: &str, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(part.to_owned());
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|last| last.elapsed() > PAUSE) {
            *logged = Some(Instant::now());
            tracing::info!(part, done, total, "{}", self.phase);
        }
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
