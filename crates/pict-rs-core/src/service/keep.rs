//! Decides about objects: store one, keep it for its row, replace a lost one, or discard it.

use std::sync::Arc;
use std::time::Duration;

use pict_rs_media::Format;

use crate::clock::{millis, now};
use crate::repo::Original;
use crate::service::forget::forget;
use crate::store::{Source, StoredObject};
use crate::{Alias, Context, Error, ObjectKey, Result, repo};

/// How long it may take from before an object is stored until a row names it. Longer than all
/// timeouts in between.
const NAMING: Duration = Duration::from_secs(60 * 60);

/// Makes an object that no row names yet. Every object is made here.
///
/// # Errors
/// As [`crate::store::Store::put`], and when the database fails.
pub(crate) async fn put(
    ctx: &Context,
    object: ObjectKey,
    format: Format,
    source: Source,
) -> Result<StoredObject> {
    if ctx.store.needs_intents() {
        // Nothing is written to a bucket that may belong to another database.
        ctx.store_id.get()?;
        let not_before = ctx.repo.time().saturating_add(millis(NAMING));
        let object = std::slice::from_ref(&object);
        ctx.repo.intend(object, not_before).await?;
    }
    ctx.store.put(object, format, source).await
}

/// Handles an object whose content exists already. If the older object was lost, ours replaces it;
/// otherwise ours is discarded. With `only`, a missing file stays lost for all other aliases,
/// because it may have been deleted on purpose. A damaged file is a fault of the disk, and is
/// restored for all of them. An upload also replaces an object that rules of the bucket for fetched
/// media may remove.
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
    } else {
        if only.is_none() {
            ctx.repo.restore_aliases(original.hash()).await?;
        }
        if ctx.store.outlives(stored.object(), &known.object) {
            return exchange(ctx, stored, original).await;
        }
    }
    stored.discard().await;
    Ok(original)
}

/// Replaces the object of a content by another one with the same bytes.
async fn exchange(ctx: &Context, stored: StoredObject, mut original: Original) -> Result<Original> {
    let (known, found) = (&original.representation.object, stored.object().clone());
    let exchanged = ctx.repo.exchange_object(original.hash(), known, &found);
    match exchanged.await? {
        Some(removal) => {
            stored.keep().await;
            forget(ctx, removal).await;
            original.representation.object = found;
        }
        None => stored.discard().await,
    }
    Ok(original)
}

/// Called after the database refused or failed. The object is deleted only if the database confirms
/// that no row names it; otherwise the next start decides. Where there is an intent, that decides
/// after a failure.
pub(crate) async fn discard_if_unreferenced(
    ctx: &Arc<Context>,
    stored: StoredObject,
    error: &Error,
) {
    if ctx.store.needs_intents() && !error.is_users() {
        return;
    }
    if !repo::is_uncertain(error) {
        return look_and_discard(ctx, stored).await;
    }
    // A commit whose answer was lost may still be under way.
    let task = ctx.clone();
    ctx.runtime.spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(repo::UNCERTAIN_FOR) => look_and_discard(&task, stored).await,
            _ = task.notifier.stopped() => {}
        }
    });
}

async fn look_and_discard(ctx: &Context, stored: StoredObject) {
    if let Ok(false) = ctx.repo.knows_object(stored.object()).await {
        stored.discard().await;
    }
}
