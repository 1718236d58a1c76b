//! Who is told of changes besides other servers, and what wakes the task that tells them.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Which rows of the outbox are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Those for a receiver of events.
    pub events: bool,
    /// Those for caches in front.
    pub caches: bool,
}

/// What a transaction needs to know about them.
#[derive(Clone, Debug, Default)]
pub(super) struct Listeners {
    pub(super) wanted: Wanted,
    queued: Arc<Notify>,
}

impl Listeners {
    /// Called after a commit that has written rows.
    pub(super) fn ring(&self) {
        self.queued.notify_waiters();
    }

    /// Completes with the next such commit.
    pub(super) fn rung(&self) -> OwnedNotified {
        self.queued.clone().notified_owned()
    }
}
