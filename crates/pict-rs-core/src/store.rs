//! Bytes: a folder of objects with random names, written durably.
//!
//! An object is written beside its place, flushed to disk, renamed into place and its folder
//! flushed; only then may a database row name it. Between rename and row a small marker in
//! `.incoming` remembers it, so that a crash there leaves nothing behind: see
//! [`Store::recover`]. Uploads that wait for their work lie there too, in files of their own
//! (`waiting`). Everything here blocks; callers are on blocking threads.

mod identity;
mod memory;
mod waiting;
mod walk;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use pict_rs_media::Format;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use sha2::{Digest as _, Sha256};

use crate::{ContentKey, Error, ErrorCode, ObjectKey, Result, UploadId};

use memory::Memory;
pub use waiting::WaitingFile;
pub use walk::Look;

/// The folder inside the root for everything that is not an object yet. Object keys start
/// with two hexadecimal digits, so they cannot meet it.
const INCOMING: &str = ".incoming";
/// Ends the name of a file that is still being written.
const PARTIAL: &str = ".partial";

/// Bytes that a check of the store writes: what the smallest pictures take on a disk.
const PING: usize = 4096;

/// A small object, or the file to read it from.
#[derive(Debug)]
pub enum Cached {
    /// All of it.
    Bytes(Bytes),
    /// Reading this may have to wait for a disk.
    NotInMemory(File),
}

/// What a crash may have left, to be shown to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// An object in its place. Does a row name it?
    Object(ObjectKey),
    /// The file of a backgrounded upload. Does a row say that it waits for its work?
    Waiting(UploadId),
}

/// A folder of objects.
#[derive(Clone, Debug)]
pub struct Store {
    root: Arc<Path>,
    incoming: Arc<Path>,
    memory: Arc<Memory>,
    _lock: Arc<File>,
}

impl Store {
    /// Opens the folder, making it if needed.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`] when it cannot be made or written to,
    /// [`ErrorCode::ConfigInvalid`] when another server runs on it.
    pub fn open(root: &Path) -> Result<Self> {
        let incoming = root.join(INCOMING);
        let store = Self {
            root: root.into(),
            _lock: lock(root, &incoming)?.into(),
            memory: Arc::default(),
            incoming: incoming.into(),
        };
        match store.ping() {
            // What is stored can be served, and room can be made.
            Err(error) if error.code() == ErrorCode::InsufficientStorage => {
                tracing::warn!("the disk of the files is full: nothing new can be stored");
            }
            written => written?,
        }
        Ok(store)
    }

    /// Writes an object, puts it in its place and removes it, by the same calls as an upload:
    /// proves that uploads can be kept.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::InsufficientStorage`].
    pub fn ping(&self) -> Result<()> {
        let mut writer = self.create(Format::Png)?;
        writer.write(&[0x5a; PING])?;
        let object = writer.finish()?;
        let removed = self.remove(object.object());
        object.discard();
        removed
    }

