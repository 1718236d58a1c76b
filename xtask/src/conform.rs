//! Sends one list of requests to two servers and says where their answers differ.
//!
//! The list is [`steps`]; what of an answer counts is in [`mod@observe`]; differences that are known
//! and wanted are in [`expected`]. Start reading at [`compare`].

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

/// Two servers did not answer alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which request.
    pub step: &'static str,
    /// What of the answer.
    pub aspect: String,
    /// What the first server said; empty for nothing.
    pub ours: String,
    /// What the second server said.
    pub theirs: String,
    /// Why it is as it should be, if it is.
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

/// Asks both and compares. Both must be servers that may lose their data: the list uploads,
/// deletes and purges. Both must be allowed to fetch from this machine.
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

/// Asks one server alone: the name of each request, and what counts of its answer.
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

/// One server, and what it has answered so far.
struct Side {
    url: String,
    client: Client,
    /// Aliases, tokens and so on, which differ from server to server.
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

    /// Path, headers and JSON of a request; nothing if an answer is lacking for it.
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

    /// Puts what the server has answered into `<name>`; nothing if it never did.
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
