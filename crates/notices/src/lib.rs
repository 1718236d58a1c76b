//! The notices that the licences of others ask for: each crate in a binary with its licence, and the
//! texts, each once. From the crates' own files, which cargo has; needs no network.
//!
//! The crates are those that the binary itself says it has. C parts and what the toolchain links into
//! every binary are in [`PARTS`], by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The name of the file, beside each binary and in each package.
pub const FILE: &str = "THIRD-PARTY-NOTICES.txt";

/// Is in dynamic binaries as well.
const STD: &str = "Rust's standard library";

/// A library in another language, or of the toolchain.
struct Part {
    name: &'static str,
    /// The crate that contains it; `None` for a part of every static binary.
    within: Option<&'static str>,
    licence: &'static str,
    /// Files of that crate.
    files: &'static [&'static str],
    /// Our copy, where there is no such file.
    text: Option<&'static str>,
}

const PARTS: [Part; 8] = [
    Part {
        name: "libaom",
        within: Some("libaom-sys"),
        licence: "BSD-2-Clause, with the patent license of the Alliance for Open Media",
        files: &[
            "vendor/LICENSE",
            "vendor/PATENTS",
            "vendor/AUTHORS",
            "vendor/third_party/SVT-AV1/LICENSE.md",
            "vendor/third_party/SVT-AV1/PATENTS.md",
            "vendor/third_party/fastfeat/LICENSE",
            "vendor/third_party/vector/LICENSE",
            "vendor/third_party/x86inc/LICENSE",
        ],
        text: None,
    },
    Part {
        name: "libjpeg-turbo and mozjpeg",
        within: Some("mozjpeg-sys"),
        licence: "IJG AND BSD-3-Clause AND Zlib",
        files: &[],
        text: Some(include_str!("../texts/IJG.txt")),
    },
    Part {
        name: "libwebp",
        within: Some("libwebp-sys"),
        licence: "BSD-3-Clause, with an additional grant of patents",
        files: &["vendor/COPYING", "vendor/PATENTS"],
        text: None,
    },
    Part {
        name: "LLVM's libunwind and compiler-rt",
        within: None,
        licence: "Apache-2.0 WITH LLVM-exception",
        files: &[],
        text: Some(include_str!("../texts/LLVM.txt")),
    },
    Part {
        name: "mimalloc",
        within: Some("libmimalloc-sys"),
        licence: "MIT",
        files: &["c_src/mimalloc/v3/LICENSE"],
        text: None,
    },
    Part {
        name: "musl",
        within: None,
        licence: "MIT",
        files: &[],
        text: Some(include_str!("../texts/musl.txt")),
    },
    Part {
        name: STD,
        within: None,
        licence: "MIT OR Apache-2.0",
        files: &[],
        text: Some(include_str!("../texts/std.txt")),
    },
    Part {
        name: "SQLite",
        within: Some("libsqlite3-sys"),
        licence: "public domain",
        files: &[],
        text: Some(include_str!("../texts/SQLite.txt")),
    },
];

/// Texts for crates that contain none, by the names of SPDX, and whether the names of the authors
/// belong above it.
const STANDARD: [(&str, &str, bool); 5] = [
    ("0BSD", include_str!("../texts/0BSD.txt"), true),
    ("Apache-2.0", include_str!("../texts/Apache-2.0.txt"), false),
    ("MIT", include_str!("../texts/MIT.txt"), true),
    (
        "BSD-3-Clause",
        include_str!("../texts/BSD-3-Clause.txt"),
        true,
    ),
    (
        "AGPL-3.0-only",
        "The GNU Affero General Public License, version 3, is the license of the whole program: see LICENSE.\n",
        false,
    ),
];

/// How the names of files with licences and notices begin.
const FILES: [&str; 8] = [
    "AUTHORS",
    "COPYING",
    "COPYRIGHT",
    "LICENCE",
    "LICENSE",
    "NOTICE",
    "PATENTS",
    "UNLICENSE",
];
/// Words in the names of files with one of several licences.
const LICENCES: [&str; 10] = [
    "0BSD",
    "APACHE",
    "BOOST",
    "BSD",
    "BSL",
    "CC0",
    "ISC",
    "LLVM",
    "UNLICENSE",
    "ZLIB",
];
/// Words in the names of files that are left out: our own licence, and one that we do not use.
const NOT_THESE: [&str; 2] = ["AGPL", "COMMERCIAL"];

/// A crate of the binary.
#[derive(Debug)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    authors: Vec<String>,
    /// Where its sources are published.
    address: String,
    folder: PathBuf,
}

