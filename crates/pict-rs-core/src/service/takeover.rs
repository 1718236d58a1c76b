//! Takes over from a running server, the predecessor, while this one already answers.
//!
//! What is unknown here is asked of the predecessor and kept: the original with its times, under the
//! same alias. [`run`] copies the rest in the background. Deletions reach both; an alias that was
//! deleted here does not come back. Once everything is here, the predecessor is asked only about
//! delete tokens, which it does not tell.

pub(crate) mod run;
#[cfg(feature = "migrate")]
pub(crate) mod tokens;

use std::sync::Arc;

use pict_rs_media::Format;

use crate::clock::now;
use crate::fetch::predecessor::{self, Delivery, IncomingFile, Named, Predecessor, Recorded};
use crate::fetch::{Body, Fetched};
use crate::media::{Permit, Rank};
use crate::repo::{Brought, LoadingHints, NewProxy, Original, TakeoverRun};
use crate::scratch::ScratchFile;
use crate::service::adopt::{self, Shape};
use crate::service::forget::forget;
use crate::service::keep::{self, discard_if_unreferenced, replace_lost_object};
use crate::store::{Prefix, Source};
use crate::task::{blocking, run_to_completion};
use crate::{Alias, ContentKey, Context, DeleteToken, Error, ErrorCode, Result, SourceUrl};

/// Bytes buffered before they are passed to a blocking thread.
const BATCH: usize = 256 * 1024;
/// The most bytes that a content key can count.
const MOST_BYTES: u64 = (1 << 48) - 1;

/// How far the takeover is.
#[derive(Clone, Debug)]
pub struct TakeoverStatus {
    /// The counts.
    pub run: TakeoverRun,
    /// Deleted aliases that the predecessor is still to delete, as far as they were counted.
    pub untold: u64,
    /// Aliases whose delete tokens only the predecessor knows, as far as they were counted.
    pub unknown_tokens: u64,
    /// Why the run does not proceed; `None` when it does.
    pub trouble: Option<(ErrorCode, String)>,
}

/// Begins or resumes the takeover that the settings name, and ends one that they do not name any
/// more.
///
/// # Errors
/// When the database fails.
pub(crate) async fn begin(ctx: &Context) -> Result<()> {
    let Some(predecessor) = &ctx.predecessor else {
        if ctx.config.server.read_only {
            return Ok(());
        }
        let ended = ctx.repo.end_takeover().await?;
        if let Some(run) = ended.filter(|run| run.finished_at.is_none()) {
            tracing::warn!(
                predecessor = run.url,
                copied = run.copied,
                "a takeover is ended before everything was here, because takeover.url is not set"
            );
        }
        return Ok(());
    };
    let run = ctx.repo.begin_takeover(predecessor.url(), now()).await?;
    ctx.arrivals.set_complete(run.finished_at.is_some());
    tracing::info!(
        predecessor = run.url,
        pass = run.pass,
        copied = run.copied,
        complete = run.finished_at.is_some(),
        "taking over from a running server"
    );
    Ok(())
}

/// How far the takeover is; `None` without one.
///
/// # Errors
/// When the database fails.
pub async fn status(ctx: &Context) -> Result<Option<TakeoverStatus>> {
    let Some(run) = ctx.repo.takeover().await? else {
        return Ok(None);
    };
    Ok(Some(TakeoverStatus {
        run,
        untold: ctx.repo.untold(run::DELETIONS).await?.len() as u64,
        unknown_tokens: ctx.repo.unknown_tokens().await?,
        trouble: ctx.arrivals.trouble(),
    }))
}

/// The header by which a request of this server to itself is found out.
pub const SUCCESSOR: &str = predecessor::SUCCESSOR;

/// Refuses a request that this server has sent to itself, because `takeover.url` leads back to it:
/// otherwise it would find that everything is here.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`].
pub fn refuse_own(ctx: &Context, successor: &[u8]) -> Result<()> {
    match &ctx.predecessor {
        Some(predecessor) if predecessor.is_own(successor) => Err(Error::user(
            ErrorCode::ConfigInvalid,
            "takeover.url leads back to this server",
        )),
        _ => Ok(()),
    }
}

/// The predecessor, while it may know more than this server.
fn incomplete(ctx: &Context) -> Option<&Predecessor> {
    let predecessor = ctx.predecessor.as_ref();
    predecessor.filter(|_| !ctx.arrivals.is_complete())
}

