//! The unit that packages install, and the one of the NixOS module: both are confined, and say the
//! same but for what the systems do in different ways.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::packages::run;
use crate::support::programs;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).expect("readable")
}

#[test]
fn the_unit_is_valid_and_confined() {
    let Some(analyze) = programs::find("systemd-analyze") else {
        let reason = "systemd-analyze is not on PATH";
        return programs::skip("cross", "the unit's confinement", reason);
    };
    // It makes this folder even to read a file, and a sandbox has none.
    if std::fs::create_dir_all("/run/systemd").is_err() {
        let reason = "/run/systemd cannot be made, and systemd-analyze wants it";
        return programs::skip("cross", "the unit's confinement", reason);
    }
    let unit = repository().join("contrib/systemd/pict-rs.service");
    // 0 is nothing left to attack, 10 is everything; systemd calls up to 2.0 "OK".
    let report = run(Command::new(analyze)
        .args(["security", "--offline=yes", "--threshold=15", "--no-pager"])
        .arg(unit.canonicalize().expect("there")));
    assert!(report.contains("Overall exposure level"), "{report}");
}

/// What differs: where configuration and secrets come from, whose user it is, folders and ports that
/// only the module's options name, and lists of addresses.
const DIFFERENT: [&str; 13] = [
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "DynamicUser",
    "Environment",
    "ExecStart",
    "Group",
    "IPAddressAllow",
    "IPAddressDeny",
    "LoadCredential",
    "PrivateUsers",
    "ReadWritePaths",
    "StateDirectory",
    "WorkingDirectory",
];

#[test]
fn the_unit_of_packages_and_that_of_the_nixos_module_say_the_same() {
    let mut packages = of_systemd(&read("contrib/systemd/pict-rs.service"));
    let mut module = of_nix(&read("contrib/nixpkgs/module.nix"));
    for settings in [&mut packages, &mut module] {
        assert!(settings.len() > 30, "{settings:?}");
        settings.retain(|key, _| !DIFFERENT.contains(&key.as_str()));
    }
    assert_eq!(packages, module);
}

type Settings = BTreeMap<String, Vec<String>>;

/// The section `Service`, and what orders the unit.
fn of_systemd(text: &str) -> Settings {
    let mut settings = Settings::new();
    let install = text.find("[Install]").expect("a section");
    for line in text[..install].lines() {
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let list = settings.entry(key.to_owned()).or_default();
        match key {
            // Each word adds to the list, as in the module.
            "RestrictAddressFamilies" => list.extend(value.split(' ').map(str::to_owned)),
            _ => list.push(value.to_owned()),
        }
    }
    settings.remove("Description");
    settings
}

/// The same of the module, whose values are strings, numbers, booleans and lists of strings.
fn of_nix(text: &str) -> Settings {
    // The last one; before it stands what is added for a database on the same machine.
    let unit = text
        .rsplit_once("systemd.services.pict-rs = {")
        .expect("a unit");
    let mut settings = Settings::new();
    let mut open = None;
    for line in unit.1.lines().map(str::trim) {
        match line.split_once(" = ") {
            Some((key, "[")) => open = Some(key.to_owned()),
            Some((key, value)) if !line.starts_with('#') => {
                let key = match key {
                    "after" => "After",
                    "wants" => "Wants",
                    key => key,
                };
                let value = value.trim_end_matches(';');
                let value = value.trim_start_matches("[ ").trim_end_matches(" ]");
                settings
                    .entry(key.to_owned())
                    .or_default()
                    .push(value.trim_matches('"').to_owned());
            }
            _ if line == "];" => open = None,
            _ => {
                if let Some(key) = open.as_ref().filter(|_| line.starts_with('"')) {
                    let list = settings.entry(key.clone()).or_default();
                    list.push(line.trim_matches('"').to_owned());
                }
            }
        }
    }
    for key in ["description", "wantedBy", "serviceConfig"] {
        settings.remove(key);
    }
    settings
}
