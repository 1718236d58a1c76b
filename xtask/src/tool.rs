//! Cargo's helper programs for chores: each in one pinned version, installed from the registry into
//! the cache if missing, never into the user's own cargo.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{
    cache, command,
    progress::{self, Progress},
};

/// A program from a crate.
pub struct Tool {
    /// The name of the crate.
    pub name: &'static str,
    /// The name of its program.
    pub program: &'static str,
    /// Pinned, so that a new release cannot break an old commit.
    pub version: &'static str,
}

/// Checks licences, banned crates, sources and advisories.
pub const DENY: Tool = Tool {
    name: "cargo-deny",
    program: "cargo-deny",
    version: "0.20.2",
};
/// Builds a binary that contains the list of its dependencies.
pub const AUDITABLE: Tool = Tool {
    name: "cargo-auditable",
    program: "cargo-auditable",
    version: "0.7.7",
};
/// Writes the bill of materials.
pub const CYCLONEDX: Tool = Tool {
    name: "cargo-cyclonedx",
    program: "cargo-cyclonedx",
    version: "0.5.9",
};
/// Builds Debian packages.
pub const DEB: Tool = Tool {
    name: "cargo-deb",
    program: "cargo-deb",
    version: "3.8.0",
};
/// Builds RPM packages.
pub const RPM: Tool = Tool {
    name: "cargo-generate-rpm",
    program: "cargo-generate-rpm",
    version: "0.21.1",
};
/// Formats Nix as nixpkgs wants it.
pub const NIXFMT: Tool = Tool {
    name: "nixfmt_rs",
    program: "nixfmt",
    version: "0.5.3",
};

impl Tool {
    /// The program, installed first if missing.
    ///
    /// # Errors
    /// When it cannot be installed, which requires the crate registry.
    pub fn installed(&self) -> Result<PathBuf> {
        self.installed_with(&[])
    }

    /// As [`Tool::installed`], built with these options of cargo.
    ///
    /// # Errors
    /// As [`Tool::installed`].
    pub fn installed_with(&self, options: &[&str]) -> Result<PathBuf> {
        let Self {
            name,
            program,
            version,
        } = self;
        let root = cache::folder("tools")?.join(format!("{name}-{version}"));
        let program = root.join("bin").join(program);
        if program.is_file() {
            return Ok(program);
        }
        println!("installing {name} {version} into {}", root.display());
        let mut install = command::cargo();
        install
            .args(["install", "--locked", name])
            .args(["--version", version, "--root"])
            .arg(&root)
            .args(options)
            // Keeps its few hundred crates out of the caller's target folder.
            .env("CARGO_TARGET_DIR", cache::folder("tools-target")?)
            // The tools run for seconds, so optimising them would cost more than it saves.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
        Progress::begin(*name)
            .follow(progress::of_cargo(&mut install))
            .with_context(|| format!("{name} could not be installed"))?;
        Ok(program)
    }
}
