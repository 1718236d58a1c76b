//! Finds stored pictures that look like another one, by their PDQ hashes.

use std::sync::Arc;

use pict_rs_media::limits::Bounds;
use pict_rs_media::{Facts, Kind, PdqHash, Preview, Turned};

use crate::clock::now;
use crate::media::{InputFile, Permit, Rank, Slot, Worked};
use crate::repo::{ContentWithAliases, LoadingHints, StoredPdq};
use crate::service::spool::{Incoming, Spooled};
use crate::service::{adopt, clip, find, frames};
use crate::state::pdq::StoredHashes;
use crate::task::blocking;
use crate::{Alias, Context, Error, ErrorCode, Result};

/// Bits in which found pictures differ at most, by default.
pub const DISTANCE: u32 = 31;
/// The largest distance that can be asked for. Beyond it everything looks alike.
pub const MAX_DISTANCE: u32 = 128;
/// Pictures that are returned by default.
const DEFAULT: u32 = 20;
/// Pictures that are returned at most.
const MOST: u32 = 100;
/// Contents read at a time.
const BATCH: u32 = 10_000;

/// A picture that was found.
#[derive(Clone, Debug)]
pub struct Similar {
    /// The content.
    pub content: ContentWithAliases,
    /// Bits in which it differs from what was asked for.
    pub distance: u32,
}

/// What to look for.
#[derive(Debug)]
pub enum Sample {
    /// The hash of a picture.
    Hash(PdqHash),
    /// A file that was sent.
    File(Spooled),
    /// A stored picture, whether or not it is in quarantine.
    Alias(Alias),
}

/// The stored pictures that are nearest to `wanted`, at most `distance` bits away.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] for a distance that is too large, [`ErrorCode::AliasNotFound`],
/// [`ErrorCode::NoPdq`] for a file that has no hash, the limits for one that was sent, and those of
/// [`crate::media::Pool::work`].
pub async fn search(
    ctx: &Arc<Context>,
    wanted: Sample,
    distance: Option<u32>,
    limit: Option<u32>,
) -> Result<Vec<Similar>> {
    let distance = distance.unwrap_or(DISTANCE);
    if distance > MAX_DISTANCE {
        let message = format!("distance={distance} is too much, the limit is {MAX_DISTANCE}");
        let error = Error::user(ErrorCode::InvalidQuery, message);
        return Err(error.limit(MAX_DISTANCE).found(distance));
    }
    let limit = limit.unwrap_or(DEFAULT).min(MOST);
    // If this server keeps house, it need not wait for the next look.
    ctx.notifier.frames_wanted();
    let wanted = match wanted {
        Sample::Hash(hash) => vec![hash.turned()],
        Sample::File(spooled) => of_sent(ctx, spooled).await?,
        Sample::Alias(alias) => of_stored(ctx, &alias).await?,
    };
    let mut found = Vec::new();
    for (key, distance) in near(ctx, wanted, distance).await? {
        if found.len() == limit as usize {
            break;
        }
        // It may have been removed since it was read.
        if let Some(content) = ctx.repo.content_with_aliases(&key).await? {
            found.push(Similar { content, distance });
        }
    }
    Ok(found)
}

async fn near(
    ctx: &Context,
    wanted: Vec<Turned>,
    distance: u32,
) -> Result<Vec<(crate::ContentKey, u32)>> {
    // One search at a time: each keeps a processor busy.
    let mut index = Arc::clone(&ctx.stored_pdq).lock_owned().await;
    if index.as_ref().is_some_and(StoredHashes::is_stale) {
        *index = None;
    }
    if index.is_none() {
        *index = Some(read(ctx).await?);
    }
    if let Some(stored) = index.as_mut() {
        let (recent, may_be_more) = ctx.repo.pdq_since(stored.recent(), BATCH).await?;
        if may_be_more {
            // There may be more, so the next search reads all of them.
            *stored = read(ctx).await?;
        } else {
            stored.refresh(recent);
        }
    }
    blocking(move || {
        let found = index.as_ref().map(|stored| stored.near(&wanted, distance));
        Ok::<_, Error>(found.unwrap_or_default())
    })
    .await
}

async fn read(ctx: &Context) -> Result<StoredHashes> {
    let mut stored = StoredHashes::new(now());
    let mut after = None;
    loop {
        let (contents, last) = ctx.repo.pdq_after(after.as_ref(), BATCH).await?;
        stored.push(contents);
        after = last;
        if after.is_none() {
            return Ok(stored);
        }
    }
}

/// Frees the memory of the index when there was no search for a while.
pub(crate) fn forget_unused(ctx: &Context) {
    if let Ok(mut index) = ctx.stored_pdq.try_lock()
        && index.as_ref().is_some_and(StoredHashes::is_unused)
    {
        *index = None;
    }
}

