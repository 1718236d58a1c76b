//! Drops variants and proxied media by their value, for the budget of the disk.
//!
//! What takes many bytes, was not used for long and is cheap to have again goes first: the weight of a file
//! is its bytes × the time since its last use ÷ the cost of having it again. Weights change with time, so
//! there is no index of them. Each batch weighs the least recently used and a random sample, and drops
//! the heaviest quarter at most. Its cost does not depend on how much is stored.

use std::collections::HashSet;

use super::fault::again;
use super::retention::{drop_proxies, drop_variants};
use super::sql::{Row, sql};
use super::usage::{Class, on_disk};
use super::{Dropped, Repo, node};
use crate::{Alias, ContentKey, ObjectKey, Result};
use pict_rs_media::Format;

/// How many of the least recently used are weighed, and how many by chance, of each class.
const SAMPLE: u32 = 256;
/// The part of what is weighed that a batch drops at most, so that it drops only the heaviest.
const HEAVIEST: usize = 4;
/// That part is at least so many files.
const FEW: usize = 16;
/// Added to the time since the last use, in seconds, because uses are recorded coarsely and what is new
/// would weigh nothing.
const NEW: f64 = 300.0;

/// Costs in milliseconds of a processor, or of waiting for another server. They need not be exact: a
/// factor of two moves a file by the same factor in time.
mod cost {
    /// Of any variant: its turn, its files, its row.
    pub(super) const VARIANT: f64 = 5.0;
    /// Of decoding a pixel and of all operations on it.
    pub(super) const DECODED: f64 = 15e-6;
    /// Of encoding a pixel of the result.
    pub(super) const ENCODED: f64 = 40e-6;
    /// The same for AVIF and JPEG XL.
    pub(super) const ENCODED_SLOWLY: f64 = 300e-6;
    /// Of a request to another server, which may be gone by then.
    pub(super) const FETCH: f64 = 500.0;
    /// Of a byte that it sends.
    pub(super) const FETCHED: f64 = 1e-4;
}

/// What can be dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Droppable {
    Variant(ContentKey, ObjectKey),
    Proxied(Alias),
}

/// What can be dropped, and its weight.
#[derive(Clone, Debug)]
struct Weighed {
    what: Droppable,
    /// The content that it is made from, or that it is.
    content: ContentKey,
    /// Bytes on the disk.
    size: u64,
    /// Unix time in milliseconds.
    accessed_at: i64,
    weight: f64,
}

/// A file that the budget may drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCandidate {
    /// The content that it is made from, or that it is.
    pub content: ContentKey,
    /// Whether it is a proxied medium; otherwise it is a variant.
    pub is_proxied: bool,
    /// Bytes on the disk.
    pub size: u64,
    /// When it was last used, as unix time in milliseconds.
    pub accessed_at: i64,
}

/// What a batch has dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DroppedByValue {
    /// Of the variants. The space is that of all files that went.
    pub variants: Dropped,
    /// Of the proxied media.
    pub proxied: Dropped,
}

impl DroppedByValue {
    /// Whether nothing was there to be dropped.
    pub fn is_empty(&self) -> bool {
        self.variants.count + self.proxied.count == 0
    }
}

