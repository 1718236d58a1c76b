//! Conditional requests and ranges (RFC 9110, sections 13 and 14) as pure functions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::HttpRequest;
use actix_web::http::header::{
    self, ETag, EntityTag, Header as _, HttpDate, IfMatch, IfModifiedSince, IfNoneMatch, IfRange,
    IfUnmodifiedSince,
};

/// What identifies a representation to caches.
#[derive(Clone, Debug)]
pub struct Validators {
    /// A strong validator.
    pub etag: EntityTag,
    /// In whole seconds, like HTTP dates.
    pub last_modified: SystemTime,
}

impl Validators {
    /// `created_at` is Unix time in milliseconds.
    pub fn new(etag: String, created_at: i64) -> Self {
        let created_at = Duration::from_millis(u64::try_from(created_at).unwrap_or(0));
        // Never later than the answer itself (RFC 9110, section 8.8.2.1): clocks can be set back.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let modified = created_at.min(now.unwrap_or_default());
        Self {
            etag: EntityTag::new_strong(etag),
            last_modified: UNIX_EPOCH + Duration::from_secs(modified.as_secs()),
        }
    }

    /// The two validators as headers.
    pub fn headers(&self) -> (ETag, header::LastModified) {
        (
            ETag(self.etag.clone()),
            header::LastModified(HttpDate::from(self.last_modified)),
        )
    }
}

/// How to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// 200 with the whole file.
    Whole,
    /// 206 with `length` bytes from `start`.
    Part {
        /// First byte.
        start: u64,
        /// Number of bytes, at least 1.
        length: u64,
    },
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    Unsatisfiable,
}

/// Decides for a representation of `size` bytes.
pub fn decide(request: &HttpRequest, validators: &Validators, size: u64) -> Decision {
    let headers = request.headers();
    let has = |name| headers.contains_key(name);
    if has(header::IF_MATCH) {
        if !if_match(request, &validators.etag) {
            return Decision::PreconditionFailed;
        }
    } else if has(header::IF_UNMODIFIED_SINCE)
        && let Ok(IfUnmodifiedSince(date)) = IfUnmodifiedSince::parse(request)
        && validators.last_modified > SystemTime::from(date)
    {
        return Decision::PreconditionFailed;
    }
    if has(header::IF_NONE_MATCH) {
        if if_none_match(request, &validators.etag) {
            return Decision::NotModified;
        }
    } else if has(header::IF_MODIFIED_SINCE)
        && let Ok(IfModifiedSince(date)) = IfModifiedSince::parse(request)
        && validators.last_modified <= SystemTime::from(date)
    {
        return Decision::NotModified;
    }
    range(request, validators, size)
}

/// Decides by the range only.
fn range(request: &HttpRequest, validators: &Validators, size: u64) -> Decision {
    let headers = request.headers();
    match headers.get(header::RANGE) {
        Some(range) if !headers.contains_key(header::IF_RANGE) || if_range(request, validators) => {
            range
                .to_str()
                .map_or(Decision::Whole, |range| part(range, size))
        }
        _ => Decision::Whole,
    }
}

fn if_match(request: &HttpRequest, etag: &EntityTag) -> bool {
    match IfMatch::parse(request) {
        Ok(IfMatch::Any) => true,
        Ok(IfMatch::Items(items)) => items.iter().any(|item| item.strong_eq(etag)),
        Err(_) => false,
    }
}

fn if_none_match(request: &HttpRequest, etag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(items)) => items.iter().any(|item| item.weak_eq(etag)),
        Err(_) => false,
    }
}

fn if_range(request: &HttpRequest, validators: &Validators) -> bool {
    match IfRange::parse(request) {
        Ok(IfRange::EntityTag(etag)) => etag.strong_eq(&validators.etag),
        Ok(IfRange::Date(date)) => SystemTime::from(date) == validators.last_modified,
        Err(_) => false,
    }
}

