//! When variants and contents were last served to clients, and since when the latter is recorded.

use super::Repo;
use super::fault::again;
use super::setting::USES_SINCE;
use super::sql::value::Value;
use super::sql::{Statement, broken, sql};
use crate::{ContentKey, ObjectKey, Result};

impl Repo {
    /// Records when variants were used, in one transaction. A recorded time that is less than
    /// `coarse` milliseconds older is not updated.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn touch_variants(&self, used: &[(ObjectKey, i64)], coarse: i64) -> Result<()> {
        let update = "UPDATE variants SET accessed_at = $2 \
             WHERE object = $1 AND NOT accessed_at BETWEEN $3 AND $2";
        let used = used.iter().map(|(object, at)| (object.as_str(), *at));
        self.touch(update, used.collect(), coarse).await
    }

    /// As [`Repo::touch_variants`], of contents.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn touch_contents(&self, used: &[(ContentKey, i64)], coarse: i64) -> Result<()> {
        let update = "UPDATE hashes SET used_at = $2 \
             WHERE hash = $1 AND (used_at IS NULL OR NOT used_at BETWEEN $3 AND $2)";
        let used = used.iter().map(|(hash, at)| (hash.as_bytes(), *at));
        self.touch(update, used.collect(), coarse).await
    }

    /// Runs `update` for each use in one transaction: `$1` is what was used, `$2` when, and an earlier
    /// time from `$3` on is near enough. A later time was recorded while the clock was wrong.
    async fn touch<K: Copy + Ord + Into<Value>>(
        &self,
        update: &'static str,
        mut used: Vec<(K, i64)>,
        coarse: i64,
    ) -> Result<()> {
        if used.is_empty() {
            return Ok(());
        }
        // In one order for all transactions.
        used.sort_unstable();
        again(|| async {
            let mut tx = self.begin().await?;
            for &(key, at) in &used {
                sql(update)
                    .bind(key)
                    .bind(at)
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
