//! Long runs over all media: requested here, done by a task of the worker in small, durable steps.
//! A crash of the server loses at most the current step.

use std::sync::Arc;

use crate::clock::{millis, now};
use crate::repo::audit::Cause;
use crate::repo::node::Notice;
use crate::repo::{Plan, Run, Task};
use crate::service::forget::forget;
use crate::service::{guard, remove, scan};
use crate::task::run_to_completion;
use crate::{Context, Result};

/// Variants removed in one step.
const VARIANTS: u32 = 200;
/// Contents checked in one step.
const CONTENTS: u32 = 500;
/// Entries of the audit log removed in one step.
const ENTRIES: u32 = 1000;

/// Requests the removal of all variants that exist now. They are made again on request.
///
/// # Errors
/// [`crate::ErrorCode::ReadOnly`].
pub async fn drop_variants(ctx: &Arc<Context>, cause: &Cause) -> Result<()> {
    remove::writable(ctx)?;
    // So that they exist for the run, too.
    ctx.pending_variants.all_stored().await;
    let plan = Plan {
        task: Task::Variants,
        restart: true,
        total: ctx.repo.count_for(Task::Variants).await?,
        // All of them are requested, and can be made again.
        allowed: None,
        block: false,
    };
    begin(ctx, plan, cause).await.map(drop)
}

/// The last removal of all variants, if there was one.
///
/// # Errors
/// When the database fails.
pub async fn last_drop(ctx: &Context) -> Result<Option<Run>> {
    ctx.repo.run_of(Task::Variants).await
}

/// Requests a look at all contents: missing PDQ hashes are computed, and what looks like a listed one
/// is put into quarantine.
///
/// # Errors
/// [`crate::ErrorCode::ReadOnly`].
pub async fn scan(ctx: &Context, cause: &Cause) -> Result<Run> {
    remove::writable(ctx)?;
    let plan = Plan {
        task: Task::Scan,
        restart: true,
        total: ctx.repo.count_for(Task::Scan).await?,
        // Nothing is removed.
        allowed: None,
        block: false,
    };
    begin(ctx, plan, cause).await
}

/// The last scan, if there was one.
///
/// # Errors
/// When the database fails.
pub async fn last_scan(ctx: &Context) -> Result<Option<Run>> {
    ctx.repo.run_of(Task::Scan).await
}

/// Requests a check of all contents and the purge of those that have lost their file, unless a run
/// is already requested. `force` starts over, and purges however much is lost. With `block`, purged
/// content cannot be uploaded again. Returns the progress.
///
/// # Errors
/// [`crate::ErrorCode::MassRemoval`] when a run was stopped because too much is lost,
/// [`crate::ErrorCode::ReadOnly`].
pub async fn prune_missing(
    ctx: &Arc<Context>,
    force: bool,
    block: bool,
    cause: &Cause,
) -> Result<Run> {
    remove::writable(ctx)?;
    match ctx.repo.run_of(Task::Prune).await? {
        Some(run) if !force && run.is_stopped => Err(guard::too_many(
            &ctx.config.server,
            &format!(
                "Pruning was stopped, at least {} contents have lost their files",
                run.lost
            ),
            run.total,
            run.allowed.unwrap_or(0),
        )),
        Some(run) if !force => Ok(run),
        _ => begin_prune(ctx, force, block, true, cause).await,
    }
}

/// Requests a run of [`prune_missing`], also after one that has ended. One that has not goes on as it
/// was requested. `force` purges however much is lost.
///
/// # Errors
/// [`crate::ErrorCode::ReadOnly`].
pub async fn request_prune(ctx: &Context, force: bool, block: bool, cause: &Cause) -> Result<Run> {
    remove::writable(ctx)?;
    begin_prune(ctx, force, block, false, cause).await
}

