//! Variants in the format that suits the client: `process.auto`.

use std::sync::Arc;

use actix_web::http::header::{self, CACHE_CONTROL, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};
use pict_rs_core::accept::Accept;
use pict_rs_core::query::ProcessRequest;
use pict_rs_core::service::auto::{self, Answer};
use pict_rs_core::service::process;
use pict_rs_core::{Alias, Context, ErrorCode};
use pict_rs_media::OutputFormat;

use super::body;
use super::details::not_made;
use super::error::{ApiError, Result};
use super::missing;
use super::request::Settings;
use super::subject::{self, Unknown};

/// The extension that is no format.
pub const EXTENSION: &str = "auto";

/// What is asked for, in any format.
///
/// # Errors
/// [`ErrorCode::InvalidProcessPath`].
pub fn parse(ctx: &Context, query: &str) -> pict_rs_core::Result<ProcessRequest> {
    // Every build writes JPEG, and the choice comes later.
    let any = OutputFormat::Jpeg.extension();
    ProcessRequest::parse(any, query, &ctx.config.media.filters.0)
}

/// What the client can show.
pub fn accept(request: &HttpRequest) -> Accept {
    let values = request.headers().get_all(header::ACCEPT);
    let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    Accept::parse(&values.join(","))
}

/// `GET /image/process.auto?src=…&{operation}={argument}…`
///
/// # Errors
/// As for a format that is named.
pub async fn get(
    ctx: &Arc<Context>,
    settings: &Settings,
    request: &HttpRequest,
) -> Result<HttpResponse> {
    let (subject, rest) = subject::of_process(request.query_string())?;
    let wanted = parse(ctx, &rest)?;
    let accept = accept(request);
    let serve = async |alias: &Alias| {
        let answer = variant(ctx, settings, request, alias, &wanted, &accept).await;
        missing::or_removed(ctx, alias, answer).await
    };
    subject.answer(ctx, Unknown::Fetch, serve).await
}

async fn variant(
    ctx: &Arc<Context>,
    settings: &Settings,
    request: &HttpRequest,
    alias: &Alias,
    wanted: &ProcessRequest,
    accept: &Accept,
) -> Result<HttpResponse> {
    let chosen = auto::variant(ctx, alias, wanted, accept).await?;
    match respond(ctx, settings, request, &chosen).await {
        Err(ApiError(error)) if error.code() == ErrorCode::LostFile => {
            process::forget_lost(ctx, alias, &chosen.found.1).await?;
            let chosen = auto::variant(ctx, alias, wanted, accept).await?;
            respond(ctx, settings, request, &chosen).await
        }
        answer => answer,
    }
}

/// `HEAD /image/process.auto?…`; never makes a variant.
///
/// # Errors
/// As for a format that is named.
pub async fn head(
    ctx: &Arc<Context>,
    settings: &Settings,
    request: &HttpRequest,
) -> Result<HttpResponse> {
    let (subject, rest) = subject::of_process(request.query_string())?;
    let wanted = parse(ctx, &rest)?;
    let accept = accept(request);
    let serve = async |alias: &Alias| {
        let chosen = auto::existing(ctx, alias, &wanted, &accept).await?;
        let chosen = chosen.ok_or_else(not_made)?;
        match respond(ctx, settings, request, &chosen).await {
            // Dropped in this moment, or lost: either way it is not there.
            Err(ApiError(error)) if error.code() == ErrorCode::LostFile => {
                process::forget_lost(ctx, alias, &chosen.found.1).await?;
                Err(not_made())
            }
            answer => answer,
        }
    };
    subject.answer(ctx, Unknown::Refuse, serve).await
}

async fn respond(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    chosen: &Answer,
) -> Result<HttpResponse> {
    let mut response = body::respond(ctx, settings, request, &chosen.found.1).await?;
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if chosen.is_fallback && headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, settings.fallback_cache_control.clone());
    }
    Ok(response)
}
