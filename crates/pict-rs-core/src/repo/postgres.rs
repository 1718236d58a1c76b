//! A PostgreSQL server: where it is, how connections to it begin, and what is checked before the
//! first of them is used.
//!
//! A server that cannot be reached is waited for at start, because it is often started together with
//! this one. What an administrator has to change ends the start at once. While the server runs, a
//! database that is away is an error that passes: connections are opened again when they are needed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{Connection as _, Executor as _, Row as _};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::fault::{code, repo_error};
use super::migrations;
use super::sql::RepoPool;
use super::sql::postgres::{ACQUIRE_TIMEOUT, Doubt, STATEMENT_TIMEOUT, Sessions};
use crate::{Error, ErrorCode, Result, metrics};

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause between two attempts at start.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a statement waits for a row that another transaction has locked.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transaction may do nothing, as when its process is stopped, before the server ends it.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// When the server gives up a connection whose other end is not heard, so that a network that fails
/// does not leave sessions there until no more can be had: by default that takes hours. Seconds, and
/// milliseconds of what is not acknowledged, which PostgreSQL knows from version 12 on. On a socket with
/// a name they have no effect.
const ABANDONMENT: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
     SET tcp_keepalives_count = 2; SELECT set_config('tcp_user_timeout', '20000', false) \
     WHERE current_setting('tcp_user_timeout', true) IS NOT NULL";
/// Ends a transaction that should not be there, and does nothing where there is none. When the wait for
/// the answer to a BEGIN is given up, the library takes the connection for one without a transaction;
/// what came after it would not be committed, or read what is long past.
const OUT_OF_TRANSACTION: &str = "BEGIN; ROLLBACK";
/// How long a check of a connection may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection for writing that was idle for longer is checked before it is used.
const IDLE: Duration = Duration::from_secs(1);
/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 256;
/// The advisory lock of a database. Every connection of a server shares it; a copy of
/// the whole database, to or from it, takes it exclusively. The bytes are "pict-rs" and a number.
const LOCK: i64 = 0x70_69_63_74_2d_72_73_01;
/// How long the connections of a program that has just ended may keep it.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// The name on the server of connections to a database of another program.
#[cfg(feature = "migrate")]
pub(crate) const FOREIGN_READER: &str = "pict-rs migrate";
/// What connections to a database of another program are told first. Its tables lack indexes for some
/// of our questions, so a statement may take longer.
#[cfg(feature = "migrate")]
const FOREIGN_SETTINGS: &str = "SET default_transaction_read_only = on; SET datestyle = 'ISO'; \
     SET statement_timeout = '10min'; SET lock_timeout = '10s'";
/// The oldest version that the tests of this program know.
const OLDEST: i64 = 14;

/// How to reach a server.
#[derive(Clone)]
pub struct Server {
    options: PgConnectOptions,
    certificate_file: Option<PathBuf>,
    max_connections: u32,
    patience: Duration,
}

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct ServerSettings<'a> {
    /// What errors call the URL, such as `repo.url`.
    pub key: &'a str,
    /// `postgres://user:password@host:port/database`.
    pub url: &'a str,
    /// Whether connections must be encrypted, and the server's certificate be right.
    pub use_tls: bool,
    /// Certificates of authorities to trust besides the well-known ones, PEM.
    pub certificate_file: Option<&'a PathBuf>,
    /// Connections at a time, at least 2.
    pub max_connections: u32,
    /// How long a start waits for a server that cannot be reached.
    pub patience: Duration,
}

impl Server {
    /// Reads the settings. Variables such as `PGPASSWORD` and the file `.pgpass` apply to what the
    /// URL leaves out.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`]; never shows the URL, which may have a password.
    pub fn new(settings: &ServerSettings<'_>) -> Result<Self> {
        let url = Url::parse(settings.url).ok();
        let is_known = |url: &Url| matches!(url.scheme(), "postgres" | "postgresql");
        let key = settings.key;
        let Some(url) = url.filter(is_known) else {
            return Err(invalid(format!(
                "{key} is not a URL such as postgres://user:password@host:5432/database"
            )));
        };
        let mut options = PgConnectOptions::from_str(settings.url)
            .map_err(|error| invalid(format!("{key} cannot be used: {error}")))?
            .statement_cache_capacity(STATEMENTS);
        if options.get_application_name().is_none() {
            options = options.application_name("pict-rs");
        }
        let mut keys = url.query_pairs().map(|(key, _)| key);
        if !keys.any(|key| matches!(&*key, "sslmode" | "ssl-mode")) {
            options = options.ssl_mode(match settings.use_tls {
                true => PgSslMode::VerifyFull,
                false => PgSslMode::Disable,
            });
        }
        if let Some(file) = settings.certificate_file {
            options = options.ssl_root_cert(file);
        }
        Ok(Self {
            options,
            certificate_file: settings.certificate_file.cloned(),
            max_connections: settings.max_connections,
            patience: settings.patience,
        })
    }

