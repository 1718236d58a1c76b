//! libaom, the AVIF encoder, as a static library: built once for each target from the sources in
//! the crate `libaom-sys`, and passed to that crate's build script by the three variables that it
//! reads.
//!
//! The script could build it too, but not for 32-bit ARM, not reproducibly in every folder, and in
//! cargo's debug profile without optimisation and with assertions that abort the process.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    apt::Scratch,
    cache, command,
    progress::{self, Progress},
};

/// The feature, by a name that is also valid for the whole workspace.
pub const FEATURE: &str = "pict-rs/libaom";
/// The only crate with code for the feature; others pass it on.
pub const CRATE: &str = "pict-rs-media";

/// The library of one target.
#[derive(Clone)]
pub struct Library {
    /// Contains `libaom.a`.
    folder: PathBuf,
    /// Contains the header files.
    sources: PathBuf,
}

/// The compiler and its target.
pub enum Compiler<'a> {
    /// The machine's own compiler, for this machine.
    Host,
    /// zig, for another system.
    Zig {
        /// The program.
        zig: &'a Path,
        /// The version of zig, as part of the library's name.
        version: &'a str,
        /// The target, as zig names it.
        target: &'static str,
        /// The CPU features that may be used, as zig names them.
        cpu: Option<&'static str>,
    },
}

/// `libaom.toml`, which the Nix recipes use as well.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    cmake: BTreeMap<String, u8>,
    cpu: BTreeMap<String, String>,
}

impl Configuration {
    fn read() -> Self {
        toml::from_str(include_str!("../../libaom.toml")).expect("libaom.toml is right")
    }

    /// What libaom calls the processor of a triple.
    fn cpu(&self, triple: &str) -> &str {
        let word = triple.split('-').next().unwrap_or_default();
        self.cpu.get(word).map_or("generic", String::as_str)
    }
}

/// The library for `compiler`, from the cache or newly built.
///
/// # Errors
/// When cmake, a compiler or the sources are missing, or the build fails.
pub fn library(compiler: &Compiler<'_>) -> Result<Library> {
    let sources = sources()?;
    let vendor = sources.vendor();
    let configuration = Configuration::read();
    let (name, mut settings) = match compiler {
        Compiler::Host => ("host".to_owned(), Vec::new()),
        Compiler::Zig {
            version, target, ..
        } => {
            let cpu = configuration.cpu(target);
            (
                format!("{target}-{version}"),
                vec![
                    "-DCMAKE_SYSTEM_NAME=Linux".to_owned(),
                    format!("-DCMAKE_SYSTEM_PROCESSOR={cpu}"),
                    format!("-DAOM_TARGET_CPU={cpu}"),
                ],
            )
        }
    };
    settings.push("-DCMAKE_BUILD_TYPE=Release".to_owned());
    let flags = configuration.cmake.iter();
    settings.extend(flags.map(|(name, value)| format!("-D{name}={value}")));
    let recipe = format!("{settings:?} {}", compiler.words().join(" "));
    let digest = hex::encode(&Sha256::digest(recipe)[..4]);
    let name = format!("{}-{name}-{digest}", sources.version);
    let folder = cache::folder("libaom")?.join(&name);
    let library = Library {
        folder,
        sources: vendor.clone(),
    };
    if library.folder.join("libaom.a").is_file() {
        return Ok(library);
    }
    println!("building libaom into {}", library.folder.display());
    let mut progress = Progress::begin("libaom");
    let scratch = Scratch::new(cache::folder("libaom")?.join(format!(".{name}.partial")))?;
    let build = scratch.path().join("build");
    // Assertions and logs would contain folder names of this machine.
    let flags = format!(
        "-g0 -ffile-prefix-map={}=/libaom -ffile-prefix-map={}=/libaom/build",
        vendor.display(),
        build.display()
    );
    let mut configure = command::new("cmake");
    configure
        .arg("-S")
        .arg(&vendor)
        .arg("-B")
        .arg(&build)
        .args(&settings)
        .arg(format!("-DCMAKE_C_FLAGS={flags}"))
        .arg(format!("-DCMAKE_CXX_FLAGS={flags}"));
    if let Compiler::Zig { zig, .. } = compiler {
        // cmake tests its C++ compiler although no C++ code is left: as "c++" zig would build a C++
        // library for that, which takes minutes.
        configure.arg(format!(
            "-DCMAKE_CXX_COMPILER={}",
            scratch.path().join("cc").display()
        ));
        for (tool, variable) in [("cc", "C_COMPILER"), ("ar", "AR"), ("ranlib", "RANLIB")] {
            let program = scratch.path().join(tool);
            wrap(&program, zig, tool, &compiler.words())?;
            configure.arg(format!("-DCMAKE_{variable}={}", program.display()));
        }
    }
    command::said(&mut configure).context(
        "libaom cannot be configured; mend it: sudo apt-get install cmake make g++ nasm perl",
    )?;
    let jobs = std::thread::available_parallelism().map_or(1, |count| count.get());
    let mut make = command::new("cmake");
    make.arg("--build")
        .arg(&build)
        .args(["--target", "aom", "--parallel", &jobs.to_string()]);
    progress
        .follow(&mut make)
        .context("libaom cannot be built")?;
    let finished = scratch.path().join("finished");
    fs::create_dir_all(&finished)?;
    fs::copy(build.join("libaom.a"), finished.join("libaom.a"))
        .context("the build has made no libaom.a")?;
    fs::rename(&finished, &library.folder)?;
    println!(
        "libaom: built in {}",
        progress::readable(progress.elapsed())
    );
    Ok(library)
}

