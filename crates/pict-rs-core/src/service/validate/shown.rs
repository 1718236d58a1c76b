//! What the external validation is shown instead of a file that it could not open: JPEGs of it
//! (`media.external_validation_as`).

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use pict_rs_media::limits::Bounds;
use pict_rs_media::{Facts, Format, Kind, Output, OutputFormat, Speed, transform, transform_frame};

use crate::config::ValidationAs;
use crate::service::clip;
use crate::store::StoredObject;
use crate::task::blocking;
use crate::{Context, Error, ErrorCode, Result};

/// Pictures of a moving one.
const FRAMES: u32 = 4;
/// Of the JPEGs; programs look at them and do not keep them.
const QUALITY: u8 = 90;

/// Pictures of a stored file, in the order of time; `None` when the file itself is to be shown.
///
/// # Errors
/// [`ErrorCode::TooBusy`], [`ErrorCode::ProcessTimeout`], [`ErrorCode::ValidateMemory`].
pub(super) async fn pictures(
    ctx: &Arc<Context>,
    stored: &StoredObject,
) -> Result<Option<Vec<Bytes>>> {
    let media = &ctx.config.media;
    if media.external_validation_as == ValidationAs::Original
        || stored.key().format() == Format::Jpeg
        // There need not be a picture in it.
        || ctx.config.server.danger_dummy_mode
    {
        return Ok(None);
    }
    let permit = ctx.media.acquire().await?;
    let (store, object, size) = (
        ctx.store.clone(),
        stored.object().clone(),
        stored.key().size(),
    );
    let read = blocking(move || {
        let mut source = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let mut file = store.open_object(&object, size)?;
        file.read_to_end(&mut source)
            .map_err(|e| Error::internal(ErrorCode::FileIoError, "cannot read a new file", e))?;
        Ok(source)
    });
    let inspected = ctx.media.inspect(permit, read.await?, Bounds::NONE).await?;
    let (permit, source, facts) = (inspected.permit, inspected.source, inspected.found?);
    let memory = memory(&facts, size);
    let context = ctx.clone();
    let made = ctx.media.run(permit, memory, move |control| {
        if facts.kind() == Kind::Video {
            let duration = facts.duration_ms.unwrap_or(0);
            let times = (0..u64::from(FRAMES)).map(|n| duration * n / u64::from(FRAMES));
            let picture = |at| -> Result<Bytes> {
                let (frame, facts) = clip::frame(&context, &source, Some(at), control)?;
                Ok(transform(&frame, &facts, &[], &OUTPUT, control)?
                    .bytes
                    .into())
            };
            return times.map(picture).collect::<Result<Vec<Bytes>>>();
        }
        let picture = |frame| -> Result<Bytes> {
            let made = match facts.is_animated() {
                true => transform_frame(&source, &facts, frame, &[], &OUTPUT, control)?,
                false => transform(&source, &facts, &[], &OUTPUT, control)?,
            };
            Ok(made.bytes.into())
        };
        frames(facts.frames).into_iter().map(picture).collect()
    });
    made.await.map(Some)
}

const OUTPUT: Output = Output {
    format: OutputFormat::Jpeg,
    quality: Some(QUALITY),
    lossless: false,
    speed: Speed::Fast,
};

fn memory(facts: &Facts, size: u64) -> u64 {
    let jpeg = |facts: &Facts| pict_rs_media::predicted_memory(facts, &[], &OUTPUT);
    match facts.kind() {
        Kind::Video => clip::memory(facts, size) + jpeg(&clip::frame_facts(facts)),
        Kind::Image | Kind::Animation => size + jpeg(facts),
    }
}

/// The first one, the last one and some between them, counted from 1.
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
