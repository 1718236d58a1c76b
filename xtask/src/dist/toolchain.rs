//! The toolchain for static musl binaries: a C compiler and linker for each target (zig, driven by
//! cargo-zigbuild) and the targets' standard library. If rustup has installed the library for all
//! of them and it needs no change, that is used; otherwise cargo builds it from the sources of
//! exactly this compiler.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};

use super::target::Target;
use crate::{
    aom::{self, Library},
    apt::{Apt, Scratch},
    cache, command,
};

/// Pinned together, because cargo-zigbuild works around bugs of particular versions of zig.
const WHEELS: [&str; 2] = ["cargo-zigbuild==0.24.0", "ziglang==0.17.1"];
/// Suites of Debian that may have the sources of a compiler newer than the machine's own.
const SUITES: &[&str] = &["trixie-backports", "trixie", "sid"];

/// A complete toolchain.
pub struct Toolchain {
    /// A Python environment with cargo-zigbuild and zig.
    pub venv: PathBuf,
    /// The standard library's sources (`library` of the Rust repository), patched; `None` if
    /// rustup's libraries are used.
    pub library: Option<PathBuf>,
    /// The commit that the compiler was built from, as in its debug information.
    pub rustc_commit: String,
    /// The version of the compiler and of the standard library.
    pub rustc_version: String,
}

impl Toolchain {
    /// Provides what is missing for `targets`.
    ///
    /// # Errors
    /// One line that names what is missing, with the command that fixes it.
    pub fn ensure(targets: &[&Target]) -> Result<Self> {
        let rustc = Rustc::ask()?;
        Ok(Self {
            venv: zig()?,
            library: match targets
                .iter()
                .all(|target| target.rustup_will_do && has_std(target))
            {
                true => None,
                false => Some(std_sources(&rustc)?),
            },
            rustc_commit: rustc.commit,
            rustc_version: rustc.version,
        })
    }

    /// The zig program.
    ///
    /// # Errors
    /// When the Python environment has an unexpected layout.
    pub fn zig(&self) -> Result<PathBuf> {
        zig_in(&self.venv).context("the Python environment holds no zig")
    }

    /// libaom for a target.
    ///
    /// # Errors
    /// When it is not in the cache and cannot be built.
    pub fn libaom(&self, target: &Target) -> Result<Library> {
        aom::library(&aom::Compiler::Zig {
            zig: &self.zig()?,
            version: WHEELS[1].trim_start_matches("ziglang=="),
            target: target.zig,
            cpu: target.zig_cpu,
        })
    }

    /// The versions of zig and cargo-zigbuild.
    pub fn wheels(&self) -> String {
        WHEELS.join(" ")
    }

    /// The folder that contains cargo-zigbuild.
    pub fn programs(&self) -> PathBuf {
        self.venv.join("bin")
    }
}

struct Rustc {
    version: String,
    commit: String,
    sysroot: PathBuf,
}

impl Rustc {
    fn ask() -> Result<Self> {
        let text = command::output(command::new("rustc").arg("-vV"))?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::to_owned)
                .with_context(|| format!("rustc -vV names no {name}"))
        };
        let sysroot = command::output(command::new("rustc").args(["--print", "sysroot"]))?;
        Ok(Self {
            version: field("release: ")?,
            commit: field("commit-hash: ")?,
            sysroot: sysroot.trim().into(),
        })
    }
}

fn has_std(target: &Target) -> bool {
    let folder = command::new("rustc")
        .args(["--print", "target-libdir", "--target", target.rust])
        .stderr(Stdio::null())
        .output();
    folder.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout);
        let files = fs::read_dir(folder.trim());
        files.is_ok_and(|mut files| {
            files.any(|file| {
                file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
            })
        })
    })
}

/// A separate Python environment, because a system's Python refuses to install other packages.
fn zig() -> Result<PathBuf> {
    let name = WHEELS.join("-").replace("==", "-");
    let venv = cache::folder("tools")?.join(name);
    if venv.join("bin/cargo-zigbuild").is_file() && zig_in(&venv).is_some() {
        return Ok(venv);
    }
    println!("installing {} into {}", WHEELS.join(" "), venv.display());
    let made = command::run(command::new("python3").args(["-m", "venv"]).arg(&venv));
    made.context("there is no Python with venv; mend it: sudo apt-get install python3-venv")?;
    let mut pip = command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"])
        .args(WHEELS);
    if let Err(error) = command::run(&mut pip) {
        // A partial environment must not look complete.
        let _ = fs::remove_dir_all(&venv);
        return Err(error.context("zig could not be fetched from PyPI; mend it: go online"));
    }
    Ok(venv)
}

fn zig_in(venv: &Path) -> Option<PathBuf> {
    fs::read_dir(venv.join("lib"))
        .ok()?
        .flatten()
        .map(|python| python.path().join("site-packages/ziglang/zig"))
        .find(|zig| zig.is_file())
}

/// The sources of exactly the compiler's version, patched, in the cache: a copy of rustup's
/// component `rust-src` if installed, else Debian's package of it, from any suite that has it.
fn std_sources(rustc: &Rustc) -> Result<PathBuf> {
    let version = &rustc.version;
    let folder = cache::folder("tools")?.join(format!("rust-src-{version}-time64"));
    let library = folder.join("library");
    if library.is_dir() {
        return Ok(library);
    }
    let scratch = Scratch::new(folder.with_extension("partial"))?;
    let unmended = scratch.path().join("library");
    let component = rustc.sysroot.join("lib/rustlib/src/rust/library");
    if component.is_dir() {
        let mut copy = command::new("cp");
        command::run(copy.arg("--recursive").arg(component).arg(&unmended))?;
    } else {
        debian_sources(version, &scratch, &unmended)?;
    }
    tell_time_after_2038(&unmended)?;
    fs::create_dir_all(&folder)?;
    fs::rename(&unmended, &library)?;
    Ok(library)
}

fn debian_sources(version: &str, scratch: &Scratch, to: &Path) -> Result<()> {
    let mend = "mend it: rustup component add rust-src";
    if !command::is_installed("apt-get") || !command::is_installed("dpkg-deb") {
        bail!("the sources of Rust's standard library are not installed; {mend}");
    }
    println!("fetching the sources of Rust's standard library {version}");
    let package = Apt::new(scratch.path(), SUITES)?
        .download("rust-src", version)
        .with_context(|| format!("no sources of Rust's standard library {version}; {mend}"))?;
    let unpacked = scratch.path().join("unpacked");
    command::run(
        command::new("dpkg-deb")
            .arg("--extract")
            .arg(&package)
            .arg(&unpacked),
    )?;
    let sources = unpacked.join(format!("usr/src/rustc-{version}/library"));
    fs::rename(&sources, to).with_context(|| format!("the package has no {}", sources.display()))
}

/// On 32-bit systems the standard library asks glibc for the time in 64 bits, but musl in 32: from
/// 2038 on `SystemTime::now()` would panic. musl has the same function under the same name, so it
/// is enough to extend the condition to both.
fn tell_time_after_2038(library: &Path) -> Result<()> {
    let file = library.join("std/src/sys/pal/unix/time.rs");
    let text = fs::read_to_string(&file)
        .with_context(|| format!("no standard library in {}", library.display()))?;
    let mended = text.replace(
        "target_env = \"gnu\",",
        "any(target_env = \"gnu\", target_env = \"musl\"),",
    );
    if !text.contains("fn __clock_gettime64") || mended == text {
        bail!("this standard library tells the time in another way: look at tell_time_after_2038");
    }
    fs::write(file, mended)?;
    Ok(())
}
