//! Which database the files belong to. A small file in the root says so: a folder without it, or
//! with another one's, is most likely a disk that is not mounted.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use uuid::Uuid;

use super::{INCOMING, PARTIAL, Store, io_error, sync_folder};
use crate::Result;

/// The name of the file inside the root.
pub(super) const FILE: &str = ".pict-rs-store";
/// For people who find it.
const NOTE: &str =
    "This file ties the folder to the database of its pict-rs. Keep it with the files.";

impl Store {
    /// The id of the folder. `None` when there is none, or when what is there is not an id.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`] when that cannot be found out.
    pub fn id(&self) -> Result<Option<Uuid>> {
        match fs::read_to_string(self.root.join(FILE)) {
            Ok(text) => Ok(text
                .lines()
                .next()
                .and_then(|line| Uuid::try_parse(line.trim()).ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(io_error(
                format!("cannot read {FILE} in {}", self.root.display()),
                error,
            )),
        }
    }

    /// Whether a path from the root on is of our own housekeeping.
    pub fn is_reserved(path: &Path) -> bool {
        path == Path::new(FILE) || path == Path::new(INCOMING)
    }

    /// Gives the folder an id, durably.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`].
    pub fn set_id(&self, id: Uuid) -> Result<()> {
        let path = self.root.join(FILE);
        let partial = self.incoming.join(format!("{FILE}{PARTIAL}"));
        let write = || -> io::Result<()> {
            let mut file = File::create(&partial)?;
            writeln!(file, "{}\n{NOTE}", id.simple())?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
            sync_folder(&self.root)
        };
        write().map_err(|e| io_error(format!("cannot write {}", path.display()), e))
    }

    /// Whether any file in the folder has a name that this server gives to objects. Stops at the
    /// first one.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`] when a folder cannot be read.
    pub fn has_objects(&self) -> Result<bool> {
        let mut found = false;
        self.walk(1, |names| {
            found = names.iter().any(Self::is_ours);
            !found
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pict_rs_media::Format;

    #[test]
    fn an_id_is_kept_and_what_is_not_an_id_counts_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("opened");
        assert_eq!(store.id().expect("read"), None);
        let id = Uuid::new_v4();
        store.set_id(id).expect("written");
        assert_eq!(store.id().expect("read"), Some(id));
        for broken in [&b""[..], b"\n", b"0a1b", b"\xff\xfe", NOTE.as_bytes()] {
            fs::write(folder.path().join(FILE), broken).expect("written");
            assert_eq!(store.id().expect("read"), None, "{broken:?}");
        }
    }

    #[test]
    fn the_id_is_neither_an_object_nor_a_stranger() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("opened");
        store.set_id(Uuid::new_v4()).expect("written");
        store.walk(9, |names| panic!("{names:?}")).expect("walked");
        fs::write(folder.path().join("notes.txt"), b"x").expect("written");
        assert!(!store.has_objects().expect("walked"));
        let writer = store.create(Format::Png).expect("created");
        writer.finish().expect("finished").keep();
        assert!(store.has_objects().expect("walked"));
    }
}
