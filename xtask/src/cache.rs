//! Where chores keep what they fetched or built: one private folder of the user's cache,
//! never the clone and never a place that other programs look into.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::command::{self, said};

/// `$XDG_CACHE_HOME/pict-rs/NAME`, created; `~/.cache` when the variable is unset.
pub fn folder(name: &str) -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor a home folder is known")?;
    let folder = base.join("pict-rs").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The root of the clone. Chores run from there whatever the current folder is.
pub fn repository() -> PathBuf {
    // Cargo sets the variable for what it runs; the other value is for a copied program.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let mut root = PathBuf::from(package);
    root.pop();
    root
}

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
