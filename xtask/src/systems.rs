//! Whether the server compiles for macOS and FreeBSD: lints of all its code, and its C by zig, which
//! has the headers of both. Nothing is linked, because macOS needs Apple's frameworks for that, and
//! nothing is run.

use std::{fs, process::ExitCode, time::Instant};

use anyhow::{Context as _, Result};

use crate::{
    cache, command,
    dist::{self, Foreign},
};

/// What rustc calls them. For each it needs a standard library, and zig the headers of C.
const ALL: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];

/// Obtains the tools and checks all systems.
///
/// # Errors
/// When a tool cannot be obtained, or something does not compile.
pub fn run() -> Result<ExitCode> {
    check(&dist::foreign()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Checks all systems, and says how long each took.
///
/// # Errors
/// When something does not compile.
pub fn check(tools: &Foreign) -> Result<()> {
    let folder = cache::folder("systems")?;
    // cc asks Apple's tools for the folder of an SDK unless it is told one; zig needs none.
    let sdk = folder.join("sdk");
    fs::create_dir_all(&sdk)?;
    for system in ALL {
        let started = Instant::now();
        let mut clippy = command::new(&tools.zigbuild);
        clippy
            .args(["clippy", "--locked", "--quiet", "--package", "pict-rs"])
            .args(["--target", system, "-Zbuild-std=std,panic_unwind"])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", &tools.library)
            .env("CARGO_ZIGBUILD_ZIG_PATH", &tools.zig)
            .env("SDKROOT", &sdk)
            // Compiled to see that it compiles, so nothing is gained by making it fast.
            .env(format!("CFLAGS_{}", system.replace('-', "_")), "-O0")
            // Apart from other builds, so that none of them compiles anything again.
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .env("CARGO_INCREMENTAL", "0")
            .args(["--", "-D", "warnings"]);
        command::run(&mut clippy).with_context(|| format!("{system} does not compile"))?;
        let seconds = started.elapsed().as_secs_f64();
        println!("{system}: compiles, checked in {seconds:.1} s");
    }
    Ok(())
}
