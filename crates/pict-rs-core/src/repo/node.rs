//! What several servers on one database tell each other: that they live, what they do, and what they
//! have removed. An embedded database has one server, which need not tell anything.
//!
//! Times are those of the database, because servers need not agree about theirs. A removal is
//! announced in its own transaction, so none is committed without; announcements are committed in
//! the order of their numbers, so one who has seen a number has seen all before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use tokio::time::timeout;
use uuid::Uuid;

use super::change::Change;
use super::fault::{again, repo_error};
use super::postgres::check_listener;
use super::sql::{RepoPool, sql};
use super::{Engine, Removal, Repo};
use crate::clock::{self, millis};
use crate::{Alias, ContentKey, Result, UploadId, system};

/// Servers listen to this.
const CHANNEL: &str = "pict_rs";
/// A server that gave no sign of life for this long is taken for dead.
pub(crate) const DEAD_AFTER: Duration = Duration::from_secs(10);
/// How long removals stay announced. A server that was cut off for longer forgets all it knows.
pub(crate) const ANNOUNCED_FOR: Duration = Duration::from_secs(10 * 60);
/// After how long without a notice it is checked whether any could be heard.
const QUIET_FOR: Duration = Duration::from_secs(5);
/// Announcements that are read at a time.
const BATCH: i64 = 500;
/// Where transactions that announce pass one at a time.
const ANNOUNCE: i64 = 0x7069_6374_7265_6d6f;
/// The time of the database in milliseconds.
const TIME: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS time";

/// This server among others.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Random, for each start.
    pub(super) id: Arc<str>,
    /// The name of its machine, or nothing.
    host: Arc<str>,
    /// When it was started, by its own clock.
    started_at: i64,
    /// How much the clock of the database is ahead, in milliseconds.
    ahead: Arc<AtomicI64>,
}

/// A server that uses the database.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Random, for each start.
    pub id: String,
    /// The name of its machine; empty where the system does not tell it.
    pub host: String,
    /// The version of the program; empty for one that does not tell it.
    pub version: String,
    /// When it was started, in unix milliseconds by the clock of the database.
    pub started_at: i64,
    /// Its last sign of life, in the same way.
    pub seen_at: i64,
    /// How long ago that was.
    pub silent_for: Duration,
    /// Whether it is this one.
    pub is_this: bool,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            id: Uuid::new_v4().simple().to_string().into(),
            host: system::host_name().unwrap_or_default().into(),
            started_at: clock::now(),
            ahead: Arc::default(),
        }
    }
}

/// What other servers removed since some announcement.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// The last announcement.
    pub(crate) number: i64,
    /// Aliases and contents; no objects, because the server that removes deletes them.
    pub(crate) removal: Removal,
    /// Whether there is more.
    pub(crate) has_more: bool,
}

/// What another server, or this one, has just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Something was removed.
    Removal,
    /// A job was queued.
    Job,
    /// A long run was requested.
    Maintenance,
    /// The state of an upload has changed.
    Upload(UploadId),
}

impl Notice {
    fn to_text(self) -> String {
        match self {
            Self::Removal => "removal".to_owned(),
            Self::Job => "job".to_owned(),
            Self::Maintenance => "maintenance".to_owned(),
            Self::Upload(id) => format!("upload {}", id.expose()),
        }
    }

    /// `None` for notices of a newer version.
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "removal" => Some(Self::Removal),
            "job" => Some(Self::Job),
            "maintenance" => Some(Self::Maintenance),
            _ => UploadId::parse(text.strip_prefix("upload ")?)
                .ok()
                .map(Self::Upload),
        }
    }
}

/// Hears what other servers do. What was told before it was opened is missed.
pub(crate) struct Notices(PgListener);

impl Notices {
    /// The next notice that this version knows.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`]; then the listener must be opened again.
    pub(crate) async fn next(&mut self) -> Result<Notice> {
        loop {
            let Ok(heard) = timeout(QUIET_FOR, self.0.try_recv()).await else {
                check_listener(&mut self.0).await.map_err(repo_error)?;
                continue;
            };
            let lost = || sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
            let heard = heard.and_then(|heard| heard.ok_or_else(lost));
            if let Some(notice) = Notice::from_text(heard.map_err(repo_error)?.payload()) {
                return Ok(notice);
            }
        }
    }
}

#[derive(Deserialize, Serialize)]
struct Keys {
    aliases: Vec<String>,
    contents: Vec<String>,
}

