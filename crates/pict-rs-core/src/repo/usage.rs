//! How much there is. Nothing is counted here that grows with the number of media: triggers keep
//! the sums, in the transaction that changes what they sum up.

use sqlx::{Sqlite, Transaction};

use super::{Repo, repo_error};
use crate::Result;

/// How many, and how much they take in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Number of them.
    pub count: u64,
    /// Of stored files.
    pub bytes: u64,
    /// What these take on the disk, in whole blocks and with what belongs to each file.
    pub allocated: u64,
}

/// What there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Public names.
    pub aliases: u64,
    /// Contents.
    pub originals: Total,
    /// Pictures made from them.
    pub variants: Total,
    /// When the variant that was not used for longest was used, in unix milliseconds.
    pub oldest_variant: Option<i64>,
    /// Proxied URLs. Their bytes are of contents that no upload shares, without variants.
    pub proxied: Total,
    /// When the proxied medium that was not used for longest was used, in unix milliseconds.
    pub oldest_proxied: Option<i64>,
    /// Objects that are still to be removed from the store.
    pub garbage: u64,
    /// Backgrounded uploads that wait for their work.
    pub waiting: u64,
    /// Backgrounded uploads that wait to be claimed.
    pub unclaimed: u64,
}

impl Repo {
    /// What there is.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn usage(&self) -> Result<Usage> {
        let sums: Vec<(String, i64, i64, i64)> =
            sqlx::query_as("SELECT class, count, bytes, allocated FROM usage")
                .fetch_all(&self.read)
                .await
                .map_err(repo_error)?;
        let mut usage = Usage::default();
        for (class, count, bytes, allocated) in sums {
            let total = Total {
                count: unsigned(count),
                bytes: unsigned(bytes),
                allocated: unsigned(allocated),
            };
            match class.as_str() {
                "aliases" => usage.aliases = total.count,
                "originals" => usage.originals = total,
                "variants" => usage.variants = total,
                "proxied" => usage.proxied = total,
                _ => {}
            }
        }
        usage.oldest_variant = sqlx::query_scalar("SELECT MIN(accessed_at) FROM variants")
            .fetch_one(&self.read)
            .await
            .map_err(repo_error)?;
        usage.oldest_proxied = sqlx::query_scalar("SELECT MIN(accessed_at) FROM proxies")
            .fetch_one(&self.read)
            .await
            .map_err(repo_error)?;
        let (garbage, waiting, unclaimed): (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM garbage), \
             (SELECT COUNT(*) FROM uploads WHERE finished_at IS NULL), \
             (SELECT COUNT(*) FROM uploads WHERE finished_at IS NOT NULL)",
        )
        .fetch_one(&self.read)
        .await
        .map_err(repo_error)?;
        usage.garbage = unsigned(garbage);
        usage.waiting = unsigned(waiting);
        usage.unclaimed = unsigned(unclaimed);
        Ok(usage)
    }
}

/// What all of a class take on the disk, as this transaction sees it.
pub(super) async fn allocated_in(
    tx: &mut Transaction<'_, Sqlite>,
    class: &'static str,
) -> Result<u64> {
    let allocated: i64 = sqlx::query_scalar("SELECT allocated FROM usage WHERE class = $1")
        .bind(class)
        .fetch_one(&mut **tx)
        .await
        .map_err(repo_error)?;
    Ok(unsigned(allocated))
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
