//! PDQ hashes: those of contents, beside their other facts, and lists of those that are not wanted.

use std::collections::HashSet;

use pict_rs_media::{Pdq, PdqHash};

use super::Repo;
use super::audit::{self, Action, Cause, Event};
use super::change::Change;
use super::fault::again;
use super::sql::{Row, broken, sql};
use crate::{ContentKey, Result};

/// Entries added in one transaction, so that no upload waits long for the database.
const BATCH: usize = 500;
/// Entries read at a time.
const READ: i64 = 10_000;
/// The setting that changes with the lists.
const VERSION: &str = "pdq-lists";

/// The PDQ hash of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPdq {
    /// `None` when the content has none: it is too small, or cannot be decoded.
    pub hash: Option<PdqHash>,
    /// How much there is to recognise, 0 to 100.
    pub quality: u8,
}

impl StoredPdq {
    /// From what the engine computed.
    pub fn of(pdq: Option<&Pdq>) -> Self {
        Self {
            hash: pdq.map(Pdq::hash),
            quality: pdq.map_or(0, Pdq::quality),
        }
    }

    /// As in the database; empty for `None`.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.hash.as_ref().map_or(&[], |hash| hash.as_bytes())
    }

    /// `None` when it was not computed yet.
    pub(super) fn from_row(row: &Row) -> Result<Option<Self>> {
        let Some(bytes) = row.blob_or_null("pdq")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            hash: PdqHash::from_bytes(bytes),
            quality: row.number("pdq_quality")?,
        }))
    }
}

/// An entry of a list that a content looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PdqMatch {
    /// The list; empty for entries of administrators.
    pub list: String,
    /// The entry.
    pub pdq: PdqHash,
    /// Bits in which it differs from the content, which may be turned or mirrored.
    pub distance: u32,
    /// Whether such contents are refused; otherwise they are put into quarantine.
    pub is_refused: bool,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPdq {
    /// The list; empty for entries of administrators.
    pub list: String,
    /// The hash.
    pub pdq: PdqHash,
    /// Why.
    pub reason: Option<String>,
    /// Unix time in milliseconds.
    pub created_at: i64,
}

impl Repo {
    /// Adds hashes to a list; those that it has stay as they are. Returns how many are new.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`]; then some may have been added.
    pub async fn list_pdq(
        &self,
        list: &str,
        hashes: &[(PdqHash, Option<String>)],
        cause: &Cause,
        now: i64,
    ) -> Result<u64> {
        let mut added = 0;
        for batch in hashes.chunks(BATCH) {
            added += again(|| async {
                let mut tx = self.begin_removal().await?;
                let mut added = 0;
                for (hash, reason) in batch {
                    let reason = reason.as_ref().or(cause.reason.as_ref());
                    added += list_in(&mut tx, list, hash, reason, now).await?;
                }
                if added > 0 {
                    change_in(&mut tx, Action::List, list, added, cause, now).await?;
                }
                tx.commit().await?;
                Ok(added)
            })
            .await?;
        }
        Ok(added)
    }

    /// Makes a list what `hashes` are. Those that it has already keep their reasons. Returns how many
    /// were added and removed.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`]; then a part may have been done.
    pub async fn replace_pdq_list(
        &self,
        list: &str,
        hashes: &[(PdqHash, Option<String>)],
        cause: &Cause,
        now: i64,
    ) -> Result<(u64, u64)> {
        let (mut old, mut after) = (HashSet::new(), Vec::new());
        loop {
            let rows = sql("SELECT pdq FROM listed_pdq \
                 WHERE list = $1 AND pdq > $2 ORDER BY pdq LIMIT $3")
            .bind(list)
            .bind(after.as_slice())
            .bind(READ)
            .all(&self.read)
            .await?;
            for row in &rows {
                old.insert(hash_of(row)?);
            }
            match rows.last() {
                Some(last) => after = last.blob("pdq")?.to_vec(),
                None => break,
            }
        }
        let mut new = Vec::new();
        for (hash, reason) in hashes {
            if !old.remove(hash) {
                new.push((*hash, reason.clone()));
            }
        }
        let added = self.list_pdq(list, &new, cause, now).await?;
        let gone: Vec<_> = old.into_iter().collect();
        let mut removed = 0;
        for batch in gone.chunks(BATCH) {
            removed += self.remove_listed(list, batch, cause, now).await?;
        }
        Ok((added, removed))
    }

