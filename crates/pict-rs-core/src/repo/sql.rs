//! The only way to run statements: a text, its parameters, and the rows it returns.
//!
//! Modules above do not depend on the engine. Statements work on SQLite and PostgreSQL alike:
//! parameters are `$1`, `$2`, …, columns are text, blob and bigint, and a statement that locks rows
//! ends with `FOR UPDATE`. Differences between engines are arms of the enums in this file. Only the
//! embedded SQLite exists today.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqlitePool};

use crate::{Alias, ContentKey, Error, ErrorCode, ObjectKey, Result};

/// How long a request waits for a connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

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

/// The value of a parameter. Nulls are typed too, because some engines require it.
#[derive(Debug)]
pub(super) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

impl Statement {
    /// Binds the next parameter.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs the statement. Returns the number of rows that it added, changed or removed.
    pub(super) async fn run<'a>(self, on: impl Into<On<'a>>) -> Result<u64> {
        let done = match on.into() {
            On::Pool(Pool::Sqlite(pool)) => self.for_sqlite().execute(pool).await,
            On::Tx(Tx::Sqlite(tx)) => self.for_sqlite().execute(&mut **tx).await,
        };
        done.map(|done| done.rows_affected()).map_err(repo_error)
    }

    /// Runs the statement and returns all rows.
    pub(super) async fn all<'a>(self, on: impl Into<On<'a>>) -> Result<Vec<Row>> {
        let rows = match on.into() {
            On::Pool(Pool::Sqlite(pool)) => self.for_sqlite().fetch_all(pool).await,
            On::Tx(Tx::Sqlite(tx)) => self.for_sqlite().fetch_all(&mut **tx).await,
        };
        let rows = rows.map_err(repo_error)?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
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
    Pool(&'a Pool),
    Tx(&'a mut Tx),
}

impl<'a> From<&'a Pool> for On<'a> {
    fn from(pool: &'a Pool) -> Self {
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
pub(super) enum Pool {
    Sqlite(SqlitePool),
}

impl Pool {
    /// Begins a transaction that may write.
    pub(super) async fn begin(&self) -> Result<Tx> {
        match self {
            Self::Sqlite(pool) => pool.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite),
        }
        .map_err(repo_error)
    }

    /// Begins a read transaction, for a consistent view.
    pub(super) async fn begin_read(&self) -> Result<Tx> {
        match self {
            Self::Sqlite(pool) => pool.begin().await.map(Tx::Sqlite),
        }
        .map_err(repo_error)
    }

    /// Frees disk space that the engine does not need at the moment.
    pub(super) async fn shrink_log(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => sql("PRAGMA wal_checkpoint(TRUNCATE)").run(self).await?,
        };
        Ok(())
    }

    /// Writes a copy of the whole database to `file`, which must not exist. The copy is not
    /// flushed.
    pub(super) async fn copy_to(&self, file: &Path) -> Result<()> {
        let Self::Sqlite(pool) = self;
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
            Self::Sqlite(pool) => pool.close().await,
        }
    }
}

/// A transaction. Rolled back when dropped.
#[derive(Debug)]
pub(super) enum Tx {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
}

impl Tx {
    /// Commits the change durably.
    pub(super) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
        }
        .map_err(repo_error)
    }
}

/// A row of a result.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
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

macro_rules! values {
    ($($kind:ident: $($from:ty),+;)+) => {
        $($(
            impl From<$from> for Value {
                fn from(value: $from) -> Self {
                    Self::$kind(Some(value.into()))
                }
            }

            impl From<Option<$from>> for Value {
                fn from(value: Option<$from>) -> Self {
                    Self::$kind(value.map(Into::into))
                }
            }
        )+)+
    };
}

values! {
    Int: i64, u32, bool;
    Text: &str, String, &String;
    Blob: &[u8], Vec<u8>;
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

/// The error for a column with a value that this program never writes.
pub(super) fn broken(column: &str) -> Error {
    Error::Internal {
        code: ErrorCode::RepoError,
        message: format!("the database holds an impossible value in column {column}"),
        source: None,
    }
}

/// The error that callers get.
pub(super) fn repo_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = error.into();
    if let Some(sqlx::Error::PoolTimedOut) = error.downcast_ref() {
        // The disk hangs or there are too many requests. That passes, so clients may retry.
        tracing::warn!("the database did not get to a request in time");
        return Error::user(
            ErrorCode::TooBusy,
            format!(
                "The database has too much to do; a request waits for it for {} seconds at most",
                ACQUIRE_TIMEOUT.as_secs()
            ),
        );
    }
    if is_disk_full(error.downcast_ref()) {
        let message = "the database has no room to write to";
        return Error::internal(ErrorCode::InsufficientStorage, message, error);
    }
    Error::internal(ErrorCode::RepoError, "the database failed", error)
}

/// Whether SQLite reports a full disk: for its own files, or for the shared memory of its
/// connections, which is also a file.
fn is_disk_full(error: Option<&sqlx::Error>) -> bool {
    const FULL: [&str; 2] = ["13", "4874"];
    let code = error.and_then(sqlx::Error::as_database_error);
    let code = code.and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| FULL.contains(&&*code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_waited_in_vain_may_be_sent_again() {
        let error = repo_error(sqlx::Error::PoolTimedOut);
        assert_eq!(error.code(), ErrorCode::TooBusy);
        assert!(
            error.is_users(),
            "no fault, and the message is for the client"
        );
        let error = repo_error(sqlx::Error::PoolClosed);
        assert_eq!(error.code(), ErrorCode::RepoError);
    }

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
