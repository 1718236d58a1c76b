//! Some frames of an animation or clip, as separate JPEGs that are analysed and not kept.

use std::sync::Arc;

use bytes::Bytes;
use pict_rs_media::limits::Bounds;
use pict_rs_media::{Facts, Job, Kind, Output, OutputFormat, Pdq, Speed};

use crate::media::{InputFile, Permit, Slot};
use crate::service::clip;
use crate::{Context, ErrorCode, Result};

/// Frames of an animation or clip.
const FRAMES: u32 = 4;

const OUTPUT: Output = Output {
    format: OutputFormat::Jpeg,
    quality: Some(90),
    lossless: false,
    speed: Speed::Fast,
};

/// The picture, or up to four frames in the order of time. For clips this needs ffmpeg.
///
/// # Errors
/// Those of [`crate::media::Pool::work`], and of [`clip::frame`].
pub(crate) async fn stills(
    ctx: &Arc<Context>,
    permit: Permit,
    source: InputFile,
) -> Result<Vec<Bytes>> {
    let size = source.len() as u64;
    let inspected = ctx.media.inspect(permit, source, Bounds::NONE).await?;
    let (permit, source, facts) = (inspected.permit, inspected.source, inspected.result?);
    let frame = match facts.kind() {
        Kind::Video => clip::frame_facts(&facts),
        _ => facts.clone(),
    };
    let memory = size
        .saturating_add(clip_memory(&facts, size))
        .saturating_add(pict_rs_media::predicted_memory(&frame, &[], &OUTPUT));
    let context = ctx.clone();
    let work = move |slot: &mut Slot| stills_of(&context, &source, &facts, slot);
    ctx.media.run(permit, memory, work).await
}

/// The PDQ hashes of up to four frames; of an animation without the first one. None of a picture with
/// one frame, nor of what cannot be decoded.
///
/// # Errors
/// [`crate::ErrorCode::TooBusy`], [`crate::ErrorCode::ProgramMissing`].
pub(crate) async fn hashes(
    ctx: &Arc<Context>,
    permit: Permit,
    source: InputFile,
) -> Result<Vec<Pdq>> {
    let size = source.len() as u64;
    let inspected = ctx.media.inspect(permit, source, Bounds::NONE).await?;
    let (permit, source) = (inspected.permit, inspected.source);
    let Ok(facts) = inspected.result else {
        return Ok(Vec::new());
    };
    if facts.kind() != Kind::Video && facts.frames <= 1 {
        return Ok(Vec::new());
    }
    let frame = match facts.kind() {
        Kind::Video => clip::frame_facts(&facts),
        _ => facts.clone(),
    };
    let memory = size
        .saturating_add(clip_memory(&facts, size))
        .saturating_add(pict_rs_media::predicted_memory(&frame, &[], &OUTPUT))
        .saturating_add(pict_rs_media::preview_memory(&frame));
    let context = ctx.clone();
    let work = move |slot: &mut Slot| {
        let mut stills = stills_of(&context, &source, &facts, slot)?;
        // A sandbox may return fewer than it was asked for.
        if facts.kind() != Kind::Video && !stills.is_empty() {
            stills.remove(0);
        }
        let hash = |still: Bytes| {
            let still = InputFile::from(still.to_vec());
            let facts = slot.run(&Job::Inspect(Bounds::NONE), &still)?.facts()?;
            let preview = slot.run(&Job::Preview(facts), &still)?.preview()?;
            Ok(preview.pdq)
        };
        let found: Result<Vec<_>> = stills.into_iter().map(hash).collect();
        Ok(found?.into_iter().flatten().collect())
    };
    match ctx.media.run(permit, memory, work).await {
        // It was taken in before its frames were looked at.
        Err(error) if error.is_users() || error.code() == ErrorCode::MediaFailed => {
            tracing::warn!(%error, "the frames of a file are not compared");
            Ok(Vec::new())
        }
        hashes => hashes,
    }
}

fn clip_memory(facts: &Facts, size: u64) -> u64 {
    match facts.kind() {
        Kind::Video => clip::memory(facts, size),
        _ => 0,
    }
}

/// Blocks.
fn stills_of(
    ctx: &Arc<Context>,
    source: &InputFile,
    facts: &Facts,
    slot: &mut Slot,
) -> Result<Vec<Bytes>> {
    if facts.kind() == Kind::Video {
        let duration = facts.duration_ms.unwrap_or(0);
        let times = (0..u64::from(FRAMES)).map(|n| duration * n / u64::from(FRAMES));
        return times.map(|at| still(ctx, source, at, slot)).collect();
    }
    let job = Job::Stills {
        frames: numbers(facts.frames),
        facts: facts.clone(),
        output: OUTPUT,
    };
    let stills = slot.run(&job, source)?.stills()?;
    Ok(stills.into_iter().map(Bytes::from).collect())
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

/// The first frame, the last one and some in between, counted from 1.
fn numbers(count: u32) -> Vec<u32> {
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
        let check = |count, expected: &[u32]| assert_eq!(numbers(count), expected, "{count}");
        check(0, &[1]);
        check(1, &[1]);
        check(2, &[1, 2]);
        check(3, &[1, 2, 3]);
        check(4, &[1, 2, 3, 4]);
        check(100, &[1, 34, 67, 100]);
        check(u32::MAX, &[1, 1_431_655_765, 2_863_311_530, u32::MAX]);
    }
}
