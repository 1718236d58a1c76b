//! Who requests a removal, and why: the part of a request that the audit log records.

use actix_web::{HttpMessage as _, HttpRequest};
use pict_rs_core::config::KeyName;
use pict_rs_core::repo::audit::{Actor, Cause};
use pict_rs_core::{Error, ErrorCode, query};

use super::error::Result;
use super::request_id::RequestId;

/// Maximum length of a reason in bytes.
const REASON: usize = 1000;

/// A client with the delete token of an alias.
pub fn token(request: &HttpRequest) -> Cause {
    Cause {
        reason: None,
        request_id: id(request),
        ..Cause::new(Actor::Token)
    }
}

/// A client with an API key, which may give a `reason=`.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] when the reason is too long.
pub fn admin(request: &HttpRequest) -> Result<Cause> {
    let reason = query::pairs(request.query_string())
        .find(|(key, value)| key == "reason" && !value.is_empty())
        .map(|(_, value)| value.into_owned());
    given(request, reason)
}

/// The same, with a reason that stands elsewhere.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] when the reason is too long.
pub fn given(request: &HttpRequest, reason: Option<String>) -> Result<Cause> {
    let length = reason.as_ref().map_or(0, String::len);
    if length > REASON {
        let message = format!("reason= takes up to {REASON} bytes, found {length}");
        let error = Error::user(ErrorCode::InvalidQuery, message);
        return Err(error.limit(REASON).found(length).into());
    }
    let extensions = request.extensions();
    let key = extensions.get::<KeyName>().and_then(|key| key.0.clone());
    drop(extensions);
    Ok(Cause {
        actor: Actor::Admin,
        key,
        reason,
        request_id: id(request),
    })
}

fn id(request: &HttpRequest) -> Option<String> {
    let extensions = request.extensions();
    let RequestId(id) = extensions.get()?;
    id.to_str().ok().map(str::to_owned)
}
