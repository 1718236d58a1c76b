//! Usage sums. Nothing is counted here whose cost grows with the number of media: each transaction
//! records what it adds to the sums and subtracts from them, and [`Repo::fold_usage`] adds these
//! records to the sums from time to time, so that concurrent transactions do not wait for one row.

use std::ops::{AddAssign, Neg};

use super::sql::{On, Row, Tx, sql};
use super::{Repo, bigint};
use crate::Result;

/// Records that are folded in one transaction.
const FOLDED: u32 = 4096;

/// The number of files, and the space they take in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Number of them.
    pub count: u64,
    /// Bytes of the stored files.
    pub bytes: u64,
    /// The space they take on disk, in whole blocks and with the overhead of each file.
    pub allocated: u64,
}

/// The sums of everything stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of aliases.
    pub aliases: u64,
    /// Contents.
    pub originals: Total,
    /// Pictures made from them.
    pub variants: Total,
    /// When the least recently used variant was last used, in unix milliseconds.
    pub oldest_variant: Option<i64>,
    /// Proxied URLs. Their bytes are those of contents that no upload shares, without variants.
    pub proxied: Total,
    /// When the least recently used proxied medium was last used, in unix milliseconds.
    pub oldest_proxied: Option<i64>,
    /// Objects that are still to be removed from the store.
    pub garbage: u64,
    /// Backgrounded uploads that wait for their work.
    pub waiting: u64,
    /// Backgrounded uploads that wait to be claimed.
    pub unclaimed: u64,
}

/// The sums of what takes space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Number of aliases.
    pub aliases: u64,
    /// Contents.
    pub originals: Total,
    /// Pictures made from them.
    pub variants: Total,
    /// Proxied URLs. Their bytes are part of those of the originals.
    pub proxied: Total,
}

impl Sums {
    /// Sets the sum of a class.
    pub(super) fn set(&mut self, class: Class, total: Total) {
        match class {
            Class::Aliases => self.aliases = total.count,
            Class::Originals => self.originals = total,
            Class::Variants => self.variants = total,
            Class::Proxied => self.proxied = total,
        }
    }
}

impl Repo {
    /// The current sums of what takes space.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn sums(&self) -> Result<Sums> {
        let rows = sql(
            "SELECT class, CAST(SUM(count) AS BIGINT) AS count, CAST(SUM(bytes) AS BIGINT) AS bytes, \
             CAST(SUM(allocated) AS BIGINT) AS allocated FROM (\
             SELECT class, count, bytes, allocated FROM usage \
             UNION ALL SELECT class, count, bytes, allocated FROM usage_deltas) AS sums GROUP BY class",
        )
        .all(&self.read)
        .await?;
        let mut sums = Sums::default();
        for row in rows {
            let Some(class) = Class::of(&row)? else {
                continue;
            };
            sums.set(class, Delta::of(&row)?.total());
        }
        Ok(sums)
    }

    /// The current sums, and what waits.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn usage(&self) -> Result<Usage> {
        let sums = self.sums().await?;
        let mut usage = Usage {
            aliases: sums.aliases,
            originals: sums.originals,
            variants: sums.variants,
            proxied: sums.proxied,
            ..Usage::default()
        };
        let row = sql(
            "SELECT (SELECT MIN(accessed_at) FROM variants) AS oldest_variant, \
             (SELECT MIN(accessed_at) FROM proxies) AS oldest_proxied, \
             (SELECT COUNT(*) FROM garbage WHERE not_before = 0) AS garbage, \
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

    /// Folds the recorded changes into the sums, so that reading them stays cheap. Does nothing on
    /// a full disk, where the sums are correct without it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn fold_usage(&self) -> Result<()> {
        while self.fold_some(FOLDED).await? == FOLDED as usize {}
        Ok(())
    }

    /// Folds up to `limit` records. Returns how many.
    pub(super) async fn fold_some(&self, limit: u32) -> Result<usize> {
        let is_any = sql("SELECT 1 FROM usage_deltas LIMIT 1").any(&self.read);
        if !is_any.await? || !self.has_room().await {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        let rows = sql("DELETE FROM usage_deltas WHERE number IN \
             (SELECT number FROM usage_deltas ORDER BY number LIMIT $1) \
             RETURNING class, count, bytes, allocated")
        .bind(i64::from(limit))
        .all(&mut tx)
        .await?;
        let mut deltas = Deltas::default();
        for row in &rows {
            // Classes of a newer version are ignored.
            if let Some(class) = Class::of(row)? {
                deltas.add(class, Delta::of(row)?);
            }
        }
        for (class, delta) in deltas.each() {
            sql(
                "UPDATE usage SET count = count + $2, bytes = bytes + $3, allocated = allocated + $4 \
                 WHERE class = $1",
            )
            .bind(class.as_str())
            .bind(delta.count)
            .bind(delta.bytes)
            .bind(delta.allocated)
            .run(&mut tx)
            .await?;
        }
        tx.commit().await?;
        Ok(rows.len())
    }
}

