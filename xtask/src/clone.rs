//! The files of the clone, as git knows them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    cache::repository,
    command::{self, said},
};

/// The files of the clone that git knows or would know, as they are now.
///
/// # Errors
/// When this is no clone, or there is no git.
pub fn files() -> Result<Vec<String>> {
    let list =
        said(command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    // Some may be removed and not committed yet.
    let is_there = |file: &&str| repository().join(file).is_file();
    Ok(list.lines().filter(is_there).map(str::to_owned).collect())
}

/// Copies [`files`] into a folder.
///
/// # Errors
/// When one cannot be copied.
pub fn copy_sources(to: &Path) -> Result<()> {
    for file in files()? {
        let copy = to.join(&file);
        fs::create_dir_all(copy.parent().context("a file has a folder")?)?;
        fs::copy(repository().join(&file), copy)?;
    }
    Ok(())
}
