//! Data of the existing pict-rs, as version 0.5.19 has left them, taken over.

mod fjall;
mod postgres;
mod published;
mod stock;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Launch, Server, disk, eventually, pixels, programs};

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
    now.retain(|name, _| !name.starts_with(".incoming") && name != disk::STORE_ID);
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
fn a_migration_after_a_takeover_adds_tokens_and_urls() {
    let launch = beside();
    migrate(&launch, &ELSEWHERE);
    let old = launch.start();
    let new = beside()
        .setting("takeover.url", format!("http://{}", old.address))
        .setting("takeover.api_key", "key")
        .start();
    eventually("everything is there", || {
        let health = new.get_with("/internal/health", &[("X-Api-Token", "key")]);
        (health.ok().json()["takeover"]["complete"] == true).then_some(())
    });
    assert_all_there(&new);
    old.kill();
    let launch = new.stop().setting("takeover.url", "");
    for added in [true, false] {
        let (code, said) = migrate(&launch, &ELSEWHERE);
        assert!(
            said.contains("0 contents and 0 aliases taken over, 10 aliases were here already"),
            "{said}"
        );
        assert_eq!(
            said.contains("10 delete tokens were added"),
            added,
            "{said}"
        );
        assert_eq!(code, Some(0));
    }
    let server = launch.start();
    let expected = expected();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let url = text(&expected["proxied"]["url"])
        .replace('?', "%3F")
        .replace('=', "%3D");
    let details = format!("/image/details/original?proxy={url}");
    server.get(&details).ok();
    let aliases = expected["aliases"].as_array().expect("some");
    for (index, entry) in aliases.iter().enumerate() {
        let alias = text(&entry["alias"]).replace(' ', "%20");
        let delete = |token: &str| server.delete(&format!("/image/delete/{token}/{alias}"));
        let other = &aliases[(index + 1) % aliases.len()]["token"];
        delete(&text(other)).refused(403, "invalid-delete-token");
        delete(&text(&entry["token"])).status(204);
        server
            .get(&format!("/image/details/original/{alias}"))
            .refused(404, "alias-not-found");
    }
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

/// The database, whose file is changed by `damage`.
fn damaged(damage: impl Fn(&mut Vec<u8>)) -> Launch {
    let launch = beside();
    let file = launch.folder().join("old/sled-repo/v0.5.0/db");
    let mut bytes = std::fs::read(&file).expect("read");
    damage(&mut bytes);
    std::fs::write(&file, bytes).expect("written");
    launch
}

#[test]
fn the_old_database_is_not_written_to() {
    let launch = beside();
    let folder = launch.folder().join("old/sled-repo");
    let before = disk::snapshot(&folder);
    for _ in 0..2 {
        let (code, said) = migrate(&launch, &ELSEWHERE);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(disk::snapshot(&folder), before);
    }
    // Nor is anything left of the copy that was read.
    let copies = std::fs::read_dir(launch.folder().join("data/database")).expect("there");
    let copies = copies.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().starts_with(".migrate")
    });
    assert_eq!(copies.count(), 0);
}

/// Wherever a database is damaged, either all of it is there, or the end says otherwise.
#[test]
fn a_damaged_database_is_never_called_a_success() {
    let size = std::fs::metadata(fixture().join("sled-repo/v0.5.0/db"))
        .expect("there")
        .len();
    let size = usize::try_from(size).expect("small");
    let check = |what: &str, launch: &Launch| {
        let before = disk::snapshot(&launch.folder().join("old"));
        let (code, said) = migrate(launch, &ELSEWHERE);
        assert_eq!(
            disk::snapshot(&launch.folder().join("old")),
            before,
            "{what}"
        );
        let is_whole = said.contains("7 contents and 10 aliases taken over");
        // A file of a variant can be unknown although nothing of worth is lost.
        assert!(
            code == Some(1) || (is_whole && code == Some(0)),
            "{what}: {code:?} {said}"
        );
        is_whole
    };
    let mut whole = 0;
    for number in 0..20 {
        let at = size * number / 20 + 7;
        let launch = damaged(|bytes| bytes[at] ^= 0x10);
        whole += usize::from(check(&format!("byte {at}"), &launch));
    }
    assert!(whole < 20, "no damage at all");
    for part in [0, 1, 4, 9] {
        let launch = damaged(|bytes| bytes.truncate(size * part / 10));
        assert!(!check(&format!("{part} tenths"), &launch));
    }
    let launch = damaged(|bytes| bytes[size / 3..size / 2].fill(0));
    check("zeros", &launch);
}

