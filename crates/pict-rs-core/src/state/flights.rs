//! Single flight: concurrent requests for the same variant or URL share one piece of work. When the
//! last of them goes away, the work is dropped.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::metrics;
use crate::requester;
use crate::{Error, Result};

type SharedWork<T> = BoxFuture<'static, Result<T, Arc<Error>>>;

/// The work that is currently running.
#[derive(Debug)]
pub(crate) struct Flights<K, T>(Arc<Mutex<FlightTable<K, T>>>);

#[derive(Debug)]
struct FlightTable<K, T> {
    flights: HashMap<K, (u64, WeakShared<SharedWork<T>>)>,
    next: u64,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(FlightTable {
            flights: HashMap::new(),
            next: 0,
        })))
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Joins the flight for `key`, or starts it with `work`.
    pub(crate) fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> Shared<SharedWork<T>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut inner = lock(&self.0);
        if let Some(flight) = inner
            .flights
            .get(&key)
            .and_then(|(_, flight)| flight.upgrade())
        {
            return flight;
        }
        let number = inner.next;
        inner.next += 1;
        let landing = Landing {
            flights: self.0.clone(),
            key: key.clone(),
            number,
        };
        // Boxed first: it is large, and each layer around it would move it over the stack.
        let work = requester::inherit(work().boxed());
        let flight = async move {
            let _landing = landing;
            work.await.map_err(Arc::new)
        }
        .boxed()
        .shared();
        if let Some(weak) = flight.downgrade() {
            inner.flights.insert(key, (number, weak));
            metrics::flight(true);
        }
        flight
    }

    /// Whether there is a flight with such a key.
    pub(crate) fn any(&self, is_wanted: impl Fn(&K) -> bool) -> bool {
        lock(&self.0).flights.keys().any(is_wanted)
    }
}

/// Removes its flight from the list, whether it ended or was dropped.
struct Landing<K: Eq + Hash, T> {
    flights: Arc<Mutex<FlightTable<K, T>>>,
    key: K,
    number: u64,
}

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        let mut inner = lock(&self.flights);
        // A dropped flight may have been replaced already.
        if inner
            .flights
            .get(&self.key)
            .is_some_and(|(number, _)| *number == self.number)
        {
            inner.flights.remove(&self.key);
            metrics::flight(false);
        }
    }
}

fn lock<K, T>(inner: &Mutex<FlightTable<K, T>>) -> MutexGuard<'_, FlightTable<K, T>> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::Representation;
    use crate::{ContentKey, ErrorCode, ObjectKey, VariantKey};
    use pict_rs_media::{Format, OutputFormat};
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Flights = super::Flights<(ContentKey, VariantKey), Arc<Representation>>;

    fn key() -> (ContentKey, VariantKey) {
        (
            ContentKey::new([1; 32], 9, Format::Png),
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
    async fn ten_requests_are_one_conversion() {
        let flights = Flights::default();
        let made = Arc::new(AtomicUsize::new(0));
        let joined: Vec<_> = (0..10)
            .map(|_| {
                flights.join(key(), || {
                    let made = made.clone();
                    async move {
                        tokio::task::yield_now().await;
                        made.fetch_add(1, Ordering::Relaxed);
                        Ok(variant())
                    }
                })
            })
            .collect();
        for outcome in futures_util::future::join_all(joined).await {
            outcome.expect("made");
        }
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert!(lock(&flights.0).flights.is_empty());
    }

    #[tokio::test]
    async fn a_failure_reaches_everybody_and_is_not_remembered() {
        let flights = Flights::default();
        let fail = || async { Err(Error::user(ErrorCode::MediaDamaged, "broken")) };
        let (a, b) = (flights.join(key(), fail), flights.join(key(), fail));
        assert_eq!(a.await.expect_err("failed").code(), ErrorCode::MediaDamaged);
        assert_eq!(b.await.expect_err("failed").code(), ErrorCode::MediaDamaged);
        flights
            .join(key(), || async { Ok(variant()) })
            .await
            .expect("a new attempt");
    }

    #[tokio::test]
    async fn a_flight_that_everybody_left_is_dropped() {
        let flights = Flights::default();
        drop(flights.join(key(), std::future::pending));
        assert!(lock(&flights.0).flights.is_empty());
        flights
            .join(key(), || async { Ok(variant()) })
            .await
            .expect("a new flight");
    }
}
