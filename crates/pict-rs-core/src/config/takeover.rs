//! `[takeover]`: the running server that this one takes over from.

use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{Seconds, Secret, ServerConfig};
use crate::{Error, ErrorCode, Result};

/// `[takeover]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct TakeoverConfig {
    /// Where it answers; unset takes over from no server.
    pub url: Option<String>,
    /// Its API key.
    pub api_key: Option<Secret>,
    /// File that holds `api_key`.
    pub api_key_file: Option<PathBuf>,
    /// Files that the run copies at a time.
    pub concurrency: usize,
    /// Files that the run copies per second at most; 0 means no limit.
    pub rate: u64,
    /// Timeout of one request to it, including the body.
    pub timeout: Seconds,
}

impl Default for TakeoverConfig {
    fn default() -> Self {
        Self {
            url: None,
            api_key: None,
            api_key_file: None,
            concurrency: 2,
            rate: 20,
            timeout: Seconds(60),
        }
    }
}

impl TakeoverConfig {
    /// `url`, parsed. `None` when there is no server to take over from.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`].
    pub(crate) fn parse_url(&self) -> Result<Option<Url>> {
        // A deployment may leave the variable empty.
        let text = self.url.as_deref().unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        let is_plain = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        match Url::parse(text) {
            Ok(url) if is_plain(&url) => Ok(Some(url)),
            _ => Err(invalid(
                "takeover.url is not a plain http:// or https:// URL such as http://old:8080",
            )),
        }
    }

    /// # Errors
    /// [`ErrorCode::ConfigInvalid`], naming the key.
    pub(super) fn validate(&self, server: &ServerConfig) -> Result<()> {
        if self.concurrency == 0 || self.timeout.0 == 0 {
            return Err(invalid(
                "takeover.concurrency and takeover.timeout must be at least 1",
            ));
        }
        if self.parse_url()?.is_none() {
            return Ok(());
        }
        let is_keyed = self
            .api_key
            .as_ref()
            .is_some_and(|key| !key.expose().is_empty());
        // A key in a file is read only when the server starts.
        if !is_keyed && self.api_key_file.is_none() {
            return Err(invalid(
                "takeover.url needs takeover.api_key, the API key of that server",
            ));
        }
        if server.read_only {
            return Err(invalid(
                "takeover.url needs a server that may store what it takes over: \
                 server.read_only is true",
            ));
        }
        Ok(())
    }
}

fn invalid(message: &str) -> Error {
    Error::user(ErrorCode::ConfigInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, key: &str, read_only: bool) -> Result<(), String> {
        let config = TakeoverConfig {
            url: Some(url.to_owned()),
            api_key: Some(Secret::new(key)),
            ..TakeoverConfig::default()
        };
        let server = ServerConfig {
            read_only,
            ..ServerConfig::default()
        };
        config.validate(&server).map_err(|error| error.to_string())
    }

    #[test]
    fn a_takeover_needs_a_plain_url_a_key_and_a_server_that_may_write() {
        assert_eq!(check("http://old:8080", "key", false), Ok(()));
        assert_eq!(check("https://old.example/pictrs/", "key", false), Ok(()));
        assert_eq!(check("", "", true), Ok(()), "there is none");
        for url in ["old:8080", "ftp://old/", "http://a:b@old/", "http://old/?a"] {
            let message = check(url, "key", false).expect_err(url);
            assert!(message.starts_with("takeover.url is not"), "{message}");
        }
        let message = check("http://old:8080", "", false).expect_err("no key");
        assert!(message.contains("takeover.api_key"), "{message}");
        let message = check("http://old:8080", "key", true).expect_err("read-only");
        assert!(message.contains("server.read_only"), "{message}");
    }
}
