//! The URL of something elsewhere, in the one spelling that it is remembered by.

use std::fmt;

use url::Url;

use crate::{Error, ErrorCode, Result};

/// Bytes that a URL may have.
const LONGEST: usize = 4096;

/// An absolute URL. Whether it may be fetched is decided when it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceUrl(Url);

impl SourceUrl {
    /// From a query, decoded already.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`] for anything but an absolute URL of sane length.
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
        // It never reaches the upstream, so it tells nothing apart.
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// As it is remembered.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What a log may show: neither a user nor a query, where signatures and keys stand.
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
        // What stands there may be the data itself.
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
