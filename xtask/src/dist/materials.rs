//! The bill of materials: the crates, as cargo-cyclonedx lists them, and what is in a binary besides:
//! C libraries that crates carry, the C library of the system, and Rust's standard library.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{build::Build, target::Target, toolchain::Toolchain};
use crate::{aom, cache, clone, command, tool};

/// Something in a binary that is no crate.
struct Part {
    name: &'static str,
    /// The crate that carries its sources and compiles them, if there is one.
    of: Option<&'static str>,
    /// An SPDX expression.
    licence: &'static str,
    /// Vendor and product, as the national vulnerability database of the USA names them.
    cpe: &'static str,
    /// The package URL up to the version.
    purl: &'static str,
    /// Reads the version from the sources that are compiled.
    version: fn(&Sources<'_>) -> Result<String>,
}

const PARTS: [Part; 7] = [
    Part {
        name: "sqlite",
        of: Some("libsqlite3-sys"),
        licence: "blessing",
        cpe: "sqlite:sqlite",
        purl: "pkg:generic/sqlite@",
        version: |sources| {
            let header = sources.read("libsqlite3-sys", "sqlite3/sqlite3.h")?;
            defined(&header, "SQLITE_VERSION")
        },
    },
    Part {
        name: "libwebp",
        of: Some("libwebp-sys"),
        licence: "BSD-3-Clause",
        cpe: "webmproject:libwebp",
        purl: "pkg:github/webmproject/libwebp@v",
        version: |sources| {
            let header = sources.read("libwebp-sys", "vendor/src/dec/vp8i_dec.h")?;
            let part = |name: &str| defined(&header, &format!("DEC_{name}_VERSION"));
            Ok([part("MAJ")?, part("MIN")?, part("REV")?].join("."))
        },
    },
    Part {
        name: "mozjpeg",
        of: Some("mozjpeg-sys"),
        licence: "IJG AND BSD-3-Clause AND Zlib",
        cpe: "mozilla:mozjpeg",
        purl: "pkg:github/mozilla/mozjpeg@v",
        version: |sources| {
            // The crate leaves out the only file that names the version.
            const KNOWN: (&str, &str) = ("2.2.3", "4.1.5");
            let found = sources.carrier("mozjpeg-sys")?;
            ensure!(
                found.version == KNOWN.0,
                "which mozjpeg is in mozjpeg-sys {}? It has to be in {}",
                found.version,
                file!()
            );
            Ok(KNOWN.1.to_owned())
        },
    },
    Part {
        name: "libaom",
        of: Some("libaom-sys"),
        licence: "BSD-2-Clause",
        cpe: "aomedia:libaom",
        purl: "pkg:generic/libaom@",
        version: |sources| {
            let log = sources.read("libaom-sys", "vendor/CHANGELOG")?;
            // `2024-10-10 v3.11.0`
            let newest = log.lines().find_map(|line| line.split_once(" v"));
            Ok(newest.context("no version in the changelog")?.1.to_owned())
        },
    },
    Part {
        name: "mimalloc",
        of: Some("libmimalloc-sys"),
        licence: "MIT",
        cpe: "microsoft:mimalloc",
        purl: "pkg:github/microsoft/mimalloc@v",
        version: |sources| {
            // The crate carries two.
            let carrier = sources.carrier("libmimalloc-sys")?;
            let folder = match carrier.features.iter().any(|feature| feature == "v2") {
                true => "v2",
                false => "v3",
            };
            let header = format!("c_src/mimalloc/{folder}/include/mimalloc.h");
            let header = sources.read("libmimalloc-sys", &header)?;
            let number: u32 = defined(&header, "MI_MALLOC_VERSION")?.parse()?;
            let (major, minor, patch) = (number / 10_000, number / 100 % 100, number % 100);
            Ok(format!("{major}.{minor}.{patch}"))
        },
    },
    Part {
        name: "musl",
        of: None,
        licence: "MIT",
        cpe: "musl-libc:musl",
        purl: "pkg:generic/musl@",
        version: |sources| {
            if sources.toolchain.library.is_none() {
                // rustup's targets carry theirs only compiled; all compilers that we allow have
                // this one.
                return Ok("1.2.5".to_owned());
            }
            let zig = sources.toolchain.zig()?;
            let folder = zig.parent().context("in a folder")?;
            let header = folder.join("lib/libc/musl/src/internal/version.h");
            defined(&read(&header)?, "VERSION")
        },
    },
    Part {
        name: "rust-std",
        of: None,
        licence: "MIT OR Apache-2.0",
        cpe: "rust-lang:rust",
        purl: "pkg:github/rust-lang/rust@",
        version: |sources| Ok(sources.toolchain.rustc_version.clone()),
    },
];

/// Writes the bill of materials of a target's binary, CycloneDX as JSON.
///
/// # Errors
/// When the tool fails, or the version of a part is not found.
pub fn write(build: &Build, target: &Target, toolchain: &Toolchain, to: &Path) -> Result<()> {
    let mut bill: Value = serde_json::from_str(&crates(build, target)?)?;
    let sources = Sources {
        carriers: carriers(build, target)?,
        toolchain,
    };
    for part in &PARTS {
        add(&mut bill, part, &sources).with_context(|| format!("{}'s version", part.name))?;
    }
    fs::write(to, serde_json::to_string_pretty(&bill)? + "\n")?;
    Ok(())
}

/// What cargo-cyclonedx writes. It does so next to each manifest of the workspace, so it runs on a
/// copy.
fn crates(build: &Build, target: &Target) -> Result<String> {
    let sources = cache::folder("materials")?.join("sources");
    clone::copy_sources(&sources)?;
    command::run(
        command::new(tool::CYCLONEDX.installed()?)
            .args(["cyclonedx", "--format", "json", "--spec-version", "1.5"])
            .args(["--describe", "binaries", "--no-build-deps", "--quiet"])
            .args(["--manifest-path", "crates/pict-rs/Cargo.toml"])
            .args(["--target", target.rust, "--features", "libaom"])
            .env("SOURCE_DATE_EPOCH", build.epoch.to_string())
            .current_dir(&sources),
    )?;
    let written = fs::read_to_string(sources.join("crates/pict-rs/pict-rs_bin.cdx.json"))?;
    // The tool names our own crates by their path.
    let here = sources.to_str().context("a folder with a name in UTF-8")?;
    let written = written.replace(here, "/pict-rs");
    fs::remove_dir_all(sources)?;
    Ok(written)
}

/// Where versions are read from.
struct Sources<'a> {
    carriers: BTreeMap<String, Carrier>,
    toolchain: &'a Toolchain,
}

