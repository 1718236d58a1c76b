//! A folder of objects.
//!
//! A scratch file is fsynced, linked to its final path, then that folder is fsynced; only then
//! [`Folder::put`] returns. Before that a small marker for the object is created in `.incoming`,
//! and stays until it is known whether a row names it. Waiting uploads are stored there too, named by the id of the
//! upload, whose row decides; they are not in `server.temporary_directory`, which may be in memory.

mod identity;
mod walk;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use pict_rs_media::Format;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::{Errno, retry_on_intr};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::content::{self, Content, SMALL};
use super::{Objects, RowState, Source, StoredObject, lost};
use crate::scratch::{PARTIAL, Scratch, ScratchFile, is_young};
use crate::task::blocking;
use crate::{ContentKey, Error, ErrorCode, ObjectKey, Result, UploadId};

pub use walk::Look;

/// The folder inside the root for everything that is not an object yet. Object keys start with two
/// hexadecimal digits, so they cannot collide with it.
const INCOMING: &str = ".incoming";
/// Suffix of the file of a waiting upload.
const WAITING: &str = ".waiting";
/// Bytes that a check of the folder writes: the size of the smallest pictures on disk.
const PING: usize = 4096;

/// How long a server waits for another one that shares the folder and recovers at its start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of objects.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: Arc<Path>,
    incoming: Arc<Path>,
    scratch: Scratch,
    /// Whether no other server uses it.
    is_alone: Arc<AtomicBool>,
    lock: Arc<File>,
}

impl Folder {
    /// Blocks.
    pub(super) fn open(root: &Path, is_shared: bool) -> Result<Self> {
        let incoming = root.join(INCOMING);
        let (lock, is_alone) = lock(root, &incoming, is_shared)?;
        Ok(Self {
            root: root.into(),
            is_alone: Arc::new(is_alone.into()),
            lock: lock.into(),
            scratch: Scratch::new(&incoming),
            incoming: incoming.into(),
        })
    }

