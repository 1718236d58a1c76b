//! One row for each format, in and out; and what is special in some files.

use image::{DynamicImage, ImageFormat};

use crate::support::client::process_path;
use crate::support::{Server, dirty, icc, pictures, pixels};

/// What an upload in each format is told to be.
struct Row {
    name: &'static str,
    bytes: Vec<u8>,
    extension: &'static str,
    content_type: &'static str,
    format: &'static str,
    frames: Option<u64>,
}

const SIZE: (u32, u32) = (60, 40);
const FRAMES: u32 = 6;

fn rows() -> Vec<Row> {
    let still = pictures::photo(SIZE.0, SIZE.1);
    let film = pictures::film(SIZE.0, SIZE.1, FRAMES);
    let row = |name, bytes, extension, content_type, format, frames| Row {
        name,
        bytes,
        extension,
        content_type,
        format,
        frames,
    };
    let frames = Some(u64::from(FRAMES));
    vec![
        row(
            "PNG",
            pictures::png(&still),
            "png",
            "image/png",
            "Image",
            None,
        ),
        row(
            "JPEG",
            pictures::jpeg(&still),
            "jpeg",
            "image/jpeg",
            "Image",
            None,
        ),
        row(
            "WebP",
            pictures::webp(&still),
            "webp",
            "image/webp",
            "Image",
            None,
        ),
        // A GIF is an animation even with one frame.
        row(
            "still GIF",
            pictures::gif(&film[..1]),
            "gif",
            "image/gif",
            "Animation",
            None,
        ),
        row(
            "GIF",
            pictures::gif(&film),
            "gif",
            "image/gif",
            "Animation",
            frames,
        ),
        row(
            "APNG",
            pictures::apng(&film),
            "apng",
            "image/apng",
            "Animation",
            frames,
        ),
        row(
            "still APNG",
            pictures::apng(&film[..1]),
            "apng",
            "image/apng",
            "Animation",
            None,
        ),
        row(
            "animated WebP",
            pictures::animated_webp(&film),
            "webp",
            "image/webp",
            "Animation",
            frames,
        ),
    ]
}

#[test]
fn each_format_is_recognised_kept_and_described() {
    let server = Server::start();
    for row in rows() {
        let uploaded = server.upload(&row.bytes);
        let name = row.name;
        assert!(
            uploaded.alias.ends_with(&format!(".{}", row.extension)),
            "{name}"
        );
        let details = &uploaded.details;
        assert_eq!(details["content_type"], row.content_type, "{name}");
        assert_eq!(details["format"], row.format, "{name}");
        assert_eq!(details["frames"].as_u64(), row.frames, "{name}");
        assert_eq!(details["width"], SIZE.0, "{name}");
        assert_eq!(details["height"], SIZE.1, "{name}");
        let answer = server
            .get(&format!("/image/original/{}", uploaded.alias))
            .ok();
        assert_eq!(answer.header("content-type"), Some(row.content_type));
        pixels::assert_equal(&pixels::decode(&answer.body), &pixels::decode(&row.bytes));
    }
}

