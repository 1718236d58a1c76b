//! `cargo xtask test`: the only gate, for newcomers and for CI.
//!
//! Runs stages in order, stops at the first failure, and always ends with a table of times and the
//! totals of all tests. It contains no rules of its own: these are in the tests, in `clippy.toml`
//! and in `deny.toml`.

use std::{
    fmt::Write as _,
    num::NonZero,
    path::PathBuf,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    aom::Library,
    clients, command, corpus, deny, direction, dist,
    dist::Dist,
    flake, predecessors,
    provision::{self, Install},
    release, s3, systems,
};

/// Options of `cargo xtask test`.
#[derive(Clone, clap::Args)]
pub struct Args {
    /// Make a skip of one of these a failure: `all`, or a list of programs, postgres, s3,
    /// cross, systemd, container, mounts, cgroups, networks, clients, corpus, nix, advisories. `all` leaves out
    /// advisories, whose database no package registry carries: name them where the network allows it.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    require: Vec<String>,
    /// Only formatting, lints and tests.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    install: Install,
    /// Make again what an earlier run has kept: static binaries, and what was found out of them
    /// and of the flake.
    #[arg(long)]
    fresh: bool,
}

const KINDS: [&str; 14] = [
    "all",
    "programs",
    "postgres",
    "s3",
    "cross",
    "systemd",
    "container",
    "mounts",
    "cgroups",
    "networks",
    "clients",
    "corpus",
    "nix",
    "advisories",
];

impl Args {
    fn requires(&self, kind: &str) -> bool {
        self.require
            .iter()
            .any(|word| word == kind || (word == "all" && kind != "advisories"))
    }
}

