//! `Server-Timing`: how a request spent its time, for a client that asks by a header. A query would
//! not do, because URLs name variants and cache entries.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use pict_rs_core::timing::Timings;

const ASK: HeaderName = HeaderName::from_static("x-server-timing");
const ANSWER: HeaderName = HeaderName::from_static("server-timing");

/// Timings to collect, if the client asks for them.
pub fn asked_by(request: &ServiceRequest) -> Option<Arc<Timings>> {
    let asked = request.headers().get(&ASK)?;
    (asked == "1").then(Arc::default)
}

/// Adds the stages to the answer, in milliseconds.
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
