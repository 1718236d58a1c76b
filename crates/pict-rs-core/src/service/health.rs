//! The health of the server: whether it can serve what is stored, whether it can store more, and
//! details.
//!
//! The checks use the same calls as real work: a complete transaction, and the calls that store an
//! upload.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::clock::now;
use crate::media::Load;
use crate::repo::node::DEAD_AFTER;
use crate::repo::{Connections, NodeStatus, OutboxStatus, OutboxTarget, Usage};
use crate::service::deliver;
use crate::task::blocking;
use crate::{Context, Error, ErrorCode, Result};

/// A check that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a successful check of writes is valid.
const PROOF_LIFETIME: Duration = Duration::from_secs(1);
const MIB: u64 = 1024 * 1024;
/// Below this much free space a warning is logged, or below a part of a smaller disk.
const LEAST: u64 = 1024 * MIB;
const LEAST_PART: u64 = 10;
/// Below this much free space, results are not cached.
const SPARE: u64 = 4 * MIB;

/// The health of the server.
#[derive(Debug)]
pub struct Health {
    /// The database.
    pub repo: Part,
    /// The files.
    pub store: Part,
    /// Jobs that wait or run; unknown when the database fails.
    pub jobs: Option<u64>,
    /// The load of the media engine.
    pub media: Load,
    /// The servers that share the database; none for an embedded one, unknown when it fails.
    pub nodes: Option<Vec<NodeStatus>>,
    /// How events and purges of caches are delivered, where they are; none when the database fails.
    pub deliveries: Vec<(OutboxTarget, OutboxStatus)>,
}

/// The health of database or store.
#[derive(Debug)]
pub struct Part {
    /// The result of writing to it.
    pub written: Result<()>,
    /// How long the write took.
    pub took: Duration,
    /// The space on its file system, if it has one.
    pub space: Option<Space>,
}

