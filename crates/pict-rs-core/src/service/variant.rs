//! Makes and finds variants.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use pict_rs_media::limits::Bounds;
use pict_rs_media::{Done, Facts, Job, Kind};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::clock::now;
use crate::config::output::output;
use crate::media::{Outcome, Slot};
use crate::metrics::{self, Work};
use crate::query::ProcessRequest;
use crate::repo::{Original, Representation};
use crate::scratch::ScratchFile;
use crate::service::forget::forget;
use crate::service::nodes::{self, Turn};
use crate::service::{clip, find, keep, remove, retention};
use crate::state::pending_variants::Storing;
use crate::store::{Lent, Prefix, Source, Store, StoredObject};
use crate::task::{blocking, run_to_completion};
use crate::timing::{self, Stage, timed};
use crate::{Alias, ContentKey, Context, Error, ErrorCode, Result, VariantKey};

/// How often to look whether another server has made a variant.
const TURN_INTERVAL: Duration = Duration::from_millis(100);

/// A content and the requested variant of it.
pub type Found = (Arc<Original>, Arc<Representation>);

/// The variant if it exists; never makes it.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`].
pub async fn existing(
    ctx: &Context,
    alias: &Alias,
    request: &ProcessRequest,
) -> Result<Option<Found>> {
    if ctx.config.server.danger_dummy_mode {
        // In dummy mode, files need not be pictures, so no variants can be made.
        let original = find::original(ctx, alias).await?;
        let variant = Arc::new(original.representation.clone());
        return Ok(Some((original, variant)));
    }
    let request = &*normalized(ctx, alias, request).await?;
    if let Some(found) = ctx.fact_cache.variant(alias, &request.key, &ctx.last_used) {
        return Ok(Some(found));
    }
    let generation = ctx.fact_cache.generation();
    let original = find::original(ctx, alias).await?;
    let key = (*original.hash(), request.key.clone());
    if let Some(variant) = ctx.pending_variants.get(&key) {
        return Ok(Some((original, variant)));
    }
    let variant = ctx.repo.variant(original.hash(), &request.key);
    let Some(variant) = timed(Stage::Database, variant).await? else {
        return Ok(None);
    };
    let variant = Arc::new(variant);
    // Only the database knows the last recorded use, so it does the comparison.
    let noted_at = ctx.last_used.variant(&variant.object, 0);
    ctx.fact_cache
        .remember_variant(generation, alias, &request.key, &variant, noted_at);
    Ok(Some((original, variant)))
}

/// `request` in its normalised form. Reads facts only if a frame is named, which is rare.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`].
pub(super) async fn normalized<'a>(
    ctx: &Context,
    alias: &Alias,
    request: &'a ProcessRequest,
) -> Result<Cow<'a, ProcessRequest>> {
    if request.frame.is_none() && request.time.is_none() {
        return Ok(Cow::Borrowed(request));
    }
    let original = find::original(ctx, alias).await?;
    let stored = &original.representation;
    request.normalized(stored.kind(), stored.frames)
}

/// The variant, made now if needed. Concurrent requests for a new variant share one conversion.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::TooBusy`], [`ErrorCode::ReadOnly`] when it would
/// have to be made, [`ErrorCode::LostFile`], [`ErrorCode::ProcessTimeout`].
pub async fn get_or_make(
    ctx: &Arc<Context>,
    alias: &Alias,
    request: &ProcessRequest,
) -> Result<Found> {
    at_rank(ctx, alias, request, Rank::Foreground).await
}