/// A single range of bytes is served. Other units and invalid headers are ignored; several ranges
/// are refused, as in the existing pict-rs.
fn part(range: &str, size: u64) -> Decision {
    let Some((unit, ranges)) = range.split_once('=') else {
        return Decision::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Decision::Whole;
    }
    if ranges.contains(',') {
        return Decision::Unsatisfiable;
    }
    let Some((first, last)) = ranges.trim().split_once('-') else {
        return Decision::Whole;
    };
    let number = |text: &str| -> Option<Option<u64>> {
        if text.is_empty() {
            return Some(None);
        }
        // A number that does not fit is beyond the end of any file.
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| Some(text.parse().unwrap_or(u64::MAX)))
    };
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Decision::Whole;
    };
    let (start, end) = match (first, last) {
        (None, None) => return Decision::Whole,
        (None, Some(suffix)) => (size.saturating_sub(suffix), size),
        (Some(first), None) => (first, size),
        (Some(first), Some(last)) if last < first => return Decision::Whole,
        (Some(first), Some(last)) => (first, last.saturating_add(1).min(size)),
    };
    if start >= end {
        return Decision::Unsatisfiable;
    }
    Decision::Part {
        start,
        length: end - start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn check(headers: &[(&str, &str)], expected: Decision) {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.append_header(*header);
        }
        let validators = Validators::new("tag".to_owned(), 784_111_777_900);
        assert_eq!(
            decide(&request.to_http_request(), &validators, 1000),
            expected,
            "{headers:?}"
        );
    }

    const fn part_of(start: u64, length: u64) -> Decision {
        Decision::Part { start, length }
    }

    #[test]
    fn ranges() {
        check(&[], Decision::Whole);
        check(&[("Range", "bytes=0-9")], part_of(0, 10));
        check(&[("Range", "bytes=10-")], part_of(10, 990));
        check(&[("Range", "bytes=-10")], part_of(990, 10));
        check(&[("Range", "bytes=-5000")], part_of(0, 1000));
        check(&[("Range", "bytes=990-5000")], part_of(990, 10));
        check(
            &[("Range", "bytes=999-99999999999999999999999")],
            part_of(999, 1),
        );
        check(&[("Range", "bytes=1000-")], Decision::Unsatisfiable);
        check(&[("Range", "bytes=-0")], Decision::Unsatisfiable);
        check(&[("Range", "bytes=0-1,5-6")], Decision::Unsatisfiable);
        check(&[("Range", "Bytes=0-1")], part_of(0, 2));
        check(&[("Range", "BYTES=0-1,5-6")], Decision::Unsatisfiable);
        check(&[("Range", "lines=0-1")], Decision::Whole);
        check(&[("Range", "seconds=1-2,4-5")], Decision::Whole);
        check(&[("Range", "garbage")], Decision::Whole);
        check(&[("Range", "bytes=9-1")], Decision::Whole);
        check(&[("Range", "bytes=a-b")], Decision::Whole);
        check(&[("Range", "bytes=-")], Decision::Whole);
    }

    #[test]
    fn nothing_is_modified_after_now() {
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        let tomorrow = tomorrow.duration_since(UNIX_EPOCH).expect("a date");
        let created_at = i64::try_from(tomorrow.as_millis()).expect("a date");
        let validators = Validators::new("tag".to_owned(), created_at);
        assert!(validators.last_modified <= SystemTime::now());
        let of_old = Validators::new("tag".to_owned(), -5);
        assert_eq!(of_old.last_modified, UNIX_EPOCH);
    }

    #[test]
    fn preconditions() {
        check(&[("If-None-Match", "\"tag\"")], Decision::NotModified);
        check(&[("If-None-Match", "W/\"tag\"")], Decision::NotModified);
        check(
            &[("If-None-Match", "\"a\", \"tag\"")],
            Decision::NotModified,
        );
        check(&[("If-None-Match", "*")], Decision::NotModified);
        check(&[("If-None-Match", "\"other\"")], Decision::Whole);
        check(&[("If-None-Match", "garbage")], Decision::Whole);
        check(&[("If-Match", "\"tag\"")], Decision::Whole);
        check(&[("If-Match", "\"other\"")], Decision::PreconditionFailed);
        // The stored time has 900 ms more than the header can express.
        check(
            &[("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            Decision::NotModified,
        );
        check(
            &[("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT")],
            Decision::Whole,
        );
        check(
            &[("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            Decision::Whole,
        );
        check(
            &[("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT")],
            Decision::PreconditionFailed,
        );
    }

    #[test]
    fn a_range_of_another_representation_is_the_whole_of_this_one() {
        check(
            &[("Range", "bytes=0-9"), ("If-Range", "\"tag\"")],
            part_of(0, 10),
        );
        check(
            &[("Range", "bytes=0-9"), ("If-Range", "\"other\"")],
            Decision::Whole,
        );
        check(
            &[("Range", "bytes=0-9"), ("If-Range", "W/\"tag\"")],
            Decision::Whole,
        );
    }
}
