//! Log lines on standard output.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use pict_rs_core::config::{LogFormat, LoggingConfig};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Starts logging.
///
/// # Errors
/// A filter that cannot be parsed.
pub fn start(config: &LoggingConfig) -> anyhow::Result<()> {
    let filter = filter(config)?;
    let spans = if config.log_spans {
        FmtSpan::NEW | FmtSpan::CLOSE
    } else {
        FmtSpan::NONE
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(spans)
        .with_ansi(!config.no_ansi && std::io::stdout().is_terminal());
    match config.format {
        LogFormat::Normal => builder.init(),
        LogFormat::Compact => builder.compact().init(),
        LogFormat::Pretty => builder.pretty().init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// The filter of `tracing.logging.targets`.
///
/// # Errors
/// When it cannot be parsed; names the setting.
pub fn filter(config: &LoggingConfig) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(&config.targets).with_context(|| {
        format!(
            "tracing.logging.targets = \"{}\" is no filter",
            config.targets
        )
    })
}
