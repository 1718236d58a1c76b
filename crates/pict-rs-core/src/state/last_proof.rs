//! When a write was last known to succeed.

use std::time::Instant;

use tokio::sync::{Mutex, MutexGuard};

/// Until when writes count as working, so that the disk is checked at most once a second, however
/// often health is requested.
#[derive(Debug, Default)]
pub(crate) struct LastProof(Mutex<Option<Instant>>);

impl LastProof {
    /// Waits for a check that is already running.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().await
    }
}