/// Brings an alias that is unknown here. Concurrent requests for one alias share one transfer.
/// Returns whether the alias is here now.
///
/// # Errors
/// [`ErrorCode::PredecessorUnavailable`], [`ErrorCode::PredecessorError`], [`ErrorCode::TooBusy`],
/// [`ErrorCode::InsufficientStorage`].
pub async fn bring(ctx: &Arc<Context>, alias: &Alias) -> Result<bool> {
    if incomplete(ctx).is_none() {
        return Ok(false);
    }
    if ctx.repo.has_alias(alias).await? {
        return Ok(true);
    }
    if ctx.arrivals.is_absent(alias) {
        return Ok(false);
    }
    let flight = ctx.arrivals.flights().join(alias.clone(), || {
        let (ctx, alias) = (ctx.clone(), alias.clone());
        async move { fetch(&ctx, &alias).await }
    });
    flight.await.map_err(Error::shared)
}

async fn fetch(ctx: &Arc<Context>, alias: &Alias) -> Result<bool> {
    let Some(predecessor) = incomplete(ctx) else {
        return Ok(false);
    };
    // A flight that has just ended may have brought it.
    if ctx.repo.has_alias(alias).await? {
        return Ok(true);
    }
    if ctx.repo.is_buried(alias).await? {
        return Ok(false);
    }
    let recorded = predecessor.details(Named::Alias(alias)).await?;
    let Some(recorded) = recorded else {
        ctx.arrivals.is_not_there(alias);
        return Ok(false);
    };
    let names = std::slice::from_ref(alias);
    match copy(ctx, alias, names, Some(recorded), Rank::Foreground).await? {
        Copied::Added { .. } => Ok(true),
        // The run has brought it, or it was deleted.
        Copied::Nothing => ctx.repo.has_alias(alias).await,
        Copied::Unknown => {
            ctx.arrivals.is_not_there(alias);
            Ok(false)
        }
        Copied::Lost => Err(Error::user(
            ErrorCode::PredecessorError,
            "The server that this one takes over from has lost this file",
        )),
    }
}

/// Brings the copy of a remote file that the predecessor has, and returns its alias. `None` when it
/// has none.
///
/// # Errors
/// As [`bring`].
pub(crate) async fn bring_url(ctx: &Arc<Context>, url: &SourceUrl) -> Result<Option<Alias>> {
    let Some(predecessor) = incomplete(ctx) else {
        return Ok(None);
    };
    if predecessor.details(Named::Url(url)).await?.is_none() {
        return Ok(None);
    }
    let aliases = predecessor.aliases(Named::Url(url)).await?;
    let aliases = aliases.unwrap_or_default();
    let Some(first) = aliases.first() else {
        return Ok(None);
    };
    // An alias that was deleted here stays deleted.
    if !bring(ctx, first).await? {
        return Ok(None);
    }
    let mut alias = first.clone();
    if aliases.len() > 1 {
        // It does not tell which of them belongs to the URL.
        let Some(key) = ctx.repo.content_of(first).await? else {
            return Ok(None);
        };
        alias = Alias::generate(key.format());
        let names = std::slice::from_ref(&alias);
        let brought = ctx.repo.bring_in(Brought::Known(&key), names, now());
        if brought.await?.is_none() {
            return Ok(None);
        }
    }
    let row = stale(url.as_str());
    if ctx.repo.name_url(&row, &alias, now()).await? {
        return Ok(Some(alias));
    }
    let proxy = ctx.repo.proxy(url.as_str()).await?;
    Ok(proxy.map(|proxy| proxy.alias))
}

/// A copy that another server has fetched. The upstream is asked on the first request.
pub(crate) fn stale(url: &str) -> NewProxy {
    NewProxy {
        url: url.to_owned(),
        etag: None,
        last_modified: None,
        fresh_until: 0,
        replaces: None,
    }
}

