//! Taking media away: one alias by its owner or an admin, or a whole content.
//!
//! The database forgets first, then the memory of facts, then the store; the answer follows.
//! What a crash leaves of the last step is in the garbage table and done at the next start. A
//! client that goes away interrupts none of this.

use std::slice;
use std::sync::Arc;

use crate::context::to_its_end;
use crate::service::find;
use crate::{Alias, Context, DeleteToken, Error, ErrorCode, ObjectKey, Result};

/// The owner's way: needs the alias's token. An alias that is gone already is fine.
///
/// # Errors
/// [`ErrorCode::InvalidDeleteToken`], [`ErrorCode::ReadOnly`].
pub async fn by_token(ctx: &Arc<Context>, alias: &Alias, token: &DeleteToken) -> Result<()> {
    writable(ctx)?;
    let Some(expected) = ctx.repo.delete_token(alias).await? else {
        // Whoever removed it may be just about to do this.
        ctx.known.forget(slice::from_ref(alias));
        return Ok(());
    };
    if !expected.matches(token) {
        return Err(Error::user(
            ErrorCode::InvalidDeleteToken,
            "The delete token does not belong to this alias",
        ));
    }
    alias_and_leftovers(ctx, alias).await.map(drop)
}

/// The admin's way.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::ReadOnly`].
pub async fn alias(ctx: &Arc<Context>, alias: &Alias) -> Result<()> {
    writable(ctx)?;
    if alias_and_leftovers(ctx, alias).await? {
        return Ok(());
    }
    Err(Error::alias_not_found())
}

/// Removes the content that `alias` names with all its aliases, which are returned sorted.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::ReadOnly`].
pub async fn purge(ctx: &Arc<Context>, alias: &Alias) -> Result<Vec<Alias>> {
    writable(ctx)?;
    let original = find::original(ctx, alias).await?;
    let ctx = ctx.clone();
    to_its_end(async move {
        let purged = ctx.repo.purge(original.hash()).await?;
        ctx.known.forget(&purged.aliases);
        collect(&ctx, purged.objects).await;
        Ok(purged.aliases)
    })
    .await
}

/// # Errors
/// [`ErrorCode::ReadOnly`] in read-only mode.
pub fn writable(ctx: &Context) -> Result<()> {
    if ctx.config.server.read_only {
        return Err(Error::user(
            ErrorCode::ReadOnly,
            "This server is in read-only mode",
        ));
    }
    Ok(())
}

async fn alias_and_leftovers(ctx: &Arc<Context>, alias: &Alias) -> Result<bool> {
    let (ctx, alias) = (ctx.clone(), alias.clone());
    to_its_end(async move {
        let removed = ctx.repo.remove_alias(&alias).await?;
        ctx.known.forget(slice::from_ref(&alias));
        collect(&ctx, removed.objects).await;
        Ok(removed.existed)
    })
    .await
}

/// The removal is committed; a disk that refuses now only delays the freeing of space.
pub(crate) async fn collect(ctx: &Context, objects: Vec<ObjectKey>) {
    if let Err(error) = ctx.collect(objects).await {
        tracing::warn!(%error, "removed objects stay on disk until the next start");
    }
}
