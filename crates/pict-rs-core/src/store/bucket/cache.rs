//! Small objects of a bucket that were used lately, as files on a local disk, so that serving them
//! costs no request. The least recently used go first. What the disk does not take is not kept.
//!
//! A new process starts with none: another node may have removed objects meanwhile, and what was
//! purged must not stay on a disk.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use uuid::Uuid;

use super::fault;
use crate::scratch::{PARTIAL, Scratch};
use crate::store::SMALL;
use crate::store::content::{read, read_cached};
use crate::task::blocking;
use crate::{Digest, Error, ObjectKey, Result};

/// Small objects on a local disk.
#[derive(Debug)]
pub(super) struct DiskCache {
    folder: PathBuf,
    /// Bytes of all files.
    capacity: u64,
    index: Mutex<Index>,
    /// Makes the folder this process's own.
    _scratch: Scratch,
}

#[derive(Debug)]
struct Index {
    sizes: LruCache<String, u64>,
    bytes: u64,
}

impl DiskCache {
    /// A folder below that of the process. Blocks.
    pub(super) fn open(scratch: Scratch, capacity: u64) -> io::Result<Self> {
        let folder = scratch.folder().join("cache");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            capacity,
            index: Mutex::new(Index {
                sizes: LruCache::unbounded(),
                bytes: 0,
            }),
            _scratch: scratch,
        })
    }

    /// Whether an object of this size may be kept.
    pub(super) fn takes(&self, size: u64) -> bool {
        size > 0 && size <= SMALL && size <= self.capacity
    }

    /// All bytes of an object, if they are kept.
    pub(super) async fn get(&self, object: &ObjectKey, size: u64) -> Option<Bytes> {
        let name = name(object);
        if self.index().sizes.get(&name) != Some(&size) {
            return None;
        }
        let path = self.folder.join(&name);
        // It may be removed between the two.
        let file = File::open(path).ok()?;
        if let Some(bytes) = read_cached(&file, size) {
            return Some(bytes.into());
        }
        let whole = move || read(&file, 0..size);
        blocking(whole).await.ok().map(Bytes::from)
    }

    /// Keeps an object. A failure is only logged.
    pub(super) async fn keep(self: Arc<Self>, object: &ObjectKey, bytes: Bytes) {
        let name = name(object);
        if self.index().sizes.contains(&name) {
            return;
        }
        let kept = blocking(move || {
            let size = bytes.len() as u64;
            self.write(&name, &bytes)
                .map_err(|e| Error::io("a small object cannot be kept", e))?;
            let dropped = self.index().add(name, size, self.capacity);
            self.delete(&dropped);
            Ok(())
        });
        if let Err(error) = kept.await {
            let cause = fault::cause(&error);
            tracing::debug!(%error, cause, "a small object is not kept");
        }
    }

    /// Several tasks may write the same object; each has a file of its own until it is complete.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let partial = self
            .folder
            .join(format!("{}{PARTIAL}", Uuid::new_v4().simple()));
        let written =
            fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, self.folder.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&partial);
        }
        written
    }

    /// Forgets objects.
    pub(super) async fn remove(self: Arc<Self>, objects: &[ObjectKey]) -> Result<()> {
        let names: Vec<_> = {
            let mut index = self.index();
            let names = objects.iter().map(name);
            names.filter(|name| index.remove(name)).collect()
        };
        if names.is_empty() {
            return Ok(());
        }
        blocking(move || {
            self.delete(&names);
            Ok(())
        })
        .await
    }

    fn delete(&self, names: &[String]) {
        for name in names {
            // A new process deletes the rest.
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    /// Returns the files that have to go.
    fn add(&mut self, name: String, size: u64, capacity: u64) -> Vec<String> {
        if let Some(before) = self.sizes.put(name, size) {
            self.bytes -= before;
        }
        self.bytes += size;
        let mut dropped = Vec::new();
        while self.bytes > capacity
            && let Some((name, size)) = self.sizes.pop_lru()
        {
            self.bytes -= size;
            dropped.push(name);
        }
        dropped
    }

    fn remove(&mut self, name: &str) -> bool {
        let size = self.sizes.pop(name);
        self.bytes -= size.unwrap_or(0);
        size.is_some()
    }
}

/// The name of its file. A key may have slashes, and be longer than the name of a file.
fn name(object: &ObjectKey) -> String {
    Digest::of(object.as_str().as_bytes()).to_hex()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pict_rs_media::Format;

    use super::*;

    fn open(parent: &Path, capacity: u64) -> Arc<DiskCache> {
        let scratch = Scratch::of_process(parent).expect("made");
        Arc::new(DiskCache::open(scratch, capacity).expect("opened"))
    }

    fn count(cache: &DiskCache) -> usize {
        fs::read_dir(&cache.folder).expect("readable").count()
    }

    #[tokio::test]
    async fn the_least_recently_used_go_when_there_is_no_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = open(folder.path(), 1000);
        let objects = [(); 3].map(|()| ObjectKey::generate(Format::Webp));
        let bytes = |byte: u8| Bytes::from(vec![byte; 400]);
        for (object, byte) in objects.iter().zip(0..2) {
            cache.clone().keep(object, bytes(byte)).await;
        }
        assert_eq!(cache.get(&objects[0], 400).await, Some(bytes(0)));
        cache.clone().keep(&objects[2], bytes(2)).await;
        assert_eq!(cache.get(&objects[1], 400).await, None);
        assert_eq!(cache.get(&objects[0], 400).await, Some(bytes(0)));
        assert_eq!(cache.get(&objects[2], 400).await, Some(bytes(2)));
        assert_eq!((count(&cache), cache.index().bytes), (2, 800));
        // Of another size it is another object.
        assert_eq!(cache.get(&objects[2], 399).await, None);
        cache.clone().remove(&objects).await.expect("removed");
        assert_eq!((count(&cache), cache.index().bytes), (0, 0));
        assert_eq!(cache.get(&objects[0], 400).await, None);
    }

    #[tokio::test]
    async fn what_is_large_or_damaged_is_not_served() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = open(folder.path(), 1 << 20);
        assert!(cache.takes(SMALL) && !cache.takes(SMALL + 1) && !cache.takes(0));
        let object = ObjectKey::generate(Format::Webp);
        cache
            .clone()
            .keep(&object, Bytes::from_static(b"hello"))
            .await;
        fs::write(cache.folder.join(name(&object)), b"hell").expect("written");
        assert_eq!(cache.get(&object, 5).await, None);
        fs::remove_file(cache.folder.join(name(&object))).expect("removed");
        assert_eq!(cache.get(&object, 5).await, None);
    }

    #[tokio::test]
    async fn a_new_process_starts_with_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = open(folder.path(), 1000);
        let object = ObjectKey::generate(Format::Webp);
        cache
            .clone()
            .keep(&object, Bytes::from_static(b"hello"))
            .await;
        let left = cache.folder.clone();
        drop(cache);
        let cache = open(folder.path(), 1000);
        assert!(!left.exists());
        assert_eq!(cache.get(&object, 5).await, None);
    }
}
