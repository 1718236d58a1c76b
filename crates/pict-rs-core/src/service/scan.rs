//! The run over all contents that computes missing PDQ hashes, and puts what looks like a listed one
//! into quarantine. It never removes anything.

use std::sync::Arc;

use pict_rs_media::Kind;

use crate::clock::now;
use crate::media::Rank;
use crate::repo::{FramePdq, PdqMatch, Run, Scanned, ToScan};
use crate::service::forget::forget;
use crate::service::{frames, guard, perceptual, similar};
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
    let noted = ctx
        .repo
        .note_scanned(run, cursor.as_ref(), &scanned, now())
        .await?;
    if let Some((changed, hidden)) = noted {
        if hidden > 0 {
            tracing::warn!(
                contents = hidden,
                "stored media look like listed ones and are in quarantine"
            );
        }
        forget(ctx, changed).await;
    }
    if cursor.is_none() {
        // It may lack hashes that were computed since it was read.
        *ctx.stored_pdq.lock().await = None;
    }
    Ok(())
}

/// `None` for a content whose file is lost or cannot be read at the moment. A later run tries again.
async fn look(ctx: &Arc<Context>, content: &ToScan) -> Result<Option<Scanned>> {
    let (computed, turned) = match &content.pdq {
        Some(pdq) => {
            let turned = pdq.hash.map(|hash| hash.turned());
            (None, (turned, pdq.quality))
        }
        None => {
            let permit = ctx.media.acquire_background().await?;
            let stored = &content.original.representation;
            match similar::stored_hashes(ctx, permit, stored).await {
                // The next run may find ffmpeg.
                Ok((pdq, turned, _))
                    if pdq.hash.is_none() && !frames::can_show(ctx, stored.kind()) =>
                {
                    (None, (turned, pdq.quality))
                }
                Ok((pdq, turned, hints)) => {
                    let quality = pdq.quality;
                    (Some((pdq, hints)), (turned, quality))
                }
                Err(error) if error.code() == ErrorCode::LostFile => return Ok(None),
                Err(error) if error.is_users() || error.code() == ErrorCode::MediaFailed => {
                    tracing::warn!(%error, "a stored file has no PDQ hash");
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    };
    let (turned, quality) = turned;
    let mut listed = match turned {
        Some(turned) => perceptual::nearest(ctx, &turned, quality).await?,
        None => None,
    };
    let mut frames = None;
    if content.original.representation.kind() != Kind::Image {
        let (found, of_frame) = look_at_frames(ctx, content).await?;
        (frames, listed) = (found, listed.or(of_frame));
    }
    Ok(Some(Scanned {
        key: *content.original.hash(),
        computed,
        frames,
        listed,
    }))
}

/// The hashes of further frames, if they were computed just now, and the entry of a list that one of
/// them looks like.
async fn look_at_frames(
    ctx: &Arc<Context>,
    content: &ToScan,
) -> Result<(Option<Vec<FramePdq>>, Option<PdqMatch>)> {
    let known = content.pdq.as_ref().and_then(|pdq| pdq.frames.as_ref());
    if let Some(known) = known {
        let turned = known
            .iter()
            .map(|frame| (frame.hash.turned(), frame.quality));
        let turned: Vec<_> = turned.collect();
        return Ok((None, perceptual::listed_frame(ctx, &turned).await?));
    }
    let stored = &content.original.representation;
    let Some(found) = frames::hashes_of(ctx, Rank::Background, stored).await? else {
        return Ok((None, None));
    };
    let listed = perceptual::listed_frame(ctx, &frames::with_qualities(&found)).await?;
    Ok((Some(FramePdq::all(&found)), listed))
}
