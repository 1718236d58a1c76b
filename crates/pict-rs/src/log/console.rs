//! What tokio-console shows: the tasks of the runtime. Only in builds that ask for the unstable
//! parts of the runtime, because watching every task costs all of them.

use pict_rs_core::config::ConsoleConfig;

/// Whether this build can do it.
const IS_BUILT_IN: bool = cfg!(all(feature = "tokio-console", tokio_unstable));

/// What to say when it is asked for and this build cannot do it.
pub fn warning(config: &ConsoleConfig) -> Option<&'static str> {
    (!IS_BUILT_IN && config.address.is_some()).then_some(
        "tracing.console.address has no effect: this program was built without tokio-console, which \
         needs `--features tokio-console` and RUSTFLAGS=\"--cfg tokio_unstable\"",
    )
}

/// Starts it, if it is wanted.
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

/// This build has none.
#[cfg(not(all(feature = "tokio-console", tokio_unstable)))]
pub fn layer(_: &ConsoleConfig) -> Option<tracing_subscriber::layer::Identity> {
    None
}
