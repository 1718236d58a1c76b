//! Middleware for every request: an id, and a log line if needed.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CacheControl, CacheDirective, HeaderName, HeaderValue,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, ResponseError as _, web};
use pict_rs_core::requester::{Requester, on_behalf_of};
use pict_rs_core::service::takeover;
use pict_rs_core::store::outgoing::Outgoing;
use pict_rs_core::timing::with_timings;
use pict_rs_core::{Config, Context};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::about::{About, one_line};
use super::deadline::{self, CutShort};
use super::error;
use super::metrics::Requests;
use super::request_id::{REQUEST_ID, RequestId, RequestIds};
use super::timing;
#[cfg(feature = "otlp")]
use super::trace;
use super::who::Clients;

/// Missing media may exist a moment later, so caches may keep that answer only briefly.
const MISSING_MAX_AGE: Duration = Duration::from_secs(5);

/// Settings that handlers need, prepared.
pub struct Settings {
    /// `Cache-Control` of served media.
    pub cache_control: HeaderValue,
    /// `Cache-Control` of an answer that a better one will replace.
    pub fallback_cache_control: HeaderValue,
    /// `Cache-Control` of answers for missing media.
    pub missing_cache_control: HeaderValue,
    /// Headers by which caches in front know what belongs together; none without such caches.
    pub tag_headers: Vec<HeaderName>,
    /// The metrics of requests.
    pub requests: Requests,
    /// Memory for bytes that wait for clients.
    pub outgoing: Arc<Outgoing>,
    clients: Clients,
    log_requests: bool,
    /// Whether spans are exported.
    #[cfg_attr(
        not(feature = "otlp"),
        expect(dead_code, reason = "this build sends none")
    )]
    traces: bool,
    ids: RequestIds,
}

impl Settings {
    /// Prepares the settings.
    pub fn new(config: &Config) -> Self {
        Self {
            cache_control: cache_control(config),
            fallback_cache_control: fallback_cache_control(config),
            missing_cache_control: missing_cache_control(config),
            tag_headers: (config.purge.tag_headers())
                .map(HeaderName::from_static)
                .collect(),
            requests: Requests::new(config.metrics.prometheus_address.is_some()),
            outgoing: Outgoing::new(config.server.response_memory),
            clients: Clients::new(config),
            log_requests: config.tracing.logging.log_requests,
            traces: config
                .tracing
                .opentelemetry
                .url
                .as_deref()
                .is_some_and(|url| !url.is_empty()),
            ids: RequestIds::new(),
        }
    }

    /// Whose request it is.
    pub fn client(&self, request: &HttpRequest) -> Requester {
        let peer = request.peer_addr().map(|peer| peer.ip());
        self.clients.of(request.headers(), peer)
    }
}

fn cache_control(config: &Config) -> HeaderValue {
    let mut directives = vec![
        CacheDirective::Public,
        max_age(config.cache_max_age()),
        CacheDirective::Extension("immutable".to_owned(), None),
    ];
    let stale = config.cache_stale_while_revalidate().as_secs();
    if stale > 0 {
        let name = "stale-while-revalidate".to_owned();
        directives.push(CacheDirective::Extension(name, Some(stale.to_string())));
    }
    header(directives)
}

fn fallback_cache_control(config: &Config) -> HeaderValue {
    let fallback = config.media.auto.fallback_max_age.duration();
    header(vec![CacheDirective::Public, max_age(fallback)])
}

/// A cache must store the answer for missing media briefly, because only then it drops its copy of
/// removed media. With a lifetime of zero nginx would keep that copy, and continue to serve it.
fn missing_cache_control(config: &Config) -> HeaderValue {
    let lifetime = config.cache_max_age().min(MISSING_MAX_AGE);
    if lifetime.is_zero() {
        return header(vec![CacheDirective::NoCache]);
    }
    header(vec![CacheDirective::Public, max_age(lifetime)])
}

fn max_age(lifetime: Duration) -> CacheDirective {
    CacheDirective::MaxAge(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX))
}

fn header(directives: Vec<CacheDirective>) -> HeaderValue {
    HeaderValue::from_str(&CacheControl(directives).to_string())
        .expect("directives are made of words, digits and commas")
}

/// Refuses what a server that takes over from itself by mistake sends to itself.
fn refuse_own(request: &ServiceRequest) -> Result<(), error::ApiError> {
    let successor = request.headers().get(takeover::SUCCESSOR);
    let ctx = request.app_data::<web::Data<Context>>();
    match successor.zip(ctx) {
        Some((id, ctx)) => Ok(takeover::refuse_own(ctx, id.as_bytes())?),
        None => Ok(()),
    }
}

