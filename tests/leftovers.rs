//! Bytes that lie in a file and change no pixel: nothing of them is stored.

use image::{DynamicImage, ImageFormat, RgbaImage};

use crate::support::client::process_path;
use crate::support::{Server, icc, pictures, pixels};

const MARK: &[u8] = b"LEAKMARK";

fn has_mark(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

/// Several of them, so that some lie on whole bytes wherever they begin.
fn marks() -> Vec<u8> {
    MARK.repeat(40)
}

/// Uploads a file and asserts that what is stored has no mark, shows the same, and is not changed
/// when it is cleaned again.
fn assert_gone(server: &Server, name: &str, bytes: &[u8]) -> Vec<u8> {
    assert!(has_mark(bytes), "{name}: the test has something to find");
    let stored = server.original(&server.upload(bytes).alias);
    assert!(!has_mark(&stored), "{name}");
    let again = server.original(&server.upload(&stored).alias);
    assert!(again == stored, "{name}: cleaning what is clean");
    if matches!(
        pixels::format(bytes),
        Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)
    ) {
        assert!(pixels::decode(&stored) == pixels::decode(bytes), "{name}");
    }
    stored
}

fn insert(file: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    [&file[..at], bytes, &file[at..]].concat()
}

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).expect("short");
    [&[0xff, marker], &length.to_be_bytes()[..], payload].concat()
}

#[test]
fn nothing_hides_behind_the_data_of_a_jpeg_or_in_a_profile_that_is_none() {
    let server = Server::start();
    let photo = pictures::jpeg(&pictures::photo(75, 51));
    let grey = pictures::grey_jpeg(&pictures::photo(75, 51).to_luma8());
    let fake = |data: &[u8]| segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", data].concat());
    let profile = icc::swapped_red_and_green();
    for (name, bytes) in [
        ("before the end", insert(&photo, photo.len() - 2, &marks())),
        ("grey", insert(&grey, grey.len() - 2, &marks())),
        ("a fake profile", insert(&photo, 2, &fake(&marks()))),
        (
            "behind a profile",
            insert(&photo, 2, &fake(&[&profile[..], MARK].concat())),
        ),
        (
            "two profiles",
            insert(&photo, 2, &[fake(&profile), fake(&marks())].concat()),
        ),
        (
            "the case",
            include_bytes!("data/cases/jpeg-bytes-before-eoi.jpg").to_vec(),
        ),
        (
            "the other case",
            include_bytes!("data/cases/jpeg-fake-icc.jpg").to_vec(),
        ),
    ] {
        assert_gone(&server, name, &bytes);
    }
    // A real profile stays to the byte.
    let stored = server.original(&server.upload(&insert(&photo, 2, &fake(&profile))).alias);
    assert!(
        stored
            .windows(profile.len())
            .any(|window| window == profile)
    );
}

#[test]
fn nothing_hides_in_the_tails_of_png_chunks() {
    let server = Server::start();
    let photo = pictures::png(&pictures::photo(60, 40));
    // Behind the header.
    let with = |name: &[u8; 4], data: &[u8]| insert(&photo, 33, &pictures::png_chunk(name, data));
    let known: [(&[u8; 4], usize); 12] = [
        (b"sBIT", 3),
        (b"gAMA", 4),
        (b"cHRM", 32),
        (b"sRGB", 1),
        (b"cICP", 4),
        (b"mDCV", 24),
        (b"cLLI", 8),
        (b"tRNS", 6),
        (b"bKGD", 6),
        (b"pHYs", 9),
        (b"PLTE", 3),
        (b"tIME", 7),
    ];
    for (name, length) in known {
        let data = [&vec![1; length][..], &marks()].concat();
        // Of a palette three bytes are a colour.
        let data = &data[..data.len() - data.len() % 3];
        let name_of = String::from_utf8_lossy(name);
        let bytes = with(name, data);
        assert!(has_mark(&bytes));
        let stored = server.original(&server.upload(&bytes).alias);
        assert!(!has_mark(&stored), "{name_of}");
        assert!(
            server.original(&server.upload(&stored).alias) == stored,
            "{name_of}"
        );
    }
    // A second chunk of a kind.
    let gamma = pictures::png_chunk(b"gAMA", &45455_u32.to_be_bytes());
    let twice = insert(
        &photo,
        33,
        &[&gamma[..], &pictures::png_chunk(b"sBIT", b"LEA")].concat(),
    );
    let stored = server.original(&server.upload(&insert(&twice, 33, &gamma)).alias);
    assert_eq!(
        stored
            .windows(4)
            .filter(|window| *window == b"gAMA")
            .count(),
        1
    );
}

