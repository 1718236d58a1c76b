//! The package on a Debian whose process 1 is systemd, in namespaces of its own: the machine's own
//! Debian under an overlay in memory, booted by systemd-nspawn.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::{
    assert_confined, assert_isolated, in_network_of, kill, processes_below, survive_dead_workers,
    use_every_format, wait_for,
};
use crate::cross::Target;
use crate::cross::machine::Machine;
use crate::cross::packages::package;
use crate::support::server::children_of;
use crate::support::{eventually, programs};

const TEST: &str = "the unit under systemd";
const PACKAGE: &str = "/srv/pict-rs.deb";
const CONFIGURATION: &str = "etc/pict-rs/pict-rs.toml";
const WORKING: &str = "\
[server]
address = \"127.0.0.1:8080\"
api_key = \"key\"
[media]
isolation = \"process\"
[media.svg]
enable = true
[media.video]
enable = true
";
const BROKEN: &str = "[server]\naddress = \"nonsense\"\n";
/// How long systemd may take until basic.target, and a command in the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A machine on which systemd runs, with a loopback network of its own. Dropping it ends all of its
/// processes.
struct Booted {
    nspawn: Child,
    nsenter: PathBuf,
    first: Option<Pid>,
    _groups: Groups,
    // Dropped last: its file systems are unmounted.
    machine: Machine,
}

impl Booted {
    /// Only root can boot one, and not everywhere; else this says why.
    fn new() -> Result<Self, String> {
        let find = |name: &str| programs::find(name).ok_or(format!("{name} is not on PATH"));
        let (setpriv, nsenter) = (find("setpriv")?, find("nsenter")?);
        let nspawn = find("systemd-nspawn")?;
        let machine = Machine::make()?;
        // Without one it would be a first start, which enables services by presets.
        machine.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        let log = machine.path("../boot.log");
        let output = File::create(&log).map_err(|error| error.to_string())?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let groups = Groups::new().map_err(|error| format!("a control group: {error}"))?;
        let spawned = Command::new("/bin/sh")
            .args(["-c", &groups.enter(), "sh"])
            .arg(setpriv)
            // Should this program be killed, nspawn ends as well, and with it the machine.
            .args(["--pdeathsig", "KILL"])
            .arg(nspawn)
            .args(["--quiet", "--register=no", "--keep-unit", "--boot"])
            .args(["--private-network", "--console=pipe"])
            // nspawn filters system calls, and that of Debian 12 does not know these.
            .arg("--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self")
            .arg(format!("--directory={}", machine.path("").display()))
            // None of the services that this machine has.
            .arg("systemd.unit=basic.target")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let mut booted = Self {
            nspawn: spawned.map_err(|error| error.to_string())?,
            nsenter,
            first: None,
            _groups: groups,
            machine,
        };
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Ok(Some(status)) = booted.nspawn.try_wait() {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("systemd-nspawn: {status}: {}", said.trim()));
            }
            // While it begins it has other children.
            let children = children_of(booted.nspawn.id());
            for child in children {
                booted.first = Some(child);
                if booted
                    .try_run(&["systemctl", "is-active", "basic.target"])
                    .is_ok()
                {
                    return Ok(booted);
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = fs::read_to_string(&log).unwrap_or_default();
        Err(format!("systemd does not start: {}", said.trim()))
    }

    /// Its process 1, as this machine numbers it.
    fn first(&self) -> u32 {
        let first = self.first.expect("it is booted");
        first.as_raw_nonzero().get().cast_unsigned()
    }

    /// What a command in the machine says that root runs, or what it says when it fails.
    fn try_run(&self, words: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.nsenter)
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"])
            .args(["--root", "--wd"])
            .arg(format!("--target={}", self.first()))
            .args(["timeout", &PATIENCE.as_secs().to_string()])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        match output.status.success() {
            true => Ok(text),
            false => Err(text),
        }
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let done = self.try_run(words);
        done.unwrap_or_else(|said| panic!("{words:?}: {said}\n{}", self.journal()))
    }

    fn journal(&self) -> String {
        let words = ["journalctl", "--no-pager", "-o", "cat", "-u", "pict-rs"];
        self.try_run(&words).unwrap_or_else(|said| said)
    }

    /// A property of the unit.
    fn property(&self, name: &str) -> String {
        let text = self.run(&["systemctl", "show", "--value", "-p", name, "pict-rs"]);
        text.trim().to_owned()
    }

