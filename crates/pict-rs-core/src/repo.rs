//! Facts: which aliases name which content, where its bytes are stored, which variants exist.
//!
//! Jobs are stored here too, so that acknowledged work survives a crash of the server.
//!
//! An embedded SQLite database, or a PostgreSQL server. A write is durable when its function returns;
//! writes and reads go through connections of their own, so a read never waits for a flush. Objects
//! that lose their last row move to the `garbage` table in the same transaction, so that a crash
//! cannot forget them.

pub mod audit;
mod blocklist;
mod change;
mod content;
mod export;
mod fault;
mod garbage;
mod growth;
pub(crate) mod hash;
mod job;
mod legacy_files;
mod listeners;
mod log_flush;
mod maintenance;
mod migrations;
pub(crate) mod node;
pub(crate) mod outbox;
pub(crate) mod owner;
mod page;
mod pdq;
#[cfg(test)]
mod plans;
mod postgres;
mod proxy;
mod quarantine;
mod removal;
mod removed;
mod reserve;
mod retention;
mod scan;
mod setting;
mod sql;
mod sqlite;
mod store_move;
mod tables;
mod takeover;
mod thumbnails;
pub mod transfer;
mod upload;
mod usage;
mod uses;
mod value;
mod variant;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pict_rs_media::{Facts, Kind};

use self::change::Change;
use self::listeners::Listeners;
use self::node::Node;
use self::sql::{RepoPool, Row, sql};
use self::sqlite::Embedded;
use crate::{ContentKey, ErrorCode, ObjectKey, Result};

pub use blocklist::Blocked;
pub(crate) use blocklist::blocked;
pub use content::{LoadingHints, Original};
pub use export::restore;
pub(crate) use fault::{UNCERTAIN_FOR, is_uncertain};
pub use growth::DaySums;
pub use hash::{Added, NewUpload};
pub use job::{Enqueued, Job, QueuedJob, Work};
pub use legacy_files::refuse_foreign_database;
#[cfg(feature = "migrate")]
pub(crate) use legacy_files::{FJALL_FOLDER, SLED_FOLDER, is_fjall, is_sled, what_is_in};
pub use listeners::Wanted;
pub use maintenance::{Plan, Run, Task};
pub use node::NodeStatus;
pub use outbox::{OutboxStatus, OutboxTarget};
pub use owner::{Owned, OwnedAlias, OwnerUsage};
pub use page::{ContentWithAliases, FilteredContent, Page};
pub use pdq::{ContentHashes, FramePdq, ListedPdq, NewlyListed, PdqMatch, StoredPdq, Unlisted};
#[cfg(feature = "migrate")]
pub(crate) use postgres::{FOREIGN_READER, foreign, open_foreign};
pub use postgres::{Server, ServerSettings};
pub use proxy::{NewProxy, Proxied, Proxy};
pub use quarantine::Quarantined;
pub use removal::{PurgedContent, Refused};
pub use removed::{Destroyed, Removal};
pub use retention::{Dropped, Unused};
pub use scan::{Scanned, ToScan};
pub use sql::postgres::Connections;
pub use store_move::{MovePhase, StoreMove};
pub use takeover::{Brought, BroughtIn, Onward, Step, TakeoverRun};
pub use thumbnails::OriginalWithVariants;
pub use upload::{Failure, Finished, Outcome, Progress};
pub use usage::{Sums, Total, Usage};
pub use value::{DropCandidate, DroppedByValue};
pub use variant::{ListedVariant, StoredVariant};

/// After this time it is asked why the database does not answer.
const UNEXPLAINED: Duration = Duration::from_millis(2500);

/// The name of the database file inside its folder.
const FILE: &str = "pict-rs.sqlite3";

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

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A folder of ours, with an embedded database.
    Folder {
        /// Its path.
        path: PathBuf,
        /// Disk space that is kept for removals, in MiB; 0 keeps none.
        reserve: u64,
    },
    /// A PostgreSQL server.
    Server(Box<Server>),
}

impl Location {
    /// The folder, if it is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder { path, .. } => Some(path),
            Self::Server(_) => None,
        }
    }
}

impl Location {
    /// Connects to a server once, and returns its version. Changes nothing.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`], [`ErrorCode::RepoUnavailable`].
    pub async fn look_at(&self) -> Result<String> {
        match self {
            Self::Folder { .. } => Ok(String::new()),
            Self::Server(server) => postgres::look_at(server).await,
        }
    }
}

/// For people: a path, or a URL without the password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, .. } => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

/// The database.
#[derive(Clone, Debug)]
pub struct Repo {
    write: RepoPool,
    read: RepoPool,
    engine: Engine,
    node: Node,
    needs_intents: bool,
    listeners: Listeners,
}

/// What an engine needs besides its connections.
#[derive(Clone, Debug)]
enum Engine {
    Sqlite(Embedded),
    /// A folder that another process may have locked.
    Observed(PathBuf),
    Postgres(Box<Server>),
}

impl Repo {
    /// Opens the embedded database in `folder`, creating and migrating it if needed. No reserve is
    /// kept for removals.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyRunning`] when another server has it open; [`ErrorCode::RepoError`]
    /// otherwise.
    pub async fn open(folder: &Path) -> Result<Self> {
        let location = Location::Folder {
            path: folder.to_owned(),
            reserve: 0,
        };
        Self::open_at(&location, false).await
    }

