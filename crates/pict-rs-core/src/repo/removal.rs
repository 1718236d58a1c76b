//! Removes aliases and contents. A content that loses its last alias loses its rows in the same
//! transaction; its objects move to the garbage table until the store has removed them. The audit
//! entry is written in the same transaction.

use super::audit::{self, Action, Cause, Event};
use super::change::Change;
use super::fault::again;
use super::outbox::{self, EventKind};
use super::pdq::{self, NewlyListed};
use super::removed::{self, Removal, Removed, Shown};
use super::sql::{self, sql};
use super::usage::Class;
use super::{Repo, bigint, blocklist, content, garbage, node, quarantine, takeover, variant};
use crate::{Alias, ContentKey, Digest, ObjectKey, Result};

/// The result of purging a content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgedContent {
    /// All aliases of the content, sorted, and its objects.
    pub removal: Removal,
    /// The digests that were blocked, if that was requested.
    pub blocked: Vec<Digest>,
    /// The PDQ hashes that were listed, if that was requested.
    pub listed: NewlyListed,
}

/// What is refused after a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing.
    Nothing,
    /// The same bytes.
    Same,
    /// The same bytes, and what looks like them.
    Similar,
}

impl Repo {
    /// Removes one alias, and its content if this was the last. The removal is empty if the alias
    /// does not exist. `cause` is recorded in the audit log; it is `None` only when an upload is
    /// undone whose alias was never sent to the client.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn remove_alias(
        &self,
        alias: &Alias,
        cause: Option<&Cause>,
        now: i64,
    ) -> Result<Removal> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let removed = match cause {
                Some(cause) => {
                    let removed = remove_for(&mut tx, alias, Action::Delete, cause, now).await?;
                    takeover::bury_in(&mut tx, &removed.aliases, true, now).await?;
                    removed
                }
                None => {
                    let removed = remove_in(&mut tx, alias).await?;
                    let kind = EventKind::Removed;
                    outbox::removed_in(&mut tx, kind, "undo", &removed, (None, None)).await?;
                    removed.removal
                }
            };
            node::announce_in(&mut tx, &removed).await?;
            tx.commit().await?;
            Ok(removed)
        })
        .await
    }

    /// Removes a content with all its aliases and variants. `refused` is what is
    /// blocked.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn purge(
        &self,
        hash: &ContentKey,
        refused: Refused,
        cause: &Cause,
        now: i64,
    ) -> Result<PurgedContent> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let blocked = match refused {
                Refused::Nothing => Vec::new(),
                _ => blocklist::block_content_in(&mut tx, hash, cause, now).await?,
            };
            let listed = match refused {
                Refused::Similar => pdq::list_content_in(&mut tx, hash, cause, now).await?,
                _ => NewlyListed::default(),
            };
            quarantine::unrelease_in(&mut tx, hash).await?;
            let removal = purge_in(&mut tx, hash, Action::Purge, cause, now).await?;
            takeover::bury_in(&mut tx, &removal.aliases, true, now).await?;
            node::announce_in(&mut tx, &removal).await?;
            tx.commit().await?;
            Ok(PurgedContent {
                removal,
                blocked,
                listed,
            })
        })
        .await
    }
}

/// Removes a content with all its aliases and variants. If it does not exist, nothing is recorded.
pub(super) async fn purge_in(
    tx: &mut Change,
    hash: &ContentKey,
    action: Action,
    cause: &Cause,
    now: i64,
) -> Result<Removal> {
    content::lock_in(tx, hash).await?;
    let mut removed = Removed {
        hash: Some(*hash),
        shown: Shown {
            variants: removed::variants_in(tx, hash).await?,
            urls: Vec::new(),
        },
        ..Removed::default()
    };
    let urls = sql(
        "DELETE FROM proxies WHERE alias IN (SELECT alias FROM aliases WHERE hash = $1) \
         RETURNING url",
    )
    .bind(hash.as_bytes())
    .all(&mut *tx)
    .await?;
    tx.count(Class::Proxied, -bigint(urls.len() as u64));
    removed.shown.urls = removed::texts(&urls, "url")?;
    let rows = sql("DELETE FROM aliases WHERE hash = $1 RETURNING alias")
        .bind(hash.as_bytes())
        .all(&mut *tx)
        .await?;
    let mut aliases = sql::aliases(&rows)?;
    aliases.sort();
    tx.count(Class::Aliases, -bigint(rows.len() as u64));
    removed.removal.aliases = aliases;
    remove_content(tx, hash, &mut removed).await?;
    let Removal {
        aliases, objects, ..
    } = &removed.removal;
    if !aliases.is_empty() || !objects.is_empty() {
        let event = Event {
            action,
            aliases,
            hash: Some(hash.to_hex()),
            amount: None,
            destroyed: Some(removed.destroyed),
        };
        let entry = audit::record_in(tx, cause, &event, now).await?;
        let (kind, by) = (EventKind::Purged, (Some(cause), Some(entry)));
        outbox::removed_in(tx, kind, action.as_str(), &removed, by).await?;
    }
    Ok(removed.removal)
}

