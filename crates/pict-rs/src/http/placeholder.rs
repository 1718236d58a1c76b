//! The answer for missing media: an error, or the bytes of the placeholder.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::FutureExt as _;
use pict_rs_core::service::placeholder;
use pict_rs_core::{Context, ErrorCode, Result as CoreResult};

use super::body;
use super::error::Result;
use super::request::Settings;

/// Replaces the answer to a GET whose alias was not found by the placeholder, if there is one. HEAD
/// keeps the real answer.
///
/// # Errors
/// Those of `answer`, and when the database fails.
pub async fn or_placeholder(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    answer: CoreResult<HttpResponse>,
) -> Result<HttpResponse> {
    let error = match answer {
        Err(error)
            if error.code() == ErrorCode::AliasNotFound && request.method() == Method::GET =>
        {
            error
        }
        answer => return Ok(answer?),
    };
    let Some(original) = placeholder::get(ctx).boxed().await? else {
        return Err(error.into());
    };
    let stand_in = body::stand_in(ctx, settings, request, &original.representation);
    let stand_in = stand_in.boxed_local().await;
    // If the placeholder itself is lost, the answer is still 404.
    stand_in.map_err(|_| error.into())
}
