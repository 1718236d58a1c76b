//! Runs media work: one blocking thread per slot, a bounded queue, and a memory budget for all of
//! it ([`admission`]). Files are decoded in sandboxes, or in that thread where there are none.

mod admission;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pict_rs_media::limits::{Bounds, LimitKind, Violation, at_most};
use pict_rs_media::{Control, Done, Facts, Job};

use crate::config::{Isolation, MediaConfig};
use crate::requester;
pub use crate::sandbox::InputFile;
pub(crate) use crate::sandbox::JobResult;
use crate::sandbox::{Allowance, Protection, Sandbox, Sandboxes, cannot_start};
use crate::task::blocking;
use crate::timing::{Stage, timed};
use crate::{Error, ErrorCode, Result};
use admission::{Admission, Share, Ticket};

/// The unit of the memory budget.
const MIB: u64 = 1024 * 1024;

/// Bytes that an inspection may take besides the file. Few files need more; for those it is
/// retried.
const INSPECTION: u64 = 16 * MIB;

/// Admits media work.
#[derive(Debug)]
pub struct Pool {
    admission: Arc<Admission>,
    slots: usize,
    memory_mib: u32,
    waiting: AtomicUsize,
    queue_length: usize,
    queue_timeout: Duration,
    timeout: Duration,
    /// `None` where files are decoded in threads.
    sandboxes: Option<Arc<Sandboxes>>,
}

