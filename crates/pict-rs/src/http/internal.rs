//! Routes that need an API key.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use pict_rs_core::query::UploadQuery;
use pict_rs_core::repo::{NewlyListed, Refused};
use pict_rs_core::service::spool::Spool;
use pict_rs_core::service::target::Unknown;
use pict_rs_core::service::{find, import, remove, upload};
use pict_rs_core::{Alias, Context, Digest, Error, ErrorCode};

use super::error::{ApiError, Result};
use super::{cause, form, owners, target, view};

/// Refuses requests without a valid key, before path and method are checked.
pub async fn require_api_key(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    let given = request
        .headers()
        .get("x-api-token")
        .map(|token| token.as_bytes());
    let ctx = request.app_data::<web::Data<Context>>();
    let found = match (given, ctx) {
        (Some(given), Some(ctx)) => ctx.config.server.find_api_key(given),
        _ => None,
    };
    let Some(key) = found else {
        let detail = "The header X-Api-Token is missing, or is not the API key of this server";
        let error = Error::user(ErrorCode::InvalidApiToken, "Invalid API Token").detail(detail);
        let error = ApiError(error);
        return Ok(request.error_response(error));
    };
    request.extensions_mut().insert(key);
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// `POST /internal/import`: as an upload, but file names become aliases.
pub async fn import(
    ctx: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let take = async |query: &UploadQuery, field| {
        remove::writable(&ctx)?;
        let filename = form::filename(&field).unwrap_or_default();
        let alias = import::name(&ctx, &filename).await?;
        let mut spool = Spool::start(&ctx, query).await?;
        form::fill(&mut spool, field).await?;
        Ok((Some(alias), spool.finish().await?))
    };
    let (files, query) =
        form::receive(&ctx, &request, request.query_string(), payload, take).await?;
    let imported = upload::ingest_all(&ctx, files, &query).await?;
    Ok(HttpResponse::Created().json(view::uploads(&imported)))
}

/// `POST /internal/purge?alias=`, `?proxy=` or `?owner=`; `block=true` also blocks the content, and with
/// `near=true` what looks like it.
pub async fn purge(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let block = target::switch(request.query_string(), "block")?;
    let near = target::switch(request.query_string(), "near")?;
    let refused = match (block, near) {
        (false, false) => Refused::Nothing,
        (true, false) => Refused::Same,
        (true, true) => Refused::Similar,
        (false, true) => {
            let message = "near=true says what block=true refuses, which is missing";
            return Err(ApiError::user(ErrorCode::InvalidQuery, message));
        }
    };
    if let Some(owner) = target::find(request.query_string(), "owner") {
        return owners::purge(&ctx, &request, owner, refused).await;
    }
    let target = target::plain(request.query_string())?;
    let cause = cause::admin(&request)?;
    let purge = async |alias: &Alias| remove::purge(&ctx, alias, refused, cause.clone()).await;
    let purged = target.with_alias(&ctx, Unknown::Refuse, purge).await?;
    let mut answer = aliases_json(&purged.aliases);
    if block {
        answer["blocked"] = view::digests(&purged.blocked);
    }
    if near {
        let NewlyListed { hash, frames } = purged.listed;
        let texts = |frames: Vec<_>| frames.iter().map(ToString::to_string).collect::<Vec<_>>();
        answer["listed"] = hash.map(|hash| hash.to_string()).into();
        answer["listed_frames"] = frames.map(texts).into();
    }
    Ok(HttpResponse::Ok().json(answer))
}

/// `POST /internal/delete?alias=` or `?proxy=`
pub async fn delete(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let target = target::plain(request.query_string())?;
    let cause = cause::admin(&request)?;
    let delete = async |alias: &Alias| remove::alias(&ctx, alias, cause.clone()).await;
    target.with_alias(&ctx, Unknown::Refuse, delete).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "msg": "ok" })))
}

/// `GET /internal/aliases?alias=`, `?proxy=` or `?hash=`
pub async fn aliases(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    if let Some(hash) = target::find(request.query_string(), "hash") {
        let aliases = find::aliases_of_digest(&ctx, &Digest::parse(&hash)?).await?;
        return Ok(HttpResponse::Ok().json(aliases_json(&aliases)));
    }
    let target = target::plain(request.query_string())?;
    let find = async |alias: &Alias| find::aliases(&ctx, alias).await;
    let aliases = target.with_alias(&ctx, Unknown::Refuse, find).await?;
    Ok(HttpResponse::Ok().json(aliases_json(&aliases)))
}

/// `GET /internal/identifier?alias=` or `?proxy=`
pub async fn identifier(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let target = target::plain(request.query_string())?;
    let find = async |alias: &Alias| find::original(&ctx, alias).await;
    let original = target.with_alias(&ctx, Unknown::Refuse, find).await?;
    let identifier = original.representation.object.as_str();
    Ok(HttpResponse::Ok().json(serde_json::json!({ "msg": "ok", "identifier": identifier })))
}

fn aliases_json(aliases: &[Alias]) -> serde_json::Value {
    let aliases: Vec<_> = aliases.iter().map(Alias::as_str).collect();
    serde_json::json!({ "msg": "ok", "aliases": aliases })
}
