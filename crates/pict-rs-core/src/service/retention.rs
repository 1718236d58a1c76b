//! Drops what can be recreated: variants and proxied media that were not used for a while, the least
//! recently used when they exceed their size limit, and those of least value when everything exceeds
//! `media.disk` ([`budget`]). Run by the worker.
//!
//! A client that is reading a file keeps it open, so no answer is cut short. Uploads are never
//! touched: if a proxied alias shares its bytes with an upload, only the alias is dropped.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::{millis, now};
use crate::config::Span;
use crate::repo::Dropped;
use crate::service::forget::{collect, forget};
use crate::service::{budget, growth, guard, reduced};
use crate::state::last_used::Uses;
use crate::task::run_to_completion;
use crate::{ContentKey, Context, ErrorCode, ObjectKey, Result, metrics};

/// Rows changed in one transaction, so that no upload waits long for the database.
const BATCH: u32 = 256;
/// Contents whose uses are written in one transaction. It locks their rows, and uploads and removals wait.
const CONTENTS: usize = 32;
/// The longest interval between two sweeps.
const MAX_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest interval between two sweeps.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The recorded time of a use is at most this much too old, or a tenth of the retention.
const PRECISION: Duration = Duration::from_secs(5 * 60);
const MIB: u64 = 1024 * 1024;

/// The shortest and the longest interval between sweeps.
pub(crate) fn period(ctx: &Context) -> (Duration, Duration) {
    let retention = &ctx.config.media.retention;
    let shortest = retention
        .variants
        .duration()
        .min(retention.proxy.duration());
    (
        MIN_INTERVAL,
        (shortest / 4).clamp(MIN_INTERVAL, MAX_INTERVAL),
    )
}

/// What was recorded as used before this time, in unix milliseconds, was not used for `age`. Uses are
/// recorded coarsely, but nothing may be dropped too early.
pub(crate) fn unused_since(ctx: &Context, age: Span) -> i64 {
    let age = age.duration();
    let time = ctx.retention_clock.time();
    time.saturating_sub(millis(age.saturating_add(PRECISION.min(age / 10))))
}

/// Called after a variant was made or a medium was proxied: if a limit may be exceeded, the next
/// sweep is brought forward.
pub(crate) fn grown(ctx: &Context) {
    let media = &ctx.config.media;
    let retention = &media.retention;
    let is_bounded = [retention.variants_size, retention.proxy_size]
        .iter()
        .any(Option::is_some);
    if is_bounded || media.disk.is_some() {
        ctx.last_used.ring();
    }
}

/// Writes the uses since the last flush to the database.
///
/// # Errors
/// When the database fails; the next sweep tries again.
pub(crate) async fn flush(ctx: &Arc<Context>) -> Result<()> {
    if !ctx.repo.has_room().await {
        // On a full disk, free space is worth more than these times.
        return Ok(());
    }
    let ctx = ctx.clone();
    run_to_completion(async move {
        let (repo, uses) = (&ctx.repo, &ctx.last_used);
        let coarse = uses.variants.coarse();
        write(&uses.variants, BATCH as usize, |used: Vec<_>| async move {
            repo.touch_variants(&used, coarse).await
        })
        .await?;
        let coarse = uses.contents.coarse();
        write(&uses.contents, CONTENTS, |used: Vec<_>| async move {
            repo.touch_contents(&used, coarse).await
        })
        .await
    })
    .await
}

/// Writes uses of one kind with `touch`, in batches. What could not be written is put back.
async fn write<K: Clone + Eq + Hash, F: Future<Output = Result<()>>>(
    uses: &Uses<K>,
    batch: usize,
    touch: impl Fn(Vec<(K, i64)>) -> F,
) -> Result<()> {
    let used = uses.take();
    for (at, some) in used.chunks(batch).enumerate() {
        if let Err(error) = touch(some.to_vec()).await {
            uses.put_back(&used[at * batch..]);
            return Err(error);
        }
    }
    Ok(())
}