/// Announces a removal as part of its transaction.
pub(super) async fn announce_in(tx: &mut Change, removal: &Removal) -> Result<()> {
    if !tx.is_shared() || (removal.aliases.is_empty() && removal.contents.is_empty()) {
        return Ok(());
    }
    let keys = Keys {
        aliases: removal.aliases.iter().map(Alias::to_string).collect(),
        contents: removal.contents.iter().map(ContentKey::to_hex).collect(),
    };
    let keys = serde_json::to_string(&keys).map_err(repo_error)?;
    // Until the commit, so that numbers become visible in their order.
    tx.pass_alone(ANNOUNCE).await?;
    sql("INSERT INTO removals (keys, created_at) VALUES \
         ($1, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))")
    .bind(keys)
    .run(&mut *tx)
    .await?;
    sql("SELECT 1 FROM pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(Notice::Removal.to_text())
        .any(tx)
        .await
        .map(drop)
}

impl Repo {
    /// Whether other servers may use the database at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// The time by which leases run out, in unix milliseconds: that of the database, as of the last
    /// sign of life.
    pub(crate) fn time(&self) -> i64 {
        clock::now().saturating_add(self.node.ahead.load(Ordering::Relaxed))
    }

    /// Reads the clock of the database.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub(crate) async fn read_clock(&self) -> Result<()> {
        if self.is_shared() {
            let time = sql(TIME).one(&self.read).await?.int("time")?;
            let ahead = time.saturating_sub(clock::now());
            self.node.ahead.store(ahead, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many other servers have given a sign of life of late. An embedded database has none.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub(crate) async fn other_servers(&self) -> Result<u64> {
        if !self.is_shared() {
            return Ok(0);
        }
        self.read_clock().await?;
        let dead = self.time().saturating_sub(millis(DEAD_AFTER));
        let counted =
            sql("SELECT COUNT(*) AS others FROM nodes WHERE node <> $1 AND seen_at >= $2")
                .bind(&*self.node.id)
                .bind(dead)
                .one(&self.read)
                .await?;
        counted.number("others")
    }

    /// Gives a sign of life, and frees what servers held that gave none for [`DEAD_AFTER`]. Their
    /// jobs are due at `later`. Returns how many servers are gone.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub(crate) async fn give_sign_of_life(&self, later: Duration) -> Result<usize> {
        self.read_clock().await?;
        let now = self.time();
        let ahead = self.node.ahead.load(Ordering::Relaxed);
        sql(
            "INSERT INTO nodes (node, seen_at, version, host, started_at) \
             VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (node) DO UPDATE SET seen_at = excluded.seen_at",
        )
        .bind(&*self.node.id)
        .bind(now)
        .bind(env!("CARGO_PKG_VERSION"))
        .bind(&*self.node.host)
        .bind(self.node.started_at.saturating_add(ahead))
        .run(&self.write)
        .await?;
        let dead = now.saturating_sub(millis(DEAD_AFTER));
        let any = "SELECT 1 FROM nodes WHERE seen_at < $1 LIMIT 1";
        if !self.has_any(any, dead).await? {
            return Ok(0);
        }
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let gone = sql("DELETE FROM nodes WHERE seen_at < $1 RETURNING node")
                .bind(dead)
                .all(&mut tx)
                .await?;
            for row in &gone {
                free_in(&mut tx, &row.text("node")?, now + millis(later)).await?;
            }
            tx.commit().await?;
            Ok(gone.len())
        })
        .await
    }

    /// All servers that use the database, those included that died a moment ago; none for an
    /// embedded database.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub async fn nodes(&self) -> Result<Vec<NodeStatus>> {
        if !self.is_shared() {
            return Ok(Vec::new());
        }
        let time = sql(TIME).one(&self.read).await?.int("time")?;
        let rows = sql(
            "SELECT node, host, version, started_at, seen_at FROM nodes \
             ORDER BY host, started_at, node",
        )
        .all(&self.read)
        .await?;
        let statuses = rows.iter().map(|row| {
            let (id, seen_at) = (row.text("node")?, row.int("seen_at")?);
            let silent_ms = time.saturating_sub(seen_at);
            Ok(NodeStatus {
                is_this: *id == *self.node.id,
                id,
                host: row.text("host")?,
                version: row.text("version")?,
                started_at: row.int("started_at")?,
                seen_at,
                silent_for: Duration::from_millis(u64::try_from(silent_ms).unwrap_or(0)),
            })
        });
        statuses.collect()
    }

    /// Takes or extends a lease. Returns false while another server that lives has it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub(crate) async fn hold_lease(&self, name: &str, span: Duration) -> Result<bool> {
        let now = self.time();
        sql(
            "INSERT INTO leases (name, node, until) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET node = excluded.node, until = excluded.until \
             WHERE leases.node = excluded.node OR leases.until < $4 RETURNING until",
        )
        .bind(name)
        .bind(&*self.node.id)
        .bind(now.saturating_add(millis(span)))
        .bind(now)
        .any(&self.write)
        .await
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub(crate) async fn give_lease_back(&self, name: &str) -> Result<()> {
        sql("DELETE FROM leases WHERE name = $1 AND node = $2")
            .bind(name)
            .bind(&*self.node.id)
            .run(&self.write)
            .await
            .map(drop)
    }

    /// The number of the last announcement.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub(crate) async fn last_announcement(&self) -> Result<i64> {
        let last = sql("SELECT MAX(number) AS number FROM removals");
        let last = last.one(&self.read).await?.int_or_null("number")?;
        Ok(last.unwrap_or(0))
    }

    /// What was announced after `number`.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub(crate) async fn news_after(&self, number: i64) -> Result<News> {
        let rows =
            sql("SELECT number, keys FROM removals WHERE number > $1 ORDER BY number LIMIT $2")
                .bind(number)
                .bind(BATCH)
                .all(&self.read)
                .await?;
        let mut news = News {
            number,
            has_more: rows.len() as i64 == BATCH,
            ..News::default()
        };
        for row in &rows {
            news.number = row.int("number")?;
            let keys: Keys = serde_json::from_str(&row.text("keys")?).map_err(repo_error)?;
            for alias in keys.aliases {
                news.removal.aliases.push(Alias::parse(alias)?);
            }
            for content in &keys.contents {
                let bytes = hex::decode(content).unwrap_or_default();
                news.removal.contents.extend(ContentKey::from_bytes(&bytes));
            }
        }
        Ok(news)
    }

    /// Forgets announcements that every server has seen or is too late for.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub(crate) async fn forget_announcements(&self) -> Result<u64> {
        sql("DELETE FROM removals WHERE created_at < $1")
            .bind(self.time().saturating_sub(millis(ANNOUNCED_FOR)))
            .run(&self.write)
            .await
    }

    /// Tells all servers, this one too. They look for themselves as well, only later.
    pub(crate) async fn notify(&self, notice: Notice) {
        if !self.is_shared() {
            return;
        }
        let told = sql("SELECT 1 FROM pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(notice.to_text())
            .any(&self.write)
            .await;
        if let Err(error) = told {
            tracing::debug!(%error, "other servers are not told");
        }
    }

    /// Listens to other servers; `None` for an embedded database, and where a database only reads.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoUnavailable`].
    pub(crate) async fn listen(&self) -> Result<Option<Notices>> {
        let (Engine::Postgres(server), RepoPool::Postgres(_)) = (&self.engine, &self.read) else {
            return Ok(None);
        };
        let mut listener = super::postgres::listener(server)
            .await
            .map_err(repo_error)?;
        listener.listen(CHANNEL).await.map_err(repo_error)?;
        Ok(Some(Notices(listener)))
    }
}

/// Forgets all servers and what they did, because this one is alone.
pub(super) async fn forget_all_in(tx: &mut Change) -> Result<()> {
    if tx.is_shared() {
        sql("DELETE FROM nodes").run(&mut *tx).await?;
        sql("DELETE FROM leases").run(&mut *tx).await?;
    }
    Ok(())
}

/// Frees the jobs and leases of a dead server. Jobs that were running may be the cause.
async fn free_in(tx: &mut Change, node: &str, due: i64) -> Result<()> {
    sql(
        "UPDATE jobs SET lease = NULL, begun = 0, deaths = deaths + begun, due_at = $2 \
         WHERE lease LIKE $1",
    )
    .bind(format!("{node}/%"))
    .bind(due)
    .run(&mut *tx)
    .await?;
    sql("DELETE FROM leases WHERE node = $1")
        .bind(node)
        .run(&mut *tx)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_read_as_they_are_written() {
        let id = UploadId::generate();
        for notice in [
            Notice::Removal,
            Notice::Job,
            Notice::Maintenance,
            Notice::Upload(id),
        ] {
            assert_eq!(Notice::from_text(&notice.to_text()), Some(notice));
        }
        assert_eq!(Notice::from_text("of a newer version"), None);
    }
}
