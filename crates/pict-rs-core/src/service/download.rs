//! Downloads a file from another server.

use std::sync::Arc;

use crate::fetch::{Body, Fetched};
use crate::query::{Download, UploadQuery};
use crate::service::pending_upload::Uploaded;
use crate::service::spool::{self, Spool};
use crate::service::upload;
use crate::service::{background, remove};
use crate::{Context, Error, ErrorCode, Result, UploadId};

/// Fetches a file and ingests it like an upload.
///
/// # Errors
/// Those of [`crate::fetch::Fetcher::get`] and of [`upload::ingest`].
pub async fn now(ctx: &Arc<Context>, wanted: &Download) -> Result<Uploaded> {
    remove::writable(ctx)?;
    let body = get(ctx, wanted).await?;
    let mut spool = Spool::start(ctx, &wanted.query).await?;
    fill(&mut spool, body).await?;
    let uploaded = upload::ingest(ctx, spool.finish().await?, &wanted.query).await?;
    // Nothing is awaited after this, so the answer begins.
    Ok(uploaded.deliver())
}

/// Fetches a file and accepts it like a backgrounded upload: when this returns, the file is on
/// disk, and only the media work is left.
///
/// # Errors
/// Those of [`crate::fetch::Fetcher::get`] and of [`background::accept`].
pub async fn for_later(ctx: &Arc<Context>, wanted: &Download) -> Result<Vec<UploadId>> {
    background::admit(ctx).await?;
    let body = get(ctx, wanted).await?;
    let mut spool = Spool::start_waiting(ctx, &wanted.query).await?;
    fill(&mut spool, body).await?;
    background::accept(ctx, vec![spool.finish().await?], &wanted.text).await
}

async fn get(ctx: &Context, wanted: &Download) -> Result<Body> {
    let limit = spool::limit(ctx, &wanted.query);
    match ctx.fetcher.get(&wanted.url, None, limit).await? {
        Fetched::Body(body) => Ok(*body),
        // Only requests with validators can get this answer.
        Fetched::NotModified(_) => Err(Error::user(
            ErrorCode::UpstreamError,
            "The upstream answered 304 Not Modified without being asked",
        )),
    }
}

/// Spools the whole body. This releases the permit to fetch.
///
/// # Errors
/// Those of [`Body::next`] and [`Spool::write`].
pub(super) async fn fill(spool: &mut Spool, mut body: Body) -> Result<()> {
    while let Some(bytes) = body.next().await? {
        spool.write(&bytes).await?;
    }
    Ok(())
}

/// The size limit of an upload without a query.
pub(super) fn limit(ctx: &Context) -> u64 {
    spool::limit(ctx, &UploadQuery::default())
}
