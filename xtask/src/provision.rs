//! Programs that tests and benchmarks use: reports what is missing, and installs it where the caller
//! allows that (Debian's packages, as root or with passwordless sudo). The lists are in
//! `provision.toml`.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    process::Stdio,
    sync::LazyLock,
};

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

/// Whether missing programs are installed. Without an option the user is asked on a terminal, and
/// elsewhere nothing is installed.
#[derive(Clone, Copy, Default, clap::Args)]
pub struct Install {
    /// Install missing programs with apt-get, as root or by sudo, without asking.
    #[arg(long, overrides_with = "no_install")]
    install: bool,
    /// Never install a missing program; say which ones are missing.
    #[arg(long, overrides_with = "install")]
    no_install: bool,
    #[arg(skip)]
    is_asked: bool,
}

impl Install {
    /// The same without a question: for what runs beside other output, after a question.
    pub const fn unasked(self) -> Self {
        Self {
            is_asked: true,
            ..self
        }
    }

    /// Whether programs may be fetched into the cache, where they change nothing else.
    pub const fn may_fetch(self) -> bool {
        !self.no_install
    }

    fn allows(self, packages: &[&str]) -> bool {
        self.install || (!self.no_install && !self.is_asked && ask(packages))
    }
}

/// Asks on a terminal; elsewhere the answer is no.
fn ask(packages: &[&str]) -> bool {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return false;
    }
    print!("apt-get install {}? [y/N] ", packages.join(" "));
    let mut answer = String::new();
    let read = io::stdout()
        .flush()
        .and_then(|()| io::stdin().read_line(&mut answer));
    read.is_ok() && is_yes(&answer)
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Checks for `programs`, and installs missing ones if that is allowed. Returns those that are still
/// missing.
///
/// # Errors
/// When the C compiler is still missing, because nothing can be built without it.
pub fn ensure(programs: &'static [Program], install: Install) -> Result<Vec<&'static Program>> {
    let mut missing = absent(programs);
    if !missing.is_empty() {
        try_install(&missing, install);
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
            "to install: sudo apt-get install {}, or the same command with --install",
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
fn try_install(missing: &[&Program], install: Install) {
    let packages = packages(missing);
    let Some(prefix) = privilege().filter(|_| install.allows(&packages)) else {
        return;
    };
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
    fn only_a_clear_yes_installs() {
        for answer in ["y\n", "Y", " yes\n"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "yep\n"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }

    #[test]
    fn nothing_is_installed_without_an_option_or_an_answer() {
        let of = |words: &[&str]| {
            #[derive(clap::Parser)]
            struct Chore {
                #[command(flatten)]
                install: Install,
            }
            let words = ["chore"].iter().chain(words);
            <Chore as clap::Parser>::try_parse_from(words).map(|chore| chore.install)
        };
        let install = of(&["--install"]).expect("an option");
        assert!(install.allows(&["nasm"]));
        let install = of(&["--no-install"]).expect("an option");
        assert!(!install.allows(&["nasm"]) && !install.may_fetch());
        let install = of(&[]).expect("no option").unasked();
        assert!(!install.allows(&["nasm"]) && install.may_fetch());
        // The last one counts, so that a script's option can be overruled.
        let install = of(&["--install", "--no-install"]).expect("options");
        assert!(!install.allows(&["nasm"]));
    }

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