    /// Proves that objects can be looked up.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn ping_reads(&self) -> Result<()> {
        fs::read_dir(&self.root)
            .map(drop)
            .map_err(|e| io_error(format!("cannot read {}", self.root.display()), e))
    }

    /// The folder for spooled uploads when none is configured.
    pub fn spool_folder(&self) -> &Path {
        &self.incoming
    }

    /// Opens an object of `size` bytes for reading. One that has another size is as good as lost.
    ///
    /// # Errors
    /// [`ErrorCode::LostFile`] when it is not there, or not whole, [`ErrorCode::FileIoError`]
    /// otherwise.
    pub fn open_object(&self, object: &ObjectKey, size: u64) -> Result<File> {
        let file = self.open_any(object)?;
        let found = file.metadata();
        let found = found.map_err(|e| io_error(format!("cannot look at object {object}"), e))?;
        if found.len() != size {
            return Err(Error::Internal {
                code: ErrorCode::LostFile,
                message: format!(
                    "object {object} is damaged: it has {} bytes and should have {size}",
                    found.len()
                ),
                source: None,
            });
        }
        Ok(file)
    }

    fn open_any(&self, object: &ObjectKey) -> Result<File> {
        let file = match Self::is_in_memory(object) {
            true => self.memory.open(object),
            false => File::open(self.path(object)),
        };
        file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::internal(
                ErrorCode::LostFile,
                format!("object {object} is lost"),
                error,
            ),
            _ => io_error(format!("cannot open object {object}"), error),
        })
    }

    /// Reads a whole small object if the system has it in memory, without waiting for a disk.
    /// Fast enough to be called where nothing may block.
    ///
    /// # Errors
    /// As [`Store::open_object`].
    pub fn read_cached(&self, object: &ObjectKey, size: usize) -> Result<Cached> {
        let file = self.open_any(object)?;
        // Room for one more, as a file that is too long is no better than one that is cut short.
        let mut bytes = vec![0; size + 1];
        let buffer = &mut [io::IoSliceMut::new(&mut bytes)];
        match preadv2(&file, buffer, 0, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == size => {
                bytes.truncate(size);
                Ok(Cached::Bytes(bytes.into()))
            }
            // Not in memory, of another size, or a system without this call: the patient way.
            _ => self
                .open_object(object, size as u64)
                .map(Cached::NotInMemory),
        }
    }

    /// Where the objects lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the object is not there at all. Not being able to tell is an error.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn is_lost(&self, object: &ObjectKey) -> Result<bool> {
        match fs::metadata(self.path(object)) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(io_error(format!("cannot look for object {object}"), error)),
        }
    }

    /// Whether the object is there with this many bytes.
    pub fn has(&self, object: &ObjectKey, size: u64) -> bool {
        fs::metadata(self.path(object))
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
    }

    /// Starts a new object.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn create(&self, format: Format) -> Result<ObjectWriter> {
        self.create_at(ObjectKey::generate(format), format)
    }

    /// Starts a new object that is a variant.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn create_variant(&self, format: Format) -> Result<ObjectWriter> {
        self.create_at(ObjectKey::generate_for_variant(format), format)
    }

    fn create_at(&self, object: ObjectKey, format: Format) -> Result<ObjectWriter> {
        let marker = self.marker(&object);
        let mut partial = marker.clone().into_os_string();
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        let file = File::create_new(&partial)
            .map_err(|e| io_error("cannot create a file for an object", e))?;
        Ok(ObjectWriter {
            store: self.clone(),
            file,
            digest: Sha256::new(),
            size: 0,
            format,
            object,
            marker,
            partial: Some(partial),
        })
    }

    /// Removes an object and the folders that it leaves empty. One that is gone is fine.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn remove(&self, object: &ObjectKey) -> Result<()> {
        let path = self.path(object);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(format!("cannot remove object {object}"), error));
            }
            _ => {}
        }
        let mut folder = path.parent();
        while let Some(path) = folder.filter(|path| **path != *self.root) {
            // Fails when the folder is not empty, which is the usual case and right.
            if fs::remove_dir(path).is_err() {
                break;
            }
            folder = path.parent();
        }
        Ok(())
    }

    /// Cleans up after a crash: partial files go; objects whose marker is still there were
    /// renamed into place but maybe never entered into the database, so `is_known` decides; and
    /// so it does for waiting uploads. Returns how many files were removed.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], and whatever `is_known` fails with.
    pub async fn recover<F>(&self, is_known: impl Fn(Leftover) -> F) -> Result<u64>
    where
        F: Future<Output = Result<bool>>,
    {
        let listing = || -> io::Result<Vec<PathBuf>> {
            fs::read_dir(&self.incoming)?
                .map(|entry| Ok(entry?.path()))
                .collect()
        };
        let mut removed = 0;
        for path in listing().map_err(|e| io_error("cannot list leftovers", e))? {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if let Some(id) = waiting::id_of(name) {
                if is_known(Leftover::Waiting(id)).await? {
                    continue;
                }
            } else {
                for object in objects_of_marker(name) {
                    if !is_known(Leftover::Object(object.clone())).await? {
                        self.remove(&object)?;
                    }
                }
            }
            // A folder is that of a helper program.
            let gone = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            gone.map_err(|e| io_error("cannot remove a leftover", e))?;
            removed += 1;
        }
        Ok(removed)
    }

    fn path(&self, object: &ObjectKey) -> PathBuf {
        self.root.join(object.as_str())
    }

    fn marker(&self, object: &ObjectKey) -> PathBuf {
        let name = object.as_str().rsplit('/').next().unwrap_or_default();
        self.incoming.join(name)
    }

    /// Makes the folders of `path` below the root; whatever was made is flushed into its parent.
    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        match fs::create_dir(folder) {
            Ok(()) => sync_folder(folder.parent().unwrap_or(&self.root)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && *folder != *self.root => {
                self.make_folders(folder.parent().unwrap_or(&self.root))?;
                self.make_folders(folder)
            }
            Err(error) => Err(error),
        }
    }
}

