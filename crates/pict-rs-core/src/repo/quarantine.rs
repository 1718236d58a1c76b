//! Contents that only administrators see, until they release or purge them.

use pict_rs_media::PdqHash;

use super::audit::{self, Action, Actor, Cause, Event};
use super::change::Change;
use super::content::{COLUMNS, Original, from_row, lock_in};
use super::fault::again;
use super::outbox::{self, EventKind};
use super::pdq::hash_of;
use super::removed::{self, Removed};
use super::sql::{self, On, Row, composed, sql};
use super::{PdqMatch, Removal, Repo, node};
use crate::{Alias, ContentKey, Result};

/// A content in quarantine.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// The content.
    pub original: Original,
    /// All its aliases, sorted.
    pub aliases: Vec<Alias>,
    /// The list, the entry and its distance in bits; `None` when an administrator decided.
    pub matched: Option<(String, PdqHash, u32)>,
    /// Why.
    pub reason: Option<String>,
    /// Unix time in milliseconds.
    pub created_at: i64,
}

impl Repo {
    /// Puts a content into quarantine. Returns what is no longer served; `None` when the content is
    /// there already, or is gone.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn quarantine(
        &self,
        content: &ContentKey,
        cause: &Cause,
        now: i64,
    ) -> Result<Option<Removal>> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let is_there = lock_in(&mut tx, content).await?.is_some();
            if !is_there || !begin_in(&mut tx, content, None, cause, now).await? {
                return Ok(None);
            }
            let hidden = Removal {
                contents: vec![*content],
                ..Removal::default()
            };
            node::announce_in(&mut tx, &hidden).await?;
            tx.commit().await?;
            Ok(Some(hidden))
        })
        .await
    }

    /// Serves a content again, which no list matches from now on. Returns whether it was in
    /// quarantine.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn release(&self, content: &ContentKey, cause: &Cause, now: i64) -> Result<bool> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            lock_in(&mut tx, content).await?;
            if !end_in(&mut tx, content).await? {
                return Ok(false);
            }
            sql("INSERT INTO released (hash, created_at) VALUES ($1, $2)")
                .bind(content.as_bytes())
                .bind(now)
                .run(&mut tx)
                .await?;
            record_in(&mut tx, Action::Release, content, cause, now).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Whether an administrator has released these bytes.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn is_released(&self, content: &ContentKey) -> Result<bool> {
        is_released_in(&self.read, content).await
    }

    /// Up to `limit` contents in quarantine after the content `after`, newest first.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn quarantined(
        &self,
        after: Option<(i64, ContentKey)>,
        limit: u32,
    ) -> Result<Vec<Quarantined>> {
        let (time, key) = after.map_or((i64::MAX, Vec::new()), |(time, key)| {
            (time, key.as_bytes().to_vec())
        });
        let rows = composed(format!(
            "SELECT h.*, a.alias FROM (SELECT {COLUMNS}, q.list, q.pdq, q.distance, q.reason, \
             q.created_at AS since FROM quarantine q JOIN hashes h ON h.hash = q.hash \
             WHERE (q.created_at, q.hash) < ($1, $2) ORDER BY q.created_at DESC, q.hash DESC LIMIT $3) AS h \
             LEFT JOIN aliases a ON a.hash = h.hash ORDER BY h.since DESC, h.hash DESC, a.alias"
        ))
        .bind(time)
        .bind(key)
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        let mut found: Vec<Quarantined> = Vec::new();
        for row in &rows {
            let key = row.content_key("hash")?;
            if found.last().is_none_or(|last| *last.original.hash() != key) {
                found.push(from_joined(row)?);
            }
            if let Some(last) = found.last_mut()
                && row.text_or_null("alias")?.is_some()
            {
                last.aliases.push(row.alias("alias")?);
            }
        }
        Ok(found)
    }

    /// The content that `alias` names, if it is in quarantine.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn quarantined_as(&self, alias: &Alias) -> Result<Option<Quarantined>> {
        let row = composed(format!(
            "SELECT {COLUMNS}, q.list, q.pdq, q.distance, q.reason, q.created_at AS since \
             FROM aliases a JOIN hashes h ON h.hash = a.hash JOIN quarantine q ON q.hash = a.hash \
             WHERE a.alias = $1"
        ))
        .bind(alias.as_str())
        .optional(&self.read)
        .await?;
        let Some(mut found) = row.as_ref().map(from_joined).transpose()? else {
            return Ok(None);
        };
        found.aliases = self.aliases(found.original.hash()).await?;
        Ok(Some(found))
    }
}

