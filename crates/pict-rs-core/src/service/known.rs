//! A small memory of facts in front of the database, so that serving a known picture asks
//! nobody. A removal empties its entries before it answers.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::measure::Lookups;
use crate::repo::{Original, Representation};
use crate::{Alias, VariantKey};

/// Aliases remembered; an entry takes about half a kilobyte and each variant as much again.
const ALIASES: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Variants remembered per alias.
const VARIANTS: usize = 16;

/// Facts of recently served media.
#[derive(Debug)]
pub(crate) struct Known {
    inner: Mutex<Inner>,
    lookups: Lookups,
}

#[derive(Debug)]
struct Inner {
    entries: LruCache<Alias, Entry>,
    /// Counts removals. Facts that were read before a removal are not remembered after it.
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    original: Arc<Original>,
    variants: Vec<(VariantKey, Arc<Representation>)>,
}

/// Taken before facts are read from the database, given back with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generation(u64);

impl Default for Known {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                entries: LruCache::new(ALIASES),
                generation: 0,
            }),
            lookups: Lookups::default(),
        }
    }
}

impl Known {
    pub(crate) fn original(&self, alias: &Alias) -> Option<Arc<Original>> {
        let found = self
            .lock()
            .entries
            .get(alias)
            .map(|entry| entry.original.clone());
        self.lookups.count(found)
    }

    pub(crate) fn variant(
        &self,
        alias: &Alias,
        key: &VariantKey,
    ) -> Option<(Arc<Original>, Arc<Representation>)> {
        let found = self.lock().entries.get(alias).and_then(|entry| {
            let (_, variant) = entry.variants.iter().find(|(known, _)| known == key)?;
            Some((entry.original.clone(), variant.clone()))
        });
        self.lookups.count(found)
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation(self.lock().generation)
    }

    pub(crate) fn remember(&self, generation: Generation, alias: &Alias, original: &Arc<Original>) {
        let mut inner = self.lock();
        if inner.generation == generation.0 {
            let entry = Entry {
                original: original.clone(),
                variants: Vec::new(),
            };
            inner.entries.push(alias.clone(), entry);
        }
    }

    pub(crate) fn remember_variant(
        &self,
        generation: Generation,
        alias: &Alias,
        key: &VariantKey,
        variant: &Arc<Representation>,
    ) {
        let mut inner = self.lock();
        if inner.generation != generation.0 {
            return;
        }
        let Some(entry) = inner.entries.get_mut(alias) else {
            return;
        };
        entry.variants.retain(|(known, _)| known != key);
        if entry.variants.len() == VARIANTS {
            entry.variants.remove(0);
        }
        entry.variants.push((key.clone(), variant.clone()));
    }

    /// To be called after the database has committed the removal and before it is answered.
    pub(crate) fn forget<'a>(&self, aliases: impl IntoIterator<Item = &'a Alias>) {
        let mut inner = self.lock();
        inner.generation += 1;
        for alias in aliases {
            inner.entries.pop(alias);
        }
    }

    /// As [`Known::forget`], for everything.
    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while holding the lock leaves valid, at worst incomplete, facts.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContentKey, ObjectKey};
    use pict_rs_media::{Format, OutputFormat, operation::Operation};

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
        let known = Known::default();
        let alias = Alias::parse("a.png").expect("valid");
        let read_before = known.generation();
        known.forget([&alias]);
        known.remember(read_before, &alias, &original());
        assert!(known.original(&alias).is_none());
        known.remember(known.generation(), &alias, &original());
        assert!(known.original(&alias).is_some());
    }

    #[test]
    fn forgetting_an_alias_forgets_its_variants() {
        let known = Known::default();
        let alias = Alias::parse("a.png").expect("valid");
        let original = original();
        known.remember(known.generation(), &alias, &original);
        let variant = Arc::new(original.representation.clone());
        let key = |size| {
            VariantKey::new(&[Operation::Thumbnail(size)], OutputFormat::Webp).expect("short")
        };
        for size in 0..40 {
            known.remember_variant(known.generation(), &alias, &key(size), &variant);
        }
        assert!(known.variant(&alias, &key(39)).is_some());
        assert!(known.variant(&alias, &key(0)).is_none(), "bounded");
        known.forget([&alias]);
        assert!(known.variant(&alias, &key(39)).is_none());
    }
}