/// Makes and locks the folder of unfinished files: a second server's [`Store::recover`] would
/// take away what the first is about to finish.
fn lock(root: &Path, incoming: &Path) -> Result<File> {
    let folder = fs::create_dir_all(incoming)
        .and_then(|()| File::open(incoming))
        .map_err(|e| io_error(format!("cannot make {}", root.display()), e))?;
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Error::user(
            ErrorCode::ConfigInvalid,
            format!(
                "another pict-rs is running on the files in {}",
                root.display()
            ),
        )),
        // Some network file systems know no locks.
        _ => Ok(folder),
    }
}

/// `0a1b….png` marks `0a/1b/0a1b….png`, or `0a/0a1b….png` if that is a variant.
fn objects_of_marker(name: &str) -> Vec<ObjectKey> {
    if name.ends_with(PARTIAL) || !name.is_ascii() || name.len() < 32 {
        return Vec::new();
    }
    let (first, second) = (&name[..2], &name[2..4]);
    [
        format!("{first}/{second}/{name}"),
        format!("{first}/{name}"),
    ]
    .map(ObjectKey::new)
    .into()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn io_error(message: impl Into<String>, error: io::Error) -> Error {
    Error::io(message, error)
}

/// An object that is being written, hashed on the way. Dropping it removes what was written.
#[derive(Debug)]
pub struct ObjectWriter {
    store: Store,
    file: File,
    digest: Sha256,
    size: u64,
    format: Format,
    object: ObjectKey,
    marker: PathBuf,
    partial: Option<PathBuf>,
}

impl ObjectWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .map_err(|e| io_error("cannot write an object", e))
    }

    /// Flushes the bytes to disk and puts them in their place, durably.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub fn finish(mut self) -> Result<StoredObject> {
        self.place()
            .map_err(|e| io_error("cannot put an object in its place", e))?;
        let key = ContentKey::new(
            std::mem::take(&mut self.digest).finalize().into(),
            self.size,
            self.format,
        );
        Ok(StoredObject {
            store: self.store.clone(),
            object: self.object.clone(),
            marker: self.marker.clone(),
            key,
            fate: Fate::Unnamed,
        })
    }

    fn place(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let path = self.store.path(&self.object);
        let folder = path.parent().unwrap_or(&self.store.root);
        File::create_new(&self.marker)?;
        // A concurrent removal can take an empty folder away between making and using it.
        for attempt in 0.. {
            let placed = self.store.make_folders(folder).and_then(|()| {
                let partial = self.partial.as_deref().unwrap_or(&self.marker);
                fs::rename(partial, &path)
            });
            match placed {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < 8 => {}
                Err(error) => {
                    // Nothing was placed; the marker has nothing to remember.
                    let _ = fs::remove_file(&self.marker);
                    return Err(error);
                }
            }
        }
        self.partial = None;
        sync_folder(folder)
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            // Nothing better can be done here; the next start removes it.
            let _ = fs::remove_file(partial);
        }
    }
}

