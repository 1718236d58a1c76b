//! Makes a copy of a database in a folder for reading. The libraries write to what they open, and truncate
//! what they cannot read.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tempfile::TempDir;

use super::Library;
use crate::{Error, ErrorCode, Result};

/// Prefix of the names of snapshots, which sled makes.
const SNAPSHOT: &str = "snap.";
/// Advice from the author of pict-rs for an empty snapshot.
const REMEDY: &str = "The remedy of the author of pict-rs: copy the folder, delete the snap.* files \
                      without a single byte in the copy, and try again with the copy (--from)";

/// Copies the database into a new folder below `scratch`.
pub(super) fn of(database: &Path, library: Library, scratch: &Path) -> Result<TempDir> {
    let snapshots = empty_snapshots(database).map_err(|e| failed(database, e))?;
    if !snapshots.is_empty() {
        return Err(Error::user(
            ErrorCode::ConfigInvalid,
            format!(
                "{} in {}: a snapshot without a single byte, as a full disk or a power cut leaves it. \
                 {REMEDY}",
                snapshots.join(", "),
                database.display()
            ),
        ));
    }
    let lock = match library {
        Library::Sled => "db",
        Library::Fjall => "lock",
    };
    let lock = File::open(database.join(lock)).map_err(|e| failed(database, e))?;
    // Where locks do not work, this check cannot tell.
    if flock(&lock, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Err(Error::user(
            ErrorCode::ConfigInvalid,
            format!(
                "the database in {} is in use: the existing pict-rs must not run meanwhile",
                database.display()
            ),
        ));
    }
    let copy = || -> io::Result<TempDir> {
        fs::create_dir_all(scratch)?;
        let copy = tempfile::Builder::new()
            .prefix(".migrate-")
            .tempdir_in(scratch)?;
        copy_folder(database, copy.path())?;
        Ok(copy)
    };
    copy().map_err(|e| failed(database, e))
}

/// Adds advice to the error.
pub(super) fn advice(database: &Path, library: Library, error: Error) -> Error {
    let library = match library {
        Library::Sled => "sled",
        Library::Fjall => "fjall",
    };
    Error::internal(
        ErrorCode::ConfigInvalid,
        format!(
            "cannot read the {library} database in {}, of which nothing was changed; a backup of it may be \
             whole",
            database.display()
        ),
        error,
    )
}

fn empty_snapshots(database: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(database)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(SNAPSHOT) && entry.metadata()?.len() == 0 {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn failed(database: &Path, error: io::Error) -> Error {
    Error::internal(
        ErrorCode::FileIoError,
        format!("cannot copy the database in {}", database.display()),
        error,
    )
}