async fn begin_prune(
    ctx: &Context,
    force: bool,
    block: bool,
    restart: bool,
    cause: &Cause,
) -> Result<Run> {
    let total = ctx.repo.count_for(Task::Prune).await?;
    let plan = Plan {
        task: Task::Prune,
        restart,
        total,
        allowed: (!force).then(|| guard::allowance(&ctx.config.server, total)),
        block,
    };
    begin(ctx, plan, cause).await
}

/// The last removal of what has lost its file, if there was one.
///
/// # Errors
/// When the database fails.
pub async fn last_prune(ctx: &Context) -> Result<Option<Run>> {
    ctx.repo.run_of(Task::Prune).await
}

async fn begin(ctx: &Context, plan: Plan, cause: &Cause) -> Result<Run> {
    let run = ctx.repo.begin_run(plan, cause, now()).await?;
    ctx.notifier.maintenance_due();
    ctx.repo.notify(Notice::Maintenance).await;
    Ok(run)
}

/// Does one step of what is due. Returns whether there is more.
///
/// # Errors
/// When database or store fail; the step must be tried again later.
pub(crate) async fn step(ctx: &Arc<Context>) -> Result<bool> {
    let Some(run) = ctx.repo.unfinished_run().await? else {
        return forget_audit(ctx).await;
    };
    let ctx = ctx.clone();
    run_to_completion(async move {
        match run.task {
            Task::Variants => variants(&ctx, &run).await?,
            Task::Prune => prune(&ctx, &run).await?,
            Task::Scan => scan::step(&ctx, &run).await?,
        }
        Ok(true)
    })
    .await
}

async fn variants(ctx: &Context, run: &Run) -> Result<()> {
    guard::check(ctx).await?;
    if let Some(removal) = ctx.repo.drop_variants(run, VARIANTS, now()).await? {
        forget(ctx, removal).await;
    }
    Ok(())
}

/// First counts everything, then removes what is lost, so that a run that would remove too much
/// stops before it removes anything.
async fn prune(ctx: &Context, run: &Run) -> Result<()> {
    let contents = ctx
        .repo
        .contents_after(run.cursor.as_ref(), CONTENTS)
        .await?;
    let cursor = contents.last().map(|(hash, _)| *hash);
    let objects = contents.iter().map(|(_, object)| object.clone());
    let sizes = ctx.store.sizes(objects.collect()).await?;
    let is_lost = contents.into_iter().zip(sizes);
    let lost = is_lost.filter_map(|(content, size)| size.is_none().then_some(content));
    let lost: Vec<_> = lost.collect();
    // Files on a disk that is not mounted must not be mistaken for lost ones.
    if !lost.is_empty() {
        ctx.store.ping().await?;
    }
    // Checked last, because the disk may have been unmounted during the check of files.
    guard::check(ctx).await?;
    let so_far = if run.is_counted {
        run.progress
    } else {
        run.lost
    };
    let found = so_far + lost.len() as u64;
    if let Some(allowed) = run.allowed.filter(|allowed| found > *allowed) {
        tracing::error!(
            lost = found,
            total = run.total,
            allowed,
            "too many contents have lost their files, pruning is stopped"
        );
        return ctx.repo.stop_run(run, found, now()).await;
    }
    if run.allowed.is_some() && !run.is_counted {
        return ctx.repo.count_lost(run, cursor.as_ref(), lost.len()).await;
    }
    let pruned = ctx.repo.prune(run, cursor.as_ref(), &lost, now()).await?;
    if let Some(pruned) = pruned {
        if !pruned.aliases.is_empty() {
            tracing::warn!(
                lost = lost.len(),
                aliases = pruned.aliases.len(),
                "contents whose file is missing are pruned"
            );
        }
        forget(ctx, pruned).await;
    }
    Ok(())
}

async fn forget_audit(ctx: &Context) -> Result<bool> {
    let retention = ctx.config.server.audit_retention.duration();
    let before = ctx.retention_clock.time().saturating_sub(millis(retention));
    Ok(ctx.repo.forget_audit(before, ENTRIES).await? == u64::from(ENTRIES))
}
