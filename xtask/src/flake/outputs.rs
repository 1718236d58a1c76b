//! Builds and runs the outputs of the flake.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::{evaluate::package, offline::Flake, report::Report, serve};
use crate::{
    cache,
    command::{self, said},
};
use xtask::targets;

/// Both packages, the app, and the unit of the module.
pub fn native(flake: &Flake, report: &mut Report) {
    println!("building; the first time takes minutes");
    let build = |name: &str| flake.build(&package(flake, "", name));
    let bare = report.step("nix build .#pict-rs-unwrapped, with its unit tests", || {
        build("pict-rs-unwrapped")
    });
    if let Some(bare) = &bare {
        report.step("it refers to no other store path", || alone(flake, bare));
        report.step("it has the notices of its crates", || {
            let rustc = command::output(command::new("rustc").arg("-vV"))?;
            let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
            notices(bare, host.context("rustc names no host")?)
        });
    }
    if let Some(wrapped) = report.step("nix build .#pict-rs", || build("pict-rs")) {
        report.step("its wrapper puts three helpers on PATH", || {
            helpers(&wrapped)
        });
        report.step("it boots, is healthy, takes a picture", || {
            serve::check(&wrapped.join("bin/pict-rs"))
        });
    }
    report.step("nix run . -- --version", || {
        flake.run(&["run", "."], &["--", "--version"])
    });
    report.step("nix build of the check fmt", || check(flake, "fmt"));
    report.step("nix build of the check cleaning", || {
        check(flake, "cleaning")
    });
    if flake.system.ends_with("linux") {
        report.step("the native package is linked dynamically", || {
            check(flake, "linkage")
        });
        report.step("systemd finds the unit closed", || unit(flake));
    }
}

/// The checks that run cargo.
pub fn checks(flake: &Flake, report: &mut Report) {
    for name in ["clippy", "tests", "version"] {
        report.step(&format!("nix build of the check {name}"), || {
            check(flake, name)
        });
    }
}

/// One static package: the job of the same name proves that it is static and boots.
pub fn static_package(flake: &Flake, name: &str, report: &mut Report) {
    println!("building pict-rs-{name}; the first time takes minutes");
    let built = report.step(&format!("nix build .#pict-rs-{name}"), || {
        flake.build(&package(flake, "", &format!("pict-rs-{name}")))
    });
    if let Some(path) = built {
        report.step("it refers to no other store path", || alone(flake, &path));
        report.step("it has the notices of its crates", || {
            let row = targets::ALL.iter().find(|row| row.name == name);
            notices(&path, row.context("no such target")?.rust)
        });
        report.step(&format!("pict-rs-{name} is static and serves"), || {
            build(flake, &format!("hydraJobs.{}.boots-{name}", flake.system))
        });
    }
}

fn check(flake: &Flake, name: &str) -> Result<()> {
    build(flake, &format!("checks.{}.{name}", flake.system))
}

fn build(flake: &Flake, attribute: &str) -> Result<()> {
    flake.build(attribute).map(drop)
}

fn alone(flake: &Flake, path: &Path) -> Result<()> {
    let path = path.display().to_string();
    let closure = flake.nix.run(&["path-info", "--recursive", &path])?;
    ensure!(closure.trim() == path, "{closure}");
    Ok(())
}

/// Compares the notices, which the sandbox made of vendored crates, with what the same program says
/// of the crates in cargo's own folder.
fn notices(package: &Path, triple: &str) -> Result<()> {
    let file: PathBuf = package.join("share/doc/pict-rs").join(notices::FILE);
    let found = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let expected = notices::of(
        command::cargo(),
        &cache::repository(),
        triple,
        "pict-rs/libaom",
    )?;
    ensure!(found == expected, "{} has other notices", file.display());
    Ok(())
}

fn helpers(wrapped: &Path) -> Result<()> {
    let wrapper = fs::read_to_string(wrapped.join("bin/pict-rs"))?;
    for name in super::evaluate::HELPERS {
        ensure!(
            wrapper.contains(&format!("-{name}/bin")),
            "it lacks {name}: {wrapper}"
        );
    }
    Ok(())
}

/// Checks the unit with systemd, without running it.
fn unit(flake: &Flake) -> Result<()> {
    let machine = flake.build(&format!("checks.{}.vm.standin.server", flake.system))?;
    let unit = machine.join("etc/systemd/system/pict-rs.service");
    ensure!(
        command::is_installed("systemd-analyze"),
        "systemd-analyze is missing; mend it with: apt-get install systemd"
    );
    said(command::new("systemd-analyze").arg("verify").arg(&unit))?;
    // In tenths: the test of the virtual machine has the same threshold.
    said(
        command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
            .arg(&unit),
    )?;
    Ok(())
}
