//! Files that break the rules of their format, and that browsers show all the same.

use std::io::Read as _;

use image::{DynamicImage, RgbaImage};

use crate::support::upstream::{Reply, Upstream};
use crate::support::{File, Launch, Server, disk, pictures, pixels};

fn case(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/cases");
    std::fs::read(format!("{folder}/{name}")).expect("there")
}

/// What is stored, and the pixels of a variant without loss.
fn shown(server: &Server, bytes: &[u8]) -> (Vec<u8>, DynamicImage) {
    let alias = server.upload(bytes).alias;
    let variant = pixels::decode(&server.process("png", &alias, ""));
    (server.original(&alias), variant)
}

/// Where the data of the first chunk of this kind lie.
fn chunk(png: &[u8], kind: &[u8; 4]) -> std::ops::Range<usize> {
    let start = pictures::find(png, kind) + 4;
    let size = png[start - 8..start - 4].try_into().expect("four");
    start..start + u32::from_be_bytes(size) as usize
}

fn with_wrong_sum(png: &[u8], kind: &[u8; 4]) -> Vec<u8> {
    let mut png = png.to_vec();
    let end = chunk(&png, kind).end;
    png[end] ^= 1;
    png
}

/// A wrong checksum inside of the compressed data, under a right one of their chunk.
fn with_wrong_adler(png: &[u8]) -> Vec<u8> {
    let data = chunk(png, b"IDAT");
    let mut wrong = png[data.clone()].to_vec();
    *wrong.last_mut().expect("not empty") ^= 1;
    let again = pictures::png_chunk(b"IDAT", &wrong);
    [&png[..data.start - 8], &again, &png[data.end + 4..]].concat()
}

#[test]
fn a_png_with_wrong_checksums_or_without_its_end_is_mended() {
    let server = Server::start();
    for picture in [
        pictures::noise(60, 40, 3),
        pictures::fading(50, 30),
        pictures::deep_ramp(40, 20),
    ] {
        let png = pictures::png(&picture);
        for (number, damaged) in [
            png[..png.len() - 12].to_vec(),
            png[..png.len() - 1].to_vec(),
            with_wrong_sum(&png, b"IHDR"),
            with_wrong_sum(&png, b"IDAT"),
            with_wrong_sum(&png, b"IEND"),
            with_wrong_adler(&png),
        ]
        .iter()
        .enumerate()
        {
            let (stored, variant) = shown(&server, damaged);
            pixels::assert_equal(&variant, &picture);
            // Both of these verify checksums.
            pixels::assert_equal(&pixels::decode(&stored), &picture);
            let mut inflated = Vec::new();
            let mut data = flate2::read::ZlibDecoder::new(&stored[chunk(&stored, b"IDAT")]);
            data.read_to_end(&mut inflated)
                .unwrap_or_else(|error| panic!("{number}: {error}"));
            assert!(stored.ends_with(&pictures::png_chunk(b"IEND", b"")));
        }
    }
}

