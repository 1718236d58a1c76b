//! Some frames of an animation or clip, as separate JPEGs that are analysed and not kept; and the PDQ
//! hashes of these frames, which are computed when there is time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pict_rs_media::limits::Bounds;
use pict_rs_media::{Facts, Job, Kind, Output, OutputFormat, Pdq, Speed, Turned};
use tokio::time::{Instant, timeout};

use crate::helper::Helper;
use crate::media::{InputFile, Permit, Rank, Slot};
use crate::repo::{FramePdq, Representation};
use crate::service::clip;
use crate::{ContentKey, Context, Error, ErrorCode, Result};

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
/// one frame, nor of what cannot be decoded within the limits.
///
/// # Errors
/// What may go better another time: [`ErrorCode::TooBusy`], [`ErrorCode::ProgramMissing`],
/// [`ErrorCode::MediaFailed`].
pub(crate) async fn hashes(
    ctx: &Arc<Context>,
    permit: Permit,
    source: InputFile,
) -> Result<Vec<Pdq>> {
    match try_hashes(ctx, permit, source).await {
        Err(error) if is_of_file(&error) => {
            tracing::warn!(%error, "the frames of a file are not compared");
            Ok(Vec::new())
        }
        hashes => hashes,
    }
}

/// Whether it would be the same another time.
fn is_of_file(error: &Error) -> bool {
    let passes = [ErrorCode::TooBusy, ErrorCode::ProgramMissing];
    error.is_users() && !passes.contains(&error.code())
}

async fn try_hashes(ctx: &Arc<Context>, permit: Permit, source: InputFile) -> Result<Vec<Pdq>> {
    let size = source.len() as u64;
    let inspected = ctx.media.inspect(permit, source, Bounds::NONE).await?;
    let (permit, source, facts) = (inspected.permit, inspected.source, inspected.result?);
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
    ctx.media.run(permit, memory, work).await
}

/// As [`hashes`], of a stored file. `None` when they cannot be had now: it is a clip and ffmpeg is
/// missing, its file is lost, or its decoder was killed.
///
/// # Errors
/// When the store fails, and [`ErrorCode::TooBusy`].
pub(crate) async fn hashes_of(
    ctx: &Arc<Context>,
    rank: Rank,
    stored: &Representation,
) -> Result<Option<Vec<Pdq>>> {
    if !can_show(ctx, stored.kind()) {
        return Ok(None);
    }
    let found = async {
        let permit = ctx.media.acquire_as(rank).await?;
        let size = stored.key.size();
        let content = ctx.store.read(&stored.object, size, 0..size).await?;
        let source = content.into_input().await?;
        hashes(ctx, permit, source).await
    };
    match found.await {
        Err(error) if UNKNOWN.contains(&error.code()) => {
            tracing::warn!(%error, "the frames of a file cannot be compared now");
            Ok(None)
        }
        found => found.map(Some),
    }
}

/// Errors of one file that may pass.
const UNKNOWN: [ErrorCode; 3] = [
    ErrorCode::LostFile,
    ErrorCode::MediaFailed,
    ErrorCode::ProgramMissing,
];

/// The hashes in all turns, each with its quality.
pub(crate) fn with_qualities(found: &[Pdq]) -> Vec<(Turned, u8)> {
    let one = |pdq: &Pdq| (*pdq.turned(), pdq.quality());
    found.iter().map(one).collect()
}

/// Whether pictures of this kind of media can be had here.
pub(crate) fn can_show(ctx: &Context, kind: Kind) -> bool {
    kind != Kind::Video || ctx.helpers.path(Helper::Ffmpeg).is_some()
}

/// Contents that are read from the database at a time.
const CONTENTS: u32 = 16;
/// What could not be had is tried again after this time.
const RETRY: Duration = Duration::from_secs(60 * 60);
/// How long a purge waits for hashes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Animations and clips whose further frames have no hashes yet: computing these would make an upload
/// wait, and is not needed for it while there are no lists.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// The last one that was looked at, with its time.
    after: Option<(i64, ContentKey)>,
    since: Instant,
    /// When the oldest one was stored that has hashes now and that a search may not know, in unix
    /// milliseconds.
    oldest: Option<i64>,
}

impl Backlog {
    /// From the oldest one.
    pub(crate) fn new() -> Self {
        Self {
            after: None,
            since: Instant::now(),
            oldest: None,
        }
    }

    /// Computes the hashes of some. Returns whether there may be more.
    ///
    /// # Errors
    /// When database or store fail. What was being looked at is tried again later.
    pub(crate) async fn step(&mut self, ctx: &Arc<Context>) -> Result<bool> {
        if self.since.elapsed() > RETRY {
            (self.after, self.since) = (None, Instant::now());
        }
        let contents = ctx.repo.without_frame_pdq(self.after, CONTENTS).await?;
        for content in &contents {
            let stored = &content.representation;
            self.after = Some((stored.created_at, stored.key));
            if note(ctx, Rank::Background, stored).await? {
                self.oldest.get_or_insert(stored.created_at);
            }
        }
        let may_be_more = !contents.is_empty();
        if !may_be_more && let Some(oldest) = self.oldest.take() {
            let mut index = ctx.stored_pdq.lock().await;
            if index.as_ref().is_some_and(|index| index.recent() > oldest) {
                *index = None;
            }
        }
        Ok(may_be_more)
    }
}

/// Computes and records the hashes of further frames. Returns false when they cannot be had now.
async fn note(ctx: &Arc<Context>, rank: Rank, stored: &Representation) -> Result<bool> {
    let Some(found) = hashes_of(ctx, rank, stored).await? else {
        return Ok(false);
    };
    let frames = FramePdq::all(&found);
    ctx.repo.note_frame_pdq(&stored.key, &frames).await?;
    Ok(true)
}

/// Records the hashes of further frames of a content that is about to be purged and listed, if they
/// are missing. It is purged even if that fails.
pub(crate) async fn complete(ctx: &Arc<Context>, content: &ContentKey) {
    let completed = async {
        let known = ctx.repo.pdq_of(content).await?;
        if known.is_none_or(|known| known.frames.is_some()) {
            return Ok(());
        }
        let found = ctx.repo.content_with_aliases(content).await?;
        let stored = found.map(|found| found.original.representation);
        match stored.filter(|stored| stored.kind() != Kind::Image) {
            Some(stored) => note(ctx, Rank::Foreground, &stored).await.map(drop),
            None => Ok(()),
        }
    };
    match timeout(PATIENCE, completed).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "only the first frame of a purged file is listed");
        }
        Err(_) => tracing::warn!("only the first frame of a purged file is listed: no time"),
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
