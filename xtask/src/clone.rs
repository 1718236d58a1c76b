//! The files of the clone, as git knows them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    cache::repository,
    command::{self, said},
};

/// The files of the clone that are tracked or not ignored, in their current state.
///
/// # Errors
/// When this is not a clone, or git is missing.
pub fn files() -> Result<Vec<String>> {
    let list =
        said(command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    // Some may be deleted without the deletion being committed.
    let is_there = |file: &&str| repository().join(file).is_file();
    Ok(list.lines().filter(is_there).map(str::to_owned).collect())
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
