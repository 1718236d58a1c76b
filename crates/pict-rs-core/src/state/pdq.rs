//! PDQ hashes in memory: those of the lists, and, while there are searches, those of what is stored.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pict_rs_media::{PdqHash, Turned, near};
use tokio::time::Instant;

use crate::ContentKey;

/// The hashes of all lists.
#[derive(Debug, Default)]
pub(crate) struct ListedHashes {
    /// As [`crate::repo::Repo::version_of_pdq_lists`] tells it.
    pub(crate) version: Option<String>,
    hashes: Vec<PdqHash>,
    /// The lists in their order, each with the position after its last hash.
    lists: Vec<(String, usize)>,
}

impl ListedHashes {
    /// Adds a hash; those of a list come one after the other.
    pub(crate) fn push(&mut self, list: String, hash: PdqHash) {
        self.hashes.push(hash);
        let end = self.hashes.len();
        match self.lists.last_mut() {
            Some((last, last_end)) if *last == list => *last_end = end,
            _ => self.lists.push((list, end)),
        }
    }

    /// How many hashes there are.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// The lists with the numbers of their hashes.
    pub(crate) fn lists(&self) -> impl Iterator<Item = (&str, usize)> {
        let mut start = 0;
        self.lists.iter().map(move |(list, end)| {
            let count = end - start;
            start = *end;
            (list.as_str(), count)
        })
    }

    /// The hashes of a list; none if there is no such list.
    pub(crate) fn of(&self, list: &str) -> &[PdqHash] {
        let Some(at) = self.lists.iter().position(|(name, _)| name == list) else {
            return &[];
        };
        let start = at.checked_sub(1).map_or(0, |before| self.lists[before].1);
        &self.hashes[start..self.lists[at].1]
    }

    /// The nearest hash to any of `wanted` within `distance`: its list, itself and its distance.
    pub(crate) fn nearest(&self, wanted: &Turned, distance: u32) -> Option<(&str, PdqHash, u32)> {
        let found = near(&self.hashes, wanted, distance);
        let (at, distance) = found.into_iter().min_by_key(|(_, distance)| *distance)?;
        let list = self.lists.partition_point(|(_, end)| *end <= at);
        Some((self.lists.get(list)?.0.as_str(), self.hashes[at], distance))
    }
}

/// Holds the lists as they were last read.
#[derive(Debug, Default)]
pub(crate) struct PdqLists {
    last: Mutex<Arc<ListedHashes>>,
    /// Held while they are read.
    pub(crate) reading: tokio::sync::Mutex<()>,
}

impl PdqLists {
    /// As they were last read.
    pub(crate) fn last(&self) -> Arc<ListedHashes> {
        let last = self.last.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, lists: Arc<ListedHashes>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = lists;
    }
}

/// For this long the hashes of what is stored are kept after a search.
const UNUSED: Duration = Duration::from_secs(10 * 60);
/// After this time they are read again: other servers may have computed some.
const STALE: Duration = Duration::from_secs(60 * 60);

/// How much the clocks of servers may differ, and a transaction last, in milliseconds.
const OVERLAP: i64 = 10 * 60 * 1000;

/// The hashes of what is stored.
#[derive(Debug)]
pub(crate) struct StoredHashes {
    /// When they were read, in unix milliseconds.
    read_at: i64,
    since: Instant,
    used: Instant,
    keys: Vec<ContentKey>,
    hashes: Vec<PdqHash>,
    /// How many were read at first. The others are added again before each search.
    first: usize,
}

impl StoredHashes {
    pub(crate) fn new(read_at: i64) -> Self {
        let now = Instant::now();
        Self {
            read_at,
            since: now,
            used: now,
            keys: Vec::new(),
            hashes: Vec::new(),
            first: 0,
        }
    }

    /// Contents since then must be added before each search; unix time in milliseconds.
    pub(crate) fn recent(&self) -> i64 {
        self.read_at - OVERLAP
    }

