//! Takes in a file as it is, with what another server has recorded about it. Nothing is cleaned,
//! converted or refused, because aliases of the file are in use.

use std::sync::Arc;

use pict_rs_media::limits::Bounds;
use pict_rs_media::{Done, Facts, Job, Kind, Preview};

use crate::helper::Helper;
use crate::media::{InputFile, Permit, Slot};
use crate::repo::{LoadingHints, Representation};
use crate::service::{clip, dummy};
use crate::{ContentKey, Context, Error, ErrorCode, ObjectKey, Result};

/// A file, and what the engine found in it.
pub(crate) struct Examined {
    pub(crate) source: InputFile,
    /// Its facts, or why the engine cannot read it.
    pub(crate) facts: pict_rs_media::Result<Facts>,
    pub(crate) hints: LoadingHints,
}

/// Pixels and frames, as the other server recorded them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frames: Option<u32>,
}

/// Reads the facts of a file, and computes its hints unless the other server has recorded them. A
/// missing blurhash is no reason to lose a file.
///
/// # Errors
/// As [`crate::media::Pool::work`], but no file is too large.
pub(crate) async fn examine(
    ctx: &Arc<Context>,
    permit: Permit,
    source: InputFile,
    recorded: Option<LoadingHints>,
) -> Result<Examined> {
    let inspected = ctx.media.inspect(permit, source, Bounds::NONE).await?;
    let (permit, source, facts) = (inspected.permit, inspected.source, inspected.result);
    let size = source.len() as u64;
    let limit = ctx.media.load().memory_limit;
    let (hints, memory) = match (recorded, &facts) {
        (Some(hints), _) => (hints, None),
        (None, Ok(facts)) => {
            let memory = match facts.kind() {
                Kind::Video => clip::memory(facts, size),
                _ => size.saturating_add(pict_rs_media::preview_memory(facts)),
            };
            let memory = Some(memory).filter(|memory| *memory <= limit);
            (LoadingHints::of_blurhash(dummy::BLURHASH), memory)
        }
        (None, Err(_)) => (LoadingHints::of_blurhash(dummy::BLURHASH), None),
    };
    let Some(memory) = memory else {
        return Ok(Examined {
            source,
            facts,
            hints,
        });
    };
    let context = ctx.clone();
    let work = move |slot: &mut Slot| {
        let found = facts
            .as_ref()
            .ok()
            .and_then(|facts| compute(&context, &source, facts, slot));
        Ok(Examined {
            source,
            facts,
            hints: found.map_or(hints, LoadingHints::from),
        })
    };
    ctx.media.run(permit, memory, work).await
}

/// The hashes; for a clip, those of a frame, which needs ffmpeg.
pub(crate) fn compute(
    ctx: &Arc<Context>,
    source: &InputFile,
    facts: &Facts,
    slot: &mut Slot,
) -> Option<Preview> {
    let preview = |slot: &mut Slot, source: &InputFile, facts: Facts| {
        let done = slot.run(&Job::Preview(facts), source);
        done.and_then(Done::preview).ok()
    };
    if facts.kind() != Kind::Video {
        return preview(slot, source, facts.clone());
    }
    ctx.helpers.path(Helper::Ffmpeg)?;
    let (frame, facts) = clip::frame(ctx, source, None, slot).ok()?;
    preview(slot, &frame, facts)
}

/// The row of a file: from its facts if they agree with its format, else from what was recorded.
///
/// # Errors
/// [`ErrorCode::DiscoverError`] when neither is known.
pub(crate) fn representation(
    object: ObjectKey,
    key: ContentKey,
    facts: pict_rs_media::Result<Facts>,
    shape: Option<Shape>,
    created_at: i64,
) -> Result<Representation> {
    match (facts, shape) {
        (Ok(facts), _) if facts.format == key.format() => {
            Ok(Representation::new(object, key, &facts, created_at))
        }
        (_, Some(shape)) => Ok(Representation {
            object,
            key,
            width: shape.width,
            height: shape.height,
            frames: shape.frames.unwrap_or(1).max(1),
            duration_ms: None,
            created_at,
        }),
        (Err(error), None) => Err(error.into()),
        (Ok(_), None) => Err(Error::user(
            ErrorCode::DiscoverError,
            "the file is not what the database says, and nothing else is known of it",
        )),
    }
}
