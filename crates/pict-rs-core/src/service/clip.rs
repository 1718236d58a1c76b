//! Clips: rewriting them with ffmpeg, and extracting a frame for previews and variants.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pict_rs_media::limits::{self, Bounds, Limits};
use pict_rs_media::{Clip, ClipFile, Facts, Format, Job, Piece, Preview};
use tempfile::TempDir;

use crate::helper::{Helper, Program, ffmpeg, ffmpeg::Ffmpeg};
use crate::media::{InputFile, Slot};
use crate::{Context, Error, ErrorCode, Result};

/// A rewritten clip.
pub(crate) struct Written {
    pub(crate) bytes: InputFile,
    pub(crate) facts: Facts,
    pub(crate) preview: Preview,
}

/// An upper estimate, in bytes, of the memory that work on a clip takes, including the file twice:
/// as received and as rewritten.
pub(crate) fn memory(facts: &Facts, file_size: u64) -> u64 {
    ffmpeg::memory(facts)
        .saturating_add(pict_rs_media::preview_memory(&frame_facts(facts)))
        .saturating_add(file_size.saturating_mul(2))
}

/// The facts of a frame of the clip, before it is extracted.
pub(crate) fn frame_facts(facts: &Facts) -> Facts {
    Facts {
        format: Format::Png,
        stored_width: facts.width(),
        stored_height: facts.height(),
        orientation: pict_rs_media::Orientation::Normal,
        frames: 1,
        duration_ms: None,
        buffered: false,
        lossless: true,
        decoder_tables: 0,
        ..facts.clone()
    }
}

/// Rewrites a clip without its metadata, and without sound unless that is allowed; re-encoded if
/// the settings require another codec. Blocks.
///
/// # Errors
/// [`ErrorCode::ProgramMissing`], [`ErrorCode::MediaDamaged`], the limits.
pub(crate) fn write(
    ctx: &Context,
    source: &InputFile,
    limits: &Limits,
    slot: &mut Slot,
) -> Result<Written> {
    let ClipFile { clip, pieces } = slot.run(&Job::Clip, source)?.clip()?;
    let work = ClipWork::new(ctx, source, &pieces)?;
    let video = &ctx.config.media.video;
    let bytes = InputFile::from(work.ffmpeg().write(&clip, video, slot.control())?);
    // The facts are read from what was written.
    let written = slot.run(&Job::Clip, &bytes)?.clip()?.clip;
    if !video.allow_audio && written.audio.is_some() {
        return Err(Error::Internal {
            code: ErrorCode::MediaFailed,
            message: "ffmpeg has kept the sound of a clip".to_owned(),
            source: None,
        });
    }
    // The container may have lied about its pictures. Only they are checked again: another codec
    // may need more bytes.
    let limits = Limits {
        max_file_size: u64::MAX,
        ..*limits
    };
    limits::check(&written.facts, 0, &limits)?;
    work.goes_on_with_written()?;
    let (frame, facts) = work.frame(&written, None, slot)?;
    limits::check(&facts, 0, &limits)?;
    let preview = slot.run(&Job::Preview(facts), &frame)?.preview()?;
    Ok(Written {
        bytes,
        facts: written.facts,
        preview,
    })
}

/// A frame of a clip: the one at `at` milliseconds, or a representative one. Blocks.
///
/// # Errors
/// [`ErrorCode::InvalidProcessPath`] for a time beyond its end, [`ErrorCode::ProgramMissing`],
/// [`ErrorCode::MediaDamaged`].
pub(crate) fn frame(
    ctx: &Arc<Context>,
    source: &InputFile,
    at: Option<u64>,
    slot: &mut Slot,
) -> Result<(InputFile, Facts)> {
    let ClipFile { clip, pieces } = slot.run(&Job::Clip, source)?.clip()?;
    let duration = clip.facts.duration_ms.unwrap_or(0);
    if let Some(at) = at.filter(|at| *at > duration) {
        let seconds = |millis: u64| format!("{}.{:03}", millis / 1000, millis % 1000);
        return Err(Error::user(
            ErrorCode::InvalidProcessPath,
            format!(
                "time={} is beyond the end of the video, whose duration is {} seconds",
                seconds(at),
                seconds(duration)
            ),
        ));
    }
    ClipWork::new(ctx, source, &pieces)?.frame(&clip, at, slot)
}

/// Writes the clip without parts that ffmpeg would copy although they are not pictures.
fn hand_over(path: &Path, source: &[u8], pieces: &[Piece]) -> Result<()> {
    let failed = |e| Error::io("cannot hand a clip to ffmpeg", e);
    let mut file = fs::File::create(path).map_err(failed)?;
    for piece in pieces {
        file.write_all(piece.bytes(source)?).map_err(failed)?;
    }
    Ok(())
}

/// A working folder that holds a clip, and the program that processes it.
struct ClipWork<'a> {
    program: Program<'a>,
    folder: TempDir,
    time: Duration,
}

impl<'a> ClipWork<'a> {
    fn new(ctx: &'a Context, source: &[u8], pieces: &[Piece]) -> Result<Self> {
        let program = ctx.helpers.program(Helper::Ffmpeg)?;
        let folder = ctx.scratch.helper_folder()?;
        hand_over(&folder.path().join(ffmpeg::CLIP), source, pieces)?;
        Ok(Self {
            program,
            folder,
            time: ctx.config.media.process_timeout.duration(),
        })
    }

    /// Uses the rewritten clip from now on.
    fn goes_on_with_written(&self) -> Result<()> {
        let folder = self.folder.path();
        fs::rename(folder.join(ffmpeg::WRITTEN), folder.join(ffmpeg::CLIP))
            .map_err(|e| Error::internal(ErrorCode::FileIoError, "cannot go on with a clip", e))
    }

    fn frame(&self, clip: &Clip, at: Option<u64>, slot: &mut Slot) -> Result<(InputFile, Facts)> {
        let frame = InputFile::from(self.ffmpeg().frame(clip, at, slot.control())?);
        let facts = slot.run(&Job::Inspect(Bounds::NONE), &frame)?.facts()?;
        Ok((frame, facts))
    }

    fn ffmpeg(&self) -> Ffmpeg<'_> {
        Ffmpeg {
            program: self.program,
            folder: self.folder.path(),
            time: self.time,
        }
    }
}
