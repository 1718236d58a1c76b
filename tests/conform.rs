//! The differential driver of `cargo xtask conform`: it finds nothing where nothing differs, and
//! something where something does.

use xtask::conform::{Difference, compare, count};

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
