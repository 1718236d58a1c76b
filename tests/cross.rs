//! The static binaries of `cargo xtask dist`: what their files say, and that each of them runs
//! where nothing else is. `PICTRS_TEST_CROSS_DIR` names the folder that holds them, as
//! `<target>/pict-rs`; without it these tests say that they were skipped.

/// What administrators type on a machine with the package.
mod admin;
/// Service, crashes and limits, on each processor.
mod boot;
/// The unit under a systemd that boots, and the image in a container.
mod confined;
/// Class, machine, hardening, and no path of the machine that built it.
mod elf;
/// Images for containers.
mod image;
/// A Debian to install packages on.
mod machine;
/// Debian's and Red Hat's packages, installed into a folder and started.
mod packages;
/// Archives, checksums, bill of materials and notices.
mod released;
/// A root that holds the binary and a data folder, and nothing else.
mod root;
/// What is different where pointers have 32 bits.
mod small;
/// The unit that packages install, and that of the NixOS module.
mod unit;
/// The life of a package: its scripts, from installation to removal.
mod upgrades;

use std::ops::Deref;
use std::path::PathBuf;

use crate::support::programs;
use crate::support::server::{Launch, Program};

/// A processor that binaries are made for, and its row in the table.
pub struct Target(&'static xtask::targets::Target);

impl Deref for Target {
    type Target = xtask::targets::Target;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

/// Makes one test of each function for each target, so that the name of a failed one tells both.
/// A test compares the lines with the table.
macro_rules! on_each_target {
    ($($test:ident),* $(,)?) => {
        on_each_target!(@ amd64 $($test),*);
        on_each_target!(@ arm64 $($test),*);
        on_each_target!(@ armv7l $($test),*);
    };
    (@ $target:ident $($test:ident),*) => {
        mod $target {
            $(#[test] fn $test() {
                super::$test(&crate::cross::Target::named(stringify!($target)))
            })*
        }
    };
}
pub(crate) use on_each_target;

#[test]
fn every_target_of_the_table_is_tested() {
    let own = include_str!("cross.rs");
    for target in xtask::targets::ALL.iter() {
        let line = format!("on_each_target!(@ {} ", target.name);
        assert!(own.contains(&line), "{line}");
    }
}

impl Target {
    /// All of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        xtask::targets::ALL.iter().map(Self)
    }

    /// The one whose folder has this name.
    pub fn named(name: &str) -> Self {
        let found = Self::all().find(|target| target.name == name);
        found.unwrap_or_else(|| panic!("{name} is not in targets.toml"))
    }

    /// Runs its binaries on other machines.
    pub fn emulator_name(&self) -> String {
        format!("qemu-{}-static", self.qemu)
    }

    /// The folder with everything that is released for this target.
    pub fn folder(&self, test: &str) -> Option<PathBuf> {
        let test = format!("{test} on {}", self.name);
        let Some(folder) = std::env::var_os("PICTRS_TEST_CROSS_DIR") else {
            programs::skip(
                "cross",
                &test,
                "PICTRS_TEST_CROSS_DIR is not set; cargo xtask dist makes the binaries",
            );
            return None;
        };
        let folder = PathBuf::from(folder).join(self.name);
        if !folder.join("pict-rs").is_file() {
            programs::skip(
                "cross",
                &test,
                &format!("{} is not there", folder.display()),
            );
            return None;
        }
        Some(folder)
    }

    /// The binary's file.
    pub fn binary(&self, test: &str) -> Option<PathBuf> {
        Some(self.folder(test)?.join("pict-rs"))
    }

    /// The emulator, or nothing where the processor is the machine's own.
    pub fn emulator(&self, test: &str) -> Option<Vec<PathBuf>> {
        if std::env::consts::ARCH == self.arch {
            return Some(Vec::new());
        }
        let emulator = self.emulator_name();
        let found = programs::find(&emulator);
        if found.is_none() {
            let reason = format!("{emulator} is not on PATH");
            programs::skip("cross", &format!("{test} on {}", self.name), &reason);
        }
        Some(vec![found?])
    }

    /// The binary with what runs it here.
    pub fn program(&self, test: &str) -> Option<Program> {
        Some(Program::new(self.binary(test)?, self.emulator(test)?))
    }

    /// A server in a folder of its own.
    pub fn launch(&self, test: &str) -> Option<Launch> {
        self.program(test).map(Launch::of)
    }
}
