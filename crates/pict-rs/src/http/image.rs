//! Originals: in, out, away.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix_multipart::{Field, Multipart};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use pict_rs_core::query::UploadQuery;
use pict_rs_core::service::spool::{Spool, Spooled};
use pict_rs_core::service::{find, remove, upload};
use pict_rs_core::{Alias, Context, DeleteToken, Error, ErrorCode};

use super::body;
use super::error::{ApiError, Result};
use super::request::Settings;
use super::subject;
use super::view;

/// The one form field that is taken.
const FIELD: &str = "images[]";
/// For reading what a refused client still sends, so that it hears the answer.
const DRAIN: Duration = Duration::from_secs(5);

/// `GET /image/original/{alias}`
pub async fn by_path(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    alias: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    serve(
        &ctx,
        &settings,
        &request,
        &Alias::parse(alias.into_inner())?,
    )
    .await
}

/// `GET /image/original?alias=`
pub async fn by_query(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    serve(
        &ctx,
        &settings,
        &request,
        &subject::plain(request.query_string())?,
    )
    .await
}

async fn serve(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    alias: &Alias,
) -> Result<HttpResponse> {
    let original = find::original(ctx, alias).await?;
    body::respond(ctx, settings, request, &original.representation).await
}

/// `DELETE` or `GET /image/delete/{token}/{alias}`
pub async fn delete(
    ctx: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse> {
    let (token, alias) = path.into_inner();
    if let Ok(alias) = Alias::parse(alias) {
        remove::by_token(&ctx, &alias, &DeleteToken::new(token)).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /image`
pub async fn upload(
    ctx: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let body = Body(Rc::new(RefCell::new(payload)));
    let mut form = Multipart::new(request.headers(), body.clone());
    let limit = ctx.config.server.upload_timeout;
    let received = match UploadQuery::parse(request.query_string()) {
        Ok(query) => {
            let received =
                tokio::time::timeout(limit.duration(), receive(&ctx, &mut form, &query)).await;
            let received = received.unwrap_or_else(|_| {
                let message = format!("The body did not arrive within {} seconds", limit.0);
                Err(ApiError::user(ErrorCode::StreamTooSlow, message))
            });
            received.map(|files| (files, query))
        }
        Err(error) => Err(error.into()),
    };
    match received {
        Ok((files, query)) => {
            let uploaded = ingest(&ctx, files, &query).await?;
            Ok(HttpResponse::Created().json(view::uploads(&uploaded)))
        }
        Err(error) => {
            drain(body).await;
            Err(error)
        }
    }
}

async fn receive(ctx: &Context, form: &mut Multipart, query: &UploadQuery) -> Result<Vec<Spooled>> {
    let max = ctx.config.server.max_file_count;
    let mut files = Vec::new();
    while let Some(field) = form.try_next().await.map_err(bad_form)? {
        check_field(&field)?;
        if files.len() == max {
            let message = format!("Too many files in request: more than the limit of {max}");
            return Err(ApiError::user(ErrorCode::FileUploadError, message));
        }
        files.push(spool(ctx, field, query).await?);
    }
    if files.is_empty() {
        return Err(ApiError::user(
            ErrorCode::ValidateNoFiles,
            "No files were uploaded",
        ));
    }
    Ok(files)
}

fn check_field(field: &Field) -> Result<()> {
    let name = field.name().unwrap_or_default();
    if name != FIELD {
        let message = format!(
            "Found field with unexpected name or type: '{name}'; files go into fields named '{FIELD}'"
        );
        return Err(ApiError::user(ErrorCode::FileUploadError, message));
    }
    let has_filename = field.content_disposition().is_some_and(|disposition| {
        disposition.get_filename().is_some() || disposition.get_filename_ext().is_some()
    });
    if !has_filename {
        return Err(ApiError::user(
            ErrorCode::FileUploadError,
            "Filename is missing",
        ));
    }
    Ok(())
}

async fn spool(ctx: &Context, mut field: Field, query: &UploadQuery) -> Result<Spooled> {
    let mut spool = Spool::start(ctx, query).await?;
    while let Some(bytes) = field.try_next().await.map_err(bad_form)? {
        spool.write(&bytes).await?;
    }
    Ok(spool.finish().await?)
}

/// All or none.
async fn ingest(
    ctx: &Arc<Context>,
    files: Vec<Spooled>,
    query: &UploadQuery,
) -> Result<Vec<upload::Uploaded>> {
    let mut uploaded = Vec::with_capacity(files.len());
    for file in files {
        match upload::ingest(ctx, file, query).await {
            Ok(file) => uploaded.push(file),
            Err(error) => {
                for file in &uploaded {
                    upload::undo(ctx, file).await?;
                }
                return Err(error.into());
            }
        }
    }
    Ok(uploaded)
}

fn bad_form(error: actix_multipart::MultipartError) -> ApiError {
    ApiError(Error::user(
        ErrorCode::FileUploadError,
        format!("The multipart body is not valid: {error}"),
    ))
}

/// What a client sends. Shared, because a form that found a mistake cannot be read any further.
#[derive(Clone)]
struct Body(Rc<RefCell<web::Payload>>);

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// A client that is still sending would see a broken connection instead of the answer.
async fn drain(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    // Whether it ended or not, the answer goes out now.
    let _ = tokio::time::timeout(DRAIN, rest).await;
}
