//! Checks the owners of folders: if root creates a database among another user's files, that user's
//! server cannot open it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pict_rs_core::Config;
use pict_rs_core::config::StoreType;

/// Refuses to create a database as root if a folder of the server belongs to another user. An
/// existing database may be used: SQLite gives the files that it creates to the owner of the
/// database.
///
/// # Errors
/// When a folder belongs to another user; names both.
pub fn refuse_to_intrude(config: &Config, data: &Path) -> anyhow::Result<()> {
    let files = local_files(config, data);
    let database = config.database(data)?;
    // With a database server, files are what root could make here.
    let Some(made) = database.folder().or(files.as_deref()) else {
        return Ok(());
    };
    if !rustix::process::geteuid().is_root() || !is_empty(made) {
        return Ok(());
    }
    for folder in [Some(data), Some(made), files.as_deref()] {
        let Some(folder) = folder else { continue };
        let Ok(found) = fs::metadata(folder) else {
            continue;
        };
        if found.uid() != 0 {
            anyhow::bail!(
                "{} belongs to the user with the id {}, who could not open what root makes there. \
                 Run this as that user; where a package runs the server as a service, \
                 'pict-rs-admin' does. Nothing was changed",
                folder.display(),
                found.uid()
            );
        }
    }
    Ok(())
}

/// Refuses to create and tie folders of which neither exists: then this command uses other folders
/// than the server. A database server is known by its URL.
///
/// # Errors
/// When neither exists; names the folders.
pub fn refuse_to_begin(config: &Config, data: &Path) -> anyhow::Result<()> {
    let location = config.database(data)?;
    let Some(database) = location.folder() else {
        return Ok(());
    };
    let files = local_files(config, data);
    if database.exists() || files.as_ref().is_some_and(|files| files.exists()) {
        return Ok(());
    }
    let files = files.map_or_else(String::new, |files| format!(" nor {}", files.display()));
    anyhow::bail!(
        "there is neither a database in {}{files}: run this with the configuration of the server; where a package runs \
         it as a service, 'pict-rs-admin accept-store' does. Nothing was changed",
        database.display()
    )
}

/// The folder of files, unless they are in a bucket.
fn local_files(config: &Config, data: &Path) -> Option<PathBuf> {
    let is_local = config.store.r#type == StoreType::Filesystem;
    is_local.then(|| config.files_folder(data))
}

/// Whether the folder is empty or does not exist.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}
