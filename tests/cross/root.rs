//! A root folder that holds the binary and a data folder, and nothing else: no /etc/passwd, no
//! /etc/resolv.conf, no certificates, no /tmp, no /proc, no /dev.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Target, on_each_target};
use crate::support::server::Program;
use crate::support::{Launch, disk, eventually, pictures, programs};

on_each_target!(
    an_empty_root_is_enough,
    a_root_that_cannot_be_written_to_is_named,
    a_user_without_a_name_can_run_it,
);

/// Nobody in any /etc/passwd.
const NOBODY: u32 = 54_321;

struct Root {
    folder: TempDir,
    runner: Vec<PathBuf>,
}

impl Root {
    fn new(target: &Target, test: &str) -> Option<Self> {
        let (binary, emulator) = (target.binary(test)?, target.emulator(test)?);
        if !rustix::process::geteuid().is_root() {
            programs::skip(
                "cross",
                &format!("{test} on {}", target.name),
                "only root may chroot",
            );
            return None;
        }
        let chroot = programs::find("chroot").expect("part of coreutils");
        let folder = tempfile::tempdir().expect("a folder");
        let copy = |from: &Path, name: &str| {
            std::fs::copy(from, folder.path().join(name)).expect("copied");
        };
        copy(&binary, "pict-rs");
        let mut runner = vec![chroot, folder.path().to_owned()];
        // The emulator stands for the processor.
        if let Some(emulator) = emulator.first() {
            copy(emulator, "processor");
            runner.push("/processor".into());
        }
        Some(Self { folder, runner })
    }

    /// The server inside, with its data in `/data`.
    fn launch(&self) -> Launch {
        let program = Program::new("/pict-rs", self.runner.clone());
        Launch::of(program).environment("STATE_DIRECTORY", "/data")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn an_empty_root_is_enough(target: &Target) {
    let Some(root) = Root::new(target, "an empty root") else {
        return;
    };
    std::fs::create_dir(root.path("data")).expect("made");
    let server = root.launch().start();
    server.get("/healthz").ok();
    let uploaded = server.upload(&pictures::jpeg(&pictures::photo(64, 48)));
    server.process("webp", &uploaded.alias, "thumbnail=16");
    eventually("the variant is stored", || {
        (disk::objects(&root.path("data/files")).len() == 2).then_some(())
    });
    let launch = server.stop();
    launch.start().original(&uploaded.alias);
    let mut names: Vec<_> = std::fs::read_dir(root.folder.path())
        .expect("readable")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.retain(|name| name != "processor");
    names.sort();
    assert_eq!(
        names,
        ["data", "pict-rs"],
        "nothing is written beside its folder"
    );
}

fn a_root_that_cannot_be_written_to_is_named(target: &Target) {
    let Some(mut root) = Root::new(target, "a root without a place for data") else {
        return;
    };
    root.runner
        .insert(1, format!("--userspec={NOBODY}:{NOBODY}").into());
    open_to_all(root.folder.path());
    let refusal = root.launch().refused();
    assert_eq!(refusal.status.code(), Some(1), "{}", refusal.output);
    for word in ["/data", "Permission denied"] {
        assert!(refusal.output.contains(word), "{word}: {}", refusal.output);
    }
    assert!(!refusal.output.contains("panicked"), "{}", refusal.output);
}

fn a_user_without_a_name_can_run_it(target: &Target) {
    let Some(mut root) = Root::new(target, "a user without a name") else {
        return;
    };
    root.runner
        .insert(1, format!("--userspec={NOBODY}:{NOBODY}").into());
    open_to_all(root.folder.path());
    let data = root.path("data");
    std::fs::create_dir(&data).expect("made");
    std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).expect("root may");
    let server = root.launch().start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(16, 16)));
    server.original(&uploaded.alias);
    server.stop();
}

/// Temporary folders belong to their maker alone.
fn open_to_all(folder: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder, mode).expect("set");
}