/// The notices for the server that is built from the workspace `root` for the processor and system
/// `triple`, in Rust's spelling, with these `features` of the workspace, separated by commas.
/// `cargo` is the program, without arguments.
///
/// # Errors
/// When cargo fails, or a licence has no text.
pub fn of(cargo: Command, root: &Path, triple: &str, features: &str) -> Result<String> {
    render(triple, &crates(cargo, root, triple, features)?)
}

/// The crates of others in the binary, sorted.
fn crates(mut cargo: Command, root: &Path, triple: &str, features: &str) -> Result<Vec<Crate>> {
    cargo
        .args(["metadata", "--locked", "--format-version=1"])
        .args(["--filter-platform", triple])
        .args(["--features", features])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit());
    let output = cargo.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed for {triple}");
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = list(&metadata["packages"]);
    // Our own crates have no source.
    let own = |package: &&Value| package["source"].is_null() && package["name"] == "pict-rs";
    let server = packages.iter().find(own);
    let server = text(server.context("cargo metadata knows no pict-rs")?, "id");
    let linked = linked(&metadata, &server);
    let mut crates: Vec<_> = packages
        .iter()
        .filter(|package| !package["source"].is_null() && linked.contains(&text(package, "id")))
        .map(|package| {
            let authors = list(&package["authors"]).iter();
            let mut folder = PathBuf::from(text(package, "manifest_path"));
            folder.pop();
            Crate {
                name: text(package, "name"),
                version: text(package, "version"),
                licence: text(package, "license"),
                authors: authors
                    .filter_map(|author| Some(author.as_str()?.to_owned()))
                    .collect(),
                address: text(package, "repository"),
                folder,
            }
        })
        .collect();
    crates.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(crates)
}

/// The ids of all packages that `root` depends on at run time, the way cargo-auditable and
/// cargo-cyclonedx find them: with macros, and with the features that the whole workspace enables,
/// which can be a few crates more than are linked.
fn linked(metadata: &Value, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![root.to_owned()];
    while let Some(id) = left.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        let nodes = list(&metadata["resolve"]["nodes"]).iter();
        for node in nodes.filter(|node| node["id"] == id.as_str()) {
            let needed = list(&node["deps"]).iter().filter(|dependency| {
                // Those of builds and tests have a name.
                list(&dependency["dep_kinds"])
                    .iter()
                    .any(|kind| kind["kind"].is_null())
            });
            left.extend(needed.map(|dependency| text(dependency, "pkg")));
        }
    }
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn render(triple: &str, crates: &[Crate]) -> Result<String> {
    let is_static = triple.contains("musl");
    let mut text = format!(
        "pict-rs for {triple} contains the software of others that is listed here. pict-rs itself is\n\
         licensed under the GNU Affero General Public License: see LICENSE.\n\n\
         This software is based in part on the work of the Independent JPEG Group.\n\n"
    );
    // By the text without regard to line breaks: the text as first found, and who uses it.
    let mut texts: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    let mut add = |who: &str, found: &str| {
        let key = found.split_whitespace().collect::<Vec<_>>().join(" ");
        let (_, users) = texts
            .entry(key)
            .or_insert_with(|| (tidied(found), Vec::new()));
        if !users.iter().any(|user| user == who) {
            users.push(who.to_owned());
        }
    };
    for part in &PARTS {
        let owner = crates.iter().find(|c| Some(&*c.name) == part.within);
        let is_there = match part.within {
            Some(_) => owner.is_some(),
            None => is_static || part.name == STD,
        };
        if !is_there {
            continue;
        }
        let _ = writeln!(text, "{}: {}", part.name, part.licence);
        for file in part.files {
            let path = owner.context("a file of a crate")?.folder.join(file);
            let found = fs::read_to_string(&path)
                .with_context(|| format!("{} has no {file}", part.name))?;
            add(part.name, &found);
        }
        if let Some(found) = part.text {
            add(part.name, found);
        }
    }
    for each in crates {
        let Crate { name, version, .. } = each;
        let _ = writeln!(text, "{name} {version}: {} {}", each.licence, each.address);
        for found in each.texts()? {
            add(&format!("{name} {version}"), &found);
        }
    }
    let mut texts: Vec<_> = texts.into_values().collect();
    texts.sort_by(|a, b| a.1.cmp(&b.1));
    for (found, users) in texts {
        let line = "=".repeat(80);
        let _ = write!(text, "\n{line}\n{}\n{line}\n\n{found}", users.join(", "));
    }
    Ok(text)
}

/// Without spaces at the ends of lines and empty lines around.
fn tidied(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}');
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    let mut tidy = lines.join("\n").trim_matches('\n').to_owned();
    tidy.push('\n');
    tidy
}

