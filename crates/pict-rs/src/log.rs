//! Log lines on standard output, and spans to a collector.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use pict_rs_core::config::{LogFormat, LoggingConfig, TracingConfig};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

/// Lives as long as the program; see [`start`].
#[cfg(feature = "otlp")]
pub type Traces = Option<crate::otlp::Exporter>;
/// This build sends none.
#[cfg(not(feature = "otlp"))]
#[derive(Default)]
pub struct Traces;

/// Starts logging and tracing. What is returned must live as long as the server, and sends the
/// last spans when it is dropped.
///
/// # Errors
/// A filter or an address that cannot work.
pub fn start(config: &TracingConfig) -> anyhow::Result<Traces> {
    let logging = &config.logging;
    let spans = if logging.log_spans {
        FmtSpan::NEW | FmtSpan::CLOSE
    } else {
        FmtSpan::NONE
    };
    let lines = fmt::layer()
        .with_span_events(spans)
        .with_ansi(!logging.no_ansi && std::io::stdout().is_terminal());
    let lines = match logging.format {
        LogFormat::Normal => lines.boxed(),
        LogFormat::Compact => lines.compact().boxed(),
        LogFormat::Pretty => lines.pretty().boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let filter = filter(logging)?;
    #[cfg(feature = "otlp")]
    if let Some((exporter, traces)) = crate::otlp::Exporter::start(&config.opentelemetry)? {
        // Each has a filter of its own, which costs a little for every span.
        let lines = lines.with_filter(filter);
        registry().with(lines).with(traces).init();
        return Ok(Some(exporter));
    }
    #[cfg(not(feature = "otlp"))]
    anyhow::ensure!(
        config
            .opentelemetry
            .url
            .as_deref()
            .unwrap_or_default()
            .is_empty(),
        "tracing.opentelemetry.url: this program was built without the cargo feature `otlp`"
    );
    registry().with(lines).with(filter).init();
    Ok(Traces::default())
}

/// The filter of `tracing.logging.targets`.
///
/// # Errors
/// When it cannot be parsed; names the setting.
pub fn filter(config: &LoggingConfig) -> anyhow::Result<EnvFilter> {
    let filter = EnvFilter::try_new(&config.targets).with_context(|| {
        format!(
            "tracing.logging.targets = \"{}\" is no filter",
            config.targets
        )
    })?;
    // What a stranger sends that is no HTTP would stand there as an error of ours.
    Ok(if config.targets.contains("actix_http") {
        filter
    } else {
        filter.add_directive("actix_http::h1=off".parse()?)
    })
}
