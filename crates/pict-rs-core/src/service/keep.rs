//! What becomes of stored objects: one meets its row, takes the place of a lost one, or goes.

use crate::clock::now;
use crate::repo::Original;
use crate::service::forget::forget;
use crate::store::StoredObject;
use crate::{Alias, Context, Result};

/// The content was known. If its object was lost, ours takes its place; else ours is dropped. With
/// `only`, a file that has gone stays lost to all other aliases: it may have been taken away on
/// purpose. One that is damaged is a fault of the disk, and all of them get it back.
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

/// The database failed. Only if it can say that no row names the object, the object goes now;
/// else the next start decides.
pub(crate) async fn discard_if_unreferenced(ctx: &Context, stored: StoredObject) {
    if let Ok(false) = ctx.repo.knows_object(stored.object()).await {
        stored.discard().await;
    }
}
