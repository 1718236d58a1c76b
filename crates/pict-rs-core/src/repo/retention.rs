//! Drops variants and proxied media, the least recently used first. Rows are removed and their objects
//! move to the garbage table in one transaction.
//!
//! A proxied alias is dropped as if by its delete token: the content is removed with its last
//! alias. The audit log gets one entry for all that are dropped at a time.

use super::audit::{self, Action, Actor, Cause, Event};
use super::change::Change;
use super::fault::again;
use super::outbox::{self, EventKind};
use super::removed::Destroyed;
use super::sql::{self, Row, sql};
use super::usage::{self, Class};
use super::{Removal, Repo, garbage, node, removal, takeover, variant};
use crate::{Alias, ContentKey, ObjectKey, Result, VariantKey};

/// What was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The number of variants or proxied media.
    pub count: usize,
    /// The contents that lost variants, or the aliases that were proxied.
    pub removal: Removal,
    /// The space that the variants take on disk, or that dropping the proxied media frees.
    pub bytes: u64,
}

/// What was not used for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused {
    /// How many variants.
    pub variants: u64,
    /// The bytes of their files.
    pub bytes: u64,
    /// How many proxied media.
    pub proxied: u64,
}

impl Repo {
    /// Drops up to `limit` variants that were not used since `before`, oldest use first.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn expire_variants(&self, before: i64, limit: u32) -> Result<Dropped> {
        let any = "SELECT 1 FROM variants WHERE accessed_at <= $1 LIMIT 1";
        if !self.has_any(any, before).await? {
            return Ok(Dropped::default());
        }
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let rows = sql(
                "SELECT hash, object, size FROM variants WHERE accessed_at <= $1 \
                 ORDER BY accessed_at LIMIT $2",
            )
            .bind(before)
            .bind(i64::from(limit))
            .all(&mut tx)
            .await?;
            let dropped = drop_variants(&mut tx, &named(&rows)?, u64::MAX).await?;
            node::announce_in(&mut tx, &dropped.removal).await?;
            tx.commit().await?;
            Ok(dropped)
        })
        .await
    }

    /// What was not used since `before`, in unix milliseconds: variants with the bytes of their files,
    /// and the number of proxied media. Its cost grows with that number.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn unused_since(&self, before: i64) -> Result<Unused> {
        let row = sql(
            "SELECT COUNT(*) AS variants, CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes, \
             (SELECT COUNT(*) FROM proxies WHERE accessed_at <= $1) AS proxied \
             FROM variants WHERE accessed_at <= $1",
        )
        .bind(before)
        .one(&self.read)
        .await?;
        Ok(Unused {
            variants: row.number("variants")?,
            bytes: row.number("bytes")?,
            proxied: row.number("proxied")?,
        })
    }

    /// Drops up to `limit` variants, least recently used first, until all variants together take at
    /// most `bytes` on disk.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn shrink_variants(&self, bytes: u64, limit: u32) -> Result<Dropped> {
        if usage::allocated(&self.read, Class::Variants).await? <= bytes {
            return Ok(Dropped::default());
        }
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let excess = usage::allocated(&mut tx, Class::Variants)
                .await?
                .saturating_sub(bytes);
            if excess == 0 {
                return Ok(Dropped::default());
            }
            let rows = sql("SELECT hash, object, size FROM variants ORDER BY accessed_at LIMIT $1")
                .bind(i64::from(limit))
                .all(&mut tx)
                .await?;
            let dropped = drop_variants(&mut tx, &named(&rows)?, excess).await?;
            node::announce_in(&mut tx, &dropped.removal).await?;
            tx.commit().await?;
            Ok(dropped)
        })
        .await
    }

    /// Drops variants of one content, least recently used first, until at most `count` remain and
    /// take at most `bytes` together. The variant `kept` is not dropped, but counts; `spared` is
    /// neither dropped nor counted.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn bound_variants(
        &self,
        hash: &ContentKey,
        kept: &ObjectKey,
        spared: &VariantKey,
        count: u32,
        bytes: u64,
    ) -> Result<Dropped> {
        let rows = sql(
            "SELECT hash, object, size FROM variants WHERE hash = $1 AND variant <> $3 \
             ORDER BY object = $2 DESC, accessed_at DESC",
        )
        .bind(hash.as_bytes())
        .bind(kept.as_str())
        .bind(spared.as_str())
        .all(&self.read)
        .await?;
        let (mut stay, mut taken) = (0, 0u64);
        for row in &rows {
            taken = taken.saturating_add(usage::on_disk(row.number("size")?));
            if stay > 0 && (stay >= count as usize || taken > bytes) {
                break;
            }
            stay += 1;
        }
        let excess = named(&rows[stay..])?;
        if excess.is_empty() {
            return Ok(Dropped::default());
        }
        again(|| async {
            let mut tx = self.begin().await?;
            let dropped = drop_variants(&mut tx, &excess, u64::MAX).await?;
            node::announce_in(&mut tx, &dropped.removal).await?;
            tx.commit().await?;
            Ok(dropped)
        })
        .await
    }

    /// Drops up to `limit` proxied media that were not used since `before`, oldest use first.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn expire_proxies(&self, before: i64, limit: u32, now: i64) -> Result<Dropped> {
        let any = "SELECT 1 FROM proxies WHERE accessed_at <= $1 LIMIT 1";
        if !self.has_any(any, before).await? {
            return Ok(Dropped::default());
        }
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let rows = sql(
                "SELECT alias FROM proxies WHERE accessed_at <= $1 ORDER BY accessed_at LIMIT $2",
            )
            .bind(before)
            .bind(i64::from(limit))
            .all(&mut tx)
            .await?;
            let dropped = drop_proxies(&mut tx, &sql::aliases(&rows)?, None, now).await?;
            node::announce_in(&mut tx, &dropped.removal).await?;
            tx.commit().await?;
            Ok(dropped)
        })
        .await
    }

    /// Drops up to `limit` proxied media, least recently used first, until all of them together
    /// take at most `bytes` on disk. Media that share their bytes with an upload are skipped,
    /// because dropping them frees nothing.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn shrink_proxies(&self, bytes: u64, limit: u32, now: i64) -> Result<Dropped> {
        if usage::allocated(&self.read, Class::Proxied).await? <= bytes {
            return Ok(Dropped::default());
        }
        again(|| async {
            let mut tx = self.begin_removal().await?;
            if usage::allocated(&mut tx, Class::Proxied).await? <= bytes {
                return Ok(Dropped::default());
            }
            let rows = sql(
                "SELECT p.alias FROM proxies p WHERE EXISTS (SELECT 1 FROM aliases a \
                 JOIN proxied x ON x.hash = a.hash WHERE a.alias = p.alias) \
                 ORDER BY p.accessed_at LIMIT $1",
            )
            .bind(i64::from(limit))
            .all(&mut tx)
            .await?;
            let dropped = drop_proxies(&mut tx, &sql::aliases(&rows)?, Some(bytes), now).await?;
            node::announce_in(&mut tx, &dropped.removal).await?;
            tx.commit().await?;
            Ok(dropped)
        })
        .await
    }
}

