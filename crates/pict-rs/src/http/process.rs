//! Variants.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::service::process;
use pict_rs_core::{Alias, Context, ErrorCode};

use super::body;
use super::details::not_made;
use super::error::{ApiError, Result};
use super::missing;
use super::request::Settings;
use super::subject::{self, Unknown};
use super::wanted::{Chosen, Wanted};

/// `GET /image/process.{ext}?src=…&{operation}={argument}…`
pub async fn get(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    extension: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let found = serve(&ctx, &settings, &extension, &request).await;
    missing::or_placeholder(&ctx, &settings, &request, found).await
}

async fn serve(
    ctx: &Arc<Context>,
    settings: &Settings,
    extension: &str,
    request: &HttpRequest,
) -> Result<HttpResponse> {
    let (subject, rest) = subject::of_process(request.query_string())?;
    let wanted = Wanted::parse(ctx, extension, &rest, request)?;
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
    wanted: &Wanted,
) -> Result<HttpResponse> {
    let chosen = wanted.variant(ctx, alias).await?;
    match respond(ctx, settings, request, &chosen).await {
        Err(ApiError(error)) if error.code() == ErrorCode::LostFile => {
            process::forget_lost(ctx, alias, chosen.variant()).await?;
            let chosen = wanted.variant(ctx, alias).await?;
            respond(ctx, settings, request, &chosen).await
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
    let (subject, rest) = subject::of_process(request.query_string())?;
    let wanted = Wanted::parse(&ctx, &extension, &rest, &request)?;
    let serve = async |alias: &Alias| {
        let chosen = wanted.existing(&ctx, alias).await?;
        let chosen = chosen.ok_or_else(not_made)?;
        match respond(&ctx, &settings, &request, &chosen).await {
            // Dropped in this moment, or lost: either way it is not there.
            Err(ApiError(error)) if error.code() == ErrorCode::LostFile => {
                process::forget_lost(&ctx, alias, chosen.variant()).await?;
                Err(not_made())
            }
            answer => answer,
        }
    };
    subject.answer(&ctx, Unknown::Refuse, serve).await
}

async fn respond(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    chosen: &Chosen,
) -> Result<HttpResponse> {
    let mut response = body::respond(ctx, settings, request, chosen.variant()).await?;
    chosen.mark(settings, &mut response);
    Ok(response)
}
