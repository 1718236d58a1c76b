//! For the holder of the API key.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::service::{find, remove};
use pict_rs_core::{Alias, Context, ErrorCode};
use subtle::ConstantTimeEq as _;

use super::error::{ApiError, Result};
use super::subject::{self, Unknown};

/// Refuses everything without the right key, before path and method are looked at.
pub async fn require_api_key(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    let given = request
        .headers()
        .get("x-api-token")
        .map(|token| token.as_bytes());
    let expected = request
        .app_data::<web::Data<Context>>()
        .and_then(|ctx| ctx.config.server.api_key());
    let is_right = match (given, expected) {
        (Some(given), Some(expected)) => given.ct_eq(expected.expose().as_bytes()).into(),
        _ => false,
    };
    if !is_right {
        let error = ApiError::user(
            ErrorCode::InvalidApiToken,
            "The API key is missing or wrong",
        );
        return Ok(request.error_response(error));
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// `POST /internal/purge?alias=` or `?proxy=`
pub async fn purge(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let subject = subject::plain(request.query_string())?;
    let purge = async |alias: &Alias| Ok(aliases_answer(&remove::purge(&ctx, alias).await?));
    subject.answer(&ctx, Unknown::Refuse, purge).await
}

/// `POST /internal/delete?alias=` or `?proxy=`
pub async fn delete(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let subject = subject::plain(request.query_string())?;
    let delete = async |alias: &Alias| {
        remove::alias(&ctx, alias).await?;
        Ok(HttpResponse::Ok().json(serde_json::json!({ "msg": "ok" })))
    };
    subject.answer(&ctx, Unknown::Refuse, delete).await
}

/// `GET /internal/aliases?alias=` or `?proxy=`
pub async fn aliases(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let subject = subject::plain(request.query_string())?;
    let aliases = async |alias: &Alias| Ok(aliases_answer(&find::aliases(&ctx, alias).await?));
    subject.answer(&ctx, Unknown::Refuse, aliases).await
}

/// `GET /internal/identifier?alias=` or `?proxy=`
pub async fn identifier(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let subject = subject::plain(request.query_string())?;
    let identifier = async |alias: &Alias| {
        let original = find::original(&ctx, alias).await?;
        let identifier = original.representation.object.as_str();
        Ok(HttpResponse::Ok().json(serde_json::json!({ "msg": "ok", "identifier": identifier })))
    };
    subject.answer(&ctx, Unknown::Refuse, identifier).await
}

fn aliases_answer(aliases: &[Alias]) -> HttpResponse {
    let aliases: Vec<_> = aliases.iter().map(Alias::as_str).collect();
    HttpResponse::Ok().json(serde_json::json!({ "msg": "ok", "aliases": aliases }))
}
