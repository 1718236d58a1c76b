//! Taking media in: check, clean or convert, store durably, remember.

use std::sync::Arc;

use pict_rs_media::limits::{Bounds, Limits};
use pict_rs_media::operation::Operation;
use pict_rs_media::{
    Control, Facts, Foreign, Format, Kind, Output, OutputFormat, clean, transform,
};

use crate::config::Heal;
use crate::context::{blocking, to_its_end};
use crate::helper::{self, Helper, magick};
use crate::measure::{self, Work};
use crate::media::{Inspected, Turn};
use crate::query::UploadQuery;
use crate::repo::{Job, NewProxy, NewUpload, Original, Representation};
use crate::service::process::{now, output};
use crate::service::spool::{self, Spooled};
use crate::service::unanswered::Unanswered;
use crate::service::{clip, dummy, validate};
use crate::service::{remove, retention};
use crate::stage::{Stage, timed};
use crate::store::{ObjectWriter, Store, StoredObject};
use crate::{Alias, Context, DeleteToken, Digest, Error, ErrorCode, Result, UploadId};

/// A finished upload.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// Its public name.
    pub alias: Alias,
    /// The secret that deletes it.
    pub token: DeleteToken,
    /// What it names, maybe an earlier upload's content.
    pub original: Original,
}

/// Takes one spooled file in. When this returns, bytes and rows are on disk; they stay once the
/// answer begins.
///
/// # Errors
/// The limits, [`crate::ErrorCode::DiscoverError`], [`crate::ErrorCode::MediaDamaged`],
/// [`crate::ErrorCode::MediaDisallowed`], [`crate::ErrorCode::TooBusy`],
/// [`crate::ErrorCode::FailedExternalValidation`]. Nothing is left of a refused file.
pub async fn ingest(
    ctx: &Arc<Context>,
    spooled: Spooled,
    query: &UploadQuery,
) -> Result<Unanswered> {
    ingest_as(ctx, spooled, query, None).await
}

/// As [`ingest`], under a name that the caller has chosen.
///
/// # Errors
/// As [`ingest`], and [`ErrorCode::DuplicateAlias`].
pub async fn ingest_as(
    ctx: &Arc<Context>,
    spooled: Spooled,
    query: &UploadQuery,
    alias: Option<Alias>,
) -> Result<Unanswered> {
    let running = measure::begin(Work::Ingest);
    let turn = ctx.media.turn().await?;
    let mut ready = prepare(ctx, turn, query, move || spooled.read()).await?;
    ready.alias = alias;
    let ctx = ctx.clone();
    let uploaded = to_its_end(async move {
        // Without a job there is no lease to lose.
        let uploaded = remember(&ctx, ready, Place::Upload).await?;
        Ok(Unanswered::new(ctx, uploaded.ok_or_else(lease_lost)?))
    })
    .await?;
    measure::file("inline");
    running.completed();
    Ok(uploaded)
}

/// Takes in what was fetched for the proxy. `None`, and nothing is left of it, when the alias
/// that it should replace was removed meanwhile.
///
/// # Errors
/// As [`ingest`].
pub(crate) async fn ingest_proxied(
    ctx: &Arc<Context>,
    spooled: Spooled,
    proxy: NewProxy,
) -> Result<Option<Alias>> {
    let running = measure::begin(Work::Ingest);
    let turn = ctx.media.turn().await?;
    let query = UploadQuery::default();
    let ready = prepare(ctx, turn, &query, move || spooled.read()).await?;
    let ctx = ctx.clone();
    let alias = to_its_end(async move {
        let uploaded = remember(&ctx, ready, Place::Proxy(&proxy)).await?;
        retention::grown(&ctx);
        Ok(uploaded.map(|uploaded| uploaded.alias))
    })
    .await?;
    measure::file("proxy");
    running.completed();
    Ok(alias)
}

/// Takes the file of a waiting upload in, together with the end of its job.
///
/// # Errors
/// As [`ingest`], without [`crate::ErrorCode::TooBusy`].
pub(crate) async fn ingest_waiting(
    ctx: &Arc<Context>,
    job: &Job,
    id: &UploadId,
    query: &UploadQuery,
) -> Result<()> {
    let running = measure::begin(Work::BackgroundIngest);
    let turn = ctx.media.background_turn().await?;
    let (store, waiting) = (ctx.store.clone(), *id);
    let read = move || spool::read(store.open_waiting(&waiting)?);
    let ready = prepare(ctx, turn, query, read).await?;
    let (ctx, job, id) = (ctx.clone(), job.clone(), *id);
    to_its_end(async move {
        let uploaded = remember(&ctx, ready, Place::Waiting(&job, &id)).await?;
        uploaded.map(drop).ok_or_else(lease_lost)
    })
    .await?;
    measure::file("background");
    running.completed();
    Ok(())
}

