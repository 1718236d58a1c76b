//! Cleans up after a removal. Once the database has committed it and returned what it removed, the
//! caches drop it, then the store deletes the bytes, and only then the answer begins.
//!
//! Removals run to completion, so that a client that goes away does not leave stale caches. If a
//! crash or a disk error prevents the last step, the objects stay in the garbage table, and the
//! next sweep or start deletes them.

use crate::repo::Removal;
use crate::service::guard;
use crate::{Context, ObjectKey, Result};

/// Removes from caches and store what a committed transaction has removed.
pub(crate) async fn forget(ctx: &Context, removal: Removal) {
    let Removal {
        aliases,
        contents,
        objects,
    } = removal;
    if !aliases.is_empty() {
        ctx.fact_cache.forget(&aliases);
    }
    if !contents.is_empty() {
        ctx.fact_cache
            .forget_contents(&contents.into_iter().collect());
    }
    // A failure only delays the freeing of space.
    if let Err(error) = collect(ctx, objects).await {
        tracing::warn!(%error, "removed objects stay on disk until the next start");
    }
}

/// Deletes objects that no row names any more. An object that cannot be deleted stays garbage and
/// is tried again later.
///
/// # Errors
/// [`crate::ErrorCode::StoreMismatch`], and when the database fails.
pub(crate) async fn collect(ctx: &Context, objects: Vec<ObjectKey>) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    // On a disk that is not mounted, files look as if they were already deleted.
    guard::check(ctx).await?;
    let removed = ctx.store.remove(objects).await?;
    ctx.repo.collected(&removed).await
}
