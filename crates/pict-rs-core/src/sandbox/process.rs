//! The server's side of one sandbox.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pict_rs_media::limits::{LimitKind, Violation};
use pict_rs_media::{Control, Done, Job, Piece};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit};

use super::wire::{Hello, Order, Reply, receive, send_with, written};
use super::{Allowance, COMMAND, InputFile, JobResult};
use crate::system::{self, Protection, sealed_file, set_limit};

/// How often a waiting server looks whether the job was cancelled.
const LOOK: Duration = Duration::from_millis(10);
/// How long a start may take. An emulated processor on a busy machine is slow.
const START: Duration = Duration::from_secs(20);
/// Address space besides what a job says it needs: the allocator's reserves, stacks, small things.
const SPARE: u64 = 64 << 20;
/// How long one that has closed its socket may take to end.
const END: Duration = Duration::from_secs(1);
/// Jobs until a sandbox is replaced, so that nothing that a file has left in one lasts.
const JOBS: u32 = 200;
/// A sandbox that has more bytes left after its jobs is replaced.
const GROWN: u64 = 64 << 20;
/// Descriptors of a sandbox: three, and the file of a job.
const DESCRIPTORS: u64 = 8;
/// Bytes of its last words that are read.
const WORDS: u64 = 4096;
/// A blurhash is 6 to 99 letters long.
const BLURHASH: usize = 128;
/// A ThumbHash has 5 to 25 bytes.
const THUMBHASH: usize = 25;

/// A running sandbox. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    id: Pid,
    socket: UnixStream,
    /// What the files of a result are read from.
    results: File,
    /// What it has written to its standard error.
    said: File,
    protections: Vec<Protection>,
    /// The file that it has in memory, by its id.
    holds: Option<u64>,
    /// Whether a job runs, or ended in an unknown way.
    is_busy: bool,
    jobs: u32,
    /// How long all its jobs took, of which it cannot have used more processor time.
    worked: Duration,
    /// Address space before its first job.
    base: u64,
    /// The limits that it could raise its own limits to.
    most: Ceilings,
}

#[derive(Clone, Copy, Debug)]
struct Ceilings {
    addresses: Option<u64>,
    file_size: Option<u64>,
    time: Option<u64>,
}

/// Why a job has no outcome.
#[derive(Debug)]
pub(super) enum Interruption {
    /// It was cancelled.
    Cancelled,
    /// The sandbox has ended before it read the job.
    Unread(io::Error),
    /// The sandbox does not answer any more, or not as it should.
    Broken(io::Error),
}

/// How a sandbox ended.
#[derive(Debug)]
pub(super) struct End {
    id: Pid,
    status: Option<ExitStatus>,
    /// Whether it did not end by itself.
    by_us: bool,
    said: String,
}

