//! Serves media. The caller answers with a representation; if its bytes turn out to be lost, they
//! are made or fetched again where possible, and the caller answers once more.

use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::repo::Representation;
use crate::service::find;
use crate::service::requested::{Chosen, Requested};
use crate::service::target::{Target, Unknown};
use crate::service::variant;
use crate::{Alias, ContentKey, Context, Error, ErrorCode, Result};

/// What a medium is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A client shows it: its content counts as used.
    Use,
    /// Somebody wants to know what is stored.
    Inspection,
}

impl Purpose {
    /// Called when `content` was served as `alias`.
    fn note_use(self, ctx: &Context, alias: &Alias, content: &ContentKey) {
        if self == Self::Use {
            ctx.fact_cache.note_use(alias, content, &ctx.last_used);
        }
    }
}

/// Answers with the original of `target`.
///
/// # Errors
/// Those of [`Target::with_alias`] and of `answer`.
pub async fn original<T>(
    ctx: &Arc<Context>,
    target: &Target,
    unknown: Unknown,
    purpose: Purpose,
    answer: impl AsyncFn(&Representation) -> Result<T>,
) -> Result<T> {
    let with_original = async |alias: &_| {
        let original = find::original(ctx, alias).await?;
        match answer(&original.representation).await {
            Err(error) => Err(find::lost_or_removed(ctx, alias, error).boxed().await),
            Ok(answered) => {
                purpose.note_use(ctx, alias, original.hash());
                Ok(answered)
            }
        }
    };
    target.with_alias(ctx, unknown, with_original).await
}

/// Answers with a variant of `target`, which is made now if needed, and again if its bytes are
/// lost.
///
/// # Errors
/// Those of [`Target::with_alias`], of [`Requested::variant`] and of `answer`.
pub async fn variant<T>(
    ctx: &Arc<Context>,
    target: &Target,
    requested: &Requested,
    purpose: Purpose,
    answer: impl AsyncFn(&Chosen) -> Result<T>,
) -> Result<T> {
    let made = async |alias: &_| {
        let chosen = requested.variant(ctx, alias).await?;
        let answered = match answer(&chosen).await {
            Err(error) if error.code() == ErrorCode::LostFile => {
                variant::forget_lost(ctx, alias, chosen.variant())
                    .boxed()
                    .await?;
                answer(&requested.variant(ctx, alias).await?).await
            }
            answered => answered,
        };
        if answered.is_ok() {
            purpose.note_use(ctx, alias, chosen.content());
        }
        answered
    };
    let with_variant = async |alias: &_| match made(alias).await {
        Err(error) => Err(find::lost_or_removed(ctx, alias, error).boxed().await),
        answered => answered,
    };
    target.with_alias(ctx, Unknown::Fetch, with_variant).await
}

/// Answers with an existing variant; never makes or fetches anything.
///
/// # Errors
/// [`ErrorCode::AliasNotFound`] when it does not exist or its bytes are lost, and those of
/// `answer`.
pub async fn existing_variant<T>(
    ctx: &Arc<Context>,
    target: &Target,
    requested: &Requested,
    answer: impl AsyncFn(&Chosen) -> Result<T>,
) -> Result<T> {
    let with_variant = async |alias: &_| {
        let chosen = requested.existing(ctx, alias).await?;
        let chosen = chosen.ok_or_else(not_made)?;
        match answer(&chosen).await {
            // It was just dropped, or is lost: either way it does not exist.
            Err(error) if error.code() == ErrorCode::LostFile => {
                variant::forget_lost(ctx, alias, chosen.variant())
                    .boxed()
                    .await?;
                Err(not_made())
            }
            answered => answered,
        }
    };
    target.with_alias(ctx, Unknown::Refuse, with_variant).await
}

fn not_made() -> Error {
    Error::user(
        ErrorCode::AliasNotFound,
        "This variant has not been made yet",
    )
}
