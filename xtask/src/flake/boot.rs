//! The test of the NixOS module without NixOS: the unit that the module generates, on a Debian that
//! boots its own systemd in a container, checked by the module's own test script. It proves what
//! systemd does with the unit, and nothing about NixOS.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use anyhow::{Context as _, Result, bail};

use super::offline::Flake;
use crate::{
    apt::{Scratch, mirror},
    cache,
    command::{self, said},
};

/// New enough for programs that were linked on this machine, and has ImageMagick 7.
const SUITE: &str = "trixie";
const PACKAGES: &str = "systemd,systemd-sysv,dbus,libnss-systemd,curl,imagemagick,python3-minimal";

/// Where this Nix store is mounted in the container. The unit hides `/tmp`, `/var/tmp` and home
/// folders, where the cache may be.
const STORE: &str = "/srv/store";

const DRIVER: &str = "\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'python3 /srv/driver.py server /srv/test.py >/srv/output 2>&1 && touch /srv/passed'
ExecStopPost=systemctl --no-block poweroff
";

/// # Errors
/// When the script fails; contains the end of its output.
pub fn test(flake: &Flake, folder: &Path) -> Result<()> {
    let attribute = format!("checks.{}.vm.standin.server", flake.system);
    let machine = flake.build(&attribute)?;
    let debian = debian(folder)?;
    let root = Scratch::new(folder.join("booted"))?;
    said(
        command::new("cp")
            .args(["--archive", "--no-target-directory"])
            .args([&debian, root.path()]),
    )?;

    let store = folder.join("store").display().to_string();
    let path = machine.display().to_string();
    let closure = flake.nix.run(&["path-info", "--recursive", &path])?;
    for path in closure.lines().map(Path::new) {
        let name = path.file_name().context("a store path has a name")?;
        lay(path, &root.path().join(&STORE[1..]).join(name), &store)?;
    }
    lay(&machine, root.path(), &store)?;
    let driver = cache::repository().join("nix/offline/driver.py");
    fs::copy(driver, root.path().join("srv/driver.py"))?;
    let units = root.path().join("etc/systemd/system");
    fs::write(units.join("driver.service"), DRIVER)?;
    symlink(
        "../driver.service",
        units.join("multi-user.target.wants/driver.service"),
    )?;

    let mut nspawn = command::new("timeout");
    nspawn
        .args(["120", "systemd-nspawn", "--quiet", "--register=no"])
        .args(["--keep-unit", "--boot", "--directory"])
        .arg(root.path());
    let booted = said(&mut nspawn);
    if root.path().join("srv/passed").exists() {
        return Ok(());
    }
    // The output of the script is more useful than that of the container.
    let output = fs::read_to_string(root.path().join("srv/output")).unwrap_or_default();
    let lines: Vec<_> = output.lines().collect();
    let end = lines.len().saturating_sub(20);
    match booted {
        Err(error) if lines.is_empty() => Err(error),
        _ => bail!("{}", lines[end..].join("\n")),
    }
}

/// A bootable Debian, built once.
fn debian(folder: &Path) -> Result<std::path::PathBuf> {
    let made = folder.join(SUITE);
    if !made.is_dir() {
        println!("making a Debian {SUITE} in {} (minutes)", made.display());
        let part = Scratch::new(folder.join("debian.part"))?;
        said(
            command::new("debootstrap")
                .args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE])
                .arg(part.path())
                .arg(mirror()?),
        )
        .context("it wants root and Debian's packages")?;
        // Renamed last, so that an interrupted build does not look complete.
        fs::rename(part.path(), &made)?;
    }
    Ok(made)
}

/// Copies a tree, replacing the path of the store by [`STORE`].
fn lay(from: &Path, to: &Path, store: &str) -> Result<()> {
    let kind = from.symlink_metadata()?;
    if kind.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            lay(&entry.path(), &to.join(entry.file_name()), store)?;
        }
    } else if kind.is_symlink() {
        let target = fs::read_link(from)?.display().to_string();
        symlink(target.replace(store, STORE), to)?;
    } else {
        let bytes = fs::read(from)?;
        match String::from_utf8(bytes) {
            Ok(text) => fs::write(to, text.replace(store, STORE))?,
            Err(error) => fs::write(to, error.into_bytes())?,
        }
        fs::set_permissions(to, fs::Permissions::from_mode(kind.permissions().mode()))?;
    }
    Ok(())
}
