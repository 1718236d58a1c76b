//! Data of the existing pict-rs, as version 0.5.19 has left them, taken over.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Launch, Server, disk, pixels};

/// A sled database, the files that belong to it, and what the existing pict-rs said of them.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/existing")
}

fn expected() -> Value {
    let text = std::fs::read(fixture().join("expected.json")).expect("there");
    serde_json::from_slice(&text).expect("JSON")
}

/// A folder to launch in, with a copy of the data in `old`.
fn beside() -> Launch {
    let launch = Launch::new().setting("server.api_key", "key");
    copy(&fixture(), &launch.folder().join("old"));
    launch
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

fn migrate(launch: &Launch, arguments: &[&str]) -> (Option<i32>, String) {
    let words = ["migrate"].into_iter().chain(arguments.iter().copied());
    let Output {
        status,
        stdout,
        stderr,
    } = launch
        .clone()
        .arguments(words)
        .command()
        .output()
        .expect("runs");
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&said).into_owned())
}

const ELSEWHERE: [&str; 4] = ["--from", "old/sled-repo", "--files", "old/files"];

/// That every alias has the bytes and facts that it had.
fn assert_all_there(server: &Server) {
    for entry in expected()["aliases"].as_array().expect("some") {
        let alias = entry["alias"].as_str().expect("a name").replace(' ', "%20");
        let bytes = server.original(&alias);
        assert_eq!(
            hex::encode(Sha256::digest(&bytes)),
            entry["sha256"],
            "{alias}"
        );
        let path = format!("/image/details/original/{alias}");
        let details = server.get(&path).ok().json();
        let before = &entry["details"];
        for field in ["width", "height", "content_type", "format", "blurhash"] {
            assert_eq!(details[field], before[field], "{field} of {alias}");
        }
        if !before["frames"].is_null() {
            assert_eq!(details["frames"], before["frames"], "{alias}");
        }
        // To the millisecond.
        let second = before["created_at"]
            .as_str()
            .expect("a time")
            .split_at(23)
            .0;
        let created = details["created_at"].as_str().expect("a time");
        assert!(created.starts_with(second), "{created} {second}");
    }
}

#[test]
fn box_migration_keeps_aliases_tokens_and_variants() {
    // The paths that the existing pict-rs was configured with.
    let launch = beside()
        .setting("repo.type", "sled")
        .setting("repo.path", "old/sled-repo")
        .setting("store.path", "old/files");
    let refusal = launch.clone().refused();
    assert!(
        refusal
            .output
            .contains("run 'pict-rs migrate --from old/sled-repo'"),
        "{}",
        refusal.output
    );
    let files = disk::snapshot(&launch.folder().join("old/files"));
    let (code, said) = migrate(&launch, &[]);
    assert!(
        said.contains("7 contents and 10 aliases taken over, 0 aliases were here"),
        "{said}"
    );
    assert_eq!(code, Some(0));
    let folder = launch.folder().join("old/files");
    let server = launch.start();
    assert_all_there(&server);
    // Nothing was copied, and nothing that was there is gone.
    let mut now = disk::snapshot(&folder);
    now.retain(|name, _| !name.starts_with(".incoming"));
    assert_eq!(now, files);
    let expected = expected();
    let entry = |index: usize| &expected["aliases"][index];
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (first, second) = (text(&entry(0)["alias"]), text(&entry(1)["alias"]));
    // Variants are made again.
    let made = pixels::decode(&server.process("webp", &first, "thumbnail=32"));
    assert_eq!((made.width(), made.height()), (32, 24));
    let moving = server.process("webp", &text(&entry(3)["alias"]), "resize=16");
    assert!(moving.windows(4).any(|name| name == b"ANMF"));
    // The same contents in the same order, with their hashes.
    let key = [("X-Api-Token", "key")];
    let page = server
        .get_with("/internal/hashes?limit=50", &key)
        .ok()
        .json();
    let hashes = page["page"]["hashes"].as_array().expect("some");
    let begins = |index: usize, alias: usize| {
        let hash = text(&hashes[index]["hex"]);
        assert!(hash.starts_with(&text(&entry(alias)["sha256"])), "{hash}");
    };
    assert_eq!(hashes.len(), 7);
    begins(0, 8);
    begins(6, 0);
    // What was proxied is there although its upstream is not.
    let url = text(&expected["proxied"]["url"])
        .replace('?', "%3F")
        .replace('=', "%3D");
    let proxied = server.get(&format!("/image/original?proxy={url}")).ok();
    let digest = hex::encode(Sha256::digest(&proxied.body));
    assert_eq!(digest, expected["proxied"]["sha256"]);
    // What was deleted stays so, and shows the placeholder.
    let gone = text(&expected["deleted"]);
    let answer = server.get(&format!("/image/original/{gone}")).status(404);
    assert_eq!(
        hex::encode(Sha256::digest(&answer.body)),
        entry(6)["sha256"]
    );
    // Tokens are what they were; bytes go with their last alias.
    let delete =
        |alias: &str, token: &str| server.delete(&format!("/image/delete/{token}/{alias}"));
    delete(&first, &text(&entry(1)["token"])).refused(403, "invalid-delete-token");
    delete(&first, &text(&entry(0)["token"])).status(204);
    assert_eq!(server.original(&second).len(), 517);
    delete(&second, &text(&entry(1)["token"])).status(204);
    server
        .get(&format!("/image/details/original/{second}"))
        .status(404);
    let left = disk::snapshot(&folder);
    let photo = text(&entry(0)["sha256"]);
    let has_photo = |bytes: &Vec<u8>| hex::encode(Sha256::digest(bytes)) == photo;
    assert!(!left.values().any(has_photo));
}

