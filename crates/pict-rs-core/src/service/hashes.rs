//! Lists all contents.

use crate::repo::Page;
use crate::{ContentKey, Context, Result};

/// Contents in a page by default.
pub const DEFAULT: u32 = 20;
/// Contents in a page at most, so that an answer stays small.
pub const MOST: u32 = 1000;

/// A page of contents, newest first; see [`crate::repo::Repo::page`]. Also returns the page size
/// that was used, at most [`MOST`].
///
/// # Errors
/// When the database fails.
pub async fn page(
    ctx: &Context,
    first: Option<&ContentKey>,
    time: Option<i64>,
    limit: Option<u32>,
) -> Result<(u32, Page)> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST);
    Ok((limit, ctx.repo.page(first, time, limit).await?))
}
