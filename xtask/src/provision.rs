//! Programs that tests and benchmarks use: reports what is missing, and installs it if that works
//! without asking (Debian's packages, as root or with passwordless sudo). The lists are in
//! `provision.toml`.

use std::{collections::BTreeMap, process::Stdio, sync::LazyLock};

use anyhow::{Result, bail};

use crate::command;

/// A program and where it comes from.
pub struct Program {
    /// The name to find on PATH, or a whole path if PATH does not include its folder.
    pub name: String,
    /// The Debian package that contains it.
    pub package: String,
    /// What fails or is slow without it.
    pub purpose: String,
}

/// The programs of one chore.
pub type Programs = LazyLock<Vec<Program>>;

/// Programs for `cargo xtask test`.
pub static FOR_TESTS: Programs = LazyLock::new(|| list("test"));
/// Programs for `cargo xtask dist`, besides zig and the standard library's sources.
pub static FOR_DIST: Programs = LazyLock::new(|| list("dist"));
/// Programs for `cargo xtask flake`; it fetches Nix itself.
pub static FOR_FLAKE: Programs = LazyLock::new(|| list("flake"));
/// Further programs for `cargo xtask flake --static`.
pub static FOR_STATIC: Programs = LazyLock::new(|| list("static"));
/// Further programs for `cargo xtask flake --boot`.
pub static FOR_BOOT: Programs = LazyLock::new(|| list("boot"));
/// Programs for `cargo xtask bench`.
pub static FOR_BENCH: Programs = LazyLock::new(|| list("bench"));

/// A list of `provision.toml`.
///
/// # Panics
/// When there is no such list.
pub fn list(name: &str) -> Vec<Program> {
    let mut lists: BTreeMap<String, Vec<[String; 3]>> =
        toml::from_str(include_str!("provision.toml")).expect("provision.toml is right");
    let list = lists.remove(name).expect("a list of provision.toml");
    let program = |[name, package, purpose]: [String; 3]| Program {
        name,
        package,
        purpose,
    };
    list.into_iter().map(program).collect()
}

/// Checks for `programs`, and installs missing ones if `install` is set and that works without
/// asking. Returns those that are still missing.
///
/// # Errors
/// When the C compiler is still missing, because nothing can be built without it.
pub fn ensure(programs: &'static [Program], install: bool) -> Result<Vec<&'static Program>> {
    let mut missing = absent(programs);
    if install && !missing.is_empty() {
        try_install(&missing);
        missing = absent(programs);
    }
    for program in programs.iter().filter(|p| command::is_installed(&p.name)) {
        println!("{}: found", program.name);
    }
    for program in &missing {
        println!("{}: MISSING: {}", program.name, program.purpose);
    }
    if !missing.is_empty() {
        println!(
            "to install: sudo apt-get install {}",
            packages(&missing).join(" ")
        );
    }
    if missing.iter().any(|program| program.name == "cc") {
        bail!("there is no C compiler");
    }
    Ok(missing)
}

fn absent(programs: &'static [Program]) -> Vec<&'static Program> {
    programs
        .iter()
        .filter(|program| !command::is_installed(&program.name))
        .collect()
}

fn packages<'a>(missing: &[&'a Program]) -> Vec<&'a str> {
    missing
        .iter()
        .map(|program| program.package.as_str())
        .collect()
}

/// A failure is not an error here: the caller checks again and reports what is missing.
fn try_install(missing: &[&Program]) {
    let Some(prefix) = privilege() else {
        return;
    };
    let packages = packages(missing);
    println!("installing {}", packages.join(" "));
    let apt = |arguments: &[&str]| {
        let mut words = prefix.iter().copied().chain(["apt-get", "-q", "-y"]);
        let mut command = command::new(words.next().unwrap_or("apt-get"));
        let ran = command
            .args(words)
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status();
        ran.is_ok_and(|status| status.success())
    };
    let mut install = vec!["install", "--no-install-recommends"];
    install.extend(&packages);
    // A fresh machine has no package list or an old one: fetch it and try again.
    if !apt(&install) && apt(&["update"]) && !apt(&install) {
        println!("apt-get install failed");
    }
}

/// The prefix for apt-get: nothing for root, sudo if it asks for no password, `None` where packages
/// cannot be installed.
fn privilege() -> Option<&'static [&'static str]> {
    if !command::is_installed("apt-get") {
        return None;
    }
    if command::output(command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    let silent = command::new("sudo")
        .args(["-n", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    silent.then_some(&["sudo", "-n"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chore_has_its_programs() {
        let chores = [
            &FOR_TESTS,
            &FOR_DIST,
            &FOR_FLAKE,
            &FOR_STATIC,
            &FOR_BOOT,
            &FOR_BENCH,
        ];
        for programs in chores {
            assert!(!programs.is_empty());
        }
        assert!(FOR_TESTS.iter().any(|program| program.name == "cc"));
    }
}
