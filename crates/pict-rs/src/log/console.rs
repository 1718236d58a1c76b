//! What tokio-console shows: the tasks of the runtime. Only in builds that ask for the unstable
//! parts of the runtime, because watching every task costs all of them.

use pict_rs_core::config::ConsoleConfig;

/// Whether this build can do it.
const IS_BUILT_IN: bool = cfg!(all(feature = "tokio-console", tokio_unstable));

/// # Errors
/// When it is asked for and this build cannot do it.
pub fn check(config: &ConsoleConfig) -> anyhow::Result<()> {
    anyhow::ensure!(
        IS_BUILT_IN || config.address.is_none(),
        "tracing.console.address: this program was built without tokio-console; it needs \
         `--features tokio-console` and RUSTFLAGS=\"--cfg tokio_unstable\""
    );
    Ok(())
}

/// Starts it, if it is wanted.
///
/// # Errors
/// As [`check`].
#[cfg(all(feature = "tokio-console", tokio_unstable))]
pub fn layer<S>(
    config: &ConsoleConfig,
) -> anyhow::Result<Option<impl tracing_subscriber::Layer<S> + use<S>>>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    Ok(config.address.map(|address| {
        console_subscriber::ConsoleLayer::builder()
            .server_addr(address)
            .event_buffer_capacity(config.buffer_capacity)
            .spawn()
    }))
}

/// This build has none.
///
/// # Errors
/// As [`check`].
#[cfg(not(all(feature = "tokio-console", tokio_unstable)))]
pub fn layer(
    config: &ConsoleConfig,
) -> anyhow::Result<Option<tracing_subscriber::layer::Identity>> {
    check(config)?;
    Ok(None)
}
