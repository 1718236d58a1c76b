//! The worker: takes jobs from the queue, calls service functions, renews leases, stops on
//! shutdown.
//!
//! Its tasks run on the runtime that starts it. Jobs use at most half of the media permits, at least
//! one; long runs and hashes of frames use one more each. Each waits for its permit in the same queue as
//! requests, so requests proceed even if many jobs wait.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::Instrument as _;

use crate::clock::{millis, now};
use crate::metrics;
use crate::repo::{Job, OutboxTarget, Work};
use crate::service::deliver::{self, Next};
use crate::service::frames::Backlog;
use crate::service::health::SpaceWatch;
use crate::service::move_store::{self, Stepped};
use crate::service::recover::VARIANT_RETRY_DELAY;
use crate::service::{background, claim, maintain, nodes, retention, similar, subscribe, takeover};
use crate::{Context, Error, ErrorCode, Result};

/// How long a job is held without a renewal. Long enough for a disk that hangs for a while.
const LEASE: Duration = Duration::from_secs(60);
/// A third of the lease, so that one renewal may fail.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(20);
/// How often a job is started before it fails for good. A crash of the server counts too: work that
/// kills it must not do so for ever.
const MAX_ATTEMPTS: u32 = 5;
/// After the first failure; four times as long after each further one.
const BACK_OFF: Duration = Duration::from_secs(1);
/// After this many deaths of the server during a job, an upload fails and a variant is put off.
/// After the first death the job is started alone, so that it is not blamed for other work.
const MAX_DEATHS: u32 = 2;
/// How often a full disk is checked for space, or a bucket that is away.
const SPACE_RETRY_DELAY: Duration = Duration::from_secs(5);
/// After a failure of the database.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// After a failure of the server that is taken over.
const TAKEOVER_RETRY_DELAY: Duration = Duration::from_secs(5);
/// After a failure of a store while files are moved, and until the next look at another server's move.
const MOVE_RETRY_DELAY: Duration = Duration::from_secs(5);
/// How often the free space on the disks is checked.
const SPACE_INTERVAL: Duration = Duration::from_secs(10);
/// What is being sent when the server stops may be confirmed for so long; else it is sent again.
const SENDING: Duration = Duration::from_secs(2);
/// The longest sleep, in case the clock is set meanwhile.
const POLL_INTERVAL: Duration = Duration::from_secs(60);

/// The running tasks. Dropping it aborts them.
#[derive(Debug)]
pub struct Worker {
    ctx: Arc<Context>,
    tasks: JoinSet<()>,
}

impl Worker {
    /// Starts working, unless the server is read-only.
    pub fn start(ctx: Arc<Context>) -> Self {
        let mut tasks = JoinSet::new();
        if !ctx.config.server.read_only {
            let alone = Arc::default();
            for _ in 0..ctx.media.background() {
                tasks.spawn(work(ctx.clone(), Arc::clone(&alone)));
            }
            tasks.spawn(watch_space(ctx.clone()));
            tasks.spawn(compare_store(ctx.clone()));
            tasks.spawn(expire(ctx.clone()));
            tasks.spawn(run_maintenance(ctx.clone()));
            tasks.spawn(evict(ctx.clone()));
            tasks.spawn(take_over(ctx.clone()));
            tasks.spawn(follow_lists(ctx.clone()));
            tasks.spawn(hash_frames(ctx.clone()));
            tasks.spawn(move_files(ctx.clone()));
            for target in OutboxTarget::ALL {
                tasks.spawn(tell_others(ctx.clone(), target));
            }
        }
        if ctx.repo.is_shared() {
            tasks.spawn(nodes::follow(ctx.clone()));
            tasks.spawn(nodes::hear(ctx.clone()));
            if !ctx.config.server.read_only {
                tasks.spawn(nodes::live(ctx.clone()));
            }
        }
        Self { ctx, tasks }
    }

