//! Bytes: objects under random keys, written durably. Where they are stored is an arm of
//! [`Objects`]: a folder, or a bucket. While they are moved to another place, there are two of them
//! ([`sides`]).
//!
//! [`Store::put`] makes an object of a scratch file; a database row may name the object only after
//! it returns. Waiting uploads are objects too; the row of the upload names them.
//!
//! A crash between the two leaves nothing behind. In a folder a marker exists until a row is
//! committed: see [`StoredObject`] and [`Store::recover`]. Of an object in a bucket the database
//! knows before it is sent: see [`Store::needs_intents`].

mod bucket;
mod content;
mod folder;
mod memory;
mod objects;
pub mod outgoing;
mod prefix;
mod read_cache;
mod sides;
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
use url::Url;
use uuid::Uuid;

use crate::scratch::{Scratch, ScratchFile};
use crate::task::blocking;
use crate::{ContentKey, Digest, Error, ErrorCode, ObjectKey, Result};

use bucket::Bucket;
pub use bucket::{BucketSettings, Credentials, Redirects};
pub use content::{Content, SMALL};
use folder::Folder;
pub use folder::Look;
pub(crate) use memory::Lent;
use memory::Memory;
use objects::Objects;
pub use prefix::Prefix;
use read_cache::ReadCache;
use sides::OldSide;
pub(crate) use sides::{Carried, CopyState};

