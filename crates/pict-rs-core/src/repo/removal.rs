//! Removing aliases and contents. What loses its last alias loses its rows in the same
//! transaction; its objects move to the garbage table until the store has removed them. So does
//! the entry of the audit log come.

use sqlx::{Sqlite, Transaction};

use super::audit::{self, Action, Cause, Event};
use super::{Repo, blocklist, broken, repo_error};
use crate::{Alias, ContentKey, Digest, ObjectKey, Result};

/// What a transaction has taken away. Whoever commits one hands this on, so that caches and store
/// forget it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Aliases that name nothing any more.
    pub aliases: Vec<Alias>,
    /// Contents that are still there, but lost variants or point to another object.
    pub contents: Vec<ContentKey>,
    /// Objects that nothing names any more.
    pub objects: Vec<ObjectKey>,
}

/// What the removal of a whole content did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Every alias that the content had, sorted, and its objects.
    pub removal: Removal,
    /// What must not come again, if that was asked for.
    pub blocked: Vec<Digest>,
}

impl Repo {
    /// Removes one alias, and the content with it if this was the last. The removal is empty if
    /// there was no such alias. `cause` goes into the audit log; there is none only when an upload
    /// is taken back that nobody has heard of.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn remove_alias(
        &self,
        alias: &Alias,
        cause: Option<&Cause>,
        now: i64,
    ) -> Result<Removal> {
        let mut tx = self.begin_removal().await?;
        let removed = match cause {
            Some(cause) => remove_for(&mut tx, alias, Action::Delete, cause, now).await?,
            None => remove_in(&mut tx, alias).await?.0,
        };
        tx.commit().await.map_err(repo_error)?;
        Ok(removed)
    }

    /// Removes a content with all its aliases and variants. With `block` it does not come again.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn purge(
        &self,
        hash: &ContentKey,
        block: bool,
        cause: &Cause,
        now: i64,
    ) -> Result<Purged> {
        let mut tx = self.begin_removal().await?;
        let blocked = match block {
            true => blocklist::block_content_in(&mut tx, hash, cause, now).await?,
            false => Vec::new(),
        };
        let removal = purge_in(&mut tx, hash, Action::Purge, cause, now).await?;
        tx.commit().await.map_err(repo_error)?;
        Ok(Purged { removal, blocked })
    }
}

/// Removes a content with all its aliases and variants. One that is gone is not recorded.
pub(super) async fn purge_in(
    tx: &mut Transaction<'_, Sqlite>,
    hash: &ContentKey,
    action: Action,
    cause: &Cause,
    now: i64,
) -> Result<Removal> {
    sqlx::query("DELETE FROM proxies WHERE alias IN (SELECT alias FROM aliases WHERE hash = $1)")
        .bind(hash.as_bytes())
        .execute(&mut **tx)
        .await
        .map_err(repo_error)?;
    let mut aliases: Vec<String> =
        sqlx::query_scalar("DELETE FROM aliases WHERE hash = $1 RETURNING alias")
            .bind(hash.as_bytes())
            .fetch_all(&mut **tx)
            .await
            .map_err(repo_error)?;
    aliases.sort();
    let aliases: Vec<_> = aliases
        .into_iter()
        .map(Alias::parse)
        .collect::<Result<_>>()?;
    let objects = remove_content(tx, hash.as_bytes()).await?;
    if !aliases.is_empty() || !objects.is_empty() {
        let event = Event {
            action,
            aliases: &aliases,
            hash: Some(hash.to_hex()),
            amount: None,
        };
        audit::record_in(tx, cause, &event, now).await?;
    }
    Ok(Removal {
        aliases,
        contents: Vec::new(),
        objects,
    })
}

/// As [`remove_in`], recorded.
pub(super) async fn remove_for(
    tx: &mut Transaction<'_, Sqlite>,
    alias: &Alias,
    action: Action,
    cause: &Cause,
    now: i64,
) -> Result<Removal> {
    let (removed, hash) = remove_in(tx, alias).await?;
    if !removed.aliases.is_empty() {
        let event = Event {
            action,
            aliases: std::slice::from_ref(alias),
            hash: hash.map(hex::encode),
            amount: None,
        };
        audit::record_in(tx, cause, &event, now).await?;
    }
    Ok(removed)
}

