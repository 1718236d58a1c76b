//! From an alias to facts and bytes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::repo::{Original, Representation};
use crate::store::Cached;
use crate::task::blocking;
use crate::timing::{Stage, timed};
use crate::{Alias, ContentKey, Context, Error, ErrorCode, Result};

/// The content that `alias` names.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`].
pub async fn original(ctx: &Context, alias: &Alias) -> Result<Arc<Original>> {
    if let Some(original) = ctx.fact_cache.original(alias) {
        return Ok(original);
    }
    let generation = ctx.fact_cache.generation();
    let original = timed(Stage::Database, ctx.repo.original(alias))
        .await?
        .ok_or_else(Error::alias_not_found)?;
    let original = Arc::new(original);
    ctx.fact_cache.remember(generation, alias, &original);
    Ok(original)
}

/// All aliases of the content that `alias` names, sorted.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`].
pub async fn aliases(ctx: &Context, alias: &Alias) -> Result<Vec<Alias>> {
    let content = content(ctx, alias).await?;
    ctx.repo.aliases(&content).await
}

/// Which content `alias` names, whether or not its file was lost.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`].
pub async fn content(ctx: &Context, alias: &Alias) -> Result<ContentKey> {
    let content = ctx.repo.content_of(alias).await?;
    content.ok_or_else(Error::alias_not_found)
}

/// Opens the bytes of a representation.
///
/// # Errors
/// [`crate::ErrorCode::LostFile`] when the store has lost them.
pub async fn bytes(ctx: &Context, representation: &Representation) -> Result<File> {
    let store = ctx.store.clone();
    let (object, size) = (representation.object.clone(), representation.key.size());
    let open = blocking(move || store.open_object(&object, size));
    timed(Stage::Store, open).await
}

/// All bytes of a small representation. Waits for the disk only if the system does not have them in
/// memory.
///
/// # Errors
/// As [`bytes`].
pub async fn small(ctx: &Context, representation: &Representation) -> Result<Bytes> {
    let size = representation.key.size();
    let whole = usize::try_from(size).unwrap_or(usize::MAX);
    match ctx.store.read_cached(&representation.object, whole)? {
        Cached::Bytes(bytes) => Ok(bytes),
        Cached::NotInMemory(file) => Ok(piece(file, 0, size).await?.1),
    }
}

/// So many bytes from `start` on, and the file back.
///
/// # Errors
/// [`crate::ErrorCode::FileIoError`].
pub async fn piece(file: File, start: u64, length: u64) -> Result<(File, Bytes)> {
    blocking(move || {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, start)
            .map_err(|e| Error::internal(ErrorCode::FileIoError, "cannot read a stored file", e))?;
        Ok((file, bytes.into()))
    })
    .await
}

/// What to say when looking for bytes of `alias` ended with `error`: bytes that are not there are
/// no fault of ours if the alias went with them just now.
pub(crate) async fn lost_or_removed(ctx: &Context, alias: &Alias, error: Error) -> Error {
    if error.code() == ErrorCode::LostFile
        && let Ok(None) = ctx.repo.original(alias).await
    {
        ctx.fact_cache.forget([alias]);
        return Error::alias_not_found();
    }
    error
}
