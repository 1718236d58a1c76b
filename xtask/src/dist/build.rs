//! Compiles the static binaries, with a separate call of cargo for each target: in one call, cargo
//! would unify the features of a crate over all targets, and libjpeg's SIMD does not build for all
//! of them.
//!
//! The bytes depend on sources, lock file and pinned toolchain, not on where the build runs: every
//! folder of this machine that the compiler would record gets a fixed name.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::{target::Target, toolchain::Toolchain};
use crate::{
    cache, command,
    progress::{self, Progress},
    tool,
};

/// The date passed to compilers, so that binaries of the same source are identical on every day:
/// libjpeg writes it into its version. Packages have the date of [`Build::epoch`].
pub const EPOCH: &str = "1";

/// Which binaries are optimised across crates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lto {
    /// All, as the release profile says.
    All,
    /// Those for this kind of processor. It takes long, and the others are tested under emulation,
    /// where their speed tells nothing.
    OfThisProcessor,
}

/// How and where the binary is compiled.
pub struct Build {
    /// Which binaries are optimised across crates.
    pub lto: Lto,
    sources: PathBuf,
    /// Cargo's target folder.
    pub target_folder: PathBuf,
    /// The date of packages, archives and images, in Unix seconds.
    pub epoch: u64,
    environment: Vec<(&'static str, OsString)>,
    builds_std: bool,
    auditable: PathBuf,
}

impl Build {
    /// A build of this clone, in cargo's usual target folder.
    ///
    /// # Errors
    /// As [`Build::new`].
    pub fn of_repository(toolchain: &Toolchain, lto: Lto) -> Result<Self> {
        let sources = cache::repository();
        let target_folder = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| sources.join("target"), |folder| sources.join(folder));
        Self::new(sources, target_folder, toolchain, lto)
    }

    /// A build of any folder with our sources.
    ///
    /// # Errors
    /// When the dependencies or cargo-auditable cannot be obtained.
    pub fn new(
        sources: PathBuf,
        target_folder: PathBuf,
        toolchain: &Toolchain,
        lto: Lto,
    ) -> Result<Self> {
        let auditable = tool::AUDITABLE.installed()?;
        command::run(
            command::cargo()
                .args(["fetch", "--locked", "--quiet"])
                .current_dir(&sources),
        )
        .context("the dependencies cannot be fetched; mend it: go online, or vendor them")?;
        let epoch = epoch()?;
        let mut flags: Vec<OsString> = Vec::new();
        for (from, to) in renamed_folders(&target_folder, toolchain)? {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(from);
            flag.push("=");
            flag.push(to);
            flags.push(flag);
        }
        // Derived from the contents, so equal builds have equal ids; debuggers and packagers
        // identify a binary by it.
        flags.push("-Clink-arg=-Wl,--build-id=sha1".into());
        // All code is position-independent, but the file would be linked for a fixed address: rustc
        // passes `-static -no-pie` for most ARM targets (they lack
        // `static-position-independent-executables`) and `-static-pie` for others, which zig ignores.
        // It obeys the last of `-pie` and `-no-pie`, and this one comes last.
        flags.push("-Clink-arg=-pie".into());
        if toolchain.library.is_some() {
            // rustup's targets include the C start files, a library built here does not.
            flags.push("-Clink-self-contained=no".into());
        }
        let mut path = toolchain.programs().into_os_string();
        for folder in [
            auditable.parent().map(Path::as_os_str),
            env::var_os("PATH").as_deref(),
        ]
        .into_iter()
        .flatten()
        {
            path.push(":");
            path.push(folder);
        }
        let mut environment = vec![
            ("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\u{1f}"))),
            ("CARGO_ZIGBUILD_ZIG_PATH", toolchain.zig()?.into_os_string()),
            ("CARGO_INCREMENTAL", "0".into()),
            ("SOURCE_DATE_EPOCH", epoch.to_string().into()),
            ("PATH", path),
        ];
        if let Some(library) = &toolchain.library {
            // Building the standard library is unstable; the binary itself uses nothing unstable.
            environment.push(("RUSTC_BOOTSTRAP", "1".into()));
            environment.push(("__CARGO_TESTS_ONLY_SRC_ROOT", library.into()));
        }
        Ok(Self {
            lto,
            sources,
            target_folder,
            epoch,
            environment,
            builds_std: toolchain.library.is_some(),
            auditable,
        })
    }

    /// Compiles for a target. Targets can be compiled at the same time.
    ///
    /// # Errors
    /// When libaom cannot be built, or cargo fails, which prints the reason.
    pub fn run(&self, target: &Target, toolchain: &Toolchain) -> Result<()> {
        let libaom = toolchain.libaom(target)?;
        let mut progress = Progress::begin(target.name);
        // Called as cargo would call it: `cargo-auditable auditable zigbuild …`.
        let mut command = command::new(&self.auditable);
        command
            .args(["auditable", "zigbuild", "--release", "--locked"])
            .args(["--package", "pict-rs", "--target", target.rust]);
        libaom.enable(&mut command);
        if self.builds_std {
            command.arg("-Zbuild-std=std,panic_unwind");
        }
        self.prepare(progress::of_cargo(&mut command), target)
            .env("SOURCE_DATE_EPOCH", EPOCH);
        if !self.has_lto(target) {
            command.env("CARGO_PROFILE_RELEASE_LTO", "off");
        }
        progress.follow(&mut command)?;
        println!(
            "{}: built in {}",
            target.name,
            progress::readable(progress.elapsed())
        );
        Ok(())
    }

    /// The finished binary of a target.
    pub fn binary(&self, target: &Target) -> PathBuf {
        self.folder_of(target)
            .join(target.rust)
            .join("release")
            .join("pict-rs")
    }

    /// Whether the binary of a target is optimised across crates.
    pub fn has_lto(&self, target: &Target) -> bool {
        self.lto == Lto::All || target.rust.starts_with(env::consts::ARCH)
    }

    /// One folder for each target, because cargo locks it while it compiles.
    fn folder_of(&self, target: &Target) -> PathBuf {
        let kind = if self.has_lto(target) {
            "static"
        } else {
            "static-without-lto"
        };
        self.target_folder.join(kind).join(target.name)
    }

    /// Sets the sources and environment of the build of a target for a command.
    pub fn prepare<'a>(&self, command: &'a mut Command, target: &Target) -> &'a mut Command {
        command
            .current_dir(&self.sources)
            .env_remove("RUSTFLAGS")
            .env("CARGO_TARGET_DIR", self.folder_of(target))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
    }
}

