//! Turns a representation into a response: headers, conditions, ranges, and bytes.
//!
//! Small bodies are sent in one piece, together with the head.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use actix_web::body::{BodySize, MessageBody, SizedStream};
use actix_web::http::header::{self, ContentRange, ContentRangeSpec, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::{TryStreamExt as _, stream};
use metrics::{Counter, counter};
use pict_rs_core::repo::Representation;
use pict_rs_core::service::find;
use pict_rs_core::store::outgoing::{Answering, Room, SMALLEST};
use pict_rs_core::store::{Content, SMALL};
use pict_rs_core::{ContentKey, Context, ErrorCode, ObjectKey, Result};

use super::conditional::{Decision, Validators, decide};
use super::error::ApiError;
use super::listen::streams::{Turn, Turns};
use super::request::Settings;

/// Answers `request` with `representation` of `content`.
///
/// # Errors
/// [`ErrorCode::LostFile`], [`ErrorCode::RangeNotSatisfiable`].
pub async fn respond(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    content: &ContentKey,
    representation: &Representation,
) -> Result<HttpResponse> {
    let validators = validators(representation);
    let decision = decide(request, &validators, representation.key.size());
    if matches!(decision, Decision::Whole | Decision::Part { .. })
        && let Some(redirect) = redirect(ctx, settings, request, representation).await?
    {
        return Ok(tagged(redirect, settings, content));
    }
    let mut response = HttpResponse::Ok();
    let (etag, last_modified) = validators.headers();
    response.insert_header(etag).insert_header(last_modified);
    let answer = answer(ctx, settings, request, representation, response, decision).await?;
    Ok(tagged(answer, settings, content))
}

fn validators(representation: &Representation) -> Validators {
    Validators::new(representation.key.to_base64(), representation.created_at)
}

/// Tells caches which content an answer belongs to, where they want to know.
fn tagged(mut response: HttpResponse, settings: &Settings, content: &ContentKey) -> HttpResponse {
    for name in &settings.tag_headers {
        let tag = HeaderValue::try_from(content.to_cache_tag());
        let tag = tag.expect("letters, digits and dashes");
        response.headers_mut().insert(name.clone(), tag);
    }
    response
}

/// Sends the client to where the bytes are, if the settings say so. The answer there has validators
/// of its own.
async fn redirect(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    representation: &Representation,
) -> Result<Option<HttpResponse>> {
    let is_head = request.method() == Method::HEAD;
    let redirect = ctx.store.redirect(&representation.object, is_head).await?;
    Ok(redirect.map(|url| {
        let mut response = HttpResponse::SeeOther();
        // A signature ends before the answer would be stale.
        let cache_control = match ctx.config.store.signed_redirects {
            Some(_) => HeaderValue::from_static("no-store"),
            None => settings.cache_control.clone(),
        };
        response
            .insert_header((header::LOCATION, url.as_str()))
            .insert_header((header::CACHE_CONTROL, cache_control))
            .finish()
    }))
}

/// Answers a GET of missing media with `representation`, as 404. Conditions and ranges are ignored,
/// as in every answer but a success (RFC 9110, sections 13.2.1 and 14.2): a cache that requests
/// slices would take a 206 for the missing picture.
///
/// # Errors
/// [`ErrorCode::LostFile`].
pub async fn stand_in(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    representation: &Representation,
) -> Result<HttpResponse> {
    let mut response = HttpResponse::NotFound();
    let (etag, last_modified) = validators(representation).headers();
    response.insert_header(etag).insert_header(last_modified);
    let decision = Decision::Whole;
    answer(ctx, settings, request, representation, response, decision).await
}

async fn answer(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    representation: &Representation,
    mut response: HttpResponseBuilder,
    decision: Decision,
) -> Result<HttpResponse> {
    let size = representation.key.size();
    response.insert_header((header::CACHE_CONTROL, settings.cache_control.clone()));
    let (start, length) = match decision {
        Decision::NotModified => return Ok(response.status(StatusCode::NOT_MODIFIED).finish()),
        Decision::PreconditionFailed => {
            return Ok(response.status(StatusCode::PRECONDITION_FAILED).finish());
        }
        Decision::Unsatisfiable => return Ok(unsatisfiable(size)),
        Decision::Whole => (0, size),
        Decision::Part { start, length } => {
            response.status(StatusCode::PARTIAL_CONTENT);
            response.insert_header(ContentRange(ContentRangeSpec::Bytes {
                range: Some((start, start + length - 1)),
                instance_length: Some(size),
            }));
            (start, length)
        }
    };
    response
        .insert_header((header::CONTENT_TYPE, representation.key.format().mime()))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if request.method() == Method::HEAD {
        // Fails in the same cases as GET.
        find::bytes(ctx, representation, 0..0).await?;
        return Ok(response.body(NoBody(length)));
    }
    let range = start..start + length;
    // Before the file is opened.
    let turns = request.extensions().get::<Turns>().cloned();
    let turn = match turns.filter(|_| length > SMALLEST) {
        Some(turns) => Some(turns.take().await),
        None => None,
    };
    let delivery = settings.outgoing.answer();
    let room = match size {
        // Is read whole.
        _ if size > SMALLEST && size <= SMALL => Some(delivery.room(size).await),
        _ => None,
    };
    Ok(match find::bytes(ctx, representation, range).await? {
        Content::Bytes(bytes) => {
            settings.requests.bytes.increment(length);
            let is_small = room.is_none();
            let held = Held {
                bytes,
                _until_sent: (turn, room, delivery),
            };
            if is_small {
                response.body(held.bytes)
            } else {
                response.body(held)
            }
        }
        Content::Stream(pieces) => {
            let pieces = pieces.for_client(delivery).inspect_ok(move |_| {
                let _until_sent = &turn;
            });
            let pieces = counted(settings.requests.bytes.clone(), pieces);
            let body = told(pieces, representation.object.clone());
            response.body(SizedStream::new(length, body))
        }
    })
}

/// A body in one piece, and what it holds until the client has taken it.
struct Held {
    bytes: Bytes,
    _until_sent: (Option<Turn>, Option<Room>, Answering),
}

impl MessageBody for Held {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
    }
}

/// The JSON body that every error has, with a header for the real size.
fn unsatisfiable(size: u64) -> HttpResponse {
    use actix_web::ResponseError as _;
    let error = ApiError::user(
        ErrorCode::RangeNotSatisfiable,
        format!("The range does not lie inside the {size} bytes of this file"),
    );
    let mut response = error.error_response();
    if let Ok(value) = header::HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

/// Counts these pieces as they are sent, because some clients disconnect early.
fn counted(
    served: Counter,
    pieces: impl stream::Stream<Item = Result<Bytes>>,
) -> impl stream::Stream<Item = Result<Bytes>> {
    pieces.inspect_ok(move |bytes| served.increment(bytes.len() as u64))
}

/// Logs and counts a failure of the stream: the head has already been sent, so the client only sees
/// a truncated body.
fn told(
    pieces: impl stream::Stream<Item = Result<Bytes>>,
    object: ObjectKey,
) -> impl stream::Stream<Item = Result<Bytes>> {
    pieces.inspect_err(move |error| {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        counter!("pict_rs_bodies_broken_off").increment(1);
        tracing::error!(%object, cause, code = error.code().as_str(), "an answer breaks off: {error}");
    })
}

/// The body of an answer to HEAD: it has a size, but no bytes.
struct NoBody(u64);

impl MessageBody for NoBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0)
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
