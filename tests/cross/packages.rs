//! The packages, as their package managers see them: contents, user, unit, installation into a
//! folder, a start as the service's user inside it, and removal.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Target, on_each_target};
use crate::support::server::Program;
use crate::support::{Launch, pictures, programs};

on_each_target!(
    the_debian_package_installs_starts_and_goes,
    the_rpm_package_installs_and_starts,
);

/// What both install, besides documentation.
const FILES: [(&str, u32); 6] = [
    ("usr/bin/pict-rs", 0o755),
    ("usr/bin/pict-rs-admin", 0o755),
    ("usr/lib/sysusers.d/pict-rs.conf", 0o644),
    ("usr/share/bash-completion/completions/pict-rs", 0o644),
    ("usr/share/fish/vendor_completions.d/pict-rs.fish", 0o644),
    // It may hold the API key.
    ("etc/pict-rs/pict-rs.toml", 0o600),
];

/// Manual pages; the .deb has them compressed.
const PAGES: [&str; 3] = [
    "man1/pict-rs.1",
    "man1/pict-rs-run.1",
    "man8/pict-rs-admin.8",
];

/// The file with this ending, or a reason not to go on.
pub fn package(target: &Target, test: &str, ending: &str, tools: &[&str]) -> Option<PathBuf> {
    let folder = target.folder(test)?;
    for tool in tools {
        if programs::find(tool).is_none() {
            let reason = format!("{tool} is not on PATH");
            programs::skip("cross", &format!("{test} on {}", target.name), &reason);
            return None;
        }
    }
    if !rustix::process::geteuid().is_root() {
        programs::skip(
            "cross",
            &format!("{test} on {}", target.name),
            "only root can install",
        );
        return None;
    }
    let mut files = std::fs::read_dir(folder).expect("readable");
    let found = files.find_map(|file| {
        let path = file.expect("an entry").path();
        path.extension()
            .is_some_and(|found| found == ending)
            .then_some(path)
    });
    Some(found.expect("the package was made"))
}

/// What a command says that has to end well.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("it can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

fn the_debian_package_installs_starts_and_goes(target: &Target) {
    const TEST: &str = "the .deb";
    let tools = ["dpkg", "dpkg-deb", "systemd-sysusers", "deb-systemd-helper"];
    let Some(package) = package(target, TEST, "deb", &tools) else {
        return;
    };
    let field = |name: &str| run(Command::new("dpkg-deb").arg("-f").arg(&package).arg(name));
    assert_eq!(field("Architecture").trim(), target.deb);
    assert_eq!(field("Package").trim(), "pict-rs");
    for helper in ["ffmpeg", "imagemagick"] {
        assert!(field("Suggests").contains(helper), "{helper}");
    }
    assert!(
        !field("Depends").contains("libc"),
        "static binaries need no library"
    );

    if let Some(lintian) = programs::find_or_skip("lintian", TEST) {
        let mut command = Command::new(lintian);
        command.args(["--allow-root", "--fail-on", "error,warning"]);
        run(command.arg(&package));
    }

    let root = scratch_root();
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        command
            .arg(format!("--root={}", root.path().display()))
            // The folder holds no shell, and dpkg's own database is new.
            .args([
                "--force-script-chrootless",
                "--force-depends",
                "--force-architecture",
            ])
            .arg("--log=/dev/null")
            .args(arguments);
        run(&mut command)
    };
    dpkg(&["--install", package.to_str().expect("UTF-8")]);
    let unit = "usr/lib/systemd/system/pict-rs.service";
    assert_installed(root.path(), unit);
    let copyright = root.path().join("usr/share/doc/pict-rs/copyright");
    let copyright = std::fs::read_to_string(copyright).expect("there");
    for line in [
        "License: AGPL-3.0-or-later",
        concat!("Source: ", env!("CARGO_PKG_REPOSITORY")),
    ] {
        assert!(copyright.lines().any(|found| found == line), "{line}");
    }
    let conffiles = dpkg(&["--status", "pict-rs"]);
    assert!(
        conffiles.contains("/etc/pict-rs/pict-rs.toml"),
        "{conffiles}"
    );
    let enabled = root
        .path()
        .join("etc/systemd/system/multi-user.target.wants/pict-rs.service");
    assert!(enabled.symlink_metadata().is_ok(), "the unit is enabled");
    assert_starts(target, TEST, root.path(), unit);

    dpkg(&["--purge", "pict-rs"]);
    for (file, _) in FILES {
        assert!(!root.path().join(file).exists(), "{file} stays");
    }
    assert!(
        root.path().join("var/lib/pict-rs/files").is_dir(),
        "pictures are nobody's to remove"
    );
}

