//! Announces when libjpeg is built without its assembly: cargo shows warnings of our crates
//! only, not those of the library that is concerned.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PATH");
    let architecture = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    // The same test as the library's own build script makes.
    let nasm = architecture == "x86_64" && Command::new("nasm").arg("-v").output().is_ok();
    let simd = nasm || architecture == "aarch64";
    if architecture == "x86_64" && !nasm {
        println!("cargo:warning=nasm was not found: JPEGs will decode at about half the speed");
    }
    println!("cargo:rustc-check-cfg=cfg(jpeg_simd)");
    if simd {
        println!("cargo:rustc-cfg=jpeg_simd");
    }
}
