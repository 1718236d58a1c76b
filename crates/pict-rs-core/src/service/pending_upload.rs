//! Uploads that are committed but not yet answered. If the client goes away or its deadline passes,
//! it never learns alias and token, so the upload is undone.

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
