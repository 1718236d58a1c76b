//! The URLs under which caches may hold what was removed. Pure.
//!
//! Known are the names of aliases, the variants that were stored, and the URLs that media were fetched
//! from; not, in which order and spelling a client wrote its query. The usual spelling is named.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// What JavaScript's `encodeURIComponent` leaves as it is, but for a few that no alias of ours has.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// A path keeps its slashes.
const PATH: &AsciiSet = &COMPONENT.remove(b'/');
/// URLs of one removal at most. A content with so many aliases was uploaded to cause work.
const URLS: usize = 5000;
/// Bytes of one regular expression: with room below what Varnish takes as a header.
const EXPRESSION: usize = 2000;

/// What was removed.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Doomed {
    /// SHA-256 of the content, in hexadecimal digits.
    pub(crate) digest: String,
    aliases: Vec<String>,
    /// The names of variants, such as `thumbnail/256/webp`.
    variants: Vec<String>,
    /// Where the media came from.
    urls: Vec<String>,
}

impl Doomed {
    /// Paths with their queries; `more` are those of the settings, with `{alias}` in them.
    pub(crate) fn paths(&self, more: &[String]) -> Vec<String> {
        let mut paths = Vec::new();
        for alias in &self.aliases {
            let in_path = utf8_percent_encode(alias, PATH);
            let in_query = utf8_percent_encode(alias, COMPONENT);
            paths.push(format!("/image/original/{in_path}"));
            paths.push(format!("/image/original?alias={in_query}"));
            let more = more.iter().map(|path| match path.split_once('?') {
                Some((path, query)) => format!(
                    "{}?{}",
                    path.replace("{alias}", &in_path.to_string()),
                    query.replace("{alias}", &in_query.to_string())
                ),
                None => path.replace("{alias}", &in_path.to_string()),
            });
            paths.extend(more);
        }
        for url in &self.urls {
            let url = utf8_percent_encode(url, COMPONENT);
            paths.push(format!("/image/original?proxy={url}"));
        }
        let aliases = self.aliases.iter().map(|alias| ("src", alias));
        let urls = self.urls.iter().map(|url| ("proxy", url));
        for (key, value) in aliases.chain(urls) {
            let value = utf8_percent_encode(value, COMPONENT);
            for variant in &self.variants {
                let Some((operations, extensions)) = requests(variant) else {
                    continue;
                };
                for extension in extensions {
                    paths.push(format!(
                        "/image/process.{extension}?{key}={value}{operations}"
                    ));
                }
                if paths.len() > URLS {
                    paths.truncate(URLS);
                    return paths;
                }
            }
        }
        paths.truncate(URLS);
        paths
    }

    /// Regular expressions that together match every URL with one of the names in it, whatever else it
    /// has. They are short enough for a header.
    pub(crate) fn expressions(&self) -> Vec<String> {
        let mut names = Vec::new();
        for name in self.aliases.iter().chain(&self.urls) {
            let spellings = [
                utf8_percent_encode(name, COMPONENT).to_string(),
                utf8_percent_encode(name, PATH).to_string(),
                // Proxied URLs are often not encoded at all.
                name.clone(),
            ];
            let mut spellings = spellings.map(|spelling| escaped(&spelling)).to_vec();
            spellings.dedup();
            names.extend(spellings);
        }
        let mut expressions: Vec<String> = Vec::new();
        for name in names {
            match expressions.last_mut() {
                Some(last) if last.len() + name.len() < EXPRESSION => {
                    last.push('|');
                    last.push_str(&name);
                }
                _ => expressions.push(name),
            }
        }
        for expression in &mut expressions {
            *expression = format!("(?i)({expression})");
        }
        expressions
    }
}

