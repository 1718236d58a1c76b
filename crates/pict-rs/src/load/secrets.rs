//! Secrets in separate files: each secret key has a companion with the suffix `_file`. The contents
//! of such a file are never printed, not even in an error.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use config::builder::DefaultState;
use config::{ConfigBuilder, Map, Value};
use pict_rs_core::config::KeyName;

/// How a file contains the value of its key.
#[derive(Clone, Copy)]
enum Shape {
    /// The whole file, without the final newline.
    Whole,
    /// One value per line.
    Lines,
    /// On each line a name, a space and a value.
    Named,
}

/// Every secret key.
const SECRETS: [(&str, Shape); 15] = [
    ("server.api_key", Shape::Whole),
    ("server.api_keys", Shape::Lines),
    ("server.named_keys", Shape::Named),
    ("repo.url", Shape::Whole),
    ("store.access_key", Shape::Whole),
    ("store.secret_key", Shape::Whole),
    ("store.session_token", Shape::Whole),
    ("old_store.access_key", Shape::Whole),
    ("old_store.secret_key", Shape::Whole),
    ("old_store.session_token", Shape::Whole),
    ("takeover.api_key", Shape::Whole),
    ("takeover.repo_url", Shape::Whole),
    ("events.secret", Shape::Whole),
    ("purge.cloudflare_token", Shape::Whole),
    ("purge.fastly_token", Shape::Whole),
];

/// Far more than any secret needs; prevents reading a whole disk by mistake.
const MOST_BYTES: u64 = 64 * 1024;

/// Whether the value of the key must be masked. A key in a list or table counts as the whole.
pub fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|(secret, _)| {
        key.strip_prefix(secret)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
    })
}

/// Section and key of every secret.
pub fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    SECRETS.iter().filter_map(|(key, _)| key.split_once('.'))
}

/// A URL with its password masked, if it has one.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => url.to_owned(),
    }
}

/// Adds the contents of every file that `merged` names.
///
/// # Errors
/// When a file cannot be read or is empty, or a secret is given twice; names keys and path.
pub fn read(
    merged: &config::Config,
    mut builder: ConfigBuilder<DefaultState>,
) -> anyhow::Result<ConfigBuilder<DefaultState>> {
    for (key, shape) in SECRETS {
        let file_key = format!("{key}_file");
        let Ok(path) = merged.get_string(&file_key) else {
            continue;
        };
        // A variable that a deployment left empty does not count.
        if path.is_empty() {
            continue;
        }
        if is_given(merged, key) {
            bail!("{key} and {file_key} are both given; one of them has to go");
        }
        let text = content(Path::new(&path)).with_context(|| format!("{file_key} = \"{path}\""))?;
        builder = match shape {
            Shape::Whole => builder.set_override(key, text)?,
            Shape::Lines => {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                builder.set_override(key, lines.collect::<Vec<_>>())?
            }
            Shape::Named => {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                let mut named = Map::new();
                for (number, line) in lines.enumerate() {
                    let parts = line.split_once(char::is_whitespace);
                    // What is no name may be a key, so it is not repeated.
                    let parts = parts.filter(|(name, _)| KeyName::is_valid(name));
                    let (name, value) = parts.with_context(|| {
                        format!(
                            "{file_key} = \"{path}\": entry {} is not a name, a space and a key",
                            number + 1
                        )
                    })?;
                    let before = named.insert(name.to_owned(), value.trim().to_owned());
                    ensure!(
                        before.is_none(),
                        "{file_key} = \"{path}\": entry {} has the name of another one",
                        number + 1
                    );
                }
                builder.set_override(key, named)?
            }
        };
    }
    Ok(builder)
}

fn is_given(merged: &config::Config, key: &str) -> bool {
    let value = merged.get::<Value>(key);
    value.is_ok_and(|value| value.into_string().map_or(true, |text| !text.is_empty()))
}

fn content(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = File::open(path).context("the file cannot be read")?;
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    // The conversion error would reveal nothing, but is not helpful either.
    let size = read.context("the file cannot be read as text")?;
    ensure!(
        size as u64 <= MOST_BYTES,
        "the file has more than {MOST_BYTES} bytes"
    );
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    ensure!(!text.is_empty(), "the file is empty");
    Ok(text)
}
