//! A store whose objects are being moved to another place while it is used. New objects go to the new
//! side. Others lie on either side, or on both: an object never changes, so it does not matter which
//! one is read. What is removed is removed from both.
//!
//! Who copies the objects, and when that is done, is decided by the use case (`service::move_store`);
//! from then on the old side is forgotten.

use std::ops::Range;
use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use futures_util::TryStreamExt as _;
use pict_rs_media::Format;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::folder::Folder;
use super::objects::Objects;
use super::{Content, Look, Source, Store, StoredObject};
use crate::scratch::{Scratch, ScratchFile};
use crate::task::blocking;
use crate::{ContentKey, Digest, Error, ErrorCode, ObjectKey, Result};

/// Where objects come from while they are moved.
#[derive(Debug, Default)]
pub(super) struct OldSide(RwLock<Option<Objects>>);

impl OldSide {
    pub(super) fn get(&self) -> Option<Objects> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, objects: Option<Objects>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = objects;
    }
}

/// What became of an object that was to be copied to the new side.
#[derive(Debug)]
pub(crate) enum Carried {
    /// It was there.
    Known,
    /// It is there now, and has to be kept or discarded.
    Copied(Box<StoredObject>),
    /// The old side has nothing that could be copied.
    Lost,
}

/// What the new side has of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyState {
    /// What it should have.
    Whole,
    /// Nothing, or something of another size.
    Missing,
    /// Other bytes than were stored, and the old side has the right ones.
    Spoilt,
    /// Other bytes than were stored, and the old side has no better ones.
    Damaged,
}

impl Store {
    /// Opens an existing folder whose objects are to be moved. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when there is no such folder, [`ErrorCode::AlreadyRunning`] when
    /// another server uses it.
    pub(crate) fn open_old(root: &Path, is_shared: bool) -> Result<Self> {
        // Without this an empty folder would be made where a disk is not mounted.
        Folder::open_to_look(root)?;
        Ok(Self::of(Objects::Folder(Folder::open(root, is_shared)?)))
    }

    /// From now on reads what it does not have from `old`, also where it was cloned before.
    pub(crate) fn moving_from(self, old: Self) -> Self {
        self.old.set(Some(old.objects));
        self
    }

    /// Ends that.
    pub(crate) fn forget_old(&self) {
        self.old.set(None);
    }

    /// Whether objects may lie on an old side too.
    pub(crate) fn is_moving(&self) -> bool {
        self.old.get().is_some()
    }

    /// The id of the old side. `None` when it has none, or there is no old side.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::StoreUnavailable`].
    pub(crate) async fn old_id(&self) -> Result<Option<Uuid>> {
        match self.old.get() {
            Some(old) => old.id().await,
            None => Ok(None),
        }
    }

    /// Where new objects go, and where others come from.
    pub(super) fn sides(&self) -> Vec<Objects> {
        [self.objects.clone()]
            .into_iter()
            .chain(self.old.get())
            .collect()
    }

