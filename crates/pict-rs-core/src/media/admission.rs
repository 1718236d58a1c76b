//! Admission control: grants a slot (a processor) and memory together.
//!
//! Work that waits for memory holds no slot. Other work may overtake it as long as that does not
//! delay it: all work that has overtaken the first in line must leave as much memory as that needs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

/// Slots and memory, with the work that holds or waits for them.
#[derive(Debug)]
pub(super) struct Admission {
    state: Mutex<State>,
}

/// All memory is in MiB.
#[derive(Debug)]
struct State {
    free_slots: usize,
    memory: u32,
    running: Vec<Running>,
    /// In order of arrival.
    waiting: VecDeque<Waiter>,
    next_id: u64,
}

#[derive(Debug)]
struct Running {
    id: u64,
    memory: u32,
    /// When it was admitted.
    since: Instant,
}

#[derive(Debug)]
struct Waiter {
    memory: u32,
    came: Instant,
    /// When it arrived in the line.
    since: Instant,
    wake: oneshot::Sender<Share>,
}

impl Admission {
    pub(super) fn new(slots: usize, memory: u32) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free_slots: slots,
                memory,
                running: Vec::with_capacity(slots),
                waiting: VecDeque::new(),
                next_id: 0,
            }),
        })
    }

    /// A slot and memory, if available at once.
    pub(super) fn try_take(self: &Arc<Self>, memory: u32) -> Option<Share> {
        let id = self.lock().start(memory, None)?;
        Some(self.share(id))
    }

    /// Waits for a slot and memory, behind everything that arrived before `came`. `memory` must not
    /// exceed the budget. Never returns `None` in practice.
    pub(super) async fn take(self: &Arc<Self>, memory: u32, came: Instant) -> Option<Share> {
        let (wake, share) = oneshot::channel();
        {
            let mut state = self.lock();
            let place = state.waiting.partition_point(|other| other.came <= came);
            let waiter = Waiter {
                memory,
                came,
                since: Instant::now(),
                wake,
            };
            state.waiting.insert(place, waiter);
        }
        self.admit();
        share.await.ok()
    }

    /// Free slots and MiB.
    pub(super) fn free(&self) -> (usize, u32) {
        let state = self.lock();
        (state.free_slots, state.free_memory())
    }

    /// Admits waiting work that can start now.
    fn admit(self: &Arc<Self>) {
        let mut admitted = Vec::new();
        {
            let mut state = self.lock();
            state.waiting.retain(|waiter| !waiter.wake.is_closed());
            let mut at = 0;
            while state.free_slots > 0
                && let Some(waiter) = state.waiting.get(at)
            {
                let memory = waiter.memory;
                match state.start(memory, Some(at)) {
                    Some(id) => admitted.extend(state.waiting.remove(at).map(|one| (one, id))),
                    None => at += 1,
                }
            }
        }
        // Outside the lock: a share whose receiver has gone is dropped, which takes the lock again.
        for (waiter, id) in admitted {
            let _ = waiter.wake.send(self.share(id));
        }
    }

    fn share(self: &Arc<Self>, id: u64) -> Share {
        Share {
            admission: self.clone(),
            id,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn free_memory(&self) -> u32 {
        let held: u32 = self.running.iter().map(|running| running.memory).sum();
        self.memory.saturating_sub(held)
    }

    /// Whether `memory` is free and taking it does not delay the first in line. `place` is the
    /// caller's place in the line, if it has one.
    fn has(&self, memory: u32, place: Option<usize>) -> bool {
        let first = match place {
            Some(0) => None,
            _ => self.waiting.front(),
        };
        let is_left = first.is_none_or(|first| {
            let passed = self.running.iter().filter(|one| one.since >= first.since);
            let passed: u32 = passed.map(|one| one.memory).sum();
            passed + memory <= self.memory.saturating_sub(first.memory)
        });
        is_left && memory <= self.free_memory()
    }

    fn start(&mut self, memory: u32, place: Option<usize>) -> Option<u64> {
        if self.free_slots == 0 || !self.has(memory, place) {
            return None;
        }
        self.free_slots -= 1;
        self.next_id += 1;
        self.running.push(Running {
            id: self.next_id,
            memory,
            since: Instant::now(),
        });
        Some(self.next_id)
    }
}

/// A slot and memory, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    admission: Arc<Admission>,
    id: u64,
}