/// Another worker has the job by now, and nothing of this attempt was kept.
fn lease_lost() -> Error {
    Error::Internal {
        code: ErrorCode::UnknownError,
        message: "the lease of a job was lost".to_owned(),
        source: None,
    }
}

fn svg_disabled() -> Error {
    Error::user(
        ErrorCode::SvgDisabled,
        "SVG files are not accepted by this server: media.svg.enable is false",
    )
}

/// A file that is stored, and that no row names yet.
struct Ready {
    stored: StoredObject,
    facts: Facts,
    blurhash: String,
    /// Of the file as it was sent.
    source: Digest,
    /// Chosen by the caller.
    alias: Option<Alias>,
}

async fn prepare(
    ctx: &Arc<Context>,
    turn: Turn,
    query: &UploadQuery,
    read: impl FnOnce() -> Result<Vec<u8>> + Send + 'static,
) -> Result<Ready> {
    if ctx.config.server.danger_dummy_mode {
        let (stored, facts) = dummy::keep(&ctx.store, read).await?;
        let source = stored.key().digest();
        return Ok(Ready {
            stored: validate::external(ctx, stored).await?,
            facts,
            blurhash: dummy::BLURHASH.to_owned(),
            source,
            alias: None,
        });
    }
    let svg = ctx.config.media.svg.enable;
    let (turn, source, digest) = blocking(move || {
        let source = read()?;
        let digest = Digest::of(&source);
        if !svg && pict_rs_media::is_svg(&source) {
            return Err(svg_disabled());
        }
        Ok((turn, source, digest))
    })
    .await?;
    // No program is started for what is not taken in anyway.
    ctx.repo.refuse_blocked(&digest).await?;
    let (turn, source, foreign) = converted(ctx, turn, source, query).await?;
    let bounds = bounds(ctx, query, foreign);
    let Inspected {
        turn,
        source,
        found: facts,
    } = ctx.media.inspect(turn, source, bounds).await?;
    let facts = facts?;
    query.check_kind(facts.kind())?;
    if facts.kind() == Kind::Video {
        if !ctx.config.media.video.enable {
            return Err(disabled());
        }
        return film(ctx, turn, source, &facts, bounds.video, digest).await;
    }
    let plan = Plan::new(ctx, query, &facts, foreign);
    let memory = plan.memory(&facts, source.len() as u64);
    let store = ctx.store.clone();
    let credits = ctx.config.media.keeps_credits();
    let made = ctx
        .media
        .run(turn, memory, move |control| {
            plan.make(&store, &source, &facts, credits, control)
        })
        .await?;
    keep(ctx, made, digest).await
}

/// What an upload is held to. A picture that another program has converted may have more bytes than
/// the file that was sent, whose size was checked before.
fn bounds(ctx: &Context, query: &UploadQuery, foreign: Option<Foreign>) -> Bounds {
    let media = &ctx.config.media;
    let mut image = query.tighten(media.image.limits());
    if foreign.is_some() {
        image.max_file_size = u64::MAX;
    }
    Bounds {
        image,
        animation: query.tighten(media.animation.limits()),
        // Without videos the answer says so, however large they are.
        video: if media.video.enable {
            query.tighten(media.video.limits())
        } else {
            Limits::NONE
        },
        ..Bounds::NONE
    }
}

/// Stores what was made.
async fn keep(ctx: &Arc<Context>, made: Made, source: Digest) -> Result<Ready> {
    let Made {
        writer,
        facts,
        blurhash,
    } = made;
    measure::blurhash();
    // Waiting for the disk needs no processor, so the turn is over.
    let stored = timed(Stage::Store, blocking(move || writer.finish())).await?;
    Ok(Ready {
        stored: validate::external(ctx, stored).await?,
        facts,
        blurhash,
        source,
        alias: None,
    })
}

fn disabled() -> Error {
    Error::user(ErrorCode::VideoDisabled, "Video is disabled")
        .detail("This server does not take videos: media.video.enable is false")
}

