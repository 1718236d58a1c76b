//! Programs of others against this server: the published examples of the existing pict-rs, its
//! published tests, and schemathesis. They speak to fixed ports, so each gets a network of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::server::program;
use crate::support::{Launch, disk, pictures, programs};

/// Starts the server, runs the client in its folder, and ends with the client's status.
const SCRIPT: &str = r#"
set -u
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up || exit 90
home=$1 folder=$2 server=$3
shift 3
cd "$home" || exit 91
PICTRS__SERVER__MAX_FILE_COUNT=10 $server run -a 127.0.0.1:8080 --api-key key >server.log 2>&1 &
id=$!
tries=0
until curl -sf http://127.0.0.1:8080/healthz; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ]; then cat server.log; exit 92; fi
    sleep 0.1
done
cd "$folder" || exit 93
"$@"
status=$?
kill $id
wait $id
exit $status
"#;

/// Has the tester ask about a picture that is there, which also stands in for missing ones. What
/// would remove it is left out.
const ABOUT_A_PICTURE: &str = r#"
set -e
url=http://127.0.0.1:8080
alias=$(curl -sf -F 'images[]=@picture.png' $url/image | jq -r '.files[0].file')
curl -sf -H 'X-Api-Token: key' -H 'Content-Type: application/json' \
    -d "{\"alias\":\"$alias\"}" $url/internal/set_not_found
cat >schemathesis.toml <<END
[parameters]
"path.alias" = "$alias"
"query.alias" = "$alias"
"query.src" = "$alias"
"query.url" = "http://127.0.0.1/a.png"
"query.proxy" = "http://127.0.0.1/a.png"
END
schemathesis=$1
shift
"$schemathesis" --config-file schemathesis.toml run "$@" \
    --exclude-path-regex 'delete|purge|prune|/internal/variants|/internal/quarantine'
curl -sf $url/image/original/$alias >/dev/null
"#;

/// What `cargo xtask test` has fetched, if it has, and if a network can be made here.
fn prepared(test: &str) -> Option<PathBuf> {
    let skip = |reason: &str| {
        programs::skip("clients", test, reason);
        None
    };
    let Some(folder) = std::env::var_os("PICTRS_TEST_CLIENTS_DIR") else {
        return skip("PICTRS_TEST_CLIENTS_DIR is not set; cargo xtask test sets it");
    };
    let unshare = Command::new("unshare").args(["-rn", "true"]).status();
    if !unshare.is_ok_and(|status| status.success()) {
        return skip("unshare cannot make a network here");
    }
    Some(folder.into())
}

/// A shell that runs `script`, with the arguments that are added, in a network of its own.
fn in_a_network(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-rn", "sh", "-c", script, "sh"]);
    // What is meant for the tests is none of the server's business.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PICTRS_") {
            command.env_remove(name);
        }
    }
    command
}

