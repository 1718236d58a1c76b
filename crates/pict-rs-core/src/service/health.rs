//! How the server is, in detail.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::context::blocking;
use crate::media::Load;
use crate::service::process::now;
use crate::{Context, Error, ErrorCode, Result};

/// Whatever takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the server is.
#[derive(Debug)]
pub struct Health {
    /// The database.
    pub repo: Part,
    /// The files.
    pub store: Part,
    /// Jobs that wait or are being done; unknown when the database fails.
    pub jobs: Option<u64>,
    /// How busy the media engine is.
    pub media: Load,
}

/// How one part of it is.
#[derive(Debug)]
pub struct Part {
    /// What writing to it ended with.
    pub written: Result<()>,
    /// How long that took.
    pub took: Duration,
    /// Of its file system.
    pub space: Option<Space>,
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// That we may still use.
    pub free: u64,
    /// In all.
    pub total: u64,
}

/// Writes to database and store, and looks at the rest. In read-only mode the database is only
/// read.
pub async fn deep(ctx: &Context) -> Health {
    let repo = async {
        if ctx.config.server.read_only {
            return ctx.repo.ping().await;
        }
        ctx.repo.prove_writable(now()).await
    };
    let store = ctx.store.clone();
    let store = blocking(move || store.ping());
    let (repo, store) = tokio::join!(
        timed(repo, ctx.repo.folder(), ErrorCode::RepoError),
        timed(store, ctx.store.root(), ErrorCode::FileIoError),
    );
    Health {
        jobs: match repo.written {
            Ok(()) => ctx.repo.jobs().await.ok(),
            Err(_) => None,
        },
        repo,
        store,
        media: ctx.media.load(),
    }
}

async fn timed(work: impl Future<Output = Result<()>>, folder: &Path, code: ErrorCode) -> Part {
    let started = Instant::now();
    let written = tokio::time::timeout(PATIENCE, work).await;
    let took = started.elapsed();
    let folder = folder.to_owned();
    let space = blocking(move || Ok(space(&folder))).await;
    Part {
        written: written
            .unwrap_or_else(|late| Err(Error::internal(code, "a write takes too long", late))),
        took,
        space: space.ok().flatten(),
    }
}

/// What can be said of a folder without using it.
#[derive(Debug)]
pub struct Look {
    /// Whether it is there already; why it cannot be used.
    pub usable: std::io::Result<bool>,
    /// Of its file system.
    pub space: Option<Space>,
}

/// Looks whether a folder can be used for database or files, by writing a nameless file to it or,
/// as long as it is not there, to the nearest folder above. Blocks.
pub fn look_at(folder: &Path) -> Look {
    let above = folder.ancestors().find(|above| above.exists());
    // A relative path begins where we are.
    let above = above.filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    Look {
        usable: tempfile::tempfile_in(above).map(|_| above == folder),
        space: space(above),
    }
}

/// Of the file system that a folder lies on, as long as that can be asked. Blocks.
pub fn space(folder: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Space {
        free: bytes(found.f_bavail),
        total: bytes(found.f_blocks),
    })
}