#[test]
fn a_database_without_contents_beside_files_is_an_error() {
    let launch = beside();
    let folder = launch.folder().join("old/sled-repo/v0.5.0");
    std::fs::remove_dir_all(&folder).expect("removed");
    drop(sled::open(&folder).expect("a new one"));
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(
        said.contains("The database has no contents, and there are files"),
        "{said}"
    );
    assert_eq!(
        said.matches("not named by the database: file 01/").count(),
        9,
        "{said}"
    );
    assert_eq!(code, Some(1));
    // It cannot be waved through either.
    let (code, _) = migrate(&launch, &[&ELSEWHERE[..], &["--skip-unnamed"]].concat());
    assert_eq!(code, Some(1));
}

#[test]
fn files_that_the_database_does_not_name_are_named() {
    let launch = beside();
    let stray = launch.folder().join("old/files/01/stray.png");
    std::fs::write(&stray, b"x").expect("written");
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(
        said.contains("not named by the database: file 01/stray.png"),
        "{said}"
    );
    assert!(said.contains("0 not taken over, 1 not named"), "{said}");
    assert_eq!(code, Some(1));
    let (code, said) = migrate(&launch, &[&ELSEWHERE[..], &["--skip-unnamed"]].concat());
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_missing_file_is_named_with_its_aliases() {
    let launch = beside();
    let files = launch.folder().join("old/files");
    let found = disk::snapshot(&files);
    let missing = found
        .keys()
        .find(|name| name.ends_with("44e10ed73f09.jpeg"));
    let missing = missing.expect("there");
    std::fs::remove_file(files.join(missing)).expect("removed");
    let (code, said) = migrate(&launch, &ELSEWHERE);
    let line = said
        .lines()
        .find(|line| line.starts_with("missing: "))
        .expect("named");
    assert!(line.contains(missing.as_str()), "{line}");
    for entry in &expected()["aliases"].as_array().expect("some")[..2] {
        assert!(
            line.contains(entry["alias"].as_str().expect("a name")),
            "{line}"
        );
    }
    assert_eq!(code, Some(1));
}

#[test]
fn an_empty_snapshot_is_told_with_the_remedy_of_the_author() {
    let launch = beside();
    let folder = launch.folder().join("old/sled-repo/v0.5.0");
    std::fs::write(folder.join("snap.0000000000001234"), b"").expect("written");
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert_eq!(code, Some(1));
    for words in [
        "snap.0000000000001234",
        "copy the folder",
        "delete the snap.* files",
        "--from",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // As it says.
    let copy_of_it = launch.folder().join("copy");
    copy(&launch.folder().join("old/sled-repo"), &copy_of_it);
    std::fs::remove_file(copy_of_it.join("v0.5.0/snap.0000000000001234")).expect("removed");
    let (code, said) = migrate(&launch, &["--from", "copy", "--files", "old/files"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_database_that_is_in_use_is_refused() {
    let launch = beside();
    let folder = launch.folder().join("old/sled-repo/v0.5.0");
    let database = sled::open(&folder).expect("opened");
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(said.contains("in use"), "{said}");
    assert_eq!(code, Some(1));
    drop(database);
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn where_a_unit_runs_the_server_its_settings_have_to_be_given() {
    let launch = beside();
    let unit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../contrib/systemd/pict-rs.service"
    );
    let words = [&ELSEWHERE[..], &["--unit", unit]].concat();
    let (code, said) = migrate(&launch, &words);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("/etc/pict-rs/pict-rs.toml") && said.contains("-c"),
        "{said}"
    );
    assert!(!launch.folder().join("data").exists());
    // What is said in other ways counts more than a unit.
    let state = launch
        .clone()
        .environment("STATE_DIRECTORY", launch.folder().join("state").display());
    let (code, said) = migrate(&state, &words);
    assert_eq!(code, Some(0), "{said}");
    for name in ["database", "files"] {
        let folder = launch.folder().join("state").join(name);
        let line = format!("writing the {name} to {}", folder.display());
        assert!(said.contains(&line), "{line}: {said}");
        assert!(folder.is_dir());
    }
}

#[test]
fn what_root_takes_over_belongs_to_the_owner_of_the_data() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let launch = beside();
    let data = launch.folder().join("state");
    std::fs::create_dir(&data).expect("made");
    if chown(&data, Some(4321), Some(4322)).is_err() {
        programs::skip(
            "root",
            "data that belong to another user",
            "this is not root",
        );
        return;
    }
    let state = launch
        .clone()
        .environment("STATE_DIRECTORY", data.display());
    let (code, said) = migrate(&state, &ELSEWHERE);
    assert_eq!(code, Some(0), "{said}");
    let mut left = vec![data];
    let mut seen = 0;
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let found = path.metadata().expect("there");
            assert_eq!(
                (found.uid(), found.gid()),
                (4321, 4322),
                "{}",
                path.display()
            );
            seen += 1;
            if found.is_dir() {
                left.push(path);
            }
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn a_migration_from_nothing_or_from_what_is_in_use_is_refused() {
    let launch = beside();
    let (code, said) = migrate(&launch, &["--from", "old/files"]);
    assert!(
        said.contains("holds no sled or fjall database of pict-rs 0.5"),
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
