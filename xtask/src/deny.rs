//! Licences, banned crates, sources and known vulnerabilities, judged by cargo-deny after the
//! rules of `deny.toml`.

use std::{path::Path, process::Command, process::Stdio};

use anyhow::{Context as _, Result};

use crate::{command, tool};

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
    let deny = tool::DENY.installed()?;
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

fn deny_command(program: &Path) -> Command {
    let mut command = command::new(program);
    command.args(["--color", "never"]);
    command
}
