//! The embedded database: its folder with a lock and a reserve of disk space, its connections, and
//! the check that each passes before it is used again.
//!
//! SQLite ends a transaction by itself when a disk is full or fails. The rollback that follows then
//! fails too, and sqlx keeps counting the transaction, so every later one on this connection would
//! be refused. Such a connection is closed, and the next request opens another.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::fs::{FlockOperation, flock};
use sqlx::Connection as _;
use sqlx::SqlitePool;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};

use super::fault::{ACQUIRE_TIMEOUT, repo_error};
use super::log_flush::LogFlush;
use super::reserve::{self, Reserve};
use super::sql::RepoPool;
use super::{FILE, migrations};
use crate::{Error, ErrorCode, Result};

/// Held while the server runs: two servers on one database would serve stale data.
const LOCK: &str = "pict-rs.lock";

/// The folder of the database. Dropping it gives the lock back.
#[derive(Clone, Debug)]
pub(super) struct Embedded {
    folder: PathBuf,
    reserve: Arc<Reserve>,
    _lock: Arc<File>,
}

impl Embedded {
    /// Opens the database in `folder`, creating and migrating it if needed, and keeps `reserve` MiB
    /// of the disk for removals. Returns a pool for writing and one for reading, too.
    pub(super) async fn open(folder: &Path, reserve: u64) -> Result<(Self, RepoPool, RepoPool)> {
        let lock = lock(folder)?;
        let place = folder.to_owned();
        // First, because opening a database needs disk space too.
        let reserve = reserve::blocking(move || Reserve::open(&place, reserve)).await?;
        let (write, read) = open(folder).await?;
        let embedded = Self {
            folder: folder.to_owned(),
            reserve: reserve.into(),
            _lock: lock.into(),
        };
        Ok((embedded, write, read))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether writes other than removals are allowed.
    pub(super) async fn has_room(&self) -> bool {
        if !self.reserve.is_given_back() {
            return true;
        }
        let reserve = self.reserve.clone();
        reserve::blocking(move || reserve.has_room())
            .await
            .unwrap_or(false)
    }

    /// Releases the reserve for a removal if there is no other space.
    pub(super) async fn make_room(&self, write: &RepoPool) -> Result<()> {
        let reserve = self.reserve.clone();
        if !reserve::blocking(move || reserve.make_room()).await? {
            // The write-ahead log is the last space that can be freed. If this fails, the removal
            // may still find some.
            if let Err(error) = write.shrink_log().await {
                tracing::debug!(%error, "the write-ahead log cannot be shrunk");
            }
        }
        Ok(())
    }
}

pub(super) fn lock(folder: &Path) -> Result<File> {
    let open = || -> std::io::Result<File> {
        std::fs::create_dir_all(folder)?;
        File::create(folder.join(LOCK))
    };
    let file = open().map_err(|e| {
        Error::internal(
            ErrorCode::RepoError,
            format!(
                "cannot make or write to the database folder {}",
                folder.display()
            ),
            e,
        )
    })?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::user(
            ErrorCode::AlreadyRunning,
            format!(
                "another pict-rs is running on the database in {}",
                folder.display()
            ),
        )
    })?;
    Ok(file)
}

/// Opens an existing, current database only to read it, and keeps servers out while the file that is
/// returned is open.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] when there is none or it is not current,
/// [`ErrorCode::AlreadyRunning`].
pub(super) async fn open_to_read(folder: &Path) -> Result<(File, RepoPool)> {
    refuse_absent(folder)?;
    let lock = lock(folder)?;
    Ok((lock, open_to_look(folder).await?))
}

fn refuse_absent(folder: &Path) -> Result<()> {
    if folder.join(FILE).is_file() {
        return Ok(());
    }
    Err(Error::user(
        ErrorCode::ConfigInvalid,
        format!("there is no database of pict-rs in {}", folder.display()),
    ))
}

