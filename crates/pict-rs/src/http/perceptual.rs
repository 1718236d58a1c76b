//! Lists of PDQ hashes, search by picture, and quarantine, with an API key.

use std::fmt::Display;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::{Stream, StreamExt as _};
use pict_rs_core::query::UploadQuery;
use pict_rs_core::repo::{ListedPdq, Quarantined, Run, Unlisted};
use pict_rs_core::service::perceptual::MAX_LIST;
use pict_rs_core::service::similar::{Sample, Similar};
use pict_rs_core::service::spool::{Spool, Spooled};
use pict_rs_core::service::target::Unknown;
use pict_rs_core::service::{maintain, perceptual, quarantine, similar, subscribe};
use pict_rs_core::{Alias, ContentKey, Context, Error, ErrorCode};
use pict_rs_media::PdqHash;
use serde_json::{Value, json};

use super::error::{ApiError, Result};
use super::pages::Query;
use super::{cause, form, target, view};

/// `GET /internal/pdq`
pub async fn overview(ctx: web::Data<Context>) -> Result<HttpResponse> {
    let lists: Vec<_> = perceptual::lists(&ctx).await?.into_iter().collect();
    let lists: Vec<_> = lists
        .iter()
        .map(|(list, count)| json!({ "list": list, "hashes": count }))
        .collect();
    let scan = maintain::last_scan(&ctx).await?;
    let scan = scan.as_ref().map(run_json);
    let subscriptions = subscribe::statuses(&ctx).await?;
    let subscriptions: Vec<_> = subscriptions
        .iter()
        .map(|(list, status)| {
            json!({
                "list": list,
                "signed_at": status.signed_at.map(|time| view::rfc3339(time.saturating_mul(1000))),
                "changed_at": status.changed_at.map(view::rfc3339),
                "checked_at": status.checked_at.map(view::rfc3339),
                "error": status.error,
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({
        "msg": "ok",
        "lists": lists,
        "subscriptions": subscriptions,
        "scan": scan,
    })))
}

fn run_json(run: &Run) -> Value {
    json!({
        "complete": run.is_finished,
        "progress": run.progress,
        "total": run.total,
        "started_at": view::rfc3339(run.started_at),
    })
}

/// `POST /internal/pdq/scan`
pub async fn scan(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let run = maintain::scan(&ctx, &cause::admin(&request)?).await?;
    Ok(HttpResponse::Accepted().json(json!({ "msg": "ok", "scan": run_json(&run) })))
}

/// `GET /internal/pdq/list?list=&after=&limit=`, or `?list=&plain=true`
pub async fn entries(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let list = target::find(request.query_string(), "list");
    if target::switch(request.query_string(), "plain")? {
        let text = perceptual::plain(&ctx, &list.unwrap_or_default()).await?;
        return Ok(HttpResponse::Ok()
            .content_type("text/plain; charset=utf-8")
            .body(text));
    }
    let after = query.find("after").map(|text| place(&text)).transpose()?;
    let limit = query.number("limit")?;
    let (entries, next) = perceptual::entries(&ctx, list.as_deref(), after.as_ref(), limit).await?;
    let entries: Vec<_> = entries.iter().map(entry_json).collect();
    let next = next.map(|(list, hash)| format!("{hash}.{list}"));
    Ok(HttpResponse::Ok().json(json!({ "msg": "ok", "hashes": entries, "next": next })))
}

/// `<hash>.<list>`
fn place(text: &str) -> Result<(String, PdqHash)> {
    let parts = text.split_once('.');
    let place = parts.and_then(|(hash, list)| Some((list.to_owned(), hash.parse().ok()?)));
    place.ok_or_else(|| {
        let message = format!("after={text} is not what a page has as \"next\"");
        ApiError::user(ErrorCode::InvalidQuery, message)
    })
}

fn entry_json(entry: &ListedPdq) -> Value {
    json!({
        "hash": entry.pdq,
        "list": entry.list,
        "reason": entry.reason,
        "created_at": view::rfc3339(entry.created_at),
    })
}

/// `POST /internal/pdq/list?list=`, with the hashes as the body.
pub async fn import(
    ctx: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    form::plain_body(&request)?;
    let list = target::find(request.query_string(), "list").unwrap_or_default();
    let cause = cause::admin(&request)?;
    let text = text(payload).await?;
    let import = perceptual::import(&ctx, &list, &text, &cause).await?;
    let answer = json!({ "msg": "ok", "added": import.added, "total": import.total });
    Ok(HttpResponse::Created().json(answer))
}

/// The bytes of a list.
///
/// # Errors
/// [`ErrorCode::ValidateFileSize`] for more than a list may have, [`ErrorCode::BadRequest`] when it
/// does not come to its end.
pub async fn text<E: Display>(
    mut body: impl Stream<Item = std::result::Result<Bytes, E>> + Unpin,
) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| {
            let message = format!("The body ended too early: {error}");
            ApiError::user(ErrorCode::BadRequest, message)
        })?;
        if text.len() + bytes.len() > MAX_LIST {
            return Err(too_large(text.len() + bytes.len()));
        }
        text.extend_from_slice(&bytes);
    }
    Ok(text)
}

