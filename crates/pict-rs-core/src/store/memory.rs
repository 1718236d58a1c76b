//! Objects that do not fit on the disk. A result that was computed for a client is served even if
//! it cannot be stored: it is kept in memory for a short time, within a limit.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pict_rs_media::Format;
use sha2::{Digest as _, Sha256};

use super::Store;
use crate::system::memory_file;
use crate::{ContentKey, Error, ErrorCode, ObjectKey, Result};

/// Prefix of the keys of such objects. Other keys begin with two hexadecimal digits.
const PREFIX: &str = "memory/";
/// Bytes of all of them; the oldest are dropped first.
pub(super) const CAPACITY: u64 = 64 * 1024 * 1024;
/// After this time the disk is tried again.
const LIFETIME: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<VecDeque<HeldObject>>);

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

    /// Keeps an object in memory, because it does not fit on the disk. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::InsufficientStorage`] when it is too large for memory too.
    pub fn keep_in_memory(&self, format: Format, bytes: &[u8]) -> Result<(ObjectKey, ContentKey)> {
        let size = bytes.len() as u64;
        if size > Self::LARGEST_IN_MEMORY {
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
        let object = ObjectKey::new(format!("{PREFIX}{}", ObjectKey::generate(format)));
        let mut entries = self.memory.lock();
        entries.push_back(HeldObject {
            object: object.clone(),
            file,
            size,
            since: Instant::now(),
        });
        while entries.iter().map(|entry| entry.size).sum::<u64>() > CAPACITY {
            entries.pop_front();
        }
        let key = ContentKey::new(Sha256::digest(bytes).into(), size, format);
        Ok((object, key))
    }

    /// Whether the object was only kept in memory.
    pub fn is_in_memory(object: &ObjectKey) -> bool {
        object.as_str().starts_with(PREFIX)
    }
}

impl Memory {
    /// The file of an object that is still kept. Must be read at explicit positions, because its
    /// readers share one offset.
    pub(super) fn open(&self, object: &ObjectKey) -> std::io::Result<File> {
        let mut entries = self.lock();
        entries.retain(|entry| entry.since.elapsed() < LIFETIME);
        match entries.iter().find(|entry| entry.object == *object) {
            Some(entry) => entry.file.try_clone(),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<HeldObject>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
