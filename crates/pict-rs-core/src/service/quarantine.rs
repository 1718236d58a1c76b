//! Contents that only administrators see, until they release or purge them.

use std::sync::Arc;

use pict_rs_media::OutputFormat;

use crate::clock::now;
use crate::query::ProcessRequest;
use crate::repo::Quarantined;
use crate::repo::audit::Cause;
use crate::service::forget::forget;
use crate::service::{convert, find, paging, remove};
use crate::task::run_to_completion;
use crate::{Alias, ContentKey, Context, Error, Result};

/// Contents in a page by default.
const DEFAULT: u32 = 20;
/// Contents in a page at most.
const MOST: u32 = 1000;

/// Puts the content of `alias` into quarantine: its aliases are not found until it is released.
/// Nothing changes when it is there already.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`], [`crate::ErrorCode::ReadOnly`].
pub async fn begin(ctx: &Arc<Context>, alias: &Alias, cause: Cause) -> Result<()> {
    remove::writable(ctx)?;
    let content = find::content(ctx, alias).await?;
    let ctx = ctx.clone();
    run_to_completion(async move {
        if let Some(hidden) = ctx.repo.quarantine(&content, &cause, now()).await? {
            forget(&ctx, hidden).await;
        }
        Ok(())
    })
    .await
}

/// Serves the content of `alias` again.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`] when it is not in quarantine, [`crate::ErrorCode::ReadOnly`].
pub async fn release(ctx: &Context, alias: &Alias, cause: &Cause) -> Result<()> {
    remove::writable(ctx)?;
    let content = find::content(ctx, alias).await?;
    match ctx.repo.release(&content, cause, now()).await? {
        true => Ok(()),
        false => Err(Error::alias_not_found().detail("It is not in quarantine")),
    }
}

/// The cursor of a page: when a content was put there, and its key.
pub type QuarantinePlace = (i64, ContentKey);

/// A page of what is in quarantine, newest first, after the place `after`. Also returns the place
/// that the next page comes after, if there are more.
///
/// # Errors
/// When the database fails.
pub async fn page(
    ctx: &Context,
    after: Option<QuarantinePlace>,
    limit: Option<u32>,
) -> Result<(Vec<Quarantined>, Option<QuarantinePlace>)> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST);
    let found = ctx.repo.quarantined(after, limit + 1).await?;
    Ok(paging::cut(found, limit, |last| {
        (last.created_at, *last.original.hash())
    }))
}

/// A small WebP of a content in quarantine, at most `side` pixels wide and high. It is not stored.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`] when it is not in quarantine, [`crate::ErrorCode::LostFile`],
/// and those of media work.
pub async fn thumbnail(ctx: &Arc<Context>, alias: &Alias, side: u32) -> Result<Vec<u8>> {
    let found = ctx.repo.quarantined_as(alias).await?;
    let found = found.ok_or_else(Error::alias_not_found)?;
    let filters = [pict_rs_media::operation::NAMES.map(str::to_owned)].concat();
    let extension = OutputFormat::Webp.extension();
    let query = format!("thumbnail={side}&frame=1");
    let mut request = ProcessRequest::parse(extension, &query, &filters)?;
    let shown = &found.original.representation;
    if shown.kind() != pict_rs_media::Kind::Animation {
        request.frame = None;
    }
    let permit = ctx.media.acquire().await?;
    let made = convert::convert(ctx, permit, shown, &request).await?;
    Ok(made.0)
}
