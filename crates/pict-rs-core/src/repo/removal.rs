//! Removing aliases and contents. What loses its last alias loses its rows in the same
//! transaction; its objects move to the garbage table until the store has removed them.

use sqlx::{Sqlite, Transaction};

use super::{Repo, repo_error};
use crate::{Alias, ContentKey, ObjectKey, Result};

/// What the removal of one alias did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Whether the alias existed.
    pub existed: bool,
    /// Objects that nothing names any more.
    pub objects: Vec<ObjectKey>,
}

/// What the removal of a whole content did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Every alias that the content had, sorted.
    pub aliases: Vec<Alias>,
    /// Objects that nothing names any more.
    pub objects: Vec<ObjectKey>,
}

impl Repo {
    /// Removes one alias, and the content with it if this was the last.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn remove_alias(&self, alias: &Alias) -> Result<Removed> {
        let mut tx = self.begin().await?;
        let removed = remove_in(&mut tx, alias).await?;
        tx.commit().await.map_err(repo_error)?;
        Ok(removed)
    }

    /// Removes a content with all its aliases and variants.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn purge(&self, hash: &ContentKey) -> Result<Purged> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "DELETE FROM proxies WHERE alias IN (SELECT alias FROM aliases WHERE hash = $1)",
        )
        .bind(hash.as_bytes())
        .execute(&mut *tx)
        .await
        .map_err(repo_error)?;
        let mut aliases: Vec<String> =
            sqlx::query_scalar("DELETE FROM aliases WHERE hash = $1 RETURNING alias")
                .bind(hash.as_bytes())
                .fetch_all(&mut *tx)
                .await
                .map_err(repo_error)?;
        aliases.sort();
        let objects = remove_content(&mut tx, hash.as_bytes()).await?;
        tx.commit().await.map_err(repo_error)?;
        Ok(Purged {
            aliases: aliases
                .into_iter()
                .map(Alias::parse)
                .collect::<Result<_>>()?,
            objects,
        })
    }
}

/// Removes one alias, and the content with it if this was the last.
pub(super) async fn remove_in(tx: &mut Transaction<'_, Sqlite>, alias: &Alias) -> Result<Removed> {
    let hash: Option<Vec<u8>> =
        sqlx::query_scalar("DELETE FROM aliases WHERE alias = $1 RETURNING hash")
            .bind(alias.as_str())
            .fetch_optional(&mut **tx)
            .await
            .map_err(repo_error)?;
    let Some(hash) = hash else {
        return Ok(Removed::default());
    };
    sqlx::query("DELETE FROM proxies WHERE alias = $1")
        .bind(alias.as_str())
        .execute(&mut **tx)
        .await
        .map_err(repo_error)?;
    let others: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM aliases WHERE hash = $1")
        .bind(&hash)
        .fetch_one(&mut **tx)
        .await
        .map_err(repo_error)?;
    let objects = match others {
        0 => remove_content(tx, &hash).await?,
        _ => Vec::new(),
    };
    Ok(Removed {
        existed: true,
        objects,
    })
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
    for object in &objects {
        sqlx::query("INSERT INTO garbage (object) VALUES ($1) ON CONFLICT (object) DO NOTHING")
            .bind(object)
            .execute(&mut **tx)
            .await
            .map_err(repo_error)?;
    }
    Ok(objects.into_iter().map(ObjectKey::new).collect())
}
