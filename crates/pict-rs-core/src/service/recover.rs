//! Startup: opens everything, and finishes what the last run left.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::millis;
use crate::config::Config;
use crate::helper::Helpers;
use crate::service::{forget, takeover};
use crate::task::blocking;
use crate::{Context, ErrorCode, ObjectKey, Result, repo};

/// After a crash other jobs go first, and a server that is killed at once does not start the job.
pub(crate) const RETRY_DELAY: Duration = Duration::from_secs(2);
/// How long until a variant that killed the server is tried again.
pub(crate) const VARIANT_RETRY_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Opens database and store, then cleans up after a crash. `data` is the default folder for
/// everything without a configured path; `helpers` are the installed programs.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] for settings that cannot work, [`ErrorCode::RepoError`] and
/// [`ErrorCode::FileIoError`] when a folder cannot be used.
pub async fn open(config: Config, data: &Path, helpers: Helpers) -> Result<Arc<Context>> {
    if let Some(database) = config.database(data)?.folder() {
        repo::refuse_foreign_database(database, data, config.is_database_folder_default())?;
    }
    let ctx = open_beside(config, data, helpers).await?;
    takeover::begin(&ctx).await?;
    Ok(ctx)
}

/// As [`open`], but accepts a database of the existing pict-rs in the same folder or next to it.
///
/// # Errors
/// As [`open`].
pub async fn open_beside(config: Config, data: &Path, helpers: Helpers) -> Result<Arc<Context>> {
    let ctx = Arc::new(Context::open(config, data, helpers).await?);
    match recover(&ctx).await {
        // On a full disk, stored media can still be served and space be freed.
        Err(error) if error.code() == ErrorCode::InsufficientStorage => {
            tracing::warn!(%error, "what the last run left is finished when there is room");
        }
        Err(error) if error.code() == ErrorCode::StoreUnavailable => {
            tracing::warn!(%error, "what the last run left is finished when the bucket is back");
        }
        recovered => recovered?,
    }
    if ctx.repo.is_shared() {
        ctx.store.share().await?;
    }
    Ok(ctx)
}

/// Whether no other server uses what this one does. An embedded database is locked.
fn is_alone(ctx: &Context) -> bool {
    !ctx.repo.is_shared() || ctx.store.is_alone()
}

async fn recover(ctx: &Context) -> Result<()> {
    if ctx.config.server.read_only {
        return Ok(());
    }
    let scratch = ctx.store.scratch().clone();
    let is_alone = is_alone(ctx);
    let mut leftovers = blocking(move || scratch.tidy(is_alone)).await?;
    let is_known = async |object: ObjectKey| ctx.repo.knows_object(&object).await;
    leftovers += ctx.store.recover(is_known).await?;
    ctx.repo.read_clock().await?;
    ctx.repo.expire_intents(ctx.repo.time()).await?;
    let garbage = ctx.repo.garbage().await?;
    if leftovers > 0 || !garbage.is_empty() {
        tracing::info!(
            leftovers,
            removals = garbage.len(),
            "finishing what the last run left"
        );
    }
    let jobs = free_jobs(ctx).await?;
    if jobs > 0 {
        tracing::info!(jobs, "going on with background work");
    }
    forget::collect(ctx, garbage).await
}

/// Releases jobs that the last run held. Those during which the server died are delayed. Jobs of
/// other servers are released when these give no sign of life.
async fn free_jobs(ctx: &Context) -> Result<u64> {
    let repo = &ctx.repo;
    if !is_alone(ctx) {
        return Ok(0);
    }
    let after = |time: Duration| repo.time().saturating_add(millis(time));
    repo.free_jobs(repo.time(), after(RETRY_DELAY), after(VARIANT_RETRY_DELAY))
        .await
}
