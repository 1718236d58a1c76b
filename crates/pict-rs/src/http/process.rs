//! Variants.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::query::ProcessRequest;
use pict_rs_core::service::process;
use pict_rs_core::{Alias, Context, ErrorCode};

use super::auto;
use super::body;
use super::details::not_made;
use super::error::{ApiError, Result};
use super::missing;
use super::request::Settings;
use super::subject::{self, Unknown};

/// `GET /image/process.{ext}?src=…&{operation}={argument}…`
pub async fn get(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    extension: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let found = if *extension == auto::EXTENSION {
        auto::get(&ctx, &settings, &request).await
    } else {
        serve(&ctx, &settings, &extension, &request).await
    };
    missing::or_placeholder(&ctx, &settings, &request, found).await
}

async fn serve(
    ctx: &Arc<Context>,
    settings: &Settings,
    extension: &str,
    request: &HttpRequest,
) -> Result<HttpResponse> {
    let query = request.query_string();
    let (subject, rest) = subject::of_process(query)?;
    let wanted = ProcessRequest::parse(extension, &rest, &ctx.config.media.filters.0)?;
    let serve = async |alias: &Alias| {
        let answer = variant(ctx, settings, request, alias, &wanted).await;
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
) -> Result<HttpResponse> {
    let (_, variant) = process::variant(ctx, alias, wanted).await?;
    match body::respond(ctx, settings, request, &variant).await {
        Err(ApiError(error)) if error.code() == ErrorCode::LostFile => {
            process::forget_lost(ctx, alias, &variant).await?;
            let (_, variant) = process::variant(ctx, alias, wanted).await?;
            body::respond(ctx, settings, request, &variant).await
        }
        answer => answer,
    }
}

/// `HEAD /image/process.{ext}?…`; never makes the variant.
pub async fn head(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    extension: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    if *extension == auto::EXTENSION {
        return auto::head(&ctx, &settings, &request).await;
    }
    let query = request.query_string();
    let (subject, rest) = subject::of_process(query)?;
    let wanted = ProcessRequest::parse(&extension, &rest, &ctx.config.media.filters.0)?;
    let serve = async |alias: &Alias| {
        let found = process::existing(&ctx, alias, &wanted).await?;
        let (_, variant) = found.ok_or_else(not_made)?;
        match body::respond(&ctx, &settings, &request, &variant).await {
            // Dropped in this moment, or lost: either way it is not there.
            Err(ApiError(error)) if error.code() == ErrorCode::LostFile => {
                process::forget_lost(&ctx, alias, &variant).await?;
                Err(not_made())
            }
            answer => answer,
        }
    };
    subject.answer(&ctx, Unknown::Refuse, serve).await
}
