//! Runs an external program within limits: without a shell and without our environment, in a folder
//! of its own, with limits on memory, processor time and file sizes that the system enforces. Only
//! a bounded amount of its output is read. The whole process group is killed when the work is
//! cancelled.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pict_rs_media::Control;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process_group, waitid,
};

use super::{Helper, confined, missing};
use crate::system::{HAS_LIMITS, set_limit};
use crate::{Error, ErrorCode, Result};

/// Bytes of each output stream that are kept.
pub(super) const MAX_OUTPUT: usize = 64 * 1024;
/// Address space that is not memory: libraries, and the stacks of threads.
const ADDRESSES: u64 = 1 << 30;
/// How the system reports a full disk, in the locale that programs are run in.
const DISK_FULL: [&str; 2] = ["No space left on device", "Disk quota exceeded"];
/// Intervals between checks whether the program has ended.
const POLL_INTERVALS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];

/// Limits of a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResourceLimits {
    /// Bytes of memory.
    pub(crate) memory: u64,
    /// Bytes of each file that it writes.
    pub(crate) file_size: u64,
    /// Of wall-clock time and of processor time.
    pub(crate) time: Duration,
}

/// Runs the program in `folder` and returns its standard output. Blocks.
///
/// # Errors
/// [`ErrorCode::ProgramMissing`] when it was removed, [`ErrorCode::MediaDamaged`] with its last
/// line when it fails, [`ErrorCode::ProcessTimeout`], [`ErrorCode::ValidateFileSize`] when it
/// writes a file that is too large.
pub(super) fn run(
    helper: Helper,
    mut command: Command,
    folder: &Path,
    limits: ResourceLimits,
    control: &Control,
) -> Result<Vec<u8>> {
    let started = Instant::now();
    let named: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command
        .env_clear()
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("LC_ALL", "C")
        .envs(named)
        .current_dir(folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let files = (!HAS_LIMITS).then(|| FileSizes::of(folder));
    let child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => missing(helper),
        _ => Error::internal(
            ErrorCode::MediaFailed,
            format!("cannot run {}", helper.name()),
            error,
        ),
    })?;
    let mut running = RunningProgram::new(child)?;
    running.limit(limits)?;
    let mut output = Output::new(running.child.stdout.take(), false)?;
    let mut complaints = Output::new(running.child.stderr.take(), true)?;
    let status = loop {
        control.check()?;
        let has_said = output.read() | complaints.read();
        let has_ended = running.has_ended()?;
        if files
            .as_ref()
            .is_some_and(|f| f.grow_beyond(limits.file_size, folder))
        {
            return Err(too_large(helper, limits));
        }
        if has_ended {
            let status = running.end()?;
            output.read();
            complaints.read();
            break status;
        }
        if started.elapsed() > limits.time {
            return Err(too_slow(helper, limits));
        }
        std::thread::sleep(
            POLL_INTERVALS[usize::from(!has_said && started.elapsed() > POLL_INTERVALS[1])],
        );
    };
    let said = String::from_utf8_lossy(&complaints.kept).into_owned();
    if !said.is_empty() {
        tracing::debug!(program = helper.name(), %status, said, "a program complained");
    }
    if status.success() {
        Ok(output.kept)
    } else {
        Err(judge(helper, limits, status, &said))
    }
}

fn judge(helper: Helper, limits: ResourceLimits, status: ExitStatus, said: &str) -> Error {
    let name = helper.name();
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(confined::MISSING) => return missing(helper),
        Some(confined::FAILED) => {
            let message = format!("cannot run {name}");
            return Error::internal(ErrorCode::MediaFailed, message, last_line(said));
        }
        _ => {}
    }
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => too_slow(helper, limits),
        Some(Signal::XFSZ) => too_large(helper, limits),
        // A full disk says nothing about the file: the program could not write its result.
        _ if DISK_FULL.iter().any(|words| said.contains(words)) => Error::internal(
            ErrorCode::InsufficientStorage,
            format!("{name} had no room to write to"),
            last_line(said),
        ),
        _ => Error::user(
            ErrorCode::MediaDamaged,
            format!("{name} cannot read this file: {}", last_line(said)),
        ),
    }
}

fn too_slow(helper: Helper, limits: ResourceLimits) -> Error {
    Error::user(
        ErrorCode::ProcessTimeout,
        format!(
            "{} took longer than {} seconds",
            helper.name(),
            limits.time.as_secs()
        ),
    )
}

fn too_large(helper: Helper, limits: ResourceLimits) -> Error {
    Error::user(
        ErrorCode::ValidateFileSize,
        format!(
            "What {} makes of this file is larger than {} bytes",
            helper.name(),
            limits.file_size
        ),
    )
}