#[test]
fn a_migration_from_elsewhere_copies_and_can_be_repeated() {
    let launch = beside();
    let before = disk::snapshot(&launch.folder().join("old/files"));
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(
        said.contains("7 contents and 10 aliases taken over"),
        "{said}"
    );
    assert_eq!(code, Some(0));
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(
        said.contains("0 contents and 0 aliases taken over, 10 aliases were here"),
        "{said}"
    );
    assert_eq!(code, Some(0));
    assert_eq!(disk::snapshot(&launch.folder().join("old/files")), before);
    std::fs::remove_dir_all(launch.folder().join("old")).expect("not needed any more");
    let server = launch.start();
    assert_all_there(&server);
    assert_eq!(disk::objects(&server.files()).len(), 7);
    assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
}

#[test]
fn what_cannot_be_taken_over_is_named_and_the_rest_is_taken() {
    let launch = beside();
    let files = launch.folder().join("old/files");
    let find = |ending: &str| {
        let found = disk::snapshot(&files);
        let name = found.keys().find(|name| name.ends_with(ending));
        name.expect("one").clone()
    };
    let missing = find(".gif");
    let altered = find("44e10ed73f09.jpeg");
    std::fs::remove_file(files.join(&missing)).expect("removed");
    let bytes = std::fs::read(files.join(&altered)).expect("read");
    std::fs::write(files.join(&altered), &bytes[..200]).expect("written");
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(said.contains(&format!("missing: {missing}")), "{said}");
    assert!(
        said.contains(&format!("than were stored once: {altered}")),
        "{said}"
    );
    assert!(
        said.contains("6 contents and 9 aliases taken over"),
        "{said}"
    );
    assert_eq!(code, Some(1));
    let (code, _) = migrate(
        &launch,
        &[&ELSEWHERE[..], &["--skip-missing-files"]].concat(),
    );
    assert_eq!(code, Some(0));
    // It comes back, and so do its aliases.
    let whole = fixture().join("files").join(&missing);
    std::fs::copy(whole, files.join(&missing)).expect("copied");
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(
        said.contains("1 contents and 1 aliases taken over, 9 aliases were here"),
        "{said}"
    );
    assert_eq!(code, Some(0));
    // What is damaged is served as it is, with the facts that it once had.
    let server = launch.start();
    let photo = expected()["aliases"][0]["alias"]
        .as_str()
        .expect("text")
        .to_owned();
    assert_eq!(server.original(&photo), bytes[..200]);
    let details = server
        .get(&format!("/image/details/original/{photo}"))
        .ok()
        .json();
    assert_eq!(
        (&details["width"], &details["height"]),
        (&64.into(), &48.into())
    );
}

#[test]
fn a_migration_from_nothing_or_from_what_is_in_use_is_refused() {
    let launch = beside();
    let (code, said) = migrate(&launch, &["--from", "old/files"]);
    assert!(
        said.contains("holds no sled database of pict-rs 0.5"),
        "{said}"
    );
    assert_eq!(code, Some(1));
    let (code, said) = migrate(&launch, &["--from", "old/sled-repo", "--files", "nowhere"]);
    assert!(said.contains("no folder of files"), "{said}");
    assert_eq!(code, Some(1));
    let server = launch.clone().start();
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(said.contains("another pict-rs is running"), "{said}");
    assert_eq!(code, Some(1));
    server.stop();
}

#[test]
fn the_command_that_a_refusal_names_works_with_all_defaults() {
    let launch = Launch::new();
    copy(
        &fixture().join("sled-repo"),
        &launch.folder().join("sled-repo"),
    );
    copy(
        &fixture().join("files"),
        &launch.folder().join("data/files"),
    );
    let refusal = launch.clone().refused();
    let (_, command) = refusal
        .output
        .split_once("'pict-rs migrate ")
        .expect("named");
    let (arguments, _) = command.split_once('\'').expect("an end");
    let words: Vec<_> = arguments.split(' ').collect();
    let (code, said) = migrate(&launch, &words);
    assert!(
        said.contains("7 contents and 10 aliases taken over"),
        "{said}"
    );
    assert_eq!(code, Some(0));
    assert_all_there(&launch.start());
}

#[test]
fn what_has_no_blurhash_gets_one_or_else_the_placeholder() {
    let launch = beside();
    let database = launch.folder().join("old/sled-repo/v0.5.0");
    let database = sled::open(database).expect("a database");
    let tree = database.open_tree("pict-rs-hash-blurhashes-tree");
    let tree = tree.expect("a tree");
    assert_eq!(tree.len(), 7);
    tree.clear().expect("cleared");
    database.flush().expect("flushed");
    drop((tree, database));
    // No ffmpeg is on the PATH, so nothing is known of the clip.
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert_eq!(code, Some(0), "{said}");
    let server = launch.start();
    for entry in expected()["aliases"].as_array().expect("some") {
        let alias = entry["alias"].as_str().expect("a name").replace(' ', "%20");
        let details = server.get(&format!("/image/details/original/{alias}")).ok();
        let blurhash = details.json()["blurhash"].as_str().expect("one").to_owned();
        let is_placeholder = blurhash == "LGF5?xYk^6AAAAAAAAAAAAAAAAAA";
        assert_eq!(
            is_placeholder,
            alias.ends_with(".mp4"),
            "{alias}: {blurhash}"
        );
    }
}
