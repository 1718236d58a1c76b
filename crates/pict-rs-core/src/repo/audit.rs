//! What was removed, by whom and why: written in the transaction that removes it, so that there
//! is no removal without its entry and no entry without its removal.

use super::change::Change;
use super::sql::{Row, broken, sql};
use super::{Repo, bigint};
use crate::{Alias, Result};

/// Who removes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with the delete token of the alias.
    Token,
    /// Somebody with an API key.
    Admin,
    /// The server itself, as its settings say.
    Server,
}

impl Actor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Admin => "admin",
            Self::Server => "server",
        }
    }
}

/// Who removes something, and why.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Who.
    pub actor: Actor,
    /// In their own words.
    pub reason: Option<String>,
    /// The request that asked for it, as it stands in the log.
    pub request_id: Option<String>,
}

impl Cause {
    /// Without a reason.
    pub fn new(actor: Actor) -> Self {
        Self {
            actor,
            reason: None,
            request_id: None,
        }
    }
}

/// What is done to media, or to what may become media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// One alias goes, and its content if it was the last.
    Delete,
    /// A content goes with all its aliases.
    Purge,
    /// A content goes whose file was lost.
    Prune,
    /// A backgrounded upload goes that nobody claimed.
    Expire,
    /// Proxied media go that nobody used, or for which there is no room.
    Evict,
    /// All variants go; they are made again when they are asked for.
    Variants,
    /// Hashes enter the blocklist.
    Block,
    /// A hash leaves the blocklist.
    Unblock,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Purge => "purge",
            Self::Prune => "prune",
            Self::Expire => "expire",
            Self::Evict => "evict",
            Self::Variants => "variants",
            Self::Block => "block",
            Self::Unblock => "unblock",
        }
    }
}

/// What is to be recorded.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// What is done.
    pub action: Action,
    /// To these.
    pub aliases: &'a [Alias],
    /// To this content or digest, in hexadecimal digits.
    pub hash: Option<String>,
    /// To how many, where they are not named one by one.
    pub amount: Option<u64>,
}

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Later entries have larger numbers.
    pub number: i64,
    /// What was done.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// To these.
    pub aliases: Vec<String>,
    /// To this content or digest, in hexadecimal digits.
    pub hash: Option<String>,
    /// To how many, where they are not named one by one.
    pub amount: Option<u64>,
    /// Why.
    pub reason: Option<String>,
    /// On which request.
    pub request_id: Option<String>,
    /// Unix time in milliseconds.
    pub created_at: i64,
}

/// Records what the rest of the transaction does. The one way into the table.
pub(super) async fn record_in(
    tx: &mut Change,
    cause: &Cause,
    event: &Event<'_>,
    now: i64,
) -> Result<()> {
    let aliases: Vec<_> = event.aliases.iter().map(Alias::as_str).collect();
    sql(
        "INSERT INTO audit (action, actor, aliases, hash, amount, reason, request_id, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(event.action.as_str())
    .bind(cause.actor.as_str())
    .bind(serde_json::Value::from(aliases).to_string())
    .bind(&event.hash)
    .bind(event.amount.map(bigint))
    .bind(&cause.reason)
    .bind(&cause.request_id)
    .bind(now)
    .run(&mut *tx)
    .await?;
    Ok(())
}

impl Repo {
    /// Up to `limit` entries, newest first, all of them older than number `before`.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<Entry>> {
        let rows = sql(
            "SELECT number, action, actor, aliases, hash, amount, reason, request_id, created_at \
             FROM audit WHERE number < $1 ORDER BY number DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// Forgets up to `limit` entries from before `time`. Returns how many.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn forget_audit(&self, time: i64, limit: u32) -> Result<u64> {
        let forgotten = sql("DELETE FROM audit WHERE number IN \
             (SELECT number FROM audit WHERE created_at < $1 ORDER BY created_at LIMIT $2)")
        .bind(time)
        .bind(i64::from(limit))
        .run(&self.write)
        .await?;
        Ok(forgotten)
    }
}

fn from_row(row: &Row) -> Result<Entry> {
    let amount = row.int_or_null("amount")?;
    Ok(Entry {
        number: row.int("number")?,
        action: row.text("action")?,
        actor: row.text("actor")?,
        aliases: serde_json::from_str(&row.text("aliases")?).map_err(|_| broken("aliases"))?,
        hash: row.text_or_null("hash")?,
        amount: amount.and_then(|amount| u64::try_from(amount).ok()),
        reason: row.text_or_null("reason")?,
        request_id: row.text_or_null("request_id")?,
        created_at: row.int("created_at")?,
    })
}