#[test]
fn each_format_becomes_each_other_and_moves_where_it_can() {
    let server = Server::start();
    for row in rows() {
        let alias = server.upload(&row.bytes).alias;
        let source = pixels::decode(&row.bytes);
        let expected = source.resize_exact(30, 20, image::imageops::FilterType::Triangle);
        for (extension, content_type, format) in [
            ("jpg", "image/jpeg", ImageFormat::Jpeg),
            ("png", "image/png", ImageFormat::Png),
            ("webp", "image/webp", ImageFormat::WebP),
            ("gif", "image/gif", ImageFormat::Gif),
            ("apng", "image/apng", ImageFormat::Png),
        ] {
            let what = format!("{} as {extension}", row.name);
            let path = process_path(extension, &alias, "resize=30");
            let answer = server.get(&path).ok();
            assert_eq!(answer.header("content-type"), Some(content_type), "{what}");
            assert_eq!(pixels::format(&answer.body), Some(format), "{what}");
            pixels::assert_similar(&pixels::decode(&answer.body), &expected, 12.0);

            let details = path.replace("/process", "/details/process");
            let details = server.get(&details).ok().json();
            assert_eq!(details["width"], 30, "{what}");
            assert_eq!(details["height"], 20, "{what}");
            let moves = matches!(extension, "webp" | "gif" | "apng");
            let frames = row.frames.filter(|_| moves);
            assert_eq!(details["frames"].as_u64(), frames, "{what}");
            // What was taken in as an animation of one frame stays one as such a format.
            let one_frame = row.format == "Animation" && matches!(extension, "gif" | "apng");
            let kind = if one_frame || frames.is_some() {
                "Animation"
            } else {
                "Image"
            };
            assert_eq!(details["format"], kind, "{what}");
            if let Some(frames) = frames {
                check_film(&answer.body, frames, &what);
            }
        }
    }
}

/// All frames are there with their times, and each shows its own moment.
fn check_film(bytes: &[u8], frames: u64, what: &str) {
    let shown = pixels::frames(bytes);
    assert_eq!(shown.len() as u64, frames, "{what}");
    for (number, (frame, time)) in shown.into_iter().enumerate() {
        assert_eq!(time, pictures::FRAME_MS, "{what}, frame {number}");
        let whole: DynamicImage = pictures::film(SIZE.0, SIZE.1, FRAMES)[number]
            .clone()
            .into();
        let expected = whole.resize_exact(30, 20, image::imageops::FilterType::Triangle);
        pixels::assert_similar(&frame.into(), &expected, 12.0);
    }
}

#[test]
fn an_animation_as_a_still_is_its_first_frame_and_nothing_behind_it() {
    let server = Server::start();
    let film = pictures::film(60, 40, 20);
    let alias = server.upload(&pictures::gif(&film)).alias;
    let made = server.process("png", &alias, "");
    pixels::assert_similar(&pixels::decode(&made), &film[0].clone().into(), 0.5);
    let end = pictures::find(&made, b"IEND") + 8;
    assert_eq!(made.len(), end);
    let made = server.process("jpg", &alias, "");
    assert_eq!(pictures::find(&made, &[0xff, 0xd9]) + 2, made.len());
}

#[test]
fn damage_in_a_later_frame_ends_the_animation_there() {
    let server = Server::start();
    let film = pictures::film(60, 40, 6);
    let mut gif = pictures::gif(&film);
    let end = gif.len();
    gif[end - 30..end - 10].fill(0xff);
    let mut webp = pictures::animated_webp(&film);
    // Behind the head of the last frame's picture.
    let last = webp.len() - pictures::webp(&film[5].clone().into()).len() + 12 + 8 + 5;
    webp[last..].fill(0xff);
    for bytes in [gif, webp] {
        let alias = server.upload(&bytes).alias;
        for extension in ["gif", "webp"] {
            for operations in ["", "resize=30"] {
                let made = server.process(extension, &alias, operations);
                assert_eq!(pixels::frames(&made).len(), 5, "{extension}");
            }
        }
        for extension in ["jpg", "png"] {
            server.process(extension, &alias, "");
        }
    }
}

#[test]
fn the_duration_of_an_animation_is_told() {
    let server = Server::start();
    let frames = pictures::film(20, 20, 5);
    for bytes in [
        pictures::gif(&frames),
        pictures::apng(&frames),
        pictures::animated_webp(&frames),
    ] {
        let uploaded = server.upload(&bytes);
        let seconds = f64::from(pictures::FRAME_MS * 5) / 1000.0;
        assert_eq!(uploaded.details["duration"].as_f64(), Some(seconds));
        for (extension, expected) in [
            ("gif", Some(seconds)),
            ("apng", Some(seconds)),
            ("png", None),
        ] {
            let path = process_path(extension, &uploaded.alias, "resize=10");
            server.get(&path).ok();
            let details = server.get(&path.replace("/process", "/details/process"));
            assert_eq!(
                details.ok().json()["duration"].as_f64(),
                expected,
                "{extension}"
            );
        }
    }
}

