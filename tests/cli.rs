//! Arguments, exit codes and messages of a program that does not serve.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use assert_cmd::assert::OutputAssertExt as _;
use predicates::prelude::*;

use crate::support::Launch;
use crate::support::server::program;

/// As a shell shows a mistake in the configuration, `EX_CONFIG`: units do not start the server again.
const CANNOT_WORK: i32 = 78;
/// As a shell shows a mistake in the arguments.
const WRONG_USE: i32 = 2;

/// Text that has all these words.
fn has(words: &'static [&'static str]) -> impl Predicate<str> {
    predicate::function(move |text: &str| words.iter().all(|word| text.contains(word)))
}

#[test]
fn help_explains_commands_sources_of_settings_and_defaults() {
    program()
        .arg("--help")
        .assert()
        .success()
        .stdout(has(&[
            "run",
            "check-config",
            "print-config",
            "--config-file",
            "PICTRS__SERVER__API_KEY",
            "./data",
            "0.0.0.0:8080",
        ]))
        .stderr("");
    program()
        .args(["run", "--help"])
        .assert()
        .success()
        .stdout(has(&[
            "--address",
            "--api-key",
            "--media-max-file-size",
            "[default: 40]",
            "filesystem",
            "object-storage",
        ]));
    program()
        .args(["run", "filesystem", "--help"])
        .assert()
        .success()
        .stdout(has(&["sqlite", "sled", "fjall", "postgres", "--path"]));
}

#[test]
fn version_is_name_and_number_and_says_where_the_sources_are() {
    let number = concat!("pict-rs ", env!("CARGO_PKG_VERSION"), "\n");
    program().arg("-V").assert().success().stdout(number);
    let sources = concat!("\nsources: ", env!("CARGO_PKG_REPOSITORY"), "\n");
    program()
        .arg("--version")
        .assert()
        .success()
        .stdout(predicate::str::starts_with(number))
        .stdout(predicate::str::ends_with(sources));
}

#[test]
fn a_wrong_flag_is_wrong_use_and_named() {
    for (arguments, word) in [
        (&["run", "--adress", "127.0.0.1:0"][..], "--adress"),
        (&["serve"], "serve"),
        (&["run", "--max-file-count", "many"], "many"),
        (&["run", "filesystem", "mysql"], "mysql"),
    ] {
        program()
            .args(arguments)
            .assert()
            .code(WRONG_USE)
            .stdout("")
            .stderr(predicate::str::contains(word))
            .stderr(predicate::str::contains("--help"));
    }
}

#[test]
fn a_configuration_file_that_cannot_be_used_is_named() {
    let launch = Launch::new();
    let write = |name: &str, text: &str| {
        std::fs::write(launch.folder().join(name), text).expect("written");
    };
    write("broken.toml", "[server\n");
    write("settings.ini", "[server]");
    write("wrong.toml", "[server]\nmax_file_count = 'many'\n");
    write("number.json", "{\"server\": {\"api_key\": [1]}}");
    for (file, words) in [
        ("absent.toml", &["absent.toml"][..]),
        ("broken.toml", &["broken.toml"]),
        (
            "settings.ini",
            &["settings.ini", ".toml", ".json", ".yaml", ".ron"],
        ),
        ("wrong.toml", &["max_file_count", "many"]),
        ("number.json", &["api_key"]),
    ] {
        let assert = launch.command().args(["-c", file]).assert();
        let assert = assert.code(CANNOT_WORK).stdout("");
        for word in words {
            assert_stderr_has(&assert, word);
        }
    }
}

#[track_caller]
fn assert_stderr_has(assert: &assert_cmd::assert::Assert, word: &str) {
    let text = String::from_utf8_lossy(&assert.get_output().stderr);
    assert!(text.contains(word), "no {word} in: {text}");
}