/// Adds all aliases that the predecessor has for the content of `alias`, which is here.
///
/// # Errors
/// [`ErrorCode::PredecessorUnavailable`], [`ErrorCode::PredecessorError`].
pub(crate) async fn complete(ctx: &Context, alias: &Alias) -> Result<()> {
    let Some(predecessor) = incomplete(ctx) else {
        return Ok(());
    };
    let Some(key) = ctx.repo.content_of(alias).await? else {
        return Ok(());
    };
    // By its key, because the predecessor may know the content under other aliases only.
    let listed = predecessor.page(Some(&key.to_slug()), 1).await?;
    let mut listed = listed.hashes.into_iter();
    let aliases = match listed.find(|entry| entry.key() == Some(key)) {
        Some(entry) => entry.aliases(),
        None => {
            let aliases = predecessor.aliases(Named::Alias(alias)).await?;
            aliases.unwrap_or_default()
        }
    };
    let brought = ctx.repo.bring_in(Brought::Known(&key), &aliases, now());
    match brought.await {
        Ok(Some(brought)) => forget(ctx, brought.removal).await,
        Ok(None) => {}
        // Nothing is added to a blocked content, which can still be listed and purged.
        Err(error) if error.code() == ErrorCode::Blocked => {
            for alias in &aliases {
                if !ctx.repo.has_alias(alias).await? {
                    ctx.repo.bury(alias, false, now()).await?;
                }
            }
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Whether the predecessor may know an alias that is not here.
///
/// # Errors
/// When the database fails.
pub(crate) async fn has_unknown(ctx: &Context, alias: &Alias) -> Result<bool> {
    Ok(incomplete(ctx).is_some()
        && !ctx.arrivals.is_absent(alias)
        && !ctx.repo.is_buried(alias).await?)
}

/// What the predecessor says to a delete token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenVerdict {
    /// It is right, and the predecessor has deleted the alias.
    Right,
    /// It is wrong.
    Wrong,
    /// There is no predecessor, or it does not know the alias.
    Unknown,
}

/// Has the predecessor delete an alias whose token is not known here.
///
/// # Errors
/// [`ErrorCode::PredecessorUnavailable`], [`ErrorCode::PredecessorError`].
pub(crate) async fn delete_there(
    ctx: &Context,
    alias: &Alias,
    token: &DeleteToken,
) -> Result<TokenVerdict> {
    let Some(predecessor) = &ctx.predecessor else {
        return Ok(TokenVerdict::Unknown);
    };
    // It agrees to any token of an alias that it does not know.
    if predecessor.details(Named::Alias(alias)).await?.is_none() {
        return Ok(TokenVerdict::Unknown);
    }
    match predecessor.delete_with(token, alias).await? {
        true => Ok(TokenVerdict::Right),
        false => Ok(TokenVerdict::Wrong),
    }
}

/// The result of copying a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copied {
    /// At least one alias was added.
    Added {
        aliases: u64,
        bytes: u64,
        /// Whether the bytes are others than the predecessor has recorded.
        is_altered: bool,
    },
    /// All aliases were here already, or deleted, or their bytes are blocked.
    Nothing,
    /// The predecessor does not know the alias.
    Unknown,
    /// The predecessor has lost the file.
    Lost,
}

/// Copies the file of the alias `from`, and adds `names` to it.
async fn copy(
    ctx: &Arc<Context>,
    from: &Alias,
    names: &[Alias],
    recorded: Option<Recorded>,
    rank: Rank,
) -> Result<Copied> {
    let Some(predecessor) = &ctx.predecessor else {
        return Ok(Copied::Unknown);
    };
    ctx.repo.admit().await?;
    let recorded = match recorded {
        Some(recorded) => recorded,
        None => match predecessor.details(Named::Alias(from)).await? {
            Some(recorded) => recorded,
            None => return Ok(Copied::Unknown),
        },
    };
    let (arriving, claimed) = match predecessor.original(from).await? {
        Delivery::File(transfer) => {
            let claimed = transfer.key;
            (Arriving::FromPredecessor(transfer), claimed)
        }
        Delivery::Elsewhere(url) => match ctx.fetcher.get(&url, None, MOST_BYTES).await? {
            Fetched::Body(body) => (Arriving::FromUpstream(body), None),
            // Only requests with validators can get this answer.
            Fetched::NotModified(_) => return Ok(Copied::Unknown),
        },
        Delivery::Unknown => return Ok(Copied::Unknown),
        Delivery::Lost => return Ok(Copied::Lost),
    };
    let file = arriving.receive(ctx).await?;
    let is_altered =
        claimed.is_some_and(|key| (key.digest(), key.size()) != (file.digest(), file.size()));
    if is_altered {
        tracing::warn!(
            alias = %from,
            "the predecessor serves other bytes than it has recorded; they are kept as it serves them"
        );
    }
    let permit = ctx.media.acquire_as(rank).await?;
    let bytes = file.size();
    let added = match keep(ctx, permit, file, claimed, recorded, names).await {
        Err(error) if error.code() == ErrorCode::Blocked => {
            for alias in names {
                ctx.repo.bury(alias, false, now()).await?;
            }
            0
        }
        added => added?,
    };
    Ok(match added {
        0 => Copied::Nothing,
        aliases => Copied::Added {
            aliases,
            bytes,
            is_altered,
        },
    })
}

/// What the predecessor tells of a file for the time in which it is loading.
fn hints(recorded: &Recorded) -> Option<LoadingHints> {
    let blurhash = recorded.blurhash.clone()?;
    Some(LoadingHints {
        blurhash,
        thumbhash: recorded.thumbhash(),
        colour: recorded.colour(),
    })
}

/// Stores a file as it is, and adds its aliases. Returns how many were added.
async fn keep(
    ctx: &Arc<Context>,
    permit: Permit,
    file: ScratchFile,
    claimed: Option<ContentKey>,
    recorded: Recorded,
    names: &[Alias],
) -> Result<u64> {
    let (source, file) = blocking(move || Ok((file.read()?, file))).await?;
    let examined = adopt::examine(ctx, permit, source.into(), hints(&recorded)).await?;
    let facts = examined.facts;
    let format = claimed
        .map(|key| key.format())
        .or_else(|| format_of(&recorded.content_type, facts.as_ref().ok()))
        .ok_or_else(|| {
            Error::user(
                ErrorCode::DiscoverError,
                format!(
                    "{}, which the predecessor stores, is not a type of media that is known here",
                    recorded.content_type
                ),
            )
        })?;
    let created_at = recorded.created_at();
    let object = ctx.store.new_key(Prefix::Original, format);
    let stored = keep::put(ctx, object, format, Source::Scratch(file)).await?;
    let shape = Shape {
        width: recorded.width,
        height: recorded.height,
        frames: recorded.frames,
    };
    let (object, key) = (stored.object().clone(), *stored.key());
    let representation = adopt::representation(object, key, facts, Some(shape), created_at)?;
    let original = Original {
        representation,
        hints: examined.hints,
    };
    let (ctx, names) = (ctx.clone(), names.to_vec());
    run_to_completion(async move {
        let mut stored = stored;
        stored.name();
        let brought = ctx
            .repo
            .bring_in(Brought::New(&original), &names, created_at);
        match brought.await {
            Ok(Some(brought)) => {
                match brought.added.is_new {
                    true => stored.keep().await,
                    false => {
                        replace_lost_object(&ctx, stored, brought.added.original, None).await?;
                    }
                }
                forget(&ctx, brought.removal).await;
                Ok(brought.aliases)
            }
            Ok(None) => {
                stored.discard().await;
                Ok(0)
            }
            Err(error) => {
                discard_if_unreferenced(&ctx, stored, &error).await;
                Err(error)
            }
        }
    })
    .await
}

/// The format of a file: as the engine found it if that has this type, else the one of this type.
fn format_of(content_type: &str, facts: Option<&pict_rs_media::Facts>) -> Option<Format> {
    let found = facts.map(|facts| facts.format);
    let has_type = |format: &Format| format.mime() == content_type;
    let found = found.filter(has_type);
    found.or_else(|| Format::all().find(has_type))
}

/// A file that is being received.
enum Arriving<'a> {
    FromPredecessor(Box<IncomingFile<'a>>),
    FromUpstream(Box<Body>),
}

impl Arriving<'_> {
    /// Receives the whole file.
    async fn receive(mut self, ctx: &Context) -> Result<ScratchFile> {
        let scratch = ctx.scratch.clone();
        let mut writer = blocking(move || scratch.create()).await?;
        let mut batch = Vec::new();
        loop {
            let bytes = match &mut self {
                Self::FromPredecessor(transfer) => transfer.next().await?,
                Self::FromUpstream(body) => body.next().await?,
            };
            batch.extend_from_slice(bytes.as_deref().unwrap_or_default());
            if bytes.is_none() || batch.len() >= BATCH {
                let full = std::mem::take(&mut batch);
                writer = blocking(move || {
                    writer.write(&full)?;
                    Ok(writer)
                })
                .await?;
            }
            if bytes.is_none() {
                return Ok(writer.finish());
            }
        }
    }
}