    /// Connects, and waits for a server that cannot be reached yet.
    async fn reach(&self) -> Result<PgConnection> {
        let deadline = Instant::now() + self.patience;
        let mut pause = LONGEST_PAUSE / 16;
        loop {
            let error = match self.connect().await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            if let Some(mistake) = self.mistake(&error) {
                return Err(mistake);
            }
            if Instant::now() + pause > deadline {
                let patience = self.patience.as_secs();
                return Err(Error::internal(
                    ErrorCode::RepoUnavailable,
                    format!("the database {self} could not be reached for {patience} seconds"),
                    error,
                ));
            }
            tracing::warn!(database = %self, %error, "the database cannot be reached yet");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        let connected = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&self.options));
        connected.await.unwrap_or_else(|_| {
            let late = std::io::ErrorKind::TimedOut;
            Err(sqlx::Error::Io(std::io::Error::new(late, "no answer")))
        })
    }

    /// What an administrator has to change, if waiting does not help.
    fn mistake(&self, error: &sqlx::Error) -> Option<Error> {
        let message = match error {
            // The texts of the server are such as 'password authentication failed for user "a"'.
            sqlx::Error::Database(fault)
                if ["28000", "28P01", "3D000", "42501"].contains(&code(error).as_str()) =>
            {
                format!(
                    "the database {self} refuses the connection: {}",
                    fault.message()
                )
            }
            sqlx::Error::Tls(fault) => format!("no TLS with the database {self}: {fault}"),
            sqlx::Error::Io(fault) if fault.kind() == std::io::ErrorKind::InvalidData => {
                format!("no TLS with the database {self}: {fault}")
            }
            sqlx::Error::Configuration(fault) => {
                format!("the database {self} cannot be used: {fault}")
            }
            _ => return None,
        };
        Some(invalid(message))
    }
}

