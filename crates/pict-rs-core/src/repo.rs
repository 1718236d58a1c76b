//! Facts: which aliases name which content, where its bytes lie, which variants exist.
//!
//! Jobs wait here as well, so that what was acknowledged is done although the server died.
//!
//! One embedded SQLite database. A write is durable when its function returns
//! (`synchronous=FULL`); writes go through one connection, reads through others, so a read
//! never waits for a flush. Objects that lose their last row move to the `garbage` table in
//! the same transaction, so that a crash cannot forget them.

pub mod audit;
mod blocklist;
mod export;
mod garbage;
pub(crate) mod hash;
mod job;
mod legacy_files;
mod maintenance;
mod page;
#[cfg(test)]
mod plans;
mod pool;
mod proxy;
mod removal;
mod reserve;
mod retention;
mod setting;
mod upload;
mod usage;
mod variant;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pict_rs_media::{Facts, Kind};
use rustix::fs::{FlockOperation, flock};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{Row as _, SqlStr, Sqlite, SqlitePool, Transaction};

use self::reserve::Reserve;
use crate::{ContentKey, Error, ErrorCode, ObjectKey, Result};

pub use blocklist::Blocked;
pub use hash::{Added, NewUpload, Original};
pub use job::{Enqueued, Job, Work};
pub use legacy_files::refuse_foreign_database;
#[cfg(feature = "migrate")]
pub(crate) use legacy_files::{SLED_FOLDER, is_sled};
pub use maintenance::{Plan, Run, Task};
pub use page::Page;
pub use proxy::{NewProxy, Proxied, Proxy};
pub use removal::{Purged, Removal};
pub use retention::Dropped;
pub use upload::{Failure, Finished, Outcome, Progress};
pub use usage::{Total, Usage};

/// The name of the database file inside its folder.
const FILE: &str = "pict-rs.sqlite3";
/// Held while the server runs; two servers on one database would serve each other's past.
const LOCK: &str = "pict-rs.lock";

/// A stored file and what is known of it: an original or a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representation {
    /// Where its bytes lie.
    pub object: ObjectKey,
    /// Digest, size and format of its bytes.
    pub key: ContentKey,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// At least 1.
    pub frames: u32,
    /// Of an animation, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Unix time in milliseconds.
    pub created_at: i64,
}

impl Representation {
    /// From what the engine says of a file that was just stored.
    pub fn new(object: ObjectKey, key: ContentKey, facts: &Facts, created_at: i64) -> Self {
        Self {
            object,
            key,
            width: facts.width(),
            height: facts.height(),
            frames: facts.frames,
            duration_ms: facts.duration_ms,
            created_at,
        }
    }

    /// Picture, animation or clip, by what the file holds.
    pub fn kind(&self) -> Kind {
        self.key.format().kind_of(self.frames)
    }

    /// From the columns that `hashes` and `variants` share.
    fn from_row(row: &SqliteRow, key_column: &str) -> Result<Self> {
        let number = |column: &str| -> Result<u32> {
            let value: i64 = row.try_get(column).map_err(repo_error)?;
            u32::try_from(value).map_err(|_| broken(column))
        };
        let duration: Option<i64> = row.try_get("duration_ms").map_err(repo_error)?;
        Ok(Self {
            object: ObjectKey::new(row.try_get::<String, _>("object").map_err(repo_error)?),
            key: content_key(row, key_column)?,
            width: number("width")?,
            height: number("height")?,
            frames: number("frames")?,
            duration_ms: duration.and_then(|value| u64::try_from(value).ok()),
            created_at: row.try_get("created_at").map_err(repo_error)?,
        })
    }
}

/// The database.
#[derive(Clone, Debug)]
pub struct Repo {
    write: SqlitePool,
    read: SqlitePool,
    /// Of a connection that only reads.
    options: SqliteConnectOptions,
    folder: PathBuf,
    reserve: Arc<Reserve>,
    _lock: Arc<File>,
}

impl Repo {
    /// Opens the database in `folder`, making and migrating it if needed. No room is kept for
    /// removals.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when another server runs on it; [`ErrorCode::RepoError`]
    /// otherwise.
    pub async fn open(folder: &Path) -> Result<Self> {
        Self::open_with_reserve(folder, 0).await
    }

