//! Admission control: grants a slot (a processor) and memory together.
//!
//! Work that waits for memory holds no slot. Other work may overtake it as long as that does not
//! delay it: all work that has overtaken the first in line must leave as much memory as that needs.
//!
//! Clients take turns. Each piece of work has a number: one more than what the same client has in the
//! line, else that of the work that was admitted last. The line is in the order of these numbers, so
//! what a client asks for comes before the second piece of work of any other. The work that waits for
//! longest is put first now and then, however many clients come.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::requester::Requester;

/// After so many admissions from the line, the work that waits for longest is put first.
const OLDEST_AFTER: u64 = 4;

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
    running: Vec<RunningWork>,
    /// In order of turns, then of arrival.
    waiting: VecDeque<Waiter>,
    next_id: u64,
    /// The number of the work that was admitted last.
    turn: u64,
    /// Admissions from the line.
    admitted: u64,
}

#[derive(Debug)]
struct RunningWork {
    id: u64,
    whose: Requester,
    memory: u32,
    /// When it was admitted.
    since: Instant,
}

#[derive(Debug)]
struct Waiter {
    memory: u32,
    ticket: Ticket,
    /// Whether it may be sent away for that of another client.
    is_new: bool,
    /// When it arrived in the line.
    since: Instant,
    wake: oneshot::Sender<Share>,
}