/// For people: without the password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let user = options.get_username();
        let name = options.get_database().unwrap_or(user);
        match options.get_socket() {
            Some(folder) => {
                write!(
                    f,
                    "postgres:///{name}?host={}&user={user}",
                    folder.display()
                )
            }
            None => write!(
                f,
                "postgres://{user}@{}:{}/{name}",
                options.get_host(),
                options.get_port()
            ),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

/// Opens a database, creating or migrating its tables if needed. Returns connections for writing and
/// for reading.
pub(super) async fn open(server: &Server, is_read_only: bool) -> Result<(RepoPool, RepoPool)> {
    if let Some(file) = &server.certificate_file {
        // As it would fail with each connection, and then looks like a server that is away.
        tokio::fs::read(file).await.map_err(|error| {
            invalid(format!(
                "repo.certificate_file = {}: {error}",
                file.display()
            ))
        })?;
    }
    let mut first = server.reach().await?;
    let is_standby = inspect(&mut first, server).await?;
    if is_standby && !is_read_only {
        return Err(invalid(format!(
            "the database {server} can only be read, as a standby; a server on it needs \
             server.read_only = true"
        )));
    }
    if !lock(&mut first, "SELECT pg_try_advisory_lock_shared($1)").await? {
        return Err(Error::user(
            ErrorCode::AlreadyRunning,
            format!(
                "pict-rs migrate-repo is working on the database {server}; start the server when it has \
                 ended"
            ),
        ));
    }
    migrations::run_on_server(&mut first, &server.to_string(), is_read_only).await?;
    // If that fails, the server ends the session by itself.
    let _ = first.close().await;
    let reading = server.max_connections / 2;
    let write = sessions(server, server.max_connections - reading, false, true);
    let read = sessions(server, reading.max(1), true, true);
    Ok((RepoPool::Postgres(write), RepoPool::Postgres(read)))
}

/// A database that no server uses as long as this connection is open.
#[derive(Debug)]
pub(super) struct ExclusiveLock {
    connection: PgConnection,
    place: String,
}

impl ExclusiveLock {
    /// Takes the lock of a database.
    pub(super) async fn take(server: &Server) -> Result<Self> {
        let mut connection = server.reach().await?;
        inspect(&mut connection, server).await?;
        let place = server.to_string();
        if !lock(&mut connection, "SELECT pg_try_advisory_lock($1)").await? {
            return Err(Error::user(
                ErrorCode::AlreadyRunning,
                format!("another pict-rs is running on the database {place}; stop it first"),
            ));
        }
        Ok(Self { connection, place })
    }

    /// Whether it has tables of ours; those of another program are refused.
    pub(super) async fn has_tables(&mut self) -> Result<bool> {
        migrations::has_tables_on_server(&mut self.connection, &self.place).await
    }

    /// Creates or migrates the tables; with `is_read_only`, refuses what is not up to date.
    pub(super) async fn migrate(&mut self, is_read_only: bool) -> Result<()> {
        migrations::run_on_server(&mut self.connection, &self.place, is_read_only).await
    }

    /// Checks that the lock is still held.
    pub(super) async fn check(&mut self) -> Result<()> {
        self.connection.ping().await.map_err(repo_error)
    }
}

/// Connections beside an [`ExclusiveLock`].
pub(super) fn sessions_alone(server: &Server, is_read: bool) -> RepoPool {
    RepoPool::Postgres(sessions(server, 1, is_read, false))
}

/// Connections to a database of another program, on which nothing can be changed.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] and [`ErrorCode::RepoUnavailable`] when it cannot be reached.
#[cfg(feature = "migrate")]
pub(crate) async fn open_foreign(server: &Server) -> Result<sqlx::PgPool> {
    let first = server.reach().await?;
    let _ = first.close().await;
    Ok(foreign(server))
}

/// As [`open_foreign`], when they are needed.
#[cfg(feature = "migrate")]
pub(crate) fn foreign(server: &Server) -> sqlx::PgPool {
    let options = server.options.clone().application_name(FOREIGN_READER);
    PgPoolOptions::new()
        .max_connections(server.max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(FOREIGN_SETTINGS).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

/// Takes a lock by a statement that tells whether it did; retried for a short time.
async fn lock(connection: &mut PgConnection, statement: &'static str) -> Result<bool> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        let is_taken = sqlx::query_scalar(statement)
            .bind(LOCK)
            .fetch_one(&mut *connection)
            .await
            .map_err(repo_error)?;
        if is_taken || Instant::now() > deadline {
            return Ok(is_taken);
        }
        sleep(LOCK_PATIENCE / 25).await;
    }
}

/// Refuses a server that cannot keep our texts, and warns of one that loses what it has confirmed.
/// Returns whether it can only be read.
async fn inspect(connection: &mut PgConnection, server: &Server) -> Result<bool> {
    let found = sqlx::query(
        "SELECT current_setting('server_version_num')::bigint AS version, \
         current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync, \
         current_setting('transaction_read_only') AS read_only",
    )
    .fetch_one(connection)
    .await
    .map_err(repo_error)?;
    let setting = |name: &str| found.try_get::<String, _>(name).map_err(repo_error);
    let version = found.try_get::<i64, _>("version").map_err(repo_error)? / 10_000;
    tracing::info!(database = %server, version, "connected to PostgreSQL");
    if version < OLDEST {
        tracing::warn!(version, "PostgreSQL before {OLDEST} is not tested");
    }
    if setting("fsync")? == "off" {
        tracing::warn!("fsync of PostgreSQL is off: a power cut loses what was acknowledged");
    }
    let encoding = setting("encoding")?;
    if encoding != "UTF8" {
        return Err(invalid(format!(
            "the database {server} has the encoding {encoding}; it needs UTF8: CREATE DATABASE … \
             ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    Ok(setting("read_only")? == "on")
}

/// Connects once, and returns the version.
pub(super) async fn look_at(server: &Server) -> Result<String> {
    let unreachable = |error: sqlx::Error| {
        server.mistake(&error).unwrap_or_else(|| {
            Error::internal(ErrorCode::RepoUnavailable, error.to_string(), error)
        })
    };
    let mut connection = server.connect().await.map_err(unreachable)?;
    inspect(&mut connection, server).await?;
    let version = sqlx::query_scalar("SELECT current_setting('server_version')")
        .fetch_one(&mut connection)
        .await
        .map_err(unreachable)?;
    let _ = connection.close().await;
    Ok(version)
}

/// Connections that are opened when they are needed.
fn sessions(server: &Server, connections: u32, is_read: bool, shares_lock: bool) -> Sessions {
    let mut settings = session_settings(is_read);
    let doubt = Doubt::default();
    let doubted = doubt.clone();
    if shares_lock {
        settings.push_str(&sharing_the_lock());
    }
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move {
                connection.execute(sqlx::AssertSqlSafe(settings)).await?;
                metrics::connection_opened();
                Ok(())
            })
        })
        .before_acquire(move |connection, meta| {
            metrics::connection_reused();
            let is_doubted = doubted.is_about(meta.idle_for);
            Box::pin(async move {
                if is_doubted {
                    // Closing it politely could take long.
                    return Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
                }
                if is_read || meta.idle_for < IDLE {
                    return Ok(true);
                }
                is_clean(connection).await
            })
        })
        .after_release(|connection, _| is_clean(connection))
        .connect_lazy_with(server.options.clone());
    Sessions::new(pool, is_read, doubt)
}

/// Shares the lock of the database, or refuses the connection.
fn sharing_the_lock() -> String {
    format!(
        "; DO $$ BEGIN IF NOT pg_try_advisory_lock_shared({LOCK}) THEN \
         RAISE EXCEPTION 'pict-rs migrate-repo is working on this database' \
         USING ERRCODE = '55P03'; END IF; END $$"
    )
}

/// What connections are told first. A write that was acknowledged must not be lost, so a database
/// that is told to confirm early by default is told otherwise here.
fn session_settings(is_read: bool) -> String {
    let read_only = if is_read { "on" } else { "off" };
    let [statement, lock, idle] =
        [STATEMENT_TIMEOUT, LOCK_TIMEOUT, IDLE_TIMEOUT].map(|time| time.as_millis());
    format!(
        "SET statement_timeout = {statement}; SET lock_timeout = {lock}; \
         SET idle_in_transaction_session_timeout = {idle}; {ABANDONMENT}; \
         SET default_transaction_read_only = {read_only}; \
         SELECT set_config('synchronous_commit', 'on', false) \
         WHERE current_setting('synchronous_commit') = 'off'"
    )
}

/// Whether a connection answers and has no open transaction, as this program and the server see it. One
/// that fails this is closed.
fn is_clean(connection: &mut PgConnection) -> BoxFuture<'_, sqlx::Result<bool>> {
    Box::pin(async move {
        match timeout(CHECK_TIMEOUT, connection.execute(OUT_OF_TRANSACTION)).await {
            Ok(Ok(_)) => Ok(!connection.is_in_transaction()),
            // It is broken, and closing it politely could take long too.
            Ok(Err(error)) => Err(error),
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        }
    })
}

/// A connection of its own that hears notices.
pub(super) async fn listener(server: &Server) -> sqlx::Result<PgListener> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(ABANDONMENT).await.map(drop) })
        })
        .connect_lazy_with(server.options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    // So that waiting for a notice can be broken off at any moment.
    listener.eager_reconnect(false);
    // Nothing else uses the pool.
    listener.ignore_pool_close_event(true);
    Ok(listener)
}

