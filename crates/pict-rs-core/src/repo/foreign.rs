//! What the existing pict-rs left on disk. It is never touched, never mixed with ours, and never
//! hidden by a new database that knows none of its aliases.

use std::path::Path;

use super::FILE;
use crate::{Error, ErrorCode, Result};

/// It keeps its database as folders with these names.
const NAMES: [(&str, &str); 6] = [
    ("v0.4.0-alpha.1", "sled database of pict-rs 0.4"),
    ("v0.5.0", "sled database of pict-rs 0.5"),
    ("v0.5.18", "fjall database of pict-rs 0.5"),
    ("v0.5.20", "fjall database of pict-rs 0.5 or 0.6"),
    ("sled-repo", "sled database"),
    ("fjall-repo", "fjall database"),
];
/// The folders of its image, beside which a new data folder may have been put.
const SIBLINGS: [&str; 2] = ["sled-repo", "fjall-repo"];

/// Refuses a database folder that holds its data.
pub(super) fn refuse_inside(folder: &Path) -> Result<()> {
    if folder.join(FILE).is_file() {
        return Ok(());
    }
    match what_is_in(folder) {
        None => Ok(()),
        Some(what) => Err(refusal(folder, what)),
    }
}

/// Looks for its data beside the database of ours that is about to be made: in the data folder
/// and the one above. Someone who has not said where the database goes most likely expects the
/// old one to be used, so that is refused; else it is a warning.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`], naming the folder.
pub fn look_beside(database: &Path, data: &Path, is_default: bool) -> Result<()> {
    if database.join(FILE).is_file() {
        return Ok(());
    }
    let above = match data.parent() {
        // The data folder is `data`, so the one above is where we run.
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => data,
    };
    let siblings = [data, above]
        .into_iter()
        .flat_map(|folder| SIBLINGS.map(|name| folder.join(name)))
        // Given for ours, and looked at then.
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

fn what_is_in(folder: &Path) -> Option<&'static str> {
    let named = NAMES
        .into_iter()
        .find(|(name, _)| folder.join(name).is_dir());
    if let Some((_, what)) = named {
        return Some(what);
    }
    // A sled database is a folder with the files `conf` and `db`; a fjall one has `keyspaces`.
    if folder.join("conf").is_file() && folder.join("db").is_file() {
        return Some("sled database");
    }
    let is_fjall = folder.join("keyspaces").is_dir() || folder.join("partitions").is_dir();
    is_fjall.then_some("fjall database")
}

fn refusal(folder: &Path, what: &str) -> Error {
    Error::user(
        ErrorCode::ConfigInvalid,
        format!(
            "{} holds a {what} of the existing pict-rs, which this version cannot read. Nothing was \
             changed. Give another path for the database (repo.path), or go on using the program \
             that made it.",
            folder.display()
        ),
    )
}
