//! Exports a copy of the database, for backups.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::task::{blocking, run_to_completion};
use crate::{Context, Error, ErrorCode, Result};

/// Prefix of the name of an export; its time follows.
const PREFIX: &str = "pict-rs-";
/// Suffix of an export that is still being written.
pub(crate) const PARTIAL: &str = ".partial";

/// A complete export.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// Writes a copy of the database to the folder for exports, durably. Only one export runs at a
/// time.
///
/// # Errors
/// [`ErrorCode::TooBusy`] while another export runs, [`ErrorCode::FileIoError`],
/// [`ErrorCode::RepoError`].
pub async fn export(ctx: &Arc<Context>) -> Result<Exported> {
    let ctx = ctx.clone();
    run_to_completion(async move {
        let _turn = ctx.exporting.try_lock().map_err(|_| {
            Error::user(
                ErrorCode::TooBusy,
                "Another export is being written already",
            )
        })?;
        let folder = ctx.export_folder.clone();
        let path = folder.join(name(PREFIX));
        let mut partial = path.clone().into_os_string();
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        blocking(move || make_room(&folder).map_err(io_error)).await?;
        let copied = ctx.repo.copy_to(&partial).await;
        blocking(move || match copied {
            Ok(()) => finish(&partial, path).map_err(io_error),
            Err(error) => {
                // If this fails, the next export tries again.
                let _ = fs::remove_file(&partial);
                Err(error)
            }
        })
        .await
    })
    .await
}

/// The name of a copy made now.
pub(crate) fn name(prefix: &str) -> String {
    let now = OffsetDateTime::now_utc();
    let time = now.format(&Rfc3339).unwrap_or_default().replace(':', "-");
    format!("{prefix}{time}.sqlite3")
}

/// Creates the folder, and deletes partial exports that a crash left.
fn make_room(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // `-journal` may follow.
        if name.starts_with(PREFIX) && name.contains(PARTIAL) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

pub(crate) fn finish(partial: &Path, path: PathBuf) -> std::io::Result<Exported> {
    let file = File::open(partial)?;
    file.sync_all()?;
    let size = file.metadata()?.len();
    fs::rename(partial, &path)?;
    if let Some(folder) = path.parent() {
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        File::open(folder)?.sync_all()?;
    }
    let path = path.canonicalize()?;
    Ok(Exported { path, size })
}

fn io_error(error: std::io::Error) -> Error {
    Error::io("cannot write an export", error)
}
