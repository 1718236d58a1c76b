//! Processes of this program that decode files and can do nothing else: sandboxes.
//!
//! A file from a stranger may make a decoder crash, loop, take all memory, or do what its author
//! wants. In a sandbox that costs only its own request. A sandbox is this program, started again
//! ([`inside`]) with an empty environment and three descriptors: a socket for jobs and answers, a file
//! in memory for what a job makes, and one for its last words. It has given up everything else
//! (`system::confine`) and has one thread. The server gives it files as descriptors, and limits its
//! memory for each job ([`process`]).
//!
//! Sandboxes are started when they are needed and used again, so that a job need not wait for a start;
//! one without work ends after a minute.

pub mod inside;
mod process;
#[cfg(debug_assertions)]
mod rogue;
mod wire;

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pict_rs_media::{Control, Done, Job};

pub use crate::system::Protection;
use process::{Interruption, Process};

/// The hidden command that makes this program a sandbox.
pub const COMMAND: &str = "sandbox";
/// How long a sandbox is kept without work.
const KEPT: Duration = Duration::from_secs(60);

/// The engine's result of a job.
pub(crate) type JobResult = pict_rs_media::Result<Done>;

/// What a sandbox may use for a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Bytes of memory.
    pub(crate) memory: u64,
    /// Of processor time. The time on the clock is up to the caller, who cancels the job.
    pub(crate) time: Duration,
}

/// A file for the engine.
#[derive(Debug)]
pub struct InputFile {
    bytes: Vec<u8>,
    /// Tells it from all others, for sandboxes that have it already.
    id: u64,
    /// The same bytes, to be read by another process.
    file: Option<File>,
}

impl InputFile {
    /// `file` has the same bytes and can only be read.
    pub(crate) fn with_file(bytes: Vec<u8>, file: Option<File>) -> Self {
        Self {
            file,
            ..bytes.into()
        }
    }
}

impl From<Vec<u8>> for InputFile {
    fn from(bytes: Vec<u8>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            bytes,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            file: None,
        }
    }
}

impl Deref for InputFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// All sandboxes of this server.
#[derive(Debug)]
pub(crate) struct Sandboxes {
    idle: Arc<Idle>,
    keeper: mpsc::Sender<Errand>,
    protections: Vec<Protection>,
}

/// Sandboxes without work, the last used one last.
#[derive(Debug)]
struct Idle {
    /// How many are kept.
    most: usize,
    list: Mutex<Vec<(Process, Instant)>>,
}

/// What the thread that starts and ends sandboxes is asked to do. It is always the same one, because
/// a sandbox dies with the thread that started it.
enum Errand {
    Start(mpsc::SyncSender<io::Result<Process>>),
    End(Process),
    /// Watch the sandboxes without work.
    Watch,
}

