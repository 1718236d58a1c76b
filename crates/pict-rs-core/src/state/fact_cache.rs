//! A small cache of facts in front of the database, so that serving known media needs no query. A
//! removal drops its entries before it is answered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lru::LruCache;

use crate::metrics::Lookups;
use crate::repo::{Original, Representation};
use crate::state::last_used::LastUsed;
use crate::{Alias, ContentKey, VariantKey};

/// Bytes of all entries, about: twenty thousand aliases with a variant each.
const ROOM: usize = 16 * 1024 * 1024;
/// Bytes of the tables for an entry, and of allocations, about.
const OVERHEAD: usize = 160;

/// Facts of recently served media.
#[derive(Debug)]
pub(crate) struct FactCache {
    inner: Mutex<CacheTable>,
    lookups: Lookups,
}

#[derive(Debug)]
struct CacheTable {
    entries: LruCache<Alias, CachedFacts>,
    /// Of all entries.
    bytes: usize,
    /// Counts removals. Facts that were read before a removal are not cached after it.
    generation: u64,
    /// Until when these facts may be used without asking whether another server removed something;
    /// `None` where no other server can.
    trusted_until: Option<Instant>,
}

#[derive(Debug)]
struct CachedFacts {
    original: Arc<Original>,
    variants: HashMap<VariantKey, Variant>,
    bytes: usize,
    /// When a use of the content was last recorded, in unix milliseconds.
    noted_at: i64,
}

#[derive(Debug)]
struct Variant {
    facts: Arc<Representation>,
    /// When its use was last recorded, in unix milliseconds.
    noted_at: i64,
}

/// Taken before facts are read from the database, and passed back with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generation(u64);

impl Default for FactCache {
    fn default() -> Self {
        Self::new(false)
    }
}

impl CacheTable {
    /// An entry that may be used.
    fn trusted(&mut self, alias: &Alias) -> Option<&mut CachedFacts> {
        if self
            .trusted_until
            .is_some_and(|until| until <= Instant::now())
        {
            return None;
        }
        self.entries.get_mut(alias)
    }

    fn insert(&mut self, alias: &Alias, original: Arc<Original>) {
        let entry = CachedFacts {
            bytes: OVERHEAD
                + size_of::<CachedFacts>()
                + alias.as_str().len()
                + size_of::<Original>()
                + original.hints.blurhash.len()
                + original.hints.thumbhash.as_ref().map_or(0, Vec::len)
                + original.representation.object.as_str().len(),
            original,
            variants: HashMap::new(),
            // The database knows when it was used, and does the comparison.
            noted_at: 0,
        };
        self.bytes += entry.bytes;
        if let Some((_, replaced)) = self.entries.push(alias.clone(), entry) {
            self.bytes -= replaced.bytes;
        }
        self.shrink();
    }

    fn insert_variant(&mut self, alias: &Alias, key: &VariantKey, variant: Variant) {
        let Some(entry) = self.entries.get_mut(alias) else {
            return;
        };
        let bytes = OVERHEAD
            + size_of::<(VariantKey, Variant)>()
            + key.as_str().len()
            + size_of::<Representation>()
            + variant.facts.object.as_str().len();
        // A replaced one has the same key, and a name of the same length but for a prefix.
        if entry.variants.insert(key.clone(), variant).is_none() {
            entry.bytes += bytes;
            self.bytes += bytes;
        }
        self.shrink();
    }

    fn remove(&mut self, alias: &Alias) {
        if let Some(removed) = self.entries.pop(alias) {
            self.bytes -= removed.bytes;
        }
    }

    /// Forgets what was not used for the longest time.
    fn shrink(&mut self) {
        while self.bytes > ROOM
            && let Some((_, removed)) = self.entries.pop_lru()
        {
            self.bytes -= removed.bytes;
        }
    }
}

impl FactCache {
    /// With `is_shared`, other servers remove things too: nothing is used before the first
    /// [`FactCache::trust_until`].
    pub(crate) fn new(is_shared: bool) -> Self {
        Self {
            inner: Mutex::new(CacheTable {
                entries: LruCache::unbounded(),
                bytes: 0,
                generation: 0,
                trusted_until: is_shared.then(Instant::now),
            }),
            lookups: Lookups::named("pict_rs_known_hits", "pict_rs_known_misses"),
        }
    }

