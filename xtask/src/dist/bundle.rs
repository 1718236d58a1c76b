//! What a release consists of: files with versioned names, side by side, as a release page shows
//! them, and one file of checksums. A folder for each target has what they are made from, for tests
//! and for use on the spot.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::{
    archive,
    build::Build,
    contents::{self, MATERIALS},
    image::{self, Image},
    materials, notices, package,
    target::Target,
    toolchain::Toolchain,
};

/// In the format of `sha256sum`.
const CHECKSUMS: &str = "SHA256SUMS";
/// The version of the workspace, and so of everything in a release.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Creates the folder of a target, or leaves an existing one: the binary and, with `packages`, its
/// bill of materials and packages.
///
/// # Errors
/// When a tool fails or the disk is full.
pub fn make(
    build: &Build,
    target: &Target,
    toolchain: &Toolchain,
    out: &Path,
    packages: bool,
) -> Result<()> {
    let folder = out.join(target.name);
    let partial = out.join(format!(".{}.partial", target.name));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    fs::copy(build.binary(target), partial.join("pict-rs"))?;
    // The packages take it from beside the binary.
    let notice = notices::write(build, target)?;
    fs::copy(notice, partial.join(notices::FILE))?;
    if packages {
        materials::write(build, target, toolchain, &partial.join(MATERIALS))?;
        // Both compress with one thread only.
        thread::scope(|scope| {
            let deb = scope.spawn(|| package::deb(build, target, &partial));
            package::rpm(build, target, &partial)?;
            let panicked = |_| bail!("what makes a package has panicked");
            deb.join().unwrap_or_else(panicked)
        })?;
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::rename(&partial, &folder)?;
    Ok(())
}

/// Makes the files of a release from the folders of `targets`, and their checksums. Files of other
/// versions stay, but have no checksum.
///
/// # Errors
/// When a file cannot be read or written.
pub fn release(out: &Path, targets: &[&Target], epoch: u64, packages: bool) -> Result<()> {
    let mut images = Vec::new();
    for target in targets {
        let folder = out.join(target.name);
        let name = format!("pict-rs-{VERSION}-linux-{}", target.name);
        let files = contents::of_archive(&folder)?;
        finished(out, &format!("{name}.tar.gz"), |to| {
            archive::write(to, &name, &files, epoch)
        })?;
        if !packages {
            continue;
        }
        for (from, to) in named(&folder, &name)? {
            finished(out, &to, |to| {
                fs::copy(&from, to)?;
                Ok(())
            })?;
        }
        let image = Image::new(target, &folder, VERSION, epoch)?;
        finished(out, &format!("{name}-image.tar"), |to| {
            image::write(to, std::slice::from_ref(&image), VERSION, epoch)
        })?;
        images.push(image);
    }
    if packages {
        finished(out, &format!("pict-rs-{VERSION}-linux-image.tar"), |to| {
            image::write(to, &images, VERSION, epoch)
        })?;
    }
    write_checksums(out)
}

/// Files of a target's folder that are released as they are, with their names.
fn named(folder: &Path, name: &str) -> Result<Vec<(PathBuf, String)>> {
    let mut found = vec![(folder.join(MATERIALS), format!("{name}.cdx.json"))];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let own = entry.file_name().to_string_lossy().into_owned();
        // Package managers name them after version and processor.
        if own.ends_with(".deb") || own.ends_with(".rpm") {
            found.push((entry.path(), own));
        }
    }
    Ok(found)
}

/// Lets a file appear when it is complete.
fn finished(out: &Path, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = out.join(format!(".{name}.partial"));
    write(&partial).with_context(|| format!("cannot make {name}"))?;
    fs::rename(&partial, out.join(name))?;
    Ok(())
}

/// The path of the checksums.
pub fn checksums(out: &Path) -> PathBuf {
    out.join(CHECKSUMS)
}

/// Rewrites the checksums of all files of this version. Signatures of older ones are removed.
fn write_checksums(out: &Path) -> Result<()> {
    for entry in fs::read_dir(out)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(&format!("{CHECKSUMS}.")) {
            fs::remove_file(entry.path())?;
        }
    }
    let mut text = String::new();
    for name in released(out)? {
        let _ = writeln!(text, "{}  {name}", digest(&out.join(&name))?);
    }
    fs::write(checksums(out), text)?;
    Ok(())
}

