//! A copy of the embedded database, made by a command while a server may run, and the way back.

use std::path::{Path, PathBuf};

use crate::repo::{self, Location, Repo};
use crate::service::export::{self, Exported};
use crate::task::blocking;
use crate::{Error, ErrorCode, Result};

/// Prefix of the name of a backup. An export of the server that runs does not tidy it away.
const PREFIX: &str = "backup-";

/// Writes a copy of the database to `file`, durably; without one to a new file in `folder`, which
/// is made if needed.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] when the file exists, or there is no embedded database;
/// [`ErrorCode::FileIoError`], [`ErrorCode::InsufficientStorage`], [`ErrorCode::RepoError`].
pub async fn backup(database: &Location, file: Option<&Path>, folder: &Path) -> Result<Exported> {
    if database.folder().is_none() {
        return Err(only_embedded("pg_dump makes a copy of PostgreSQL's"));
    }
    let path = match file {
        Some(file) => file.to_owned(),
        None => folder.join(export::name(PREFIX)),
    };
    if path.symlink_metadata().is_ok() {
        return Err(exists(&path));
    }
    let repo = Repo::open_to_look(database).await?;
    let partial = partial(&path);
    let above = path.parent().map(Path::to_owned).unwrap_or_default();
    let is_ours = file.is_none();
    let tidied = partial.clone();
    blocking(move || {
        if is_ours {
            std::fs::create_dir_all(&above).map_err(|error| unwritable(&above, error))?;
        }
        // Of a backup that was interrupted.
        let _ = std::fs::remove_file(&tidied);
        Ok(())
    })
    .await?;
    let copied = repo.copy_to(&partial).await;
    repo.close().await;
    blocking(move || match copied {
        Ok(()) => export::finish(&partial, path.clone()).map_err(|error| unwritable(&path, error)),
        Err(error) => {
            let _ = std::fs::remove_file(&partial);
            Err(error)
        }
    })
    .await
}

/// Puts a copy of the database in its place, after checking all of it. Returns its size in bytes.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] when the copy is not sound, when there is a database already, or
/// none is embedded; [`ErrorCode::AlreadyRunning`], [`ErrorCode::FileIoError`].
pub async fn restore(file: &Path, database: &Location) -> Result<u64> {
    match database.folder() {
        Some(folder) => repo::restore(file, folder).await,
        None => Err(only_embedded("psql or pg_restore brings back PostgreSQL's")),
    }
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(export::PARTIAL);
    name.into()
}

fn only_embedded(other: &str) -> Error {
    Error::user(
        ErrorCode::ConfigInvalid,
        format!("this is for the embedded database only; {other}"),
    )
}

fn exists(path: &Path) -> Error {
    Error::user(
        ErrorCode::ConfigInvalid,
        format!("{} exists already; nothing was changed", path.display()),
    )
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::io(format!("cannot write {}", path.display()), error)
}