    /// The processes of the service's user.
    fn processes(&self) -> Vec<u32> {
        let folder = self.machine.path("var/lib/pict-rs").metadata();
        let user = folder.expect("systemd makes it").uid();
        let is_its = |id: &u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
            let uid = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            uid == Some(user)
        };
        let all = processes_below(self.first());
        all.into_iter().filter(is_its).collect()
    }

    /// The server's process, as this machine numbers it.
    fn server(&self) -> u32 {
        eventually("the service has a process", || {
            let is_server = |id: &u32| {
                // Those that decode files were started by another name.
                fs::read_to_string(format!("/proc/{id}/comm"))
                    .is_ok_and(|name| name.trim() == "pict-rs")
            };
            self.processes().into_iter().find(is_server)
        })
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        if std::thread::panicking() && self.first.is_some() {
            eprintln!("--- the journal:\n{}---", self.journal());
        }
        // With the first process the kernel ends all others.
        self.first.into_iter().for_each(kill);
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

/// Control groups that a boot may divide. systemd has one for each of its services; where this machine
/// has another process 1, nspawn would take the groups of everything, and leave its own.
struct Groups(Vec<PathBuf>);

impl Groups {
    fn new() -> io::Result<Self> {
        let mut groups = Self(Vec::new());
        if Path::new("/run/systemd/system").is_dir() {
            return Ok(groups);
        }
        let root = Path::new("/sys/fs/cgroup");
        for root in [root.to_owned(), root.join("systemd"), root.join("unified")] {
            // A folder where something else is mounted would take any folder.
            if root.join("cgroup.procs").exists() {
                let folder = root.join(format!("pict-rs-boot-{}", std::process::id()));
                fs::create_dir(&folder)?;
                groups.0.push(folder);
            }
        }
        Ok(groups)
    }

    /// What a shell does to be in them and become its arguments.
    fn enter(&self) -> String {
        let enter = |folder: &PathBuf| format!("echo $$ >{}/cgroup.procs && ", folder.display());
        self.0.iter().map(enter).collect::<String>() + "exec \"$@\""
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for folder in &self.0 {
            // A process that has ended is there until it is waited for.
            for _ in 0..500 {
                remove_folders(folder);
                if !folder.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Groups go from below; their files go with them.
fn remove_folders(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_folders(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

#[test]
fn the_package_does_all_of_its_work_under_systemd() {
    let tools = ["dpkg", "dpkg-deb"];
    let Some(package) = package(&Target::named("amd64"), TEST, "deb", &tools) else {
        return;
    };
    let booted = match Booted::new() {
        Ok(booted) => booted,
        Err(reason) => return programs::skip("systemd", TEST, &reason),
    };
    // What lay in /tmp is hidden by the one that systemd makes.
    fs::copy(&package, booted.machine.path(&PACKAGE[1..])).expect("copied");
    // The manual's index is rebuilt by triggers, for ten seconds.
    booted.run(&[
        "dpkg",
        "--log=/dev/null",
        "--no-triggers",
        "--install",
        PACKAGE,
    ]);
    assert_eq!(booted.property("ActiveState"), "active", "a .deb starts it");

    let restart_with = |configuration: &str| {
        booted.machine.write(CONFIGURATION, configuration);
        // systemd counts starts, and these are not what it has to prevent.
        booted.run(&["systemctl", "reset-failed", "pict-rs"]);
        booted.try_run(&["systemctl", "restart", "pict-rs"])
    };
    restart_with(WORKING).expect("started");
    let status = booted.property("StatusText");
    assert!(status.starts_with("listening on http://"), "{status}");
    let first = booted.first();
    // The start has waited for it.
    in_network_of(first, |client| client.get("/healthz").ok());
    let has_ffmpeg = booted.machine.path("usr/bin/ffmpeg").exists();
    let alias = in_network_of(first, |client| {
        wait_for(client);
        let alias = use_every_format(client, has_ffmpeg);
        assert_isolated(client);
        assert_confined(booted.server());
        survive_dead_workers(booted.server(), client, &alias);
        alias
    });
    // It asks as root for what the service's user has, in a unit of its own.
    let report = booted.run(&["pict-rs-admin", "doctor"]);
    for line in [
        "yes own processes",
        "yes no files, no network",
        "yes few system calls",
    ] {
        assert!(report.contains(line), "{report}");
    }

    // After a crash it is started again, and what the dead one had started is gone.
    let before = booted.processes();
    let server = booted.server();
    kill(Pid::from_raw(server.cast_signed()).expect("an id"));
    eventually("it is started again", || {
        let now = booted.processes();
        let is_new = !now.is_empty() && now.iter().all(|id| !before.contains(id));
        is_new.then_some(())
    });
    in_network_of(first, |client| {
        wait_for(client);
        client.original(&alias);
        client.process("webp", &alias, "thumbnail=40");
    });
    assert_eq!(booted.property("NRestarts"), "1");

    // What cannot work is not tried again.
    restart_with(BROKEN).expect_err("a start that succeeds");
    assert_eq!(booted.property("ActiveState"), "failed");
    assert_eq!(booted.property("ExecMainStatus"), "78");
    assert_eq!(
        booted.property("SubState"),
        "failed",
        "it waits for a start"
    );

    restart_with(WORKING).expect("started");
    in_network_of(first, |client| {
        client.process("jpeg", &alias, "thumbnail=48");
        assert!(booted.processes().len() > 1, "nothing decodes files");
    });
    booted.run(&["systemctl", "stop", "pict-rs"]);
    assert_eq!(booted.property("Result"), "success");
    assert_eq!(booted.property("ExecMainStatus"), "0");
    assert_eq!(booted.processes(), [0; 0], "something is left");

    // The journal knows what is an error.
    let errors = ["journalctl", "-o", "cat", "-p", "err", "-t", "pict-rs"];
    let errors = booted.run(&errors);
    assert!(errors.contains("nonsense"), "{errors}");
    assert!(!errors.contains("listening on"), "{errors}");

    let journal = booted.journal();
    assert!(journal.contains("INFO"), "{journal}");
    for word in ["not permitted", "EPERM", "does not enforce", "panicked"] {
        assert!(!journal.contains(word), "{word}: {journal}");
    }
}
