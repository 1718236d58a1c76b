//! The URL of the external validation.

use reqwest::Url;

use super::MediaConfig;
use crate::{Error, ErrorCode, Result};

/// `media.external_validation`, parsed.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`].
pub(crate) fn parse_url(config: &MediaConfig) -> Result<Option<Url>> {
    // A deployment may leave the variable empty.
    let text = config.external_validation.as_deref().unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
        _ => Err(Error::user(
            ErrorCode::ConfigInvalid,
            "media.external_validation is not an http:// or https:// URL",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_can_be_asked_are_taken() {
        let check = |text: &str, expected: Result<bool, ErrorCode>| {
            let config = MediaConfig {
                external_validation: Some(text.to_owned()),
                ..MediaConfig::default()
            };
            let parsed = parse_url(&config).map(|url| url.is_some());
            assert_eq!(parsed.map_err(|error| error.code()), expected, "{text}");
        };
        check("http://validator:14051/api/v1/scan/IPADDR", Ok(true));
        check("https://user:password@example.org/", Ok(true));
        check("", Ok(false));
        check("validator:14051", Err(ErrorCode::ConfigInvalid));
        check("ftp://validator/", Err(ErrorCode::ConfigInvalid));
        check("/scan", Err(ErrorCode::ConfigInvalid));
    }
}