/// Removes one alias, and the content with it if this was the last. Returns its key as well.
pub(super) async fn remove_in(
    tx: &mut Transaction<'_, Sqlite>,
    alias: &Alias,
) -> Result<(Removal, Option<Vec<u8>>)> {
    let hash: Option<Vec<u8>> =
        sqlx::query_scalar("DELETE FROM aliases WHERE alias = $1 RETURNING hash")
            .bind(alias.as_str())
            .fetch_optional(&mut **tx)
            .await
            .map_err(repo_error)?;
    let Some(hash) = hash else {
        return Ok((Removal::default(), None));
    };
    sqlx::query("DELETE FROM proxies WHERE alias = $1")
        .bind(alias.as_str())
        .execute(&mut **tx)
        .await
        .map_err(repo_error)?;
    let (served, lost): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(*) FILTER (WHERE lost_at IS NULL), COUNT(lost_at) FROM aliases WHERE hash = $1",
    )
    .bind(&hash)
    .fetch_one(&mut **tx)
    .await
    .map_err(repo_error)?;
    let objects = match (served, lost) {
        (0, 0) => remove_content(tx, &hash).await?,
        (0, _) => lose_content(tx, &hash).await?,
        _ => Vec::new(),
    };
    let removed = Removal {
        aliases: vec![alias.clone()],
        contents: Vec::new(),
        objects,
    };
    Ok((removed, Some(hash)))
}

/// The bytes go, as nothing shows them any more; what is left are aliases whose file was lost
/// before. The row gets the name of an object that never was, so that an upload can heal it.
async fn lose_content(tx: &mut Transaction<'_, Sqlite>, hash: &[u8]) -> Result<Vec<ObjectKey>> {
    let key = ContentKey::from_bytes(hash).ok_or_else(|| broken("hash"))?;
    let variants: Vec<String> =
        sqlx::query_scalar("DELETE FROM variants WHERE hash = $1 RETURNING object")
            .bind(hash)
            .fetch_all(&mut **tx)
            .await
            .map_err(repo_error)?;
    let original: Vec<String> = sqlx::query_scalar("SELECT object FROM hashes WHERE hash = $1")
        .bind(hash)
        .fetch_all(&mut **tx)
        .await
        .map_err(repo_error)?;
    sqlx::query("UPDATE hashes SET object = $2 WHERE hash = $1")
        .bind(hash)
        .bind(ObjectKey::generate(key.format()).as_str())
        .execute(&mut **tx)
        .await
        .map_err(repo_error)?;
    let objects: Vec<_> = variants
        .into_iter()
        .chain(original)
        .map(ObjectKey::new)
        .collect();
    discard_in(tx, &objects).await?;
    Ok(objects)
}

async fn remove_content(tx: &mut Transaction<'_, Sqlite>, hash: &[u8]) -> Result<Vec<ObjectKey>> {
    let mut objects = Vec::new();
    for statement in [
        "DELETE FROM variants WHERE hash = $1 RETURNING object",
        "DELETE FROM hashes WHERE hash = $1 RETURNING object",
    ] {
        let removed: Vec<String> = sqlx::query_scalar(statement)
            .bind(hash)
            .fetch_all(&mut **tx)
            .await
            .map_err(repo_error)?;
        objects.extend(removed);
    }
    sqlx::query("DELETE FROM sources WHERE hash = $1")
        .bind(hash)
        .execute(&mut **tx)
        .await
        .map_err(repo_error)?;
    let objects: Vec<_> = objects.into_iter().map(ObjectKey::new).collect();
    discard_in(tx, &objects).await?;
    Ok(objects)
}

/// Objects that have lost their last row are to be removed from the store.
pub(super) async fn discard_in(
    tx: &mut Transaction<'_, Sqlite>,
    objects: &[ObjectKey],
) -> Result<()> {
    for object in objects {
        sqlx::query("INSERT INTO garbage (object) VALUES ($1) ON CONFLICT (object) DO NOTHING")
            .bind(object.as_str())
            .execute(&mut **tx)
            .await
            .map_err(repo_error)?;
    }
    Ok(())
}