    /// Opens a database, creating and migrating its tables if needed. `is_read_only` tells that the
    /// server changes nothing, for which a server of PostgreSQL that only reads is enough; then
    /// nothing is migrated there.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyRunning`] when another server has it open; [`ErrorCode::ConfigInvalid`]
    /// when settings or the database have to be changed; [`ErrorCode::RepoUnavailable`] when the
    /// server cannot be reached; [`ErrorCode::RepoError`] otherwise.
    pub async fn open_at(location: &Location, is_read_only: bool) -> Result<Self> {
        let repo = match location {
            Location::Folder { path, reserve } => {
                let (embedded, write, read) = Embedded::open(path, *reserve).await?;
                Self {
                    write,
                    read,
                    engine: Engine::Sqlite(embedded),
                    node: Node::default(),
                    needs_intents: false,
                    listeners: Listeners::default(),
                }
            }
            Location::Server(server) => {
                let (write, read) = postgres::open(server, is_read_only).await?;
                Self {
                    write,
                    read,
                    engine: Engine::Postgres(server.clone()),
                    node: Node::default(),
                    needs_intents: false,
                    listeners: Listeners::default(),
                }
            }
        };
        transfer::refuse_incomplete(&repo.read, &repo.place()).await?;
        Ok(repo)
    }

    /// From now on rows can only name objects of which [`Repo::intend`] was told before: the store
    /// keeps no markers of its own.
    #[must_use]
    pub fn with_intents(mut self) -> Self {
        self.needs_intents = true;
        self
    }

    /// Opens an existing, current database, to which a server may write meanwhile. Every change
    /// fails.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when there is none, or it is of another version or incomplete;
    /// [`ErrorCode::RepoError`], [`ErrorCode::RepoUnavailable`].
    pub async fn open_to_look(location: &Location) -> Result<Self> {
        let Location::Folder { path, .. } = location else {
            return Self::open_at(location, true).await;
        };
        let read = sqlite::open_to_look(path).await?;
        transfer::refuse_incomplete(&read, &location.to_string()).await?;
        Ok(Self {
            write: read.clone(),
            read,
            engine: Engine::Observed(path.clone()),
            node: Node::default(),
            needs_intents: false,
            listeners: Listeners::default(),
        })
    }

    /// The folder of an embedded database.
    pub fn folder(&self) -> Option<&Path> {
        match &self.engine {
            Engine::Sqlite(embedded) => Some(embedded.folder()),
            Engine::Observed(folder) => Some(folder),
            Engine::Postgres(_) => None,
        }
    }

    /// Where the database is, for people.
    pub fn place(&self) -> String {
        match &self.engine {
            Engine::Sqlite(embedded) => embedded.folder().display().to_string(),
            Engine::Observed(folder) => folder.display().to_string(),
            Engine::Postgres(server) => server.to_string(),
        }
    }

    /// Checks that the database can be read, by a look-up in a table, as for an alias.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`], [`ErrorCode::RepoUnavailable`].
    pub async fn ping(&self) -> Result<()> {
        let asked = sql("SELECT hash FROM aliases LIMIT 1").any(&self.read);
        self.explained(async { asked.await.map(drop) }).await
    }

    /// Adds why no connection can be had, which is known only to the one who asks for one. Does so
    /// before the check of health has waited for too long.
    async fn explained(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let Engine::Postgres(server) = &self.engine else {
            return work.await;
        };
        let mut work = std::pin::pin!(work);
        match tokio::time::timeout(UNEXPLAINED, &mut work).await {
            Ok(Err(error)) if error.code() == ErrorCode::RepoUnavailable => {
                Err(postgres::cause(server).await.unwrap_or(error))
            }
            Ok(result) => result,
            Err(_) => match postgres::cause(server).await {
                Some(cause) => Err(cause),
                None => work.await,
            },
        }
    }

    /// Whether writes other than removals are allowed. If not, the disk is full. The disk of a
    /// server is its own affair.
    pub async fn has_room(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(embedded) => embedded.has_room().await,
            Engine::Observed(_) | Engine::Postgres(_) => true,
        }
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
        Change::begin(&self.write, self.needs_intents, &self.listeners).await
    }

    /// As [`Repo::begin`], for removals, which must work on a full disk because only they can empty
    /// it.
    async fn begin_removal(&self) -> Result<Change> {
        if let Engine::Sqlite(embedded) = &self.engine {
            embedded.make_room(&self.write).await?;
        }
        Change::begin(&self.write, self.needs_intents, &self.listeners).await
    }

    /// Whether a sweep has anything to remove. Without this check, a sweep on a full disk would
    /// release the reserve for nothing.
    async fn has_any(&self, query: &'static str, bound: i64) -> Result<bool> {
        sql(query).bind(bound).any(&self.read).await
    }

    /// Connections to a PostgreSQL server, with the name of what they are for.
    pub fn connections(&self) -> Vec<(&'static str, Connections)> {
        [("write", &self.write), ("read", &self.read)]
            .into_iter()
            .filter_map(|(name, pool)| match pool {
                RepoPool::Postgres(sessions) => Some((name, sessions.connections())),
                RepoPool::Sqlite(..) => None,
            })
            .collect()
    }

    /// Closes all connections. SQLite folds the write-ahead log into the database file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Integers in the database are signed; sizes and counts of media fit.
fn bigint(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::audit::{Actor, AuditFilter, Cause};
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
                hints: LoadingHints::default(),
            },
            owned: None,
            pdq: None,
            listed: None,
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
        let entries = repo
            .audit(&AuditFilter::default(), None, 9)
            .await
            .expect("listed");
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
        repo.purge(&hash, Refused::Nothing, &Cause::new(Actor::Admin), 6)
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
