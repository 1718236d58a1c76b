//! What is sent for missing media: an error, or the bytes of the file that stands in for them.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use pict_rs_core::service::{find, placeholder};
use pict_rs_core::{Alias, Context, ErrorCode};

use super::body;
use super::error::{ApiError, Result};
use super::request::Settings;

/// Replaces the answer to a GET that found no such alias, if something stands in for it. HEAD
/// tells the truth.
///
/// # Errors
/// Those of `answer`, and when the database fails.
pub async fn or_placeholder(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    answer: Result<HttpResponse>,
) -> Result<HttpResponse> {
    let error = match answer {
        Err(ApiError(error))
            if error.code() == ErrorCode::AliasNotFound && request.method() == Method::GET =>
        {
            error
        }
        answer => return answer,
    };
    let Some(original) = placeholder::get(ctx).await? else {
        return Err(error.into());
    };
    let stand_in = body::stand_in(ctx, settings, request, &original.representation).await;
    // A placeholder that is lost itself is no reason to say anything else than 404.
    stand_in.map_err(|_| error.into())
}

/// Bytes that went together with their alias, just now, are missing and not lost.
///
/// # Errors
/// Those of `answer`.
pub async fn or_removed(
    ctx: &Context,
    alias: &Alias,
    answer: Result<HttpResponse>,
) -> Result<HttpResponse> {
    match answer {
        Err(ApiError(error)) => Err(find::lost_or_removed(ctx, alias, error).await.into()),
        answer => answer,
    }
}
