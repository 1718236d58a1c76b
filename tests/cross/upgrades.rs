//! The life of a package on a machine: its scripts are run, from the first installation over an
//! upgrade with another configuration to the removal. They are the same for every processor.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::Target;
use super::machine::Machine;
use super::packages::{package, run};

const CONFIGURATION: &str = "etc/pict-rs/pict-rs.toml";
/// What an administrator writes, and what the next version of the package has.
const MINE: &str = "# from the administrator\n";
const NEXT: &str = "# from the next version\n";

/// Makes the creation of users fail.
struct NoUsers<'a>(&'a Machine);

impl<'a> NoUsers<'a> {
    const PROGRAM: &'static str = "usr/bin/systemd-sysusers";

    fn on(machine: &'a Machine) -> Self {
        let program = machine.path(Self::PROGRAM);
        std::fs::rename(&program, program.with_extension("real")).expect("systemd is there");
        let text = "#!/bin/sh\necho 'no users today' >&2\nexit 1\n";
        machine.write_program(Self::PROGRAM, text);
        Self(machine)
    }
}

impl Drop for NoUsers<'_> {
    fn drop(&mut self) {
        let program = self.0.path(Self::PROGRAM);
        std::fs::rename(program.with_extension("real"), &program).expect("it was renamed");
    }
}

/// The administrator's own line in the configuration.
fn change_configuration(machine: &Machine) {
    let text = machine.read(CONFIGURATION) + MINE;
    machine.write(CONFIGURATION, &text);
}

/// What the server leaves, and a removal must not take.
fn leave_data(machine: &Machine) {
    machine.write("var/lib/pict-rs/files/picture", "bytes");
}

fn assert_data_and_user_stay(machine: &Machine) {
    assert_eq!(machine.read("var/lib/pict-rs/files/picture"), "bytes");
    assert!(machine.has_user(), "files without an owner are left");
}

#[test]
fn the_debian_package_keeps_what_the_administrator_chose() {
    const TEST: &str = "the life of the .deb";
    let Some(first) = package(&Target::named("amd64"), TEST, "deb", &["dpkg", "dpkg-deb"]) else {
        return;
    };
    let Some(machine) = Machine::new(TEST) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let next = machine.take(&next_deb(&first, &folder));
    let first = machine.take(&first);

    let broken = NoUsers::on(&machine);
    let said = machine.fails(&dpkg("--install", &first));
    assert!(said.contains("no users today"), "{said}");
    drop(broken);
    machine.asked_of_systemd();
    machine.run(&dpkg("--configure", "pict-rs"));
    assert!(machine.has_user());
    assert!(!machine.is_enabled(), "the presets of the machine count");
    let asked = machine.asked_of_systemd();
    assert!(!asked.contains("start pict-rs.service"), "{asked}");

    machine.run(&["systemctl.real", "enable", "pict-rs.service"]);
    machine.run(&dpkg("--install", &first));
    assert!(machine.is_enabled(), "a reinstallation disables it");
    machine.run(&["systemctl.real", "disable", "pict-rs.service"]);
    machine.run(&dpkg("--install", &first));
    assert!(!machine.is_enabled(), "a reinstallation enables it");
    machine.run(&["systemctl.real", "enable", "pict-rs.service"]);

    change_configuration(&machine);
    machine.asked_of_systemd();
    machine.run(&dpkg("--install", &next));
    assert!(machine.is_enabled(), "an upgrade disables it");
    assert!(machine.read(CONFIGURATION).ends_with(MINE));
    let offered = machine.read(&format!("{CONFIGURATION}.dpkg-dist"));
    assert!(offered.ends_with(NEXT), "{offered}");
    let asked = machine.asked_of_systemd();
    assert!(asked.contains("restart pict-rs.service"), "{asked}");

    leave_data(&machine);
    machine.run(&dpkg("--remove", "pict-rs"));
    let asked = machine.asked_of_systemd();
    assert!(asked.contains("stop pict-rs.service"), "{asked}");
    assert!(!machine.path("usr/bin/pict-rs").exists());
    assert!(machine.read(CONFIGURATION).ends_with(MINE));
    machine.run(&dpkg("--purge", "pict-rs"));
    assert!(!machine.path(CONFIGURATION).exists());
    assert_data_and_user_stay(&machine);
}

/// Without questions; the machine's processor may be another than the package's.
pub fn dpkg<'a>(verb: &'a str, what: &'a str) -> [&'a str; 5] {
    let force = "--force-architecture,depends,confold";
    ["dpkg", "--log=/dev/null", force, verb, what]
}

/// The same package, of a later version, with another configuration.
fn next_deb(first: &Path, folder: &TempDir) -> PathBuf {
    let tree = folder.path().join("tree");
    run(Command::new("dpkg-deb").arg("-R").arg(first).arg(&tree));
    let edit = |name: &str, change: &dyn Fn(String) -> String| {
        let file = tree.join(name);
        let text = std::fs::read_to_string(&file).expect("readable");
        std::fs::write(&file, change(text)).expect("written");
    };
    edit(CONFIGURATION, &|text| text + NEXT);
    edit("DEBIAN/control", &|text| {
        let lines = text.lines().map(|line| match line {
            line if line.starts_with("Version:") => "Version: 99",
            line => line,
        });
        lines.map(|line| format!("{line}\n")).collect()
    });
    let next = folder.path().join("next.deb");
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Znone", "-b"])
        .arg(tree)
        .arg(&next));
    next
}

