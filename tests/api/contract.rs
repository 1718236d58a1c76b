//! The checklist of what a drop-in has to pass, a test for each box. Other files look closer at
//! each; `docs/testing.md` says which box is where.

use crate::support::client::process_path;
use crate::support::{File, Launch, Server, dirty, disk, pictures, pixels};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn server() -> Server {
    launch().start()
}

fn launch() -> Launch {
    Launch::new().setting("server.api_key", KEY.1)
}

fn png(side: u32) -> Vec<u8> {
    pictures::png(&pictures::photo(side, side))
}

#[test]
fn box_rows_of_the_route_table_and_401_for_internal_ones() {
    let server = server();
    let uploaded = server.upload(&png(90));
    let alias = &uploaded.alias;
    server.process("webp", alias, "thumbnail=30");
    for (path, keys) in [
        (
            format!("/image/details/original/{alias}"),
            &["width", "msg"][..],
        ),
        (
            format!("/image/details/original?alias={alias}"),
            &["width", "msg"],
        ),
        (
            format!("/image/details/process.webp?src={alias}&thumbnail=30"),
            &["content_type"],
        ),
        (
            format!("/image/blurhash?alias={alias}"),
            &["msg", "blurhash"],
        ),
    ] {
        let json = server.get(&path).ok().json();
        for key in keys {
            assert!(!json[key].is_null(), "{path}: {json}");
        }
    }
    for (method, route, key) in [
        ("GET", "aliases", "aliases"),
        ("GET", "identifier", "identifier"),
        ("POST", "delete", "msg"),
        ("POST", "purge", "aliases"),
    ] {
        let twin = server.upload(&png(90));
        let path = format!("/internal/{route}?alias={}", twin.alias);
        for headers in [&[][..], &[("X-Api-Token", "wrong")]] {
            server
                .send(method, &path, headers, None)
                .refused(401, "invalid-api-token");
        }
        let json = server.send(method, &path, &[KEY], None).ok().json();
        assert!(json["msg"] == "ok" && !json[key].is_null(), "{json}");
    }
}

#[test]
fn box_uploads_from_one_to_n_files_and_everything_that_is_refused() {
    let server = launch().setting("server.max_file_count", 3).start();
    let picture = png(60);
    for count in 1..=3 {
        let files: Vec<_> = (0..count).map(|_| File::new(&picture)).collect();
        assert_eq!(server.upload_form("", &files).uploaded().len(), count);
    }
    let four: Vec<_> = (0..4).map(|_| File::new(&picture)).collect();
    server
        .upload_form("", &four)
        .refused(400, "file-upload-error");
    server.upload_refused("max_file_size=0", &picture, 413, "validate-file-size");
    let mut other = File::new(&picture);
    other.field = "file";
    server
        .upload_form("", &[other])
        .refused(400, "file-upload-error");
    server
        .upload_form("", &[])
        .refused(400, "validate-no-files");
    server.upload_refused("", b"", 400, "validate-file-empty");
    server.upload_refused("", b"some text", 400, "discover-error");
    let cut = &picture[..picture.len() / 2];
    server.upload_refused("", cut, 400, "media-damaged");
}

#[test]
fn box_the_same_bytes_are_two_aliases_of_one_file() {
    let server = server();
    let (one, two) = (server.upload(&png(80)), server.upload(&png(80)));
    assert_ne!(one.alias, two.alias);
    assert_eq!(one.details, two.details);
    let delete = |token: &str, alias: &str| {
        let path = format!("/image/delete/{token}/{alias}");
        server.delete(&path).status(204);
    };
    delete(&one.token, &one.alias);
    server.original(&two.alias);
    delete(&two.token, &two.alias);
    disk::assert_nothing_stored(&server);
}

#[test]
fn box_delete_with_a_wrong_token_twice_and_by_get() {
    let server = server();
    let uploaded = server.upload(&png(70));
    let path = |token: &str| format!("/image/delete/{token}/{}", uploaded.alias);
    server
        .delete(&path("wrong"))
        .refused(403, "invalid-delete-token");
    server.get(&path(&uploaded.token)).status(204);
    server.delete(&path(&uploaded.token)).status(204);
}

#[test]
fn box_purged_aliases_are_404_everywhere() {
    let server = server();
    let (one, two) = (server.upload(&png(50)), server.upload(&png(50)));
    server.process("webp", &one.alias, "thumbnail=20");
    let purge = format!("/internal/purge?alias={}", one.alias);
    let json = server.send("POST", &purge, &[KEY], None).ok().json();
    assert_eq!(json["aliases"].as_array().map(Vec::len), Some(2));
    for alias in [&one.alias, &two.alias] {
        for path in [
            format!("/image/original/{alias}"),
            format!("/image/details/original/{alias}"),
            process_path("webp", alias, "thumbnail=20"),
        ] {
            server.get(&path).refused(404, "alias-not-found");
        }
    }
}

#[test]
fn box_backgrounded_uploads_and_their_claims() {
    let server = server();
    let id = server.background(&png(60));
    let uploaded = server.claim(&id).claimed();
    server.original(&uploaded.alias);
    server.claim_once(&id).refused(400, "already-claimed");
    let bad = server.background(b"no picture");
    server.claim(&bad).refused(422, "discover-error");
    let unknown = "00000000-0000-4000-8000-000000000000";
    server.claim_once(unknown).refused(400, "already-claimed");
    server.claim_once("x").refused(400, "invalid-query");
}

