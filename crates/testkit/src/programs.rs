//! Programs that some tests need. A test without its program reports that, and never passes
//! silently.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The program, if it is on PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The program, or a line that says which test was skipped. If `PICTRS_TEST_REQUIRE` names
/// programs, a skip is a failure.
pub fn find_or_skip(name: &str, test: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        skip("programs", test, &format!("{name} is not on PATH"));
    }
    found
}

/// The library that lets a program see another time, if it is installed in Debian's place.
pub fn faketime() -> Option<PathBuf> {
    let libraries = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let path = Path::new(&libraries).join("faketime/libfaketimeMT.so.1");
    path.is_file().then_some(path)
}

/// Reports that a test cannot run here, or fails if `kind` is required.
pub fn skip(kind: &str, test: &str, reason: &str) {
    let required = std::env::var("PICTRS_TEST_REQUIRE").unwrap_or_default();
    let is_required = required
        .split(',')
        .any(|word| word == kind || word == "all");
    assert!(!is_required, "{test} is required and cannot run: {reason}");
    // Bypasses the capture of the test harness, so that it is shown.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}
