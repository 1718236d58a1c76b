//! `cargo xtask release --check`: whether everything that names version, address or licence says the
//! same, and what is still missing for a release. It changes and publishes nothing.
//!
//! The manifest is right; every other file is compared with it. Tests do the same for all that has to
//! hold between releases too.

pub mod workflows;

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::{cache, command};

/// Options of `cargo xtask release`.
#[derive(clap::Args)]
pub struct Args {
    /// Compare everything and print what differs
    #[arg(long, required = true)]
    check: bool,
}

/// Stands in the address in the manifest until the project has one; nothing is released with it.
const PLACEHOLDER: &str = "git.example.org";
/// The licence of binaries: parts of them are licensed under this version only.
const OF_BINARIES: &str = "AGPL-3.0-only";
/// The same in nixpkgs.
const IN_NIXPKGS: &str = "lib.licenses.agpl3Only";
/// Files that name the image with its tag.
const IMAGES: [&str; 3] = [
    "contrib/lemmy/docker-compose.yml",
    "contrib/scaling/docker-compose.yml",
    "docs/packaging.md",
];

/// Prints what differs or is missing; the exit code tells whether there was something.
///
/// # Errors
/// When a file cannot be read.
pub fn run(args: &Args) -> Result<ExitCode> {
    if !args.check {
        bail!("there is only --check");
    }
    let root = cache::repository();
    let manifest = Manifest::read(&root)?;
    let mut problems = manifest.differences()?;
    problems.extend(workflows::problems()?);
    problems.extend(manifest.missing()?);
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() {
        println!("{} is ready to be released", manifest.version);
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// What the manifests say, and the folder that they are in.
struct Manifest<'a> {
    root: &'a Path,
    version: String,
    description: String,
    address: String,
    /// A site of the project, or the address.
    homepage: Option<String>,
    licence: String,
    server: toml::Table,
}

impl<'a> Manifest<'a> {
    fn read(root: &'a Path) -> Result<Self> {
        let workspace: toml::Table = toml::from_str(&read(root, "Cargo.toml")?)?;
        let server: toml::Table = toml::from_str(&read(root, "crates/pict-rs/Cargo.toml")?)?;
        let of = |table: &toml::Table, path: &str| {
            text(table, path).with_context(|| format!("the manifest has no {path}"))
        };
        Ok(Self {
            root,
            version: of(&workspace, "workspace.package.version")?,
            address: of(&workspace, "workspace.package.repository")?,
            homepage: text(&workspace, "workspace.package.homepage"),
            licence: of(&workspace, "workspace.package.license")?,
            description: of(&server, "package.description")?,
            server,
        })
    }

    /// What has to be the same at any time.
    fn differences(&self) -> Result<Vec<String>> {
        let mut all = Differences(Vec::new());
        let version = &*self.version;
        let changelog = read(self.root, "CHANGELOG.md")?;
        all.expect("CHANGELOG.md", "version", version, newest(&changelog).0);
        let debian = read(self.root, "contrib/debian/changelog")?;
        let found = debian.split(['(', ')']).nth(1).unwrap_or_default();
        let expected = format!("{version}-1");
        all.expect("contrib/debian/changelog", "version", &expected, found);
        let lock: toml::Table = toml::from_str(&read(self.root, "Cargo.lock")?)?;
        let packages = lock["package"].as_array().into_iter().flatten();
        for package in packages {
            // Packages of this repository have no source.
            if package.get("source").is_none() {
                let found = package["version"].as_str().unwrap_or_default();
                all.expect("Cargo.lock", "version", version, found);
            }
        }
        for file in IMAGES {
            for tag in tags(&read(self.root, file)?) {
                all.expect(file, "tag of the image", version, &tag);
            }
        }
        for (file, licence) in [
            ("contrib/alpine/APKBUILD", "license"),
            ("contrib/arch/PKGBUILD", "license"),
        ] {
            let recipe = read(self.root, file)?;
            for (key, expected) in [
                ("pkgver", version),
                ("pkgdesc", &self.description),
                ("url", &self.address),
                (licence, OF_BINARIES),
            ] {
                all.expect(file, key, expected, &assigned(&recipe, key));
            }
        }
        let file = "contrib/nixpkgs/package.nix";
        let found = fetched(&read(self.root, file)?);
        all.expect(file, "address of src", &self.address, &found);
        self.compare_manifests(&mut all);
        let recipe = read(self.root, "pict-rs-unwrapped.nix")?;
        let found = if recipe.contains(&format!("license = {IN_NIXPKGS};")) {
            IN_NIXPKGS
        } else {
            "another"
        };
        all.expect("pict-rs-unwrapped.nix", "meta.license", IN_NIXPKGS, found);
        let readme = read(self.root, "README.md")?;
        for licence in [&*self.licence, OF_BINARIES] {
            if !readme.contains(licence) {
                all.0.push(format!("README.md does not name {licence}"));
            }
        }
        Ok(all.0)
    }

    fn compare_manifests(&self, all: &mut Differences) {
        // Recipes in nixpkgs have to name one; it may be a site of the project.
        if self.homepage.is_none() {
            all.0
                .push("Cargo.toml: workspace.package.homepage is absent".to_owned());
        }
        let file = "crates/pict-rs/Cargo.toml";
        let path = "package.metadata.generate-rpm.license";
        let found = text(&self.server, path).unwrap_or_default();
        all.expect(file, path, OF_BINARIES, &found);
        // Both take these from the manifest if they have none of their own.
        for package in ["deb", "generate-rpm"] {
            for key in ["version", "url", "revision"] {
                let path = format!("package.metadata.{package}.{key}");
                if let Some(found) = text(&self.server, &path) {
                    all.0
                        .push(format!("{file}: {path} is {found}, and should be absent"));
                }
            }
        }
    }

    /// Addresses that the project has still to be given.
    fn placeholders(&self) -> impl Iterator<Item = String> {
        let named = [
            ("repository", Some(&self.address)),
            ("homepage", self.homepage.as_ref()),
        ];
        let named = named
            .into_iter()
            .filter_map(|(key, found)| Some((key, found?)));
        let of_nobody = named.filter(|(_, found)| found.contains(PLACEHOLDER));
        of_nobody.map(|(key, found)| {
            format!(
                "Cargo.toml: workspace.package.{key} is {found}, a placeholder: write the address of the \
                 project there, then in the files that this command names"
            )
        })
    }

    /// What a release needs, and a state between two releases may lack.
    fn missing(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let changelog = read(self.root, "CHANGELOG.md")?;
        let (_, date) = newest(&changelog);
        if !is_date(date) {
            all.push(format!(
                "CHANGELOG.md: the date of {} is '{date}', and should be like 2026-01-31",
                self.version
            ));
        }
        all.extend(self.placeholders());
        let tag = format!("v{}", self.version);
        let tags = git(&["tag", "--points-at", "HEAD"])?;
        if !tags.lines().any(|found| found == tag) {
            all.push(format!("the commit has no tag {tag}"));
        }
        if !git(&["status", "--porcelain"])?.is_empty() {
            all.push("some files differ from the commit".to_owned());
        }
        Ok(all)
    }
}

/// Sentences about what differs.
struct Differences(Vec<String>);

impl Differences {
    fn expect(&mut self, file: &str, what: &str, expected: &str, found: &str) {
        if found != expected {
            self.0.push(format!(
                "{file}: {what} is '{found}', and should be '{expected}'"
            ));
        }
    }
}

fn read(root: &Path, file: &str) -> Result<String> {
    fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))
}