/// The last non-empty line, for people. Programs are given names without folders, so it contains
/// none of our paths.
fn last_line(said: &str) -> String {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let line = line.unwrap_or("it does not say why");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn failed(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal(ErrorCode::MediaFailed, what, error)
}

/// A program and its children. Dropping it ends them all.
struct RunningProgram {
    child: Child,
    /// Also the id of its group. The system does not reuse it until the child is waited for.
    id: Pid,
    is_over: bool,
}

impl RunningProgram {
    fn new(mut child: Child) -> Result<Self> {
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let Some(id) = id else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed("a program has no id", "it is zero"));
        };
        Ok(Self {
            child,
            id,
            is_over: false,
        })
    }

    /// Sets the limits from outside, because code between fork and exec would be unsafe. Until they
    /// are set, the program only loads its libraries.
    fn limit(&self, limits: ResourceLimits) -> Result<()> {
        let seconds = limits.time.as_secs().saturating_add(1);
        for (resource, most) in [
            (Resource::As, limits.memory.saturating_add(ADDRESSES)),
            (Resource::Cpu, seconds),
            (Resource::Fsize, limits.file_size),
            (Resource::Core, 0),
        ] {
            let limit = within(most, getrlimit(resource).maximum);
            match set_limit(self.id, resource, limit) {
                // It has already ended.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(failed("cannot limit a program", error)),
            }
        }
        Ok(())
    }

    /// Checks without reaping the child, so that its id remains valid.
    fn has_ended(&self) -> Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = waitid(WaitId::Pid(self.id), options);
        let ended = ended.map_err(|e| failed("cannot look after a program", e))?;
        Ok(ended.is_some())
    }

    /// Kills the whole group, because children may outlive the program. Only then is the program
    /// waited for: afterwards its id may belong to another process.
    fn end(&mut self) -> Result<ExitStatus> {
        let _ = kill_process_group(self.id, Signal::KILL);
        self.is_over = true;
        let status = self.child.wait();
        status.map_err(|e| failed("cannot wait for a program", e))
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.end();
        }
    }
}

/// The files of a folder before a program is run, and their sizes. For systems that do not limit
/// the files that it writes; they are not read in the folders that it makes.
struct FileSizes(HashMap<OsString, u64>);

impl FileSizes {
    fn of(folder: &Path) -> Self {
        Self(Self::list(folder).collect())
    }

    /// Whether one is larger than `most` bytes and was not there, or was smaller.
    fn grow_beyond(&self, most: u64, folder: &Path) -> bool {
        Self::list(folder).any(|(name, size)| {
            size > most && self.0.get(&name).is_none_or(|before| size > *before)
        })
    }

    fn list(folder: &Path) -> impl Iterator<Item = (OsString, u64)> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?.len())))
    }
}

/// The limit, or the system's stricter one, which cannot be raised.
fn within(most: u64, ours: Option<u64>) -> Rlimit {
    let ours = ours.unwrap_or(u64::MAX);
    Rlimit {
        current: Some(most.min(ours)),
        maximum: Some(most.saturating_add(1).min(ours)),
    }
}

/// Reads from a pipe without blocking.
struct Output<P> {
    pipe: Option<P>,
    kept: Vec<u8>,
    keeps_end: bool,
}

impl<P: Read + AsFd> Output<P> {
    fn new(pipe: Option<P>, keeps_end: bool) -> Result<Self> {
        if let Some(pipe) = &pipe {
            fcntl_getfl(pipe)
                .and_then(|flags| fcntl_setfl(pipe, flags | OFlags::NONBLOCK))
                .map_err(|e| failed("cannot set up a pipe", e))?;
        }
        Ok(Self {
            pipe,
            kept: Vec::new(),
            keeps_end,
        })
    }

    /// Reads what is available, up to a bound; returns whether there was anything.
    fn read(&mut self) -> bool {
        let mut has_said = false;
        let mut piece = [0; 4096];
        for _ in 0..MAX_OUTPUT / 4096 {
            let Some(pipe) = &mut self.pipe else { break };
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(length) => {
                    has_said = true;
                    self.keep(&piece[..length]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        has_said
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.keeps_end {
            self.kept.extend_from_slice(piece);
            let excess = self.kept.len().saturating_sub(MAX_OUTPUT);
            self.kept.drain(..excess);
        } else {
            let left = MAX_OUTPUT.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&piece[..piece.len().min(left)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_on_a_full_disk_says_nothing_about_the_file() {
        let limits = ResourceLimits {
            memory: 1,
            file_size: 1,
            time: Duration::from_secs(1),
        };
        let check = |said, expected| {
            let error = judge(Helper::Ffmpeg, limits, ExitStatus::from_raw(256), said);
            assert_eq!(error.code(), expected, "{said}");
        };
        check(
            "x.mp4: No space left on device\nfailed!",
            ErrorCode::InsufficientStorage,
        );
        check("Disk quota exceeded", ErrorCode::InsufficientStorage);
        check("Invalid data found", ErrorCode::MediaDamaged);
    }

    #[test]
    fn a_file_counts_when_it_is_new_or_has_grown() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, size| {
            fs::write(folder.path().join(name), vec![0; size]).expect("written");
        };
        write("source", 20);
        let files = FileSizes::of(folder.path());
        write("made", 10);
        assert!(!files.grow_beyond(10, folder.path()));
        write("made", 11);
        assert!(files.grow_beyond(10, folder.path()));
        write("made", 1);
        write("source", 21);
        assert!(files.grow_beyond(10, folder.path()));
    }

    #[test]
    fn a_stricter_limit_of_the_system_stays() {
        let check = |most, ours, expected: (u64, u64)| {
            let limit = within(most, ours);
            let expected = (Some(expected.0), Some(expected.1));
            assert_eq!((limit.current, limit.maximum), expected, "{most} {ours:?}");
        };
        check(10, None, (10, 11));
        check(10, Some(100), (10, 11));
        check(10, Some(10), (10, 10));
        check(10, Some(3), (3, 3));
        check(0, Some(0), (0, 0));
        check(u64::MAX, None, (u64::MAX, u64::MAX));
    }
}