    /// Whether a list has any entry.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn has_pdq_list(&self, list: &str) -> Result<bool> {
        sql("SELECT 1 FROM listed_pdq WHERE list = $1 LIMIT 1")
            .bind(list)
            .any(&self.read)
            .await
    }

    async fn remove_listed(
        &self,
        list: &str,
        hashes: &[PdqHash],
        cause: &Cause,
        now: i64,
    ) -> Result<u64> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let mut removed = 0;
            for hash in hashes {
                removed += sql("DELETE FROM listed_pdq WHERE list = $1 AND pdq = $2")
                    .bind(list)
                    .bind(hash.as_bytes().as_slice())
                    .run(&mut tx)
                    .await?;
            }
            change_in(&mut tx, Action::Unlist, list, removed, cause, now).await?;
            tx.commit().await?;
            Ok(removed)
        })
        .await
    }

    /// Removes a hash from all lists, or a whole list. Returns how many entries were removed.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn unlist_pdq(&self, what: &Unlisted, cause: &Cause, now: i64) -> Result<u64> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let (removed, name) = match what {
                Unlisted::Hash(hash) => {
                    let statement = sql("DELETE FROM listed_pdq WHERE pdq = $1");
                    let statement = statement.bind(hash.as_bytes().as_slice());
                    (statement.run(&mut tx).await?, hash.to_string())
                }
                Unlisted::List(list) => {
                    let statement = sql("DELETE FROM listed_pdq WHERE list = $1").bind(list);
                    (statement.run(&mut tx).await?, list.clone())
                }
            };
            if removed > 0 {
                change_in(&mut tx, Action::Unlist, &name, removed, cause, now).await?;
            }
            tx.commit().await?;
            Ok(removed)
        })
        .await
    }

    /// Up to `limit` entries of all lists, sorted by list and hash, after an entry.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn listed_pdq(
        &self,
        after: Option<&(String, PdqHash)>,
        limit: u32,
    ) -> Result<Vec<ListedPdq>> {
        let (list, hash) = match after {
            Some((list, hash)) => (list.as_str(), hash.as_bytes().as_slice()),
            None => ("", [].as_slice()),
        };
        let rows = sql("SELECT list, pdq, reason, created_at FROM listed_pdq \
             WHERE (list, pdq) > ($1, $2) ORDER BY list, pdq LIMIT $3")
        .bind(list)
        .bind(hash)
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ListedPdq {
                    list: row.text("list")?,
                    pdq: hash_of(row)?,
                    reason: row.text_or_null("reason")?,
                    created_at: row.int("created_at")?,
                })
            })
            .collect()
    }

    /// A text that changes with the lists; `None` while there was never one.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn version_of_pdq_lists(&self) -> Result<Option<String>> {
        let row = sql("SELECT value FROM settings WHERE name = $1")
            .bind(VERSION)
            .optional(&self.read)
            .await?;
        row.map(|row| row.text("value")).transpose()
    }

    /// Up to `limit` contents with hashes, none older than `time` (Unix time in milliseconds), oldest
    /// first.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn pdq_since(&self, time: i64, limit: u32) -> Result<Vec<(ContentKey, PdqHash)>> {
        let rows = sql("SELECT hash, pdq, pdq_quality FROM hashes \
             WHERE created_at >= $1 ORDER BY created_at, hash LIMIT $2")
        .bind(time)
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        let found = rows.iter().filter_map(|row| hashed(row).transpose());
        found.collect()
    }

    /// Those with hashes among the `limit` contents after the content `after`, in the order of their
    /// keys, and the last of all.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn pdq_after(
        &self,
        after: Option<&ContentKey>,
        limit: u32,
    ) -> Result<(Vec<(ContentKey, PdqHash)>, Option<ContentKey>)> {
        let rows = sql("SELECT hash, pdq, pdq_quality FROM hashes \
             WHERE hash > $1 ORDER BY hash LIMIT $2")
        .bind(after.map_or(&[][..], ContentKey::as_bytes))
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        let last = rows.last().map(|row| row.content_key("hash")).transpose()?;
        let found = rows.iter().filter_map(|row| hashed(row).transpose());
        Ok((found.collect::<Result<_>>()?, last))
    }

    /// The PDQ hash of a content; `None` when it was not computed yet, or the content is gone.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn pdq_of(&self, content: &ContentKey) -> Result<Option<StoredPdq>> {
        let row = sql("SELECT pdq, pdq_quality FROM hashes WHERE hash = $1")
            .bind(content.as_bytes())
            .optional(&self.read)
            .await?;
        match row {
            Some(row) => StoredPdq::from_row(&row),
            None => Ok(None),
        }
    }
}

