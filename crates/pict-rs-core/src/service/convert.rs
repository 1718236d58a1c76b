//! Makes the bytes of a variant from a stored file: an original, or a reduced copy of one.

use std::sync::Arc;

use pict_rs_media::limits::Bounds;
use pict_rs_media::{Done, Facts, Job, Kind};

use crate::config::output::output;
use crate::media::{JobResult, Permit, Slot};
use crate::query::ProcessRequest;
use crate::repo::Representation;
use crate::service::{clip, find, reduced};
use crate::{Context, Error, ErrorCode, Result};

/// The bytes of the requested variant, and their facts.
///
/// # Errors
/// [`ErrorCode::LostFile`], [`ErrorCode::MediaFailed`] when the stored file is damaged or has no reduced
/// copy, [`ErrorCode::InvalidProcessPath`] when there is no such frame, and those of
/// [`crate::media::Pool::work`].
pub(super) async fn convert(
    ctx: &Arc<Context>,
    permit: Permit,
    from: &Representation,
    request: &ProcessRequest,
) -> Result<(Vec<u8>, Facts)> {
    let source = find::whole(ctx, from).await?;
    let size = from.key.size();
    let inspected = ctx.media.inspect(permit, source, Bounds::NONE).await?;
    let (permit, source) = (inspected.permit, inspected.source);
    let facts = inspected.result.map_err(stored_is_broken)?;
    check_frame(request.frame, &facts)?;
    let is_clip = facts.kind() == Kind::Video;
    let is_animated = !is_clip && facts.is_animated() && request.frame.is_none();
    let output = match reduced::output(request) {
        Some(output) => {
            reduced::check(&facts)?;
            output
        }
        None => output(&ctx.config.media, request.format, is_animated),
    };
    let job = {
        let (operations, frame) = (request.operations.clone(), request.frame);
        move |facts| Job::Convert {
            facts,
            operations,
            output,
            frame,
            preview: false,
        }
    };
    let made = if is_clip {
        let memory = clip::memory(&facts, size)
            + pict_rs_media::predicted_memory(
                &clip::frame_facts(&facts),
                &request.operations,
                &output,
            );
        let (context, at) = (ctx.clone(), request.time);
        let work = move |slot: &mut Slot| {
            let (frame, facts) =
                clip::frame(&context, &source, at, slot).map_err(stored_clip_is_broken)?;
            let done = slot.run(&job(facts), &frame);
            Ok(whole(&frame, done))
        };
        ctx.media.run(permit, memory, work).await?
    } else {
        let worked = ctx.media.work(permit, source, job(facts), whole);
        worked.await?.result
    };
    made.map_err(stored_is_broken)
}

/// The file that a job made, as one piece, and its facts.
fn whole(source: &[u8], outcome: JobResult) -> pict_rs_media::Result<(Vec<u8>, Facts)> {
    let made = outcome.and_then(Done::made)?;
    let facts = made.facts.clone();
    Ok((made.into_bytes(source)?, facts))
}

fn check_frame(frame: Option<u32>, facts: &Facts) -> Result<()> {
    match frame {
        Some(frame) if facts.kind() == Kind::Video => Err(Error::user(
            ErrorCode::InvalidProcessPath,
            format!("frame={frame} is of animations; of a clip, time= in seconds chooses a frame"),
        )),
        Some(frame) if frame > facts.frames => Err(Error::user(
            ErrorCode::InvalidProcessPath,
            format!(
                "frame={frame} is beyond the last frame, which is {}",
                facts.frames
            ),
        )
        .limit(facts.frames)
        .found(frame)),
        _ => Ok(()),
    }
}

/// Stored files were checked before, so damage is an internal error and must be logged.
pub(super) fn stored_is_broken(error: pict_rs_media::Error) -> Error {
    match error {
        pict_rs_media::Error::Corrupt { .. }
        | pict_rs_media::Error::Unrecognised
        | pict_rs_media::Error::Empty => Error::internal(
            ErrorCode::MediaFailed,
            "a stored picture cannot be decoded",
            error,
        ),
        other => other.into(),
    }
}

/// As [`stored_is_broken`], for the error of a program that reads a clip.
fn stored_clip_is_broken(error: Error) -> Error {
    match error.code() {
        ErrorCode::MediaDamaged | ErrorCode::DiscoverError | ErrorCode::ValidateFileEmpty => {
            Error::internal(
                ErrorCode::MediaFailed,
                "a stored clip cannot be decoded",
                error,
            )
        }
        _ => error,
    }
}
