//! Objects that are not stored. A result that was computed for a client is served while it is being
//! stored, and for a short time even if it does not fit on the disk: then it is kept in memory, within a
//! limit.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pict_rs_media::Format;
use sha2::{Digest as _, Sha256};

use super::Store;
use crate::scratch::ScratchFile;
use crate::system::memory_file;
use crate::{ContentKey, Error, ErrorCode, ObjectKey, Result};

/// Prefix of the keys of such objects. Other keys begin with two hexadecimal digits.
const PREFIX: &str = "memory/";
/// Bytes of all of them; the oldest are dropped first.
pub(super) const CAPACITY: u64 = 64 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Memory {
    held: Mutex<VecDeque<HeldObject>>,
    /// Files that are becoming objects.
    lent: Mutex<HashMap<ObjectKey, File>>,
}

#[derive(Debug)]
struct HeldObject {
    object: ObjectKey,
    /// A nameless file in memory.
    file: File,
    size: u64,
    since: Instant,
}

impl Store {
    /// Bytes of the largest object that is kept in memory.
    pub(crate) const LARGEST_IN_MEMORY: u64 = CAPACITY / 2;
    /// How long an object is served that could not be stored. After this time the disk is tried again.
    pub(crate) const UNSTORED_LIFETIME: Duration = Duration::from_secs(60);

    /// Keeps an object in memory, because it does not fit on the disk. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::InsufficientStorage`] when it is too large for memory too.
    pub fn keep_in_memory(&self, format: Format, bytes: &[u8]) -> Result<(ObjectKey, ContentKey)> {
        let object = new_key(format);
        self.memory.hold(&object, bytes)?;
        let digest = Sha256::digest(bytes).into();
        Ok((object, ContentKey::new(digest, bytes.len() as u64, format)))
    }

    /// Lets a file be read as an object while it becomes one under another key, or fails to.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`].
    pub(crate) fn lend(&self, file: &ScratchFile, format: Format) -> Result<Lent> {
        let shared = file.shared();
        let shared = shared.map_err(|e| Error::io("cannot share a scratch file", e))?;
        let object = new_key(format);
        lock(&self.memory.lent).insert(object.clone(), shared);
        Ok(Lent {
            memory: self.memory.clone(),
            object,
        })
    }

    /// Whether the object has not been stored.
    pub fn is_in_memory(object: &ObjectKey) -> bool {
        object.as_str().starts_with(PREFIX)
    }
}

impl Memory {
    /// The file of an object that is still there. Must be read at explicit positions, because its
    /// readers share one offset.
    pub(super) fn open(&self, object: &ObjectKey) -> std::io::Result<File> {
        if let Some(file) = lock(&self.lent).get(object) {
            return file.try_clone();
        }
        let mut entries = lock(&self.held);
        entries.retain(|entry| entry.since.elapsed() < Store::UNSTORED_LIFETIME);
        match entries.iter().find(|entry| entry.object == *object) {
            Some(entry) => entry.file.try_clone(),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    /// Keeps bytes as an object. Blocks.
    fn hold(&self, object: &ObjectKey, bytes: &[u8]) -> Result<()> {
        let size = bytes.len() as u64;
        if size > Store::LARGEST_IN_MEMORY {
            return Err(Error::Internal {
                code: ErrorCode::InsufficientStorage,
                message: format!("neither disk nor memory have room for {size} bytes"),
                source: None,
            });
        }
        let file = memory_file()
            .and_then(|mut file| {
                file.write_all(bytes)?;
                Ok(file)
            })
            .map_err(|e| Error::io("cannot keep an object in memory", e))?;
        let mut entries = lock(&self.held);
        entries.push_back(HeldObject {
            object: object.clone(),
            file,
            size,
            since: Instant::now(),
        });
        while entries.iter().map(|entry| entry.size).sum::<u64>() > CAPACITY {
            entries.pop_front();
        }
        Ok(())
    }
}

/// A file that can be read as an object until this is dropped.
#[derive(Debug)]
pub(crate) struct Lent {
    memory: Arc<Memory>,
    object: ObjectKey,
}

impl Lent {
    /// What it can be read as.
    pub(crate) fn object(&self) -> &ObjectKey {
        &self.object
    }

    /// The file did not become an object: takes it from the disk and keeps it in memory for
    /// [`Store::UNSTORED_LIFETIME`], under the same key. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::InsufficientStorage`] when it is too large, [`ErrorCode::FileIoError`].
    pub(crate) fn keep_in_memory(self) -> Result<()> {
        let read = || {
            let file = self.memory.open(&self.object)?;
            let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|e| Error::io("cannot read a scratch file", e))?;
        self.memory.hold(&self.object, &bytes)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.memory.lent).remove(&self.object);
    }
}

fn new_key(format: Format) -> ObjectKey {
    ObjectKey::new(format!("{PREFIX}{}", ObjectKey::generate(format)))
}

fn lock<T>(entries: &Mutex<T>) -> MutexGuard<'_, T> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}
