//! A bucket of objects, on a server that speaks the protocol of S3.
//!
//! An object is complete when the server says so. What was sent before a crash is found by its row
//! in the database, which is committed first (`Repo::intend`); this module needs no markers.
//!
//! Requests are repeated a few times, with pauses that grow and differ, because such a server is
//! busy now and then. What still fails is [`ErrorCode::StoreUnavailable`], which passes.

mod cache;
mod client;
mod fault;
mod send;
mod settings;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore as _;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore as _};
use object_store::{ObjectStoreExt as _, signer::Signer as _};
use reqwest::Method;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;
use url::Url;
use uuid::Uuid;

use super::content::{Content, SMALL, part};
use super::prefix::Prefix;
use super::{Look, Objects, RowState, Source, StoredObject};
use crate::scratch::Scratch;
use crate::task::run_to_completion;
use crate::{ContentKey, Error, ErrorCode, ObjectKey, Result};

use cache::DiskCache;
use fault::Fault;
pub use settings::{BucketSettings, Credentials, Redirects};

/// Requests at a time for one task.
const AT_ONCE: usize = 16;
/// KiB that files take in memory while they are sent.
const SENDING: usize = 64 * 1024;
/// The object that contains the id.
const ID: &str = ".pict-rs-store";
/// Where an upload is begun, and given up, to see whether uploads are possible.
const PROBE: &str = ".pict-rs-probe";
/// What the keys of waiting uploads begin with.
const WAITING: &str = "waiting";
/// How long a successful write proves that writes are possible.
const PROOF_LIFETIME: Duration = Duration::from_secs(60);

/// A bucket of objects.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    s3: AmazonS3,
    settings: Arc<BucketSettings>,
    scratch: Scratch,
    cache: Option<Arc<DiskCache>>,
    sending: Arc<Semaphore>,
    written_at: Arc<Mutex<Option<Instant>>>,
    /// Removes what is dropped.
    runtime: Handle,
}

impl Bucket {
    /// Sends no request. Blocks.
    pub(super) fn open(settings: BucketSettings, scratch: Scratch) -> Result<Self> {
        let cache = match settings.cache_size {
            0 => None,
            size => {
                let own = match &settings.cache_folder {
                    Some(folder) => Scratch::of_process(folder)?,
                    None => scratch.clone(),
                };
                let cache = DiskCache::open(own, size);
                let cache = cache.map_err(|e| Error::io("cannot make a cache of objects", e))?;
                Some(Arc::new(cache))
            }
        };
        Ok(Self {
            s3: client::open(&settings)?,
            cache,
            settings: Arc::new(settings),
            scratch,
            sending: Arc::new(Semaphore::new(SENDING)),
            written_at: Arc::default(),
            runtime: Handle::try_current().map_err(|e| {
                Error::internal(ErrorCode::UnknownError, "a bucket needs a runtime", e)
            })?,
        })
    }

    /// The same bucket, of which nothing is kept on the disk.
    pub(super) fn uncached(&self) -> Self {
        Self {
            cache: None,
            ..self.clone()
        }
    }

    pub(super) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// For people.
    pub(super) fn place(&self) -> String {
        self.settings.place()
    }

    /// Makes an object. If the caller goes away meanwhile, the object goes too.
    pub(super) async fn put(
        &self,
        object: ObjectKey,
        key: ContentKey,
        source: Source,
    ) -> Result<StoredObject> {
        let bucket = self.clone();
        run_to_completion(async move {
            bucket.store(&object, key, source).await?;
            Ok(StoredObject {
                objects: Objects::Bucket(bucket),
                object,
                key,
                row_state: RowState::Unnamed,
            })
        })
        .await
    }

