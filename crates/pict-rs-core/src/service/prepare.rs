//! Turns an incoming file into what is stored: checks limits, converts, cleans, repairs.

use std::sync::Arc;

use pict_rs_media::limits::{Bounds, Limits};
use pict_rs_media::operation::Operation;
use pict_rs_media::{Done, Facts, Foreign, Format, Job, Kind, Kinds, OutputFormat, Preview};

use crate::clock::now;
use crate::config::output::output;
use crate::helper::{Helper, magick};
use crate::media::{InputFile, JobResult, Permit, Rank, Slot, Worked};
use crate::metrics;
use crate::query::UploadQuery;
use crate::repo::{FramePdq, Original, PdqMatch, Representation, blocked};
use crate::scratch::{Scratch, ScratchFile};
use crate::service::keep::put;
use crate::service::spool::{Incoming, Sent, Spooled};
use crate::service::{clip, dummy, frames, perceptual, validate};
use crate::store::{Prefix, Source, StoredObject};
use crate::task::blocking;
use crate::timing::{Stage, timed};
use crate::{Context, Digest, Error, ErrorCode, Result};

fn svg_disabled() -> Error {
    Error::user(
        ErrorCode::SvgDisabled,
        "SVG files are not accepted by this server: media.svg.enable is false",
    )
}

/// A stored file that no row names yet.
pub(super) struct Ready {
    pub(super) stored: StoredObject,
    pub(super) facts: Facts,
    pub(super) preview: Preview,
    /// The entry of the lists that it looks like, if there is one.
    pub(super) listed: Option<PdqMatch>,
    /// The PDQ hashes of further frames, if they were computed.
    pub(super) frames: Option<Vec<FramePdq>>,
    /// The digest of the file as it was sent.
    pub(super) source: Digest,
}

/// Reads a file, prepares it and stores the result under a key with `prefix`. A failure that took time
/// or memory is remembered.
///
/// # Errors
/// As [`super::upload::ingest`].
pub(super) async fn prepare(
    ctx: &Arc<Context>,
    permit: Permit,
    query: &UploadQuery,
    damaged: Damaged,
    prefix: Prefix,
    incoming: Incoming,
) -> Result<Ready> {
    let (source, sent) = incoming.read(ctx).await?;
    let digest = sent.digest();
    refuse_failed(ctx, &digest, query, damaged)?;
    let ready = async {
        if ctx.config.server.danger_dummy_mode {
            return dummy_ready(ctx, prefix, sent).await;
        }
        let (scratch, rank) = (&ctx.scratch, permit.rank());
        let made = attempt_all(ctx, scratch, permit, query, damaged, source, &sent).await?;
        let listed = perceptual::listed(ctx, &made.preview).await?;
        let ready = keep(ctx, made, listed, prefix, sent).await?;
        with_frames(ctx, rank, ready).await
    };
    ready.await.map_err(|error| {
        let error = Arc::new(error);
        let key = (digest, wish(query, damaged));
        ctx.failures.files.note(key, &error);
        Error::shared(error)
    })
}

/// As [`prepare`] for a file of another server, for which the disk has no room: the result is kept in
/// memory for a while.
///
/// # Errors
/// As [`super::upload::ingest`], and [`ErrorCode::InsufficientStorage`] when it is too large.
pub(super) async fn prepare_in_memory(
    ctx: &Arc<Context>,
    permit: Permit,
    spooled: Spooled,
) -> Result<Original> {
    let (source, sent) = Incoming::Spooled(spooled).read(ctx).await?;
    let (query, damaged) = (UploadQuery::default(), Damaged::Accepted);
    refuse_failed(ctx, &sent.digest(), &query, damaged)?;
    let scratch = ctx.scratch.in_memory();
    let made = attempt_all(ctx, &scratch, permit, &query, damaged, source, &sent).await?;
    metrics::blurhash();
    let mut listed = perceptual::listed(ctx, &made.preview).await?;
    let file = match (made.bytes, sent) {
        (MadeBytes::Written(file), _) | (MadeBytes::OfSource, Sent::Scratch(file)) => file,
        (MadeBytes::OfSource, Sent::Object(..)) => {
            return Err(pict_rs_media::Error::Internal("the file was not spooled".into()).into());
        }
    };
    let (store, format) = (ctx.store.clone(), made.facts.format);
    let kept = blocking(move || store.keep_in_memory(format, &file.read()?));
    let (object, key) = kept.await?;
    let representation = Representation::new(object, key, &made.facts, now());
    if listed.is_none() {
        (_, listed) = compare_frames(ctx, Rank::Foreground, &representation).await?;
    }
    // It would be quarantined, for which it needs a row.
    if listed.is_some() && !ctx.repo.is_released(&key).await? {
        return Err(blocked());
    }
    Ok(Original {
        representation,
        hints: made.preview.into(),
    })
}

