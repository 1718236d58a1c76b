//! Facts: which aliases name which content, where its bytes are stored, which variants exist.
//!
//! Jobs are stored here too, so that acknowledged work survives a crash of the server.
//!
//! One embedded SQLite database. A write is durable when its function returns (`synchronous=FULL`);
//! writes go through one connection, reads through others, so a read never waits for a flush.
//! Objects that lose their last row move to the `garbage` table in the same transaction, so that a
//! crash cannot forget them.

pub mod audit;
mod blocklist;
mod change;
mod content;
mod export;
mod garbage;
pub(crate) mod hash;
mod job;
mod legacy_files;
mod maintenance;
mod migrations;
mod page;
#[cfg(test)]
mod plans;
mod pool;
mod proxy;
mod removal;
mod reserve;
mod retention;
mod setting;
mod sql;
mod upload;
mod usage;
mod variant;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pict_rs_media::{Facts, Kind};
use rustix::fs::{FlockOperation, flock};

use self::change::Change;
use self::reserve::Reserve;
use self::sql::{Pool, Row, sql};
use crate::{ContentKey, Error, ErrorCode, ObjectKey, Result};

pub use blocklist::Blocked;
pub use content::Original;
pub use hash::{Added, NewUpload};
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
/// Held while the server runs: two servers on one database would serve stale data.
const LOCK: &str = "pict-rs.lock";

/// A stored file and its facts: an original or a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representation {
    /// The key of its bytes in the store.
    pub object: ObjectKey,
    /// Digest, size and format of its bytes.
    pub key: ContentKey,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// At least 1.
    pub frames: u32,
    /// For animations, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Unix time in milliseconds.
    pub created_at: i64,
}

impl Representation {
    /// From the engine's facts of a newly stored file.
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

    /// Picture, animation or clip, according to the facts.
    pub fn kind(&self) -> Kind {
        self.key.format().kind_of(self.frames)
    }

    /// From the columns that `hashes` and `variants` share.
    fn from_row(row: &Row, key_column: &str) -> Result<Self> {
        let duration = row.int_or_null("duration_ms")?;
        Ok(Self {
            object: row.object("object")?,
            key: row.content_key(key_column)?,
            width: row.number("width")?,
            height: row.number("height")?,
            frames: row.number("frames")?,
            duration_ms: duration.and_then(|value| u64::try_from(value).ok()),
            created_at: row.int("created_at")?,
        })
    }
}

/// The database.
#[derive(Clone, Debug)]
pub struct Repo {
    write: Pool,
    read: Pool,
    folder: PathBuf,
    reserve: Arc<Reserve>,
    _lock: Arc<File>,
}

impl Repo {
    /// Opens the database in `folder`, creating and migrating it if needed. No reserve is kept for
    /// removals.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when another server has it open; [`ErrorCode::RepoError`]
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
        // First, because opening a database needs disk space too.
        let reserve = reserve::blocking(move || Reserve::open(&place, reserve)).await?;
        let (write, read) = pool::open(folder).await?;
        Ok(Self {
            write,
            read,
            folder: folder.to_owned(),
            reserve: reserve.into(),
            _lock: lock.into(),
        })
    }

    /// The folder of the database.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Checks that the database can be read, by a look-up in a table, as for an alias.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn ping(&self) -> Result<()> {
        sql("SELECT hash FROM aliases LIMIT 1")
            .any(&self.read)
            .await
            .map(drop)
    }

    /// Whether writes other than removals are allowed. If not, the disk is full.
    pub async fn has_room(&self) -> bool {
        if !self.reserve.is_given_back() {
            return true;
        }
        let reserve = self.reserve.clone();
        reserve::blocking(move || reserve.has_room())
            .await
            .unwrap_or(false)
    }

    /// Refuses writes other than removals while the disk is full.
    ///
    /// # Errors
    /// [`ErrorCode::InsufficientStorage`].
    pub async fn admit(&self) -> Result<()> {
        match self.has_room().await {
            true => Ok(()),
            false => Err(reserve::refusal()),
        }
    }

    /// Begins a transaction. On a full disk it is refused; a change that removes something begins
    /// with [`Repo::begin_removal`].
    async fn begin(&self) -> Result<Change> {
        self.admit().await?;
        Change::begin(&self.write).await
    }

    /// As [`Repo::begin`], for removals, which must work on a full disk because only they can empty
    /// it. Releases the reserve if there is no other space.
    async fn begin_removal(&self) -> Result<Change> {
        let reserve = self.reserve.clone();
        if !reserve::blocking(move || reserve.make_room()).await? {
            // The write-ahead log is the last space that can be freed. If this fails, the removal
            // may still find some.
            if let Err(error) = self.write.shrink_log().await {
                tracing::debug!(%error, "the write-ahead log cannot be shrunk");
            }
        }
        Change::begin(&self.write).await
    }

    /// Whether a sweep has anything to remove. Without this check, a sweep on a full disk would
    /// release the reserve for nothing.
    async fn has_any(&self, query: &'static str, bound: i64) -> Result<bool> {
        sql(query).bind(bound).any(&self.read).await
    }

    /// Closes all connections and folds the write-ahead log into the database file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
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

