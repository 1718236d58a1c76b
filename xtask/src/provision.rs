//! Programs that tests and benchmarks use: says exactly what is missing, and installs it where
//! that can be done without asking (Debian's packages, as root or with a silent sudo).

use std::process::Stdio;

use anyhow::{Result, bail};

use crate::command;

/// A program and where it comes from.
pub struct Program {
    /// What is looked for on PATH; a whole path where PATH does not lead to it.
    pub name: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// What goes wrong or slow without it.
    pub purpose: &'static str,
}

/// What `cargo xtask test` wants.
pub const FOR_TESTS: [Program; 20] = [
    Program {
        name: "cc",
        package: "gcc",
        purpose: "compiles the C codecs and SQLite; nothing builds without it",
    },
    Program {
        name: "nasm",
        package: "nasm",
        purpose: "assembles libjpeg's SIMD; without it JPEG takes 1.75 times as long",
    },
    Program {
        name: "cmake",
        package: "cmake",
        purpose: "builds libaom, which encodes AVIF many times as fast as rav1e",
    },
    Program {
        name: "c++",
        package: "g++",
        purpose: "libaom's cmake asks for it",
    },
    Program {
        name: "make",
        package: "make",
        purpose: "runs what libaom's cmake writes",
    },
    Program {
        name: "perl",
        package: "perl",
        purpose: "writes some of libaom's sources",
    },
    Program {
        name: "exiftool",
        package: "libimage-exiftool-perl",
        purpose: "a second opinion on whether metadata is really gone",
    },
    Program {
        name: "ffmpeg",
        package: "ffmpeg",
        purpose: "makes the videos of the tests, and what the server makes of them",
    },
    Program {
        name: "chromium",
        package: "chromium",
        purpose: "looks whether what is stored and made looks like what was uploaded",
    },
    Program {
        name: "convert-im6.q16",
        package: "imagemagick",
        purpose: "makes PSD and JPEG 2000 files, and reads them for the server",
    },
    Program {
        name: "qemu-arm-static",
        package: "qemu-user-static",
        purpose: "runs the static binaries of other processors, in an empty root too",
    },
    Program {
        name: "qemu-arm",
        package: "qemu-user",
        purpose: "runs them with another clock; the static emulator takes no library in",
    },
    Program {
        name: "faketime",
        package: "faketime",
        purpose: "lets a clock show the year 2040",
    },
    Program {
        name: "rpm",
        package: "rpm",
        purpose: "installs the .rpm into a folder",
    },
    Program {
        name: "systemd-sysusers",
        package: "systemd",
        purpose: "makes the service's user when a package is installed",
    },
    Program {
        name: "deb-systemd-helper",
        package: "init-system-helpers",
        purpose: "enables the unit when the .deb is installed",
    },
    Program {
        name: "curl",
        package: "curl",
        purpose: "runs the command lines of the documentation",
    },
    Program {
        name: "/usr/sbin/nginx",
        package: "nginx",
        purpose: "caches media in front of the server, as the documentation shows",
    },
    Program {
        name: "mount",
        package: "mount",
        purpose: "mounts small disks that the tests fill",
    },
    Program {
        name: "mkfs.ext4",
        package: "e2fsprogs",
        purpose: "makes one of these disks",
    },
];

/// What `cargo xtask dist` wants beside zig and the standard library's sources.
pub const FOR_DIST: [Program; 7] = [
    Program {
        name: "cc",
        package: "gcc",
        purpose: "compiles what runs while building",
    },
    Program {
        name: "nasm",
        package: "nasm",
        purpose: "assembles libjpeg's and libaom's SIMD for amd64",
    },
    Program {
        name: "cmake",
        package: "cmake",
        purpose: "builds libaom, which encodes AVIF",
    },
    Program {
        name: "make",
        package: "make",
        purpose: "runs what libaom's cmake writes",
    },
    Program {
        name: "perl",
        package: "perl",
        purpose: "writes some of libaom's sources",
    },
    Program {
        name: "python3",
        package: "python3-venv",
        purpose: "installs zig, which compiles C for every target",
    },
    Program {
        name: "dpkg-deb",
        package: "dpkg",
        purpose: "unpacks the sources of Rust's standard library",
    },
];

/// What `cargo xtask flake` wants; Nix itself it fetches.
pub const FOR_FLAKE: [Program; 7] = [
    Program {
        name: "cc",
        package: "gcc",
        purpose: "compiles the C codecs and SQLite; nothing builds without it",
    },
    Program {
        name: "nasm",
        package: "nasm",
        purpose: "assembles libjpeg's SIMD",
    },
    Program {
        name: "cmake",
        package: "cmake",
        purpose: "builds libaom, which encodes AVIF",
    },
    Program {
        name: "c++",
        package: "g++",
        purpose: "libaom's cmake asks for it",
    },
    Program {
        name: "perl",
        package: "perl",
        purpose: "writes some of libaom's sources",
    },
    Program {
        name: "patchelf",
        package: "patchelf",
        purpose: "makes Debian's newest Nix run on an older Debian",
    },
    Program {
        name: "systemd-analyze",
        package: "systemd",
        purpose: "judges the unit of the NixOS module",
    },
];

