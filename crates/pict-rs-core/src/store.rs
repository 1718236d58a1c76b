//! Bytes: objects under random names, written durably. What lies behind is one of [`Objects`]: a
//! folder now.
//!
//! [`Store::put`] makes an object of a scratch file; only when it returns a database row may name
//! the object. Until a row is committed a marker remembers it, so that a crash between the two
//! leaves nothing behind: see [`StoredObject`] and [`Store::recover`]. Uploads that wait for their
//! work are objects too, and the row of the upload is theirs.

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

/// Bytes that a check of the store writes: what the smallest pictures take on a disk.
const PING: usize = 4096;

/// Objects.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Objects,
    memory: Arc<Memory>,
}

/// Where they lie.
#[derive(Clone, Debug)]
enum Objects {
    /// On a disk.
    Folder(Folder),
}

/// What an object is made of.
#[derive(Debug)]
pub enum Source {
    /// This file, which becomes the object if it lies on the same disk.
    Scratch(ScratchFile),
    /// The bytes of another object, which stays.
    Object {
        /// Its key.
        key: ObjectKey,
        /// The digest of its bytes.
        digest: Digest,
        /// How many they are.
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
    /// Opens a folder of objects, making it if needed. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`] when it cannot be made or written to,
    /// [`ErrorCode::ConfigInvalid`] when another server runs on it.
    pub fn open(root: &Path) -> Result<Self> {
        let folder = Folder::open(root)?;
        match ping(&folder) {
            // What is stored can be served, and room can be made.
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

    /// Where files are best written that are to become objects.
    pub fn scratch(&self) -> &Scratch {
        match &self.objects {
            Objects::Folder(folder) => folder.scratch(),
        }
    }

    /// Where the objects lie.
    pub fn root(&self) -> &Path {
        match &self.objects {
            Objects::Folder(folder) => folder.root(),
        }
    }

    /// Makes an object, durably.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::InsufficientStorage`], [`ErrorCode::LostFile`] when
    /// the other object is not there.
    pub async fn put(
        &self,
        object: ObjectKey,
        format: Format,
        source: Source,
    ) -> Result<StoredObject> {
        let key = source.content_key(format);
        let Objects::Folder(folder) = self.objects.clone();
        blocking(move || {
            folder.put(&object, source)?;
            Ok(StoredObject {
                objects: Objects::Folder(folder),
                object,
                key,
                fate: Fate::Unnamed,
            })
        })
        .await
    }

    /// Bytes of an object of `size` bytes; an empty range only proves that it is there. One that has
    /// another size is as good as lost. What is small does not wait for a thread if the system has
    /// it in memory.
    ///
    /// # Errors
    /// [`ErrorCode::LostFile`] when it is not there, or not whole, [`ErrorCode::FileIoError`]
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

    /// How many bytes an object has; `None` when it is not there. Not being able to tell is an error.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn size(&self, object: &ObjectKey) -> Result<Option<u64>> {
        let sizes = self.sizes(vec![object.clone()]).await?;
        Ok(sizes.into_iter().next().flatten())
    }

    /// As [`Store::size`], of many.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn sizes(&self, objects: Vec<ObjectKey>) -> Result<Vec<Option<u64>>> {
        let Objects::Folder(folder) = self.objects.clone();
        blocking(move || objects.iter().map(|object| folder.size(object)).collect()).await
    }

    /// Removes objects. Those that are gone are fine. Returns which ones are gone now; why another
    /// one is not is logged.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn remove(&self, objects: Vec<ObjectKey>) -> Result<Vec<ObjectKey>> {
        use std::error::Error as _;
        let Objects::Folder(folder) = self.objects.clone();
        blocking(move || {
            let mut gone = objects;
            gone.retain(|object| match folder.remove(object) {
                Ok(()) => true,
                Err(error) => {
                    let cause = error.source().map(ToString::to_string);
                    tracing::warn!(%error, cause, "an object stays for now");
                    false
                }
            });
            Ok(gone)
        })
        .await
    }

    /// Lists everything that is not unfinished, `batch` names at a time. What comes or goes meanwhile
    /// is seen or not.
    pub fn list(&self, batch: usize) -> Listing {
        let (sender, batches) = mpsc::channel(1);
        let Objects::Folder(folder) = self.objects.clone();
        let work = tokio::task::spawn_blocking(move || {
            folder.walk(batch, |names| sender.blocking_send(names).is_ok())
        });
        Listing { batches, work }
    }

