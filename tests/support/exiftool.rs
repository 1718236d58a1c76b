//! What exiftool sees in a file: a second opinion on whether metadata is really gone.

use std::path::PathBuf;
use std::process::Command;

use super::programs;

/// The program.
pub struct Exiftool(PathBuf);

impl Exiftool {
    /// Or a line that says what was not tested.
    pub fn find_or_skip(test: &str) -> Option<Self> {
        programs::find_or_skip("exiftool", test).map(Self)
    }

    /// The file with these tags, each as `Tag=value`.
    pub fn write(&self, bytes: &[u8], extension: &str, tags: &[&str]) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(format!("a.{extension}"));
        std::fs::write(&file, bytes).expect("written");
        let output = Command::new(&self.0)
            .arg("-overwrite_original")
            .args(tags.iter().map(|tag| format!("-{tag}")))
            .arg(&file)
            .output()
            .expect("exiftool runs");
        assert!(output.status.success(), "{output:?}");
        std::fs::read(&file).expect("written")
    }

    /// Everything that it finds, also twice and also what it does not know, as `Group:Tag=value`.
    pub fn look(&self, bytes: &[u8], extension: &str) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(format!("a.{extension}"));
        std::fs::write(&file, bytes).expect("written");
        let output = Command::new(&self.0)
            .args(["-G1", "-a", "-s", "-ee", "-u"])
            .arg(&file)
            .output()
            .expect("exiftool runs");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let tag = |line: &str| {
            let (group, rest) = line.strip_prefix('[')?.split_once(']')?;
            let (tag, value) = rest.split_once(':')?;
            Some(format!("{group}:{}={}", tag.trim(), value.trim()))
        };
        lines
            .lines()
            .map(|line| tag(line).unwrap_or_else(|| panic!("exiftool says {line}")))
            .collect()
    }
}