    /// Whether no other server uses it.
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone.load(Ordering::Acquire)
    }

    /// Lets other servers use it from now on. Must be called before anything is made here, but after
    /// [`Folder::recover`]: between the two locks another server may be alone for a moment, and
    /// recover.
    pub(super) fn share(&self) -> Result<()> {
        self.is_alone.store(false, Ordering::Release);
        match take(&self.lock, &[FlockOperation::NonBlockingLockShared]) {
            Some(_) => Ok(()),
            None => Err(in_use(&self.root)),
        }
    }

    /// Without the lock, so it must only be read.
    pub(super) fn open_to_look(root: &Path) -> Result<Self> {
        let folder = File::open(root).map_err(|error| {
            Error::user(
                ErrorCode::ConfigInvalid,
                format!(
                    "the folder of files {} cannot be read: {error}",
                    root.display()
                ),
            )
        })?;
        let incoming = root.join(INCOMING);
        Ok(Self {
            root: root.into(),
            is_alone: Arc::new(false.into()),
            lock: folder.into(),
            scratch: Scratch::new(&incoming),
            incoming: incoming.into(),
        })
    }

    /// On the same disk as the objects.
    pub(super) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes an object. If the caller goes away meanwhile, the object goes too.
    pub(super) async fn put(
        &self,
        object: ObjectKey,
        key: ContentKey,
        source: Source,
    ) -> Result<StoredObject> {
        let folder = self.clone();
        blocking(move || {
            folder.store(&object, source)?;
            Ok(StoredObject {
                objects: Objects::Folder(folder),
                object,
                key,
                row_state: RowState::Unnamed,
            })
        })
        .await
    }

    pub(super) async fn sizes(&self, objects: Vec<ObjectKey>) -> Result<Vec<Option<u64>>> {
        let folder = self.clone();
        blocking(move || objects.iter().map(|object| folder.size(object)).collect()).await
    }

    /// Returns the objects that no longer exist.
    pub(super) async fn remove(&self, objects: Vec<ObjectKey>) -> Result<Vec<ObjectKey>> {
        use std::error::Error as _;
        let folder = self.clone();
        blocking(move || {
            let mut gone = objects;
            gone.retain(|object| match folder.unlink(object) {
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

    /// Sends the names of all files except unfinished ones, until there is no receiver.
    pub(super) fn list(
        &self,
        batch: usize,
        names: Sender<Vec<ObjectKey>>,
    ) -> JoinHandle<Result<()>> {
        let folder = self.clone();
        tokio::task::spawn_blocking(move || {
            folder.walk(batch, |batch| names.blocking_send(batch).is_ok())
        })
    }

    pub(super) async fn look(
        &self,
        objects: Vec<ObjectKey>,
        written_before: SystemTime,
    ) -> Result<Vec<(ObjectKey, Look)>> {
        let folder = self.clone();
        blocking(move || {
            let look = |object: ObjectKey| {
                let look = folder.look_at(&object, written_before);
                (object, look)
            };
            Ok(objects.into_iter().map(look).collect())
        })
        .await
    }

    pub(super) async fn ping(&self) -> Result<()> {
        let folder = self.clone();
        blocking(move || folder.prove()).await
    }

    pub(super) async fn ping_reads(&self) -> Result<()> {
        let folder = self.clone();
        let read = move || {
            fs::read_dir(&folder.root)
                .map(drop)
                .map_err(|e| Error::io(format!("cannot read {}", folder.root.display()), e))
        };
        blocking(read).await
    }

    /// Makes and removes an object with the same calls as an upload. Blocks.
    pub(super) fn prove(&self) -> Result<()> {
        let mut writer = self.scratch.create()?;
        writer.write(&[0x5a; PING])?;
        let object = ObjectKey::generate(Format::Png);
        let written = self.store(&object, Source::Scratch(writer.finish()));
        let removed = self.unlink(&object);
        self.unmark(&object);
        written.and(removed)
    }

    fn store(&self, object: &ObjectKey, source: Source) -> Result<()> {
        let failed = |error| Error::io("cannot put an object in its place", error);
        match source {
            Source::Scratch(file) => self.place(object, file).map_err(failed),
            Source::Object { key, .. } => match self.copy(&key, object) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(lost(&key, error)),
                copied => copied.map_err(failed),
            },
        }
    }

    fn place(&self, object: &ObjectKey, mut file: ScratchFile) -> io::Result<()> {
        file.sync()?;
        self.name_durably(object, |path| match file.place(path) {
            // It was spooled on another disk.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                file = file.copy_to(&self.scratch)?;
                file.sync()?;
                file.place(path)
            }
            placed => placed,
        })
    }

    /// Adds a hard link, so that nothing is written.
    fn copy(&self, from: &ObjectKey, to: &ObjectKey) -> io::Result<()> {
        let from = self.path(from);
        self.name_durably(to, |path| match fs::hard_link(&from, path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // Some file systems do not support hard links.
                let partial = self.incoming.join(format!("{}{PARTIAL}", file_name(to)));
                fs::copy(&from, &partial)?;
                File::open(&partial)?.sync_all()?;
                fs::rename(&partial, path)
            }
            linked => linked,
        })
    }

    /// Durably places a file with `name` at the path of an object, after creating its marker.
    fn name_durably(
        &self,
        object: &ObjectKey,
        mut name: impl FnMut(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let path = self.path(object);
        let folder = path.parent().unwrap_or(&self.root);
        let marker = self.marker(object);
        marker.as_ref().map(File::create_new).transpose()?;
        // A concurrent removal can delete an empty folder between its creation and its use.
        for attempt in 0.. {
            let named = self.make_folders(folder).and_then(|()| name(&path));
            match named {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < 8 => {}
                Err(error) => {
                    // Nothing was placed, so the marker is not needed.
                    self.unmark(object);
                    return Err(error);
                }
            }
        }
        let flushed = sync_folder(folder);
        // Without its marker the object would stay for ever.
        if flushed.is_err() && fs::remove_file(&path).is_ok() {
            self.unmark(object);
        }
        flushed
    }

    /// Removes an object that no row names. Blocks.
    pub(super) fn discard(&self, object: &ObjectKey) {
        match self.unlink(object) {
            Ok(()) => self.unmark(object),
            Err(error) => {
                tracing::warn!(%error, %object, "an unused object stays until the next start");
            }
        }
    }

    /// Removes the marker, because it is known whether a row names the object. Blocks.
    pub(super) fn unmark(&self, object: &ObjectKey) {
        if let Some(marker) = self.marker(object) {
            // Nothing else can be done here; the next start removes it.
            let _ = fs::remove_file(marker);
        }
    }

    /// Opens an object and checks its size.
    fn open_object(&self, object: &ObjectKey, size: u64) -> Result<File> {
        let file = self.open_any(object)?;
        let found = file.metadata();
        let found = found.map_err(|e| Error::io(format!("cannot look at object {object}"), e))?;
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
        // As `File::open`, which asks the system twice for the same flag where the C library is musl.
        let path = self.path(object);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| rustix::fs::open(&path, flags, Mode::empty()));
        opened
            .map(File::from)
            .map_err(|error| lost(object, error.into()))
    }

    pub(super) async fn read(
        &self,
        object: &ObjectKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<Content> {
        let is_small = size <= SMALL && !range.is_empty();
        if is_small && let Some(bytes) = self.read_cached(object, size)? {
            return Ok(Content::Bytes(content::part(bytes, range)));
        }
        let (folder, object) = (self.clone(), object.clone());
        blocking(move || {
            let file = folder.open_object(&object, size)?;
            if is_small {
                Ok(Content::Bytes(content::read(&file, range)?.into()))
            } else {
                Ok(Content::file(file, range))
            }
        })
        .await
    }

    /// All bytes of a small object if the system has them cached. Fast enough to be called where
    /// blocking is not allowed.
    fn read_cached(&self, object: &ObjectKey, size: u64) -> Result<Option<Vec<u8>>> {
        let file = self.open_any(object)?;
        Ok(content::read_cached(&file, size))
    }

    fn size(&self, object: &ObjectKey) -> Result<Option<u64>> {
        match fs::metadata(self.path(object)) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format!("cannot look for object {object}"), error)),
        }
    }

    /// Removes an object and the folders that this leaves empty. A missing object is not an error.
    fn unlink(&self, object: &ObjectKey) -> Result<()> {
        let path = self.path(object);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(format!("cannot remove object {object}"), error));
            }
            _ => {}
        }
        let mut folder = path.parent();
        while let Some(path) =
            folder.filter(|path| **path != *self.root && **path != *self.incoming)
        {
            // Fails when the folder is not empty, which is the usual case.
            if fs::remove_dir(path).is_err() {
                break;
            }
            folder = path.parent();
        }
        Ok(())
    }

    pub(super) async fn recover<F>(&self, is_known: impl Fn(ObjectKey) -> F) -> Result<u64>
    where
        F: Future<Output = Result<bool>>,
    {
        let listing = || -> io::Result<Vec<PathBuf>> {
            fs::read_dir(&self.incoming)?
                .map(|entry| Ok(entry?.path()))
                .collect()
        };
        let mut removed = 0;
        for path in listing().map_err(|e| Error::io("cannot list leftovers", e))? {
            if !self.is_alone() && is_young(&path) {
                // Another server may be about to finish it.
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.unwrap_or_default();
            if let Some(id) = id_of(name) {
                if is_known(ObjectKey::of_upload(&id)).await? {
                    continue;
                }
            } else {
                for object in objects_of_marker(name) {
                    if !is_known(object.clone()).await? {
                        self.unlink(&object)?;
                    }
                }
            }
            let gone = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            gone.map_err(|e| Error::io("cannot remove a leftover", e))?;
            removed += 1;
        }
        Ok(removed)
    }

    fn path(&self, object: &ObjectKey) -> PathBuf {
        match object.upload_id() {
            Some(id) => self.incoming.join(format!("{}{WAITING}", id.expose())),
            None => self.root.join(object.as_str()),
        }
    }

    /// The marker of an object that no row names yet. The file of an upload needs none, because its
    /// own name says so.
    fn marker(&self, object: &ObjectKey) -> Option<PathBuf> {
        let is_upload = object.upload_id().is_some();
        (!is_upload).then(|| self.incoming.join(file_name(object)))
    }

    /// Creates the folders of `path` below the root; each new folder is fsynced into its parent.
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

/// Creates and locks the folder of unfinished files: the [`Folder::recover`] of a second server
/// would remove what the first is about to finish. Of servers that share the folder one that starts
/// alone recovers, and the others leave alone what is young. Returns whether this one is alone.
fn lock(root: &Path, incoming: &Path, is_shared: bool) -> Result<(File, bool)> {
    let folder = fs::create_dir_all(incoming)
        .and_then(|()| File::open(incoming))
        .map_err(|e| Error::io(format!("cannot make {}", root.display()), e))?;
    let both = [
        FlockOperation::NonBlockingLockExclusive,
        FlockOperation::NonBlockingLockShared,
    ];
    if is_shared {
        return match take(&folder, &both) {
            Some(taken) => Ok((folder, taken == Some(both[0]))),
            None => Err(in_use(root)),
        };
    }
    match flock(&folder, both[0]) {
        Err(Errno::WOULDBLOCK) => Err(in_use(root)),
        // Some network file systems do not support locks.
        _ => Ok((folder, true)),
    }
}

/// Takes the first of these locks that can be had, waiting for a server that starts. Returns which
/// one; `Some(None)` where locks are not supported, `None` when another server does not let go.
fn take(folder: &File, locks: &[FlockOperation]) -> Option<Option<FlockOperation>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for operation in locks {
            match flock(folder, *operation) {
                Ok(()) => return Some(Some(*operation)),
                Err(Errno::WOULDBLOCK) => {}
                Err(_) => return Some(None),
            }
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn in_use(root: &Path) -> Error {
    Error::user(
        ErrorCode::AlreadyRunning,
        format!(
            "another pict-rs is running on the files in {}",
            root.display()
        ),
    )
}

fn file_name(object: &ObjectKey) -> &str {
    object.as_str().rsplit('/').next().unwrap_or_default()
}

/// `0a1b….png` marks `0a/1b/0a1b….png`, or `0a/0a1b….png` for a variant.
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

/// `1c44265c-….waiting` is the file of the upload `1c44265c-…`.
fn id_of(name: &str) -> Option<UploadId> {
    UploadId::parse(name.strip_suffix(WAITING)?).ok()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