    /// Waits until running jobs have ended, at most until `server.shutdown_timeout` after
    /// [`Context::stop`]. Jobs that still run then stay queued for the next start.
    pub async fn ended(mut self) {
        self.ctx.stop();
        let patience = self.ctx.config.server.shutdown_timeout.duration();
        // A little longer, so that interrupted jobs can be returned.
        let deadline = self.ctx.notifier.stopped().await + patience + 2 * RETRY_DELAY;
        let ended = async {
            while self.tasks.join_next().await.is_some() {}
            self.ctx.notifier.claims_settled().await;
            self.ctx.pending_variants.all_stored().await;
        };
        if timeout_at(deadline, ended).await.is_err() {
            tracing::warn!("background work does not end, its leases run out");
        }
        self.tasks.shutdown().await;
    }
}

async fn watch_space(ctx: Arc<Context>) {
    let mut watch = SpaceWatch::new(&ctx);
    while !ctx.notifier.is_stopping() {
        watch.look().await;
        // Recreates the reserve, if it was released and there is space.
        ctx.repo.has_room().await;
        rest(&ctx, SPACE_INTERVAL, std::future::pending()).await;
    }
}

/// Finds out whether a store that was away at start is the right one.
async fn compare_store(ctx: Arc<Context>) {
    let mut told = Ok(());
    while !ctx.notifier.is_stopping() {
        let found = ctx.store_id.find(&ctx.repo, &ctx.store).await;
        match &found {
            Ok(()) if told.is_ok() => return,
            Ok(()) => {
                tracing::info!("the store is there and belongs to the database");
                return;
            }
            // It is told again only when something else is wrong.
            Err(error) if told.as_ref().err() == Some(&error.code()) => {}
            Err(error) => log(error, "nothing is stored or removed"),
        }
        told = found.map_err(|error| error.code());
        rest(&ctx, SPACE_RETRY_DELAY, std::future::pending()).await;
    }
}

/// Held by jobs that run concurrently, or exclusively by one that runs alone.
type Alone = Arc<RwLock<()>>;

async fn work(ctx: Arc<Context>, alone: Alone) {
    while !ctx.notifier.is_stopping() {
        if !ctx.repo.has_room().await {
            // It is better for a job to wait than to fail.
            rest(&ctx, SPACE_RETRY_DELAY, std::future::pending()).await;
            continue;
        }
        let queued = ctx.notifier.next_job();
        let held = ctx.repo.hold_job(ctx.repo.time(), after(&ctx, LEASE)).await;
        let pause = match held {
            Ok(Some(job)) => {
                let span = tracing::info_span!("job", work = label(&job.work), job.attempt);
                run(&ctx, &alone, &job).instrument(span).await;
                continue;
            }
            Ok(None) => match ctx.repo.next_due().await {
                Ok(Some(due)) => until(ctx.repo.time(), due),
                Ok(None) => POLL_INTERVAL,
                Err(_) => RETRY_DELAY,
            },
            Err(error) => {
                log(&error, "no job can be had");
                match error.code() {
                    ErrorCode::InsufficientStorage => SPACE_RETRY_DELAY,
                    _ => RETRY_DELAY,
                }
            }
        };
        rest(&ctx, pause, queued).await;
    }
}

async fn expire(ctx: Arc<Context>) {
    while !ctx.notifier.is_stopping() {
        if !nodes::keeps_house(&ctx).await {
            rest(&ctx, nodes::HOUSE_LEASE, std::future::pending()).await;
            continue;
        }
        let pause = match claim::expire(&ctx).await {
            Ok(next) => until(now(), next),
            Err(error) => {
                log(&error, "unclaimed uploads cannot be dropped");
                POLL_INTERVAL
            }
        };
        rest(&ctx, pause, std::future::pending()).await;
    }
}

/// Long runs in small steps. They are not jobs, because they would keep uploads waiting for a
/// permit.
async fn run_maintenance(ctx: Arc<Context>) {
    while !ctx.notifier.is_stopping() {
        let due = ctx.notifier.next_maintenance();
        if !nodes::keeps_house(&ctx).await {
            rest(&ctx, nodes::HOUSE_LEASE, due).await;
            continue;
        }
        match maintain::step(&ctx).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => log(&error, "maintenance fails and is tried again"),
        }
        rest(&ctx, POLL_INTERVAL, due).await;
    }
}

