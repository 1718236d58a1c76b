//! What the documentation shows, done with the real programs. The nginx configuration is in
//! `nginx.rs`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::server::program;
use crate::support::{Launch, Server, pictures, programs};

const README: &str = include_str!("../README.md");
const DEPLOYMENT: &str = include_str!("../docs/deployment.md");
const CONFIGURATION: &str = include_str!("../docs/configuration.md");
const PACKAGING: &str = include_str!("../docs/packaging.md");

/// Command lines that begin with `word`, from blocks and from the text.
fn lines<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(word) {
            found.push(line.split(" #").next().unwrap_or(line).trim());
        } else {
            let code = line.split('`').skip(1).step_by(2);
            found.extend(code.filter(|code| code.starts_with(word)));
        }
    }
    found
}

fn shell(line: &str, folder: &Path) -> Output {
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("KEY", "key")
        .output()
        .expect("a shell")
}

#[test]
fn every_curl_line_does_what_it_is_there_for() {
    if programs::find_or_skip("curl", "curl lines of the documentation").is_none() {
        return;
    }
    let server = Server::with([("server.api_key", "key")]);
    let folder = tempfile::tempdir().expect("a folder");
    let photo = pictures::jpeg(&pictures::photo(64, 48));
    std::fs::write(folder.path().join("photo.jpg"), photo).expect("written");
    let found = [lines(README, "curl "), lines(DEPLOYMENT, "curl ")].concat();
    assert_eq!(found.len(), 4, "{found:?}");
    let mut uploaded = serde_json::Value::Null;
    // The upload comes first; the removal needs what it answered.
    for line in found {
        let text = |key: &str| {
            uploaded["files"][0][key]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let line = line
            .replace(
                "http://127.0.0.1:8080",
                &format!("http://{}", server.address),
            )
            .replace("<token>", &text("delete_token"))
            .replace("<alias>.jpeg", &text("file"))
            .replacen("curl ", "curl -sS --fail ", 1);
        let output = shell(&line, folder.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        if let Ok(json) = serde_json::from_slice::<serde_json::Value>(&output.stdout) {
            assert_eq!(json["msg"], "ok", "{line}");
            if json["files"].is_array() {
                uploaded = json;
            }
        }
    }
    let alias = uploaded["files"][0]["file"].as_str().expect("an alias");
    server
        .get(&format!("/image/original/{alias}"))
        .refused(404, "alias-not-found");
}

#[test]
fn every_command_that_only_looks_runs_as_it_is_shown() {
    let found = lines(CONFIGURATION, "pict-rs ");
    let looking = [
        "pict-rs check-config",
        "pict-rs print-config",
        "pict-rs doctor",
    ];
    for line in looking {
        assert!(found.contains(&line), "{line} is not shown: {found:?}");
        let launch = Launch::new();
        let mut command = launch.command();
        command.args(line.split(' ').skip(1));
        let output = command.output().expect("runs");
        assert!(output.status.success(), "{line}");
    }
    // The others serve or need data; their flags exist.
    for line in found {
        for flag in line.split(' ').filter(|word| word.starts_with("--")) {
            let help = program().arg("--help").output().expect("runs");
            let help = String::from_utf8_lossy(&help.stdout);
            assert!(help.contains(flag), "{line}");
        }
    }
}

#[test]
fn every_configuration_that_is_shipped_is_valid_and_has_no_unknown_key() {
    for file in ["pict-rs.toml", "contrib/pict-rs.toml"] {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(file);
        let launch = Launch::new();
        let mut command = launch.command();
        let output = command.arg("-c").arg(&file).arg("check-config").output();
        let output = output.expect("runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}: {said}", file.display());
        assert_eq!(said, "the configuration is valid\n", "{}", file.display());
    }
}

#[test]
fn the_service_for_lemmy_has_known_settings_and_time_to_stop() {
    let compose = include_str!("../contrib/lemmy/docker-compose.yml");
    let mut launch = Launch::new();
    let mut found = 0;
    for line in compose.lines() {
        let Some((name, value)) = line
            .trim()
            .strip_prefix("- ")
            .and_then(|line| line.split_once('='))
        else {
            continue;
        };
        if name.starts_with("PICTRS") {
            launch = launch.environment(name, value);
            found += 1;
        }
        // A limit of 256 pixels refuses most GIFs that people have.
        assert!(!name.contains("ANIMATION"), "{line}");
    }
    assert!(found >= 3, "{found}");
    let output = launch.command().arg("check-config").output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "the configuration is valid\n");
    let grace = compose
        .lines()
        .find_map(|line| line.trim().strip_prefix("stop_grace_period: "));
    let grace: u64 = grace
        .and_then(|grace| grace.strip_suffix('s')?.parse().ok())
        .expect("seconds");
    let config = pict_rs_core::Config::default();
    assert!(grace > config.server.shutdown_timeout.duration().as_secs());
}

#[test]
fn the_table_of_cargo_features_is_the_manifest() {
    let manifest: toml::Table = include_str!("../crates/pict-rs/Cargo.toml")
        .parse()
        .expect("TOML");
    let features = manifest["features"].as_table().expect("features");
    let default = features["default"].as_array().expect("a list");
    let expected: BTreeSet<_> = features
        .keys()
        .filter(|name| *name != "default")
        .map(|name| {
            let is_on = default.iter().any(|on| on.as_str() == Some(name));
            (name.as_str(), if is_on { "on" } else { "off" })
        })
        .collect();
    let (_, section) = PACKAGING.split_once("## Cargo features").expect("there");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let shown: BTreeSet<_> = rows
        .map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next().expect("a name").trim_end_matches('`');
            (name, cells.next().expect("a default"))
        })
        .collect();
    assert_eq!(shown, expected);

    // Wherever a document says how to build with or without them.
    let mut named = 0;
    for document in [README, DEPLOYMENT, CONFIGURATION, PACKAGING] {
        for list in document.split("--features ").skip(1) {
            let end = list.find(['`', ')', '\n']).unwrap_or(list.len());
            for name in list[..end].split(' ').next().unwrap_or_default().split(',') {
                assert!(features.contains_key(name), "--features {name}");
                named += 1;
            }
        }
    }
    assert!(named > 4, "{named}");
}