impl Pool {
    /// As configured. `program` is the file of this program, which is started again to decode files;
    /// without one they are decoded in threads. Tells in the log what the system does not support.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when the settings insist on processes and none can be started.
    pub async fn open(config: &MediaConfig, program: Option<&Path>) -> Result<Self> {
        let pool = Self::new(config);
        let program = match (config.isolation, program) {
            (Isolation::Thread, _) | (Isolation::Auto, None) => return Ok(pool),
            (Isolation::Process, None) => {
                return Err(no_processes("this system or command cannot start them"));
            }
            (_, Some(program)) => program.to_owned(),
        };
        let (slots, ceiling) = (pool.slots, u64::from(pool.memory_mib) * MIB);
        let opened = blocking(move || Ok(Sandboxes::open(&program, slots, ceiling))).await?;
        let sandboxes = match opened {
            Ok(sandboxes) => sandboxes,
            Err(error) if config.isolation == Isolation::Process => {
                return Err(no_processes(error));
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    "files are decoded in the server's own process: no other can be started"
                );
                return Ok(pool);
            }
        };
        for Protection { name, missing } in sandboxes.protections() {
            if let Some(why) = missing {
                tracing::warn!(
                    protection = name,
                    why,
                    "this system does not enforce a protection of the processes that decode files"
                );
            }
        }
        Ok(Self {
            sandboxes: Some(sandboxes),
            ..pool
        })
    }

    /// What the processes that decode files have given up; `None` if files are decoded in threads.
    pub fn protections(&self) -> Option<&[Protection]> {
        self.sandboxes.as_ref().map(|all| all.protections())
    }

    /// As configured; one slot per processor by default. Files are decoded in threads.
    pub fn new(config: &MediaConfig) -> Self {
        let slots = match config.concurrency {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            slots => slots,
        };
        let memory_mib = u32::try_from(config.memory)
            .unwrap_or(u32::MAX >> 4)
            .min(u32::MAX >> 4);
        Self {
            admission: Admission::new(slots, memory_mib),
            slots,
            memory_mib,
            waiting: AtomicUsize::new(0),
            queue_length: config.queue_length,
            queue_timeout: config.queue_timeout.duration(),
            timeout: config.process_timeout.duration(),
            sandboxes: None,
        }
    }

    /// Waits for a slot, which is held until the permit is dropped.
    ///
    /// # Errors
    /// [`ErrorCode::TooBusy`]: at once when the queue is full, also later when another client needs the
    /// place more, and after `media.queue_timeout`.
    pub async fn acquire(&self) -> Result<Permit> {
        let permit = self.new_permit(Rank::Foreground);
        if let Some(share) = self.admission.try_take(0, &permit.ticket) {
            return Ok(permit.with(share));
        }
        let _place = self.queue(&permit.ticket)?;
        self.wait(permit, 0, true).await
    }

    /// Waits in the same line without a timeout. For the few background workers, whose jobs wait in
    /// the database.
    ///
    /// # Errors
    /// Never in practice.
    pub async fn acquire_background(&self) -> Result<Permit> {
        self.wait(self.new_permit(Rank::Background), 0, false).await
    }

    /// Waits for a slot as [`Pool::acquire`] or [`Pool::acquire_background`].
    ///
    /// # Errors
    /// As these.
    pub async fn acquire_as(&self, rank: Rank) -> Result<Permit> {
        match rank {
            Rank::Foreground => self.acquire().await,
            Rank::Background => self.acquire_background().await,
        }
    }

    fn new_permit(&self, rank: Rank) -> Permit {
        Permit {
            sandbox: None,
            share: None,
            ticket: self.admission.ticket(requester::current()),
            rank,
        }
    }

    /// Waits for a slot with `mib` MiB. What is new may have to give way to another client.
    async fn wait(&self, permit: Permit, mib: u32, is_new: bool) -> Result<Permit> {
        let share = self.admission.take(mib, permit.ticket, is_new);
        let share = timed(Stage::Queue, share);
        let share = match permit.rank {
            Rank::Background => share.await,
            Rank::Foreground => match tokio::time::timeout(self.queue_timeout, share).await {
                Ok(share) => share,
                Err(_) => return Err(self.waited_too_long(mib)),
            },
        };
        let share = share.ok_or_else(|| self.full(self.queue_length))?;
        Ok(permit.with(share))
    }

    fn full(&self, waiting: usize) -> Error {
        Error::user(
            ErrorCode::TooBusy,
            format!(
                "{waiting} pieces of media work are waiting, the limit is {}",
                self.queue_length
            ),
        )
    }

    fn waited_too_long(&self, mib: u32) -> Error {
        let seconds = self.queue_timeout.as_secs();
        let what = if mib == 0 {
            "a processor".to_owned()
        } else {
            format!("a processor and {mib} MiB of memory")
        };
        Error::user(
            ErrorCode::TooBusy,
            format!("The server is busy: {what} did not become free within {seconds} seconds"),
        )
        .limit(seconds)
    }

    /// How many pieces of background work may run at a time: half of the slots, at least one.
    pub fn background(&self) -> usize {
        (self.slots / 2).max(1)
    }

    /// Runs `work` on a blocking thread. When the returned future is dropped or the time is up,
    /// `work` is told to stop through the [`Control`] of its [`Slot`]; slot and memory are released
    /// once it has. While there is not enough memory it waits, without holding a slot.
    ///
    /// # Errors
    /// [`ErrorCode::ValidateMemory`] when `memory` exceeds the whole budget, [`ErrorCode::TooBusy`]
    /// when it is not available within `media.queue_timeout`, [`ErrorCode::ProcessTimeout`], and
    /// the errors of `work`.
    pub async fn run<T: Send + 'static>(
        &self,
        permit: Permit,
        memory: u64,
        work: impl FnOnce(&mut Slot) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run_on(permit, memory, work)
            .await
            .map(|(_, made)| made)
    }

    /// As [`Pool::run`], and returns the permit for work that follows at once.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub async fn run_on<T: Send + 'static>(
        &self,
        mut permit: Permit,
        memory: u64,
        work: impl FnOnce(&mut Slot) -> Result<T> + Send + 'static,
    ) -> Result<(Permit, T)> {
        at_most(LimitKind::Memory, u64::from(self.memory_mib) * MIB, memory)?;
        let mib = u32::try_from(memory.div_ceil(MIB))
            .unwrap_or(self.memory_mib)
            .min(self.memory_mib);
        // Timed even when it does not wait, so that the stage always exists.
        if !timed(Stage::Queue, async { permit.resize(mib) }).await {
            permit.share = None;
            // For the next job that has a slot.
            permit.sandbox = None;
            let (_place, _) = QueuePlace::new(&self.waiting);
            permit = self.wait(permit, mib, false).await?;
        }
        let control = Arc::new(Control::new());
        let _cancel = CancelOnDrop(control.clone());
        let mut slot = Slot {
            control,
            sandbox: permit.sandbox.take(),
            sandboxes: self.sandboxes.clone(),
            memory,
            time: self.timeout,
        };
        let task = tokio::task::spawn_blocking(move || {
            let made = work(&mut slot)?;
            permit.sandbox = slot.sandbox;
            permit.resize(0);
            Ok((permit, made))
        });
        match timed(Stage::Media, tokio::time::timeout(self.timeout, task)).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Error::internal(
                ErrorCode::MediaFailed,
                "media work panicked",
                panic,
            )),
            Err(_) => Err(Error::user(
                ErrorCode::ProcessTimeout,
                format!(
                    "Processing took longer than {} seconds",
                    self.timeout.as_secs()
                ),
            )),
        }
    }

    /// Inspects a file. Returns its facts, or the reason why there are none, with the file and its
    /// permit.
    ///
    /// # Errors
    /// As [`Pool::work`].
    pub async fn inspect(
        &self,
        permit: Permit,
        source: InputFile,
        bounds: Bounds,
    ) -> Result<Worked<pict_rs_media::Result<Facts>>> {
        let take = |_: &[u8], done: JobResult| done.and_then(Done::facts);
        self.work(permit, source, Job::Inspect(bounds), take).await
    }

    /// Does a job on a file, under its permit, within the memory that it needs and the time limit.
    /// `take` gets the result while slot and memory are still held. Returns the file and the
    /// permit.
    ///
    /// A job with bounds starts with little memory; if the file needs more, the job waits for it.
    ///
    /// # Errors
    /// [`ErrorCode::ValidateMemory`] when the job needs more than the whole budget,
    /// [`ErrorCode::TooBusy`], [`ErrorCode::ProcessTimeout`].
    pub async fn work<T: Send + 'static>(
        &self,
        mut permit: Permit,
        mut source: InputFile,
        mut job: Job,
        mut take: impl FnOnce(&[u8], JobResult) -> T + Send + 'static,
    ) -> Result<Worked<T>> {
        let size = source.len() as u64;
        let total = u64::from(self.memory_mib) * MIB;
        let mut memory = match job.bounds_mut() {
            None => job.memory(size),
            Some(bounds) => {
                bounds.memory = INSPECTION;
                // Headers can be read whatever the budget is.
                job.memory(size).min(total)
            }
        };
        loop {
            let work = move |slot: &mut Slot| {
                let done = slot.run(&job, &source);
                Ok(match more_memory(&mut job, &done) {
                    Some(needed) => Attempt::NeedsMore(needed, source, job, take),
                    None => {
                        let result = take(&source, done);
                        Attempt::Done(source, result)
                    }
                })
            };
            let (next, attempt) = self.run_on(permit, memory, work).await?;
            permit = next;
            let needed = match attempt {
                Attempt::Done(source, result) => {
                    return Ok(Worked {
                        permit,
                        source,
                        result,
                    });
                }
                Attempt::NeedsMore(needed, file, again, later) => {
                    (source, job, take) = (file, again, later);
                    needed
                }
            };
            memory = size.saturating_add(needed);
            if let Err(violation) = at_most(LimitKind::Memory, total, memory) {
                let result = take(&source, Err(violation.into()));
                return Ok(Worked {
                    permit,
                    source,
                    result,
                });
            }
            if let Some(bounds) = job.bounds_mut() {
                bounds.memory = needed;
            }
        }
    }

    /// The current load.
    pub fn load(&self) -> Load {
        let (slots, memory) = self.admission.free();
        Load {
            waiting: self.waiting.load(Ordering::Relaxed) as u64,
            running: self.slots.saturating_sub(slots) as u64,
            slots: self.slots as u64,
            memory: u64::from(self.memory_mib.saturating_sub(memory)) * MIB,
            memory_limit: u64::from(self.memory_mib) * MIB,
        }
    }

    /// A place in the queue. In a full one there is one for a client that has fewer than another.
    fn queue(&self, ticket: &Ticket) -> Result<QueuePlace<'_>> {
        let (place, waiting) = QueuePlace::new(&self.waiting);
        if waiting >= self.queue_length && !self.admission.make_room(ticket) {
            return Err(self.full(waiting));
        }
        Ok(place)
    }
}

