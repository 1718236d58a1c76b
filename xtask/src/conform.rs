//! Sends one list of requests to two servers and says where their answers differ.
//!
//! The list is [`steps`]; what of an answer counts is in [`mod@observe`]; differences that are known
//! and wanted are in [`expected`]. Start reading at [`compare`].

pub mod expected;
mod observe;
mod pictures;
mod steps;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};

use observe::{Answer, observe};
use steps::{Body, STEPS, Step};
use upstream::Upstream;

/// Longer than any answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
const BOUNDARY: &str = "conform-boundary-of-no-file";

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
    let upstream = Upstream::start()?;
    let side = |url: &str| Side::new(url, key, &upstream.url());
    let (mut ours, mut theirs) = (side(ours), side(theirs));
    let mut differences = Vec::new();
    for step in STEPS {
        let (one, other) = (ours.take(step)?, theirs.take(step)?);
        let aspects: BTreeSet<_> = one.keys().chain(other.keys()).collect();
        for aspect in aspects {
            let of =
                |found: &BTreeMap<String, String>| found.get(aspect).cloned().unwrap_or_default();
            let (ours, theirs) = (of(&one), of(&other));
            if ours != theirs {
                differences.push(Difference {
                    step: step.name,
                    expected: expected::reason(step.name, aspect, &ours),
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
    let upstream = Upstream::start()?;
    let mut side = Side::new(url, key, &upstream.url());
    let take = |step: &Step| Ok((step.name, side.take(step)?));
    STEPS.iter().map(take).collect()
}

/// How many requests each server gets.
pub fn count() -> usize {
    STEPS.len()
}

/// One server, and what it has answered so far.
struct Side {
    url: String,
    agent: ureq::Agent,
    /// Aliases, tokens and so on, which differ from server to server.
    kept: BTreeMap<&'static str, String>,
}

impl Side {
    fn new(url: &str, key: &str, upstream: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .build();
        Self {
            url: url.trim_end_matches('/').to_owned(),
            agent: config.into(),
            kept: BTreeMap::from([
                ("key", key.to_owned()),
                ("upstream", upstream.to_owned()),
                (
                    "encoded upstream",
                    upstream.replace(':', "%3A").replace('/', "%2F"),
                ),
            ]),
        }
    }

    fn take(&mut self, step: &Step) -> Result<BTreeMap<String, String>> {
        let Some(path) = self.fill(step.path) else {
            return Ok(not_possible());
        };
        let mut request = ureq::http::Request::builder()
            .method(step.method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in step.headers {
            let Some(value) = self.fill(value) else {
                return Ok(not_possible());
            };
            request = request.header(*name, value);
        }
        let body = match step.body {
            Body::None => None,
            Body::Text(kind, text) => {
                let Some(text) = self.fill(text) else {
                    return Ok(not_possible());
                };
                request = request.header("content-type", kind);
                Some(text.into_bytes())
            }
            Body::Form(field, files) => {
                let kind = format!("multipart/form-data; boundary={BOUNDARY}");
                request = request.header("content-type", kind);
                Some(form(field, files)?)
            }
        };
        let answer = match body {
            None => self.agent.run(request.body(())?),
            Some(body) => self.agent.run(request.body(body)?),
        };
        let mut answer = answer.with_context(|| format!("{}: {}", self.url, step.name))?;
        let answer = Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer
                .body_mut()
                .with_config()
                .limit(1 << 28)
                .read_to_vec()?,
        };
        for (name, from) in step.keep {
            if let Some(value) = answer.find(from) {
                self.kept.insert(name, value);
            }
        }
        Ok(observe(step.method, &answer))
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

fn form(field: &str, files: &[&str]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for file in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; \
             filename=\"{file}\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend(pictures::bytes(file)?);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Ok(body)
}
