//! The image of a release in a container: podman with the filter of system calls that it has by
//! default, without capabilities, without a network and on a root that cannot be written to.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tempfile::TempDir;

use super::{
    assert_confined, assert_isolated, in_network_of, processes_below, survive_dead_workers,
    use_every_format, wait_for,
};
use crate::cross::Target;
use crate::cross::released::stem;
use crate::support::{eventually, programs};

const TEST: &str = "the image in a container";
const NAME: &str = "pict-rs-test";
/// Of open files and of processes.
const LIMIT: u64 = 4096;
const SETTINGS: [&str; 3] = [
    "PICTRS__SERVER__API_KEY=key",
    "PICTRS__MEDIA__ISOLATION=process",
    "PICTRS__MEDIA__SVG__ENABLE=true",
];
/// After so many seconds podman ends the container if it still runs.
const AT_MOST: &str = "--timeout=120";

/// podman with images, containers and volumes of its own. Dropping it removes all of them.
struct Engine {
    podman: PathBuf,
    timeout: PathBuf,
    runtime: Option<&'static str>,
    folder: TempDir,
}

impl Engine {
    /// Only root can start one here, and not everywhere; else this says why.
    fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can enter the container's network".to_owned());
        }
        let find = |name: &str| programs::find(name).ok_or(format!("{name} is not on PATH"));
        Ok(Self {
            podman: find("podman")?,
            timeout: find("timeout")?,
            runtime: None,
            folder: tempfile::tempdir().map_err(|error| error.to_string())?,
        })
    }

    fn command(&self, words: &[&str]) -> Command {
        let folder = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(&self.timeout);
        command.args(["--kill-after=5", "60"]).arg(&self.podman);
        command.arg("--root").arg(folder("images"));
        command.arg("--runroot").arg(folder("run"));
        command.args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs"]);
        command.args(["--log-level=error", "--events-backend=none"]);
        if let Some(runtime) = self.runtime {
            command.args(["--runtime", runtime]);
        }
        command.args(words);
        command
    }

    fn try_run(&self, words: &[&str]) -> Result<String, String> {
        let output = self.command(words).output();
        let output: Output = output.map_err(|error| error.to_string())?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(said(&output.stdout)),
            false => Err(said(&output.stderr)),
        }
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let done = self.try_run(words);
        done.unwrap_or_else(|said| panic!("podman {words:?}: {said}"))
    }

    /// Takes the image in and starts a container of it, with the runtime that podman prefers, or else
    /// with runc, which knows more kinds of control groups.
    fn start(&mut self, image: &Path) -> Result<(), String> {
        let image = image.to_str().ok_or("not UTF-8")?;
        self.try_run(&["load", "--quiet", "--input", image])?;
        // podman asks for more than it may give where root has no right to raise limits.
        let limits = [("nofile", Resource::Nofile), ("nproc", Resource::Nproc)];
        let limits = limits.map(|(name, resource)| {
            let most = getrlimit(resource).maximum.unwrap_or(LIMIT).min(LIMIT);
            format!("--ulimit={name}={most}:{most}")
        });
        let mut words = vec!["run", "--detach", "--name", NAME, AT_MOST, "--pull=never"];
        words.extend(limits.iter().map(String::as_str));
        words.extend(["--network=none", "--read-only", "--cap-drop=all"]);
        words.extend(["--security-opt=no-new-privileges", "--volume=data:/mnt"]);
        for setting in SETTINGS {
            words.extend(["--env", setting]);
        }
        words.push(concat!("pict-rs:", env!("CARGO_PKG_VERSION")));
        let mut reasons = Vec::new();
        for runtime in [None, Some("runc")] {
            self.runtime = runtime;
            match self.try_run(&words) {
                Ok(_) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
            let _ = self.try_run(&["rm", "--force", NAME]);
        }
        Err(reasons.join("; "))
    }

    /// The server's process, as this machine numbers it.
    fn server(&self) -> u32 {
        let id = self.run(&["inspect", "--format={{.State.Pid}}", NAME]);
        id.parse().expect("a number")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.command(&["logs", NAME]).output();
            let text = logs.map(|output| [output.stdout, output.stderr].concat());
            let text = text.unwrap_or_default();
            eprintln!(
                "--- the container said:\n{}---",
                String::from_utf8_lossy(&text)
            );
        }
        let _ = self.try_run(&["rm", "--force", "--time=0", "--volumes", "--all"]);
        let _ = self.try_run(&["volume", "rm", "--all", "--force"]);
        // What watches a container ends a moment after it, and writes until then.
        let mounts = || std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = self.folder.path().display().to_string();
        for line in mounts().lines().filter(|line| line.contains(&own)) {
            if let Some(place) = line.split(' ').nth(1) {
                let _ = Command::new("umount").args(["-l", place]).output();
            }
        }
        for _ in 0..100 {
            if std::fs::remove_dir_all(self.folder.path()).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn the_image_does_all_of_its_work_in_a_container() {
    let target = Target::named("amd64");
    let Some(folder) = target.folder(TEST) else {
        return;
    };
    if std::env::consts::ARCH != target.arch {
        return programs::skip("container", TEST, "this machine has another processor");
    }
    let image = folder.with_file_name(format!("{}-image.tar", stem(&target)));
    let started = Engine::new().and_then(|mut engine| engine.start(&image).map(|()| engine));
    let engine = match started {
        Ok(engine) => engine,
        Err(reason) => return programs::skip("container", TEST, &reason),
    };

    let server = engine.server();
    let alias = in_network_of(server, |client| {
        wait_for(client);
        // The image has no ffmpeg.
        let alias = use_every_format(client, false);
        assert_isolated(client);
        assert_confined(server);
        survive_dead_workers(server, client, &alias);
        alias
    });
    let report = engine.run(&["exec", NAME, "/usr/local/bin/pict-rs", "doctor"]);
    for line in [
        "yes own processes",
        "yes no files, no network",
        "yes few system calls",
    ] {
        assert!(report.contains(line), "{report}");
    }

    let running = processes_below(server);
    assert!(running.len() > 1, "nothing decodes files");
    engine.run(&["stop", "--time=35", NAME]);
    assert_eq!(
        engine.run(&["inspect", "--format={{.State.ExitCode}}", NAME]),
        "0"
    );
    eventually("nothing of it runs", || {
        let is_there = |id: &u32| Path::new(&format!("/proc/{id}")).exists();
        (!running.iter().any(is_there)).then_some(())
    });
    engine.run(&["start", NAME]);
    in_network_of(engine.server(), |client| {
        wait_for(client);
        client.original(&alias);
    });
}