    /// Both sides; first the one that is asked at less cost. A folder answers at once.
    fn in_order<'a>(&'a self, old: &'a Objects) -> [&'a Objects; 2] {
        match (&self.objects, old) {
            (Objects::Bucket(_), Objects::Folder(_)) => [old, &self.objects],
            _ => [&self.objects, old],
        }
    }

    pub(super) async fn read_either(
        &self,
        old: &Objects,
        object: &ObjectKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<Content> {
        let [first, second] = self.in_order(old);
        let error = match first.read(object, size, range.clone()).await {
            Err(error) => error,
            read => return read,
        };
        match second.read(object, size, range).await {
            // The first side may have it and not be there.
            Err(other) if other.code() == ErrorCode::LostFile => Err(error),
            read => read,
        }
    }

    pub(super) async fn sizes_on_either(
        &self,
        old: &Objects,
        objects: Vec<ObjectKey>,
    ) -> Result<Vec<Option<u64>>> {
        let [first, second] = self.in_order(old);
        let mut sizes = first.sizes(objects.clone()).await?;
        let (places, asked): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .enumerate()
            .filter(|(place, _)| sizes[*place].is_none())
            .unzip();
        for (place, size) in places.into_iter().zip(second.sizes(asked).await?) {
            sizes[place] = size;
        }
        Ok(sizes)
    }

    pub(super) async fn look_on_either(
        &self,
        old: &Objects,
        objects: Vec<ObjectKey>,
        written_before: SystemTime,
    ) -> Result<Vec<(ObjectKey, Look)>> {
        let mut found = Vec::new();
        let mut others = Vec::new();
        for (object, look) in self.objects.look(objects, written_before).await? {
            match look {
                Look::Moving => others.push(object),
                look => found.push((object, look)),
            }
        }
        found.extend(old.look(others, written_before).await?);
        Ok(found)
    }

    /// The same source, where the new side can use it: another object may lie on the old one.
    pub(super) async fn at_hand(&self, source: Source) -> Result<Source> {
        match (source, self.old.get()) {
            (Source::Object { key, size, .. }, Some(old))
                if self.objects.size(&key).await?.is_none() =>
            {
                Ok(Source::Scratch(
                    fetch(&old, self.scratch(), &key, size).await?,
                ))
            }
            (source, _) => Ok(source),
        }
    }

    /// Copies an object to the new side, unless it is there. `key` says what its bytes are; nobody
    /// knows that of a waiting upload.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::InsufficientStorage`],
    /// [`ErrorCode::StoreUnavailable`].
    pub(crate) async fn carry(
        &self,
        object: &ObjectKey,
        key: Option<&ContentKey>,
    ) -> Result<Carried> {
        let Some(old) = self.old.get() else {
            return Ok(Carried::Known);
        };
        let there = self.objects.size(object).await?;
        if there.is_some_and(|size| key.is_none_or(|key| key.size() == size)) {
            return Ok(Carried::Known);
        }
        let size = match key {
            Some(key) => key.size(),
            None => match old.size(object).await? {
                Some(size) => size,
                None => return Ok(Carried::Lost),
            },
        };
        let file = match fetch(&old, self.scratch(), object, size).await {
            Err(error) if error.code() == ErrorCode::LostFile => return Ok(Carried::Lost),
            file => file?,
        };
        if there.is_some() {
            self.objects.remove(vec![object.clone()]).await?;
        }
        self.objects.unmark(object).await?;
        let format = key.map_or(Format::Png, ContentKey::format);
        let source = Source::Scratch(file);
        // What is copied is not what is asked for.
        let mut stored = self
            .objects
            .uncached()
            .put(object.clone(), source.content_key(format), source)
            .await?;
        // A row names it already, so that it must not go because this task ends.
        stored.name();
        Ok(Carried::Copied(Box::new(stored)))
    }

    /// Compares what the new side has of an object with what it should have. With `reads` its bytes
    /// are read, else only its size is looked at.
    ///
    /// # Errors
    /// [`ErrorCode::FileIoError`], [`ErrorCode::StoreUnavailable`].
    pub(crate) async fn compare(
        &self,
        object: &ObjectKey,
        key: &ContentKey,
        reads: bool,
    ) -> Result<CopyState> {
        if self.objects.size(object).await? != Some(key.size()) {
            return Ok(CopyState::Missing);
        }
        if !reads {
            return Ok(CopyState::Whole);
        }
        match digest(&self.objects.uncached(), object, key.size()).await? {
            None => return Ok(CopyState::Missing),
            Some(found) if found == key.digest() => return Ok(CopyState::Whole),
            Some(_) => {}
        }
        let Some(old) = self.old.get() else {
            return Ok(CopyState::Damaged);
        };
        match digest(&old, object, key.size()).await? {
            Some(found) if found == key.digest() => Ok(CopyState::Spoilt),
            _ => Ok(CopyState::Damaged),
        }
    }

    /// Removes objects from the new side only.
    ///
    /// # Errors
    /// When the work panicked.
    pub(crate) async fn remove_new(&self, objects: Vec<ObjectKey>) -> Result<Vec<ObjectKey>> {
        self.objects.remove(objects).await
    }

    /// A copy of an object of this size, as a scratch file.
    ///
    /// # Errors
    /// [`ErrorCode::LostFile`] when it is missing, has another size or cannot be read,
    /// [`ErrorCode::FileIoError`], [`ErrorCode::StoreUnavailable`].
    pub(crate) async fn copy_to(
        &self,
        scratch: &Scratch,
        object: &ObjectKey,
        size: u64,
    ) -> Result<ScratchFile> {
        fetch(&self.objects, scratch, object, size).await
    }
}

async fn fetch(
    side: &Objects,
    scratch: &Scratch,
    object: &ObjectKey,
    size: u64,
) -> Result<ScratchFile> {
    let scratch = scratch.clone();
    let mut writer = blocking(move || scratch.create()).await?;
    let content = side.read(object, size, 0..size).await;
    let mut pieces = content.map_err(unreadable)?.into_stream();
    while let Some(bytes) = pieces.try_next().await.map_err(unreadable)? {
        writer = blocking(move || {
            writer.write(&bytes)?;
            Ok(writer)
        })
        .await?;
    }
    let file = writer.finish();
    match file.size() == size {
        true => Ok(file),
        false => Err(cut(object, file.size(), size)),
    }
}

/// The digest of the bytes of an object of this size; `None` when there is none.
async fn digest(side: &Objects, object: &ObjectKey, size: u64) -> Result<Option<Digest>> {
    let content = match side.read(object, size, 0..size).await.map_err(unreadable) {
        Err(error) if error.code() == ErrorCode::LostFile => return Ok(None),
        content => content?,
    };
    let (mut sum, mut read) = (Sha256::new(), 0);
    let mut pieces = content.into_stream();
    while let Some(bytes) = pieces.try_next().await? {
        read += bytes.len() as u64;
        sum = blocking(move || {
            sum.update(&bytes);
            Ok(sum)
        })
        .await?;
    }
    match read == size {
        true => Ok(Some(Digest::computed(sum.finalize().into()))),
        false => Err(cut(object, read, size)),
    }
}

/// What a disk cannot read is lost; the rest of it may be sound.
fn unreadable(error: Error) -> Error {
    match error.code() {
        ErrorCode::FileIoError => {
            tracing::warn!(%error, "a file cannot be read");
            Error::internal(ErrorCode::LostFile, "a file cannot be read", error)
        }
        _ => error,
    }
}

fn cut(object: &ObjectKey, found: u64, size: u64) -> Error {
    Error::Internal {
        code: ErrorCode::StoreUnavailable,
        message: format!("object {object} broke off: {found} of {size} bytes came"),
        source: None,
    }
}
