//! A URL inside our query. Clients should percent-encode it, but some do not: then the part after
//! its `&` looks like our own keys, and must be restored to the URL.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{UploadQuery, is_sound_operation, pairs, switch};
use crate::{Error, ErrorCode, Result, SourceUrl};

/// Takes the value of the first `name=` out of a query, and returns it with the rest.
///
/// A value with an unescaped `?` was not encoded, so the pairs after it belong to the URL, except
/// those for which `is_ours` returns true; of several with one key, only the last is ours: a client
/// appends its own keys to those of the URL. A value that begins with an unescaped `http://` is not
/// decoded, because decoding would change the URL (`%2F`, `+`).
pub fn take_url<'a>(
    query: &'a str,
    name: &str,
    is_ours: impl Fn(&str, &str) -> bool,
) -> (Option<String>, Cow<'a, str>) {
    // Most queries have no URL. A key that decodes to the name contains it, or an escape.
    if !query.contains('%') && !query.contains(name) {
        return (None, query.into());
    }
    let mut parts = query.split('&');
    let mut rest = Vec::new();
    let (raw, mut url) = loop {
        let Some(part) = parts.next() else {
            return (None, query.into());
        };
        let (key, value) = decoded(part);
        if key == name {
            let raw = part.split_once('=').map_or("", |(_, raw)| raw);
            let is_plain = is_plain(raw);
            break (
                raw,
                if is_plain {
                    raw.into()
                } else {
                    value.into_owned()
                },
            );
        }
        rest.push(part);
    };
    if !raw.contains('?') {
        rest.extend(parts);
        return (Some(url), rest.join("&").into());
    }
    let mut taken = HashSet::new();
    let behind: Vec<_> = parts
        .rev()
        .map(|part| {
            let (key, value) = decoded(part);
            (part, is_ours(&key, &value) && taken.insert(key))
        })
        .collect();
    for (part, is_ours) in behind.into_iter().rev() {
        if is_ours {
            rest.push(part);
        } else {
            url.push('&');
            url.push_str(part);
        }
    }
    (Some(url), rest.join("&").into())
}

fn decoded(part: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    pairs(part).next().unwrap_or_default()
}

