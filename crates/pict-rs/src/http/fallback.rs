//! Requests that no handler of ours answers: unknown paths, wrong methods, and requests that actix
//! itself refuses. Their answers have the same JSON body as other errors.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};
use pict_rs_core::ErrorCode;

use super::error::{self, ApiError, Result};

/// Answers every path that is not in the route table.
pub async fn not_found() -> Result<HttpResponse> {
    Err(ApiError::user(
        ErrorCode::NotFound,
        "There is nothing at this path",
    ))
}

/// Answers a path that only has other methods, which `allow` lists.
pub fn method_not_allowed(request: &HttpRequest, allow: &'static str) -> HttpResponse {
    let message = format!("{} is not possible here; {allow} is", request.method());
    let error = ApiError::user(ErrorCode::MethodNotAllowed, message);
    let mut response = HttpResponse::from_error(error);
    let allow = HeaderValue::from_static(allow);
    response.headers_mut().insert(ALLOW, allow);
    response
}

/// Converts errors of actix to our format.
///
/// # Errors
/// Those of the inner service.
pub async fn in_json<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let response = next.call(request).await?;
    let error = response.response().error();
    let foreign = error.filter(|error| error::cause(error).is_none());
    let Some(error) = foreign.map(ours) else {
        return Ok(response.map_into_left_body());
    };
    let (request, _) = response.into_parts();
    Ok(ServiceResponse::from_err(error, request).map_into_right_body())
}

fn ours(error: &Error) -> ApiError {
    let status = error.as_response_error().status_code();
    let code = match status {
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        status if status.is_client_error() => ErrorCode::BadRequest,
        _ => {
            let source = error.to_string();
            let message = "a part of the HTTP server failed";
            return pict_rs_core::Error::internal(ErrorCode::UnknownError, message, source).into();
        }
    };
    ApiError::user(code, format!("The request is not valid: {error}"))
}
