//! Connections to the database, and the check that each passes before it is used again.
//!
//! SQLite ends a transaction by itself when a disk is full or fails. The rollback that follows then
//! fails too, and sqlx keeps counting the transaction, so every later one on this connection would
//! be refused. Such a connection is closed, and the next request opens another.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Connection as _;
use sqlx::SqlitePool;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};

use super::sql::{ACQUIRE_TIMEOUT, Pool, repo_error};
use super::{FILE, migrations};
use crate::{Error, ErrorCode, Result};

/// Opens the database in `folder`, creating and migrating it if needed. Returns a pool for writing
/// and one for reading.
pub(super) async fn open(folder: &Path) -> Result<(Pool, Pool)> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join(FILE))
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .pragma("trusted_schema", "OFF");
    // One writer: SQLite allows only one anyway, and waiting here is fairer than its busy loop.
    let write = connect(options.clone(), 1).await?;
    migrations::run(&write, folder).await?;
    // The directory entry of a new database file must survive a power cut too.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| {
            Error::internal(ErrorCode::RepoError, "cannot flush the database folder", e)
        })?;
    let read = connect(options.read_only(true), 2).await?;
    Ok((Pool::Sqlite(write), Pool::Sqlite(read)))
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
