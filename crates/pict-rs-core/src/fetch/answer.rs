//! What the head of an upstream's answer says. Pure.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderName};

use super::upstream;
use crate::Result;

/// How long an answer is fresh by default, and at most.
const FRESH_AT_MOST: Duration = Duration::from_secs(60 * 60);
/// How long an answer is fresh at least, so that each upstream is asked at most once a second.
const FRESH_AT_LEAST: Duration = Duration::from_secs(1);
/// Validators longer than this are not remembered.
const VALIDATOR: usize = 1024;

/// Lets an upstream check whether its content has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`, as it was sent.
    pub etag: Option<String>,
    /// `Last-Modified`, as it was sent.
    pub last_modified: Option<String>,
}

/// What to remember of an answer, to ask again later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Sent with the next request.
    pub validators: Validators,
    /// How long until the next request.
    pub max_age: Duration,
}

impl Validators {
    pub(super) fn conditions(&self) -> impl Iterator<Item = (HeaderName, &str)> {
        let etag = self.etag.as_deref();
        let last_modified = self.last_modified.as_deref();
        [
            (header::IF_NONE_MATCH, etag),
            (header::IF_MODIFIED_SINCE, last_modified),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

impl Freshness {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let validator = |name| {
            let value = headers.get(name)?.to_str().ok()?;
            (1..=VALIDATOR)
                .contains(&value.len())
                .then(|| value.to_owned())
        };
        Self {
            validators: Validators {
                etag: validator(header::ETAG),
                last_modified: validator(header::LAST_MODIFIED),
            },
            max_age: max_age(headers).clamp(FRESH_AT_LEAST, FRESH_AT_MOST),
        }
    }
}

fn max_age(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(header::CACHE_CONTROL).into_iter();
    let directives = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|directive| directive.trim().to_ascii_lowercase());
    let mut found = FRESH_AT_MOST;
    for directive in directives {
        if directive == "no-cache" || directive == "no-store" {
            return Duration::ZERO;
        }
        let seconds = directive
            .strip_prefix("max-age=")
            .and_then(|seconds| seconds.trim_matches('"').parse().ok());
        found = seconds.map_or(found, Duration::from_secs);
    }
    found
}

/// `Content-Length`, if there is one.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Refuses every status that does not come with a whole file.
///
/// # Errors
/// [`crate::ErrorCode::UpstreamError`], naming the status.
pub(super) fn check(status: StatusCode) -> Result<()> {
    if !status.is_success() || status == StatusCode::PARTIAL_CONTENT {
        let reason = status.canonical_reason().unwrap_or("a status of its own");
        return Err(upstream(format!(
            "The upstream answered {} {reason}",
            status.as_u16()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn an_answer_is_fresh_as_long_as_it_says_within_bounds() {
        let check = |value, seconds| {
            let freshness = Freshness::of(&headers(&[("cache-control", value)]));
            assert_eq!(freshness.max_age.as_secs(), seconds, "{value}");
        };
        check("max-age=60", 60);
        check("public, MAX-AGE=60, immutable", 60);
        check("max-age=\"60\"", 60);
        check("max-age=999999", 3600);
        check("max-age=99999999999999999999", 3600);
        check("max-age=soon", 3600);
        check("max-age=0", 1);
        check("s-maxage=5", 3600);
        check("max-age=60, no-cache", 1);
        check("no-store", 1);
        assert_eq!(Freshness::of(&headers(&[])).max_age.as_secs(), 3600);
    }

    #[test]
    fn validators_go_back_as_they_came() {
        let freshness = Freshness::of(&headers(&[("etag", "W/\"x y\"")]));
        let conditions: Vec<_> = freshness.validators.conditions().collect();
        assert_eq!(conditions, [(header::IF_NONE_MATCH, "W/\"x y\"")]);
        let date = "Tue, 15 Nov 1994 12:45:26 GMT";
        let freshness = Freshness::of(&headers(&[("etag", ""), ("last-modified", date)]));
        let conditions: Vec<_> = freshness.validators.conditions().collect();
        assert_eq!(conditions, [(header::IF_MODIFIED_SINCE, date)]);
    }

    #[test]
    fn only_whole_files_are_taken() {
        let check = |status: u16| {
            let status = StatusCode::from_u16(status).expect("valid");
            check(status).map_err(|error| error.to_string())
        };
        assert!(check(200).is_ok());
        assert!(check(203).is_ok());
        let message = check(404).expect_err("refused");
        assert!(message.contains("404 Not Found"), "{message}");
        for status in [100, 206, 300, 302, 304, 401, 500, 599] {
            assert!(check(status).is_err(), "{status}");
        }
    }

    #[test]
    fn a_length_is_a_number_or_nothing() {
        let check =
            |value, expected| assert_eq!(length(&headers(&[("content-length", value)])), expected);
        check("17", Some(17));
        check("-1", None);
        check("many", None);
        assert_eq!(length(&headers(&[])), None);
    }
}
