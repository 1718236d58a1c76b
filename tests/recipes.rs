//! The recipes for Alpine and Arch in `contrib`, which need these systems to be tried: their shells
//! parse them, shellcheck has nothing to say, and they install files that there are.
//! `cargo xtask release` compares their facts with the manifest.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::programs;

/// Recipe, the shell that reads it, and what shellcheck calls that.
const RECIPES: [(&str, &str, &str); 3] = [
    ("contrib/alpine/APKBUILD", "sh", "dash"),
    ("contrib/alpine/pict-rs.pre-install", "sh", "dash"),
    ("contrib/arch/PKGBUILD", "bash", "bash"),
];
/// The package managers read the variables that are never used (SC2034) and set those that are never
/// assigned (SC2154). They stop when a command fails, so also at `cd` (SC2164).
const EXCLUDED: &str = "SC2034,SC2154,SC2164";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(command: &mut Command) {
    let output = command.output().expect("it can be started");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[test]
fn shells_parse_the_recipes_and_shellcheck_finds_nothing() {
    let shellcheck = programs::find_or_skip("shellcheck", "recipes");
    for (recipe, shell, dialect) in RECIPES {
        let path = root().join(recipe);
        run(Command::new(shell).arg("-n").arg(&path));
        if let Some(shellcheck) = &shellcheck {
            run(Command::new(shellcheck)
                .args(["--shell", dialect, "--exclude", EXCLUDED])
                .arg(&path));
        }
    }
}

#[test]
fn recipes_install_files_that_there_are() {
    for (recipe, ..) in RECIPES {
        let text = std::fs::read_to_string(root().join(recipe)).expect("text");
        let words = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let words = words.flat_map(str::split_whitespace);
        let is_ours = |word: &&str| word.starts_with("contrib/") || word.ends_with(".md");
        let mut found = 0;
        for word in words.filter(is_ours) {
            let path = root().join(word);
            // `pages/*.1`, of which there is one at least.
            let exists = match word.rsplit_once('*') {
                None => path.is_file(),
                Some((_, ending)) => {
                    let files = std::fs::read_dir(path.parent().expect("a folder"));
                    let names = files.expect("readable").flatten().map(|f| f.file_name());
                    names
                        .into_iter()
                        .any(|name| name.to_string_lossy().ends_with(ending))
                }
            };
            assert!(exists, "{recipe}: {word}");
            found += 1;
        }
        assert!(found > 5 || recipe.ends_with("-install"), "{recipe}");
    }
}
