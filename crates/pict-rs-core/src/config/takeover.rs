//! `[takeover]`: the running server that this one takes over from.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{Seconds, Secret, ServerConfig};
use crate::repo::{Server, ServerSettings};
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
    /// URL of its PostgreSQL database, from which delete tokens are read.
    pub repo_url: Option<Secret>,
    /// File that holds `repo_url`.
    pub repo_url_file: Option<PathBuf>,
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
            repo_url: None,
            repo_url_file: None,
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

    /// Its database; `None` when only its API is known.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`].
    pub(crate) fn database(&self) -> Result<Option<Server>> {
        let url = self.repo_url.as_ref().map(Secret::expose);
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        if !cfg!(feature = "migrate") {
            return Err(invalid(
                "takeover.repo_url: this build cannot read that database, because it was made without \
                 the feature migrate",
            ));
        }
        let server = Server::new(&ServerSettings {
            key: "takeover.repo_url",
            url,
            use_tls: false,
            certificate_file: None,
            max_connections: 1,
            patience: Duration::ZERO,
        });
        server.map(Some)
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
        self.database()?;
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
    fn its_database_is_a_postgresql_server_or_unknown() {
        let database = |url: &str| {
            let config = TakeoverConfig {
                repo_url: Some(Secret::new(url)),
                ..TakeoverConfig::default()
            };
            config.database().map(|server| server.is_some())
        };
        assert!(!database("").expect("there is none"));
        assert_eq!(
            database("postgres://a@b/c").is_ok(),
            cfg!(feature = "migrate")
        );
        database("/mnt/sled-repo").expect_err("a folder");
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
