//! Several servers on one database: follows what others remove, hears of their work, gives signs of
//! life. Run by the worker, only where the database can be shared.
//!
//! Facts that are kept in memory are used only for [`TRUST`] after the last time that everything
//! other servers had removed by then was forgotten here. So what was removed is not served later than
//! that by any server, not even by one that is cut off from the database: it asks, and fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::repo::node::{ANNOUNCED_FOR, DEAD_AFTER, Notice};
use crate::service::recover::RETRY_DELAY;
use crate::{ContentKey, Context, Error, Result, VariantKey, metrics};

/// How long facts in memory may be used without a look at what others have removed. With the time of
/// an answer that has begun it is within the promised second.
const TRUST: Duration = Duration::from_millis(900);
/// How often a server looks, unless it is told earlier.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How often a server gives a sign of life: a few of them may be late.
const SIGN_INTERVAL: Duration = Duration::from_secs(2);
/// For how long one server drops what is old, and does long runs, before another one may.
pub(crate) const HOUSE_LEASE: Duration = Duration::from_secs(15);
const HOUSEKEEPING: &str = "housekeeping";

/// Forgets what other servers remove.
pub(crate) async fn follow(ctx: Arc<Context>) {
    let mut seen: Option<(i64, Instant)> = None;
    let mut is_away = false;
    while !ctx.notifier.is_stopping() {
        let told = ctx.notifier.removed();
        let began = Instant::now();
        // After a long absence announcements may be missing.
        let last = seen.filter(|(_, at)| at.elapsed() < ANNOUNCED_FOR / 2);
        match catch_up(&ctx, last.map(|(number, _)| number)).await {
            Ok(number) => {
                seen = Some((number, began));
                ctx.fact_cache.trust_until(began + TRUST);
                is_away = false;
            }
            Err(error) => {
                if !is_away {
                    tracing::warn!(%error, "what other servers remove is not known at the moment");
                }
                is_away = true;
            }
        }
        tokio::select! {
            () = told => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            _ = ctx.notifier.stopped() => {}
        }
    }
}

/// Forgets what was removed after an announcement, or everything. Returns the last announcement.
async fn catch_up(ctx: &Context, last: Option<i64>) -> Result<i64> {
    let Some(mut number) = last else {
        let number = ctx.repo.last_announcement().await?;
        ctx.fact_cache.clear();
        return Ok(number);
    };
    loop {
        let news = ctx.repo.news_after(number).await?;
        number = news.number;
        if !news.removal.aliases.is_empty() {
            ctx.fact_cache.forget(&news.removal.aliases);
        }
        if !news.removal.contents.is_empty() {
            let contents = news.removal.contents.into_iter().collect();
            ctx.fact_cache.forget_contents(&contents);
        }
        if !news.has_more {
            return Ok(number);
        }
    }
}

/// Passes on what other servers tell. Without it they are noticed later.
pub(crate) async fn hear(ctx: Arc<Context>) {
    while !ctx.notifier.is_stopping() {
        let heard = tokio::select! {
            heard = hear_until_lost(&ctx) => heard,
            _ = ctx.notifier.stopped() => return,
        };
        match heard {
            // A standby has no notices.
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "other servers are not heard"),
        }
        tokio::time::sleep(SIGN_INTERVAL / 2).await;
    }
}

async fn hear_until_lost(ctx: &Context) -> Result<()> {
    if ctx.config.server.read_only {
        return Ok(());
    }
    let Some(mut notices) = ctx.repo.listen().await? else {
        return Ok(());
    };
    // Some were missed: everything may have happened.
    ctx.notifier.removal_announced();
    ctx.notifier.job_queued();
    ctx.notifier.ring_all();
    loop {
        let notice = notices.next().await?;
        metrics::notification();
        match notice {
            Notice::Removal => ctx.notifier.removal_announced(),
            Notice::Job => {
                metrics::job_notification();
                ctx.notifier.job_queued();
            }
            Notice::Maintenance => ctx.notifier.maintenance_due(),
            Notice::Upload(id) => {
                metrics::upload_notification();
                ctx.notifier.ring(&id);
            }
        }
    }
}

/// Gives signs of life, frees what dead servers held, and takes leave.
pub(crate) async fn live(ctx: Arc<Context>) {
    while !ctx.notifier.is_stopping() {
        match ctx.repo.give_sign_of_life(RETRY_DELAY).await {
            Ok(0) => {}
            Ok(gone) => {
                tracing::warn!(gone, after = ?DEAD_AFTER, "other servers are gone, their work is done here");
                ctx.notifier.job_queued();
            }
            Err(error) => log(&error),
        }
        tokio::select! {
            () = tokio::time::sleep(SIGN_INTERVAL) => {}
            _ = ctx.notifier.stopped() => {}
        }
    }
    // Jobs still run for a while; the next server that starts frees what is left.
    if let Err(error) = ctx.repo.give_lease_back(HOUSEKEEPING).await {
        log(&error);
    }
}

fn log(error: &Error) {
    tracing::debug!(%error, "no sign of life could be given");
}

/// The right to make a variant. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Turn(Option<(Arc<Context>, String)>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((ctx, name)) = self.0.take() {
            let runtime = ctx.runtime.clone();
            runtime.spawn(async move {
                if let Err(error) = ctx.repo.give_lease_back(&name).await {
                    // It runs out.
                    log(&error);
                }
            });
        }
    }
}

/// Takes the right to make a variant, so that no two servers make it at the same time. `None` while
/// another server makes it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn take_turn(
    ctx: &Arc<Context>,
    hash: &ContentKey,
    variant: &VariantKey,
) -> Result<Option<Turn>> {
    if !ctx.repo.is_shared() {
        return Ok(Some(Turn(None)));
    }
    let name = format!("variant/{}/{}", hash.to_hex(), variant.as_str());
    let media = &ctx.config.media;
    let longest = media.queue_timeout.duration() + media.process_timeout.duration();
    let held = ctx.repo.hold_lease(&name, longest + HOUSE_LEASE).await?;
    Ok(held.then(|| Turn(Some((ctx.clone(), name)))))
}

/// Whether this server drops what is old and does long runs; one at a time does. An embedded
/// database has no other.
pub(crate) async fn keeps_house(ctx: &Context) -> bool {
    if !ctx.repo.is_shared() {
        return true;
    }
    let held = ctx.repo.hold_lease(HOUSEKEEPING, HOUSE_LEASE).await;
    held.unwrap_or_else(|error| {
        log(&error);
        false
    })
}