/// Puts a content whose row is locked into quarantine because it looks like an entry of a list.
/// Returns false when it is there already, or was released.
pub(super) async fn match_in(
    tx: &mut Change,
    content: &ContentKey,
    listed: &PdqMatch,
    now: i64,
) -> Result<bool> {
    Ok(!is_released_in(&mut *tx, content).await?
        && begin_in(tx, content, Some(listed), &Cause::new(Actor::Server), now).await?)
}

/// Whether an administrator has released these bytes.
pub(super) async fn is_released_in<'a>(
    on: impl Into<On<'a>>,
    content: &ContentKey,
) -> Result<bool> {
    sql("SELECT 1 FROM released WHERE hash = $1")
        .bind(content.as_bytes())
        .any(on)
        .await
}

/// Lists match a content again.
pub(super) async fn unrelease_in(tx: &mut Change, content: &ContentKey) -> Result<()> {
    sql("DELETE FROM released WHERE hash = $1")
        .bind(content.as_bytes())
        .run(tx)
        .await
        .map(drop)
}

async fn begin_in(
    tx: &mut Change,
    content: &ContentKey,
    listed: Option<&PdqMatch>,
    cause: &Cause,
    now: i64,
) -> Result<bool> {
    let added = sql(
        "INSERT INTO quarantine (hash, list, pdq, distance, reason, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash) DO NOTHING",
    )
    .bind(content.as_bytes())
    .bind(listed.map(|listed| listed.list.as_str()))
    .bind(listed.map(|listed| listed.pdq.as_bytes().as_slice()))
    .bind(listed.map(|listed| i64::from(listed.distance)))
    .bind(&cause.reason)
    .bind(now)
    .run(&mut *tx)
    .await?;
    if added == 1 {
        unrelease_in(tx, content).await?;
        record_in(tx, Action::Quarantine, content, cause, now).await?;
    }
    Ok(added == 1)
}

/// Ends the quarantine of a content whose row is locked. Returns whether it was there.
pub(super) async fn end_in(tx: &mut Change, content: &ContentKey) -> Result<bool> {
    let removed = sql("DELETE FROM quarantine WHERE hash = $1")
        .bind(content.as_bytes())
        .run(tx)
        .await?;
    Ok(removed == 1)
}

async fn record_in(
    tx: &mut Change,
    action: Action,
    content: &ContentKey,
    cause: &Cause,
    now: i64,
) -> Result<()> {
    let event = Event {
        action,
        aliases: &[],
        hash: Some(content.to_hex()),
        amount: None,
        destroyed: None,
    };
    let entry = audit::record_in(tx, cause, &event, now).await?;
    let kind = match action {
        Action::Release => EventKind::Released,
        _ => EventKind::Quarantined,
    };
    let hidden = shown_in(tx, content).await?;
    let by = (Some(cause), Some(entry));
    outbox::removed_in(tx, kind, action.as_str(), &hidden, by).await
}

/// What caches in front may hold of a content, or may hold as missing.
async fn shown_in(tx: &mut Change, content: &ContentKey) -> Result<Removed> {
    let mut shown = Removed {
        hash: Some(*content),
        ..Removed::default()
    };
    let wanted = tx.listeners().wanted;
    if !wanted.events && !wanted.caches {
        return Ok(shown);
    }
    let aliases = sql("SELECT alias FROM aliases WHERE hash = $1 ORDER BY alias")
        .bind(content.as_bytes())
        .all(&mut *tx)
        .await?;
    shown.removal.aliases = sql::aliases(&aliases)?;
    let urls =
        sql("SELECT p.url FROM aliases a JOIN proxies p ON p.alias = a.alias WHERE a.hash = $1")
            .bind(content.as_bytes())
            .all(&mut *tx)
            .await?;
    shown.shown.urls = removed::texts(&urls, "url")?;
    shown.shown.variants = removed::variants_in(tx, content).await?;
    Ok(shown)
}

/// Without its aliases.
fn from_joined(row: &Row) -> Result<Quarantined> {
    let matched = match row.text_or_null("list")? {
        Some(list) => Some((list, hash_of(row)?, row.number("distance")?)),
        None => None,
    };
    Ok(Quarantined {
        original: from_row(row)?,
        aliases: Vec::new(),
        matched,
        reason: row.text_or_null("reason")?,
        created_at: row.int("since")?,
    })
}
