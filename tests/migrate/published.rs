//! Data that published versions of the existing pict-rs have stored in any of their databases, with
//! files in a folder or a bucket. `cargo xtask predecessors` builds the programs.
//!
//! With `PICTRS_TEST_WRITE` set, what they have stored in PostgreSQL and fjall is written down, for the
//! tests that need no such program (`super::postgres`, `super::fjall`).

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use super::stock::{Known, Stock, digest, original};
use super::{copy, fjall, migrate, postgres};
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
            (Repo::Fjall, Store::Folder),
            (Repo::Fjall, Store::Bucket),
        ] {
            if repo == Repo::Fjall && is_0_5(&version) {
                continue;
            }
            let Some(old) = version.start(TEST, repo, store) else {
                continue;
            };
            let since = Instant::now();
            let place = format!("{} on {repo:?} and {store:?}", version.name);
            let upstream = Upstream::serving(&pictures::png(&pictures::noise(30, 20, 77)));
            let stock = fill(&old, &upstream);
            let data = old.stop();
            println!("{place}: filled in {:.1?}", since.elapsed());
            if store == Store::Folder && std::env::var_os("PICTRS_TEST_WRITE").is_some() {
                write_down(&version, &data, &stock);
            }
            let since = Instant::now();
            copying(&place, &data, &stock);
            in_place(&place, &data, &stock);
            println!("{place}: taken over twice in {:.1?}", since.elapsed());
        }
    }
}

/// The fjall of 0.5 wrote another format. 0.6 makes one of its own of it when it starts.
fn is_0_5(version: &Version) -> bool {
    version.name.starts_with("0.5.")
}

#[test]
fn a_fjall_database_of_0_5_is_taken_over_when_0_6_has_opened_it() {
    const TEST: &str = "a_fjall_database_of_0_5_is_taken_over_when_0_6_has_opened_it";
    let (older, newer): (Vec<_>, Vec<_>) = Version::all(TEST).into_iter().partition(is_0_5);
    for (older, newer) in older.iter().zip(&newer) {
        let old = older.start(TEST, Repo::Fjall, Store::Folder);
        let old = old.expect("it needs nothing else");
        let upstream = Upstream::serving(&pictures::png(&pictures::noise(30, 20, 77)));
        let stock = fill(&old, &upstream);
        let data = old.stop();
        let launch = Launch::new();
        let (code, said) = migrate(&launch, &["--from", &data.origin()]);
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("let pict-rs 0.6 start with it once"),
            "{said}"
        );
        let data = data.of(newer).start().stop();
        copying(&older.name, &data, &stock);
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
        proxied: (url, digest(&proxied.body)),
        deleted: deleted.alias,
    }
}

fn write_down(version: &Version, data: &Data, stock: &Stock) {
    let folder = match data.repo() {
        Repo::Postgres => postgres::fixtures().join(&version.name),
        Repo::Fjall => fjall::fixture(&version.name),
        Repo::Sled => return,
    };
    let _ = std::fs::remove_dir_all(&folder);
    copy(&data.folder().join(FILES), &folder.join("files"));
    match &data.database {
        Some(database) => {
            std::fs::write(folder.join("dump.sql"), database.dump()).expect("written");
        }
        None => fjall::write_down(Path::new(&data.origin()), &folder.join("fjall-repo")),
    }
    stock.write(&folder.join("expected.json"));
}

/// Writes a configuration of the published server, as `old.toml`.
fn write_configuration(folder: &Path, data: &Data) {
    let origin = data.origin();
    let (kind, key) = match data.repo() {
        Repo::Postgres => ("postgres", "url"),
        Repo::Fjall => ("fjall", "fjall_path"),
        Repo::Sled => ("sled", "path"),
    };
    let mut text = format!("[repo]\ntype = \"{kind}\"\n{key} = \"{origin}\"\n");
    let files = data.folder().join(FILES);
    let written = match &data.bucket {
        Some(bucket) => write!(
            text,
            "[store]\ntype = \"object_storage\"\nendpoint = \"{}\"\nbucket_name = \"{}\"\n\
             region = \"{}\"\naccess_key = \"{}\"\nsecret_key = \"{}\"\nuse_path_style = true\n",
            bucket.endpoint(),
            bucket.name(),
            bucket.region(),
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
