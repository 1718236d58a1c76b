//! AVIF files that come in: told rightly, cleaned, and made into anything else.

use crate::support::exiftool::Exiftool;
use crate::support::{Server, dirty, disk, pixels};

/// 128x64, of two cells with alpha, turned and mirrored; Exif, XMP and an ICC profile.
const GRID: &[u8] = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/grid.avif");
/// 129x70, 4:2:0, turned by a quarter; Exif.
const HALF: &[u8] = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/420.avif");
/// 129x70, 10 bits.
const DEEP: &[u8] = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/422-10.avif");
/// 80x64, four frames, 240 ms, alpha, turned by a quarter; Exif and XMP.
const SEQUENCE: &[u8] =
    include_bytes!("../../crates/pict-rs-media/src/codec/testdata/sequence.avif");

fn size(bytes: &[u8]) -> (u32, u32) {
    let picture = pixels::decode(bytes);
    (picture.width(), picture.height())
}

#[test]
fn a_still_is_told_and_shown_upright() {
    let server = Server::start();
    for (bytes, width, height) in [(GRID, 64, 128), (HALF, 70, 129), (DEEP, 129, 70)] {
        let uploaded = server.upload(bytes);
        assert!(uploaded.alias.ends_with(".avif"), "{}", uploaded.alias);
        let details = &uploaded.details;
        assert_eq!(details["content_type"], "image/avif");
        assert_eq!(details["format"], "Image");
        assert_eq!(
            (&details["width"], &details["height"]),
            (&width.into(), &height.into())
        );
        assert_eq!(details["frames"], serde_json::Value::Null);
        assert!(
            details["blurhash"]
                .as_str()
                .is_some_and(|hash| hash.len() >= 6)
        );
        for extension in ["webp", "jpg", "png", "gif"] {
            let made = server.process(extension, &uploaded.alias, "");
            assert_eq!(size(&made), (width, height), "{extension}");
            let made = server.process(extension, &uploaded.alias, "thumbnail=32");
            let (w, h) = size(&made);
            assert_eq!(w.max(h), 32, "{extension}");
        }
    }
}

#[test]
fn the_picture_lies_as_its_file_says() {
    let server = Server::start();
    let alias = server.upload(HALF).alias;
    let made = pixels::decode(&server.process("png", &alias, ""));
    // Stored, red grows to the right and green falls downwards. Turned by a quarter clockwise,
    // red grows downwards and green to the right.
    pixels::assert_colour(&made, 69, 0, [0, 255, 127], 8);
    pixels::assert_colour(&made, 0, 128, [253, 4, 127], 8);
}

#[test]
fn a_sequence_is_told_and_moves_on() {
    let server = Server::start();
    let uploaded = server.upload(SEQUENCE);
    let details = &uploaded.details;
    assert_eq!(details["content_type"], "image/avif");
    assert_eq!(details["format"], "Animation");
    assert_eq!(
        (&details["width"], &details["height"]),
        (&64.into(), &80.into())
    );
    assert_eq!(details["frames"], 4);
    let frames = pixels::frames(&server.process("webp", &uploaded.alias, "thumbnail=40"));
    let delays: Vec<_> = frames.iter().map(|(_, delay)| *delay).collect();
    assert_eq!(delays, [40, 100, 70, 30]);
    assert_eq!(frames[0].0.dimensions(), (32, 40));
    assert_eq!(size(&server.process("jpg", &uploaded.alias, "")), (64, 80));
}

#[test]
fn what_is_private_goes_and_the_picture_stays() {
    let server = Server::start();
    for bytes in [GRID, HALF, SEQUENCE] {
        assert!(!dirty::secrets(bytes).is_empty());
        let alias = server.upload(bytes).alias;
        let original = server.original(&alias);
        assert_eq!(dirty::secrets(&original), Vec::<String>::new());
        // What is clean is taken as it is, and shows the same.
        let again = server.upload(&original).alias;
        assert_eq!(server.original(&again), original);
        for extension in ["png", "webp"] {
            let made = server.process(extension, &alias, "thumbnail=50");
            assert_eq!(dirty::secrets(&made), Vec::<String>::new());
        }
    }
}

#[test]
fn exiftool_finds_nothing_private_in_an_avif() {
    let Some(exiftool) = Exiftool::find_or_skip("AVIF as exiftool sees it") else {
        return;
    };
    let look = |bytes: &[u8]| exiftool.look(bytes, "avif").join("\n");
    let server = Server::start();
    for bytes in [GRID, HALF, SEQUENCE] {
        assert!(look(bytes).contains("SECRET-place"));
        let told = look(&server.original(&server.upload(bytes).alias));
        for word in ["SECRET", "IFD0:", "XMP"] {
            assert!(!told.contains(word), "{told}");
        }
    }
}

#[test]
fn a_damaged_avif_is_refused() {
    let server = Server::start();
    for bytes in [GRID, DEEP, SEQUENCE] {
        for tenths in 1..=8 {
            let cut = &bytes[..bytes.len() * tenths / 10];
            let answer = server.upload_form("", &[crate::support::File::new(cut)]);
            let code = answer.json()["code"].clone();
            assert!(
                code == "media-damaged" || code == "discover-error",
                "{code} for {tenths}/10"
            );
        }
    }
    disk::assert_nothing_stored(&server);
}
