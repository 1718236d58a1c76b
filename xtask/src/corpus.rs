//! Test files of other projects, valid and broken: the test data in the sources of Debian's
//! packages. They are fetched into the cache and never become part of this repository.
//! `tests/corpus.rs` sends them to a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::apt::{Apt, Scratch};
use crate::{cache, command};

/// A stable release, so that the files do not change.
const SUITE: &str = "trixie";

/// Sources with many pictures, 170 MB in all.
const SOURCES: [&str; 15] = [
    "gdk-pixbuf",
    "giflib",
    "golang-golang-x-image",
    "graphicsmagick",
    "imagemagick",
    "kimageformats",
    "libexif",
    "libgd2",
    "libimage-exiftool-perl",
    "libjpeg-turbo",
    "libpng1.6",
    "librsvg",
    "openimageio",
    "pillow",
    "vips",
];

/// File name suffixes that count as media; the rest of the sources is deleted.
const EXTENSIONS: [&str; 42] = [
    "apng", "arw", "avif", "avifs", "bmp", "cr2", "cur", "dng", "eps", "gif", "heic", "heif",
    "hif", "ico", "j2k", "jfif", "jp2", "jpe", "jpeg", "jpg", "jpx", "jxl", "mng", "mov", "mp4",
    "nef", "orf", "pdf", "png", "ppm", "psd", "qoi", "raf", "rw2", "svg", "svgz", "tga", "tif",
    "tiff", "webm", "webp", "xmp",
];

/// Larger files take long and add nothing.
const MAX_SIZE: u64 = 8 << 20;

/// Fetches everything and prints the folder.
///
/// # Errors
/// As [`prepare`].
pub fn run() -> Result<ExitCode> {
    println!("{}", prepare()?.display());
    Ok(ExitCode::SUCCESS)
}

/// The folder with the files, which are fetched if missing: a folder for each source.
///
/// # Errors
/// When apt is missing, or no mirror can be reached.
pub fn prepare() -> Result<PathBuf> {
    let folder = cache::folder("corpus")?;
    let mut apt = None;
    // Lists and archives are deleted after everything is unpacked.
    let scratch = Scratch::new(folder.join("fetching"))?;
    for source in SOURCES {
        let place = folder.join(format!("{SUITE}-{source}"));
        if place.is_dir() {
            continue;
        }
        if apt.is_none() {
            apt = Some(Apt::with_sources(scratch.path(), &[SUITE])?);
        }
        let Some(apt) = &apt else { continue };
        println!("fetching the sources of {source}");
        let unpacked = Scratch::new(scratch.path().join("unpacked"))?;
        for archive in apt.download_source(source)? {
            command::run(
                command::new("tar")
                    .arg("-xf")
                    .arg(&archive)
                    .arg("-C")
                    .arg(unpacked.path()),
            )?;
        }
        let kept = Scratch::new(scratch.path().join("kept"))?;
        let count = keep(unpacked.path(), kept.path())?;
        ensure!(count > 0, "the sources of {source} hold no picture");
        fs::rename(kept.path(), &place)
            .with_context(|| format!("cannot fill {}", place.display()))?;
    }
    drop(scratch);
    Ok(folder)
}

/// Moves the media below `from` to `to`, flat, named by their path; returns their number.
fn keep(from: &Path, to: &Path) -> Result<usize> {
    let mut count = 0;
    let mut waiting = vec![from.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            // The target of a link is visited under its own name, if it exists.
            let kind = entry.file_type()?;
            if kind.is_dir() {
                waiting.push(path);
                continue;
            }
            let is_wanted =
                kind.is_file() && is_media(&path) && entry.metadata()?.len() <= MAX_SIZE;
            if !is_wanted {
                continue;
            }
            let name = path
                .strip_prefix(from)?
                .to_string_lossy()
                .replace('/', "__");
            fs::rename(&path, to.join(name))?;
            count += 1;
        }
    }
    Ok(count)
}

fn is_media(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    EXTENSIONS.contains(&extension.to_lowercase().as_str())
}
