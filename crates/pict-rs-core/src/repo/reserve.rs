//! Disk space on the database's disk that is reserved for removals.
//!
//! A removal has to write too, so a completely full disk could not be emptied through the server.
//! Therefore a file of some MiB is kept next to the database. It is deleted when a removal finds
//! the disk full. From then on only removals may write, so that nothing else uses the freed space,
//! until there is space for the file again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use crate::{Error, ErrorCode, Result};

/// The name of the file.
const FILE: &str = "reserve";
const MIB: u64 = 1024 * 1024;
/// On a small disk, the reserve is at most this fraction of it.
const PART: u64 = 16;
/// With less free space than this fraction of the reserve, a removal releases the reserve.
const TIGHT: u64 = 4;

/// The reserve file, and whether it was released.
#[derive(Debug)]
pub(super) struct Reserve {
    folder: PathBuf,
    path: PathBuf,
    /// 0 without a reserve.
    size: u64,
    is_given_back: AtomicBool,
    /// Held while the file is created or deleted.
    change: Mutex<()>,
}

impl Reserve {
    /// Creates a file of `mib` MiB in `folder`, smaller on a small disk. On a full disk the reserve
    /// is released at once, because opening a database needs space too. Blocks.
    pub(super) fn open(folder: &Path, mib: u64) -> Self {
        let total = space(folder).map_or(u64::MAX, |space| space.total);
        let reserve = Self {
            folder: folder.to_owned(),
            path: folder.join(FILE),
            size: mib.saturating_mul(MIB).min(total / PART),
            is_given_back: AtomicBool::new(false),
            change: Mutex::default(),
        };
        if reserve.size == 0 {
            let _ = fs::remove_file(&reserve.path);
        } else if reserve.is_tight() {
            reserve.give_back();
        } else if !reserve.is_there() {
            reserve.is_given_back.store(true, Ordering::Release);
            if !reserve.take() {
                tracing::warn!(
                    reserve = reserve.size,
                    "the disk of the database is nearly full: only removals write until there is room"
                );
            }
        }
        reserve
    }

    /// Whether writes other than removals are allowed. Recreates the reserve if there is space
    /// again. Blocks if it was released.
    pub(super) fn has_room(&self) -> bool {
        !self.is_given_back() || self.take()
    }

    /// Whether the reserve was released, as of the last check.
    pub(super) fn is_given_back(&self) -> bool {
        self.is_given_back.load(Ordering::Acquire)
    }

    /// Frees space for a removal if there is none. Returns false when there is still none. Blocks.
    pub(super) fn make_room(&self) -> bool {
        if !self.is_tight() {
            return true;
        }
        if self.size > 0 && !self.is_given_back() {
            self.give_back();
        }
        !self.is_tight()
    }

    fn give_back(&self) {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_given_back.store(true, Ordering::Release);
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the reserve of the database cannot be given back");
            }
            _ => tracing::warn!(
                reserve = self.size,
                "the disk of the database is full: its reserve is given back, and only removals write until there is room"
            ),
        }
    }

    /// Recreates the reserve if there is space; returns whether it exists.
    fn take(&self) -> bool {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_given_back() {
            return true;
        }
        // Requires the space that a removal needs on top, or the reserve would be released again at
        // once.
        let needed = self.size + self.size / TIGHT;
        if self.size > 0 && (self.free() < needed || self.write().is_err()) {
            let _ = fs::remove_file(&self.path);
            return false;
        }
        self.is_given_back.store(false, Ordering::Release);
        tracing::info!(
            reserve = self.size,
            "the database has its reserve of disk space"
        );
        true
    }

    fn write(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.size) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            other => return Ok(other?),
        }
        // Incompressible bytes from a linear generator, so that no file system can store them in
        // less space.
        let mut state = self.size | 1;
        let mut piece = vec![0; 64 * 1024];
        for _ in 0..self.size.div_ceil(piece.len() as u64) {
            for eight in piece.chunks_exact_mut(8) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                eight.copy_from_slice(&(state ^ (state >> 29)).to_le_bytes());
            }
            file.write_all(&piece)?;
        }
        file.sync_all()
    }

    /// Whether a complete file exists from the last run.
    fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|file| {
            // Allocated blocks, of 512 bytes.
            file.len() >= self.size && file.blocks().saturating_mul(512) >= self.size
        })
    }

    fn is_tight(&self) -> bool {
        // Without a reserve the log can still be shrunk, which frees a few pages.
        self.free() < (self.size / TIGHT).max(MIB / TIGHT)
    }

    fn free(&self) -> u64 {
        space(&self.folder).map_or(u64::MAX, |space| space.free)
    }
}

struct DiskSpace {
    free: u64,
    total: u64,
}

fn space(folder: &Path) -> Option<DiskSpace> {
    let found = statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(DiskSpace {
        free: bytes(found.f_bavail),
        total: bytes(found.f_blocks),
    })
}

/// The error returned to non-removal writes while the reserve is released.
pub(super) fn refusal() -> Error {
    Error::Internal {
        code: ErrorCode::InsufficientStorage,
        message: "the disk of the database is full, so only removals write".to_owned(),
        source: None,
    }
}

/// Runs blocking disk work on a blocking thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| Error::internal(ErrorCode::UnknownError, "disk work panicked", panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_takes_real_room_and_is_taken_again_after_it_was_given_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let reserve = Reserve::open(folder.path(), 1);
        let file = folder.path().join(FILE);
        let blocks = || fs::metadata(&file).expect("there").blocks() * 512;
        assert!(reserve.has_room() && blocks() >= MIB);
        reserve.give_back();
        assert!(reserve.is_given_back() && !file.exists());
        // The test's disk is not full.
        assert!(reserve.has_room() && blocks() >= MIB);
        assert!(!reserve.is_given_back() && reserve.make_room());
        drop(reserve);
        // A partial file, as a crash leaves it, is completed.
        File::options()
            .write(true)
            .open(&file)
            .and_then(|file| file.set_len(100))
            .expect("cut");
        let reserve = Reserve::open(folder.path(), 1);
        assert!(reserve.has_room() && blocks() >= MIB);
        drop(reserve);
        assert!(Reserve::open(folder.path(), 0).has_room());
        assert!(!file.exists());
    }

    #[test]
    fn a_reserve_that_never_finds_room_lets_only_removals_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut reserve = Reserve::open(folder.path(), 1);
        reserve.size = u64::MAX / 2;
        assert!(!reserve.make_room() && reserve.is_given_back());
        assert!(!reserve.has_room());
    }
}
