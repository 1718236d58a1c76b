//! Licences, banned crates, sources and known vulnerabilities, checked by cargo-deny with the rules
//! of `deny.toml`.

use std::{path::Path, process::Command, process::Stdio};

use anyhow::{Context as _, Result};

use crate::{command, tool};

/// Whether advisories were checked.
pub enum Advisories {
    /// Checked, without findings.
    Checked,
    /// The database could not be fetched.
    NotChecked,
}

/// Checks everything that needs no network, then the advisories if their database can be fetched.
///
/// # Errors
/// When a rule is violated or cargo-deny cannot be installed.
pub fn check() -> Result<Advisories> {
    let deny = tool::DENY.installed()?;
    command::run(deny_command(&deny).args(["check", "licenses", "bans", "sources"]))?;

    // The database is a git repository that no package registry mirrors. Fetching is a separate
    // step so that "no network" cannot be mistaken for "no findings".
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
