//! What the existing pict-rs left on disk. A server never touches it, and never hides it behind a new
//! database that knows none of its aliases.

use std::path::Path;

use super::FILE;
use crate::{Error, ErrorCode, Result};

/// What can be taken over.
const SLED: &str = "sled database of pict-rs 0.5";
/// The folder that it is in.
pub(crate) const SLED_FOLDER: &str = "v0.5.0";
/// It keeps its database as folders with these names.
const NAMES: [(&str, &str); 6] = [
    ("v0.4.0-alpha.1", "sled database of pict-rs 0.4"),
    (SLED_FOLDER, SLED),
    ("v0.5.18", "fjall database of pict-rs 0.5"),
    ("v0.5.20", "fjall database of pict-rs 0.5 or 0.6"),
    ("sled-repo", "sled database"),
    ("fjall-repo", "fjall database"),
];
/// The folders of its image, beside which a new data folder may have been put.
const SIBLINGS: [&str; 2] = ["sled-repo", "fjall-repo"];

/// Looks for its data where a database of ours is about to be made, and beside it: in the data
/// folder and the one above. In the same place they are refused, and so they are when nobody has
/// said where the database goes, as the old one is most likely expected to be used; else it is a
/// warning.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`], naming the folder.
pub fn refuse_foreign_database(database: &Path, data: &Path, is_default: bool) -> Result<()> {
    if database.join(FILE).is_file() {
        return Ok(());
    }
    if let Some(what) = what_is_in(database) {
        return Err(refusal(database, what));
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
    if is_sled(folder) {
        return Some("sled database");
    }
    let is_fjall = folder.join("keyspaces").is_dir() || folder.join("partitions").is_dir();
    is_fjall.then_some("fjall database")
}

/// Whether the files of a sled database lie in the folder itself.
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
    if what != SLED {
        return "Only sled databases of pict-rs 0.5 can be taken over; the program that made this \
                one can write one of its data, see docs/deployment.md."
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
