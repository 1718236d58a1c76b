//! Programs of others that speak to a server: the examples and the tests that the existing pict-rs
//! is published with, and schemathesis; and the parser of Prometheus' own client library. They are fetched by the ordinary clients of their
//! registries into the cache; nothing of them becomes part of this repository.

mod suite;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, bail};

use crate::provision::Programs;
use crate::{cache, command, provision};

/// The crate with the examples.
const CRATE: &str = "pict-rs";
const VERSION: &str = "0.6.0-rc.6";
/// What the Python example imports, the parser of metrics, and the tester.
const PYTHON: [&str; 4] = [
    "aiofiles==25.1.0",
    "aiohttp==3.14.5",
    "prometheus-client==0.23.1",
    "schemathesis==4.32.5",
];

/// What all of this needs.
pub static PROGRAMS: Programs = LazyLock::new(|| provision::list("clients"));

/// Fetches everything and prints where it lies.
///
/// # Errors
/// As [`prepare`].
pub fn run() -> Result<ExitCode> {
    let folder = prepare(true)?;
    println!("PICTRS_TEST_CLIENTS_DIR={}", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// A folder with `client-examples`, `python` and `suite`, for `PICTRS_TEST_CLIENTS_DIR`.
///
/// # Errors
/// When something cannot be had.
pub fn prepare(install: bool) -> Result<PathBuf> {
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
    // Written last, so that an interrupted installation is done again.
    let done = python.join("installed");
    let wanted = PYTHON.join(" ");
    if !fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        command::run(command::new("python3").args(["-m", "venv"]).arg(&python))?;
        let mut pip = command::new(python.join("bin/pip"));
        command::run(pip.args(["install", "--quiet"]).args(PYTHON))?;
        fs::write(done, wanted)?;
    }
    suite::prepare(&package)?;
    Ok(folder)
}

/// The animation that the published examples upload: 44 frames of 400 × 400.
///
/// # Errors
/// When it cannot be had.
pub fn animation() -> Result<PathBuf> {
    let package = Package::in_cache()?;
    let animation = package.folder.join("client-examples/earth.gif");
    if !animation.is_file() {
        package.unpack(EXAMPLES, &package.folder)?;
    }
    Ok(animation)
}

const EXAMPLES: &str = "client-examples";

/// The published package and where parts of it are unpacked.
struct Package {
    folder: PathBuf,
}

impl Package {
    fn in_cache() -> Result<Self> {
        let folder = cache::folder("clients")?.join(VERSION);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Puts a folder of the package into another folder.
    fn unpack(&self, part: &str, to: &Path) -> Result<()> {
        let mut tar = command::new("tar");
        tar.arg("-xzf").arg(self.archive()?).arg("-C").arg(to);
        tar.arg("--strip-components=1")
            .arg(format!("{CRATE}-{VERSION}/{part}"));
        command::run(&mut tar).with_context(|| format!("the package has no {part}"))
    }

    /// Cargo keeps what it fetches as an archive; asking about a crate fetches it alone, without
    /// what it depends on.
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
