//! When writes were last known to work.

use std::time::Instant;

use tokio::sync::{Mutex, MutexGuard};

/// Until when writes are known to work, so that the disk is asked once a second, however often
/// health is.
#[derive(Debug, Default)]
pub(crate) struct LastProof(Mutex<Option<Instant>>);

impl LastProof {
    /// Waits for the one question that may be running.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().await
    }
}
