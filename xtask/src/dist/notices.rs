//! The notices of third parties beside each binary; the crate `notices` says what they are.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{build::Build, target::Target};
use crate::{cache, command};

pub use notices::FILE;

/// Writes the notices for the binary of a target beside the binary.
/// Returns the file with the notices.
///
/// # Errors
/// When cargo fails, or a licence has no text.
pub fn write(build: &Build, target: &Target) -> Result<PathBuf> {
    let root = cache::repository();
    let text = notices::of(command::cargo(), &root, target.rust, "pict-rs/libaom")?;
    let to = build.binary(target).with_file_name(FILE);
    fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(to)
}