/// Objects.
#[derive(Clone, Debug)]
pub struct Store {
    /// Where new objects go.
    objects: Objects,
    /// Where the others come from, while they are moved.
    old: Arc<OldSide>,
    memory: Arc<Memory>,
    read_cache: Arc<ReadCache>,
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
        Ok(Self::of(Objects::Folder(folder)))
    }

    fn of(objects: Objects) -> Self {
        Self {
            objects,
            old: Arc::default(),
            memory: Arc::default(),
            read_cache: Arc::new(ReadCache::new(0)),
        }
    }

    /// Keeps up to `capacity` bytes of small objects in memory that are read often.
    pub(crate) fn with_read_cache(mut self, capacity: usize) -> Self {
        self.read_cache = Arc::new(ReadCache::new(capacity));
        self
    }

    /// Whether no other server uses it, as far as that is known.
    pub(crate) fn is_alone(&self) -> bool {
        self.sides().iter().all(Objects::is_alone)
    }

    /// Lets other servers that share it use it. Must be called after [`Store::recover`] and before
    /// anything is stored.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyRunning`] when another server keeps it for itself.
    pub(crate) async fn share(&self) -> Result<()> {
        for side in self.sides() {
            side.share().await?;
        }
        Ok(())
    }

    /// Uses a bucket. Sends no request, so the server may be away. Must be called in a runtime that
    /// lives as long as the store. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`].
    pub fn open_bucket(settings: BucketSettings, scratch: Scratch) -> Result<Self> {
        Ok(Self::of(Objects::Bucket(Bucket::open(settings, scratch)?)))
    }

    /// Opens an existing folder of objects that a server may use meanwhile, only to read.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when there is no such folder.
    pub fn open_to_look(root: &Path) -> Result<Self> {
        Ok(Self::of(Objects::Folder(Folder::open_to_look(root)?)))
    }

    /// Where files should be written that are to become objects.
    pub fn scratch(&self) -> &Scratch {
        self.objects.scratch()
    }

    /// The root folder of the objects, if they are in one.
    pub fn root(&self) -> Option<&Path> {
        self.objects.root()
    }

    /// Where the objects are, for people.
    pub fn place(&self) -> String {
        self.objects.place()
    }

    /// Whether the database must know of an object before it is stored, because the store keeps no
    /// marker of what has no row yet.
    pub fn needs_intents(&self) -> bool {
        match &self.objects {
            Objects::Folder(_) => false,
            Objects::Bucket(_) => true,
        }
    }

    /// Where a client is sent to, instead of being answered with the bytes of an object.
    ///
    /// # Errors
    /// [`ErrorCode::StoreUnavailable`] when a URL cannot be signed.
    pub async fn redirect(&self, object: &ObjectKey, is_head: bool) -> Result<Option<Url>> {
        if Self::is_in_memory(object) || !self.objects.redirects() {
            return Ok(None);
        }
        // What is not there yet is answered by us.
        if self.is_moving() && self.objects.size(object).await?.is_none() {
            return Ok(None);
        }
        self.objects.redirect(object, is_head).await
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
        let source = self.at_hand(source).await?;
        self.objects.put(object, key, source).await
    }

    /// Bytes of an object of `size` bytes; an empty range only checks that it exists. An object of
    /// another size counts as lost. Small objects that the system has cached are read without a
    /// blocking thread, and those that are read often come from memory.
    ///
    /// # Errors
    /// [`ErrorCode::LostFile`] when it is missing or has another size, [`ErrorCode::FileIoError`]
    /// otherwise.
    pub async fn read(&self, object: &ObjectKey, size: u64, range: Range<u64>) -> Result<Content> {
        if Self::is_in_memory(object) {
            let file = self.memory.open(object);
            let file = file.map_err(|error| lost(object, error))?;
            let is_small = size <= SMALL && !range.is_empty();
            if is_small && let Some(bytes) = content::read_cached(&file, size) {
                return Ok(Content::Bytes(content::part(bytes, range)));
            }
            return Ok(Content::file(file, range));
        }
        let is_small = size <= SMALL && !range.is_empty();
        if is_small && let Some(bytes) = self.read_cache.get(object) {
            return Ok(Content::Bytes(content::part(bytes, range)));
        }
        let is_whole = range == (0..size);
        let content = match self.old.get() {
            None => self.objects.read(object, size, range).await?,
            Some(old) => self.read_either(&old, object, size, range).await?,
        };
        if is_small
            && is_whole
            && let Content::Bytes(bytes) = &content
        {
            self.read_cache.offer(object, bytes);
        }
        Ok(content)
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
        match self.old.get() {
            None => self.objects.sizes(objects).await,
            Some(old) => self.sizes_on_either(&old, objects).await,
        }
    }

    /// Removes objects. Missing ones count as removed. Returns the objects that no longer exist;
    /// errors of others are logged.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn remove(&self, objects: Vec<ObjectKey>) -> Result<Vec<ObjectKey>> {
        self.read_cache.forget(&objects);
        let mut gone = objects;
        for side in self.sides() {
            gone = side.remove(gone).await?;
        }
        Ok(gone)
    }

    /// Lists everything but unfinished files, `batch` names at a time, waiting uploads too. Files that
    /// appear or disappear meanwhile may be missed. While objects are moved, one can be listed twice.
    pub fn list(&self, batch: usize) -> Listing {
        let new = self.objects.list(batch);
        match self.old.get() {
            None => new,
            Some(old) => new.followed_by(old.list(batch)),
        }
    }

    /// As [`Store::list`], with everything that others have put into a bucket.
    #[cfg(feature = "migrate")]
    pub(crate) fn list_with_foreign(&self, batch: usize) -> Listing {
        let (sender, batches) = mpsc::channel(1);
        let work = match &self.objects {
            Objects::Folder(folder) => folder.list(batch, sender),
            Objects::Bucket(bucket) => bucket.list_with_foreign(batch, sender),
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
        match self.old.get() {
            None => self.objects.look(objects, written_before).await,
            Some(old) => self.look_on_either(&old, objects, written_before).await,
        }
    }

    /// Whether an object with this name could be one of ours. The name does not tell in which kind
    /// of store it was made, because all objects can be moved to another.
    pub fn is_ours(object: &ObjectKey) -> bool {
        let name = Prefix::split(object).map_or(object.as_str(), |(_, name)| name);
        Folder::is_ours(name) || object.upload_id().is_some()
    }

    /// Whether a path, relative to the root, belongs to our own housekeeping.
    pub fn is_reserved(path: &Path) -> bool {
        Folder::is_reserved(path)
    }

    /// Whether any object has a name that this server gives to media. Stops at the first.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`] when a folder cannot be read.
    pub async fn has_objects(&self) -> Result<bool> {
        let mut names = self.list(1);
        while let Some(names) = names.next().await? {
            let is_media = |object| Self::is_ours(object) && object.upload_id().is_none();
            if names.iter().any(is_media) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Does what an upload needs, which proves that uploads can be stored. Leaves nothing.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::InsufficientStorage`],
    /// [`ErrorCode::StoreUnavailable`].
    pub async fn ping(&self) -> Result<()> {
        self.objects.ping().await?;
        match self.old.get() {
            None => Ok(()),
            Some(old) => old.ping_reads().await,
        }
    }

    /// Checks that objects can be looked up.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn ping_reads(&self) -> Result<()> {
        for side in self.sides() {
            side.ping_reads().await?;
        }
        Ok(())
    }

    /// The id of the store. `None` when there is none, or the file does not contain an id.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`] when it cannot be read.
    pub async fn id(&self) -> Result<Option<Uuid>> {
        self.objects.id().await
    }

    /// Durably gives the store an id.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub async fn set_id(&self, id: Uuid) -> Result<()> {
        self.objects.set_id(id).await
    }

    /// Cleans up after a crash: marked objects were placed but may have no row, so `is_known`
    /// decides about them, and about waiting uploads. Returns how many markers and uploads were
    /// removed. Must be called after the scratch was tidied. In a bucket there is nothing to do.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], and the errors of `is_known`.
    pub async fn recover<F>(&self, is_known: impl Fn(ObjectKey) -> F) -> Result<u64>
    where
        F: Future<Output = Result<bool>>,
    {
        let mut removed = 0;
        for side in self.sides() {
            removed += side.recover(&is_known).await?;
        }
        Ok(removed)
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

    /// Both, one after the other.
    fn followed_by(self, second: Self) -> Self {
        let (sender, batches) = mpsc::channel(1);
        let work = tokio::spawn(async move {
            for mut listing in [self, second] {
                while let Some(names) = listing.next().await? {
                    if sender.send(names).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        Self { batches, work }
    }
}

/// A placed object that no database row names yet. Dropping it removes it, unless
/// [`StoredObject::keep`] or [`StoredObject::name`] was called.
#[derive(Debug)]
pub struct StoredObject {
    objects: Objects,
    object: ObjectKey,
    key: ContentKey,
    row_state: RowState,
}

#[derive(Clone, Copy, Debug)]
enum RowState {
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
    /// server may end without learning the result. If dropped after that, it is kept; its marker or
    /// its intent, which is kept too, decides later.
    pub fn name(&mut self) {
        self.row_state = RowState::MaybeNamed;
    }

    /// A committed database row names it.
    pub async fn keep(self) {
        self.meet(RowState::Named).await;
    }

    /// No row names it, and none will.
    pub async fn discard(self) {
        self.meet(RowState::Unnamed).await;
    }

    async fn meet(mut self, row_state: RowState) {
        if let (Objects::Bucket(bucket), RowState::Unnamed) = (&self.objects, row_state) {
            bucket.remove(vec![self.object.clone()]).await;
            self.row_state = RowState::MaybeNamed;
            return;
        }
        self.row_state = row_state;
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
        match (&self.objects, self.row_state) {
            (_, RowState::MaybeNamed) | (Objects::Bucket(_), RowState::Named) => {}
            (Objects::Folder(folder), RowState::Unnamed) => folder.discard(&self.object),
            (Objects::Folder(folder), RowState::Named) => folder.unmark(&self.object),
            (Objects::Bucket(bucket), RowState::Unnamed) => bucket.discard(&self.object),
        }
    }
}
