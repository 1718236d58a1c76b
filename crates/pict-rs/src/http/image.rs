//! Originals: in, out, away.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::query::UploadQuery;
use pict_rs_core::service::pending_upload::PendingUpload;
use pict_rs_core::service::pending_upload::Uploaded;
use pict_rs_core::service::spool::{Spool, Spooled};
use pict_rs_core::service::{find, remove, upload};
use pict_rs_core::{Alias, Context, DeleteToken};

use super::body;
use super::cause;
use super::error::Result;
use super::form;
use super::missing;
use super::request::Settings;
use super::subject::{self, Unknown};
use super::view;

/// `GET /image/original/{alias}`
pub async fn by_path(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    alias: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let found = async {
        let alias = Alias::parse(alias.into_inner())?;
        serve(&ctx, &settings, &request, &alias).await
    };
    missing::or_placeholder(&ctx, &settings, &request, found.await).await
}

/// `GET /image/original?alias=` or `?proxy=`
pub async fn by_query(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let found = async {
        let subject = subject::plain(request.query_string())?;
        let serve = async |alias: &Alias| serve(&ctx, &settings, &request, alias).await;
        subject.answer(&ctx, on_get(&request), serve).await
    };
    missing::or_placeholder(&ctx, &settings, &request, found.await).await
}

/// Only GET fetches.
pub fn on_get(request: &HttpRequest) -> Unknown {
    if request.method() == Method::GET {
        Unknown::Fetch
    } else {
        Unknown::Refuse
    }
}

async fn serve(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    alias: &Alias,
) -> Result<HttpResponse> {
    let original = find::original(ctx, alias).await?;
    let answer = body::respond(ctx, settings, request, &original.representation).await;
    missing::or_removed(ctx, alias, answer).await
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
    let take = async |query: &UploadQuery, field| {
        let mut spool = Spool::start(&ctx, query).await?;
        form::fill(&mut spool, field).await?;
        Ok((None, spool.finish().await?))
    };
    let (files, query) = form::receive(&ctx, &request, payload, take).await?;
    let uploaded = ingest(&ctx, files, &query).await?;
    Ok(HttpResponse::Created().json(view::uploads(&uploaded)))
}

/// All or none, each under the name that was chosen for it, if one was. The answer begins when
/// this returns.
pub async fn ingest(
    ctx: &Arc<Context>,
    files: Vec<(Option<Alias>, Spooled)>,
    query: &UploadQuery,
) -> Result<Vec<Uploaded>> {
    let mut uploaded: Vec<PendingUpload> = Vec::with_capacity(files.len());
    for (alias, file) in files {
        match upload::ingest_as(ctx, file, query, alias).await {
            Ok(file) => uploaded.push(file),
            Err(error) => {
                for file in uploaded {
                    file.take_back().await?;
                }
                return Err(error.into());
            }
        }
    }
    Ok(uploaded.into_iter().map(PendingUpload::deliver).collect())
}
