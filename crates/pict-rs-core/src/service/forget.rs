//! What follows a removal. The database has committed it and says what it took away; then the caches
//! forget it, then the store gives the bytes up, and only then the answer begins.
//!
//! Work that removes something is run to completion, so that a client that goes away does not leave
//! a cache that knows more than the database. What a crash or a disk leaves of the last step is in
//! the garbage table, and done by the next sweep or start.

use crate::repo::Removal;
use crate::service::guard;
use crate::{Context, ObjectKey, Result};

/// Lets caches and store forget what a committed transaction has removed.
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
    // A disk that refuses now only delays the freeing of space.
    if let Err(error) = collect(ctx, objects).await {
        tracing::warn!(%error, "removed objects stay on disk until the next start");
    }
}

/// Removes objects that no row names any more. One that the disk does not give up stays garbage,
/// and is tried again later.
///
/// # Errors
/// [`crate::ErrorCode::StoreMismatch`], and when the database fails.
pub(crate) async fn collect(ctx: &Context, objects: Vec<ObjectKey>) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    // Where a disk is not mounted, its files look as if they were gone already.
    guard::check(ctx).await?;
    let removed = ctx.store.remove(objects).await?;
    ctx.repo.collected(&removed).await
}
