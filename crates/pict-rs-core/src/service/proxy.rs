//! Media of other servers, stored under their URL: fetched on the first request, served from the
//! store afterwards.
//!
//! A copy is fresh for a while. After that it is still served at once, while the upstream is asked
//! in the background whether it has changed; if that fails, the copy stays. A fetch runs to
//! completion even if its client has gone, because the client will come back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tracing::Instrument as _;

use crate::clock::{millis, now};
use crate::fetch::{Body, Fetched, Freshness, Validators};
use crate::query::UploadQuery;
use crate::repo::{NewProxy, Proxy};
use crate::requester;
use crate::service::spool::Spool;
use crate::service::{budget, download, remove, takeover, upload};
use crate::{Alias, Context, Error, ErrorCode, Result, SourceUrl};

/// How long an upstream is not asked again after a failed fetch.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// The alias of an already fetched URL. Fetches nothing, except from the predecessor of a takeover.
///
/// # Errors
/// [`ErrorCode::ProxyNotFound`], and those of [`takeover::bring`].
pub async fn known(ctx: &Arc<Context>, url: &SourceUrl) -> Result<Alias> {
    let alias = match find(ctx, url).await? {
        Some(proxy) => Some(proxy.alias),
        None => takeover::bring_url(ctx, url).await?,
    };
    alias.ok_or_else(not_proxied)
}

/// The alias of the copy of `url`, which is fetched now if needed. Concurrent requests for a new
/// URL share one fetch.
///
/// # Errors
/// Those of [`crate::fetch::Fetcher::get`] and of [`upload::ingest`]; when it would have to be
/// fetched, [`ErrorCode::ReadOnly`], and [`ErrorCode::InsufficientStorage`] if `media.disk` leaves no room.
pub async fn obtain(ctx: &Arc<Context>, url: &SourceUrl) -> Result<Alias> {
    let Some(proxy) = find(ctx, url).await? else {
        remove::writable(ctx)?;
        if let Some(failure) = ctx.proxies.failure(url) {
            return Err(Error::shared(failure));
        }
        return fly(ctx, url, None).await.map_err(Error::shared);
    };
    if !ctx.config.server.read_only {
        touch(ctx, url, &proxy);
        if now() >= proxy.fresh_until {
            drop(fly(ctx, url, Some(proxy.clone())));
        }
    }
    Ok(proxy.alias)
}

/// Fetches a copy whose bytes are lost again, without validators.
///
/// # Errors
/// As [`obtain`].
pub async fn renew(ctx: &Arc<Context>, url: &SourceUrl) -> Result<Alias> {
    remove::writable(ctx)?;
    let copy = find(ctx, url).await?.map(|proxy| Proxy {
        etag: None,
        last_modified: None,
        ..proxy
    });
    fly(ctx, url, copy).await.map_err(Error::shared)
}

/// Drops what is remembered of `url`, because it turned out to be outdated.
pub fn forget(ctx: &Context, url: &SourceUrl) {
    ctx.proxies.forget(url);
}

async fn find(ctx: &Context, url: &SourceUrl) -> Result<Option<Proxy>> {
    if let Some(proxy) = ctx.proxies.known(url) {
        return Ok(Some(proxy));
    }
    let proxy = ctx.repo.proxy(url.as_str()).await?;
    if let Some(proxy) = &proxy {
        // If the alias is removed right now, that is noticed when it is used.
        ctx.proxies.remember(url, proxy.clone());
    }
    Ok(proxy)
}