    pub(super) async fn read(
        &self,
        object: &ObjectKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<Content> {
        if range.is_empty() {
            let found = self.head(object).await?;
            let found = found.ok_or_else(|| Fault::Missing.into_error(object))?;
            whole(object, found.size, size)?;
            return Ok(Content::Bytes(Bytes::new()));
        }
        if let Some(cache) = self.cache_for(size) {
            let bytes = match cache.get(object, size).await {
                Some(bytes) => bytes,
                None => {
                    let bytes: Bytes = self.fetch_small(object, size, 0..size).await?;
                    cache.keep(object, bytes.clone()).await;
                    bytes
                }
            };
            return Ok(Content::Bytes(part(bytes, range)));
        }
        if size <= SMALL {
            let bytes = self.fetch_small(object, size, range).await?;
            return Ok(Content::Bytes(bytes));
        }
        self.fetch(object, size, range).await
    }

    /// The cache, if it may contain objects of this size.
    fn cache_for(&self, size: u64) -> Option<Arc<DiskCache>> {
        self.cache.clone().filter(|cache| cache.takes(size))
    }

    async fn fetch_small(&self, object: &ObjectKey, size: u64, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.fetch(object, size, range).await?;
        Ok(bytes.into_vec().await?.into())
    }

    async fn fetch(&self, object: &ObjectKey, size: u64, range: Range<u64>) -> Result<Content> {
        let part = (range != (0..size)).then(|| range.clone());
        let found = match self.get(object, part).await {
            Ok(found) => found,
            // The object ends before the range does.
            Err(Fault::Range) => return Err(damaged(object, None, size)),
            Err(fault) => return Err(self.failed(fault, object)),
        };
        whole(object, found.meta.size, size)?;
        let name = object.clone();
        let bucket = self.clone();
        let pieces = found.into_stream();
        let pieces = pieces.map_err(move |error| bucket.failed(Fault::of(error), &name));
        Ok(Content::pieces(pieces, range.end - range.start))
    }

    pub(super) async fn sizes(&self, objects: Vec<ObjectKey>) -> Result<Vec<Option<u64>>> {
        let heads = stream::iter(objects).map(|object| async move {
            let found = self.head(&object).await?;
            Ok(found.map(|found| found.size))
        });
        heads.buffered(AT_ONCE).try_collect().await
    }

    /// Returns the objects that no longer exist.
    pub(super) async fn remove(&self, objects: Vec<ObjectKey>) -> Vec<ObjectKey> {
        if let Some(cache) = &self.cache
            && let Err(error) = cache.clone().remove(&objects).await
        {
            tracing::warn!(%error, "copies of objects stay for now");
        }
        let (mut gone, mut failed) = (Vec::new(), 0_usize);
        let mut removals = stream::iter(objects)
            .map(|object| async move { (self.delete(&object).await, object) })
            .buffer_unordered(AT_ONCE);
        while let Some((deleted, object)) = removals.next().await {
            match deleted {
                Ok(()) => gone.push(object),
                Err(error) => {
                    // During an outage they all fail alike.
                    if failed == 0 {
                        let cause = fault::cause(&error);
                        tracing::warn!(%error, cause, "an object stays for now");
                    }
                    failed += 1;
                }
            }
        }
        if failed > 1 {
            tracing::warn!(failed, "objects stay for now");
        }
        gone
    }

    /// Removes an object that no row names, without waiting for it.
    pub(super) fn discard(&self, object: &ObjectKey) {
        let (bucket, object) = (self.clone(), object.clone());
        self.runtime.spawn(async move {
            // If it fails, the sweep does it when the intent runs out.
            bucket.remove(vec![object]).await;
        });
    }

    async fn delete(&self, object: &ObjectKey) -> Result<()> {
        match self.s3.delete(&key(object)?).await.map_err(Fault::of) {
            Ok(()) | Err(Fault::Missing) => Ok(()),
            Err(fault) => Err(self.failed(fault, object)),
        }
    }

    /// Sends the names of all objects that could be ours, until there is no receiver.
    pub(super) fn list(
        &self,
        batch: usize,
        names: Sender<Vec<ObjectKey>>,
    ) -> JoinHandle<Result<()>> {
        let bucket = self.clone();
        tokio::spawn(async move {
            let below = bucket.prefixes().await?.into_iter();
            let below = below.map(|prefix| Some(Key::from(prefix))).collect();
            bucket.send_names(below, batch, names).await
        })
    }

    /// Sends the names of all objects, until there is no receiver.
    #[cfg(feature = "migrate")]
    pub(super) fn list_with_foreign(
        &self,
        batch: usize,
        names: Sender<Vec<ObjectKey>>,
    ) -> JoinHandle<Result<()>> {
        tokio::spawn(self.clone().send_names(vec![None], batch, names))
    }

    async fn send_names(
        self,
        below: Vec<Option<Key>>,
        batch: usize,
        names: Sender<Vec<ObjectKey>>,
    ) -> Result<()> {
        for prefix in below {
            // In pages of what the server gives at a time, 1000 by default.
            let listed = self.s3.list(prefix.as_ref());
            let mut listed = listed.chunks(batch);
            while let Some(page) = listed.next().await {
                let page = page.into_iter().map(|found| match found {
                    Ok(found) => Ok(ObjectKey::new(String::from(found.location))),
                    Err(error) => Err(self.is_away("its objects cannot be listed", error)),
                });
                if names.send(page.collect::<Result<_>>()?).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The first parts of all keys that could be ours. Objects that were made in a folder and moved
    /// here have no prefix; their keys begin with two hexadecimal digits.
    async fn prefixes(&self) -> Result<BTreeSet<String>> {
        let found = self.s3.list_with_delimiter(None).await;
        let found = found.map_err(|error| self.is_away("its objects cannot be listed", error))?;
        // Some servers know no delimiter, and list objects instead.
        let objects = found.objects.into_iter().map(|object| object.location);
        let names = found.common_prefixes.into_iter().chain(objects);
        let first = |name: Key| name.parts().next().map(|part| part.as_ref().to_owned());
        let is_ours = |name: &String| {
            let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            Prefix::ALL.iter().any(|prefix| prefix.name() == name)
                || name == WAITING
                || (name.len() == 2 && name.bytes().all(is_digit))
        };
        Ok(names.filter_map(first).filter(is_ours).collect())
    }

    pub(super) async fn look(
        &self,
        objects: Vec<ObjectKey>,
        written_before: SystemTime,
    ) -> Result<Vec<(ObjectKey, Look)>> {
        let looks = stream::iter(objects).map(|object| async move {
            let look = match self.head(&object).await? {
                None => Look::Moving,
                Some(found) if SystemTime::from(found.last_modified) <= written_before => {
                    Look::Lies(found.size)
                }
                Some(_) => Look::Young,
            };
            Ok((object, look))
        });
        looks.buffered(AT_ONCE).try_collect().await
    }

    /// Begins an upload and gives it up, which needs the same permission as an upload, and writes
    /// nothing. If something was written lately, it is enough that the bucket answers.
    pub(super) async fn ping(&self) -> Result<()> {
        // Some servers begin an upload although there is no such bucket.
        self.ping_reads().await?;
        if self.written_lately() {
            return Ok(());
        }
        let probe = Key::from(PROBE);
        let begun = self.s3.create_multipart(&probe).await;
        let id = begun.map_err(|error| self.is_away("nothing can be written to it", error))?;
        if let Err(error) = self.s3.abort_multipart(&probe, &id).await {
            let error = self.is_away("an upload cannot be given up", error);
            tracing::debug!(%error, cause = fault::cause(&error));
        }
        self.note_write(true);
        Ok(())
    }

    pub(super) async fn ping_reads(&self) -> Result<()> {
        self.id().await.map(drop)
    }

    fn written_lately(&self) -> bool {
        let written_at = self.written_at.lock();
        let written_at = *written_at.unwrap_or_else(PoisonError::into_inner);
        written_at.is_some_and(|at| at.elapsed() < PROOF_LIFETIME)
    }

    /// Whether a write has just succeeded.
    fn note_write(&self, is_written: bool) {
        let written_at = self.written_at.lock();
        *written_at.unwrap_or_else(PoisonError::into_inner) = is_written.then(Instant::now);
    }

    pub(super) async fn id(&self) -> Result<Option<Uuid>> {
        let read = async {
            let found = self.s3.get(&Key::from(ID)).await?;
            found.bytes().await
        };
        match read.await {
            Ok(text) => Ok(std::str::from_utf8(&text)
                .ok()
                .and_then(|text| Uuid::try_parse(text.lines().next()?.trim()).ok())),
            Err(error) => match Fault::of(error) {
                Fault::Missing => Ok(None),
                fault => Err(self.error("its id cannot be read", fault)),
            },
        }
    }

    pub(super) async fn set_id(&self, id: Uuid) -> Result<()> {
        let text = format!("{}\n{NOTE}\n", id.simple());
        let put = self.s3.put(&Key::from(ID), text.into()).await;
        put.map_err(|error| self.is_away("its id cannot be written", error))?;
        self.note_write(true);
        Ok(())
    }

    /// Whether clients are sent elsewhere.
    pub(super) fn redirects(&self) -> bool {
        self.settings.redirects != Redirects::Never
    }

    /// Where clients are sent to, if they are not answered with the bytes.
    pub(super) async fn redirect(&self, object: &ObjectKey, is_head: bool) -> Result<Option<Url>> {
        match &self.settings.redirects {
            Redirects::Never => Ok(None),
            Redirects::Public(base) => Ok(Some(settings::below(base, object.as_str()))),
            Redirects::Signed(lifetime) => {
                let method = if is_head { Method::HEAD } else { Method::GET };
                let url = self.s3.signed_url(method, &key(object)?, *lifetime).await;
                url.map(Some)
                    .map_err(|error| self.is_away("a URL cannot be signed", error))
            }
        }
    }

    async fn head(&self, object: &ObjectKey) -> Result<Option<ObjectMeta>> {
        let place = key(object)?;
        match self.s3.head(&place).await.map_err(Fault::of) {
            Ok(found) => Ok(Some(found)),
            // An answer to HEAD has no body, so it does not tell whether the bucket is missing.
            Err(Fault::Missing) => match self.get(object, Some(0..1)).await {
                Ok(found) => Ok(Some(found.meta)),
                Err(Fault::Missing) => Ok(None),
                Err(fault) => Err(self.failed(fault, object)),
            },
            Err(fault) => Err(self.failed(fault, object)),
        }
    }

    async fn get(&self, object: &ObjectKey, range: Option<Range<u64>>) -> Result<GetResult, Fault> {
        let place = Key::parse(object.as_str()).map_err(|_| Fault::Missing)?;
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        self.s3.get_opts(&place, options).await.map_err(Fault::of)
    }

    /// The error of a request for an object.
    fn failed(&self, fault: Fault, object: &ObjectKey) -> Error {
        match fault {
            Fault::Missing => fault.into_error(object),
            fault => self.error(&format!("object {object} cannot be reached"), fault),
        }
    }

    fn is_away(&self, what: &str, error: object_store::Error) -> Error {
        self.error(what, Fault::of(error))
    }

    fn error(&self, what: &str, fault: Fault) -> Error {
        fault.explain(what, &self.place())
    }
}

/// A note for people who find the object.
const NOTE: &str =
    "This object ties the bucket to the database of its pict-rs. Keep it with the others.";

fn key(object: &ObjectKey) -> Result<Key> {
    Key::parse(object.as_str()).map_err(|_| Fault::Missing.into_error(object))
}

/// Checks the size of an object.
fn whole(object: &ObjectKey, found: u64, size: u64) -> Result<()> {
    if found == size {
        return Ok(());
    }
    Err(damaged(object, Some(found), size))
}

fn damaged(object: &ObjectKey, found: Option<u64>, size: u64) -> Error {
    let found = found.map_or("fewer".to_owned(), |found| found.to_string());
    Error::Internal {
        code: ErrorCode::LostFile,
        message: format!("object {object} is damaged: it has {found} bytes and should have {size}"),
        source: None,
    }
}