/// Keeps lists of PDQ hashes as other servers publish them.
async fn follow_lists(ctx: Arc<Context>) {
    while !ctx.notifier.is_stopping() {
        if !nodes::keeps_house(&ctx).await {
            rest(&ctx, nodes::HOUSE_LEASE, std::future::pending()).await;
            continue;
        }
        let passed = tokio::select! {
            passed = subscribe::pass(&ctx) => passed,
            // A list that was begun is begun again by the next start.
            _ = ctx.notifier.stopped() => return,
        };
        let pause = match passed {
            Ok(None) => return,
            Ok(Some(pause)) => pause.min(POLL_INTERVAL),
            Err(error) => {
                log(&error, "lists of PDQ hashes cannot be followed");
                POLL_INTERVAL
            }
        };
        rest(&ctx, pause, std::future::pending()).await;
    }
}

/// Computes PDQ hashes of further frames, which uploads do not wait for.
async fn hash_frames(ctx: Arc<Context>) {
    let mut backlog = Backlog::new();
    while !ctx.notifier.is_stopping() {
        rest(&ctx, POLL_INTERVAL, ctx.notifier.next_frames()).await;
        while nodes::keeps_house(&ctx).await {
            let stepped = tokio::select! {
                stepped = backlog.step(&ctx) => stepped,
                // What was begun is begun again by the next start.
                _ = ctx.notifier.stopped() => return,
            };
            match stepped {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    log(&error, "frames of animations cannot be hashed");
                    break;
                }
            }
        }
    }
}

/// Copies what a running server has, if this one takes over from it.
async fn take_over(ctx: Arc<Context>) {
    while ctx.predecessor.is_some() && !ctx.notifier.is_stopping() {
        let deletion = ctx.arrivals.next_deletion();
        if !nodes::keeps_house(&ctx).await {
            rest(&ctx, TAKEOVER_RETRY_DELAY, deletion).await;
            continue;
        }
        let stepped = tokio::select! {
            stepped = takeover::run::step(&ctx) => stepped,
            // A page that was begun is begun again by the next start.
            _ = ctx.notifier.stopped() => return,
        };
        let pause = stepped.unwrap_or_else(|error| {
            log(&error, "the takeover does not proceed and is tried again");
            TAKEOVER_RETRY_DELAY
        });
        if !pause.is_zero() {
            rest(&ctx, pause, deletion).await;
        }
    }
}

/// Moves the files to another store, if the settings name two.
async fn move_files(ctx: Arc<Context>) {
    let mut told = None;
    while ctx.store.is_moving() && !ctx.notifier.is_stopping() {
        if !nodes::keeps_house(&ctx).await {
            if let Err(error) = move_store::follow(&ctx).await {
                log(&error, "it is not known whether the files have been moved");
            }
            rest(&ctx, MOVE_RETRY_DELAY, std::future::pending()).await;
            continue;
        }
        let stepped = tokio::select! {
            stepped = move_store::step(&ctx, false) => stepped,
            // A step that was begun is begun again by the next start.
            _ = ctx.notifier.stopped() => return,
        };
        let pause = match stepped {
            Ok(Stepped::Onward(pause)) => {
                told = None;
                pause
            }
            Ok(Stepped::Finished | Stepped::Lacking) => return,
            Err(error) => {
                // It is told again only when something else is wrong.
                if told.replace(error.code()) != Some(error.code()) {
                    let what = "the move of the files does not proceed and is tried again";
                    log(&error, what);
                }
                MOVE_RETRY_DELAY
            }
        };
        if !pause.is_zero() {
            rest(&ctx, pause, std::future::pending()).await;
        }
    }
}

/// Tells a receiver of events, or caches in front, what has changed.
async fn tell_others(ctx: Arc<Context>, target: OutboxTarget) {
    while deliver::is_on(&ctx, target) && !ctx.notifier.is_stopping() {
        let queued = ctx.repo.queued_for_others();
        let cut_off = async {
            ctx.notifier.stopped().await;
            sleep(SENDING).await;
        };
        let next = tokio::select! {
            next = deliver::pass(&ctx, target) => next,
            () = cut_off => return,
        };
        match next {
            Ok(Next::Look(pause)) => rest(&ctx, pause, queued).await,
            Ok(Next::Wait(pause)) => rest(&ctx, pause, std::future::pending()).await,
            Err(error) => {
                log(&error, "others cannot be told what has changed");
                rest(&ctx, RETRY_DELAY, std::future::pending()).await;
            }
        }
    }
}