#[test]
fn an_apng_that_counts_wrong_or_has_no_end_is_mended() {
    let server = Server::start();
    let film = pictures::film(40, 30, 4);
    let apng = pictures::apng(&film);
    let count = chunk(&apng, b"acTL");
    let mut counts_more = apng.clone();
    counts_more[count.start + 3] = 9;
    let control = [&counts_more[count.clone()]].concat();
    let control = pictures::png_chunk(b"acTL", &control);
    counts_more.splice(count.start - 8..count.end + 4, control);
    for damaged in [
        counts_more,
        apng[..apng.len() - 12].to_vec(),
        with_wrong_sum(&apng, b"fdAT"),
        with_wrong_sum(&apng, b"fcTL"),
    ] {
        let uploaded = server.upload(&damaged);
        assert_eq!(uploaded.details["frames"], 4);
        let stored = server.original(&uploaded.alias);
        let frames = pixels::frames(&stored);
        assert_eq!(frames.len(), 4);
        for ((got, _), expected) in frames.iter().zip(&film) {
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn a_jpeg_without_its_end_or_with_flipped_bytes_is_mended() {
    let server = Server::start();
    let picture = pictures::photo(90, 70);
    let jpeg = pictures::jpeg(&picture);
    let whole = shown(&server, &jpeg).1;
    let (stored, variant) = shown(&server, &jpeg[..jpeg.len() - 2]);
    pixels::assert_equal(&variant, &whole);
    assert!(stored.ends_with(&[0xff, 0xd9]));
    pixels::assert_similar(&pixels::decode(&stored), &whole, 2.0);

    let (stored, _) = shown(&server, &case("progressive-without-end.jpg"));
    assert!(stored.ends_with(&[0xff, 0xd9]));
    // Chromium shows these pixels of the file as it was sent.
    let (stored, variant) = shown(&server, &case("flipped-bytes.jpg"));
    assert!(stored.ends_with(&[0xff, 0xd9]));
    for (y, colour) in [
        (0, [132, 200, 65]),
        (90, [131, 154, 82]),
        (180, [129, 109, 102]),
        (198, [191, 162, 148]),
        (288, [193, 116, 168]),
    ] {
        pixels::assert_colour(&variant, 200, y, colour, 6);
    }
}

#[test]
fn a_webp_of_another_size_than_it_says_is_mended() {
    let server = Server::start();
    let picture = pictures::noise(40, 30, 5);
    let webp = pictures::webp(&picture);
    for size in [
        0,
        4,
        webp.len() as u32 - 10,
        webp.len() as u32 + 90,
        u32::MAX,
    ] {
        let mut damaged = webp.clone();
        damaged[4..8].copy_from_slice(&size.to_le_bytes());
        let (stored, variant) = shown(&server, &damaged);
        pixels::assert_equal(&variant, &picture);
        pixels::assert_equal(&pixels::decode(&stored), &picture);
    }
    shown(&server, &case("wrong-riff-size.webp"));
}

/// What was cut, how the refusal names it, the rows that are there, and the whole picture.
fn cut() -> Vec<(Vec<u8>, &'static str, std::ops::Range<u32>, DynamicImage)> {
    let noise = pictures::noise(60, 80, 11);
    let photo = pictures::photo(64, 160);
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let bmp = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        noise
            .write_to(&mut bytes, image::ImageFormat::Bmp)
            .expect("written");
        bytes.into_inner()
    };
    let jpeg = pictures::jpeg(&photo);
    let whole_jpeg = pixels::decode(&jpeg);
    let plain: RgbaImage = pictures::film(60, 80, 1).remove(0);
    vec![
        (half(pictures::png(&noise)), "PNG", 0..30, noise.clone()),
        (half(pictures::webp(&noise)), "WebP", 0..20, noise.clone()),
        (half(bmp), "BMP", 42..80, noise.clone()),
        (half(jpeg), "JPEG", 0..32, whole_jpeg),
        (
            half(pictures::gif(std::slice::from_ref(&plain))),
            "GIF",
            0..8,
            plain.into(),
        ),
    ]
}

#[test]
fn a_cut_file_is_refused_with_what_is_there_of_it() {
    let server = Server::start();
    for (bytes, name, _, picture) in cut() {
        let message = server.upload_refused("", &bytes, 400, "media-damaged");
        let start = format!("the {name} file is damaged: it ends after row ");
        let end = format!(" of {}: ", picture.height());
        assert!(
            message.starts_with(&start) && message.contains(&end),
            "{message}"
        );
    }
    for (name, rows) in [
        ("cut.jpg", "of 300: "),
        ("cut.png", "of 48: "),
        ("cut.gif", "of 96: "),
        ("cut.bmp", "of 48: "),
        ("cut.avif", "of 48: "),
        ("cut-interlaced.png", "too early, and is coarse: "),
    ] {
        let answer = server.upload_form("", &[File::new(&case(name))]);
        let message = answer.refused(400, "media-damaged");
        assert!(message.contains(rows), "{name}: {message}");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("media.image.accept_damaged"), "{detail}");
    }
    disk::assert_nothing_stored(&server);
}

/// The rows that are there are right; the others are transparent, or white in a JPEG.
fn check(variant: &DynamicImage, rows: &std::ops::Range<u32>, picture: &DynamicImage) {
    let (got, expected) = (variant.to_rgba8(), picture.to_rgba8());
    assert_eq!(got.dimensions(), expected.dimensions());
    for (x, y, pixel) in got.enumerate_pixels() {
        if rows.contains(&y) {
            let off = pixel.0.iter().zip(expected.get_pixel(x, y).0);
            let off = off.map(|(a, b)| a.abs_diff(b)).max();
            assert!(off <= Some(4), "{x} {y}: {pixel:?}");
        }
    }
    let far = if rows.start > 0 { 0 } else { got.height() - 1 };
    let pixel = got.get_pixel(0, far).0;
    assert!(pixel[3] == 0 || pixel == [255; 4], "{pixel:?}");
}

#[test]
fn a_cut_file_is_taken_in_where_the_settings_say_so() {
    let server = Server::with([("media.image.accept_damaged", "true")]);
    for (bytes, _, rows, picture) in cut() {
        let (stored, variant) = shown(&server, &bytes);
        check(&variant, &rows, &picture);
        check(&pixels::decode(&stored), &rows, &picture);
    }
    for name in ["cut.jpg", "cut.png", "cut.gif", "cut.bmp", "cut.avif"] {
        shown(&server, &case(name));
    }
    // Nothing of the picture is there.
    let png = pictures::png(&pictures::noise(40, 40, 2));
    server.upload_refused("", &png[..60], 400, "media-damaged");
    // An animation is as long as its whole frames.
    let apng = pictures::apng(&pictures::film(40, 30, 4));
    let uploaded = server.upload(&apng[..apng.len() * 4 / 5]);
    assert_eq!(uploaded.details["frames"], 3);
}

#[test]
fn a_cut_file_of_another_server_is_shown_as_far_as_it_is_there() {
    let cases = cut();
    let files: Vec<_> = cases.iter().map(|(bytes, ..)| bytes.clone()).collect();
    let upstream = Upstream::start(move |asked| {
        let number: usize = asked.path[1..].parse().expect("a number");
        Reply::ok(&files[number])
    });
    let server = Launch::new()
        .setting("client.allow_local_connections", true)
        .start();
    for (number, (_, _, rows, picture)) in cases.iter().enumerate() {
        let url = upstream.url(&format!("/{number}"));
        let path = format!("/image/process.png?proxy={url}");
        let variant = pixels::decode(&server.get(&path).ok().body);
        check(&variant, rows, picture);
    }
}

#[test]
fn an_interlaced_picture_that_was_cut_is_coarse_and_not_half() {
    let server = Server::with([("media.image.accept_damaged", "true")]);
    let bytes = case("cut-interlaced.png");
    let (_, variant) = shown(&server, &bytes);
    let got = variant.to_rgba8();
    assert!(got.pixels().all(|pixel| pixel[3] == 255));
    let top = got.get_pixel(0, 0).0;
    assert_eq!(
        got.get_pixel(1, 0).0,
        top,
        "a pixel stands for its neighbours"
    );
}

#[test]
fn limits_come_before_a_repair() {
    let server = Server::with([("media.image.max_width", "50")]);
    let png = pictures::png(&pictures::noise(60, 40, 3));
    server.upload_refused("", &png[..png.len() - 12], 400, "validate-width");
    server.upload_refused("", &png[..png.len() / 2], 400, "validate-width");
    disk::assert_nothing_stored(&server);
    let server = Server::with([("media.image.max_file_size", "1")]);
    let png = pictures::png(&pictures::noise(700, 700, 3));
    assert!(png.len() > 1 << 20);
    server.upload_refused("", &png[..png.len() - 12], 413, "validate-file-size");
    disk::assert_nothing_stored(&server);
}