#[test]
fn every_static_target_is_named() {
    for target in xtask::targets::ALL.iter() {
        for (file, text) in [("README.md", README), ("packaging.md", PACKAGING)] {
            assert!(text.contains(target.name), "{file} lacks {}", target.name);
        }
    }
}

#[test]
fn every_command_for_packagers_is_in_the_gate_or_says_what_it_needs() {
    // The command, and where the gate does what it does.
    const GATE: [(&str, &str); 2] = [
        ("cargo xtask flake --quick", "flake::gate("),
        ("cargo xtask dist", "dist.bundle("),
    ];
    let gate = include_str!("../xtask/src/test.rs");
    let mut run = Vec::new();
    let mut blocks = 0;
    for block in PACKAGING.split("```sh\n").skip(1) {
        let block = block.split("```").next().expect("an end");
        let (mark, commands) = block.split_once('\n').expect("two lines");
        let needs = mark.strip_prefix("# Not in the gate: ");
        assert!(
            mark == "# In the gate." || needs.is_some_and(|needs| needs.len() > 5),
            "{block}"
        );
        if needs.is_none() {
            let commands = commands.lines().filter(|line| !line.starts_with('#'));
            run.extend(commands.map(|line| line.split("  #").next().unwrap_or(line).trim()));
        }
        blocks += 1;
    }
    assert!(blocks > 6, "{blocks}");
    for (_, source) in GATE {
        assert!(gate.contains(source), "the gate has no {source}");
    }
    assert_eq!(run, GATE.map(|(command, _)| command));
}

#[test]
fn as_many_mistakes_are_made_as_is_said() {
    let mutants = include_str!("../xtask/src/flake/mutants.toml");
    let count = mutants.matches("[[mutants]]").count();
    assert!(PACKAGING.contains(&format!("{count} mistakes")), "{count}");
}