#[test]
fn an_animation_that_we_make_of_a_still_is_an_image() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(20, 20)))
        .alias;
    for extension in ["gif", "apng"] {
        let path = process_path(extension, &alias, "resize=10");
        assert_eq!(pixels::frames(&server.get(&path).ok().body).len(), 1);
        let details = server.get(&path.replace("/process", "/details/process"));
        let details = details.ok().json();
        assert_eq!(details["format"], "Image", "{extension}");
        assert_eq!(details["frames"], serde_json::Value::Null, "{extension}");
        assert_eq!(details.get("duration"), None, "{extension}");
    }
}

#[test]
fn any_frame_of_an_animation_can_be_had_as_a_still() {
    let server = Server::start();
    let film = pictures::film(60, 40, 6);
    for bytes in [
        pictures::gif(&film),
        pictures::apng(&film),
        pictures::animated_webp(&film),
    ] {
        let alias = server.upload(&bytes).alias;
        for (number, frame) in (1..).zip(&film) {
            for extension in ["png", "jpg", "webp", "gif", "apng"] {
                let path = process_path(extension, &alias, &format!("frame={number}"));
                let made = pixels::decode(&server.get(&path).ok().body);
                pixels::assert_similar(&made, &frame.clone().into(), 6.0);
                let details = server.get(&path.replace("/process", "/details/process"));
                let details = details.ok().json();
                assert_eq!(details["frames"], serde_json::Value::Null, "{extension}");
                assert_eq!(details["format"], "Image", "{extension}");
            }
        }
        // It does not matter where it stands.
        let one = server.process("png", &alias, "frame=3&resize=20");
        assert_eq!(server.process("png", &alias, "resize=20&frame=3"), one);
        let whole: DynamicImage = film[2].clone().into();
        let expected = whole.resize_exact(20, 13, image::imageops::FilterType::Triangle);
        pixels::assert_similar(&pixels::decode(&one), &expected, 12.0);
        for (frame, told) in [
            ("7", "the last frame, which is 6"),
            ("0", "from 1 on"),
            ("x", "from 1 on"),
        ] {
            let path = process_path("png", &alias, &format!("frame={frame}"));
            let answer = server.get(&path);
            assert_eq!(answer.status, 400);
            let told_us = answer.json();
            assert_eq!(told_us["code"], "invalid-process-path");
            assert!(
                told_us["msg"]
                    .as_str()
                    .is_some_and(|msg| msg.contains(told)),
                "{told_us}"
            );
        }
    }
    let still = server.upload(&pictures::png(&pictures::photo(9, 9))).alias;
    server.process("webp", &still, "frame=1");
    assert_eq!(
        server.get(&process_path("webp", &still, "frame=2")).status,
        400
    );
}

#[test]
fn all_eight_orientations_come_out_upright() {
    let server = Server::start();
    let upright = pictures::quarters(96, 64);
    for orientation in 1..=8 {
        let stored = match orientation {
            2 => upright.fliph(),
            3 => upright.rotate180(),
            4 => upright.flipv(),
            5 => upright.rotate90().fliph(),
            6 => upright.rotate270(),
            7 => upright.rotate270().fliph(),
            8 => upright.rotate90(),
            _ => upright.clone(),
        };
        for bytes in [
            dirty::turned_jpeg(&stored, orientation),
            dirty::turned_png(&stored, orientation),
            dirty::turned_webp(&stored, orientation),
        ] {
            let uploaded = server.upload(&bytes);
            let what = format!("{orientation} in {}", uploaded.details["content_type"]);
            assert_eq!(uploaded.details["width"], 96, "{what}");
            assert_eq!(uploaded.details["height"], 64, "{what}");
            let original = server.original(&uploaded.alias);
            assert_eq!(dirty::secrets(&original), Vec::<String>::new(), "{what}");
            assert_quarters(&pixels::decode(&original));
            let made = server.process("png", &uploaded.alias, "resize=48");
            assert_quarters(&pixels::decode(&made));
            // The picture itself is turned: nothing tells a viewer to turn it once more.
            assert!(
                !original.windows(6).any(|window| window == b"Exif\0\0"),
                "{what}"
            );
        }
    }
}

