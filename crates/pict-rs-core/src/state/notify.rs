//! Wakes tasks that wait for background work: workers for jobs, clients for the outcome of their
//! upload, all of them for shutdown. The database is queried only after a notification.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::UploadId;

/// All notifications.
#[derive(Debug)]
pub(crate) struct Notifier {
    jobs: Notify,
    maintenance: Notify,
    frames: Notify,
    removals: Notify,
    uploads: Mutex<Uploads>,
    /// Notified when a claim has ended.
    claims: Notify,
    /// When the server was told to stop.
    stop: watch::Sender<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Uploads {
    bells: HashMap<UploadId, Bell>,
    /// Uploads whose outcome is being claimed.
    held: HashSet<UploadId>,
}

#[derive(Debug, Default)]
struct Bell {
    listeners: usize,
    notify: Arc<Notify>,
}

impl Default for Notifier {
    fn default() -> Self {
        Self {
            jobs: Notify::new(),
            maintenance: Notify::new(),
            frames: Notify::new(),
            removals: Notify::new(),
            uploads: Mutex::default(),
            claims: Notify::new(),
            stop: watch::Sender::new(None),
        }
    }
}

impl Notifier {
    /// Called after a job was queued.
    pub(crate) fn job_queued(&self) {
        self.jobs.notify_one();
    }

    /// Completes with the next queued job, or at once if one was queued since the last wait.
    pub(crate) fn next_job(&self) -> Notified<'_> {
        self.jobs.notified()
    }

    /// Called after a long run was requested.
    pub(crate) fn maintenance_due(&self) {
        self.maintenance.notify_one();
    }

    /// Completes when a long run is requested, or at once if one was since the last wait.
    pub(crate) fn next_maintenance(&self) -> Notified<'_> {
        self.maintenance.notified()
    }

    /// Called when hashes of frames are searched.
    pub(crate) fn frames_wanted(&self) {
        self.frames.notify_one();
    }

    /// Completes when hashes of frames are searched, or at once if they were since the last wait.
    pub(crate) fn next_frames(&self) -> Notified<'_> {
        self.frames.notified()
    }

    /// Called when a server, this or another one, has announced a removal.
    pub(crate) fn removal_announced(&self) {
        self.removals.notify_one();
    }

    /// Completes with the next announced removal, or at once if there was one since the last wait.
    pub(crate) fn removed(&self) -> Notified<'_> {
        self.removals.notified()
    }

    /// Called when the state of any upload may have changed.
    pub(crate) fn ring_all(&self) {
        for bell in self.lock().bells.values() {
            bell.notify.notify_waiters();
        }
    }

    /// Called when the state of this upload may have changed.
    pub(crate) fn ring(&self, id: &UploadId) {
        if let Some(bell) = self.lock().bells.get(id) {
            bell.notify.notify_waiters();
        }
    }

    /// Listens for changes of an upload until dropped.
    pub(crate) fn listen(&self, id: UploadId) -> Listener<'_> {
        let mut uploads = self.lock();
        let bell = uploads.bells.entry(id).or_default();
        bell.listeners += 1;
        Listener {
            notify: bell.notify.clone(),
            wake: self,
            id,
        }
    }

    /// Takes the right to claim an upload, unless another client has it. Released with
    /// [`Notifier::release`].
    pub(crate) fn hold(&self, id: UploadId) -> bool {
        self.lock().held.insert(id)
    }

    /// Releases the right to claim.
    pub(crate) fn release(&self, id: &UploadId) {
        self.lock().held.remove(id);
        self.claims.notify_waiters();
    }

    /// Completes when no claim is being answered or put back.
    pub(crate) async fn claims_settled(&self) {
        loop {
            let over = self.claims.notified();
            if self.lock().held.is_empty() {
                return;
            }
            over.await;
        }
    }

    /// Requests shutdown.
    pub(crate) fn stop(&self) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            stop.get_or_insert_with(Instant::now);
            is_first
        });
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Completes when shutdown is requested; returns when that was.
    pub(crate) async fn stopped(&self) -> Instant {
        let mut stop = self.stop.subscribe();
        match stop.wait_for(Option::is_some).await.map(|since| *since) {
            Ok(Some(since)) => since,
            // We own the sender, so it outlives this call.
            _ => std::future::pending().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Uploads> {
        // Each change under the lock is a single insertion or removal.
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens for changes of one upload.
pub(crate) struct Listener<'a> {
    wake: &'a Notifier,
    notify: Arc<Notify>,
    id: UploadId,
}

impl Listener<'_> {
    /// Completes with the next notification after this call, even one before it is awaited.
    pub(crate) fn next(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        let mut uploads = self.wake.lock();
        if let Some(bell) = uploads.bells.get_mut(&self.id) {
            bell.listeners -= 1;
            if bell.listeners == 0 {
                uploads.bells.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_ring_between_looking_and_waiting_is_heard() {
        let wake = Notifier::default();
        let id = UploadId::generate();
        let (one, two) = (wake.listen(id), wake.listen(id));
        let (first, second) = (one.next(), two.next());
        wake.ring(&UploadId::generate());
        wake.ring(&id);
        first.await;
        second.await;
        assert!(one.next().now_or_never().is_none(), "one ring, one waking");
        drop((one, two));
        assert!(wake.lock().bells.is_empty(), "nobody listens any more");
    }

    #[tokio::test]
    async fn one_at_a_time_holds_an_upload() {
        let wake = Notifier::default();
        let id = UploadId::generate();
        assert!(wake.hold(id));
        assert!(!wake.hold(id));
        assert!(wake.claims_settled().now_or_never().is_none());
        wake.release(&id);
        wake.claims_settled().await;
        assert!(wake.hold(id));
    }

    #[tokio::test]
    async fn everybody_hears_of_the_end() {
        let wake = Notifier::default();
        assert!(wake.stopped().now_or_never().is_none());
        wake.stop();
        let since = wake.stopped().await;
        wake.stop();
        assert_eq!(wake.stopped().await, since, "the first call counts");
        assert!(wake.is_stopping());
    }
}
