//! Copies a whole database to another one, of the same engine or the other.
//!
//! Rows are copied in pages, in the order of their keys. The transaction of each page also writes in
//! the target how far the copy has come ([`Mark`]), so that it can be continued after a crash. While
//! the mark is there, no server uses the target. It goes when every table has the same rows on both
//! sides, compared by number and digest. No server runs on either side meanwhile; the source is only
//! read.

use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::sql::postgres::storable;
use super::sql::value::Value;
use super::sql::{RepoPool, Row, Tx, composed, sql};
use super::sqlite::{self, Embedded};
use super::tables::{ColumnType, CopiedTable, TABLES};
use super::{FILE, Location, legacy_files, postgres};
use crate::{Error, ErrorCode, Result};

/// Rows of a page, and of a transaction.
const PAGE: usize = 1000;
/// Rows that one statement inserts. To bind parameters by name takes SQLite the square of their
/// number.
const INSERTED: usize = 50;
/// The name of the mark among the settings of the target.
const MARK: &str = "copied-from";
/// All settings but the mark.
const NO_MARK: &str = "name <> 'copied-from'";

/// How far a copy has come. It stands in the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mark {
    /// The source, for people.
    from: String,
    /// The table that is being copied.
    table: String,
    /// The key of the last row of it that was copied.
    after: Option<Vec<String>>,
    /// Rows copied so far, of all tables.
    rows: u64,
}

/// What a target holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Nothing that would be lost.
    Nothing,
    /// Part of a copy.
    Part {
        /// The source, for people.
        from: String,
        /// Rows copied so far.
        rows: u64,
    },
    /// Data of a server.
    Data,
}

/// A table on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Its name.
    pub table: &'static str,
    /// Rows in the source and in the target.
    pub rows: [u64; 2],
    /// SHA-256 of all values, in the source and in the target.
    pub digests: [[u8; 32]; 2],
}

impl Compared {
    /// Whether both sides are the same.
    pub fn is_equal(&self) -> bool {
        self.rows[0] == self.rows[1] && self.digests[0] == self.digests[1]
    }
}

