//! `cargo xtask dist`: reproducible static musl binaries for every target, with their bill of
//! materials, archives, packages, container images, and checksums of all of these.
//!
//! The folder of a target, and each file, appears in the output only when it is complete.

mod archive;
mod build;
mod bundle;
mod contents;
mod image;
mod ingredients;
mod materials;
mod notices;
mod package;
mod requires;
mod sign;
mod target;
mod toolchain;

use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{
    aom::Library,
    cache, clone,
    kept::{Ingredients, Shelf},
    progress,
    provision::{self, Install},
};
use build::{Build, Lto};
use sign::Signer;
use target::Target;
use toolchain::Toolchain;

/// Options of `cargo xtask dist`.
#[derive(clap::Args)]
pub struct Args {
    /// What to build for.
    #[arg(long, value_delimiter = ',', default_value = "all", value_parser = target::words())]
    target: Vec<String>,
    /// Where the results go.
    #[arg(long, default_value = "dist")]
    out: PathBuf,
    /// Only the binaries and their archives: no bill of materials, packages and images.
    #[arg(long)]
    no_packages: bool,
    /// As `cargo xtask test` makes them: those for other processors without optimisation across
    /// crates, to save time. Not to be released.
    #[arg(long)]
    for_tests: bool,
    /// Make everything a second time in another folder and compare: the bytes must be the same.
    #[arg(long)]
    verify: bool,
    /// Sign the checksums: a command with `{}` for the file, as 'minisign -S -m {}'.
    #[arg(long, value_name = "COMMAND")]
    sign: Option<Signer>,
    #[command(flatten)]
    install: Install,
}

