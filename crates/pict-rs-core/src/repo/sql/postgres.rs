//! Statements on PostgreSQL: a bound for each, and another attempt where a lost connection certainly
//! had no effect.
//!
//! A connection can have died while it was idle, as when the server was restarted. Reads find
//! that out by failing, and are run on another connection, so that reading needs no round trip for a
//! check. Connections for writing are checked before they are used if they were idle
//! ([`super::super::postgres`]), because a statement that writes must not be run twice.

use std::io;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgPool, PgRow, Postgres};
use sqlx::{AssertSqlSafe, SqlStr};

use super::value::Value;
use super::{Statement, is_lost};

/// How long a request waits for a connection. Long enough for a server that is restarted.
pub(in crate::repo) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the server works on a statement.
pub(in crate::repo) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer its answer may take, if the network is cut.
const GRACE: Duration = Duration::from_secs(2);

/// Transactions that only read see the database as of one moment.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Connections to the server.
#[derive(Clone, Debug)]
pub struct Sessions {
    pool: PgPool,
    /// Whether they only read.
    is_read: bool,
}

impl Sessions {
    pub(in crate::repo) fn new(pool: PgPool, is_read: bool) -> Self {
        Self { pool, is_read }
    }

    pub(super) async fn run(&self, statement: Statement) -> sqlx::Result<u64> {
        let mut connection = self.pool.acquire().await.map_err(named)?;
        let done = in_time(statement.for_postgres().execute(&mut *connection)).await;
        if done.as_ref().is_err_and(is_broken) {
            connection.close_on_drop();
        }
        done.map(|done| done.rows_affected())
    }

    pub(super) async fn all(&self, statement: Statement) -> sqlx::Result<Vec<PgRow>> {
        let mut attempts = self.attempts();
        loop {
            let mut connection = self.pool.acquire().await.map_err(named)?;
            let rows = in_time(statement.for_postgres().fetch_all(&mut *connection)).await;
            if rows.as_ref().is_err_and(is_broken) {
                connection.close_on_drop();
            }
            match rows {
                Err(error) if self.is_read && is_lost(&error) && attempts > 0 => attempts -= 1,
                rows => return rows,
            }
        }
    }

    pub(super) async fn begin(&self) -> sqlx::Result<sqlx::Transaction<'static, Postgres>> {
        let mut attempts = self.attempts();
        loop {
            let begun = match self.is_read {
                true => in_time(self.pool.begin_with(BEGIN_READ)).await,
                false => in_time(self.pool.begin()).await,
            };
            match begun {
                Err(error) if is_lost(&error) && attempts > 0 => attempts -= 1,
                begun => return begun.map_err(named),
            }
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// Every idle connection may have died.
    fn attempts(&self) -> u32 {
        self.pool.options().get_max_connections() + 1
    }
}

impl Statement {
    pub(super) fn for_postgres(&self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        let text: SqlStr = sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(self.text.clone()));
        let mut query = sqlx::query(text);
        for value in &self.values {
            query = match value {
                Value::Int(value) => query.bind(*value),
                Value::Text(value) => query.bind(value.clone().map(storable)),
                Value::Blob(value) => query.bind(value.clone()),
            };
        }
        query
    }
}

/// PostgreSQL stores no NUL in texts. Keys have none; in reasons it means nothing.
pub(in crate::repo) fn storable(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    }
}

/// Whether the connection cannot be used any more.
fn is_broken(error: &sqlx::Error) -> bool {
    !matches!(error, sqlx::Error::Database(_)) || is_lost(error)
}

/// Bounds the wait for an answer: a connection through a network that was cut tells nothing.
pub(in crate::repo) async fn in_time<T>(
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    let done = tokio::time::timeout(STATEMENT_TIMEOUT + GRACE, work).await;
    done.unwrap_or_else(|_| Err(late("the database did not answer")))
}

/// The pool does not tell whether all connections are in use or none can be had.
fn named(error: sqlx::Error) -> sqlx::Error {
    match error {
        sqlx::Error::PoolTimedOut => late("no connection to the database could be had in time"),
        error => error,
    }
}

fn late(message: &'static str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, message))
}
