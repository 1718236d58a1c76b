//! The multipart form of uploads: which parts it may contain, and how long it may take.

mod heads;

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix_multipart::{Field, Multipart};
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, web};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use pict_rs_core::query::UploadQuery;
use pict_rs_core::service::spool::Spool;
use pict_rs_core::{Context, Error, ErrorCode};

use self::heads::Heads;
use super::error::{ApiError, Result};
use super::owners;

/// The name of the only accepted field.
const FIELD: &str = "images[]";
/// For reading what a refused client still sends, so that it can read the answer.
const DRAIN: Duration = Duration::from_secs(5);
/// An upload that sends nothing for so long keeps nothing in memory meanwhile.
const PAUSE: Duration = Duration::from_millis(250);

/// Reads a whole form, and passes each file to `take` as it arrives. `query` says what is done with
/// them, usually that of the request.
///
/// # Errors
/// [`ErrorCode::FileUploadError`], [`ErrorCode::StreamTooSlow`],
/// [`ErrorCode::UnsupportedEncoding`], [`ErrorCode::ValidateNoFiles`], a bad query, and the errors
/// of `take`.
pub async fn receive<T>(
    ctx: &Context,
    request: &HttpRequest,
    query: &str,
    payload: web::Payload,
    take: impl AsyncFn(&UploadQuery, Field) -> Result<T>,
) -> Result<(Vec<T>, UploadQuery)> {
    let body = Body(Rc::new(RefCell::new(payload)));
    let kind = request.mime_type().ok().flatten();
    let boundary = kind.as_ref().and_then(|kind| kind.get_param("boundary"));
    let heads = Heads::new(body.clone(), boundary.as_ref().map(|name| name.as_str()));
    let mut form = Multipart::new(request.headers(), heads);
    let limit = ctx.config.server.upload_timeout;
    let query = plain_body(request).and_then(|()| UploadQuery::parse(query));
    let query = query.map_err(ApiError::from).and_then(|query| {
        owners::check_key(ctx, request, query.owner.as_ref())?;
        Ok(query)
    });
    let received = match query {
        Ok(query) => {
            let files = files(ctx, &mut form, &query, take);
            let received = tokio::time::timeout(limit.duration(), files).await;
            let received = received.unwrap_or_else(|_| {
                let message = format!("The body did not arrive within {} seconds", limit.0);
                Err(Error::user(ErrorCode::StreamTooSlow, message)
                    .limit(limit.0)
                    .into())
            });
            received.map(|files| (files, query))
        }
        Err(error) => Err(error),
    };
    if received.is_err() {
        drain(body).await;
    }
    received
}

/// Refuses compressed bodies: media are already compressed, and decompression would have to respect
/// all limits.
///
/// # Errors
/// [`ErrorCode::UnsupportedEncoding`].
pub fn plain_body(request: &HttpRequest) -> Result<(), Error> {
    let values = request.headers().get_all(CONTENT_ENCODING);
    let coding = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .find(|value| !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "identity"));
    let Some(coding) = coding else { return Ok(()) };
    let message = "The body of the request is compressed";
    let detail = format!("Content-Encoding is '{coding}'; send the body as it is, without one");
    Err(Error::user(ErrorCode::UnsupportedEncoding, message).detail(detail))
}

async fn files<T>(
    ctx: &Context,
    form: &mut Multipart,
    query: &UploadQuery,
    take: impl AsyncFn(&UploadQuery, Field) -> Result<T>,
) -> Result<Vec<T>> {
    let max = ctx.config.server.max_file_count;
    let mut files = Vec::new();
    while let Some(field) = form.try_next().await.map_err(bad_form)? {
        check_field(&field)?;
        if files.len() == max {
            let error = Error::user(ErrorCode::FileUploadError, "Too many files in request")
                .detail(format!(
                    "The form has more files than the limit, which is {max}"
                ))
                .limit(max);
            return Err(error.into());
        }
        files.push(take(query, field).await?);
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
        let msg = "Found field with unexpected name or type";
        let detail = format!("The field is named '{name}'; files go into fields named '{FIELD}'");
        return Err(Error::user(ErrorCode::FileUploadError, msg)
            .detail(detail)
            .into());
    }
    if filename(field).is_none() {
        return Err(ApiError::user(
            ErrorCode::FileUploadError,
            "Filename is missing",
        ));
    }
    Ok(())
}

/// The file name that the client sends.
pub fn filename(field: &Field) -> Option<String> {
    let disposition = field.content_disposition()?;
    let extended = disposition.get_filename_ext();
    let extended = extended.map(|name| String::from_utf8_lossy(&name.value).into_owned());
    extended.or_else(|| disposition.get_filename().map(str::to_owned))
}

/// Spools the bytes of one file.
///
/// # Errors
/// [`ErrorCode::FileUploadError`], and those of [`Spool::write`].
pub async fn fill(spool: &mut Spool, mut field: Field) -> Result<()> {
    loop {
        let next = match tokio::time::timeout(PAUSE, field.try_next()).await {
            Ok(next) => next,
            Err(_) => {
                spool.pause().await?;
                field.try_next().await
            }
        };
        match next.map_err(bad_form)? {
            Some(bytes) => spool.write(&bytes).await?,
            None => return Ok(()),
        }
    }
}

fn bad_form(error: actix_multipart::MultipartError) -> ApiError {
    ApiError(Error::user(
        ErrorCode::FileUploadError,
        format!("The multipart body is not valid: {error}"),
    ))
}

/// The body of a request. Shared, because a form in which an error was found cannot be read
/// further.
#[derive(Clone)]
struct Body(Rc<RefCell<web::Payload>>);

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// Reads the rest of a refused body: a client that is still sending would see a broken connection
/// instead of the answer.
async fn drain(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    // The answer is sent in any case.
    let _ = tokio::time::timeout(DRAIN, rest).await;
}