fn git(arguments: &[&str]) -> Result<String> {
    command::output(command::new("git").args(arguments))
}

/// The text at a path of a table, if there is one.
fn text(table: &toml::Table, path: &str) -> Option<String> {
    let mut names = path.split('.');
    let first = table.get(names.next()?)?;
    let found = names.try_fold(first, |value, name| value.get(name))?;
    Some(found.as_str()?.to_owned())
}

/// Version and date of the first section of a changelog: `## 1.2.3 (2026-01-31)`.
fn newest(changelog: &str) -> (&str, &str) {
    let heading = changelog.lines().find_map(|line| line.strip_prefix("## "));
    let (version, date) = heading
        .and_then(|heading| heading.split_once(' '))
        .unwrap_or_default();
    (version, date.trim_matches(['(', ')']))
}

fn is_date(text: &str) -> bool {
    let form: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    form == "0000-00-00"
}

/// The value of a variable in a recipe that a shell reads: `key="a value"` or `key=(value)`.
fn assigned(recipe: &str, key: &str) -> String {
    let lines = recipe.lines().filter_map(|line| line.split_once('='));
    let mut values = lines.filter(|(name, _)| *name == key);
    let value = values.next().map(|(_, value)| value).unwrap_or_default();
    value.trim_matches(['"', '(', ')']).to_owned()
}