/// The operations of a variant as a query, and the extensions of `process` that may have led to it.
fn requests(variant: &str) -> Option<(String, Vec<&str>)> {
    let (path, extension) = variant.rsplit_once('/').unwrap_or(("", variant));
    let mut query = String::new();
    let mut words = path.split('/').filter(|word| !word.is_empty());
    while let Some(name) = words.next() {
        let argument = utf8_percent_encode(words.next()?, COMPONENT);
        query.push_str(&format!("&{name}={argument}"));
    }
    let extensions = match extension {
        "jpeg" => vec!["jpeg", "jpg", "auto"],
        other => vec![other, "auto"],
    };
    Some((query, extensions))
}

/// A text as a regular expression that matches it, of characters that a ban of Varnish can have
/// unquoted.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() || "-_~/%:=,@!".contains(letter) => {
                escaped.push(letter);
            }
            '.' | '?' | '+' | '*' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '$' | '&' => {
                escaped.push('[');
                escaped.push(letter);
                escaped.push(']');
            }
            // One byte of UTF-8 each.
            other => (0..other.len_utf8()).for_each(|_| escaped.push('.')),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doomed(alias: &str, variant: &str, url: &str) -> Doomed {
        let list = |text: &str| match text {
            "" => Vec::new(),
            text => vec![text.to_owned()],
        };
        Doomed {
            digest: String::new(),
            aliases: list(alias),
            variants: list(variant),
            urls: list(url),
        }
    }

    #[test]
    fn the_usual_spellings_of_an_alias_and_its_variants_are_named() {
        let more = [
            "/pictrs/image/{alias}".to_owned(),
            "/x?a={alias}".to_owned(),
        ];
        let paths = doomed("a b/c.png", "thumbnail/256/jpeg", "").paths(&more);
        assert_eq!(
            paths,
            [
                "/image/original/a%20b/c.png",
                "/image/original?alias=a%20b%2Fc.png",
                "/pictrs/image/a%20b/c.png",
                "/x?a=a%20b%2Fc.png",
                "/image/process.jpeg?src=a%20b%2Fc.png&thumbnail=256",
                "/image/process.jpg?src=a%20b%2Fc.png&thumbnail=256",
                "/image/process.auto?src=a%20b%2Fc.png&thumbnail=256",
            ]
        );
        let paths = doomed("a", "webp", "https://b.example/c?d=e").paths(&[]);
        assert_eq!(
            &paths[2..],
            [
                "/image/original?proxy=https%3A%2F%2Fb.example%2Fc%3Fd%3De",
                "/image/process.webp?src=a",
                "/image/process.auto?src=a",
                "/image/process.webp?proxy=https%3A%2F%2Fb.example%2Fc%3Fd%3De",
                "/image/process.auto?proxy=https%3A%2F%2Fb.example%2Fc%3Fd%3De",
            ]
        );
    }

    #[test]
    fn a_removal_has_so_many_urls_and_no_more() {
        let doomed = Doomed {
            aliases: (0..100).map(|number| number.to_string()).collect(),
            variants: (0..100)
                .map(|side| format!("thumbnail/{side}/webp"))
                .collect(),
            ..Doomed::default()
        };
        assert_eq!(doomed.paths(&[]).len(), URLS);
    }

    #[test]
    fn expressions_match_a_name_in_every_spelling_and_are_short() {
        let expressions = doomed("a b/c.png", "", "http://d/?e=f&g").expressions();
        assert_eq!(
            expressions,
            ["(?i)(a%20b%2Fc[.]png|a%20b/c[.]png|a.b/c[.]png\
              |http%3A%2F%2Fd%2F%3Fe%3Df%26g|http%3A//d/%3Fe%3Df%26g|http://d/[?]e=f[&]g)"]
        );
        let many = Doomed {
            aliases: (0..500).map(|number| format!("{number:040}")).collect(),
            ..Doomed::default()
        };
        let expressions = many.expressions();
        assert!(expressions.len() > 5);
        assert!(expressions.iter().all(|text| text.len() < EXPRESSION + 50));
    }
}