#[test]
fn nothing_hides_in_the_name_or_behind_the_end_of_a_profile_in_a_png() {
    let server = Server::start();
    let file = crate::support::dirty::with_profile_png(&pictures::photo(60, 40));
    let at = pictures::find(&file, b"iCCP") - 4;
    let length = u32::from_be_bytes(file[at..at + 4].try_into().expect("four")) as usize;
    let data = &file[at + 8..at + 8 + length];
    let name = data.iter().position(|byte| *byte == 0).expect("a name");
    for (what, data) in [
        ("name", [MARK, &data[name..]].concat()),
        ("behind the stream", [data, &marks()].concat()),
    ] {
        let chunk = pictures::png_chunk(b"iCCP", &data);
        let bytes = [&file[..at], &chunk, &file[at + 12 + length..]].concat();
        let stored = assert_gone(&server, what, &bytes);
        assert!(pictures::find(&stored, b"iCCP") > 0, "{what}");
    }
}

#[test]
fn nothing_hides_behind_the_rows_of_a_png() {
    let server = Server::start();
    // Bytes behind the compressed stream.
    let photo = pictures::png(&pictures::photo(60, 40));
    let end = photo.len() - 12;
    let bytes = insert(&photo, end, &pictures::png_chunk(b"IDAT", &marks()));
    let stored = assert_gone(&server, "a chunk behind the stream", &bytes);
    assert!(stored == server.original(&server.upload(&photo).alias));
    // Rows beyond the picture are compressed, so that their length tells.
    let case = include_bytes!("data/cases/png-rows-beyond-the-picture.png");
    let stored = server.original(&server.upload(case).alias);
    assert!(
        stored.len() < case.len() / 2,
        "{} of {}",
        stored.len(),
        case.len()
    );
    assert!(pixels::decode(&stored) == pixels::decode(case));
    // Frames of an animation have streams of their own.
    let film = pictures::apng(&pictures::film(40, 30, 4));
    let at = film
        .windows(4)
        .rposition(|window| window == b"fdAT")
        .expect("a frame")
        - 4;
    let length = u32::from_be_bytes(film[at..at + 4].try_into().expect("four")) as usize;
    let data = [&film[at + 8..at + 8 + length], &marks()].concat();
    let chunk = pictures::png_chunk(b"fdAT", &data);
    let bytes = [&film[..at], &chunk, &film[at + 12 + length..]].concat();
    let stored = assert_gone(&server, "a frame", &bytes);
    assert!(pixels::frames(&stored) == pixels::frames(&film));
}

#[test]
fn nothing_hides_behind_the_codes_of_a_gif() {
    let server = Server::start();
    let film = pictures::gif(&pictures::film(40, 30, 3));
    // The last frame ends with an empty block, then comes the trailer.
    assert!(film.ends_with(&[0, 0x3b]));
    let block = [&[240], &marks()[..240]].concat();
    let bytes = insert(&film, film.len() - 2, &block);
    let stored = assert_gone(&server, "the last frame", &bytes);
    assert!(pixels::frames(&stored) == pixels::frames(&film));
}

#[test]
fn nothing_hides_in_the_chunks_of_a_webp() {
    let server = Server::start();
    let still = pictures::webp(&pictures::photo(60, 40));
    let vp8x = pictures::chunk(b"VP8X", &[0x20, 0, 0, 0, 59, 0, 0, 39, 0, 0]);
    let fake = pictures::chunk(b"ICCP", &marks());
    let profile = [&icc::swapped_red_and_green()[..], MARK].concat();
    let longer = pictures::chunk(b"ICCP", &profile);
    for (name, chunk) in [("a fake profile", fake), ("behind a profile", longer)] {
        let bytes = pictures::riff(&[&vp8x, &chunk, &still[12..]].concat());
        assert_gone(&server, name, &bytes);
    }
    // Behind the data of the picture, in its chunk. The image crate writes VP8L.
    assert_eq!(&still[12..16], b"VP8L");
    let length = u32::from_le_bytes(still[16..20].try_into().expect("four")) as usize;
    for name in ["lossless", "lossy"] {
        let data = if name == "lossless" {
            pictures::chunk(b"VP8L", &[&still[20..20 + length], &marks()].concat())
        } else {
            let alias = server
                .upload(&pictures::png(&pictures::photo(60, 40)))
                .alias;
            let lossy = server.process("webp", &alias, "");
            assert_eq!(&lossy[12..16], b"VP8 ");
            let length = u32::from_le_bytes(lossy[16..20].try_into().expect("four")) as usize;
            pictures::chunk(b"VP8 ", &[&lossy[20..20 + length], &marks()].concat())
        };
        assert_gone(&server, name, &pictures::riff(&data));
    }
    let film = pictures::animated_webp(&pictures::film(40, 30, 3));
    let at = pictures::find(&film, b"ANIM");
    let anim = pictures::chunk(b"ANIM", &[&film[at + 8..at + 14], &marks()[..]].concat());
    let bytes = pictures::riff(&[&film[12..at], &anim, &film[at + 14..]].concat());
    let stored = server.original(&server.upload(&bytes).alias);
    assert!(!has_mark(&stored));
    assert!(pixels::frames(&stored) == pixels::frames(&film));
}

