//! Disk usage totals, and a search for orphaned files. Orphans, which no row names, should not
//! exist; a power cut on a file system that reorders its changes, or a restored backup, can leave
//! them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::repo::{Repo, Usage};
use crate::service::{guard, remove::writable};
use crate::store::{Listing, Look, Store};
use crate::task::run_to_completion;
use crate::{Context, Error, ErrorCode, ObjectKey, Result};

/// Files that no row names are not judged before this age, unless another one is asked for.
pub const AGE: Duration = Duration::from_secs(6 * 60 * 60);
/// Object keys that are looked up in the database at a time.
const BATCH: usize = 512;
/// Orphans that a report lists.
const LISTED: usize = 100;

/// The result of a search for orphans.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files that were examined.
    pub files: u64,
    /// Files that no row names.
    pub orphans: u64,
    /// The bytes of these files.
    pub bytes: u64,
    /// How many of them were removed.
    pub removed: u64,
    /// Files that no row names but that are too young to be judged.
    pub young: u64,
    /// Files that are not ours; they are never removed.
    pub strangers: u64,
    /// The first orphans.
    pub listed: Vec<ObjectKey>,
    /// Whether all files were examined; false if the server stopped meanwhile.
    pub is_complete: bool,
}

/// The usage sums. The cost does not depend on how much is stored.
///
/// # Errors
/// When the database fails.
pub async fn usage(ctx: &Context) -> Result<Usage> {
    ctx.repo.usage().await
}

/// What to do with orphans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Only report them.
    Report,
    /// Remove them, unless there are suspiciously many.
    Remove,
    /// Remove them, however many there are.
    Force,
}

/// Checks every file in the store, and reports those that no row names and that were written at
/// least `age` ago; then removes them if `fate` says so. Lists every folder and looks up each file;
/// memory grows only with the number that may be removed at once. Continues if the client goes
/// away.
///
/// # Errors
/// [`ErrorCode::MassRemoval`] when nothing was removed because there are too many,
/// [`ErrorCode::StoreMismatch`], [`ErrorCode::TooBusy`] while another search runs,
/// [`ErrorCode::ReadOnly`] unless they are only reported, and when database or store fail.
pub async fn orphans(ctx: &Arc<Context>, age: Duration, fate: Fate) -> Result<Report> {
    if fate != Fate::Report {
        writable(ctx)?;
    }
    guard::check(ctx).await?;
    let turn = ctx.collecting.clone().try_lock_owned().map_err(|_| {
        Error::user(
            ErrorCode::TooBusy,
            "A search for orphaned files is running already; the limit is 1 search at a time",
        )
    })?;
    let ctx = ctx.clone();
    run_to_completion(async move {
        let report = search(&ctx, age, fate).await?;
        drop(turn);
        tracing::info!(
            files = report.files,
            orphans = report.orphans,
            bytes = report.bytes,
            removed = report.removed,
            "searched for orphaned files"
        );
        Ok(report)
    })
    .await
}

/// As [`orphans`], only to report, and without anything else of a server.
pub(crate) async fn look(repo: &Repo, store: &Store, age: Duration) -> Result<Report> {
    let mut search = Search::new(store, age);
    while search.next(repo, store).await?.is_some() {}
    let mut report = search.report;
    report.is_complete = true;
    Ok(report)
}

async fn search(ctx: &Arc<Context>, age: Duration, fate: Fate) -> Result<Report> {
    let allowed = match fate {
        Fate::Report => 0,
        Fate::Remove => allowance(ctx).await?,
        Fate::Force => u64::MAX,
    };
    let mut search = Search::new(&ctx.store, age);
    let mut doomed = Vec::new();
    while let Some(orphans) = search.next(&ctx.repo, &ctx.store).await? {
        if ctx.notifier.is_stopping() {
            return Ok(search.report);
        }
        if fate == Fate::Force {
            search.report.removed += remove(ctx, &orphans).await?;
        } else if search.report.orphans <= allowed {
            doomed.extend(orphans);
        }
    }
    let mut report = search.report;
    report.is_complete = true;
    if fate == Fate::Remove && report.orphans > allowed {
        return Err(refusal(ctx, &report, allowed).await?);
    }
    for orphans in doomed.chunks(BATCH) {
        report.removed += remove(ctx, orphans).await?;
    }
    Ok(report)
}

/// How many orphans may be removed at once. A database that names no file is most likely not the
/// one that belongs to these files.
async fn allowance(ctx: &Context) -> Result<u64> {
    if ctx.repo.names_nothing().await? {
        return Ok(0);
    }
    let usage = ctx.repo.usage().await?;
    let named = usage.originals.count + usage.variants.count;
    Ok(guard::allowance(&ctx.config.server, named))
}

async fn refusal(ctx: &Context, report: &Report, allowed: u64) -> Result<Error> {
    if ctx.repo.names_nothing().await? {
        return Ok(Error::user(
            ErrorCode::MassRemoval,
            format!(
                "The database names nothing, and {} files lie in the store: nothing was removed. Is \
                 it the right database? force=true removes them",
                report.orphans
            ),
        ));
    }
    let what = format!("No row names {} files", report.orphans);
    Ok(guard::too_many(
        &ctx.config.server,
        &what,
        report.files,
        allowed,
    ))
}

/// Removes orphans, except those that a row names by now.
async fn remove(ctx: &Context, orphans: &[ObjectKey]) -> Result<u64> {
    guard::check(ctx).await?;
    let orphans = ctx.repo.unnamed(orphans).await?;
    Ok(ctx.store.remove(orphans).await?.len() as u64)
}

/// A walk through all files.
struct Search {
    listing: Listing,
    written_before: SystemTime,
    report: Report,
}

impl Search {
    fn new(store: &Store, age: Duration) -> Self {
        let written_before = SystemTime::now().checked_sub(age);
        Self {
            listing: store.list(BATCH),
            written_before: written_before.unwrap_or(SystemTime::UNIX_EPOCH),
            report: Report::default(),
        }
    }

    /// The orphans among the next files; `None` at the end.
    async fn next(&mut self, repo: &Repo, store: &Store) -> Result<Option<Vec<ObjectKey>>> {
        let Some(names) = self.listing.next().await? else {
            return Ok(None);
        };
        let report = &mut self.report;
        report.files += names.len() as u64;
        let unnamed = repo.unnamed(&names).await?;
        let (ours, strange): (Vec<_>, Vec<_>) = unnamed.into_iter().partition(Store::is_ours);
        report.strangers += strange.len() as u64;
        if ours.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut lying = Vec::new();
        for (object, look) in store.look(ours, self.written_before).await? {
            match look {
                Look::Moving => {}
                Look::Young => report.young += 1,
                Look::Lies(bytes) => lying.push((object, bytes)),
            }
        }
        // Checked again after the markers are gone: a row may have been added meanwhile.
        let objects: Vec<_> = lying.iter().map(|(object, _)| object.clone()).collect();
        let orphans = repo.unnamed(&objects).await?;
        report.orphans += orphans.len() as u64;
        report.bytes += lying
            .iter()
            .filter(|(object, _)| orphans.contains(object))
            .map(|(_, bytes)| bytes)
            .sum::<u64>();
        let room = LISTED.saturating_sub(report.listed.len());
        report.listed.extend(orphans.iter().take(room).cloned());
        Ok(Some(orphans))
    }
}
