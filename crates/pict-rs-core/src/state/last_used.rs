//! When variants were last used, as coarsely as retention needs. Serving records uses only in
//! memory, and rarely; the worker writes them to the database.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::ObjectKey;
use crate::clock::{millis, now};
use crate::config::Config;

/// Uses recorded between two flushes; each takes about 100 bytes.
const PENDING: usize = 32 * 1024;
/// Nothing needs better precision.
const COARSE: Duration = Duration::from_secs(5 * 60);
/// Minimum number of times that a use is recorded within the retention.
const STEPS: u32 = 20;

/// Uses that are not yet in the database.
#[derive(Debug)]
pub(crate) struct LastUsed {
    noted: Mutex<HashMap<ObjectKey, i64>>,
    /// Uses closer together than this count as one, in milliseconds. `None` when they are not
    /// recorded.
    coarse: Option<i64>,
    due: Notify,
}

impl LastUsed {
    pub(crate) fn new(config: &Config) -> Self {
        let retention = config.media.retention.variants.duration();
        let coarse = millis(COARSE.min(retention / STEPS));
        Self {
            noted: Mutex::default(),
            coarse: (!config.server.read_only).then_some(coarse),
            due: Notify::new(),
        }
    }

    /// Uses closer together than this count as one, in milliseconds.
    pub(crate) fn coarse(&self) -> i64 {
        self.coarse.unwrap_or(i64::MAX)
    }

    /// Records the use of a variant whose use was last recorded at `noted_at`. Returns the time to
    /// remember instead. Never waits long, because it is called while serving.
    pub(crate) fn variant(&self, object: &ObjectKey, noted_at: i64) -> i64 {
        let Some(coarse) = self.coarse else {
            return noted_at;
        };
        let now = now();
        if now.saturating_sub(noted_at) < coarse {
            return noted_at;
        }
        let mut noted = self.lock();
        if noted.len() >= PENDING && !noted.contains_key(object) {
            // The worker flushes now, and the next use is recorded.
            self.ring();
            return noted_at;
        }
        noted.insert(object.clone(), now);
        now
    }

    /// Takes all recorded uses.
    pub(crate) fn take(&self) -> Vec<(ObjectKey, i64)> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }

    /// Puts back uses that could not be written.
    pub(crate) fn put_back(&self, taken: &[(ObjectKey, i64)]) {
        let mut noted = self.lock();
        for (object, at) in taken {
            noted.entry(object.clone()).or_insert(*at);
        }
    }

    /// Brings the next sweep forward.
    pub(crate) fn ring(&self) {
        self.due.notify_one();
    }

    /// Completes on the next [`LastUsed::ring`], or at once if it was called since the last wait.
    pub(crate) fn rung(&self) -> Notified<'_> {
        self.due.notified()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, i64>> {
        // A panic while holding the lock leaves a valid map.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pict_rs_media::Format;

    #[test]
    fn notes_are_bounded_and_ring_when_there_is_no_room() {
        let accesses = LastUsed::new(&Config::default());
        let first = ObjectKey::generate(Format::Png);
        let noted = accesses.variant(&first, 0);
        assert!(noted > 0);
        assert_eq!(accesses.variant(&first, noted), noted);
        for _ in 1..PENDING {
            accesses.variant(&ObjectKey::generate(Format::Png), 0);
        }
        assert_eq!(accesses.variant(&ObjectKey::generate(Format::Png), 7), 7);
        assert!(
            accesses.variant(&first, 0) >= noted,
            "has its place already"
        );
        let taken = accesses.take();
        assert_eq!(taken.len(), PENDING);
        assert!(accesses.variant(&ObjectKey::generate(Format::Png), 7) > 7);
        accesses.put_back(&taken[..2]);
        assert_eq!(accesses.take().len(), 3);
    }
}