/// A crate that carries sources in C.
struct Carrier {
    version: String,
    folder: PathBuf,
    features: Vec<String>,
}

impl Sources<'_> {
    fn carrier(&self, name: &str) -> Result<&Carrier> {
        let found = self.carriers.get(name);
        found.with_context(|| format!("cargo knows no {name}"))
    }

    fn read(&self, name: &str, file: &str) -> Result<String> {
        read(&self.carrier(name)?.folder.join(file))
    }
}

fn read(file: &Path) -> Result<String> {
    // One has names in Latin-1.
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The crates that [`PARTS`] names, as they are compiled for the target.
fn carriers(build: &Build, target: &Target) -> Result<BTreeMap<String, Carrier>> {
    let mut metadata = command::cargo();
    metadata
        .args(["metadata", "--locked", "--format-version=1"])
        .args(["--filter-platform", target.rust])
        .args(["--features", aom::FEATURE]);
    let metadata = command::output(build.prepare(&mut metadata, target))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let features: BTreeMap<_, _> = list(&metadata["resolve"]["nodes"])
        .iter()
        .filter_map(|node| {
            let names = list(&node["features"]).iter().filter_map(text).collect();
            Some((text(&node["id"])?, names))
        })
        .collect();
    let mut found = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let (Some(name), Some(version), Some(manifest), Some(id)) = (
            text(&package["name"]),
            text(&package["version"]),
            text(&package["manifest_path"]),
            text(&package["id"]),
        ) else {
            bail!("cargo describes a package without a name");
        };
        if !PARTS.iter().any(|part| part.of == Some(&name)) {
            continue;
        }
        let mut folder = PathBuf::from(manifest);
        folder.pop();
        let features: Vec<String> = features.get(&id).cloned().unwrap_or_default();
        found.insert(
            name,
            Carrier {
                version,
                folder,
                features,
            },
        );
    }
    Ok(found)
}

