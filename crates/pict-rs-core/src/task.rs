//! Work that must not be cut short, and work that waits for the disk.

use tracing::Instrument as _;

use crate::timing;
use crate::{Error, ErrorCode, Result};

/// Runs `work` to completion even if the caller is dropped: what the database has begun to change
/// must also reach the store and the caches.
pub(crate) async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(timing::inherit_timings(work).in_current_span())
        .await
        .map_err(|panic| Error::internal(ErrorCode::UnknownError, "a change panicked", panic))?
}

/// Runs something that waits for the disk on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| Error::internal(ErrorCode::UnknownError, "disk work panicked", panic))?
}
