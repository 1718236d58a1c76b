//! Uploads and variants that are answered before they are made, and claims of the outcome of an
//! upload.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::query::UploadQuery;
use pict_rs_core::service::spool::Spool;
use pict_rs_core::service::target::Unknown;
use pict_rs_core::service::{background, claim};
use pict_rs_core::{Alias, Context, UploadId};

use super::error::{self, Result};
use super::{form, requested_variant, target, view};

/// `POST /image/backgrounded`
pub async fn upload(
    ctx: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let take = async |query: &UploadQuery, field| {
        background::admit(&ctx).await?;
        let mut spool = Spool::start_waiting(&ctx, query).await?;
        form::fill(&mut spool, field).await?;
        Ok(spool.finish().await?)
    };
    let query = request.query_string();
    let (files, _) = form::receive(&ctx, &request, query, payload, take).await?;
    let ids = background::accept(&ctx, files, query).await?;
    Ok(HttpResponse::Accepted().json(view::upload_ids(&ids)))
}

/// `GET /image/backgrounded/claim?upload_id=`
pub async fn claim(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let id = UploadId::parse(&target::upload_id(request.query_string())?)?;
    let claim = claim::claim(&ctx, id).await?;
    // The answer changes with every request, and contains secrets.
    let uncached = (CACHE_CONTROL, "no-store");
    // Nothing may be awaited after `deliver`, because the answer begins.
    Ok(match claim.map(claim::Claim::deliver) {
        None => HttpResponse::NoContent().insert_header(uncached).finish(),
        Some(Ok(uploaded)) => HttpResponse::Ok()
            .insert_header(uncached)
            .json(view::uploads(&[uploaded])),
        Some(Err(failure)) => HttpResponse::UnprocessableEntity()
            .insert_header(uncached)
            .json(error::body(&failure)),
    })
}

/// `GET /image/process_backgrounded.{ext}?src=…&{operation}={argument}…`
pub async fn process(
    ctx: web::Data<Context>,
    extension: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (target, rest) = target::of_process(request.query_string())?;
    let requested = requested_variant::parse(&ctx, &extension, &rest, &request)?;
    let queue = async |alias: &Alias| requested.in_background(&ctx, alias).await;
    target.with_alias(&ctx, Unknown::Refuse, queue).await?;
    Ok(HttpResponse::Accepted().json(serde_json::json!({ "msg": "ok" })))
}