impl Crate {
    /// The texts that belong to the crate, its own where it has some.
    fn texts(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)
            .with_context(|| format!("cannot list {}", self.folder.display()))?
        {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if is_notice(&name) && path.is_file() {
                files.push(path);
            } else if name == "LICENSES" && path.is_dir() {
                for entry in fs::read_dir(&path)? {
                    files.push(entry?.path());
                }
            }
        }
        files.sort();
        let names: Vec<_> = files
            .iter()
            .map(|path| path.file_name().unwrap_or_default().to_string_lossy())
            .collect();
        let wanted = wanted(&self.licence, &names);
        let texts: Vec<_> = (files.iter().zip(wanted))
            .filter(|(_, wanted)| *wanted)
            .map(|(path, _)| {
                let bytes = fs::read(path)?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            })
            .collect::<Result<_>>()?;
        if !texts.is_empty() || PARTS.iter().any(|part| part.within == Some(&*self.name)) {
            return Ok(texts);
        }
        Ok(vec![self.standard()?])
    }

    /// The text of the crate's licence, for a crate that does not contain it.
    fn standard(&self) -> Result<String> {
        let all: Vec<_> = words(&self.licence).collect();
        let found = STANDARD.iter().find(|(name, ..)| all.contains(name));
        let is_choice = all.len() == 1 || !self.licence.contains(" AND ");
        let Some((_, text, has_authors)) = found.filter(|_| is_choice) else {
            bail!(
                "{} {} ({}) contains no text of its licence, and there is none in crates/notices/src/lib.rs",
                self.name,
                self.version,
                self.licence
            );
        };
        if !has_authors {
            return Ok((*text).to_owned());
        }
        let authors = match self.authors.join(", ") {
            none if none.is_empty() => format!("the authors of {}", self.name),
            authors => authors,
        };
        Ok(format!("Copyright (c) {authors}\n\n{text}"))
    }
}

/// The names of licences in an expression.
fn words(licence: &str) -> impl Iterator<Item = &str> {
    licence
        .split([' ', '/', '(', ')'])
        .filter(|word| !matches!(*word, "" | "OR" | "AND" | "WITH"))
}

fn is_notice(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    FILES.iter().any(|start| name.starts_with(start))
}

