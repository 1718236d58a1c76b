//! Maintenance and moderation, with an API key.

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::service::moderate::Subject;
use pict_rs_core::service::target::{Target, Unknown};
use pict_rs_core::service::{export, maintain, moderate, placeholder};
use pict_rs_core::{Alias, Context, Digest, ErrorCode};
use serde_json::{Value, json};

use super::error::{ApiError, Result};
use super::{cause, form, target, view};

/// `DELETE /internal/variants`
pub async fn drop_variants(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    maintain::drop_variants(&ctx, &cause::admin(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /internal/prune_missing?force=&block=`
pub async fn prune_missing(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let force = target::switch(request.query_string(), "force")?;
    let block = target::switch(request.query_string(), "block")?;
    let run = maintain::prune_missing(&ctx, force, block, &cause::admin(&request)?).await?;
    Ok(HttpResponse::Ok().json(json!({
        "msg": "ok",
        "complete": run.is_finished,
        "progress": run.progress,
        "total": run.total,
    })))
}

/// `POST /internal/export`
pub async fn export(ctx: web::Data<Context>) -> Result<HttpResponse> {
    let exported = export::export(&ctx).await?;
    let path = exported.path.to_string_lossy();
    Ok(HttpResponse::Created().json(json!({ "msg": "ok", "path": path, "size": exported.size })))
}

/// `POST /internal/set_not_found` with `{"alias":"…"}`, or `{"alias":null}` to clear it.
pub async fn set_not_found(
    ctx: web::Data<Context>,
    request: HttpRequest,
    body: Result<web::Json<Value>, actix_web::Error>,
) -> Result<HttpResponse> {
    form::plain_body(&request)?;
    let body = body.map_err(|error| bad_json(&error.to_string()))?;
    if body.get("proxy").is_some() {
        return Err(ApiError::user(
            ErrorCode::ProxyNotAllowed,
            "Proxied media may be gone tomorrow, so they cannot stand in for missing ones",
        ));
    }
    match body.get("alias") {
        Some(Value::String(alias)) => {
            let target = Target::Alias(Alias::parse(alias.as_str())?);
            let set = async |alias: &Alias| placeholder::set(&ctx, Some(alias)).await;
            target.with_alias(&ctx, Unknown::Refuse, set).await?;
            Ok(HttpResponse::Created().json(json!({ "msg": "ok" })))
        }
        Some(Value::Null) => {
            placeholder::set(&ctx, None).await?;
            Ok(HttpResponse::Ok().json(json!({ "msg": "ok" })))
        }
        _ => Err(bad_json("it has no \"alias\" that is a text or null")),
    }
}

fn bad_json(why: &str) -> ApiError {
    let message = format!("The body is not JSON of the form {{\"alias\":\"…\"}}: {why}");
    ApiError::user(ErrorCode::InvalidJson, message)
}

/// `POST /internal/blocklist?hash=`, `?alias=` or `?proxy=`
pub async fn block(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = request.query_string();
    let cause = cause::admin(&request)?;
    let block = async |subject| moderate::block(&ctx, &subject, &cause).await;
    let blocked = match target::find(query, "hash") {
        Some(hash) => block(Subject::Digest(Digest::parse(&hash)?)).await?,
        None => {
            let named = async |alias: &Alias| block(Subject::Alias(alias.clone())).await;
            let target = target::plain(query)?;
            target.with_alias(&ctx, Unknown::Refuse, named).await?
        }
    };
    let blocked = view::digests(&blocked);
    Ok(HttpResponse::Created().json(json!({ "msg": "ok", "blocked": blocked })))
}

/// `DELETE /internal/blocklist?hash=`
pub async fn unblock(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let hash = target::find(request.query_string(), "hash").unwrap_or_default();
    let cause = cause::admin(&request)?;
    moderate::unblock(&ctx, &Digest::parse(&hash)?, &cause).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /internal/prepare_upgrade`, which prepared 0.4 for an upgrade to 0.5.
pub async fn prepare_upgrade() -> Result<HttpResponse> {
    Err(ApiError::user(
        ErrorCode::Gone,
        "There is nothing to prepare: this version changes its database by itself when it starts. \
         docs/compatibility.md tells how to come from older versions",
    ))
}
