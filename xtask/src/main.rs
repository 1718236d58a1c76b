//! Every chore of the repository, as Rust instead of shell: `cargo xtask test | dist | flake |
//! bench | load | clients | conform | corpus | s3 | predecessors`.
//!
//! It runs other programs and prints what they did. It never becomes part of the server. Start
//! reading at the chore: [`mod@test`], [`mod@dist`], [`mod@flake`], [`mod@bench`] or [`mod@load`].
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool whose output is its purpose"
)]

mod against;
mod aom;
mod apt;
mod bench;
mod cache;
mod clients;
mod clone;
mod command;
mod corpus;
mod deny;
mod direction;
mod dist;
mod flake;
mod kept;
mod load;
mod measure;
mod predecessors;
mod progress;
mod provision;
mod release;
mod s3;
mod systems;
mod test;
mod tool;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of pict-rs", version)]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check everything that must hold before a change lands: the one gate, here and in CI.
    Test(test::Args),
    /// Make the static binaries and their packages, ready for a release.
    Dist(dist::Args),
    /// Measure pict-rs beside its peers and write docs/benchmarks.md.
    Bench(bench::Args),
    /// Let many clients upload and ask for variants, all at once, for minutes.
    Load(load::Args),
    /// Fetch others' clients for the tests, and print the folder for PICTRS_TEST_CLIENTS_DIR.
    Clients(clients::Args),
    /// Build published versions of the existing pict-rs for the tests, and print the folder for
    /// PICTRS_TEST_PREDECESSORS_DIR.
    Predecessors,
    /// Fetch files that others test with, and print the folder for PICTRS_TEST_CORPUS_DIR.
    Corpus,
    /// Install S3 servers of others for the tests, and print the folder for PICTRS_TEST_S3_DIR.
    S3(s3::Args),
    /// Send one list of requests to pict-rs and to another server, and print the differences.
    Conform(against::Args),
    /// Check that the server compiles for macOS and FreeBSD.
    Systems,
    /// Check that all files name the same version, and what a release still lacks.
    Release(release::Args),
    /// Check the Nix flake without a network: evaluate it, and build and run what it describes.
    Flake(flake::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().chore {
        Chore::Test(args) => test::run(&args),
        Chore::Dist(args) => dist::run(&args),
        Chore::Bench(args) => bench::run(&args),
        Chore::Load(args) => load::run(&args),
        Chore::Clients(args) => clients::run(&args),
        Chore::Corpus => corpus::run(),
        Chore::S3(args) => s3::run(&args),
        Chore::Predecessors => predecessors::run(),
        Chore::Conform(args) => against::run(&args),
        Chore::Systems => systems::run(),
        Chore::Release(args) => release::run(&args),
        Chore::Flake(args) => flake::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
