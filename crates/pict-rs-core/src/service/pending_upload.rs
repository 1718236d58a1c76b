//! Uploads that are committed but not yet answered. If the client goes away or its deadline passes,
//! it never learns alias and token, so the upload is undone. The same is done with an upload whose
//! request failed because the answer to its commit was lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::repo::Original;
use crate::service::remove;
use crate::{Alias, Context, DeleteToken, Result, repo};

/// How often the database is asked for an upload that is to be undone.
const UNDO_INTERVAL: Duration = Duration::from_secs(2);

/// A finished upload.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// Its public name.
    pub alias: Alias,
    /// The secret that deletes it.
    pub token: DeleteToken,
    /// Its content, which may be that of an earlier upload.
    pub original: Original,
}

/// A finished upload that is not yet answered. Dropping it undoes the upload; call
/// [`PendingUpload::deliver`] when the answer begins.
#[derive(Debug)]
pub struct PendingUpload {
    ctx: Arc<Context>,
    uploaded: Uploaded,
    is_over: bool,
}

impl PendingUpload {
    pub(super) fn new(ctx: Arc<Context>, uploaded: Uploaded) -> Self {
        Self {
            ctx,
            uploaded,
            is_over: false,
        }
    }

    /// Marks the upload as delivered; call this when the answer begins.
    pub fn deliver(mut self) -> Uploaded {
        self.is_over = true;
        self.uploaded.clone()
    }

    /// Undoes the upload, because its request failed as a whole.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_back(mut self) -> Result<()> {
        self.is_over = true;
        remove::take_back(&self.ctx, &self.uploaded.alias).await
    }
}

impl Drop for PendingUpload {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (ctx, alias) = (self.ctx.clone(), self.uploaded.alias.clone());
        self.ctx.runtime.spawn(async move {
            if let Err(error) = remove::take_back(&ctx, &alias).await {
                tracing::error!(%error, %alias, "an unacknowledged upload stays");
            }
        });
    }
}

/// Undoes an upload whose commit may take effect or have done so, as soon as the database can tell.
/// If the server stops before, the upload stays under a name that was never given out.
pub(super) fn undo_if_committed(ctx: &Arc<Context>, alias: Alias, token: DeleteToken) {
    let task = ctx.clone();
    ctx.runtime.spawn(async move {
        let settled = Instant::now() + repo::UNCERTAIN_FOR;
        loop {
            tokio::select! {
                () = tokio::time::sleep(UNDO_INTERVAL) => {}
                _ = task.notifier.stopped() => return,
            }
            let is_settled = Instant::now() > settled;
            match undo(&task, &alias, &token).await {
                Ok(was_committed) if was_committed || is_settled => return,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, %alias, "an upload cannot be undone yet"),
            }
        }
    });
}

/// Returns whether there was anything to undo.
async fn undo(ctx: &Arc<Context>, alias: &Alias, token: &DeleteToken) -> Result<bool> {
    // The client may have sent it again under the name that it chose.
    let found = ctx.repo.delete_token(alias).await?;
    if !found.is_some_and(|found| found.matches(token)) {
        return Ok(false);
    }
    remove::take_back(ctx, alias).await?;
    Ok(true)
}
