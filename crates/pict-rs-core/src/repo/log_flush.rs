//! Flushes of SQLite's write-ahead log that many transactions share.
//!
//! With `synchronous = FULL` SQLite flushes the log in each commit, and while it does, no other
//! transaction can begin: clients that upload at the same time wait for each other's flushes. With
//! `NORMAL` a commit only writes to the log, and a caller that needs it to be durable waits here for the next
//! flush, which serves all that have committed before it begins. SQLite itself flushes the log before a
//! checkpoint, and the database after it (<https://www.sqlite.org/pragma.html#pragma_synchronous>), so
//! the database is sound after a power cut either way.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{Row as _, SqlitePool};
use tokio::sync::Mutex;

use super::fault::repo_error;
use crate::task::blocking;
use crate::{Error, ErrorCode, Result};

/// The log of a database.
#[derive(Debug)]
pub(super) struct LogFlush {
    log: PathBuf,
    /// Connections that write.
    pool: SqlitePool,
    /// The number of flushes that were begun. Changed only while `last` is locked.
    begun: AtomicU64,
    last: Mutex<LastFlush>,
}

/// Numbers of flushes, counted from 1.
#[derive(Debug, Default)]
struct LastFlush {
    succeeded: u64,
    failed: u64,
}

impl LogFlush {
    /// Of the database in `file`, which `pool` writes to.
    pub(super) fn new(file: &Path, pool: SqlitePool) -> Self {
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        Self {
            log: log.into(),
            pool,
            begun: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }

    /// Returns when everything is durable that was committed before.
    ///
    /// # Errors
    /// [`ErrorCode::InsufficientStorage`] or [`ErrorCode::RepoError`] when a flush failed: what was
    /// committed is there, but may be gone after a power cut.
    pub(super) async fn flushed(&self) -> Result<()> {
        let begun_before = self.begun.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        // A flush that was under way when this was called may have missed the commit.
        if last.failed > begun_before {
            return Err(failed(io::Error::other(
                "a flush for several changes failed",
            )));
        }
        if last.succeeded > begun_before {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        // After a failure the system may take for written what is not, and the next flush of the log
        // would succeed without it (<https://lwn.net/Articles/752063/>). So all of it is written once
        // more, to the database.
        let flush = match last.failed > last.succeeded {
            true => checkpoint(&self.pool).await,
            false => self.flush().await,
        };
        match flush {
            Ok(()) => last.succeeded = number,
            Err(_) => last.failed = number,
        }
        flush
    }

    async fn flush(&self) -> Result<()> {
        let log = self.log.clone();
        blocking(move || {
            // Opened each time: SQLite makes a new file after the last connection was closed.
            match File::open(log).and_then(|log| log.sync_data()) {
                // It went into the database, which was flushed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                flushed => flushed.map_err(failed),
            }
        })
        .await
    }
}

/// Moves the whole log to the database, and flushes that.
async fn checkpoint(pool: &SqlitePool) -> Result<()> {
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(pool)
        .await
        .map_err(repo_error)?;
    let is_busy: i64 = row.try_get(0).map_err(repo_error)?;
    match is_busy {
        0 => Ok(()),
        _ => Err(Error::Internal {
            code: ErrorCode::RepoError,
            message: "the database is too busy to be flushed".to_owned(),
            source: None,
        }),
    }
}

fn failed(error: io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::InsufficientStorage,
        _ => ErrorCode::RepoError,
    };
    Error::internal(code, "cannot flush the log of the database", error)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    async fn pool() -> SqlitePool {
        let options = SqlitePoolOptions::new().max_connections(1);
        options.connect("sqlite::memory:").await.expect("opened")
    }

    fn unflushable(pool: SqlitePool) -> LogFlush {
        LogFlush {
            log: "/dev/null".into(),
            ..LogFlush::new(Path::new("database"), pool)
        }
    }

    /// Results of flushes that are asked for while another one is under way, which succeeds.
    async fn meanwhile(flush: &LogFlush, count: usize) -> Vec<Result<()>> {
        let mut last = flush.last.lock().await;
        let number = flush.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let all = join_all((0..count).map(|_| flush.flushed()));
        let under_way = async move {
            // Now all of them wait.
            tokio::task::yield_now().await;
            last.succeeded = number;
        };
        tokio::join!(all, under_way).0
    }

    #[tokio::test]
    async fn those_who_wait_share_the_next_flush() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("database");
        std::fs::write(folder.path().join("database-wal"), "log").expect("written");
        let flush = LogFlush::new(&file, pool().await);
        let all = meanwhile(&flush, 64).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(flush.begun.load(Ordering::Acquire), 2);
        flush.flushed().await.expect("flushed");
        assert_eq!(flush.begun.load(Ordering::Acquire), 3);
    }

    #[tokio::test]
    async fn a_log_that_is_not_there_is_in_the_database() {
        let folder = tempfile::tempdir().expect("a folder");
        let flush = LogFlush::new(&folder.path().join("database"), pool().await);
        flush.flushed().await.expect("nothing to do");
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_share_the_flush() {
        let flush = unflushable(pool().await);
        // Then a checkpoint fails as well.
        flush.pool.close().await;
        let all = meanwhile(&flush, 64).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(flush.begun.load(Ordering::Acquire), 2);
    }

    #[tokio::test]
    async fn after_a_failure_the_next_flush_is_a_checkpoint() {
        let flush = unflushable(pool().await);
        flush.flushed().await.expect_err("there is no log");
        // A checkpoint needs none.
        flush.flushed().await.expect("written to the database");
        flush.flushed().await.expect_err("flushed again");
    }
}