/// An object in its place that no database row names yet. Dropping it removes it, unless
/// [`StoredObject::keep`] or [`StoredObject::name`] was called.
#[derive(Debug)]
pub struct StoredObject {
    store: Store,
    object: ObjectKey,
    marker: PathBuf,
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
    pub fn keep(mut self) {
        self.fate = Fate::Named;
    }

    /// No row names it, and none will.
    pub fn discard(mut self) {
        self.fate = Fate::Unnamed;
    }
}

impl Drop for StoredObject {
    fn drop(&mut self) {
        match self.fate {
            Fate::MaybeNamed => return,
            Fate::Named => {}
            Fate::Unnamed => {
                if let Err(error) = self.store.remove(&self.object) {
                    tracing::warn!(%error, object = %self.object, "an unused object stays until the next start");
                    return;
                }
            }
        }
        let _ = fs::remove_file(&self.marker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn files_below(folder: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                files.extend(files_below(&path));
            } else {
                files.push(path);
            }
        }
        files
    }

    fn write(store: &Store, bytes: &[u8]) -> StoredObject {
        let mut writer = store.create(Format::Png).expect("created");
        writer.write(bytes).expect("written");
        writer.finish().expect("finished")
    }

    #[test]
    fn what_is_written_can_be_read_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path()).expect("opened");
        let stored = write(&store, b"hello");
        assert_eq!(stored.key().size(), 5);
        let object = stored.object().clone();
        stored.keep();
        let mut text = String::new();
        store
            .open_object(&object, 5)
            .expect("there")
            .read_to_string(&mut text)
            .expect("read");
        assert_eq!(text, "hello");
        assert!(store.has(&object, 5) && !store.has(&object, 6));
        if let Cached::Bytes(bytes) = store.read_cached(&object, 5).expect("there") {
            assert_eq!(bytes, "hello");
        }
        for size in [4, 6] {
            let error = store.read_cached(&object, size).expect_err("damaged");
            assert_eq!(error.code(), ErrorCode::LostFile);
            let error = store
                .open_object(&object, size as u64)
                .expect_err("damaged");
            assert_eq!(error.code(), ErrorCode::LostFile);
        }
        assert_eq!(files_below(folder.path()).len(), 1);
        store.remove(&object).expect("removed");
        store.remove(&object).expect("removing twice is fine");
        let left: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
        assert_eq!(left.len(), 1, "only the incoming folder: {left:?}");
        assert_eq!(
            store.open_object(&object, 5).expect_err("gone").code(),
            ErrorCode::LostFile
        );
    }

    #[test]
    fn dropped_objects_leave_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path()).expect("opened");
        drop(write(&store, b"never entered into the database"));
        let mut writer = store.create(Format::Gif).expect("created");
        writer.write(b"half").expect("written");
        drop(writer);
        assert_eq!(files_below(folder.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn an_object_that_a_row_may_name_stays_until_the_next_start() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path()).expect("opened");
        let mut stored = write(&store, b"maybe");
        let object = stored.object().clone();
        stored.name();
        drop(stored);
        assert!(store.has(&object, 5));
        assert_eq!(files_below(folder.path()).len(), 2, "object and marker");
        let mut stored = write(&store, b"not after all");
        stored.name();
        stored.discard();
        assert_eq!(files_below(folder.path()).len(), 2);
    }

    #[tokio::test]
    async fn recovery_removes_what_a_crash_left_and_keeps_what_is_known() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path()).expect("opened");
        let known = write(&store, b"known");
        let unknown = write(&store, b"unknown");
        let (known_object, unknown_object) = (known.object().clone(), unknown.object().clone());
        let writer = store.create(Format::Gif).expect("created");
        // A crash runs no destructors.
        std::mem::forget((known, unknown, writer));
        let removed = store
            .recover(|leftover| {
                let is_known = leftover == Leftover::Object(known_object.clone());
                async move { Ok(is_known) }
            })
            .await
            .expect("recovered");
        assert_eq!(removed, 3);
        assert!(store.has(&known_object, 5));
        assert!(!store.has(&unknown_object, 7));
        assert_eq!(files_below(folder.path()).len(), 1);
    }
}
