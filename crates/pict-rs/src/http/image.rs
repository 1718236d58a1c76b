//! Originals: upload, serve, delete.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::query::UploadQuery;
use pict_rs_core::repo::Representation;
use pict_rs_core::service::pending_upload::Uploaded;
use pict_rs_core::service::spool::Spool;
use pict_rs_core::service::target::{Target, Unknown};
use pict_rs_core::service::{remove, serve, upload};
use pict_rs_core::{Alias, Context, DeleteToken, Result as CoreResult};

use super::error::Result;
use super::request::Settings;
use super::{body, cause, form, placeholder, target, view, who};

/// `GET /image/original/{alias}`
pub async fn by_path(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    alias: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let target = Alias::parse(alias.into_inner()).map(Target::Alias);
    serve(&ctx, &settings, &request, target).await
}

/// `GET /image/original?alias=` or `?proxy=`
pub async fn by_query(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let target = target::plain(request.query_string());
    serve(&ctx, &settings, &request, target).await
}

/// Only GET fetches unknown URLs.
pub fn on_get(request: &HttpRequest) -> Unknown {
    if request.method() == Method::GET {
        Unknown::Fetch
    } else {
        Unknown::Refuse
    }
}

async fn serve(
    ctx: &Arc<Context>,
    settings: &Settings,
    request: &HttpRequest,
    target: CoreResult<Target>,
) -> Result<HttpResponse> {
    let found = async {
        let answer = async |original: &Representation| {
            body::respond(ctx, settings, request, &original.key, original).await
        };
        let purpose = who::purpose(request);
        serve::original(ctx, &target?, on_get(request), purpose, answer).await
    };
    placeholder::or_placeholder(ctx, settings, request, found.await).await
}

/// `DELETE` or `GET /image/delete/{token}/{alias}`
pub async fn delete(
    ctx: web::Data<Context>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (token, alias) = path.into_inner();
    if let Ok(alias) = Alias::parse(alias) {
        let token = DeleteToken::new(token);
        remove::by_token(&ctx, &alias, &token, cause::token(&request)).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /image`
pub async fn upload(
    ctx: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let uploaded = take_in(&ctx, &request, request.query_string(), payload).await?;
    Ok(HttpResponse::Created().json(view::uploads(&uploaded)))
}

/// Receives a form with files, and stores them.
///
/// # Errors
/// Those of [`form::receive`] and of [`upload::ingest_all`].
pub async fn take_in(
    ctx: &Arc<Context>,
    request: &HttpRequest,
    query: &str,
    payload: web::Payload,
) -> Result<Vec<Uploaded>> {
    let take = async |query: &UploadQuery, field| {
        let mut spool = Spool::start(ctx, query).await?;
        form::fill(&mut spool, field).await?;
        Ok((None, spool.finish().await?))
    };
    let (files, query) = form::receive(ctx, request, query, payload, take).await?;
    Ok(upload::ingest_all(ctx, files, &query).await?)
}
