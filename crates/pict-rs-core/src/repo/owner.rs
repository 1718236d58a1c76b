//! Owners of aliases: what each of them has, and how much that may be.

use super::Repo;
use super::change::Change;
use super::fault::again;
use super::sql::{On, sql};
use crate::{Alias, ContentKey, Digest, Error, ErrorCode, Owner, Result};

/// Whom an upload belongs to.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Who uploads it.
    pub owner: Owner,
    /// Bytes that the originals of this owner may have in all; `None` for any number.
    pub quota: Option<u64>,
}

/// What an owner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerUsage {
    /// Aliases.
    pub aliases: u64,
    /// Contents that they name.
    pub contents: u64,
    /// Bytes of these contents, each counted once.
    pub bytes: u64,
}

/// An alias of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedAlias {
    /// The alias.
    pub alias: Alias,
    /// Unix time in milliseconds.
    pub created_at: i64,
}

impl Repo {
    /// What an owner has; nothing if there is no such owner.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn usage_of_owner(&self, owner: &Owner) -> Result<OwnerUsage> {
        usage_in(&self.read, owner).await
    }

    /// Up to `limit` owners after this one, sorted.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn owners(&self, after: Option<&Owner>, limit: u32) -> Result<Vec<Owner>> {
        let rows =
            sql("SELECT DISTINCT owner FROM aliases WHERE owner > $1 ORDER BY owner LIMIT $2")
                .bind(after.map_or("", Owner::as_str))
                .bind(i64::from(limit))
                .all(&self.read)
                .await?;
        rows.iter()
            .map(|row| Owner::parse(row.text("owner")?))
            .collect()
    }

    /// Up to `limit` aliases of an owner after the alias `after`, newest first.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn owned(
        &self,
        owner: &Owner,
        after: Option<&OwnedAlias>,
        limit: u32,
    ) -> Result<Vec<OwnedAlias>> {
        let (time, alias) = match after {
            Some(after) => (after.created_at, after.alias.as_str()),
            None => (i64::MAX, ""),
        };
        let rows = sql("SELECT alias, created_at FROM aliases \
             WHERE owner = $1 AND (created_at, alias) < ($2, $3) \
             ORDER BY created_at DESC, alias DESC LIMIT $4")
        .bind(owner.as_str())
        .bind(time)
        .bind(alias)
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(OwnedAlias {
                    alias: row.alias("alias")?,
                    created_at: row.int("created_at")?,
                })
            })
            .collect()
    }

    /// The aliases of a content that have an owner, sorted.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn owners_of(&self, content: &ContentKey) -> Result<Vec<(Alias, Owner)>> {
        let rows = sql("SELECT alias, owner FROM aliases \
             WHERE hash = $1 AND owner IS NOT NULL ORDER BY alias")
        .bind(content.as_bytes())
        .all(&self.read)
        .await?;
        rows.iter()
            .map(|row| Ok((row.alias("alias")?, Owner::parse(row.text("owner")?)?)))
            .collect()
    }

    /// Gives an alias another owner, or none. No quota is asked. Returns whether the alias exists.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn set_owner(&self, alias: &Alias, owner: Option<&Owner>) -> Result<bool> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let updated = sql("UPDATE aliases SET owner = $2 WHERE alias = $1")
                .bind(alias.as_str())
                .bind(owner.map(Owner::as_str))
                .run(&mut tx)
                .await?;
            tx.commit().await?;
            Ok(updated == 1)
        })
        .await
    }
}

/// Refuses an upload that was just added, if its owner has more than the quota now.
pub(super) async fn check_quota_in(tx: &mut Change, owned: &Owned) -> Result<()> {
    let Some(quota) = owned.quota else {
        return Ok(());
    };
    // Two uploads at once would each not see the other.
    tx.pass_alone(place(&owned.owner)).await?;
    let bytes = usage_in(tx, &owned.owner).await?.bytes;
    match bytes > quota {
        true => Err(exceeded(quota, bytes)),
        false => Ok(()),
    }
}

/// An error for an upload with which its owner would have `found` bytes. It may be told to a client
/// that does not know the owner.
pub(crate) fn exceeded(quota: u64, found: u64) -> Error {
    Error::user(
        ErrorCode::OwnerQuota,
        "The owner of this upload has no room left",
    )
    .detail(format!(
        "With it the originals of this owner would have {found} bytes, the limit is {quota} \
         (media.owner_quota)"
    ))
    .limit(quota)
    .found(found)
}

/// The lock of an owner.
fn place(owner: &Owner) -> i64 {
    let digest = Digest::of(owner.as_str().as_bytes());
    let (numbers, _) = digest.as_bytes().as_chunks();
    i64::from_be_bytes(numbers[0])
}

async fn usage_in<'a>(on: impl Into<On<'a>>, owner: &Owner) -> Result<OwnerUsage> {
    let row = sql(
        "SELECT CAST(COALESCE(SUM(o.aliases), 0) AS BIGINT) AS aliases, COUNT(*) AS contents, \
         CAST(COALESCE(SUM(h.size), 0) AS BIGINT) AS bytes \
         FROM (SELECT hash, COUNT(*) AS aliases FROM aliases WHERE owner = $1 GROUP BY hash) AS o \
         JOIN hashes h ON h.hash = o.hash",
    )
    .bind(owner.as_str())
    .one(on)
    .await?;
    Ok(OwnerUsage {
        aliases: row.number("aliases")?,
        contents: row.number("contents")?,
        bytes: row.number("bytes")?,
    })
}