async fn dummy_ready(ctx: &Arc<Context>, prefix: Prefix, sent: Sent) -> Result<Ready> {
    let (facts, digest) = (dummy::facts(), sent.digest());
    let object = ctx.store.new_key(prefix, facts.format);
    let stored = put(ctx, object, facts.format, sent.source()).await?;
    Ok(Ready {
        stored: validate::external(ctx, stored).await?,
        facts,
        preview: Preview {
            blurhash: dummy::BLURHASH.to_owned(),
            thumbhash: dummy::THUMBHASH.to_vec(),
            colour: None,
            pdq: None,
        },
        listed: None,
        frames: None,
        source: digest,
    })
}

/// Fails as the last attempt at these bytes did, if that was within the last minute and cost much.
///
/// # Errors
/// [`ErrorCode::MediaFailed`], [`ErrorCode::ProcessTimeout`], [`ErrorCode::ValidateMemory`].
pub(super) fn refuse_failed(
    ctx: &Context,
    digest: &Digest,
    query: &UploadQuery,
    damaged: Damaged,
) -> Result<()> {
    match ctx.failures.files.last(&(*digest, wish(query, damaged))) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// What is wanted with a file, as far as clients choose. The settings do not change.
fn wish(query: &UploadQuery, damaged: Damaged) -> String {
    let query = UploadQuery {
        owner: None,
        ..query.clone()
    };
    format!("{damaged:?} {query:?}")
}

/// Makes of a file what is to be stored. What is written goes to `scratch`.
async fn attempt_all(
    ctx: &Arc<Context>,
    scratch: &Scratch,
    permit: Permit,
    query: &UploadQuery,
    damaged: Damaged,
    source: InputFile,
    sent: &Sent,
) -> Result<Made> {
    let recognised = ctx.media.work(permit, source, Job::Recognise, |_, done| {
        done.and_then(Done::kinds)
    });
    let recognised = recognised.await?;
    let (permit, source, kinds) = (recognised.permit, recognised.source, recognised.result?);
    if kinds.svg && !ctx.config.media.svg.enable {
        return Err(svg_disabled());
    }
    // No program is started for a blocked file.
    ctx.repo.refuse_blocked(&sent.digest()).await?;
    let (permit, source, foreign) = converted(ctx, permit, source, kinds, query).await?;
    let bounds = bounds(ctx, query, foreign);
    let attempt = Preparation {
        ctx,
        scratch,
        query,
    };
    let is_sent = foreign.is_none();
    let made = attempt
        .run(permit, source, foreign, bounds, is_sent)
        .await?;
    let (permit, source, made) = made;
    match made {
        Err(refusal) if foreign.is_none() => match refusal.code() {
            ErrorCode::MediaDamaged => {
                let size = source.len() as u64;
                query.check_size(size, bounds.image.max_file_size)?;
                let (permit, repaired) =
                    repaired(ctx, permit, source, bounds, refusal, damaged).await?;
                // A truncated still may become a PNG, which is larger than the file that was sent.
                let mut bounds = bounds;
                bounds.image.max_file_size = u64::MAX;
                attempt.run(permit, repaired, None, bounds, false).await?.2
            }
            // Only decoding revealed that this variety of the format is unsupported.
            ErrorCode::DiscoverError => {
                let what = kinds.rare.filter(|what| can_be_converted(ctx, *what));
                let what = what.ok_or(refusal)?;
                let (permit, png) = convert(ctx, permit, source, what, query).await?;
                let bounds = self::bounds(ctx, query, Some(what));
                let made = attempt.run(permit, png, Some(what), bounds, false);
                made.await?.2
            }
            _ => Err(refusal),
        },
        made => made,
    }
}

/// What to do with a file that lacks pixels or frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damaged {
    /// Refuse it, and tell the client how much is there. The default for uploads, because the
    /// sender can try again.
    Refused,
    /// Accept what is there.
    Accepted,
}

impl Damaged {
    /// As configured.
    pub(super) fn of_uploads(ctx: &Context) -> Self {
        if ctx.config.media.image.accept_damaged {
            Self::Accepted
        } else {
            Self::Refused
        }
    }
}

/// What all attempts at a file have in common.
struct Preparation<'a> {
    ctx: &'a Arc<Context>,
    scratch: &'a Scratch,
    query: &'a UploadQuery,
}

