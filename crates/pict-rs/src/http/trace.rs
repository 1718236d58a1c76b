//! Details of a request for traces, beyond those in logs.

use actix_web::dev::ServiceResponse;
use actix_web::http::header::HeaderMap;
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes the span part of the client's trace, if it sends one (`traceparent`).
pub fn adopt(span: &Span, headers: &HeaderMap) {
    let parent = global::get_text_map_propagator(|known| known.extract(&Headers(headers)));
    // Only fails if the span is not exported.
    let _ = span.set_parent(parent);
}

/// Names the span after its route.
pub fn finish<B>(span: &Span, response: &ServiceResponse<B>) {
    let request = response.request();
    let status = response.status();
    let route = request.match_pattern();
    let route = route.as_deref().unwrap_or("unknown");
    let name = format!("{} {}", request.method(), super::metrics::clean(route));
    span.context().span().update_name(name);
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
