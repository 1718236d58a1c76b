//! The audit log: what was removed, by whom and why. Entries are written in the transaction that
//! removes, so a removal and its entry always exist together.

use serde_json::{Value, json};

use super::change::Change;
use super::removed::Destroyed;
use super::sql::{Row, broken, sql};
use super::{Repo, bigint};
use crate::{Alias, Result};

/// Who removes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client with the delete token of the alias.
    Token,
    /// A client with an API key.
    Admin,
    /// The server itself, according to its settings.
    Server,
}

impl Actor {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Token, Self::Admin, Self::Server];

    /// As in the log.
    pub fn as_str(self) -> &'static str {
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
    /// The name of the API key that was used, if it has one.
    pub key: Option<String>,
    /// The reason that they gave.
    pub reason: Option<String>,
    /// The id of the request that asked for it, as in the log.
    pub request_id: Option<String>,
}

impl Cause {
    /// Without a reason.
    pub fn new(actor: Actor) -> Self {
        Self {
            actor,
            key: None,
            reason: None,
            request_id: None,
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Deletes an alias, and its content if it was the last alias.
    Delete,
    /// Deletes a content with all its aliases.
    Purge,
    /// Deletes a content whose file was lost.
    Prune,
    /// Deletes a backgrounded upload that was not claimed.
    Expire,
    /// Drops proxied media that were not used, or exceed the size limit.
    Evict,
    /// Drops all variants; they are made again on request.
    Variants,
    /// Adds hashes to the blocklist.
    Block,
    /// Removes a hash from the blocklist.
    Unblock,
    /// Adds PDQ hashes to a list.
    List,
    /// Removes PDQ hashes from lists.
    Unlist,
    /// Puts a content into quarantine.
    Quarantine,
    /// Serves a content in quarantine again.
    Release,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Delete,
        Self::Purge,
        Self::Prune,
        Self::Expire,
        Self::Evict,
        Self::Variants,
        Self::Block,
        Self::Unblock,
        Self::List,
        Self::Unlist,
        Self::Quarantine,
        Self::Release,
    ];

    /// As in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Purge => "purge",
            Self::Prune => "prune",
            Self::Expire => "expire",
            Self::Evict => "evict",
            Self::Variants => "variants",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::List => "list",
            Self::Unlist => "unlist",
            Self::Quarantine => "quarantine",
            Self::Release => "release",
        }
    }
}

/// An event to record.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// What is done.
    pub action: Action,
    /// The aliases it is done to.
    pub aliases: &'a [Alias],
    /// The content or digest it is done to, in hexadecimal digits.
    pub hash: Option<String>,
    /// To how many it is done, if they are not listed.
    pub amount: Option<u64>,
    /// What is destroyed with it, for what removes files.
    pub destroyed: Option<Destroyed>,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Later entries have larger numbers.
    pub number: i64,
    /// What was done.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// The name of the API key that was used, if it has one.
    pub key: Option<String>,
    /// The aliases it was done to.
    pub aliases: Vec<String>,
    /// The content or digest it was done to, in hexadecimal digits.
    pub hash: Option<String>,
    /// To how many it was done, if they are not listed.
    pub amount: Option<u64>,
    /// Why.
    pub reason: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// Unix time in milliseconds.
    pub created_at: i64,
    /// What was destroyed with it; `None` for what removes no files, and in entries of older
    /// versions.
    pub destroyed: Option<Destroyed>,
    /// Whether caches in front have dropped it, as JSON; `None` where the server knew of none.
    pub caches: Option<Value>,
}

/// Which entries are wanted. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of what was done.
    pub action: Option<Action>,
    /// By whom.
    pub actor: Option<Actor>,
    /// With the API key of this name.
    pub key: Option<String>,
    /// From this unix time in milliseconds on.
    pub since: Option<i64>,
    /// Up to this unix time in milliseconds.
    pub until: Option<i64>,
}

/// Records an event in the transaction, and returns the number of the entry. All entries are written
/// by this function.
pub(super) async fn record_in(
    tx: &mut Change,
    cause: &Cause,
    event: &Event<'_>,
    now: i64,
) -> Result<i64> {
    let aliases: Vec<_> = event.aliases.iter().map(Alias::as_str).collect();
    let is_cached =
        tx.listeners().wanted.caches && event.destroyed.is_some() && !event.aliases.is_empty();
    let row = sql(
        "INSERT INTO audit (action, actor, aliases, hash, amount, reason, request_id, created_at, \
         variants, bytes, caches, key_name) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING number",
    )
    .bind(event.action.as_str())
    .bind(cause.actor.as_str())
    .bind(serde_json::Value::from(aliases).to_string())
    .bind(&event.hash)
    .bind(event.amount.map(bigint))
    .bind(&cause.reason)
    .bind(&cause.request_id)
    .bind(now)
    .bind(event.destroyed.map(|destroyed| bigint(destroyed.variants)))
    .bind(event.destroyed.map(|destroyed| bigint(destroyed.bytes)))
    .bind(is_cached.then(|| json!({ "state": "waiting" }).to_string()))
    .bind(&cause.key)
    .one(&mut *tx)
    .await?;
    row.int("number")
}

impl Repo {
    /// Returns up to `limit` entries that `filter` wants and that are older than number `before`,
    /// newest first.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        // The sum keeps the planner from the index of times, from which it would have to sort.
        let rows = sql(
            "SELECT number, action, actor, key_name, aliases, hash, amount, reason, request_id, \
             created_at, variants, bytes, caches FROM audit \
             WHERE number < $1 AND action = COALESCE($3, action) AND actor = COALESCE($4, actor) \
             AND COALESCE(key_name, '') = COALESCE($5, key_name, '') \
             AND created_at + 0 BETWEEN $6 AND $7 ORDER BY number DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .bind(filter.action.map(Action::as_str))
        .bind(filter.actor.map(Actor::as_str))
        .bind(&filter.key)
        .bind(filter.since.unwrap_or(i64::MIN))
        .bind(filter.until.unwrap_or(i64::MAX))
        .all(&self.read)
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// Removes up to `limit` entries from before `time`. Returns how many.
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
    let destroyed = match row.int_or_null("bytes")? {
        None => None,
        Some(_) => Some(Destroyed {
            variants: row.number("variants")?,
            bytes: row.number("bytes")?,
        }),
    };
    let caches = row.text_or_null("caches")?;
    let caches = caches.map(|text| serde_json::from_str(&text).map_err(|_| broken("caches")));
    Ok(Entry {
        destroyed,
        caches: caches.transpose()?,
        number: row.int("number")?,
        action: row.text("action")?,
        actor: row.text("actor")?,
        key: row.text_or_null("key_name")?,
        aliases: serde_json::from_str(&row.text("aliases")?).map_err(|_| broken("aliases"))?,
        hash: row.text_or_null("hash")?,
        amount: amount.and_then(|amount| u64::try_from(amount).ok()),
        reason: row.text_or_null("reason")?,
        request_id: row.text_or_null("request_id")?,
        created_at: row.int("created_at")?,
    })
}
