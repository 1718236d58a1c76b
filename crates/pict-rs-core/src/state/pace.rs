//! A bound on how often something is begun.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<Instant>);

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Pace {
    /// Takes the time of the next turn, with at most `rate` of them per second; 0 is unlimited.
    pub(crate) fn turn(&self, rate: u64) -> Instant {
        let now = Instant::now();
        let Some(pause) =
            Duration::from_secs(1).checked_div(u32::try_from(rate).unwrap_or(u32::MAX))
        else {
            return now;
        };
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now);
        *next = turn + pause;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_keep_to_their_rate() {
        let pace = Pace::default();
        let turns: Vec<_> = (0..3).map(|_| pace.turn(10)).collect();
        let pause = Duration::from_millis(100);
        assert!(turns.windows(2).all(|pair| pair[1] - pair[0] >= pause));
        let before = Instant::now();
        let unlimited = pace.turn(0);
        assert!(before <= unlimited && unlimited <= Instant::now());
    }
}
