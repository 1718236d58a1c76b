//! Asks another program whether a file may be kept (`media.external_validation`).
//!
//! The file is stored already, but no row names it yet, so it is not visible. The validator gets
//! what would be served: the cleaned or converted bytes, or JPEGs of them (`shown`). A validator
//! that does not answer, or is unavailable, is not the client's fault.

mod shown;

use std::sync::Arc;

use crate::config::ValidationFailure;
use crate::fetch::validator::Verdict;
use crate::metrics;
use crate::store::StoredObject;
use crate::timing::{Stage, timed};
use crate::{Context, Error, ErrorCode, Result};

/// Asks about a stored file, which is deleted if it is refused.
///
/// # Errors
/// [`ErrorCode::FailedExternalValidation`], [`ErrorCode::ExternalValidationUnavailable`].
pub(crate) async fn external(ctx: &Arc<Context>, stored: StoredObject) -> Result<StoredObject> {
    let Some(validator) = &ctx.validator else {
        return Ok(stored);
    };
    let pictures = shown::pictures(ctx, &stored).await?;
    let answer = validator.answer(&ctx.store, &stored, pictures);
    let error = match timed(Stage::Validation, answer).await? {
        Ok(Verdict::Accepted) => {
            metrics::validation("accepted");
            return Ok(stored);
        }
        Ok(Verdict::Refused(status)) => {
            metrics::validation("refused");
            tracing::info!(status, "the external validation refused a file");
            Error::user(
                ErrorCode::FailedExternalValidation,
                "This file was refused by the external validation",
            )
        }
        Err(error) => {
            metrics::validation("unavailable");
            if validator.failure == ValidationFailure::Accept {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(%error, cause, "the external validation does not answer about a file, which is accepted without it");
                return Ok(stored);
            }
            Error::internal(
                ErrorCode::ExternalValidationUnavailable,
                "the external validation does not answer about a file",
                error,
            )
        }
    };
    stored.discard().await;
    Err(error)
}
