//! Packages for Debian's and Red Hat's families, with a finished binary. Their contents are listed
//! in `crates/pict-rs/Cargo.toml`.

use std::{fs, path::Path};

use anyhow::Result;

use super::{build::Build, requires, target::Target};
use crate::{command, tool};

/// Writes `pict-rs_VERSION_ARCH.deb` into `folder`.
///
/// # Errors
/// When a file is missing or the disk is full.
pub fn deb(build: &Build, target: &Target, folder: &Path) -> Result<()> {
    let mut command = command::new(tool::DEB.installed()?);
    command
        .args(["--no-build", "--no-strip", "--quiet", "--locked"])
        .args(["--package", "pict-rs", "--target", target.rust])
        .arg("--output")
        .arg(folder);
    command::run(build.prepare(&mut command, target))
}

/// Writes `pict-rs-VERSION.ARCH.rpm` into `folder`.
///
/// # Errors
/// When a file is missing or the disk is full.
pub fn rpm(build: &Build, target: &Target, folder: &Path) -> Result<()> {
    let mut command = command::new(tool::RPM.installed()?);
    command
        .args(["generate-rpm", "--package", "crates/pict-rs"])
        .args(["--target", target.rust, "--arch", target.rpm])
        .args(["--payload-compress", "xz"])
        .args(["--source-date", &build.epoch.to_string()])
        .arg("--output")
        .arg(folder);
    command::run(build.prepare(&mut command, target))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rpm") {
            // systemd creates the user and applies the presets.
            requires::by_scripts(&path, "systemd")?;
        }
    }
    Ok(())
}