#[test]
fn a_turned_jpeg_of_any_size_shows_what_it_showed() {
    let server = Server::start();
    for (width, height) in [(96, 64), (75, 51), (17, 33), (3, 100), (8, 8)] {
        let stored = pictures::photo(width, height);
        for (orientation, upright) in [
            (1, stored.clone()),
            (2, stored.fliph()),
            (3, stored.rotate180()),
            (4, stored.flipv()),
            (5, stored.rotate90().fliph()),
            (6, stored.rotate90()),
            (7, stored.rotate270().fliph()),
            (8, stored.rotate270()),
        ] {
            let alias = server
                .upload(&dirty::turned_jpeg(&stored, orientation))
                .alias;
            let original = pixels::decode(&server.original(&alias));
            pixels::assert_similar(&original, &upright, 3.0);
            let made = pixels::decode(&server.process("png", &alias, ""));
            pixels::assert_similar(&made, &original, 1.0);
        }
    }
}

#[track_caller]
fn assert_quarters(image: &DynamicImage) {
    let (width, height) = (image.width(), image.height());
    assert!(width > height);
    for (x, y, colour) in [
        (1, 1, pictures::RED),
        (3, 1, pictures::GREEN),
        (1, 3, pictures::BLUE),
        (3, 3, pictures::WHITE),
    ] {
        pixels::assert_colour(image, x * width / 4, y * height / 4, colour, 8);
    }
}

#[test]
fn colour_profiles_are_honoured_in_variants() {
    let server = Server::start();
    let profile = icc::swapped_red_and_green();
    let image = pictures::quarters(64, 64);
    for bytes in [
        dirty::profiled_jpeg(&image, &profile),
        dirty::with_profile_png(&image),
        dirty::dirty_webp(&image),
    ] {
        let uploaded = server.upload(&bytes);
        for extension in ["png", "jpg", "webp"] {
            let made = pixels::decode(&server.process(extension, &uploaded.alias, ""));
            // What the file calls green is red to a viewer.
            pixels::assert_colour(&made, 16, 16, [30, 220, 30], 20);
            pixels::assert_colour(&made, 48, 16, [200, 30, 40], 20);
            pixels::assert_colour(&made, 16, 48, [60, 40, 220], 20);
            pixels::assert_colour(&made, 48, 48, pictures::WHITE, 10);
        }
    }
}

#[test]
fn transparency_survives_a_resize_without_fringes() {
    let server = Server::start();
    let image = pictures::fading(200, 20);
    for bytes in [pictures::png(&image), pictures::webp(&image)] {
        let alias = server.upload(&bytes).alias;
        for extension in ["png", "webp"] {
            let made = pixels::decode(&server.process(extension, &alias, "resize=50")).to_rgba8();
            for (x, _, pixel) in made.enumerate_pixels() {
                let expected = 255 - (x * 4 + 2) * 255 / 199;
                assert!(
                    u32::from(pixel[3]).abs_diff(expected) <= 8,
                    "{extension} at {x}: {pixel:?}, expected opacity {expected}"
                );
                // The green under full transparency must not bleed into what is seen.
                if pixel[3] > 32 {
                    assert!(
                        pixel[0] > 235 && pixel[1] < 20,
                        "{extension} at {x}: {pixel:?}"
                    );
                }
            }
        }
        // A format without transparency gets a ground, and red stays red.
        let made = pixels::decode(&server.process("jpg", &alias, "resize=50"));
        pixels::assert_colour(&made, 0, 2, [252, 2, 2], 12);
    }
}

