//! The clock for removals by age. It follows the system clock, unless that has jumped ahead: a
//! clock that is wrong by years must not make everything expire at once.
//!
//! The latest time is stored in the database. When the system clock is more than a day ahead of it,
//! removals by age use a clock of our own, which continues from the stored time, until the server
//! has run long enough with the new time: for a tenth of the jump, at most a week. So a server that
//! was off over a weekend waits for a few hours.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Result;
use crate::clock::{millis, now};
use crate::repo::Repo;

/// The system clock may be ahead by this without being doubted.
const SLACK: i64 = 24 * 60 * 60 * 1000;
/// The longest time for which the clock is doubted.
const DOUBT: i64 = 7 * 24 * 60 * 60 * 1000;
/// How often the time is stored. What a crash loses is far below the slack.
const PERIOD: Duration = Duration::from_secs(10 * 60);

/// The clock for removals by age.
#[derive(Debug)]
pub(crate) struct RetentionClock {
    state: Mutex<ClockState>,
}

#[derive(Clone, Copy, Debug)]
struct ClockState {
    /// The latest time seen, in unix milliseconds.
    seen: i64,
    /// How long the server has run while the clock was ahead, in milliseconds.
    doubted: i64,
    /// When these were updated.
    at: Instant,
    noted: Option<Instant>,
}

impl RetentionClock {
    /// Continues from the time in the database.
    pub(crate) async fn open(repo: &Repo) -> Result<Self> {
        let (seen, doubted) = repo.last_seen().await?.unwrap_or((now(), 0));
        Ok(Self::new(seen, doubted, Instant::now()))
    }

    fn new(seen: i64, doubted: i64, at: Instant) -> Self {
        let state = ClockState {
            seen,
            doubted,
            at,
            noted: None,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// In unix milliseconds; never later than the system clock.
    pub(crate) fn time(&self) -> i64 {
        self.time_at(now(), Instant::now())
    }

    fn time_at(&self, wall: i64, at: Instant) -> i64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = millis(at.saturating_duration_since(state.at));
        state.at = at;
        let ahead = wall.saturating_sub(state.seen.saturating_add(elapsed));
        if ahead <= SLACK {
            state.doubted = 0;
            // Setting the clock back does not change the latest time seen.
            state.seen = state.seen.max(wall);
            return wall;
        }
        if state.doubted == 0 {
            tracing::warn!(
                days = ahead / SLACK,
                "the clock is ahead of when this server last ran; what is too old is not removed \
                 until the server has run for a while with this clock"
            );
        }
        state.doubted = state.doubted.saturating_add(elapsed.max(1));
        if state.doubted >= (ahead / 10).min(DOUBT) {
            tracing::warn!(
                days = ahead / SLACK,
                "the clock is taken for right now; what is too old by it is removed"
            );
            state.doubted = 0;
            state.seen = wall;
        } else {
            state.seen = state.seen.saturating_add(elapsed);
        }
        state.seen
    }

    /// Stores the time in the database, every [`PERIOD`] or with `is_last`.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn note(&self, repo: &Repo, is_last: bool) -> Result<()> {
        self.time();
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_last && state.noted.is_some_and(|at| at.elapsed() < PERIOD) {
            return Ok(());
        }
        repo.set_last_seen((state.seen, state.doubted)).await?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.noted = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60 * 1000;
    const YEAR: i64 = 365 * 24 * HOUR;

    /// Steps of hours that pass and of what the clock shows then; returns the times used.
    fn told(steps: &[(i64, i64)]) -> Vec<i64> {
        let start = Instant::now();
        let clock = RetentionClock::new(0, 0, start);
        let mut passed = 0;
        let step = |(hours, wall): &(i64, i64)| {
            passed += hours * HOUR;
            let at = start + Duration::from_millis(passed.unsigned_abs());
            clock.time_at(*wall, at)
        };
        steps.iter().map(step).collect()
    }

    #[test]
    fn a_clock_that_runs_is_followed_however_long_nothing_asked() {
        assert_eq!(
            told(&[
                (1, HOUR),
                (48, 49 * HOUR),
                (900, 949 * HOUR),
                (0, 970 * HOUR)
            ]),
            [HOUR, 49 * HOUR, 949 * HOUR, 970 * HOUR]
        );
    }

    #[test]
    fn a_jump_of_years_counts_only_once_the_server_has_run_with_it_for_a_week() {
        let steps: Vec<_> = (0..170).map(|hour| (1, YEAR + hour * HOUR)).collect();
        let told = told(&steps);
        assert_eq!(told[0], HOUR);
        assert_eq!(told[166], 167 * HOUR);
        assert_eq!(told[169], YEAR + 169 * HOUR);
    }

    #[test]
    fn a_jump_that_is_corrected_leaves_nothing_behind() {
        assert_eq!(
            told(&[
                (1, 70 * YEAR),
                (1, 70 * YEAR + HOUR),
                (1, 3 * HOUR),
                (1, 4 * HOUR)
            ]),
            [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR]
        );
        // A machine that boots without knowing the time.
        assert_eq!(
            told(&[(1, HOUR), (1, -50 * YEAR), (1, 3 * HOUR)]),
            [HOUR, -50 * YEAR, 3 * HOUR]
        );
    }

    #[test]
    fn after_a_weekend_off_it_is_a_matter_of_hours() {
        let steps: Vec<_> = (0..7).map(|hour| (1, (50 + hour) * HOUR)).collect();
        let told = told(&steps);
        assert_eq!(told[0], HOUR);
        assert_eq!(told[6], 56 * HOUR);
    }
}
