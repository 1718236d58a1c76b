//! Details of media, as JSON.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::service::requested::Chosen;
use pict_rs_core::service::target::{Target, Unknown};
use pict_rs_core::service::{find, serve};
use pict_rs_core::{Alias, Context};

use super::error::Result;
use super::image::on_get;
use super::view::{Details, DetailsAnswer};
use super::{requested_variant, target};

/// `GET /image/details/original/{alias}`
pub async fn by_path(ctx: web::Data<Context>, alias: web::Path<String>) -> Result<HttpResponse> {
    let target = Target::Alias(Alias::parse(alias.into_inner())?);
    by_target(&ctx, &target).await
}

/// `GET /image/details/original?alias=` or `?proxy=`; never fetches.
pub async fn by_query(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let target = target::plain(request.query_string())?;
    by_target(&ctx, &target).await
}

async fn by_target(ctx: &Arc<Context>, target: &Target) -> Result<HttpResponse> {
    let find = async |alias: &Alias| find::original(ctx, alias).await;
    let original = target.with_alias(ctx, Unknown::Refuse, find).await?;
    let details = Details::new(&original, &original.representation);
    Ok(HttpResponse::Ok().json(DetailsAnswer::from(details)))
}

/// `GET /image/details/process.{ext}?src=`; never makes the variant.
pub async fn of_variant(
    ctx: web::Data<Context>,
    extension: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (target, rest) = target::of_process(request.query_string())?;
    let requested = requested_variant::parse(&ctx, &extension, &rest, &request)?;
    let details = async |chosen: &Chosen| {
        let (original, variant) = &chosen.found;
        let details = DetailsAnswer::from(Details::new(original, variant));
        let mut response = HttpResponse::Ok().json(details);
        requested_variant::mark_choice(chosen, &mut response);
        Ok(response)
    };
    Ok(serve::existing_variant(&ctx, &target, &requested, details).await?)
}

/// `GET /image/blurhash?alias=` or `?proxy=`
pub async fn blurhash(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let target = target::plain(request.query_string())?;
    let find = async |alias: &Alias| find::original(&ctx, alias).await;
    let original = target.with_alias(&ctx, on_get(&request), find).await?;
    let answer = serde_json::json!({ "msg": "ok", "blurhash": original.hints.blurhash });
    Ok(HttpResponse::Ok().json(answer))
}