/// Drops proxied media in the given order, until all take at most `bytes` if that is given.
pub(super) async fn drop_proxies(
    tx: &mut Change,
    aliases: &[Alias],
    bytes: Option<u64>,
    now: i64,
) -> Result<Dropped> {
    let mut dropped = Dropped::default();
    let mut destroyed = Destroyed::default();
    let before = usage::allocated(&mut *tx, Class::Proxied).await?;
    let mut left = before;
    for alias in aliases {
        if bytes.is_some_and(|bytes| left <= bytes) {
            break;
        }
        let removed = removal::remove_in(tx, alias).await?;
        if removed.removal.aliases.is_empty() {
            // Another removal was first.
            continue;
        }
        destroyed.variants += removed.destroyed.variants;
        destroyed.bytes += removed.destroyed.bytes;
        let (kind, action) = (EventKind::Removed, Action::Evict.as_str());
        outbox::removed_in(tx, kind, action, &removed, (None, None)).await?;
        dropped.removal.objects.extend(removed.removal.objects);
        dropped.count += 1;
        dropped.removal.aliases.push(alias.clone());
        left = before.saturating_add_signed(tx.counted(Class::Proxied).allocated);
    }
    takeover::bury_in(tx, &dropped.removal.aliases, false, now).await?;
    dropped.bytes = before.saturating_sub(left);
    if dropped.count > 0 {
        let event = Event {
            action: Action::Evict,
            aliases: &[],
            hash: None,
            amount: Some(dropped.count as u64),
            destroyed: Some(destroyed),
        };
        audit::record_in(tx, &Cause::new(Actor::Server), &event, now).await?;
    }
    Ok(dropped)
}

/// The contents and objects of variants.
fn named(rows: &[Row]) -> Result<Vec<(ContentKey, ObjectKey)>> {
    let name = |row: &Row| Ok((row.content_key("hash")?, row.object("object")?));
    rows.iter().map(name).collect()
}

/// Drops variants in the given order until `enough` bytes are freed.
pub(super) async fn drop_variants(
    tx: &mut Change,
    variants: &[(ContentKey, ObjectKey)],
    enough: u64,
) -> Result<Dropped> {
    let mut dropped = Dropped::default();
    for (hash, object) in variants {
        if dropped.bytes >= enough {
            break;
        }
        let Some(size) = variant::drop_in(tx, object).await? else {
            continue;
        };
        dropped.count += 1;
        dropped.removal.contents.push(*hash);
        dropped.removal.objects.push(object.clone());
        dropped.bytes += usage::on_disk(size);
    }
    garbage::discard_in(tx, &dropped.removal.objects).await?;
    Ok(dropped)
}