/// The load of a [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Foreground work that waits.
    pub waiting: u64,
    /// Work that is running.
    pub running: u64,
    /// Work that may run at a time.
    pub slots: u64,
    /// Bytes that running work may need.
    pub memory: u64,
    /// The budget for all running work, in bytes.
    pub memory_limit: u64,
}

/// Where work runs that has a permit.
#[derive(Debug)]
pub struct Slot {
    control: Arc<Control>,
    /// Taken for the first job.
    sandbox: Option<Sandbox>,
    sandboxes: Option<Arc<Sandboxes>>,
    memory: u64,
    time: Duration,
}

impl Slot {
    /// Does a job. Only this function passes the bytes of a file to the engine.
    pub(crate) fn run(&mut self, job: &Job, input: &InputFile) -> JobResult {
        let Some(sandboxes) = &self.sandboxes else {
            return pict_rs_media::run(job, input, &self.control);
        };
        let sandbox = match &mut self.sandbox {
            Some(sandbox) => sandbox,
            none => none.insert(sandboxes.take().map_err(cannot_start)?),
        };
        let size = input.len() as u64;
        // Work that does several jobs has memory for the largest.
        let memory = job.memory(size).min(self.memory).saturating_add(size);
        let allowance = Allowance {
            memory,
            time: self.time,
        };
        sandbox.run(job, input, allowance, &self.control)
    }