impl Preparation<'_> {
    /// Prepares a file. Returns the file and its permit too, in case it turns out to be damaged.
    /// `is_sent`: whether this is the file as it was sent, so that it need not be written again if
    /// nothing changes.
    async fn run(
        &self,
        permit: Permit,
        source: InputFile,
        foreign: Option<Foreign>,
        bounds: Bounds,
        is_sent: bool,
    ) -> Result<(Permit, InputFile, Result<Made>)> {
        let Self {
            ctx,
            scratch,
            query,
        } = *self;
        let Worked {
            permit,
            source,
            result,
        } = ctx.media.inspect(permit, source, bounds).await?;
        let facts = match result {
            Ok(facts) => facts,
            Err(error) => return Ok((permit, source, Err(error.into()))),
        };
        query.check_kind(facts.kind())?;
        if facts.kind() == Kind::Video {
            if !ctx.config.media.video.enable {
                return Err(disabled());
            }
            return ingest_clip(ctx, permit, source, &facts, bounds.video).await;
        }
        let job = job(ctx, query, facts, foreign);
        let scratch = scratch.clone();
        let take = move |source: &[u8], done: JobResult| write(&scratch, source, done, is_sent);
        let worked = ctx.media.work(permit, source, job, take).await?;
        Ok((worked.permit, worked.source, worked.result))
    }
}

/// Writes the result of a job on `source`, unless it equals the file that was sent.
fn write(scratch: &Scratch, source: &[u8], done: JobResult, is_sent: bool) -> Result<Made> {
    let made = done.and_then(Done::made)?;
    let pieces = made.pieces.iter().map(|piece| piece.bytes(source));
    let pieces: Vec<_> = pieces.collect::<pict_rs_media::Result<_>>()?;
    let bytes = if is_sent && is_all_of(source, &pieces) {
        MadeBytes::OfSource
    } else {
        MadeBytes::written(scratch, &pieces)?
    };
    let no_preview = || pict_rs_media::Error::Internal("a job has made no blurhash".into());
    Ok(Made {
        bytes,
        facts: made.facts,
        preview: made.preview.ok_or_else(no_preview)?,
    })
}

/// Repairs a damaged file, to what browsers show of it. `refusal` is the engine's error.
async fn repaired(
    ctx: &Context,
    permit: Permit,
    source: InputFile,
    bounds: Bounds,
    refusal: Error,
    damaged: Damaged,
) -> Result<(Permit, InputFile)> {
    let job = Job::Repair(bounds);
    let repair = ctx
        .media
        .work(permit, source, job, |_, done| done.and_then(Done::repaired));
    let Worked { permit, result, .. } = repair.await?;
    let Some(repaired) = result? else {
        return Err(refusal);
    };
    match repaired.missing {
        Some(missing) if damaged == Damaged::Refused => {
            Err(Error::from(pict_rs_media::Error::from(missing))
                .detail("Parts of the file are missing, and media.image.accept_damaged is false"))
        }
        missing => {
            match missing {
                Some(missing) => tracing::info!("a damaged file is taken in: {missing}"),
                None => tracing::debug!(%refusal, "a damaged file was repaired"),
            }
            Ok((permit, repaired.bytes.into()))
        }
    }
}

/// The limits of an upload. A picture that another program has converted may be larger than the
/// file that was sent, whose size was checked before.
fn bounds(ctx: &Context, query: &UploadQuery, foreign: Option<Foreign>) -> Bounds {
    let media = &ctx.config.media;
    let mut image = query.tighten(media.image.limits());
    if foreign.is_some() {
        image.max_file_size = u64::MAX;
    }
    Bounds {
        image,
        animation: query.tighten(media.animation.limits()),
        // Without videos there are no limits for them, because the answer says that they are
        // disabled.
        video: if media.video.enable {
            query.tighten(media.video.limits())
        } else {
            Limits::NONE
        },
        ..Bounds::NONE
    }
}

/// Stores the result.
async fn keep(
    ctx: &Arc<Context>,
    made: Made,
    listed: Option<PdqMatch>,
    prefix: Prefix,
    sent: Sent,
) -> Result<Ready> {
    let Made {
        bytes,
        facts,
        preview,
    } = made;
    metrics::blurhash();
    let digest = sent.digest();
    let source = match bytes {
        MadeBytes::OfSource => sent.source(),
        MadeBytes::Written(file) => {
            drop(sent);
            Source::Scratch(file)
        }
    };
    let object = ctx.store.new_key(prefix, facts.format);
    // Waiting for the disk needs no processor, so the permit has been released.
    let put = put(ctx, object, facts.format, source);
    let stored = timed(Stage::Store, put).await?;
    Ok(Ready {
        stored: validate::external(ctx, stored).await?,
        facts,
        preview,
        listed,
        frames: None,
        source: digest,
    })
}