    /// As [`Repo::open`], and keeps `reserve` MiB of the disk for removals.
    ///
    /// # Errors
    /// As [`Repo::open`].
    pub async fn open_with_reserve(folder: &Path, reserve: u64) -> Result<Self> {
        let lock = lock(folder)?;
        let place = folder.to_owned();
        // First, because opening a database needs room as well.
        let reserve = reserve::blocking(move || Reserve::open(&place, reserve)).await?;
        let path = folder.join(FILE);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .pragma("trusted_schema", "OFF");
        // One writer: SQLite has one anyway, and waiting here is fairer than its busy loop.
        let write = pool::open(options.clone(), 1).await?;
        let migrated = migrations().run(&write).await;
        migrated.map_err(|error| unmigrated(error, folder))?;
        // The folder entry of a new database file must survive a power cut as well.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|e| {
                Error::internal(ErrorCode::RepoError, "cannot flush the database folder", e)
            })?;
        let read = pool::open(options.clone().read_only(true), 2).await?;
        Ok(Self {
            write,
            read,
            options: options.read_only(true),
            folder: folder.to_owned(),
            reserve: reserve.into(),
            _lock: lock.into(),
        })
    }

    /// Where the database lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Proves that the database can be read: looks into a table, as the look-up of an alias does.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT hash FROM aliases LIMIT 1")
            .fetch_optional(&self.read)
            .await
            .map(drop)
            .map_err(repo_error)
    }

    /// Whether anything but removals may write. If not, the disk is full.
    pub async fn has_room(&self) -> bool {
        if !self.reserve.is_given_back() {
            return true;
        }
        let reserve = self.reserve.clone();
        reserve::blocking(move || reserve.has_room())
            .await
            .unwrap_or(false)
    }

    /// Refuses to write anything but removals while the disk is full.
    ///
    /// # Errors
    /// [`ErrorCode::InsufficientStorage`].
    pub async fn admit(&self) -> Result<()> {
        match self.has_room().await {
            true => Ok(()),
            false => Err(reserve::refusal()),
        }
    }

    /// Begins a change of several statements: all of them or none. On a full disk it is refused;
    /// a change that removes something begins with [`Repo::begin_removal`].
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        self.admit().await?;
        self.begin_now().await
    }

    /// As [`Repo::begin`], for a change that must also work on a full disk, because the disk can
    /// be emptied by no other. Takes the reserve if there is no other room.
    async fn begin_removal(&self) -> Result<Transaction<'static, Sqlite>> {
        let reserve = self.reserve.clone();
        if !reserve::blocking(move || reserve.make_room()).await? {
            // What the write-ahead log takes is the last room that there is. Should this fail,
            // the removal may still find some.
            let shrunk = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(&self.write)
                .await;
            if let Err(error) = shrunk {
                tracing::debug!(%error, "the write-ahead log cannot be shrunk");
            }
        }
        self.begin_now().await
    }

    /// Whether a sweep has anything to remove. It must not take the reserve of a full disk for
    /// nothing.
    async fn has_any(&self, query: &'static str, bound: i64) -> Result<bool> {
        sqlx::query(query)
            .bind(bound)
            .fetch_optional(&self.read)
            .await
            .map(|row| row.is_some())
            .map_err(repo_error)
    }

    async fn begin_now(&self) -> Result<Transaction<'static, Sqlite>> {
        self.write
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(repo_error)
    }

    /// Ends all connections, folding the write-ahead log into the database file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn migrations() -> Migrator {
    const FILES: [(i64, &str, &str); 7] = [
        (
            1,
            "media",
            include_str!("../migrations/sqlite/0001_media.sql"),
        ),
        (
            2,
            "background",
            include_str!("../migrations/sqlite/0002_background.sql"),
        ),
        (
            3,
            "proxy",
            include_str!("../migrations/sqlite/0003_proxy.sql"),
        ),
        (
            4,
            "internal",
            include_str!("../migrations/sqlite/0004_internal.sql"),
        ),
        (
            5,
            "access",
            include_str!("../migrations/sqlite/0005_access.sql"),
        ),
        (
            6,
            "guards",
            include_str!("../migrations/sqlite/0006_guards.sql"),
        ),
        (
            7,
            "deaths",
            include_str!("../migrations/sqlite/0007_deaths.sql"),
        ),
    ];
    let migrations = FILES.map(|(version, name, sql)| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            SqlStr::from_static(sql),
            false,
        )
    });
    Migrator::with_migrations(migrations.into())
}