impl Compiler<'_> {
    /// The compiler's arguments for the target.
    fn words(&self) -> Vec<String> {
        match self {
            Self::Host => Vec::new(),
            Self::Zig { target, cpu, .. } => ["-target".to_owned(), (*target).to_owned()]
                .into_iter()
                .chain(cpu.map(|cpu| format!("-mcpu={cpu}")))
                .collect(),
        }
    }
}

impl Library {
    /// Contains `libaom.a`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds the feature to a cargo command, which must not contain `--` yet.
    pub fn enable<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        self.find(cargo.args(["--features", FEATURE]))
    }

    /// The same for [`CRATE`] alone.
    pub fn enable_in_its_crate<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        self.find(cargo.args(["--package", CRATE, "--features", "libaom"]))
    }

    /// Tells the build script where the library is.
    fn find<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        cargo
            .env("LIB_AOM_STATIC_LIB_PATH", &self.folder)
            .env("LIB_AOM_INCLUDE_PATH", &self.sources)
            // Not used, but the build script requires all three.
            .env("LIB_AOM_PKG_CONFIG_PATH", &self.folder)
    }
}

struct Sources {
    version: String,
    package: PathBuf,
}

impl Sources {
    fn vendor(&self) -> PathBuf {
        self.package.join("vendor")
    }
}

/// The crate's folder, wherever cargo stores it.
fn sources() -> Result<Sources> {
    let metadata = command::output(command::cargo().args([
        "metadata",
        "--locked",
        "--format-version=1",
        "--all-features",
    ]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let package = metadata["packages"]
        .as_array()
        .and_then(|packages| packages.iter().find(|p| p["name"] == "libaom-sys"))
        .context("cargo knows no libaom-sys")?;
    let (Some(manifest), Some(version)) = (
        package["manifest_path"].as_str(),
        package["version"].as_str(),
    ) else {
        bail!("cargo does not say where libaom-sys is");
    };
    let mut folder = PathBuf::from(manifest);
    folder.pop();
    Ok(Sources {
        version: version.to_owned(),
        package: folder,
    })
}

/// Writes a script that runs one of zig's tools with fixed arguments first, because cmake needs a
/// path.
fn wrap(program: &Path, zig: &Path, tool: &str, words: &[String]) -> Result<()> {
    let mut script = format!("#!/bin/sh\nexec '{}' {tool}", zig.display());
    if tool.starts_with('c') {
        for word in words {
            let _ = write!(script, " '{word}'");
        }
        // By default zig traps on undefined behaviour.
        script.push_str(" -fno-sanitize=undefined");
    }
    script.push_str(" \"$@\"\n");
    fs::write(program, script)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clone;

    #[test]
    fn only_processors_with_code_of_their_own_have_a_name() {
        let configuration = Configuration::read();
        for (triple, name) in [
            ("x86_64-linux-musl", "x86_64"),
            ("aarch64-linux-musl", "arm64"),
            ("arm-linux-musleabihf", "generic"),
            ("riscv64-linux-musl", "generic"),
        ] {
            assert_eq!(configuration.cpu(triple), name, "{triple}");
        }
    }

    /// Lints and the AVIF tests with rav1e skip the other crates.
    #[test]
    fn only_one_crate_has_code_behind_the_feature() {
        let mut found = 0;
        for file in clone::files().expect("a clone") {
            let is_source = file.ends_with(".rs") && !file.starts_with("xtask/");
            if !is_source {
                continue;
            }
            let text = fs::read_to_string(cache::repository().join(&file)).expect("text");
            if text.contains("feature = \"libaom\"") {
                assert!(file.starts_with("crates/pict-rs-media/"), "{file}");
                found += 1;
            }
        }
        assert!(found > 0, "the feature has another name");
    }
}