/// The number of files that were released again, all of them with the same bytes.
///
/// # Errors
/// When one differs.
pub fn compare(out: &Path, again: &Path) -> Result<usize> {
    let first = fs::read_to_string(checksums(out))?;
    let second = fs::read_to_string(checksums(again))?;
    // The output may have files of other targets, from earlier runs.
    if let Some(line) = second
        .lines()
        .find(|line| !first.lines().any(|found| found == *line))
    {
        let (_, name) = line.split_once("  ").unwrap_or_default();
        bail!(
            "two releases differ: {} and {}",
            out.join(name).display(),
            again.join(name).display()
        );
    }
    Ok(second.lines().count())
}

/// A line for each released file: bytes, checksum, name.
///
/// # Errors
/// When a file cannot be read.
pub fn summary(out: &Path) -> Result<String> {
    let mut text = String::new();
    for name in released(out)? {
        let file = out.join(&name);
        let size = file.metadata()?.len();
        let _ = writeln!(text, "{size:>9}  {}  {name}", digest(&file)?);
    }
    Ok(text)
}

/// The names of all released files of this version, sorted.
fn released(out: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let listing = fs::read_dir(out).with_context(|| format!("cannot list {}", out.display()))?;
    for entry in listing {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && is_of(&name, VERSION) {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file is of this version: `pict-rs-1.0.0-…`, or `pict-rs_1.0.0-…` as Debian writes it.
fn is_of(name: &str, version: &str) -> bool {
    let rest = name.strip_prefix("pict-rs");
    let rest = rest.and_then(|rest| rest.strip_prefix(['-', '_'])?.strip_prefix(version));
    rest.is_some_and(|rest| rest.starts_with('-'))
}

fn digest(file: &Path) -> Result<String> {
    Ok(hex::encode(Sha256::digest(fs::read(file)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apt::Scratch;

    #[test]
    fn files_of_other_versions_and_unfinished_ones_are_not_released() {
        for name in [
            "pict-rs-1.0.0-linux-amd64.tar.gz",
            "pict-rs_1.0.0-1_amd64.deb",
            "pict-rs-1.0.0-1.x86_64.rpm",
        ] {
            assert!(is_of(name, "1.0.0"), "{name}");
        }
        for name in [
            "pict-rs-1.0.01-linux-amd64.tar.gz",
            "pict-rs-0.9.0-linux-amd64.tar.gz",
            ".pict-rs-1.0.0-linux-amd64.tar.gz.partial",
            "SHA256SUMS",
            "pict-rs",
        ] {
            assert!(!is_of(name, "1.0.0"), "{name}");
        }
    }

    #[test]
    fn a_release_that_differs_from_another_is_found() {
        let place = std::env::temp_dir().join(format!("bundles-{}", std::process::id()));
        let place = Scratch::new(place).expect("a folder");
        let [first, second] = ["1", "2"].map(|name| place.path().join(name));
        let name = format!("pict-rs-{VERSION}-linux-amd64.tar.gz");
        let write = |folder: &Path, text: &str| {
            fs::create_dir_all(folder).expect("made");
            fs::write(folder.join(&name), text).expect("written");
            write_checksums(folder).expect("written");
        };
        write(&first, "a");
        write(&second, "a");
        fs::write(first.join(format!("pict-rs-{VERSION}-more")), "b").expect("written");
        write_checksums(&first).expect("written");
        assert_eq!(compare(&first, &second).expect("the same"), 1);
        write(&second, "b");
        let error = compare(&first, &second).expect_err("differs").to_string();
        assert!(error.contains(&name), "{error}");
    }

    #[test]
    fn a_signature_of_older_checksums_does_not_stay() {
        let place = std::env::temp_dir().join(format!("bundle-{}", std::process::id()));
        let place = Scratch::new(place).expect("a folder");
        let name = format!("pict-rs-{VERSION}-linux-amd64.tar.gz");
        for file in [&*name, "SHA256SUMS.minisig", "notes"] {
            fs::write(place.path().join(file), "a").expect("written");
        }
        write_checksums(place.path()).expect("written");
        assert!(!place.path().join("SHA256SUMS.minisig").exists());
        let sums = fs::read_to_string(checksums(place.path())).expect("there");
        let expected = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
        assert_eq!(sums, format!("{expected}  {name}\n"));
    }
}
