//! Finds the facts and bytes of an alias.

use std::ops::Range;
use std::sync::Arc;

use crate::repo::{Original, Representation};
use crate::sandbox::InputFile;
use crate::service::takeover;
use crate::store::{Content, SMALL};
use crate::timing::{Stage, timed};
use crate::{Alias, ContentKey, Context, Digest, Error, ErrorCode, Result};

/// Aliases that are listed at most.
const MAX_ALIASES: u32 = 1000;

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

/// All aliases of the content that `alias` names, sorted; during a takeover with those that the
/// predecessor has.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`], [`crate::ErrorCode::PredecessorUnavailable`],
/// [`crate::ErrorCode::PredecessorError`].
pub async fn aliases(ctx: &Context, alias: &Alias) -> Result<Vec<Alias>> {
    takeover::complete(ctx, alias).await?;
    let content = content(ctx, alias).await?;
    ctx.repo.aliases(&content).await
}

/// The aliases of stored bytes with this digest, sorted; at most a thousand.
///
/// # Errors
/// [`crate::ErrorCode::HashNotFound`].
pub async fn aliases_of_digest(ctx: &Context, digest: &Digest) -> Result<Vec<Alias>> {
    let aliases = ctx.repo.aliases_of_digest(digest, MAX_ALIASES).await?;
    if aliases.is_empty() {
        let message = format!("No stored file has the digest {}", digest.to_hex());
        return Err(Error::user(ErrorCode::HashNotFound, message));
    }
    Ok(aliases)
}

/// The key of the content that `alias` names, whether or not its file was lost.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`].
pub async fn content(ctx: &Context, alias: &Alias) -> Result<ContentKey> {
    let content = ctx.repo.content_of(alias).await?;
    content.ok_or_else(Error::alias_not_found)
}

/// The bytes of a representation; an empty range only checks that they exist.
///
/// # Errors
/// [`crate::ErrorCode::LostFile`] when the store has lost them.
pub async fn bytes(
    ctx: &Context,
    representation: &Representation,
    range: Range<u64>,
) -> Result<Content> {
    let size = representation.key.size();
    let is_quick = size <= SMALL && !range.is_empty() && ctx.store.root().is_some();
    let read = ctx.store.read(&representation.object, size, range);
    match is_quick {
        true => read.await,
        false => timed(Stage::Store, read).await,
    }
}

/// All bytes of a representation, in memory, for the engine.
///
/// # Errors
/// As [`bytes()`].
pub(crate) async fn whole(ctx: &Context, representation: &Representation) -> Result<InputFile> {
    let size = representation.key.size();
    let read = async {
        let content = ctx
            .store
            .read(&representation.object, size, 0..size)
            .await?;
        content.into_input().await
    };
    timed(Stage::Store, read).await
}

/// The error to return when reading the bytes of `alias` failed with `error`: missing bytes are not
/// an internal error if the alias was removed meanwhile.
pub(crate) async fn lost_or_removed(ctx: &Context, alias: &Alias, error: Error) -> Error {
    if error.code() == ErrorCode::LostFile
        && let Ok(None) = ctx.repo.original(alias).await
    {
        ctx.fact_cache.forget([alias]);
        return Error::alias_not_found();
    }
    error
}
