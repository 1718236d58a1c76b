//! What the server was told while it ran, and remembers over its end.

use super::{Repo, repo_error};
use crate::{Alias, Result};

/// The alias whose file stands in for missing ones.
const NOT_FOUND: &str = "404-alias";
/// Written to see whether anything can be written.
const HEALTH: &str = "health";

impl Repo {
    /// The alias whose file stands in for missing ones. It may be gone itself by now.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn not_found_alias(&self) -> Result<Option<Alias>> {
        let alias: Option<String> =
            sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
                .bind(NOT_FOUND)
                .fetch_optional(&self.read)
                .await
                .map_err(repo_error)?;
        alias.map(Alias::parse).transpose()
    }

    /// Sets it, or has none.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn set_not_found_alias(&self, alias: Option<&Alias>) -> Result<()> {
        match alias {
            Some(alias) => self.set(NOT_FOUND, alias.as_str()).await,
            None => sqlx::query("DELETE FROM settings WHERE name = $1")
                .bind(NOT_FOUND)
                .execute(&self.write)
                .await
                .map(drop)
                .map_err(repo_error),
        }
    }

    /// Writes something, durably: a full disk lets a database be read.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn prove_writable(&self, now: i64) -> Result<()> {
        self.set(HEALTH, &now.to_string()).await
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value)
        .execute(&self.write)
        .await
        .map_err(repo_error)?;
        Ok(())
    }
}