/// Compares the frames of an animation or clip with the lists, unless the first one has matched.
async fn with_frames(ctx: &Arc<Context>, rank: Rank, mut ready: Ready) -> Result<Ready> {
    if ready.listed.is_some() {
        return Ok(ready);
    }
    let stored = &ready.stored;
    let stored = Representation::new(stored.object().clone(), *stored.key(), &ready.facts, now());
    match compare_frames(ctx, rank, &stored).await {
        Ok((frames, listed)) => {
            (ready.frames, ready.listed) = (frames, listed);
            Ok(ready)
        }
        Err(error) => {
            ready.stored.discard().await;
            Err(error)
        }
    }
}

/// The hashes of further frames of an animation or clip, and the entry of a list that one of them looks
/// like. The frames are not even read while there is no list.
async fn compare_frames(
    ctx: &Arc<Context>,
    rank: Rank,
    stored: &Representation,
) -> Result<(Option<Vec<FramePdq>>, Option<PdqMatch>)> {
    if stored.kind() == Kind::Image || !perceptual::has_lists(ctx).await? {
        return Ok((None, None));
    }
    let Some(found) = frames::hashes_of(ctx, rank, stored).await? else {
        return Ok((None, None));
    };
    let listed = perceptual::listed_frame(ctx, &frames::with_qualities(&found)).await?;
    Ok((Some(FramePdq::all(&found)), listed))
}

fn disabled() -> Error {
    Error::user(ErrorCode::VideoDisabled, "Video is disabled")
        .detail("This server does not take videos: media.video.enable is false")
}

/// Converts files that only ImageMagick can read to PNG; leaves others unchanged.
async fn converted(
    ctx: &Arc<Context>,
    permit: Permit,
    source: InputFile,
    kinds: Kinds,
    query: &UploadQuery,
) -> Result<(Permit, InputFile, Option<Foreign>)> {
    let Some(what) = kinds.foreign else {
        return Ok((permit, source, None));
    };
    if what.is_rare() && !can_be_converted(ctx, what) {
        // The engine's reason is more helpful than the name of a program.
        return Ok((permit, source, None));
    }
    let (permit, png) = convert(ctx, permit, source, what, query).await?;
    Ok((permit, png, Some(what)))
}

/// Whether ImageMagick is installed and may read files of this kind.
fn can_be_converted(ctx: &Context, what: Foreign) -> bool {
    ctx.config.media.magick.takes(what) && ctx.helpers.path(Helper::Magick).is_some()
}

/// Converts a file to PNG with ImageMagick.
async fn convert(
    ctx: &Arc<Context>,
    permit: Permit,
    source: InputFile,
    what: Foreign,
    query: &UploadQuery,
) -> Result<(Permit, InputFile)> {
    if !ctx.config.media.magick.takes(what) {
        return Err(Error::user(
            ErrorCode::DiscoverError,
            format!(
                "{} files are not taken by this server: media.magick.formats does not name {}",
                what.name(),
                what.key()
            ),
        ));
    }
    query.check_kind(Kind::Image)?;
    let size = source.len() as u64;
    query.check_size(size, ctx.config.media.image.limits().max_file_size)?;
    ctx.helpers.need(Helper::Magick)?;
    let config = ctx.config.media.clone();
    let memory = size.saturating_add(magick::memory(&config.magick));
    let work = {
        let ctx = ctx.clone();
        move |slot: &mut Slot| {
            let folder = ctx.scratch.helper_folder()?;
            let program = ctx.helpers.program(Helper::Magick)?;
            let how = (what, &config.magick, config.process_timeout.duration());
            let png = magick::convert(program, folder.path(), &source, how, slot.control())?;
            Ok(InputFile::from(png))
        }
    };
    // The permit stays with the picture, so that no picture is in memory while waiting for another
    // permit.
    ctx.media.run_on(permit, memory, work).await
}

/// Ingests a clip.
async fn ingest_clip(
    ctx: &Arc<Context>,
    permit: Permit,
    source: InputFile,
    facts: &Facts,
    limits: Limits,
) -> Result<(Permit, InputFile, Result<Made>)> {
    ctx.helpers.need(Helper::Ffmpeg)?;
    let memory = clip::memory(facts, source.len() as u64);
    let work = {
        let ctx = ctx.clone();
        move |slot: &mut Slot| {
            let made = clip::write(&ctx, &source, &limits, slot).and_then(|made| {
                Ok(Made {
                    bytes: MadeBytes::written(&ctx.scratch, &[&made.bytes])?,
                    facts: made.facts,
                    preview: made.preview,
                })
            });
            Ok((source, made))
        }
    };
    let (permit, (source, made)) = ctx.media.run_on(permit, memory, work).await?;
    Ok((permit, source, made))
}

