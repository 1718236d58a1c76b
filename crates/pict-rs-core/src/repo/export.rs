//! A consistent copy of the whole database, made while it is in use, and the way back.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{FILE, Repo, sqlite, transfer};
use crate::task::blocking;
use crate::{Error, ErrorCode, Result};

/// Suffix of a database that is being put in its place.
const PARTIAL: &str = ".restored";
/// Suffixes of the files that SQLite keeps beside a database with changes that are not in it.
const JOURNALS: [&str; 2] = ["-wal", "-journal"];

impl Repo {
    /// Writes a copy to `file`, which must not exist. Reads and writes continue meanwhile. The copy
    /// is not flushed.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`]; a partial copy may be left.
    pub async fn copy_to(&self, file: &Path) -> Result<()> {
        self.read.copy_to(file).await
    }
}

/// Makes a copy the database in `folder`, durably, after checking all of it. Returns its size in
/// bytes. The next start of a server brings it up to date.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] when it is damaged, of a newer version or no database of ours, and
/// when there is a database in the folder; [`ErrorCode::AlreadyRunning`];
/// [`ErrorCode::FileIoError`].
pub async fn restore(file: &Path, folder: &Path) -> Result<u64> {
    let place = folder.join(FILE);
    let remains = JOURNALS.map(|suffix| with_suffix(&place, suffix));
    for path in [&place].into_iter().chain(&remains) {
        if path.symlink_metadata().is_ok() {
            return Err(refusal(format!(
                "{} exists; move the folder {} away first. Nothing was changed",
                path.display(),
                folder.display()
            )));
        }
    }
    for journal in JOURNALS.map(|suffix| with_suffix(file, suffix)) {
        if journal.metadata().is_ok_and(|found| found.len() > 0) {
            return Err(refusal(format!(
                "{} lies beside it, so {} is not a copy that backup or /internal/export has made and may \
                 not have everything",
                journal.display(),
                file.display()
            )));
        }
    }
    let pool = sqlite::open_copy(file).await?;
    transfer::refuse_incomplete(&pool, &file.display().to_string()).await?;
    pool.close().await;
    let _lock = sqlite::lock(folder)?;
    let (file, folder) = (file.to_owned(), folder.to_owned());
    blocking(move || {
        let partial = with_suffix(&place, PARTIAL);
        let put = put(&file, &partial, &place, &folder);
        put.map_err(|error| {
            let _ = fs::remove_file(&partial);
            Error::io(format!("cannot write to {}", folder.display()), error)
        })
    })
    .await
}

fn put(file: &Path, partial: &Path, place: &Path, folder: &Path) -> io::Result<u64> {
    let size = fs::copy(file, partial)?;
    File::open(partial)?.sync_all()?;
    fs::rename(partial, place)?;
    File::open(folder)?.sync_all()?;
    Ok(size)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn refusal(message: String) -> Error {
    Error::user(ErrorCode::ConfigInvalid, message)
}
