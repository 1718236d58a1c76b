//! What is done in the background: the queue of jobs, and the long runs.

use std::time::Duration;

use crate::clock::now;
use crate::repo::{QueuedJob, Run};
use crate::{Context, Result};

/// Jobs that are listed by default.
const DEFAULT: u32 = 20;
/// Jobs that are listed at most.
const MOST: u32 = 1000;

/// What is done in the background.
#[derive(Clone, Debug)]
pub struct BackgroundWork {
    /// How many jobs wait or are held.
    pub count: u64,
    /// Those that are due first.
    pub jobs: Vec<QueuedJob>,
    /// The last run of every task that had one.
    pub runs: Vec<Run>,
    /// When that was so, as unix time in milliseconds.
    pub at: i64,
}

/// What is done in the background, with up to `limit` jobs.
///
/// # Errors
/// When the database fails.
pub async fn work(ctx: &Context, limit: Option<u32>) -> Result<BackgroundWork> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST);
    Ok(BackgroundWork {
        count: ctx.repo.jobs().await?,
        jobs: ctx.repo.queued_jobs(limit).await?,
        runs: ctx.repo.runs().await?,
        at: ctx.repo.time(),
    })
}

/// The time that the rest of a run takes at the rate so far; `None` while there is no rate.
pub fn time_left(run: &Run) -> Option<Duration> {
    run.time_left(now())
}