/// What only ImageMagick can read becomes a PNG; everything else stays what it is.
async fn converted(
    ctx: &Arc<Context>,
    turn: Turn,
    source: Vec<u8>,
    query: &UploadQuery,
) -> Result<(Turn, Vec<u8>, Option<Foreign>)> {
    let look = move |control: &Control| {
        let what = pict_rs_media::foreign(&source, control);
        Ok((source, what))
    };
    let (turn, (source, what)) = ctx.media.run_on(turn, 0, look).await?;
    let Some(what) = what else {
        return Ok((turn, source, None));
    };
    let is_taken = ctx.config.media.magick.takes(what);
    if what.is_rare() && (!is_taken || ctx.helpers.path(Helper::Magick).is_none()) {
        // The engine's reason tells more than the name of a program.
        return Ok((turn, source, None));
    }
    if !is_taken {
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
    let program = ctx.helpers.need(Helper::Magick)?.to_owned();
    let config = ctx.config.media.clone();
    let memory = size.saturating_add(magick::memory(&config.magick));
    let work = {
        let ctx = ctx.clone();
        move |control: &Control| {
            let folder = helper::folder(ctx.store.spool_folder())?;
            let how = (what, &config.magick, config.process_timeout.duration());
            magick::convert(&program, folder.path(), &source, how, control)
        }
    };
    // The turn goes on with the picture, which nobody holds in memory while it waits for another.
    let (turn, png) = ctx.media.run_on(turn, memory, work).await?;
    Ok((turn, png, Some(what)))
}

/// Takes a clip in.
async fn film(
    ctx: &Arc<Context>,
    turn: Turn,
    source: Vec<u8>,
    facts: &Facts,
    limits: Limits,
    digest: Digest,
) -> Result<Ready> {
    ctx.helpers.need(Helper::Ffmpeg)?;
    let memory = clip::memory(facts, source.len() as u64);
    let work = {
        let ctx = ctx.clone();
        move |control: &Control| {
            let made = clip::write(&ctx, &source, &limits, control)?;
            let mut writer = ctx.store.create(made.facts.format)?;
            writer.write(&made.bytes)?;
            Ok(Made {
                writer,
                facts: made.facts,
                blurhash: made.blurhash,
            })
        }
    };
    let made = ctx.media.run(turn, memory, work).await?;
    keep(ctx, made, digest).await
}

/// What to do with one file.
struct Plan {
    /// `None` keeps the bytes, cleaned.
    convert: Option<(Vec<Operation>, Output)>,
}

struct Made {
    writer: ObjectWriter,
    facts: Facts,
    blurhash: String,
}

impl Plan {
    fn new(ctx: &Context, query: &UploadQuery, facts: &Facts, foreign: Option<Foreign>) -> Self {
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
            None => own_format(facts),
        };
        let format = wanted.unwrap_or(own);
        let is_kept = facts.format.is_kept() && foreign.is_none();
        let stays =
            wanted.is_none_or(|wanted| wanted.file_format(facts.is_animated()) == facts.format);
        if stays && is_kept && !changes_anything(operations, facts) {
            return Self { convert: None };
        }
        let mut output = output(media, format, facts.is_animated());
        if !is_kept && wanted.is_none() {
            output.lossless = facts.lossless && !foreign.is_some_and(Foreign::is_lossy);
            // Nobody asked for it, so nobody should see it.
            output.quality = output.quality.or(Some(CONVERTED_QUALITY));
        }
        Self {
            convert: Some((operations.clone(), output)),
        }
    }

    fn memory(&self, facts: &Facts, file_size: u64) -> u64 {
        let work = match &self.convert {
            None => pict_rs_media::clean_memory(facts),
            Some((operations, output)) => {
                pict_rs_media::predicted_memory(facts, operations, output)
            }
        };
        file_size + work.max(pict_rs_media::preview_memory(facts))
    }

    /// `credits`: whether a cleaned file says who made it.
    fn make(
        &self,
        store: &Store,
        source: &[u8],
        facts: &Facts,
        credits: bool,
        control: &Control,
    ) -> Result<Made> {
        match &self.convert {
            None => {
                let mut cleaned = clean(source, facts, control)?;
                if credits {
                    cleaned = cleaned.with_credits(source);
                }
                let blurhash = pict_rs_media::blurhash(source, facts, control)?;
                let mut writer = store.create(cleaned.facts.format)?;
                for piece in &cleaned.pieces {
                    writer.write(piece)?;
                }
                Ok(Made {
                    writer,
                    facts: cleaned.facts,
                    blurhash,
                })
            }
            Some((operations, output)) => {
                let made = transform(source, facts, operations, output, control)?;
                let blurhash = pict_rs_media::blurhash(&made.bytes, &made.facts, control)?;
                let mut writer = store.create(made.facts.format)?;
                writer.write(&made.bytes)?;
                Ok(Made {
                    writer,
                    facts: made.facts,
                    blurhash,
                })
            }
        }
    }
}

/// Of what replaces an original that cannot be kept, unless the settings name one. Photographs
/// of phones become JPEGs of 0.8 to 1.2 times the size of their HEIC.
const CONVERTED_QUALITY: u8 = 90;

