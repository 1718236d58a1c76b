//! Support for tokio-console, which shows the tasks of the runtime. Only in builds with the
//! unstable features of the runtime, because instrumenting every task slows all of them down.

use pict_rs_core::config::ConsoleConfig;

/// Whether this build supports it.
const IS_BUILT_IN: bool = cfg!(all(feature = "tokio-console", tokio_unstable));

/// A warning when it is configured and this build does not support it.
pub fn warning(config: &ConsoleConfig) -> Option<&'static str> {
    (!IS_BUILT_IN && config.address.is_some()).then_some(
        "tracing.console.address has no effect: this program was built without tokio-console, which \
         needs `--features tokio-console` and RUSTFLAGS=\"--cfg tokio_unstable\"",
    )
}

/// Starts it, if it is configured.
#[cfg(all(feature = "tokio-console", tokio_unstable))]
pub fn layer<S>(config: &ConsoleConfig) -> Option<impl tracing_subscriber::Layer<S> + use<S>>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    config.address.map(|address| {
        console_subscriber::ConsoleLayer::builder()
            .server_addr(address)
            .event_buffer_capacity(config.buffer_capacity)
            .spawn()
    })
}

/// Not supported by this build.
#[cfg(not(all(feature = "tokio-console", tokio_unstable)))]
pub fn layer(_: &ConsoleConfig) -> Option<tracing_subscriber::layer::Identity> {
    None
}