async fn evict(ctx: Arc<Context>) {
    while !ctx.notifier.is_stopping() {
        let swept = match nodes::keeps_house(&ctx).await {
            true => retention::evict(&ctx).await,
            false => retention::flush(&ctx).await,
        };
        if let Err(error) = swept {
            log(&error, "unused media cannot be dropped");
        }
        similar::forget_unused(&ctx);
        let (shortest, longest) = retention::period(&ctx);
        rest(&ctx, shortest, std::future::pending()).await;
        rest(&ctx, longest - shortest, ctx.last_used.rung()).await;
    }
    if let Err(error) = retention::flush(&ctx).await {
        log(&error, "what was used last is not written down");
    }
    if let Err(error) = ctx.retention_clock.note(&ctx.repo, true).await {
        log(&error, "the time is not written down");
    }
}

async fn rest(ctx: &Context, pause: Duration, woken: impl Future<Output = ()>) {
    tokio::select! {
        () = woken => {}
        () = sleep(pause) => {}
        _ = ctx.notifier.stopped() => {}
    }
}

async fn run(ctx: &Arc<Context>, alone: &Alone, job: &Job) {
    if job.deaths >= MAX_DEATHS {
        return killed(ctx, job).await;
    }
    if job.attempt > MAX_ATTEMPTS {
        let error = Error::Internal {
            code: ErrorCode::UnknownError,
            message: format!("a job was begun {MAX_ATTEMPTS} times and never came to an end"),
            source: None,
        };
        return failed(ctx, job, error).await;
    }
    metrics::unqueued(kind(&job.work));
    let running = metrics::begin(metrics::WorkKind::Job(kind(&job.work)));
    let work = AssertUnwindSafe(begin(ctx, alone, job)).catch_unwind();
    let result = tokio::select! {
        result = work => result.unwrap_or_else(|_| Err(Error::Internal {
            code: ErrorCode::UnknownError,
            message: "a job panicked".to_owned(),
            source: None,
        })),
        () = lose_lease(ctx, job) => {
            tracing::warn!("the lease of a job was lost, its work is dropped");
            return;
        }
        () = cut_off(ctx) => {
            tracing::info!("an unfinished job is left to the next start");
            if let Err(error) = ctx.repo.return_job(job, ctx.repo.time()).await {
                log(&error, "a job cannot be given back");
            }
            return;
        }
    };
    match result {
        Ok(()) => running.completed(),
        Err(error) => {
            drop(running);
            failed(ctx, job, error).await;
        }
    }
}

/// Does the work of a job; alone if the server died during it before.
async fn begin(ctx: &Arc<Context>, alone: &Alone, job: &Job) -> Result<()> {
    if job.deaths == 0 {
        let _others = alone.read().await;
        return background::run(ctx, job).await;
    }
    let _alone = alone.write().await;
    // A lost lease is noticed elsewhere.
    ctx.repo.begin_job(job).await?;
    tracing::info!("a job during which the server died is begun alone");
    background::run(ctx, job).await
}

/// The server died too often during this job.
async fn killed(ctx: &Arc<Context>, job: &Job) {
    let error = Error::Internal {
        code: ErrorCode::MediaFailed,
        message: format!("the server died {MAX_DEATHS} times while this was being done"),
        source: None,
    };
    match job.work {
        Work::Ingest(_) => failed(ctx, job, error).await,
        Work::Variant { .. } => {
            log(&error, "put off for a day");
            if let Err(error) = ctx
                .repo
                .put_job_off(job, after(ctx, VARIANT_RETRY_DELAY))
                .await
            {
                log(&error, "a job cannot be put off");
            }
        }
    }
}

/// Renews the lease; returns when it is lost.
async fn lose_lease(ctx: &Context, job: &Job) {
    loop {
        sleep(RENEWAL_INTERVAL).await;
        match ctx.repo.renew_job(job, after(ctx, LEASE)).await {
            Ok(true) => {}
            Ok(false) => return,
            // The lease is still valid for a while, and the next renewal may succeed.
            Err(error) => log(&error, "a lease cannot be renewed"),
        }
    }
}