/// What `cargo xtask flake --static` wants besides.
pub const FOR_STATIC: [Program; 4] = [
    Program {
        name: "qemu-aarch64-static",
        package: "qemu-user-static",
        purpose: "runs arm64 programs",
    },
    Program {
        name: "qemu-arm-static",
        package: "qemu-user-static",
        purpose: "runs armv7l programs",
    },
    Program {
        name: "curl",
        package: "curl",
        purpose: "speaks to the booted server",
    },
    Program {
        name: "readelf",
        package: "binutils",
        purpose: "tells whether a program is static",
    },
];

/// What `cargo xtask flake --boot` wants besides.
pub const FOR_BOOT: [Program; 2] = [
    Program {
        name: "debootstrap",
        package: "debootstrap",
        purpose: "makes the system that is booted",
    },
    Program {
        name: "systemd-nspawn",
        package: "systemd-container",
        purpose: "boots it",
    },
];

/// What `cargo xtask bench` wants.
pub const FOR_BENCH: [Program; 16] = [
    Program {
        name: "cc",
        package: "gcc",
        purpose: "compiles the C codecs and SQLite; nothing builds without it",
    },
    Program {
        name: "nasm",
        package: "nasm",
        purpose: "assembles libjpeg's SIMD, for us and for oximg",
    },
    Program {
        name: "sqlite3",
        package: "sqlite3",
        purpose: "fills a database with millions of aliases",
    },
    Program {
        name: "cmake",
        package: "cmake",
        purpose: "builds the JPEG encoder of oximg",
    },
    Program {
        name: "convert",
        package: "imagemagick",
        purpose: "a peer, and makes the inputs",
    },
    Program {
        name: "exiftool",
        package: "libimage-exiftool-perl",
        purpose: "writes the metadata of the phone photographs",
    },
    Program {
        name: "npm",
        package: "npm",
        purpose: "installs sharp",
    },
    Program {
        name: "curl",
        package: "curl",
        purpose: "uploads and asks for variants",
    },
    Program {
        name: "wrk",
        package: "wrk",
        purpose: "asks for a warm variant as fast as it is answered",
    },
    Program {
        name: "/usr/sbin/nginx",
        package: "nginx",
        purpose: "the peer for warm variants",
    },
    Program {
        name: "time",
        package: "time",
        purpose: "measures ImageMagick",
    },
    Program {
        name: "heif-enc",
        package: "libheif-examples",
        purpose: "makes HEIC photographs",
    },
    Program {
        name: "avifenc",
        package: "libavif-bin",
        purpose: "makes AVIF photographs",
    },
    Program {
        name: "djxl",
        package: "libjxl-tools",
        purpose: "a peer for JPEG XL, and makes the photographs",
    },
    Program {
        name: "cwebp",
        package: "webp",
        purpose: "the second half of that peer",
    },
    Program {
        name: "vipsthumbnail",
        package: "libvips-tools",
        purpose: "a peer for HEIC",
    },
];

/// Makes sure of `programs`, installing what is missing when `install` is set and that works
/// without a question. Gives those that are still missing.
///
/// # Errors
/// When the C compiler is missing at the end: nothing could be built.
pub fn ensure(programs: &'static [Program], install: bool) -> Result<Vec<&'static Program>> {
    let mut missing = absent(programs);
    if install && !missing.is_empty() {
        try_install(&missing);
        missing = absent(programs);
    }
    for program in programs.iter().filter(|p| command::is_installed(p.name)) {
        println!("{}: found", program.name);
    }
    for program in &missing {
        println!("{}: MISSING: {}", program.name, program.purpose);
    }
    if !missing.is_empty() {
        println!(
            "to install: sudo apt-get install {}",
            packages(&missing).join(" ")
        );
    }
    if missing.iter().any(|program| program.name == "cc") {
        bail!("there is no C compiler");
    }
    Ok(missing)
}

fn absent(programs: &'static [Program]) -> Vec<&'static Program> {
    programs
        .iter()
        .filter(|program| !command::is_installed(program.name))
        .collect()
}

fn packages(missing: &[&Program]) -> Vec<&'static str> {
    missing.iter().map(|program| program.package).collect()
}

/// A failure is not an error here: the caller looks again and says what is missing.
fn try_install(missing: &[&Program]) {
    let Some(prefix) = privilege() else {
        return;
    };
    let packages = packages(missing);
    println!("installing {}", packages.join(" "));
    let apt = |arguments: &[&str]| {
        let mut words = prefix.iter().copied().chain(["apt-get", "-q", "-y"]);
        let mut command = command::new(words.next().unwrap_or("apt-get"));
        let ran = command
            .args(words)
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status();
        ran.is_ok_and(|status| status.success())
    };
    let mut install = vec!["install", "--no-install-recommends"];
    install.extend(&packages);
    // A fresh machine has no package list yet, or an old one: then fetch it and try again.
    if !apt(&install) && apt(&["update"]) && !apt(&install) {
        println!("apt-get install failed");
    }
}

/// What to put before apt-get: nothing for root, sudo where it asks no question, `None` where
/// packages cannot be installed.
fn privilege() -> Option<&'static [&'static str]> {
    if !command::is_installed("apt-get") {
        return None;
    }
    if command::output(command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    let silent = command::new("sudo")
        .args(["-n", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    silent.then_some(&["sudo", "-n"])
}
