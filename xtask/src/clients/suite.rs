//! The published integration tests of the existing pict-rs, as one program that `tests/clients.rs`
//! runs. They are unchanged except for the functions that start a server, which run any program
//! (`start.txt`).

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::Package;
use crate::{cache, command};

/// The name of the test program and of its folder.
const NAME: &str = "suite";
const START: &str = include_str!("start.txt");
/// Few crates with few features, because all of them are compiled on a busy machine.
const MANIFEST: &str = r#"
[package]
name = "suite"
version = "0.0.0"
edition = "2024"
autotests = false

[[test]]
name = "suite"
path = "tests/suite.rs"

[dev-dependencies]
reqwest = { version = "0.13", default-features = false, features = ["json", "multipart", "stream"] }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
serde_urlencoded = "0.7"
time = { version = "0.3", features = ["parsing", "serde", "serde-well-known"] }
tokio = { version = "1", features = ["fs", "macros", "net", "rt-multi-thread", "time"] }
tracing = { version = "0.1", default-features = false }
uuid = { version = "1", features = ["v7"] }

[profile.dev]
debug = 0

[workspace]
"#;
/// The tests require this; upstream sets it where ImageMagick and similar programs are installed.
const BUILD: &str = "fn main() { println!(\"cargo::rustc-cfg=system_deps\"); }\n";

/// Builds the program `suite` in the folder `suite`, next to the examples, unless it exists.
///
/// # Errors
/// When the package has changed, or the program does not compile.
pub fn prepare(package: &Package) -> Result<()> {
    let folder = package.folder.join(NAME);
    // Written last, so that an interrupted build is repeated; also repeated when the recipe
    // changes.
    let done = folder.join("built");
    let recipe = [MANIFEST, BUILD, START, include_str!("suite.rs")].concat();
    if fs::read_to_string(&done).is_ok_and(|found| found == recipe) {
        return Ok(());
    }
    println!("building the tests of {} {}", super::CRATE, super::VERSION);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("src"))?;
    package.unpack("tests", &folder)?;
    // The tests upload files from there.
    symlink("../client-examples", folder.join("client-examples"))?;
    let common = folder.join("tests/common/mod.rs");
    fs::write(&common, adapted(&fs::read_to_string(&common)?)?)?;
    fs::write(
        folder.join("tests/suite.rs"),
        modules(&folder.join("tests"))?,
    )?;
    fs::write(folder.join("Cargo.toml"), MANIFEST)?;
    fs::write(folder.join("build.rs"), BUILD)?;
    fs::write(folder.join("src/lib.rs"), "")?;
    // The same versions as in this clone, where it has them.
    fs::copy(
        cache::repository().join("Cargo.lock"),
        folder.join("Cargo.lock"),
    )?;
    let target = folder.join("target");
    let mut cargo = command::cargo();
    cargo
        .args(["test", "--quiet", "--no-run", "--message-format=json"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTFLAGS");
    let messages = command::output(&mut cargo).context("the published tests do not compile")?;
    let program = program(&messages).context("cargo names no test program")?;
    fs::copy(program, folder.join(NAME))?;
    fs::remove_dir_all(target)?;
    fs::write(done, recipe)?;
    Ok(())
}

/// The path of the test program in cargo's messages.
fn program(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["kind"][0] == "test")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// One program of all files, so that there is only one link step.
fn modules(tests: &Path) -> Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(tests)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().context("a file has a name")?;
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "the package has no tests");
    let mut text = String::new();
    for name in names {
        let _ = writeln!(text, "#[path = \"{name}.rs\"]\nmod {name};");
    }
    Ok(text)
}

/// The shared code of the tests, with our functions to start a server.
fn adapted(text: &str) -> Result<String> {
    let mut kept: String = text
        .lines()
        .filter(|line| !line.starts_with("use "))
        .map(|line| format!("{line}\n"))
        .collect();
    for start in ["pub fn client()", "fn spawn_pict_rs(", "fn init_tracing()"] {
        let from = kept.find(start).with_context(|| format!("no `{start}`"))?;
        let length = kept[from..].find("\n}\n").context("a function ends")? + "\n}\n".len();
        kept.replace_range(from..from + length, "");
    }
    let folder = "format!(\"/tmp/pict-rs-test/{}\", uuid::Uuid::now_v7())";
    ensure!(kept.contains(folder), "the tests have another folder");
    kept = kept.replace(
        folder,
        "format!(\"{}/{}\", test_folder(), uuid::Uuid::now_v7())",
    );
    Ok(kept + START)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_starts_a_server_is_replaced() {
        let theirs = "use pict_rs::PictRsError;\n\
            pub fn client() -> C {\n    theirs()\n}\n\
            fn spawn_pict_rs(c: C) {\n    theirs()\n}\n\
            fn init_tracing() {\n    theirs()\n}\n\
            fn d() { format!(\"/tmp/pict-rs-test/{}\", uuid::Uuid::now_v7()) }\n\
            pub struct Details;\n";
        let ours = adapted(theirs).expect("all is there");
        assert!(!ours.contains("theirs()") && !ours.contains("use pict_rs"));
        assert!(ours.contains("pub struct Details;") && ours.contains("SUITE_SERVER"));
        assert!(!ours.contains("/tmp/"));
        assert!(adapted("pub fn client() {\n}\n").is_err());
    }

    #[test]
    fn the_program_is_found_in_what_cargo_says() {
        let said = "{\"target\":{\"kind\":[\"lib\"]},\"executable\":null}\nwarning\n\
            {\"target\":{\"kind\":[\"test\"]},\"executable\":\"/t/suite-1\"}\n";
        assert_eq!(program(said), Some("/t/suite-1".into()));
        assert_eq!(program("{}"), None);
    }
}