/// Joins the fetch of `url`, or starts it. Dropping the result does not stop the fetch.
fn fly(
    ctx: &Arc<Context>,
    url: &SourceUrl,
    stale: Option<Proxy>,
) -> BoxFuture<'static, Result<Alias, Arc<Error>>> {
    let mut is_first = false;
    let key = (url.clone(), stale.is_some());
    let flight = ctx.proxies.flights().join(key, || {
        is_first = true;
        let work = attempt(ctx.clone(), url.clone(), stale).in_current_span();
        let task = ctx.runtime.spawn(requester::inherit(work.boxed()));
        async move {
            let panicked =
                |panic| Error::internal(ErrorCode::UnknownError, "a proxied fetch panicked", panic);
            task.await.map_err(panicked)?
        }
    });
    if is_first {
        // A task must await it, so that others can join until it ends.
        ctx.runtime.spawn(flight.clone().map(drop));
    }
    flight.boxed()
}

async fn attempt(ctx: Arc<Context>, url: SourceUrl, stale: Option<Proxy>) -> Result<Alias> {
    let result = fetch(&ctx, &url, stale.as_ref()).await;
    match (&result, &stale) {
        (Ok(_), _) => {}
        (Err(error), Some(_)) if error.code() == ErrorCode::ProxyNotFound => {
            tracing::info!(
                source = url.loggable(),
                "a proxied copy was removed while its upstream was asked"
            );
        }
        (Err(error), Some(stale)) => {
            tracing::warn!(source = url.loggable(), alias = %stale.alias, code = error.code().as_str(), "a proxied copy is served although it is stale: {error}");
            ctx.proxies.postpone(&url, after(RETRY_DELAY));
        }
        (Err(error), None) => {
            if is_lasting(error.code()) {
                let copy = Error::user(error.code(), error.to_string());
                ctx.proxies.fail(&url, RETRY_DELAY, Arc::new(copy));
            }
        }
    }
    result
}

/// Whether trying again shortly would fail in the same way.
fn is_lasting(code: ErrorCode) -> bool {
    use ErrorCode as Code;
    matches!(
        code,
        Code::UpstreamError
            | Code::UpstreamTimeout
            | Code::Blocked
            | Code::DiscoverError
            | Code::FailedExternalValidation
            | Code::MediaDamaged
            | Code::MediaDisallowed
            // Not the upstream's fault, but the whole file would be fetched only to fail again.
            | Code::ProcessTimeout
            | Code::ProgramMissing
            | Code::SvgDisabled
            | Code::ValidateArea
            | Code::ValidateFileEmpty
            | Code::ValidateFileSize
            | Code::ValidateFrames
            | Code::ValidateHeight
            | Code::ValidateMemory
            | Code::ValidateWidth
            | Code::VideoDisabled
    )
}

async fn fetch(ctx: &Arc<Context>, url: &SourceUrl, stale: Option<&Proxy>) -> Result<Alias> {
    if stale.is_none() {
        if let Some(proxy) = ctx.repo.proxy(url.as_str()).await? {
            // A flight that has just ended has fetched it.
            return Ok(proxy.alias);
        }
        match takeover::bring_url(ctx, url).await {
            Ok(Some(alias)) => return Ok(alias),
            Ok(None) => {}
            Err(error) => tracing::warn!(
                source = url.loggable(),
                code = error.code().as_str(),
                "the predecessor is not asked for its copy, the upstream is: {error}"
            ),
        }
    }
    if stale.is_none() {
        budget::await_turn(ctx).await?;
    }
    let validators = stale.map(|stale| Validators {
        etag: stale.etag.clone(),
        last_modified: stale.last_modified.clone(),
    });
    let limit = download::limit(ctx);
    let fetched = ctx.fetcher.get(url, validators.as_ref(), limit).await?;
    let (alias, row) = match fetched {
        Fetched::NotModified(freshness) => {
            let mut row = row(url, freshness, stale);
            row.etag = row.etag.or(validators.and_then(|known| known.etag));
            row.last_modified = row
                .last_modified
                .or(stale.and_then(|stale| stale.last_modified.clone()));
            let alias = row.replaces.clone();
            let is_kept = ctx.repo.refresh_proxy(&row).await?;
            let alias = alias.filter(|_| is_kept).ok_or_else(not_proxied)?;
            (alias, row)
        }
        Fetched::Body(body) => {
            let row = row(url, body.freshness().clone(), stale);
            let alias = match store(ctx, *body, row.clone()).await {
                Err(error) if error.code() == ErrorCode::InsufficientStorage && stale.is_none() => {
                    if error.is_users() {
                        // The settings leave no room for it. Asking again would fetch all of it again.
                        let copy = Error::user(error.code(), error.to_string());
                        ctx.proxies.fail(url, RETRY_DELAY, Arc::new(copy));
                        return Err(error);
                    }
                    return in_memory(ctx, url, error).await;
                }
                stored => stored?,
            };
            (alias, row)
        }
    };
    let proxy = Proxy {
        alias: alias.clone(),
        accessed_at: stale.map_or_else(now, |stale| stale.accessed_at),
        etag: row.etag,
        last_modified: row.last_modified,
        fresh_until: row.fresh_until,
    };
    ctx.proxies.remember(url, proxy);
    Ok(alias)
}

