//! The release files of each target: a folder with the binary, its bill of materials and its
//! packages; and one file of checksums for all folders.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use super::{build::Build, materials, notices, package, target::Target, toolchain::Toolchain};

/// Next to the folders, in the format of `sha256sum`.
const CHECKSUMS: &str = "SHA256SUMS";

/// Creates the folder of a target, or leaves an existing one.
///
/// # Errors
/// When a tool fails or the disk is full.
pub fn make(
    build: &Build,
    target: &Target,
    toolchain: &Toolchain,
    out: &Path,
    packages: bool,
) -> Result<()> {
    let folder = out.join(target.name);
    let partial = out.join(format!(".{}.partial", target.name));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    fs::copy(build.binary(target), partial.join("pict-rs"))?;
    // The packages take it from beside the binary.
    let notice = notices::write(build, target)?;
    fs::copy(notice, partial.join(notices::FILE))?;
    if packages {
        materials::write(build, target, toolchain, &partial.join("pict-rs.cdx.json"))?;
        package::deb(build, target, &partial)?;
        package::rpm(build, target, &partial)?;
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::rename(&partial, &folder)?;
    Ok(())
}

/// Rewrites the checksums of all files in the folders of `out`.
///
/// # Errors
/// When a file cannot be read.
pub fn write_checksums(out: &Path) -> Result<()> {
    let mut text = String::new();
    for file in files(out)? {
        let name = file.strip_prefix(out).context("below the folder")?;
        let _ = writeln!(text, "{}  {}", digest(&file)?, name.display());
    }
    fs::write(out.join(CHECKSUMS), text)?;
    Ok(())
}

/// A line for each file of `targets`: bytes, checksum, name.
///
/// # Errors
/// When a file cannot be read.
pub fn summary(out: &Path, targets: &[&Target]) -> Result<String> {
    let mut text = String::new();
    for target in targets {
        for file in files(&out.join(target.name))? {
            let name = file.strip_prefix(out).context("below the folder")?;
            let size = file.metadata()?.len();
            let _ = writeln!(text, "{size:>9}  {}  {}", digest(&file)?, name.display());
        }
    }
    Ok(text)
}

/// All files below, sorted, without unfinished files and checksums.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let listing =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in listing {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == CHECKSUMS {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn digest(file: &Path) -> Result<String> {
    Ok(hex::encode(Sha256::digest(fs::read(file)?)))
}