#[test]
fn nothing_hides_in_the_boxes_of_avif_and_jpeg_xl() {
    let server = Server::start();
    let part = |name: &[u8; 4], data: &[u8]| {
        let size = u32::try_from(data.len() + 8).expect("small");
        [&size.to_be_bytes(), &name[..], data].concat()
    };
    let avif = include_bytes!("data/formats/still.avif");
    let jxl = [
        part(b"JXL ", b"\r\n\x87\n"),
        part(b"ftyp", b"jxl \0\0\0\0jxl "),
        part(b"free", MARK),
        part(b"jxlc", include_bytes!("data/formats/still.jxl")),
        part(b"uuid", MARK),
    ]
    .concat();
    let padded = [
        &avif[..],
        &part(b"free", &[0; 100_000]),
        &part(b"uuid", &marks()),
    ]
    .concat();
    for (name, bytes) in [("AVIF", padded), ("JPEG XL", jxl)] {
        let alias = server.upload(&bytes).alias;
        let stored = server.original(&alias);
        assert!(!has_mark(&stored), "{name}");
        assert!(stored.len() < 50_000, "{name}: {}", stored.len());
        let made = server.get(&process_path("png", &alias, "")).ok().body;
        let clean: &[u8] = if name == "AVIF" {
            avif
        } else {
            include_bytes!("data/formats/still.jxl")
        };
        let other = server.upload(clean).alias;
        let expected = server.get(&process_path("png", &other, "")).ok().body;
        assert!(pixels::decode(&made) == pixels::decode(&expected), "{name}");
    }
}

#[test]
fn a_profile_keeps_no_private_words() {
    let server = Server::start();
    let mut profile = icc::swapped_red_and_green();
    // One more tag, which only its program knows.
    let count = u32::from_be_bytes(profile[128..132].try_into().expect("four"));
    let table = 132 + count as usize * 12;
    for entry in 0..count as usize {
        let at = 132 + entry * 12 + 4;
        let offset = u32::from_be_bytes(profile[at..at + 4].try_into().expect("four")) + 12;
        profile[at..at + 4].copy_from_slice(&offset.to_be_bytes());
    }
    let place = u32::try_from(profile.len() + 12)
        .expect("small")
        .to_be_bytes();
    let entry = [&b"priv"[..], &place, &8_u32.to_be_bytes()].concat();
    profile.splice(table..table, entry);
    profile[128..132].copy_from_slice(&(count + 1).to_be_bytes());
    profile.extend(MARK);
    let size = u32::try_from(profile.len()).expect("small").to_be_bytes();
    profile[..4].copy_from_slice(&size);
    let photo = pictures::jpeg(&pictures::photo(75, 51));
    let payload = [b"ICC_PROFILE\0\x01\x01", &profile[..]].concat();
    let bytes = insert(&photo, 2, &segment(0xe2, &payload));
    let stored = assert_gone(&server, "a private tag", &bytes);
    assert!(pictures::find(&stored, b"ICC_PROFILE") > 0);
    // It still says that red and green change places.
    let shown = |bytes: &[u8]| {
        let alias = server.upload(bytes).alias;
        pixels::decode(&server.process("png", &alias, "")).to_rgb8()
    };
    let quarters = pictures::jpeg(&DynamicImage::ImageRgba8(RgbaImage::from_pixel(
        32,
        32,
        image::Rgba([200, 30, 30, 255]),
    )));
    let [red, green, _] = shown(&insert(&quarters, 2, &segment(0xe2, &payload)))
        .get_pixel(9, 9)
        .0;
    assert!(green > red, "{red} {green}");
}
