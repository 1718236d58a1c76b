//! Bytes: objects under random keys, written durably. Where they are stored is an arm of
//! [`Objects`]; today there is only a folder.
//!
//! [`Store::put`] makes an object of a scratch file; a database row may name the object only after
//! it returns. A marker exists until a row is committed, so that a crash in between leaves nothing
//! behind: see [`StoredObject`] and [`Store::recover`]. Waiting uploads are objects too; the row of
//! the upload names them.

mod content;
mod folder;
mod memory;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use pict_rs_media::Format;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::scratch::{Scratch, ScratchFile};
use crate::task::blocking;
use crate::{ContentKey, Digest, Error, ErrorCode, ObjectKey, Result};

pub use content::{Content, SMALL};
use folder::Folder;
pub use folder::Look;
use memory::Memory;

/// Objects.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Objects,
    memory: Arc<Memory>,
}

/// Where objects are stored.
#[derive(Clone, Debug)]
enum Objects {
    /// In a folder.
    Folder(Folder),
}

/// The source of an object.
#[derive(Debug)]
pub enum Source {
    /// This file, which becomes the object if it is on the same disk.
    Scratch(ScratchFile),
    /// The bytes of another object, which is kept.
    Object {
        /// Its key.
        key: ObjectKey,
        /// The digest of its bytes.
        digest: Digest,
        /// Their number.
        size: u64,
    },
}

impl Source {
    fn content_key(&self, format: Format) -> ContentKey {
        let (digest, size) = match self {
            Self::Scratch(file) => (file.digest(), file.size()),
            Self::Object { digest, size, .. } => (*digest, *size),
        };
        ContentKey::of(digest, size, format)
    }
}

impl Store {
    /// Opens a folder of objects, creating it if needed. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`] when it cannot be created or written to,
    /// [`ErrorCode::AlreadyRunning`] when another server uses it.
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_for(root, false)
    }

    /// As [`Store::open`]; with `is_shared` for several servers on one network file system, all of
    /// which have to be opened so.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_for(root: &Path, is_shared: bool) -> Result<Self> {
        let folder = Folder::open(root, is_shared)?;
        match folder.prove() {
            // On a full disk, stored media can still be served and space be freed.
            Err(error) if error.code() == ErrorCode::InsufficientStorage => {
                tracing::warn!("the disk of the files is full: nothing new can be stored");
            }
            written => written?,
        }
        Ok(Self {
            objects: Objects::Folder(folder),
            memory: Arc::default(),
        })
    }

    /// Whether no other server uses it, as far as that is known.
    pub(crate) fn is_alone(&self) -> bool {
        match &self.objects {
            Objects::Folder(folder) => folder.is_alone(),
        }
    }

    /// Lets other servers that share it use it. Must be called after [`Store::recover`] and before
    /// anything is stored.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyRunning`] when another server keeps it for itself.
    pub(crate) async fn share(&self) -> Result<()> {
        let Objects::Folder(folder) = self.objects.clone();
        blocking(move || folder.share()).await
    }

    /// Where files should be written that are to become objects.
    pub fn scratch(&self) -> &Scratch {
        match &self.objects {
            Objects::Folder(folder) => folder.scratch(),
        }
    }

    /// The root folder of the objects.
    pub fn root(&self) -> &Path {
        match &self.objects {
            Objects::Folder(folder) => folder.root(),
        }
    }

    /// Makes an object, durably.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::InsufficientStorage`], [`ErrorCode::LostFile`] when
    /// the other object does not exist.
    pub async fn put(
        &self,
        object: ObjectKey,
        format: Format,
        source: Source,
    ) -> Result<StoredObject> {
        let key = source.content_key(format);
        match &self.objects {
            Objects::Folder(folder) => folder.put(object, key, source).await,
        }
    }

    /// Bytes of an object of `size` bytes; an empty range only checks that it exists. An object of
    /// another size counts as lost. Small objects that the system has cached are read without a
    /// blocking thread.
    ///
    /// # Errors
    /// [`ErrorCode::LostFile`] when it is missing or has another size, [`ErrorCode::FileIoError`]
    /// otherwise.
    pub async fn read(&self, object: &ObjectKey, size: u64, range: Range<u64>) -> Result<Content> {
        if Self::is_in_memory(object) {
            let file = self.memory.open(object);
            let file = file.map_err(|error| lost(object, error))?;
            return Ok(Content::file(file, range));
        }
        match &self.objects {
            Objects::Folder(folder) => folder.read(object, size, range).await,
        }
    }

    /// The size of an object; `None` when it does not exist. A failed check is an error.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn size(&self, object: &ObjectKey) -> Result<Option<u64>> {
        let sizes = self.sizes(vec![object.clone()]).await?;
        Ok(sizes.into_iter().next().flatten())
    }

    /// As [`Store::size`], for several objects.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn sizes(&self, objects: Vec<ObjectKey>) -> Result<Vec<Option<u64>>> {
        match &self.objects {
            Objects::Folder(folder) => folder.sizes(objects).await,
        }
    }

    /// Removes objects. Missing ones count as removed. Returns the objects that no longer exist;
    /// errors of others are logged.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn remove(&self, objects: Vec<ObjectKey>) -> Result<Vec<ObjectKey>> {
        match &self.objects {
            Objects::Folder(folder) => folder.remove(objects).await,
        }
    }

    /// Lists everything but unfinished files, `batch` names at a time. Files that appear or
    /// disappear meanwhile may be missed.
    pub fn list(&self, batch: usize) -> Listing {
        let (sender, batches) = mpsc::channel(1);
        let work = match &self.objects {
            Objects::Folder(folder) => folder.list(batch, sender),
        };
        Listing { batches, work }
    }

    /// Checks objects that the database did not know. The database must be asked again afterwards:
    /// a row may have been committed before the marker was removed.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn look(
        &self,
        objects: Vec<ObjectKey>,
        written_before: SystemTime,
    ) -> Result<Vec<(ObjectKey, Look)>> {
        match &self.objects {
            Objects::Folder(folder) => folder.look(objects, written_before).await,
        }
    }

    /// Whether a file with this name could be one of ours.
    pub fn is_ours(object: &ObjectKey) -> bool {
        Folder::is_ours(object)
    }

    /// Whether a path, relative to the root, belongs to our own housekeeping.
    pub fn is_reserved(path: &Path) -> bool {
        Folder::is_reserved(path)
    }

    /// Whether any object has a name that this server gives. Stops at the first.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`] when a folder cannot be read.
    pub async fn has_objects(&self) -> Result<bool> {
        let mut names = self.list(1);
        while let Some(names) = names.next().await? {
            if names.iter().any(Self::is_ours) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes and removes an object with the same calls as an upload, which proves that uploads can
    /// be stored.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::InsufficientStorage`].
    pub async fn ping(&self) -> Result<()> {
        match &self.objects {
            Objects::Folder(folder) => folder.ping().await,
        }
    }

    /// Checks that objects can be looked up.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn ping_reads(&self) -> Result<()> {
        match &self.objects {
            Objects::Folder(folder) => folder.ping_reads().await,
        }
    }

    /// The id of the store. `None` when there is none, or the file does not contain an id.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`] when it cannot be read.
    pub async fn id(&self) -> Result<Option<Uuid>> {
        match &self.objects {
            Objects::Folder(folder) => folder.id().await,
        }
    }

    /// Durably gives the store an id.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn set_id(&self, id: Uuid) -> Result<()> {
        match &self.objects {
            Objects::Folder(folder) => folder.set_id(id).await,
        }
    }

    /// Cleans up after a crash: marked objects were placed but may have no row, so `is_known`
    /// decides about them, and about waiting uploads. Returns how many markers and uploads were
    /// removed. Must be called after the scratch was tidied.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], and the errors of `is_known`.
    pub async fn recover<F>(&self, is_known: impl Fn(ObjectKey) -> F) -> Result<u64>
    where
        F: Future<Output = Result<bool>>,
    {
        match &self.objects {
            Objects::Folder(folder) => folder.recover(is_known).await,
        }
    }
}

