//! What is known of media, as JSON.

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::service::find;
use pict_rs_core::{Alias, Context, ErrorCode};

use super::error::{ApiError, Result};
use super::image::on_get;
use super::subject::{self, Unknown};
use super::view::{Details, DetailsAnswer};
use super::wanted::Wanted;

/// `GET /image/details/original/{alias}`
pub async fn by_path(ctx: web::Data<Context>, alias: web::Path<String>) -> Result<HttpResponse> {
    original(&ctx, &Alias::parse(alias.into_inner())?).await
}

/// `GET /image/details/original?alias=` or `?proxy=`; never fetches.
pub async fn by_query(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let subject = subject::plain(request.query_string())?;
    let details = async |alias: &Alias| original(&ctx, alias).await;
    subject.answer(&ctx, Unknown::Refuse, details).await
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
    let (subject, rest) = subject::of_process(request.query_string())?;
    let wanted = Wanted::parse(&ctx, &extension, &rest, &request)?;
    let details = async |alias: &Alias| {
        let chosen = wanted.existing(&ctx, alias).await?;
        let chosen = chosen.ok_or_else(not_made)?;
        let (original, variant) = &chosen.found;
        let details = DetailsAnswer::from(Details::new(original, variant));
        let mut response = HttpResponse::Ok().json(details);
        chosen.mark_choice(&mut response);
        Ok(response)
    };
    subject.answer(&ctx, Unknown::Refuse, details).await
}

/// `GET /image/blurhash?alias=` or `?proxy=`
pub async fn blurhash(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let subject = subject::plain(request.query_string())?;
    let blurhash = async |alias: &Alias| {
        let blurhash = &find::original(&ctx, alias).await?.blurhash;
        Ok(HttpResponse::Ok().json(serde_json::json!({ "msg": "ok", "blurhash": blurhash })))
    };
    subject.answer(&ctx, on_get(&request), blurhash).await
}

/// For HEAD and details, which never make a variant.
pub fn not_made() -> ApiError {
    ApiError::user(
        ErrorCode::AliasNotFound,
        "This variant has not been made yet",
    )
}
