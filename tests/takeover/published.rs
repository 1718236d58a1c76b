//! Taking over from published versions of the existing pict-rs, which `cargo xtask predecessors`
//! builds once; without them the tests say that they were skipped.

use std::time::Instant;

use super::load::move_under_load;
use super::{
    NEW, Seen, delete, internal, picture, seen, status, successor, takeover, wait_until_complete,
};
use crate::support::client::Client;
use crate::support::published::{Published, Repo, Store, Version};
use crate::support::upstream::Upstream;
use crate::support::{Launch, Uploaded, clips, eventually, pictures};

/// Every database, and both places for files.
const PLACES: [(Repo, Store); 4] = [
    (Repo::Sled, Store::Folder),
    (Repo::Fjall, Store::Folder),
    (Repo::Postgres, Store::Folder),
    (Repo::Postgres, Store::Bucket),
];

/// A server that takes over from `old`, and reads its database if it can.
fn successor_of(old: &Published) -> (Launch, bool) {
    let launch = successor(old.address);
    match &old.data().database {
        Some(database) => (launch.setting("takeover.repo_url", database.url()), true),
        None => (launch, false),
    }
}

/// What a client sees, but for what only one of them tells. Times are kept to the millisecond.
fn known(server: &Client, alias: &str) -> Seen {
    let mut seen = seen(server, alias);
    let created = seen.details["created_at"].as_str().expect("a time");
    let second = created.get(..19).expect("a time").to_owned();
    seen.details["created_at"] = second.into();
    let details = seen.details.as_object_mut().expect("an object");
    for ours in ["duration", "thumbhash", "colour"] {
        details.remove(ours);
    }
    details.remove("msg");
    seen
}

#[test]
fn published_servers_are_taken_over_from_every_database() {
    const TEST: &str = "published_servers_are_taken_over_from_every_database";
    for version in Version::all(TEST) {
        for (repo, store) in PLACES {
            if let Some(old) = version.start(TEST, repo, store) {
                let since = Instant::now();
                let place = format!("{} on {repo:?} and {store:?}", version.name);
                take_over_from(&place, old);
                println!("{place}: taken over in {:.1?}", since.elapsed());
            }
        }
    }
}

/// The long run has `PICTRS_TEST_FILES=1000`.
#[test]
fn published_servers_are_taken_over_under_load_without_a_failed_request() {
    const TEST: &str = "published_servers_are_taken_over_under_load_without_a_failed_request";
    let files = std::env::var("PICTRS_TEST_FILES").map_or(60, |files| {
        files.parse().expect("PICTRS_TEST_FILES is a number")
    });
    for version in Version::all(TEST) {
        for (repo, store) in PLACES {
            if let Some(old) = version.start(TEST, repo, store) {
                let since = Instant::now();
                let place = format!("{} on {repo:?} and {store:?}", version.name);
                let (new, knows_tokens) = successor_of(&old);
                let client = Client::new(old.address);
                let upload = |bytes: &[u8]| Published::upload_to(&client, bytes);
                let end = || drop(old);
                let requests =
                    move_under_load(&client, files, upload, known, new, knows_tokens, end);
                println!(
                    "{place}: {files} files in {:.1?}, {requests} requests meanwhile, none failed",
                    since.elapsed()
                );
            }
        }
    }
}

fn take_over_from(place: &str, old: Published) {
    let mut sources: Vec<_> = (0..30).map(picture).collect();
    sources.push(pictures::jpeg(&pictures::photo(50, 70)));
    sources.push(pictures::gif(&pictures::film(20, 20, 3)));
    sources.push(pictures::webp(&pictures::photo(33, 21)));
    let clip = clips::make("64x48", "1", false, &["-pix_fmt", "yuv420p", "clip.mp4"]);
    sources.push(clip);
    sources.push(sources[0].clone());
    let uploaded: Vec<Uploaded> = sources.iter().map(|bytes| old.upload(bytes)).collect();
    let upstream = Upstream::serving(&picture(200));
    let url = upstream.url("/a.png");
    let proxied = old.get(&format!("/image/original?proxy={url}")).ok();
    let expected: Vec<_> = uploaded.iter().map(|one| known(&old, &one.alias)).collect();

    let (new, knows_tokens) = successor_of(&old);
    let new = new.start();
    for (one, expected) in uploaded.iter().zip(&expected).rev().take(5) {
        assert_eq!(known(&new, &one.alias), *expected, "{place}");
    }
    new.process("webp", &uploaded[1].alias, "thumbnail=8");
    let asked = upstream.asked().len();
    let path = format!("/image/details/original?proxy={url}");
    new.get(&path).ok();
    let copy = new.get(&format!("/image/original?proxy={url}")).ok();
    assert_eq!(copy.body, proxied.body, "{place}");
    assert!(
        upstream.asked().len() <= asked + 1,
        "{place}: it is only revalidated"
    );
    // Tokens, deletions and purges.
    let [by_token, deleted, purged] = [&uploaded[2], &uploaded[3], &uploaded[0]];
    delete(&new, by_token, &deleted.token).refused(403, "invalid-delete-token");
    delete(&new, by_token, &by_token.token).status(204);
    let path = format!("/internal/delete?alias={}", deleted.alias);
    internal(&new, NEW, "POST", &path).ok();
    let path = format!("/internal/purge?alias={}", purged.alias);
    let answer = internal(&new, NEW, "POST", &path).ok().json();
    let aliases = answer["aliases"].as_array().expect("a list");
    assert_eq!(aliases.len(), 2, "{place}: {answer}");
    let same = &uploaded[sources.len() - 1];
    let gone = [by_token, deleted, purged, same].map(|one| one.alias.as_str());
    for alias in gone {
        assert_eq!(status(&new, alias), 404, "{place}");
        let done = || (status(&old, alias) == 404).then_some(());
        eventually("it is deleted there too", done);
    }
    let done = wait_until_complete(&new);
    for zero in ["altered", "lost", "failed"] {
        assert_eq!(done[zero], 0, "{place}: {done}");
    }
    assert_eq!(
        done["unknown_tokens"] == 0,
        knows_tokens,
        "{place}: {}",
        takeover(&new)
    );
    drop(old);
    let mut kept = Vec::new();
    for (one, expected) in uploaded.iter().zip(&expected) {
        if gone.contains(&one.alias.as_str()) {
            assert_eq!(status(&new, &one.alias), 404, "{place}");
        } else {
            assert_eq!(known(&new, &one.alias), *expected, "{place}");
            kept.push(one);
        }
    }
    if knows_tokens {
        for (one, other) in kept.iter().zip(kept.iter().skip(1)) {
            delete(&new, one, &other.token).refused(403, "invalid-delete-token");
            delete(&new, one, &one.token).status(204);
            assert_eq!(status(&new, &one.alias), 404, "{place}");
        }
    }
}
