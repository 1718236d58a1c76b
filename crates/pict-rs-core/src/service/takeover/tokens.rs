//! Reads delete tokens and proxied URLs, which the predecessor does not tell, from its database.

use super::stale;
use crate::clock::now;
use crate::legacy::Name;
use crate::{Context, Result};

/// Aliases that are asked for at a time.
const BATCH: u32 = 500;

/// Adds what the predecessor's database knows about aliases without a token, if that database is
/// known.
///
/// # Errors
/// When one of both databases fails.
pub(super) async fn learn_all(ctx: &Context) -> Result<()> {
    let Some(names) = &ctx.predecessor_names else {
        return Ok(());
    };
    let (mut learnt, mut after) = (0, None);
    loop {
        let unknown = ctx.repo.without_token(after.as_ref(), BATCH).await?;
        let Some(last) = unknown.last() else {
            break;
        };
        learnt += learn(ctx, &names.find(&unknown).await?).await?;
        after = Some(last.clone());
    }
    if learnt > 0 {
        tracing::info!(learnt, "delete tokens were read from the old database");
    }
    Ok(())
}

/// Adds tokens and URLs to aliases that have none. Returns to how many.
///
/// # Errors
/// When the database fails.
pub(crate) async fn learn(ctx: &Context, names: &[Name]) -> Result<u64> {
    for name in names {
        // First the URL: when the token is known, nothing is asked for again.
        if let Some(url) = &name.url
            && ctx.repo.lacks_token(&name.alias).await?
        {
            ctx.repo.name_url(&stale(url), &name.alias, now()).await?;
        }
    }
    let tokens: Vec<_> = names
        .iter()
        .map(|name| (&name.alias, &name.token))
        .collect();
    ctx.repo.learn_tokens(&tokens).await
}
