//! Detects data of the existing pict-rs on disk. The server never touches it, and never hides it
//! behind a new database that knows none of its aliases.

use std::path::Path;

use super::FILE;
use crate::{Error, ErrorCode, Result};

/// Data that can be migrated.
const SLED: &str = "sled database of pict-rs 0.5";
/// The folder that contains it.
pub(crate) const SLED_FOLDER: &str = "v0.5.0";
/// Data that can be migrated.
const FJALL: &str = "fjall database of pict-rs 0.6";
/// The folder that contains it.
pub(crate) const FJALL_FOLDER: &str = "v0.5.20";
/// Folders in which the existing pict-rs keeps its databases.
const NAMES: [(&str, &str); 6] = [
    ("v0.4.0-alpha.1", "sled database of pict-rs 0.4"),
    (SLED_FOLDER, SLED),
    // First, as 0.6 has made it of the one of 0.5.
    (FJALL_FOLDER, FJALL),
    ("v0.5.18", "fjall database of pict-rs 0.5"),
    ("sled-repo", "sled database"),
    ("fjall-repo", "fjall database"),
];
/// Folders of its container image, next to which a new data folder may have been mounted.
const SIBLINGS: [&str; 2] = ["sled-repo", "fjall-repo"];

/// Looks for its data where our database is about to be created, in the data folder, and in the
/// folder above. In the same place they are an error, and so they are when the location of the
/// database was not configured, because the user most likely expects the old one to be used;
/// otherwise they are a warning.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`], which names the folder.
pub fn refuse_foreign_database(database: &Path, data: &Path, is_default: bool) -> Result<()> {
    if database.join(FILE).is_file() {
        return Ok(());
    }
    if let Some(what) = what_is_in(database) {
        return Err(refusal(database, what));
    }
    let above = match data.parent() {
        // A relative data folder without a parent is in the working directory.
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => data,
    };
    let siblings = [data, above]
        .into_iter()
        .flat_map(|folder| SIBLINGS.map(|name| folder.join(name)))
        // Configured for our database, and checked there.
        .filter(|folder| folder != database);
    for folder in siblings {
        let Some(what) = what_is_in(&folder) else {
            continue;
        };
        if is_default {
            return Err(refusal(&folder, what));
        }
        tracing::warn!(
            folder = %folder.display(),
            "a {what} of the existing pict-rs lies here and is not used; its aliases are unknown to this server"
        );
    }
    Ok(())
}

/// What database of the existing pict-rs is in a folder.
pub(crate) fn what_is_in(folder: &Path) -> Option<&'static str> {
    let named = NAMES
        .into_iter()
        .find(|(name, _)| folder.join(name).is_dir());
    if let Some((_, what)) = named {
        return Some(what);
    }
    if is_sled(folder) {
        return Some("sled database");
    }
    if is_fjall(folder) {
        return Some("fjall database");
    }
    let is_older = folder.join("partitions").is_dir();
    is_older.then_some("fjall database of pict-rs 0.5")
}

/// Whether the folder itself contains the files of a fjall database, as 0.6 makes it.
pub(crate) fn is_fjall(folder: &Path) -> bool {
    folder.join("keyspaces").is_dir()
}

/// Whether the folder itself contains the files of a sled database.
pub(crate) fn is_sled(folder: &Path) -> bool {
    folder.join("conf").is_file() && folder.join("db").is_file()
}

fn refusal(folder: &Path, what: &str) -> Error {
    Error::user(
        ErrorCode::ConfigInvalid,
        format!(
            "{} holds a {what} of the existing pict-rs. Nothing was changed. {} To begin without it, \
             give another path for the database (repo.path).",
            folder.display(),
            advice(folder, what)
        ),
    )
}

fn advice(folder: &Path, what: &str) -> String {
    if what != SLED && what != FJALL {
        return "Only sled and PostgreSQL databases of pict-rs 0.5 and 0.6 and fjall databases of 0.6 can be \
                taken over; see docs/deployment.md."
            .to_owned();
    }
    if cfg!(feature = "migrate") {
        return format!(
            "To take it over, run 'pict-rs migrate --from {}' with the same configuration.",
            folder.display()
        );
    }
    "This build cannot take it over: it was made without the feature migrate.".to_owned()
}
