//! Checks the owners of folders: if root creates a database among another user's files, that user's
//! server cannot open it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use pict_rs_core::Config;

/// Refuses to create a database as root if a folder of the server belongs to another user. An
/// existing database may be used: SQLite gives the files that it creates to the owner of the
/// database.
///
/// # Errors
/// When a folder belongs to another user; names both.
pub fn refuse_to_intrude(config: &Config, data: &Path) -> anyhow::Result<()> {
    let files = config.files_folder(data);
    let database = config.database(data)?;
    // With a server, files are what root could make here.
    let made = database.folder().unwrap_or(&files);
    if !rustix::process::geteuid().is_root() || !is_empty(made) {
        return Ok(());
    }
    for folder in [data, made, &files] {
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
    let files = config.files_folder(data);
    if database.exists() || files.exists() {
        return Ok(());
    }
    anyhow::bail!(
        "there is neither {} nor {}: run this with the configuration of the server; where a package runs \
         it as a service, 'pict-rs-admin accept-store' does. Nothing was changed",
        database.display(),
        files.display()
    )
}

/// Whether the folder is empty or does not exist.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}
