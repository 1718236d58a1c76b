//! Digests (SHA-256) of bytes that are refused: as clients send them, and as they would be stored.
//! For each content the digests of its source files are kept, so that a file stays blocked even if
//! it would now be resized differently.

use super::audit::{self, Action, Cause, Event};
use super::change::Change;
use super::outbox::{self, EventKind};
use super::sql::{Row, broken, sql};
use super::{Repo, content};
use crate::{ContentKey, Digest, Error, ErrorCode, Result};

/// Digests kept for each content. More than this happens only on purpose.
const SOURCES: i64 = 1000;

/// An entry of the blocklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The digest of the refused bytes.
    pub digest: Digest,
    /// Why.
    pub reason: Option<String>,
    /// Unix time in milliseconds.
    pub created_at: i64,
}

/// Refuses a content if it, or the file it was made from, is blocked.
pub(super) async fn check_in(
    tx: &mut Change,
    content: &ContentKey,
    source: Option<&Digest>,
) -> Result<()> {
    let stored = content.digest();
    let is_blocked = sql("SELECT 1 FROM blocklist WHERE digest IN ($1, $2) LIMIT 1")
        .bind(stored.as_bytes())
        .bind(source.unwrap_or(&stored).as_bytes())
        .any(tx)
        .await?;
    match is_blocked {
        true => Err(blocked()),
        false => Ok(()),
    }
}

/// Deliberately neutral: the sender need not learn more.
pub(crate) fn blocked() -> Error {
    Error::user(ErrorCode::Blocked, "This file is not accepted here")
}

/// Records which file a content was made from.
pub(super) async fn add_source(
    tx: &mut Change,
    content: &ContentKey,
    source: &Digest,
) -> Result<()> {
    if *source == content.digest() {
        return Ok(());
    }
    sql("INSERT INTO sources (hash, digest) SELECT $1, $2 \
         WHERE (SELECT COUNT(*) FROM sources WHERE hash = $1) < $3 \
         ON CONFLICT (hash, digest) DO NOTHING")
    .bind(content.as_bytes())
    .bind(source.as_bytes())
    .bind(SOURCES)
    .run(&mut *tx)
    .await?;
    Ok(())
}

/// Blocks a content and every file that it was made from. Returns all these digests.
pub(super) async fn block_content_in(
    tx: &mut Change,
    content: &ContentKey,
    cause: &Cause,
    now: i64,
) -> Result<Vec<Digest>> {
    content::lock_in(tx, content).await?;
    let sources = sql("SELECT digest FROM sources WHERE hash = $1 ORDER BY digest")
        .bind(content.as_bytes())
        .all(&mut *tx)
        .await?;
    let sources = sources.iter().map(digest_of);
    let digests: Vec<_> = std::iter::once(Ok(content.digest()))
        .chain(sources)
        .collect::<Result<_>>()?;
    block_in(tx, &digests, content.to_hex(), cause, now).await?;
    Ok(digests)
}

async fn block_in(
    tx: &mut Change,
    digests: &[Digest],
    hash: String,
    cause: &Cause,
    now: i64,
) -> Result<()> {
    // In one order for all transactions.
    let mut sorted = digests.to_vec();
    sorted.sort();
    for digest in &sorted {
        sql(
            "INSERT INTO blocklist (digest, reason, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (digest) DO NOTHING",
        )
        .bind(digest.as_bytes())
        .bind(&cause.reason)
        .bind(now)
        .run(&mut *tx)
        .await?;
    }
    let event = Event {
        action: Action::Block,
        aliases: &[],
        hash: Some(hash),
        amount: Some(digests.len() as u64),
        destroyed: None,
    };
    let entry = audit::record_in(tx, cause, &event, now).await?;
    outbox::listed_in(tx, EventKind::Blocked, &sorted, event.action, cause, entry).await
}

impl Repo {
    /// Refuses a blocked file before any work is done on it. Files that pass are checked again when
    /// their content is added.
    ///
    /// # Errors
    /// [`ErrorCode::Blocked`], [`ErrorCode::RepoError`].
    pub async fn refuse_blocked(&self, source: &Digest) -> Result<()> {
        let is_blocked = sql("SELECT 1 FROM blocklist WHERE digest = $1")
            .bind(source.as_bytes())
            .any(&self.read)
            .await?;
        match is_blocked {
            true => Err(blocked()),
            false => Ok(()),
        }
    }

    /// Blocks bytes, whether or not they are stored here.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn block(&self, digest: &Digest, cause: &Cause, now: i64) -> Result<()> {
        let mut tx = self.begin_removal().await?;
        block_in(&mut tx, &[*digest], digest.to_hex(), cause, now).await?;
        tx.commit().await
    }

    /// Blocks a content and every file that it was made from. The content itself stays. Returns all
    /// these digests.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn block_content(
        &self,
        content: &ContentKey,
        cause: &Cause,
        now: i64,
    ) -> Result<Vec<Digest>> {
        let mut tx = self.begin_removal().await?;
        let digests = block_content_in(&mut tx, content, cause, now).await?;
        tx.commit().await?;
        Ok(digests)
    }

    /// Removes a digest from the list. Returns whether it was there.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn unblock(&self, digest: &Digest, cause: &Cause, now: i64) -> Result<bool> {
        let mut tx = self.begin_removal().await?;
        let removed = sql("DELETE FROM blocklist WHERE digest = $1")
            .bind(digest.as_bytes())
            .run(&mut tx)
            .await?;
        if removed == 0 {
            return Ok(false);
        }
        let event = Event {
            action: Action::Unblock,
            aliases: &[],
            hash: Some(digest.to_hex()),
            amount: None,
            destroyed: None,
        };
        let entry = audit::record_in(&mut tx, cause, &event, now).await?;
        let (kind, digests) = (EventKind::Unblocked, [*digest]);
        outbox::listed_in(&mut tx, kind, &digests, event.action, cause, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Returns up to `limit` entries after the entry `after`, newest first.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn blocklist(
        &self,
        after: Option<(i64, Digest)>,
        limit: u32,
    ) -> Result<Vec<Blocked>> {
        // Without a cursor, start later than any time.
        let (time, digest) = after.map_or((i64::MAX, Vec::new()), |(time, digest)| {
            (time, digest.as_bytes().to_vec())
        });
        let rows = sql(
            "SELECT digest, reason, created_at FROM blocklist WHERE (created_at, digest) < ($1, $2) \
             ORDER BY created_at DESC, digest DESC LIMIT $3",
        )
        .bind(time)
        .bind(digest)
        .bind(i64::from(limit))
        .all(&self.read).await?;
        rows.iter()
            .map(|row| {
                Ok(Blocked {
                    digest: digest_of(row)?,
                    reason: row.text_or_null("reason")?,
                    created_at: row.int("created_at")?,
                })
            })
            .collect()
    }
}

fn digest_of(row: &Row) -> Result<Digest> {
    Digest::from_bytes(row.blob("digest")?).ok_or_else(|| broken("digest"))
}
