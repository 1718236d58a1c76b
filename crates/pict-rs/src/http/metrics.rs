//! Prometheus metrics: the recorder, a separate listener, and the metrics of each request.

mod names;
mod process;

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::dev::{Server, ServiceResponse};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use metrics::{Counter, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use pict_rs_core::Context;
use pict_rs_core::service::health::{self, Figures};

/// Upper bounds of all histograms, in seconds: from a served picture to a long conversion.
const BUCKETS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// Recorded durations use memory until they are sorted into buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// The route label of requests without a route.
const NO_ROUTE: &str = "unknown";

/// Installs the recorder. Must be called before any counter is created.
///
/// # Errors
/// When this process already has a recorder.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("metrics cannot be recorded")?;
    names::describe();
    gauge!("pict_rs_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Serves the metrics, on any path.
///
/// # Errors
/// When the socket cannot be opened.
pub fn listen(context: &Arc<Context>, handle: PrometheusHandle) -> anyhow::Result<Option<Server>> {
    let Some(address) = context.config.metrics.prometheus_address else {
        return Ok(None);
    };
    let upkeep = handle.clone();
    actix_web::rt::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let context = web::Data::from(context.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(context.clone())
            .app_data(web::Data::new(handle.clone()))
            .default_service(web::to(scrape))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(address)
    .with_context(|| format!("cannot listen on metrics.prometheus_address = \"{address}\""))?;
    for address in server.addrs() {
        tracing::info!("metrics on http://{address}");
    }
    Ok(Some(server.run()))
}

async fn scrape(ctx: web::Data<Context>, handle: web::Data<PrometheusHandle>) -> HttpResponse {
    set(&health::figures(&ctx).await);
    let mut text = handle.render();
    text.push_str(&names::not_yet_seen(&text));
    text.push_str(&process::render());
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(text)
}

/// Sets the gauges, which are only needed when metrics are requested.
fn set(figures: &Figures) {
    let load = figures.media;
    for (name, value) in [
        ("pict_rs_media_waiting", load.waiting),
        ("pict_rs_media_running", load.running),
        ("pict_rs_media_slots", load.slots),
        ("pict_rs_media_memory_bytes", load.memory),
        ("pict_rs_media_memory_limit_bytes", load.memory_limit),
    ] {
        gauge!(name).set(value as f64);
    }
    for (name, part) in [("repo", &figures.repo), ("store", &figures.store)] {
        let is_healthy = f64::from(u8::from(part.written.is_ok()));
        gauge!("pict_rs_healthy", "part" => name).set(is_healthy);
        // An unknown value must not look like a known one.
        let free = part.space.map_or(f64::NAN, |space| space.free as f64);
        gauge!("pict_rs_free_bytes", "part" => name).set(free);
    }
    for (pool, connections) in &figures.connections {
        let all = [
            ("idle", connections.idle),
            ("used", connections.open.saturating_sub(connections.idle)),
            ("free", connections.most.saturating_sub(connections.open)),
        ];
        for (state, number) in all {
            let labels = [("pool", *pool), ("state", state)];
            gauge!("pict_rs_postgres_pool_connections", &labels).set(number as f64);
        }
    }
    if let Some(nodes) = figures.nodes.filter(|_| !figures.connections.is_empty()) {
        gauge!("pict_rs_nodes").set(nodes as f64);
    }
    if let Some(jobs) = figures.jobs {
        gauge!("pict_rs_jobs_waiting").set(jobs as f64);
    }
    for (target, status) in &figures.deliveries {
        let waiting = status.waiting as f64;
        gauge!("pict_rs_deliveries_waiting", "target" => target.as_str()).set(waiting);
    }
    if let Some(usage) = figures.usage {
        for (class, total) in [
            ("originals", usage.originals),
            ("variants", usage.variants),
            ("proxied", usage.proxied),
        ] {
            gauge!("pict_rs_stored", "class" => class).set(total.count as f64);
            gauge!("pict_rs_stored_bytes", "class" => class).set(total.bytes as f64);
        }
    }
}

/// Metrics of all requests. Looked up once, for all workers.
pub struct Requests {
    is_on: bool,
    start: Counter,
    dropped: Counter,
    /// Bytes of media sent.
    pub bytes: Counter,
}

impl Requests {
    /// Counts if `is_on`; otherwise all methods do nothing.
    pub fn new(is_on: bool) -> Self {
        Self {
            is_on,
            start: counter!("pict_rs_request_start"),
            dropped: counter!("pict_rs_request_dropped"),
            bytes: counter!("pict_rs_bytes_served"),
        }
    }

    /// Counts a new request.
    pub fn begin(&self) -> Pending<'_> {
        self.start.increment(1);
        Pending(Some(self))
    }
}

/// A request without an answer. If it is dropped, its client has gone.
pub struct Pending<'a>(Option<&'a Requests>);

impl Pending<'_> {
    /// Counts the answer.
    pub fn end<B>(mut self, response: &ServiceResponse<B>, since: Instant) {
        if !self.0.take().is_some_and(|requests| requests.is_on) {
            return;
        }
        if let Some(route) = response.request().app_data::<Route>() {
            route.count(response, since.elapsed());
        } else {
            count(NO_ROUTE, response.status().as_u16());
        }
    }

    /// Counts an answer to a request whose work was dropped.
    pub fn cut_short(mut self, status: u16) {
        if self.0.take().is_some_and(|requests| requests.is_on) {
            count(NO_ROUTE, status);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(requests) = self.0 {
            requests.dropped.increment(1);
        }
    }
}

fn count(path: &'static str, status: u16) {
    end(path.to_owned(), status).increment(1);
}

fn end(path: String, status: u16) -> Counter {
    counter!("pict_rs_request_end", "path" => path, "status" => status.to_string())
}

/// Metrics of one route, stored with its resource in each worker. The handles are looked up when
/// first needed, so a request like an earlier one allocates nothing.
#[derive(Default)]
pub struct Route {
    path: OnceLock<(String, Histogram)>,
    ends: RefCell<Vec<(u16, Counter)>>,
}

impl Route {
    /// For requests that are answered before routing.
    pub fn named(path: &str) -> Self {
        let timings = histogram!("pict_rs_request_timings", "path" => path.to_owned());
        Self {
            path: (path.to_owned(), timings).into(),
            ends: RefCell::default(),
        }
    }

    fn count<B>(&self, response: &ServiceResponse<B>, took: Duration) {
        let (path, timings) = self.path.get_or_init(|| {
            let pattern = response.request().match_pattern();
            let path = clean(pattern.as_deref().unwrap_or(NO_ROUTE));
            let timings = histogram!("pict_rs_request_timings", "path" => path.clone());
            (path, timings)
        });
        timings.record(took);
        let status = response.status().as_u16();
        let mut ends = self.ends.borrow_mut();
        if let Some((_, counter)) = ends.iter().find(|(known, _)| *known == status) {
            return counter.increment(1);
        }
        let counter = end(path.clone(), status);
        counter.increment(1);
        ends.push((status, counter));
    }
}

/// Simplifies a pattern for people: `/image/original/{alias:.+}` becomes `/image/original/{alias}`.
pub fn clean(pattern: &str) -> String {
    pattern.replace(":.+}", "}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_the_documentation_calls_the_routes() {
        assert_eq!(
            clean("/image/original/{alias:.+}"),
            "/image/original/{alias}"
        );
        assert_eq!(
            clean("/image/process.{extension}"),
            "/image/process.{extension}"
        );
    }
}
