//! Variants that could not be made, and would fail in the same way if they were tried again at once.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::{ContentKey, Error, ErrorCode, VariantKey};

/// Variants remembered; each takes less than a KiB.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
/// How long. A time-out may be due to a busy machine, so it is not for ever.
const LIFETIME: Duration = Duration::from_secs(60);

/// A content and a variant of it, and what became of it.
type Failed = LruCache<(ContentKey, VariantKey), (Instant, Arc<Error>)>;

/// Failures of the last minute.
#[derive(Debug)]
pub(crate) struct Failures(Mutex<Failed>);

impl Default for Failures {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Failures {
    /// The error of the last attempt, if another one would cost as much and end in the same way.
    pub(crate) fn last(&self, key: &(ContentKey, VariantKey)) -> Option<Error> {
        let mut failed = self.lock();
        let (since, error) = failed.get(key)?;
        (since.elapsed() < LIFETIME).then(|| Error::shared(error.clone()))
    }

    /// Remembers an error that took time or memory.
    pub(crate) fn note(&self, key: (ContentKey, VariantKey), error: &Arc<Error>) {
        if matches!(
            error.code(),
            ErrorCode::MediaFailed | ErrorCode::ProcessTimeout | ErrorCode::ValidateMemory
        ) {
            self.lock().push(key, (Instant::now(), error.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Failed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pict_rs_media::{Format, OutputFormat};

    use super::*;

    fn key(number: u8) -> (ContentKey, VariantKey) {
        (
            ContentKey::new([number; 32], 9, Format::Png),
            VariantKey::new(&[], OutputFormat::Webp).expect("short"),
        )
    }

    #[test]
    fn only_what_would_fail_again_is_remembered() {
        let failures = Failures::default();
        let error = |code| Arc::new(Error::user(code, "x"));
        failures.note(key(1), &error(ErrorCode::ProcessTimeout));
        failures.note(key(2), &error(ErrorCode::TooBusy));
        let last = |number| failures.last(&key(number)).map(|error| error.code());
        assert_eq!(last(1), Some(ErrorCode::ProcessTimeout));
        assert_eq!(last(2), None);
        assert_eq!(last(3), None);
    }
}
