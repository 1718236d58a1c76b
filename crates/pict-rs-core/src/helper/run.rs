//! Runs a program within bounds: no shell, nothing of our environment, a folder of its own to
//! work in, limits of memory, processor time and files that the system keeps, what it prints read
//! up to a bound, and the whole process group killed when nobody waits any more.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pict_rs_media::Control;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};

use super::{Helper, missing};
use crate::{Error, ErrorCode, Result};

/// How much of each output is kept.
const SAID: usize = 64 * 1024;
/// Address space that is no memory: libraries, and the stacks of threads.
const ADDRESSES: u64 = 1 << 30;
/// Between two looks at a program that runs.
const LOOKS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];

/// What a program may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes of memory.
    pub(crate) memory: u64,
    /// Bytes of each file that it writes.
    pub(crate) file_size: u64,
    /// Of the clock, and of the processor.
    pub(crate) time: Duration,
}

/// Runs the program in `folder` to its end and gives what it printed on its standard output.
/// Blocks.
///
/// # Errors
/// [`ErrorCode::ProgramMissing`] when it is gone, [`ErrorCode::MediaDamaged`] with its last line
/// when it fails, [`ErrorCode::ProcessTimeout`], [`ErrorCode::ValidateFileSize`] when a file of
/// its grows too large.
pub(super) fn run(
    helper: Helper,
    mut command: Command,
    folder: &Path,
    room: Room,
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
    let child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => missing(helper),
        _ => Error::internal(
            ErrorCode::MediaFailed,
            format!("cannot run {}", helper.name()),
            error,
        ),
    })?;
    let mut running = Running(child);
    running.limit(room);
    let mut output = Output::new(running.0.stdout.take(), false)?;
    let mut complaints = Output::new(running.0.stderr.take(), true)?;
    let status = loop {
        control.check()?;
        let has_said = output.read() | complaints.read();
        let ended = running.0.try_wait();
        let ended = ended.map_err(|e| failed("cannot wait for a program", e))?;
        if let Some(status) = ended {
            output.read();
            complaints.read();
            break status;
        }
        if started.elapsed() > room.time {
            return Err(too_slow(helper, room));
        }
        std::thread::sleep(LOOKS[usize::from(!has_said && started.elapsed() > LOOKS[1])]);
    };
    let said = String::from_utf8_lossy(&complaints.kept).into_owned();
    if !said.is_empty() {
        tracing::debug!(program = helper.name(), %status, said, "a program complained");
    }
    if status.success() {
        Ok(output.kept)
    } else {
        Err(judge(helper, room, status, &said))
    }
}

fn judge(helper: Helper, room: Room, status: ExitStatus, said: &str) -> Error {
    let name = helper.name();
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => too_slow(helper, room),
        Some(Signal::XFSZ) => Error::user(
            ErrorCode::ValidateFileSize,
            format!(
                "What {name} makes of this file is larger than {} bytes",
                room.file_size
            ),
        ),
        _ => Error::user(
            ErrorCode::MediaDamaged,
            format!("{name} cannot read this file: {}", last_line(said)),
        ),
    }
}

fn too_slow(helper: Helper, room: Room) -> Error {
    Error::user(
        ErrorCode::ProcessTimeout,
        format!(
            "{} took longer than {} seconds",
            helper.name(),
            room.time.as_secs()
        ),
    )
}

/// The last line that says something, for people. Programs are given names without folders, so it
/// holds no path of ours.
fn last_line(said: &str) -> String {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let line = line.unwrap_or("it does not say why");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn failed(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal(ErrorCode::MediaFailed, what, error)
}

/// A program and whatever it has started. Dropping it ends them all.
struct Running(Child);

impl Running {
    fn id(&self) -> Option<Pid> {
        i32::try_from(self.0.id()).ok().and_then(Pid::from_raw)
    }

    /// Set from outside: what has to be done between fork and exec would be unsafe. The moment
    /// until then is one in which a program loads its libraries.
    fn limit(&self, room: Room) {
        let seconds = room.time.as_secs().saturating_add(1);
        for (resource, most) in [
            (Resource::As, room.memory.saturating_add(ADDRESSES)),
            (Resource::Cpu, seconds),
            (Resource::Fsize, room.file_size),
            (Resource::Core, 0),
        ] {
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(most.saturating_add(1)),
            };
            if let Some(id) = self.id()
                && let Err(error) = prlimit(Some(id), resource, limit)
            {
                tracing::debug!(%error, ?resource, "a limit cannot be set");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Also after its end: something that it started may go on.
        if let Some(id) = self.id() {
            let _ = kill_process_group(id, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// What comes out of a pipe, without ever waiting for it.
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

    /// Takes what is there, up to a bound; tells whether there was something.
    fn read(&mut self) -> bool {
        let mut has_said = false;
        let mut piece = [0; 4096];
        for _ in 0..SAID / 4096 {
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
            let excess = self.kept.len().saturating_sub(SAID);
            self.kept.drain(..excess);
        } else {
            let room = SAID.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
        }
    }
}
