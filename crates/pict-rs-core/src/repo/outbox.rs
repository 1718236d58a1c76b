//! What others are to be told: a receiver of events, and caches in front. Rows are written in the
//! transaction of the change that they tell of, so that neither can be lost without the other, and
//! leave when the other side has confirmed them.
//!
//! Rows are delivered in the order of their numbers. Two changes of one content, or of one alias,
//! take turns at its row, and the row here is written while they hold it. So their numbers are in
//! the order of the changes.

use serde_json::{Map, Value, json};
use tokio::sync::futures::OwnedNotified;

use super::Repo;
use super::audit::{Action, Actor, Cause};
use super::change::Change;
use super::fault::again;
use super::listeners::Wanted;
use super::removed::{Destroyed, Removed};
use super::sql::{Row, broken, sql};
use crate::clock::now;
use crate::{Alias, ContentKey, Digest, Owner, Result};

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// An alias is there.
    Added,
    /// An alias is gone, and its content if it was the last.
    Removed,
    /// A content is gone with all its aliases.
    Purged,
    /// Digests were added to the blocklist.
    Blocked,
    /// A digest was removed from the blocklist.
    Unblocked,
    /// A content is in quarantine, and no longer served.
    Quarantined,
    /// A content is served again.
    Released,
}

impl EventKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Purged => "purged",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
            Self::Quarantined => "quarantined",
            Self::Released => "released",
        }
    }
}

/// For whom a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxTarget {
    /// The receiver of events.
    Events,
    /// The caches in front.
    Caches,
}

impl OutboxTarget {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Events, Self::Caches];

    /// As in the database, in metrics and in `/internal/health`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Caches => "caches",
        }
    }
}

/// A row to deliver.
#[derive(Clone, Debug)]
pub(crate) struct OutboxRow {
    /// Later rows have larger numbers.
    pub(crate) number: i64,
    /// Contents and aliases that it is about. It waits for earlier rows about the same.
    pub(crate) subjects: Vec<String>,
    pub(crate) body: Map<String, Value>,
    /// The entry of the audit log that tells of the same.
    entry: Option<i64>,
    /// How often it was confirmed.
    pub(crate) stage: i64,
    /// Those that failed since then.
    pub(crate) attempts: u32,
    /// Unix time in milliseconds.
    pub(crate) due_at: i64,
    /// Unix time in milliseconds.
    pub(crate) created_at: i64,
}

/// What came of delivering a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DeliveryOutcome<'a> {
    /// It was confirmed, or given up.
    Ended,
    /// It was confirmed, and is delivered once more at this unix time in milliseconds.
    Repeat { due_at: i64 },
    /// It could not be delivered, and is tried again at this unix time in milliseconds.
    Failed { error: &'a str, due_at: i64 },
}

/// How deliveries go.
#[derive(Clone, Debug)]
pub struct OutboxStatus {
    /// Rows that are not confirmed.
    pub waiting: u64,
    /// When the oldest of them was written, in unix milliseconds.
    pub oldest: Option<i64>,
    /// Why the oldest that failed has failed.
    pub error: Option<String>,
}

/// The subject that stands for a content, whether it is stored here or only its digest is known.
fn subject_of(digest: &Digest) -> String {
    digest.to_hex()
}

fn subject_of_alias(alias: &Alias) -> String {
    format!("alias:{alias}")
}

/// Tells that an alias was added to a content.
pub(super) async fn added_in(
    tx: &mut Change,
    alias: &Alias,
    content: &ContentKey,
    owner: Option<&Owner>,
) -> Result<()> {
    if !tx.listeners().wanted.events {
        return Ok(());
    }
    let body = json!({
        "aliases": [alias.as_str()],
        "hash": content.to_hex(),
        "sha256": content.digest().to_hex(),
        "bytes": content.size(),
        "content_type": content.format().mime(),
        "owner": owner.map(Owner::as_str),
    });
    let subjects = [subject_of(&content.digest()), subject_of_alias(alias)];
    tell_in(tx, EventKind::Added, &subjects, body).await
}

/// Tells that aliases were removed, or a content was purged. `action` is why. With the number of an
/// entry of the audit log, caches are told as well, and the entry gets their answer.
pub(super) async fn removed_in(
    tx: &mut Change,
    kind: EventKind,
    action: &'static str,
    removed: &Removed,
    by: (Option<&Cause>, Option<i64>),
) -> Result<()> {
    let Some(hash) = &removed.hash else {
        return Ok(());
    };
    let (cause, entry) = by;
    let aliases: Vec<_> = removed.removal.aliases.iter().map(Alias::as_str).collect();
    let digest = hash.digest();
    if tx.listeners().wanted.events {
        let Destroyed { variants, bytes } = removed.destroyed;
        let mut body = json!({
            "aliases": aliases,
            "hash": hash.to_hex(),
            "sha256": digest.to_hex(),
            "destroyed": { "variants": variants, "bytes": bytes },
        });
        explain(&mut body, action, cause, entry);
        let named = removed.removal.aliases.iter().map(subject_of_alias);
        let subjects: Vec<_> = std::iter::once(subject_of(&digest)).chain(named).collect();
        tell_in(tx, kind, &subjects, body).await?;
    }
    if tx.listeners().wanted.caches && entry.is_some() && !aliases.is_empty() {
        let body = json!({
            "digest": digest.to_hex(),
            "aliases": aliases,
            "variants": removed.shown.variants,
            "urls": removed.shown.urls,
        });
        queue_in(tx, OutboxTarget::Caches, &[], &body, entry).await?;
    }
    Ok(())
}