#[test]
fn box_process_never_enlarges_and_keeps_order_and_animations() {
    let server = server();
    let alias = server
        .upload(&pictures::jpeg(&pictures::photo(300, 200)))
        .alias;
    let size = |extension: &str, operations: &str| {
        let picture = pixels::decode(&server.process(extension, &alias, operations));
        (picture.width(), picture.height())
    };
    assert_eq!(size("png", "resize=2000"), (300, 200));
    assert_eq!(size("png", "crop=1x1"), (200, 200));
    assert_eq!(size("png", "resize=150&crop=1x1"), (100, 100));
    assert_eq!(size("png", "crop=1x1&resize=150"), (150, 150));
    assert_eq!(size("jpeg", "resize=60&utm_source=x"), (60, 40));
    let get = |query: &str| server.get(&format!("/image/process.{query}"));
    get(&format!("webp?src={alias}&crop=21x9")).refused(400, "invalid-process-path");
    get(&format!("mp4?src={alias}")).refused(400, "invalid-file-extension");
    let moving = server
        .upload(&pictures::gif(&pictures::film(40, 30, 3)))
        .alias;
    for (extension, frames) in [("webp", 3), ("gif", 3), ("jpg", 1), ("png", 1)] {
        let path = format!("/image/process.{extension}?src={moving}&resize=20");
        server.get(&path).ok();
        let details = path.replace("/process", "/details/process");
        let json = server.get(&details).ok().json();
        assert_eq!(json["frames"].as_u64().unwrap_or(1), frames, "{extension}");
    }
}

#[test]
fn box_head_and_details_know_a_variant_only_after_get() {
    let server = server();
    let alias = server.upload(&png(64)).alias;
    let path = process_path("webp", &alias, "thumbnail=16");
    let details = path.replace("/process", "/details/process");
    server.head(&path).status(404);
    server.get(&details).refused(404, "alias-not-found");
    server.get(&path).ok();
    server.head(&path).ok();
    server.get(&details).ok();
}

#[test]
fn box_ranges_conditions_and_head() {
    let server = server();
    let alias = server.upload(&png(64)).alias;
    let path = format!("/image/original/{alias}");
    let whole = server.get(&path).ok();
    let size = whole.body.len();
    let etag = whole.header("etag").expect("an etag");
    assert!(etag.starts_with('"'), "{etag}");
    let with = |name: &str, value: &str| server.get_with(&path, &[(name, value)]);
    assert_eq!(with("Range", "bytes=0-1").status(206).body, whole.body[..2]);
    let end = with("Range", "bytes=-5").status(206).body;
    assert_eq!(end, whole.body[size - 5..]);
    let open = with("Range", "bytes=5-").status(206).body;
    assert_eq!(open, whole.body[5..]);
    for range in ["bytes=99999999-", "bytes=0-1,3-4"] {
        with("Range", range).refused(416, "range-not-satisfiable");
    }
    with("If-None-Match", etag).status(304);
    let other = [("Range", "bytes=0-1"), ("If-Range", "\"other\"")];
    assert_eq!(server.get_with(&path, &other).ok().body.len(), size);
    let head = server.head(&path).ok();
    let length = size.to_string();
    assert_eq!(head.header("content-length"), Some(length.as_str()));
}

#[test]
fn box_orientation_is_applied_and_places_are_gone() {
    let server = server();
    let upright = pictures::photo(60, 40);
    for orientation in 1..=8 {
        let uploaded = server.upload(&dirty::turned_jpeg(&upright, orientation));
        let expected = if orientation < 5 { (60, 40) } else { (40, 60) };
        let picture = pixels::decode(&server.original(&uploaded.alias));
        assert_eq!(
            (picture.width(), picture.height()),
            expected,
            "{orientation}"
        );
    }
    for dirt in [
        dirty::dirty_jpeg(&upright),
        dirty::dirty_png(&upright),
        dirty::dirty_webp(&upright),
    ] {
        assert!(!dirty::secrets(&dirt).is_empty());
        let uploaded = server.upload(&dirt);
        let left = dirty::secrets(&server.original(&uploaded.alias));
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn box_the_environment_of_lemmy_ansible_starts_verbatim() {
    let server = Launch::new()
        .environment("PICTRS__SERVER__API_KEY", "a-long-password")
        .environment("PICTRS__MEDIA__ANIMATION__MAX_WIDTH", 256)
        .environment("PICTRS__MEDIA__ANIMATION__MAX_HEIGHT", 256)
        .environment("PICTRS__MEDIA__ANIMATION__MAX_AREA", 65536)
        .environment("PICTRS__MEDIA__ANIMATION__MAX_FRAME_COUNT", 400)
        .environment("PICTRS__MEDIA__VIDEO__ENABLE", "True")
        .environment("PICTRS__MEDIA__VIDEO__MAX_FILE_SIZE", 20)
        .environment("PICTRS_OPENTELEMETRY_URL", "http://otel:4137")
        .environment("RUST_LOG", "debug")
        .environment("RUST_BACKTRACE", "full")
        .start();
    server.upload(&png(20));
    let wide = pictures::gif(&pictures::film(300, 20, 2));
    server.upload_refused("", &wide, 400, "validate-width");
}
