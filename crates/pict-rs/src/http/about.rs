//! The subject of a request for its log line: an alias, a source URL, operations. Never a token, a
//! key, or the query of a URL.

use std::borrow::Cow;

use actix_web::HttpRequest;
use pict_rs_core::{SourceUrl, query};

use super::target::find;

/// Longer values are truncated.
const LONGEST: usize = 200;

/// The fields of a log line; a request may have none of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The alias as requested.
    pub alias: Option<String>,
    /// The URL to fetch from, without its query.
    pub source: Option<String>,
    /// The requested operations, such as `thumbnail=256`.
    pub operations: Option<String>,
}

impl About {
    /// Parses path and query; neither has to be valid.
    pub fn of(request: &HttpRequest) -> Self {
        let named = request.match_info().get("alias");
        Self::new(request.path(), named, request.query_string())
    }

    fn new(path: &str, named: Option<&str>, query: &str) -> Self {
        let is_process = ["/image/process", "/admin/process", "/image/details/process"]
            .iter()
            .any(|start| path.starts_with(start));
        let key = match path {
            "/image/download" => "url",
            _ => "proxy",
        };
        let (url, rest) = query::take_url(query, key, query::is_sound_process_key);
        let alias = named
            .map(str::to_owned)
            .or_else(|| find(&rest, "src"))
            .or_else(|| find(&rest, "alias"));
        let operations = is_process.then(|| {
            let pairs = query::pairs(&rest).filter(|(key, _)| key != "src" && key != "alias");
            let words: Vec<_> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
            words.join("&")
        });
        Self {
            alias: alias.map(|alias| short(&alias)),
            source: url.map(|url| match SourceUrl::parse(&url) {
                Ok(url) => short(&url.loggable()),
                // It may be anything, even a password.
                Err(_) => "(not a URL)".to_owned(),
            }),
            operations: operations
                .filter(|operations| !operations.is_empty())
                .map(|operations| short(&operations)),
        }
    }
}

fn short(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into_owned(),
    }
}

/// Escapes control characters: a message can contain client input, which must not look like log
/// lines.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let mut line = String::new();
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, named: Option<&str>, query: &str, expected: [Option<&str>; 3]) {
        let about = About::new(path, named, query);
        let found = [about.alias, about.source, about.operations];
        assert_eq!(
            found,
            expected.map(|word| word.map(str::to_owned)),
            "{path}?{query}"
        );
    }

    #[test]
    fn alias_source_and_operations_are_told() {
        check("/image", None, "", [None, None, None]);
        check(
            "/image/original/a.png",
            Some("a.png"),
            "",
            [Some("a.png"), None, None],
        );
        check(
            "/image/process.webp",
            None,
            "src=a.png&thumbnail=256&blur=1",
            [Some("a.png"), None, Some("thumbnail=256&blur=1")],
        );
        check(
            "/image/details/process.webp",
            None,
            "alias=a.png&crop=1x1",
            [Some("a.png"), None, Some("crop=1x1")],
        );
        check(
            "/internal/purge",
            None,
            "alias=a.png&reason=x",
            [Some("a.png"), None, None],
        );
    }

    #[test]
    fn secrets_in_a_url_are_not_told() {
        let source = |path: &str, query: &str, expected: &str| {
            check(path, None, query, [None, Some(expected), None]);
        };
        let signed = "https%3A%2F%2Fuser%3Apass%40example.org%2Fa.png%3Fsig%3Dsecret";
        source(
            "/image/original",
            &format!("proxy={signed}"),
            "https://example.org/a.png?…",
        );
        source(
            "/image/download",
            &format!("url={signed}"),
            "https://example.org/a.png?…",
        );
        source("/image/original", "proxy=word@example", "(not a URL)");
        source("/image/original", "proxy=http://b/c", "http://b/c");
        check(
            "/image/process.webp",
            None,
            "proxy=https%3A%2F%2Fb%2Fc%3Fkey%3D1&thumbnail=5",
            [None, Some("https://b/c?…"), Some("thumbnail=5")],
        );
        check(
            "/image/backgrounded/claim",
            None,
            "upload_id=secret",
            [None, None, None],
        );
    }

    #[test]
    fn no_word_is_long_or_more_than_a_line() {
        let about = About::new("/image/original", Some("a\nERROR b"), "");
        assert_eq!(about.alias.as_deref(), Some("a\\nERROR b"));
        let about = About::new("/image/original", Some(&"ä".repeat(5000)), "");
        let cut = about.alias.expect("there");
        assert_eq!(cut.chars().count(), LONGEST + 1);
    }
}
