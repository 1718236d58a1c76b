//! The id of a request: set by a proxy in front, or generated here. It appears in answers, log
//! lines and the audit log.

use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header of the id, in requests from a proxy and in answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, for uses outside the log.
pub struct RequestId(pub HeaderValue);

/// Generates ids that are unique to this process.
pub struct RequestIds {
    /// The prefix of every id of this process.
    instance: u32,
    count: AtomicU64,
}

impl RequestIds {
    /// Starts counting.
    pub fn new() -> Self {
        Self {
            instance: Uuid::new_v4().as_fields().0,
            count: AtomicU64::new(0),
        }
    }

    /// The id from the request, or a new one.
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(&REQUEST_ID).filter(|id| is_sane(id)).cloned();
        given.unwrap_or_else(|| self.next())
    }

    fn next(&self) -> HeaderValue {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("{:08x}-{count:x}", self.instance))
            .expect("hexadecimal digits")
    }
}

/// Longer or unusual values would let clients write into our logs.
fn is_sane(id: &HeaderValue) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(allowed)
}
