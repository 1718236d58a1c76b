//! Data that published versions of the existing pict-rs have stored in any of their databases, with
//! files in a folder or a bucket. `cargo xtask predecessors` builds the programs.
//!
//! With `PICTRS_TEST_WRITE` set, what they have stored in PostgreSQL is written down, for the tests
//! that need no such program (`super::postgres`).

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use super::stock::{Known, Stock, digest, original};
use super::{copy, migrate};
use crate::support::published::{Data, FILES, KEY, Published, Repo, Store, Version};
use crate::support::upstream::Upstream;
use crate::support::{Launch, clips, disk, pictures, s3};

#[test]
fn what_published_versions_have_stored_is_taken_over() {
    const TEST: &str = "what_published_versions_have_stored_is_taken_over";
    for version in Version::all(TEST) {
        for (repo, store) in [
            (Repo::Sled, Store::Folder),
            (Repo::Sled, Store::Bucket),
            (Repo::Postgres, Store::Folder),
            (Repo::Postgres, Store::Bucket),
        ] {
            let Some(old) = version.start(TEST, repo, store) else {
                continue;
            };
            let since = Instant::now();
            let place = format!("{} on {repo:?} and {store:?}", version.name);
            let upstream = Upstream::serving(&pictures::png(&pictures::noise(30, 20, 77)));
            let stock = fill(&old, &upstream);
            let data = old.stop();
            println!("{place}: filled in {:.1?}", since.elapsed());
            if repo == Repo::Postgres && store == Store::Folder {
                write_down(&version, &data, &stock);
            }
            let since = Instant::now();
            copying(&place, &data, &stock);
            in_place(&place, &data, &stock);
            println!("{place}: taken over twice in {:.1?}", since.elapsed());
        }
    }
}

/// As docs/deployment.md says: the published program writes a database of another kind.
#[test]
fn a_fjall_database_is_taken_over_by_way_of_another_one() {
    const TEST: &str = "a_fjall_database_is_taken_over_by_way_of_another_one";
    for version in Version::all(TEST) {
        let Some(old) = version.start(TEST, Repo::Fjall, Store::Folder) else {
            continue;
        };
        let upstream = Upstream::serving(&pictures::png(&pictures::noise(30, 20, 77)));
        let mut stock = fill(&old, &upstream);
        let data = old.stop();
        let launch = Launch::new().setting("server.api_key", KEY);
        let launch = launch.setting("client.allow_local_connections", true);
        // A blurhash of a clip needs ffmpeg.
        let path = std::env::var("PATH").expect("a path");
        let launch = launch.environment("PATH", path);
        let (code, said) = migrate(&launch, &["--from", &data.origin()]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("holds a fjall database"), "{said}");
        data.migrate_repo("sled-repo");
        let folder = data.folder().join("sled-repo").display().to_string();
        let files = data.folder().join(FILES).display().to_string();
        let (code, said) = migrate(&launch, &["--from", &folder, "--files", &files]);
        assert_eq!(code, Some(0), "{}: {said}", version.name);
        stock.forget_what_migrate_repo_loses();
        stock.check(&version.name, &launch.start());
    }
}

/// Fills a published server with files of all kinds, and uses them.
fn fill(old: &Published, upstream: &Upstream) -> Stock {
    let mut sources: Vec<_> = (0..3)
        .map(|number| pictures::png(&pictures::noise(12, 8, number)))
        .collect();
    sources.push(pictures::jpeg(&pictures::photo(50, 70)));
    sources.push(pictures::gif(&pictures::film(20, 20, 3)));
    sources.push(pictures::webp(&pictures::photo(33, 21)));
    let clip = clips::make("64x48", "1", false, &["-pix_fmt", "yuv420p", "clip.mp4"]);
    sources.push(clip);
    // Another alias of the first.
    sources.push(sources[0].clone());
    let mut uploaded: Vec<_> = sources.iter().map(|bytes| old.upload(bytes)).collect();
    uploaded.push(old.import("a cat.png", &sources[1]));
    let deleted = old.upload(&pictures::png(&pictures::noise(9, 9, 99)));
    let path = format!("/image/delete/{}/{}", deleted.token, deleted.alias);
    old.delete(&path).status(204);
    for one in &uploaded[..2] {
        old.process("webp", &one.alias, "thumbnail=8");
    }
    let url = upstream.url("/a.png");
    let proxied = old.get(&format!("/image/original?proxy={url}")).ok();
    let placeholder = &uploaded[2].alias;
    let body = format!("{{\"alias\":\"{placeholder}\"}}");
    let headers = [("X-Api-Token", KEY), ("content-type", "application/json")];
    let path = "/internal/set_not_found";
    old.send("POST", path, &headers, Some(body.as_bytes()))
        .status(201);
    Stock {
        placeholder: digest(&original(old, placeholder)),
        known: uploaded.iter().map(|one| Known::of(old, one)).collect(),
        proxied: Some((url, digest(&proxied.body))),
        deleted: deleted.alias,
    }
}