    /// Tells whether the work is to stop.
    pub(crate) fn control(&self) -> &Control {
        &self.control
    }
}

fn no_processes(why: impl std::fmt::Display) -> Error {
    Error::user(
        ErrorCode::ConfigInvalid,
        format!("media.isolation = \"process\": no process can be started to decode files: {why}"),
    )
}

/// The bytes of memory that a job with bounds needs besides its file, if more than it had.
fn more_memory(job: &mut Job, outcome: &JobResult) -> Option<u64> {
    match outcome {
        Err(pict_rs_media::Error::Limit(Violation {
            limit: LimitKind::Memory,
            found,
            ..
        })) => job
            .bounds_mut()
            .is_some_and(|bounds| *found > bounds.memory)
            .then_some(*found),
        _ => None,
    }
}

/// One attempt at a job with bounds.
enum Attempt<F, T> {
    Done(InputFile, T),
    /// The bytes it needs, and everything to try again with.
    NeedsMore(u64, InputFile, Job, F),
}

/// A finished job.
#[derive(Debug)]
pub struct Worked<T> {
    /// The file.
    pub source: InputFile,
    /// Its result.
    pub result: T,
    /// For work that follows. Dropped last: the next job reads its file as soon as this is free, and
    /// the memory of this one has to be free by then.
    pub permit: Permit,
}

/// A permit for media work: a processor and the memory that the work needs.
#[derive(Debug)]
pub struct Permit {
    /// The one that has done the last job. Given back before the share of the processor is.
    sandbox: Option<Sandbox>,
    /// `None` while it waits.
    share: Option<Share>,
    ticket: Ticket,
    rank: Rank,
}

/// Whether a client waits for the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// A client.
    Foreground,
    /// Only a worker, or a long run.
    Background,
}

impl Permit {
    /// Whether it was acquired for a client that waits, or in the background.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    fn with(self, share: Share) -> Self {
        Self {
            share: Some(share),
            ..self
        }
    }

    /// Changes the amount of memory to `mib` MiB; returns whether that succeeded.
    fn resize(&mut self, mib: u32) -> bool {
        self.share.as_mut().is_some_and(|share| share.resize(mib))
    }
}

