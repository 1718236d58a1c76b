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
    let database = config.database_folder(data);
    if !rustix::process::geteuid().is_root() || !is_empty(&database) {
        return Ok(());
    }
    for folder in [data, &database, &config.files_folder(data)] {
        let Ok(found) = fs::metadata(folder) else {
            continue;
        };
        if found.uid() != 0 {
            anyhow::bail!(
                "{} belongs to the user with the id {}, who could not open a database that root makes \
                 there. Run this as that user; where a package runs the server as a service, \
                 'pict-rs-admin' does. Nothing was changed",
                folder.display(),
                found.uid()
            );
        }
    }
    Ok(())
}

/// Refuses to create and tie folders of which neither exists: then this command uses other folders
/// than the server.
///
/// # Errors
/// When neither exists; names the folders.
pub fn refuse_to_begin(config: &Config, data: &Path) -> anyhow::Result<()> {
    let folders = [config.database_folder(data), config.files_folder(data)];
    if folders.iter().any(|folder| folder.exists()) {
        return Ok(());
    }
    let [database, files] = folders;
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
