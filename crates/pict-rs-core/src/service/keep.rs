//! Decides about stored objects: keep one for its row, replace a lost one, or discard it.

use crate::clock::now;
use crate::repo::Original;
use crate::service::forget::forget;
use crate::store::StoredObject;
use crate::{Alias, Context, Result};

/// Handles an object whose content exists already. If the older object was lost, ours replaces it;
/// otherwise ours is discarded. With `only`, a missing file stays lost for all other aliases,
/// because it may have been deleted on purpose. A damaged file is a fault of the disk, and is
/// restored for all of them.
pub(crate) async fn replace_lost_object(
    ctx: &Context,
    stored: StoredObject,
    mut original: Original,
    only: Option<&Alias>,
) -> Result<Original> {
    let known = &original.representation;
    let size = ctx.store.size(&known.object).await?;
    let is_gone = size.is_none();
    if size != Some(known.key.size()) {
        let found = stored.object().clone();
        let (hash, lost) = (*original.hash(), &original.representation.object);
        let replaced = match only.filter(|_| is_gone) {
            Some(alias) => {
                let repo = &ctx.repo;
                repo.replace_object_for(alias, &hash, lost, &found, now())
                    .await?
            }
            None => ctx.repo.replace_object(&hash, lost, &found).await?,
        };
        if let Some(removal) = replaced {
            tracing::warn!(%lost, %found, "a lost object was healed by an upload");
            stored.keep().await;
            forget(ctx, removal).await;
            original.representation.object = found;
            return Ok(original);
        }
    } else if only.is_none() {
        ctx.repo.restore_aliases(original.hash()).await?;
    }
    stored.discard().await;
    Ok(original)
}

/// Called after the database failed. The object is deleted now only if the database confirms that
/// no row names it; otherwise the next start decides.
pub(crate) async fn discard_if_unreferenced(ctx: &Context, stored: StoredObject) {
    if let Ok(false) = ctx.repo.knows_object(stored.object()).await {
        stored.discard().await;
    }
}
