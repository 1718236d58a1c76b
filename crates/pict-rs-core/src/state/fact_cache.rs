//! A small cache of facts in front of the database, so that serving known media needs no query. A
//! removal drops its entries before it is answered.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lru::LruCache;

use crate::metrics::Lookups;
use crate::repo::{Original, Representation};
use crate::state::last_used::LastUsed;
use crate::{Alias, ContentKey, VariantKey};

/// Aliases remembered; an entry takes about half a kilobyte, plus as much for each variant.
const ALIASES: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Variants remembered per alias.
const VARIANTS: usize = 16;

/// Facts of recently served media.
#[derive(Debug)]
pub(crate) struct FactCache {
    inner: Mutex<CacheTable>,
    lookups: Lookups,
}

#[derive(Debug)]
struct CacheTable {
    entries: LruCache<Alias, CachedFacts>,
    /// Counts removals. Facts that were read before a removal are not cached after it.
    generation: u64,
    /// Until when these facts may be used without asking whether another server removed something;
    /// `None` where no other server can.
    trusted_until: Option<Instant>,
}

#[derive(Debug)]
struct CachedFacts {
    original: Arc<Original>,
    variants: Vec<Variant>,
}

#[derive(Debug)]
struct Variant {
    key: VariantKey,
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
}

impl FactCache {
    /// With `is_shared`, other servers remove things too: nothing is used before the first
    /// [`FactCache::trust_until`].
    pub(crate) fn new(is_shared: bool) -> Self {
        Self {
            inner: Mutex::new(CacheTable {
                entries: LruCache::new(ALIASES),
                generation: 0,
                trusted_until: is_shared.then(Instant::now),
            }),
            lookups: Lookups::default(),
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
        accesses: &LastUsed,
    ) -> Option<(Arc<Original>, Arc<Representation>)> {
        let found = self.lock().trusted(alias).and_then(|entry| {
            let variant = entry.variants.iter_mut().find(|known| known.key == *key)?;
            variant.noted_at = accesses.variant(&variant.facts.object, variant.noted_at);
            Some((entry.original.clone(), variant.facts.clone()))
        });
        self.lookups.count(found)
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation(self.lock().generation)
    }

    pub(crate) fn remember(&self, generation: Generation, alias: &Alias, original: &Arc<Original>) {
        let mut inner = self.lock();
        if inner.generation == generation.0 {
            let entry = CachedFacts {
                original: original.clone(),
                variants: Vec::new(),
            };
            inner.entries.push(alias.clone(), entry);
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
        let Some(entry) = inner.entries.get_mut(alias) else {
            return;
        };
        entry.variants.retain(|known| known.key != *key);
        if entry.variants.len() == VARIANTS {
            entry.variants.remove(0);
        }
        entry.variants.push(Variant {
            key: key.clone(),
            facts: variant.clone(),
            noted_at,
        });
    }

    /// Must be called after the database has committed the removal and before it is answered.
    pub(crate) fn forget<'a>(&self, aliases: impl IntoIterator<Item = &'a Alias>) {
        let mut inner = self.lock();
        inner.generation += 1;
        for alias in aliases {
            inner.entries.pop(alias);
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
            inner.entries.pop(alias);
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
            blurhash: String::new(),
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
        assert!(find(39).is_some());
        assert!(find(0).is_none(), "bounded");
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
            let first = accesses.take().len();
            known.variant(&alias, &key, &accesses).expect("known");
            (first, accesses.take().len())
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