async fn store(ctx: &Arc<Context>, body: Body, row: NewProxy) -> Result<Alias> {
    let mut spool = Spool::start(ctx, &UploadQuery::default()).await?;
    download::fill(&mut spool, body).await?;
    let spooled = spool.finish().await?;
    let alias = upload::ingest_proxied(ctx, spooled, row).await?;
    alias.ok_or_else(not_proxied)
}

/// Fetches a file once more, because the disk was full when it came, and keeps it in memory. Not where
/// another program decides what may be served: it is shown stored files.
async fn in_memory(ctx: &Arc<Context>, url: &SourceUrl, full: Error) -> Result<Alias> {
    if ctx.validator.is_some() || ctx.config.server.danger_dummy_mode {
        return Err(full);
    }
    let _turn = ctx.proxies.turn_in_memory().await;
    let limit = download::limit(ctx);
    let Fetched::Body(body) = ctx.fetcher.get(url, None, limit).await? else {
        return Err(full);
    };
    let mut spool = Spool::start_in_memory(ctx, &UploadQuery::default()).await?;
    match download::fill(&mut spool, *body).await {
        // It is too large for memory, not for this server.
        Err(error) if error.code() == ErrorCode::ValidateFileSize => return Err(full),
        filled => filled?,
    }
    let alias = upload::ingest_in_memory(ctx, spool.finish().await?).await?;
    tracing::warn!(source = url.loggable(), %alias, "a proxied picture is served from memory: {full}");
    // It is not asked about: when it has left memory it is fetched again.
    let proxy = Proxy {
        alias: alias.clone(),
        accessed_at: now(),
        etag: None,
        last_modified: None,
        fresh_until: i64::MAX,
    };
    ctx.proxies.remember(url, proxy);
    Ok(alias)
}

fn row(url: &SourceUrl, freshness: Freshness, stale: Option<&Proxy>) -> NewProxy {
    NewProxy {
        url: url.as_str().to_owned(),
        etag: freshness.validators.etag,
        last_modified: freshness.validators.last_modified,
        fresh_until: after(freshness.max_age),
        replaces: stale.map(|stale| stale.alias.clone()),
    }
}

fn after(time: Duration) -> i64 {
    now().saturating_add(millis(time))
}

fn not_proxied() -> Error {
    Error::user(ErrorCode::ProxyNotFound, "Media has not been proxied")
}

/// Records a use of the copy in memory. The database is updated later, and not every time.
fn touch(ctx: &Arc<Context>, url: &SourceUrl, proxy: &Proxy) {
    let Some(pause) = ctx.proxies.touch(url, proxy) else {
        return;
    };
    let context = ctx.clone();
    ctx.runtime.spawn(async move {
        tokio::time::sleep(pause).await;
        let touched = context.proxies.take_touched();
        if let Err(error) = context.repo.touch_proxies(&touched).await {
            tracing::warn!(%error, "the database was not told which copies are used");
        }
    });
}
