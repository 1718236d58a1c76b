//! Ingests media: records what [`prepare`](mod@super::prepare) has stored.

use std::sync::Arc;

use crate::clock::now;
use crate::config::Heal;
use crate::metrics::{self, WorkKind};
use crate::query::UploadQuery;
use crate::repo::{Job, NewProxy, NewUpload, Original, Owned, Representation, StoredPdq};
use crate::service::budget::{self, Intake};
use crate::service::forget::forget;
use crate::service::keep::{discard_if_unreferenced, replace_lost_object};
use crate::service::owner;
use crate::service::pending_upload::{PendingUpload, Uploaded, undo_if_committed};
use crate::service::prepare::{Damaged, Ready, prepare, prepare_in_memory, refuse_failed};
use crate::service::retention;
use crate::service::spool::{Incoming, Spooled};
use crate::store::Prefix;
use crate::task::run_to_completion;
use crate::timing::{Stage, timed};
use crate::{Alias, Context, DeleteToken, Error, ErrorCode, Result, UploadId, repo};

/// Ingests one spooled file. When this returns, bytes and rows are on disk; they are undone unless
/// the answer begins.
///
/// # Errors
/// The limits, [`ErrorCode::OwnerQuota`], [`crate::ErrorCode::DiscoverError`], [`crate::ErrorCode::MediaDamaged`],
/// [`crate::ErrorCode::MediaDisallowed`], [`crate::ErrorCode::TooBusy`],
/// [`crate::ErrorCode::FailedExternalValidation`]. Nothing is left of a refused file.
pub(crate) async fn ingest(
    ctx: &Arc<Context>,
    spooled: Spooled,
    query: &UploadQuery,
) -> Result<PendingUpload> {
    ingest_as(ctx, spooled, query, None).await
}

/// Ingests the files of one request, all or none, each under its chosen alias if there is one. When
/// this returns, the answer begins.
///
/// # Errors
/// As [`ingest`], and [`ErrorCode::DuplicateAlias`].
pub async fn ingest_all(
    ctx: &Arc<Context>,
    files: Vec<(Option<Alias>, Spooled)>,
    query: &UploadQuery,
) -> Result<Vec<Uploaded>> {
    let mut uploaded: Vec<PendingUpload> = Vec::with_capacity(files.len());
    for (alias, file) in files {
        match ingest_as(ctx, file, query, alias).await {
            Ok(file) => uploaded.push(file),
            Err(error) => {
                for file in uploaded {
                    file.take_back().await?;
                }
                return Err(error);
            }
        }
    }
    Ok(uploaded.into_iter().map(PendingUpload::deliver).collect())
}

async fn ingest_as(
    ctx: &Arc<Context>,
    spooled: Spooled,
    query: &UploadQuery,
    alias: Option<Alias>,
) -> Result<PendingUpload> {
    let running = metrics::begin(WorkKind::Ingest);
    let damaged = Damaged::of_uploads(ctx);
    // It need not wait only to fail again.
    refuse_failed(ctx, &spooled.digest(), query, damaged)?;
    owner::admit(ctx, query).await?;
    let admitted = budget::admit(ctx, spooled.size(), Intake::Upload).await?;
    let permit = ctx.media.acquire().await?;
    let incoming = Incoming::Spooled(spooled);
    let ready = prepare(ctx, permit, query, damaged, Prefix::Original, incoming).await?;
    let (ctx, owned) = (ctx.clone(), owner::of(ctx, query));
    let uploaded = run_to_completion(async move {
        // Without a job there is no lease to lose.
        let uploaded = remember(&ctx, ready, alias, owned, Destination::Upload).await?;
        drop(admitted);
        Ok(PendingUpload::new(ctx, uploaded.ok_or_else(lease_lost)?))
    })
    .await?;
    metrics::file("inline");
    running.completed();
    Ok(uploaded)
}

/// Ingests a file fetched for the proxy. Returns `None`, and keeps nothing, when the alias that it
/// should replace was removed meanwhile.
///
/// # Errors
/// As [`ingest`].
pub(crate) async fn ingest_proxied(
    ctx: &Arc<Context>,
    spooled: Spooled,
    proxy: NewProxy,
) -> Result<Option<Alias>> {
    let running = metrics::begin(WorkKind::Ingest);
    let admitted = budget::admit(ctx, spooled.size(), Intake::Proxied).await?;
    let permit = ctx.media.acquire().await?;
    let query = UploadQuery::default();
    // The upstream will not send a better copy.
    let damaged = Damaged::Accepted;
    let incoming = Incoming::Spooled(spooled);
    let ready = prepare(ctx, permit, &query, damaged, Prefix::Proxied, incoming).await?;
    let ctx = ctx.clone();
    let alias = run_to_completion(async move {
        let uploaded = remember(&ctx, ready, None, None, Destination::Proxy(&proxy)).await?;
        drop(admitted);
        retention::grown(&ctx);
        Ok(uploaded.map(|uploaded| uploaded.alias))
    })
    .await?;
    metrics::file("proxy");
    running.completed();
    Ok(alias)
}