fn is_plain(raw: &str) -> bool {
    let begins = |scheme: &str| {
        raw.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    // Some encoders do not escape `:` and `/`, but do escape `?`.
    let hides_query = !raw.contains('?') && raw.to_ascii_lowercase().contains("%3f");
    (begins("http://") || begins("https://")) && !hides_query
}

/// A request for `image/download?…`.
#[derive(Clone, Debug)]
pub struct Download {
    /// The URL to fetch.
    pub url: SourceUrl,
    /// Whether to answer before the work is done.
    pub is_backgrounded: bool,
    /// As for an upload.
    pub query: UploadQuery,
    /// `query` as text.
    pub text: String,
}

impl Download {
    /// As strict as [`UploadQuery::parse`].
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`] and [`ErrorCode::InvalidProcessPath`].
    pub fn parse(query: &str) -> Result<Self> {
        let (url, rest) = take_url(query, "url", is_of_download);
        let url =
            url.ok_or_else(|| Error::user(ErrorCode::InvalidQuery, "The query lacks url=…"))?;
        let mut is_backgrounded = false;
        let mut left = Vec::new();
        for part in rest.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = decoded(part);
            if key == "backgrounded" {
                is_backgrounded = switch(&key, &value)?;
            } else {
                left.push(part);
            }
        }
        let text = left.join("&");
        Ok(Self {
            url: SourceUrl::parse(&url)?,
            is_backgrounded,
            query: UploadQuery::parse(&text)?,
            text,
        })
    }
}

fn is_of_download(key: &str, value: &str) -> bool {
    let is_limit = key.starts_with("max_") || key.starts_with("allow_");
    let is_sound_limit = || {
        let mut pair = form_urlencoded::Serializer::new(String::new());
        UploadQuery::parse(&pair.append_pair(key, value).finish()).is_ok()
    };
    is_sound_operation(key, value)
        || (is_limit && is_sound_limit())
        || (key == "backgrounded" && switch(key, value).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, is_ours: impl Fn(&str, &str) -> bool, url: &str, rest: &str) {
        let (found, left) = take_url(query, "proxy", is_ours);
        assert_eq!((found.as_deref(), &*left), (Some(url), rest), "{query}");
    }

    fn nothing(_: &str, _: &str) -> bool {
        false
    }

    #[test]
    fn an_encoded_url_ends_with_its_value() {
        let encoded = "https%3A%2F%2Fa.example%2Fx%20y.png%3Fb%3D1%26c%3D2";
        let url = "https://a.example/x y.png?b=1&c=2";
        check(&format!("proxy={encoded}"), nothing, url, "");
        check(
            &format!("q=1&proxy={encoded}&thumbnail=9&z"),
            nothing,
            url,
            "q=1&thumbnail=9&z",
        );
        // Encoded as far as the RFC requires.
        check(
            "proxy=https://a.example/x.png%3Fb%3D1%26c%3D2&thumbnail=9",
            nothing,
            "https://a.example/x.png?b=1&c=2",
            "thumbnail=9",
        );
        // A URL without a query leaks nothing.
        check(
            "proxy=https://a.example/x.png&thumbnail=9&utm=1",
            nothing,
            "https://a.example/x.png",
            "thumbnail=9&utm=1",
        );
    }

    #[test]
    fn a_url_that_was_not_encoded_gets_back_what_leaked() {
        let url = "https://a.example/i?src=/x%2Fy.png&w=64&q=a+b&flag";
        check(&format!("proxy={url}"), nothing, url, "");
        let ours = is_sound_operation;
        check(
            &format!("proxy={url}&thumbnail=96"),
            ours,
            url,
            "thumbnail=96",
        );
        check(
            &format!("thumbnail=96&proxy={url}&resize=5"),
            ours,
            url,
            "thumbnail=96&resize=5",
        );
        // Our keys before the URL remain ours.
        check(
            "alias=a&proxy=http://b/?c",
            nothing,
            "http://b/?c",
            "alias=a",
        );
        // Another service's spelling of an operation belongs to the URL.
        check(
            "proxy=https://a.example/i?w=1&crop=faces&Resize=3&thumbnail=96",
            ours,
            "https://a.example/i?w=1&crop=faces&Resize=3",
            "thumbnail=96",
        );
        // A thumbnail of a thumbnail: the client's own key is last.
        check(
            "proxy=https://a.example/x.png?format=webp&thumbnail=256&thumbnail=96",
            ours,
            "https://a.example/x.png?format=webp&thumbnail=256",
            "thumbnail=96",
        );
        check(
            "proxy=https://a.example/i?w=1&resize=9&thumbnail=96&q=2",
            ours,
            "https://a.example/i?w=1&q=2",
            "resize=9&thumbnail=96",
        );
        // A second source is part of the URL.
        check(
            "proxy=https://a.example/i?w=1&src=b.png&proxy=c",
            ours,
            "https://a.example/i?w=1&src=b.png&proxy=c",
            "",
        );
        check(
            "proxy=https://a.example/i?&b=1",
            ours,
            "https://a.example/i?&b=1",
            "",
        );
    }

    #[test]
    fn a_frame_that_there_may_be_is_ours() {
        let ours = super::super::is_sound_process_key;
        check(
            "proxy=https://a.example/i?w=1&time=now&time=2.5&frame=x&frame=2",
            ours,
            "https://a.example/i?w=1&time=now&frame=x",
            "time=2.5&frame=2",
        );
    }

    #[test]
    fn a_plain_url_is_not_decoded() {
        let url = "http://a.example/a%20b+c%2Fd?e=%26%3Df";
        check(&format!("proxy={url}"), nothing, url, "");
        check(
            "proxy=HTTPS://a.example/%2B",
            nothing,
            "HTTPS://a.example/%2B",
            "",
        );
        check("proxy=a%2Bb+c", nothing, "a+b c", "");
    }

    #[test]
    fn a_query_without_a_url_stays_as_it_is() {
        let query = "alias=a.png&thumbnail=9";
        assert_eq!(take_url(query, "proxy", nothing), (None, query.into()));
        check("x=1&proxy=", nothing, "", "x=1");
        check("proxy", nothing, "", "");
    }

    #[test]
    fn a_download_knows_its_keys() {
        let check = |query: &str, url: &str, is_backgrounded, text: &str| {
            let parsed = Download::parse(query).expect(query);
            assert_eq!(parsed.url.as_str(), url, "{query}");
            assert_eq!(parsed.is_backgrounded, is_backgrounded, "{query}");
            assert_eq!(parsed.text, text, "{query}");
        };
        check("url=http://a/x", "http://a/x", false, "");
        check(
            "url=http%3A%2F%2Fa%2Fx%3Fb%3D1&backgrounded=true&resize=512&max_width=9",
            "http://a/x?b=1",
            true,
            "resize=512&max_width=9",
        );
        check(
            "url=http://a/x?b=1&max_age=3&allow_video=maybe&resize=512&backgrounded=false&c=2",
            "http://a/x?b=1&max_age=3&allow_video=maybe&c=2",
            false,
            "resize=512",
        );
    }

    #[test]
    fn a_download_is_as_strict_as_an_upload() {
        let code = |query| Download::parse(query).expect_err(query).code();
        assert_eq!(code(""), ErrorCode::InvalidQuery);
        assert_eq!(code("backgrounded=true"), ErrorCode::InvalidQuery);
        assert_eq!(code("url="), ErrorCode::InvalidQuery);
        assert_eq!(code("url=a.png"), ErrorCode::InvalidQuery);
        assert_eq!(
            code("url=http://a/&backgrounded=1"),
            ErrorCode::InvalidQuery
        );
        assert_eq!(code("url=http://a/&allow_video=1"), ErrorCode::InvalidQuery);
        assert_eq!(
            code("url=http://a/&colour=red"),
            ErrorCode::InvalidProcessPath
        );
        assert_eq!(
            code("url=http://a/&resize=big"),
            ErrorCode::InvalidProcessPath
        );
    }
}
