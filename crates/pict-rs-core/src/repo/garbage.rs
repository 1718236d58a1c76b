//! Objects between their last row and their removal from the store.

use super::{Repo, repo_error};
use crate::{ObjectKey, Result};

impl Repo {
    /// Everything that is still to be removed from the store.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn garbage(&self) -> Result<Vec<ObjectKey>> {
        let objects: Vec<String> = sqlx::query_scalar("SELECT object FROM garbage")
            .fetch_all(&self.read)
            .await
            .map_err(repo_error)?;
        Ok(objects.into_iter().map(ObjectKey::new).collect())
    }

    /// Up to `limit` objects that are still to be removed from the store.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn some_garbage(&self, limit: u32) -> Result<Vec<ObjectKey>> {
        let objects: Vec<String> = sqlx::query_scalar("SELECT object FROM garbage LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(repo_error)?;
        Ok(objects.into_iter().map(ObjectKey::new).collect())
    }

    /// The store has removed these.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn collected(&self, objects: &[ObjectKey]) -> Result<()> {
        let mut tx = self.begin_removal().await?;
        for object in objects {
            sqlx::query("DELETE FROM garbage WHERE object = $1")
                .bind(object.as_str())
                .execute(&mut *tx)
                .await
                .map_err(repo_error)?;
        }
        tx.commit().await.map_err(repo_error)
    }

    /// Whether any row names the object.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn knows_object(&self, object: &ObjectKey) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM hashes WHERE object = $1 UNION ALL SELECT 1 FROM variants WHERE object = $1",
        )
        .bind(object.as_str())
        .fetch_optional(&self.read)
        .await
        .map_err(repo_error)?;
        Ok(found.is_some())
    }

    /// Those of `objects` that no row names, be it as garbage.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn unnamed(&self, objects: &[ObjectKey]) -> Result<Vec<ObjectKey>> {
        let asked: Vec<_> = objects.iter().map(ObjectKey::as_str).collect();
        let asked = serde_json::to_string(&asked).map_err(repo_error)?;
        let unnamed: Vec<String> = sqlx::query_scalar(
            "SELECT asked.value FROM json_each($1) asked \
             WHERE NOT EXISTS (SELECT 1 FROM hashes WHERE object = asked.value) \
             AND NOT EXISTS (SELECT 1 FROM variants WHERE object = asked.value) \
             AND NOT EXISTS (SELECT 1 FROM garbage WHERE object = asked.value)",
        )
        .bind(asked)
        .fetch_all(&self.read)
        .await
        .map_err(repo_error)?;
        Ok(unnamed.into_iter().map(ObjectKey::new).collect())
    }
}