/// Which files of a crate belong to the licence that we use: MIT where it may be chosen, else all.
fn wanted(licence: &str, names: &[impl AsRef<str>]) -> Vec<bool> {
    let has = |name: &str, list: &[&str]| {
        let name = name.to_ascii_uppercase();
        list.iter().any(|word| name.contains(word))
    };
    let is_choice = !licence.contains(" AND ") && words(licence).any(|word| word == "MIT");
    let has_mit = names.iter().any(|name| has(name.as_ref(), &["MIT"]));
    names
        .iter()
        .map(|name| {
            let name = name.as_ref();
            let is_other = is_choice && has_mit && has(name, &LICENCES) && !has(name, &["MIT"]);
            !is_other && !has(name, &NOT_THESE)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_of(licence: &str, folder: &Path) -> Crate {
        Crate {
            name: "example".to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.to_owned(),
            authors: vec!["A. Author".to_owned()],
            address: "https://example.org".to_owned(),
            folder: folder.to_owned(),
        }
    }

    #[test]
    fn of_several_licences_mit_is_chosen_and_notices_stay() {
        let check = |licence: &str, names: &[&str], expected: &[bool]| {
            assert_eq!(wanted(licence, names), expected, "{licence} {names:?}");
        };
        let both = ["COPYRIGHT", "LICENSE-APACHE", "LICENSE-MIT"];
        check("MIT OR Apache-2.0", &both, &[true, false, true]);
        check("Apache-2.0/MIT", &both, &[true, false, true]);
        check("MIT AND Apache-2.0", &both, &[true, true, true]);
        check("MIT OR Apache-2.0", &["LICENSE-APACHE"], &[true]);
        check(
            "Unlicense OR MIT",
            &["UNLICENSE", "LICENSE-MIT"],
            &[false, true],
        );
        check(
            "AGPL-3.0-only OR LicenseRef-Imazen-Commercial",
            &["LICENSE-AGPL3", "LICENSE-COMMERCIAL", "NOTICE"],
            &[false, false, true],
        );
    }

    /// So that a new dependency without one is found before a release.
    #[test]
    fn every_crate_that_is_linked_has_a_text() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let table = fs::read_to_string(root.join("targets.toml")).expect("targets.toml");
        let quoted = |line: &str| {
            Some(
                line.strip_prefix("rust = \"")?
                    .strip_suffix('"')?
                    .to_owned(),
            )
        };
        let mut triples: Vec<_> = table.lines().filter_map(quoted).collect();
        assert!(triples.len() >= 3, "{triples:?}");
        triples.push("x86_64-unknown-linux-gnu".to_owned());
        for triple in &triples {
            let cargo = || Command::new(env!("CARGO"));
            let crates =
                crates(cargo(), &root, triple, "pict-rs/libaom").expect("cargo knows them");
            let has = |name: &str| crates.iter().any(|found| found.name == name);
            assert!(has("mozjpeg-sys") && has("libaom-sys") && !has("cc"));
            let is_static = triple.contains("musl");
            let is_64_bit = !triple.starts_with("arm");
            assert_eq!(has("mimalloc"), is_static && is_64_bit, "{triple}");
            let text = of(cargo(), &root, triple, "pict-rs/libaom").expect("texts");
            assert!(text.contains("libaom: BSD-2-Clause"));
            assert_eq!(text.contains("musl: MIT"), is_static, "{triple}");
            assert!(text.contains("Rust's standard library: MIT"));
            assert!(text.len() < 600_000, "{} bytes", text.len());
        }
        let cargo = Command::new(env!("CARGO"));
        let without = of(cargo, &root, &triples[0], "").expect("texts");
        assert!(!without.contains("libaom: BSD-2-Clause"));
    }

    #[test]
    fn a_crate_without_a_text_gets_the_common_one_with_its_authors() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = crate_of("MIT", folder.path())
            .texts()
            .expect("a text")
            .remove(0);
        assert!(
            text.starts_with("Copyright (c) A. Author\n\nPermission is"),
            "{text}"
        );
        let text = crate_of("MIT OR Apache-2.0", folder.path()).texts();
        assert!(text.expect("a text")[0].contains("Apache License"));
        // Both would be needed.
        let error = crate_of("MIT AND Zlib", folder.path()).texts();
        assert!(
            error
                .expect_err("no text")
                .to_string()
                .contains("example 1.0.0")
        );
        assert!(crate_of("Unheard-of", folder.path()).texts().is_err());
    }

    #[test]
    fn every_crate_and_each_text_is_there_once() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        for (folder, text) in folders.iter().zip(["One\ntext. ", "\nOne text.\r\n"]) {
            fs::write(folder.path().join("LICENSE"), text).expect("written");
        }
        let mut second = crate_of("BSD-2-Clause", folders[1].path());
        second.version = "2.0.0".to_owned();
        let crates = [crate_of("BSD-2-Clause", folders[0].path()), second];
        let text = render("x86_64-unknown-linux-musl", &crates).expect("rendered");
        assert!(text.contains("example 1.0.0: BSD-2-Clause https://example.org\n"));
        assert!(text.contains("\nexample 1.0.0, example 2.0.0\n"), "{text}");
        assert_eq!(text.matches("One\ntext.\n").count(), 1, "{text}");
        for sentence in ["Independent JPEG Group.\n", "musl: MIT\n", "Rich Felker"] {
            assert!(text.contains(sentence), "{sentence}");
        }
        // Its crate is not in this binary.
        assert!(!text.contains("libaom"));
        let missing = folders[0].path().join("absent");
        let mut aom = crate_of("BSD-2-Clause", &missing);
        aom.name = "libaom-sys".to_owned();
        let error = render("x86_64-unknown-linux-musl", &[aom]).expect_err("no such file");
        assert!(error.to_string().contains("vendor/LICENSE"), "{error}");
    }

    #[test]
    fn what_runs_only_while_building_is_not_linked() {
        let package = |name: &str, kind: &str| serde_json::json!({ "id": name, "targets": [{ "kind": [kind] }] });
        let node = |name: &str, needed: &[(&str, Option<&str>)]| {
            let needed: Vec<_> = needed
                .iter()
                .map(|(id, kind)| serde_json::json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] }))
                .collect();
            serde_json::json!({ "id": name, "deps": needed })
        };
        let metadata = serde_json::json!({
            "packages": [
                package("root", "bin"), package("a", "lib"), package("b", "lib"),
                package("macro", "proc-macro"), package("of-macro", "lib"), package("built", "lib"),
            ],
            "resolve": { "nodes": [
                node("root", &[("a", None), ("macro", None), ("built", Some("build"))]),
                node("a", &[("b", None), ("built", Some("dev"))]),
                node("b", &[("a", None)]),
                node("macro", &[("of-macro", None)]),
            ] },
        });
        let found = linked(&metadata, "root");
        assert_eq!(
            Vec::from_iter(&found),
            ["a", "b", "macro", "of-macro", "root"]
        );
    }
}
