//! The database: one suite for whatever is behind `Repo`, run once for each engine.

/// What goes first when the disk is full by its budget.
mod budget;
/// Contents and their aliases.
mod contents;
/// The file of SQLite.
mod file;
/// Objects that are about to be stored.
mod intents;
/// The queue.
mod jobs;
/// Backgrounded uploads.
mod outcomes;
/// Proxied URLs.
mod proxy;
/// Two transactions at once on the same content.
mod races;
/// The audit log, the blocklist, and runs.
mod removals;
/// A server of PostgreSQL.
mod server;
/// Variants.
mod variants;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pict_rs_core::repo::audit::{Actor, AuditFilter, Cause};
use pict_rs_core::repo::{
    Dropped, Enqueued, Failure, Job, LoadingHints, Location, NewProxy, NewUpload, Original,
    Outcome, Plan, Progress, Refused, Removal, Repo, Representation, Server, ServerSettings, Task,
    Work,
};
use pict_rs_core::{
    Alias, ContentKey, DeleteToken, Digest, ErrorCode, ObjectKey, UploadId, UserMessage, VariantKey,
};
use pict_rs_media::{Format, OutputFormat, operation::Operation};
use tempfile::TempDir;
use testkit::postgres::{Cluster, Database};

/// Unix time in milliseconds; these tests have a clock of their own.
const NOW: i64 = 1_700_000_000_000;

fn admin() -> Cause {
    Cause::new(Actor::Admin)
}

fn server() -> Cause {
    Cause::new(Actor::Server)
}

/// What the database is kept in.
#[derive(Clone, Copy, Debug)]
enum Engine {
    Sqlite,
    Postgres,
}

/// Where a database is; dropping it removes the database.
enum Home {
    Folder(TempDir),
    Server(Database),
}

impl Home {
    /// The folder of an embedded database.
    fn path(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder.path(),
            Self::Server(database) => panic!("{database:?} has no folder"),
        }
    }
}

/// Makes one test of each function for each engine, so that the name of a failed one tells both.
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        on_each_engine!(@ sqlite Sqlite $($test),*);
        on_each_engine!(@ postgres Postgres $($test),*);
    };
    (@ $module:ident $engine:ident $($test:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    let engine = crate::repo::Engine::$engine;
                    if engine.is_there(stringify!($test)) {
                        super::$test(engine).await;
                    }
                }
            )*
        }
    };
}
use on_each_engine;

impl Engine {
    /// Whether it is installed; tells that a test is skipped if not.
    fn is_there(self, test: &str) -> bool {
        match self {
            Self::Sqlite => true,
            Self::Postgres => Cluster::shared_or_skip(test).is_some(),
        }
    }

    /// An empty database.
    async fn empty(self) -> (Repo, Home) {
        let home = match self {
            Self::Sqlite => Home::Folder(tempfile::tempdir().expect("a folder")),
            Self::Postgres => {
                let cluster = Cluster::shared_or_skip("an empty database");
                Home::Server(cluster.expect("installed").database())
            }
        };
        (self.again(&home).await, home)
    }

    /// The same database once more. A server that another test starts in this moment holds a copy
    /// of the lock of a folder until it becomes a program of its own.
    async fn again(self, home: &Home) -> Repo {
        let location = match home {
            Home::Folder(folder) => Location::Folder {
                path: folder.path().to_owned(),
                reserve: 0,
            },
            Home::Server(database) => Location::Server(postgres(&database.url()).into()),
        };
        for _ in 0..500 {
            match Repo::open_at(&location, false).await {
                Err(error) if error.code() == ErrorCode::AlreadyRunning => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                opened => return opened.expect("opened again"),
            }
        }
        panic!("the lock was never given back")
    }
}

/// A server of PostgreSQL.
fn postgres(url: &str) -> Server {
    let settings = ServerSettings {
        key: "repo.url",
        url,
        use_tls: false,
        certificate_file: None,
        max_connections: 8,
        patience: Duration::from_secs(10),
    };
    Server::new(&settings).expect("valid")
}

/// Bytes that are stored once, somewhere in the store.
fn representation(format: Format) -> Representation {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut digest = [7; 32];
    digest[..4].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Representation {
        object: ObjectKey::generate(format),
        key: ContentKey::new(digest, 77, format),
        width: 40,
        height: 30,
        frames: 1,
        duration_ms: None,
        created_at: 1_700_000_000_123,
    }
}

fn upload() -> NewUpload {
    NewUpload {
        alias: Alias::generate(Format::Png),
        token: DeleteToken::generate(),
        original: Original {
            representation: representation(Format::Png),
            hints: LoadingHints {
                blurhash: "LGF5?xYk^6".to_owned(),
                thumbhash: Some(vec![0, 7, 0xff]),
                colour: Some([0xff, 0, 0x80]),
            },
        },
        pdq: None,
        listed: None,
        source: None,
        owned: None,
    }
}

/// The same bytes once more: another name, another object, another time.
fn duplicate(of: &NewUpload) -> NewUpload {
    let mut again = NewUpload {
        alias: Alias::generate(Format::Png),
        token: DeleteToken::generate(),
        original: of.original.clone(),
        pdq: None,
        listed: None,
        source: None,
        owned: None,
    };
    again.original.representation.object = ObjectKey::generate(Format::Png);
    again.original.representation.created_at += 5000;
    again
}

fn thumbnail(size: u32) -> VariantKey {
    VariantKey::new(&[Operation::Thumbnail(size)], OutputFormat::Webp).expect("short")
}

async fn add_variant(repo: &Repo, of: &NewUpload, key: &VariantKey) -> Representation {
    let made = representation(Format::Webp);
    let kept = repo.add_variant(of.original.hash(), key, &made).await;
    assert_eq!(kept.expect("added"), Some(made.clone()));
    made
}