/// Whether the connection of a listener still works, which cannot be told from hearing nothing.
pub(super) async fn check_listener(listener: &mut PgListener) -> sqlx::Result<()> {
    let asked = sqlx::query("SELECT 1").execute(listener);
    match timeout(CHECK_TIMEOUT, asked).await {
        Ok(answer) => answer.map(drop),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Why the server gives no connections; `None` when it gives one.
pub(super) async fn cause(server: &Server) -> Option<Error> {
    match timeout(CHECK_TIMEOUT, PgConnection::connect_with(&server.options)).await {
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            None
        }
        Ok(Err(error)) => Some(Error::internal(
            ErrorCode::RepoUnavailable,
            format!("the database {server} cannot be reached"),
            error,
        )),
        Err(late) => Some(Error::internal(
            ErrorCode::RepoUnavailable,
            format!("the database {server} does not answer"),
            late,
        )),
    }
}

fn invalid(message: String) -> Error {
    Error::user(ErrorCode::ConfigInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, use_tls: bool) -> Result<Server> {
        Server::new(&ServerSettings {
            key: "repo.url",
            url,
            use_tls,
            certificate_file: None,
            max_connections: 8,
            patience: Duration::ZERO,
        })
    }

    #[test]
    fn a_server_is_shown_without_its_password() {
        let check = |url: &str, expected: &str| {
            let server = server(url, false).expect("valid");
            assert_eq!(server.to_string(), expected);
            assert!(!format!("{server:?}").contains("hush"));
        };
        check("postgres://a:hush@h:5/d", "postgres://a@h:5/d");
        check("postgresql://a:hush@h", "postgres://a@h:5432/a");
        check(
            "postgres://a@%2Frun%2Fpostgresql/d?password=hush",
            "postgres:///d?host=/run/postgresql&user=a",
        );
        let url = "postgres:///d?host=/run/pg&user=a";
        check(&format!("{url}&password=hush"), url);
    }

    #[test]
    fn a_url_of_something_else_is_refused_and_not_shown() {
        for url in [
            "",
            "hush",
            "mysql://a:hush@h/d",
            "host=hush user=b",
            "postgres://a:hush@h:x/d",
        ] {
            let error = server(url, false).expect_err(url);
            assert_eq!(error.code(), ErrorCode::ConfigInvalid);
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }

    #[test]
    fn tls_is_asked_for_by_the_setting_or_by_the_url() {
        let check = |url, use_tls, expected: &str| {
            let server = server(url, use_tls).expect("valid");
            assert_eq!(format!("{:?}", server.options.get_ssl_mode()), expected);
        };
        check("postgres://h/d", false, "Disable");
        check("postgres://h/d", true, "VerifyFull");
        check("postgres://h/d?sslmode=require", false, "Require");
        check("postgres://h/d?sslmode=verify-ca", true, "VerifyCa");
    }
}
