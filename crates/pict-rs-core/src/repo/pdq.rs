//! PDQ hashes: those of contents, beside their other facts, and lists of those that are not wanted.

use std::collections::HashSet;

use pict_rs_media::{Pdq, PdqHash};

use super::Repo;
use super::audit::{self, Action, Cause, Event};
use super::change::Change;
use super::content::{COLUMNS, Original, from_row};
use super::fault::again;
use super::sql::{Row, broken, composed, sql};
use crate::{ContentKey, Result};

/// Entries added in one transaction, so that no upload waits long for the database.
const BATCH: usize = 500;
/// Entries read at a time.
const READ: i64 = 10_000;
/// Frames of a lower quality are not listed when an animation or clip is purged. The reference advises against matching
/// them: a list with a frame that is nearly black would refuse others.
const RECOGNISABLE: u8 = 50;
/// The setting that changes with the lists.
const VERSION: &str = "pdq-lists";

/// The PDQ hashes of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPdq {
    /// `None` when the content has none: it is too small, or cannot be decoded.
    pub hash: Option<PdqHash>,
    /// How much there is to recognise, 0 to 100.
    pub quality: u8,
    /// Those of up to four further frames of an animation or clip, in the order of time; `None` when
    /// they were not computed yet.
    pub frames: Option<Vec<FramePdq>>,
}

/// The PDQ hash of a further frame of an animation or clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramePdq {
    /// The hash.
    pub hash: PdqHash,
    /// How much there is to recognise, 0 to 100.
    pub quality: u8,
}

impl FramePdq {
    /// From what the engine computed.
    pub fn all(found: &[Pdq]) -> Vec<Self> {
        let frame = |pdq: &Pdq| Self {
            hash: pdq.hash(),
            quality: pdq.quality(),
        };
        found.iter().map(frame).collect()
    }
}

impl StoredPdq {
    /// From what the engine computed of the picture, or of the first frame.
    pub fn of(pdq: Option<&Pdq>) -> Self {
        Self {
            hash: pdq.map(Pdq::hash),
            quality: pdq.map_or(0, Pdq::quality),
            frames: None,
        }
    }

    /// All its hashes.
    fn hashes(&self) -> impl Iterator<Item = PdqHash> {
        let frames = self.frames.iter().flatten().map(|frame| frame.hash);
        self.hash.into_iter().chain(frames)
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
            frames: row
                .blob_or_null("frame_pdq")?
                .map(read_frames)
                .transpose()?,
        }))
    }
}

/// Bytes of a frame in the database: its hash and its quality.
const FRAME: usize = PdqHash::BYTES + 1;

fn read_frames(bytes: &[u8]) -> Result<Vec<FramePdq>> {
    let (frames, rest) = bytes.as_chunks::<FRAME>();
    if !rest.is_empty() {
        return Err(broken("frame_pdq"));
    }
    let frames = frames.iter().map(|frame| {
        let [hash @ .., quality] = frame;
        let hash = PdqHash::from_bytes(hash).ok_or_else(|| broken("frame_pdq"))?;
        Ok(FramePdq {
            hash,
            quality: *quality,
        })
    });
    frames.collect()
}

