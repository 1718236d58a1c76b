//! S3 servers that others wrote, for tests of the object store: moto from PyPI, which is in Python and
//! takes any key, and from crates.io s3s-fs, which checks signatures, and Garage, which people run.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;
use std::{fs, io};

use anyhow::{Context as _, Result, bail};

use crate::provision::{Install, Programs};
use crate::tool::Tool;
use crate::{cache, command, provision};

/// Pinned, so that a new release cannot break an old commit.
const MOTO: &str = "moto[server,s3]==5.2.5";
const S3S: Tool = Tool {
    name: "s3s-fs",
    program: "s3s-fs",
    version: "0.14.1",
};
/// The same as in contrib/scaling, which a test checks.
const GARAGE: Tool = Tool {
    name: "garage",
    program: "garage",
    version: "2.3.0",
};

/// Programs that this needs.
pub static PROGRAMS: Programs = LazyLock::new(|| provision::list("s3"));

/// Options of `cargo xtask s3`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    install: Install,
}

/// Installs them and prints the folder.
///
/// # Errors
/// As [`prepare`].
pub fn run(args: &Args) -> Result<ExitCode> {
    let folder = prepare(args.install)?;
    println!("PICTRS_TEST_S3_DIR={}", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// A folder with `moto/bin/moto_server`, `s3s-fs/bin/s3s-fs` and `garage/bin/garage`, for
/// `PICTRS_TEST_S3_DIR`.
///
/// # Errors
/// When one of them cannot be installed.
pub fn prepare(install: Install) -> Result<PathBuf> {
    let missing = provision::ensure(&PROGRAMS, install)?;
    if let Some(program) = missing.first() {
        bail!("{} is missing: {}", program.name, program.purpose);
    }
    let folder = cache::folder("s3")?;
    moto(&folder.join("moto"))?;
    tool(&S3S, &["--features", "binary"], &folder)?;
    // With one database of the three that it can have.
    let options = ["--no-default-features", "--features", "bundled-libs,sqlite"];
    tool(&GARAGE, &options, &folder)?;
    Ok(folder)
}

fn moto(venv: &Path) -> Result<()> {
    // Written last, so that an interrupted installation is repeated.
    let done = venv.join("installed");
    if fs::read_to_string(&done).is_ok_and(|found| found == MOTO) {
        return Ok(());
    }
    println!("installing {MOTO} into {}", venv.display());
    command::run(command::new("python3").args(["-m", "venv"]).arg(venv))?;
    let mut pip = command::new(venv.join("bin/pip"));
    command::run(pip.args(["install", "--quiet", "--disable-pip-version-check", MOTO]))?;
    fs::write(done, MOTO)?;
    Ok(())
}

/// Installs a program and links its folder by its name, without its version.
fn tool(tool: &Tool, options: &[&str], folder: &Path) -> Result<()> {
    let program = tool.installed_with(options)?;
    let root = program.parent().and_then(Path::parent);
    let root = root.context("a program is in a folder")?;
    let link = folder.join(tool.name);
    match fs::remove_file(&link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(symlink(root, link)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn garage_is_the_one_that_the_file_for_scaling_starts() {
        let compose = include_str!("../../contrib/scaling/docker-compose.yml");
        let image = format!("image: dxflrs/garage:v{}\n", super::GARAGE.version);
        assert!(compose.contains(&image), "{image}");
    }
}
