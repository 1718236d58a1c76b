//! The only way to run statements: a text, its parameters, and the rows it returns.
//!
//! Modules above do not depend on the engine. Statements work on SQLite and PostgreSQL alike:
//! parameters are `$1`, `$2`, …, columns are text, blob and bigint, and a statement that locks rows
//! ends with `FOR UPDATE`. Differences between engines are arms of the enums in this file.

pub(super) mod postgres;
pub(super) mod value;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::postgres::PgRow;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqlitePool};

use self::postgres::{Sessions, Transaction};
use self::value::Value;
use super::fault::{commit_error, is_disk_full, is_lost, repo_error};
use super::log_flush::LogFlush;
use crate::{Alias, ContentKey, Error, ErrorCode, ObjectKey, Result};

/// A literal statement.
pub(super) fn sql(text: &'static str) -> Statement {
    Statement {
        text: text.into(),
        values: Vec::new(),
    }
}

/// A statement composed of constants. Values are never part of the text; they are bound.
pub(super) fn composed(text: String) -> Statement {
    Statement {
        text: text.into(),
        values: Vec::new(),
    }
}

/// A statement and its parameters.
#[must_use = "a statement does nothing until it is run"]
#[derive(Debug)]
pub(super) struct Statement {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

impl Statement {
    /// Binds the next parameter.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs the statement. Returns the number of rows that it added, changed or removed.
    ///
    /// On the heap, as are all futures of an engine: they take kilobytes, and most requests that could
    /// ask the database do not, because what they need is cached.
    pub(super) fn run<'a>(self, on: impl Into<On<'a>>) -> BoxFuture<'a, Result<u64>> {
        let on = on.into();
        let run = async move {
            let flush = on.flush();
            let done = match on {
                On::Pool(RepoPool::Sqlite(pool, _)) => {
                    let done = self.for_sqlite().execute(pool).await;
                    done.map(|done| done.rows_affected())
                }
                On::Tx(Tx::Sqlite(tx, _)) => {
                    let done = self.for_sqlite().execute(&mut **tx).await;
                    done.map(|done| done.rows_affected())
                }
                On::Pool(RepoPool::Postgres(sessions)) => sessions.run(self).await,
                On::Tx(Tx::Postgres(tx)) => tx.run(self).await,
            };
            let done = done.map_err(repo_error)?;
            flushed(flush).await?;
            Ok(done)
        };
        run.boxed()
    }

    /// Runs the statement and returns all rows.
    pub(super) fn all<'a>(self, on: impl Into<On<'a>>) -> BoxFuture<'a, Result<Vec<Row>>> {
        let on = on.into();
        let all = async move {
            let flush = on.flush();
            let rows = match on {
                On::Pool(RepoPool::Sqlite(pool, _)) => {
                    sqlite_rows(self.for_sqlite().fetch_all(pool).await)
                }
                On::Tx(Tx::Sqlite(tx, _)) => {
                    sqlite_rows(self.for_sqlite().fetch_all(&mut **tx).await)
                }
                On::Pool(RepoPool::Postgres(sessions)) => postgres_rows(sessions.all(self).await),
                On::Tx(Tx::Postgres(tx)) => postgres_rows(tx.all(self).await),
            };
            let rows = rows.map_err(repo_error)?;
            flushed(flush).await?;
            Ok(rows)
        };
        all.boxed()
    }

    /// The first row, for a statement that returns at most one.
    pub(super) async fn optional<'a>(self, on: impl Into<On<'a>>) -> Result<Option<Row>> {
        Ok(self.all(on).await?.into_iter().next())
    }

    /// The row, for a statement that always returns one, such as a count.
    pub(super) async fn one<'a>(self, on: impl Into<On<'a>>) -> Result<Row> {
        let row = self.optional(on).await?;
        row.ok_or_else(|| repo_error("a statement that has one row had none"))
    }

    /// Whether it returns any row.
    pub(super) async fn any<'a>(self, on: impl Into<On<'a>>) -> Result<bool> {
        Ok(self.optional(on).await?.is_some())
    }

    fn for_sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        let mut query = sqlx::query(AssertSqlSafe(sqlite_text(self.text)));
        for value in self.values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Blob(value) => query.bind(value),
            };
        }
        query
    }
}