/// Folders of this machine, and their names in the binary. The clone is not among them: cargo names
/// our own sources by their path inside it, and flags that depend on the clone's folder would cause
/// full rebuilds.
fn renamed_folders(target_folder: &Path, toolchain: &Toolchain) -> Result<Vec<(PathBuf, String)>> {
    let mut folders = vec![(target_folder.to_owned(), "/target".to_owned())];
    if let Some(library) = &toolchain.library {
        // As in the binaries of the Rust project.
        let name = format!("/rustc/{}/library", toolchain.rustc_commit);
        folders.push((library.clone(), name));
    }
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor a home folder is known")?;
    // One folder for each registry; its name depends on how the registry is accessed.
    let registries = home.join("registry/src");
    let listing = fs::read_dir(&registries)
        .with_context(|| format!("no crates in {}", registries.display()))?;
    for registry in listing {
        folders.push((registry?.path(), "/crates".to_owned()));
    }
    Ok(folders)
}

/// From the environment, else from the package's changelog, so that a clone and a source archive of
/// one version give the same files.
fn epoch() -> Result<u64> {
    if let Ok(epoch) = env::var("SOURCE_DATE_EPOCH") {
        return epoch
            .parse()
            .with_context(|| format!("SOURCE_DATE_EPOCH is {epoch}, not a number of seconds"));
    }
    let file = cache::repository().join(CHANGELOG);
    let text = fs::read_to_string(&file).with_context(|| format!("no {CHANGELOG}"))?;
    newest_date(&text).with_context(|| format!("the first entry of {CHANGELOG} has no date"))
}

/// Debian's changelog, whose entries have dates that programs read.
const CHANGELOG: &str = "contrib/debian/changelog";

/// The date of the first entry: ` -- NAME <ADDRESS>  DATE`.
fn newest_date(changelog: &str) -> Option<u64> {
    let line = changelog.lines().find(|line| line.starts_with(" -- "))?;
    let (_, date) = line.split_once(">  ")?;
    let date = OffsetDateTime::parse(date.trim(), &Rfc2822).ok()?;
    date.unix_timestamp().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::newest_date;

    #[test]
    fn packages_have_the_date_of_the_newest_entry() {
        let text = "a (2-1) unstable; urgency=low\n\n  * new\n\n \
                    -- A B <a@b>  Thu, 01 Jan 1970 01:00:01 +0100\n\n\
                    a (1-1) unstable; urgency=low\n\n \
                    -- A B <a@b>  Thu, 01 Jan 1970 00:00:09 +0000\n";
        assert_eq!(newest_date(text), Some(1));
        assert_eq!(newest_date(" -- A B <a@b>  yesterday\n"), None);
        assert_eq!(newest_date(""), None);
    }
}
