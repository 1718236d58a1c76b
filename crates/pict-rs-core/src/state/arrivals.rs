//! What is being brought from the server that this one takes over from: flights that requests join,
//! aliases that it does not know, and the state of the run.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::state::flights::Flights;
use crate::state::pace::Pace;
use crate::{Alias, Error, ErrorCode};

/// Unknown aliases remembered; each takes about 200 bytes.
const ABSENT: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("not zero");
/// How long the other server is not asked again for an alias that it does not know.
const ABSENT_FOR: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(crate) struct Arrivals {
    flights: Flights<Alias, bool>,
    memory: Mutex<Notes>,
    /// Of the files that the run copies.
    pace: Pace,
    /// Whether everything is here, so that the other server need not be asked.
    is_complete: AtomicBool,
    deletions: Notify,
}

#[derive(Debug)]
struct Notes {
    absent: LruCache<Alias, Instant>,
    /// Why the last step failed.
    trouble: Option<(ErrorCode, String)>,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            flights: Flights::default(),
            memory: Mutex::new(Notes {
                absent: LruCache::new(ABSENT),
                trouble: None,
            }),
            pace: Pace::default(),
            is_complete: AtomicBool::new(false),
            deletions: Notify::new(),
        }
    }
}

impl Arrivals {
    /// The flights that bring aliases; their result is whether the alias is here now.
    pub(crate) fn flights(&self) -> &Flights<Alias, bool> {
        &self.flights
    }

    /// Whether everything is here.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    pub(crate) fn set_complete(&self, is_complete: bool) {
        self.is_complete.store(is_complete, Ordering::Release);
    }

    /// Whether the other server said recently that it does not know the alias.
    pub(crate) fn is_absent(&self, alias: &Alias) -> bool {
        let mut memory = self.lock();
        let until = memory.absent.get(alias).copied();
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Remembers for a while that the other server does not know the alias.
    pub(crate) fn is_not_there(&self, alias: &Alias) {
        let until = Instant::now() + ABSENT_FOR;
        self.lock().absent.push(alias.clone(), until);
    }

    /// Why the run does not proceed; `None` when it does.
    pub(crate) fn trouble(&self) -> Option<(ErrorCode, String)> {
        self.lock().trouble.clone()
    }

    /// Records the result of a step.
    pub(crate) fn note(&self, failure: Option<&Error>) {
        self.lock().trouble = failure.map(|error| (error.code(), error.to_string()));
    }

    /// Called after aliases were deleted here.
    pub(crate) fn deleted(&self) {
        self.deletions.notify_one();
    }

    /// Completes with the next deletion, or at once if there was one since the last wait.
    pub(crate) fn next_deletion(&self) -> Notified<'_> {
        self.deletions.notified()
    }

    /// Takes the time of the next copy, with at most `rate` of them per second; 0 is unlimited.
    pub(crate) fn turn(&self, rate: u64) -> Instant {
        self.pace.turn(rate)
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        // Each change under the lock is a single assignment or insertion.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_alias_is_remembered_alone() {
        let arrivals = Arrivals::default();
        let alias = |name: &str| Alias::parse(name).expect("valid");
        assert!(!arrivals.is_absent(&alias("a.png")));
        arrivals.is_not_there(&alias("a.png"));
        assert!(arrivals.is_absent(&alias("a.png")));
        assert!(!arrivals.is_absent(&alias("b.png")));
    }
}
