//! Removes aliases and contents. A content that loses its last alias loses its rows in the same
//! transaction; its objects move to the garbage table until the store has removed them. The audit
//! entry is written in the same transaction.

use pict_rs_media::PdqHash;

use super::audit::{self, Action, Cause, Event};
use super::change::Change;
use super::fault::again;
use super::sql::{self, sql};
use super::usage::Class;
use super::{Repo, bigint, blocklist, content, garbage, node, pdq, quarantine, takeover, variant};
use crate::{Alias, ContentKey, Digest, ObjectKey, Result};

/// What a transaction has removed. After the commit it is passed on, so that caches and store
/// remove it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Removed aliases.
    pub aliases: Vec<Alias>,
    /// Contents that remain, but lost variants or point to another object.
    pub contents: Vec<ContentKey>,
    /// Objects that no row names any more.
    pub objects: Vec<ObjectKey>,
}

/// The result of purging a content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgedContent {
    /// All aliases of the content, sorted, and its objects.
    pub removal: Removal,
    /// The digests that were blocked, if that was requested.
    pub blocked: Vec<Digest>,
    /// The PDQ hash that was listed, if that was requested and there is one.
    pub listed: Option<PdqHash>,
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
                None => remove_in(&mut tx, alias).await?.0,
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
                _ => None,
            };
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
    let urls =
        sql("DELETE FROM proxies WHERE alias IN (SELECT alias FROM aliases WHERE hash = $1)")
            .bind(hash.as_bytes())
            .run(&mut *tx)
            .await?;
    tx.count(Class::Proxied, -bigint(urls));
    let rows = sql("DELETE FROM aliases WHERE hash = $1 RETURNING alias")
        .bind(hash.as_bytes())
        .all(&mut *tx)
        .await?;
    let mut aliases = sql::aliases(&rows)?;
    aliases.sort();
    tx.count(Class::Aliases, -bigint(rows.len() as u64));
    let objects = remove_content(tx, hash).await?;
    if !aliases.is_empty() || !objects.is_empty() {
        let event = Event {
            action,
            aliases: &aliases,
            hash: Some(hash.to_hex()),
            amount: None,
        };
        audit::record_in(tx, cause, &event, now).await?;
    }
    Ok(Removal {
        aliases,
        contents: Vec::new(),
        objects,
    })
}

/// As [`remove_in`], with an audit entry.
pub(super) async fn remove_for(
    tx: &mut Change,
    alias: &Alias,
    action: Action,
    cause: &Cause,
    now: i64,
) -> Result<Removal> {
    let (removed, hash) = remove_in(tx, alias).await?;
    if !removed.aliases.is_empty() {
        let event = Event {
            action,
            aliases: std::slice::from_ref(alias),
            hash: hash.map(|hash| hash.to_hex()),
            amount: None,
        };
        audit::record_in(tx, cause, &event, now).await?;
    }
    Ok(removed)
}

/// Removes one alias, and its content if this was the last. Returns the key of the content too.
pub(super) async fn remove_in(
    tx: &mut Change,
    alias: &Alias,
) -> Result<(Removal, Option<ContentKey>)> {
    let named = sql("SELECT hash FROM aliases WHERE alias = $1")
        .bind(alias.as_str())
        .optional(&mut *tx)
        .await?;
    let Some(hash) = named.map(|row| row.content_key("hash")).transpose()? else {
        return Ok((Removal::default(), None));
    };
    content::lock_in(tx, &hash).await?;
    // The alias may have been removed and given to another content before the lock was had.
    let urls = sql("DELETE FROM proxies WHERE alias IN \
         (SELECT alias FROM aliases WHERE alias = $1 AND hash = $2)")
    .bind(alias.as_str())
    .bind(hash.as_bytes())
    .run(&mut *tx)
    .await?;
    tx.count(Class::Proxied, -bigint(urls));
    let removed = sql("DELETE FROM aliases WHERE alias = $1 AND hash = $2")
        .bind(alias.as_str())
        .bind(hash.as_bytes())
        .run(&mut *tx)
        .await?;
    if removed == 0 {
        // Another removal held the lock first.
        return Ok((Removal::default(), None));
    }
    tx.count(Class::Aliases, -1);
    let left = sql(
        "SELECT COUNT(*) FILTER (WHERE lost_at IS NULL) AS served, COUNT(lost_at) AS lost \
         FROM aliases WHERE hash = $1",
    )
    .bind(hash.as_bytes())
    .one(&mut *tx)
    .await?;
    let objects = match (left.int("served")?, left.int("lost")?) {
        (0, 0) => remove_content(tx, &hash).await?,
        (0, _) => {
            content::settle_in(tx, &hash).await?;
            lose_content(tx, &hash).await?
        }
        _ => {
            content::settle_in(tx, &hash).await?;
            Vec::new()
        }
    };
    let removed = Removal {
        aliases: vec![alias.clone()],
        contents: Vec::new(),
        objects,
    };
    Ok((removed, Some(hash)))
}

/// Removes the bytes of a content that is named only by aliases whose file was lost before. The row
/// gets the key of an object that never existed, so that an upload can restore it.
async fn lose_content(tx: &mut Change, hash: &ContentKey) -> Result<Vec<ObjectKey>> {
    let mut objects = remove_variants(tx, hash).await?;
    let original = sql("SELECT object FROM hashes WHERE hash = $1")
        .bind(hash.as_bytes())
        .all(&mut *tx)
        .await?;
    objects.extend(sql::objects(&original)?);
    sql("UPDATE hashes SET object = $2 WHERE hash = $1")
        .bind(hash.as_bytes())
        .bind(ObjectKey::generate(hash.format()).as_str())
        .run(&mut *tx)
        .await?;
    garbage::discard_in(tx, &objects).await?;
    Ok(objects)
}

async fn remove_content(tx: &mut Change, hash: &ContentKey) -> Result<Vec<ObjectKey>> {
    let mut objects = remove_variants(tx, hash).await?;
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
    objects.extend(sql::objects(&original)?);
    garbage::discard_in(tx, &objects).await?;
    Ok(objects)
}

async fn remove_variants(tx: &mut Change, hash: &ContentKey) -> Result<Vec<ObjectKey>> {
    let rows = sql("DELETE FROM variants WHERE hash = $1 RETURNING object, size")
        .bind(hash.as_bytes())
        .all(&mut *tx)
        .await?;
    variant::discount(tx, &rows)?;
    sql::objects(&rows)
}
