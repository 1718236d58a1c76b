//! A Debian to install packages on: this machine's own, seen through an overlay in memory. Scripts
//! of packages run in it as they do anywhere, and nothing of it stays.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::programs;

/// Programs of root lie there, too.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Notes what it is asked for, and does what needs no running systemd.
const SYSTEMCTL: &str = "\
#!/bin/sh
echo \"$*\" >>/systemctl.log
case \" $* \" in
*' daemon-reload '*|*' start '*|*' stop '*|*' restart '*|*' try-restart '*) exit 0 ;;
esac
SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real \"$@\"
";

/// A machine with systemd.
pub struct Machine {
    folder: TempDir,
}

impl Machine {
    /// Only root can make one, and only of a Debian without a user pict-rs. Elsewhere this
    /// says which test is skipped.
    pub fn new(test: &str) -> Option<Self> {
        let made = Self::make().and_then(|machine| {
            let devices = machine.path("dev").display().to_string();
            mount(&["--bind", "/dev", &devices])?;
            machine.dress();
            Ok(machine)
        });
        match made {
            Ok(machine) => Some(machine),
            Err(reason) => {
                programs::skip("cross", test, &reason);
                None
            }
        }
    }

    /// One with its own `systemctl` and presets and without devices, to be booted, or why there is none.
    pub fn make() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can install".to_owned());
        }
        if !Path::new("/var/lib/dpkg/status").is_file() {
            return Err("this machine is not a Debian".to_owned());
        }
        let users = std::fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
        if users.lines().any(|line| line.starts_with("pict-rs:")) {
            return Err("this machine has a user pict-rs".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let at = folder.path().display().to_string();
        mount(&["-t", "tmpfs", "-o", "size=800M", "none", &at])?;
        let machine = Self { folder };
        for name in ["above", "work", "root"] {
            std::fs::create_dir(machine.folder.path().join(name)).map_err(|e| e.to_string())?;
        }
        let options = format!("lowerdir=/,upperdir={at}/above,workdir={at}/work");
        let root = format!("{at}/root");
        mount(&["-t", "overlay", "-o", &options, "overlay", &root])?;
        // A container's image may forbid packages to start anything.
        let _ = std::fs::remove_file(machine.path("usr/sbin/policy-rc.d"));
        Ok(machine)
    }

    /// Has its systemctl note what it is asked for, and presets that enable nothing.
    fn dress(&self) {
        std::fs::rename(
            self.path("usr/bin/systemctl"),
            self.path("usr/bin/systemctl.real"),
        )
        .expect("systemd is there");
        self.write_program("usr/bin/systemctl", SYSTEMCTL);
        self.write("etc/systemd/system-preset/00-none.preset", "disable *\n");
        // By this folder programs know that systemd runs.
        std::fs::create_dir_all(self.path("run/systemd/system")).expect("made");
        for folder in ["tmp", "var/tmp"] {
            let mode = std::fs::Permissions::from_mode(0o1777);
            std::fs::create_dir_all(self.path(folder)).expect("made");
            std::fs::set_permissions(self.path(folder), mode).expect("set");
        }
    }

    /// Where a file of the machine lies on this one; `name` has no slash in front.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Writes a file, and makes the folders above it.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    pub fn write_program(&self, name: &str, text: &str) {
        self.write(name, text);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path(name), mode).expect("set");
    }

    /// Copies a file of this machine into the folder `/tmp` of the other, and tells its name there.
    pub fn take(&self, file: &Path) -> String {
        let name = file.file_name().and_then(OsStr::to_str).expect("UTF-8");
        std::fs::copy(file, self.path("tmp").join(name)).expect("copied");
        format!("/tmp/{name}")
    }

    /// A command in it, run by root.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(programs::find("chroot").expect("part of coreutils"));
        command
            .arg(self.path(""))
            .args(words)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C.UTF-8")
            .env("SYSTEMD_OFFLINE", "1")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .current_dir("/");
        command
    }

    /// The same, and what it said.
    pub fn output(&self, words: &[&str]) -> (Output, String) {
        let output = self.command(words).output().expect("it can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output, text)
    }

    /// A command that has to end well.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> String {
        let (output, text) = self.output(words);
        assert!(output.status.success(), "{words:?}: {text}");
        text
    }

    /// A command that has to fail.
    #[track_caller]
    pub fn fails(&self, words: &[&str]) -> String {
        let (output, text) = self.output(words);
        assert!(!output.status.success(), "{words:?}: {text}");
        text
    }

    /// What systemd was asked for since the last look, line by line.
    pub fn asked_of_systemd(&self) -> String {
        let text = std::fs::read_to_string(self.path("systemctl.log")).unwrap_or_default();
        let _ = std::fs::remove_file(self.path("systemctl.log"));
        text
    }

    /// Whether the service starts with the machine.
    pub fn is_enabled(&self) -> bool {
        let (output, text) = self.output(&["systemctl.real", "is-enabled", "pict-rs.service"]);
        assert!(
            ["enabled", "disabled"].contains(&text.trim()),
            "is-enabled: {text}"
        );
        output.status.success()
    }

    pub fn has_user(&self) -> bool {
        let users = self.read("etc/passwd");
        users.lines().any(|line| line.starts_with("pict-rs:"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With all that is mounted below it.
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .env("PATH", PATH)
            .output();
    }
}

fn mount(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("mount")
        .args(arguments)
        .env("PATH", PATH)
        .output()
        .map_err(|error| format!("mount: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
