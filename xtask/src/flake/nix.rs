//! Nix itself: the one on PATH, or Debian's newest in a private folder, without installing anything
//! on the machine.
//!
//! Both keep their store in that folder (`NIX_STORE_DIR` and similar variables), so root is not
//! needed, nothing is created under `/nix`, and builds are reused by the next run. The price is
//! that no binary cache can be used, which does not matter because nothing is fetched.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    apt::{Apt, Scratch},
    command::{self, said},
    provision::Install,
};

/// A Nix with its own store.
pub struct Nix {
    program: PathBuf,
    folder: PathBuf,
    /// Folders of the machine that the sandbox shows.
    sandbox: Vec<PathBuf>,
}

/// The suite of Debian's Nix. Older suites have versions that do not understand the whole lock
/// file.
const SUITE: &str = "sid";

/// Finds or fetches Nix.
///
/// # Errors
/// When there is none and it cannot be fetched; says how to get it.
pub fn ensure(folder: &Path, install: Install) -> Result<Nix> {
    let private = folder.join(SUITE);
    let mut program = private.join("bin/nix");
    if !program.is_file() {
        if command::is_installed("nix") {
            program = "nix".into();
        } else if install.may_fetch() {
            fetch(folder, &private)?;
        } else {
            bail!("there is no nix; mend it with: cargo xtask flake, without --no-install");
        }
    }
    let nix = Nix {
        program,
        folder: folder.to_owned(),
        sandbox: Vec::new(),
    };
    println!("{}", nix.run(&["--version"])?.trim());
    Ok(nix)
}

impl Nix {
    /// Makes a folder of the machine visible to builders.
    pub fn show(&mut self, path: &Path) -> Result<()> {
        let path = path
            .canonicalize()
            .with_context(|| format!("{} is not there", path.display()))?;
        self.sandbox.push(path);
        Ok(())
    }

    /// # Errors
    /// When the file is not valid Nix.
    pub fn parse(&self, file: &str) -> Result<()> {
        let mut command = self.of(&self.program.with_file_name("nix-instantiate"));
        said(command.args(["--parse", file])).map(drop)
    }

    /// The hash of a folder, as recipes have it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn hash(&self, folder: &Path) -> Result<String> {
        let folder = folder.display().to_string();
        Ok(self.run(&["hash", "path", &folder])?.trim().to_owned())
    }

    /// A command of Nix.
    pub fn command(&self) -> Command {
        self.of(&self.program)
    }

    fn of(&self, program: &Path) -> Command {
        let mut paths = vec!["/bin", "/usr", "/lib", "/lib64", "/etc/alternatives"];
        // Not every machine has all of them.
        paths.retain(|path| Path::new(path).exists());
        let paths: Vec<_> = paths
            .into_iter()
            .map(str::to_owned)
            .chain(self.sandbox.iter().map(|path| path.display().to_string()))
            .collect();
        let config = format!(
            "experimental-features = nix-command flakes\n\
             build-users-group =\n\
             substituters =\n\
             sandbox = true\n\
             sandbox-paths = {}\n\
             warn-dirty = false\n\
             flake-registry =\n",
            paths.join(" ")
        );
        let mut command = command::new(program);
        command
            .env("NIX_CONFIG", config)
            .env("NIX_REMOTE", "local")
            .env("NIX_STORE_DIR", self.folder.join("store"))
            .env("NIX_STATE_DIR", self.folder.join("var"))
            .env("NIX_LOG_DIR", self.folder.join("log"))
            .env("NIX_CONF_DIR", self.folder.join("etc"));
        command
    }

    /// Runs Nix and returns standard output.
    ///
    /// # Errors
    /// When it fails; contains the last lines of its output.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        said(self.command().args(arguments))
    }
}

/// Debian's `nix-bin` and all its dependencies, including its C library, unpacked into `private`.
/// apt checks the archive's signature and every file's checksum.
fn fetch(folder: &Path, private: &Path) -> Result<()> {
    ensure!(
        command::is_installed("apt-get"),
        "there is no nix and no apt-get to fetch it with; mend it with: install Nix, see nixos.org"
    );
    ensure!(
        command::is_installed("patchelf"),
        "patchelf is missing; mend it with: apt-get install patchelf"
    );
    println!(
        "fetching Nix from Debian {SUITE} into {}",
        private.display()
    );
    let scratch = Scratch::new(folder.join("fetch"))?;
    let packages = Apt::new(scratch.path(), &[SUITE])?
        .download_closure("nix-bin")
        .with_context(|| {
            format!(
                "Debian {SUITE} cannot be reached; mend it with: apt-get update, until that works"
            )
        })?;
    let root = scratch.path().join("root");
    fs::create_dir_all(&root)?;
    for package in packages {
        said(command::new("dpkg-deb").arg("-x").arg(&package).arg(&root))?;
    }
    place(&root, private)
}

/// Moves what Nix needs into place and sets the library path of the program.
fn place(unpacked: &Path, private: &Path) -> Result<()> {
    let root = private.join("root");
    let _ = fs::remove_dir_all(private);
    fs::create_dir_all(private.join("bin"))?;
    fs::rename(unpacked, &root)?;
    for useless in ["usr/share/doc", "usr/share/man", "usr/share/locale"] {
        let _ = fs::remove_dir_all(root.join(useless));
    }
    let loader = ["usr/lib", "lib", "lib64", "usr/lib64"]
        .iter()
        .flat_map(|folder| loaders(&root.join(folder)))
        .next()
        .context("the packages hold no dynamic loader")?;
    let libraries = loader.parent().context("a file has a folder")?;
    let program = private.join("bin/nix.new");
    fs::copy(root.join("usr/bin/nix"), &program)?;
    // Unlike a RUNPATH, an RPATH also applies to the dependencies of libraries, and unlike
    // LD_LIBRARY_PATH it does not affect git or builders.
    said(
        command::new("patchelf")
            .arg("--set-interpreter")
            .arg(&loader)
            .args(["--force-rpath", "--set-rpath"])
            .arg(format!(
                "{0}:{0}/nix:{1}",
                libraries.display(),
                root.join("usr/lib").display()
            ))
            .arg(&program),
    )?;
    for name in ["nix-instantiate", "nix-store", "nix-build"] {
        std::os::unix::fs::symlink("nix", private.join("bin").join(name))?;
    }
    // Renamed last, so that an interrupted fetch does not look complete.
    fs::rename(program, private.join("bin/nix"))?;
    Ok(())
}

/// `ld-linux-*.so.*` in a folder or one level below.
fn loaders(folder: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect()
    };
    let here = list(folder);
    let below = here
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|p| list(p));
    let all: Vec<_> = below.chain(here.clone()).collect();
    all.into_iter()
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("ld-linux-"))
        })
        .collect()
}
