//! One line for each check, and a summary.

use std::{fmt, time::Instant};

use anyhow::Result;

/// The results so far.
#[derive(Default)]
pub struct Report {
    passed: u32,
    failed: u32,
}

impl Report {
    /// Runs a check and prints its result; `None` if it failed.
    pub fn step<T>(&mut self, what: &str, ask: impl FnOnce() -> Result<T>) -> Option<T> {
        let started = Instant::now();
        match ask() {
            Ok(answer) => {
                let seconds = started.elapsed().as_secs_f64();
                println!("ok   {what} ({seconds:.1} s)");
                self.passed += 1;
                Some(answer)
            }
            Err(error) => {
                println!("FAIL {what}");
                for line in format!("{error:#}").lines() {
                    println!("     {line}");
                }
                self.failed += 1;
                None
            }
        }
    }

    /// Whether there were checks and all passed.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flake: {} passed, {} failed", self.passed, self.failed)
    }
}
