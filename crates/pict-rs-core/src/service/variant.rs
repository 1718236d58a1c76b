//! Makes and finds variants.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use pict_rs_media::Facts;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::clock::now;
use crate::media::Rank;
use crate::metrics::{self, WorkKind};
use crate::query::ProcessRequest;
use crate::repo::{Original, Representation};
use crate::scratch::ScratchFile;
use crate::service::convert::convert;
use crate::service::forget::forget;
use crate::service::nodes::{self, Turn};
use crate::service::{budget, find, keep, reduced, remove, retention};
use crate::state::pending_variants::Storing;
use crate::store::{Lent, Prefix, Source, Store, StoredObject};
use crate::task::{blocking, run_to_completion};
use crate::timing::{self, Stage, timed};
use crate::{Alias, ContentKey, Context, Error, ErrorCode, ObjectKey, Result, VariantKey};

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
    // On the heap, as is all that requests for known variants do not need: their future is moved several
    // times, and all of it would be moved along.
    uncached(ctx, alias, request).boxed().await
}

/// As [`existing`], of a variant that is not in the cache.
async fn uncached(ctx: &Context, alias: &Alias, request: &ProcessRequest) -> Result<Option<Found>> {
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

async fn at_rank(
    ctx: &Arc<Context>,
    alias: &Alias,
    request: &ProcessRequest,
    rank: Rank,
) -> Result<Found> {
    let request = &*normalized(ctx, alias, request).await?;
    match existing(ctx, alias, request).await? {
        Some(found) => Ok(found),
        None => missing(ctx, alias, request, rank).boxed().await,
    }
}

/// Makes a variant that does not exist, or joins those who wait for it.
async fn missing(
    ctx: &Arc<Context>,
    alias: &Alias,
    request: &ProcessRequest,
    rank: Rank,
) -> Result<Found> {
    remove::writable(ctx)?;
    let generation = ctx.fact_cache.generation();
    let original = find::original(ctx, alias).await?;
    let key = (*original.hash(), request.key.clone());
    if let Some(error) = ctx.failures.variants.last(&key) {
        return Err(error);
    }
    let flight = ctx.flights.join(key.clone(), || {
        make_boxed(ctx.clone(), original.clone(), request.clone(), rank)
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
    forget_row(ctx, &lost.object, Some(alias)).await
}

async fn forget_row(ctx: &Arc<Context>, lost: &ObjectKey, alias: Option<&Alias>) -> Result<()> {
    let (ctx, object, alias) = (ctx.clone(), lost.clone(), alias.cloned());
    run_to_completion(async move {
        let removal = ctx.repo.forget_variant(&object).await?;
        // Another request may have removed it before this alias was cached.
        ctx.fact_cache.forget(&alias);
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
    let reduced = reduced_copy(&ctx, &original, &request, rank).boxed().await;
    let running = metrics::begin(WorkKind::Generate);
    let made = from_best_source(&ctx, rank, &original, reduced, &request).boxed();
    let (bytes, facts) = made.await?;
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

/// From the reduced copy, if there is one. If that is lost or damaged, the original is still there.
async fn from_best_source(
    ctx: &Arc<Context>,
    rank: Rank,
    original: &Original,
    reduced: Option<Arc<Representation>>,
    request: &ProcessRequest,
) -> Result<(Vec<u8>, Facts)> {
    if let Some(copy) = reduced {
        match convert(ctx, ctx.media.acquire_as(rank).await?, &copy, request).await {
            Err(error) if matches!(error.code(), ErrorCode::LostFile | ErrorCode::MediaFailed) => {
                forget_reduced(ctx, &copy, &error).await;
            }
            made => return made,
        }
    }
    let permit = ctx.media.acquire_as(rank).await?;
    convert(ctx, permit, &original.representation, request).await
}

/// The reduced copy from which a variant is to be made. It is made when the second variant is, because
/// most originals never have two.
async fn reduced_copy(
    ctx: &Arc<Context>,
    original: &Arc<Original>,
    request: &ProcessRequest,
    rank: Rank,
) -> Option<Arc<Representation>> {
    if !ctx.config.media.reduced_copies || !reduced::serves(&original.representation, request) {
        return None;
    }
    let key = (*original.hash(), reduced::key());
    if let Some(copy) = ctx.pending_variants.get(&key) {
        return Some(copy);
    }
    // If the database fails here, it also fails where its error is returned.
    let known = timed(Stage::Database, ctx.repo.variant(&key.0, &key.1));
    if let Some(copy) = known.await.ok()? {
        ctx.last_used.variant(&copy.object, 0);
        return Some(Arc::new(copy));
    }
    if ctx.failures.variants.last(&key).is_some() || !has_another(ctx, &key.0, request).await {
        return None;
    }
    let flight = ctx.flights.join(key.clone(), || {
        make_boxed(ctx.clone(), original.clone(), reduced::request(), rank)
    });
    match flight.await {
        Ok(copy) => Some(copy),
        Err(error) => {
            tracing::debug!(%error, "no reduced copy could be made");
            ctx.failures.variants.note(key, &error);
            None
        }
    }
}

/// [`make`] makes the reduced copy too; without this its type would contain itself.
fn make_boxed(
    ctx: Arc<Context>,
    original: Arc<Original>,
    request: ProcessRequest,
    rank: Rank,
) -> BoxFuture<'static, Result<Arc<Representation>>> {
    timing::inherit_timings(make(ctx, original, request, rank)).boxed()
}

/// Whether a content has another variant, or one is being made.
async fn has_another(ctx: &Context, hash: &ContentKey, request: &ProcessRequest) -> bool {
    ctx.pending_variants.has_any(hash)
        || ctx
            .flights
            .any(|(content, variant)| content == hash && *variant != request.key)
        || timed(Stage::Database, ctx.repo.has_variants(hash))
            .await
            .unwrap_or(false)
}

/// Forgets a reduced copy that could not be used, so that the next variant has a new one made.
async fn forget_reduced(ctx: &Arc<Context>, copy: &Representation, error: &Error) {
    if Store::is_in_memory(&copy.object) {
        // It was stored a moment ago, under another key, or it is gone.
        ctx.pending_variants.forget(&copy.object);
        return;
    }
    tracing::warn!(object = %copy.object, %error, "a reduced copy is lost or damaged and will be made again");
    if let Err(error) = forget_row(ctx, &copy.object, None).await {
        tracing::warn!(%error, "a reduced copy could not be forgotten");
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
    if let Rank::Foreground = rank {
        budget::refuse_variant(ctx)?;
    }
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