fn lost(object: &ObjectKey, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::internal(
            ErrorCode::LostFile,
            format!("object {object} is lost"),
            error,
        ),
        _ => Error::io(format!("cannot open object {object}"), error),
    }
}

/// A listing of objects in batches. Dropping it ends it.
#[derive(Debug)]
pub struct Listing {
    batches: mpsc::Receiver<Vec<ObjectKey>>,
    work: JoinHandle<Result<()>>,
}

impl Listing {
    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`] when a folder cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<ObjectKey>>> {
        if let Some(names) = self.batches.recv().await {
            return Ok(Some(names));
        }
        let ended = (&mut self.work).await;
        ended
            .map_err(|panic| Error::internal(ErrorCode::UnknownError, "a search panicked", panic))?
            .map(|()| None)
    }
}

/// A placed object that no database row names yet. Dropping it removes it, unless
/// [`StoredObject::keep`] or [`StoredObject::name`] was called.
#[derive(Debug)]
pub struct StoredObject {
    objects: Objects,
    object: ObjectKey,
    key: ContentKey,
    fate: Fate,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Unnamed,
    MaybeNamed,
    Named,
}

impl StoredObject {
    /// Its key in the store.
    pub fn object(&self) -> &ObjectKey {
        &self.object
    }

    /// The key of its content.
    pub fn key(&self) -> &ContentKey {
        &self.key
    }

    /// Must be called before a row that names it may be committed, because the request or the
    /// server may end without learning the result. If dropped after that, it is kept together with
    /// its marker, and the next start asks the database.
    pub fn name(&mut self) {
        self.fate = Fate::MaybeNamed;
    }

    /// A committed database row names it.
    pub async fn keep(self) {
        self.meet(Fate::Named).await;
    }

    /// No row names it, and none will.
    pub async fn discard(self) {
        self.meet(Fate::Unnamed).await;
    }

    async fn meet(mut self, fate: Fate) {
        self.fate = fate;
        // Panics are logged, and the next start removes what is left.
        let _ = blocking(move || {
            drop(self);
            Ok(())
        })
        .await;
    }
}

impl Drop for StoredObject {
    fn drop(&mut self) {
        let Objects::Folder(folder) = &self.objects;
        match self.fate {
            Fate::Unnamed => folder.discard(&self.object),
            Fate::MaybeNamed => {}
            Fate::Named => folder.unmark(&self.object),
        }
    }
}
