//! Taking media in: what [`prepare`](mod@super::prepare) has stored is remembered, once.

use std::sync::Arc;

use crate::config::Heal;
use crate::context::{blocking, to_its_end};
use crate::measure::{self, Work};
use crate::query::UploadQuery;
use crate::repo::{Job, NewProxy, NewUpload, Original, Representation};
use crate::service::prepare::{Damaged, Ready, prepare};
use crate::service::process::now;
use crate::service::spool::{self, Spooled};
use crate::service::unanswered::Unanswered;
use crate::service::{remove, retention};
use crate::stage::{Stage, timed};
use crate::store::StoredObject;
use crate::{Alias, Context, DeleteToken, Error, ErrorCode, Result, UploadId};

/// A finished upload.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// Its public name.
    pub alias: Alias,
    /// The secret that deletes it.
    pub token: DeleteToken,
    /// What it names, maybe an earlier upload's content.
    pub original: Original,
}

/// Takes one spooled file in. When this returns, bytes and rows are on disk; they stay once the
/// answer begins.
///
/// # Errors
/// The limits, [`crate::ErrorCode::DiscoverError`], [`crate::ErrorCode::MediaDamaged`],
/// [`crate::ErrorCode::MediaDisallowed`], [`crate::ErrorCode::TooBusy`],
/// [`crate::ErrorCode::FailedExternalValidation`]. Nothing is left of a refused file.
pub async fn ingest(
    ctx: &Arc<Context>,
    spooled: Spooled,
    query: &UploadQuery,
) -> Result<Unanswered> {
    ingest_as(ctx, spooled, query, None).await
}

/// As [`ingest`], under a name that the caller has chosen.
///
/// # Errors
/// As [`ingest`], and [`ErrorCode::DuplicateAlias`].
pub async fn ingest_as(
    ctx: &Arc<Context>,
    spooled: Spooled,
    query: &UploadQuery,
    alias: Option<Alias>,
) -> Result<Unanswered> {
    let running = measure::begin(Work::Ingest);
    let turn = ctx.media.turn().await?;
    let damaged = Damaged::of_uploads(ctx);
    let ready = prepare(ctx, turn, query, damaged, move || spooled.read()).await?;
    let ctx = ctx.clone();
    let uploaded = to_its_end(async move {
        // Without a job there is no lease to lose.
        let uploaded = remember(&ctx, ready, alias, Place::Upload).await?;
        Ok(Unanswered::new(ctx, uploaded.ok_or_else(lease_lost)?))
    })
    .await?;
    measure::file("inline");
    running.completed();
    Ok(uploaded)
}

/// Takes in what was fetched for the proxy. `None`, and nothing is left of it, when the alias
/// that it should replace was removed meanwhile.
///
/// # Errors
/// As [`ingest`].
pub(crate) async fn ingest_proxied(
    ctx: &Arc<Context>,
    spooled: Spooled,
    proxy: NewProxy,
) -> Result<Option<Alias>> {
    let running = measure::begin(Work::Ingest);
    let turn = ctx.media.turn().await?;
    let query = UploadQuery::default();
    // Nobody is there who could send it again.
    let damaged = Damaged::Accepted;
    let ready = prepare(ctx, turn, &query, damaged, move || spooled.read()).await?;
    let ctx = ctx.clone();
    let alias = to_its_end(async move {
        let uploaded = remember(&ctx, ready, None, Place::Proxy(&proxy)).await?;
        retention::grown(&ctx);
        Ok(uploaded.map(|uploaded| uploaded.alias))
    })
    .await?;
    measure::file("proxy");
    running.completed();
    Ok(alias)
}

/// Takes the file of a waiting upload in, together with the end of its job.
///
/// # Errors
/// As [`ingest`], without [`crate::ErrorCode::TooBusy`].
pub(crate) async fn ingest_waiting(
    ctx: &Arc<Context>,
    job: &Job,
    id: &UploadId,
    query: &UploadQuery,
) -> Result<()> {
    let running = measure::begin(Work::BackgroundIngest);
    let turn = ctx.media.background_turn().await?;
    let (store, waiting) = (ctx.store.clone(), *id);
    let read = move || spool::read(store.open_waiting(&waiting)?);
    let ready = prepare(ctx, turn, query, Damaged::of_uploads(ctx), read).await?;
    let (ctx, job, id) = (ctx.clone(), job.clone(), *id);
    to_its_end(async move {
        let uploaded = remember(&ctx, ready, None, Place::Waiting(&job, &id)).await?;
        uploaded.map(drop).ok_or_else(lease_lost)
    })
    .await?;
    measure::file("background");
    running.completed();
    Ok(())
}

