//! When variants and contents were last used, as coarsely as retention and people need. Serving records
//! uses only in memory, and rarely; the worker writes them to the database.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::clock::{millis, now};
use crate::config::Config;
use crate::{ContentKey, ObjectKey};

/// Uses recorded between two flushes, of variants and of contents; each takes about 100 bytes.
const PENDING: usize = 32 * 1024;
/// Retention needs no better precision.
const COARSE: Duration = Duration::from_secs(5 * 60);
/// Minimum number of times that a use is recorded within the retention.
const STEPS: u32 = 20;
/// Uses of a content this close together count as one.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Uses that are not yet in the database.
#[derive(Debug)]
pub(crate) struct LastUsed {
    /// Of variants, by their objects.
    pub(crate) variants: Uses<ObjectKey>,
    /// Of contents: of originals, and of all variants.
    pub(crate) contents: Uses<ContentKey>,
    due: Notify,
}

impl LastUsed {
    pub(crate) fn new(config: &Config) -> Self {
        let retention = config.media.retention.variants.duration();
        let coarse = |coarse| (!config.server.read_only).then_some(millis(coarse));
        Self {
            variants: Uses::new(coarse(COARSE.min(retention / STEPS))),
            contents: Uses::new(coarse(DAY)),
            due: Notify::new(),
        }
    }

    /// Records the use of a variant whose use was last recorded at `noted_at`. Returns the time to
    /// remember instead. Never waits long, because it is called while serving.
    pub(crate) fn variant(&self, object: &ObjectKey, noted_at: i64) -> i64 {
        self.noted(&self.variants, object, noted_at)
    }

    /// As [`Self::variant`], of a content.
    pub(crate) fn content(&self, hash: &ContentKey, noted_at: i64) -> i64 {
        self.noted(&self.contents, hash, noted_at)
    }

    fn noted<K: Clone + Eq + Hash>(&self, uses: &Uses<K>, key: &K, noted_at: i64) -> i64 {
        uses.note(key, noted_at).unwrap_or_else(|| {
            // The worker flushes now, and the next use is recorded.
            self.ring();
            noted_at
        })
    }

    /// Brings the next sweep forward.
    pub(crate) fn ring(&self) {
        self.due.notify_one();
    }

    /// Completes on the next [`LastUsed::ring`], or at once if it was called since the last wait.
    pub(crate) fn rung(&self) -> Notified<'_> {
        self.due.notified()
    }
}

/// Uses of one kind.
#[derive(Debug)]
pub(crate) struct Uses<K> {
    noted: Mutex<HashMap<K, i64>>,
    /// Uses closer together than this count as one, in milliseconds. `None` when they are not
    /// recorded.
    coarse: Option<i64>,
}

impl<K: Clone + Eq + Hash> Uses<K> {
    fn new(coarse: Option<i64>) -> Self {
        Self {
            noted: Mutex::default(),
            coarse,
        }
    }

    /// Uses closer together than this count as one, in milliseconds.
    pub(crate) fn coarse(&self) -> i64 {
        self.coarse.unwrap_or(i64::MAX)
    }

    /// Takes all recorded uses.
    pub(crate) fn take(&self) -> Vec<(K, i64)> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }

    /// Puts back uses that could not be written.
    pub(crate) fn put_back(&self, taken: &[(K, i64)]) {
        let mut noted = self.lock();
        for (key, at) in taken {
            noted.entry(key.clone()).or_insert(*at);
        }
    }

    /// When a use was recorded that is not in the database yet.
    pub(crate) fn noted_at(&self, key: &K) -> Option<i64> {
        self.lock().get(key).copied()
    }

    /// The time to remember; `None` when the use does not fit.
    fn note(&self, key: &K, noted_at: i64) -> Option<i64> {
        let Some(coarse) = self.coarse else {
            return Some(noted_at);
        };
        let now = now();
        if now.saturating_sub(noted_at) < coarse {
            return Some(noted_at);
        }
        let mut noted = self.lock();
        if noted.len() >= PENDING && !noted.contains_key(key) {
            return None;
        }
        noted.insert(key.clone(), now);
        Some(now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, i64>> {
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
        let uses = LastUsed::new(&Config::default());
        let first = ObjectKey::generate(Format::Png);
        let noted = uses.variant(&first, 0);
        assert!(noted > 0);
        assert_eq!(uses.variant(&first, noted), noted);
        for _ in 1..PENDING {
            uses.variant(&ObjectKey::generate(Format::Png), 0);
        }
        assert_eq!(uses.variant(&ObjectKey::generate(Format::Png), 7), 7);
        assert!(uses.variant(&first, 0) >= noted, "has its place already");
        let taken = uses.variants.take();
        assert_eq!(taken.len(), PENDING);
        assert!(uses.variant(&ObjectKey::generate(Format::Png), 7) > 7);
        uses.variants.put_back(&taken[..2]);
        assert_eq!(uses.variants.take().len(), 3);
    }
}