/// As [`open_to_read`], but a server may use the database meanwhile.
pub(super) async fn open_to_look(folder: &Path) -> Result<RepoPool> {
    refuse_absent(folder)?;
    let options = SqliteConnectOptions::new()
        .filename(folder.join(FILE))
        .read_only(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("trusted_schema", "OFF");
    let pool = connect(options, 1).await?;
    migrations::refuse_unless_current(&pool, folder).await?;
    Ok(RepoPool::Sqlite(pool, None))
}

/// Opens a copy of a database, and checks that all of it is sound and of a known version.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] when it is not.
pub(super) async fn open_copy(file: &Path) -> Result<RepoPool> {
    let unusable = |why: &dyn std::fmt::Display| {
        let place = file.display();
        Error::user(
            ErrorCode::ConfigInvalid,
            format!("{place} is not a whole copy of a database of pict-rs: {why}"),
        )
    };
    let options = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .immutable(true)
        .pragma("trusted_schema", "OFF");
    let pool = connect(options, 1)
        .await
        .map_err(|error| unusable(&error))?;
    migrations::refuse_newer(&pool, file)
        .await
        .map_err(|error| match error.code() == ErrorCode::ConfigInvalid {
            true => error,
            false => unusable(&"it has no tables of ours, or is damaged"),
        })?;
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&pool)
        .await
        .map_err(|error| unusable(&error))?;
    if found != "ok" {
        return Err(unusable(&found));
    }
    Ok(RepoPool::Sqlite(pool, None))
}

/// Opens the database in `folder`, creating and migrating it if needed. Returns a pool for writing
/// and one for reading.
async fn open(folder: &Path) -> Result<(RepoPool, RepoPool)> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join(FILE))
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // Changes are flushed by `LogFlush`.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_secs(10))
        .pragma("trusted_schema", "OFF");
    // One writer: SQLite allows only one anyway, and waiting here is fairer than its busy loop.
    let write = connect(options.clone(), 1).await?;
    migrations::run(&write, folder).await?;
    let flush = Arc::new(LogFlush::new(&folder.join(FILE), write.clone()));
    flush.flushed().await?;
    // The directory entry of a new database file must survive a power cut too.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| {
            Error::internal(ErrorCode::RepoError, "cannot flush the database folder", e)
        })?;
    let read = connect(options.read_only(true), 2).await?;
    Ok((
        RepoPool::Sqlite(write, Some(flush)),
        RepoPool::Sqlite(read, None),
    ))
}

/// Opens a pool of up to `connections` connections, each checked before it is reused.
async fn connect(options: SqliteConnectOptions, connections: u32) -> Result<SqlitePool> {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_release(|connection, _| is_clean(connection))
        .before_acquire(|connection, _| is_clean(connection))
        .connect_with(options)
        .await
        .map_err(repo_error)
}

/// Whether a connection answers and has no open transaction. One that fails this is closed.
fn is_clean(connection: &mut SqliteConnection) -> BoxFuture<'_, sqlx::Result<bool>> {
    Box::pin(async move {
        // A dropped transaction is rolled back before this is answered.
        connection.ping().await?;
        let is_clean = !connection.is_in_transaction();
        if !is_clean {
            tracing::warn!("a database connection is replaced because its transaction cannot end");
        }
        Ok(is_clean)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `statements` in a transaction of the only connection, then begins another one.
    async fn begins_again_after(statements: &[&'static str]) {
        let pool = connect(SqliteConnectOptions::new().in_memory(true), 1)
            .await
            .expect("opened");
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.expect("begun");
        for statement in statements {
            sqlx::query(*statement)
                .execute(&mut *tx)
                .await
                .expect("executed");
        }
        drop(tx);
        let tx = pool.begin_with("BEGIN IMMEDIATE").await.expect("begun");
        tx.commit().await.expect("committed");
    }

    #[tokio::test]
    async fn a_transaction_that_ended_by_itself_does_not_spoil_the_next_one() {
        begins_again_after(&["SELECT 1"]).await;
        // As SQLite does by itself when the disk is full.
        begins_again_after(&["ROLLBACK"]).await;
        begins_again_after(&["COMMIT"]).await;
        begins_again_after(&["ROLLBACK", "BEGIN"]).await;
    }

    #[tokio::test]
    async fn a_commit_that_failed_does_not_spoil_the_next_transaction() {
        let pool = connect(SqliteConnectOptions::new().in_memory(true), 1)
            .await
            .expect("opened");
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.expect("begun");
        sqlx::query("ROLLBACK")
            .execute(&mut *tx)
            .await
            .expect("executed");
        tx.commit().await.expect_err("nothing to commit");
        let tx = pool.begin_with("BEGIN IMMEDIATE").await.expect("begun");
        tx.commit().await.expect("committed");
    }
}
