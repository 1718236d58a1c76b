//! Whose folders these are: a database that root makes among another user's files is one that this
//! user's server cannot open.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use pict_rs_core::Config;

/// Refuses to make a database as root where a folder of the server belongs to another user. One that
/// is there may be used: SQLite gives what it makes beside it to its owner.
///
/// # Errors
/// Names the folder and its owner.
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

/// Refuses to tie together folders that are both not there, and to make them: then this looks at
/// other folders than the server.
///
/// # Errors
/// Names the folders.
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

/// Whether nothing lies there, not even the folder.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}