/// The program under test, with what runs it.
fn server_words() -> Vec<String> {
    let server = program();
    std::iter::once(server.get_program())
        .chain(server.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// Runs a client to its end; what it printed, and the server's folder.
fn run(folder: &Path, client: &[&str]) -> (String, Launch) {
    let launch = Launch::new();
    let output = in_a_network(SCRIPT)
        .arg(launch.folder())
        .arg(folder)
        .arg(server_words().join(" "))
        .args(client)
        .output()
        .expect("unshare can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let log = std::fs::read_to_string(launch.folder().join("server.log")).unwrap_or_default();
    assert!(
        output.status.success(),
        "{client:?} ended with {}:\n{said}\n{errors}\n--- the server said:\n{log}",
        output.status
    );
    assert!(!log.contains("ERROR"), "{log}");
    (said, launch)
}

#[test]
fn the_published_python_example_uploads_eight_files() {
    let Some(folder) = prepared("the Python example") else {
        return;
    };
    let python = folder.join("python/bin/python").display().to_string();
    let examples = folder.join("client-examples/python");
    let (said, launch) = run(&examples, &[&python, "client.py"]);
    assert_eq!(said.matches("\"delete_token\"").count(), 16, "{said}");
    // Four pictures, each twice.
    let files = launch.folder().join("data/files");
    assert_eq!(disk::objects(&files).len(), 4);
}

#[test]
fn the_published_javascript_example_uploads_a_file() {
    let Some(folder) = prepared("the JavaScript example") else {
        return;
    };
    let examples = folder.join("client-examples/javascript");
    let (said, launch) = run(&examples, &["node", "client.js"]);
    assert!(said.contains("msg: 'ok'"), "{said}");
    let files = launch.folder().join("data/files");
    assert_eq!(disk::objects(&files).len(), 1);
}

#[test]
fn the_published_shell_example_uploads_claims_processes_and_deletes() {
    let Some(folder) = prepared("the shell example") else {
        return;
    };
    let examples = folder.join("client-examples/bash");
    let (said, launch) = run(&examples, &["bash", "upload.sh"]);
    for (kind, times) in [("jpeg", 2), ("gif", 2), ("webp", 2), ("png", 2)] {
        let line = format!("Original mime: image/{kind}");
        assert_eq!(said.matches(&line).count(), times, "{said}");
    }
    let files = launch.folder().join("data/files");
    assert!(disk::objects(&files).is_empty());
}

/// What schemathesis runs with.
const TESTER: [&str; 7] = [
    "http://127.0.0.1:8080/openapi.json",
    "-H",
    "X-Api-Token: key",
    "--max-examples",
    "10",
    "--checks",
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
];

#[test]
fn schemathesis_finds_no_answer_that_the_description_lacks() {
    let Some(folder) = prepared("schemathesis") else {
        return;
    };
    let schemathesis = folder.join("python/bin/schemathesis").display().to_string();
    let home = Launch::new();
    // A server that cannot be reached is 502, and there is none; so the address is one that is refused.
    let settings = "[parameters]\n\"query.url\" = \"http://127.0.0.1/a.png\"\n\
                    \"query.proxy\" = \"http://127.0.0.1/a.png\"\n";
    std::fs::write(home.folder().join("schemathesis.toml"), settings).expect("written");
    let config = ["--config-file", "schemathesis.toml", "run"];
    let command = [&[&*schemathesis], &config[..], &TESTER[..]].concat();
    let (said, _) = run(home.folder(), &command);
    assert!(said.contains("passed"), "{said}");
}

#[test]
fn schemathesis_finds_answers_about_a_picture_as_they_are_described() {
    let Some(folder) = prepared("schemathesis with a picture") else {
        return;
    };
    let schemathesis = folder.join("python/bin/schemathesis").display().to_string();
    let home = Launch::new();
    let picture = pictures::png(&pictures::photo(60, 40));
    std::fs::write(home.folder().join("picture.png"), picture).expect("written");
    let script = ["sh", "-c", ABOUT_A_PICTURE, "tester", &schemathesis];
    let (said, _) = run(home.folder(), &[&script, &TESTER[..]].concat());
    assert!(said.contains("passed"), "{said}");
}

/// Published tests that this server does not pass, and why not. One that passes does not belong
/// here.
const NOT_PASSED: [(&str, &str); 3] = [
    ("animation::cannot_upload_too_large_animation", MANY_ITEMS),
    (
        "details::fjall_reads_image_details_from_uploads",
        MANY_ITEMS,
    ),
    ("details::sled_reads_image_details_from_uploads", MANY_ITEMS),
];
const MANY_ITEMS: &str = "earth.avif has 44 items, of which the existing pict-rs makes 44 frames. It is \
    no sequence, browsers show one still picture, and that is what it is here";

/// Runs the tests in a network in which their ports are free.
const SUITE: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up || exit 90
cd "$1" || exit 91
exec ./suite --test-threads=2
"#;

#[test]
fn the_published_tests_pass_but_for_those_that_are_named() {
    let Some(folder) = prepared("the published tests") else {
        return;
    };
    let home = Launch::new();
    let output = in_a_network(SUITE)
        .arg(folder.join("suite"))
        .env("SUITE_FOLDER", home.folder())
        .env("SUITE_SERVER", server_words().join("\n"))
        .output()
        .expect("unshare can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let results = results(&said);
    let passed = results.values().filter(|&&passed| passed).count();
    // The package has as many; fewer were not run.
    assert_eq!(results.len(), PUBLISHED, "{said}");
    let excused: BTreeMap<_, _> = NOT_PASSED.into_iter().collect();
    let mut wrong = Vec::new();
    for (name, passed) in &results {
        match (passed, excused.get(name.as_str())) {
            (true, Some(reason)) => wrong.push(format!("{name} passes now: {reason}")),
            (false, None) => wrong.push(format!("{name} fails")),
            _ => {}
        }
    }
    for name in excused.keys().filter(|&&name| !results.contains_key(name)) {
        wrong.push(format!("{name} is not among the published tests"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}, {passed} passed:\n{said}");
}

/// How many tests the package has.
const PUBLISHED: usize = 38;

/// Of each test its name and whether it passed, as the harness of Rust prints it.
fn results(said: &str) -> BTreeMap<String, bool> {
    said.lines()
        .filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "))
        .filter(|(_, end)| ["ok", "FAILED"].contains(end))
        .map(|(name, end)| (name.to_owned(), end == "ok"))
        .collect()
}

#[test]
fn the_results_of_published_tests_are_read_as_they_are_printed() {
    let said = "running 3 tests\ntest basic::a ... ok\ntest basic::b ... FAILED\n\
        ---- basic::b stdout ----\ntest result: FAILED. 1 passed; 1 failed;\n";
    let expected = [
        ("basic::a".to_owned(), true),
        ("basic::b".to_owned(), false),
    ];
    assert_eq!(results(said), BTreeMap::from(expected));
}
