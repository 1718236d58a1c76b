//! Contents and their aliases: adding and finding.

use sqlx::{Row as _, Sqlite, Transaction};

use super::{Removal, Repo, Representation, bigint, blocklist, content_key, removal, repo_error};
use crate::{Alias, ContentKey, DeleteToken, Digest, Error, ErrorCode, ObjectKey, Result};

/// A content as it was uploaded (and cleaned).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// The stored file.
    pub representation: Representation,
    /// Its blurhash.
    pub blurhash: String,
}

impl Original {
    /// What identifies the content.
    pub fn hash(&self) -> &ContentKey {
        &self.representation.key
    }
}

/// An alias with the content that it names.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Its public name.
    pub alias: Alias,
    /// The secret that deletes it.
    pub token: DeleteToken,
    /// The stored file.
    pub original: Original,
    /// Of the file as it was sent; `None` where that is not asked any more.
    pub source: Option<Digest>,
}

/// What became of an upload.
#[derive(Clone, Debug)]
pub struct Added {
    /// The content that the alias names now; an earlier upload's if the bytes were known.
    pub original: Original,
    /// Whether the new object is in use. If not, an earlier one holds the same bytes.
    pub is_new: bool,
}

pub(super) const COLUMNS: &str =
    "h.hash, h.object, h.width, h.height, h.frames, h.duration_ms, h.blurhash, h.created_at";

impl Repo {
    /// The content that `alias` names.
    ///
    /// # Errors
    /// [`ErrorCode::LostFile`] when the file was lost and came back for other aliases only,
    /// [`ErrorCode::RepoError`].
    pub async fn original(&self, alias: &Alias) -> Result<Option<Original>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT a.lost_at, {COLUMNS} FROM aliases a JOIN hashes h ON h.hash = a.hash \
             WHERE a.alias = $1"
        )))
        .bind(alias.as_str())
        .fetch_optional(&self.read)
        .await
        .map_err(repo_error)?;
        let Some(row) = row else { return Ok(None) };
        let lost_at: Option<i64> = row.try_get("lost_at").map_err(repo_error)?;
        match lost_at {
            None => from_row(&row).map(Some),
            Some(_) => Err(Error::Internal {
                code: ErrorCode::LostFile,
                message: format!("the file of alias {alias} was lost, and media.heal is \"alias\""),
                source: None,
            }),
        }
    }

    /// Which content `alias` names, whether or not its file was lost.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn content_of(&self, alias: &Alias) -> Result<Option<ContentKey>> {
        let row = sqlx::query("SELECT hash FROM aliases WHERE alias = $1")
            .bind(alias.as_str())
            .fetch_optional(&self.read)
            .await
            .map_err(repo_error)?;
        row.map(|row| content_key(&row, "hash")).transpose()
    }

    /// Adds an alias for a content that may be known already. Durable when this returns.
    ///
    /// # Errors
    /// [`ErrorCode::Blocked`], [`ErrorCode::DuplicateAlias`], [`ErrorCode::RepoError`].
    pub async fn add_upload(&self, upload: &NewUpload) -> Result<Added> {
        let mut tx = self.begin().await?;
        let added = add_in(&mut tx, upload).await?;
        tx.commit().await.map_err(repo_error)?;
        Ok(added)
    }

    /// Lets a content whose object was lost point to another copy of its bytes. What may be left
    /// of the lost object is garbage. `None` when the content is gone or points elsewhere by now.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn replace_object(
        &self,
        hash: &ContentKey,
        lost: &ObjectKey,
        found: &ObjectKey,
    ) -> Result<Option<Removal>> {
        let mut tx = self.begin().await?;
        let removal = replace_in(&mut tx, hash, lost, found).await?;
        find_all_again_in(&mut tx, hash).await?;
        tx.commit().await.map_err(repo_error)?;
        Ok(removal)
    }

    /// Gives a content back to aliases that had lost it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn restore_aliases(&self, hash: &ContentKey) -> Result<()> {
        let lost: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM aliases WHERE hash = $1 AND lost_at IS NOT NULL LIMIT 1",
        )
        .bind(hash.as_bytes())
        .fetch_optional(&self.read)
        .await
        .map_err(repo_error)?;
        if lost.is_none() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        find_all_again_in(&mut tx, hash).await?;
        tx.commit().await.map_err(repo_error)
    }

    /// As [`Repo::replace_object`], for one alias: to the others the file stays lost.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn replace_object_for(
        &self,
        alias: &Alias,
        hash: &ContentKey,
        lost: &ObjectKey,
        found: &ObjectKey,
        now: i64,
    ) -> Result<Option<Removal>> {
        let mut tx = self.begin().await?;
        let removal = replace_in(&mut tx, hash, lost, found).await?;
        if removal.is_some() {
            sqlx::query(
                "UPDATE aliases SET lost_at = $3 \
                 WHERE hash = $1 AND alias <> $2 AND lost_at IS NULL",
            )
            .bind(hash.as_bytes())
            .bind(alias.as_str())
            .bind(now)
            .execute(&mut *tx)
            .await
            .map_err(repo_error)?;
        }
        // Another upload may have replaced it a moment before, and taken this alias for an old one.
        find_again_in(&mut tx, alias).await?;
        tx.commit().await.map_err(repo_error)?;
        Ok(removal)
    }

    /// The secret that deletes `alias`.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn delete_token(&self, alias: &Alias) -> Result<Option<DeleteToken>> {
        let token: Option<String> =
            sqlx::query_scalar("SELECT token FROM aliases WHERE alias = $1")
                .bind(alias.as_str())
                .fetch_optional(&self.read)
                .await
                .map_err(repo_error)?;
        Ok(token.map(DeleteToken::new))
    }

    /// Whether something has this name.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn has_alias(&self, alias: &Alias) -> Result<bool> {
        Ok(self.delete_token(alias).await?.is_some())
    }

    /// All aliases of a content, sorted.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn aliases(&self, hash: &ContentKey) -> Result<Vec<Alias>> {
        let aliases: Vec<String> =
            sqlx::query_scalar("SELECT alias FROM aliases WHERE hash = $1 ORDER BY alias")
                .bind(hash.as_bytes())
                .fetch_all(&self.read)
                .await
                .map_err(repo_error)?;
        aliases.into_iter().map(Alias::parse).collect()
    }
}

