//! Removes media: one alias by its owner or an admin, or a whole content.
//!
//! The row is removed first, then caches and store are updated ([`super::forget`]), then the answer
//! begins. A client that goes away interrupts none of this. The removal is recorded with its actor
//! and reason ([`Cause`]).

use std::sync::Arc;

use crate::clock::now;
use crate::repo::audit::Cause;
use crate::repo::{NewlyListed, Refused};
use crate::service::forget::forget;
use crate::service::takeover::{self, TokenVerdict};
use crate::service::{find, frames};
use crate::task::run_to_completion;
use crate::{Alias, Context, DeleteToken, Digest, Error, ErrorCode, Result};

/// Removes an alias with its delete token. An alias that is already gone is not an error.
///
/// # Errors
/// [`ErrorCode::InvalidDeleteToken`], [`ErrorCode::ReadOnly`]; during a takeover
/// [`ErrorCode::PredecessorUnavailable`] and [`ErrorCode::PredecessorError`].
pub async fn by_token(
    ctx: &Arc<Context>,
    alias: &Alias,
    token: &DeleteToken,
    cause: Cause,
) -> Result<()> {
    writable(ctx)?;
    let expected = ctx.repo.delete_token(alias).await?;
    match &expected {
        Some(expected) if expected.is_known() => match expected.matches(token) {
            true => one_alias(ctx, alias, Some(cause)).await.map(drop),
            false => Err(wrong_token()),
        },
        None if !takeover::has_unknown(ctx, alias).await? => {
            // Another request may have removed it, but not yet updated the cache.
            ctx.fact_cache.forget([alias]);
            Ok(())
        }
        _ => {
            let is_here = expected.is_some();
            let (ctx, alias, token) = (ctx.clone(), alias.clone(), token.clone());
            // What the other server has deleted must be deleted here as well.
            run_to_completion(async move {
                by_foreign_token(&ctx, &alias, &token, cause, is_here).await
            })
            .await
        }
    }
}

/// As [`by_token`], for an alias whose token only the predecessor of a takeover knows.
async fn by_foreign_token(
    ctx: &Arc<Context>,
    alias: &Alias,
    token: &DeleteToken,
    cause: Cause,
    is_here: bool,
) -> Result<()> {
    match takeover::delete_there(ctx, alias, token).await? {
        TokenVerdict::Right => {
            if is_here {
                // In case the removal fails: the other server does not know the alias any more.
                ctx.repo.learn_token(alias, token).await?;
            } else {
                // A request may be bringing it at this moment.
                ctx.repo.bury(alias, false, now()).await?;
            }
            one_alias(ctx, alias, Some(cause)).await.map(drop)
        }
        TokenVerdict::Wrong => Err(wrong_token()),
        TokenVerdict::Unknown if is_here => match ctx.repo.delete_token(alias).await? {
            // Another request with the same token was faster.
            None => Ok(()),
            Some(learnt) if learnt.matches(token) => {
                one_alias(ctx, alias, Some(cause)).await.map(drop)
            }
            Some(_) => Err(wrong_token().detail(
                "This alias came from another server, and only that server knows its token",
            )),
        },
        TokenVerdict::Unknown => Ok(()),
    }
}

fn wrong_token() -> Error {
    Error::user(
        ErrorCode::InvalidDeleteToken,
        "The delete token does not belong to this alias",
    )
}

/// Removes an alias for an admin.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::ReadOnly`].
pub async fn alias(ctx: &Arc<Context>, alias: &Alias, cause: Cause) -> Result<()> {
    writable(ctx)?;
    match one_alias(ctx, alias, Some(cause)).await? {
        true => Ok(()),
        false => Err(Error::alias_not_found()),
    }
}

/// Undoes what a failed request has added; no client knows the alias.
///
/// # Errors
/// When the database fails.
pub(crate) async fn take_back(ctx: &Arc<Context>, alias: &Alias) -> Result<()> {
    one_alias(ctx, alias, None).await.map(drop)
}

/// The result of purging a content.
#[derive(Clone, Debug)]
pub struct Purged {
    /// All aliases of the content, sorted.
    pub aliases: Vec<Alias>,
    /// The digests that were blocked, if that was requested.
    pub blocked: Vec<Digest>,
    /// The PDQ hashes that were listed, if that was requested.
    pub listed: NewlyListed,
}

/// Removes the content of `alias` with all its aliases. `refused` is what is blocked: with the
/// content also every file that it was made from.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::ReadOnly`].
pub async fn purge(
    ctx: &Arc<Context>,
    alias: &Alias,
    refused: Refused,
    cause: Cause,
) -> Result<Purged> {
    writable(ctx)?;
    // Otherwise the content would come back with an alias that is not here yet.
    takeover::complete(ctx, alias).await?;
    let content = find::content(ctx, alias).await?;
    let ctx = ctx.clone();
    run_to_completion(async move {
        if refused == Refused::Similar {
            frames::complete(&ctx, &content).await;
        }
        let purged = ctx.repo.purge(&content, refused, &cause, now()).await?;
        ctx.arrivals.deleted();
        let aliases = purged.removal.aliases.clone();
        forget(&ctx, purged.removal).await;
        Ok(Purged {
            aliases,
            blocked: purged.blocked,
            listed: purged.listed,
        })
    })
    .await
}

/// # Errors
/// [`ErrorCode::ReadOnly`] in read-only mode.
pub fn writable(ctx: &Context) -> Result<()> {
    if ctx.config.server.read_only {
        return Err(Error::user(
            ErrorCode::ReadOnly,
            "pict-rs is in read-only mode",
        ));
    }
    Ok(())
}

/// Returns whether the alias existed.
async fn one_alias(ctx: &Arc<Context>, alias: &Alias, cause: Option<Cause>) -> Result<bool> {
    let (ctx, alias) = (ctx.clone(), alias.clone());
    run_to_completion(async move {
        let removal = ctx.repo.remove_alias(&alias, cause.as_ref(), now()).await?;
        ctx.arrivals.deleted();
        let existed = !removal.aliases.is_empty();
        if !existed {
            // Another request may have removed it, but not yet updated the cache.
            ctx.fact_cache.forget([&alias]);
        }
        forget(&ctx, removal).await;
        Ok(existed)
    })
    .await
}