/// A place in the queue, released on drop.
struct QueuePlace<'a>(&'a AtomicUsize);

impl<'a> QueuePlace<'a> {
    /// Also returns how many were waiting before.
    fn new(waiting: &'a AtomicUsize) -> (Self, usize) {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        (Self(waiting), before)
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct CancelOnDrop(Arc<Control>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Seconds;

    fn pool(queue_length: usize) -> Arc<Pool> {
        pool_with(queue_length, Seconds(1))
    }

    fn pool_with(queue_length: usize, process_timeout: Seconds) -> Arc<Pool> {
        Arc::new(Pool::new(&MediaConfig {
            concurrency: 1,
            queue_length,
            memory: 8,
            process_timeout,
            ..MediaConfig::default()
        }))
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let pool = pool(1);
        let busy = pool.acquire().await.expect("free");
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire().await.map(drop) }
        });
        while pool.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            pool.acquire().await.expect_err("full").code(),
            ErrorCode::TooBusy
        );
        drop(busy);
        waiter.await.expect("joined").expect("its permit came");
        assert_eq!(pool.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn background_work_waits_in_line_without_a_place_in_the_queue() {
        let pool = pool(0);
        assert_eq!(pool.background(), 1);
        let busy = pool.acquire().await.expect("free");
        let mut background = Box::pin(pool.acquire_background());
        assert!(futures_util::poll!(&mut background).is_pending());
        assert_eq!(
            pool.acquire().await.expect_err("full").code(),
            ErrorCode::TooBusy
        );
        assert_eq!((pool.load().running, pool.load().waiting), (1, 0));
        drop(busy);
        drop(background.await.expect("its permit came"));
        assert_eq!((pool.load().running, pool.load().memory), (0, 0));
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_told_to_stop() {
        let pool = pool(1);
        let permit = pool.acquire().await.expect("free");
        let error = pool
            .run(permit, 0, |slot| {
                loop {
                    slot.control().check()?;
                    std::thread::yield_now();
                }
                #[expect(unreachable_code, reason = "gives the closure its type")]
                Ok(())
            })
            .await
            .expect_err("too long");
        assert_eq!(error.code(), ErrorCode::ProcessTimeout);
        // The permit comes back once the work has noticed the cancellation.
        drop(pool.acquire().await.expect("free again"));
    }

    #[tokio::test]
    async fn what_follows_at_once_keeps_its_permit() {
        let pool = pool(0);
        let permit = pool.acquire().await.expect("free");
        let (permit, made) = pool.run_on(permit, 1, |_| Ok(7)).await.expect("works");
        assert_eq!(made, 7);
        assert_eq!((pool.load().running, pool.load().memory), (1, 0));
        assert_eq!(
            pool.acquire().await.expect_err("taken").code(),
            ErrorCode::TooBusy
        );
        drop(permit);
        let permit = pool.acquire().await.expect("free");
        let failed = |_: &mut Slot| -> Result<()> { Err(Error::alias_not_found()) };
        pool.run_on(permit, 1, failed).await.expect_err("fails");
        assert_eq!(pool.load().running, 0);
    }

    #[tokio::test]
    async fn memory_beyond_the_budget_is_refused_before_any_work() {
        let pool = pool(1);
        let permit = pool.acquire().await.expect("free");
        let error = pool
            .run(permit, 9 * MIB, |_| Ok(()))
            .await
            .expect_err("too much");
        assert_eq!(error.code(), ErrorCode::ValidateMemory);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_frees_its_permit() {
        // A backtrace can take seconds on a busy machine.
        let pool = pool_with(1, Seconds(60));
        let permit = pool.acquire().await.expect("free");
        let error = pool
            .run(permit, 0, |_| -> Result<()> { panic!("on purpose") })
            .await;
        assert_eq!(error.expect_err("panicked").code(), ErrorCode::MediaFailed);
        drop(pool.acquire().await.expect("free again"));
    }
}
