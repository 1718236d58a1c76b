//! Files that others test their own programs with, real and broken, given to one server: nothing
//! is a fault of ours, nothing takes long, nothing needs more memory than the settings allow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::process_path;
use crate::support::server::is_emulated;
use crate::support::{File, Launch, Server, programs};

const TEST: &str = "a corpus of others' files";
/// MiB that media work may need.
const MEMORY: u64 = 768;
/// MiB beside that: the program, uploads on their way, what the allocator keeps.
const REST: u64 = 256;
/// Fewer would mean that the corpus was not fetched whole.
const MIN_FILES: usize = 4500;
/// Fewer would mean that a format is read no more, or that a limit is too strict.
const MIN_ACCEPTED: usize = 2900;
/// A variant in a debug build, on a busy machine. Most take milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// At once, so that nobody waits long for a turn.
const CLIENTS: usize = 2;

/// What became of one file.
struct Outcome {
    path: PathBuf,
    /// `accepted`, or the code of the refusal.
    word: String,
    took: Duration,
    faults: Vec<String>,
}

#[test]
fn nothing_that_others_test_with_is_a_fault() {
    let Some(folder) = std::env::var_os("PICTRS_TEST_CORPUS_DIR") else {
        return programs::skip("corpus", TEST, "PICTRS_TEST_CORPUS_DIR is not set");
    };
    if is_emulated() {
        return programs::skip("corpus", TEST, "the program is emulated");
    }
    let files = files(Path::new(&folder));
    assert!(files.len() >= MIN_FILES, "{} files", files.len());
    let server = Launch::new()
        .setting("media.memory", MEMORY)
        // The largest pictures of all are the business of other tests.
        .setting("media.image.max_width", 10_000)
        .setting("media.image.max_height", 10_000)
        .start();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = ask(&server, path);
                    outcomes.lock().expect("nobody panics").push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("nobody panicked");
    println!("{}", table(&outcomes));
    outcomes.sort_by_key(|outcome| std::cmp::Reverse(outcome.took));
    for slow in outcomes.iter().take(5) {
        println!("{:.1} s {}", slow.took.as_secs_f64(), slow.path.display());
    }
    let peak = server.peak_memory_kib() / 1024;
    println!("peak memory {peak} MiB, {} files", outcomes.len());
    server.get("/healthz").ok();
    let output = server.output();
    // Panics of libraries that are caught are told in another way.
    assert!(
        !output.contains("panicked at"),
        "something panicked:\n{output}"
    );
    let faults: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| {
            let path = outcome.path.display();
            outcome
                .faults
                .iter()
                .map(move |fault| format!("{path}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "faults:\n{}", faults.join("\n"));
    assert!(peak <= MEMORY + REST, "peak memory {peak} MiB");
    let accepted = outcomes.iter().filter(|outcome| outcome.word == "accepted");
    let accepted = accepted.count();
    assert!(accepted >= MIN_ACCEPTED, "{accepted} files were accepted");
}

/// Every file below a folder, in a fixed order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the corpus can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Uploads one file, and asks for two variants of what was taken.
fn ask(server: &Server, path: &Path) -> Outcome {
    let bytes = fs::read(path).expect("readable");
    let mut outcome = Outcome {
        path: path.to_owned(),
        word: String::new(),
        took: Duration::ZERO,
        faults: Vec::new(),
    };
    let begun = Instant::now();
    let answer = match server.try_upload_form("", &[File::new(&bytes)]) {
        Ok(answer) => answer,
        Err(error) => {
            outcome.faults.push(format!("upload: {error}"));
            return outcome;
        }
    };
    outcome.took = begun.elapsed();
    if answer.status != 201 {
        let code = &answer.json()["code"];
        outcome.word = code.as_str().unwrap_or("no code").to_owned();
        // 501 names a program that is not there.
        if answer.status >= 500 && answer.status != 501 {
            outcome
                .faults
                .push(format!("upload: {} {code}", answer.status));
        }
        check_time("upload", &mut outcome);
        return outcome;
    }
    outcome.word = "accepted".to_owned();
    let alias = answer.uploaded()[0].alias.clone();
    for extension in ["webp", "jpg"] {
        let begun = Instant::now();
        let variant = server.try_send(
            "GET",
            &process_path(extension, &alias, "thumbnail=96"),
            &[],
            None,
        );
        outcome.took = outcome.took.max(begun.elapsed());
        match variant {
            Ok(variant) if variant.status == 200 => {}
            Ok(variant) => outcome.faults.push(format!(
                "{extension}: {} {}",
                variant.status,
                variant.text()
            )),
            Err(error) => outcome.faults.push(format!("{extension}: {error}")),
        }
    }
    check_time("upload or variant", &mut outcome);
    outcome
}

/// Tests assert no speed; this is the bound behind which something hangs.
fn check_time(what: &str, outcome: &mut Outcome) {
    if outcome.took > PATIENCE {
        let seconds = outcome.took.as_secs_f64();
        outcome.faults.push(format!("{what}: {seconds:.1} s"));
    }
}

/// For each kind of file how many were taken, and why the others were not.
fn table(outcomes: &[Outcome]) -> String {
    let mut rows: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for outcome in outcomes {
        let extension = outcome.path.extension().unwrap_or_default();
        let row = rows
            .entry(extension.to_string_lossy().to_lowercase())
            .or_default();
        *row.entry(&outcome.word).or_default() += 1;
    }
    let mut text = String::from("| file | accepted | refused, by code |\n| --- | --- | --- |\n");
    for (extension, words) in rows {
        let accepted = words.get("accepted").copied().unwrap_or_default();
        let refused: Vec<_> = words
            .iter()
            .filter(|(word, _)| **word != "accepted")
            .map(|(word, count)| format!("{count} `{word}`"))
            .collect();
        let _ = writeln!(
            text,
            "| {extension} | {accepted} | {} |",
            refused.join(", ")
        );
    }
    text
}
