//! Everything about one content, for administrators.

use std::sync::Arc;

use crate::repo::{Original, Quarantined, Representation, StoredPdq};
use crate::service::find;
use crate::{Alias, Context, ErrorCode, Owner, Result};

/// Variants that are listed at most.
const MAX_VARIANTS: u32 = 100;

/// A content and what belongs to it.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The content.
    pub original: Arc<Original>,
    /// Why it is in quarantine, if it is.
    pub quarantined: Option<Quarantined>,
    /// Its PDQ hash; `None` when it was not computed yet.
    pub pdq: Option<StoredPdq>,
    /// All its aliases, sorted.
    pub aliases: Vec<Alias>,
    /// Those of them that have an owner.
    pub owners: Vec<(Alias, Owner)>,
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
    let (original, quarantined) = match find::original(ctx, alias).await {
        Err(error) if error.code() == ErrorCode::AliasNotFound => {
            let found = ctx.repo.quarantined_as(alias).await?.ok_or(error)?;
            (Arc::new(found.original.clone()), Some(found))
        }
        found => (found?, None),
    };
    let hash = original.hash();
    Ok(Inspected {
        aliases: find::aliases(ctx, alias).await?,
        owners: ctx.repo.owners_of(hash).await?,
        pdq: ctx.repo.pdq_of(hash).await?,
        urls: ctx.repo.urls_of(hash).await?,
        variants: ctx.repo.variants_of(hash, MAX_VARIANTS).await?,
        original,
        quarantined,
    })
}
