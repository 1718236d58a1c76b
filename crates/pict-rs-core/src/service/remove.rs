//! Taking media away: one alias by its owner or an admin, or a whole content.
//!
//! The database forgets first, then the fact cache, then the store; the answer follows.
//! What a crash leaves of the last step is in the garbage table and done at the next start. A
//! client that goes away interrupts none of this. Who removes and why is recorded with it
//! ([`Cause`]).

use std::slice;
use std::sync::Arc;

use crate::clock::now;
use crate::repo::audit::Cause;
use crate::repo::{Purged, Removed};
use crate::service::find;
use crate::service::keep;
use crate::task::run_to_completion;
use crate::{Alias, Context, DeleteToken, Error, ErrorCode, ObjectKey, Result};

/// The owner's way: needs the alias's token. An alias that is gone already is fine.
///
/// # Errors
/// [`ErrorCode::InvalidDeleteToken`], [`ErrorCode::ReadOnly`].
pub async fn by_token(
    ctx: &Arc<Context>,
    alias: &Alias,
    token: &DeleteToken,
    cause: Cause,
) -> Result<()> {
    writable(ctx)?;
    let Some(expected) = ctx.repo.delete_token(alias).await? else {
        // Whoever removed it may be just about to do this.
        ctx.fact_cache.forget(slice::from_ref(alias));
        return Ok(());
    };
    if !expected.matches(token) {
        return Err(Error::user(
            ErrorCode::InvalidDeleteToken,
            "The delete token does not belong to this alias",
        ));
    }
    alias_and_leftovers(ctx, alias, Some(cause)).await.map(drop)
}

/// The admin's way.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::ReadOnly`].
pub async fn alias(ctx: &Arc<Context>, alias: &Alias, cause: Cause) -> Result<()> {
    writable(ctx)?;
    if alias_and_leftovers(ctx, alias, Some(cause)).await?.existed {
        return Ok(());
    }
    Err(Error::alias_not_found())
}

/// Takes back what a request has added that failed as a whole; nobody has heard of it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn take_back(ctx: &Arc<Context>, alias: &Alias) -> Result<()> {
    alias_and_leftovers(ctx, alias, None).await.map(drop)
}

/// Removes the content that `alias` names with all its aliases, which are returned sorted. With
/// `block` neither it nor any file that it was made from is taken in again.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::ReadOnly`].
pub async fn purge(ctx: &Arc<Context>, alias: &Alias, block: bool, cause: Cause) -> Result<Purged> {
    writable(ctx)?;
    let content = find::content(ctx, alias).await?;
    let ctx = ctx.clone();
    run_to_completion(async move {
        let mut purged = ctx.repo.purge(&content, block, &cause, now()).await?;
        ctx.fact_cache.forget(&purged.aliases);
        collect(&ctx, std::mem::take(&mut purged.objects)).await;
        Ok(purged)
    })
    .await
}

/// # Errors
/// [`ErrorCode::ReadOnly`] in read-only mode.
pub fn writable(ctx: &Context) -> Result<()> {
    if ctx.config.server.read_only {
        return Err(Error::user(
            ErrorCode::ReadOnly,
            "pict-rs is in read-only mode",
        ));
    }
    Ok(())
}

async fn alias_and_leftovers(
    ctx: &Arc<Context>,
    alias: &Alias,
    cause: Option<Cause>,
) -> Result<Removed> {
    let (ctx, alias) = (ctx.clone(), alias.clone());
    run_to_completion(async move {
        let mut removed = ctx.repo.remove_alias(&alias, cause.as_ref(), now()).await?;
        ctx.fact_cache.forget(slice::from_ref(&alias));
        collect(&ctx, std::mem::take(&mut removed.objects)).await;
        Ok(removed)
    })
    .await
}

/// The removal is committed; a disk that refuses now only delays the freeing of space.
pub(crate) async fn collect(ctx: &Context, objects: Vec<ObjectKey>) {
    if let Err(error) = keep::collect(ctx, objects).await {
        tracing::warn!(%error, "removed objects stay on disk until the next start");
    }
}
