//! Work that must not be interrupted, and work that blocks.

use tracing::Instrument as _;

use crate::timing;
use crate::{Error, ErrorCode, Result};

/// Runs `work` to completion even if the caller is dropped: a change that has begun in the database
/// must also reach the store and the caches.
pub(crate) async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(timing::inherit_timings(work).in_current_span())
        .await
        .map_err(|panic| Error::internal(ErrorCode::UnknownError, "a change panicked", panic))?
}

/// Runs blocking work on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| Error::internal(ErrorCode::UnknownError, "disk work panicked", panic))?
}