/// Builds, bundles, and prints sizes, checksums and seconds.
///
/// # Errors
/// One line that names the cause and, if there is one, the command that fixes it. Unfinished
/// results are not in the output folder.
pub fn run(args: &Args) -> Result<ExitCode> {
    let lto = if args.for_tests {
        Lto::OfThisProcessor
    } else {
        Lto::All
    };
    let dist = Dist::prepare(&target::named(&args.target), args.install, lto)?;
    dist.build()?;
    let out = cache::repository().join(&args.out);
    let packages = !args.no_packages;
    dist.bundle(&out, packages)?;
    if args.verify {
        dist.verify(&out, packages)?;
    }
    if let Some(signer) = &args.sign {
        signer.sign(&bundle::checksums(&out))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that a build needs.
pub struct Dist {
    targets: Vec<&'static Target>,
    toolchain: Toolchain,
    build: Build,
    started: Instant,
}

impl Dist {
    /// Prepares all targets, for tests.
    ///
    /// # Errors
    /// As [`Dist::prepare`].
    pub fn of_all_targets(install: Install) -> Result<Self> {
        let all: Vec<_> = target::ALL.iter().collect();
        Self::prepare(&all, install, Lto::OfThisProcessor)
    }

    /// Provides what is missing.
    ///
    /// # Errors
    /// One line that names what cannot be obtained, with the command that fixes it.
    fn prepare(targets: &[&'static Target], install: Install, lto: Lto) -> Result<Self> {
        let started = Instant::now();
        let missing = provision::ensure(&provision::FOR_DIST, install)?;
        if let Some(program) = missing.first() {
            bail!("{} is missing: {}", program.name, program.purpose);
        }
        let toolchain = Toolchain::ensure(targets)?;
        let build = Build::of_repository(&toolchain, lto)?;
        enough_room(&build.target_folder, targets.len())?;
        let dist = Self {
            targets: targets.to_vec(),
            toolchain,
            build,
            started,
        };
        dist.say("toolchain ready");
        Ok(dist)
    }

    /// Compiles, ignoring the cache.
    ///
    /// # Errors
    /// When cargo fails.
    fn build(&self) -> Result<()> {
        side_by_side(&self.targets, |target| {
            self.build.run(target, &self.toolchain)
        })?;
        self.say("built");
        Ok(())
    }

    /// Compiles what is not in the cache in its current state; with `fresh`, everything.
    ///
    /// # Errors
    /// When cargo fails, or a binary was made from a file that its digest does not include.
    pub fn build_changed(&self, fresh: bool) -> Result<()> {
        let shelf = Mutex::new(Shelf::of("static")?);
        let find = |digest: &str| {
            let shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            shelf.find(digest)
        };
        side_by_side(&self.targets, |target| {
            let mut all = ingredients::of(target, &self.toolchain)?;
            all.fact(
                "lto",
                if self.build.has_lto(target) {
                    "on"
                } else {
                    "off"
                },
            );
            let digest = all.digest();
            let binary = self.build.binary(target);
            if let Some(kept) = find(&digest).filter(|_| !fresh) {
                println!(
                    "{}: unchanged, the binary is from the cache, digest {digest}",
                    target.name
                );
                return put(&kept.join("pict-rs"), &binary);
            }
            self.build.run(target, &self.toolchain)?;
            ingredients::check(&binary)?;
            // One at a time, because the oldest results make room for it.
            let shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            shelf.keep(&digest, &[("pict-rs", &binary)])?;
            println!("{}: kept in the cache, digest {digest}", target.name);
            Ok(())
        })?;
        self.say("built");
        Ok(())
    }

    /// The C library of the first target's binary.
    ///
    /// # Errors
    /// When it is not in the cache and cannot be built.
    pub fn libaom(&self) -> Result<Library> {
        self.toolchain.libaom(self.targets[0])
    }

    /// Puts the folders of the targets and the files of the release into `out`.
    ///
    /// # Errors
    /// When a tool fails or the disk is full.
    pub fn bundle(&self, out: &Path, packages: bool) -> Result<()> {
        for target in &self.targets {
            bundle::make(&self.build, target, &self.toolchain, out, packages)?;
        }
        bundle::release(out, &self.targets, self.build.epoch, packages)?;
        print!("{}", bundle::summary(out)?);
        self.say("finished");
        Ok(())
    }

    /// Builds a copy of the sources in another folder, with another target folder, makes a release
    /// of it, and compares all files with those in `out`.
    ///
    /// # Errors
    /// When the bytes differ.
    fn verify(&self, out: &Path, packages: bool) -> Result<()> {
        let elsewhere = cache::folder("verify")?;
        let sources = elsewhere.join("a-copy-in-a-folder-with-another-name");
        let released = elsewhere.join("dist");
        for folder in [&sources, &released] {
            let _ = fs::remove_dir_all(folder);
        }
        clone::copy_sources(&sources)?;
        let again = Build::new(
            sources.clone(),
            elsewhere.join("target"),
            &self.toolchain,
            self.build.lto,
        )?;
        side_by_side(&self.targets, |target| again.run(target, &self.toolchain))?;
        for target in &self.targets {
            let (first, second) = (self.build.binary(target), again.binary(target));
            if fs::read(&first)? != fs::read(&second)? {
                bail!(
                    "{}: two builds differ: {} and {}",
                    target.name,
                    first.display(),
                    second.display()
                );
            }
            println!("{}: the same bytes from two folders", target.name);
            bundle::make(&again, target, &self.toolchain, &released, packages)?;
        }
        bundle::release(&released, &self.targets, again.epoch, packages)?;
        let count = bundle::compare(out, &released)?;
        println!("{count} files of the release: the same bytes from two folders");
        for folder in [&sources, &released] {
            fs::remove_dir_all(folder)?;
        }
        self.say("verified");
        Ok(())
    }

    fn say(&self, what: &str) {
        println!(
            "{what} after {}",
            progress::readable(self.started.elapsed())
        );
    }
}

/// Does the work of each target, of as many at a time as there are processors: a target alone leaves
/// all but one idle for minutes, while the last crate is compiled and linked. After a failure no other
/// target is begun.
///
/// # Errors
/// The first error.
fn side_by_side(
    targets: &[&'static Target],
    work: impl Fn(&'static Target) -> Result<()> + Sync,
) -> Result<()> {
    let waiting = Mutex::new(targets.iter().copied());
    let next = || {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.next()
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let work_off = || {
            while let Some(target) = next() {
                if let Err(error) = work(target) {
                    while next().is_some() {}
                    return Err(error);
                }
            }
            Ok(())
        };
        let all: Vec<_> = (0..workers.min(targets.len()))
            .map(|_| scope.spawn(work_off))
            .collect();
        let outcomes = all.into_iter().map(|worker| {
            let panicked = |_| Err(anyhow!("what builds a target has panicked"));
            worker.join().unwrap_or_else(panicked)
        });
        // All of them are waited for.
        outcomes.collect::<Vec<_>>().into_iter().collect()
    })
}

/// Replaces a file with a copy, without changing other hard links to the old one.
fn put(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    let _ = fs::remove_file(to);
    fs::copy(from, to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

/// Adds the result of [`static_rust`] to the ingredients.
///
/// # Errors
/// As [`static_rust`], and when a file of it cannot be read.
pub fn static_rust_of(all: &mut Ingredients) -> Result<()> {
    let toolchain = Toolchain::ensure(&target::ALL.iter().collect::<Vec<_>>())?;
    all.fact("zig", toolchain.wheels());
    if let Some(library) = &toolchain.library {
        all.folder(library)?;
    }
    Ok(())
}

/// What Nix's replacement for nixpkgs needs to build static packages: the standard library's
/// sources, and the Python environment with zig.
///
/// # Errors
/// As [`Dist::prepare`].
pub fn static_rust() -> Result<(PathBuf, PathBuf)> {
    let toolchain = Toolchain::ensure(&target::ALL.iter().collect::<Vec<_>>())?;
    let library = toolchain
        .library
        .context("one target always builds its own")?;
    Ok((library, toolchain.venv))
}

/// What compiles for a system whose libraries rustup has not installed.
pub struct Foreign {
    /// The standard library's sources.
    pub library: PathBuf,
    /// The C compiler.
    pub zig: PathBuf,
    /// cargo with that compiler.
    pub zigbuild: PathBuf,
}

/// Provides it.
///
/// # Errors
/// As [`Dist::prepare`].
pub fn foreign() -> Result<Foreign> {
    let toolchain = Toolchain::ensure(&target::ALL.iter().collect::<Vec<_>>())?;
    Ok(Foreign {
        zig: toolchain.zig()?,
        zigbuild: toolchain.programs().join("cargo-zigbuild"),
        library: toolchain
            .library
            .context("one target always builds its own")?,
    })
}

/// The size of a full build of one target in the target folder, rounded up.
const BYTES_PER_TARGET: u64 = 1 << 30;

fn enough_room(folder: &Path, targets: usize) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail * disk.f_frsize;
    let wanted = BYTES_PER_TARGET * targets as u64;
    if free < wanted {
        bail!(
            "{} has {} MiB free and {targets} targets may take {} MiB; mend it: cargo clean, or set CARGO_TARGET_DIR to another disk",
            folder.display(),
            free >> 20,
            wanted >> 20,
        );
    }
    Ok(())
}
