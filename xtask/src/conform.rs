//! Sends the same requests to two servers and reports differences between their answers.
//!
//! The list is [`steps`]; [`mod@observe`] defines which parts of an answer are compared; known and
//! wanted differences are in [`expected`]. Start reading at [`compare`].

pub mod expected;
mod observe;
mod pictures;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};
use testkit::client::{Client, File, content_type, multipart};

use observe::{find, observe};
use steps::{STEPS, Step};

/// A difference between the answers of two servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The request.
    pub step: &'static str,
    /// The part of the answer.
    pub aspect: String,
    /// The value of the first server; empty if missing.
    pub ours: String,
    /// The value of the second server.
    pub theirs: String,
    /// Why the difference is wanted, if it is.
    pub expected: Option<&'static str>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            aspect,
            ours,
            theirs,
            expected,
        } = self;
        let verdict = expected.map_or("UNEXPECTED".to_owned(), |why| format!("expected: {why}"));
        let nothing = |text: &str| {
            if text.is_empty() {
                "(nothing)".to_owned()
            } else {
                text.to_owned()
            }
        };
        write!(
            f,
            "{step:<38} {aspect:<28} {:<28} {:<28} {verdict}",
            nothing(ours),
            nothing(theirs)
        )
    }
}

/// Sends the requests to both servers and compares. The servers must be allowed to lose their data,
/// because the list uploads, deletes and purges. Both must be allowed to fetch from this machine.
///
/// # Errors
/// When a server cannot be reached.
pub fn compare(ours: &str, theirs: &str, key: &str) -> Result<Vec<Difference>> {
    let upstream = pictures::upstream();
    let side = |url: &str| Side::new(url, key, &upstream.url(""));
    let (mut ours, mut theirs) = (side(ours)?, side(theirs)?);
    let mut differences = Vec::new();
    for step in STEPS.iter() {
        let (one, other) = (ours.take(step)?, theirs.take(step)?);
        let aspects: BTreeSet<_> = one.keys().chain(other.keys()).collect();
        for aspect in aspects {
            let of =
                |found: &BTreeMap<String, String>| found.get(aspect).cloned().unwrap_or_default();
            let (ours, theirs) = (of(&one), of(&other));
            if ours != theirs {
                differences.push(Difference {
                    step: &step.name,
                    expected: expected::reason(&step.name, aspect, &ours),
                    aspect: aspect.clone(),
                    ours,
                    theirs,
                });
            }
        }
    }
    Ok(differences)
}

/// Sends the requests to one server: returns the name of each request, and the observed parts of
/// its answer.
///
/// # Errors
/// As [`compare`].
pub fn answers(url: &str, key: &str) -> Result<Vec<(&'static str, BTreeMap<String, String>)>> {
    let upstream = pictures::upstream();
    let mut side = Side::new(url, key, &upstream.url(""))?;
    let take = |step: &'static Step| Ok((step.name.as_str(), side.take(step)?));
    STEPS.iter().map(take).collect()
}

/// How many requests each server gets.
pub fn count() -> usize {
    STEPS.len()
}

/// One server, and values from its answers.
struct Side {
    url: String,
    client: Client,
    /// Aliases, tokens and so on, which differ between servers.
    kept: BTreeMap<String, String>,
}

type Filled<'a> = (String, Vec<(&'a str, String)>, Option<String>);

impl Side {
    fn new(url: &str, key: &str, upstream: &str) -> Result<Self> {
        Ok(Self {
            url: url.to_owned(),
            client: Client::at(url).with_context(|| format!("cannot speak to {url}"))?,
            kept: BTreeMap::from([
                ("key".to_owned(), key.to_owned()),
                ("upstream".to_owned(), upstream.to_owned()),
                (
                    "encoded upstream".to_owned(),
                    upstream.replace(':', "%3A").replace('/', "%2F"),
                ),
            ]),
        })
    }

    fn take(&mut self, step: &Step) -> Result<BTreeMap<String, String>> {
        let Some((path, mut headers, json)) = self.filled(step) else {
            return Ok(not_possible());
        };
        let mut body = None;
        if let Some(json) = json {
            headers.push(("content-type", "application/json".to_owned()));
            body = Some(json.into_bytes());
        } else if let Some(files) = &step.files {
            headers.push(("content-type", content_type()));
            body = Some(form(&step.field, files)?);
        }
        let headers: Vec<_> = (headers.iter())
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = self
            .client
            .try_send(step.method(), &path, &headers, body.as_deref())
            .with_context(|| format!("{}: {}", self.url, step.name))?;
        for (name, from) in &step.keep {
            if let Some(value) = find(&answer, from) {
                self.kept.insert(name.clone(), value);
            }
        }
        Ok(observe(step.method(), &answer))
    }

    /// Path, headers and JSON of a request; `None` if a value from an earlier answer is missing.
    fn filled<'a>(&self, step: &'a Step) -> Option<Filled<'a>> {
        let headers = step.headers();
        let headers = headers.map(|(name, value)| Some((name, self.fill(value)?)));
        let json = match &step.json {
            None => None,
            Some(text) => Some(self.fill(text)?),
        };
        Some((
            self.fill(step.path())?,
            headers.collect::<Option<_>>()?,
            json,
        ))
    }

    /// Replaces `<name>` with values from earlier answers; `None` if one is missing.
    fn fill(&self, text: &str) -> Option<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('<') {
            let (name, behind) = behind.split_once('>')?;
            filled.push_str(before);
            filled.push_str(self.kept.get(name)?);
            rest = behind;
        }
        filled.push_str(rest);
        Some(filled)
    }
}

fn not_possible() -> BTreeMap<String, String> {
    BTreeMap::from([(
        "possible".to_owned(),
        "no, an earlier step failed".to_owned(),
    )])
}

fn form(field: &str, files: &[String]) -> Result<Vec<u8>> {
    let bytes: Vec<_> = (files.iter())
        .map(|name| pictures::bytes(name))
        .collect::<Result<_>>()?;
    let files = files.iter().zip(&bytes).map(|(name, bytes)| File {
        field,
        filename: Some(name.as_str()),
        bytes,
    });
    Ok(multipart(&files.collect::<Vec<_>>()))
}
