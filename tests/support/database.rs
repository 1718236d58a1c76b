//! What stands in the database, of a server that runs or has stopped.

use std::path::Path;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use testkit::server::DATABASE_URL;

/// A connection to the database of a server.
enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    /// To the database that belongs to a data folder.
    async fn to(data: &Path, options: SqliteConnectOptions) -> Self {
        if let Some(url) = url(data) {
            let connection = PgConnection::connect(&url).await;
            return Self::Postgres(connection.expect("the database opens"));
        }
        let options = options.filename(data.join("database/pict-rs.sqlite3"));
        let connection = SqliteConnection::connect_with(&options).await;
        Self::Sqlite(connection.expect("the database opens"))
    }

    async fn run(&mut self, statement: &str) -> u64 {
        let run = match self {
            Self::Sqlite(connection) => {
                let run = sqlx::query(AssertSqlSafe(statement.to_owned()))
                    .execute(connection)
                    .await;
                run.map(|done| done.rows_affected())
            }
            Self::Postgres(connection) => {
                let run = sqlx::query(AssertSqlSafe(statement.to_owned()))
                    .execute(connection)
                    .await;
                run.map(|done| done.rows_affected())
            }
        };
        run.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    async fn texts(&mut self, query: &str) -> Vec<String> {
        let texts: sqlx::Result<_> = match self {
            Self::Sqlite(connection) => {
                let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
                    .fetch_all(connection)
                    .await;
                rows.and_then(|rows| rows.iter().map(|row: &SqliteRow| row.try_get(0)).collect())
            }
            Self::Postgres(connection) => {
                let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
                    .fetch_all(connection)
                    .await;
                rows.and_then(|rows| rows.iter().map(|row: &PgRow| row.try_get(0)).collect())
            }
        };
        texts.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    async fn close(self) {
        let closed = match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        };
        closed.expect("closed");
    }
}

/// The URL of a database that is not in the data folder.
fn url(data: &Path) -> Option<String> {
    std::fs::read_to_string(data.parent()?.join(DATABASE_URL)).ok()
}

/// Whether servers under test have their database in their folder.
pub fn is_embedded() -> bool {
    std::env::var("PICTRS_TEST_REPO").is_err()
}

/// The first column of a query that returns text.
pub fn texts(data: &Path, query: &str) -> Vec<String> {
    block_on(async {
        let options = SqliteConnectOptions::new().read_only(true);
        let mut database = Connection::to(data, options).await;
        let found = database.texts(query).await;
        database.close().await;
        found
    })
}

/// The same, of any file of SQLite.
pub fn texts_of(file: &Path, query: &str) -> Vec<String> {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let database = SqliteConnection::connect_with(&options).await;
        let mut database = Connection::Sqlite(database.expect("the database opens"));
        let found = database.texts(query).await;
        database.close().await;
        found
    })
}

/// Changes rows, behind the back of a server that runs. Rows that others refer to may go as well.
pub fn change(data: &Path, statement: &str) {
    block_on(async {
        let options = SqliteConnectOptions::new().foreign_keys(false);
        let mut database = Connection::to(data, options).await;
        if let Connection::Postgres(_) = database {
            // Foreign keys are kept by triggers.
            database.run("SET session_replication_role = replica").await;
        }
        assert!(database.run(statement).await > 0, "{statement}");
        database.close().await;
    });
}

/// Keeps all others from writing, until it is dropped.
pub fn hold_writes(data: &Path) -> impl Drop + use<> {
    struct Held {
        connection: Option<Connection>,
        runtime: tokio::runtime::Runtime,
    }
    impl Drop for Held {
        fn drop(&mut self) {
            if let Some(connection) = self.connection.take() {
                self.runtime.block_on(connection.close());
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let connection = runtime.block_on(async {
        let mut database = Connection::to(data, SqliteConnectOptions::new()).await;
        if let Connection::Sqlite(_) = database {
            database.run("BEGIN IMMEDIATE").await;
        } else {
            database.run("BEGIN").await;
            database
                .run("LOCK TABLE hashes, aliases, variants, jobs, settings, uploads IN SHARE MODE")
                .await;
        }
        database
    });
    Held {
        connection: Some(connection),
        runtime,
    }
}

/// What is queued or being done in the background.
pub fn jobs(data: &Path) -> Vec<String> {
    texts(data, "SELECT key FROM jobs ORDER BY key")
}

/// Backgrounded uploads that were not claimed.
pub fn unclaimed(data: &Path) -> Vec<String> {
    texts(data, "SELECT upload_id FROM uploads ORDER BY upload_id")
}

/// For tests that are not asynchronous.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

/// A session on a PostgreSQL database, until it is dropped.
pub fn hold(url: &str) -> impl Sized {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let connection = runtime.block_on(PgConnection::connect(url));
    // In this order: the connection closes its socket while the runtime is there.
    (connection.expect("the database opens"), runtime)
}
