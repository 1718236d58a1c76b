//! The blocklist and the audit log.

use std::sync::Arc;

use crate::clock::now;
use crate::repo::Blocked;
use crate::repo::audit::{AuditFilter, Cause, Entry};
use crate::service::{find, paging, remove};
use crate::{Alias, Context, Digest, Error, ErrorCode, Result};

/// Entries in a page by default.
const DEFAULT: u32 = 20;
/// Entries in a page at most.
pub const MOST: u32 = 1000;

/// What to block.
#[derive(Clone, Debug)]
pub enum Subject {
    /// These bytes, whether or not they are stored here.
    Digest(Digest),
    /// The content of this alias, and the files that it was made from.
    Alias(Alias),
}

/// Blocks bytes. Existing media stay. Returns every digest that was blocked.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::ReadOnly`].
pub async fn block(ctx: &Arc<Context>, subject: &Subject, cause: &Cause) -> Result<Vec<Digest>> {
    remove::writable(ctx)?;
    match subject {
        Subject::Digest(digest) => {
            ctx.repo.block(digest, cause, now()).await?;
            Ok(vec![*digest])
        }
        Subject::Alias(alias) => {
            let content = find::content(ctx, alias).await?;
            ctx.repo.block_content(&content, cause, now()).await
        }
    }
}

/// Unblocks bytes.
///
/// # Errors
/// [`ErrorCode::HashNotFound`], [`ErrorCode::ReadOnly`].
pub async fn unblock(ctx: &Arc<Context>, digest: &Digest, cause: &Cause) -> Result<()> {
    remove::writable(ctx)?;
    if ctx.repo.unblock(digest, cause, now()).await? {
        return Ok(());
    }
    Err(Error::user(
        ErrorCode::HashNotFound,
        format!("{} is not on the blocklist", digest.to_hex()),
    ))
}

/// A page of the blocklist, newest first, after the entry `after`. Also returns the cursor of the
/// next page, if there are more.
///
/// # Errors
/// When the database fails.
pub async fn blocklist(
    ctx: &Context,
    after: Option<(i64, Digest)>,
    limit: Option<u32>,
) -> Result<(Vec<Blocked>, Option<(i64, Digest)>)> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST);
    let entries = ctx.repo.blocklist(after, limit + 1).await?;
    Ok(paging::cut(entries, limit, |entry| {
        (entry.created_at, entry.digest)
    }))
}

/// A page of the audit log, newest first, of what `filter` wants with numbers below `before`. Also
/// returns the cursor of the next page, if there are more.
///
/// # Errors
/// When the database fails.
pub async fn audit(
    ctx: &Context,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: Option<u32>,
) -> Result<(Vec<Entry>, Option<i64>)> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST);
    let entries = ctx.repo.audit(filter, before, limit + 1).await?;
    Ok(paging::cut(entries, limit, |entry| entry.number))
}
