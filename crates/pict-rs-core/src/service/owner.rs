//! Owners of uploads: an application that has an API key says with `owner=` for whom it uploads.

use std::sync::Arc;

use crate::config::ByteSize;
use crate::query::UploadQuery;
use crate::repo::audit::Cause;
use crate::repo::{Owned, OwnedAlias, OwnerUsage, Refused, owner};
use crate::service::{find, paging, remove};
use crate::task::run_to_completion;
use crate::{Alias, Context, ErrorCode, Owner, Result};

/// Entries in a page by default.
const DEFAULT: u32 = 20;
/// Owners in a page at most: each takes a statement.
const MOST_OWNERS: u32 = 100;
/// Aliases in a page at most.
const MOST_ALIASES: u32 = 1000;
/// Aliases read at a time for a purge.
const BATCH: u32 = 100;

/// Whom an upload belongs to, with the quota of the settings.
pub(crate) fn of(ctx: &Context, query: &UploadQuery) -> Option<Owned> {
    query.owner.clone().map(|owner| Owned {
        owner,
        quota: quota(ctx),
    })
}

/// `media.owner_quota` in bytes.
pub fn quota(ctx: &Context) -> Option<u64> {
    ctx.config.media.owner_quota.map(ByteSize::bytes)
}

/// Refuses an upload whose owner has more than the quota already, before work is done on it. The
/// quota is checked again with the size of what is stored.
///
/// # Errors
/// [`ErrorCode::OwnerQuota`].
pub(crate) async fn admit(ctx: &Context, query: &UploadQuery) -> Result<()> {
    let (Some(owner), Some(quota)) = (&query.owner, quota(ctx)) else {
        return Ok(());
    };
    let bytes = ctx.repo.usage_of_owner(owner).await?.bytes;
    match bytes > quota {
        true => Err(owner::exceeded(quota, bytes)),
        false => Ok(()),
    }
}

/// A page of owners after this one, sorted, with what each has. Also returns the owner that the
/// next page comes after, if there are more.
///
/// # Errors
/// When the database fails.
pub async fn owners(
    ctx: &Context,
    after: Option<&Owner>,
    limit: Option<u32>,
) -> Result<(Vec<(Owner, OwnerUsage)>, Option<Owner>)> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST_OWNERS);
    let names = ctx.repo.owners(after, limit + 1).await?;
    let (names, next) = paging::cut(names, limit, Owner::clone);
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let usage = ctx.repo.usage_of_owner(&name).await?;
        found.push((name, usage));
    }
    Ok((found, next))
}

/// A page of the aliases of an owner after this one, newest first. Also returns the alias that the
/// next page comes after, if there are more.
///
/// # Errors
/// When the database fails.
pub async fn owned(
    ctx: &Context,
    owner: &Owner,
    after: Option<&OwnedAlias>,
    limit: Option<u32>,
) -> Result<(Vec<OwnedAlias>, Option<OwnedAlias>)> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST_ALIASES);
    let found = ctx.repo.owned(owner, after, limit + 1).await?;
    Ok(paging::cut(found, limit, OwnedAlias::clone))
}

/// Gives an alias another owner, or none.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::ReadOnly`].
pub async fn set(ctx: &Context, alias: &Alias, owner: Option<&Owner>) -> Result<()> {
    remove::writable(ctx)?;
    // During a takeover it may have to be brought in.
    find::content(ctx, alias).await?;
    match ctx.repo.set_owner(alias, owner).await? {
        true => Ok(()),
        false => Err(crate::Error::alias_not_found()),
    }
}

/// What a purge of an owner has removed.
#[derive(Clone, Debug, Default)]
pub struct PurgedOwner {
    /// Aliases, those of other owners included.
    pub aliases: u64,
    /// Digests that are refused from now on.
    pub blocked: u64,
}

/// Removes what an owner has. With [`Refused::Nothing`] contents stay for other aliases that name
/// them; otherwise they go with all their aliases, as in [`remove::purge`]. If this fails half-way it
/// can be done again.
///
/// # Errors
/// [`ErrorCode::OwnerNotFound`], [`ErrorCode::ReadOnly`], and when the database fails.
pub async fn purge(
    ctx: &Arc<Context>,
    owner: &Owner,
    refused: Refused,
    cause: &Cause,
) -> Result<PurgedOwner> {
    remove::writable(ctx)?;
    let (ctx, owner, cause) = (ctx.clone(), owner.clone(), cause.clone());
    run_to_completion(async move {
        let (mut purged, mut after) = (PurgedOwner::default(), None);
        loop {
            let page = ctx.repo.owned(&owner, after.as_ref(), BATCH).await?;
            if page.is_empty() && after.is_none() {
                let message = format!("Nothing belongs to the owner '{owner}'");
                return Err(crate::Error::user(ErrorCode::OwnerNotFound, message));
            }
            for one in &page {
                match purge_one(&ctx, &one.alias, refused, &cause).await {
                    Ok(one) => {
                        purged.aliases += one.aliases;
                        purged.blocked += one.blocked;
                    }
                    // It went with another one, or just now.
                    Err(error) if error.code() == ErrorCode::AliasNotFound => {}
                    Err(error) => return Err(error),
                }
            }
            after = page.last().cloned();
            if page.len() < BATCH as usize {
                return Ok(purged);
            }
        }
    })
    .await
}

async fn purge_one(
    ctx: &Arc<Context>,
    alias: &Alias,
    refused: Refused,
    cause: &Cause,
) -> Result<PurgedOwner> {
    if let Refused::Nothing = refused {
        remove::alias(ctx, alias, cause.clone()).await?;
        return Ok(PurgedOwner {
            aliases: 1,
            blocked: 0,
        });
    }
    let purged = remove::purge(ctx, alias, refused, cause.clone()).await?;
    Ok(PurgedOwner {
        aliases: purged.aliases.len() as u64,
        blocked: purged.blocked.len() as u64,
    })
}