/// Adds a part to the components and to what its crate depends on. What no crate of this target
/// carries is left out.
fn add(bill: &mut Value, part: &Part, sources: &Sources<'_>) -> Result<()> {
    let Some(parent) = reference(bill, part.of) else {
        return Ok(());
    };
    let version = (part.version)(sources)?;
    let purl = format!("{}{version}", part.purl);
    let list = |value: &mut Value, name: &str| match value[name].take() {
        Value::Array(list) => list,
        _ => Vec::new(),
    };
    let mut components = list(bill, "components");
    components.push(json!({
        "type": "library",
        "bom-ref": purl,
        "name": part.name,
        "version": version,
        "scope": "required",
        "licenses": [{ "expression": part.licence }],
        "cpe": format!("cpe:2.3:a:{}:{version}:*:*:*:*:*:*:*", part.cpe),
        "purl": purl,
    }));
    bill["components"] = components.into();

    let mut dependencies = list(bill, "dependencies");
    let entry = dependencies
        .iter_mut()
        .find(|entry| entry["ref"] == *parent);
    let entry = entry.with_context(|| format!("{parent} has no dependencies"))?;
    let mut below = list(entry, "dependsOn");
    below.push(purl.clone().into());
    entry["dependsOn"] = below.into();
    dependencies.push(json!({ "ref": purl }));
    bill["dependencies"] = dependencies.into();
    Ok(())
}

/// The reference of a crate in the bill, or of the program itself.
fn reference(bill: &Value, name: Option<&str>) -> Option<String> {
    let component = match name {
        None => &bill["metadata"]["component"],
        Some(name) => bill["components"]
            .as_array()?
            .iter()
            .find(|component| component["name"] == *name)?,
    };
    component["bom-ref"].as_str().map(str::to_owned)
}

/// The value of a macro, without quotes and comments.
fn defined(header: &str, name: &str) -> Result<String> {
    let value = header.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let is_it = words.next() == Some("#define") && words.next() == Some(name);
        words.next().filter(|_| is_it)
    });
    let value = value.with_context(|| format!("{name} is not defined"))?;
    Ok(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_macro_is_found() {
        let header = "#define VERSION_NUMBER 3\n#define VERSION   \"1.2.5\"\n#define M 2 // two\n";
        assert_eq!(defined(header, "VERSION").expect("there"), "1.2.5");
        assert_eq!(defined(header, "M").expect("there"), "2");
        assert!(defined(header, "N").is_err());
    }

    #[test]
    fn a_part_is_added_below_its_crate_and_only_with_it() {
        let toolchain = Toolchain {
            venv: PathBuf::new(),
            library: None,
            rustc_commit: String::new(),
            rustc_version: "1.95.0".to_owned(),
        };
        let sources = Sources {
            carriers: BTreeMap::new(),
            toolchain: &toolchain,
        };
        let mut bill = json!({
            "metadata": { "component": { "bom-ref": "root" } },
            "components": [{ "name": "a-sys", "bom-ref": "a" }],
            "dependencies": [{ "ref": "root", "dependsOn": ["a"] }, { "ref": "a" }],
        });
        let part = |of| Part {
            name: "a",
            of,
            licence: "MIT",
            cpe: "b:a",
            purl: "pkg:generic/a@",
            version: |_| Ok("1.0".to_owned()),
        };
        add(&mut bill, &part(Some("b-sys")), &sources).expect("left out");
        assert_eq!(bill["components"].as_array().map(Vec::len), Some(1));
        add(&mut bill, &part(Some("a-sys")), &sources).expect("added");
        add(&mut bill, &PARTS[6], &sources).expect("added");
        let added = &bill["components"][1];
        assert_eq!(added["cpe"], "cpe:2.3:a:b:a:1.0:*:*:*:*:*:*:*");
        let below = |at: usize| bill["dependencies"][at]["dependsOn"].clone();
        assert_eq!(below(1), json!(["pkg:generic/a@1.0"]));
        assert_eq!(below(0), json!(["a", "pkg:github/rust-lang/rust@1.95.0"]));
    }
}