/// As [`remove_in`], with an audit entry.
pub(super) async fn remove_for(
    tx: &mut Change,
    alias: &Alias,
    action: Action,
    cause: &Cause,
    now: i64,
) -> Result<Removal> {
    let removed = remove_in(tx, alias).await?;
    if !removed.removal.aliases.is_empty() {
        let event = Event {
            action,
            aliases: std::slice::from_ref(alias),
            hash: removed.hash.map(|hash| hash.to_hex()),
            amount: None,
            destroyed: Some(removed.destroyed),
        };
        let entry = audit::record_in(tx, cause, &event, now).await?;
        let (kind, by) = (EventKind::Removed, (Some(cause), Some(entry)));
        outbox::removed_in(tx, kind, action.as_str(), &removed, by).await?;
    }
    Ok(removed.removal)
}

/// Removes one alias, and its content if this was the last. The caller tells others of it.
pub(super) async fn remove_in(tx: &mut Change, alias: &Alias) -> Result<Removed> {
    let named = sql("SELECT hash FROM aliases WHERE alias = $1")
        .bind(alias.as_str())
        .optional(&mut *tx)
        .await?;
    let Some(hash) = named.map(|row| row.content_key("hash")).transpose()? else {
        return Ok(Removed::default());
    };
    content::lock_in(tx, &hash).await?;
    // The alias may have been removed and given to another content before the lock was had.
    let urls = sql("DELETE FROM proxies WHERE alias IN \
         (SELECT alias FROM aliases WHERE alias = $1 AND hash = $2) RETURNING url")
    .bind(alias.as_str())
    .bind(hash.as_bytes())
    .all(&mut *tx)
    .await?;
    tx.count(Class::Proxied, -bigint(urls.len() as u64));
    let deleted = sql("DELETE FROM aliases WHERE alias = $1 AND hash = $2")
        .bind(alias.as_str())
        .bind(hash.as_bytes())
        .run(&mut *tx)
        .await?;
    if deleted == 0 {
        // Another removal held the lock first.
        return Ok(Removed::default());
    }
    tx.count(Class::Aliases, -1);
    let mut removed = Removed {
        removal: Removal {
            aliases: vec![alias.clone()],
            ..Removal::default()
        },
        hash: Some(hash),
        shown: Shown {
            variants: removed::variants_in(tx, &hash).await?,
            urls: removed::texts(&urls, "url")?,
        },
        ..Removed::default()
    };
    let left = sql(
        "SELECT COUNT(*) FILTER (WHERE lost_at IS NULL) AS served, COUNT(lost_at) AS lost \
         FROM aliases WHERE hash = $1",
    )
    .bind(hash.as_bytes())
    .one(&mut *tx)
    .await?;
    match (left.int("served")?, left.int("lost")?) {
        (0, 0) => remove_content(tx, &hash, &mut removed).await?,
        (0, _) => {
            content::settle_in(tx, &hash).await?;
            lose_content(tx, &hash, &mut removed).await?;
        }
        _ => content::settle_in(tx, &hash).await?,
    }
    Ok(removed)
}

/// Removes the bytes of a content that is named only by aliases whose file was lost before. The row
/// gets the key of an object that never existed, so that an upload can restore it.
async fn lose_content(tx: &mut Change, hash: &ContentKey, removed: &mut Removed) -> Result<()> {
    remove_variants(tx, hash, removed).await?;
    let original = sql("SELECT object FROM hashes WHERE hash = $1")
        .bind(hash.as_bytes())
        .all(&mut *tx)
        .await?;
    removed.take_original(hash, &original)?;
    sql("UPDATE hashes SET object = $2 WHERE hash = $1")
        .bind(hash.as_bytes())
        .bind(ObjectKey::generate(hash.format()).as_str())
        .run(&mut *tx)
        .await?;
    garbage::discard_in(tx, &removed.removal.objects).await
}

async fn remove_content(tx: &mut Change, hash: &ContentKey, removed: &mut Removed) -> Result<()> {
    remove_variants(tx, hash, removed).await?;
    quarantine::end_in(tx, hash).await?;
    sql("DELETE FROM sources WHERE hash = $1")
        .bind(hash.as_bytes())
        .run(&mut *tx)
        .await?;
    content::share_in(tx, hash).await?;
    let original = sql("DELETE FROM hashes WHERE hash = $1 RETURNING object")
        .bind(hash.as_bytes())
        .all(&mut *tx)
        .await?;
    if !original.is_empty() {
        tx.count(Class::Originals, -1);
        tx.take_file(Class::Originals, hash.size());
    }
    removed.take_original(hash, &original)?;
    garbage::discard_in(tx, &removed.removal.objects).await
}

async fn remove_variants(tx: &mut Change, hash: &ContentKey, removed: &mut Removed) -> Result<()> {
    let rows = sql("DELETE FROM variants WHERE hash = $1 RETURNING object, size")
        .bind(hash.as_bytes())
        .all(&mut *tx)
        .await?;
    variant::discount(tx, &rows)?;
    for row in &rows {
        removed.destroyed.variants += 1;
        removed.destroyed.bytes += row.number::<u64>("size")?;
    }
    removed.removal.objects.extend(sql::objects(&rows)?);
    Ok(())
}