impl Sandboxes {
    /// Starts the first one, to see what the system can do. `program` is the file of this program;
    /// `most` sandboxes are kept without work; none ever gets more than `ceiling` bytes of memory.
    /// Blocks.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn open(program: &Path, most: usize, ceiling: u64) -> io::Result<Arc<Self>> {
        let idle = Arc::new(Idle {
            most,
            list: Mutex::default(),
        });
        let (keeper, errands) = mpsc::channel();
        let keeping = {
            let (program, idle) = (program.to_owned(), idle.clone());
            move || keep(&program, ceiling, &errands, &idle)
        };
        std::thread::Builder::new()
            .name("sandboxes".to_owned())
            .spawn(keeping)?;
        let mut all = Self {
            idle,
            keeper,
            protections: Vec::new(),
        };
        let first = all.start()?;
        all.protections = first.protections().to_vec();
        all.give_back(first);
        Ok(Arc::new(all))
    }

    /// What sandboxes have given up on this system.
    pub(crate) fn protections(&self) -> &[Protection] {
        &self.protections
    }

    /// One without work, or a new one. Blocks.
    ///
    /// # Errors
    /// When none can be started.
    pub(crate) fn take(self: &Arc<Self>) -> io::Result<Sandbox> {
        Ok(Sandbox {
            process: Some(self.take_process()?),
            home: self.clone(),
        })
    }

    fn take_process(&self) -> io::Result<Process> {
        loop {
            // Locked only while one is taken.
            let last = self.idle.lock().pop();
            match last {
                Some((mut process, _)) => match process.is_alive() {
                    true => return Ok(process),
                    false => self.end(process),
                },
                None => return self.start(),
            }
        }
    }

    fn start(&self) -> io::Result<Process> {
        let (reply, started) = mpsc::sync_channel(1);
        let gone = || io::Error::other("the thread that starts sandboxes has gone");
        let asked = self.keeper.send(Errand::Start(reply));
        asked.map_err(|_| gone())?;
        started.recv().map_err(|_| gone())?
    }

    /// On the thread for it, because a process with much memory takes its time to end.
    fn end(&self, process: Process) {
        // If that has gone, so have all sandboxes.
        let _ = self.keeper.send(Errand::End(process));
    }

    fn give_back(&self, mut process: Process) {
        if !process.is_good() {
            return self.end(process);
        }
        let mut list = self.idle.lock();
        if list.len() >= self.idle.most {
            drop(list);
            return self.end(process);
        }
        let is_first = list.is_empty();
        list.push((process, Instant::now()));
        drop(list);
        if is_first {
            let _ = self.keeper.send(Errand::Watch);
        }
    }
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Vec<(Process, Instant)>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes those that were kept long enough; also tells when to look again.
    fn expired(&self) -> (Vec<Process>, Option<Duration>) {
        let mut list = self.lock();
        let now = Instant::now();
        let old = list.partition_point(|(_, since)| now.duration_since(*since) >= KEPT);
        let expired = list.drain(..old).map(|(process, _)| process).collect();
        let next = list
            .first()
            .map(|(_, since)| KEPT.saturating_sub(now.duration_since(*since)));
        (expired, next)
    }
}

/// Starts and ends sandboxes until the last sender is dropped.
fn keep(program: &Path, ceiling: u64, errands: &mpsc::Receiver<Errand>, idle: &Idle) {
    loop {
        let (expired, next) = idle.expired();
        drop(expired);
        let errand = match next {
            Some(time) => errands.recv_timeout(time),
            None => errands.recv().map_err(RecvTimeoutError::from),
        };
        match errand {
            Ok(Errand::Start(reply)) => {
                let _ = reply.send(Process::start(program, ceiling));
            }
            Ok(Errand::End(process)) => drop(process),
            Ok(Errand::Watch) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    idle.lock().clear();
}

/// One sandbox, for one piece of work at a time. When it is dropped others can use it.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// `None` once it has died.
    process: Option<Process>,
    home: Arc<Sandboxes>,
}

impl Sandbox {
    /// Does a job. When `control` is cancelled, or the job does not stay within its allowance, the
    /// process is killed; the next job gets another one. Blocks.
    pub(crate) fn run(
        &mut self,
        job: &Job,
        input: &InputFile,
        allowance: Allowance,
        control: &Control,
    ) -> JobResult {
        let mut may_try_again = true;
        loop {
            let mut process = match self.process.take() {
                Some(process) => process,
                None => self.home.take_process().map_err(cannot_start)?,
            };
            let interruption = match process.run(job, input, allowance, control) {
                Ok(outcome) => {
                    self.process = Some(process);
                    return outcome;
                }
                Err(interruption) => interruption,
            };
            let end = process.kill();
            // It ended before it read the job, as when the kernel kills it for lack of memory, or was
            // told to end with the service.
            let is_innocent = matches!(interruption, Interruption::Unread(_)) || end.is_bidden();
            if !may_try_again || !is_innocent || control.check().is_err() {
                return Err(end.explain(job, input.len(), allowance, interruption));
            }
            may_try_again = false;
            // Others that had no work may have been ended as well.
            self.process = Some(self.home.start().map_err(cannot_start)?);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.home.give_back(process);
        }
    }
}

pub(crate) fn cannot_start(error: io::Error) -> pict_rs_media::Error {
    pict_rs_media::Error::Internal(format!("no sandbox can be started: {error}"))
}