/// As [`get_or_make`], for a worker: no client waits, so there is no limit on the queue.
///
/// # Errors
/// As [`get_or_make`].
pub(crate) async fn in_background(
    ctx: &Arc<Context>,
    alias: &Alias,
    request: &ProcessRequest,
) -> Result<()> {
    let (original, variant) = at_rank(ctx, alias, request, Rank::Background).await?;
    if !Store::is_in_memory(&variant.object) {
        return Ok(());
    }
    // A client asked first.
    let request = &*normalized(ctx, alias, request).await?;
    let key = (*original.hash(), request.key.clone());
    ctx.pending_variants.stored(&key).await;
    match ctx.repo.variant(&key.0, &key.1).await? {
        Some(_) => Ok(()),
        None => Err(Error::Internal {
            code: ErrorCode::StoreUnavailable,
            message: "a variant could not be stored".to_owned(),
            source: None,
        }),
    }
}

/// Whether a client or the worker asks.
#[derive(Clone, Copy)]
enum Rank {
    Foreground,
    Background,
}

async fn at_rank(
    ctx: &Arc<Context>,
    alias: &Alias,
    request: &ProcessRequest,
    rank: Rank,
) -> Result<Found> {
    let request = &*normalized(ctx, alias, request).await?;
    if let Some(found) = existing(ctx, alias, request).await? {
        return Ok(found);
    }
    remove::writable(ctx)?;
    let generation = ctx.fact_cache.generation();
    let original = find::original(ctx, alias).await?;
    let key = (*original.hash(), request.key.clone());
    if let Some(error) = ctx.failures.variants.last(&key) {
        return Err(error);
    }
    let flight = ctx.flights.join(key.clone(), || {
        timing::inherit_timings(make(ctx.clone(), original.clone(), request.clone(), rank))
    });
    let variant = flight.await.map_err(|error| {
        ctx.failures.variants.note(key.clone(), &error);
        Error::shared(error)
    })?;
    // Where a variant is changes when it is stored.
    if ctx.pending_variants.get(&key).is_none() {
        let made_at = variant.created_at;
        ctx.fact_cache
            .remember_variant(generation, alias, &request.key, &variant, made_at);
    }
    Ok((original, variant))
}

/// Forgets a variant whose object is lost, so that the next [`get_or_make`] makes it again. In
/// read-only mode it stays lost.
///
/// # Errors
/// When the database fails.
pub async fn forget_lost(ctx: &Arc<Context>, alias: &Alias, lost: &Representation) -> Result<()> {
    if ctx.config.server.read_only {
        return Ok(());
    }
    if Store::is_in_memory(&lost.object) {
        ctx.fact_cache.forget([alias]);
        ctx.pending_variants.forget(&lost.object);
        return Ok(());
    }
    tracing::warn!(object = %lost.object, "a variant is lost and will be made again");
    let (ctx, alias, object) = (ctx.clone(), alias.clone(), lost.object.clone());
    run_to_completion(async move {
        let removal = ctx.repo.forget_variant(&object).await?;
        // Another request may have removed it before this alias was cached.
        ctx.fact_cache.forget([&alias]);
        forget(&ctx, removal).await;
        Ok(())
    })
    .await
}

