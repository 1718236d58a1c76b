//! The database: one suite for whatever is behind `Repo`, run once for each engine.

/// Contents and their aliases.
mod contents;
/// The file of SQLite.
mod file;
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
/// Variants.
mod variants;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pict_rs_core::repo::audit::{Actor, Cause};
use pict_rs_core::repo::{
    Dropped, Enqueued, Failure, Job, NewUpload, Original, Outcome, Plan, Progress, Removal, Repo,
    Representation, Task, Work,
};
use pict_rs_core::{
    Alias, ContentKey, DeleteToken, Digest, ErrorCode, ObjectKey, UploadId, UserMessage, VariantKey,
};
use pict_rs_media::{Format, OutputFormat, operation::Operation};
use tempfile::TempDir;

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
}

/// Makes one test of each function for each engine, so that the name of a failed one tells both.
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        on_each_engine!(@ sqlite Sqlite $($test),*);
    };
    (@ $module:ident $engine:ident $($test:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test(crate::repo::Engine::$engine).await;
                }
            )*
        }
    };
}
use on_each_engine;

impl Engine {
    /// An empty database.
    async fn empty(self) -> (Repo, TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        (self.open(folder.path()).await, folder)
    }

    async fn open(self, folder: &Path) -> Repo {
        match self {
            Self::Sqlite => Repo::open(folder).await.expect("opened"),
        }
    }

    /// The same database once more. A server that another test starts in this moment holds a copy
    /// of the lock until it becomes a program of its own.
    async fn again(self, folder: &TempDir) -> Repo {
        let Self::Sqlite = self;
        for _ in 0..500 {
            match Repo::open(folder.path()).await {
                Err(error) if error.code() == ErrorCode::ConfigInvalid => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                opened => return opened.expect("opened again"),
            }
        }
        panic!("the lock was never given back")
    }
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
            blurhash: "LGF5?xYk^6".to_owned(),
        },
        source: None,
    }
}

/// The same bytes once more: another name, another object, another time.
fn duplicate(of: &NewUpload) -> NewUpload {
    let mut again = NewUpload {
        alias: Alias::generate(Format::Png),
        token: DeleteToken::generate(),
        original: of.original.clone(),
        source: None,
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
