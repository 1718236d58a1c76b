//! How much there is. Nothing is counted here that grows with the number of media: triggers keep
//! the sums, in the transaction that changes what they sum up.

use super::Repo;
use super::sql::{Tx, sql};
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
        let sums = sql("SELECT class, count, bytes, allocated FROM usage")
            .all(&self.read)
            .await?;
        let mut usage = Usage::default();
        for row in sums {
            let total = Total {
                count: unsigned(row.int("count")?),
                bytes: unsigned(row.int("bytes")?),
                allocated: unsigned(row.int("allocated")?),
            };
            match row.text("class")?.as_str() {
                "aliases" => usage.aliases = total.count,
                "originals" => usage.originals = total,
                "variants" => usage.variants = total,
                "proxied" => usage.proxied = total,
                _ => {}
            }
        }
        let row = sql(
            "SELECT (SELECT MIN(accessed_at) FROM variants) AS oldest_variant, \
             (SELECT MIN(accessed_at) FROM proxies) AS oldest_proxied, \
             (SELECT COUNT(*) FROM garbage) AS garbage, \
             (SELECT COUNT(*) FROM uploads WHERE finished_at IS NULL) AS waiting, \
             (SELECT COUNT(*) FROM uploads WHERE finished_at IS NOT NULL) AS unclaimed",
        )
        .one(&self.read)
        .await?;
        usage.oldest_variant = row.int_or_null("oldest_variant")?;
        usage.oldest_proxied = row.int_or_null("oldest_proxied")?;
        usage.garbage = row.number("garbage")?;
        usage.waiting = row.number("waiting")?;
        usage.unclaimed = row.number("unclaimed")?;
        Ok(usage)
    }
}

/// What all of a class take on the disk, as this transaction sees it.
pub(super) async fn allocated_in(tx: &mut Tx, class: &'static str) -> Result<u64> {
    let row = sql("SELECT allocated FROM usage WHERE class = $1")
        .bind(class)
        .one(tx)
        .await?;
    Ok(unsigned(row.int("allocated")?))
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