/// Which entries are removed.
#[derive(Clone, Debug)]
pub enum Unlisted {
    /// This one, from whichever list.
    Hash(PdqHash),
    /// All of a list.
    List(String),
}

/// Adds a hash to a list. Returns 1 when it is new.
async fn list_in(
    tx: &mut Change,
    list: &str,
    hash: &PdqHash,
    reason: Option<&String>,
    now: i64,
) -> Result<u64> {
    sql(
        "INSERT INTO listed_pdq (list, pdq, reason, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (list, pdq) DO NOTHING",
    )
    .bind(list)
    .bind(hash.as_bytes().as_slice())
    .bind(reason)
    .bind(now)
    .run(tx)
    .await
}

/// Records a change of a list, and tells all servers to read the lists again.
async fn change_in(
    tx: &mut Change,
    action: Action,
    name: &str,
    amount: u64,
    cause: &Cause,
    now: i64,
) -> Result<()> {
    sql(
        "INSERT INTO settings (name, value) VALUES ($1, '1') ON CONFLICT (name) DO UPDATE \
         SET value = CAST(CAST(settings.value AS BIGINT) + 1 AS TEXT)",
    )
    .bind(VERSION)
    .run(&mut *tx)
    .await?;
    let event = Event {
        action,
        aliases: &[],
        hash: Some(name.to_owned()).filter(|name| !name.is_empty()),
        amount: Some(amount),
        destroyed: None,
    };
    audit::record_in(tx, cause, &event, now).await.map(drop)
}

/// Adds the hash of a content that is purged to the list of administrators.
pub(super) async fn list_content_in(
    tx: &mut Change,
    content: &ContentKey,
    cause: &Cause,
    now: i64,
) -> Result<Option<PdqHash>> {
    let row = sql("SELECT pdq, pdq_quality FROM hashes WHERE hash = $1")
        .bind(content.as_bytes())
        .optional(&mut *tx)
        .await?;
    let stored = row.map(|row| StoredPdq::from_row(&row)).transpose()?;
    let Some(hash) = stored.flatten().and_then(|stored| stored.hash) else {
        return Ok(None);
    };
    if list_in(tx, "", &hash, cause.reason.as_ref(), now).await? > 0 {
        change_in(tx, Action::List, &hash.to_string(), 1, cause, now).await?;
    }
    Ok(Some(hash))
}

/// A content with its hash, if that is known.
fn hashed(row: &Row) -> Result<Option<(ContentKey, PdqHash)>> {
    let hash = StoredPdq::from_row(row)?.and_then(|stored| stored.hash);
    hash.map(|hash| Ok((row.content_key("hash")?, hash)))
        .transpose()
}

pub(super) fn hash_of(row: &Row) -> Result<PdqHash> {
    PdqHash::from_bytes(row.blob("pdq")?).ok_or_else(|| broken("pdq"))
}
