//! What stands in the database, of a server that runs or has stopped.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// The first column of a query that returns text.
pub fn texts(data: &Path, query: &'static str) -> Vec<String> {
    texts_of(&data.join("database/pict-rs.sqlite3"), query)
}

/// The same, of any database file.
pub fn texts_of(file: &Path, query: &'static str) -> Vec<String> {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let mut database = SqliteConnection::connect_with(&options)
            .await
            .expect("the database opens");
        let found = sqlx::query_scalar(query)
            .fetch_all(&mut database)
            .await
            .expect("rows");
        database.close().await.expect("closed");
        found
    })
}

/// Changes rows, behind the back of a server that runs. Rows that others refer to may go as well.
pub fn change(data: &Path, statement: &'static str) {
    block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(data.join("database/pict-rs.sqlite3"))
            .foreign_keys(false);
        let mut database = SqliteConnection::connect_with(&options)
            .await
            .expect("the database opens");
        let changed = sqlx::query(statement)
            .execute(&mut database)
            .await
            .expect("changed");
        assert!(changed.rows_affected() > 0, "{statement}");
        database.close().await.expect("closed");
    });
}

/// Keeps everybody else from writing, until it is dropped.
pub fn hold_writes(data: &Path) -> impl Drop + use<> {
    struct Held {
        connection: Option<SqliteConnection>,
        runtime: tokio::runtime::Runtime,
    }
    impl Drop for Held {
        fn drop(&mut self) {
            if let Some(connection) = self.connection.take() {
                let _ = self.runtime.block_on(connection.close());
            }
        }
    }
    let options = SqliteConnectOptions::new().filename(data.join("database/pict-rs.sqlite3"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let connection = runtime.block_on(async {
        let mut database = SqliteConnection::connect_with(&options)
            .await
            .expect("the database opens");
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut database)
            .await
            .expect("nobody writes");
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

/// Backgrounded uploads that nobody has claimed.
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
