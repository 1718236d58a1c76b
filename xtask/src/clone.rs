//! The files of the sources: all but those that `.gitignore` names. Neither git nor a clone is
//! needed, so that a source archive is as good.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::cache::repository;

/// The files of the sources in their current state, sorted, as names below the root.
///
/// # Errors
/// When a folder cannot be listed.
pub fn files() -> Result<Vec<String>> {
    files_in(&repository())
}

fn files_in(root: &Path) -> Result<Vec<String>> {
    let mut walk = ignore::WalkBuilder::new(root);
    // Only what belongs to the sources decides: no settings of the user or of folders above.
    walk.hidden(false)
        .parents(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git");
    let mut found = Vec::new();
    for entry in walk.build() {
        let path = entry?.into_path();
        // Links to files count, as what they point to.
        if path.is_file() {
            let name = path.strip_prefix(root).context("below the root")?;
            found.push(name.to_str().context("a name in UTF-8")?.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// Copies [`files`] into a folder.
///
/// # Errors
/// When a file cannot be copied.
pub fn copy_sources(to: &Path) -> Result<()> {
    for file in files()? {
        let copy = to.join(&file);
        fs::create_dir_all(copy.parent().context("a file has a folder")?)?;
        fs::copy(repository().join(&file), copy)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apt::Scratch;

    #[test]
    fn what_builds_leave_is_not_part_of_the_sources() {
        let place = std::env::temp_dir().join(format!("clone-{}", std::process::id()));
        let place = Scratch::new(place).expect("a folder");
        // No clone, as an unpacked archive.
        for (name, text) in [
            (".gitignore", "/target\n*.profraw\n"),
            (".cargo/config.toml", ""),
            ("crates/a/src/target.rs", ""),
            ("target/debug/a", ""),
            ("a.profraw", ""),
            (".git/HEAD", ""),
        ] {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        assert_eq!(
            files_in(place.path()).expect("listed"),
            [".cargo/config.toml", ".gitignore", "crates/a/src/target.rs"]
        );
    }
}