/// Is told the table, and the rows done and to be done, of all tables.
pub type OnProgress<'a> = &'a (dyn Fn(&'static str, u64, u64) + Sync);

/// Keeps servers out of a database.
#[derive(Debug)]
enum HeldDatabase {
    Folder { _lock: File },
    Embedded { _embedded: Embedded },
    Server(postgres::ExclusiveLock),
}

impl HeldDatabase {
    async fn check(&mut self) -> Result<()> {
        match self {
            Self::Server(alone) => alone.check().await,
            _ => Ok(()),
        }
    }
}

/// A copy from one database to another.
#[derive(Debug)]
pub struct Transfer {
    from: RepoPool,
    to: RepoPool,
    holds: [HeldDatabase; 2],
    mark: Mark,
    /// Rows of the source.
    total: u64,
    /// The name of the target, for people.
    place: String,
}

/// Refuses a database that a copy has not completed.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`].
pub(super) async fn refuse_incomplete(pool: &RepoPool, place: &str) -> Result<()> {
    let Some(mark) = mark(pool).await? else {
        return Ok(());
    };
    Err(Error::user(
        ErrorCode::ConfigInvalid,
        format!(
            "the database {place} holds only a part of what pict-rs migrate-repo copies from {}. Run the \
             same command again, which continues where it was interrupted",
            mark.from
        ),
    ))
}

/// How many rows each table of the source has, and what the target holds. Changes nothing in either.
///
/// # Errors
/// As [`Transfer::open`], but a target with data is no error.
pub async fn survey(
    from: &Location,
    to: &Location,
) -> Result<(Vec<(&'static str, u64)>, TargetState)> {
    refuse_the_same(from, to)?;
    let (pool, _hold) = open_source(from).await?;
    let counts = counts(&pool).await?;
    pool.close().await;
    let (pool, _hold) = match to {
        Location::Folder { path, .. } => {
            legacy_files::refuse_foreign_database(path, path, false)?;
            if !path.join(FILE).is_file() {
                return Ok((counts, TargetState::Nothing));
            }
            let (lock, pool) = sqlite::open_to_read(path).await?;
            (pool, HeldDatabase::Folder { _lock: lock })
        }
        Location::Server(server) => {
            let mut alone = postgres::ExclusiveLock::take(server).await?;
            if !alone.has_tables().await? {
                return Ok((counts, TargetState::Nothing));
            }
            (
                postgres::sessions_alone(server, true),
                HeldDatabase::Server(alone),
            )
        }
    };
    let found = look(&pool).await?.0;
    pool.close().await;
    Ok((counts, found))
}

async fn open_source(from: &Location) -> Result<(RepoPool, HeldDatabase)> {
    let (pool, hold) = match from {
        Location::Folder { path, .. } => {
            let (lock, pool) = sqlite::open_to_read(path).await?;
            (pool, HeldDatabase::Folder { _lock: lock })
        }
        Location::Server(server) => {
            let mut alone = postgres::ExclusiveLock::take(server).await?;
            if !alone.has_tables().await? {
                return Err(Error::user(
                    ErrorCode::ConfigInvalid,
                    format!("there are no tables of pict-rs in the database {server}"),
                ));
            }
            alone.migrate(true).await?;
            (
                postgres::sessions_alone(server, true),
                HeldDatabase::Server(alone),
            )
        }
    };
    refuse_incomplete(&pool, &from.to_string()).await?;
    Ok((pool, hold))
}

async fn open_target(to: &Location) -> Result<(RepoPool, HeldDatabase)> {
    Ok(match to {
        Location::Folder { path, .. } => {
            legacy_files::refuse_foreign_database(path, path, false)?;
            let (embedded, write, read) = Embedded::open(path, 0).await?;
            read.close().await;
            (
                write,
                HeldDatabase::Embedded {
                    _embedded: embedded,
                },
            )
        }
        Location::Server(server) => {
            let mut alone = postgres::ExclusiveLock::take(server).await?;
            alone.migrate(false).await?;
            (
                postgres::sessions_alone(server, false),
                HeldDatabase::Server(alone),
            )
        }
    })
}

fn refuse_the_same(from: &Location, to: &Location) -> Result<()> {
    let is_same = match (from.folder(), to.folder()) {
        (Some(from), Some(to)) => real(from) == real(to),
        _ => from.to_string() == to.to_string(),
    };
    if !is_same {
        return Ok(());
    }
    Err(Error::user(
        ErrorCode::ConfigInvalid,
        format!("source and target are the same database, {from}"),
    ))
}

fn real(folder: &Path) -> std::path::PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

impl Transfer {
    /// Opens both databases, and begins a copy or continues one. `is_restart` throws away what an
    /// interrupted copy has left.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyRunning`] when a server uses one of them, [`ErrorCode::ConfigInvalid`]
    /// when the target holds other data or there is no source, [`ErrorCode::RepoError`],
    /// [`ErrorCode::RepoUnavailable`].
    pub async fn open(from: &Location, to: &Location, is_restart: bool) -> Result<Self> {
        refuse_the_same(from, to)?;
        let origin = from.to_string();
        let (source, hold) = open_source(from).await?;
        let total = counts(&source).await?.iter().map(|(_, rows)| rows).sum();
        let (target, held) = open_target(to).await?;
        let (found, mark) = look(&target).await?;
        let mark = match (found, mark) {
            (TargetState::Data, _) => {
                return Err(Error::user(
                    ErrorCode::ConfigInvalid,
                    format!(
                        "the database {to} holds data already, and nothing was changed. Name one that is \
                         empty"
                    ),
                ));
            }
            (TargetState::Part { .. }, Some(mark)) if !is_restart => {
                if mark.from != origin {
                    return Err(Error::user(
                        ErrorCode::ConfigInvalid,
                        format!(
                            "the database {to} holds a part of what was copied from {}, not from {from}. \
                             --restart throws it away",
                            mark.from
                        ),
                    ));
                }
                mark
            }
            _ => begin(&target, &origin).await?,
        };
        Ok(Self {
            from: source,
            to: target,
            holds: [hold, held],
            mark,
            total,
            place: to.to_string(),
        })
    }

    /// Rows that an earlier run has copied.
    pub fn copied(&self) -> u64 {
        self.mark.rows
    }

    /// Copies what has not been copied yet.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`], [`ErrorCode::RepoUnavailable`]; it can be continued.
    pub async fn copy(&mut self, progress: OnProgress<'_>) -> Result<()> {
        let begun = TABLES
            .iter()
            .position(|table| table.name == self.mark.table);
        for (index, table) in TABLES.iter().enumerate().skip(begun.unwrap_or(0)) {
            if Some(index) != begun {
                table.name.clone_into(&mut self.mark.table);
                self.mark.after = None;
            }
            self.copy_table(table, progress).await?;
        }
        Ok(())
    }

    async fn copy_table(
        &mut self,
        table: &'static CopiedTable,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        loop {
            let after = cursor(table, self.mark.after.as_deref())?;
            let rows = page(&self.from, table, after.as_deref()).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            self.mark.after = Some(last[..table.key].iter().map(written).collect());
            self.mark.rows += rows.len() as u64;
            let is_last = rows.len() < PAGE;
            let mut tx = self.to.begin().await?;
            for rows in rows.chunks(INSERTED) {
                insert(&mut tx, table, rows).await?;
            }
            write_mark(&mut tx, &self.mark).await?;
            tx.commit().await?;
            progress(table.name, self.mark.rows, self.total);
            if is_last {
                return Ok(());
            }
        }
    }

    /// Compares all tables of both sides, and lets servers use the target if they are the same.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`], [`ErrorCode::RepoUnavailable`]; then the target stays unusable.
    pub async fn complete(mut self, progress: OnProgress<'_>) -> Result<Vec<Compared>> {
        let mut compared = Vec::new();
        let mut done = 0;
        for table in &TABLES {
            let report = |rows| progress(table.name, done + rows, self.total);
            let (source, target) = tokio::join!(
                summed(&self.from, table, &report),
                summed(&self.to, table, &|_| ())
            );
            let (source, target) = (source?, target?);
            done += source.0;
            compared.push(Compared {
                table: table.name,
                rows: [source.0, target.0],
                digests: [source.1, target.1],
            });
        }
        for hold in &mut self.holds {
            hold.check().await?;
        }
        if compared.iter().all(Compared::is_equal) {
            self.open_target_to_servers().await?;
        }
        self.from.close().await;
        self.to.close().await;
        Ok(compared)
    }

    async fn open_target_to_servers(&self) -> Result<()> {
        let mut tx = self.to.begin().await?;
        for table in TABLES.iter().filter(|table| table.is_numbered) {
            let number = last_number(&self.from, table).await?;
            set_last_number(&mut tx, table, number).await?;
        }
        sql("DELETE FROM settings WHERE name = $1")
            .bind(MARK)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        for table in &TABLES {
            // The engine plans statements badly for tables of which it knows nothing. It would find
            // out by itself, but only later.
            let analyzed = composed(format!("ANALYZE {}", table.name));
            if let Err(error) = analyzed.run(&self.to).await {
                tracing::warn!(%error, table = table.name, "the engine knows nothing of a table yet");
            }
        }
        tracing::debug!(database = self.place, "the copy is complete");
        Ok(())
    }
}

/// Rows of each table.
async fn counts(pool: &RepoPool) -> Result<Vec<(&'static str, u64)>> {
    let mut counts = Vec::new();
    for table in &TABLES {
        let count = composed(format!("SELECT COUNT(*) AS things FROM {}", table.name));
        counts.push((table.name, count.one(pool).await?.number("things")?));
    }
    Ok(counts)
}

async fn mark(pool: &RepoPool) -> Result<Option<Mark>> {
    let row = sql("SELECT value FROM settings WHERE name = $1")
        .bind(MARK)
        .optional(pool)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mark = serde_json::from_str(&row.text("value")?);
    mark.map(Some).map_err(|error| {
        Error::internal(
            ErrorCode::RepoError,
            "it is not known how far the copy of the database came; --restart begins again",
            error,
        )
    })
}

async fn look(pool: &RepoPool) -> Result<(TargetState, Option<Mark>)> {
    if let Some(mark) = mark(pool).await? {
        let found = TargetState::Part {
            from: mark.from.clone(),
            rows: mark.rows,
        };
        return Ok((found, Some(mark)));
    }
    for table in TABLES.iter().filter(|table| !table.is_of_server) {
        let any = composed(format!("SELECT 1 FROM {} LIMIT 1", table.name));
        if any.any(pool).await? {
            return Ok((TargetState::Data, None));
        }
    }
    Ok((TargetState::Nothing, None))
}

/// Empties the target, which holds nothing else, and marks it.
async fn begin(to: &RepoPool, from: &str) -> Result<Mark> {
    let mark = Mark {
        from: from.to_owned(),
        table: TABLES[0].name.to_owned(),
        after: None,
        rows: 0,
    };
    let mut tx = to.begin().await?;
    if matches!(tx, Tx::Postgres(_)) {
        // Removing rows one by one can take longer than a statement may.
        let names: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        let all = composed(format!("TRUNCATE {}", names.join(", ")));
        all.run(&mut tx).await?;
    } else {
        for table in TABLES.iter().rev() {
            let all = composed(format!("DELETE FROM {}", table.name));
            all.run(&mut tx).await?;
        }
    }
    write_mark(&mut tx, &mark).await?;
    tx.commit().await?;
    Ok(mark)
}

async fn write_mark(tx: &mut Tx, mark: &Mark) -> Result<()> {
    let text = serde_json::to_string(mark).map_err(|error| {
        Error::internal(ErrorCode::RepoError, "a mark cannot be written", error)
    })?;
    sql("INSERT INTO settings (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value")
    .bind(MARK)
    .bind(text)
    .run(tx)
    .await
    .map(drop)
}

/// The rows after a key, in the order of keys.
async fn page(
    pool: &RepoPool,
    table: &CopiedTable,
    after: Option<&[Value]>,
) -> Result<Vec<Vec<Value>>> {
    let mut conditions = Vec::new();
    if table.name == "settings" {
        conditions.push(NO_MARK.to_owned());
    }
    let keys = table.key_names();
    if after.is_some() {
        let parameters: Vec<_> = (1..=table.key).map(|number| format!("${number}")).collect();
        conditions.push(format!("({keys}) > ({})", parameters.join(", ")));
    }
    let condition = match conditions.is_empty() {
        true => String::new(),
        false => format!("WHERE {}", conditions.join(" AND ")),
    };
    let mut statement = composed(format!(
        "SELECT {} FROM {} {condition} ORDER BY {keys} LIMIT {PAGE}",
        table.names(),
        table.name
    ));
    for value in after.into_iter().flatten() {
        statement = statement.bind(value.clone());
    }
    let rows = statement.all(pool).await?;
    rows.iter().map(|row| values(row, table)).collect()
}

/// The values of a row, as every engine can keep them.
fn values(row: &Row, table: &CopiedTable) -> Result<Vec<Value>> {
    let columns = table.columns.iter();
    columns
        .map(|(name, r#type)| {
            Ok(match r#type {
                ColumnType::Int => Value::Int(row.int_or_null(name)?),
                ColumnType::Text => Value::Text(row.text_or_null(name)?.map(storable)),
                ColumnType::Blob => Value::Blob(row.blob_or_null(name)?.map(<[u8]>::to_vec)),
            })
        })
        .collect()
}

async fn insert(tx: &mut Tx, table: &CopiedTable, rows: &[Vec<Value>]) -> Result<()> {
    let mut number = 0;
    let mut parameters = Vec::new();
    for row in rows {
        let row: Vec<_> = row
            .iter()
            .map(|_| {
                number += 1;
                format!("${number}")
            })
            .collect();
        parameters.push(format!("({})", row.join(", ")));
    }
    let mut statement = composed(format!(
        "INSERT INTO {} ({}) VALUES {}",
        table.name,
        table.names(),
        parameters.join(", ")
    ));
    for value in rows.iter().flatten() {
        statement = statement.bind(value.clone());
    }
    statement.run(tx).await.map(drop)
}

/// The number of rows of a table, and a digest of them.
async fn summed(
    pool: &RepoPool,
    table: &CopiedTable,
    report: &impl Fn(u64),
) -> Result<(u64, [u8; 32])> {
    let mut sum = Sha256::new();
    let mut count = 0;
    let mut after: Option<Vec<Value>> = None;
    loop {
        let rows = page(pool, table, after.as_deref()).await?;
        for value in rows.iter().flatten() {
            digest(&mut sum, value);
        }
        count += rows.len() as u64;
        report(count);
        let is_last = rows.len() < PAGE;
        after = rows.into_iter().next_back().map(|mut last| {
            last.truncate(table.key);
            last
        });
        if is_last {
            return Ok((count, sum.finalize().into()));
        }
    }
}

/// Lengths keep values apart that follow each other.
fn digest(sum: &mut Sha256, value: &Value) {
    let int;
    let bytes: Option<&[u8]> = match value {
        Value::Int(None) | Value::Text(None) | Value::Blob(None) => None,
        Value::Int(Some(value)) => {
            int = value.to_be_bytes();
            Some(&int)
        }
        Value::Text(Some(text)) => Some(text.as_bytes()),
        Value::Blob(Some(bytes)) => Some(bytes),
    };
    let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
    sum.update(length.to_be_bytes());
    sum.update(bytes.unwrap_or_default());
}

/// The value of a key column, for the mark.
fn written(value: &Value) -> String {
    match value {
        Value::Int(value) => value.unwrap_or_default().to_string(),
        Value::Text(text) => text.clone().unwrap_or_default(),
        Value::Blob(bytes) => hex::encode(bytes.as_deref().unwrap_or_default()),
    }
}

/// The values of the key columns, from the mark.
fn cursor(table: &CopiedTable, after: Option<&[String]>) -> Result<Option<Vec<Value>>> {
    let Some(after) = after else {
        return Ok(None);
    };
    let unreadable = || Error::Internal {
        code: ErrorCode::RepoError,
        message: "it is not known how far the copy of the database came; --restart begins again"
            .to_owned(),
        source: None,
    };
    if after.len() != table.key {
        return Err(unreadable());
    }
    let values = table.columns.iter().zip(after).map(|((_, r#type), text)| {
        Some(match r#type {
            ColumnType::Int => Value::Int(Some(text.parse().ok()?)),
            ColumnType::Text => Value::Text(Some(text.clone())),
            ColumnType::Blob => Value::Blob(Some(hex::decode(text).ok()?)),
        })
    });
    let values: Option<_> = values.collect();
    values.map(Some).ok_or_else(unreadable)
}

/// The last number that the database has given to a row of this table, 0 if there was none.
async fn last_number(pool: &RepoPool, table: &CopiedTable) -> Result<i64> {
    let statement = match pool {
        RepoPool::Sqlite(..) => {
            "SELECT COALESCE(MAX(seq), 0) AS last FROM sqlite_sequence WHERE name = $1"
        }
        RepoPool::Postgres(_) => {
            "SELECT COALESCE(pg_sequence_last_value(\
             pg_get_serial_sequence($1, 'number')::regclass), 0) AS last"
        }
    };
    let row = sql(statement).bind(table.name).one(pool).await?;
    row.int("last")
}

/// Keeps the database from giving a number twice.
async fn set_last_number(tx: &mut Tx, table: &CopiedTable, number: i64) -> Result<()> {
    if number == 0 {
        return Ok(());
    }
    if matches!(tx, Tx::Postgres(_)) {
        return sql("SELECT setval(pg_get_serial_sequence($1, 'number'), $2)")
            .bind(table.name)
            .bind(number)
            .any(tx)
            .await
            .map(drop);
    }
    let changed = sql("UPDATE sqlite_sequence SET seq = $2 WHERE name = $1")
        .bind(table.name)
        .bind(number)
        .run(&mut *tx)
        .await?;
    if changed == 0 {
        sql("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)")
            .bind(table.name)
            .bind(number)
            .run(tx)
            .await?;
    }
    Ok(())
}
