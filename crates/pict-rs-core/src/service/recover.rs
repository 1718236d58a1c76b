//! The start: opens everything, and finishes what the last run left.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{millis, now};
use crate::config::Config;
use crate::helper::Helpers;
use crate::service::forget;
use crate::task::blocking;
use crate::{Context, ErrorCode, ObjectKey, Result, repo};

/// Other jobs go first after a death, and a server that is killed at once does not begin the job.
const RETRY_DELAY: Duration = Duration::from_secs(2);
/// Until a variant whose making killed the server is tried again.
pub(crate) const VARIANT_RETRY_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Opens database and store, then removes what a crash may have left. `data` is the folder for
/// everything that has no path of its own, `helpers` are the programs that are there.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] for settings that cannot work, [`ErrorCode::RepoError`] and
/// [`ErrorCode::FileIoError`] when a folder cannot be used.
pub async fn open(config: Config, data: &Path, helpers: Helpers) -> Result<Arc<Context>> {
    let database = config.database_folder(data);
    repo::refuse_foreign_database(&database, data, config.is_database_folder_default())?;
    open_beside(config, data, helpers).await
}

/// As [`open`], but does not mind a database of the existing pict-rs in the same folder or beside
/// it.
///
/// # Errors
/// As [`open`].
pub async fn open_beside(config: Config, data: &Path, helpers: Helpers) -> Result<Arc<Context>> {
    let ctx = Arc::new(Context::open(config, data, helpers).await?);
    match recover(&ctx).await {
        // What is stored can be served, and room can be made.
        Err(error) if error.code() == ErrorCode::InsufficientStorage => {
            tracing::warn!(%error, "what the last run left is finished when there is room");
        }
        recovered => recovered?,
    }
    Ok(ctx)
}

async fn recover(ctx: &Context) -> Result<()> {
    if ctx.config.server.read_only {
        return Ok(());
    }
    let scratch = ctx.store.scratch().clone();
    let mut leftovers = blocking(move || scratch.tidy()).await?;
    let is_known = async |object: ObjectKey| match object.upload_id() {
        Some(id) => Ok(ctx.repo.waiting(&id).await?.is_some()),
        None => ctx.repo.knows_object(&object).await,
    };
    leftovers += ctx.store.recover(is_known).await?;
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

/// Lets jobs that were held by the last run be done again. One during which the server died is put
/// off.
async fn free_jobs(ctx: &Context) -> Result<u64> {
    let after = |time: Duration| now().saturating_add(millis(time));
    let repo = &ctx.repo;
    repo.free_jobs(now(), after(RETRY_DELAY), after(VARIANT_RETRY_DELAY))
        .await
}
