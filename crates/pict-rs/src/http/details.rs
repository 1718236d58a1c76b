//! What is known of media, as JSON.

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::query::ProcessRequest;
use pict_rs_core::service::{find, process};
use pict_rs_core::{Alias, Context, ErrorCode};

use super::error::{ApiError, Result};
use super::subject;
use super::view::{Details, DetailsAnswer};

/// `GET /image/details/original/{alias}`
pub async fn by_path(ctx: web::Data<Context>, alias: web::Path<String>) -> Result<HttpResponse> {
    original(&ctx, &Alias::parse(alias.into_inner())?).await
}

/// `GET /image/details/original?alias=`
pub async fn by_query(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    original(&ctx, &subject::plain(request.query_string())?).await
}

async fn original(ctx: &Context, alias: &Alias) -> Result<HttpResponse> {
    let original = find::original(ctx, alias).await?;
    let details = Details::new(&original, &original.representation);
    Ok(HttpResponse::Ok().json(DetailsAnswer::from(details)))
}

/// `GET /image/details/process.{ext}?src=`; never makes the variant.
pub async fn of_variant(
    ctx: web::Data<Context>,
    extension: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let query = request.query_string();
    let wanted = ProcessRequest::parse(&extension, query, &ctx.config.media.filters.0)?;
    let alias = subject::of_process(query)?;
    let (original, variant) = process::existing(&ctx, &alias, &wanted)
        .await?
        .ok_or_else(not_made)?;
    Ok(HttpResponse::Ok().json(DetailsAnswer::from(Details::new(&original, &variant))))
}

/// `GET /image/blurhash?alias=`
pub async fn blurhash(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let alias = subject::plain(request.query_string())?;
    let original = find::original(&ctx, &alias).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "msg": "ok", "blurhash": original.blurhash })))
}

/// For HEAD and details, which never make a variant.
pub fn not_made() -> ApiError {
    ApiError::user(
        ErrorCode::AliasNotFound,
        "This variant has not been made yet",
    )
}