    /// Called when everything that other servers removed some time ago is forgotten here.
    pub(crate) fn trust_until(&self, time: Instant) {
        let mut inner = self.lock();
        if let Some(until) = &mut inner.trusted_until {
            *until = time;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.entries.clear();
        inner.bytes = 0;
    }

    pub(crate) fn original(&self, alias: &Alias) -> Option<Arc<Original>> {
        let found = self
            .lock()
            .trusted(alias)
            .map(|entry| entry.original.clone());
        self.lookups.count(found)
    }

    /// Returns a variant that is about to be used, and records the use.
    pub(crate) fn variant(
        &self,
        alias: &Alias,
        key: &VariantKey,
        uses: &LastUsed,
    ) -> Option<(Arc<Original>, Arc<Representation>)> {
        let found = self.lock().trusted(alias).and_then(|entry| {
            let variant = entry.variants.get_mut(key)?;
            variant.noted_at = uses.variant(&variant.facts.object, variant.noted_at);
            Some((entry.original.clone(), variant.facts.clone()))
        });
        self.lookups.count(found)
    }

    /// Records that a client was served `content`, or a variant of it, as `alias`.
    pub(crate) fn note_use(&self, alias: &Alias, content: &ContentKey, uses: &LastUsed) {
        let mut inner = self.lock();
        let entry = inner.entries.peek_mut(alias);
        match entry.filter(|entry| entry.original.hash() == content) {
            Some(entry) => entry.noted_at = uses.content(content, entry.noted_at),
            None => drop(uses.content(content, 0)),
        }
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation(self.lock().generation)
    }

    pub(crate) fn remember(&self, generation: Generation, alias: &Alias, original: &Arc<Original>) {
        let mut inner = self.lock();
        if inner.generation == generation.0 {
            inner.insert(alias, original.clone());
        }
    }

    /// Remembers facts that are likely to be asked for soon, besides those that are known.
    pub(crate) fn preload<'a>(
        &self,
        generation: Generation,
        alias: &Alias,
        original: Original,
        variants: impl IntoIterator<Item = (&'a VariantKey, Representation)>,
    ) {
        let mut inner = self.lock();
        if inner.generation != generation.0 {
            return;
        }
        if inner.trusted(alias).is_none() {
            inner.insert(alias, Arc::new(original));
        }
        for (key, facts) in variants {
            let entry = inner.entries.peek(alias);
            if entry.is_some_and(|entry| !entry.variants.contains_key(key)) {
                let variant = Variant {
                    facts: Arc::new(facts),
                    // It was not used yet here. The database knows when it was.
                    noted_at: 0,
                };
                inner.insert_variant(alias, key, variant);
            }
        }
    }

    /// `noted_at` is when its use was last recorded, in unix milliseconds.
    pub(crate) fn remember_variant(
        &self,
        generation: Generation,
        alias: &Alias,
        key: &VariantKey,
        variant: &Arc<Representation>,
        noted_at: i64,
    ) {
        let mut inner = self.lock();
        if inner.generation != generation.0 {
            return;
        }
        let variant = Variant {
            facts: variant.clone(),
            noted_at,
        };
        inner.insert_variant(alias, key, variant);
    }

    /// Must be called after the database has committed the removal and before it is answered.
    pub(crate) fn forget<'a>(&self, aliases: impl IntoIterator<Item = &'a Alias>) {
        let mut inner = self.lock();
        inner.generation += 1;
        for alias in aliases {
            inner.remove(alias);
        }
    }

    /// As [`FactCache::forget`], for all aliases of these contents. Scans all entries.
    pub(crate) fn forget_contents(&self, contents: &HashSet<ContentKey>) {
        let mut inner = self.lock();
        inner.generation += 1;
        let aliases: Vec<_> = inner
            .entries
            .iter()
            .filter(|(_, entry)| contents.contains(entry.original.hash()))
            .map(|(alias, _)| alias.clone())
            .collect();
        for alias in &aliases {
            inner.remove(alias);
        }
    }

    fn lock(&self) -> MutexGuard<'_, CacheTable> {
        // A panic while holding the lock leaves valid, possibly incomplete, facts.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;
    use crate::config::{Config, Span};
    use crate::repo::LoadingHints;
    use crate::{ContentKey, ObjectKey};
    use pict_rs_media::{Format, OutputFormat, operation::Operation};
    use std::time::Duration;

    fn original() -> Arc<Original> {
        Arc::new(Original {
            representation: Representation {
                object: ObjectKey::generate(Format::Png),
                key: ContentKey::new([1; 32], 9, Format::Png),
                width: 1,
                height: 1,
                frames: 1,
                duration_ms: None,
                created_at: 0,
            },
            hints: LoadingHints::default(),
        })
    }

    #[test]
    fn facts_read_before_a_removal_are_not_remembered_after_it() {
        let known = FactCache::default();
        let alias = Alias::parse("a.png").expect("valid");
        let read_before = known.generation();
        known.forget([&alias]);
        known.remember(read_before, &alias, &original());
        assert!(known.original(&alias).is_none());
        known.remember(known.generation(), &alias, &original());
        assert!(known.original(&alias).is_some());
    }