struct Made {
    bytes: MadeBytes,
    facts: Facts,
    preview: Preview,
}

/// The bytes to store.
enum MadeBytes {
    /// Those of the source, unchanged.
    OfSource,
    /// Newly written ones.
    Written(ScratchFile),
}

impl MadeBytes {
    fn written(scratch: &Scratch, pieces: &[&[u8]]) -> Result<Self> {
        let mut writer = scratch.create()?;
        for piece in pieces {
            writer.write(piece)?;
        }
        Ok(Self::Written(writer.finish()))
    }
}

/// Whether the pieces, in order, equal `source`.
fn is_all_of(source: &[u8], pieces: &[&[u8]]) -> bool {
    let mut rest = Some(source);
    for piece in pieces {
        rest = rest.and_then(|rest| rest.strip_prefix(*piece));
    }
    rest.is_some_and(<[u8]>::is_empty)
}

/// Which job to do on a file: it is cleaned and kept, unless the client, the settings or the format
/// require a conversion.
fn job(ctx: &Context, query: &UploadQuery, facts: Facts, foreign: Option<Foreign>) -> Job {
    let media = &ctx.config.media;
    let operations = query.operations.as_ref().unwrap_or(&ctx.preprocess_steps);
    let wanted = match facts.kind() {
        Kind::Image => media.image.format.map(crate::config::ImageFormat::output),
        Kind::Animation => media
            .animation
            .format
            .map(crate::config::AnimationFormat::output),
        Kind::Video => None,
    };
    let own = match foreign {
        Some(foreign) if foreign.is_lossy() && !facts.has_alpha => OutputFormat::Jpeg,
        Some(_) => OutputFormat::Webp,
        None => own_format(&facts),
    };
    let format = wanted.unwrap_or(own);
    let is_kept = facts.format.is_kept() && foreign.is_none();
    let stays = wanted.is_none_or(|wanted| wanted.file_format(facts.is_animated()) == facts.format);
    if stays && is_kept && !changes_anything(operations, &facts) {
        return Job::Keep {
            facts,
            credits: media.keeps_credits(),
            preview: true,
        };
    }
    let mut output = output(media, format, facts.is_animated());
    if !is_kept && wanted.is_none() {
        output.lossless = facts.lossless && !foreign.is_some_and(Foreign::is_lossy);
        // The client did not ask for the conversion, so it should not be visible.
        output.quality = output.quality.or(Some(CONVERTED_QUALITY));
    }
    Job::Convert {
        facts,
        operations: operations.clone(),
        output,
        frame: None,
        preview: true,
    }
}

/// The quality for originals that cannot be kept, unless the settings name one. Photographs from
/// phones become JPEGs of 0.8 to 1.2 times the size of their HEIC.
const CONVERTED_QUALITY: u8 = 90;

/// The output format that preserves a file, or the nearest one that browsers show.
fn own_format(facts: &Facts) -> OutputFormat {
    // It is kept as it is, but converting it would give a still.
    if facts.format == Format::Jxl && facts.is_animated() {
        return OutputFormat::Webp;
    }
    // Every kept format has an output of the same extension.
    OutputFormat::from_extension(facts.format.extension()).unwrap_or(match facts {
        // WebP has only 8 bits.
        Facts {
            lossless: true,
            bits: 9..,
            ..
        } => OutputFormat::Png,
        Facts { lossless: true, .. }
        | Facts {
            has_alpha: true, ..
        } => OutputFormat::Webp,
        _ => OutputFormat::Jpeg,
    })
}

/// Whether the operations change the file: a photograph that already fits `resize=1024` need not be
/// re-encoded.
fn changes_anything(operations: &[Operation], facts: &Facts) -> bool {
    let (width, height) = (facts.width(), facts.height());
    operations.iter().any(|operation| match *operation {
        Operation::Thumbnail(size) => {
            pict_rs_media::operation::ResizeTo::Fit(size).size(width, height) != (width, height)
        }
        Operation::Resize { to, .. } => to.size(width, height) != (width, height),
        Operation::Crop {
            width: w,
            height: h,
        } => {
            let rect = pict_rs_media::operation::centred_crop(width, height, w, h);
            (rect.width, rect.height) != (width, height)
        }
        Operation::Blur(sigma) => sigma > 0.0,
    })
}
