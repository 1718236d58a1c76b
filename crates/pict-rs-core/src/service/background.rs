//! Background work: accepting it, and doing it when a worker takes it.
//!
//! Accepting ends with a committed job; from then on the work is done, or fails with an outcome,
//! even if the server crashes. The worker (`crate::worker`) decides when.

use std::sync::Arc;

use crate::clock::now;
use crate::metrics;
use crate::query::{ProcessRequest, UploadQuery};
use crate::repo::node::Notice;
use crate::repo::{Enqueued, Failure, Job, Work};
use crate::service::budget::{self, Intake};
use crate::service::forget::collect;
use crate::service::spool::Spooled;
use crate::service::variant;
use crate::service::{find, owner, remove, upload};
use crate::store::StoredObject;
use crate::task::run_to_completion;
use crate::{Alias, Context, Error, ErrorCode, ObjectKey, Result, UploadId};

/// Refuses requests that could not be accepted, before their bytes are read.
///
/// # Errors
/// [`ErrorCode::TooBusy`], [`ErrorCode::ReadOnly`].
pub async fn admit(ctx: &Context) -> Result<()> {
    remove::writable(ctx)?;
    if ctx.repo.jobs().await? >= limit(ctx) {
        return Err(full(ctx));
    }
    Ok(())
}

/// Accepts the files of one request; each gets its own outcome. Once this returns, they survive a
/// crash. `query` is the request's, already validated.
///
/// # Errors
/// [`ErrorCode::TooBusy`] when there is not enough room for all of them; then none is accepted.
pub async fn accept(ctx: &Arc<Context>, files: Vec<Spooled>, query: &str) -> Result<Vec<UploadId>> {
    let (ctx, query) = (ctx.clone(), query.to_owned());
    run_to_completion(async move {
        let size = files.iter().map(Spooled::size).sum();
        // They count again when they are worked on; until then they are bounded by their number.
        let _admitted = budget::admit(&ctx, size, Intake::Upload).await?;
        owner::admit(&ctx, &UploadQuery::parse(&query)?).await?;
        let ids: Vec<_> = files.iter().map(|_| UploadId::generate()).collect();
        let mut stored = Vec::with_capacity(files.len());
        for (id, file) in ids.iter().zip(files) {
            stored.push(file.wait(&ctx, id).await?);
        }
        stored.iter_mut().for_each(StoredObject::name);
        match ctx
            .repo
            .add_waiting(&ids, &query, ctx.repo.time(), limit(&ctx))
            .await
        {
            Ok(true) => {
                metrics::background_uploads(ids.len());
                ids.iter().for_each(|_| ctx.notifier.job_queued());
                ctx.repo.notify(Notice::Job).await;
                Ok(ids)
            }
            Ok(false) => {
                for file in stored {
                    file.discard().await;
                }
                Err(full(&ctx))
            }
            Err(error) => {
                for (id, file) in ids.iter().zip(stored) {
                    // The file is deleted now only if the database confirms that no row names it;
                    // otherwise the next start decides, or its intent.
                    if !ctx.store.needs_intents()
                        && let Ok(None) = ctx.repo.waiting(id).await
                    {
                        file.discard().await;
                    }
                }
                Err(error)
            }
        }
    })
    .await
}

/// Queues the making of a variant, unless it exists or is queued already.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::TooBusy`], [`ErrorCode::ReadOnly`] when it would have
/// to be made.
pub async fn process(ctx: &Arc<Context>, alias: &Alias, request: &ProcessRequest) -> Result<()> {
    if variant::existing(ctx, alias, request).await?.is_some() {
        return Ok(());
    }
    remove::writable(ctx)?;
    let request = variant::normalized(ctx, alias, request).await?;
    let original = find::original(ctx, alias).await?;
    let variant = request.key.as_str();
    match ctx
        .repo
        .enqueue_variant(original.hash(), alias, variant, ctx.repo.time(), limit(ctx))
        .await?
    {
        Enqueued::Added => {
            metrics::queued("variant", 1);
            ctx.notifier.job_queued();
            ctx.repo.notify(Notice::Job).await;
        }
        Enqueued::Known => {}
        Enqueued::Full => return Err(full(ctx)),
    }
    Ok(())
}

/// Does a job. When this returns without an error, the job is no longer in the queue.
///
/// # Errors
/// The errors of the work; the job is still held then.
pub(crate) async fn run(ctx: &Arc<Context>, job: &Job) -> Result<()> {
    match &job.work {
        Work::Ingest(id) => {
            let Some(query) = ctx.repo.waiting(id).await? else {
                // The upload already has its outcome, so this job should not exist.
                return ctx.repo.finish_job(job).await.map(drop);
            };
            let query = UploadQuery::parse(&query)?;
            upload::ingest_waiting(ctx, job, id, &query).await?;
            over(ctx, id).await;
        }
        Work::Variant { alias, variant } => {
            let request = ProcessRequest::from_key(variant)?;
            if let Err(error) = variant::in_background(ctx, alias, &request).await {
                return Err(find::lost_or_removed(ctx, alias, error).await);
            }
            ctx.repo.finish_job(job).await?;
        }
    }
    Ok(())
}

/// Removes a job that cannot be done from the queue; the outcome of an upload is `error`.
///
/// # Errors
/// When the database fails.
pub(crate) async fn give_up(ctx: &Arc<Context>, job: &Job, error: &Error) -> Result<()> {
    let Work::Ingest(id) = &job.work else {
        return ctx.repo.finish_job(job).await.map(drop);
    };
    let failure = Failure {
        code: error.code(),
        message: error.user_message().cloned(),
    };
    let (ctx, job, id) = (ctx.clone(), job.clone(), *id);
    run_to_completion(async move {
        if ctx.repo.fail_upload(&job, &id, &failure, now()).await? {
            over(&ctx, &id).await;
        }
        Ok(())
    })
    .await
}

/// Deletes the file of an upload whose outcome is committed, and wakes waiting clients.
async fn over(ctx: &Context, id: &UploadId) {
    ctx.notifier.ring(id);
    ctx.repo.notify(Notice::Upload(*id)).await;
    let file = vec![ObjectKey::of_upload(id)];
    let removed = match ctx.store.needs_intents() {
        true => collect(ctx, file).await,
        false => ctx.store.remove(file).await.map(drop),
    };
    if let Err(error) = removed {
        tracing::warn!(%error, "a file stays in the store until the next start");
    }
}

fn limit(ctx: &Context) -> u64 {
    ctx.config.media.background_length as u64
}

fn full(ctx: &Context) -> Error {
    Error::user(
        ErrorCode::TooBusy,
        format!(
            "Too much is waiting to be done in the background; the limit is {}",
            limit(ctx)
        ),
    )
    .limit(limit(ctx))
}