/// The space that all files of a class take on disk.
pub(super) async fn allocated<'a>(on: impl Into<On<'a>>, class: Class) -> Result<u64> {
    let row = sql("SELECT CAST(SUM(allocated) AS BIGINT) AS allocated FROM (\
         SELECT allocated FROM usage WHERE class = $1 \
         UNION ALL SELECT allocated FROM usage_deltas WHERE class = $1) AS sums")
    .bind(class.as_str())
    .one(on)
    .await?;
    Ok(unsigned(row.int("allocated")?))
}

/// What is counted separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Aliases.
    Aliases,
    /// Contents.
    Originals,
    /// Pictures made from them.
    Variants,
    /// Proxied URLs, and the contents that only they name.
    Proxied,
}

impl Class {
    pub(super) const ALL: [Self; 4] = [
        Self::Aliases,
        Self::Originals,
        Self::Variants,
        Self::Proxied,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Aliases => "aliases",
            Self::Originals => "originals",
            Self::Variants => "variants",
            Self::Proxied => "proxied",
        }
    }

    /// `None` for a class of a newer version.
    pub(super) fn of(row: &Row) -> Result<Option<Self>> {
        let name = row.text("class")?;
        Ok(Self::ALL.into_iter().find(|class| class.as_str() == name))
    }
}

/// The change of the sums of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    /// Number of files.
    pub(super) count: i64,
    /// Bytes of the stored files.
    pub(super) bytes: i64,
    /// The space they take on disk.
    pub(super) allocated: i64,
}

impl Delta {
    /// The size of one added file. The count is added separately.
    pub(super) fn of_file(size: u64) -> Self {
        Self {
            count: 0,
            bytes: bigint(size),
            allocated: bigint(on_disk(size)),
        }
    }

    pub(super) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            count: row.int("count")?,
            bytes: row.int("bytes")?,
            allocated: row.int("allocated")?,
        })
    }

    pub(super) fn total(self) -> Total {
        Total {
            count: unsigned(self.count),
            bytes: unsigned(self.bytes),
            allocated: unsigned(self.allocated),
        }
    }
}

impl AddAssign for Delta {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.allocated += other.allocated;
    }
}

impl Neg for Delta {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            count: -self.count,
            bytes: -self.bytes,
            allocated: -self.allocated,
        }
    }
}

/// The changes of all sums in a transaction.
#[derive(Debug, Default)]
pub(super) struct Deltas([Delta; Class::ALL.len()]);

impl Deltas {
    /// Adds to the change of a class.
    pub(super) fn add(&mut self, class: Class, delta: Delta) {
        self.0[class as usize] += delta;
    }

    /// The change of a class.
    pub(super) fn of(&self, class: Class) -> Delta {
        self.0[class as usize]
    }

    /// The classes that change.
    fn each(&self) -> impl Iterator<Item = (Class, Delta)> {
        let each = Class::ALL.map(|class| (class, self.of(class)));
        each.into_iter()
            .filter(|(_, delta)| *delta != Delta::default())
    }

    /// Records the changes, for [`Repo::fold_usage`].
    pub(super) async fn write_in(&self, tx: &mut Tx) -> Result<()> {
        for (class, delta) in self.each() {
            sql(
                "INSERT INTO usage_deltas (class, count, bytes, allocated) VALUES ($1, $2, $3, $4)",
            )
            .bind(class.as_str())
            .bind(delta.count)
            .bind(delta.bytes)
            .bind(delta.allocated)
            .run(&mut *tx)
            .await?;
        }
        Ok(())
    }
}

/// The space that a file takes on disk: whole blocks of 4 KiB, and 512 bytes for the inode, the
/// directory entry and the row here. Size limits use this; the public sums of bytes do not.
pub(super) fn on_disk(size: u64) -> u64 {
    size.div_ceil(4096).saturating_mul(4096).saturating_add(512)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
