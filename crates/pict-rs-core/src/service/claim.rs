//! Returns the outcome of a backgrounded upload, once; and expires unclaimed outcomes.
//!
//! An outcome is durably removed from the database before its answer begins: it is never sent
//! twice, even if the server dies. If the answer cannot begin, because the client went away, it is
//! put back. While one claim is being decided, others of the same upload wait for the decision. The
//! remaining case is that server or connection die after the outcome was removed and before the
//! client has read it: no protocol over HTTP can exclude that.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{millis, now};
use crate::metrics::{self, WorkKind};
use crate::repo::audit::{Actor, Cause};
use crate::repo::{Failure, Finished, NewUpload, Outcome, Progress};
use crate::service::forget::forget;
use crate::service::pending_upload::Uploaded;
use crate::service::remove;
use crate::task::run_to_completion;
use crate::{Context, Error, ErrorCode, Result, UploadId};

/// How long a client waits for an outcome.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Outcomes that expire in one transaction.
const BATCH: u32 = 64;
/// When to check again while the clock is doubted, in milliseconds.
const RECHECK_DELAY: i64 = 60_000;

/// An outcome that was taken out of the database. Dropping it puts it back; call [`Claim::deliver`]
/// when the answer begins.
#[derive(Debug)]
pub struct Claim {
    finished: Option<Finished>,
    hold: Option<Hold>,
}

/// The exclusive right to claim one upload, until dropped.
#[derive(Debug)]
struct Hold {
    ctx: Arc<Context>,
    id: UploadId,
    /// Whether waiters must check again when it is released.
    rings: bool,
}

/// Claims an upload, waiting a while for its outcome. `None` when there is none yet.
///
/// # Errors
/// [`ErrorCode::AlreadyClaimed`], [`ErrorCode::ReadOnly`].
pub async fn claim(ctx: &Arc<Context>, id: UploadId) -> Result<Option<Claim>> {
    remove::writable(ctx)?;
    let running = metrics::begin(WorkKind::UploadWait);
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let bell = ctx.notifier.listen(id);
    loop {
        // No notification is missed from here on.
        let rung = bell.next();
        if ctx.notifier.hold(id) {
            let mut hold = Hold {
                ctx: ctx.clone(),
                id,
                rings: true,
            };
            match ctx.repo.progress(&id).await? {
                Progress::Finished => {
                    let claim = take(hold).await?;
                    running.completed();
                    return Ok(Some(claim));
                }
                Progress::Unknown => return Err(already_claimed()),
                // Nothing has changed; otherwise two waiters would keep waking each other.
                Progress::Waiting => hold.rings = false,
            }
        }
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep_until(deadline) => return Ok(None),
            // The client may ask again after the restart.
            _ = ctx.notifier.stopped() => return Ok(None),
        }
    }
}

/// Runs to completion: if the client goes away meanwhile, the claim is dropped, which puts it back.
async fn take(hold: Hold) -> Result<Claim> {
    let runtime = hold.ctx.runtime.clone();
    let taken = runtime.spawn(async move {
        let finished = hold.ctx.repo.take_outcome(&hold.id).await?;
        Ok(Claim {
            // It has just expired.
            finished: Some(finished.ok_or_else(already_claimed)?),
            hold: Some(hold),
        })
    });
    taken
        .await
        .map_err(|panic| Error::internal(ErrorCode::UnknownError, "a claim panicked", panic))?
}

fn already_claimed() -> Error {
    Error::user(
        ErrorCode::AlreadyClaimed,
        "No upload waits under this id: it was claimed, it expired, or never was",
    )
}

impl Claim {
    /// Marks the outcome as delivered; call this when the answer begins.
    ///
    /// # Errors
    /// The error of the upload, if it failed.
    pub fn deliver(mut self) -> Result<Uploaded> {
        metrics::background_claim();
        match self.finished.take().map(|finished| finished.outcome) {
            Some(Outcome::Taken(upload)) => {
                let NewUpload {
                    alias,
                    token,
                    original,
                    ..
                } = *upload;
                Ok(Uploaded {
                    alias,
                    token,
                    original,
                })
            }
            Some(Outcome::Failed(failure)) => Err(error_of(failure)),
            Some(Outcome::Removed(_)) => Err(Error::user(
                ErrorCode::AliasNotFound,
                "The upload was removed before it was claimed",
            )),
            // Only this method takes it out.
            None => Err(already_claimed()),
        }
    }
}

fn error_of(failure: Failure) -> Error {
    let Failure { code, message } = failure;
    match message {
        Some(message) => Error::told(code, message),
        None => Error::Internal {
            code,
            message: "a backgrounded upload failed".to_owned(),
            source: None,
        },
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let (Some(finished), Some(hold)) = (self.finished.take(), self.hold.take()) {
            let runtime = hold.ctx.runtime.clone();
            runtime.spawn(async move {
                if let Err(error) = hold.ctx.repo.put_back(&hold.id, &finished).await {
                    tracing::error!(%error, upload = ?hold.id, "a claim that could not be answered is lost");
                }
            });
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.ctx.notifier.release(&self.id);
        if self.rings {
            self.ctx.notifier.ring(&self.id);
        }
    }
}

/// Drops outcomes that were not claimed for `media.retention.claims`, with their aliases, which no
/// client knows, as if by their delete tokens. Returns when to check again, in unix milliseconds.
///
/// # Errors
/// When the database fails.
pub(crate) async fn expire(ctx: &Arc<Context>) -> Result<i64> {
    let retention = millis(ctx.config.media.retention.claims.duration());
    loop {
        let oldest = ctx.repo.oldest_unclaimed().await?;
        let time = ctx.retention_clock.time();
        let before = time.saturating_sub(retention);
        match oldest {
            Some(oldest) if oldest <= before => {}
            // Uploads that finish from now on do not expire before that.
            oldest => {
                let due = oldest.unwrap_or(time).saturating_add(retention);
                return Ok(next_check(due, time, now()));
            }
        }
        let ctx = ctx.clone();
        run_to_completion(async move {
            let cause = Cause::new(Actor::Server);
            let (expired, removal) = ctx.repo.expire(before, BATCH, &cause, now()).await?;
            forget(&ctx, removal).await;
            tracing::info!(expired, "unclaimed uploads are dropped");
            Ok(())
        })
        .await?;
    }
}

/// When to check again, by the system clock `wall`, for what is due later than `time` by the
/// retention clock. All in unix milliseconds.
fn next_check(due: i64, time: i64, wall: i64) -> i64 {
    let wait = due.saturating_sub(time);
    // A clock that is doubted is far behind, and may be trusted again at any time.
    let is_doubted = wall.saturating_sub(time) > RECHECK_DELAY;
    wall.saturating_add(if is_doubted {
        wait.min(RECHECK_DELAY)
    } else {
        wait
    })
}

#[cfg(test)]
mod tests {
    use super::{RECHECK_DELAY, next_check};

    #[test]
    fn what_falls_due_while_the_database_answers_is_not_left_for_a_minute() {
        assert_eq!(next_check(1_001, 1_000, 1_000), 1_001);
        assert_eq!(next_check(1_001, 1_000, 1_005), 1_006);
        assert_eq!(next_check(9_000, 1_000, 1_000), 9_000);
    }

    #[test]
    fn a_clock_that_is_doubted_is_asked_again_every_minute() {
        let day = 86_400_000;
        assert_eq!(next_check(3 * day, 0, 2 * day), 2 * day + RECHECK_DELAY);
        assert_eq!(next_check(5, 0, 2 * day), 2 * day + 5);
    }
}