fn write_down(version: &Version, data: &Data, stock: &Stock) {
    let Some(database) = data.database.as_ref() else {
        return;
    };
    if std::env::var_os("PICTRS_TEST_WRITE").is_none() {
        return;
    }
    let folder = super::postgres::fixtures().join(&version.name);
    let _ = std::fs::remove_dir_all(&folder);
    copy(&data.folder().join(FILES), &folder.join("files"));
    std::fs::write(folder.join("dump.sql"), database.dump()).expect("written");
    stock.write(&folder.join("expected.json"));
}

/// Writes a configuration of the published server, as `old.toml`.
fn write_configuration(folder: &Path, data: &Data) {
    let origin = data.origin();
    let mut text = match &data.database {
        Some(_) => format!("[repo]\ntype = \"postgres\"\nurl = \"{origin}\"\n"),
        None => format!("[repo]\ntype = \"sled\"\npath = \"{origin}\"\n"),
    };
    let files = data.folder().join(FILES);
    let written = match &data.bucket {
        Some(bucket) => write!(
            text,
            "[store]\ntype = \"object_storage\"\nendpoint = \"{}\"\nbucket_name = \"{}\"\n\
             region = \"{}\"\naccess_key = \"{}\"\nsecret_key = \"{}\"\nuse_path_style = true\n",
            bucket.endpoint(),
            bucket.name(),
            s3::REGION,
            s3::KEY,
            s3::SECRET,
        ),
        None => write!(text, "[store]\npath = \"{}\"\n", files.display()),
    };
    written.expect("text");
    std::fs::write(folder.join("old.toml"), text).expect("written");
}

/// What the published server has on disks, in its database and in its bucket, but for what ours adds
/// where files stay as they are.
fn snapshot(data: &Data) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = disk::snapshot(data.folder()).into_iter().collect();
    if let Some(bucket) = &data.bucket {
        all.extend(disk::snapshot(&bucket.folder()));
    }
    if let Some(database) = &data.database {
        all.push(("dump".to_owned(), database.dump().into_bytes()));
    }
    let is_hidden = |name: &str| name.split('/').any(|part| part.starts_with('.'));
    all.retain(|(name, _)| !is_hidden(name));
    all
}

fn copying(place: &str, data: &Data, stock: &Stock) {
    let launch = Launch::new().setting("server.api_key", KEY);
    let launch = launch.setting("client.allow_local_connections", true);
    write_configuration(launch.folder(), data);
    let before = snapshot(data);
    let aliases = stock.aliases();
    for line in [
        format!(" and {aliases} aliases taken over, 0 aliases were here"),
        format!("0 contents and 0 aliases taken over, {aliases} aliases were here"),
    ] {
        let (code, said) = migrate(&launch, &["--from-config", "old.toml"]);
        assert_eq!(code, Some(0), "{place}: {said}");
        assert!(said.contains(&line), "{place}: {said}");
    }
    stock.check(place, &launch.start());
    assert!(
        snapshot(data) == before,
        "{place}: the old data were changed"
    );
}

/// Files stay where they are; the database is still not written to.
fn in_place(place: &str, data: &Data, stock: &Stock) {
    let launch = Launch::new().setting("server.api_key", KEY);
    let launch = launch.setting("client.allow_local_connections", true);
    let launch = match &data.bucket {
        Some(bucket) => bucket.holds(launch),
        None => launch
            .setting("store.type", "filesystem")
            .setting("store.path", data.folder().join(FILES).display()),
    };
    let before = snapshot(data);
    let (code, said) = migrate(&launch, &["--from", &data.origin()]);
    assert_eq!(code, Some(0), "{place}: {said}");
    let after = snapshot(data);
    assert!(after == before, "{place}: the old data were changed");
    stock.check(place, &launch.start());
    // The bytes have gone with their aliases.
    let left = snapshot(data);
    for known in &stock.known {
        let is_there = |(_, bytes): &(String, Vec<u8>)| digest(bytes) == known.digest;
        assert!(!left.iter().any(is_there), "{place}: {}", known.alias);
    }
}