/// The output format that keeps a file what it is, or the nearest one that browsers show.
fn own_format(facts: &Facts) -> OutputFormat {
    // It is kept as it is, but what is made of it would be a still.
    if facts.format == Format::Jxl && facts.is_animated() {
        return OutputFormat::Webp;
    }
    // Every kept format has an output of the same extension.
    OutputFormat::from_extension(facts.format.extension()).unwrap_or(match facts {
        // WebP has 8 bits.
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

/// A photograph that is within `resize=1024` already need not lose quality to it.
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

/// What an upload is remembered together with.
enum Place<'a> {
    /// Nothing.
    Upload,
    /// The end of its job.
    Waiting(&'a Job, &'a UploadId),
    /// The URL that it was fetched from.
    Proxy(&'a NewProxy),
}

/// `None` when its job, or the alias that it replaces, is not there any more.
async fn remember(ctx: &Context, ready: Ready, place: Place<'_>) -> Result<Option<Uploaded>> {
    let Ready {
        mut stored,
        facts,
        blurhash,
        source,
        alias,
    } = ready;
    let representation = Representation::new(stored.object().clone(), *stored.key(), &facts, now());
    let mut upload = NewUpload {
        alias: alias.unwrap_or_else(|| Alias::generate(facts.format)),
        token: DeleteToken::generate(),
        original: Original {
            representation,
            blurhash,
        },
        source: Some(source),
    };
    stored.name();
    let add = async {
        match place {
            Place::Upload => ctx.repo.add_upload(&upload).await.map(Some),
            Place::Waiting(job, id) => ctx.repo.complete_upload(job, id, &upload, now()).await,
            Place::Proxy(proxy) => match ctx.repo.add_proxied(&upload, proxy, now()).await {
                Ok(None) => Ok(None),
                Ok(Some(proxied)) => {
                    ctx.known.forget(&proxied.replaced);
                    remove::collect(ctx, proxied.objects).await;
                    upload.alias = proxied.alias;
                    Ok(Some(proxied.added))
                }
                Err(error) => Err(error),
            },
        }
    };
    let added = timed(Stage::Database, add).await;
    let added = match added {
        Ok(Some(added)) => added,
        Ok(None) => {
            blocking(move || {
                stored.discard();
                Ok(())
            })
            .await?;
            return Ok(None);
        }
        Err(error) => {
            forsake(ctx, stored).await;
            return Err(error);
        }
    };
    let mut original = added.original;
    if added.is_new {
        stored.keep();
    } else {
        let only = match ctx.config.media.heal {
            Heal::Alias => Some(&upload.alias),
            Heal::All => None,
        };
        original = heal(ctx, stored, original, only).await?;
    }
    Ok(Some(Uploaded {
        alias: upload.alias,
        token: upload.token,
        original,
    }))
}

/// The content was known. If its object was lost, ours takes its place; else ours is dropped. With
/// `only`, a file that has gone stays lost to all other aliases: it may have been taken away on
/// purpose. One that is damaged is a fault of the disk, and all of them get it back.
pub(crate) async fn heal(
    ctx: &Context,
    stored: StoredObject,
    mut original: Original,
    only: Option<&Alias>,
) -> Result<Original> {
    let known = &original.representation;
    let (store, object, size) = (ctx.store.clone(), known.object.clone(), known.key.size());
    let (stored, is_unusable, is_gone) = blocking(move || {
        let is_unusable = !store.has(&object, size);
        let is_gone = is_unusable && store.is_lost(&object)?;
        Ok((stored, is_unusable, is_gone))
    })
    .await?;
    if is_unusable {
        let found = stored.object().clone();
        let (hash, lost) = (*original.hash(), &original.representation.object);
        let is_replaced = match only.filter(|_| is_gone) {
            Some(alias) => {
                let repo = &ctx.repo;
                repo.replace_object_for(alias, &hash, lost, &found, now())
                    .await?
            }
            None => ctx.repo.replace_object(&hash, lost, &found).await?,
        };
        if is_replaced {
            tracing::warn!(lost = %original.representation.object, %found, "a lost object was healed by an upload");
            stored.keep();
            let aliases = ctx.repo.aliases(original.hash()).await?;
            ctx.known.forget(&aliases);
            original.representation.object = found;
            return Ok(original);
        }
    } else if only.is_none() {
        ctx.repo.restore_aliases(original.hash()).await?;
    }
    blocking(move || {
        stored.discard();
        Ok(())
    })
    .await?;
    Ok(original)
}

/// The database failed. Only if it can say that no row names the object, the object goes now;
/// else the next start decides.
pub(crate) async fn forsake(ctx: &Context, stored: StoredObject) {
    if let Ok(false) = ctx.repo.knows_object(stored.object()).await {
        let _ = blocking(move || {
            stored.discard();
            Ok(())
        })
        .await;
    }
}
