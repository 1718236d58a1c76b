//! A copy of the whole database as of one moment, while it is in use.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::{Repo, repo_error};
use crate::{Error, ErrorCode, Result};

impl Repo {
    /// Writes a copy to `file`, which must not exist. Reads and writes go on meanwhile. Not
    /// flushed.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`]; what was written may be left then.
    pub async fn copy_to(&self, file: &Path) -> Result<()> {
        let path = file.to_str().ok_or_else(|| Error::Internal {
            code: ErrorCode::RepoError,
            message: format!("SQLite cannot write to {}: not UTF-8", file.display()),
            source: None,
        })?;
        // A connection of its own, as the others have requests to answer.
        let mut connection = SqliteConnection::connect_with(&self.options)
            .await
            .map_err(repo_error)?;
        let copied = sqlx::query("VACUUM INTO $1")
            .bind(path)
            .execute(&mut connection)
            .await
            .map_err(repo_error);
        connection.close().await.map_err(repo_error)?;
        copied.map(drop)
    }
}
