//! How the server is, and what it takes.

use crate::support::{Launch, Server, database, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

#[test]
fn the_health_in_detail_is_for_the_holder_of_a_key() {
    let server = Server::with([("server.api_key", KEY.1)]);
    server
        .get("/internal/health")
        .refused(401, "invalid-api-token");
    let health = server.get_with("/internal/health", &[KEY]).ok().json();
    assert_eq!(health["msg"], "ok");
    assert_eq!(health["broken"], serde_json::json!([]));
    for part in ["repo", "store"] {
        let part = &health[part];
        assert_eq!(part["ok"], true);
        assert!(part["ms"].as_f64().is_some_and(|ms| ms >= 0.0));
    }
    // The disk of a server is its own affair.
    let with_a_disk = if database::is_embedded() {
        &["repo", "store"][..]
    } else {
        &["store"]
    };
    for part in with_a_disk {
        let bytes = |name: &str| health[*part][name].as_u64().expect("a number");
        assert!(bytes("total_bytes") >= bytes("free_bytes") && bytes("total_bytes") > 0);
    }
    // Tests run with an empty PATH.
    assert_eq!(health["programs"]["found"], serde_json::json!([]));
    assert_eq!(
        health["programs"]["missing"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(health["jobs"]["waiting"], 0);
    assert_eq!(health["media"]["running"], 0);
    assert!(
        health["version"]
            .as_str()
            .is_some_and(|version| version.contains('.'))
    );
    let head = server.send("HEAD", "/internal/health", &[KEY], None).ok();
    assert!(head.body.is_empty());
    // Without a key there is only this.
    assert!(server.get("/healthz").ok().body.is_empty());
    server.head("/healthz").ok();
}

#[test]
fn the_index_tells_where_the_sources_are() {
    let server = Server::start();
    let index = server.get("/").ok().json();
    assert_eq!(index["msg"], "ok");
    assert_eq!(index["name"], "pict-rs");
    assert_eq!(index["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(index["license"], "AGPL-3.0-or-later");
    assert_eq!(index["source"], env!("CARGO_PKG_REPOSITORY"));
    let document = server.get("/openapi.json").ok().json();
    assert_eq!(document["info"]["contact"]["url"], index["source"]);
    assert!(server.head("/").ok().body.is_empty());
    server.send("POST", "/", &[], None).status(405);
}

#[test]
fn a_store_that_cannot_be_written_to_is_named() {
    let server = Server::with([("server.api_key", KEY.1)]);
    let (files, aside) = (server.files(), server.data().join("aside"));
    std::fs::rename(&files, &aside).expect("moved");
    let health = server
        .get_with("/internal/health", &[KEY])
        .status(503)
        .json();
    assert_eq!(health["msg"], "broken: store");
    assert_eq!(health["store"]["ok"], false);
    assert_eq!(health["store"]["code"], "file-io-error");
    assert!(
        health["store"]["cause"]
            .as_str()
            .is_some_and(|cause| !cause.is_empty())
    );
    assert_eq!(health["repo"]["ok"], true);
    std::fs::rename(&aside, &files).expect("moved back");
    server.get_with("/internal/health", &[KEY]).ok();
}

#[test]
fn a_database_that_can_be_read_but_not_written_is_named() {
    let launch = Launch::new().setting("server.api_key", KEY.1);
    let server = launch.start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(30, 20)))
        .alias;
    // As on a full disk: whoever holds the right to write keeps it.
    let writer = database::hold_writes(&server.data());
    let health = server
        .get_with("/internal/health", &[KEY])
        .status(503)
        .json();
    assert_eq!(health["msg"], "broken: repo");
    let code = match database::is_embedded() {
        true => "repo-error",
        false => "repo-unavailable",
    };
    assert_eq!(health["repo"]["code"], code);
    server.original(&alias);
    drop(writer);
    server.get_with("/internal/health", &[KEY]).ok();
}

#[test]
fn limits_are_told_in_the_shape_of_the_settings_and_without_secrets() {
    let server = Server::with([
        ("server.api_key", KEY.1),
        ("media.image.max_width", "1234"),
        ("media.animation.max_frame_count", "55"),
        ("media.retention.proxy", "3d"),
    ]);
    let limits = server.get_with("/internal/limits", &[KEY]).ok().json();
    assert!(limits.get("msg").is_none());
    assert_eq!(limits["external_validation"], serde_json::Value::Null);
    assert!(
        limits
            .as_object()
            .is_some_and(|all| all.contains_key("external_validation"))
    );
    assert_eq!(limits["image"]["max_width"], 1234);
    assert_eq!(limits["animation"]["max_frame_count"], 55);
    assert_eq!(limits["video"]["quality"]["crf_max"], 32);
    assert_eq!(limits["retention"]["proxy"], "3d");
    assert_eq!(limits["max_file_size"], 40);
    assert!(
        limits["filters"]
            .as_array()
            .is_some_and(|filters| filters.len() == 5)
    );
    assert!(limits.get("preprocess_steps").is_none() && limits["image"].get("format").is_none());
    assert!(!limits.to_string().contains(KEY.1));
}

#[test]
fn everybody_can_learn_what_is_accepted() {
    let server = Server::with([
        ("server.max_file_count", "4"),
        ("media.max_file_size", "3"),
        ("media.image.max_width", "1234"),
    ]);
    let limits = server.get("/image/limits").ok().json();
    assert_eq!(limits["msg"], "ok");
    assert_eq!(limits["max_file_count"], 4);
    assert_eq!(limits["max_file_size"], 3 << 20);
    assert_eq!(limits["image"]["max_width"], 1234);
    assert_eq!(limits["image"]["max_file_size"], 3 << 20);
    let kinds = limits["image"]["content_types"].as_array().expect("a list");
    assert!(kinds.contains(&"image/jpeg".into()) && kinds.contains(&"image/png".into()));
    let extensions = limits["process"]["extensions"].as_array().expect("a list");
    assert!(extensions.contains(&"webp".into()));
    // What is told is true.
    let wide = pictures::png(&pictures::plain(1235, 1));
    server.upload_refused("", &wide, 400, "validate-width");
    server.upload(&pictures::png(&pictures::plain(1234, 1)));
    server.head("/image/limits").ok();
    let answer = server.send("POST", "/image/limits", &[], None).status(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
}
