//! Owners of uploads, with an API key.

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::repo::{OwnedAlias, Refused};
use pict_rs_core::service::owner;
use pict_rs_core::service::target::Unknown;
use pict_rs_core::{Alias, Context, Error, ErrorCode, Owner};
use serde_json::json;

use super::error::{ApiError, Result};
use super::pages::Query;
use super::{cause, target, view};

/// `GET /internal/owners?after=&limit=`
pub async fn list(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let after = query.find("after").map(Owner::parse).transpose()?;
    let (owners, next) = owner::owners(&ctx, after.as_ref(), query.number("limit")?).await?;
    let owners: Vec<_> = owners
        .iter()
        .map(|(owner, usage)| {
            json!({
                "owner": owner.as_str(),
                "aliases": usage.aliases,
                "contents": usage.contents,
                "bytes": usage.bytes,
            })
        })
        .collect();
    let next = next.as_ref().map(Owner::as_str);
    Ok(HttpResponse::Ok().json(json!({
        "msg": "ok",
        "quota": owner::quota(&ctx),
        "owners": owners,
        "next": next,
    })))
}

/// `GET /internal/owner?owner=&before=&limit=`: what one of them has.
pub async fn of_one(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let owner = named(&query)?;
    let after = after(&query)?;
    let limit = query.number("limit")?;
    let (aliases, next) = owner::owned(&ctx, &owner, after.as_ref(), limit).await?;
    let usage = ctx.repo.usage_of_owner(&owner).await?;
    let aliases: Vec<_> = aliases
        .iter()
        .map(|one| {
            json!({
                "alias": one.alias.as_str(),
                "created_at": view::rfc3339(one.created_at),
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({
        "msg": "ok",
        "owner": owner.as_str(),
        "contents": usage.contents,
        "bytes": usage.bytes,
        "quota": owner::quota(&ctx),
        "total": usage.aliases,
        "aliases": aliases,
        "next": next.as_ref().map(cursor),
    })))
}

/// `POST /internal/owner?owner=&alias=`: the alias belongs to this owner from now on.
pub async fn set(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let owner = named(&Query(request.query_string()))?;
    give(&ctx, &request, Some(&owner)).await?;
    Ok(HttpResponse::Ok().json(json!({ "msg": "ok" })))
}

/// `DELETE /internal/owner?alias=`: the alias has no owner from now on.
pub async fn unset(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    if Query(request.query_string()).find("owner").is_some() {
        let message = "The query has owner=, which is not compared; name the alias only";
        return Err(ApiError::user(ErrorCode::InvalidQuery, message));
    }
    give(&ctx, &request, None).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn give(
    ctx: &web::Data<Context>,
    request: &HttpRequest,
    owner: Option<&Owner>,
) -> Result<()> {
    let target = target::plain(request.query_string())?;
    let set = async |alias: &Alias| owner::set(ctx, alias, owner).await;
    Ok(target.with_alias(ctx, Unknown::Refuse, set).await?)
}

/// `POST /internal/purge?owner=`
///
/// # Errors
/// [`ErrorCode::InvalidQuery`], and those of [`owner::purge`].
pub async fn purge(
    ctx: &web::Data<Context>,
    request: &HttpRequest,
    owner: String,
    refused: Refused,
) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    if query.find("alias").is_some() || query.find("proxy").is_some() {
        let message = "The query has owner= and also alias= or proxy=, so what goes is not clear";
        return Err(ApiError::user(ErrorCode::InvalidQuery, message));
    }
    let owner = Owner::parse(owner)?;
    let purged = owner::purge(ctx, &owner, refused, &cause::admin(request)?).await?;
    Ok(HttpResponse::Ok().json(json!({
        "msg": "ok",
        "owner": owner.as_str(),
        "removed": purged.aliases,
        "blocked": purged.blocked,
    })))
}

/// Only clients with the API key may name an owner.
///
/// # Errors
/// [`ErrorCode::InvalidApiToken`].
pub fn check_key(ctx: &Context, request: &HttpRequest, owner: Option<&Owner>) -> Result<()> {
    if owner.is_none() {
        return Ok(());
    }
    let given = request.headers().get("x-api-token");
    let is_right =
        given.is_some_and(|key| ctx.config.server.find_api_key(key.as_bytes()).is_some());
    match is_right {
        true => Ok(()),
        false => Err(Error::user(ErrorCode::InvalidApiToken, "Invalid API Token")
            .detail("owner= needs the header X-Api-Token with the API key of this server")
            .into()),
    }
}

fn named(query: &Query<'_>) -> Result<Owner> {
    let owner = query
        .find("owner")
        .ok_or_else(|| ApiError::user(ErrorCode::InvalidQuery, "The query lacks owner=…"))?;
    Ok(Owner::parse(owner)?)
}

/// The place in a page of aliases, `<unix milliseconds>.<alias>`.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] for what no page had as its end.
pub fn after(query: &Query<'_>) -> Result<Option<OwnedAlias>> {
    let Some(text) = query.find("before") else {
        return Ok(None);
    };
    let place = text.split_once('.').and_then(|(time, alias)| {
        Some(OwnedAlias {
            created_at: time.parse().ok()?,
            alias: Alias::parse(alias).ok()?,
        })
    });
    match place {
        Some(place) => Ok(Some(place)),
        None => Err(ApiError::user(
            ErrorCode::InvalidQuery,
            format!("before={text} is not what a page has as \"next\""),
        )),
    }
}

/// A place as text.
pub fn cursor(place: &OwnedAlias) -> String {
    format!("{}.{}", place.created_at, place.alias)
}
