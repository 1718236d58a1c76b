//! Where objects are stored: an arm for each kind of place. Every other module of the store is one of
//! these places or does not care which it is.

use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use tokio::sync::mpsc;
use url::Url;
use uuid::Uuid;

use super::bucket::Bucket;
use super::folder::Folder;
use super::{Content, Listing, Look, Source, StoredObject};
use crate::scratch::Scratch;
use crate::task::blocking;
use crate::{ContentKey, ObjectKey, Result};

/// Where objects are stored. The functions are those of [`super::Store`].
#[derive(Clone, Debug)]
pub(super) enum Objects {
    /// In a folder.
    Folder(Folder),
    /// In a bucket.
    Bucket(Bucket),
}

impl Objects {
    pub(super) fn is_alone(&self) -> bool {
        match self {
            Self::Folder(folder) => folder.is_alone(),
            // Nothing tells.
            Self::Bucket(_) => false,
        }
    }

    pub(super) async fn share(&self) -> Result<()> {
        let Self::Folder(folder) = self.clone() else {
            return Ok(());
        };
        blocking(move || folder.share()).await
    }

    pub(super) fn scratch(&self) -> &Scratch {
        match self {
            Self::Folder(folder) => folder.scratch(),
            Self::Bucket(bucket) => bucket.scratch(),
        }
    }

    pub(super) fn root(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder.root()),
            Self::Bucket(_) => None,
        }
    }

    pub(super) fn place(&self) -> String {
        match self {
            Self::Folder(folder) => format!("folder of files {}", folder.root().display()),
            Self::Bucket(bucket) => bucket.place(),
        }
    }

    pub(super) async fn redirect(&self, object: &ObjectKey, is_head: bool) -> Result<Option<Url>> {
        match self {
            Self::Folder(_) => Ok(None),
            Self::Bucket(bucket) => bucket.redirect(object, is_head).await,
        }
    }

    /// Whether [`Objects::redirect`] may send clients there.
    pub(super) fn redirects(&self) -> bool {
        match self {
            Self::Folder(_) => false,
            Self::Bucket(bucket) => bucket.redirects(),
        }
    }

    /// The same place, without copies that are kept elsewhere.
    pub(super) fn uncached(&self) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(folder.clone()),
            Self::Bucket(bucket) => Self::Bucket(bucket.uncached()),
        }
    }

    pub(super) async fn put(
        &self,
        object: ObjectKey,
        key: ContentKey,
        source: Source,
    ) -> Result<StoredObject> {
        match self {
            Self::Folder(folder) => folder.put(object, key, source).await,
            Self::Bucket(bucket) => bucket.put(object, key, source).await,
        }
    }

    pub(super) async fn read(
        &self,
        object: &ObjectKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<Content> {
        match self {
            Self::Folder(folder) => folder.read(object, size, range).await,
            Self::Bucket(bucket) => bucket.read(object, size, range).await,
        }
    }

    pub(super) async fn size(&self, object: &ObjectKey) -> Result<Option<u64>> {
        let sizes = self.sizes(vec![object.clone()]).await?;
        Ok(sizes.into_iter().next().flatten())
    }

    pub(super) async fn sizes(&self, objects: Vec<ObjectKey>) -> Result<Vec<Option<u64>>> {
        match self {
            Self::Folder(folder) => folder.sizes(objects).await,
            Self::Bucket(bucket) => bucket.sizes(objects).await,
        }
    }

    pub(super) async fn remove(&self, objects: Vec<ObjectKey>) -> Result<Vec<ObjectKey>> {
        match self {
            Self::Folder(folder) => folder.remove(objects).await,
            Self::Bucket(bucket) => Ok(bucket.remove(objects).await),
        }
    }

    pub(super) fn list(&self, batch: usize) -> Listing {
        let (sender, batches) = mpsc::channel(1);
        let work = match self {
            Self::Folder(folder) => folder.list(batch, sender),
            Self::Bucket(bucket) => bucket.list(batch, sender),
        };
        Listing { batches, work }
    }

    pub(super) async fn look(
        &self,
        objects: Vec<ObjectKey>,
        written_before: SystemTime,
    ) -> Result<Vec<(ObjectKey, Look)>> {
        match self {
            Self::Folder(folder) => folder.look(objects, written_before).await,
            Self::Bucket(bucket) => bucket.look(objects, written_before).await,
        }
    }

    pub(super) async fn ping(&self) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.ping().await,
            Self::Bucket(bucket) => bucket.ping().await,
        }
    }

    pub(super) async fn ping_reads(&self) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.ping_reads().await,
            Self::Bucket(bucket) => bucket.ping_reads().await,
        }
    }

    pub(super) async fn id(&self) -> Result<Option<Uuid>> {
        match self {
            Self::Folder(folder) => folder.id().await,
            Self::Bucket(bucket) => bucket.id().await,
        }
    }

    pub(super) async fn set_id(&self, id: Uuid) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.set_id(id).await,
            Self::Bucket(bucket) => bucket.set_id(id).await,
        }
    }

    /// Forgets that an object had no row when it was made, or that making it was begun.
    pub(super) async fn unmark(&self, object: &ObjectKey) -> Result<()> {
        let Self::Folder(folder) = self.clone() else {
            return Ok(());
        };
        let object = object.clone();
        blocking(move || {
            folder.unmark(&object);
            Ok(())
        })
        .await
    }

    pub(super) async fn recover<F>(&self, is_known: impl Fn(ObjectKey) -> F) -> Result<u64>
    where
        F: Future<Output = Result<bool>>,
    {
        match self {
            Self::Folder(folder) => folder.recover(is_known).await,
            Self::Bucket(_) => Ok(0),
        }
    }
}
