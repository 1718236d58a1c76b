//! The flake with the offline package set in place of nixpkgs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use xtask::targets;

use super::nix::Nix;
use crate::{
    apt::Scratch,
    cache, clone,
    command::{self, said},
    dist,
};

/// A flake to check.
pub struct Flake {
    pub nix: Nix,
    /// Nix's name of this system.
    pub system: String,
    /// A copy of the repository's files, for mutants.
    pub copy: Scratch,
    standin: Scratch,
    _vendor: Scratch,
}

impl Flake {
    /// Copies the package set and configures the paths of this machine's tools. The folders have
    /// the same names in each run, because Nix identifies builds by them.
    ///
    /// # Errors
    /// When crates cannot be fetched or a tool is missing.
    pub fn prepare(folder: &Path, mut nix: Nix, builds: bool, with_static: bool) -> Result<Self> {
        let vendor = Scratch::new(folder.join("vendor"))?;
        if builds {
            println!("vendoring the crates");
            let mut cargo = command::cargo();
            cargo
                .args(["vendor", "--quiet", "--locked", "--versioned-dirs"])
                .arg(vendor.path());
            if said(&mut cargo).is_err() {
                bail!("the crates cannot be fetched; mend it with: cargo fetch --locked");
            }
        }
        let sysroot = said(command::new("rustc").args(["--print", "sysroot"]))?;
        let version = said(command::new("rustc").arg("--version"))?;
        for path in [Path::new(sysroot.trim()), vendor.path()] {
            nix.show(path)?;
        }
        let (library, venv) = if with_static {
            static_rust(&mut nix)?
        } else {
            Default::default()
        };

        let copy = copy(folder)?;
        // By its contents in the store, so that a build notices every change.
        let copied = copy.path().display().to_string();
        let sources = nix.run(&["store", "add", "--name", "source", &copied])?;
        let standin = Scratch::new(folder.join("standin"))?;
        for entry in fs::read_dir(cache::repository().join("nix/offline"))? {
            let entry = entry?;
            if entry.file_name() == "README.md" {
                continue;
            }
            fs::copy(entry.path(), standin.path().join(entry.file_name()))?;
        }
        let text = |value: &Path| format!("{:?}", value.display().to_string());
        fs::write(
            standin.path().join("host.nix"),
            format!(
                "{{\n  path = \"/usr/bin:/bin\";\n  rustToolchain = {};\n  rustVersion = {:?};\n  vendor = {};\n  sources = {:?};\n  rustSrc = {};\n  zigbuild = {};\n}}\n",
                text(Path::new(sysroot.trim())),
                version.trim(),
                text(&vendor.path().canonicalize()?),
                sources.trim(),
                text(&library),
                text(&venv),
            ),
        )?;
        let system = nix.run(&[
            "eval",
            "--raw",
            "--impure",
            "--expr",
            "builtins.currentSystem",
        ])?;
        Ok(Self {
            copy,
            nix,
            system,
            standin,
            _vendor: vendor,
        })
    }

    /// An attribute of the flake in the clone.
    pub fn own(&self, attribute: &str) -> String {
        format!(".#{attribute}")
    }

    /// An attribute of the flake in the copy.
    pub fn mutant(&self, attribute: &str) -> String {
        format!("path:{}#{attribute}", self.copy.path().display())
    }

    /// Runs `nix WORDS…` with the offline package set.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, words: &[&str], rest: &[&str]) -> Result<String> {
        let standin = format!("path:{}", self.standin.path().display());
        let mut command = self.nix.command();
        command
            .args(words)
            .args(["--override-input", "nixpkgs", &standin])
            .arg("--no-write-lock-file")
            .args(rest);
        said(&mut command)
    }

    /// The value of an attribute as JSON.
    ///
    /// # Errors
    /// When it does not evaluate.
    pub fn json(&self, attribute: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(
            &self.run(&["eval", "--json", attribute], &[])?,
        )?)
    }

    /// An attribute of `form.nix`, which has nixpkgs' form of the recipes in `root`, evaluated under
    /// nixpkgs' rule that evaluation reads nothing that a build makes.
    ///
    /// # Errors
    /// When it does not evaluate.
    pub fn form(&self, root: &Path, attribute: &str) -> Result<serde_json::Value> {
        let triples: Vec<_> = targets::ALL
            .iter()
            .map(|row| format!("{:?}", row.nix))
            .collect();
        let expression = format!(
            "(import (/. + {:?}) {{ system = {:?}; root = /. + {:?}; triples = [ {} ]; }}).{attribute}",
            self.standin.path().join("form.nix"),
            self.system,
            root,
            triples.join(" "),
        );
        Ok(serde_json::from_str(&self.nix.run(&[
            "eval",
            "--json",
            "--impure",
            "--option",
            "allow-import-from-derivation",
            "false",
            "--expr",
            &expression,
        ])?)?)
    }

    /// Builds an attribute; returns its path.
    ///
    /// # Errors
    /// When it does not build; contains the end of its log.
    pub fn build(&self, attribute: &str) -> Result<PathBuf> {
        let words = [
            "build",
            "--no-link",
            "--print-out-paths",
            "--print-build-logs",
        ];
        let path = self.run(&[&words[..], &[&self.own(attribute)]].concat(), &[])?;
        Ok(path.trim().into())
    }
}

fn copy(folder: &Path) -> Result<Scratch> {
    let copy = Scratch::new(folder.join("mutant"))?;
    clone::copy_sources(copy.path())?;
    Ok(copy)
}

/// The standard library's sources and zig, as used by `cargo xtask dist`.
fn static_rust(nix: &mut Nix) -> Result<(PathBuf, PathBuf)> {
    let (library, venv) = dist::static_rust()?;
    nix.show(&library)?;
    nix.show(&venv)?;
    Ok((library, venv))
}