/// Gauges of the current state. Values that take too long to determine are `None`.
#[derive(Debug)]
pub struct Figures {
    /// The load of the media engine.
    pub media: Load,
    /// The database.
    pub repo: Part,
    /// The files.
    pub store: Part,
    /// Jobs that wait or run.
    pub jobs: Option<u64>,
    /// What is stored.
    pub usage: Option<Usage>,
    /// How many servers that share the database give signs of life; none for an embedded one.
    pub nodes: Option<u64>,
    /// Connections to a PostgreSQL server, by what they are for.
    pub connections: Vec<(&'static str, Connections)>,
    /// How events and purges of caches are delivered, where they are.
    pub deliveries: Vec<(OutboxTarget, OutboxStatus)>,
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Bytes that this process may still use.
    pub free: u64,
    /// Bytes in total.
    pub total: u64,
}

/// Checks that stored media can be served.
///
/// # Errors
/// The part that fails.
pub async fn serves(ctx: &Context) -> Result<()> {
    let (repo, store) = tokio::join!(
        in_time(ctx.repo.ping(), late_code(ctx)),
        in_time(ctx.store.ping_reads(), store_fault(ctx)),
    );
    repo.and(store)
}

/// Checks that more can be stored; in read-only mode, that stored media can be served. A success is
/// cached for a second, unless the disk is nearly full.
///
/// # Errors
/// The part that fails.
pub async fn stores(ctx: &Context) -> Result<()> {
    if ctx.config.server.read_only {
        return serves(ctx).await;
    }
    let mut last = ctx.last_proof.lock().await;
    if last.is_some_and(|last| last.elapsed() < PROOF_LIFETIME) {
        return Ok(());
    }
    *last = None;
    let (repo, store) = prove(ctx).await;
    let has_room = [&repo, &store]
        .iter()
        .all(|part| part.space.is_none_or(|space| space.free > SPARE));
    repo.written.and(store.written)?;
    *last = has_room.then(Instant::now);
    Ok(())
}

/// Writes to the database and to the store, and returns the results in this order. In read-only
/// mode the database is only read.
async fn prove(ctx: &Context) -> (Part, Part) {
    let repo = async {
        if ctx.config.server.read_only {
            return ctx.repo.ping().await;
        }
        ctx.repo.prove_writable(now()).await
    };
    tokio::join!(
        timed(repo, ctx.repo.folder(), late_code(ctx)),
        timed(store(ctx), ctx.store.root(), store_fault(ctx)),
    )
}

/// Checks that the store can be written to, and that it is the right one.
async fn store(ctx: &Context) -> Result<()> {
    if ctx.config.server.read_only && ctx.store.root().is_none() {
        // Its key may be one that cannot write.
        return ctx.store.ping_reads().await;
    }
    ctx.store.ping().await?;
    ctx.store_id.get().map(drop)
}

/// The code of a store that does not answer in time.
fn store_fault(ctx: &Context) -> ErrorCode {
    match ctx.store.root() {
        Some(_) => ErrorCode::FileIoError,
        None => ErrorCode::StoreUnavailable,
    }
}

/// Writes to database and store, and collects the details. In read-only mode the database is only
/// read.
pub async fn deep(ctx: &Context) -> Health {
    let (repo, store) = prove(ctx).await;
    let (jobs, nodes) = match repo.written {
        Ok(()) => (ctx.repo.jobs().await.ok(), ctx.repo.nodes().await.ok()),
        Err(_) => (None, None),
    };
    let deliveries = match repo.written {
        Ok(()) => deliver::status(ctx).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    Health {
        deliveries,
        jobs,
        nodes,
        repo,
        store,
        media: ctx.media.load(),
    }
}

/// Collects the values for monitoring; answers even if database or disk do not.
pub async fn figures(ctx: &Context) -> Figures {
    let media = ctx.media.load();
    let ((repo, store), jobs, usage, nodes, deliveries) = tokio::join!(
        prove(ctx),
        tokio::time::timeout(TIMEOUT, ctx.repo.jobs()),
        tokio::time::timeout(TIMEOUT, ctx.repo.usage()),
        tokio::time::timeout(TIMEOUT, ctx.repo.nodes()),
        tokio::time::timeout(TIMEOUT, deliver::status(ctx)),
    );
    let lives = |node: &&NodeStatus| node.silent_for < DEAD_AFTER;
    let living = |nodes: Vec<NodeStatus>| nodes.iter().filter(lives).count() as u64;
    Figures {
        media,
        repo,
        store,
        jobs: jobs.ok().and_then(Result::ok),
        usage: usage.ok().and_then(Result::ok),
        nodes: nodes.ok().and_then(Result::ok).map(living),
        connections: ctx.repo.connections(),
        deliveries: deliveries.ok().and_then(Result::ok).unwrap_or_default(),
    }
}

/// The code of a database that does not answer in time.
fn late_code(ctx: &Context) -> ErrorCode {
    match ctx.repo.folder() {
        Some(_) => ErrorCode::RepoError,
        None => ErrorCode::RepoUnavailable,
    }
}

async fn in_time(work: impl Future<Output = Result<()>>, code: ErrorCode) -> Result<()> {
    let done = tokio::time::timeout(TIMEOUT, work).await;
    done.unwrap_or_else(|late| Err(Error::internal(code, "it takes too long", late)))
}

async fn timed(
    work: impl Future<Output = Result<()>>,
    folder: Option<&Path>,
    code: ErrorCode,
) -> Part {
    let started = Instant::now();
    let written = in_time(work, code).await;
    let took = started.elapsed();
    let folder = folder.map(Path::to_owned);
    let space = blocking(move || Ok(folder.as_deref().and_then(space)));
    let space = tokio::time::timeout(TIMEOUT, space).await;
    Part {
        written,
        took,
        space: space.ok().and_then(Result::ok).flatten(),
    }
}

/// What can be determined about a folder without using it.
#[derive(Debug)]
pub struct FolderStatus {
    /// Whether it exists, or why it cannot be used.
    pub usable: std::io::Result<bool>,
    /// The space on its file system.
    pub space: Option<Space>,
}

/// Checks whether a folder can be used for database or files, by writing a nameless file to it or,
/// if it does not exist, to its nearest existing ancestor. Blocks.
pub fn look_at(folder: &Path) -> FolderStatus {
    let above = folder.ancestors().find(|above| above.exists());
    // A relative path starts at the working directory.
    let above = above.filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    FolderStatus {
        usable: tempfile::tempfile_in(above).map(|_| above == folder),
        space: space(above),
    }
}

/// The space on a folder's file system, if it can be determined. Blocks.
pub fn space(folder: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Space {
        free: bytes(found.f_bavail),
        total: bytes(found.f_blocks),
    })
}

/// Monitors free space on the disks of database and files, and warns when it is low.
#[derive(Debug)]
pub(crate) struct SpaceWatch {
    folders: Vec<(&'static str, PathBuf, bool)>,
    /// The configured threshold, in bytes.
    least: Option<u64>,
}

impl SpaceWatch {
    pub(crate) fn new(ctx: &Context) -> Self {
        let least = ctx.config.server.free_space_warning;
        let folders = [("repo", ctx.repo.folder()), ("store", ctx.store.root())];
        Self {
            folders: (folders.into_iter())
                .filter_map(|(part, folder)| Some((part, folder?.to_owned(), false)))
                .collect(),
            least: least.map(|mib| mib.saturating_mul(MIB)),
        }
    }

    /// Checks the free space, and logs changes.
    pub(crate) async fn look(&mut self) {
        for (part, folder, is_low) in &mut self.folders {
            let place = folder.clone();
            let Ok(Some(space)) = blocking(move || Ok(space(&place))).await else {
                continue;
            };
            let Space { free, total } = space;
            let least = self.least.unwrap_or(LEAST.min(total / LEAST_PART));
            // A little more, so that the warning does not flap.
            let enough = if *is_low { least + least / 10 } else { least };
            if (free < enough) == *is_low {
                continue;
            }
            *is_low = !*is_low;
            let folder = folder.display();
            if *is_low {
                tracing::warn!(part, %folder, free, total, warned_below = least, "a disk is nearly full");
            } else {
                tracing::info!(part, %folder, free, total, "a disk has room again");
            }
        }
    }
}