impl Repo {
    /// Drops one batch of variants and proxied media, of least value first, until they take `bytes` less
    /// on the disk. Media that share their bytes with an upload are skipped, because dropping them frees
    /// nothing. `now` is in unix milliseconds.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn drop_by_value(&self, bytes: u64, now: i64) -> Result<DroppedByValue> {
        let weighed = self.weigh(now).await?;
        let (mut variants, mut proxied) = (Vec::new(), Vec::new());
        let most = (weighed.len() / HEAVIEST).max(FEW);
        let mut freed = 0_u64;
        for Weighed { what, size, .. } in weighed.into_iter().take(most) {
            if freed >= bytes {
                break;
            }
            freed = freed.saturating_add(size);
            match what {
                Droppable::Variant(hash, object) => variants.push((hash, object)),
                Droppable::Proxied(alias) => proxied.push(alias),
            }
        }
        if variants.is_empty() && proxied.is_empty() {
            return Ok(DroppedByValue::default());
        }
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let mut dropped = DroppedByValue {
                variants: drop_variants(&mut tx, &variants, u64::MAX).await?,
                proxied: drop_proxies(&mut tx, &proxied, None, now).await?,
            };
            node::announce_in(&mut tx, &dropped.variants.removal).await?;
            node::announce_in(&mut tx, &dropped.proxied.removal).await?;
            // With a proxied medium its variants go as well.
            let freed = |class| tx.counted(class).allocated.min(0).unsigned_abs();
            dropped.variants.bytes = freed(Class::Variants);
            dropped.proxied.bytes = freed(Class::Originals);
            tx.commit().await?;
            Ok(dropped)
        })
        .await
    }

    /// Up to `limit` files that [`Repo::drop_by_value`] would drop first. It looks at a random sample,
    /// so the next time these may be others. `now` is in unix milliseconds.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn drop_candidates(&self, limit: usize, now: i64) -> Result<Vec<DropCandidate>> {
        let weighed = self.weigh(now).await?;
        let candidates = weighed.into_iter().take(limit);
        let candidates = candidates.map(|one| DropCandidate {
            content: one.content,
            is_proxied: matches!(one.what, Droppable::Proxied(_)),
            size: one.size,
            accessed_at: one.accessed_at,
        });
        Ok(candidates.collect())
    }

    /// What may be dropped, heaviest first.
    async fn weigh(&self, now: i64) -> Result<Vec<Weighed>> {
        // Keys of contents begin with their digest, so those behind any point are a random sample.
        let from: [u8; 16] = uuid::Uuid::new_v4().into_bytes();
        let limit = i64::from(SAMPLE);
        let oldest = sql(
            "SELECT v.hash, v.object, v.content_key, v.width, v.height, v.frames, v.accessed_at, \
             (SELECT h.width * h.height * h.frames FROM hashes h WHERE h.hash = v.hash) AS decoded \
             FROM variants v ORDER BY v.accessed_at LIMIT $1",
        )
        .bind(limit)
        .all(&self.read)
        .await?;
        let random = sql(
            "SELECT v.hash, v.object, v.content_key, v.width, v.height, v.frames, v.accessed_at, \
             (SELECT h.width * h.height * h.frames FROM hashes h WHERE h.hash = v.hash) AS decoded \
             FROM variants v WHERE v.hash >= $1 ORDER BY v.hash, v.variant LIMIT $2",
        )
        .bind(&from[..])
        .bind(limit)
        .all(&self.read)
        .await?;
        let old_proxied = sql("SELECT p.alias, p.accessed_at, \
             (SELECT a.hash FROM aliases a WHERE a.alias = p.alias) AS hash \
             FROM proxies p WHERE EXISTS (SELECT 1 FROM aliases a \
             JOIN proxied x ON x.hash = a.hash WHERE a.alias = p.alias) \
             ORDER BY p.accessed_at LIMIT $1")
        .bind(limit)
        .all(&self.read)
        .await?;
        let random_proxied = sql(
            "SELECT x.hash, (SELECT MIN(a.alias) FROM aliases a WHERE a.hash = x.hash) AS alias, \
             (SELECT MAX(p.accessed_at) FROM aliases a JOIN proxies p ON p.alias = a.alias \
             WHERE a.hash = x.hash) AS accessed_at \
             FROM proxied x WHERE x.hash >= $1 ORDER BY x.hash LIMIT $2",
        )
        .bind(&from[..])
        .bind(limit)
        .all(&self.read)
        .await?;
        let variants = oldest.iter().chain(&random);
        let variants = variants.map(|row| weighed_variant(row, now));
        let proxied = old_proxied.iter().chain(&random_proxied);
        let proxied = proxied.filter_map(|row| weighed_proxied(row, now).transpose());
        let mut all = variants.chain(proxied).collect::<Result<Vec<_>>>()?;
        let mut seen = HashSet::new();
        all.retain(|one| seen.insert(one.what.clone()));
        all.sort_by(|one, two| two.weight.total_cmp(&one.weight));
        Ok(all)
    }
}

fn weighed_variant(row: &Row, now: i64) -> Result<Weighed> {
    let key = row.content_key("content_key")?;
    let mut encoded = 1.0;
    for side in ["width", "height", "frames"] {
        encoded *= row.int(side)? as f64;
    }
    let decoded = row.int_or_null("decoded")?.unwrap_or(0) as f64;
    let each = match key.format() {
        Format::Avif | Format::Jxl => cost::ENCODED_SLOWLY,
        _ => cost::ENCODED,
    };
    let cost = cost::VARIANT + decoded * cost::DECODED + encoded * each;
    let content = row.content_key("hash")?;
    let what = Droppable::Variant(content, row.object("object")?);
    let accessed_at = row.int("accessed_at")?;
    Ok(weighed(what, content, key.size(), accessed_at, now, cost))
}

/// `None` for a row that another transaction has just removed.
fn weighed_proxied(row: &Row, now: i64) -> Result<Option<Weighed>> {
    let alias = row.text_or_null("alias")?;
    let accessed_at = row.int_or_null("accessed_at")?;
    let (Some(_), Some(accessed_at)) = (alias, accessed_at) else {
        return Ok(None);
    };
    let content = row.content_key("hash")?;
    let size = content.size();
    let cost = cost::FETCH + size as f64 * cost::FETCHED;
    let what = Droppable::Proxied(row.alias("alias")?);
    Ok(Some(weighed(what, content, size, accessed_at, now, cost)))
}

/// Times are in unix milliseconds.
fn weighed(
    what: Droppable,
    content: ContentKey,
    size: u64,
    accessed_at: i64,
    now: i64,
    cost: f64,
) -> Weighed {
    let size = on_disk(size);
    let seconds = now.saturating_sub(accessed_at).max(0) as f64 / 1e3 + NEW;
    Weighed {
        what,
        content,
        size,
        accessed_at,
        weight: size as f64 * seconds / cost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_old_and_cheap_files_weigh_more() {
        let weight = |size, hours: i64, cost| {
            let what = Droppable::Proxied(Alias::generate(Format::Png));
            let content = ContentKey::new([1; 32], size, Format::Png);
            weighed(what, content, size, 0, hours * 3_600_000, cost).weight
        };
        let usual = weight(100_000, 24, 50.0);
        assert!(weight(1_000_000, 24, 50.0) > usual);
        assert!(weight(100_000, 240, 50.0) > usual);
        assert!(weight(100_000, 24, 5.0) > usual);
        // A clock that was set back makes nothing negative.
        assert!(weight(100_000, -24, 50.0) > 0.0);
        // What was made a moment ago does not go before everything that is small.
        assert!(weight(10_000, 24, 50.0) > weight(1_000_000, 0, 50.0) / 10.0);
    }
}
