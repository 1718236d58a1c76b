//! Everything about one content, for administrators.

use std::sync::Arc;

use crate::repo::{Original, Representation};
use crate::service::find;
use crate::{Alias, Context, Result};

/// Variants that are listed at most.
const MAX_VARIANTS: u32 = 100;

/// A content and what belongs to it.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The content.
    pub original: Arc<Original>,
    /// All its aliases, sorted.
    pub aliases: Vec<Alias>,
    /// The URLs that it was fetched from, sorted.
    pub urls: Vec<String>,
    /// Its variants with their names, sorted; at most a hundred.
    pub variants: Vec<(String, Representation)>,
}

/// The content that `alias` names.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`], [`crate::ErrorCode::LostFile`],
/// [`crate::ErrorCode::RepoError`]; during a takeover those of [`find::aliases`].
pub async fn inspect(ctx: &Context, alias: &Alias) -> Result<Inspected> {
    let original = find::original(ctx, alias).await?;
    let hash = original.hash();
    Ok(Inspected {
        aliases: find::aliases(ctx, alias).await?,
        urls: ctx.repo.urls_of(hash).await?,
        variants: ctx.repo.variants_of(hash, MAX_VARIANTS).await?,
        original,
    })
}
