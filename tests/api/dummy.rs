//! Any bytes are a picture, for other projects' tests.

use crate::support::client::process_path;
use crate::support::upstream::Upstream;
use crate::support::{File, Launch, Server, disk, pictures};

const BLURHASH: &str = "LGF5?xYk^6AAAAAAAAAAAAAAAAAA";

#[test]
fn in_dummy_mode_any_bytes_are_a_picture() {
    let server = Server::with([
        ("server.danger_dummy_mode", "true"),
        ("server.api_key", "key"),
    ]);
    server.wait_for_output("DANGER");
    let uploaded = server.upload_with("resize=512&allow_video=false", b"some text");
    let alias = &uploaded.alias;
    assert!(alias.ends_with(".png"), "{alias}");
    let check = |details: &serde_json::Value| {
        assert_eq!(details["width"], 0);
        assert_eq!(details["height"], 0);
        assert_eq!(details["frames"], serde_json::Value::Null);
        assert_eq!(details["content_type"], "image/png");
        assert_eq!(details["format"], "Image");
        assert_eq!(details["blurhash"], BLURHASH);
    };
    check(&uploaded.details);
    let answer = server.get(&format!("/image/original/{alias}")).ok();
    assert_eq!(answer.body, b"some text");
    assert_eq!(answer.header("content-type"), Some("image/png"));
    check(
        &server
            .get(&format!("/image/details/original/{alias}"))
            .ok()
            .json(),
    );
    let blurhash = server.get(&format!("/image/blurhash?alias={alias}")).ok();
    assert_eq!(blurhash.json()["blurhash"], BLURHASH);
    // Nothing can be made of it, and nobody is kept waiting for that.
    let variant = process_path("jpg", alias, "thumbnail=256");
    assert_eq!(server.get(&variant).ok().body, b"some text");
    server.head(&variant).ok();
    check(
        &server
            .get(&variant.replace("process", "details/process"))
            .ok()
            .json(),
    );
    let later = variant.replace("process", "process_backgrounded");
    server.get(&later).status(202);
    server
        .get(&process_path("jpg", "absent.png", "thumbnail=256"))
        .refused(404, "alias-not-found");
    server
        .delete(&format!("/image/delete/{}/{alias}", uploaded.token))
        .status(204);
    disk::assert_nothing_stored(&server);
    // Metadata stays: these are not pictures to anybody.
    let picture = pictures::png(&pictures::photo(9, 9));
    let alias = server.upload(&picture).alias;
    assert_eq!(server.original(&alias), picture);
    let id = server.background(b"text as well");
    let alias = server.claim(&id).claimed().alias;
    assert_eq!(server.original(&alias), b"text as well");
    server
        .upload_form("", &[File::new(b"")])
        .refused(400, "validate-file-empty");
}

#[test]
fn the_command_line_of_lemmys_tests_starts() {
    let launch = Launch::new().without_environment("PICTRS__SERVER__ADDRESS");
    let line = "run -a 127.0.0.1:0 --danger-dummy-mode --api-key my-pictrs-key filesystem \
                -p some/files sled -p some/repo";
    let server = launch.arguments(line.split_whitespace()).start();
    server.upload(b"test1");
    // They link pictures on the same machine, and want the details of these.
    let upstream = Upstream::serving(b"test2");
    let url = upstream.url("/a.png");
    server.get(&format!("/image/original?proxy={url}")).ok();
    server
        .get(&format!("/image/details/original?proxy={url}"))
        .ok();
    let answer = server.get(&format!("/image/download?url={url}&resize=512"));
    assert_eq!(server.original(&answer.uploaded()[0].alias), b"test2");
}
