//! The placeholder: a file that is served instead of missing ones.

use std::sync::Arc;

use crate::repo::Original;
use crate::service::{find, remove};
use crate::{Alias, Context, ErrorCode, Result};

/// Sets the alias of the placeholder, or removes the placeholder.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`], [`ErrorCode::ReadOnly`].
pub async fn set(ctx: &Context, alias: Option<&Alias>) -> Result<()> {
    remove::writable(ctx)?;
    if let Some(alias) = alias {
        find::original(ctx, alias).await?;
    }
    ctx.repo.set_not_found_alias(alias).await
}

/// The placeholder to be served, if its alias exists.
///
/// # Errors
/// When the database fails.
pub async fn get(ctx: &Context) -> Result<Option<Arc<Original>>> {
    let Some(alias) = ctx.repo.not_found_alias().await? else {
        return Ok(None);
    };
    match find::original(ctx, &alias).await {
        Ok(original) => {
            (ctx.fact_cache).note_use(&alias, original.hash(), &ctx.last_used);
            Ok(Some(original))
        }
        Err(error) if matches!(error.code(), ErrorCode::AliasNotFound | ErrorCode::LostFile) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
