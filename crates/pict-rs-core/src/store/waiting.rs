//! Uploads that were acknowledged and wait for their work: complete files in `.incoming`, each
//! under the id of its upload. They lie in the store and not in `server.temporary_directory`,
//! which may be memory. A database row decides whether such a file stays: see [`Store::recover`].

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::{INCOMING, Store, io_error, sync_folder};
use crate::{Error, ErrorCode, Result, UploadId};

/// Ends the name of such a file.
const WAITING: &str = ".waiting";

impl Store {
    /// Starts the file of an upload.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn create_waiting(&self, id: UploadId) -> Result<(File, WaitingFile)> {
        let waiting = WaitingFile {
            path: self.waiting_path(&id),
            store: self.clone(),
            id,
            stays: false,
        };
        let file = File::create_new(&waiting.path)
            .map_err(|e| io_error("cannot create a file for an upload", e))?;
        Ok((file, waiting))
    }

    /// Opens the file of an upload for reading.
    ///
    /// # Errors
    /// [`ErrorCode::LostFile`] when it is not there, [`ErrorCode::FileIoError`] otherwise.
    pub fn open_waiting(&self, id: &UploadId) -> Result<File> {
        File::open(self.waiting_path(id)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::internal(
                ErrorCode::LostFile,
                format!("the file of upload {id:?} is lost"),
                error,
            ),
            _ => io_error(format!("cannot open the file of upload {id:?}"), error),
        })
    }

    /// Removes the file of an upload that has its outcome. One that is gone is fine.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn remove_waiting(&self, id: &UploadId) -> Result<()> {
        match fs::remove_file(self.waiting_path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let message = format!("cannot remove the file of upload {id:?}");
                Err(io_error(message, error))
            }
            _ => Ok(()),
        }
    }

    fn waiting_path(&self, id: &UploadId) -> PathBuf {
        self.incoming.join(format!("{}{WAITING}", id.expose()))
    }
}

/// `1c44265c-….waiting` is the file of the upload `1c44265c-…`.
pub(super) fn id_of(name: &str) -> Option<UploadId> {
    UploadId::parse(name.strip_suffix(WAITING)?).ok()
}

/// The file of an upload on its way to becoming durable. Dropping it removes it, unless
/// [`WaitingFile::name`] was called.
#[derive(Debug)]
pub struct WaitingFile {
    store: Store,
    path: PathBuf,
    id: UploadId,
    stays: bool,
}

impl WaitingFile {
    /// The upload that it belongs to.
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// Flushes its bytes and its name to disk.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn sync(&self, file: &File) -> Result<()> {
        file.sync_all()
            .and_then(|()| sync_folder(&self.store.root.join(INCOMING)))
            .map_err(|e| io_error("cannot flush an upload", e))
    }

    /// From now on a row may be committed that names it. Dropped in this state, it stays, and
    /// its job or the next start removes it.
    pub fn name(&mut self) {
        self.stays = true;
    }

    /// No row names it, and none will.
    pub fn discard(mut self) {
        self.stays = false;
    }
}

impl Drop for WaitingFile {
    fn drop(&mut self) {
        if !self.stays {
            // Nothing better can be done here; the next start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Leftover, Store};
    use super::*;
    use std::io::{Read as _, Write as _};

    fn create(store: &Store, bytes: &[u8]) -> WaitingFile {
        let (mut file, waiting) = store.create_waiting(UploadId::generate()).expect("created");
        file.write_all(bytes).expect("written");
        waiting.sync(&file).expect("flushed");
        waiting
    }

    #[test]
    fn a_waiting_file_goes_unless_a_row_may_name_it() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path()).expect("opened");
        let dropped = create(&store, b"dropped");
        let id = dropped.id();
        drop(dropped);
        assert_eq!(
            store.open_waiting(&id).expect_err("gone").code(),
            ErrorCode::LostFile
        );
        let mut named = create(&store, b"named");
        let id = named.id();
        named.name();
        drop(named);
        let mut text = String::new();
        let mut file = store.open_waiting(&id).expect("there");
        file.read_to_string(&mut text).expect("read");
        assert_eq!(text, "named");
        store.remove_waiting(&id).expect("removed");
        store.remove_waiting(&id).expect("removing twice is fine");
        let mut unnamed = create(&store, b"not after all");
        let id = unnamed.id();
        unnamed.name();
        unnamed.discard();
        assert!(store.open_waiting(&id).is_err());
    }

    #[tokio::test]
    async fn recovery_keeps_the_files_of_uploads_that_a_row_names() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path()).expect("opened");
        let (known, unknown) = (create(&store, b"known"), create(&store, b"unknown"));
        let (known_id, unknown_id) = (known.id(), unknown.id());
        // A crash runs no destructors.
        std::mem::forget((known, unknown));
        let removed = store
            .recover(|leftover| {
                let is_known = matches!(leftover, Leftover::Waiting(id) if id == known_id);
                async move { Ok(is_known) }
            })
            .await
            .expect("recovered");
        assert_eq!(removed, 1);
        assert!(store.open_waiting(&known_id).is_ok());
        assert!(store.open_waiting(&unknown_id).is_err());
    }
}
