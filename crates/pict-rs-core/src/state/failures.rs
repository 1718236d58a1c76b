//! What could not be made or taken in, and would fail in the same way if it were tried again at once.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::{ContentKey, Digest, Error, ErrorCode, VariantKey};

/// Variants, or files, that are remembered; each takes less than a KiB.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
/// How long. A time-out may be due to a busy machine, so it is not for ever. Answers with these errors
/// tell clients to come back after it.
const LIFETIME: Duration = Duration::from_secs(60);

/// Failures of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Of a content, and of a variant of it.
    pub(crate) variants: Failed<(ContentKey, VariantKey)>,
    /// Of a file as it was sent, and what was wanted with it.
    pub(crate) files: Failed<(Digest, String)>,
}

/// Failures of one kind.
#[derive(Debug)]
pub(crate) struct Failed<K: Hash + Eq>(Mutex<LruCache<K, (Instant, Arc<Error>)>>);

impl<K: Hash + Eq> Default for Failed<K> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl<K: Hash + Eq> Failed<K> {
    /// The error of the last attempt, if another one would cost as much and end in the same way.
    pub(crate) fn last(&self, key: &K) -> Option<Error> {
        let mut failed = self.lock();
        let (since, error) = failed.get(key)?;
        (since.elapsed() < LIFETIME).then(|| Error::shared(error.clone()))
    }

    /// Remembers an error that took time or memory.
    pub(crate) fn note(&self, key: K, error: &Arc<Error>) {
        if matches!(
            error.code(),
            ErrorCode::MediaFailed | ErrorCode::ProcessTimeout | ErrorCode::ValidateMemory
        ) {
            self.lock().push(key, (Instant::now(), error.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<K, (Instant, Arc<Error>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> (Digest, String) {
        (Digest::of(&[number]), String::new())
    }

    #[test]
    fn only_what_would_fail_again_is_remembered() {
        let failures = Failures::default();
        let error = |code| Arc::new(Error::user(code, "x"));
        failures
            .files
            .note(key(1), &error(ErrorCode::ProcessTimeout));
        failures.files.note(key(2), &error(ErrorCode::TooBusy));
        let last = |key| failures.files.last(&key).map(|error| error.code());
        assert_eq!(last(key(1)), Some(ErrorCode::ProcessTimeout));
        assert_eq!(last((key(1).0, "resize=9".to_owned())), None);
        assert_eq!(last(key(2)), None);
        assert_eq!(last(key(3)), None);
    }
}
