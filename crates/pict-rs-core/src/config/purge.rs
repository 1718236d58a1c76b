//! `[purge]`: caches in front, which are told to drop what was removed.

use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{List, Seconds, Secret, Span};
use crate::{Error, ErrorCode, Result};

/// `[purge]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct PurgeConfig {
    /// Base URLs under which clients see this server.
    pub sites: List,
    /// Further paths of an alias there, with `{alias}` in its place.
    pub paths: List,
    /// Where each nginx takes `PURGE`.
    pub nginx: List,
    /// Where each Varnish takes `BAN`.
    pub varnish: List,
    /// Id of the zone at Cloudflare.
    pub cloudflare_zone: Option<String>,
    /// API token of Cloudflare.
    pub cloudflare_token: Option<Secret>,
    /// File that holds `cloudflare_token`.
    pub cloudflare_token_file: Option<PathBuf>,
    /// Purge by tags instead of URLs at Cloudflare.
    pub cloudflare_tags: bool,
    /// Where its API answers.
    pub cloudflare_api: String,
    /// Id of the service at Fastly.
    pub fastly_service: Option<String>,
    /// API token of Fastly.
    pub fastly_token: Option<Secret>,
    /// File that holds `fastly_token`.
    pub fastly_token_file: Option<PathBuf>,
    /// Where its API answers.
    pub fastly_api: String,
    /// Timeout of one request.
    pub timeout: Seconds,
    /// How long a cache is tried to be told.
    pub give_up_after: Span,
}

impl Default for PurgeConfig {
    fn default() -> Self {
        Self {
            sites: List(Vec::new()),
            paths: List(Vec::new()),
            nginx: List(Vec::new()),
            varnish: List(Vec::new()),
            cloudflare_zone: None,
            cloudflare_token: None,
            cloudflare_token_file: None,
            cloudflare_tags: false,
            cloudflare_api: "https://api.cloudflare.com/client/v4".to_owned(),
            fastly_service: None,
            fastly_token: None,
            fastly_token_file: None,
            fastly_api: "https://api.fastly.com".to_owned(),
            timeout: Seconds(10),
            give_up_after: Span::days(7),
        }
    }
}

impl PurgeConfig {
    /// Whether there is a cache to tell.
    pub fn is_on(&self) -> bool {
        !self.nginx.0.is_empty()
            || !self.varnish.0.is_empty()
            || self.zone().is_some()
            || self.service().is_some()
    }

    /// `cloudflare_zone`, if it is set. A deployment may leave the variable empty.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.cloudflare_zone.as_deref().filter(|id| !id.is_empty())
    }

    /// `fastly_service`, if it is set.
    pub(crate) fn service(&self) -> Option<&str> {
        self.fastly_service.as_deref().filter(|id| !id.is_empty())
    }

    /// The header of media by which caches know what belongs together, where one of them needs it.
    pub fn tag_headers(&self) -> impl Iterator<Item = &'static str> {
        let cloudflare = self.zone().is_some() && self.cloudflare_tags;
        let cloudflare = cloudflare.then_some("cache-tag");
        let fastly = self.service().is_some().then_some("surrogate-key");
        cloudflare.into_iter().chain(fastly)
    }

    /// The URLs of a list, without a slash at their end.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`], naming `key`.
    pub(crate) fn bases(key: &str, texts: &[String]) -> Result<Vec<Url>> {
        let parse = |text: &String| {
            let url = Url::parse(text.trim_end_matches('/')).ok();
            let url = url.filter(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.query().is_none()
                    && url.fragment().is_none()
            });
            url.ok_or_else(|| {
                invalid(format!(
                    "purge.{key}: '{text}' is not a plain http:// or https:// URL such as \
                     https://pictures.example.org"
                ))
            })
        };
        texts.iter().map(parse).collect()
    }

    /// # Errors
    /// [`ErrorCode::ConfigInvalid`], naming the key.
    pub(super) fn validate(&self) -> Result<()> {
        if self.timeout.0 == 0 || self.give_up_after.duration().is_zero() {
            return Err(invalid(
                "purge.timeout and purge.give_up_after must be at least 1 second".to_owned(),
            ));
        }
        for (key, urls) in [
            ("sites", &self.sites.0[..]),
            ("nginx", &self.nginx.0),
            ("varnish", &self.varnish.0),
            ("cloudflare_api", std::slice::from_ref(&self.cloudflare_api)),
            ("fastly_api", std::slice::from_ref(&self.fastly_api)),
        ] {
            Self::bases(key, urls)?;
        }
        for path in &self.paths.0 {
            if !path.starts_with('/') || !path.contains("{alias}") {
                return Err(invalid(format!(
                    "purge.paths: '{path}' is not a path such as /pictrs/image/{{alias}}"
                )));
            }
        }
        let needs_urls =
            !self.nginx.0.is_empty() || (self.zone().is_some() && !self.cloudflare_tags);
        if needs_urls && self.sites.0.is_empty() {
            return Err(invalid(
                "purge.nginx and purge.cloudflare_zone need purge.sites, the URLs under which clients \
                 see this server"
                    .to_owned(),
            ));
        }
        self.validate_services()
    }

    fn validate_services(&self) -> Result<()> {
        for (id, name, token, file) in [
            (
                self.zone(),
                "cloudflare",
                &self.cloudflare_token,
                &self.cloudflare_token_file,
            ),
            (
                self.service(),
                "fastly",
                &self.fastly_token,
                &self.fastly_token_file,
            ),
        ] {
            let Some(id) = id else { continue };
            if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(invalid(format!(
                    "purge: the id '{id}' for {name} has other characters than letters and digits"
                )));
            }
            let is_given = token.as_ref().is_some_and(|key| !key.expose().is_empty());
            if !is_given && file.is_none() {
                return Err(invalid(format!(
                    "purge.{name}_token is needed to purge at {name}"
                )));
            }
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

    fn list(text: &str) -> List {
        List(vec![text.to_owned()])
    }

    #[test]
    fn what_lacks_for_a_cache_is_named() {
        let sites = || list("https://pictures.example.org/");
        let refusal = |config: &PurgeConfig| config.validate().expect_err("refused").to_string();
        let mut config = PurgeConfig {
            nginx: list("http://127.0.0.1:8081"),
            ..PurgeConfig::default()
        };
        assert!(refusal(&config).contains("purge.sites"));
        config.sites = list("pictures.example.org");
        assert!(refusal(&config).contains("'pictures.example.org'"));
        config.sites = sites();
        config.validate().expect("valid");
        config.paths = list("/pictrs/image/");
        assert!(refusal(&config).contains("purge.paths"));
        config.paths = list("/pictrs/image/{alias}");
        config.validate().expect("valid");
        config.cloudflare_zone = Some("023e105f4ecef8ad".to_owned());
        assert!(refusal(&config).contains("purge.cloudflare_token"));
        config.cloudflare_token = Some(Secret::new("t"));
        config.validate().expect("valid");
        config.fastly_service = Some("../x".to_owned());
        assert!(refusal(&config).contains("'../x'"));
    }

    #[test]
    fn only_caches_that_know_tags_have_a_header() {
        let mut config = PurgeConfig {
            cloudflare_zone: Some("z".to_owned()),
            ..PurgeConfig::default()
        };
        assert_eq!(config.tag_headers().count(), 0);
        config.cloudflare_tags = true;
        config.fastly_service = Some("s".to_owned());
        let headers: Vec<_> = config.tag_headers().collect();
        assert_eq!(headers, ["cache-tag", "surrogate-key"]);
    }
}
