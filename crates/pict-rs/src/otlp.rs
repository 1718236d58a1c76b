//! Traces over OTLP: spans are sent in batches, by separate threads. A slow or unreachable
//! collector loses spans, but never delays a request: spans that do not fit into the queue are
//! dropped.

use std::time::Duration;

use anyhow::{Context as _, bail};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use pict_rs_core::config::OpentelemetryConfig;
use tokio::runtime::{Builder, Runtime};
use tracing::Subscriber;
use tracing_subscriber::filter::{Directive, EnvFilter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, filter::LevelFilter};

use crate::load::without_password;

/// Timeout for sending a batch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for the last batch, when the server stops.
const FLUSH: Duration = Duration::from_secs(3);
/// Targets of the exporter itself: sending spans must not create spans.
const SENDERS: [&str; 6] = [
    "h2",
    "hyper",
    "hyper_util",
    "tonic",
    "tower",
    "opentelemetry",
];

/// The connection to the collector. Dropping it sends the remaining spans, with a short timeout.
pub struct Exporter {
    provider: SdkTracerProvider,
    /// Taken on drop. Separate from the runtimes of the server, which have other work and end
    /// earlier.
    runtime: Option<Runtime>,
}

impl Exporter {
    /// Starts the exporter; `None` without traces. The collector need not be reachable yet.
    ///
    /// # Errors
    /// When a URL or filter is invalid; names the setting.
    pub fn start<S>(
        config: &OpentelemetryConfig,
    ) -> anyhow::Result<Option<(Self, impl Layer<S> + Send + Sync + use<S>)>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let Some((url, filter)) = check(config)? else {
            return Ok(None);
        };
        let shown = without_password(url);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("otlp")
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(url)
            .with_timeout(TIMEOUT)
            .build()
            .with_context(|| format!("tracing.opentelemetry.url = \"{shown}\""))?;
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        drop(entered);
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("pict-rs"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter);
        let exporter = Self {
            provider,
            runtime: Some(runtime),
        };
        Ok(Some((exporter, layer)))
    }
}

/// The collector's URL and the filter; `None` without traces.
///
/// # Errors
/// When a URL or filter is invalid; names the setting.
pub fn check(config: &OpentelemetryConfig) -> anyhow::Result<Option<(&str, EnvFilter)>> {
    let url = config.url.as_deref();
    let Some(url) = url.filter(|url| !url.is_empty() && !is_https(url)) else {
        return Ok(None);
    };
    if !url.starts_with("http://") {
        bail!(
            "tracing.opentelemetry.url = \"{}\" does not begin with http://",
            without_password(url)
        );
    }
    Ok(Some((url, filter(config)?)))
}

/// A warning when a collector is configured that this build does not support.
pub fn warning(config: &OpentelemetryConfig) -> Option<&'static str> {
    config.url.as_deref().is_some_and(is_https).then_some(
        "tracing.opentelemetry.url begins with https://, and traces are sent without TLS only: none \
         are sent. Run a collector on this machine that passes them on",
    )
}

fn is_https(url: &str) -> bool {
    let scheme = url.get(..8);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

fn filter(config: &OpentelemetryConfig) -> anyhow::Result<EnvFilter> {
    let targets = &config.targets;
    let filter = EnvFilter::try_new(targets)
        .with_context(|| format!("tracing.opentelemetry.targets = \"{targets}\" is no filter"))?;
    SENDERS.iter().try_fold(filter, |filter, name| {
        let off: Directive = format!("{name}={}", LevelFilter::OFF).parse()?;
        Ok(filter.add_directive(off))
    })
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
        if let Some(runtime) = self.runtime.take() {
            // A name lookup may be running, which cannot be interrupted.
            runtime.shutdown_background();
        }
    }
}