/// Gives each request an id, which is sent in the answer and logged: internal errors with all their
/// causes, clients' mistakes in one line, other requests only if configured.
pub async fn identify<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let settings = request.app_data::<web::Data<Settings>>().cloned();
    let Some(settings) = settings else {
        let response = next.call(request).await?;
        return Ok(response.map_into_left_body());
    };
    let id = settings.ids.of(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        otel.kind = Empty,
        otel.status_code = Empty,
        http.response.status_code = Empty,
    );
    #[cfg(feature = "otlp")]
    if settings.traces {
        span.record("otel.kind", "server");
        trace::adopt(&span, request.headers());
    }
    let started = Instant::now();
    let pending = settings.requests.begin();
    let timings = timing::asked_by(&request);
    let client = settings.client(request.request());
    let checked = refuse_own(&request).and_then(|()| deadline::of(request.headers()));
    let mut response = match checked {
        Err(error) => request.error_response(error).map_into_right_body(),
        Ok(None) => {
            let work = next.call(request).instrument(span.clone());
            with_timings(timings.clone(), on_behalf_of(client, work))
                .await?
                .map_into_left_body()
        }
        Ok(Some(deadline)) => {
            let (method, path) = (request.method().clone(), request.path().to_owned());
            let about = About::of(request.request());
            let work = next.call(request).instrument(span.clone());
            let work = with_timings(timings.clone(), on_behalf_of(client, work));
            let Ok(response) = tokio::time::timeout_at(deadline, work).await else {
                let error = CutShort::new(id);
                let status = error.status_code().as_u16();
                pending.cut_short(status);
                let path = loggable_path(&path);
                let path = &*path;
                let (alias, source) = (about.alias.as_deref(), about.source.as_deref());
                let operations = about.operations.as_deref();
                let ms = millis(started);
                span.in_scope(|| tracing::info!(%method, path, status, ms, alias, source, operations, "{error}"));
                return Err(error.into());
            };
            response?.map_into_left_body()
        }
    };
    pending.end(&response, started);
    #[cfg(feature = "otlp")]
    if settings.traces {
        trace::finish(&span, &response);
    }
    span.in_scope(|| log(&response, started, settings.log_requests));
    mark_missing(&settings, &mut response);
    response.headers_mut().insert(REQUEST_ID, id);
    if let Some(timings) = timings {
        timing::answer(response.headers_mut(), &timings, started.elapsed());
    }
    Ok(response)
}

/// Without an explicit lifetime, caches may keep an answer for as long as they like.
fn mark_missing<B>(settings: &Settings, response: &mut ServiceResponse<B>) {
    if !matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::GONE) {
        return;
    }
    let request = response.request();
    let is_media = ["/image/original", "/image/process."]
        .iter()
        .any(|prefix| request.path().starts_with(prefix));
    let lifetime = if is_media && request.method() == Method::GET {
        settings.missing_cache_control.clone()
    } else {
        HeaderValue::from_static("no-cache")
    };
    response.headers_mut().insert(CACHE_CONTROL, lifetime);
}

/// An internal error is logged as an error, with all its causes; a client's mistake, and an error
/// of another server that we asked, is not.
fn log<B>(response: &ServiceResponse<B>, started: Instant, log_all: bool) {
    let request = response.request();
    let (method, status) = (request.method(), response.status().as_u16());
    let is_ours = is_our_fault(response.status());
    let error = response.response().error();
    if error.is_none() && !log_all && !is_ours {
        return;
    }
    let path = loggable_path(request.path());
    let path = &*path;
    let ms = millis(started);
    let about = About::of(request);
    let (alias, source) = (about.alias.as_deref(), about.source.as_deref());
    let operations = about.operations.as_deref();
    let (code, chain) = match error.and_then(error::cause) {
        Some(error) => (Some(error.code().as_str()), Some(chain(error))),
        None => (None, None),
    };
    let chain = chain.filter(|chain| is_ours && !chain.is_empty());
    let message = match error {
        Some(error) => one_line(&error.to_string()).into_owned(),
        None => "finished".to_owned(),
    };
    if is_ours {
        tracing::error!(%method, path, status, ms, code, alias, source, operations, chain, "{message}");
    } else {
        tracing::info!(%method, path, status, ms, code, alias, source, operations, "{message}");
    }
}

/// Every 5xx except errors of another server (`docs/errors.md`).
fn is_our_fault(status: StatusCode) -> bool {
    let is_of_another = matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
    );
    status.is_server_error() && !is_of_another
}

/// The time since then, rounded to hundredths.
fn millis(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 100_000.0).round() / 100.0
}

/// Masks delete tokens: they are secrets in the path, which may be encoded in many ways.
fn loggable_path(path: &str) -> Cow<'_, str> {
    let spelled = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    if spelled.starts_with("/image/delete/") {
        "/image/delete/***".into()
    } else {
        path.into()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut chain = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        if !chain.is_empty() {
            chain.push_str(": ");
        }
        chain.push_str(&error.to_string());
        source = error.source();
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_did_wrong_is_no_fault_of_ours() {
        for (status, expected) in [(200, false), (404, false), (500, true), (501, true)] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(is_our_fault(status), expected, "{status}");
        }
        assert!(is_our_fault(StatusCode::SERVICE_UNAVAILABLE));
        assert!(!is_our_fault(StatusCode::BAD_GATEWAY));
        assert!(!is_our_fault(StatusCode::GATEWAY_TIMEOUT));
    }

    #[test]
    fn no_spelling_of_a_path_shows_a_delete_token() {
        for path in [
            "/image/delete/T/a.png",
            "/image/%64elete/T/a.png",
            "/%69mage/delete/T",
        ] {
            assert_eq!(loggable_path(path), "/image/delete/***");
        }
        assert_eq!(loggable_path("/image/original/%20"), "/image/original/%20");
    }
}