async fn make(
    ctx: Arc<Context>,
    original: Arc<Original>,
    request: ProcessRequest,
    rank: Rank,
) -> Result<Arc<Representation>> {
    let key = (*original.hash(), request.key.clone());
    if let Some(variant) = ctx.pending_variants.get(&key) {
        return Ok(variant);
    }
    let turn = match turn(&ctx, &original, &request).await? {
        Turning::Made(variant) => return Ok(Arc::new(variant)),
        Turning::Ours(turn) => turn,
    };
    let running = metrics::begin(Work::Generate);
    let permit = match rank {
        Rank::Foreground => ctx.media.acquire().await?,
        Rank::Background => ctx.media.acquire_background().await?,
    };
    let source = find::whole(&ctx, &original.representation).await?;
    let size = original.representation.key.size();
    let inspected = ctx.media.inspect(permit, source, Bounds::NONE).await?;
    let (permit, source) = (inspected.permit, inspected.source);
    let facts = inspected.result.map_err(stored_is_broken)?;
    check_frame(request.frame, &facts)?;
    let is_clip = facts.kind() == Kind::Video;
    let is_animated = !is_clip && facts.is_animated() && request.frame.is_none();
    let output = output(&ctx.config.media, request.format, is_animated);
    let convert = {
        let (operations, frame) = (request.operations.clone(), request.frame);
        move |facts| Job::Convert {
            facts,
            operations,
            output,
            frame,
            blurhash: false,
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
            let done = slot.run(&convert(facts), &frame);
            Ok(whole(&frame, done))
        };
        ctx.media.run(permit, memory, work).await?
    } else {
        let worked = ctx.media.work(permit, source, convert(facts), whole);
        worked.await?.result
    };
    let (bytes, facts) = made.map_err(stored_is_broken)?;
    metrics::generated();
    running.completed();
    let bytes = Arc::new(bytes);
    let made = NewVariant {
        original,
        key: request.key,
        facts,
    };
    // On the heap, as is what it spawns: each future around a large one would move it over the stack.
    let kept = keep(&ctx, made.clone(), bytes.clone(), turn, rank).boxed();
    match kept.await {
        // The variant exists now, so a client that waits for it need not be refused.
        Err(error) if is_of_store(&error) && matches!(rank, Rank::Foreground) => {
            tracing::warn!(%error, "a variant is served from memory");
            unstored(&ctx, bytes, &made.facts).await
        }
        kept => kept,
    }
}

/// A variant whose bytes are there.
#[derive(Clone)]
struct NewVariant {
    original: Arc<Original>,
    key: VariantKey,
    facts: Facts,
}

/// Keeps a variant. A client does not wait until it is stored, unless many are being stored: it can be
/// made again, so nothing depends on its being durable.
async fn keep(
    ctx: &Arc<Context>,
    made: NewVariant,
    bytes: Arc<Vec<u8>>,
    turn: Turn,
    rank: Rank,
) -> Result<Arc<Representation>> {
    let scratch = ctx.scratch.clone();
    let write = move || {
        let mut writer = scratch.create()?;
        writer.write(&bytes)?;
        Ok(writer.finish())
    };
    let file = timed(Stage::Store, blocking(write)).await?;
    if let Rank::Foreground = rank {
        let lent = ctx.store.lend(&file, made.facts.format)?;
        let content = ContentKey::of(file.digest(), file.size(), made.facts.format);
        let variant = Representation::new(lent.object().clone(), content, &made.facts, now());
        let variant = Arc::new(variant);
        let key = (*made.original.hash(), made.key.clone());
        if let Some(pending) = ctx.pending_variants.begin(key, &variant) {
            let created_at = variant.created_at;
            let stored = store(ctx.clone(), made, file, created_at).boxed();
            let task = follow(ctx.clone(), stored, pending, (lent, turn));
            ctx.runtime.spawn(task.in_current_span());
            return Ok(variant);
        }
    }
    let stored = store(ctx.clone(), made, file, now()).boxed();
    let stored = timed(Stage::Store, stored).await;
    drop(turn);
    stored
}

/// Waits until a variant is stored that clients have already.
async fn follow(
    ctx: Arc<Context>,
    stored: BoxFuture<'static, Result<Arc<Representation>>>,
    mut pending: Storing,
    (lent, turn): (Lent, Turn),
) {
    match stored.await {
        Err(error) if is_of_store(&error) => {
            let kept = blocking(move || lent.keep_in_memory()).await;
            pending.failed();
            drop(turn);
            if kept.is_err() {
                tracing::warn!(%error, "a variant could not be stored");
                return;
            }
            tracing::warn!(%error, "a variant is served from memory");
            tokio::select! {
                () = tokio::time::sleep(Store::UNSTORED_LIFETIME) => {}
                _ = ctx.notifier.stopped() => {}
            }
            return;
        }
        // Its content was removed.
        Err(error) if error.code() == ErrorCode::AliasNotFound => {}
        Err(error) => tracing::error!(%error, "a variant could not be stored"),
        Ok(_) => {}
    }
    // In this order: as long as it is pending it can be read.
    drop(pending);
    drop((lent, turn));
}

