//! What the budget of the disk remembers between requests: files that are about to be stored, and how
//! near its end the budget was when it was last looked at.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Semaphore, SemaphorePermit};

/// How much of the budget is left beside the uploads, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scarcity {
    /// Everything is taken in.
    None,
    /// Proxied media are taken in slowly.
    Slow,
    /// No new proxied media are taken in.
    UploadsOnly,
    /// Nothing is taken in.
    Full,
}

impl Scarcity {
    const ALL: [Self; 4] = [Self::None, Self::Slow, Self::UploadsOnly, Self::Full];
}

/// See the module.
#[derive(Debug)]
pub(crate) struct DiskBudget {
    /// Bytes of files that were admitted and that no row names yet.
    admitted: Arc<AtomicU64>,
    /// An index of [`Scarcity::ALL`].
    scarcity: AtomicU8,
    /// Held while a batch is dropped.
    dropping: AsyncMutex<()>,
    /// Held while a fetch waits because the budget is scarce.
    slow: Semaphore,
}

impl Default for DiskBudget {
    fn default() -> Self {
        Self {
            admitted: Arc::default(),
            scarcity: AtomicU8::new(0),
            dropping: AsyncMutex::default(),
            slow: Semaphore::new(1),
        }
    }
}

impl DiskBudget {
    /// Counts a file until its row is committed or it is given up.
    pub(crate) fn admit(&self, size: u64) -> Admitted {
        let before = self.admitted.fetch_add(size, Ordering::AcqRel);
        Admitted {
            all: Arc::clone(&self.admitted),
            size,
            before,
        }
    }

    /// Bytes of files that were admitted and that no row names yet.
    pub(crate) fn admitted(&self) -> u64 {
        self.admitted.load(Ordering::Acquire)
    }

    /// As of the last look.
    pub(crate) fn scarcity(&self) -> Scarcity {
        Scarcity::ALL[usize::from(self.scarcity.load(Ordering::Relaxed)) % Scarcity::ALL.len()]
    }

    /// Records a look. Returns what was recorded before.
    pub(crate) fn found(&self, scarcity: Scarcity) -> Scarcity {
        let before = self.scarcity.swap(scarcity as u8, Ordering::Relaxed);
        Scarcity::ALL[usize::from(before) % Scarcity::ALL.len()]
    }

    /// Waits until no other batch is being dropped.
    pub(crate) async fn dropping(&self) -> AsyncMutexGuard<'_, ()> {
        self.dropping.lock().await
    }

    /// Waits for a turn among slow fetches, for at most `patience`.
    pub(crate) async fn slow_turn(&self, patience: Duration) -> Option<SemaphorePermit<'_>> {
        let turn = tokio::time::timeout(patience, self.slow.acquire()).await;
        turn.ok()?.ok()
    }
}

/// A file that counts although no row names it yet. Dropping this ends that.
#[derive(Debug)]
pub(crate) struct Admitted {
    all: Arc<AtomicU64>,
    size: u64,
    before: u64,
}

impl Admitted {
    /// Its bytes and those that came before it. So of two files of which only one fits, one is taken in.
    pub(crate) fn with_earlier(&self) -> u64 {
        let now = self.all.load(Ordering::Acquire);
        now.min(self.before.saturating_add(self.size))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.all.fetch_sub(self.size, Ordering::AcqRel);
    }
}

/// The day whose sums were recorded last, and when.
#[derive(Debug, Default)]
pub(crate) struct DayNoted(Mutex<Option<(i64, Instant)>>);

impl DayNoted {
    /// Whether the sums of `day` are to be recorded: on a new day, or `period` after the last time.
    pub(crate) fn is_due(&self, day: i64, period: Duration) -> bool {
        let noted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.is_none_or(|(last, at)| last != day || at.elapsed() >= period)
    }

    /// Records that they were.
    pub(crate) fn noted(&self, day: i64) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = Some((day, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_until_it_is_dropped() {
        let budget = DiskBudget::default();
        let first = budget.admit(100);
        let second = budget.admit(20);
        assert_eq!(budget.admitted(), 120);
        assert_eq!((first.with_earlier(), second.with_earlier()), (100, 120));
        drop(first);
        assert_eq!(second.with_earlier(), 20);
        assert_eq!(budget.admitted(), 20);
        drop(second);
        assert_eq!(budget.admitted(), 0);
    }

    #[test]
    fn scarcity_is_what_was_found_last() {
        let budget = DiskBudget::default();
        assert_eq!(budget.scarcity(), Scarcity::None);
        for (before, now) in [
            (Scarcity::None, Scarcity::Full),
            (Scarcity::Full, Scarcity::Slow),
            (Scarcity::Slow, Scarcity::UploadsOnly),
        ] {
            assert_eq!(budget.found(now), before);
            assert_eq!(budget.scarcity(), now);
        }
    }

    #[test]
    fn a_day_is_due_once_a_period_and_when_it_begins() {
        let noted = DayNoted::default();
        let hour = Duration::from_secs(3600);
        assert!(noted.is_due(7, hour));
        noted.noted(7);
        assert!(!noted.is_due(7, hour));
        assert!(noted.is_due(7, Duration::ZERO));
        assert!(noted.is_due(8, hour));
    }
}