/// Runs the stages and prints the table.
///
/// # Errors
/// When an option makes no sense. A failed stage is not an error but a failing exit code.
pub fn run(args: &Args) -> Result<ExitCode> {
    if let Some(word) = args.require.iter().find(|w| !KINDS.contains(&w.as_str())) {
        bail!("--require {word}: there are {}", KINDS.join(", "));
    }
    let mut gate = Gate::default();
    let started = Instant::now();
    let outcome = stages(args, &mut gate);
    println!("\n{}", gate.table(started.elapsed()));
    if let Err(error) = &outcome {
        println!("error: {error:#}");
        // The last stage may not have been a test; the totals must still show the failure.
        gate.tally.failed = gate.tally.failed.max(1);
    }
    println!("{}", gate.tally);
    Ok(match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn stages(args: &Args, gate: &mut Gate) -> Result<()> {
    gate.stage("provision", |gate| {
        let missing = provision::ensure(&provision::FOR_TESTS, args.install)?;
        if !missing.is_empty() && args.requires("programs") {
            bail!("programs are required and not all of them are there");
        }
        if !missing.is_empty() {
            gate.note("some programs are missing, their tests will say SKIPPED");
        }
        if !args.quick {
            // All at once, because later stages run in parallel and apt cannot; these stages report
            // what is missing.
            let lists: [&'static [provision::Program]; 4] = [
                &provision::FOR_DIST,
                &provision::FOR_FLAKE,
                &clients::PROGRAMS,
                &s3::PROGRAMS,
            ];
            for programs in lists {
                provision::ensure(programs, args.install)?;
            }
        }
        Ok(())
    })?;
    gate.stage("format", |_| {
        command::run(command::cargo().args(["fmt", "--all", "--check"]))?;
        // The fuzz targets are a separate workspace.
        command::run(command::cargo().args([
            "fmt",
            "--check",
            "--manifest-path",
            "fuzz/Cargo.toml",
        ]))
    })?;
    let mut fetched = (!args.quick).then(|| Fetched::begin(args.install.unasked()));
    gate.stage("clippy", |_| clippy(None))?;
    // After clippy, so that its findings are reported without waiting for these.
    let binaries = (!args.quick).then(|| Binaries::begin(args));
    gate.stage("build", |_| {
        command::run(Gate::test_command(&ALL_TESTS).arg("--no-run"))
    })?;
    if !args.quick {
        documentation(gate)?;
    }
    if let Some(binaries) = binaries {
        binaries.wait(gate)?;
    }
    if let Some(library) = gate.libaom.take() {
        // Only one crate has code for the feature.
        gate.stage("clippy, libaom", |_| clippy(Some(&library)))?;
    }
    if let Some(fetched) = &mut fetched {
        others_clients(args, gate, fetched)?;
        others_files(args, gate, fetched)?;
        workflows(args, gate)?;
        others_buckets(args, gate, fetched)?;
    }
    gate.stage("tests", |gate| {
        let command = Gate::test_command(&ALL_TESTS);
        gate.run_tests(args, command)
    })?;
    if args.quick {
        return Ok(());
    }
    postgres(args, gate)?;
    in_a_bucket(args, gate)?;
    libaom(args, gate)?;
    gate.stage("directions", |_| direction::check())?;
    other_systems(args, gate)?;
    nix(args, gate)?;
    gate.stage("deny", |gate| match deny::check()? {
        deny::Advisories::Checked => Ok(()),
        deny::Advisories::NotChecked if args.requires("advisories") => {
            bail!("advisories are required and their database could not be fetched")
        }
        deny::Advisories::NotChecked => {
            gate.note("advisories NOT CHECKED: the advisory database could not be fetched");
            Ok(())
        }
    })
}

const ALL_TESTS: [&str; 5] = ["--workspace", "--lib", "--bins", "--tests", "--examples"];
fn documentation(gate: &mut Gate) -> Result<()> {
    gate.stage("documentation", |_| {
        command::run(
            command::cargo()
                .args([
                    "doc",
                    "--workspace",
                    "--no-deps",
                    "--document-private-items",
                    "--locked",
                    "--quiet",
                ])
                // Contributors read the documentation of private items too, so its links are
                // checked.
                .env(
                    "RUSTDOCFLAGS",
                    "-D warnings -A rustdoc::private_intra_doc_links",
                ),
        )
    })
}

/// Tests whose answers come from the database, and those of deaths of the server. Exports and what
/// is done to the file of SQLite are left out.
const ON_POSTGRES: [&str; 28] = [
    "admin_pages",
    "api::audit",
    "api::background",
    "api::blocklist",
    "api::contract",
    "api::deadline",
    "api::delete",
    "api::download",
    "api::hashes",
    "api::health",
    "api::import",
    "api::internal",
    "api::jobs",
    "api::lemmy",
    "api::metrics",
    "api::not_found",
    "api::owners",
    "api::perceptual",
    "api::proxy",
    "api::prune",
    "api::published_lists",
    "api::read_only",
    "api::retention",
    "api::storage",
    "api::upload",
    "caches::",
    "crash::",
    "events::",
];

/// Repeats the tests that touch the database, with servers whose database is on PostgreSQL.
fn postgres(args: &Args, gate: &mut Gate) -> Result<()> {
    if !command::is_installed("pg_ctlcluster") {
        if args.requires("postgres") {
            bail!("PostgreSQL is required and not installed");
        }
        gate.note("the server is NOT TESTED on PostgreSQL");
        return Ok(());
    }
    gate.stage("postgres", |gate| {
        let mut command = Gate::test_command(&["--workspace", "--test", "integration", "--"]);
        command
            .args(ON_POSTGRES)
            .env("PICTRS_TEST_REPO", "postgres");
        gate.run_tests(args, command)
    })
}

/// Tests that write, change and remove files, which are repeated with the files in a bucket.
const OF_FILES: [&str; 15] = [
    "admin_pages",
    "api::background",
    "api::contract",
    "api::delete",
    "api::download",
    "api::hashes",
    "api::import",
    "api::original",
    "api::owners",
    "api::perceptual",
    "api::process",
    "api::proxy",
    "api::retention",
    "api::upload",
    "api::validation",
];

/// Those of them that are about a folder: they put something else in the place of a file, or are
/// about a moment that is too short in a bucket.
const OF_A_FOLDER: [&str; 4] = [
    "what_has_lost_its_file_is_purged_and_a_run_that_was_stopped_says_so",
    "orphans_are_listed_first_and_removed_then",
    "what_fails_for_a_while_is_done_when_the_fault_has_gone",
    "a_claim_whose_client_has_gone_is_not_lost",
];

fn in_a_bucket(args: &Args, gate: &mut Gate) -> Result<()> {
    if gate.s3.is_none() {
        gate.note("a bucket is only TESTED where its tests start an S3 server");
        return Ok(());
    }
    gate.stage("bucket", |gate| {
        let mut targets = vec!["--workspace", "--test", "integration", "--"];
        targets.extend(OF_FILES);
        for test in OF_A_FOLDER {
            targets.extend(["--skip", test]);
        }
        let mut command = Gate::test_command(&targets);
        command.env("PICTRS_TEST_STORE", "s3");
        gate.run_tests(args, command)
    })
}

/// Repeats the tests of AVIF. The other tests use rav1e, like most builds; the static binaries use
/// libaom.
fn libaom(args: &Args, gate: &mut Gate) -> Result<()> {
    let Some(folder) = &gate.binaries else {
        gate.note("libaom is NOT TESTED, only rav1e is");
        return Ok(());
    };
    let binary = folder.join("amd64/pict-rs");
    gate.stage("libaom", |gate| {
        let mut command = Gate::test_command(&["--workspace", "--test", "integration", "avif"]);
        command.env("PICTRS_TEST_BIN", binary);
        gate.run_tests(args, command)
    })
}

/// Runs clippy, with the feature only for the crate that has code for it.
fn clippy(libaom: Option<&Library>) -> Result<()> {
    let mut command = command::cargo();
    command.args(["clippy", "--all-targets", "--locked"]);
    match libaom {
        None => command.arg("--workspace"),
        Some(library) => library.enable_in_its_crate(&mut command),
    };
    command::run(command.args(["--", "-D", "warnings"]))
}

/// Builds the binaries that the tests boot. Missing tools are not the fault of the sources; a
/// failed build is.
fn static_binaries(args: &Args, gate: &mut Gate) -> Result<()> {
    let mut made = None;
    gate.stage("toolchain", |gate| {
        match Dist::of_all_targets(args.install.unasked()) {
            Ok(dist) => made = Some(dist),
            Err(error) if args.requires("cross") => return Err(error),
            Err(error) => {
                println!("{error:#}");
                gate.note("no static binaries, their tests will say SKIPPED");
            }
        }
        Ok(())
    })?;
    let Some(dist) = made else {
        return Ok(());
    };
    gate.stage("static binaries", |gate| {
        // Not `dist/`, because not all of them are as they would be released.
        let out = command::target_folder()?.join("dist-for-tests");
        dist.build_changed(args.fresh)?;
        dist.bundle(&out, true)?;
        gate.binaries = Some(out);
        gate.libaom = Some(dist.libaom()?);
        Ok(())
    })
}

/// The static binaries, built while the tests are compiled: alone, each leaves a processor idle for
/// minutes, during crates that are compiled in one piece.
struct Binaries(thread::JoinHandle<(Gate, Result<()>)>);

impl Binaries {
    fn begin(args: &Args) -> Self {
        let args = args.clone();
        Self(thread::spawn(move || {
            let mut gate = Gate::default();
            let outcome = static_binaries(&args, &mut gate);
            (gate, outcome)
        }))
    }

    /// Adds their stages to those of `gate`. Their times overlap with those of other stages.
    fn wait(self, gate: &mut Gate) -> Result<()> {
        let Ok((mut made, outcome)) = self.0.join() else {
            bail!("what makes the static binaries has panicked");
        };
        gate.rows.append(&mut made.rows);
        gate.binaries = made.binaries;
        gate.libaom = made.libaom;
        outcome
    }
}

/// Third-party downloads, which run while the first stages compile: most of their time is spent
/// waiting for a network.
struct Fetched {
    clients: Option<Arrival>,
    corpus: Option<Arrival>,
    s3: Option<Arrival>,
}

type Arrival = thread::JoinHandle<Result<PathBuf>>;

impl Fetched {
    fn begin(install: Install) -> Self {
        Self {
            clients: Some(thread::spawn(move || clients::prepare(install))),
            corpus: Some(thread::spawn(corpus::prepare)),
            s3: Some(thread::spawn(move || s3::prepare(install))),
        }
    }
}

fn arrived(arrival: Option<Arrival>) -> Result<PathBuf> {
    let arrival = arrival.context("it is waited for once")?;
    let Ok(folder) = arrival.join() else {
        bail!("what fetches has panicked");
    };
    folder
}

/// Waits for third-party clients.
fn others_clients(args: &Args, gate: &mut Gate, fetched: &mut Fetched) -> Result<()> {
    gate.stage("clients", |gate| {
        match arrived(fetched.clients.take()) {
            Ok(folder) => gate.clients = Some(folder),
            Err(error) if args.requires("clients") => return Err(error),
            Err(error) => {
                println!("{error:#}");
                gate.note("no clients of others, their tests will say SKIPPED");
            }
        }
        Ok(())
    })
}

/// Checks the workflow files of forges. After the clients, which install Node.
fn workflows(args: &Args, gate: &mut Gate) -> Result<()> {
    gate.stage("workflows", |gate| match release::workflows::problems() {
        Ok(problems) if problems.is_empty() => Ok(()),
        Ok(problems) => bail!("{}", problems.join("\n")),
        Err(error) if args.requires("clients") => Err(error),
        Err(error) => {
            println!("{error:#}");
            gate.note("workflow files were NOT CHECKED");
            Ok(())
        }
    })
}

/// Waits for third-party pictures, valid and broken.
fn others_files(args: &Args, gate: &mut Gate, fetched: &mut Fetched) -> Result<()> {
    gate.stage("corpus", |gate| {
        match arrived(fetched.corpus.take()) {
            Ok(folder) => gate.corpus = Some(folder),
            Err(error) if args.requires("corpus") => return Err(error),
            Err(error) => {
                println!("{error:#}");
                gate.note("no files of others, their test will say SKIPPED");
            }
        }
        Ok(())
    })
}

/// Checks that the server compiles where no static binary is made for.
fn other_systems(args: &Args, gate: &mut Gate) -> Result<()> {
    gate.stage("other systems", |gate| match dist::foreign() {
        Ok(tools) => systems::check(&tools),
        Err(error) if args.requires("cross") => Err(error),
        Err(error) => {
            println!("{error:#}");
            gate.note("macOS and FreeBSD were NOT CHECKED");
            Ok(())
        }
    })
}

/// Waits for third-party S3 servers.
fn others_buckets(args: &Args, gate: &mut Gate, fetched: &mut Fetched) -> Result<()> {
    gate.stage("s3", |gate| {
        match arrived(fetched.s3.take()) {
            Ok(folder) => gate.s3 = Some(folder),
            Err(error) if args.requires("s3") => return Err(error),
            Err(error) => {
                println!("{error:#}");
                gate.note("no S3 servers of others, their tests will say SKIPPED");
            }
        }
        Ok(())
    })
}

/// Checks the flake with the offline package set.
fn nix(args: &Args, gate: &mut Gate) -> Result<()> {
    gate.stage("nix", |gate| {
        match flake::gate(args.install.unasked(), args.fresh) {
            Ok(true) => Ok(()),
            Ok(false) => bail!("the flake is not as it should be"),
            Err(error) if args.requires("nix") => Err(error),
            Err(error) => {
                println!("{error:#}");
                gate.note("the flake was NOT CHECKED");
                Ok(())
            }
        }
    })
}

/// The progress so far.
#[derive(Default)]
struct Gate {
    /// The C library of the first static binary.
    libaom: Option<Library>,
    /// The folder with the static binaries.
    binaries: Option<PathBuf>,
    /// The folder with third-party clients.
    clients: Option<PathBuf>,
    /// The folder with third-party files.
    corpus: Option<PathBuf>,
    /// The folder with third-party S3 servers.
    s3: Option<PathBuf>,
    rows: Vec<Row>,
    tally: Tally,
    note: Option<&'static str>,
}

struct Row {
    name: &'static str,
    time: Duration,
    passed: bool,
    note: Option<&'static str>,
}

impl Gate {
    fn stage(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        println!("\n== {name}");
        let started = Instant::now();
        let outcome = work(self);
        let time = started.elapsed();
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("== {name}: {verdict}, {:.1} s", time.as_secs_f64());
        self.rows.push(Row {
            name,
            time,
            passed: outcome.is_ok(),
            note: self.note.take(),
        });
        outcome.map_err(|error| error.context(format!("stage '{name}' failed")))
    }

    /// Adds a note that is repeated at the end.
    fn note(&mut self, text: &'static str) {
        println!("notice: {text}");
        self.note = Some(text);
    }

    /// Runs the tests of `targets`, or only builds them with `--no-run`.
    fn test_command(targets: &[&str]) -> Command {
        let mut command = command::cargo();
        command
            .args(["test", "--locked", "--no-fail-fast"])
            .args(targets);
        command
    }

    fn run_tests(&mut self, args: &Args, mut command: Command) -> Result<()> {
        if !args.require.is_empty() {
            command.env("PICTRS_TEST_REQUIRE", args.require.join(","));
        }
        if let Some(folder) = &self.binaries {
            command.env("PICTRS_TEST_CROSS_DIR", folder);
        }
        if let Some(folder) = &self.clients {
            command.env("PICTRS_TEST_CLIENTS_DIR", folder);
        }
        if let Some(folder) = &self.corpus {
            command.env("PICTRS_TEST_CORPUS_DIR", folder);
        }
        if let Some(folder) = &self.s3 {
            command.env("PICTRS_TEST_S3_DIR", folder);
        }
        match predecessors::present()? {
            Some(folder) => drop(command.env("PICTRS_TEST_PREDECESSORS_DIR", folder)),
            None => println!(
                "notice: no published pict-rs in the cache, the take-over from one will say SKIPPED; \
                 cargo xtask predecessors builds it"
            ),
        }
        // Many tests wait for a server most of the time.
        if std::env::var_os("RUST_TEST_THREADS").is_none() {
            let cores = thread::available_parallelism().map_or(1, NonZero::get);
            command.env("RUST_TEST_THREADS", (2 * cores).to_string());
        }
        let tally = &mut self.tally;
        command::watch(&mut command, |line| tally.add(line))
    }

    fn table(&self, total: Duration) -> String {
        let mut text = String::from("stage            seconds\n");
        for row in &self.rows {
            let verdict = if row.passed { "ok" } else { "FAILED" };
            let seconds = row.time.as_secs_f64();
            let _ = write!(text, "{:<16} {seconds:>7.1}  {verdict}", row.name);
            if let Some(note) = row.note {
                let _ = write!(text, "  ({note})");
            }
            text.push('\n');
        }
        let _ = write!(text, "{:<16} {:>7.1}", "total", total.as_secs_f64());
        text
    }
}

/// Totals of all test programs.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
    /// Excluded by the harness, so not counted as passed.
    ignored: u64,
    /// Skipped by the test itself, but counted as passed by cargo.
    unable: u64,
}

impl Tally {
    /// Reads the last line of a test program, and the line `SKIPPED what: why` with which a test
    /// reports that it could not run (once, on standard error, bypassing the harness's capture).
    /// Cargo counts such a test as passed; here it counts as skipped.
    fn add(&mut self, line: &str) {
        if line.contains("SKIPPED ") {
            self.unable += 1;
            return;
        }
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        self.passed += count_before(result, " passed");
        self.failed += count_before(result, " failed");
        self.ignored += count_before(result, " ignored");
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let passed = self.passed.saturating_sub(self.unable);
        write!(f, "{passed} passed, {} failed", self.failed)?;
        let skipped = self.ignored + self.unable;
        if skipped > 0 {
            write!(f, ", {skipped} skipped")?;
        }
        Ok(())
    }
}

/// The number directly before `word`.
fn count_before(text: &str, word: &str) -> u64 {
    let Some((before, _)) = text.split_once(word) else {
        return 0;
    };
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_test_programs_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "SKIPPED postgres: initdb is not on PATH",
            "this line says 7 passed but is not a result",
        ] {
            tally.add(line);
        }
        assert_eq!(tally.to_string(), "14 passed, 2 failed, 2 skipped");
    }

    #[test]
    fn all_requires_everything_that_registries_can_give() {
        let args = |require: &[&str]| Args {
            require: require.iter().map(|&word| word.to_owned()).collect(),
            quick: false,
            install: Install::default(),
            fresh: false,
        };
        assert!(args(&["all"]).requires("programs"));
        assert!(!args(&["all"]).requires("advisories"));
        assert!(args(&["all", "advisories"]).requires("advisories"));
        assert!(!args(&["s3"]).requires("programs"));
    }
}