/// Integers in the database are signed; sizes and counts of media fit.
fn bigint(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::audit::{Actor, Cause};
    use crate::{Alias, DeleteToken};
    use pict_rs_media::Format;

    async fn proxied(repo: &Repo, name: &str, size: u64, accessed_at: i64) {
        let proxy = NewProxy {
            url: name.to_owned(),
            etag: None,
            last_modified: None,
            fresh_until: 5,
            replaces: None,
        };
        repo.add_proxied(&named(name, size), &proxy, accessed_at)
            .await
            .expect("added")
            .expect("new");
    }

    /// Uploads of the same size share their content.
    fn named(name: &str, size: u64) -> NewUpload {
        NewUpload {
            alias: Alias::parse(name).expect("valid"),
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
        }
    }

    async fn upload(repo: &Repo, name: &str, size: u64) -> Alias {
        let upload = named(name, size);
        repo.add_upload(&upload).await.expect("added");
        upload.alias
    }

    #[tokio::test]
    async fn what_would_name_nothing_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let repo = Repo::open(folder.path()).await.expect("opened");
        upload(&repo, "named", 100).await;
        for statement in [
            "INSERT INTO aliases (alias, hash, token, created_at) VALUES ('a', X'00', 't', 5)",
            "INSERT INTO proxies VALUES ('u', 'a', 5, 5, NULL, NULL, 5)",
            "DELETE FROM hashes",
        ] {
            let error = sql(statement).run(&repo.write).await;
            assert!(error.is_err(), "{statement}");
        }
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

        // Dropping media whose bytes an upload shares frees nothing, so they are skipped.
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

        // Expiry by age drops it, but not the upload.
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

        // An upload takes over the bytes, and releases them when it is removed.
        let owner = upload(&repo, "owner", 80).await;
        assert_eq!(used(&repo).await, (1, 0));
        repo.remove_alias(&owner, None, 6).await.expect("removed");
        assert_eq!(used(&repo).await, (1, 80));
        let hash = ContentKey::new([1; 32], 80, Format::Png);
        repo.purge(&hash, false, &Cause::new(Actor::Admin), 6)
            .await
            .expect("removed");
        assert_eq!(used(&repo).await, (0, 0));

        // Folding the recorded changes does not change the sums.
        let before = repo.usage().await.expect("counted");
        let is_any = async || {
            let any = sql("SELECT 1 FROM usage_deltas LIMIT 1").any(&repo.read);
            any.await.expect("asked")
        };
        assert!(is_any().await);
        assert_eq!(repo.fold_some(3).await.expect("folded"), 3);
        assert_eq!(repo.usage().await.expect("counted"), before);
        repo.fold_usage().await.expect("folded");
        assert!(!is_any().await);
        assert_eq!(repo.usage().await.expect("counted"), before);
    }
}
