//! The table of static targets, `targets.toml`: what each tool calls a processor.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, Deserializer};

/// The table is read once, so its strings stay in memory. Not spelt `&str` below, because serde would
/// borrow such a field from its input.
type Text = &'static str;

/// A processor that binaries are built for. `targets.toml` documents each field.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name in folders and file names: the OCI platform's architecture.
    #[serde(skip)]
    pub name: Text,
    /// What nixpkgs calls it.
    #[serde(deserialize_with = "text")]
    pub nix: Text,
    /// What rustc calls it.
    #[serde(deserialize_with = "text")]
    pub rust: Text,
    /// What zig calls it.
    #[serde(deserialize_with = "text")]
    pub zig: Text,
    /// The CPU features that C may use, if they differ from zig's defaults.
    #[serde(default, deserialize_with = "optional_text")]
    pub zig_cpu: Option<Text>,
    /// What RPM calls it.
    #[serde(deserialize_with = "text")]
    pub rpm: Text,
    /// What Debian calls it.
    #[serde(deserialize_with = "text")]
    pub deb: Text,
    /// Whether the standard library from rustup can be used.
    #[serde(rename = "rustup")]
    pub rustup_will_do: bool,
    /// What `std::env::consts::ARCH` says on such a machine.
    #[serde(deserialize_with = "text")]
    pub arch: Text,
    /// What qemu-user calls it.
    #[serde(deserialize_with = "text")]
    pub qemu: Text,
    /// `e_machine` of its binaries.
    pub elf_machine: u16,
    /// The width of a pointer.
    pub bits: u32,
}

/// All of them, by name.
pub static ALL: LazyLock<Vec<Target>> =
    LazyLock::new(|| parse(include_str!("../../targets.toml")).expect("targets.toml is right"));

/// Reads a table of targets, in the order of their names.
///
/// # Errors
/// When a field is missing, unknown or of the wrong type.
pub fn parse(table: &str) -> Result<Vec<Target>, toml::de::Error> {
    let rows: BTreeMap<String, Target> = toml::from_str(table)?;
    let named = |(name, target): (String, Target)| Target {
        name: name.leak(),
        ..target
    };
    Ok(rows.into_iter().map(named).collect())
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
    Ok(String::deserialize(deserializer)?.leak())
}

fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text>, D::Error> {
    text(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn rustc_agrees_with_the_table() {
        assert!(!ALL.is_empty());
        for target in ALL.iter() {
            let output = Command::new("rustc")
                .args(["--print", "cfg", "--target", target.rust])
                .output()
                .expect("rustc starts");
            let cfg = String::from_utf8_lossy(&output.stdout);
            for expected in [
                format!("target_arch=\"{}\"", target.arch),
                format!("target_pointer_width=\"{}\"", target.bits),
                "target_env=\"musl\"".to_owned(),
                "target_os=\"linux\"".to_owned(),
            ] {
                let says_so = cfg.lines().any(|line| line == expected);
                assert!(says_so, "{}: {expected} is not in:\n{cfg}", target.name);
            }
        }
    }

    #[test]
    fn a_row_with_an_unknown_or_a_missing_field_is_refused() {
        let table = include_str!("../../targets.toml");
        assert!(parse(&table.replacen("rpm =", "rmp =", 1)).is_err());
        assert!(parse(&table.replacen("bits = 64\n", "", 1)).is_err());
        assert!(parse(&table.replacen("bits = 64", "bits = \"64\"", 1)).is_err());
    }
}
