//! Everything that determines the bytes of a static binary, for the digest under which the cache
//! stores it. A file of the clone counts unless [`LEFT_OUT`] names it; after each build the
//! compiler's own list of files is compared with that ([`check`]).

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{build, target::Target, toolchain::Toolchain};
use crate::{cache, clone, command, kept::Ingredients, tool};

/// Files and folders that do not affect a binary: tests, files packed with the binary (packages are
/// made in each run), and chores that do not build it.
const LEFT_OUT: [&str; 23] = [
    ".ci/",
    ".forgejo/",
    ".github/",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "contrib/",
    "crates/testkit/",
    "deny.toml",
    "docs/",
    "flake.lock",
    "flake.nix",
    "fuzz/",
    "nix/",
    "pict-rs-unwrapped.nix",
    "pict-rs.nix",
    "pict-rs.toml",
    "tests/",
    "xtask/",
];

/// Chores that build it.
const TAKEN_IN: [&str; 5] = [
    "xtask/Cargo.toml",
    "xtask/src/aom.rs",
    "xtask/src/dist.rs",
    "xtask/src/dist/",
    "xtask/src/tool.rs",
];

/// Prefixes of variables that cargo, cc, zig and our own sources read.
const VARIABLES: [&str; 15] = [
    "AR",
    "AS",
    "ASM_NASM",
    "CARGO_BUILD_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CC",
    "CFLAGS",
    "CXX",
    "HOST_",
    "LDFLAGS",
    "PICTRS_SOURCE_URL",
    "RUSTC",
    "TARGET_",
    "ZIG",
];

/// These affect where and how fast, not what is built.
const WHERE: [&str; 3] = [
    "CARGO_BUILD_JOBS",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
];

/// Whether a file of the clone may affect the binary.
fn counts(file: &str) -> bool {
    let is_below = |list: &[&str]| {
        list.iter()
            .any(|entry| file == *entry || (entry.ends_with('/') && file.starts_with(entry)))
    };
    is_below(&TAKEN_IN) || !is_below(&LEFT_OUT)
}

/// Everything that the binary of a target is made from.
///
/// # Errors
/// When a tool does not print its version, or libaom cannot be built.
pub fn of(target: &Target, toolchain: &Toolchain) -> Result<Ingredients> {
    let mut files = clone::files()?;
    files.retain(|file| counts(file));
    files.sort();
    let mut all = Ingredients::default();
    all.files(&cache::repository(), &files)?
        .fact("target", target.name)
        .fact("rustc", command::output(command::new("rustc").arg("-vV"))?)
        .fact("cargo", command::output(command::cargo().arg("-vV"))?)
        .fact("zig", toolchain.wheels())
        .fact("auditable", tool::AUDITABLE.version)
        .fact("date", build::EPOCH);
    // Assembles libjpeg's SIMD if installed.
    let nasm = command::output(command::new("nasm").arg("-v")).unwrap_or_default();
    all.fact("nasm", nasm);
    match &toolchain.library {
        Some(library) => all.fact("std", "built").folder(library)?,
        None => all.fact("std", "of the toolchain"),
    };
    all.files(toolchain.libaom(target)?.folder(), &["libaom.a".to_owned()])?;
    for settings in settings_of_cargo() {
        all.fact("settings", fs::read(settings)?);
    }
    for (name, value) in told(env::vars_os()) {
        all.fact(&name, value.as_encoded_bytes());
    }
    Ok(all)
}

/// Cargo's settings outside the clone: the user's, and those in the folders above.
fn settings_of_cargo() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let above = cache::repository();
    let folders = above
        .ancestors()
        .skip(1)
        .map(|folder| folder.join(".cargo"));
    let mut found: Vec<_> = folders
        .chain(home)
        .flat_map(|folder| [folder.join("config.toml"), folder.join("config")])
        .filter(|file| file.is_file())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The variables that a build may read.
fn told(environment: impl Iterator<Item = (OsString, OsString)>) -> Vec<(String, OsString)> {
    let mut found: Vec<_> = environment
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| {
            VARIABLES.iter().any(|start| name.starts_with(start)) && !WHERE.contains(&&**name)
        })
        .collect();
    found.sort();
    found
}

/// Compares the list of files that the compiler has read with [`counts`].
///
/// # Errors
/// When it has read a file that is left out: the digest would not change with it.
pub fn check(binary: &Path) -> Result<()> {
    let list = binary.with_extension("d");
    let text =
        fs::read_to_string(&list).with_context(|| format!("cargo wrote no {}", list.display()))?;
    for file in read_of(&text, &cache::repository()) {
        if !counts(&file) {
            bail!(
                "the binary is made of {file}: take it off LEFT_OUT in xtask/src/dist/ingredients.rs"
            );
        }
    }
    Ok(())
}

/// File names below `root` in a makefile as compilers write it.
fn read_of(makefile: &str, root: &Path) -> Vec<String> {
    let (_, files) = makefile.split_once(": ").unwrap_or_default();
    // Spaces in names are escaped with a backslash.
    files
        .trim_end()
        .replace("\\ ", "\0")
        .split(' ')
        .map(|file| file.replace('\0', " "))
        .filter_map(|file| Some(Path::new(&file).strip_prefix(root).ok()?.to_owned()))
        .map(|file| file.to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_recipe_count_and_words_do_not() {
        for file in [
            "Cargo.lock",
            "Cargo.toml",
            ".cargo/config.toml",
            "crates/pict-rs/Cargo.toml",
            "crates/pict-rs-core/migrations/sqlite/0001_media.sql",
            "crates/pict-rs/src/main.rs",
            "a-file-that-is-new",
            "xtask/src/aom.rs",
            "xtask/src/dist.rs",
            "xtask/src/dist/target.rs",
        ] {
            assert!(counts(file), "{file}");
        }
        for file in [
            "docs/api.md",
            "tests/api/upload.rs",
            "xtask/src/bench.rs",
            "flake.nix",
            "CHANGELOG.md",
            "crates/testkit/src/client.rs",
        ] {
            assert!(!counts(file), "{file}");
        }
    }

    #[test]
    fn every_name_on_the_lists_is_there() {
        let root = cache::repository();
        for name in LEFT_OUT.iter().chain(&TAKEN_IN) {
            assert!(root.join(name).exists(), "{name}");
        }
    }

    #[test]
    fn variables_of_profiles_and_compilers_count() {
        let variables = [
            ("PATH", "/bin"),
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("CARGO_TARGET_DIR", "/t"),
            ("CFLAGS_armv7", "-O1"),
            ("RUSTC_WRAPPER", "w"),
        ];
        let pairs = variables.map(|(name, value)| (name.into(), value.into()));
        let names: Vec<_> = told(pairs.into_iter())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            ["CARGO_PROFILE_RELEASE_LTO", "CFLAGS_armv7", "RUSTC_WRAPPER"]
        );
    }

    #[test]
    fn what_a_compiler_has_read_is_found_in_its_makefile() {
        let makefile =
            "/t/release/pict-rs: /clone/crates/a/src/lib.rs /clone/docs/a\\ b.md /elsewhere/x\n";
        let found = read_of(makefile, Path::new("/clone"));
        assert_eq!(found, ["crates/a/src/lib.rs", "docs/a b.md"]);
    }
}