fn sqlite_rows(rows: sqlx::Result<Vec<SqliteRow>>) -> sqlx::Result<Vec<Row>> {
    Ok(rows?.into_iter().map(Row::Sqlite).collect())
}

fn postgres_rows(rows: sqlx::Result<Vec<PgRow>>) -> sqlx::Result<Vec<Row>> {
    Ok(rows?.into_iter().map(Row::Postgres).collect())
}

/// Waits until a change is durable, if there is a log to flush.
async fn flushed(flush: Option<&LogFlush>) -> Result<()> {
    match flush {
        Some(flush) => flush.flushed().await,
        None => Ok(()),
    }
}

/// SQLite has no row locks and needs none: a writing transaction begins with `BEGIN IMMEDIATE` and
/// is the only one.
pub(super) fn sqlite_text(text: Cow<'static, str>) -> Cow<'static, str> {
    match text.contains(" FOR UPDATE") {
        true => text
            .replace(" FOR UPDATE SKIP LOCKED", "")
            .replace(" FOR UPDATE", "")
            .into(),
        false => text,
    }
}

/// What a statement runs on: any connection, or that of a transaction.
pub(super) enum On<'a> {
    Pool(&'a RepoPool),
    Tx(&'a mut Tx),
}

impl<'a> On<'a> {
    /// What makes a statement durable. A transaction is flushed when it commits.
    fn flush(&self) -> Option<&'a LogFlush> {
        match self {
            Self::Pool(RepoPool::Sqlite(_, flush)) => flush.as_deref(),
            _ => None,
        }
    }
}

impl<'a> From<&'a RepoPool> for On<'a> {
    fn from(pool: &'a RepoPool) -> Self {
        Self::Pool(pool)
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

/// Connections to the database.
#[derive(Clone, Debug)]
pub(super) enum RepoPool {
    /// With the log that a change is flushed in, where it can be changed.
    Sqlite(SqlitePool, Option<Arc<LogFlush>>),
    Postgres(Sessions),
}

impl RepoPool {
    /// Begins a transaction that may write.
    pub(super) fn begin(&self) -> BoxFuture<'_, Result<Tx>> {
        let begin = async move {
            match self {
                Self::Sqlite(pool, flush) => {
                    let tx = pool.begin_with("BEGIN IMMEDIATE").await;
                    tx.map(|tx| Tx::Sqlite(tx, flush.clone()))
                }
                Self::Postgres(sessions) => sessions.begin().await.map(Tx::Postgres),
            }
            .map_err(repo_error)
        };
        begin.boxed()
    }

    /// Frees disk space that the engine does not need at the moment. A server frees its own.
    pub(super) async fn shrink_log(&self) -> Result<()> {
        match self {
            Self::Sqlite(..) => sql("PRAGMA wal_checkpoint(TRUNCATE)").run(self).await?,
            Self::Postgres(_) => 0,
        };
        Ok(())
    }

    /// Writes a copy of the whole database to `file`, which must not exist. The copy is not
    /// flushed.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a database that is not a file.
    pub(super) async fn copy_to(&self, file: &Path) -> Result<()> {
        let Self::Sqlite(pool, _) = self else {
            return Err(Error::user(
                ErrorCode::NotFound,
                "Only the embedded database is exported; pg_dump makes a copy of PostgreSQL's",
            ));
        };
        let path = file.to_str().ok_or_else(|| Error::Internal {
            code: ErrorCode::RepoError,
            message: format!("SQLite cannot write to {}: not UTF-8", file.display()),
            source: None,
        })?;
        // On its own connection, because the others serve requests.
        let mut connection = SqliteConnection::connect_with(&pool.connect_options())
            .await
            .map_err(repo_error)?;
        let copy = sql("VACUUM INTO $1").bind(path).for_sqlite();
        let copied = copy.execute(&mut connection).await.map_err(repo_error);
        connection.close().await.map_err(repo_error)?;
        copied.map(drop)
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool, _) => pool.close().await,
            Self::Postgres(sessions) => sessions.close().await,
        }
    }
}

