//! The static binaries of `cargo xtask dist`: what their files say, and that each of them runs
//! where nothing else is. `PICTRS_TEST_CROSS_DIR` names the folder that holds them, as
//! `<target>/pict-rs`; without it these tests say that they were skipped.

/// What administrators type on a machine with the package.
mod admin;
/// Service, crashes and limits, on each processor.
mod boot;
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

use std::path::PathBuf;

use goblin::elf::header::{EM_AARCH64, EM_ARM, EM_X86_64};

use crate::support::programs;
use crate::support::server::{Launch, Program};

/// A processor that binaries are made for.
pub struct Target {
    /// Its folder.
    pub name: &'static str,
    /// `e_machine` of its binaries.
    machine: u16,
    /// Whether pointers have 64 bits.
    is_64: bool,
    /// What `std::env::consts::ARCH` says on such a machine.
    arch: &'static str,
    /// Runs its binaries on other machines.
    emulator: &'static str,
}

pub const AMD64: Target = Target {
    name: "amd64",
    machine: EM_X86_64,
    is_64: true,
    arch: "x86_64",
    emulator: "qemu-x86_64-static",
};
pub const ARM64: Target = Target {
    name: "arm64",
    machine: EM_AARCH64,
    is_64: true,
    arch: "aarch64",
    emulator: "qemu-aarch64-static",
};
pub const ARMV7L: Target = Target {
    name: "armv7l",
    machine: EM_ARM,
    is_64: false,
    arch: "arm",
    emulator: "qemu-arm-static",
};

/// Makes one test of each function for each target, so that the name of a failed one tells both.
macro_rules! on_each_target {
    ($($test:ident),* $(,)?) => {
        on_each_target!(@ amd64 AMD64 $($test),*);
        on_each_target!(@ arm64 ARM64 $($test),*);
        on_each_target!(@ armv7l ARMV7L $($test),*);
    };
    (@ $module:ident $target:ident $($test:ident),*) => {
        mod $module {
            $(#[test] fn $test() { super::$test(&crate::cross::$target) })*
        }
    };
}
use on_each_target;

impl Target {
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
        let found = programs::find(self.emulator);
        if found.is_none() {
            let reason = format!("{} is not on PATH", self.emulator);
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