/// Another worker has the job by now, and nothing of this attempt was kept.
fn lease_lost() -> Error {
    Error::Internal {
        code: ErrorCode::UnknownError,
        message: "the lease of a job was lost".to_owned(),
        source: None,
    }
}

/// What an upload is remembered together with.
enum Place<'a> {
    /// Nothing.
    Upload,
    /// The end of its job.
    Waiting(&'a Job, &'a UploadId),
    /// The URL that it was fetched from.
    Proxy(&'a NewProxy),
}

/// `None` when its job, or the alias that it replaces, is not there any more. `alias` is one that
/// the caller has chosen.
async fn remember(
    ctx: &Context,
    ready: Ready,
    alias: Option<Alias>,
    place: Place<'_>,
) -> Result<Option<Uploaded>> {
    let Ready {
        mut stored,
        facts,
        blurhash,
        source,
    } = ready;
    let representation = Representation::new(stored.object().clone(), *stored.key(), &facts, now());
    let mut upload = NewUpload {
        alias: alias.unwrap_or_else(|| Alias::generate(facts.format)),
        token: DeleteToken::generate(),
        original: Original {
            representation,
            blurhash,
        },
        source: Some(source),
    };
    stored.name();
    let add = async {
        match place {
            Place::Upload => ctx.repo.add_upload(&upload).await.map(Some),
            Place::Waiting(job, id) => ctx.repo.complete_upload(job, id, &upload, now()).await,
            Place::Proxy(proxy) => match ctx.repo.add_proxied(&upload, proxy, now()).await {
                Ok(None) => Ok(None),
                Ok(Some(proxied)) => {
                    ctx.known.forget(&proxied.replaced);
                    remove::collect(ctx, proxied.objects).await;
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
            blocking(move || {
                stored.discard();
                Ok(())
            })
            .await?;
            return Ok(None);
        }
        Err(error) => {
            forsake(ctx, stored).await;
            return Err(error);
        }
    };
    let mut original = added.original;
    if added.is_new {
        stored.keep();
    } else {
        let only = match ctx.config.media.heal {
            Heal::Alias => Some(&upload.alias),
            Heal::All => None,
        };
        original = heal(ctx, stored, original, only).await?;
    }
    Ok(Some(Uploaded {
        alias: upload.alias,
        token: upload.token,
        original,
    }))
}

/// The content was known. If its object was lost, ours takes its place; else ours is dropped. With
/// `only`, a file that has gone stays lost to all other aliases: it may have been taken away on
/// purpose. One that is damaged is a fault of the disk, and all of them get it back.
pub(crate) async fn heal(
    ctx: &Context,
    stored: StoredObject,
    mut original: Original,
    only: Option<&Alias>,
) -> Result<Original> {
    let known = &original.representation;
    let (store, object, size) = (ctx.store.clone(), known.object.clone(), known.key.size());
    let (stored, is_unusable, is_gone) = blocking(move || {
        let is_unusable = !store.has(&object, size);
        let is_gone = is_unusable && store.is_lost(&object)?;
        Ok((stored, is_unusable, is_gone))
    })
    .await?;
    if is_unusable {
        let found = stored.object().clone();
        let (hash, lost) = (*original.hash(), &original.representation.object);
        let is_replaced = match only.filter(|_| is_gone) {
            Some(alias) => {
                let repo = &ctx.repo;
                repo.replace_object_for(alias, &hash, lost, &found, now())
                    .await?
            }
            None => ctx.repo.replace_object(&hash, lost, &found).await?,
        };
        if is_replaced {
            tracing::warn!(lost = %original.representation.object, %found, "a lost object was healed by an upload");
            stored.keep();
            let aliases = ctx.repo.aliases(original.hash()).await?;
            ctx.known.forget(&aliases);
            original.representation.object = found;
            return Ok(original);
        }
    } else if only.is_none() {
        ctx.repo.restore_aliases(original.hash()).await?;
    }
    blocking(move || {
        stored.discard();
        Ok(())
    })
    .await?;
    Ok(original)
}

/// The database failed. Only if it can say that no row names the object, the object goes now;
/// else the next start decides.
pub(crate) async fn forsake(ctx: &Context, stored: StoredObject) {
    if let Ok(false) = ctx.repo.knows_object(stored.object()).await {
        let _ = blocking(move || {
            stored.discard();
            Ok(())
        })
        .await;
    }
}