    #[test]
    fn what_other_servers_may_have_removed_is_used_only_for_a_while() {
        let known = FactCache::new(true);
        let alias = Alias::parse("a.png").expect("valid");
        known.remember(known.generation(), &alias, &original());
        assert!(
            known.original(&alias).is_none(),
            "not before the first news"
        );
        known.trust_until(Instant::now() + Duration::from_secs(600));
        assert!(known.original(&alias).is_some());
        known.trust_until(Instant::now());
        assert!(known.original(&alias).is_none());
        known.trust_until(Instant::now() + Duration::from_secs(600));
        let read_before = known.generation();
        known.clear();
        known.remember(read_before, &alias, &original());
        assert!(known.original(&alias).is_none());
    }

    #[test]
    fn forgetting_an_alias_forgets_its_variants() {
        let known = FactCache::default();
        let alias = Alias::parse("a.png").expect("valid");
        let original = original();
        known.remember(known.generation(), &alias, &original);
        let variant = Arc::new(original.representation.clone());
        let key = |size| {
            VariantKey::new(&[Operation::Thumbnail(size)], OutputFormat::Webp).expect("short")
        };
        for size in 0..40 {
            known.remember_variant(known.generation(), &alias, &key(size), &variant, 0);
        }
        let accesses = LastUsed::new(&Config::default());
        let find = |size| known.variant(&alias, &key(size), &accesses);
        assert!((0..40).all(|size| find(size).is_some()));
        known.forget_contents(&HashSet::new());
        assert!(find(39).is_some());
        known.forget_contents(&HashSet::from([*original.hash()]));
        assert!(find(39).is_none());
        known.remember(known.generation(), &alias, &original);
        known.remember_variant(known.generation(), &alias, &key(39), &variant, 0);
        known.forget([&alias]);
        assert!(find(39).is_none());
    }

    #[test]
    fn what_was_not_used_for_long_makes_room() {
        let known = FactCache::default();
        let original = original();
        let variant = Arc::new(original.representation.clone());
        let alias = |number| Alias::parse(format!("{number}.png")).expect("valid");
        let key = |size| {
            VariantKey::new(&[Operation::Thumbnail(size)], OutputFormat::Webp).expect("short")
        };
        let mut number = 0;
        let is_known = |number| known.original(&alias(number)).is_some();
        while number == 0 || known.lock().entries.contains(&alias(1)) {
            number += 1;
            known.remember(known.generation(), &alias(number), &original);
            assert!(is_known(number));
            assert!(is_known(0) || number < 2, "it is used all the time");
            if number == 1 {
                known.remember(known.generation(), &alias(0), &original);
            }
        }
        assert!(number > 10_000, "{number}");
        assert!(known.lock().bytes <= ROOM);
        for size in 0..100_000 {
            known.remember_variant(known.generation(), &alias(0), &key(size), &variant, 0);
        }
        let mut inner = known.lock();
        assert!(inner.bytes <= ROOM);
        let aliases: Vec<_> = inner
            .entries
            .iter()
            .map(|(alias, _)| alias.clone())
            .collect();
        for alias in &aliases {
            inner.remove(alias);
        }
        assert_eq!(inner.bytes, 0);
    }

    #[test]
    fn the_use_of_a_known_variant_is_noted_once_in_a_while() {
        let known = FactCache::default();
        let alias = Alias::parse("a.png").expect("valid");
        let original = original();
        let variant = Arc::new(original.representation.clone());
        let key = VariantKey::new(&[], OutputFormat::Webp).expect("short");
        let noted = |config: &Config, noted_at| {
            known.remember(known.generation(), &alias, &original);
            known.remember_variant(known.generation(), &alias, &key, &variant, noted_at);
            let accesses = LastUsed::new(config);
            for _ in 0..3 {
                known.variant(&alias, &key, &accesses).expect("known");
            }
            let first = accesses.variants.take().len();
            known.variant(&alias, &key, &accesses).expect("known");
            (first, accesses.variants.take().len())
        };
        let mut config = Config::default();
        let a_minute_ago = now() - 60_000;
        assert_eq!(noted(&config, 0), (1, 0));
        assert_eq!(noted(&config, a_minute_ago), (0, 0));
        config.media.retention.variants = Span::seconds(600);
        assert_eq!(noted(&config, a_minute_ago), (1, 0));
        config.server.read_only = true;
        assert_eq!(noted(&config, 0), (0, 0));
    }
}