fn too_large(found: usize) -> ApiError {
    let message = format!("A list may have {MAX_LIST} bytes, and this one has more");
    let error = Error::user(ErrorCode::ValidateFileSize, message);
    ApiError(error.limit(MAX_LIST).found(found))
}

/// `DELETE /internal/pdq/list?hash=` or `?list=`
pub async fn unlist(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = request.query_string();
    let what = match (target::find(query, "hash"), target::find(query, "list")) {
        (Some(hash), None) => Unlisted::Hash(pdq(&hash)?),
        (None, Some(list)) => Unlisted::List(list),
        _ => {
            let message = "The query lacks hash=… or list=…, or has both";
            return Err(ApiError::user(ErrorCode::InvalidQuery, message));
        }
    };
    let removed = perceptual::unlist(&ctx, &what, &cause::admin(&request)?).await?;
    Ok(HttpResponse::Ok().json(json!({ "msg": "ok", "removed": removed })))
}

/// A PDQ hash of a query.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`].
pub fn pdq(text: &str) -> Result<PdqHash> {
    let hash = text.trim().parse::<PdqHash>();
    hash.map_err(|error| ApiError::user(ErrorCode::InvalidQuery, format!("hash={text}: {error}")))
}

/// `GET /internal/similar?alias=`, `?proxy=` or `?hash=`, with `distance=` and `limit=`
pub async fn similar_to_stored(
    ctx: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let (distance, limit) = (query.number("distance")?, query.number("limit")?);
    let found = match query.find("hash") {
        Some(hash) => {
            let wanted = Sample::Hash(pdq(&hash)?);
            similar::search(&ctx, wanted, distance, limit).await?
        }
        None => {
            let search = async |alias: &Alias| {
                let wanted = Sample::Alias(alias.clone());
                similar::search(&ctx, wanted, distance, limit).await
            };
            let target = target::plain(request.query_string())?;
            target.with_alias(&ctx, Unknown::Refuse, search).await?
        }
    };
    Ok(HttpResponse::Ok().json(similar_json(&found)))
}

/// `POST /internal/similar?distance=&limit=`, with a form like that of an upload, of one file.
pub async fn similar_to_sent(
    ctx: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let (distance, limit) = (query.number("distance")?, query.number("limit")?);
    let file = one_file(&ctx, &request, payload).await?;
    let found = similar::search(&ctx, Sample::File(file), distance, limit).await?;
    Ok(HttpResponse::Ok().json(similar_json(&found)))
}

