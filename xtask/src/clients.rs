//! Third-party programs that use the API: the published examples and tests of the existing pict-rs,
//! schemathesis, the parser of Prometheus' own client library, and axe, which finds what makes pages
//! hard to use for some people. The ordinary clients of their
//! registries fetch them into the cache; they never become part of this repository.

mod suite;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, bail};

use crate::provision::{Install, Programs};
use crate::{cache, command, provision};

/// The crate that contains the examples.
const CRATE: &str = "pict-rs";
const VERSION: &str = "0.6.0-rc.6";
/// The imports of the Python example, the parser of metrics, and the API tester.
const PYTHON: [&str; 4] = [
    "aiofiles==25.1.0",
    "aiohttp==3.14.5",
    "prometheus-client==0.23.1",
    "schemathesis==4.32.5",
];

/// Checks pages; from npm.
const AXE: &str = "axe-core@4.14.1";

/// Programs that all of this needs.
pub static PROGRAMS: Programs = LazyLock::new(|| provision::list("clients"));

/// Options of `cargo xtask clients`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    install: Install,
}

/// Fetches everything and prints the folder.
///
/// # Errors
/// As [`prepare`].
pub fn run(args: &Args) -> Result<ExitCode> {
    let folder = prepare(args.install)?;
    println!("PICTRS_TEST_CLIENTS_DIR={}", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// A folder with `axe`, `client-examples`, `python` and `suite`, for `PICTRS_TEST_CLIENTS_DIR`.
///
/// # Errors
/// When something cannot be obtained.
pub fn prepare(install: Install) -> Result<PathBuf> {
    let missing = provision::ensure(&PROGRAMS, install)?;
    if let Some(program) = missing.first() {
        bail!("{} is missing: {}", program.name, program.purpose);
    }
    let package = Package::in_cache()?;
    let folder = package.folder.clone();
    let examples = folder.join("client-examples");
    if !examples.join("javascript/node_modules/node-fetch").is_dir() {
        package.unpack(EXAMPLES, &folder)?;
        let mut npm = command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund"]);
        command::run(npm.current_dir(examples.join("javascript")))?;
    }
    let python = folder.join("python");
    // Written last, so that an interrupted installation is repeated.
    let done = python.join("installed");
    let wanted = PYTHON.join(" ");
    if !fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        command::run(command::new("python3").args(["-m", "venv"]).arg(&python))?;
        let mut pip = command::new(python.join("bin/pip"));
        command::run(pip.args(["install", "--quiet"]).args(PYTHON))?;
        fs::write(done, wanted)?;
    }
    let axe = folder.join("axe");
    let done = axe.join("installed");
    if !fs::read_to_string(&done).is_ok_and(|found| found == AXE) {
        fs::create_dir_all(&axe)?;
        let mut npm = command::new("npm");
        npm.args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            AXE,
            "--prefix",
        ]);
        command::run(npm.arg(&axe))?;
        fs::write(done, AXE)?;
    }
    suite::prepare(&package)?;
    Ok(folder)
}

/// The animation that the published examples upload: 44 frames of 400 × 400.
///
/// # Errors
/// When it cannot be obtained.
pub fn animation() -> Result<PathBuf> {
    let package = Package::in_cache()?;
    let animation = package.folder.join("client-examples/earth.gif");
    if !animation.is_file() {
        package.unpack(EXAMPLES, &package.folder)?;
    }
    Ok(animation)
}

const EXAMPLES: &str = "client-examples";

/// The published package, and where it is unpacked.
struct Package {
    folder: PathBuf,
}

impl Package {
    fn in_cache() -> Result<Self> {
        let folder = cache::folder("clients")?.join(VERSION);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Copies a folder of the package to another folder.
    fn unpack(&self, part: &str, to: &Path) -> Result<()> {
        let mut tar = command::new("tar");
        tar.arg("-xzf").arg(self.archive()?).arg("-C").arg(to);
        tar.arg("--strip-components=1")
            .arg(format!("{CRATE}-{VERSION}/{part}"));
        command::run(&mut tar).with_context(|| format!("the package has no {part}"))
    }

    /// The archive of the crate, which cargo stores; `cargo info` fetches it without its
    /// dependencies.
    fn archive(&self) -> Result<PathBuf> {
        let mut info = command::cargo();
        info.args(["info", "--quiet", "--registry", "crates-io"]);
        // Outside the clone, whose own package has the same name.
        info.arg(format!("{CRATE}@{VERSION}"))
            .current_dir(&self.folder);
        command::said(&mut info).context("the published package cannot be had")?;
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home
            .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
            .context("cargo has no home")?;
        let name = format!("{CRATE}-{VERSION}.crate");
        let mut archives = fs::read_dir(home.join("registry/cache"))?
            .filter_map(|entry| Some(entry.ok()?.path().join(&name)));
        archives
            .find(|archive| archive.is_file())
            .context("cargo has not kept the crate")
    }
}