fn unmigrated(error: MigrateError, folder: &Path) -> Error {
    let MigrateError::VersionMissing(version) = error else {
        return repo_error(error);
    };
    Error::user(
        ErrorCode::ConfigInvalid,
        format!(
            "the database in {} was changed by a newer version of pict-rs (its change {version} is not \
             known here). Nothing was changed now. Start that version or a newer one, or restore a \
             copy of the database that was made before the update",
            folder.display()
        ),
    )
}

fn lock(folder: &Path) -> Result<File> {
    let open = || -> std::io::Result<File> {
        std::fs::create_dir_all(folder)?;
        File::create(folder.join(LOCK))
    };
    let file = open().map_err(|e| {
        Error::internal(
            ErrorCode::RepoError,
            format!(
                "cannot make or write to the database folder {}",
                folder.display()
            ),
            e,
        )
    })?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::user(
            ErrorCode::ConfigInvalid,
            format!(
                "another pict-rs is running on the database in {}",
                folder.display()
            ),
        )
    })?;
    Ok(file)
}

fn content_key(row: &SqliteRow, column: &str) -> Result<ContentKey> {
    let bytes: &[u8] = row.try_get(column).map_err(repo_error)?;
    ContentKey::from_bytes(bytes).ok_or_else(|| broken(column))
}

fn broken(column: &str) -> Error {
    Error::Internal {
        code: ErrorCode::RepoError,
        message: format!("the database holds an impossible value in column {column}"),
        source: None,
    }
}

fn repo_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = error.into();
    if let Some(sqlx::Error::PoolTimedOut) = error.downcast_ref() {
        // A disk that hangs, or too many at once: it passes, so clients may come again.
        tracing::warn!("the database did not get to a request in time");
        return Error::user(
            ErrorCode::TooBusy,
            format!(
                "The database has too much to do; a request waits for it for {} seconds at most",
                pool::PATIENCE.as_secs()
            ),
        );
    }
    if is_disk_full(error.downcast_ref()) {
        let message = "the database has no room to write to";
        return Error::internal(ErrorCode::InsufficientStorage, message, error);
    }
    Error::internal(ErrorCode::RepoError, "the database failed", error)
}

/// Whether SQLite says that the disk is full: for its own files, or for the memory that its
/// connections share, which is a file as well.
fn is_disk_full(error: Option<&sqlx::Error>) -> bool {
    const FULL: [&str; 2] = ["13", "4874"];
    let code = error.and_then(sqlx::Error::as_database_error);
    let code = code.and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| FULL.contains(&&*code))
}

