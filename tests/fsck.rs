//! `fsck`: database and files held against each other, and repaired.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::s3::{self, Kind, S3};
use crate::support::{Launch, Server, Uploaded, database, disk, pictures};

fn fsck(launch: &Launch, words: &[&str]) -> (Option<i32>, String) {
    let words = ["fsck"].into_iter().chain(words.iter().copied());
    let output = launch
        .clone()
        .arguments(words)
        .command()
        .output()
        .expect("runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.code(), said)
}

#[track_caller]
fn report(launch: &Launch, words: &[&str], code: i32) -> Value {
    let (found, said) = fsck(launch, &[words, &["--json"]].concat());
    assert_eq!(found, Some(code), "{said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The file of a row.
fn object(data: &Path, query: &str) -> String {
    let found = database::texts(data, query);
    assert_eq!(found.len(), 1, "{query}: {found:?}");
    found[0].clone()
}

fn of_alias(data: &Path, upload: &Uploaded) -> String {
    let query = format!(
        "SELECT h.object FROM hashes h JOIN aliases a ON a.hash = h.hash WHERE a.alias = '{}'",
        upload.alias
    );
    object(data, &query)
}

/// Another command on the same data, while the server runs.
fn beside(server: &Server) -> Launch {
    let folder = server.data();
    let folder = folder.parent().expect("a folder").to_owned();
    Launch::in_folder(testkit::server::Program::under_test(), folder)
}

/// Changes a byte in the middle, and no time or size.
fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("written");
}

#[test]
fn what_is_wrong_is_found_beside_a_running_server_and_nothing_is_changed() {
    let server = Server::start();
    let uploads: Vec<_> = (20..25)
        .map(|width| server.upload(&pictures::png(&pictures::photo(width, 20))))
        .collect();
    for upload in &uploads[..2] {
        server.process("webp", &upload.alias, "thumbnail=8");
    }
    let launch = beside(&server);
    let sound = report(&launch, &["--digests"], 0);
    assert_eq!(sound["originals"]["rows"], 5);
    assert_eq!(sound["variants"]["rows"], 2);
    assert_eq!(sound["files"]["checked"], 7);
    assert_eq!(sound["findings"], serde_json::json!([]));

    let (data, files) = (server.data(), server.files());
    let lost = of_alias(&data, &uploads[0]);
    std::fs::remove_file(files.join(&lost)).expect("removed");
    let short = of_alias(&data, &uploads[1]);
    std::fs::write(files.join(&short), "short").expect("written");
    let damaged = of_alias(&data, &uploads[2]);
    damage(&files.join(&damaged));
    let before = disk::snapshot(&files);
    // Sizes only, then the damaged one is not noticed.
    let found = report(&launch, &[], 1);
    assert_eq!(found["originals"]["lost"], 1);
    assert_eq!(found["originals"]["damaged"], 1);
    let found = report(&launch, &["--digests"], 1);
    assert_eq!(found["originals"]["damaged"], 2);
    let findings = found["findings"].as_array().expect("a list");
    let mut told: Vec<_> = findings
        .iter()
        .map(|finding| {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            assert!(finding["variant"].is_null() && finding["repaired"] == false);
            let alias = text(&finding["aliases"][0]);
            (alias, text(&finding["problem"]), text(&finding["object"]))
        })
        .collect();
    told.sort();
    let mut expected = [
        (&uploads[0], "lost", lost),
        (&uploads[1], "wrong-size", short),
        (&uploads[2], "wrong-digest", damaged),
    ]
    .map(|(upload, problem, object)| (upload.alias.clone(), problem.to_owned(), object));
    expected.sort();
    assert_eq!(told, expected);
    let (code, said) = fsck(&launch, &["--digests"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("1 lost, 2 damaged"), "{said}");
    assert!(said.contains(&uploads[2].alias), "{said}");
    assert_eq!(disk::snapshot(&files), before);
    // Repairs need the server to be stopped.
    if database::is_embedded() {
        let (code, said) = fsck(&launch, &["--repair"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("another pict-rs is running"), "{said}");
    }
}

#[test]
fn what_can_be_made_again_or_is_found_elsewhere_is_repaired() {
    let server = Server::start();
    let uploads: Vec<_> = (20..24)
        .map(|width| server.upload(&pictures::png(&pictures::photo(width, 20))))
        .collect();
    let bytes: Vec<_> = uploads
        .iter()
        .map(|upload| server.original(&upload.alias))
        .collect();
    let made = server.process("webp", &uploads[3].alias, "thumbnail=8");
    let (data, files) = (server.data(), server.files());
    // A backup of the files, where names mean nothing.
    let backup = data.parent().expect("a folder").join("backup/below");
    std::fs::create_dir_all(&backup).expect("made");
    std::fs::write(backup.join("a"), &bytes[0]).expect("written");
    std::fs::write(backup.join("b"), &bytes[1]).expect("written");
    std::fs::write(backup.join("other"), vec![7; bytes[0].len()]).expect("written");

    std::fs::remove_file(files.join(of_alias(&data, &uploads[0]))).expect("removed");
    damage(&files.join(of_alias(&data, &uploads[1])));
    std::fs::remove_file(files.join(of_alias(&data, &uploads[2]))).expect("removed");
    let variant = object(&data, "SELECT object FROM variants");
    std::fs::remove_file(files.join(variant)).expect("removed");
    let launch = server.stop();
    // Two files that no row names: a young one, and one that is old enough.
    let names = ["0a/1b", "0a/2c"].map(|folder| {
        let stem = folder.replace('/', "");
        let path = files.join(format!("{folder}/{stem}{}.png", "0".repeat(28)));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, "nothing").expect("written");
        path
    });
    let old = SystemTime::now() - Duration::from_secs(7 * 60 * 60);
    let file = std::fs::File::options().write(true).open(&names[1]);
    file.and_then(|file| file.set_modified(old)).expect("aged");

    let (code, said) = fsck(&launch, &["--from", "backup"]);
    assert_eq!(code, Some(78), "{said}");
    let words = ["--repair", "--digests", "--from", "backup"];
    let found = report(&launch, &words, 1);
    assert_eq!(found["originals"]["lost"], 2);
    assert_eq!(found["originals"]["damaged"], 1);
    assert_eq!(found["variants"]["lost"], 1);
    assert_eq!(found["files"]["removed"], 1);
    assert_eq!(found["files"]["young"], 1);
    assert!(names[0].exists() && !names[1].exists());
    // What is nowhere keeps its row and its alias.
    let left = report(&launch, &["--digests"], 1);
    assert_eq!(left["findings"].as_array().expect("a list").len(), 1);
    assert_eq!(left["findings"][0]["aliases"][0], uploads[2].alias.as_str());

    let server = launch.start();
    for index in [0, 1, 3] {
        assert_eq!(server.original(&uploads[index].alias), bytes[index]);
    }
    assert_eq!(
        server.process("webp", &uploads[3].alias, "thumbnail=8"),
        made
    );
    // An upload brings it back, by default under its new alias only.
    let again = server.upload(&bytes[2]);
    assert_eq!(server.original(&again.alias), bytes[2]);
    let launch = server.stop();
    let sound = report(&launch, &["--digests"], 0);
    assert_eq!(sound["is_sound"], true);
}

#[test]
fn files_that_are_not_there_are_not_taken_for_lost_ones() {
    let server = Server::start();
    server.upload(&pictures::png(&pictures::photo(20, 20)));
    let launch = server.stop();
    let files = launch.folder().join("data/files");
    std::fs::rename(&files, launch.folder().join("unmounted")).expect("moved");
    let (code, said) = fsck(&launch, &[]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("data/files"), "{said}");
    std::fs::create_dir(&files).expect("made");
    for words in [&[][..], &["--repair"]] {
        let (code, said) = fsck(&launch, words);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("mounted"), "{said}");
    }
}

/// What a bucket of s3s-fs has lost, has too much and has changed, and how another one heals it.
#[test]
fn a_bucket_is_checked_and_repaired_from_another_store() {
    let test = "a_bucket_is_checked_and_repaired_from_another_store";
    let Some(s3) = S3::shared(Kind::S3sFs, test) else {
        return;
    };
    let (bucket, second) = (s3.bucket(), s3.bucket());
    let server = bucket.holds(Launch::new()).start();
    let uploads: Vec<_> = (20..26)
        .map(|width| server.upload(&pictures::png(&pictures::photo(width, 20))))
        .collect();
    let bytes: Vec<_> = uploads
        .iter()
        .map(|upload| server.original(&upload.alias))
        .collect();
    let made = server.process("webp", &uploads[5].alias, "thumbnail=8");
    let data = server.data();
    let objects: Vec<_> = uploads
        .iter()
        .map(|upload| of_alias(&data, upload))
        .collect();
    let launch = server.stop();
    assert_eq!(report(&launch, &["--digests"], 0)["originals"]["rows"], 6);

    // Of the second store one has the same key, the others were given new ones.
    let copy = |key: &str, bytes: &[u8]| {
        let file = second.folder().join(key);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, bytes).expect("written");
    };
    copy(&objects[0], &bytes[0]);
    for (index, bytes) in bytes.iter().enumerate().take(3).skip(1) {
        let stem = format!("0a1{index}{}", "0".repeat(28));
        copy(&format!("original/0a/1{index}/{stem}.png"), bytes);
    }
    bucket.remove(&objects[0]);
    damage(&bucket.folder().join(&objects[1]));
    let short = bucket.folder().join(&objects[2]);
    std::fs::write(&short, &bytes[2][..bytes[2].len() - 1]).expect("written");
    bucket.remove(&objects[3]);
    bucket.remove(&object(&data, "SELECT object FROM variants"));
    // Objects that no row names, one of them without a prefix, as after a move.
    let stray = |key: &str, hours: u64| {
        let file = bucket.folder().join(key);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(&file, "nothing").expect("written");
        let old = SystemTime::now() - Duration::from_secs(hours * 60 * 60);
        let file = std::fs::File::options().write(true).open(&file);
        file.and_then(|file| file.set_modified(old)).expect("aged");
    };
    let zeros = "0".repeat(28);
    stray(&format!("original/0a/1b/0a1b{zeros}.png"), 7);
    stray(&format!("0a/1c/0a1c{zeros}.png"), 7);
    stray(&format!("0a/1d/0a1d{zeros}.png"), 1);
    stray("waiting/1c44265c-0000-4000-8000-000000000000", 7);
    stray("elsewhere/of-another-program", 7);

    let found = report(&launch, &["--digests"], 1);
    assert_eq!(found["originals"]["lost"], 2, "{found}");
    assert_eq!(found["originals"]["damaged"], 2, "{found}");
    assert_eq!(found["variants"]["lost"], 1, "{found}");
    assert_eq!(found["files"]["orphans"], 3, "{found}");
    assert_eq!(found["files"]["young"], 1, "{found}");

    let settings = launch.folder().join("second.toml");
    let text = format!(
        "[store]\ntype = \"object_storage\"\nendpoint = \"{}\"\nbucket_name = \"{}\"\n\
         region = \"{}\"\naccess_key = \"{}\"\nsecret_key = \"{}\"\nuse_path_style = true\n",
        second.endpoint(),
        second.name(),
        second.region(),
        s3::KEY,
        s3::SECRET
    );
    std::fs::write(&settings, text).expect("written");
    let (code, said) = fsck(&launch, &["--from-config", "second.toml"]);
    assert_eq!(code, Some(78), "{said}");
    let words = ["--repair", "--digests", "--from-config", "second.toml"];
    let found = report(&launch, &words, 1);
    assert_eq!(found["files"]["removed"], 3, "{found}");
    let left = report(&launch, &["--digests"], 1);
    assert_eq!(left["findings"].as_array().expect("a list").len(), 1);
    assert_eq!(left["findings"][0]["aliases"][0], uploads[3].alias.as_str());
    assert!(
        bucket
            .folder()
            .join("elsewhere/of-another-program")
            .exists()
    );
    let server = launch.start();
    for index in [0, 1, 2, 4, 5] {
        assert_eq!(server.original(&uploads[index].alias), bytes[index]);
    }
    assert_eq!(
        server.process("webp", &uploads[5].alias, "thumbnail=8"),
        made
    );
}

#[test]
fn a_waiting_upload_that_has_lost_its_file_is_told() {
    let server = Server::with([("media.concurrency", "1")]);
    let ids: Vec<_> = (0..6)
        .map(|seed| server.background(&pictures::png(&pictures::noise(500, 400, seed))))
        .collect();
    let launch = server.kill();
    let data = launch.folder().join("data");
    let query = "SELECT upload_id FROM uploads WHERE finished_at IS NULL";
    let waiting = database::texts(&data, query);
    let sound = report(&launch, &[], 0);
    assert_eq!(sound["uploads"]["rows"], waiting.len());
    let lost = waiting.last().expect("some are not done");
    assert!(ids.contains(lost), "{lost}");
    let file = data.join(format!("files/.incoming/{lost}.waiting"));
    std::fs::remove_file(file).expect("removed");
    let found = report(&launch, &[], 1);
    assert_eq!(found["uploads"]["lost"], 1, "{found}");
    // Who knows an id can claim the upload.
    assert!(!found.to_string().contains(lost.as_str()), "{found}");
    assert!(
        found["lost_uploads"][0]
            .as_str()
            .is_some_and(|text| text.starts_with("waiting/"))
    );
    let server = launch.start();
    server.claim(lost).refused(422, "lost-file");
}
