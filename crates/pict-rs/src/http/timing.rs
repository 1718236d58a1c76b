//! `Server-Timing`: where the time of a request went, for a client that asks by a header.
//! A header and not a query, because caches and variants are named by their URL.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use pict_rs_core::timing::Timings;

const ASK: HeaderName = HeaderName::from_static("x-server-timing");
const ANSWER: HeaderName = HeaderName::from_static("server-timing");

/// Where to note the stages, if the client wants to know them.
pub fn asked_by(request: &ServiceRequest) -> Option<Arc<Timings>> {
    let asked = request.headers().get(&ASK)?;
    (asked == "1").then(Arc::default)
}

/// Tells the stages, in milliseconds.
pub fn answer(headers: &mut HeaderMap, timings: &Timings, total: Duration) {
    let mut text = String::new();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    for (stage, time) in timings.stages() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{};dur={:.3}, ", stage.name(), ms(time));
    }
    let _ = write!(text, "total;dur={:.3}", ms(total));
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(ANSWER, value);
    }
}
