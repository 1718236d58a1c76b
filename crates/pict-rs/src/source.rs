//! Where the sources of this binary are: section 13 of the AGPL wants users of a server to be told.

use std::sync::LazyLock;

/// The address of the sources: `PICTRS_SOURCE_URL` of the environment of the build if it was set,
/// which is for builds of changed sources, else the repository that the manifest names.
pub const URL: &str = match option_env!("PICTRS_SOURCE_URL") {
    Some(url) => url,
    None => env!("CARGO_PKG_REPOSITORY"),
};

/// What `--version` prints after the name of the program.
pub fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}\nlicense: {}\nsources: {URL}",
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_LICENSE"),
        )
    });
    &TEXT
}

#[cfg(test)]
mod tests {
    use super::URL;

    #[test]
    fn the_address_of_the_sources_is_one() {
        let uri: actix_web::http::Uri = URL.parse().expect("an address");
        assert!(matches!(uri.scheme_str(), Some("https" | "http")), "{URL}");
        assert!(uri.host().is_some_and(|host| host.contains('.')), "{URL}");
    }
}