/// Of a piece of work: whose it is, and when it is its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    whose: Requester,
    turn: u64,
    came: Instant,
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
                turn: 0,
                admitted: 0,
            }),
        })
    }

    /// A ticket for the next piece of work of a client.
    pub(super) fn ticket(&self, whose: Requester) -> Ticket {
        let state = self.lock();
        let own = state.waiting.iter().map(|waiter| &waiter.ticket);
        let own = own.filter(|ticket| ticket.whose == whose);
        let turn = match own.map(|ticket| ticket.turn + 1).max() {
            Some(next) => next.max(state.turn),
            None if state.running.iter().any(|one| one.whose == whose) => state.turn + 1,
            None => state.turn,
        };
        Ticket {
            whose,
            turn,
            came: Instant::now(),
        }
    }

    /// A slot and memory, if available at once.
    pub(super) fn try_take(self: &Arc<Self>, memory: u32, ticket: &Ticket) -> Option<Share> {
        let id = self.lock().start(memory, *ticket, None)?;
        Some(self.share(id))
    }

    /// Waits for a slot and memory, when it is the turn of the ticket. `memory` must not exceed the
    /// budget. Returns `None` when it has to give way to another client, which happens only to new
    /// work.
    pub(super) async fn take(
        self: &Arc<Self>,
        memory: u32,
        ticket: Ticket,
        is_new: bool,
    ) -> Option<Share> {
        let (wake, share) = oneshot::channel();
        self.lock().enter(Waiter {
            memory,
            ticket,
            is_new,
            since: Instant::now(),
            wake,
        });
        self.admit();
        share.await.ok()
    }

    /// Makes room in a full line for a client that has fewer pieces of new work in it than another
    /// one, which loses its last. Returns whether it did.
    pub(super) fn make_room(&self, ticket: &Ticket) -> bool {
        let mut state = self.lock();
        state.waiting.retain(|waiter| !waiter.wake.is_closed());
        let mut counts: HashMap<Requester, usize> = HashMap::new();
        for waiter in state.waiting.iter().filter(|waiter| waiter.is_new) {
            *counts.entry(waiter.ticket.whose).or_default() += 1;
        }
        let own = counts.get(&ticket.whose).copied().unwrap_or(0);
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let Some((whose, _)) = most.filter(|(_, count)| *count > own + 1) else {
            return false;
        };
        let is_last = |waiter: &Waiter| waiter.is_new && waiter.ticket.whose == whose;
        let last = state.waiting.iter().rposition(is_last);
        // Its receiver is told by the drop.
        last.and_then(|at| state.waiting.remove(at)).is_some()
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
                let (memory, ticket) = (waiter.memory, waiter.ticket);
                let Some(id) = state.start(memory, ticket, Some(at)) else {
                    at += 1;
                    continue;
                };
                admitted.extend(state.waiting.remove(at).map(|one| (one, id)));
                state.admitted += 1;
                if state.admitted.is_multiple_of(OLDEST_AFTER) {
                    state.put_oldest_first();
                    at = 0;
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

    fn enter(&mut self, waiter: Waiter) {
        let key = |ticket: &Ticket| (ticket.turn, ticket.came);
        let own = key(&waiter.ticket);
        let place = self
            .waiting
            .partition_point(|other| key(&other.ticket) <= own);
        self.waiting.insert(place, waiter);
    }

    fn put_oldest_first(&mut self) {
        let all = self.waiting.iter().enumerate();
        let oldest = all.min_by_key(|(_, waiter)| waiter.ticket.came);
        let Some((at, _)) = oldest else { return };
        if let Some(mut waiter) = self.waiting.remove(at) {
            waiter.ticket.turn = 0;
            self.waiting.push_front(waiter);
        }
    }

    fn start(&mut self, memory: u32, ticket: Ticket, place: Option<usize>) -> Option<u64> {
        if self.free_slots == 0 || !self.has(memory, place) {
            return None;
        }
        self.turn = self.turn.max(ticket.turn);
        self.free_slots -= 1;
        self.next_id += 1;
        self.running.push(RunningWork {
            id: self.next_id,
            whose: ticket.whose,
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

    use std::net::IpAddr;

    fn client(number: u8) -> Requester {
        Requester::of_address(IpAddr::from([192, 0, 2, number]))
    }

    impl Admission {
        fn try_one(self: &Arc<Self>, memory: u32) -> Option<Share> {
            self.try_take(memory, &self.ticket(Requester::Server))
        }

        fn one(self: &Arc<Self>, memory: u32) -> impl Future<Output = Option<Share>> {
            self.of(memory, Requester::Server)
        }

        fn of(
            self: &Arc<Self>,
            memory: u32,
            whose: Requester,
        ) -> impl Future<Output = Option<Share>> {
            let ticket = self.ticket(whose);
            let this = self.clone();
            async move { this.take(memory, ticket, true).await }
        }
    }

    #[tokio::test]
    async fn small_work_passes_large_work_that_cannot_start() {
        let admission = Admission::new(2, 10);
        let mut running = admission.try_one(0).expect("free");
        assert!(running.resize(6));
        let mut large = Box::pin(admission.one(8));
        assert!(poll!(&mut large).is_pending());
        // It holds no slot while it waits.
        assert_eq!(admission.free(), (1, 4));
        let small = admission.try_one(2).expect("passes");
        drop(small);
        let passed = admission.one(2).await.expect("passes");
        drop(running);
        // The work that overtook it left enough memory.
        let large = large.await.expect("its turn");
        drop((large, passed));
        assert_eq!(admission.free(), (2, 10));
    }

    #[tokio::test]
    async fn nothing_passes_that_would_hold_up_the_first_in_line() {
        let admission = Admission::new(3, 10);
        let mut running = admission.one(6).await.expect("free");
        let mut large = Box::pin(admission.one(8));
        assert!(poll!(&mut large).is_pending());
        assert!(admission.try_one(3).is_none());
        let passed = admission.try_one(2).expect("leaves enough");
        assert!(admission.try_one(1).is_none());
        let mut next = Box::pin(admission.one(3));
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
        let running = admission.one(10).await.expect("free");
        let mut gone = Box::pin(admission.one(10));
        assert!(poll!(&mut gone).is_pending());
        let mut next = Box::pin(admission.one(3));
        assert!(poll!(&mut next).is_pending());
        drop(gone);
        drop(running);
        drop(next.await.expect("its turn"));
        assert_eq!(admission.free(), (1, 10));
    }

    #[tokio::test]
    async fn memory_that_is_given_back_is_for_others_at_once() {
        let admission = Admission::new(2, 10);
        let mut running = admission.one(10).await.expect("free");
        let mut waiting = Box::pin(admission.one(5));
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
        let first = admission.ticket(client(1));
        let running = admission.take(0, first, true).await.expect("free");
        let mut other = Box::pin(admission.of(1, client(1)));
        assert!(poll!(&mut other).is_pending());
        let mut again = Box::pin(admission.take(1, first, false));
        assert!(poll!(&mut again).is_pending());
        drop(running);
        let again = again.await.expect("its turn");
        assert!(poll!(&mut other).is_pending());
        drop(again);
        drop(other.await.expect("its turn"));
    }

    /// The order in which work is admitted, one piece at a time, that was asked for in this order.
    async fn order(clients: &[u8]) -> Vec<u8> {
        let admission = Admission::new(1, 10);
        let mut running = admission.try_one(0);
        let mut waiting = Vec::new();
        for number in clients {
            let mut work = Box::pin(admission.of(1, client(*number)));
            assert!(poll!(&mut work).is_pending());
            waiting.push((*number, work));
        }
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(running.take());
            for at in 0..waiting.len() {
                if let std::task::Poll::Ready(share) = poll!(&mut waiting[at].1) {
                    running = share;
                    order.push(waiting.remove(at).0);
                    break;
                }
            }
            assert!(running.is_some(), "{order:?}");
        }
        order
    }

    #[tokio::test]
    async fn clients_take_turns() {
        // After four the oldest comes.
        assert_eq!(order(&[1, 1, 1, 2, 2, 3]).await, [1, 2, 3, 1, 1, 2]);
        assert_eq!(order(&[1, 1, 1, 1]).await, [1; 4]);
    }

    #[tokio::test]
    async fn who_waits_for_longest_is_first_now_and_then() {
        let mut clients = vec![1, 1];
        clients.extend(2..20);
        let order = order(&clients).await;
        let second = order.iter().rposition(|number| *number == 1);
        assert_eq!(second, Some(4), "{order:?}");
    }

    #[tokio::test]
    async fn a_full_line_has_room_for_who_has_less_in_it() {
        let admission = Admission::new(1, 10);
        let running = admission.try_one(0).expect("free");
        let mut many = Vec::new();
        for _ in 0..3 {
            let mut one = Box::pin(admission.of(1, client(1)));
            assert!(poll!(&mut one).is_pending());
            many.push(one);
        }
        assert!(!admission.make_room(&admission.ticket(client(1))));
        assert!(admission.make_room(&admission.ticket(client(2))));
        let last = many.pop().expect("three").await;
        assert!(last.is_none(), "the last of three");
        let mut other = Box::pin(admission.of(1, client(2)));
        assert!(poll!(&mut other).is_pending());
        // Two of one client and one of the other are as even as it gets.
        assert!(!admission.make_room(&admission.ticket(client(2))));
        assert!(admission.make_room(&admission.ticket(client(3))));
        drop(running);
    }
}