/// Completes when the time for shutdown is over.
async fn cut_off(ctx: &Context) {
    let since = ctx.notifier.stopped().await;
    sleep_until(since + ctx.config.server.shutdown_timeout.duration()).await;
}

/// Gives a job back. While the database is away or has no room, that is tried again until the lease
/// has run out.
async fn failed(ctx: &Arc<Context>, job: &Job, error: Error) {
    let deadline = Instant::now() + LEASE;
    while let Err(fault) = settle(ctx, job, &error).await {
        let passes = matches!(
            fault.code(),
            ErrorCode::RepoUnavailable | ErrorCode::InsufficientStorage
        );
        if !passes || Instant::now() > deadline {
            // The lease expires, and the job is due again.
            return log(&fault, "a job cannot be given back");
        }
        tokio::select! {
            () = sleep(RETRY_DELAY) => {}
            _ = ctx.notifier.stopped() => return,
        }
    }
}

/// Decides what becomes of a job whose work has failed.
async fn settle(ctx: &Arc<Context>, job: &Job, error: &Error) -> Result<()> {
    if [ErrorCode::TooBusy, ErrorCode::RepoUnavailable].contains(&error.code()) {
        // Requests wanted the same variant, and there were too many of them; or the database is
        // away, and the job is not the cause.
        ctx.repo
            .return_job(job, after(ctx, BACK_OFF))
            .await
            .map(drop)
    } else if matches!(
        error.code(),
        ErrorCode::InsufficientStorage | ErrorCode::StoreUnavailable
    ) {
        // It waits for space or for the bucket, however long that takes.
        log(error, "to be done when the store takes it");
        ctx.repo
            .return_job(job, after(ctx, SPACE_RETRY_DELAY))
            .await
            .map(drop)
    } else if is_final(error) || job.attempt >= MAX_ATTEMPTS {
        if error.is_users() {
            tracing::info!(code = error.code().as_str(), "refused: {error}");
        } else {
            log(error, "given up");
        }
        background::give_up(ctx, job, error).await
    } else {
        log(error, "to be tried again");
        ctx.repo
            .retry_job(job, after(ctx, back_off(job.attempt)))
            .await
            .map(drop)
    }
}

/// Whether another attempt would fail in the same way.
fn is_final(error: &Error) -> bool {
    error.is_users() || matches!(error.code(), ErrorCode::LostFile | ErrorCode::MediaFailed)
}

fn back_off(attempt: u32) -> Duration {
    BACK_OFF * 4_u32.saturating_pow(attempt.saturating_sub(1))
}

fn log(error: &Error, what: &'static str) {
    use std::error::Error as _;
    let source = error.source().map(ToString::to_string);
    tracing::error!(code = error.code().as_str(), source, "{what}: {error}");
}

fn kind(work: &Work) -> &'static str {
    match work {
        Work::Ingest(_) => "ingest",
        Work::Variant { .. } => "variant",
    }
}

fn label(work: &Work) -> String {
    match work {
        Work::Ingest(id) => format!("ingest {id:?}"),
        Work::Variant { alias, variant } => format!("variant {alias} {variant}"),
    }
}

/// By the clock of leases.
fn after(ctx: &Context, time: Duration) -> i64 {
    ctx.repo.time().saturating_add(millis(time))
}

fn until(now: i64, time: i64) -> Duration {
    let ms = u64::try_from(time.saturating_sub(now)).unwrap_or(0);
    Duration::from_millis(ms).min(POLL_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_last_long_enough_for_a_disk_to_be_tidied() {
        let pauses: Vec<_> = (1..MAX_ATTEMPTS).map(|n| back_off(n).as_secs()).collect();
        assert_eq!(pauses, [1, 4, 16, 64]);
    }

    #[test]
    fn what_would_fail_again_is_not_tried_again() {
        let error = |code| Error::internal(code, "x", std::io::Error::other("y"));
        assert!(is_final(&Error::user(ErrorCode::MediaDamaged, "x")));
        assert!(is_final(&error(ErrorCode::LostFile)));
        assert!(!is_final(&error(ErrorCode::FileIoError)));
        assert!(!is_final(&error(ErrorCode::RepoError)));
    }
}
