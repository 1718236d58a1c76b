//! What a release consists of besides packages and images: archives, checksums, and the bill of
//! materials and the notices, which must name every crate that the binary itself says it was made
//! of, and the C libraries that some of these crates carry.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use auditable_info::{Limits, audit_info_from_file};
use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Target, on_each_target};

on_each_target!(
    the_bill_of_materials_names_what_the_binary_was_made_of,
    the_notices_name_what_the_binary_was_made_of,
    the_archive_has_all_that_belongs_to_the_binary,
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

/// The start of the names of a target's files.
pub fn stem(target: &Target) -> String {
    format!(
        "pict-rs-{}-linux-{}",
        env!("CARGO_PKG_VERSION"),
        target.name
    )
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
    assert_names_what_is_no_crate(&bill, &linked, target);
    let binary = std::fs::read(folder.join("pict-rs")).expect("there");
    assert_sqlite_is_the_one_inside(&bill, &binary);
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
    if target.bits == 64 {
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

/// Crates whose name says that they bring a library in C, and do not.
const BRING_NOTHING: [&str; 1] = ["linux-raw-sys"];

/// Every crate that carries a library must depend on one in the bill; so does the program itself, on
/// the C library and Rust's standard library.
fn assert_names_what_is_no_crate(
    bill: &Value,
    linked: &BTreeSet<(String, String)>,
    target: &Target,
) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let components = list(&bill["components"]);
    let named: BTreeMap<_, _> = components
        .iter()
        .chain([&bill["metadata"]["component"]])
        .map(|component| (text(&component["bom-ref"]), component))
        .collect();
    let below: BTreeMap<_, _> = list(&bill["dependencies"])
        .iter()
        .map(|entry| {
            let below: Vec<_> = list(&entry["dependsOn"]).iter().map(text).collect();
            (text(&entry["ref"]), below)
        })
        .collect();
    // Only what is no crate has a number in the database of vulnerabilities.
    let parts = |name: &str| -> Vec<String> {
        let parents = named.iter().filter(|(_, value)| value["name"] == *name);
        parents
            .filter_map(|(reference, _)| below.get(reference))
            .flatten()
            .filter_map(|reference| named.get(reference))
            .filter(|component| !component["cpe"].is_null())
            .map(|component| {
                let version = text(&component["version"]);
                let cpe = text(&component["cpe"]);
                let fields: Vec<_> = cpe.split(':').collect();
                assert_eq!(fields.len(), 13, "{cpe}");
                assert_eq!(fields[..3], ["cpe", "2.3", "a"], "{cpe}");
                assert_eq!(fields[5], version, "{cpe}");
                let numbers = version.split('.').all(|part| part.parse::<u32>().is_ok());
                assert!(numbers && version.contains('.'), "{version}");
                let purl = text(&component["purl"]);
                assert!(purl.starts_with("pkg:"), "{purl}");
                assert!(purl.ends_with(&version), "{purl}");
                text(&component["name"])
            })
            .collect()
    };
    let mut found = BTreeSet::new();
    for (name, _) in linked {
        if name.ends_with("-sys") && !BRING_NOTHING.contains(&name.as_str()) {
            let parts = parts(name);
            assert!(!parts.is_empty(), "what does {name} bring into the binary?");
            found.extend(parts);
        }
    }
    found.extend(parts("pict-rs"));
    let mut expected = vec!["libaom", "libwebp", "mozjpeg", "musl", "rust-std", "sqlite"];
    // 32-bit binaries have the allocator of the C library.
    expected.extend((target.bits == 64).then_some("mimalloc"));
    let expected: BTreeSet<_> = expected.into_iter().map(str::to_owned).collect();
    assert_eq!(found, expected);
}

/// SQLite is the one library that tells its version in the binary; the others name theirs nowhere.
fn assert_sqlite_is_the_one_inside(bill: &Value, binary: &[u8]) {
    let components = bill["components"].as_array().expect("a list");
    let sqlite = components.iter().find(|found| found["name"] == "sqlite");
    let version = sqlite.expect("listed")["version"].as_str().expect("text");
    // A linker may let a text begin within another one.
    let text = format!("{version}\0");
    let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let is_inside = binary
        .windows(text.len() + 1)
        .any(|found| found[1..] == *text.as_bytes() && !is_part(found[0]));
    assert!(is_inside, "the binary has another SQLite than {version}");
}

fn the_archive_has_all_that_belongs_to_the_binary(target: &Target) {
    let Some(folder) = target.folder("archive") else {
        return;
    };
    let stem = stem(target);
    let archive = folder.with_file_name(format!("{stem}.tar.gz"));
    let archive = std::fs::File::open(&archive).expect("there");
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut found = BTreeMap::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").display().to_string();
        let header = entry.header();
        let owner = (header.uid().expect("one"), header.gid().expect("one"));
        assert_eq!(owner, (0, 0), "{name}");
        let mode = header.mode().expect("a mode");
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).expect("readable");
        let name = name.strip_prefix(&format!("{stem}/")).expect("one folder");
        found.insert(name.to_owned(), (mode, contents));
    }
    for (name, mode) in [
        ("pict-rs", 0o755),
        ("pict-rs-admin", 0o755),
        ("LICENSE", 0o644),
        ("README.md", 0o644),
        ("CHANGELOG.md", 0o644),
        ("pict-rs.toml", 0o644),
        ("pict-rs.cdx.json", 0o644),
        ("etc/pict-rs.toml", 0o644),
        ("man/pict-rs.1", 0o644),
        ("man/pict-rs-admin.8", 0o644),
        ("completions/pict-rs.bash", 0o644),
        ("completions/pict-rs.fish", 0o644),
        ("completions/_pict-rs", 0o644),
        ("systemd/pict-rs.service", 0o644),
        ("systemd/pict-rs.sysusers", 0o644),
    ] {
        let (found, contents) = found.get(name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(*found, mode, "{name}");
        assert!(!contents.is_empty(), "{name}");
    }
    for name in ["pict-rs", "pict-rs.cdx.json"] {
        let own = std::fs::read(folder.join(name)).expect("there");
        assert!(found[name].1 == own, "{name} is another than in the folder");
    }
}

#[test]
fn every_released_file_has_its_checksum() {
    let Some(folder) = Target::named("amd64").folder("checksums") else {
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
        // A release page has no folders.
        assert!(!name.contains('/'), "{name}");
        assert!(name.contains(env!("CARGO_PKG_VERSION")), "{name}");
        checked.insert(name.to_owned());
    }
    let mut endings = vec!["linux-image.tar".to_owned()];
    for target in Target::all() {
        if !dist.join(target.name).is_dir() {
            continue;
        }
        let name = target.name;
        for ending in [".tar.gz", ".cdx.json", "-image.tar"] {
            endings.push(format!("linux-{name}{ending}"));
        }
        for file in std::fs::read_dir(dist.join(name)).expect("readable") {
            let file = file.expect("an entry").file_name();
            let file = file.to_str().expect("UTF-8");
            if file.ends_with(".deb") || file.ends_with(".rpm") {
                endings.push(file.to_owned());
            }
        }
    }
    for ending in &endings {
        let count = checked.iter().filter(|name| name.ends_with(ending)).count();
        assert_eq!(count, 1, "{ending} in {checked:?}");
    }
    assert_eq!(checked.len(), endings.len(), "{checked:?}");
}