/// The only file of a form.
///
/// # Errors
/// Those of [`form::receive`], and [`ErrorCode::FileUploadError`] when there are several.
pub async fn one_file(
    ctx: &Context,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Spooled> {
    let take = async |query: &UploadQuery, field| {
        let mut spool = Spool::start_sample(ctx, query).await?;
        form::fill(&mut spool, field).await?;
        Ok(spool.finish().await?)
    };
    let (mut files, _) = form::receive(ctx, request, "", payload, take).await?;
    match (files.pop(), files.len()) {
        (Some(file), 0) => Ok(file),
        (_, others) => {
            let error = Error::user(ErrorCode::FileUploadError, "Too many files in request");
            Err(ApiError(error.limit(1u32).found(others + 1)))
        }
    }
}

fn similar_json(found: &[Similar]) -> Value {
    let found: Vec<_> = found
        .iter()
        .map(|Similar { content, distance }| {
            let original = &content.original;
            json!({
                "distance": distance,
                "hex": original.hash().to_hex(),
                "aliases": names(&content.aliases),
                "quarantined": content.is_quarantined,
                "details": view::Details::new(original, &original.representation),
            })
        })
        .collect();
    json!({ "msg": "ok", "similar": found })
}

fn names(aliases: &[Alias]) -> Vec<&str> {
    aliases.iter().map(Alias::as_str).collect()
}

/// `GET /internal/quarantine?before=&limit=`
pub async fn quarantined(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let after = after(&query, "before")?;
    let (found, next) = quarantine::page(&ctx, after, query.number("limit")?).await?;
    let found: Vec<_> = found.iter().map(quarantined_json).collect();
    let next = next.map(cursor);
    Ok(HttpResponse::Ok().json(json!({ "msg": "ok", "quarantine": found, "next": next })))
}

/// A content in quarantine.
pub fn quarantined_json(found: &Quarantined) -> Value {
    let matched = found
        .matched
        .as_ref()
        .map(|(list, pdq, distance)| json!({ "list": list, "hash": pdq, "distance": distance }));
    json!({
        "hex": found.original.hash().to_hex(),
        "aliases": names(&found.aliases),
        "details": view::Details::new(&found.original, &found.original.representation),
        "matched": matched,
        "reason": found.reason,
        "created_at": view::rfc3339(found.created_at),
    })
}

/// The place in the quarantine that a page begins after.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] for what no page had as its end.
pub fn after(query: &Query<'_>, name: &str) -> Result<Option<quarantine::QuarantinePlace>> {
    let Some(text) = query.find(name) else {
        return Ok(None);
    };
    let place = text
        .split_once('.')
        .and_then(|(time, key)| Some((time.parse().ok()?, ContentKey::from_slug(key)?)));
    match place {
        Some(place) => Ok(Some(place)),
        None => {
            let message = format!("{name}={text} is not what a page has as \"next\"");
            Err(ApiError::user(ErrorCode::InvalidQuery, message))
        }
    }
}

/// A place in the quarantine as text.
pub fn cursor((time, key): quarantine::QuarantinePlace) -> String {
    format!("{time}.{}", key.to_slug())
}

/// `POST /internal/quarantine?alias=` or `?proxy=`
pub async fn begin(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let target = target::plain(request.query_string())?;
    let cause = cause::admin(&request)?;
    let begin = async |alias: &Alias| quarantine::begin(&ctx, alias, cause.clone()).await;
    target.with_alias(&ctx, Unknown::Refuse, begin).await?;
    Ok(HttpResponse::Created().json(json!({ "msg": "ok" })))
}

/// `DELETE /internal/quarantine?alias=` or `?proxy=`
pub async fn release(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let target = target::plain(request.query_string())?;
    let cause = cause::admin(&request)?;
    let release = async |alias: &Alias| quarantine::release(&ctx, alias, &cause).await;
    target.with_alias(&ctx, Unknown::Refuse, release).await?;
    Ok(HttpResponse::NoContent().finish())
}
