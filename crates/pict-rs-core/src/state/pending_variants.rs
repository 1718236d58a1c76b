//! Variants that are served while they are being stored. Until one has a row, only this tells that it
//! exists.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::sync::watch;

use crate::repo::Representation;
use crate::{ContentKey, ObjectKey, VariantKey};

/// A disk that is slower than the processors makes clients wait from this number on.
const MOST: usize = 64;

type Key = (ContentKey, VariantKey);

/// The variants that are being stored now.
#[derive(Debug, Default)]
pub(crate) struct PendingVariants(Arc<Mutex<HashMap<Key, PendingVariant>>>);

#[derive(Debug)]
struct PendingVariant {
    variant: Arc<Representation>,
    /// Closed when storing has ended.
    storing: watch::Receiver<()>,
}

/// A variant that is being stored. It is served from memory until this is dropped.
#[derive(Debug)]
pub(crate) struct Storing {
    all: Arc<Mutex<HashMap<Key, PendingVariant>>>,
    key: Key,
    object: ObjectKey,
    storing: Option<watch::Sender<()>>,
}

impl PendingVariants {
    /// `None` when too many are being stored already, or this one is.
    pub(crate) fn begin(&self, key: Key, variant: &Arc<Representation>) -> Option<Storing> {
        let mut all = lock(&self.0);
        if all.len() >= MOST || all.contains_key(&key) {
            return None;
        }
        let (sender, storing) = watch::channel(());
        let entry = PendingVariant {
            variant: variant.clone(),
            storing,
        };
        all.insert(key.clone(), entry);
        Some(Storing {
            all: self.0.clone(),
            key,
            object: variant.object.clone(),
            storing: Some(sender),
        })
    }

    /// A variant that is being stored, or could not be a moment ago.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Representation>> {
        lock(&self.0).get(key).map(|entry| entry.variant.clone())
    }

    /// Waits until a variant is no longer being stored. It has a row then, unless it is still here.
    pub(crate) async fn stored(&self, key: &Key) {
        let storing = lock(&self.0).get(key).map(|entry| entry.storing.clone());
        if let Some(storing) = storing {
            ended(storing).await;
        }
    }

    /// Whether there is one of this content.
    pub(crate) fn has_any(&self, content: &ContentKey) -> bool {
        lock(&self.0).keys().any(|(of, _)| of == content)
    }

    /// Forgets a variant that could not be stored and is gone.
    pub(crate) fn forget(&self, object: &ObjectKey) {
        lock(&self.0).retain(|_, entry| entry.variant.object != *object);
    }

    /// The same as [`PendingVariants::stored`] for all that are being stored now.
    pub(crate) async fn all_stored(&self) {
        let storing: Vec<_> = lock(&self.0)
            .values()
            .map(|entry| ended(entry.storing.clone()))
            .collect();
        join_all(storing).await;
    }
}

async fn ended(mut storing: watch::Receiver<()>) {
    while storing.changed().await.is_ok() {}
}

impl Storing {
    /// It could not be stored, but is served a while longer.
    pub(crate) fn failed(&mut self) {
        self.storing = None;
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        // It may have been forgotten and begun once more.
        if all
            .get(&self.key)
            .is_some_and(|entry| entry.variant.object == self.object)
        {
            all.remove(&self.key);
        }
    }
}

fn lock(all: &Mutex<HashMap<Key, PendingVariant>>) -> MutexGuard<'_, HashMap<Key, PendingVariant>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use pict_rs_media::{Format, OutputFormat};

    use super::*;

    fn key(number: u8) -> Key {
        (
            ContentKey::new([number; 32], 9, Format::Png),
            VariantKey::new(&[], OutputFormat::Webp).expect("short"),
        )
    }

    fn variant() -> Arc<Representation> {
        Arc::new(Representation {
            object: ObjectKey::generate(Format::Webp),
            key: ContentKey::new([2; 32], 9, Format::Webp),
            width: 1,
            height: 1,
            frames: 1,
            duration_ms: None,
            created_at: 0,
        })
    }

    #[tokio::test]
    async fn a_variant_is_there_until_it_is_stored() {
        let all = PendingVariants::default();
        all.all_stored().await;
        let pending = all.begin(key(1), &variant()).expect("begun");
        assert!(all.begin(key(1), &variant()).is_none(), "it is begun once");
        assert!(all.get(&key(1)).is_some());
        assert!(all.get(&key(2)).is_none());
        {
            let key = key(1);
            let mut stored = Box::pin(all.stored(&key));
            let mut all_stored = Box::pin(all.all_stored());
            assert!(poll!(&mut stored).is_pending());
            assert!(poll!(&mut all_stored).is_pending());
            drop(pending);
            stored.await;
            all_stored.await;
        }
        assert!(all.get(&key(1)).is_none());
    }

    #[tokio::test]
    async fn a_variant_that_could_not_be_stored_is_waited_for_no_longer() {
        let all = PendingVariants::default();
        let mut pending = all.begin(key(1), &variant()).expect("begun");
        pending.failed();
        all.stored(&key(1)).await;
        all.all_stored().await;
        let kept = all.get(&key(1)).expect("it is served a while longer");
        all.forget(&ObjectKey::generate(Format::Webp));
        assert!(all.get(&key(1)).is_some());
        all.forget(&kept.object);
        assert!(all.get(&key(1)).is_none());
        let _next = all.begin(key(1), &variant()).expect("begun once more");
        drop(pending);
        assert!(all.get(&key(1)).is_some());
    }

    #[test]
    fn only_so_many_are_stored_at_a_time() {
        let all = PendingVariants::default();
        let begin = |number| all.begin(key(number), &variant());
        let most = u8::try_from(MOST).expect("few");
        let begun: Vec<_> = (0..most)
            .map(|number| begin(number).expect("begun"))
            .collect();
        assert!(begin(most).is_none());
        drop(begun);
        assert!(begin(most).is_some());
    }
}