/// As in the database.
pub(super) fn written_frames(frames: &[FramePdq]) -> Vec<u8> {
    let bytes = frames
        .iter()
        .flat_map(|frame| frame.hash.as_bytes().iter().chain([&frame.quality]));
    bytes.copied().collect()
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
        rows.iter().map(listed).collect()
    }

    /// Up to `limit` entries of one list, sorted by hash, after a hash.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn listed_pdq_in(
        &self,
        list: &str,
        after: Option<&PdqHash>,
        limit: u32,
    ) -> Result<Vec<ListedPdq>> {
        let after = after.map_or([].as_slice(), |hash| hash.as_bytes().as_slice());
        let rows = sql("SELECT list, pdq, reason, created_at FROM listed_pdq \
             WHERE list = $1 AND pdq > $2 ORDER BY pdq LIMIT $3")
        .bind(list)
        .bind(after)
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter().map(listed).collect()
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

    /// The hashes of up to `limit` contents that are not older than `time` (Unix time in
    /// milliseconds), oldest first, and whether there are as many contents.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn pdq_since(&self, time: i64, limit: u32) -> Result<(ContentHashes, bool)> {
        let rows = sql("SELECT hash, pdq, pdq_quality, frame_pdq FROM hashes \
             WHERE created_at >= $1 ORDER BY created_at, hash LIMIT $2")
        .bind(time)
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        Ok((hashed(&rows)?, rows.len() == limit as usize))
    }

    /// The hashes of up to `limit` contents after the content `after`, in the order of their keys, and
    /// the last of these contents.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn pdq_after(
        &self,
        after: Option<&ContentKey>,
        limit: u32,
    ) -> Result<(ContentHashes, Option<ContentKey>)> {
        let rows = sql("SELECT hash, pdq, pdq_quality, frame_pdq FROM hashes \
             WHERE hash > $1 ORDER BY hash LIMIT $2")
        .bind(after.map_or(&[][..], ContentKey::as_bytes))
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        let last = rows.last().map(|row| row.content_key("hash")).transpose()?;
        Ok((hashed(&rows)?, last))
    }

    /// Up to `limit` animations and clips whose further frames have no hashes yet, oldest first, after
    /// one of them and its time.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn without_frame_pdq(
        &self,
        after: Option<(i64, ContentKey)>,
        limit: u32,
    ) -> Result<Vec<Original>> {
        let (time, key) = match &after {
            Some((time, key)) => (*time, key.as_bytes()),
            None => (i64::MIN, [].as_slice()),
        };
        let rows = composed(format!(
            "SELECT {COLUMNS} FROM hashes h \
             WHERE h.frame_pdq IS NULL AND h.pdq IS NOT NULL AND h.frames > 1 \
             AND (h.created_at, h.hash) > ($1, $2) ORDER BY h.created_at, h.hash LIMIT $3"
        ))
        .bind(time)
        .bind(key)
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// Records the hashes of an animation's or clip's further frames, unless they are known.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`], [`crate::ErrorCode::InsufficientStorage`].
    pub async fn note_frame_pdq(&self, content: &ContentKey, frames: &[FramePdq]) -> Result<()> {
        again(|| async {
            let mut tx = self.begin().await?;
            note_frames_in(&mut tx, content, frames).await?;
            tx.commit().await
        })
        .await
    }

    /// The PDQ hashes of a content; `None` when they were not computed yet, or the content is gone.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn pdq_of(&self, content: &ContentKey) -> Result<Option<StoredPdq>> {
        let row = sql("SELECT pdq, pdq_quality, frame_pdq FROM hashes WHERE hash = $1")
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

/// Records the hashes of further frames, unless they are known.
pub(super) async fn note_frames_in(
    tx: &mut Change,
    content: &ContentKey,
    frames: &[FramePdq],
) -> Result<()> {
    sql("UPDATE hashes SET frame_pdq = $2 WHERE hash = $1 AND frame_pdq IS NULL")
        .bind(content.as_bytes())
        .bind(written_frames(frames))
        .run(tx)
        .await
        .map(drop)
}

/// What is listed when a content is purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewlyListed {
    /// The hash of the picture, or of the first frame, if it has one.
    pub hash: Option<PdqHash>,
    /// Those of further frames; `None` when there are some and their hashes are not known.
    pub frames: Option<Vec<PdqHash>>,
}

/// Adds the hashes of a content that is purged to the list of administrators.
pub(super) async fn list_content_in(
    tx: &mut Change,
    content: &ContentKey,
    cause: &Cause,
    now: i64,
) -> Result<NewlyListed> {
    let row = sql("SELECT frames, pdq, pdq_quality, frame_pdq FROM hashes WHERE hash = $1")
        .bind(content.as_bytes())
        .optional(&mut *tx)
        .await?;
    let Some(row) = row else {
        return Ok(NewlyListed::default());
    };
    let is_still = row.int("frames")? <= 1;
    let stored = StoredPdq::from_row(&row)?;
    let (first, quality, further) = match stored {
        Some(stored) => (stored.hash, stored.quality, stored.frames),
        None => (None, 0, None),
    };
    let listed = NewlyListed {
        // Of a still it is what was asked for.
        hash: first.filter(|_| is_still || quality >= RECOGNISABLE),
        frames: match further {
            None if is_still => Some(Vec::new()),
            further => further.map(|frames| recognisable(&frames, first)),
        },
    };
    for hash in listed.hash.iter().chain(listed.frames.iter().flatten()) {
        if list_in(tx, "", hash, cause.reason.as_ref(), now).await? > 0 {
            change_in(tx, Action::List, &hash.to_string(), 1, cause, now).await?;
        }
    }
    Ok(listed)
}

/// The different hashes of frames that are worth listing.
fn recognisable(frames: &[FramePdq], first: Option<PdqHash>) -> Vec<PdqHash> {
    let mut found = Vec::new();
    for frame in frames {
        let is_new = first != Some(frame.hash) && !found.contains(&frame.hash);
        if is_new && frame.quality >= RECOGNISABLE {
            found.push(frame.hash);
        }
    }
    found
}

/// Contents with their hashes, of which some have several.
pub type ContentHashes = Vec<(ContentKey, PdqHash)>;

/// The hashes that are known.
fn hashed(rows: &[Row]) -> Result<ContentHashes> {
    let mut found = Vec::new();
    for row in rows {
        if let Some(stored) = StoredPdq::from_row(row)? {
            let key = row.content_key("hash")?;
            found.extend(stored.hashes().map(|hash| (key, hash)));
        }
    }
    Ok(found)
}

fn listed(row: &Row) -> Result<ListedPdq> {
    Ok(ListedPdq {
        list: row.text("list")?,
        pdq: hash_of(row)?,
        reason: row.text_or_null("reason")?,
        created_at: row.int("created_at")?,
    })
}

pub(super) fn hash_of(row: &Row) -> Result<PdqHash> {
    PdqHash::from_bytes(row.blob("pdq")?).ok_or_else(|| broken("pdq"))
}