/// Records uses, then drops what is too old or exceeds a limit. Ends early when the server stops.
///
/// # Errors
/// When the database fails, or the folder of files does not belong to it.
pub(crate) async fn evict(ctx: &Arc<Context>) -> Result<()> {
    match flush(ctx).await {
        // Dropping media frees space.
        Err(error) if error.code() == ErrorCode::InsufficientStorage => {}
        flushed => flushed?,
    }
    match ctx.retention_clock.note(&ctx.repo, false).await {
        Err(error) if error.code() == ErrorCode::InsufficientStorage => {}
        noted => noted?,
    }
    ctx.repo.fold_usage().await?;
    if ctx.repo.is_shared() {
        ctx.repo.forget_announcements().await?;
    }
    guard::check(ctx).await?;
    let retention = &ctx.config.media.retention;
    evict_all(ctx, Expiring::Proxies, Reason::Age(retention.proxy)).await?;
    evict_all(ctx, Expiring::Variants, Reason::Age(retention.variants)).await?;
    // Proxied media first, because their variants are dropped with them.
    for (class, budget) in [
        (Expiring::Proxies, retention.proxy_size),
        (Expiring::Variants, retention.variants_size),
    ] {
        let Some(budget) = budget.map(|size| size.saturating_mul(MIB)) else {
            continue;
        };
        let usage = ctx.repo.usage().await?;
        let used = match class {
            Expiring::Proxies => usage.proxied.allocated,
            Expiring::Variants => usage.variants.allocated,
        };
        if used > budget {
            // A little more than needed, so that not every new file drops another.
            evict_all(ctx, class, Reason::Size(budget - budget / 20)).await?;
        }
    }
    budget::sweep(ctx).await?;
    growth::note(ctx).await?;
    // Objects whose work came to no end, and files that could not be deleted earlier.
    ctx.repo.expire_intents(ctx.repo.time()).await?;
    let garbage = ctx.repo.some_garbage(BATCH).await?;
    if let Err(error) = collect(ctx, garbage).await {
        tracing::warn!(%error, "removed objects stay on disk for now");
    }
    Ok(())
}

/// Bytes of variants allowed per byte of the original, so that a small file cannot fill a disk.
const VARIANTS_PER_BYTE: u64 = 32;
/// Bytes of variants that any original may have.
const LEAST_VARIANTS: u64 = 32 * MIB;

/// Called after a variant was made: drops variants of the same content that exceed the limits.
///
/// # Errors
/// When the database fails.
pub(crate) async fn bound(ctx: &Context, original: &ContentKey, made: &ObjectKey) -> Result<()> {
    let count = ctx.config.media.variants_per_original;
    if count == 0 {
        return Ok(());
    }
    let bytes = original.size().saturating_mul(VARIANTS_PER_BYTE);
    let bytes = bytes.max(LEAST_VARIANTS);
    // One that had to go for others would be made again for the next one.
    let spared = reduced::key();
    let dropped = ctx
        .repo
        .bound_variants(original, made, &spared, count, bytes);
    let dropped = dropped.await?;
    if dropped.count > 0 {
        metrics::evicted("variants", "original", dropped.count, dropped.bytes);
        tracing::debug!(
            count = dropped.count,
            bytes = dropped.bytes,
            "an original has too many variants"
        );
        forget(ctx, dropped.removal).await;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Expiring {
    Proxies,
    Variants,
}

impl Expiring {
    /// The label in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Proxies => "proxied",
            Self::Variants => "variants",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Reason {
    /// Not used for this long.
    Age(Span),
    /// All together exceed this many bytes.
    Size(u64),
}

impl Reason {
    /// The label in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Age(_) => "age",
            Self::Size(_) => "size",
        }
    }
}

async fn evict_all(ctx: &Arc<Context>, class: Expiring, reason: Reason) -> Result<()> {
    let (mut count, mut bytes) = (0, 0);
    loop {
        let began = Instant::now();
        let dropped = evict_some(ctx, class, reason).await?;
        count += dropped.count;
        bytes += dropped.bytes;
        if dropped.count > 0 {
            metrics::evicted(class.name(), reason.name(), dropped.count, dropped.bytes);
        }
        if dropped.count < BATCH as usize || ctx.notifier.is_stopping() {
            break;
        }
        // Leaves as much time for other work.
        sleep(began.elapsed()).await;
    }
    if count > 0 {
        tracing::info!(what = ?class, why = ?reason, count, bytes, "unused media are dropped");
    }
    Ok(())
}

/// Drops one batch, from database and disk.
async fn evict_some(ctx: &Arc<Context>, class: Expiring, reason: Reason) -> Result<Dropped> {
    let ctx = ctx.clone();
    run_to_completion(async move {
        let before = |age: Span| unused_since(&ctx, age);
        let repo = &ctx.repo;
        let mut dropped = match (class, reason) {
            (Expiring::Proxies, Reason::Age(age)) => {
                repo.expire_proxies(before(age), BATCH, now()).await?
            }
            (Expiring::Proxies, Reason::Size(bytes)) => {
                repo.shrink_proxies(bytes, BATCH, now()).await?
            }
            (Expiring::Variants, Reason::Age(age)) => {
                repo.expire_variants(before(age), BATCH).await?
            }
            (Expiring::Variants, Reason::Size(bytes)) => repo.shrink_variants(bytes, BATCH).await?,
        };
        forget(&ctx, std::mem::take(&mut dropped.removal)).await;
        Ok(dropped)
    })
    .await
}
