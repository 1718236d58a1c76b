//! `cargo xtask flake`: checks the flake without a network. No package registry carries nixpkgs, so
//! a small package set of our own (`nix/offline`) replaces it: it has the same names, refuses what
//! a static set cannot have, records which file made what, and really builds with the tools of this
//! machine. `nix flake check` remains the check where nixpkgs is available.
//!
//! Start at [`run`]; [`nix`] provides Nix itself, [`offline`] the package set, and the other
//! modules are the checks.

mod boot;
mod evaluate;
mod mutants;
mod nix;
mod nixpkgs;
mod offline;
mod outputs;
mod report;
mod serve;

use std::{fs, process::ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::{
    cache, clone, command, dist,
    kept::{Ingredients, Shelf},
    provision::{self, Install},
};
use offline::Flake;
use report::Report;
use xtask::targets;

/// Options of `cargo xtask flake`.
#[derive(clap::Args)]
pub struct Args {
    /// Only what costs seconds: parse, evaluate, refuse mutants; build nothing.
    #[arg(long)]
    quick: bool,
    /// Also build the checks `fmt`, `clippy` and `tests` (minutes).
    #[arg(long)]
    checks: bool,
    /// Also run the test of the NixOS module on a Debian that boots in a container (root).
    #[arg(long)]
    boot: bool,
    /// Also build these static packages, and boot them, under qemu where the processor is
    /// another one: names from targets.toml, or all (minutes each).
    #[arg(long = "static", value_delimiter = ',', value_name = "TARGETS")]
    targets: Vec<String>,
    #[command(flatten)]
    install: Install,
}

/// Runs all checks and prints the results.
///
/// # Errors
/// When the checks cannot run: no Nix, no crates, no disk space. A failed check is not an error but
/// a failing exit code.
pub fn run(args: &Args) -> Result<ExitCode> {
    Ok(match ask(args)? {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The part for every change: everything that takes seconds, and one static package for a processor
/// other than this machine's. Returns whether all checks passed. Passed checks are not repeated for
/// the same files and tools, unless `fresh` is set.
///
/// # Errors
/// As [`run`].
pub fn gate(install: Install, fresh: bool) -> Result<bool> {
    provision::ensure(&provision::FOR_FLAKE, install)?;
    let digest = ingredients(&nix::ensure(&cache::folder("nix")?, install)?)?.digest();
    let shelf = Shelf::of("nix")?;
    if !fresh && shelf.find(&digest).is_some() {
        println!("unchanged since all answers were right, digest {digest}");
        return Ok(true);
    }
    let is_good = ask(&Args {
        quick: true,
        checks: false,
        boot: false,
        targets: Vec::new(),
        install,
    })?;
    if is_good {
        shelf.keep(&digest, &[])?;
    }
    Ok(is_good)
}

/// Everything that the results of [`gate`] depend on. The recipe uses only one file of the
/// documentation.
fn ingredients(nix: &nix::Nix) -> Result<Ingredients> {
    let mut files = clone::files()?;
    files.retain(|file| counts(file));
    files.sort();
    let mut all = Ingredients::default();
    all.files(&cache::repository(), &files)?
        .fact("nix", nix.run(&["--version"])?)
        .fact("rustc", command::output(command::new("rustc").arg("-vV"))?)
        .fact("cc", command::output(command::new("cc").arg("--version"))?);
    dist::static_rust_of(&mut all)?;
    Ok(all)
}

fn counts(file: &str) -> bool {
    const WORDS: [&str; 5] = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "README.md",
        "SECURITY.md",
        "nix/offline/README.md",
    ];
    let is_documentation = file.starts_with("docs/") && file != "docs/errors.md";
    !is_documentation && !file.starts_with("fuzz/") && !WORDS.contains(&file)
}

fn ask(args: &Args) -> Result<bool> {
    let targets = chosen(&args.targets)?;
    let install = args.install;
    provision::ensure(&provision::FOR_FLAKE, install)?;
    if !targets.is_empty() {
        let missing = provision::ensure(&provision::FOR_STATIC, install)?;
        if let Some(first) = missing.first() {
            bail!(
                "{} is missing; mend it with: apt-get install {}",
                first.name,
                first.package
            );
        }
    }
    if args.boot {
        provision::ensure(&provision::FOR_BOOT, install)?;
    }
    let folder = cache::folder("nix")?;
    // Only one run at a time, because all share the folder.
    let lock = fs::File::create(folder.join("lock"))?;
    lock.lock().context("cannot lock the folder of Nix")?;
    if !args.quick {
        enough_room(&folder, 3 + targets.len() as u64)?;
    }

    let nix = nix::ensure(&folder, install)?;
    let with_static = !targets.is_empty();
    let builds = !args.quick || args.checks || with_static;
    let flake = Flake::prepare(&folder, nix, builds, with_static)?;
    let mut report = Report::default();
    evaluate::all(&flake, &mut report);
    nixpkgs::all(&flake, &folder, &mut report);
    mutants::all(&flake, &mut report);
    if !args.quick {
        outputs::native(&flake, &mut report);
    }
    if args.boot {
        report.step("the test of the module passes on a booted system", || {
            boot::test(&flake, &folder)
        });
    }
    if args.checks {
        outputs::checks(&flake, &mut report);
    }
    for name in targets {
        outputs::static_package(&flake, name, &mut report);
    }
    println!("{report}");
    Ok(report.is_good())
}

/// The requested static targets, each once.
fn chosen(words: &[String]) -> Result<Vec<&'static str>> {
    let names: Vec<_> = targets::ALL.iter().map(|row| row.name).collect();
    if let Some(word) = words
        .iter()
        .find(|word| *word != "all" && !names.contains(&word.as_str()))
    {
        bail!("--static {word}: there are {}, all", names.join(", "));
    }
    let asked = |name: &&str| words.iter().any(|word| word == name || word == "all");
    Ok(names.into_iter().filter(asked).collect())
}

/// Checks the disk space: a full disk would make a build fail with a misleading message.
fn enough_room(folder: &std::path::Path, gigabytes: u64) -> Result<()> {
    let mut df = command::new("df");
    df.args(["--output=avail", "--block-size=1000000000"])
        .arg(folder);
    let text = command::output(&mut df)?;
    let free: u64 = text
        .lines()
        .last()
        .and_then(|line| line.trim().parse().ok())
        .context("df gave no number")?;
    if free < gigabytes {
        bail!(
            "{} has {free} GB free and {gigabytes} are wanted; mend it with: XDG_CACHE_HOME=FOLDER_ON_A_LARGER_DISK",
            folder.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_asked_for_again_when_a_source_or_a_recipe_changes() {
        for file in [
            "flake.nix",
            "CONTRIBUTING.md",
            "nix/offline/default.nix",
            "docs/errors.md",
            "tests/main.rs",
            "crates/pict-rs/src/main.rs",
            "xtask/src/flake/evaluate.rs",
            "contrib/systemd/pict-rs.service",
        ] {
            assert!(counts(file), "{file}");
        }
        assert!(!counts("docs/api.md") && !counts("nix/offline/README.md"));
    }

    #[test]
    fn targets_are_chosen_by_name_once() {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(chosen(&words(&[])).expect("none"), [""; 0]);
        let two = chosen(&words(&["armv7l", "amd64", "armv7l"])).expect("two");
        assert_eq!(two, ["amd64", "armv7l"]);
        let all = chosen(&words(&["all"])).expect("all");
        assert_eq!(all.len(), targets::ALL.len());
        assert!(chosen(&words(&["sparc"])).is_err());
    }
}
