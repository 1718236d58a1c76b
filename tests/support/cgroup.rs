//! Groups of processes whose memory the kernel limits, in either version of its control groups.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use testkit::server::Program;

use super::programs;

/// Where both versions are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// A group that is removed when this is dropped. Its processes have to have ended.
pub struct Group {
    folder: PathBuf,
    files: Files,
}

/// What the files of a version are called.
struct Files {
    limit: &'static str,
    /// Swap, or memory with swap, and how much more than memory.
    swap: &'static str,
    swap_holds_both: bool,
    kills: &'static str,
    most: &'static str,
}

const SECOND: Files = Files {
    limit: "memory.max",
    swap: "memory.swap.max",
    swap_holds_both: false,
    kills: "memory.events",
    most: "memory.peak",
};

const FIRST: Files = Files {
    limit: "memory.limit_in_bytes",
    swap: "memory.memsw.limit_in_bytes",
    swap_holds_both: true,
    kills: "memory.oom_control",
    most: "memory.max_usage_in_bytes",
};

impl Group {
    /// A group with so much memory and no swap. Only root can make one, and not everywhere; else this
    /// says which test is skipped.
    pub fn new(bytes: u64, test: &str) -> Option<Self> {
        let tried = [("", SECOND), ("memory", FIRST)];
        let mut reasons = Vec::new();
        for (below, files) in tried {
            match Self::make(&Path::new(ROOT).join(below), files, bytes) {
                Ok(group) => return Some(group),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        let reason = format!("no group with a limit can be made: {}", reasons.join("; "));
        programs::skip("cgroups", test, &reason);
        None
    }

    fn make(root: &Path, files: Files, bytes: u64) -> io::Result<Self> {
        // A folder where something else is mounted would take any file.
        fs::metadata(root.join("cgroup.procs"))?;
        let switch = root.join("cgroup.subtree_control");
        if switch.exists() {
            fs::write(switch, "+memory")?;
        }
        let folder = root.join(format!("pict-rs-test-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let group = Self { folder, files };
        fs::write(group.folder.join(group.files.limit), bytes.to_string())?;
        let swap = if group.files.swap_holds_both {
            bytes
        } else {
            0
        };
        // Without swap there is no such file.
        let _ = fs::write(group.folder.join(group.files.swap), swap.to_string());
        Ok(group)
    }

    /// The program, in this group from its first moment.
    pub fn program(&self, program: Program) -> Program {
        let enter = format!(
            "echo $$ > {}/cgroup.procs && exec \"$@\"",
            self.folder.display()
        );
        program.behind(["/bin/sh".into(), "-c".into(), enter.into(), "sh".into()])
    }

    /// How many processes the kernel has killed because memory ran out.
    pub fn kills(&self) -> u64 {
        let text = self.read(self.files.kills);
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.expect("a count").parse().expect("a number")
    }

    /// The most bytes that it ever had, with the system's copies of files.
    pub fn peak(&self) -> u64 {
        self.read(self.files.most).trim().parse().expect("a number")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("readable")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let gone = || fs::remove_dir(&self.folder).ok();
        // A process that has ended is there until it is waited for.
        for _ in 0..500 {
            if gone().is_some() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
