//! The URL of remote media, in a normalised spelling.

use std::fmt;

use url::Url;

use crate::{Error, ErrorCode, Result};

/// Maximum length in bytes.
const LONGEST: usize = 4096;

/// An absolute URL. Whether it may be fetched is checked when it is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceUrl(Url);

impl SourceUrl {
    /// From a decoded query.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`] unless it is an absolute URL of allowed length.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |message: String| Error::user(ErrorCode::InvalidQuery, message);
        if text.len() > LONGEST {
            return Err(invalid(format!(
                "The URL has {} bytes, the limit is {LONGEST}",
                text.len()
            ))
            .limit(LONGEST)
            .found(text.len()));
        }
        let mut url =
            Url::parse(text).map_err(|error| invalid(format!("No absolute URL: {error}")))?;
        // The fragment is never sent to the upstream, so it does not distinguish URLs.
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// As stored.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL without user and query, which may contain signatures and keys; for logs.
    pub fn loggable(&self) -> String {
        loggable(&self.0)
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As [`SourceUrl::loggable`].
pub(crate) fn loggable(url: &Url) -> String {
    let Some(host) = url.host_str() else {
        // Other schemes may contain the data itself.
        return format!("{}:", url.scheme());
    };
    let origin = format!("{}://{host}", url.scheme());
    let port = url.port().map(|port| format!(":{port}"));
    let query = url.query().map(|_| "?…");
    [
        &origin,
        port.as_deref().unwrap_or_default(),
        url.path(),
        query.unwrap_or_default(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_shows_neither_users_nor_queries() {
        let check = |text, expected| {
            let url = SourceUrl::parse(text).expect("valid");
            assert_eq!(url.loggable(), expected);
        };
        check("https://example.org/a.png", "https://example.org/a.png");
        check(
            "http://u:secret@example.org:81/a?sig=s#f",
            "http://example.org:81/a?…",
        );
        check("http://[::1]/", "http://[::1]/");
        check("mailto:somebody", "mailto:");
    }

    #[test]
    fn spellings_of_one_url_are_one() {
        let check = |text, expected| {
            let url = SourceUrl::parse(text).expect("valid");
            assert_eq!(url.as_str(), expected);
        };
        check("http://a.example", "http://a.example/");
        check("HTTP://A.Example:80/x/../y#z", "http://a.example/y");
        check("https://a.example/ü b", "https://a.example/%C3%BC%20b");
        check(
            "https://a.example/%C3%BC%20b",
            "https://a.example/%C3%BC%20b",
        );
        check(
            "https://a.example/a%2Fb?c=%26",
            "https://a.example/a%2Fb?c=%26",
        );
    }

    #[test]
    fn what_is_no_absolute_url_is_a_bad_query() {
        let long = format!("http://a.example/{}", "x".repeat(LONGEST));
        for text in [
            "",
            "a.png",
            "/a.png",
            "//a.example/",
            "http://",
            "http://[",
            &long,
        ] {
            let error = SourceUrl::parse(text).expect_err(text);
            assert_eq!(error.code(), ErrorCode::InvalidQuery);
        }
    }
}
