//! Uploads between their row and the beginning of their answer. A client that goes away meanwhile,
//! or whose deadline passes, never hears of alias and token; so what it sent is taken back.

use std::sync::Arc;

use crate::repo::Original;
use crate::service::remove;
use crate::{Alias, Context, DeleteToken, Result};

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

/// A finished upload that nobody has heard of. Dropping it takes it back;
/// [`PendingUpload::deliver`] is for the moment when its answer begins.
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

    /// Its answer begins now.
    pub fn deliver(mut self) -> Uploaded {
        self.is_over = true;
        self.uploaded.clone()
    }

    /// Takes it back, because its request failed as a whole.
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
                tracing::error!(%error, %alias, "an upload that nobody heard of stays");
            }
        });
    }
}
