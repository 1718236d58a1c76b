//! The parts of an answer that are compared: its status, the headers that clients use, keys and
//! types of JSON, and the format and size of a picture. Never bytes, names, times or the text of
//! messages.

use std::collections::BTreeMap;
use std::io::Cursor;

use serde_json::Value;
use testkit::Answer;

/// Headers whose values are compared.
const VALUES: [&str; 5] = [
    "content-type",
    "accept-ranges",
    "allow",
    "content-range",
    "location",
];
/// Headers of which only the presence is compared.
const PRESENCES: [&str; 3] = ["etag", "last-modified", "content-length"];
/// JSON values that depend on the media and not on the server.
const FACTS: [&str; 8] = [
    "code",
    "width",
    "height",
    "frames",
    "content_type",
    "format",
    "limit",
    "complete",
];

/// The value of `header NAME` or of a JSON pointer, as text.
pub fn find(answer: &Answer, what: &str) -> Option<String> {
    if let Some(name) = what.strip_prefix("header ") {
        return Some(answer.header(name)?.to_owned());
    }
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(json.pointer(what)?.as_str()?.to_owned())
}

/// All compared parts, by name.
pub fn observe(method: &str, answer: &Answer) -> BTreeMap<String, String> {
    let mut found = BTreeMap::from([("status".to_owned(), answer.status.to_string())]);
    let header = |name: &str| answer.header(name);
    let has_media = header("content-type").is_some_and(|kind| kind.starts_with("image/"));
    for name in VALUES {
        if let Some(value) = header(name) {
            let value = match name {
                "content-range" => within(value),
                _ => value.to_owned(),
            };
            found.insert(name.to_owned(), value);
        }
    }
    if has_media {
        for name in PRESENCES {
            found.insert(name.to_owned(), header(name).is_some().to_string());
        }
        if let Some(etag) = header("etag") {
            let strength = if etag.starts_with("W/") {
                "weak"
            } else {
                "strong"
            };
            found.insert("etag".to_owned(), strength.to_owned());
        }
        // The duration is a setting and is ignored; whether the answer may be cached is compared.
        let mut directives: Vec<_> = header("cache-control")
            .unwrap_or_default()
            .split(',')
            .map(|directive| directive.split('=').next().unwrap_or_default().trim())
            .collect();
        directives.sort_unstable();
        found.insert("cache-control".to_owned(), directives.join(" "));
    }
    if method == "HEAD" || answer.body.is_empty() {
        found.insert("body".to_owned(), "empty".to_owned());
    } else if let Ok(json) = serde_json::from_slice(&answer.body) {
        shape("json", &json, &mut found);
    } else if has_media && answer.status == 200 {
        found.insert("picture".to_owned(), picture(&answer.body));
    } else {
        found.insert("body".to_owned(), "bytes".to_owned());
    }
    found
}

fn shape(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    let is_fact = path
        .rsplit('.')
        .next()
        .is_some_and(|key| FACTS.contains(&key));
    let kind = match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                shape(&format!("{path}.{key}"), value, found);
            }
            "object".to_owned()
        }
        Value::Array(values) => {
            if let Some(first) = values.first() {
                shape(&format!("{path}[]"), first, found);
            }
            format!("{} elements", values.len())
        }
        value if is_fact => value.to_string(),
        Value::String(text) if path == "json.msg" && text == "ok" => "ok".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Null => "null".to_owned(),
    };
    found.insert(path.to_owned(), kind);
}

fn picture(bytes: &[u8]) -> String {
    let reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let Ok(reader) = reader else {
        return "unreadable".to_owned();
    };
    let format = reader.format();
    match (format, reader.into_dimensions()) {
        (Some(format), Ok((width, height))) => format!("{width}x{height} {format:?}"),
        (format, Err(_)) => format!("undecodable {format:?}"),
        (None, _) => "unknown".to_owned(),
    }
}

/// A range by its distance from the nearer end: two servers clean or encode to different sizes.
fn within(range: &str) -> String {
    let parse = || {
        let (ends, size) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = ends.split_once('-')?;
        let size: u64 = size.parse().ok()?;
        let place = |text: &str| {
            let at: u64 = text.parse().ok()?;
            let to_end = size.checked_sub(at)?;
            Some(if at <= to_end {
                at.to_string()
            } else {
                format!("end-{to_end}")
            })
        };
        Some(format!("{} to {}", place(first)?, place(last)?))
    };
    parse().unwrap_or_else(|| range.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        shape(
            "json",
            &serde_json::from_str(text).expect("JSON"),
            &mut found,
        );
        found
    }

    #[test]
    fn names_and_types_count_and_of_facts_the_values() {
        assert_eq!(json(r#"{"a": "x", "n": 1}"#), json(r#"{"n": 2, "a": "y"}"#));
        assert_ne!(json(r#"{"a": "x"}"#), json(r#"{"a": 1}"#));
        assert_ne!(json(r#"{"a": "x"}"#), json(r#"{"b": "x"}"#));
        assert_ne!(json(r#"{"width": 1}"#), json(r#"{"width": 2}"#));
        assert_ne!(json(r#"{"msg": "ok"}"#), json(r#"{"msg": "no"}"#));
        assert_ne!(json("[1]"), json("[1, 2]"));
    }
}
