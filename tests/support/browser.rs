//! A browser as the referee: it draws pairs of pictures or clips on canvases, reads the pixels back
//! and tells how far apart they are. Everything comes from a page on this machine.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use super::programs;
use super::upstream::{Asked, Reply, Upstream};

/// The page with the comparison; `/*JOBS*/[]` in it stands for the pairs.
const PAGE: &str = include_str!("../browser/compare.html");
/// From one answer of the page to the next, the start of the browser included.
const PATIENCE: Duration = Duration::from_secs(120);

/// A file as a server would answer with it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its `Content-Type`.
    pub content_type: String,
    pub bytes: Vec<u8>,
}

/// Two files that have to look the same.
#[derive(Debug)]
pub struct Pair {
    /// For people.
    pub name: String,
    pub first: Shown,
    pub second: Shown,
    /// Whether they play.
    pub is_clip: bool,
    /// The colours behind them.
    pub grounds: &'static [&'static str],
}

/// What the browser found.
#[derive(Debug)]
pub enum Verdict {
    /// It could not show one of them.
    Unshown(String),
    /// Differences of samples, out of 255.
    Seen {
        /// Of all samples.
        mean: f64,
        /// Of the block of eight by eight in which it is largest.
        worst: f64,
        /// Width and height of the first, then of the second.
        sizes: [u64; 4],
    },
}

/// Kills the browser, whatever comes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A browser without a window, which keeps everything in the folder `profile`.
pub fn headless(program: &Path, profile: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--no-first-run", "--disable-quic", "--disable-sync"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args(["--disable-dev-shm-usage", "--force-color-profile=srgb"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .env("HOME", profile)
        .stdin(Stdio::null());
    command
}

/// Shows all pairs to one browser; a verdict for each, in their order. `None`, after a line that
/// says so, where there is no browser.
pub fn judge(test: &str, pairs: &[Pair]) -> Option<Vec<Verdict>> {
    let program = programs::find_or_skip("chromium", test)?;
    let jobs: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(number, pair)| {
            json!({
                "number": number,
                "first": format!("/first/{number}"),
                "second": format!("/second/{number}"),
                "clip": pair.is_clip,
                "grounds": pair.grounds,
            })
        })
        .collect();
    let page = PAGE.replace("/*JOBS*/[]", &Value::Array(jobs).to_string());
    let files: Vec<_> = pairs
        .iter()
        .map(|pair| [pair.first.clone(), pair.second.clone()])
        .collect();
    let (sender, reports) = mpsc::channel();
    let pages = Upstream::start(move |asked| answer(asked, &page, &files, &sender));
    let profile = tempfile::tempdir().expect("a folder");
    let _browser = Running(
        headless(&program, profile.path())
            .args(["--mute-audio", "--remote-debugging-port=0"])
            .arg("--autoplay-policy=no-user-gesture-required")
            .arg(pages.url("/"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium can be started"),
    );
    let mut verdicts: Vec<Option<Verdict>> = pairs.iter().map(|_| None).collect();
    while verdicts.iter().any(Option::is_none) {
        let report: Value = reports
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("the browser fell silent: {}", pages.paths().len()));
        let number = report["number"].as_u64().expect("a number") as usize;
        verdicts[number] = Some(verdict(&report));
    }
    Some(verdicts.into_iter().flatten().collect())
}

fn verdict(report: &Value) -> Verdict {
    if let Some(reason) = report["unshown"].as_str() {
        return Verdict::Unshown(reason.to_owned());
    }
    let number = |name: &str| report[name].as_f64().expect("a number");
    let size = |at: usize| report["sizes"][at].as_u64().expect("a size");
    Verdict::Seen {
        mean: number("mean"),
        worst: number("worst"),
        sizes: [size(0), size(1), size(2), size(3)],
    }
}

fn answer(asked: &Asked, page: &str, files: &[[Shown; 2]], reports: &mpsc::Sender<Value>) -> Reply {
    let send = |content_type: &str, bytes: &[u8]| {
        let headers = format!("Content-Type: {content_type}\r\nConnection: close\r\n");
        Reply::with(&headers, bytes)
    };
    if asked.path == "/" {
        return send("text/html", page.as_bytes());
    }
    if let Some(report) = asked.path.strip_prefix("/report?") {
        let report = percent_encoding::percent_decode_str(report).decode_utf8_lossy();
        // The test may have ended.
        let _ = reports.send(serde_json::from_str(&report).expect("JSON"));
        return send("text/plain", b"");
    }
    let mut parts = asked.path.trim_start_matches('/').split('/');
    let side = match parts.next() {
        Some("first") => 0,
        Some("second") => 1,
        _ => return Reply::status("404 Not Found", "Connection: close\r\n", b""),
    };
    let number = parts.next().and_then(|number| number.parse::<usize>().ok());
    match number.and_then(|number| files.get(number)) {
        Some(pair) => part(asked, &pair[side]),
        None => Reply::status("404 Not Found", "Connection: close\r\n", b""),
    }
}

/// Clips are asked for by ranges, and a browser seeks only where it gets them.
fn part(asked: &Asked, shown: &Shown) -> Reply {
    let size = shown.bytes.len();
    let content_type = &shown.content_type;
    let common =
        format!("Content-Type: {content_type}\r\nAccept-Ranges: bytes\r\nConnection: close\r\n");
    let range = asked.header("range").and_then(|range| {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        let first: usize = first.parse().ok()?;
        let last = last
            .parse()
            .map_or(size - 1, |last: usize| last.min(size - 1));
        (first <= last).then_some((first, last))
    });
    match range {
        None => Reply::with(&common, &shown.bytes),
        Some((first, last)) => {
            let headers = format!("{common}Content-Range: bytes {first}-{last}/{size}\r\n");
            Reply::status("206 Partial Content", &headers, &shown.bytes[first..=last])
        }
    }
}
