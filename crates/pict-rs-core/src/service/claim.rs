//! Handing out the outcome of a backgrounded upload, once; and dropping what nobody claims.
//!
//! An outcome is off the database, durably, before its answer begins: nobody gets it twice, not
//! even if the server dies. If the answer cannot begin, because the client went away, it is put
//! back. While one claim is being decided, others of the same upload wait for the decision.
//! What remains is a death of server or connection after the outcome was taken off and before
//! the client has read it: no answer over HTTP can exclude that.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{millis, now};
use crate::metrics::{self, Work};
use crate::repo::audit::{Actor, Cause};
use crate::repo::{Failure, Finished, NewUpload, Outcome, Progress};
use crate::service::forget::forget;
use crate::service::pending_upload::Uploaded;
use crate::service::remove;
use crate::task::run_to_completion;
use crate::{Context, Error, ErrorCode, Result, UploadId};

/// How long a client is kept waiting for an outcome.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Outcomes that expire in one transaction.
const BATCH: u32 = 64;
/// When to look again while the clock is doubted, in milliseconds.
const RECHECK_DELAY: i64 = 60_000;

/// An outcome that was taken off the database. Dropping it puts it back; [`Claim::deliver`] is
/// for the moment when its answer begins.
#[derive(Debug)]
pub struct Claim {
    finished: Option<Finished>,
    hold: Option<Hold>,
}

/// The right to claim one upload, until it is dropped.
#[derive(Debug)]
struct Hold {
    ctx: Arc<Context>,
    id: UploadId,
    /// Whether the others must look again when it is over.
    rings: bool,
}

/// Claims an upload, waiting a while for its outcome. `None` when there is none yet.
///
/// # Errors
/// [`ErrorCode::AlreadyClaimed`], [`ErrorCode::ReadOnly`].
pub async fn claim(ctx: &Arc<Context>, id: UploadId) -> Result<Option<Claim>> {
    remove::writable(ctx)?;
    let running = metrics::begin(Work::UploadWait);
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let bell = ctx.notifier.listen(id);
    loop {
        // From here on no ring is missed.
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
                // Nothing has changed; ringing would have two who wait wake each other for ever.
                Progress::Waiting => hold.rings = false,
            }
        }
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep_until(deadline) => return Ok(None),
            // The client may come again to the next server.
            _ = ctx.notifier.stopped() => return Ok(None),
        }
    }
}

/// To its end: if the client goes away meanwhile, the claim is dropped, which puts it back.
async fn take(hold: Hold) -> Result<Claim> {
    let runtime = hold.ctx.runtime.clone();
    let taken = runtime.spawn(async move {
        let finished = hold.ctx.repo.take_outcome(&hold.id).await?;
        Ok(Claim {
            // Expired just now.
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
    /// Its answer begins now.
    ///
    /// # Errors
    /// Why the upload failed.
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

/// Drops outcomes that nobody has claimed for `media.retention.claims`, and with them the
/// aliases that nobody heard of, as their delete tokens would. Returns when to look again, in
/// unix milliseconds.
///
/// # Errors
/// When the database fails.
pub(crate) async fn expire(ctx: &Arc<Context>) -> Result<i64> {
    let retention = millis(ctx.config.media.retention.claims.duration());
    loop {
        let before = ctx.retention_clock.time().saturating_sub(retention);
        match ctx.repo.oldest_unclaimed().await? {
            Some(oldest) if oldest <= before => {}
            // Whatever is finished from now on expires no sooner than that.
            oldest => {
                let next = oldest.unwrap_or_else(now).saturating_add(retention);
                // By the system's clock it may be due long since.
                return Ok(if next > now() {
                    next
                } else {
                    now() + RECHECK_DELAY
                });
            }
        }
        let ctx = ctx.clone();
        run_to_completion(async move {
            let cause = Cause::new(Actor::Server);
            let (expired, removal) = ctx.repo.expire(before, BATCH, &cause, now()).await?;
            forget(&ctx, removal).await;
            tracing::info!(expired, "uploads that nobody claimed are dropped");
            Ok(())
        })
        .await?;
    }
}
