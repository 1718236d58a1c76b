//! The differential driver of `cargo xtask conform`: it finds nothing where nothing differs, and
//! something where something does.

use std::collections::BTreeSet;

use xtask::conform::{Difference, answers, compare, count};

use crate::support::{Launch, Server};

const KEY: &str = "the-key";

fn launch() -> Launch {
    Launch::new()
        .setting("server.api_key", KEY)
        .setting("client.allow_local_connections", true)
}

fn differences(ours: &Server, theirs: &Server) -> Vec<Difference> {
    let url = |server: &Server| format!("http://{}", server.address);
    compare(&url(ours), &url(theirs), KEY).expect("both answer")
}

#[test]
fn every_request_can_be_made_and_says_what_its_name_says() {
    let server = launch().start();
    let answers = answers(&format!("http://{}", server.address), KEY).expect("it answers");
    let mut names = BTreeSet::new();
    for (name, found) in &answers {
        assert!(names.insert(*name), "two requests have the name {name}");
        assert_eq!(found.get("possible"), None, "{name}");
    }
    for (name, status, picture) in [
        ("download through a redirect", "201", None),
        ("claim a download", "200", None),
        ("download of what is not there", "502", None),
        ("proxied", "200", Some("100x70 WebP")),
        ("proxied variant", "200", Some("20x14 Jpeg")),
        ("proxied variant by HEAD, not made", "404", None),
        ("proxy and alias", "200", Some("100x70 WebP")),
        ("a deadline to come", "200", Some("240x160 Jpeg")),
        ("set_not_found", "201", None),
        ("placeholder for a variant", "404", None),
        ("placeholder, a range of it", "404", None),
        ("placeholder, its etag known", "404", None),
        ("hashes, back to the first", "200", None),
        ("original of the twin", "200", Some("240x160 Png")),
        ("internal delete", "200", None),
    ] {
        let (_, found) = answers
            .iter()
            .find(|(other, _)| *other == name)
            .expect("a request");
        assert_eq!(found["status"], status, "{name}");
        assert_eq!(found.get("picture").map(String::as_str), picture, "{name}");
    }
}

#[test]
fn a_server_does_not_differ_from_another_of_its_kind() {
    let (ours, theirs) = (launch().start(), launch().start());
    assert!(count() > 200);
    let found = differences(&ours, &theirs);
    let table: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{table:#?}");
    // The list must not make a server fail.
    for server in [&ours, &theirs] {
        let output = server.output();
        assert!(!output.contains("ERROR"), "{output}");
    }
}

#[test]
fn a_server_that_answers_otherwise_is_found_out() {
    let theirs = launch()
        .setting("media.image.max_width", 200)
        .setting("server.max_file_count", 2)
        .start();
    let found = differences(&launch().start(), &theirs);
    let has = |step: &str, aspect: &str| {
        found.iter().any(|difference| {
            difference.step == step && difference.aspect == aspect && difference.expected.is_none()
        })
    };
    assert!(has("upload jpeg", "status"), "{found:?}");
    assert!(has("upload jpeg", "json.files"), "{found:?}");
    assert!(has("thumbnail", "possible"), "{found:?}");
    assert!(!has("upload webp", "status"), "{found:?}");
}

#[test]
fn a_server_that_changes_nothing_is_found_out() {
    let theirs = launch().setting("server.read_only", true).start();
    let found = differences(&launch().start(), &theirs);
    let unexpected = found
        .iter()
        .filter(|difference| difference.expected.is_none());
    assert!(unexpected.count() > 50, "{found:?}");
}
