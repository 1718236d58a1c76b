//! Everything about one content, for administrators.

use std::sync::Arc;

use crate::repo::{ListedVariant, Original, Quarantined, StoredPdq};
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
    /// When it was last used, in unix milliseconds, to within a day; `None` when it was not since
    /// `uses_since`.
    pub used_at: Option<i64>,
    /// Since when uses are recorded, in unix milliseconds; 0 when they always were.
    pub uses_since: i64,
    /// Its variants, sorted by name; at most a hundred.
    pub variants: Vec<ListedVariant>,
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
        used_at: match ctx.last_used.contents.noted_at(hash) {
            Some(noted_at) => Some(noted_at),
            None => ctx.repo.used_at(hash).await?,
        },
        uses_since: ctx.repo.uses_since().await?,
        variants: ctx.repo.variants_of(hash, MAX_VARIANTS).await?,
        original,
        quarantined,
    })
}
