//! What users get beside the binary, wherever they get it: the files of archives and images.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::notices;
use crate::cache;

/// The bill of materials, in the folder of a target.
pub const MATERIALS: &str = "pict-rs.cdx.json";

/// A file: its name in the archive, its permissions, and where its contents are.
pub struct File {
    /// Relative, with slashes.
    pub name: String,
    /// The permissions.
    pub mode: u32,
    /// The file with the contents.
    pub from: PathBuf,
}

impl File {
    fn new(name: impl Into<String>, mode: u32, from: PathBuf) -> Self {
        let name = name.into();
        Self { name, mode, from }
    }
}

/// Files and folders of the sources, and their names in the archive.
const OF_SOURCES: [(&str, &str); 12] = [
    ("LICENSE", "LICENSE"),
    ("README.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("pict-rs.toml", "pict-rs.toml"),
    ("contrib/pict-rs-admin", "pict-rs-admin"),
    ("contrib/pict-rs.toml", "etc/pict-rs.toml"),
    ("contrib/man", "man"),
    ("contrib/completions", "completions"),
    ("contrib/systemd", "systemd"),
    ("contrib/openrc", "openrc"),
    ("contrib/lemmy", "lemmy"),
    ("contrib/scaling", "scaling"),
];

/// The files of an archive, sorted by name. `folder` is that of a target.
///
/// # Errors
/// When one is missing.
pub fn of_archive(folder: &Path) -> Result<Vec<File>> {
    let mut files = vec![File::new("pict-rs", 0o755, folder.join("pict-rs"))];
    for name in [notices::FILE, MATERIALS] {
        let from = folder.join(name);
        if from.is_file() {
            files.push(File::new(name, 0o644, from));
        }
    }
    for (path, name) in OF_SOURCES {
        add(&mut files, &cache::repository().join(path), name)?;
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The licences, for images.
pub fn licences(folder: &Path) -> Vec<File> {
    let licence = cache::repository().join("LICENSE");
    let mut files = vec![File::new("LICENSE", 0o644, licence)];
    let notices = folder.join(notices::FILE);
    if notices.is_file() {
        files.push(File::new(notices::FILE, 0o644, notices));
    }
    files
}

fn add(files: &mut Vec<File>, path: &Path, name: &str) -> Result<()> {
    let missing = || format!("{} is missing", path.display());
    if path.is_file() {
        // Scripts begin with their interpreter; modes of a working copy depend on the user.
        let bytes = fs::read(path).with_context(missing)?;
        let mode = if bytes.starts_with(b"#!") {
            0o755
        } else {
            0o644
        };
        files.push(File::new(name, mode, path.to_owned()));
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(missing)? {
        let entry = entry?;
        let below = entry.file_name();
        let below = below.to_str().context("a name in UTF-8")?;
        add(files, &entry.path(), &format!("{name}/{below}"))?;
    }
    Ok(())
}