impl Process {
    /// Starts one and waits until it has given everything up.
    pub(super) fn start(program: &Path, ceiling: u64) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let (results, said) = (system::memory_file()?, system::memory_file()?);
        let mut command = Command::new(program);
        let child = command
            .arg(COMMAND)
            .env_clear()
            // 64-bit builds with musl: no reserve of address space, which limits would count.
            .env("MIMALLOC_ARENA_RESERVE", "0")
            .process_group(0)
            .stdin(OwnedFd::from(theirs))
            .stdout(results.try_clone()?)
            .stderr(Stdio::from(said.try_clone()?))
            .spawn()?;
        // Closes our copy of its end of the socket, so that its death is noticed.
        drop(command);
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut process = Self {
            id: id.ok_or_else(|| io::Error::other("a process without a number"))?,
            child,
            socket: ours,
            results,
            said,
            protections: Vec::new(),
            holds: None,
            is_busy: true,
            jobs: 0,
            worked: Duration::ZERO,
            base: 0,
            most: Ceilings {
                addresses: None,
                file_size: None,
                time: getrlimit(Resource::Cpu).maximum,
            },
        };
        process.socket.set_read_timeout(Some(LOOK))?;
        let started = Instant::now();
        let hello = process.receive::<Hello>(|| started.elapsed() < START);
        let hello = hello.map_err(|error| {
            let said = process.last_words();
            io::Error::other(format!("{error}; it said: {said}"))
        })?;
        process.protections = hello.protections;
        process.limit_for_ever(ceiling)?;
        process.is_busy = false;
        Ok(process)
    }

    pub(super) fn protections(&self) -> &[Protection] {
        &self.protections
    }

    /// Whether it can take a job.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether it is worth keeping. It gives the last file up.
    pub(super) fn is_good(&mut self) -> bool {
        if self.is_busy || self.jobs >= JOBS {
            return false;
        }
        let forget = || written(&Order::Forget).and_then(|text| (&self.socket).write_all(&text));
        if self.holds.take().is_some() && forget().is_err() {
            return false;
        }
        let memory = system::memory_of(self.id);
        memory.is_none_or(|memory| memory.resident < GROWN)
    }

    pub(super) fn run(
        &mut self,
        job: &Job,
        input: &InputFile,
        allowance: Allowance,
        control: &Control,
    ) -> Result<JobResult, Interruption> {
        if control.check().is_err() {
            return Ok(Err(pict_rs_media::Error::Cancelled));
        }
        let started = Instant::now();
        self.is_busy = true;
        self.jobs += 1;
        let answer = self.limit(allowance).and_then(|()| {
            self.order(job, input)?;
            self.receive::<Reply>(|| control.check().is_ok())
        });
        if control.check().is_err() {
            return Err(Interruption::Cancelled);
        }
        let outcome = answer.and_then(|answer| self.completed(answer, job, input, allowance));
        let outcome = outcome.map_err(|error| match error.kind() {
            // The kernel says so of a socket that was closed with something unread.
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Interruption::Unread(error)
            }
            _ => Interruption::Broken(error),
        })?;
        self.is_busy = false;
        self.worked += started.elapsed();
        Ok(outcome)
    }

    fn order(&mut self, job: &Job, input: &InputFile) -> io::Result<()> {
        let is_known = self.holds == Some(input.id);
        let size = (!is_known).then_some(input.len() as u64);
        let job = job.clone();
        let text = written(&Order::Work { job, size })?;
        if is_known {
            return (&self.socket).write_all(&text);
        }
        match &input.file {
            Some(file) => send_with(&self.socket, &text, file.as_fd())?,
            None => send_with(&self.socket, &text, sealed_file(input)?.as_fd())?,
        }
        self.holds = Some(input.id);
        Ok(())
    }

    /// Waits for a message while `goes_on` agrees.
    fn receive<T: serde::de::DeserializeOwned>(&self, goes_on: impl Fn() -> bool) -> io::Result<T> {
        receive(|mut bytes| {
            while !bytes.is_empty() {
                match (&self.socket).read(bytes) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => bytes = &mut bytes[count..],
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if goes_on() => {}
                        io::ErrorKind::Interrupted => {}
                        _ => return Err(error),
                    },
                }
            }
            Ok(())
        })
    }

    /// Reads the files of a result, and checks what the server goes on to rely on: a sandbox that was
    /// taken over says what it wants.
    fn completed(
        &self,
        answer: Reply,
        job: &Job,
        input: &InputFile,
        allowance: Allowance,
    ) -> io::Result<JobResult> {
        let Reply { outcome, sizes } = answer;
        let mut done = match outcome {
            Ok(done) => done,
            Err(error) => return Ok(Err(error)),
        };
        let wrong = |what| Err(io::Error::other(what));
        let total = sizes
            .iter()
            .try_fold(0u64, |sum, size| sum.checked_add(*size));
        let most = self.results.metadata()?.len().min(file_size(allowance));
        if total.is_none_or(|total| total > most) {
            return wrong("a result is larger than its file");
        }
        let files = done.files_mut();
        if files.len() != sizes.len() {
            return wrong("a result has other files than it says");
        }
        let mut at = 0;
        for (file, size) in files.into_iter().zip(sizes) {
            *file = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            self.results.read_exact_at(file, at)?;
            at += size;
        }
        if at > 0 {
            self.results.set_len(0)?;
        }
        let mut taken: usize = 0;
        for piece in done.pieces_mut().into_iter().flatten() {
            if let Piece::Source(range) = piece {
                taken = range.len().saturating_add(taken);
                if range.end > input.len() || taken > input.len() {
                    return wrong("a result has more of its source than there is");
                }
            }
        }
        let preview = match &done {
            Done::Made(made) => made.preview.as_ref(),
            Done::Preview(preview) => Some(preview),
            _ => None,
        };
        let blurhash = preview.map(|preview| preview.blurhash.as_str());
        if blurhash.is_some_and(|text| text.len() > BLURHASH || !text.is_ascii()) {
            return wrong("a result has an invalid blurhash");
        }
        if preview.is_some_and(|preview| preview.thumbhash.len() > THUMBHASH) {
            return wrong("a result has an invalid ThumbHash");
        }
        if let (Job::Inspect(bounds), Done::Facts(facts)) = (job, &done) {
            let limits = bounds.of(facts.kind());
            if let Err(violation) = pict_rs_media::limits::check(facts, input.len() as u64, limits)
            {
                return Ok(Err(violation.into()));
            }
        }
        Ok(Ok(done))
    }

    /// Kills it and tells how it ended.
    pub(super) fn kill(mut self) -> End {
        // It may be about to end by itself, because of what broke it. Then that is told.
        let patience = Instant::now();
        let mut status = self.child.try_wait().ok().flatten();
        while status.is_none() && patience.elapsed() < END && self.is_gone() {
            std::thread::sleep(Duration::from_millis(1));
            status = self.child.try_wait().ok().flatten();
        }
        let by_us = status.is_none();
        if by_us {
            let _ = self.child.kill();
            status = self.child.wait().ok();
        }
        End {
            id: self.id,
            status,
            by_us,
            said: self.last_words(),
        }
    }

    /// Whether it has closed its end of the socket.
    fn is_gone(&self) -> bool {
        match (&self.socket).read(&mut [0]) {
            Ok(count) => count == 0,
            // It has not read all that it was sent.
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn last_words(&self) -> String {
        let size = self.said.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = vec![0; usize::try_from(size.min(WORDS)).unwrap_or(0)];
        match self
            .said
            .read_exact_at(&mut bytes, size.saturating_sub(WORDS))
        {
            Ok(()) => String::from_utf8_lossy(&bytes).trim().to_owned(),
            Err(_) => String::new(),
        }
    }

    /// The limits that hold for all jobs.
    fn limit_for_ever(&mut self, ceiling: u64) -> io::Result<()> {
        self.base = system::memory_of(self.id).map_or(0, |memory| memory.addresses);
        let all = Allowance {
            memory: ceiling,
            time: Duration::ZERO,
        };
        for (resource, most) in [
            (Resource::As, self.addresses(all)),
            (Resource::Fsize, file_size(all)),
            (Resource::Nofile, DESCRIPTORS),
            (Resource::Nproc, 0),
            (Resource::Core, 0),
        ] {
            let ours = getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let most = most.min(ours);
            self.set(resource, most, Some(most))?;
            match resource {
                Resource::As => self.most.addresses = Some(most),
                Resource::Fsize => self.most.file_size = Some(most),
                _ => {}
            }
        }
        Ok(())
    }

    /// The limits of one job.
    fn limit(&self, allowance: Allowance) -> io::Result<()> {
        let seconds = self.worked.as_secs() + allowance.time.as_secs() + 2;
        let most = self.most;
        self.set(Resource::As, self.addresses(allowance), most.addresses)?;
        self.set(Resource::Fsize, file_size(allowance), most.file_size)?;
        self.set(Resource::Cpu, seconds, most.time)
    }

    fn set(&self, resource: Resource, current: u64, maximum: Option<u64>) -> io::Result<()> {
        let limit = Rlimit {
            current: Some(current.min(maximum.unwrap_or(u64::MAX))),
            maximum,
        };
        Ok(set_limit(self.id, resource, limit)?)
    }

    /// A quarter more than a job needs by its own account, because allocators round up.
    fn addresses(&self, allowance: Allowance) -> u64 {
        let memory = allowance.memory;
        let most = self.base.saturating_add(SPARE);
        most.saturating_add(memory).saturating_add(memory / 4)
    }
}

/// Bytes that a job may write. What it makes is in its memory before.
fn file_size(allowance: Allowance) -> u64 {
    allowance.memory.saturating_add(SPARE)
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl End {
    /// Whether it was told to end, as a service manager tells all processes of a service, and
    /// not its job is to blame.
    pub(super) fn is_bidden(&self) -> bool {
        const BIDDEN: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::HUP];
        let signal = self.status.and_then(|status| status.signal());
        let signal = signal.and_then(Signal::from_named_raw);
        signal.is_some_and(|signal| BIDDEN.contains(&signal))
    }

    /// The error of a job that ended so, which is logged unless the job was cancelled.
    pub(super) fn explain(
        self,
        job: &Job,
        size: usize,
        allowance: Allowance,
        interruption: Interruption,
    ) -> pict_rs_media::Error {
        let cause = match interruption {
            Interruption::Cancelled => return pict_rs_media::Error::Cancelled,
            Interruption::Unread(cause) | Interruption::Broken(cause) => cause,
        };
        let signal = self.status.and_then(|status| status.signal());
        let signal = signal.and_then(Signal::from_named_raw);
        let (why, error) = self.judge(signal, allowance);
        tracing::warn!(
            pid = self.id.as_raw_nonzero(),
            job = name(job),
            size,
            memory = allowance.memory,
            status = self.status.map(|status| status.to_string()),
            said = self.said,
            %cause,
            "a sandbox has died: {why}"
        );
        error
    }

    fn judge(
        &self,
        signal: Option<Signal>,
        allowance: Allowance,
    ) -> (&'static str, pict_rs_media::Error) {
        use pict_rs_media::Error as Media;
        let failed = |why: &'static str| {
            (
                why,
                Media::Internal(format!("the decoder's process has died: {why}")),
            )
        };
        let memory = |more: u64| {
            let violation = Violation {
                limit: LimitKind::Memory,
                allowed: allowance.memory,
                found: allowance.memory.saturating_add(more),
            };
            Media::Limit(violation)
        };
        match signal {
            _ if self.by_us => failed("it did not answer as it should"),
            Some(Signal::SYS) => failed("it used a system call that is forbidden"),
            Some(Signal::XCPU) => ("it used all its processor time", Media::Cancelled),
            Some(Signal::XFSZ) => ("it wrote more than it may", memory(1)),
            Some(Signal::ABORT) => match lacking(&self.said) {
                Some(more) => ("it needed more memory than the job may have", memory(more)),
                None if self.said.contains("has overflowed its stack") => {
                    failed("it overflowed its stack")
                }
                None => failed("it aborted"),
            },
            Some(Signal::SEGV | Signal::BUS | Signal::ILL) => failed("it crashed"),
            Some(Signal::KILL) => failed("it was killed"),
            Some(_) => failed("a signal ended it"),
            None => failed("it broke off"),
        }
    }
}

/// The bytes that could not be allocated, as the standard library tells them before it aborts.
fn lacking(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("memory allocation of ")?;
    rest.split(' ').next()?.parse().ok()
}

/// What a job is called in the log.
fn name(job: &Job) -> &'static str {
    match job {
        Job::Inspect(_) => "inspect",
        Job::Recognise => "recognise",
        Job::Repair(_) => "repair",
        Job::Keep { .. } => "keep",
        Job::Convert { .. } => "convert",
        Job::Stills { .. } => "stills",
        Job::Preview(_) => "preview",
        Job::Clip => "clip",
    }
}
