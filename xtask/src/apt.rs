//! Downloads Debian packages from any suite without changing the machine: apt with its own
//! configuration, lists and cache. Needs no root and installs nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::command::{self, said};

/// A folder that is deleted when dropped, so that an interrupted fetch leaves nothing that looks
/// complete.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates an empty folder, whatever an earlier run left.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn new(path: PathBuf) -> Result<Self> {
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Debian's package manager with its own lists.
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Reads the lists of `suites`, in the folder `apt` of `scratch`.
    ///
    /// # Errors
    /// When the machine's own apt has no mirror of Debian.
    pub fn new(scratch: &Path, suites: &[&str]) -> Result<Self> {
        Self::open(scratch, suites, &["deb"])
    }

    /// As [`Apt::new`], including the lists of sources, which are as large again.
    ///
    /// # Errors
    /// As [`Apt::new`].
    pub fn with_sources(scratch: &Path, suites: &[&str]) -> Result<Self> {
        Self::open(scratch, suites, &["deb", "deb-src"])
    }

    fn open(scratch: &Path, suites: &[&str], kinds: &[&str]) -> Result<Self> {
        let folder = scratch.join("apt");
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::write(folder.join("status"), "")?;
        let mirror = mirror()?;
        let sources: String = suites
            .iter()
            .flat_map(|suite| kinds.iter().map(move |kind| (kind, suite)))
            .map(|(kind, suite)| {
                format!("{kind} [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n")
            })
            .collect();
        fs::write(folder.join("sources.list"), sources)?;
        let apt = Self { folder };
        // A suite that no longer exists must not hide the others; missing packages are reported
        // later.
        let _ = said(apt.command("apt-get").args(["--quiet", "update"]));
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command::new(program);
        let folder = self.folder.display();
        for option in [
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::State::status={folder}/status"),
            format!("Dir::Cache={folder}/cache"),
            // Otherwise the download runs as a user who may not write here.
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }

    /// Downloads the newest Debian revision of exactly this upstream version.
    ///
    /// # Errors
    /// When no suite has it, or the mirror cannot be reached.
    pub fn download(&self, package: &str, upstream: &str) -> Result<PathBuf> {
        let listing = said(self.command("apt-cache").args(["madison", package]))?;
        let version = revision(&listing, upstream)
            .with_context(|| format!("Debian has no {package} {upstream}, or is not reached"))?;
        said(
            self.command("apt-get")
                .args(["--quiet", "download"])
                .arg(format!("{package}={version}"))
                .current_dir(&self.folder),
        )?;
        let mut found = packages_in(&self.folder)?;
        found.pop().context("apt-get downloaded no package")
    }

    /// Downloads the upstream sources of a package.
    ///
    /// # Errors
    /// When no suite has it, or the mirror cannot be reached.
    pub fn download_source(&self, package: &str) -> Result<Vec<PathBuf>> {
        let absent = || format!("Debian has no sources of {package}, or is not reached");
        let list = said(self.command("apt-get").args([
            "--quiet",
            "source",
            "--print-uris",
            "--only-source",
            package,
        ]))
        .with_context(absent)?;
        let mut found = Vec::new();
        for file in list.lines().filter_map(Remote::parse) {
            if !file.is_upstream() {
                continue;
            }
            let path = self.folder.join(file.name);
            said(
                self.command("/usr/lib/apt/apt-helper")
                    .args(["download-file", file.uri])
                    .arg(&path)
                    .arg(file.digest),
            )
            .with_context(absent)?;
            found.push(path);
        }
        Ok(found)
    }

    /// Downloads a package and all its dependencies, including the C library.
    ///
    /// # Errors
    /// When no suite has it, or the mirror cannot be reached.
    pub fn download_closure(&self, package: &str) -> Result<Vec<PathBuf>> {
        // With an empty status file no package counts as installed.
        said(self.command("apt-get").args([
            "--quiet",
            "install",
            "--yes",
            "--no-install-recommends",
            "--download-only",
            package,
        ]))?;
        packages_in(&self.folder.join("cache/archives"))
    }
}

/// A line of `apt-get source --print-uris`: `'URI' NAME SIZE DIGEST`.
struct Remote<'a> {
    uri: &'a str,
    name: &'a str,
    digest: &'a str,
}

impl<'a> Remote<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        Some(Self {
            uri: words.next()?.strip_prefix('\'')?.strip_suffix('\'')?,
            name: words.next()?,
            digest: words.nth(1)?,
        })
    }

    /// Whether it is an upstream archive, not one of Debian's and not a signature.
    fn is_upstream(&self) -> bool {
        self.name.contains(".orig") && self.name.contains(".tar.") && !self.name.ends_with(".asc")
    }
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The version in `apt-cache madison` whose upstream part is `upstream`. Debian appends `+dfsg…` or
/// `-1` to it.
fn revision<'a>(listing: &'a str, upstream: &str) -> Option<&'a str> {
    listing
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| {
            version
                .strip_prefix(upstream)
                .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
        })
}

/// The mirror that the machine's own apt uses.
///
/// # Errors
/// When it has no mirror.
pub fn mirror() -> Result<String> {
    let sites = said(command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE)",
        "Created-By: Packages",
    ]))?;
    sites
        .lines()
        .find(|site| site.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
        .context("this machine's apt has no Debian mirror; mend it: add one to sources.list")
}

#[cfg(test)]
mod tests {
    use super::{Remote, revision};

    #[test]
    fn only_the_compilers_own_version_will_do() {
        let listing = " rust-src | 1.95.10+dfsg1-1 | mirror sid/main amd64 Packages\n\
                        rust-src | 1.95.1+dfsg1-2~bpo13+1 | mirror trixie-backports/main amd64\n\
                        rust-src | 1.85.0+dfsg3-1 | mirror trixie/main amd64 Packages\n";
        assert_eq!(revision(listing, "1.95.1"), Some("1.95.1+dfsg1-2~bpo13+1"));
        assert_eq!(revision(listing, "1.85.0"), Some("1.85.0+dfsg3-1"));
        assert_eq!(revision(listing, "1.95"), None);
    }

    #[test]
    fn of_the_files_of_a_source_the_authors_own_are_wanted() {
        let list = "'http://mirror/a_1.dsc' a_1.dsc 2375 SHA256:aa\n\
                    'http://mirror/a_1.orig.tar.xz' a_1.orig.tar.xz 99 SHA256:bb\n\
                    'http://mirror/a_1.orig.tar.xz.asc' a_1.orig.tar.xz.asc 9 SHA256:cc\n\
                    'http://mirror/a_1-1.debian.tar.xz' a_1-1.debian.tar.xz 9 SHA256:dd\n\
                    Need to get 1 MB of source archives.";
        let files = list.lines().filter_map(Remote::parse);
        let wanted: Vec<_> = files.filter(Remote::is_upstream).collect();
        assert_eq!(wanted.len(), 1);
        assert_eq!(wanted[0].uri, "http://mirror/a_1.orig.tar.xz");
        assert_eq!(
            (wanted[0].name, wanted[0].digest),
            ("a_1.orig.tar.xz", "SHA256:bb")
        );
    }
}
