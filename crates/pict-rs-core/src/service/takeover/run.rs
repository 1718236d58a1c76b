//! The run of a takeover: walks the list of the predecessor's contents, page by page, and copies what
//! is not here. When a whole pass finds nothing to copy, everything is here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::sleep_until;

use super::{Copied, copy};
use crate::clock::now;
use crate::fetch::predecessor::{ListedContent, Predecessor};
use crate::media::Rank;
use crate::repo::{Brought, Onward, Step, TakeoverRun};
use crate::service::forget::forget;
use crate::{Alias, Context, Error, ErrorCode, Result};

/// Contents in a page: old versions compute what they lack for each of them.
const PAGE: u32 = 20;
/// Deletions that one step passes on.
pub(super) const DELETIONS: u32 = 1000;
/// Between two lines in the log.
const LOG_EVERY: u64 = 1000;
/// Until the next pass, when some contents failed.
const AFTER_FAILURES: Duration = Duration::from_secs(60);
/// When everything is here, until the predecessor is told again what was deleted.
const AFTER_SILENCE: Duration = Duration::from_secs(15);
/// While the disk is full.
const AFTER_FULL_DISK: Duration = Duration::from_secs(5);
/// When there is nothing to do.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// Does one step. Returns how long to wait until the next one.
///
/// # Errors
/// When the predecessor, the database or the store fails; the step must be tried again later.
pub(crate) async fn step(ctx: &Arc<Context>) -> Result<Duration> {
    let stepped = attempt(ctx).await;
    ctx.arrivals.note(stepped.as_ref().err());
    stepped
}

async fn attempt(ctx: &Arc<Context>) -> Result<Duration> {
    let (Some(predecessor), Some(run)) = (&ctx.predecessor, ctx.repo.takeover().await?) else {
        return Ok(IDLE);
    };
    if run.finished_at.is_some() {
        learn_tokens(ctx).await?;
        return match pass_on_deletions(ctx, predecessor).await {
            // It may have been stopped for good.
            Err(error) if error.code() == ErrorCode::PredecessorUnavailable => Ok(AFTER_SILENCE),
            passed_on => passed_on.map(|()| IDLE),
        };
    }
    pass_on_deletions(ctx, predecessor).await?;
    if !ctx.repo.has_room().await {
        return Ok(AFTER_FULL_DISK);
    }
    let listed = predecessor.page(run.position.as_deref(), PAGE).await?;
    let next = listed
        .next
        .filter(|next| Some(next) != run.position.as_ref());
    let mut taken = stream::iter(listed.hashes)
        .map(|entry| take(ctx, entry))
        .buffer_unordered(ctx.config.takeover.concurrency);
    let mut step = Step::default();
    while let Some(one) = taken.next().await {
        step.add(&one?);
    }
    let mut total = match run.position {
        Some(_) => run.found,
        None => Step::default(),
    };
    let before = total.contents;
    total.add(&step);
    let is_last = next.is_none();
    if is_last || before / LOG_EVERY != total.contents / LOG_EVERY {
        tracing::info!(
            pass = run.pass,
            contents = total.contents,
            changed = total.changed,
            altered = total.altered,
            lost = total.lost,
            failed = total.failed,
            copied = run.copied + step.copied,
            bytes = run.bytes + step.bytes,
            "taking over"
        );
    }
    if is_last {
        learn_tokens(ctx).await?;
    }
    let onward = match &next {
        Some(next) => Onward::Page(next),
        None if total.changed == 0 && total.failed == 0 && has_told_all(ctx).await? => {
            Onward::Finished
        }
        None => Onward::Again,
    };
    ctx.repo.advance_takeover(&run, step, onward, now()).await?;
    match onward {
        Onward::Finished => {
            ctx.arrivals.set_complete(true);
            finished(ctx, &run, &total).await?;
            Ok(IDLE)
        }
        Onward::Again if total.failed > 0 => Ok(AFTER_FAILURES),
        Onward::Again | Onward::Page(_) => Ok(Duration::ZERO),
    }
}

async fn finished(ctx: &Context, run: &TakeoverRun, total: &Step) -> Result<()> {
    let unknown_tokens = ctx.repo.unknown_tokens().await?;
    tracing::info!(
        predecessor = run.url,
        contents = total.contents,
        altered = total.altered,
        lost = total.lost,
        copied = run.copied,
        aliases = run.aliases,
        bytes = run.bytes,
        unknown_tokens,
        "everything that the old server lists is here: the old server can be stopped, unless it is \
         still needed for delete tokens that only it knows"
    );
    Ok(())
}

/// Reads tokens of what was brought, if the predecessor's database is known.
async fn learn_tokens(ctx: &Context) -> Result<()> {
    #[cfg(feature = "migrate")]
    super::tokens::learn_all(ctx).await?;
    #[cfg(not(feature = "migrate"))]
    let _ = ctx;
    Ok(())
}