impl Share {
    /// Changes the memory of the share. Less is always granted; more only if it is free and the
    /// first in line is not delayed.
    pub(super) fn resize(&mut self, memory: u32) -> bool {
        {
            let mut state = self.admission.lock();
            let Some(at) = state.running.iter().position(|one| one.id == self.id) else {
                return false;
            };
            let held = state.running[at].memory;
            if memory > held {
                // Treated as if it arrived now.
                state.running[at].memory = 0;
                let has = state.has(memory, None);
                let running = &mut state.running[at];
                running.memory = if has { memory } else { held };
                if has {
                    running.since = Instant::now();
                }
                return has;
            }
            state.running[at].memory = memory;
        }
        self.admission.admit();
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        {
            let mut state = self.admission.lock();
            state.free_slots += 1;
            state.running.retain(|one| one.id != self.id);
        }
        self.admission.admit();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    fn now() -> Instant {
        Instant::now()
    }

    #[tokio::test]
    async fn small_work_passes_large_work_that_cannot_start() {
        let admission = Admission::new(2, 10);
        let mut running = admission.try_take(0).expect("free");
        assert!(running.resize(6));
        let mut large = Box::pin(admission.take(8, now()));
        assert!(poll!(&mut large).is_pending());
        // It holds no slot while it waits.
        assert_eq!(admission.free(), (1, 4));
        let small = admission.try_take(2).expect("passes");
        drop(small);
        let passed = admission.take(2, now()).await.expect("passes");
        drop(running);
        // The work that overtook it left enough memory.
        let large = large.await.expect("its turn");
        drop((large, passed));
        assert_eq!(admission.free(), (2, 10));
    }

    #[tokio::test]
    async fn nothing_passes_that_would_hold_up_the_first_in_line() {
        let admission = Admission::new(3, 10);
        let mut running = admission.take(6, now()).await.expect("free");
        let mut large = Box::pin(admission.take(8, now()));
        assert!(poll!(&mut large).is_pending());
        assert!(admission.try_take(3).is_none());
        let passed = admission.try_take(2).expect("leaves enough");
        assert!(admission.try_take(1).is_none());
        let mut next = Box::pin(admission.take(3, now()));
        assert!(poll!(&mut next).is_pending());
        assert!(!running.resize(7), "growing is as good as coming");
        drop(running);
        let large = large.await.expect("its turn");
        assert!(poll!(&mut next).is_pending());
        drop(passed);
        drop(large);
        drop(next.await.expect("its turn"));
        assert_eq!(admission.free(), (3, 10));
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_nothing_and_holds_up_nothing() {
        let admission = Admission::new(1, 10);
        let running = admission.take(10, now()).await.expect("free");
        let mut gone = Box::pin(admission.take(10, now()));
        assert!(poll!(&mut gone).is_pending());
        let mut next = Box::pin(admission.take(3, now()));
        assert!(poll!(&mut next).is_pending());
        drop(gone);
        drop(running);
        drop(next.await.expect("its turn"));
        assert_eq!(admission.free(), (1, 10));
    }

    #[tokio::test]
    async fn memory_that_is_given_back_is_for_others_at_once() {
        let admission = Admission::new(2, 10);
        let mut running = admission.take(10, now()).await.expect("free");
        let mut waiting = Box::pin(admission.take(5, now()));
        assert!(poll!(&mut waiting).is_pending());
        assert!(running.resize(4));
        let waiting = waiting.await.expect("its turn");
        assert!(!running.resize(6));
        drop(waiting);
        assert!(running.resize(6));
        drop(running);
        assert_eq!(admission.free(), (2, 10));
    }

    #[tokio::test]
    async fn who_came_first_is_first_after_a_second_wait() {
        let admission = Admission::new(1, 10);
        let (first, second) = (now(), now());
        let running = admission.take(0, first).await.expect("free");
        let mut other = Box::pin(admission.take(1, second));
        assert!(poll!(&mut other).is_pending());
        let mut again = Box::pin(admission.take(1, first));
        assert!(poll!(&mut again).is_pending());
        drop(running);
        let again = again.await.expect("its turn");
        assert!(poll!(&mut other).is_pending());
        drop(again);
        drop(other.await.expect("its turn"));
    }
}
