//! Logs to standard output, and exports spans to a collector.

mod console;
mod journal;

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use pict_rs_core::config::{LogFormat, LoggingConfig, TracingConfig};
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;
#[cfg(not(feature = "otlp"))]
use tracing_subscriber::layer::Identity;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use journal::Output;

/// Kept until the program ends; see [`start`].
#[cfg(feature = "otlp")]
pub type Traces = Option<crate::otlp::Exporter>;
/// This build exports no spans.
#[cfg(not(feature = "otlp"))]
pub struct Traces;

/// Starts logging and tracing. The result must be kept as long as the server runs; dropping it
/// sends the last spans.
///
/// # Errors
/// When a filter or an address is invalid.
pub fn start(config: &TracingConfig) -> anyhow::Result<Traces> {
    let logging = &config.logging;
    let spans = if logging.log_spans {
        FmtSpan::NEW | FmtSpan::CLOSE
    } else {
        FmtSpan::NONE
    };
    let lines = fmt::layer()
        .with_writer(Output::new(std::io::stdout))
        .with_span_events(spans)
        .with_ansi(!logging.no_ansi && std::io::stdout().is_terminal());
    let lines = match logging.format {
        LogFormat::Normal => lines.boxed(),
        LogFormat::Compact => lines.compact().boxed(),
        LogFormat::Pretty => lines.pretty().boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let filter = filter(logging)?;
    let tasks = console::layer(&config.console);
    #[cfg(feature = "otlp")]
    let (exporter, traces) = crate::otlp::Exporter::start(&config.opentelemetry)?.unzip();
    #[cfg(not(feature = "otlp"))]
    let (exporter, traces) = (Traces, None::<Identity>);
    if traces.is_none() && tasks.is_none() {
        registry().with(lines).with(filter).init();
    } else {
        // Each layer has its own filter, which costs a little for every span.
        let lines = lines.with_filter(filter);
        registry().with(lines).with(traces).with(tasks).init();
    }
    Ok(exporter)
}

/// Logs panics as single lines: as a warning for a decoder that panics on a damaged file, which is
/// caught, and as an error otherwise. Release builds have no symbols for a backtrace.
pub fn take_panics() {
    let cry = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        let said = panic.payload_as_str().unwrap_or_default();
        if pict_rs_media::panics_are_caught() {
            tracing::warn!(place, said, "a decoder gave up on a file");
            return;
        }
        tracing::error!(place, said, "a panic");
        if cfg!(debug_assertions) {
            cry(panic);
        }
    }));
}

/// Prints to standard error why the program ends: as a log line if a format was chosen, regardless
/// of filters, otherwise as text.
pub fn fatal(error: &anyhow::Error, format: Option<LogFormat>) {
    let causes: Vec<_> = error.chain().skip(1).map(ToString::to_string).collect();
    let Some(format) = format else {
        let mut text = format!("Error: {error}\n");
        for (number, cause) in causes.iter().enumerate() {
            let head = if number == 0 { "\nCaused by:\n" } else { "" };
            text.push_str(&format!("{head}    {cause}\n"));
        }
        let output = Output::new(std::io::stderr);
        // There is no other place to report this failure.
        let _ = output.lines(Level::ERROR).write_all(text.as_bytes());
        return;
    };
    let output = Output::new(std::io::stderr);
    let lines = fmt::layer().with_writer(output).with_ansi(false);
    let lines = match format {
        LogFormat::Normal => lines.boxed(),
        LogFormat::Compact => lines.compact().boxed(),
        LogFormat::Pretty => lines.pretty().boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let chain = (!causes.is_empty()).then(|| causes.join(": "));
    tracing::subscriber::with_default(registry().with(lines), || {
        tracing::error!(chain, "{error}");
    });
}

/// Checks what [`start`] would refuse, without starting anything.
///
/// # Errors
/// When a filter or an address is invalid; names the setting.
pub fn check(config: &TracingConfig) -> anyhow::Result<()> {
    filter(&config.logging)?;
    #[cfg(feature = "otlp")]
    crate::otlp::check(&config.opentelemetry)?;
    Ok(())
}

/// Settings that this build does not support. They do not prevent the start, because media can be
/// served without them.
pub fn warnings(config: &TracingConfig) -> Vec<&'static str> {
    let mut found = Vec::new();
    found.extend(console::warning(&config.console));
    #[cfg(feature = "otlp")]
    found.extend(crate::otlp::warning(&config.opentelemetry));
    #[cfg(not(feature = "otlp"))]
    if config
        .opentelemetry
        .url
        .as_ref()
        .is_some_and(|url| !url.is_empty())
    {
        found.push(
            "tracing.opentelemetry.url has no effect: this program was built without the cargo \
             feature `otlp`",
        );
    }
    found
}

/// The filter of `tracing.logging.targets`.
///
/// # Errors
/// When it cannot be parsed; names the setting.
fn filter(config: &LoggingConfig) -> anyhow::Result<EnvFilter> {
    let filter = EnvFilter::try_new(&config.targets).with_context(|| {
        format!(
            "tracing.logging.targets = \"{}\" is no filter",
            config.targets
        )
    })?;
    // Invalid HTTP from clients would be logged as an internal error.
    Ok(if config.targets.contains("actix_http") {
        filter
    } else {
        filter.add_directive("actix_http::h1=off".parse()?)
    })
}
