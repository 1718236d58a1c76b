//! The cache of chores for what they fetch or build: a private folder in the user's cache, never in
//! the clone or where other programs look.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};

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

/// The root of the clone. Chores run there, whatever the current folder is.
pub fn repository() -> PathBuf {
    // Cargo sets the variable for programs that it runs; the fallback is for a copied program.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let mut root = PathBuf::from(package);
    root.pop();
    root
}
