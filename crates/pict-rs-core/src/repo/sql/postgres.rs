//! Statements on PostgreSQL: a bound for each, and another attempt where a lost connection certainly
//! had no effect.
//!
//! A connection can have died while it was idle, as when the server was restarted. Reads find
//! that out by failing, and are run on another connection, so that reading needs no round trip for a
//! check. Connections for writing are checked before they are used if they were idle
//! ([`super::super::postgres`]), because a statement that writes must not be run twice.
//!
//! A network that is cut without a word closes nothing. The library cannot set the options of a socket
//! that would tell, so while an answer is waited for a new connection is tried: see [`Pulse`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgRow, Postgres};
use sqlx::{AssertSqlSafe, Connection as _, SqlStr};
use tokio::sync::Mutex;

use super::value::Value;
use super::{Statement, is_disk_full, is_lost};
use crate::metrics;

/// How long a request waits for a connection. Long enough for a server that is restarted.
pub(in crate::repo) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the server works on a statement.
pub(in crate::repo) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer its answer may take.
const GRACE: Duration = Duration::from_secs(2);
/// After how long without an answer a new connection is tried, and how long that may take.
const SILENCE: Duration = Duration::from_secs(5);
const PULSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Before a connection is tried once more.
const PULSE_PAUSE: Duration = Duration::from_secs(1);

/// How long one attempt to get a connection may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Between two attempts; twice as long after each.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

const TOO_LATE: &str = "no connection to the database could be had in time";

/// Transactions that only read see the database as of one moment.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// How many connections of a kind there are.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Open ones.
    pub open: u64,
    /// Those of them that nothing uses.
    pub idle: u64,
    /// How many may be open.
    pub most: u64,
}

/// Connections to the server.
#[derive(Clone, Debug)]
pub struct Sessions {
    pool: PgPool,
    /// Whether they only read.
    is_read: bool,
    fullness: Fullness,
    pulse: Pulse,
}

impl Sessions {
    pub(in crate::repo) fn new(pool: PgPool, is_read: bool) -> Self {
        Self {
            pulse: Pulse::of(pool.connect_options()),
            pool,
            is_read,
            fullness: Fullness::default(),
        }
    }

    /// Whether the server had no room for a write, and since when none is known that needed room.
    pub(in crate::repo) fn fullness(&self) -> &Fullness {
        &self.fullness
    }

    pub(super) async fn run(&self, statement: Statement) -> sqlx::Result<u64> {
        let mut connection = had(|| self.pool.acquire()).await?;
        let work = statement.for_postgres().execute(&mut *connection);
        let done = self.pulse.in_time(work).await;
        if done.as_ref().is_err_and(is_broken) {
            connection.close_on_drop();
        }
        self.fullness.note(done).map(|done| done.rows_affected())
    }

    pub(super) async fn all(&self, statement: Statement) -> sqlx::Result<Vec<PgRow>> {
        let mut attempts = self.attempts();
        loop {
            let mut connection = had(|| self.pool.acquire()).await?;
            let work = statement.for_postgres().fetch_all(&mut *connection);
            let rows = self.pulse.in_time(work).await;
            if rows.as_ref().is_err_and(is_broken) {
                connection.close_on_drop();
            }
            match rows {
                Err(error) if self.is_read && is_lost(&error) && attempts > 0 => attempts -= 1,
                rows => return self.fullness.note(rows),
            }
        }
    }

    pub(super) async fn begin(&self) -> sqlx::Result<Transaction> {
        let inner = match self.is_read {
            true => had(|| self.pulse.in_time(self.pool.begin_with(BEGIN_READ))).await?,
            false => had(|| self.pulse.in_time(self.pool.begin())).await?,
        };
        Ok(Transaction {
            inner,
            fullness: self.fullness.clone(),
            pulse: self.pulse.clone(),
        })
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// How many connections are open, and how many of them are idle.
    pub(in crate::repo) fn connections(&self) -> Connections {
        Connections {
            open: self.pool.size().into(),
            idle: self.pool.num_idle() as u64,
            most: self.pool.options().get_max_connections().into(),
        }
    }

    /// Every idle connection may have died.
    fn attempts(&self) -> u32 {
        self.pool.options().get_max_connections() + 1
    }
}

/// A transaction. Rolled back when dropped.
#[derive(Debug)]
pub(in crate::repo) struct Transaction {
    inner: sqlx::Transaction<'static, Postgres>,
    fullness: Fullness,
    pulse: Pulse,
}

impl Transaction {
    pub(super) async fn run(&mut self, statement: Statement) -> sqlx::Result<u64> {
        let work = statement.for_postgres().execute(&mut *self.inner);
        let done = self.pulse.in_time(work).await;
        self.fullness.note(done).map(|done| done.rows_affected())
    }