fn the_rpm_package_installs_and_starts(target: &Target) {
    const TEST: &str = "the .rpm";
    let Some(package) = package(target, TEST, "rpm", &["rpm", "systemd-sysusers"]) else {
        return;
    };
    let root = scratch_root();
    let rpm = |arguments: &[&str]| {
        run(Command::new("rpm")
            .arg("--root")
            .arg(root.path())
            .args(arguments))
    };
    let query = |format: &str| {
        run(Command::new("rpm")
            .args(["-qp", "--nosignature", "--qf", format])
            .arg(&package))
    };
    assert_eq!(
        query("%{NAME} %{ARCH} %{LICENSE}"),
        format!("pict-rs {} AGPL-3.0-only", target.rpm)
    );
    let suggests = query("[%{SUGGESTS} ]");
    for helper in ["ffmpeg", "ImageMagick"] {
        assert!(suggests.contains(helper), "{suggests}");
    }
    assert!(
        !query("[%{REQUIRES} ]").contains("libc"),
        "static binaries need no library"
    );
    if let Some(rpmlint) = programs::find_or_skip("rpmlint", TEST) {
        let reasons = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../contrib/rpm/rpmlint.toml"
        );
        run(Command::new(rpmlint)
            .args(["--config", reasons])
            .arg(&package));
    }
    let requires = query("[%{REQUIRENAME} %{REQUIREFLAGS:deptype}\n]");
    let systemd = requires.lines().find(|line| line.starts_with("systemd "));
    for script in ["pre", "post", "preun", "postun"] {
        let mut words = systemd.expect("a dependency").split([' ', ',']);
        assert!(words.any(|word| word == script), "{requires}");
    }
    rpm(&["--initdb"]);
    let file = package.to_str().expect("UTF-8");
    rpm(&["--checksig", "--nosignature", file]);
    // The folder holds no shell for scripts; what they would do comes next.
    rpm(&[
        "--install",
        "--nodeps",
        "--noscripts",
        "--ignorearch",
        "--nosignature",
        file,
    ]);
    // The script repeats the file that comes with the package, and comes before it.
    let script = query("%{PREIN}");
    let line = include_str!("../../contrib/systemd/pict-rs.sysusers")
        .lines()
        .find(|line| !line.starts_with('#'));
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = words(line.expect("a user"));
    assert!(
        script.lines().any(|line| words(line) == expected),
        "{script}"
    );
    run(Command::new("systemd-sysusers").arg(format!("--root={}", root.path().display())));
    let unit = "usr/lib/systemd/system/pict-rs.service";
    assert_installed(root.path(), unit);
    assert_starts(target, TEST, root.path(), unit);
    rpm(&["--erase", "--nodeps", "--noscripts", "pict-rs"]);
    assert!(!root.path().join("usr/bin/pict-rs").exists());
}

/// What a system has before its first package.
fn scratch_root() -> TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(root.path(), mode).expect("set");
    for folder in [
        "etc",
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "var/lib/rpm",
    ] {
        std::fs::create_dir_all(root.path().join(folder)).expect("made");
    }
    std::fs::write(root.path().join("var/lib/dpkg/status"), "").expect("written");
    root
}

fn assert_installed(root: &Path, unit: &str) {
    for (file, mode) in FILES.into_iter().chain([(unit, 0o644)]) {
        let metadata = root
            .join(file)
            .metadata()
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let found = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        assert_eq!(found & 0o777, mode, "{file}");
    }
    let folders = ["doc", "licenses"].iter();
    let mut notices = folders.map(|folder| root.join("usr/share").join(folder).join("pict-rs"));
    let has_notices = notices.any(|folder| folder.join("THIRD-PARTY-NOTICES.txt").is_file());
    assert!(has_notices, "the notices of third parties");
    for page in PAGES {
        let names = [page.to_owned(), format!("{page}.gz")];
        let found = names
            .iter()
            .any(|name| root.join("usr/share/man").join(name).is_file());
        assert!(found, "{page}");
    }
    let folders = ["site-functions", "vendor-completions"];
    let found = folders.iter().any(|folder| {
        root.join("usr/share/zsh")
            .join(folder)
            .join("_pict-rs")
            .is_file()
    });
    assert!(found, "zsh");
}

/// Starts the installed binary as the unit would: inside the folder, as the service's user, with
/// a copy of the configuration and a state folder of its own.
fn assert_starts(target: &Target, test: &str, root: &Path, unit: &str) {
    let text = std::fs::read_to_string(root.join(unit)).expect("readable");
    let setting = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let mut values = lines
            .filter(|(found, _)| *found == name)
            .map(|(_, value)| value);
        values
            .next()
            .unwrap_or_else(|| panic!("no {name} in the unit"))
            .to_owned()
    };
    let (user, group) = ids(root, &setting("User"));
    let state = root.join("var/lib").join(setting("StateDirectory"));
    let (credential, source) = {
        let line = setting("LoadCredential");
        let (name, path) = line.split_once(':').expect("name and path");
        (name.to_owned(), root.join(path.trim_start_matches('/')))
    };
    let credentials = root.join("run/credentials");
    for folder in [&state, &credentials] {
        std::fs::create_dir_all(folder).expect("made");
    }
    std::fs::copy(source, credentials.join(&credential)).expect("copied");
    for path in [&state, &credentials, &credentials.join(&credential)] {
        std::os::unix::fs::chown(path, Some(user), Some(group)).expect("root may");
    }
    let line = setting("ExecStart").replace("${CREDENTIALS_DIRECTORY}", "/run/credentials");
    let (binary, arguments) = line.split_once(' ').expect("a program and arguments");
    let Some(emulator) = target.emulator(test) else {
        return;
    };
    let mut runner = vec![
        programs::find("chroot").expect("part of coreutils"),
        format!("--userspec={user}:{group}").into(),
        root.to_owned(),
    ];
    if let Some(emulator) = emulator.first() {
        std::fs::copy(emulator, root.join("processor")).expect("copied");
        runner.push("/processor".into());
    }
    let server = Launch::of(Program::new(binary, runner))
        .environment("STATE_DIRECTORY", "/var/lib/pict-rs")
        .arguments(arguments.split(' '))
        .start();
    server.wait_for_output("database=/var/lib/pict-rs/");
    let uploaded = server.upload(&pictures::png(&pictures::photo(16, 16)));
    server.original(&uploaded.alias);
    server.stop();
}

/// User and group of a name in the folder's own list of users.
fn ids(root: &Path, name: &str) -> (u32, u32) {
    let users = std::fs::read_to_string(root.join("etc/passwd")).expect("the user was made");
    let line = users
        .lines()
        .find(|line| line.starts_with(&format!("{name}:")));
    let fields: Vec<_> = line.expect("the service's user").split(':').collect();
    let id = |at: usize| fields[at].parse().expect("a number");
    (id(2), id(3))
}
