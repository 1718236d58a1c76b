//! Licences, banned crates, sources and known vulnerabilities, judged by cargo-deny after the
//! rules of `deny.toml`. Installs a pinned cargo-deny into the cache when there is none.

use std::{path::PathBuf, process::Command, process::Stdio};

use anyhow::{Context as _, Result};

use crate::{cache, command};

/// One version for everybody, so that a new release cannot break an old commit.
const VERSION: &str = "0.20.2";

/// Whether the advisory part was done.
pub enum Advisories {
    /// Checked, nothing found.
    Checked,
    /// The database could not be had.
    NotChecked,
}

/// Everything that needs no network, then the advisories when their database can be fetched.
///
/// # Errors
/// When a rule is broken or cargo-deny cannot be installed.
pub fn check() -> Result<Advisories> {
    let deny = installed()?;
    command::run(deny_command(&deny).args(["check", "licenses", "bans", "sources"]))?;

    // The database is a git repository and no package registry carries a copy of it. Fetching
    // is a step of its own so that "no network" cannot be mistaken for "nothing found".
    let fetched = deny_command(&deny)
        .args(["fetch", "db"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot start cargo-deny")?;
    if !fetched.success() {
        return Ok(Advisories::NotChecked);
    }
    command::run(deny_command(&deny).args(["check", "--disable-fetch", "advisories"]))?;
    Ok(Advisories::Checked)
}

fn deny_command(program: &PathBuf) -> Command {
    let mut command = command::new(program);
    command.args(["--color", "never"]);
    command
}

fn installed() -> Result<PathBuf> {
    let root = cache::folder("tools")?.join(format!("cargo-deny-{VERSION}"));
    let program = root.join("bin").join("cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    println!("installing cargo-deny {VERSION} into {}", root.display());
    command::run(
        command::cargo()
            .args(["install", "--quiet", "--locked", "cargo-deny"])
            .args(["--version", VERSION, "--root"])
            .arg(&root)
            // The caller's target folder stays free of its few hundred crates.
            .env("CARGO_TARGET_DIR", cache::folder("tools-target")?)
            // It runs for a second, so compiling it well would cost more than it saves.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    )
    .context("cargo-deny could not be installed")?;
    Ok(program)
}