/// The hashes of a file and, if it is an animation or clip, of further frames.
async fn of_sent(ctx: &Arc<Context>, spooled: Spooled) -> Result<Vec<Turned>> {
    let permit = ctx.media.acquire().await?;
    let (source, _sent) = Incoming::Spooled(spooled).read(ctx).await?;
    let media = &ctx.config.media;
    let bounds = Bounds {
        image: media.image.limits(),
        animation: media.animation.limits(),
        video: media.video.limits(),
        ..Bounds::NONE
    };
    let inspected = ctx.media.inspect(permit, source, bounds).await?;
    let facts = inspected.result?;
    let kind = facts.kind();
    let computed = compute(ctx, inspected.permit, inspected.source, facts).await?;
    let further = match kind != Kind::Image && frames::can_show(ctx, kind) {
        true => frames::hashes(ctx, computed.permit, computed.source).await?,
        false => Vec::new(),
    };
    turned(computed.result, further.iter().map(|pdq| *pdq.turned()))
}

async fn of_stored(ctx: &Arc<Context>, alias: &Alias) -> Result<Vec<Turned>> {
    let key = find::content(ctx, alias).await?;
    let content = ctx.repo.content_with_aliases(&key).await?;
    let content = content.ok_or_else(Error::alias_not_found)?;
    let permit = ctx.media.acquire().await?;
    let stored = &content.original.representation;
    let preview = preview_of(ctx, permit, stored).await?;
    let known = ctx.repo.pdq_of(&key).await?.and_then(|pdq| pdq.frames);
    let further: Vec<_> = match known {
        Some(known) => known.iter().map(|frame| frame.hash.turned()).collect(),
        None if stored.kind() == Kind::Image => Vec::new(),
        None => {
            let found = frames::hashes_of(ctx, Rank::Foreground, stored).await?;
            found.iter().flatten().map(|pdq| *pdq.turned()).collect()
        }
    };
    turned(preview, further)
}

fn turned(
    preview: Option<Preview>,
    further: impl IntoIterator<Item = Turned>,
) -> Result<Vec<Turned>> {
    let first = preview.and_then(|preview| preview.pdq);
    let first = first.map(|pdq| *pdq.turned());
    let all: Vec<_> = first.into_iter().chain(further).collect();
    if all.is_empty() {
        let message = "This file has no PDQ hash: it is too small, or a clip that cannot be read";
        return Err(Error::user(ErrorCode::NoPdq, message));
    }
    Ok(all)
}

/// The hashes of a stored file; `None` when it has none.
///
/// # Errors
/// [`ErrorCode::LostFile`], and those of [`crate::media::Pool::work`].
pub(crate) async fn preview_of(
    ctx: &Arc<Context>,
    permit: Permit,
    stored: &crate::repo::Representation,
) -> Result<Option<Preview>> {
    let source = find::whole(ctx, stored).await?;
    let inspected = ctx.media.inspect(permit, source, Bounds::NONE).await?;
    match inspected.result {
        Ok(facts) => {
            let computed = compute(ctx, inspected.permit, inspected.source, facts).await?;
            Ok(computed.result)
        }
        Err(_) => Ok(None),
    }
}

/// The hashes of a stored file, to be recorded, and the PDQ hashes of its turns.
///
/// # Errors
/// As [`preview_of`].
pub(crate) async fn stored_hashes(
    ctx: &Arc<Context>,
    permit: Permit,
    stored: &crate::repo::Representation,
) -> Result<(StoredPdq, Option<Turned>, LoadingHints)> {
    let preview = preview_of(ctx, permit, stored).await?;
    let pdq = preview.as_ref().and_then(|preview| preview.pdq);
    let turned = pdq.map(|pdq| *pdq.turned());
    let hints = preview.map_or_else(LoadingHints::default, LoadingHints::from);
    Ok((StoredPdq::of(pdq.as_ref()), turned, hints))
}

async fn compute(
    ctx: &Arc<Context>,
    permit: Permit,
    source: InputFile,
    facts: Facts,
) -> Result<Worked<Option<Preview>>> {
    let size = source.len() as u64;
    let memory = match facts.kind() {
        Kind::Video => clip::memory(&facts, size),
        _ => size.saturating_add(pict_rs_media::preview_memory(&facts)),
    };
    let context = ctx.clone();
    let work = move |slot: &mut Slot| {
        let preview = adopt::compute(&context, &source, &facts, slot);
        Ok((preview, source))
    };
    let (permit, (result, source)) = ctx.media.run_on(permit, memory, work).await?;
    Ok(Worked {
        source,
        result,
        permit,
    })
}