/// Tells that digests were added to the blocklist, or removed from it.
pub(super) async fn listed_in(
    tx: &mut Change,
    kind: EventKind,
    digests: &[Digest],
    action: Action,
    cause: &Cause,
    entry: i64,
) -> Result<()> {
    if !tx.listeners().wanted.events {
        return Ok(());
    }
    let subjects: Vec<_> = digests.iter().map(subject_of).collect();
    let mut body = json!({ "digests": subjects });
    explain(&mut body, action.as_str(), Some(cause), Some(entry));
    tell_in(tx, kind, &subjects, body).await
}

fn explain(body: &mut Value, action: &'static str, cause: Option<&Cause>, entry: Option<i64>) {
    body["action"] = action.into();
    body["actor"] = cause
        .map_or(Actor::Server, |cause| cause.actor)
        .as_str()
        .into();
    body["reason"] = cause.and_then(|cause| cause.reason.as_deref()).into();
    body["request_id"] = cause.and_then(|cause| cause.request_id.as_deref()).into();
    body["entry"] = entry.into();
}

async fn tell_in(
    tx: &mut Change,
    kind: EventKind,
    subjects: &[String],
    mut body: Value,
) -> Result<()> {
    body["event"] = kind.as_str().into();
    queue_in(tx, OutboxTarget::Events, subjects, &body, None).await
}

async fn queue_in(
    tx: &mut Change,
    target: OutboxTarget,
    subjects: &[String],
    body: &Value,
    entry: Option<i64>,
) -> Result<()> {
    let now = now();
    sql(
        "INSERT INTO outbox (target, subjects, body, entry, stage, attempts, due_at, created_at) \
         VALUES ($1, $2, $3, $4, 0, 0, $5, $5)",
    )
    .bind(target.as_str())
    .bind(Value::from(subjects.to_vec()).to_string())
    .bind(body.to_string())
    .bind(entry)
    .bind(now)
    .run(&mut *tx)
    .await?;
    tx.has_queued();
    Ok(())
}

impl Repo {
    /// From now on changes write these rows.
    #[must_use]
    pub fn with_listeners(mut self, wanted: Wanted) -> Self {
        self.listeners.wanted = wanted;
        self
    }

    /// Completes after the next commit of this process that has written rows.
    pub(crate) fn queued_for_others(&self) -> OwnedNotified {
        self.listeners.rung()
    }

    /// Up to `limit` rows after the one with this number, in their order.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub(crate) async fn outbox_after(
        &self,
        target: OutboxTarget,
        number: i64,
        limit: u32,
    ) -> Result<Vec<OutboxRow>> {
        let rows = sql(
            "SELECT number, subjects, body, entry, stage, attempts, due_at, created_at FROM outbox \
             WHERE target = $1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(target.as_str())
        .bind(number)
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// Notes what came of delivering a row. `caches` is written into the entry of the audit log that
    /// belongs to it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub(crate) async fn outbox_delivered(
        &self,
        row: &OutboxRow,
        delivery: DeliveryOutcome<'_>,
        caches: Option<&Value>,
    ) -> Result<()> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let statement = match delivery {
                DeliveryOutcome::Ended => {
                    sql("DELETE FROM outbox WHERE number = $1").bind(row.number)
                }
                DeliveryOutcome::Repeat { due_at } => sql(
                    "UPDATE outbox SET stage = stage + 1, attempts = 0, error = NULL, due_at = $2 \
                     WHERE number = $1",
                )
                .bind(row.number)
                .bind(due_at),
                DeliveryOutcome::Failed { error, due_at } => sql(
                    "UPDATE outbox SET attempts = attempts + 1, error = $3, due_at = $2 \
                     WHERE number = $1",
                )
                .bind(row.number)
                .bind(due_at)
                .bind(error),
            };
            statement.run(&mut tx).await?;
            if let Some((entry, caches)) = row.entry.zip(caches) {
                sql("UPDATE audit SET caches = $2 WHERE number = $1")
                    .bind(entry)
                    .bind(caches.to_string())
                    .run(&mut tx)
                    .await?;
            }
            tx.commit().await
        })
        .await
    }

    /// How deliveries go.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn outbox_status(&self, target: OutboxTarget) -> Result<OutboxStatus> {
        let counted = sql(
            "SELECT COUNT(*) AS waiting, MIN(created_at) AS oldest FROM outbox \
             WHERE target = $1",
        )
        .bind(target.as_str())
        .one(&self.read)
        .await?;
        let failed = sql(
            "SELECT error FROM outbox WHERE target = $1 AND error IS NOT NULL \
             ORDER BY number LIMIT 1",
        )
        .bind(target.as_str())
        .optional(&self.read)
        .await?;
        Ok(OutboxStatus {
            waiting: counted.number("waiting")?,
            oldest: counted.int_or_null("oldest")?,
            error: failed.map(|row| row.text("error")).transpose()?,
        })
    }
}

fn from_row(row: &Row) -> Result<OutboxRow> {
    let body = serde_json::from_str(&row.text("body")?).map_err(|_| broken("body"))?;
    let subjects = serde_json::from_str(&row.text("subjects")?).map_err(|_| broken("subjects"))?;
    Ok(OutboxRow {
        number: row.int("number")?,
        subjects,
        body,
        entry: row.int_or_null("entry")?,
        stage: row.int("stage")?,
        attempts: row.number("attempts")?,
        due_at: row.int("due_at")?,
        created_at: row.int("created_at")?,
    })
}