/// The address that nixpkgs' `fetchFromGitea` or `fetchFromGitHub` of a recipe asks.
fn fetched(recipe: &str) -> String {
    let value = |key: &str| {
        let lines = recipe
            .lines()
            .filter_map(|line| line.trim().split_once(" = "));
        let mut values = lines.filter(|(name, _)| *name == key);
        let value = values.next().map(|(_, value)| value);
        value.map(|value| value.trim_matches(['"', ';']).to_owned())
    };
    let domain = value("domain").unwrap_or_else(|| "github.com".to_owned());
    let [owner, repo] = ["owner", "repo"].map(|key| value(key).unwrap_or_default());
    format!("https://{domain}/{owner}/{repo}")
}

/// The tags of `pict-rs:1.2.3`.
fn tags(text: &str) -> Vec<String> {
    let pieces = text.split("pict-rs:").skip(1);
    let tag = |piece: &str| {
        let is_part = |c: &char| c.is_ascii_digit() || *c == '.';
        piece.chars().take_while(is_part).collect::<String>()
    };
    pieces.map(tag).filter(|tag| tag.contains('.')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_agree_with_the_manifest() {
        let root = cache::repository();
        let manifest = Manifest::read(&root).expect("manifests");
        let found = manifest.differences().expect("all files are there");
        assert!(found.is_empty(), "{found:#?}");
    }

    /// Of each fact a wrong one is found, in a copy of the files.
    #[test]
    fn what_differs_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            "Cargo.toml",
            "Cargo.lock",
            "CHANGELOG.md",
            "README.md",
            "contrib/alpine/APKBUILD",
            "contrib/arch/PKGBUILD",
            "contrib/debian/changelog",
            "contrib/lemmy/docker-compose.yml",
            "contrib/nixpkgs/package.nix",
            "contrib/scaling/docker-compose.yml",
            "crates/pict-rs/Cargo.toml",
            "docs/packaging.md",
            "pict-rs-unwrapped.nix",
        ];
        let copy = |file: &str| {
            let to = folder.path().join(file);
            fs::create_dir_all(to.parent().expect("a folder")).expect("made");
            fs::copy(cache::repository().join(file), to).expect("copied");
        };
        files.into_iter().for_each(copy);
        let version = env!("CARGO_PKG_VERSION");
        for (file, right, wrong) in [
            (
                "CHANGELOG.md",
                format!("## {version}"),
                "## 9.9.9".to_owned(),
            ),
            (
                "Cargo.lock",
                format!("name = \"xtask\"\nversion = \"{version}\""),
                "name = \"xtask\"\nversion = \"9.9.9\"".to_owned(),
            ),
            (
                "contrib/debian/changelog",
                format!("({version}-1)"),
                "(9.9.9-1)".to_owned(),
            ),
            (
                "contrib/alpine/APKBUILD",
                format!("pkgver={version}"),
                "pkgver=9.9.9".to_owned(),
            ),
            (
                "contrib/arch/PKGBUILD",
                "url=\"https".to_owned(),
                "url=\"http".to_owned(),
            ),
            (
                "contrib/nixpkgs/package.nix",
                "owner = \"".to_owned(),
                "owner = \"not-".to_owned(),
            ),
            (
                "contrib/arch/PKGBUILD",
                "license=(AGPL-3.0-only)".to_owned(),
                "license=(MIT)".to_owned(),
            ),
            (
                "contrib/alpine/APKBUILD",
                "pkgdesc=\"A self".to_owned(),
                "pkgdesc=\"Your self".to_owned(),
            ),
            (
                "contrib/lemmy/docker-compose.yml",
                format!("pict-rs:{version}"),
                "pict-rs:9.9.9".to_owned(),
            ),
            (
                "crates/pict-rs/Cargo.toml",
                "license = \"AGPL-3.0-only\"".to_owned(),
                "license = \"MIT\"".to_owned(),
            ),
            (
                "crates/pict-rs/Cargo.toml",
                "[package.metadata.deb]".to_owned(),
                "[package.metadata.deb]\nversion = \"9.9.9\"".to_owned(),
            ),
            (
                "pict-rs-unwrapped.nix",
                IN_NIXPKGS.to_owned(),
                "lib.licenses.mit".to_owned(),
            ),
            ("README.md", OF_BINARIES.to_owned(), "MIT".to_owned()),
        ] {
            let text = read(folder.path(), file).expect("text");
            assert!(text.contains(&right), "{file} has no {right}");
            let path = folder.path().join(file);
            fs::write(&path, text.replace(&right, &wrong)).expect("written");
            let manifest = Manifest::read(folder.path()).expect("manifests");
            let found = manifest.differences().expect("read");
            assert!(
                found.iter().any(|line| line.contains(file)),
                "{file}: {found:?}"
            );
            copy(file);
        }
    }

    #[test]
    fn nothing_is_released_with_a_placeholder() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = cache::repository();
        for file in ["Cargo.toml", "crates/pict-rs/Cargo.toml"] {
            let to = folder.path().join(file);
            fs::create_dir_all(to.parent().expect("a folder")).expect("made");
            let text = read(&root, file).expect("text");
            let address = "https://git.example.net/somebody/pict-rs";
            let is_address = |line: &&str| line.starts_with("repository = \"https");
            let own = text.lines().find(is_address).unwrap_or("none");
            let own = own.trim_start_matches("repository = ").trim_matches('"');
            fs::write(to, text.replace(own, address)).expect("written");
        }
        let manifest = Manifest::read(folder.path()).expect("manifests");
        assert_eq!(manifest.placeholders().count(), 0);
        for (key, count) in [("repository", 1), ("homepage", 2)] {
            let file = folder.path().join("Cargo.toml");
            let text = fs::read_to_string(&file).expect("text");
            let from = format!("{key} = \"https://git.example.net");
            let to = format!("{key} = \"https://{PLACEHOLDER}");
            assert!(text.contains(&from), "{text}");
            fs::write(&file, text.replace(&from, &to)).expect("written");
            let manifest = Manifest::read(folder.path()).expect("manifests");
            let found: Vec<_> = manifest.placeholders().collect();
            assert_eq!(found.len(), count, "{found:?}");
            assert!(found.iter().any(|line| line.contains(key)), "{found:?}");
        }
    }

    /// So that a new address is written into these files only.
    #[test]
    fn the_placeholder_is_in_no_file_that_is_not_compared() {
        let compared = [
            "Cargo.toml",
            "contrib/alpine/APKBUILD",
            "contrib/arch/PKGBUILD",
            "contrib/nixpkgs/package.nix",
        ];
        // These are about it.
        let about = ["docs/packaging.md", "xtask/src/release.rs"];
        for file in crate::clone::files().expect("files") {
            let text = fs::read(cache::repository().join(&file)).unwrap_or_default();
            let has_it = String::from_utf8_lossy(&text).contains(PLACEHOLDER);
            let is_known = compared.contains(&&*file) || about.contains(&&*file);
            assert!(!has_it || is_known, "{file} names {PLACEHOLDER}");
        }
    }

    #[test]
    fn the_address_of_a_fetcher_is_read() {
        let gitea =
            "src = fetchFromGitea {\n  domain = \"a.b\";\n  owner = \"c\";\n  repo = \"d\";\n";
        assert_eq!(fetched(gitea), "https://a.b/c/d");
        let hub = "src = fetchFromGitHub {\n  owner = \"c\";\n  repo = \"d\";\n";
        assert_eq!(fetched(hub), "https://github.com/c/d");
    }

    #[test]
    fn a_date_is_one() {
        assert!(is_date("2026-01-31"));
        assert!(!is_date("not released yet"));
        assert_eq!(
            newest("# C\n\n## 1.2.3 (2026-01-31)\n## 1.2.2 (x)"),
            ("1.2.3", "2026-01-31")
        );
    }
}
