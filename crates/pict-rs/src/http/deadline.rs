//! `X-Request-Deadline`: how long the client waits, as Unix time in nanoseconds.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use pict_rs_core::ErrorCode;
use tokio::time::Instant;

use super::error::{ApiError, Result};
use super::request_id::REQUEST_ID;

const DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline");

/// The deadline of a request, if it has one.
///
/// # Errors
/// [`ErrorCode::ParseDeadline`], and [`ErrorCode::RequestTimeout`] when it has passed.
pub fn of(headers: &HeaderMap) -> Result<Option<Instant>> {
    match headers.get(&DEADLINE) {
        None => Ok(None),
        Some(value) => parse(value, SystemTime::now()),
    }
}

fn parse(value: &HeaderValue, now: SystemTime) -> Result<Option<Instant>> {
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let deadline: i128 = number.ok_or_else(|| {
        ApiError::user(
            ErrorCode::ParseDeadline,
            "X-Request-Deadline is no Unix time in nanoseconds",
        )
    })?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
    let left = deadline.saturating_sub(now);
    if left <= 0 {
        return Err(passed());
    }
    // A deadline that is too far away to be represented is ignored.
    let left = u64::try_from(left).ok().map(Duration::from_nanos);
    Ok(left.and_then(|left| Instant::now().checked_add(left)))
}

/// The error when the deadline passed, before or during the work.
pub fn passed() -> ApiError {
    ApiError::user(ErrorCode::RequestTimeout, "Deadline exceeded")
}

/// The answer to a request whose work was dropped together with the request.
#[derive(Debug)]
pub struct CutShort {
    error: ApiError,
    id: HeaderValue,
}

impl CutShort {
    /// The answer to the request with this id.
    pub fn new(id: HeaderValue) -> Self {
        Self {
            error: passed(),
            id,
        }
    }
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for CutShort {
    fn status_code(&self) -> StatusCode {
        self.error.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.error.error_response();
        response.headers_mut().insert(REQUEST_ID, self.id.clone());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_nanoseconds_of_the_future_are_deadlines() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let check = |text: &str, expected: Result<bool, ErrorCode>| {
            let value = HeaderValue::from_str(text).expect("a header");
            let found = parse(&value, now).map(|deadline| deadline.is_some());
            assert_eq!(
                found.map_err(|ApiError(error)| error.code()),
                expected,
                "{text}"
            );
        };
        check("1000000000000000001", Ok(true));
        check("1000000030000000000", Ok(true));
        check("1000000000000000000", Err(ErrorCode::RequestTimeout));
        check("0", Err(ErrorCode::RequestTimeout));
        check("-5", Err(ErrorCode::RequestTimeout));
        check("99999999999999999999999999", Ok(false));
        check(&i128::MAX.to_string(), Ok(false));
        check(&i128::MIN.to_string(), Err(ErrorCode::RequestTimeout));
        check("2026-11-22T11:07:22Z", Err(ErrorCode::ParseDeadline));
        check("1e18", Err(ErrorCode::ParseDeadline));
        check("", Err(ErrorCode::ParseDeadline));
    }
}
