//! Which database the files belong to: a small file in the root contains the id. A folder without
//! it, or with another id, is most likely a disk that is not mounted.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use uuid::Uuid;

use super::{Folder, INCOMING, sync_folder};
use crate::scratch::PARTIAL;
use crate::task::blocking;
use crate::{Error, Result};

/// The name of the file inside the root.
pub(super) const FILE: &str = ".pict-rs-store";
/// A note for people who find the file.
const NOTE: &str =
    "This file ties the folder to the database of its pict-rs. Keep it with the files.";

impl Folder {
    /// The id of the folder. `None` when there is none, or the file does not contain an id.
    pub(in crate::store) async fn id(&self) -> Result<Option<Uuid>> {
        let root = self.root.clone();
        blocking(move || match fs::read_to_string(root.join(FILE)) {
            Ok(text) => Ok(text
                .lines()
                .next()
                .and_then(|line| Uuid::try_parse(line.trim()).ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(Error::io(
                format!("cannot read {FILE} in {}", root.display()),
                error,
            )),
        })
        .await
    }

    /// Whether a path, relative to the root, belongs to our own housekeeping.
    pub(in crate::store) fn is_reserved(path: &Path) -> bool {
        path == Path::new(FILE) || path == Path::new(INCOMING)
    }

    /// Durably gives the folder an id.
    pub(in crate::store) async fn set_id(&self, id: Uuid) -> Result<()> {
        let folder = self.clone();
        blocking(move || {
            let path = folder.root.join(FILE);
            let partial = folder.incoming.join(format!("{FILE}{PARTIAL}"));
            let write = || -> io::Result<()> {
                let mut file = File::create(&partial)?;
                writeln!(file, "{}\n{NOTE}", id.simple())?;
                file.sync_all()?;
                fs::rename(&partial, &path)?;
                sync_folder(&folder.root)
            };
            write().map_err(|e| Error::io(format!("cannot write {}", path.display()), e))
        })
        .await
    }
}
