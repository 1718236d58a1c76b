//! JPEGs that are sent to the external validation instead of a file that it may not be able to open
//! (`media.external_validation_as`).

use std::sync::Arc;

use bytes::Bytes;
use pict_rs_media::Format;

use crate::config::ValidationAs;
use crate::service::frames;
use crate::store::StoredObject;
use crate::{Context, Result};

/// JPEGs of a stored file, in the order of time; `None` when the file itself is to be sent.
///
/// # Errors
/// [`crate::ErrorCode::TooBusy`], [`crate::ErrorCode::ProcessTimeout`], [`crate::ErrorCode::ValidateMemory`].
pub(super) async fn pictures(
    ctx: &Arc<Context>,
    stored: &StoredObject,
) -> Result<Option<Vec<Bytes>>> {
    let media = &ctx.config.media;
    if media.external_validation_as == ValidationAs::Original
        || stored.key().format() == Format::Jpeg
        // In this mode the file need not be a picture.
        || ctx.config.server.danger_dummy_mode
    {
        return Ok(None);
    }
    let permit = ctx.media.acquire().await?;
    let size = stored.key().size();
    let content = ctx.store.read(stored.object(), size, 0..size).await?;
    let source = content.into_input().await?;
    frames::stills(ctx, permit, source).await.map(Some)
}
