//! State of proxied URLs between requests: recently served ones, dead upstreams, running fetches,
//! and accesses that are not yet in the database.
//!
//! A removal need not clear this state: aliases are never reused, so a request that finds that a
//! remembered alias is gone drops it and asks the database.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::now;
use crate::config::Config;
use crate::repo::Proxy;
use crate::state::flights::Flights;
use crate::{Alias, Error, SourceUrl};

/// URLs remembered; each takes about half a kilobyte, 5 kB at worst.
const URLS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Dead URLs remembered.
const FAILURES: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
/// Accesses that can wait to be written.
const ACCESSES: usize = 4096;
/// An access is written if the last written one is older than this.
const COARSE: Duration = Duration::from_secs(5 * 60);
/// Files that are fetched into memory at a time while the disk is full.
const IN_MEMORY: usize = 2;
/// Accesses are collected for this long, so that one write records many.
const GATHER: Duration = Duration::from_secs(5);

/// A URL, and whether a copy of it exists.
type FetchKey = (SourceUrl, bool);

/// Everything that is remembered.
#[derive(Debug)]
pub(crate) struct Proxies {
    memory: Mutex<Remembered>,
    flights: Flights<FetchKey, Alias>,
    in_memory: Semaphore,
    coarse: Duration,
}

#[derive(Debug)]
struct Remembered {
    known: LruCache<SourceUrl, Proxy>,
    failures: LruCache<SourceUrl, (Instant, Arc<Error>)>,
    accesses: HashMap<SourceUrl, i64>,
}

impl Proxies {
    /// Starts empty.
    pub(crate) fn new(config: &Config) -> Self {
        // Short retention times are for tests, and need a precision to match.
        let coarse = COARSE.min(config.media.retention.proxy.duration() / 10);
        Self {
            memory: Mutex::new(Remembered {
                known: LruCache::new(URLS),
                failures: LruCache::new(FAILURES),
                accesses: HashMap::new(),
            }),
            flights: Flights::default(),
            in_memory: Semaphore::new(IN_MEMORY),
            coarse,
        }
    }

    /// Waits for a turn to fetch a file into memory.
    pub(crate) async fn turn_in_memory(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.in_memory.acquire().await.ok()
    }

    pub(crate) fn flights(&self) -> &Flights<FetchKey, Alias> {
        &self.flights
    }

    pub(crate) fn known(&self, url: &SourceUrl) -> Option<Proxy> {
        self.lock().known.get(url).cloned()
    }

    pub(crate) fn remember(&self, url: &SourceUrl, proxy: Proxy) {
        self.lock().known.push(url.clone(), proxy);
    }

    pub(crate) fn forget(&self, url: &SourceUrl) {
        self.lock().known.pop(url);
    }

    /// Records that the upstream is not to be asked again before `time`, in Unix milliseconds.
    pub(crate) fn postpone(&self, url: &SourceUrl, time: i64) {
        if let Some(proxy) = self.lock().known.peek_mut(url) {
            proxy.fresh_until = time;
        }
    }

    /// Why the last fetch failed, if it failed recently.
    pub(crate) fn failure(&self, url: &SourceUrl) -> Option<Arc<Error>> {
        let mut memory = self.lock();
        let (until, error) = memory.failures.get(url)?;
        if Instant::now() < *until {
            return Some(error.clone());
        }
        memory.failures.pop(url);
        None
    }

    /// Remembers for `pause` why a fetch failed.
    pub(crate) fn fail(&self, url: &SourceUrl, pause: Duration, error: Arc<Error>) {
        let until = Instant::now() + pause;
        self.lock().failures.push(url.clone(), (until, error));
    }

    /// Records an access to the copy. For the first access in memory, returns how long to wait
    /// before writing them to the database.
    pub(crate) fn touch(&self, url: &SourceUrl, proxy: &Proxy) -> Option<Duration> {
        let at = now();
        if millis(at.saturating_sub(proxy.accessed_at)) < self.coarse {
            return None;
        }
        let mut memory = self.lock();
        let is_first = memory.accesses.is_empty();
        if memory.accesses.len() == ACCESSES && !memory.accesses.contains_key(url) {
            return None;
        }
        memory.accesses.insert(url.clone(), at);
        if let Some(known) = memory.known.peek_mut(url) {
            known.accessed_at = at;
        }
        is_first.then(|| GATHER.min(self.coarse))
    }

    /// Takes all recorded accesses.
    pub(crate) fn take_touched(&self) -> Vec<(String, i64)> {
        let accesses = std::mem::take(&mut self.lock().accesses);
        let accesses = accesses.into_iter();
        accesses
            .map(|(url, at)| (url.as_str().to_owned(), at))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Each change under the lock is a single insertion or removal.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn url(text: &str) -> SourceUrl {
        SourceUrl::parse(text).expect("valid")
    }

    fn failure() -> Arc<Error> {
        Arc::new(Error::user(ErrorCode::UpstreamError, "dead"))
    }

    #[test]
    fn a_failure_is_remembered_for_a_while_and_for_its_url_alone() {
        let proxies = Proxies::new(&Config::default());
        let (dead, other) = (url("http://a.example/x"), url("http://a.example/y"));
        proxies.fail(&dead, Duration::from_secs(60), failure());
        assert!(proxies.failure(&dead).is_some());
        assert!(proxies.failure(&other).is_none());
        proxies.fail(&dead, Duration::ZERO, failure());
        assert!(proxies.failure(&dead).is_none(), "its time is over");
    }

    #[test]
    fn failures_are_bounded() {
        let proxies = Proxies::new(&Config::default());
        for number in 0..2000 {
            let url = url(&format!("http://a.example/{number}"));
            proxies.fail(&url, Duration::from_secs(60), failure());
        }
        assert_eq!(proxies.lock().failures.len(), FAILURES.get());
        assert!(proxies.failure(&url("http://a.example/0")).is_none());
        assert!(proxies.failure(&url("http://a.example/1999")).is_some());
    }

    #[test]
    fn an_upstream_that_failed_is_asked_later() {
        let proxies = Proxies::new(&Config::default());
        let url = url("http://a.example/x");
        let proxy = Proxy {
            alias: Alias::parse("a.png").expect("valid"),
            accessed_at: 1,
            etag: None,
            last_modified: None,
            fresh_until: 1,
        };
        proxies.postpone(&url, 5);
        assert!(proxies.known(&url).is_none());
        proxies.remember(&url, proxy);
        proxies.postpone(&url, 5);
        assert_eq!(proxies.known(&url).expect("known").fresh_until, 5);
        proxies.forget(&url);
        assert!(proxies.known(&url).is_none());
    }
}
