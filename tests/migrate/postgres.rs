//! PostgreSQL databases of the existing pict-rs, as `super::published` has written them down, taken
//! over from a real server.

use std::path::{Path, PathBuf};

use super::stock::{Stock, digest};
use super::{copy, migrate};
use crate::support::database::hold;
use crate::support::postgres::{Cluster, Database};
use crate::support::s3::{Kind, S3};
use crate::support::{Launch, disk, eventually};

/// Folders with the data of one version each.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/existing-postgres")
}

/// The data of one version.
struct Old {
    version: String,
    folder: PathBuf,
    database: Database,
    stock: Stock,
}

/// The data of each version, in a database of its own; none where PostgreSQL is not installed.
fn all(test: &str) -> Vec<Old> {
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(fixtures()).expect("there") {
        let folder = entry.expect("an entry").path();
        let database = cluster.database();
        let dump = std::fs::read_to_string(folder.join("dump.sql")).expect("there");
        database.run(&dump);
        let version = folder.file_name().expect("named").to_string_lossy();
        found.push(Old {
            version: version.into_owned(),
            stock: Stock::read(&folder.join("expected.json")),
            database,
            folder,
        });
    }
    assert!(!found.is_empty(), "{}", fixtures().display());
    found
}

/// A folder to launch in, with a copy of the files in `old`.
fn beside(old: &Old) -> Launch {
    let launch = Launch::new().setting("server.api_key", "key");
    copy(&old.folder.join("files"), &launch.folder().join("old"));
    launch
}

#[test]
fn a_postgresql_database_is_taken_over_and_not_written_to() {
    for old in all("a_postgresql_database_is_taken_over_and_not_written_to") {
        let Old {
            version,
            database,
            stock,
            ..
        } = &old;
        let launch = beside(&old);
        let (before, files) = (
            database.dump(),
            disk::snapshot(&launch.folder().join("old")),
        );
        let aliases = stock.aliases();
        for line in [
            format!(" and {aliases} aliases taken over, 0 aliases were here"),
            format!("0 contents and 0 aliases taken over, {aliases} aliases were here"),
        ] {
            let (code, said) = migrate(&launch, &["--from", &database.url(), "--files", "old"]);
            assert!(said.contains(&line), "{version}: {said}");
            assert_eq!(code, Some(0), "{version}: {said}");
        }
        assert_eq!(database.dump(), before, "{version}");
        assert_eq!(disk::snapshot(&launch.folder().join("old")), files);
        stock.check(version, &launch.start());
    }
}

#[test]
fn files_in_our_bucket_stay_as_they_lie_and_go_with_their_aliases() {
    const TEST: &str = "files_in_our_bucket_stay_as_they_lie_and_go_with_their_aliases";
    let Some(server) = S3::shared(Kind::S3sFs, TEST) else {
        return;
    };
    for old in all(TEST) {
        let bucket = server.bucket();
        copy(&old.folder.join("files"), &bucket.folder());
        // As a health check of the old server leaves it.
        std::fs::write(bucket.folder().join("health-check"), "").expect("written");
        let before = bucket.objects();
        let launch = bucket.holds(Launch::new().setting("server.api_key", "key"));
        // Nor are they garbage when the first run ends in the middle.
        let missing = old.stock.known[3].digest.clone();
        let files = disk::snapshot(&bucket.folder());
        let named = |(_, bytes): &(&String, &Vec<u8>)| digest(bytes) == missing;
        let (name, bytes) = files.iter().find(named).expect("there");
        std::fs::remove_file(bucket.folder().join(name)).expect("removed");
        let from = ["--from", &old.database.url()];
        let (code, said) = migrate(&launch, &from);
        assert!(said.contains(&format!("missing: {name}")), "{said}");
        assert_eq!(code, Some(1));
        std::fs::write(bucket.folder().join(name), bytes).expect("written");
        let (code, said) = migrate(&launch, &from);
        assert_eq!(code, Some(0), "{}: {said}", old.version);
        assert_eq!(bucket.objects(), before);
        old.stock.check(&old.version, &launch.start());
        let left = disk::snapshot(&bucket.folder());
        for known in &old.stock.known {
            let is_there = left.values().any(|bytes| digest(bytes) == known.digest);
            assert!(!is_there, "{}: {}", old.version, known.alias);
        }
    }
}