    /// Adds contents to those that are read at first.
    pub(crate) fn push(&mut self, contents: Vec<(ContentKey, PdqHash)>) {
        self.add(contents);
        self.first = self.keys.len();
    }

    /// Replaces those that were added since.
    pub(crate) fn refresh(&mut self, contents: Vec<(ContentKey, PdqHash)>) {
        self.keys.truncate(self.first);
        self.hashes.truncate(self.first);
        self.add(contents);
        self.used = Instant::now();
    }

    fn add(&mut self, contents: Vec<(ContentKey, PdqHash)>) {
        for (key, hash) in contents {
            self.keys.push(key);
            self.hashes.push(hash);
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.since.elapsed() > STALE
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.used.elapsed() > UNUSED
    }

    /// The contents that are near any of `wanted`, with their distances, the nearest first.
    pub(crate) fn near(&self, wanted: &[Turned], distance: u32) -> Vec<(ContentKey, u32)> {
        let found = wanted.iter();
        let mut found: Vec<_> = found
            .flat_map(|wanted| near(&self.hashes, wanted, distance))
            .collect();
        found.sort_by_key(|(_, distance)| *distance);
        let mut seen = HashSet::new();
        let found = found
            .into_iter()
            .map(|(at, distance)| (self.keys[at], distance));
        found.filter(|(key, _)| seen.insert(*key)).collect()
    }
}

/// `None` while nothing is searched.
pub(crate) type StoredIndex = Arc<tokio::sync::Mutex<Option<StoredHashes>>>;

#[cfg(test)]
mod tests {
    use pict_rs_media::Format;

    use super::*;

    fn hash(byte: u8) -> PdqHash {
        PdqHash::from_bytes(&[byte; 32]).expect("32 bytes")
    }

    #[test]
    fn the_nearest_entry_is_told_with_its_list() {
        let mut lists = ListedHashes::default();
        assert_eq!(lists.nearest(&[hash(0); 8], 256), None);
        for (list, byte) in [("", 0xff), ("a", 0x0f), ("a", 0x00), ("b", 0x01)] {
            lists.push(list.to_owned(), hash(byte));
        }
        let counts: Vec<_> = lists.lists().collect();
        assert_eq!(counts, [("", 1), ("a", 2), ("b", 1)]);
        assert_eq!(lists.of(""), [hash(0xff)]);
        assert_eq!(lists.of("a"), [hash(0x0f), hash(0x00)]);
        assert_eq!(lists.of("c"), []);
        assert_eq!(lists.nearest(&[hash(0x00); 8], 31), Some(("a", hash(0), 0)));
        assert_eq!(lists.nearest(&[hash(0x01); 8], 31), Some(("b", hash(1), 0)));
        assert_eq!(
            lists.nearest(&[hash(0x7f); 8], 32),
            Some(("", hash(0xff), 32))
        );
        assert_eq!(lists.nearest(&[hash(0x7f); 8], 31), None);
        let mut turned = [hash(0x33); 8];
        turned[5] = hash(0xfe);
        assert_eq!(lists.nearest(&turned, 64), Some(("", hash(0xff), 32)));
    }

    #[test]
    fn a_content_is_found_once_and_the_nearest_first() {
        let key = |byte| ContentKey::new([byte; 32], 9, Format::Png);
        let mut stored = StoredHashes::new(0);
        stored.push(vec![(key(1), hash(0x01)), (key(2), hash(0x00))]);
        stored.refresh(vec![(key(2), hash(0x00)), (key(3), hash(0x03))]);
        stored.refresh(vec![(key(2), hash(0x00)), (key(4), hash(0x03))]);
        let found = stored.near(&[[hash(0); 8]], 64);
        assert_eq!(found, [(key(2), 0), (key(1), 32), (key(4), 64)]);
        // Each with the least distance of any of its frames to any of those that are wanted.
        stored.refresh(vec![(key(5), hash(0xf0)), (key(5), hash(0x07))]);
        let found = stored.near(&[[hash(0xff); 8], [hash(0x07); 8]], 32);
        assert_eq!(found, [(key(5), 0)]);
    }
}
