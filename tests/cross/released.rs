//! What lies beside the binaries: checksums, and the bill of materials and the notices, which must
//! name every crate that the binary itself says it was made of.

use std::collections::BTreeSet;
use std::path::Path;

use auditable_info::{Limits, audit_info_from_file};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{AMD64, ARM64, ARMV7L, Target, on_each_target};

on_each_target!(
    the_bill_of_materials_names_what_the_binary_was_made_of,
    the_notices_name_what_the_binary_was_made_of,
);

/// Name and version of each crate in the binary, as it says itself.
fn linked(folder: &Path) -> BTreeSet<(String, String)> {
    let audit = audit_info_from_file(&folder.join("pict-rs"), Limits::default())
        .expect("the binary carries its list");
    let linked: BTreeSet<_> = audit
        .packages
        .iter()
        // By default a dependency is one of run time; others are of build time.
        .filter(|package| package.kind == Default::default())
        .map(|package| (package.name.clone(), package.version.to_string()))
        .collect();
    assert!(linked.len() > 100, "{}", linked.len());
    linked
}

fn the_bill_of_materials_names_what_the_binary_was_made_of(target: &Target) {
    let Some(folder) = target.folder("bill of materials") else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("pict-rs.cdx.json")).expect("there");
    let bill: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["name"], "pict-rs");
    let name = |value: &Value| {
        let text = |key: &str| value[key].as_str().expect("text").to_owned();
        (text("name"), text("version"))
    };
    let components = bill["components"].as_array().expect("a list");
    let mut listed: BTreeSet<_> = components.iter().map(name).collect();
    listed.insert(name(&bill["metadata"]["component"]));

    let linked = linked(&folder);
    for name in [
        "pict-rs-media",
        "mozjpeg-sys",
        "actix-web",
        "libsqlite3-sys",
    ] {
        assert!(linked.iter().any(|(found, _)| found == name), "{name}");
    }
    let missing: Vec<_> = linked.difference(&listed).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for component in components {
        let has_licence = component["licenses"]
            .as_array()
            .is_some_and(|l| !l.is_empty());
        assert!(has_licence, "{component}");
    }
    let home = std::env::home_dir().expect("a home");
    for place in [env!("CARGO_MANIFEST_DIR"), home.to_str().expect("UTF-8")] {
        // A home of "/" would be found everywhere.
        assert!(place.len() < 2 || !text.contains(place), "{place}");
    }
}

fn the_notices_name_what_the_binary_was_made_of(target: &Target) {
    let Some(folder) = target.folder("notices") else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("THIRD-PARTY-NOTICES.txt")).expect("there");
    let lines: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(named, _)| named)
        .collect();
    for (name, version) in linked(&folder) {
        let is_ours = name.starts_with("pict-rs");
        let is_named = lines.contains(&*format!("{name} {version}"));
        assert!(is_ours || is_named, "{name} {version}");
    }
    let mut parts = vec![
        "libaom",
        "libwebp",
        "musl",
        "Rust's standard library",
        "SQLite",
    ];
    if target.is_64 {
        parts.push("mimalloc");
    }
    for part in parts {
        assert!(lines.contains(part), "{part}");
    }
    for sentence in [
        "This software is based in part on the work of the Independent JPEG Group.",
        "Alliance for Open Media Patent License 1.0",
        "Rich Felker",
        "disclaims copyright",
    ] {
        assert!(text.contains(sentence), "{sentence}");
    }
    let home = std::env::home_dir().expect("a home");
    for place in [env!("CARGO_MANIFEST_DIR"), home.to_str().expect("UTF-8")] {
        // A home of "/" would be found everywhere.
        assert!(place.len() < 2 || !text.contains(place), "{place}");
    }
}

#[test]
fn every_released_file_has_its_checksum() {
    let Some(folder) = AMD64.folder("checksums") else {
        return;
    };
    let dist = folder.parent().expect("a folder");
    let sums = std::fs::read_to_string(dist.join("SHA256SUMS")).expect("there");
    let mut checked = BTreeSet::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").expect("as sha256sum writes it");
        let bytes =
            std::fs::read(dist.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(hex::encode(Sha256::digest(&bytes)), sum, "{name}");
        checked.insert(name.to_owned());
    }
    for target in [AMD64, ARM64, ARMV7L] {
        let Ok(files) = std::fs::read_dir(dist.join(target.name)) else {
            continue;
        };
        let kinds: Vec<_> = files
            .map(|file| {
                file.expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .inspect(|name| {
                assert!(
                    checked.contains(&format!("{}/{name}", target.name)),
                    "{name}"
                )
            })
            .collect();
        for ending in ["pict-rs", "NOTICES.txt", ".cdx.json", ".deb", ".rpm"] {
            let count = kinds.iter().filter(|name| name.ends_with(ending)).count();
            assert_eq!(count, 1, "{ending} in {kinds:?}");
        }
    }
}
