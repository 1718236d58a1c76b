//! The program as a sandbox: gives up everything, then does jobs until the server closes the socket.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;

use pict_rs_media::{Control, Done, Job, Piece};

use super::wire::{Hello, Order, Reply, receive_with, written};
use crate::system::confine;

/// An answer with more parts has them as one file.
const PIECES: usize = 1000;

/// Serves jobs on standard input, which is a socket, and writes files to standard output, which is a
/// file in memory. Called before anything else, in a process of one thread.
///
/// # Errors
/// When it was not started by the server.
pub fn serve() -> io::Result<()> {
    let (socket, results) = (io::stdin(), io::stdout());
    let mut socket = Socket(socket.as_fd());
    let hello = Hello {
        protections: confine(),
    };
    socket.write_all(&written(&hello)?)?;
    let mut source = Vec::new();
    while let Some((order, file)) = receive_with(&mut socket)? {
        let (job, size) = match order {
            Order::Forget => {
                source = Vec::new();
                continue;
            }
            Order::Work { job, size } => (job, size),
        };
        if let (Some(size), Some(file)) = (size, file) {
            // Before the next one, so that only one is in memory.
            drop(std::mem::take(&mut source));
            source = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            File::from(file).read_exact_at(&mut source, 0)?;
        }
        let outcome = run(&job, &source);
        let answer = answer(outcome, &source, results.as_fd())?;
        socket.write_all(&written(&answer)?)?;
    }
    Ok(())
}

/// The job is never cancelled: the server kills the process.
fn run(job: &Job, source: &[u8]) -> pict_rs_media::Result<Done> {
    #[cfg(debug_assertions)]
    if let Some(misdeed) = super::rogue::asked(source) {
        let said = super::rogue::act(misdeed);
        return Err(pict_rs_media::Error::Unsupported(format!(
            "{misdeed}: {said:?}"
        )));
    }
    pict_rs_media::run(job, source, &Control::new())
}

/// Writes the files of a result, and leaves the rest for the message.
fn answer(
    outcome: pict_rs_media::Result<Done>,
    source: &[u8],
    results: BorrowedFd<'_>,
) -> io::Result<Reply> {
    let mut outcome = outcome;
    let mut sizes = Vec::new();
    if let Ok(done) = &mut outcome {
        if let Some(pieces) = done.pieces_mut().filter(|pieces| pieces.len() > PIECES) {
            let bytes = pieces.iter().map(|piece| piece.bytes(source));
            let bytes = bytes.collect::<pict_rs_media::Result<Vec<_>>>();
            let bytes = bytes.map_err(io::Error::other)?.concat();
            *pieces = vec![Piece::Made(bytes)];
        }
        let mut at = 0;
        for file in done.files_mut() {
            let bytes = std::mem::take(file);
            write_all_at(results, &bytes, at)?;
            at += bytes.len() as u64;
            sizes.push(bytes.len() as u64);
        }
    }
    Ok(Reply { outcome, sizes })
}

fn write_all_at(file: BorrowedFd<'_>, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = rustix::io::retry_on_intr(|| rustix::io::pwrite(file, bytes, at))?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        at += count as u64;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// A descriptor that is read and written as it is, without a buffer.
struct Socket<'a>(BorrowedFd<'a>);

impl Read for &mut Socket<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| {
            rustix::io::read(self.0, &mut *bytes)
        })?)
    }
}

impl io::Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| {
            rustix::io::write(self.0, bytes)
        })?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for &mut Socket<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}
