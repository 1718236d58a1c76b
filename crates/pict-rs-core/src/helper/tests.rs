//! Programs that fail in every way.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

const LIMITS: ResourceLimits = ResourceLimits {
    memory: 64 << 20,
    file_size: 4096,
    time: Duration::from_secs(20),
};

fn script(folder: &Path, text: &str) -> Command {
    let file = folder.join("program");
    std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("set");
    Command::new(file)
}

fn outcome(text: &str, limits: ResourceLimits) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let command = script(folder.path(), text);
    run::run(
        Helper::Ffmpeg,
        command,
        folder.path(),
        limits,
        &Control::new(),
    )
}

#[test]
fn a_program_sees_nothing_of_our_environment() {
    let said = outcome("/usr/bin/env", LIMITS).expect("runs");
    let said = String::from_utf8(said).expect("text");
    let mut names: Vec<_> = said
        .lines()
        .filter_map(|l| Some(l.split_once('=')?.0))
        .collect();
    names.retain(|name| !matches!(*name, "PWD" | "_" | "SHLVL" | "OLDPWD"));
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LC_ALL", "TMPDIR"]);
}

#[test]
fn what_a_failing_program_says_last_is_told() {
    let error = outcome(
        "echo first >&2; echo the last >&2; echo >&2; exit 3",
        LIMITS,
    );
    let error = error.expect_err("failed");
    assert_eq!(error.code(), ErrorCode::MediaDamaged);
    assert!(error.to_string().ends_with(": the last"), "{error}");
}

#[test]
fn endless_output_does_no_harm() {
    let said = outcome(
        "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2",
        LIMITS,
    );
    assert_eq!(said.expect("ends").len(), 64 * 1024);
}

#[test]
fn a_file_that_grows_too_large_ends_the_program() {
    let error = outcome(
        "while [ $(ulimit -f) = unlimited ]; do :; done; exec head -c 10000 /dev/zero > out",
        LIMITS,
    )
    .expect_err("ended");
    assert_eq!(error.code(), ErrorCode::ValidateFileSize);
}

#[test]
fn a_program_that_takes_too_long_ends_with_all_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = script(folder.path(), "sleep 1000 & echo $! > id; wait");
    let limits = ResourceLimits {
        time: Duration::from_secs(1),
        ..LIMITS
    };
    let error = run::run(
        Helper::Ffmpeg,
        command,
        folder.path(),
        limits,
        &Control::new(),
    );
    assert_eq!(error.expect_err("ended").code(), ErrorCode::ProcessTimeout);
    assert_ends(&folder.path().join("id"));
}

/// The process whose id a file holds.
fn assert_ends(file: &Path) {
    let id = std::fs::read_to_string(file).expect("written");
    let status = format!("/proc/{}/stat", id.trim());
    let deadline = Instant::now() + Duration::from_secs(20);
    // The process may linger, or stay a zombie where orphans are not reaped.
    while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_that_nobody_waits_for_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = script(folder.path(), "sleep 1000");
    let control = Control::new();
    control.cancel();
    let error = run::run(Helper::Ffmpeg, command, folder.path(), LIMITS, &control);
    assert_eq!(error.expect_err("ended").code(), ErrorCode::ProcessTimeout);
}

#[test]
fn a_missing_program_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = Command::new(folder.path().join("nothing"));
    let error = run::run(
        Helper::Ffmpeg,
        command,
        folder.path(),
        LIMITS,
        &Control::new(),
    );
    let error = error.expect_err("missing");
    assert_eq!(error.code(), ErrorCode::ProgramMissing);
    assert!(error.to_string().contains("ffmpeg"));
}

#[test]
fn what_a_program_leaves_running_ends_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = script(folder.path(), "sleep 1000 & echo $! > id");
    let said = run::run(
        Helper::Ffmpeg,
        command,
        folder.path(),
        LIMITS,
        &Control::new(),
    );
    said.expect("ends");
    assert_ends(&folder.path().join("id"));
}

#[test]
fn a_convert_that_is_not_imagemagicks_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("program");
    let find = |says: &str| {
        script(folder.path(), &format!("echo '{says}'"));
        let helpers = Helpers::find(&MediaConfig::default(), |file| {
            (file == "convert").then(|| program.clone())
        });
        helpers.path(Helper::Magick).is_some()
    };
    assert!(find("Version: ImageMagick 6.9.11-60 Q16 x86_64"));
    assert!(!find("GraphicsMagick 1.3.40 2023-01-14 Q16"));
    assert!(!find(""));
}
