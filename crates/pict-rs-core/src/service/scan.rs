//! The run over all contents that computes missing PDQ hashes, and puts what looks like a listed one
//! into quarantine. It never removes anything.

use std::sync::Arc;

use crate::clock::now;
use crate::repo::{Run, Scanned, ToScan};
use crate::service::forget::forget;
use crate::service::{guard, perceptual, similar};
use crate::{Context, ErrorCode, Result};

/// Contents looked at in one step. Each may have to be decoded.
const CONTENTS: u32 = 32;

/// Does one step of a run.
///
/// # Errors
/// When database or store fail; the step must be tried again later.
pub(crate) async fn step(ctx: &Arc<Context>, run: &Run) -> Result<()> {
    guard::check(ctx).await?;
    let contents = ctx.repo.to_scan(run.cursor.as_ref(), CONTENTS).await?;
    let cursor = contents.last().map(|last| *last.original.hash());
    let mut scanned = Vec::with_capacity(contents.len());
    for content in contents {
        if let Some(found) = look(ctx, &content).await? {
            scanned.push(found);
        }
    }
    let hidden = ctx
        .repo
        .note_scanned(run, cursor.as_ref(), &scanned, now())
        .await?;
    if let Some(hidden) = hidden {
        if !hidden.contents.is_empty() {
            let contents = hidden.contents.len();
            tracing::warn!(
                contents,
                "stored media look like listed ones and are in quarantine"
            );
        }
        forget(ctx, hidden).await;
    }
    if cursor.is_none() {
        // It may lack hashes that were computed since it was read.
        *ctx.stored_pdq.lock().await = None;
    }
    Ok(())
}

/// `None` for a content whose file is lost or cannot be read at the moment. A later run tries again.
async fn look(ctx: &Arc<Context>, content: &ToScan) -> Result<Option<Scanned>> {
    let (computed, turned) = match content.pdq {
        Some(pdq) => (None, (pdq.hash.into_iter().collect(), pdq.quality)),
        None => {
            let permit = ctx.media.acquire_background().await?;
            let stored = &content.original.representation;
            match similar::stored_pdq(ctx, permit, stored).await {
                Ok((pdq, turned)) => (Some(pdq), (turned, pdq.quality)),
                Err(error) if error.code() == ErrorCode::LostFile => return Ok(None),
                Err(error) if error.is_users() || error.code() == ErrorCode::MediaFailed => {
                    tracing::warn!(%error, "a stored file has no PDQ hash");
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    };
    let (hashes, quality) = turned;
    Ok(Some(Scanned {
        key: *content.original.hash(),
        computed,
        listed: perceptual::nearest(ctx, &hashes, quality).await?,
    }))
}
