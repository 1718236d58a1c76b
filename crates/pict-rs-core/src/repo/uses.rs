//! When contents were last served to clients, and since when that is recorded.

use super::Repo;
use super::fault::again;
use super::setting::USES_SINCE;
use super::sql::{Statement, broken, sql};
use crate::{ContentKey, Result};

impl Repo {
    /// Records when contents were used, in one transaction. A recorded time that is less than
    /// `coarse` milliseconds older is not updated.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn touch_contents(&self, used: &[(ContentKey, i64)], coarse: i64) -> Result<()> {
        if used.is_empty() {
            return Ok(());
        }
        // In one order for all transactions.
        let mut used: Vec<_> = used.iter().collect();
        used.sort_unstable();
        again(|| async {
            let mut tx = self.begin().await?;
            for (hash, at) in &used {
                // A time in the future was recorded while the clock was wrong.
                sql("UPDATE hashes SET used_at = $2 \
                     WHERE hash = $1 AND (used_at IS NULL OR NOT used_at BETWEEN $3 AND $2)")
                .bind(hash.as_bytes())
                .bind(*at)
                .bind(at.saturating_sub(coarse))
                .run(&mut tx)
                .await?;
            }
            tx.commit().await
        })
        .await
    }

    /// When a content was last used, in unix milliseconds; `None` when it was not used since uses are
    /// recorded, or is gone.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn used_at(&self, hash: &ContentKey) -> Result<Option<i64>> {
        let row = sql("SELECT used_at FROM hashes WHERE hash = $1")
            .bind(hash.as_bytes())
            .optional(&self.read)
            .await?;
        Ok(row
            .map(|row| row.int_or_null("used_at"))
            .transpose()?
            .flatten())
    }

    /// Since when uses are recorded, in unix milliseconds; 0 when they always were. Nothing is known
    /// of earlier uses of older contents.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn uses_since(&self) -> Result<i64> {
        let Some(text) = self.get(USES_SINCE).await? else {
            return Ok(0);
        };
        text.parse().map_err(|_| broken("value"))
    }

    /// Called before contents are taken over, whose uses until `now` are not known.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn record_uses_since(&self, now: i64) -> Result<()> {
        record_since(now).run(&self.write).await.map(drop)
    }
}

/// The statement of [`Repo::record_uses_since`].
pub(super) fn record_since(now: i64) -> Statement {
    sql("INSERT INTO settings (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value")
    .bind(USES_SINCE)
    .bind(now.to_string())
}
