//! JPEGs that are sent to the external validation instead of a file that it may not be able to open
//! (`media.external_validation_as`).

use std::sync::Arc;

use bytes::Bytes;
use pict_rs_media::limits::Bounds;
use pict_rs_media::{Done, Format, Job, Kind, Output, OutputFormat, Speed};

use crate::config::ValidationAs;
use crate::media::{self, InputFile, Slot};
use crate::service::clip;
use crate::store::StoredObject;
use crate::{Context, Result};

/// Frames sent of an animation or clip.
const FRAMES: u32 = 4;
/// The quality of the JPEGs, which are analysed but not kept.
const QUALITY: u8 = 90;

/// JPEGs of a stored file, in the order of time; `None` when the file itself is to be sent.
///
/// # Errors
/// [`crate::ErrorCode::TooBusy`], [`crate::ErrorCode::ProcessTimeout`], [`crate::ErrorCode::ValidateMemory`].
pub(super) async fn pictures(
    ctx: &Arc<Context>,
    stored: &StoredObject,
) -> Result<Option<Vec<Bytes>>> {
    let media = &ctx.config.media;
    if media.external_validation_as == ValidationAs::Original
        || stored.key().format() == Format::Jpeg
        // In this mode the file need not be a picture.
        || ctx.config.server.danger_dummy_mode
    {
        return Ok(None);
    }
    let permit = ctx.media.acquire().await?;
    let size = stored.key().size();
    let content = ctx.store.read(stored.object(), size, 0..size).await?;
    let source = content.into_input().await?;
    let inspected = ctx.media.inspect(permit, source, Bounds::NONE).await?;
    let (permit, source, facts) = (inspected.permit, inspected.source, inspected.result?);
    if facts.kind() != Kind::Video {
        let job = Job::Stills {
            frames: frames(facts.frames),
            facts,
            output: OUTPUT,
        };
        let take = |_: &[u8], done: media::JobResult| done.and_then(Done::stills);
        let stills = ctx.media.work(permit, source, job, take).await?.result?;
        return Ok(Some(stills.into_iter().map(Bytes::from).collect()));
    }
    let memory = clip::memory(&facts, size)
        + pict_rs_media::predicted_memory(&clip::frame_facts(&facts), &[], &OUTPUT);
    let context = ctx.clone();
    let work = move |slot: &mut Slot| {
        let duration = facts.duration_ms.unwrap_or(0);
        let times = (0..u64::from(FRAMES)).map(|n| duration * n / u64::from(FRAMES));
        let picture = |at| still(&context, &source, at, slot);
        times.map(picture).collect()
    };
    ctx.media.run(permit, memory, work).await.map(Some)
}

/// The frame of a clip at `at` milliseconds.
fn still(ctx: &Arc<Context>, source: &InputFile, at: u64, slot: &mut Slot) -> Result<Bytes> {
    let (frame, facts) = clip::frame(ctx, source, Some(at), slot)?;
    let job = Job::Stills {
        facts,
        frames: vec![1],
        output: OUTPUT,
    };
    let stills = slot.run(&job, &frame)?.stills()?;
    Ok(stills.concat().into())
}

const OUTPUT: Output = Output {
    format: OutputFormat::Jpeg,
    quality: Some(QUALITY),
    lossless: false,
    speed: Speed::Fast,
};

/// The first frame, the last one and some in between, counted from 1.
fn frames(count: u32) -> Vec<u32> {
    let last = u64::from(count.max(1) - 1);
    let steps = u64::from(FRAMES - 1);
    let mut frames: Vec<_> = (0..=steps)
        .map(|n| u32::try_from(1 + last * n / steps).unwrap_or(1))
        .collect();
    frames.dedup();
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_frame_are_among_those_that_are_shown() {
        let check = |count, expected: &[u32]| assert_eq!(frames(count), expected, "{count}");
        check(0, &[1]);
        check(1, &[1]);
        check(2, &[1, 2]);
        check(3, &[1, 2, 3]);
        check(4, &[1, 2, 3, 4]);
        check(100, &[1, 34, 67, 100]);
        check(u32::MAX, &[1, 1_431_655_765, 2_863_311_530, u32::MAX]);
    }
}