#[test]
fn files_in_another_bucket_are_copied() {
    const TEST: &str = "files_in_another_bucket_are_copied";
    let Some(server) = S3::shared(Kind::S3sFs, TEST) else {
        return;
    };
    for old in all(TEST) {
        let bucket = server.bucket();
        copy(&old.folder.join("files"), &bucket.folder());
        // As a health check of the old server leaves it.
        std::fs::write(bucket.folder().join("health-check"), "").expect("written");
        let before = disk::snapshot(&bucket.folder());
        let launch = beside(&old);
        let configuration = format!(
            "[store]\ntype = \"object_storage\"\nendpoint = \"{}\"\nbucket_name = \"{}\"\n\
             region = \"{}\"\naccess_key = \"{}\"\nsecret_key = \"{}\"\nuse_path_style = true\n\
             [repo]\ntype = \"postgres\"\nurl = \"{}\"\n",
            bucket.endpoint(),
            bucket.name(),
            bucket.region(),
            crate::support::s3::KEY,
            crate::support::s3::SECRET,
            old.database.url()
        );
        std::fs::write(launch.folder().join("old.toml"), configuration).expect("written");
        let (code, said) = migrate(&launch, &["--from-config", "old.toml"]);
        assert_eq!(code, Some(0), "{}: {said}", old.version);
        old.stock.check(&old.version, &launch.start());
        assert_eq!(disk::snapshot(&bucket.folder()), before);
    }
}

/// Of a server that runs, and in the middle of what it does.
#[test]
fn tokens_and_urls_of_a_takeover_are_read_from_the_old_database() {
    for old in all("tokens_and_urls_of_a_takeover_are_read_from_the_old_database") {
        let launch = beside(&old);
        let url = old.database.url();
        let (code, said) = migrate(&launch, &["--from", &url, "--files", "old"]);
        assert_eq!(code, Some(0), "{}: {said}", old.version);
        // It stands for the old server, whose API it has.
        let there = launch.start();
        let session = hold(&url);
        let new = Launch::new()
            .setting("server.api_key", "key")
            .setting("takeover.url", format!("http://{}", there.address))
            .setting("takeover.api_key", "key")
            .setting("takeover.repo_url", &url)
            .start();
        let done = eventually("everything is here", || {
            let health = new.get_with("/internal/health", &[("X-Api-Token", "key")]);
            let takeover = health.ok().json()["takeover"].clone();
            (takeover["complete"] == true).then_some(takeover)
        });
        assert_eq!(done["unknown_tokens"], 0, "{}: {done}", old.version);
        drop(session);
        there.kill();
        let placeholder = &old.stock.known[2].alias;
        let body = format!("{{\"alias\":\"{placeholder}\"}}");
        let headers = [("X-Api-Token", "key"), ("content-type", "application/json")];
        let path = "/internal/set_not_found";
        new.send("POST", path, &headers, Some(body.as_bytes()))
            .status(201);
        old.stock.check(&old.version, &new);
    }
}

#[test]
fn a_postgresql_database_that_is_in_use_or_another_one_is_refused() {
    const TEST: &str = "a_postgresql_database_that_is_in_use_or_another_one_is_refused";
    let Some(old) = all(TEST).pop() else {
        return;
    };
    let launch = beside(&old);
    let url = old.database.url();
    let from = ["--from", &url, "--files", "old"];
    let session = hold(&url);
    let (code, said) = migrate(&launch, &from);
    assert!(said.contains("is in use, by postgres"), "{said}");
    assert_eq!(code, Some(1));
    drop(session);
    old.database.run("DROP TABLE refinery_schema_history");
    let (code, said) = migrate(&launch, &from);
    assert!(said.contains("holds no database of pict-rs"), "{said}");
    assert_eq!(code, Some(1));
    let (code, said) = migrate(&launch, &["--from", "postgres://h:x/d"]);
    assert!(said.contains("--from is not a URL"), "{said}");
    assert_eq!(code, Some(1));
    assert!(!launch.folder().join("data/files").exists());
}

/// Of a row that makes no sense the rest is not to suffer.
#[test]
fn a_row_that_cannot_be_read_is_named_and_the_rest_is_taken() {
    for old in all("a_row_that_cannot_be_read_is_named_and_the_rest_is_taken") {
        let launch = beside(&old);
        old.database.run(
            "INSERT INTO hashes (hash, identifier) VALUES ('no hash', '../../etc/passwd'); \
             INSERT INTO aliases (alias, hash, token) VALUES ('stray.png', 'no hash', 'a')",
        );
        let url = old.database.url();
        let (code, said) = migrate(&launch, &["--from", &url, "--files", "old"]);
        assert!(said.contains("the content 'no hash' has no"), "{said}");
        let aliases = old.stock.aliases();
        let line = format!(" and {aliases} aliases taken over");
        assert!(said.contains(&line), "{said}");
        assert_eq!(code, Some(1));
        old.stock.check(&old.version, &launch.start());
    }
}