#[test]
fn a_setting_that_cannot_work_is_named_before_anything_is_touched() {
    for (key, value, words) in [
        ("server.address", "nowhere", &["address"][..]),
        (
            "server.max_file_count",
            "0",
            &["max_file_count", "at least 1"],
        ),
        (
            "media.concurrency",
            "4000000000",
            &["media.concurrency", "4000000000", "at most 1024"],
        ),
        ("media.max_file_size", "-1", &["max_file_size"]),
        ("media.video.enable", "perhaps", &["enable"]),
        (
            "media.filters",
            "blur,sepia",
            &["filters", "sepia", "thumbnail"],
        ),
        (
            "media.preprocess_steps",
            "crop=99x1",
            &["preprocess_steps", "99x1"],
        ),
        ("media.image.format", "bmp", &["format", "bmp"]),
        ("media.retention.variants", "soon", &["variants"]),
        ("repo.type", "mysql", &["type", "mysql"]),
        ("repo.type", "postgres", &["postgres", "repo.url"]),
        ("repo.max_connections", "many", &["max_connections"]),
        (
            "store.type",
            "object_storage",
            &["object_storage", "store.bucket_name"],
        ),
        (
            "tracing.opentelemetry.url",
            "localhost:4317",
            &["tracing.opentelemetry.url", "http://"],
        ),
        ("media.external_validation", "x", &["external_validation"]),
        (
            "server.certificate",
            "x.pem",
            &["server.certificate", "server.private_key"],
        ),
        ("tracing.logging.format", "xml", &["format", "xml"]),
        (
            "tracing.logging.targets",
            "info,=bad=",
            &["targets", "=bad="],
        ),
    ] {
        let launch = Launch::new().setting(key, value);
        let assert = launch.command().assert().code(CANNOT_WORK);
        for word in words {
            assert_stderr_has(&assert, word);
        }
        let left: Vec<_> = std::fs::read_dir(launch.folder())
            .expect("readable")
            .collect();
        assert!(left.is_empty(), "{key}={value} left {left:?}");
    }
}

#[test]
fn check_config_warns_of_settings_that_this_build_cannot_do() {
    for (key, value, words) in [
        (
            "tracing.console.address",
            "127.0.0.1:0",
            ["tracing.console.address", "tokio-console", "tokio_unstable"],
        ),
        (
            "tracing.opentelemetry.url",
            "https://collector.example:4317",
            ["tracing.opentelemetry.url", "https://", "TLS"],
        ),
        (
            "server.addr",
            "127.0.0.1:0",
            ["PICTRS__SERVER__ADDR", "old name", "server.address"],
        ),
    ] {
        let launch = Launch::new()
            .without_environment("PICTRS__SERVER__ADDRESS")
            .setting(key, value);
        let output = launch.command().arg("check-config").output().expect("runs");
        assert!(output.status.success(), "{key}");
        let text = String::from_utf8(output.stdout).expect("text");
        let line = text.lines().find(|line| line.starts_with("warning: "));
        let line = line.unwrap_or_else(|| panic!("no warning: {text}"));
        for word in words {
            assert!(line.contains(word), "{line}");
        }
        let doctor = launch.command().args(["doctor", "--json"]).output();
        let doctor = doctor.expect("runs");
        assert!(doctor.status.success(), "{key}");
        let report = String::from_utf8(doctor.stdout).expect("text");
        assert!(report.contains(words[0]), "{report}");
    }
}

#[test]
fn check_config_says_valid_or_what_is_wrong_and_never_serves() {
    let launch = Launch::new();
    launch
        .clone()
        .environment("PICTRS__MEDIA__GIF__MAX_WIDTH", 256)
        .environment("PICTRS_OPENTELEMETRY_URL", "http://otel:4137")
        .command()
        .arg("check-config")
        .assert()
        .success()
        .stdout(has(&[
            "media.gif.max_width (now media.animation.max_width)",
            "PICTRS_OPENTELEMETRY_URL (now tracing.opentelemetry.url)",
            "valid",
        ]));
    launch
        .clone()
        .setting("media.process_timeout", 0)
        .command()
        .arg("check-config")
        .assert()
        .code(CANNOT_WORK)
        .stderr(has(&["process_timeout"]));
    assert!(!launch.folder().join("data").exists());
}

#[test]
fn print_config_shows_the_merged_settings_without_secrets() {
    let launch = Launch::new()
        .setting("server.api_key", "hush-hush")
        .setting("media.max_file_size", 7);
    let file = launch.folder().join("some.toml");
    std::fs::write(&file, "[media]\nmax_file_size = 3\nprocess_timeout = 11\n").expect("written");
    let assert = launch
        .command()
        .args(["-c", "some.toml", "print-config"])
        .assert()
        .success();
    let text = String::from_utf8_lossy(&assert.get_output().stdout);
    assert!(!text.contains("hush"), "{text}");
    let shown: toml::Table = text.parse().expect("TOML");
    assert_eq!(shown["server"]["api_key"].as_str(), Some("***"));
    assert_eq!(shown["media"]["max_file_size"].as_integer(), Some(7));
    assert_eq!(shown["media"]["process_timeout"].as_integer(), Some(11));
}

#[test]
fn save_to_writes_settings_that_can_be_loaded_again() {
    let launch = Launch::new().setting("server.api_key", "hush-hush");
    launch
        .command()
        .args(["--save-to", "saved.toml", "check-config"])
        .assert()
        .success();
    let again = Launch::new();
    let saved = launch.folder().join("saved.toml");
    let assert = again
        .command()
        .arg("-c")
        .arg(saved)
        .arg("check-config")
        .assert()
        .success();
    let text = String::from_utf8_lossy(&assert.get_output().stdout);
    assert!(!text.contains("unknown"), "{text}");
}

