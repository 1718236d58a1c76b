//! What limits would drop, without dropping it.

use crate::clock::now;
use crate::config::{ByteSize, Span};
use crate::repo::{DropCandidate, Unused};
use crate::service::budget::{self, BudgetFigures};
use crate::service::retention;
use crate::{Context, Result};

/// Files that a preview names.
const NAMED: usize = 20;

/// What a budget of the disk would do.
#[derive(Clone, Debug)]
pub struct BudgetPreview {
    /// How it would stand.
    pub figures: BudgetFigures,
    /// Bytes that would be dropped at first, as far as variants and proxied media have so many.
    pub excess: u64,
    /// Files that would be among the first, by their value. They come from a sample, so the next time
    /// they may be others.
    pub candidates: Vec<DropCandidate>,
}

/// What `media.disk` would do with this value.
///
/// # Errors
/// When the database fails.
pub async fn budget(ctx: &Context, budget: ByteSize) -> Result<BudgetPreview> {
    let figures = budget::figures_with(ctx, budget).await?;
    let droppable = figures.used.saturating_sub(figures.uploads);
    let excess = figures.excess().min(droppable);
    let candidates = match excess {
        0 => Vec::new(),
        _ => ctx.repo.drop_candidates(NAMED, now()).await?,
    };
    Ok(BudgetPreview {
        figures,
        excess,
        candidates,
    })
}

/// What `media.retention` would drop if it kept unused media for this long.
///
/// # Errors
/// When the database fails.
pub async fn retention(ctx: &Context, age: Span) -> Result<Unused> {
    ctx.repo
        .unused_since(retention::unused_since(ctx, age))
        .await
}
