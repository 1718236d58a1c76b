//! Memory for bytes of objects that wait for clients: one budget for all answers together.
//!
//! The more answers there are, the smaller are the pieces in which each is read. An answer for which
//! no memory is left waits until another client has taken what was read for it, or is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that are read at a time while few answers are under way.
const LARGEST: u64 = 256 * 1024;
/// Bytes that are read at a time while there are many. So few need no room.
pub const SMALLEST: u64 = 16 * 1024;
/// Each answer takes at most its share of this part of the budget at a time, so that there is
/// something left for those to come.
const PART: u64 = 8;

/// The budget.
#[derive(Debug)]
pub struct Outgoing {
    free: Arc<Semaphore>,
    total: u64,
    answers: AtomicU64,
}

impl Outgoing {
    /// A budget of `mib` MiB.
    pub fn new(mib: u64) -> Arc<Self> {
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let total = usize::try_from(mib.saturating_mul(1024 * 1024)).map_or(most, |t| t.min(most));
        Arc::new(Self {
            free: Arc::new(Semaphore::new(total)),
            total: total as u64,
            answers: AtomicU64::new(0),
        })
    }

    /// An answer that begins.
    pub fn answer(self: &Arc<Self>) -> Answering {
        self.answers.fetch_add(1, Ordering::Relaxed);
        Answering(self.clone())
    }

    /// Bytes that wait for clients now.
    pub fn waiting(&self) -> u64 {
        self.total
            .saturating_sub(self.free.available_permits() as u64)
    }
}

/// An answer that is being sent.
#[derive(Debug)]
pub struct Answering(Arc<Outgoing>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Answering {
    /// Bytes that it should read at a time.
    pub(super) fn piece(&self) -> u64 {
        let answers = self.0.answers.load(Ordering::Relaxed).max(1);
        (self.0.total / PART / answers).clamp(SMALLEST, LARGEST)
    }

    /// Waits for room for this many bytes.
    pub async fn room(&self, bytes: u64) -> Room {
        let free = self.0.free.clone();
        // The semaphore is never closed.
        let permit = free.acquire_many_owned(self.permits(bytes)).await.ok();
        Room { _permit: permit }
    }

    /// Room for bytes that the client has not asked for yet, if there is plenty.
    pub(super) fn room_ahead(&self, bytes: u64) -> Option<Room> {
        let free = self.0.free.clone();
        let is_ample = free.available_permits() as u64 > self.0.total / 2;
        let permit = is_ample.then(|| free.try_acquire_many_owned(self.permits(bytes)));
        let permit = permit?.ok()?;
        Some(Room {
            _permit: Some(permit),
        })
    }

    fn permits(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.min(self.0.total)).unwrap_or(u32::MAX)
    }
}

/// Room for bytes, until it is dropped.
#[derive(Debug)]
pub struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn answers_wait_for_room_in_the_order_in_which_they_came() {
        let all = Outgoing::new(1);
        let answer = all.answer();
        let whole = answer.room(2 * 1024 * 1024).await;
        assert_eq!(all.waiting(), 1024 * 1024);
        let mut first = Box::pin(answer.room(LARGEST));
        let mut second = Box::pin(answer.room(1));
        assert!(poll!(&mut first).is_pending());
        assert!(poll!(&mut second).is_pending());
        drop(whole);
        let first = first.await;
        let second = second.await;
        assert_eq!(all.waiting(), LARGEST + 1);
        drop((first, second));
        assert_eq!(all.waiting(), 0);
    }

    #[tokio::test]
    async fn nothing_is_read_ahead_once_half_of_the_budget_is_taken() {
        let all = Outgoing::new(1);
        let answer = all.answer();
        let ahead = answer.room_ahead(SMALLEST).expect("there is plenty");
        let half = answer.room(512 * 1024).await;
        assert!(answer.room_ahead(SMALLEST).is_none());
        drop((ahead, half));
        assert!(answer.room_ahead(SMALLEST).is_some());
    }

    #[test]
    fn pieces_are_smaller_the_more_answers_there_are() {
        let all = Outgoing::new(64);
        let first = all.answer();
        assert_eq!(first.piece(), LARGEST);
        let many: Vec<_> = (0..63).map(|_| all.answer()).collect();
        assert_eq!(first.piece(), LARGEST / 2);
        let more: Vec<_> = (0..4000).map(|_| all.answer()).collect();
        assert_eq!(first.piece(), SMALLEST);
        drop((many, more));
        assert_eq!(first.piece(), LARGEST);
    }
}
