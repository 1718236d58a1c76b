//! HEIF from phones: stored as what browsers show.

use crate::support::{Server, dirty, pixels};

/// As a phone makes them: 120×100 in tiles, turned by the container and by EXIF, Display P3.
const PHONE: &[u8] = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/phone.heic");
const GRAY: &[u8] = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/gray.heic");

#[test]
fn a_photograph_of_a_phone_becomes_an_upright_jpeg() {
    let server = Server::start();
    let uploaded = server.upload(PHONE);
    assert!(uploaded.alias.ends_with(".jpeg"));
    let details = &uploaded.details;
    assert_eq!(details["content_type"], "image/jpeg");
    assert_eq!(details["format"], "Image");
    assert_eq!(
        (&details["width"], &details["height"]),
        (&100.into(), &120.into())
    );
    assert_eq!(details["frames"], serde_json::Value::Null);
    assert!(
        details["blurhash"]
            .as_str()
            .is_some_and(|hash| hash.len() > 6)
    );
    let original = server.original(&uploaded.alias);
    assert_eq!(dirty::secrets(&original), Vec::<String>::new());
    for secret in [&b"Exif"[..], b"Phone maker"] {
        assert!(!original.windows(secret.len()).any(|w| w == secret));
    }
    // The yellow mark, near the upper left corner as stored, is at the upper right. It is 250, 250,
    // 40 of Display P3, which sRGB has no blue for.
    let picture = pixels::decode(&original);
    pixels::assert_colour(&picture, 99 - 25, 15, [250, 250, 0], 25);
    let small = pixels::decode(&server.process("webp", &uploaded.alias, "resize=60"));
    assert_eq!((small.width(), small.height()), (50, 60));
    pixels::assert_colour(&small, 37, 8, [250, 250, 0], 40);
}

#[test]
fn settings_and_queries_say_what_else_it_becomes() {
    let server = Server::with([("media.image.format", "webp")]);
    let uploaded = server.upload(PHONE);
    assert_eq!(uploaded.details["content_type"], "image/webp");
    let server = Server::start();
    let uploaded = server.upload_with("resize=40", PHONE);
    assert_eq!(uploaded.details["content_type"], "image/jpeg");
    assert_eq!(uploaded.details["height"], 40);
    server.upload_refused("max_width=99", PHONE, 400, "validate-width");
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let server = Server::start();
    let said = server.upload_refused("", GRAY, 400, "discover-error");
    assert!(said.contains("4:0:0"), "{said}");
    // The tiles are behind the middle.
    let cut = &PHONE[..PHONE.len() * 7 / 10];
    server.upload_refused("", cut, 400, "media-damaged");
    let limits = server.get("/image/limits").ok().json();
    let types = limits["image"]["content_types"].to_string();
    assert!(
        types.contains("image/heic") && types.contains("image/jxl"),
        "{types}"
    );
}
