//! Downloads media from other servers, which are then kept.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::Context;
use pict_rs_core::query::Download;
use pict_rs_core::service::download;

use super::error::Result;
use super::{owners, view};

/// `GET /image/download?url=…&backgrounded=…&{limit or operation}=…`
pub async fn get(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let wanted = Download::parse(request.query_string())?;
    owners::check_key(&ctx, &request, wanted.query.owner.as_ref())?;
    // Each request creates something, and the answer contains a secret.
    let uncached = (CACHE_CONTROL, "no-store");
    if wanted.is_backgrounded {
        let ids = download::for_later(&ctx, &wanted).await?;
        return Ok(HttpResponse::Accepted()
            .insert_header(uncached)
            .json(view::upload_ids(&ids)));
    }
    let uploaded = download::now(&ctx, &wanted).await?;
    Ok(HttpResponse::Created()
        .insert_header(uncached)
        .json(view::uploads(&[uploaded])))
}
