//! Statements on PostgreSQL: a bound for each, and another attempt where a lost connection certainly
//! had no effect.
//!
//! A connection can have died while it was idle, as when the server was restarted. Reads find
//! that out by failing, and are run on another connection, so that reading needs no round trip for a
//! check. Connections for writing are checked before they are used if they were idle
//! ([`super::super::postgres`]), because a statement that writes must not be run twice.
//!
//! A network that is cut without a word closes nothing, and a firewall may forget connections of which
//! both ends know. The library cannot set the options of a socket that would tell, so while an answer
//! is waited for a new connection is tried, and asked whether the server works for us: see [`Pulse`].

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
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

/// Whether the server works on a statement of ours that it did not get just now. Of other roles it
/// tells nothing, and of ours neither where `track_activities` is off.
const IS_AT_WORK: &str = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity \
     WHERE usename = session_user AND datname = current_database() AND pid <> pg_backend_pid() \
     AND (state = 'disabled' OR state NOT IN \
     ('idle', 'idle in transaction', 'idle in transaction (aborted)') \
     AND query_start < clock_timestamp() - interval '2 seconds'))";

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
    pub(in crate::repo) fn new(pool: PgPool, is_read: bool, doubt: Doubt) -> Self {
        Self {
            pulse: Pulse::of(pool.connect_options(), doubt),
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
                Err(error)
                    if self.is_read
                        && attempts > 0
                        && (is_lost(&error) || is_forgotten(&error)) =>
                {
                    attempts -= 1;
                }
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

/// When connections were found dead that looked alive: others that have not been used since may be dead
/// as well, and are not used again.
#[derive(Clone, Debug, Default)]
pub(in crate::repo) struct Doubt(Arc<std::sync::Mutex<Option<Instant>>>);

impl Doubt {
    fn arise(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it is about a connection that was idle for so long.
    pub(in crate::repo) fn is_about(&self, idle_for: Duration) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < idle_for)
    }
}

/// What a new connection tells about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// No answer.
    Silence,
    /// It answers, and does nothing for us: what we wait for has been lost on its way.
    Idleness,
    /// It may be working for us.
    Work,
}

/// What is there at the other end, which new connections tell. Shared by all that wait for answers, so
/// that one connection at a time is tried.
#[derive(Clone, Debug)]
struct Pulse {
    options: Arc<PgConnectOptions>,
    /// When a connection was tried last, and what it told.
    last: Arc<Mutex<Option<(Instant, Sign)>>>,
    doubt: Doubt,
}

impl Pulse {
    fn of(options: Arc<PgConnectOptions>, doubt: Doubt) -> Self {
        Self {
            options,
            last: Arc::default(),
            doubt,
        }
    }

    /// Bounds the wait for an answer.
    async fn in_time<T>(&self, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let began = Instant::now();
        let done = tokio::select! {
            biased;
            done = tokio::time::timeout(STATEMENT_TIMEOUT + GRACE, work) => done,
            error = self.stops() => {
                self.doubt.arise();
                metrics::statement(began.elapsed());
                return Err(error);
            }
        };
        metrics::statement(began.elapsed());
        done.unwrap_or_else(|_| Err(late("the database did not answer")))
    }

    /// Waits until two attempts in a row have told that no answer will come. What connects is on the
    /// heap, as it is large and hardly ever needed.
    async fn stops(&self) -> sqlx::Error {
        loop {
            tokio::time::sleep(SILENCE).await;
            if Box::pin(self.sign()).await == Sign::Work {
                continue;
            }
            tokio::time::sleep(PULSE_PAUSE).await;
            match Box::pin(self.sign()).await {
                Sign::Work => {}
                Sign::Idleness => return forgotten(),
                Sign::Silence => {
                    return late("the database answers no statement and no new connection");
                }
            }
        }
    }

    async fn sign(&self) -> Sign {
        let mut last = self.last.lock().await;
        if let Some((time, sign)) = *last
            && time.elapsed() < PULSE_PAUSE / 2
        {
            return sign;
        }
        let asked = tokio::time::timeout(PULSE_TIMEOUT, self.ask()).await;
        let sign = match asked {
            Ok(Ok(true)) => Sign::Work,
            Ok(Ok(false)) => Sign::Idleness,
            Ok(Err(sqlx::Error::Io(_))) | Err(_) => Sign::Silence,
            // A refusal is an answer as well, which tells nothing else.
            Ok(Err(_)) => Sign::Work,
        };
        *last = Some((Instant::now(), sign));
        sign
    }

    /// Asks a new connection whether the server works for us.
    async fn ask(&self) -> sqlx::Result<bool> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let is_at_work = sqlx::query_scalar(IS_AT_WORK)
            .fetch_one(&mut connection)
            .await?;
        // The server ends the session by itself if that fails.
        let _ = connection.close().await;
        Ok(is_at_work)
    }
}

/// The connection looks open, and nothing passes.
#[derive(Debug, thiserror::Error)]
#[error("the database does not know of the statement: its connection has been lost")]
struct Forgotten;

/// A timeout for everybody who may not ask again.
fn forgotten() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, Forgotten))
}

fn is_forgotten(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.get_ref().is_some_and(|it| it.is::<Forgotten>()))
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
