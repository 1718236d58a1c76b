//! The direction of dependencies: pict-rs -> pict-rs-core -> pict-rs-media, and crates that the
//! libraries must never link. Asks cargo, so indirect dependencies are found too.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::command;

/// A crate, and crates that must not be in its normal dependency tree, on any target.
const RULES: [(&str, &[&str]); 2] = [
    (
        "pict-rs-core",
        &["pict-rs", "actix-web", "actix-http", "clap"],
    ),
    (
        "pict-rs-media",
        &[
            "pict-rs",
            "pict-rs-core",
            "tokio",
            "sqlx",
            "actix-web",
            "clap",
            "reqwest",
        ],
    ),
];

/// # Errors
/// When a dependency points the wrong way; names all of them.
pub fn check() -> Result<()> {
    let mut wrong = Vec::new();
    for (package, banned) in RULES {
        let tree = command::output(command::cargo().args([
            "tree",
            "--locked",
            "--quiet",
            "--package",
            package,
            "--edges",
            "normal",
            "--target",
            "all",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]))?;
        let linked = names(&tree);
        println!("{package} links {} crates", linked.len().saturating_sub(1));
        for name in banned.iter().filter(|name| linked.contains(**name)) {
            wrong.push(format!("{package} must not link {name}"));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

/// The crate names of `cargo tree --prefix none --format {p}`: `name vX.Y.Z (path)`.
fn names(tree: &str) -> BTreeSet<&str> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_found_by_its_whole_name_only() {
        let tree = "pict-rs-media v0.1.0 (/src)\nclap_lex v1.0.0\nserde v1.0.1 (*)\n\n";
        let found = names(tree);
        assert!(found.contains("serde") && found.contains("pict-rs-media"));
        assert!(!found.contains("clap") && !found.contains("pict-rs"));
        assert_eq!(found.len(), 3);
    }
}