/// Takes in a file fetched for the proxy that does not fit on the disk. It is served under this alias
/// for a while, and no row names it.
///
/// # Errors
/// As [`ingest`], and [`ErrorCode::InsufficientStorage`] when it is too large for memory too.
pub(crate) async fn ingest_in_memory(ctx: &Arc<Context>, spooled: Spooled) -> Result<Alias> {
    let running = metrics::begin(WorkKind::Ingest);
    let permit = ctx.media.acquire().await?;
    let original = prepare_in_memory(ctx, permit, spooled).await?;
    let generation = ctx.fact_cache.generation();
    // Else the database asks when the content is added.
    ctx.repo.refuse_blocked(&original.hash().digest()).await?;
    let alias = Alias::generate(original.hash().format());
    let original = Arc::new(original);
    ctx.fact_cache.remember(generation, &alias, &original);
    metrics::file("memory");
    running.completed();
    Ok(alias)
}

/// Ingests the file of a waiting upload and ends its job.
///
/// # Errors
/// As [`ingest`], without [`crate::ErrorCode::TooBusy`].
pub(crate) async fn ingest_waiting(
    ctx: &Arc<Context>,
    job: &Job,
    id: &UploadId,
    query: &UploadQuery,
) -> Result<()> {
    let running = metrics::begin(WorkKind::BackgroundIngest);
    let permit = ctx.media.acquire_background().await?;
    let damaged = Damaged::of_uploads(ctx);
    let incoming = Incoming::Waiting(*id);
    let ready = prepare(ctx, permit, query, damaged, Prefix::Original, incoming).await?;
    let (ctx, job, id, owned) = (ctx.clone(), job.clone(), *id, owner::of(ctx, query));
    run_to_completion(async move {
        let uploaded = remember(&ctx, ready, None, owned, Destination::Waiting(&job, &id)).await?;
        uploaded.map(drop).ok_or_else(lease_lost)
    })
    .await?;
    metrics::file("background");
    running.completed();
    Ok(())
}

/// Another worker has taken the job, and nothing of this attempt was kept.
fn lease_lost() -> Error {
    Error::Internal {
        code: ErrorCode::UnknownError,
        message: "the lease of a job was lost".to_owned(),
        source: None,
    }
}

/// What is committed together with an upload.
enum Destination<'a> {
    /// Nothing.
    Upload,
    /// The end of its job.
    Waiting(&'a Job, &'a UploadId),
    /// The URL that it was fetched from.
    Proxy(&'a NewProxy),
}

/// Returns `None` when its job, or the alias that it replaces, no longer exists. `alias` is chosen
/// by the caller.
async fn remember(
    ctx: &Arc<Context>,
    ready: Ready,
    alias: Option<Alias>,
    owned: Option<Owned>,
    destination: Destination<'_>,
) -> Result<Option<Uploaded>> {
    let Ready {
        mut stored,
        facts,
        preview,
        listed,
        frames,
        source,
    } = ready;
    let representation = Representation::new(stored.object().clone(), *stored.key(), &facts, now());
    let mut upload = NewUpload {
        alias: alias.unwrap_or_else(|| Alias::generate(facts.format)),
        token: DeleteToken::generate(),
        pdq: Some(StoredPdq {
            frames,
            ..StoredPdq::of(preview.pdq.as_ref())
        }),
        original: Original {
            representation,
            hints: preview.into(),
        },
        listed,
        source: Some(source),
        owned,
    };
    stored.name();
    // Nothing else was to be committed that would find the upload again.
    let is_alone = matches!(destination, Destination::Upload);
    let add = async {
        match destination {
            Destination::Upload => ctx.repo.add_upload(&upload).await.map(Some),
            Destination::Waiting(job, id) => {
                ctx.repo.complete_upload(job, id, &upload, now()).await
            }
            Destination::Proxy(proxy) => match ctx.repo.add_proxied(&upload, proxy, now()).await {
                Ok(None) => Ok(None),
                Ok(Some(proxied)) => {
                    forget(ctx, proxied.removal).await;
                    upload.alias = proxied.alias;
                    Ok(Some(proxied.added))
                }
                Err(error) => Err(error),
            },
        }
    };
    let added = timed(Stage::Database, add).await;
    let added = match added {
        Ok(Some(added)) => added,
        Ok(None) => {
            stored.discard().await;
            return Ok(None);
        }
        Err(error) => {
            if is_alone && repo::is_uncertain(&error) {
                undo_if_committed(ctx, upload.alias, upload.token);
            }
            discard_if_unreferenced(ctx, stored, &error).await;
            return Err(error);
        }
    };
    let mut original = added.original;
    if added.is_new {
        stored.keep().await;
    } else {
        let only = match ctx.config.media.heal {
            Heal::Alias => Some(&upload.alias),
            Heal::All => None,
        };
        original = replace_lost_object(ctx, stored, original, only).await?;
    }
    Ok(Some(Uploaded {
        alias: upload.alias,
        token: upload.token,
        original,
    }))
}