/// A transaction. Rolled back when dropped.
#[derive(Debug)]
pub(super) enum Tx {
    /// With the log that it is flushed in, if it writes.
    Sqlite(sqlx::Transaction<'static, Sqlite>, Option<Arc<LogFlush>>),
    Postgres(Transaction),
}

impl Tx {
    /// Lets one transaction at a time pass here, until it ends. SQLite has only one that writes.
    pub(super) async fn pass_alone(&mut self, place: i64) -> Result<()> {
        match self {
            Self::Sqlite(..) => Ok(()),
            Self::Postgres(_) => sql("SELECT 1 FROM pg_advisory_xact_lock($1)")
                .bind(place)
                .any(self)
                .await
                .map(drop),
        }
    }

    /// Commits the change durably.
    pub(super) fn commit(self) -> BoxFuture<'static, Result<()>> {
        let commit = async move {
            match self {
                Self::Sqlite(tx, flush) => {
                    tx.commit().await.map_err(commit_error)?;
                    flushed(flush.as_deref()).await
                }
                Self::Postgres(tx) => tx.commit().await.map_err(commit_error),
            }
        };
        commit.boxed()
    }
}

/// A row of a result.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A number.
    pub(super) fn int(&self, column: &str) -> Result<i64> {
        self.int_or_null(column)?.ok_or_else(|| broken(column))
    }

    /// A number or null.
    pub(super) fn int_or_null(&self, column: &str) -> Result<Option<i64>> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(repo_error)
    }

    /// A number, converted to a narrower type.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T> {
        T::try_from(self.int(column)?).map_err(|_| broken(column))
    }

    /// A text.
    pub(super) fn text(&self, column: &str) -> Result<String> {
        self.text_or_null(column)?.ok_or_else(|| broken(column))
    }

    /// A text or null.
    pub(super) fn text_or_null(&self, column: &str) -> Result<Option<String>> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(repo_error)
    }

    /// Bytes.
    pub(super) fn blob(&self, column: &str) -> Result<&[u8]> {
        self.blob_or_null(column)?.ok_or_else(|| broken(column))
    }

    /// Bytes or null.
    pub(super) fn blob_or_null(&self, column: &str) -> Result<Option<&[u8]>> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(repo_error)
    }

    /// The key of a content.
    pub(super) fn content_key(&self, column: &str) -> Result<ContentKey> {
        ContentKey::from_bytes(self.blob(column)?).ok_or_else(|| broken(column))
    }

    /// The key of an object in the store.
    pub(super) fn object(&self, column: &str) -> Result<ObjectKey> {
        self.text(column).map(ObjectKey::new)
    }

    /// An alias.
    pub(super) fn alias(&self, column: &str) -> Result<Alias> {
        Alias::parse(self.text(column)?).map_err(|_| broken(column))
    }
}

/// The object keys in these rows.
pub(super) fn objects(rows: &[Row]) -> Result<Vec<ObjectKey>> {
    rows.iter().map(|row| row.object("object")).collect()
}

/// The aliases in these rows.
pub(super) fn aliases(rows: &[Row]) -> Result<Vec<Alias>> {
    rows.iter().map(|row| row.alias("alias")).collect()
}

/// The error for a column with a value that this program never writes.
pub(super) fn broken(column: &str) -> Error {
    Error::Internal {
        code: ErrorCode::RepoError,
        message: format!("the database holds an impossible value in column {column}"),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_locks_rows_runs_where_rows_have_no_locks() {
        let text = |text: &'static str| sqlite_text(text.into());
        assert_eq!(text("SELECT a FROM b FOR UPDATE"), "SELECT a FROM b");
        let next = "UPDATE a SET b = 1 WHERE c = (SELECT c FROM a LIMIT 1 FOR UPDATE SKIP LOCKED)";
        assert_eq!(
            text(next),
            "UPDATE a SET b = 1 WHERE c = (SELECT c FROM a LIMIT 1)"
        );
    }
}
