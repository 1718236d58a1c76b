//! Bytes of small objects that are asked for again and again, in memory.
//!
//! Objects never change, so their bytes are never stale. But somebody may remove a file behind the
//! server's back, and expects that to have an effect: bytes are served from memory for two seconds,
//! then the file is read once more.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lru::LruCache;

use crate::ObjectKey;
use crate::metrics::Lookups;

/// For how long bytes are served without a look at the file.
const TRUSTED: Duration = Duration::from_secs(2);
/// Bytes are kept from this read on, if each came at most [`TRUSTED`] after the one before.
const READS: u8 = 4;
/// Bytes of an entry beside those of the object, about.
const OVERHEAD: usize = 160;

/// Bytes of small objects.
#[derive(Debug)]
pub(super) struct ReadCache {
    /// Bytes of all entries; 0 keeps none.
    capacity: usize,
    inner: Mutex<ReadObjects>,
    lookups: Lookups,
}

#[derive(Debug)]
struct ReadObjects {
    entries: LruCache<ObjectKey, ReadObject>,
    bytes: usize,
}

#[derive(Debug)]
struct ReadObject {
    read_at: Instant,
    /// Of the file, one soon after the other; [`READS`] at most.
    reads: u8,
    /// Kept after so many reads.
    bytes: Option<Bytes>,
}

impl ReadObject {
    fn size(&self) -> usize {
        OVERHEAD + self.bytes.as_ref().map_or(0, Bytes::len)
    }
}

impl ReadCache {
    /// Keeps up to this many bytes.
    pub(super) fn new(capacity: usize) -> Self {
        let entries = ReadObjects {
            entries: LruCache::unbounded(),
            bytes: 0,
        };
        Self {
            capacity,
            inner: Mutex::new(entries),
            lookups: Lookups::named("pict_rs_read_cache_hits", "pict_rs_read_cache_misses"),
        }
    }

    /// All bytes of an object, if they were read within the last two seconds.
    pub(super) fn get(&self, object: &ObjectKey) -> Option<Bytes> {
        self.get_at(object, Instant::now())
    }

    /// Called with all bytes of an object that were just read.
    pub(super) fn offer(&self, object: &ObjectKey, bytes: &Bytes) {
        self.offer_at(object, bytes, Instant::now());
    }

    /// Forgets objects that are removed.
    pub(super) fn forget(&self, objects: &[ObjectKey]) {
        if self.capacity == 0 {
            return;
        }
        let mut inner = self.lock();
        for object in objects {
            if let Some(entry) = inner.entries.pop(object) {
                inner.bytes -= entry.size();
            }
        }
    }

    fn get_at(&self, object: &ObjectKey, now: Instant) -> Option<Bytes> {
        if self.capacity == 0 {
            return None;
        }
        let mut inner = self.lock();
        let entry = inner.entries.get(object);
        let trusted = entry.filter(|entry| now.duration_since(entry.read_at) < TRUSTED);
        let found = trusted.and_then(|entry| entry.bytes.clone());
        drop(inner);
        self.lookups.count(found)
    }

    fn offer_at(&self, object: &ObjectKey, bytes: &Bytes, now: Instant) {
        // One object must not take the place of all others.
        if bytes.len() > self.capacity / 8 {
            return;
        }
        let mut guard = self.lock();
        let inner = &mut *guard;
        let entry = inner.entries.get_or_insert_mut_ref(object, || ReadObject {
            read_at: now,
            reads: 0,
            bytes: None,
        });
        let before = if entry.reads == 0 { 0 } else { entry.size() };
        let is_again = now.duration_since(entry.read_at) < TRUSTED || entry.bytes.is_some();
        entry.reads = match is_again {
            true => entry.reads.saturating_add(1).min(READS),
            false => 1,
        };
        entry.read_at = now;
        if entry.reads == READS {
            entry.bytes = Some(bytes.clone());
        }
        inner.bytes = inner.bytes - before + entry.size();
        while inner.bytes > self.capacity
            && let Some((_, dropped)) = inner.entries.pop_lru()
        {
            inner.bytes -= dropped.size();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ReadObjects> {
        // Nothing panics while the lock is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pict_rs_media::Format;

    use super::*;

    fn cache() -> (ReadCache, ObjectKey, Bytes, Instant) {
        let object = ObjectKey::generate(Format::Webp);
        let bytes = Bytes::from_static(b"bytes");
        (ReadCache::new(8 * 1024), object, bytes, Instant::now())
    }

    /// Reads an object as the store does.
    fn read(cache: &ReadCache, object: &ObjectKey, bytes: &Bytes, at: Instant) -> bool {
        let found = cache.get_at(object, at);
        if found.is_none() {
            cache.offer_at(object, bytes, at);
        }
        found.is_some()
    }

    #[test]
    fn what_is_read_often_is_in_memory_and_the_file_is_looked_at_now_and_then() {
        let (cache, object, bytes, start) = cache();
        let at = |ms| start + Duration::from_millis(ms);
        for ms in [0, 1_000, 2_000, 3_000] {
            assert!(!read(&cache, &object, &bytes, at(ms)), "{ms}");
        }
        assert!(read(&cache, &object, &bytes, at(3_001)));
        assert_eq!(cache.get_at(&object, at(4_999)), Some(bytes.clone()));
        // From here on the file is read again, once.
        assert!(!read(&cache, &object, &bytes, at(5_000)));
        assert!(read(&cache, &object, &bytes, at(6_999)));
        assert!(!read(&cache, &object, &bytes, at(60_000)));
        cache.forget(std::slice::from_ref(&object));
        assert!(!read(&cache, &object, &bytes, at(60_001)));
        assert_eq!(cache.lock().bytes, OVERHEAD);
    }

    #[test]
    fn what_is_read_rarely_takes_no_memory() {
        let (cache, object, bytes, start) = cache();
        for second in [0, 2, 4, 6, 8, 10] {
            let at = start + Duration::from_secs(second);
            assert!(!read(&cache, &object, &bytes, at), "{second}");
        }
        assert_eq!(cache.lock().bytes, OVERHEAD);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let (cache, _, _, now) = cache();
        let bytes = Bytes::from(vec![0; 1024]);
        let objects: Vec<_> = (0..20).map(|_| ObjectKey::generate(Format::Webp)).collect();
        for object in &objects {
            for _ in 0..READS {
                read(&cache, object, &bytes, now);
            }
            assert!(cache.lock().bytes <= 8 * 1024);
        }
        let kept = |object| cache.get_at(object, now).is_some();
        assert!(!kept(&objects[0]) && kept(&objects[19]));
        let sum: usize = cache
            .lock()
            .entries
            .iter()
            .map(|(_, entry)| entry.size())
            .sum();
        assert_eq!(cache.lock().bytes, sum);
        // One that is too large takes no place.
        let large = Bytes::from(vec![0; 1025]);
        let object = ObjectKey::generate(Format::Webp);
        for _ in 0..10 {
            assert!(!read(&cache, &object, &large, now));
        }
        let off = ReadCache::new(0);
        for _ in 0..10 {
            assert!(!read(&off, &object, &bytes, now));
        }
    }
}