async fn has_told_all(ctx: &Context) -> Result<bool> {
    Ok(ctx.repo.untold(1).await?.is_empty())
}

/// Has the predecessor delete what was deleted here.
async fn pass_on_deletions(ctx: &Context, predecessor: &Predecessor) -> Result<()> {
    for alias in ctx.repo.untold(DELETIONS).await? {
        match predecessor.delete(&alias).await {
            Ok(()) => ctx.repo.told(&alias).await?,
            // One that fails must not hold up everything else.
            Err(error) if error.code() == ErrorCode::PredecessorError => {
                tracing::warn!(%alias, "the predecessor cannot delete an alias: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Brings one content of a page, or checks that it is here.
async fn take(ctx: &Arc<Context>, entry: ListedContent) -> Result<Step> {
    let mut step = Step {
        contents: 1,
        ..Step::default()
    };
    let mut here = None;
    let mut missing = Vec::new();
    for alias in entry.aliases() {
        if ctx.repo.has_alias(&alias).await? {
            here = Some(alias);
        } else if !ctx.repo.is_buried(&alias).await? {
            missing.push(alias);
        }
    }
    if missing.is_empty() {
        if let Some(alias) = here {
            check(ctx, &alias, &entry, &mut step).await?;
        }
        return Ok(step);
    }
    match bring(ctx, &entry, &missing, &mut step).await {
        Ok(()) => {}
        // Trying again may help, or not; other contents do not wait for it.
        Err(error) if error.is_users() && !is_general(error.code()) => {
            tracing::warn!(alias = %missing[0], code = error.code().as_str(), "a content is not brought: {error}");
            step.failed = 1;
        }
        Err(error) => return Err(error),
    }
    Ok(step)
}

/// Whether the next content would fail in the same way.
fn is_general(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PredecessorUnavailable | ErrorCode::InsufficientStorage | ErrorCode::TooBusy
    )
}

async fn bring(
    ctx: &Arc<Context>,
    entry: &ListedContent,
    missing: &[Alias],
    step: &mut Step,
) -> Result<()> {
    let recorded = entry.details.clone();
    if let Some(key) = entry.key() {
        let created_at = recorded
            .as_ref()
            .map_or_else(now, |known| known.created_at());
        let brought = ctx.repo.bring_in(Brought::Known(&key), missing, created_at);
        // A blocked content is handled below.
        match brought.await {
            Ok(Some(brought)) => {
                forget(ctx, brought.removal).await;
                step.changed = 1;
                step.aliases = brought.aliases;
                return Ok(());
            }
            Ok(None) => {}
            Err(error) if error.code() == ErrorCode::Blocked => {}
            Err(error) => return Err(error),
        }
    }
    sleep_until(ctx.arrivals.turn(ctx.config.takeover.rate)).await;
    match copy(ctx, &missing[0], missing, recorded, Rank::Background).await? {
        Copied::Added {
            aliases,
            bytes,
            is_altered,
        } => {
            step.changed = 1;
            step.copied = 1;
            step.aliases = aliases;
            step.bytes = bytes;
            step.altered = u64::from(is_altered);
        }
        // Requests were faster, or it is blocked here.
        Copied::Nothing => step.changed = 1,
        // It was deleted meanwhile, here and there.
        Copied::Unknown if ctx.repo.is_buried(&missing[0]).await? => {}
        Copied::Unknown | Copied::Lost => {
            tracing::warn!(alias = %missing[0], "the predecessor does not have the file of a content that it lists");
            step.lost = 1;
        }
    }
    Ok(())
}

/// Compares a content that is here with what the predecessor lists.
async fn check(ctx: &Context, alias: &Alias, entry: &ListedContent, step: &mut Step) -> Result<()> {
    let original = match ctx.repo.original(alias).await {
        Ok(Some(original)) => original,
        // Removed at this moment.
        Ok(None) => return Ok(()),
        Err(error) if error.code() == ErrorCode::LostFile => {
            return Err(incomplete_here(alias));
        }
        Err(error) => return Err(error),
    };
    if entry.key().is_some_and(|key| key != *original.hash()) {
        step.altered = 1;
    }
    let stored = &original.representation;
    if ctx.store.size(&stored.object).await? != Some(stored.key.size()) {
        // Not brought again: if a disk is not mounted, that would be everything.
        return Err(incomplete_here(alias));
    }
    Ok(())
}

fn incomplete_here(alias: &Alias) -> Error {
    Error::Internal {
        code: ErrorCode::LostFile,
        message: format!(
            "the file of alias {alias} was brought and is lost here; prune_missing removes such \
             aliases, which are brought again then"
        ),
        source: None,
    }
}