#[test]
fn what_is_saved_has_the_secrets_and_is_for_its_owner_alone() {
    let launch = Launch::new()
        .setting("server.api_key", "hush-hush")
        .setting("media.max_file_size", 7);
    let saved = launch.folder().join("saved.toml");
    // A file that is there already and open to everybody does not stay so.
    std::fs::write(&saved, "old").expect("written");
    std::fs::set_permissions(&saved, Permissions::from_mode(0o644)).expect("set");
    launch
        .command()
        .args(["--save-to", "saved.toml", "check-config"])
        .assert()
        .success();
    let text = std::fs::read_to_string(&saved).expect("readable");
    assert!(text.contains("hush-hush"), "{text}");
    assert!(text.contains("max_file_size = 7"), "{text}");
    let mode = std::fs::metadata(&saved)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn command_line_wins_over_environment_over_file() {
    let launch = Launch::new().setting("media.process_timeout", 2);
    std::fs::write(
        launch.folder().join("some.yaml"),
        "media: {max_file_size: 1, process_timeout: 1, queue_length: 1}\n",
    )
    .expect("written");
    let line = "-c some.yaml --save-to merged.toml run --address nowhere --media-queue-length 3";
    // It goes as far as the address, which is the last thing that it looks at.
    let assert = launch.command().args(line.split(' ')).assert();
    assert_stderr_has(&assert.code(CANNOT_WORK), "server.address");
    let line = "-c some.yaml --media-queue-length 3 print-config";
    let wrong = launch.command().args(line.split(' ')).assert();
    wrong.code(WRONG_USE);
    let server = launch
        .clone()
        .arguments("-c some.yaml --save-to merged.toml run --media-queue-length 3".split(' '))
        .start();
    drop(server);
    let merged = std::fs::read_to_string(launch.folder().join("merged.toml")).expect("readable");
    let merged: toml::Table = merged.parse().expect("TOML");
    let media = |key: &str| merged["media"][key].as_integer();
    assert_eq!(media("max_file_size"), Some(1));
    assert_eq!(media("process_timeout"), Some(2));
    assert_eq!(media("queue_length"), Some(3));
}

#[test]
fn flags_of_an_older_version_are_harmless() {
    let launch = Launch::new();
    launch
        .command()
        .args(["--old-repo-path", "/mnt/sled-repo", "check-config"])
        .assert()
        .success()
        .stdout(has(&["old_repo.path", "valid"]));
}

#[test]
fn doctor_tells_what_there_is_and_fails_for_what_is_broken() {
    let launch = Launch::new().arguments(["doctor", "--json"]);
    let output = launch.command().output().expect("runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let named = |list: &str, name: &str| {
        let list = report[list].as_array().expect("a list");
        let found = list.iter().find(|line| line["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert_eq!(named("formats", "JPEG")["ok"], true);
    assert_eq!(named("formats", "MP4")["ok"], false);
    assert_eq!(named("formats", "MP4")["reason"], "needs ffmpeg");
    assert_eq!(named("formats", "HEIF")["reason"], "stored converted");
    assert_eq!(
        named("formats", "SVG")["reason"],
        "media.svg.enable is false"
    );
    assert!(report["outputs"].to_string().contains("\"avif\""));
    assert!(named("engine", "AVIF by libaom")["ok"].is_boolean());
    let is_linux = cfg!(target_os = "linux");
    assert_eq!(named("system", "program limits")["ok"], is_linux);
    assert_eq!(named("programs", "ffmpeg")["path"], serde_json::Value::Null);
    assert_eq!(
        named("programs", "exiftool")["reason"],
        "not on PATH; the server does not use it"
    );
    assert!(named("folders", "files")["free_bytes"].is_u64());
    assert!(report["warnings"].to_string().contains("ffmpeg"));
    assert_eq!(report["problems"], serde_json::json!([]));
    // Nothing was made by looking.
    assert!(!launch.folder().join("data").exists());

    let launch = Launch::new().arguments(["doctor"]);
    std::fs::write(launch.folder().join("data"), "in the way").expect("written");
    let output = launch.command().output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.contains("Problems") && text.contains("cannot be used"),
        "{text}"
    );
}

#[test]
fn folders_that_are_not_there_are_not_made_to_be_tied_together() {
    let launch = Launch::new();
    let assert = launch.command().arg("accept-store").assert().code(1);
    for word in ["data/database", "data/files", "pict-rs-admin accept-store"] {
        assert_stderr_has(&assert, word);
    }
    assert!(!launch.folder().join("data").exists());
}
