//! `[events]`: another program that is told what is added and removed.

use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{Seconds, Secret, Span};
use crate::{Error, ErrorCode, Result};

/// Shorter ones could be guessed from one signed event.
const SHORTEST_SECRET: usize = 16;

/// `[events]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct EventsConfig {
    /// Where events are sent; unset sends and keeps none.
    pub url: Option<String>,
    /// The key of their signatures.
    pub secret: Option<Secret>,
    /// File that holds `secret`.
    pub secret_file: Option<PathBuf>,
    /// Timeout of one request.
    pub timeout: Seconds,
    /// How long an event is tried to be delivered.
    pub give_up_after: Span,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            url: None,
            secret: None,
            secret_file: None,
            timeout: Seconds(10),
            give_up_after: Span::days(7),
        }
    }
}

impl EventsConfig {
    /// `url`, parsed. `None` when no events are wanted.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`].
    pub(crate) fn parse_url(&self) -> Result<Option<Url>> {
        // A deployment may leave the variable empty.
        let text = self.url.as_deref().unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
            _ => Err(invalid(
                "events.url is not an http:// or https:// URL".to_owned(),
            )),
        }
    }

    /// # Errors
    /// [`ErrorCode::ConfigInvalid`], naming the key.
    pub(super) fn validate(&self) -> Result<()> {
        if self.timeout.0 == 0 || self.give_up_after.duration().is_zero() {
            return Err(invalid(
                "events.timeout and events.give_up_after must be at least 1 second".to_owned(),
            ));
        }
        if self.parse_url()?.is_none() {
            return Ok(());
        }
        let bytes = self.secret.as_ref().map_or(0, |key| key.expose().len());
        // A secret in a file is read only when the server starts.
        let is_in_file = bytes == 0 && self.secret_file.is_some();
        if bytes < SHORTEST_SECRET && !is_in_file {
            return Err(invalid(format!(
                "events.url needs events.secret, the key of signatures: at least {SHORTEST_SECRET} \
                 bytes, and it has {bytes}"
            )));
        }
        Ok(())
    }
}

fn invalid(message: String) -> Error {
    Error::user(ErrorCode::ConfigInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_needs_a_url_of_the_web_and_a_long_secret() {
        let check = |url: &str, secret: &str| {
            let config = EventsConfig {
                url: Some(url.to_owned()),
                secret: Some(Secret::new(secret)),
                ..EventsConfig::default()
            };
            config.validate().map_err(|error| error.to_string())
        };
        let secret = "0123456789abcdef";
        assert_eq!(check("", ""), Ok(()));
        assert_eq!(check("https://a.example/hook?b=c", secret), Ok(()));
        for url in ["a.example", "ftp://a.example/"] {
            let message = check(url, secret).expect_err(url);
            assert!(message.contains("events.url"), "{message}");
        }
        let message = check("http://a.example", "short").expect_err("refused");
        assert!(message.contains("events.secret"), "{message}");
        assert!(
            message.contains("at least 16 bytes, and it has 5"),
            "{message}"
        );
    }
}