#[test]
fn the_rpm_package_keeps_what_the_administrator_chose() {
    const TEST: &str = "the life of the .rpm";
    let Some(first) = package(&Target::named("amd64"), TEST, "rpm", &["rpm", "rpmbuild"]) else {
        return;
    };
    let Some(machine) = Machine::new(TEST) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let next = machine.take(&next_rpm(&first, &folder));
    let first = machine.take(&first);
    machine.run(&["rpm", "--initdb"]);

    let broken = NoUsers::on(&machine);
    let said = machine.fails(&rpm("--install", &first));
    assert!(said.contains("no users today"), "{said}");
    assert!(!machine.path("usr/bin/pict-rs").exists());
    drop(broken);
    machine.run(&rpm("--install", &first));
    assert!(machine.has_user());
    assert!(!machine.is_enabled(), "the presets of the machine count");
    let asked = machine.asked_of_systemd();
    assert!(!asked.contains("start"), "{asked}");

    machine.run(&["systemctl.real", "enable", "pict-rs.service"]);
    machine.run(&[&rpm("--upgrade", &first)[..], &["--replacepkgs"]].concat());
    assert!(machine.is_enabled(), "a reinstallation disables it");

    change_configuration(&machine);
    machine.asked_of_systemd();
    machine.run(&rpm("--upgrade", &next));
    assert!(machine.is_enabled(), "an upgrade disables it");
    assert!(machine.read(CONFIGURATION).ends_with(MINE));
    let offered = machine.read(&format!("{CONFIGURATION}.rpmnew"));
    assert!(offered.ends_with(NEXT), "{offered}");
    let asked = machine.asked_of_systemd();
    assert!(asked.contains("try-restart pict-rs.service"), "{asked}");
    assert!(!asked.contains("stop pict-rs.service"), "{asked}");

    leave_data(&machine);
    machine.run(&["rpm", "--erase", "pict-rs"]);
    let asked = machine.asked_of_systemd();
    assert!(asked.contains("stop pict-rs.service"), "{asked}");
    let wanted = "etc/systemd/system/multi-user.target.wants/pict-rs.service";
    assert!(machine.path(wanted).symlink_metadata().is_err());
    assert!(!machine.path("usr/bin/pict-rs").exists());
    let saved = machine.read(&format!("{CONFIGURATION}.rpmsave"));
    assert!(saved.ends_with(MINE), "{saved}");
    assert_data_and_user_stay(&machine);
}

/// This machine's programs are not known to rpm, and the package may be for another processor.
fn rpm<'a>(verb: &'a str, file: &'a str) -> [&'a str; 6] {
    let force = ["--nodeps", "--ignorearch", "--nosignature"];
    ["rpm", verb, force[0], force[1], force[2], file]
}

/// A package of a later version, with the same scripts and another configuration. It has no binary.
fn next_rpm(first: &Path, folder: &TempDir) -> PathBuf {
    let query = |format: &str| {
        run(Command::new("rpm")
            .args(["-qp", "--nosignature", "--qf", format])
            .arg(first))
    };
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib");
    let files = folder.path().join("files");
    let put = |name: &str, text: String| {
        let file = files.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, text).expect("written");
    };
    let read = |name: &str| std::fs::read_to_string(contrib.join(name)).expect("readable");
    let unit = "usr/lib/systemd/system/pict-rs.service";
    put(unit, read("systemd/pict-rs.service"));
    put(CONFIGURATION, read("pict-rs.toml") + NEXT);
    let mut spec = format!(
        "Name: pict-rs\nVersion: 99\nRelease: 1\nSummary: s\nLicense: l\nBuildArch: noarch\n\
         AutoReqProv: no\n%description\nd\n%install\nmkdir -p %{{buildroot}}\ncp -a {}/. %{{buildroot}}\n\
         %files\n/{unit}\n%config(noreplace) %attr(600,root,root) /{CONFIGURATION}\n",
        files.display()
    );
    for (section, tag) in [
        ("pre", "PREIN"),
        ("post", "POSTIN"),
        ("preun", "PREUN"),
        ("postun", "POSTUN"),
    ] {
        let script = query(&format!("%{{{tag}}}"));
        let _ = writeln!(spec, "%{section}\n{}", script.replace('%', "%%"));
    }
    let file = folder.path().join("next.spec");
    std::fs::write(&file, spec).expect("written");
    let top = format!("_topdir {}", folder.path().display());
    run(Command::new("rpmbuild")
        .args(["-bb", "--quiet", "--define", &top])
        .arg(file));
    folder.path().join("RPMS/noarch/pict-rs-99-1.noarch.rpm")
}