/// An in-database integer is signed; sizes and counts of media fit.
fn bigint(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::audit::{Actor, Cause};
    use crate::{Alias, DeleteToken};
    use pict_rs_media::Format;

    /// As the first two migrations leave it, with one content, two aliases and a variant.
    const OLD: &str = "
        INSERT INTO hashes VALUES (X'00000000000000000000000000000000000000000000000000000000000000000123456789ab01',
            'a', 1, 1, 1, NULL, '', 5);
        INSERT INTO aliases VALUES ('x.png', X'00000000000000000000000000000000000000000000000000000000000000000123456789ab01', 't', 5);
        INSERT INTO aliases VALUES ('y.png', X'00000000000000000000000000000000000000000000000000000000000000000123456789ab01', 't', 5);
        INSERT INTO variants VALUES (X'00000000000000000000000000000000000000000000000000000000000000000123456789ab01', 'webp',
            X'000000000000000000000000000000000000000000000000000000000000000000000000fffe03', 'b', 1, 1, 1, NULL, 5);";

    #[tokio::test]
    async fn an_older_database_is_counted_when_it_is_migrated_and_nothing_in_it_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join(FILE))
            .create_if_missing(true);
        let database = SqlitePool::connect_with(options).await.expect("opened");
        let mut older = migrations();
        older.migrations.to_mut().truncate(2);
        older.run(&database).await.expect("migrated");
        sqlx::raw_sql(OLD).execute(&database).await.expect("filled");
        database.close().await;

        let repo = Repo::open(folder.path()).await.expect("opened");
        let usage = repo.usage().await.expect("counted");
        let total = |count, bytes, allocated| Total {
            count,
            bytes,
            allocated,
        };
        assert_eq!(usage.aliases, 2);
        let original = total(1, 0x0123_4567_89ab, 0x0123_4567_9000 + 512);
        assert_eq!(usage.originals, original);
        assert_eq!(usage.variants, total(1, 0xfffe, 0x1_0000 + 512));
        assert!(
            usage
                .oldest_variant
                .is_some_and(|time| time > 1_700_000_000_000)
        );
    }

    async fn proxied(repo: &Repo, name: &str, size: u64, accessed_at: i64) -> Alias {
        let alias = upload(repo, name, size).await;
        sqlx::query("INSERT INTO proxies VALUES ($1, $1, 5, $2, NULL, NULL, 5)")
            .bind(name)
            .bind(accessed_at)
            .execute(&repo.write)
            .await
            .expect("added");
        alias
    }

    /// The size makes the content.
    async fn upload(repo: &Repo, name: &str, size: u64) -> Alias {
        let alias = Alias::parse(name).expect("valid");
        let upload = NewUpload {
            alias: alias.clone(),
            token: DeleteToken::generate(),
            original: Original {
                representation: Representation {
                    object: ObjectKey::generate(Format::Png),
                    key: ContentKey::new([1; 32], size, Format::Png),
                    width: 1,
                    height: 1,
                    frames: 1,
                    duration_ms: None,
                    created_at: 5,
                },
                blurhash: String::new(),
            },
            source: None,
        };
        repo.add_upload(&upload).await.expect("added");
        alias
    }

    #[test]
    fn whoever_waited_in_vain_may_come_again() {
        let error = repo_error(sqlx::Error::PoolTimedOut);
        assert_eq!(error.code(), ErrorCode::TooBusy);
        assert!(
            error.is_users(),
            "no fault, and the message is for the client"
        );
        let error = repo_error(sqlx::Error::PoolClosed);
        assert_eq!(error.code(), ErrorCode::RepoError);
    }

    async fn used(repo: &Repo) -> (u64, u64) {
        let proxied = repo.usage().await.expect("counted").proxied;
        (proxied.count, proxied.bytes)
    }

    #[tokio::test]
    async fn proxied_media_take_what_no_upload_shares_and_go_without_touching_uploads() {
        let folder = tempfile::tempdir().expect("a folder");
        let repo = Repo::open(folder.path()).await.expect("opened");
        proxied(&repo, "shared", 100, 1).await;
        let mine = upload(&repo, "mine", 100).await;
        proxied(&repo, "oldest", 20, 2).await;
        proxied(&repo, "same as oldest", 20, 3).await;
        proxied(&repo, "middle", 40, 4).await;
        proxied(&repo, "newest", 80, 5).await;
        let usage = repo.usage().await.expect("counted");
        assert_eq!(usage.oldest_proxied, Some(1));
        assert_eq!(used(&repo).await, (5, 140));

        // What an upload shares frees nothing, so it is passed over.
        let dropped = repo
            .shrink_proxies(3 * 4608 - 1, 9, 6)
            .await
            .expect("dropped");
        assert_eq!((dropped.count, dropped.bytes), (2, 4608));
        assert_eq!(dropped.removal.objects.len(), 1);
        assert_eq!(used(&repo).await, (3, 120));
        assert_eq!(
            repo.shrink_proxies(2 * 4608, 9, 6)
                .await
                .expect("asked")
                .count,
            0
        );

        // By age it goes, and leaves the upload alone.
        let dropped = repo.expire_proxies(4, 1, 6).await.expect("dropped");
        assert_eq!(
            dropped.removal.aliases,
            [Alias::parse("shared").expect("valid")]
        );
        assert!(dropped.removal.objects.is_empty());
        assert!(repo.original(&mine).await.expect("asked").is_some());
        let dropped = repo.expire_proxies(4, 9, 6).await.expect("dropped");
        assert_eq!((dropped.count, dropped.bytes), (1, 4608));
        assert_eq!(used(&repo).await, (1, 80));
        let entries = repo.audit(None, 9).await.expect("listed");
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| (&*entry.action, &*entry.actor, entry.amount))
            .collect();
        let evicted = |amount| ("evict", "server", Some(amount));
        assert_eq!(entries, [evicted(1), evicted(1), evicted(2)]);

        // An upload takes the bytes over, and gives them back.
        let owner = upload(&repo, "owner", 80).await;
        assert_eq!(used(&repo).await, (1, 0));
        repo.remove_alias(&owner, None, 6).await.expect("removed");
        assert_eq!(used(&repo).await, (1, 80));
        let hash = ContentKey::new([1; 32], 80, Format::Png);
        repo.purge(&hash, false, &Cause::new(Actor::Admin), 6)
            .await
            .expect("removed");
        assert_eq!(used(&repo).await, (0, 0));
    }
}