fn is_of_store(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::InsufficientStorage | ErrorCode::StoreUnavailable
    )
}

/// Makes an object and a row of a variant.
async fn store(
    ctx: Arc<Context>,
    made: NewVariant,
    file: ScratchFile,
    created_at: i64,
) -> Result<Arc<Representation>> {
    let format = made.facts.format;
    let object = ctx.store.new_key(Prefix::Variant, format);
    let stored = keep::put(&ctx, object, format, Source::Scratch(file)).await?;
    let (object, content) = (stored.object().clone(), *stored.key());
    let variant = Representation::new(object, content, &made.facts, created_at);
    run_to_completion(async move { remember(&ctx, stored, &made, variant).await }).await
}

/// What becomes of the wish to make a variant.
enum Turning {
    /// It has been made, by a flight that has just ended or by another server.
    Made(Representation),
    /// No other server makes it.
    Ours(Turn),
}

/// Waits while another server makes the variant.
async fn turn(
    ctx: &Arc<Context>,
    original: &Original,
    request: &ProcessRequest,
) -> Result<Turning> {
    let hash = original.hash();
    let deadline = Instant::now() + ctx.config.media.queue_timeout.duration();
    loop {
        if let Some(variant) = ctx.repo.variant(hash, &request.key).await? {
            return Ok(Turning::Made(variant));
        }
        if let Some(turn) = nodes::take_turn(ctx, hash, &request.key).await? {
            if ctx.repo.is_shared()
                && let Some(variant) = ctx.repo.variant(hash, &request.key).await?
            {
                // Made between the two looks.
                return Ok(Turning::Made(variant));
            }
            return Ok(Turning::Ours(turn));
        }
        if Instant::now() > deadline {
            return Err(Error::user(
                ErrorCode::TooBusy,
                "Another server is making this picture and takes too long",
            ));
        }
        tokio::time::sleep(TURN_INTERVAL).await;
    }
}

/// The file that a job made, as one piece, and its facts.
fn whole(source: &[u8], outcome: Outcome) -> pict_rs_media::Result<(Vec<u8>, Facts)> {
    let made = outcome.and_then(Done::made)?;
    let facts = made.facts.clone();
    Ok((made.into_bytes(source)?, facts))
}

/// A variant that does not fit on the disk.
async fn unstored(
    ctx: &Context,
    bytes: Arc<Vec<u8>>,
    facts: &Facts,
) -> Result<Arc<Representation>> {
    let (store, format) = (ctx.store.clone(), facts.format);
    let kept = blocking(move || store.keep_in_memory(format, &bytes));
    let (object, key) = kept.await?;
    Ok(Arc::new(Representation::new(object, key, facts, now())))
}

async fn remember(
    ctx: &Arc<Context>,
    mut stored: StoredObject,
    made: &NewVariant,
    variant: Representation,
) -> Result<Arc<Representation>> {
    stored.name();
    let hash = made.original.hash();
    let added = ctx.repo.add_variant(hash, &made.key, &variant);
    let added = timed(Stage::Database, added).await;
    let added = match added {
        Ok(added) => added,
        Err(error) => {
            keep::discard_if_unreferenced(ctx, stored, &error).await;
            return Err(error);
        }
    };
    match added {
        Some(kept) => {
            match kept.object == variant.object {
                true => stored.keep().await,
                false => stored.discard().await,
            }
            // The variant exists anyway; the next one tries again.
            if let Err(error) = retention::bound(ctx, hash, &kept.object).await {
                tracing::warn!(%error, "variants beyond their number could not be dropped");
            }
            retention::grown(ctx);
            Ok(Arc::new(kept))
        }
        // The content was removed meanwhile.
        None => {
            stored.discard().await;
            Err(Error::alias_not_found())
        }
    }
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
            "a stored original cannot be decoded",
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