    pub(super) async fn all(&mut self, statement: Statement) -> sqlx::Result<Vec<PgRow>> {
        let work = statement.for_postgres().fetch_all(&mut *self.inner);
        let rows = self.pulse.in_time(work).await;
        self.fullness.note(rows)
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        let done = self.pulse.in_time(self.inner.commit()).await;
        self.fullness.note(done)
    }
}

/// Remembers that the server had no room: a small write may find room in what was allocated before,
/// and proves nothing then.
#[derive(Clone, Debug, Default)]
pub(in crate::repo) struct Fullness(Arc<AtomicBool>);

impl Fullness {
    fn note<T>(&self, done: sqlx::Result<T>) -> sqlx::Result<T> {
        if done.as_ref().is_err_and(is_disk_full) {
            self.0.store(true, Ordering::Relaxed);
        }
        done
    }

    pub(in crate::repo) fn was_full(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A write has succeeded that needed room.
    pub(in crate::repo) fn has_room(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Statement {
    fn for_postgres(&self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
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

/// Whether the server is there at all, which new connections tell. Shared by all that wait for answers, so
/// that one connection at a time is tried.
#[derive(Clone, Debug)]
struct Pulse {
    options: Arc<PgConnectOptions>,
    /// When a connection was tried last, and whether it was answered.
    last: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Pulse {
    fn of(options: Arc<PgConnectOptions>) -> Self {
        Self {
            options,
            last: Arc::default(),
        }
    }

    /// Bounds the wait for an answer.
    async fn in_time<T>(&self, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let began = Instant::now();
        let done = tokio::select! {
            biased;
            done = tokio::time::timeout(STATEMENT_TIMEOUT + GRACE, work) => done,
            () = self.stops() => {
                metrics::statement(began.elapsed());
                return Err(late("the database answers no statement and no new connection"));
            }
        };
        metrics::statement(began.elapsed());
        done.unwrap_or_else(|_| Err(late("the database did not answer")))
    }

    /// Waits until two attempts in a row had no answer. What connects is on the heap, as it is large and
    /// hardly ever needed.
    async fn stops(&self) {
        loop {
            tokio::time::sleep(SILENCE).await;
            if Box::pin(self.is_felt()).await {
                continue;
            }
            tokio::time::sleep(PULSE_PAUSE).await;
            if !Box::pin(self.is_felt()).await {
                return;
            }
        }
    }

    /// Whether a new connection is answered; a refusal is an answer as well.
    async fn is_felt(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((time, was_felt)) = *last
            && time.elapsed() < PULSE_PAUSE / 2
        {
            return was_felt;
        }
        let tried = PgConnection::connect_with(&self.options);
        let is_felt = match tokio::time::timeout(PULSE_TIMEOUT, tried).await {
            Ok(Ok(connection)) => {
                // The server ends the session by itself if that fails.
                let _ = tokio::time::timeout(PULSE_TIMEOUT, connection.close()).await;
                true
            }
            Ok(Err(error)) => !matches!(error, sqlx::Error::Io(_)),
            Err(_) => false,
        };
        *last = Some((Instant::now(), is_felt));
        is_felt
    }
}

/// Waits for a connection, also while the server is started again. An attempt that takes long is begun
/// again: one that waits until the server gives more connections does not notice that one of ours has
/// become free.
async fn had<T, F>(get: impl Fn() -> F) -> sqlx::Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    let began = Instant::now();
    let is_late = || began.elapsed() > ACQUIRE_TIMEOUT;
    let mut pause = FIRST_PAUSE;
    let had = loop {
        match tokio::time::timeout(ATTEMPT, get()).await {
            Ok(Err(error)) if is_lost(&error) && !is_late() => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            // Another attempt would take as long.
            Ok(Err(error)) if is_lost(&error) => break Err(late(format!("{TOO_LATE}: {error}"))),
            Ok(had) => break had,
            Err(_) if is_late() => break Err(sqlx::Error::PoolTimedOut),
            Err(_) => {}
        }
    };
    metrics::connection_got(had.is_ok(), began.elapsed());
    had.map_err(named)
}

/// The pool does not tell whether all connections are in use or none can be had.
fn named(error: sqlx::Error) -> sqlx::Error {
    match error {
        sqlx::Error::PoolTimedOut => late(TOO_LATE),
        error => error,
    }
}

fn late(message: impl Into<String>) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, message.into()))
}
