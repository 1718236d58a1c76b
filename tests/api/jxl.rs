//! JPEG XL, still and animated, in and out.

use crate::support::exiftool::Exiftool;
use crate::support::{Server, pictures, pixels};

/// 96×64, in quarters; made without loss from a JPEG, with the EXIF of that one.
const STILL: &[u8] = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/from_jpeg.jxl");
/// 40×30, four frames, half a second.
const MOVING: &[u8] = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/moving.jxl");

#[test]
fn a_still_is_kept_and_cleaned() {
    let server = Server::start();
    assert!(pictures::find(STILL, b"Exif") > 0 && pictures::find(STILL, b"jbrd") > 0);
    let uploaded = server.upload(STILL);
    assert!(uploaded.alias.ends_with(".jxl"));
    let details = &uploaded.details;
    assert_eq!(details["content_type"], "image/jxl");
    assert_eq!(details["format"], "Image");
    assert_eq!(details["width"], 96);
    assert_eq!(details["height"], 64);
    assert_eq!(details["frames"], serde_json::Value::Null);
    let cleaned = server.original(&uploaded.alias);
    for box_name in [&b"Exif"[..], b"jbrd", b"SECRET"] {
        assert!(!cleaned.windows(box_name.len()).any(|w| w == box_name));
    }
    let made = pixels::decode(&server.process("png", &uploaded.alias, ""));
    pixels::assert_colour(&made, 10, 10, [220, 30, 30], 12);
    pixels::assert_colour(&made, 80, 50, [235, 235, 235], 12);
    // Cleaning what is clean changes nothing, and the pixels are the same.
    let again = server.upload(&cleaned);
    assert_eq!(server.original(&again.alias), cleaned);
    let same = pixels::decode(&server.process("png", &again.alias, ""));
    pixels::assert_equal(&same, &made);
}

#[test]
fn exiftool_finds_nothing_in_what_is_kept() {
    let Some(exiftool) = Exiftool::find_or_skip("cleaning JPEG XL") else {
        return;
    };
    let own = ["System", "File", "ExifTool", "Jpeg2000", "Composite"];
    let look = |bytes: &[u8]| {
        let mut tags = exiftool.look(bytes, "jxl");
        tags.retain(|tag| !own.contains(&tag.split(':').next().unwrap_or_default()));
        tags
    };
    let server = Server::start();
    let before: Vec<String> = look(STILL);
    assert!(
        before.iter().any(|line| line.contains("SECRET")),
        "{before:?}"
    );
    let after: Vec<String> = look(&server.original(&server.upload(STILL).alias));
    assert_eq!(after, Vec::<String>::new());
}

#[test]
fn an_animation_is_one_in_every_respect() {
    let server = Server::start();
    let uploaded = server.upload(MOVING);
    let details = &uploaded.details;
    assert_eq!(details["content_type"], "image/jxl");
    assert_eq!(details["format"], "Animation");
    assert_eq!(details["frames"], 4);
    assert_eq!(details["duration"].as_f64(), Some(0.5));
    for extension in ["webp", "gif"] {
        let frames = pixels::frames(&server.process(extension, &uploaded.alias, "resize=20"));
        let times: Vec<_> = frames.iter().map(|(_, time)| *time).collect();
        assert_eq!(times, [50, 100, 150, 200], "{extension}");
    }
    // A still is its first frame.
    for extension in ["png", "jpg"] {
        let made = pixels::decode(&server.process(extension, &uploaded.alias, ""));
        pixels::assert_colour(&made, 5, 15, [250, 200, 0], 30);
        pixels::assert_colour(&made, 35, 15, [20, 20, 60], 30);
    }
    server.upload_refused("max_frame_count=3", MOVING, 400, "validate-frames");
    // What is made of it at the upload still moves.
    let small = server.upload_with("resize=20", MOVING);
    assert_eq!(small.details["content_type"], "image/webp");
    assert_eq!(small.details["frames"], 4);
}

#[test]
fn pictures_become_jpeg_xl() {
    let server = Server::start();
    let image = pictures::photo(90, 60);
    for (bytes, tolerance) in [
        (pictures::jpeg(&image), 12.0),
        (pictures::png(&image), 12.0),
        (pictures::gif(&pictures::film(90, 60, 3)), 16.0),
    ] {
        let source = pixels::decode(&bytes);
        let alias = server.upload(&bytes).alias;
        let path = format!("/image/process.jxl?src={alias}&resize=45");
        let answer = server.get(&path).ok();
        assert_eq!(answer.header("content-type"), Some("image/jxl"));
        let details = server.get(&path.replace("/process", "/details/process"));
        let details = details.ok().json();
        assert_eq!(
            (&details["width"], &details["height"]),
            (&45.into(), &30.into())
        );
        assert_eq!(details["format"], "Image");
        // Nothing else here can read it, so our own decoder, which was held against djxl, does.
        let again = server.upload(&answer.body);
        let made = pixels::decode(&server.process("png", &again.alias, ""));
        let expected = source.resize_exact(45, 30, image::imageops::FilterType::Triangle);
        pixels::assert_similar(&made, &expected, tolerance);
    }
}

#[test]
fn uploads_are_converted_to_it_where_the_settings_say_so() {
    let server = Server::with([("media.image.format", "jxl")]);
    let uploaded = server.upload(&pictures::png(&pictures::photo(30, 20)));
    assert_eq!(uploaded.details["content_type"], "image/jxl");
    // An animation is not what that setting is for.
    let uploaded = server.upload(MOVING);
    assert_eq!(uploaded.details["frames"], 4);
}

#[test]
fn damaged_ones_are_refused() {
    let server = Server::start();
    for whole in [STILL, MOVING] {
        for tenths in 3..=9 {
            let cut = &whole[..whole.len() * tenths / 10];
            server.upload_refused("", cut, 400, "media-damaged");
        }
    }
}