    /// Looks at objects that the database did not know. To be asked once more afterwards: a row may
    /// have come before the marker went.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn look(
        &self,
        objects: Vec<ObjectKey>,
        written_before: SystemTime,
    ) -> Result<Vec<(ObjectKey, Look)>> {
        let Objects::Folder(folder) = self.objects.clone();
        blocking(move || {
            let look = |object: ObjectKey| {
                let look = folder.look(&object, written_before);
                (object, look)
            };
            Ok(objects.into_iter().map(look).collect())
        })
        .await
    }

    /// Whether a file with this name would be one of ours.
    pub fn is_ours(object: &ObjectKey) -> bool {
        Folder::is_ours(object)
    }

    /// Whether a path from the root on is of our own housekeeping.
    pub fn is_reserved(path: &Path) -> bool {
        Folder::is_reserved(path)
    }

    /// Whether any object has a name that this server gives. Stops at the first one.
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

    /// Makes an object and removes it, by the same calls as an upload: proves that uploads can be
    /// kept.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::InsufficientStorage`].
    pub async fn ping(&self) -> Result<()> {
        let Objects::Folder(folder) = self.objects.clone();
        blocking(move || ping(&folder)).await
    }

    /// Proves that objects can be looked up.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn ping_reads(&self) -> Result<()> {
        let Objects::Folder(folder) = self.objects.clone();
        blocking(move || folder.ping_reads()).await
    }

    /// The id of the store. `None` when there is none, or when what is there is not an id.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`] when that cannot be found out.
    pub async fn id(&self) -> Result<Option<Uuid>> {
        let Objects::Folder(folder) = self.objects.clone();
        blocking(move || folder.id()).await
    }

    /// Gives the store an id, durably.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn set_id(&self, id: Uuid) -> Result<()> {
        let Objects::Folder(folder) = self.objects.clone();
        blocking(move || folder.set_id(id)).await
    }

    /// Cleans up after a crash: objects that are marked were put in their place and maybe never
    /// entered into the database, so `is_known` decides; and so it does for waiting uploads. Returns
    /// how many marks and uploads were removed. To be called after the scratch was tidied.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], and whatever `is_known` fails with.
    pub async fn recover<F>(&self, is_known: impl Fn(ObjectKey) -> F) -> Result<u64>
    where
        F: Future<Output = Result<bool>>,
    {
        match &self.objects {
            Objects::Folder(folder) => folder.recover(is_known).await,
        }
    }
}

fn ping(folder: &Folder) -> Result<()> {
    let mut writer = folder.scratch().create()?;
    writer.write(&[0x5a; PING])?;
    let object = ObjectKey::generate(Format::Png);
    let written = folder.put(&object, Source::Scratch(writer.finish()));
    let removed = folder.remove(&object);
    folder.unmark(&object);
    written.and(removed)
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

/// Names of objects, some at a time. Dropping it ends the search.
#[derive(Debug)]
pub struct Listing {
    batches: mpsc::Receiver<Vec<ObjectKey>>,
    work: JoinHandle<Result<()>>,
}

impl Listing {
    /// The next ones; `None` at the end.
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

/// An object in its place that no database row names yet. Dropping it removes it, unless
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
    /// Where it lies.
    pub fn object(&self) -> &ObjectKey {
        &self.object
    }

    /// What it is.
    pub fn key(&self) -> &ContentKey {
        &self.key
    }

    /// From now on a row may be committed that names it, even if nobody hears of that because
    /// the request or the server ends. Dropped in this state, it stays together with its marker,
    /// and the next start asks the database.
    pub fn name(&mut self) {
        self.fate = Fate::MaybeNamed;
    }

    /// A committed database row names it now.
    pub async fn keep(self) {
        self.meet(Fate::Named).await;
    }

    /// No row names it, and none will.
    pub async fn discard(self) {
        self.meet(Fate::Unnamed).await;
    }

    async fn meet(mut self, fate: Fate) {
        self.fate = fate;
        // Panics are logged, and the next start finds what is left.
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
            Fate::MaybeNamed => return,
            Fate::Named => {}
            Fate::Unnamed => {
                if let Err(error) = folder.remove(&self.object) {
                    tracing::warn!(%error, object = %self.object, "an unused object stays until the next start");
                    return;
                }
            }
        }
        folder.unmark(&self.object);
    }
}