#[test]
fn sixteen_bits_are_kept_at_upload_and_make_no_bands_on_the_way_down() {
    let server = Server::start();
    let image = pictures::deep_ramp(1000, 20);
    let alias = server.upload(&pictures::png(&image)).alias;
    let original = pixels::decode(&server.original(&alias));
    assert_eq!(original.color(), image::ColorType::Rgb16);
    pixels::assert_equal(&original, &image);
    let made = pixels::decode(&server.process("png", &alias, "resize=500"));
    let grey = made.to_rgb16();
    for (x, _, pixel) in grey.enumerate_pixels() {
        let expected = 8000 + x * 2;
        // Half a level of 8 bits is 128: rounding may cost that much and no more.
        let off = u32::from(pixel[0]).abs_diff(expected);
        assert!(off <= 140, "at {x}: {pixel:?}, expected {expected}");
    }
}

#[test]
fn grey_and_cmyk_jpegs_have_the_right_colours() {
    let server = Server::start();
    let grey = image::GrayImage::from_fn(64, 64, |x, _| image::Luma([(x * 4) as u8]));
    let alias = server.upload(&pictures::grey_jpeg(&grey)).alias;
    let expected: DynamicImage = grey.into();
    for extension in ["png", "jpg", "webp"] {
        let made = pixels::decode(&server.process(extension, &alias, ""));
        pixels::assert_similar(&made, &expected, 3.0);
    }

    let cmyk = include_bytes!("data/cmyk.jpeg");
    let uploaded = server.upload(cmyk);
    assert_eq!(uploaded.details["width"], 32);
    for extension in ["png", "jpg", "webp"] {
        let made = pixels::decode(&server.process(extension, &uploaded.alias, ""));
        for (x, y, colour) in [
            (8, 6, pictures::RED),
            (24, 6, pictures::GREEN),
            (8, 18, pictures::BLUE),
            (24, 18, pictures::WHITE),
        ] {
            pixels::assert_colour(&made, x, y, colour, 16);
        }
    }
}

#[test]
fn what_the_server_wrote_it_can_read_again() {
    let server = Server::start();
    for row in rows() {
        let alias = server.upload(&row.bytes).alias;
        for extension in ["jpg", "png", "webp", "gif", "apng"] {
            let made = server.process(extension, &alias, "");
            let again = server.upload(&made);
            let what = format!("{} as {extension}", row.name);
            assert_eq!(again.details["width"], SIZE.0, "{what}");
            // There is nothing left to clean.
            pixels::assert_equal(
                &pixels::decode(&server.original(&again.alias)),
                &pixels::decode(&made),
            );
        }
    }
}

#[test]
fn a_one_pixel_picture_is_a_picture() {
    let server = Server::start();
    let image = pictures::photo(1, 1);
    for bytes in [
        pictures::png(&image),
        pictures::jpeg(&image),
        pictures::webp(&image),
        pictures::gif(&[image.to_rgba8()]),
    ] {
        let alias = server.upload(&bytes).alias;
        for extension in ["jpg", "png", "webp", "gif", "apng"] {
            for operations in ["", "thumbnail=1", "resize=10", "crop=20x1", "blur=3"] {
                let made = pixels::decode(&server.process(extension, &alias, operations));
                assert_eq!((made.width(), made.height()), (1, 1));
            }
        }
    }
}

#[test]
fn very_long_pictures_shrink_to_at_least_one_pixel() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(4000, 2)))
        .alias;
    let made = pixels::decode(&server.process("png", &alias, "thumbnail=10"));
    assert_eq!((made.width(), made.height()), (10, 1));
}
