//! What lies in the store, and what of it nobody needs: sums for whoever pays for the disk, and a
//! search for files that no row names. Such files should not exist; a power cut on a file system
//! that reorders its changes, or a restored backup, can leave them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use crate::context::{blocking, to_its_end};
use crate::repo::Usage;
use crate::service::remove;
use crate::store::{Look, Store};
use crate::{Context, Error, ErrorCode, ObjectKey, Result};

/// Names that are looked up in the database at a time.
const BATCH: usize = 512;
/// Names that a report lists.
const LISTED: usize = 100;

/// What a search for orphans found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files that were looked at.
    pub files: u64,
    /// Files that no row names.
    pub orphans: u64,
    /// What these take.
    pub bytes: u64,
    /// Of these, how many were removed.
    pub removed: u64,
    /// Files that no row names and that were written too short a while ago to be judged.
    pub young: u64,
    /// Files that are not ours, which are never removed.
    pub strangers: u64,
    /// The first orphans.
    pub listed: Vec<ObjectKey>,
    /// Whether everything was looked at; not so if the server stopped meanwhile.
    pub is_complete: bool,
}

/// What there is. Costs a few look-ups, however much that is.
///
/// # Errors
/// When the database fails.
pub async fn usage(ctx: &Context) -> Result<Usage> {
    ctx.repo.usage().await
}

/// Looks at every file in the store and reports those that no row names and that were written at
/// least `age` ago; removes them unless it is a dry run. Costs a look at every folder and a
/// look-up for each file; memory stays the same. Goes on when the client goes away.
///
/// # Errors
/// [`ErrorCode::TooBusy`] while another search runs, [`ErrorCode::ReadOnly`] unless it is a dry
/// run, and when database or store fail.
pub async fn orphans(ctx: &Arc<Context>, age: Duration, is_dry_run: bool) -> Result<Report> {
    if !is_dry_run {
        remove::writable(ctx)?;
    }
    let turn = ctx.collecting.clone().try_lock_owned().map_err(|_| {
        Error::user(
            ErrorCode::TooBusy,
            "Files that nobody needs are being looked for already; the limit is 1 search at a time",
        )
    })?;
    let ctx = ctx.clone();
    to_its_end(async move {
        let report = search(&ctx, age, is_dry_run).await?;
        drop(turn);
        tracing::info!(
            files = report.files,
            orphans = report.orphans,
            bytes = report.bytes,
            removed = report.removed,
            "looked for files that nobody needs"
        );
        Ok(report)
    })
    .await
}

async fn search(ctx: &Arc<Context>, age: Duration, is_dry_run: bool) -> Result<Report> {
    let written_before = SystemTime::now()
        .checked_sub(age)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let (sender, mut batches) = mpsc::channel(1);
    let store = ctx.store.clone();
    let walk = tokio::spawn(blocking(move || {
        store.walk(BATCH, |names| sender.blocking_send(names).is_ok())
    }));
    let mut report = Report::default();
    while let Some(names) = batches.recv().await {
        if ctx.wake.is_stopping() {
            return Ok(report);
        }
        report.files += names.len() as u64;
        let unnamed = ctx.repo.unnamed(&names).await?;
        let (ours, strange): (Vec<_>, Vec<_>) = unnamed.into_iter().partition(Store::is_ours);
        report.strangers += strange.len() as u64;
        if !ours.is_empty() {
            judge(ctx, ours, written_before, is_dry_run, &mut report).await?;
        }
    }
    walk.await
        .map_err(|panic| Error::internal(ErrorCode::UnknownError, "a search panicked", panic))??;
    report.is_complete = true;
    Ok(report)
}

async fn judge(
    ctx: &Context,
    unnamed: Vec<ObjectKey>,
    written_before: SystemTime,
    is_dry_run: bool,
    report: &mut Report,
) -> Result<()> {
    let store = ctx.store.clone();
    let (lying, young) = blocking(move || {
        let (mut lying, mut young) = (Vec::new(), 0);
        for object in unnamed {
            match store.look(&object, written_before) {
                Look::Moving => {}
                Look::Young => young += 1,
                Look::Lies(bytes) => lying.push((object, bytes)),
            }
        }
        Ok((lying, young))
    })
    .await?;
    report.young += young;
    // Once more, now that no marker says that a row may come.
    let objects: Vec<_> = lying.iter().map(|(object, _)| object.clone()).collect();
    let orphans = ctx.repo.unnamed(&objects).await?;
    report.orphans += orphans.len() as u64;
    report.bytes += lying
        .iter()
        .filter(|(object, _)| orphans.contains(object))
        .map(|(_, bytes)| bytes)
        .sum::<u64>();
    let room = LISTED.saturating_sub(report.listed.len());
    report.listed.extend(orphans.iter().take(room).cloned());
    if !is_dry_run {
        let store = ctx.store.clone();
        report.removed += blocking(move || {
            orphans.iter().try_for_each(|object| store.remove(object))?;
            Ok(orphans.len() as u64)
        })
        .await?;
    }
    Ok(())
}
