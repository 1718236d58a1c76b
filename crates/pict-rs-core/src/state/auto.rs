//! State of `process.auto` between requests.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::{ContentKey, Error, ErrorCode, VariantKey};

/// Contents and variants remembered; each takes about 100 bytes.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// How long a format is not tried again for a picture after it failed.
const RETRY_DELAY: Duration = Duration::from_secs(10 * 60);

/// A content and a variant of it.
pub(crate) type ContentVariant = (ContentKey, VariantKey);

/// State of `process.auto`.
#[derive(Debug)]
pub(crate) struct Auto(Mutex<AutoState>);

/// The state behind the lock.
#[derive(Debug)]
pub(crate) struct AutoState {
    /// Variants that are still being made although their clients were answered.
    pub(crate) left_behind: HashSet<ContentVariant>,
    /// When a variant could not be made.
    failed: LruCache<ContentVariant, Instant>,
    /// Whether any pixel can be transparent.
    pub(crate) transparent: LruCache<ContentKey, bool>,
}

impl Default for Auto {
    fn default() -> Self {
        Self(Mutex::new(AutoState {
            left_behind: HashSet::new(),
            failed: LruCache::new(REMEMBERED),
            transparent: LruCache::new(REMEMBERED),
        }))
    }
}

impl Auto {
    pub(crate) fn lock(&self) -> MutexGuard<'_, AutoState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether making the variant failed recently.
    pub(crate) fn has_failed(&self, key: &ContentVariant) -> bool {
        let mut inner = self.lock();
        let failed = inner.failed.get(key);
        failed.is_some_and(|failed| failed.elapsed() < RETRY_DELAY)
    }

    /// Records an error that is likely to happen again.
    pub(crate) fn note(&self, key: ContentVariant, error: &Error) {
        if matches!(
            error.code(),
            ErrorCode::MediaFailed | ErrorCode::ProcessTimeout | ErrorCode::ValidateMemory
        ) {
            self.lock().failed.push(key, Instant::now());
        }
    }
}