async fn replace_in(
    tx: &mut Transaction<'_, Sqlite>,
    hash: &ContentKey,
    lost: &ObjectKey,
    found: &ObjectKey,
) -> Result<Option<Removal>> {
    let updated = sqlx::query("UPDATE hashes SET object = $3 WHERE hash = $1 AND object = $2")
        .bind(hash.as_bytes())
        .bind(lost.as_str())
        .bind(found.as_str())
        .execute(&mut **tx)
        .await
        .map_err(repo_error)?;
    if updated.rows_affected() == 0 {
        return Ok(None);
    }
    // It may be there and be damaged.
    let objects = vec![lost.clone()];
    removal::discard_in(tx, &objects).await?;
    Ok(Some(Removal {
        aliases: Vec::new(),
        contents: vec![*hash],
        objects,
    }))
}

async fn find_all_again_in(tx: &mut Transaction<'_, Sqlite>, hash: &ContentKey) -> Result<()> {
    sqlx::query("UPDATE aliases SET lost_at = NULL WHERE hash = $1 AND lost_at IS NOT NULL")
        .bind(hash.as_bytes())
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(repo_error)
}

/// The bytes came again under this very alias.
pub(super) async fn find_again_in(tx: &mut Transaction<'_, Sqlite>, alias: &Alias) -> Result<()> {
    sqlx::query("UPDATE aliases SET lost_at = NULL WHERE alias = $1 AND lost_at IS NOT NULL")
        .bind(alias.as_str())
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(repo_error)
}

/// Adds an alias and, unless it is known, the content that it names.
pub(super) async fn add_in(tx: &mut Transaction<'_, Sqlite>, upload: &NewUpload) -> Result<Added> {
    let NewUpload {
        alias,
        token,
        original,
        source,
    } = upload;
    let stored = &original.representation;
    blocklist::check_in(tx, &stored.key, source.as_ref()).await?;
    let inserted = sqlx::query(
        "INSERT INTO hashes (hash, object, width, height, frames, duration_ms, blurhash, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (hash) DO NOTHING",
    )
    .bind(stored.key.as_bytes())
    .bind(stored.object.as_str())
    .bind(i64::from(stored.width))
    .bind(i64::from(stored.height))
    .bind(i64::from(stored.frames))
    .bind(stored.duration_ms.map(bigint))
    .bind(&original.blurhash)
    .bind(stored.created_at)
    .execute(&mut **tx)
    .await
    .map_err(repo_error)?;
    let is_new = inserted.rows_affected() == 1;
    let named = sqlx::query(
        "INSERT INTO aliases (alias, hash, token, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (alias) DO NOTHING",
    )
    .bind(alias.as_str())
    .bind(stored.key.as_bytes())
    .bind(token.expose())
    .bind(stored.created_at)
    .execute(&mut **tx)
    .await
    .map_err(repo_error)?;
    if named.rows_affected() == 0 {
        return Err(duplicate(alias));
    }
    if let Some(source) = source {
        blocklist::add_source(tx, &stored.key, source).await?;
    }
    let original = if is_new {
        original.clone()
    } else {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM hashes h WHERE h.hash = $1"
        )))
        .bind(stored.key.as_bytes())
        .fetch_one(&mut **tx)
        .await
        .map_err(repo_error)?;
        from_row(&row)?
    };
    Ok(Added { original, is_new })
}

/// Only names that were chosen can meet.
pub(crate) fn duplicate(alias: &Alias) -> Error {
    Error::user(
        ErrorCode::DuplicateAlias,
        format!("There is an alias '{alias}' already"),
    )
}

/// What `alias` names, with the token that deletes it.
pub(super) async fn find_in(
    tx: &mut Transaction<'_, Sqlite>,
    alias: Alias,
) -> Result<Option<NewUpload>> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT a.token, {COLUMNS} FROM aliases a JOIN hashes h ON h.hash = a.hash WHERE a.alias = $1"
    )))
    .bind(alias.as_str())
    .fetch_optional(&mut **tx)
    .await
    .map_err(repo_error)?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(NewUpload {
        alias,
        token: DeleteToken::new(row.try_get::<String, _>("token").map_err(repo_error)?),
        original: from_row(&row)?,
        source: None,
    }))
}

pub(super) fn from_row(row: &sqlx::sqlite::SqliteRow) -> Result<Original> {
    Ok(Original {
        representation: Representation {
            key: content_key(row, "hash")?,
            ..Representation::from_row(row, "hash")?
        },
        blurhash: row.try_get("blurhash").map_err(repo_error)?,
    })
}
