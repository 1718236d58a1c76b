//! Pictures in other colours than sRGB, as people see them in the end.

use image::{DynamicImage, ImageBuffer, Rgb};

use crate::support::{Server, pictures, pixels};

/// A PNG with chunks that say what its samples mean.
fn png(image: &DynamicImage, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let plain = pictures::png(image);
    let (header, rest) = plain.split_at(33);
    let chunks = chunks
        .iter()
        .flat_map(|(name, data)| pictures::png_chunk(name, data));
    [header, &chunks.collect::<Vec<_>>(), rest].concat()
}

/// Stripes of these colours, 16 pixels wide.
fn stripes(colours: &[[u16; 3]]) -> DynamicImage {
    let width = colours.len() as u32 * 16;
    ImageBuffer::from_fn(width, 32, |x, _| Rgb(colours[x as usize / 16])).into()
}

/// One pixel white, one black: half the light.
fn checks(white: [u16; 3]) -> DynamicImage {
    ImageBuffer::from_fn(256, 256, |x, y| {
        Rgb(if (x + y) % 2 == 0 { white } else { [0; 3] })
    })
    .into()
}

/// The 16-bit code of a part of the signal.
fn code(part: f64) -> u16 {
    (part * 65535.0).round() as u16
}

/// What the parts of a picture of stripes look like in `extension`.
fn shown(server: &Server, bytes: &[u8], extension: &str, stripes: u32) -> Vec<[u8; 3]> {
    let alias = server.upload(bytes).alias;
    let made = pixels::decode(&server.process(extension, &alias, "")).to_rgb8();
    let at = |stripe| made.get_pixel(stripe * 16 + 8, 16).0;
    (0..stripes).map(at).collect()
}

fn assert_near(shown: &[[u8; 3]], expected: &[[u8; 3]], tolerance: u8) {
    let near = |a: &[u8; 3], b: &[u8; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= tolerance);
    assert!(
        shown.len() == expected.len() && shown.iter().zip(expected).all(|(a, b)| near(a, b)),
        "{shown:?} instead of {expected:?}"
    );
}

const PQ: (&[u8; 4], &[u8]) = (b"cICP", &[9, 16, 0, 1]);
const HLG: (&[u8; 4], &[u8]) = (b"cICP", &[9, 18, 0, 1]);

#[test]
fn hdr_is_neither_flat_nor_neon() {
    let server = Server::start();
    // Black, 10, 50, 100, 203 (white paper) and 1,000 cd/m², as SMPTE ST 2084 has them.
    let greys = [0.0, 0.3017, 0.4400, 0.5081, 0.5807, 0.7518].map(|v| [code(v); 3]);
    let expected = [[0; 3], [63; 3], [136; 3], [186; 3], [230; 3], [255; 3]];
    let file = png(&stripes(&greys), &[PQ]);
    for (extension, tolerance) in [("png", 3), ("jpg", 4), ("webp", 4)] {
        assert_near(&shown(&server, &file, extension, 6), &expected, tolerance);
    }
    // HLG: black, a grey card, white paper, the brightest.
    let greys = [0.0, 0.38, 0.75, 1.0].map(|v| [code(v); 3]);
    let file = png(&stripes(&greys), &[HLG]);
    let expected = [[0; 3], [101; 3], [230; 3], [255; 3]];
    assert_near(&shown(&server, &file, "png", 4), &expected, 3);
}

#[test]
fn hdr_shrinks_in_light() {
    let server = Server::start();
    let bright = code(0.4400);
    let alias = server.upload(&png(&checks([bright; 3]), &[PQ])).alias;
    let small = pixels::decode(&server.process("png", &alias, "thumbnail=32"));
    // Half of 50 cd/m² is 25, whose level is 99; of the code values it would be 12 cd/m².
    pixels::assert_colour(&small, 16, 16, [99; 3], 4);
    let linear = server.upload(&png(&checks([65535; 3]), &[(b"cICP", &[1, 8, 0, 1])]));
    let small = pixels::decode(&server.process("png", &linear.alias, "thumbnail=32"));
    pixels::assert_colour(&small, 16, 16, [188; 3], 3);
}

#[test]
fn depth_survives_the_conversion_and_the_resize() {
    let server = Server::start();
    let ramp: DynamicImage = ImageBuffer::from_fn(1024, 16, |x, _| {
        Rgb([code(0.3 + 0.1 * f64::from(x) / 1024.0); 3])
    })
    .into();
    let alias = server.upload(&png(&ramp, &[PQ])).alias;
    for operations in ["", "resize=512"] {
        let made = pixels::decode(&server.process("png", &alias, operations));
        assert!(made.as_rgb16().is_some(), "{:?}", made.color());
        let mut levels: Vec<_> = made.to_rgb16().pixels().map(|pixel| pixel[1]).collect();
        levels.sort_unstable();
        levels.dedup();
        // 8 bits have 55 of them.
        assert!(levels.len() > 400, "{} levels", levels.len());
    }
}

#[test]
fn wide_gamuts_are_read_from_code_points_and_primaries() {
    let server = Server::start();
    // sRGB's red and a grey, as Display P3 has them.
    let p3 = stripes(&[[234 * 257, 51 * 257, 35 * 257], [99 * 257; 3]]);
    let expected = [[255, 0, 0], [99; 3]];
    let file = png(&p3, &[(b"cICP", &[12, 13, 0, 1])]);
    assert_near(&shown(&server, &file, "png", 2), &expected, 3);
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|v| v.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    let points = words(&[31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000]);
    let gamma = words(&[45455]);
    let measured: [(&[u8; 4], &[u8]); 2] = [(b"gAMA", &gamma), (b"cHRM", &points)];
    assert_near(
        &shown(&server, &png(&p3, &measured), "png", 2),
        &expected,
        3,
    );
    // Who also says sRGB means that.
    let both = [measured[0], measured[1], (b"sRGB", &[0][..])];
    let file = png(&p3, &both);
    assert_near(&shown(&server, &file, "png", 1), &[[234, 51, 35]], 1);
    // What stays as it came still says what it is.
    let kept = server.original(&server.upload(&png(&p3, &measured)).alias);
    assert!(kept.windows(4).any(|name| name == b"cHRM"));
}

#[test]
fn hdr_that_needs_no_hdr_is_what_it_would_be_in_srgb() {
    let server = Server::start();
    // These colours of sRGB (white at 203 cd/m²) as zimg 3.0 writes them in BT.2100 PQ.
    let written = [
        [30011, 25654, 20520],
        [25135, 29763, 24486],
        [18995, 19400, 30486],
        [27186, 27186, 27186],
    ];
    let expected = [
        [170, 100, 60],
        [60, 150, 90],
        [40, 60, 160],
        [120, 120, 120],
    ];
    let file = png(&stripes(&written), &[PQ]);
    assert_near(&shown(&server, &file, "png", 4), &expected, 1);
}

/// As phones write it: a picture for every screen, then a second file with what HDR screens add,
/// with metadata of its own.
fn with_gain_map(base: &[u8], secret: &[u8]) -> Vec<u8> {
    let segment = |marker: u8, parts: &[&[u8]]| {
        let payload = parts.concat();
        let length = u16::try_from(payload.len() + 2).expect("short");
        [&[0xff, marker][..], &length.to_be_bytes(), &payload].concat()
    };
    let gains = pictures::jpeg(&pictures::photo(16, 16));
    let about: &[u8] =
        b"<x:xmpmeta xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0'/>";
    let xmp: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
    let iso: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";
    [
        &base[..2],
        &segment(0xe1, &[xmp, about, secret]),
        &segment(0xe2, &[iso, &[0; 4]]),
        &segment(0xe2, &[b"MPF\0", b"II*\0\x08\0\0\0\0\0", secret]),
        &base[2..],
        &gains[..2],
        &segment(0xe1, &[xmp, about, secret]),
        &segment(0xe2, &[iso, &[7; 61]]),
        &gains[2..],
    ]
    .concat()
}

#[test]
fn a_gain_map_is_left_behind_and_the_picture_is_the_one_for_every_screen() {
    let server = Server::start();
    let base = pictures::jpeg(&pictures::photo(120, 80));
    let secret = b"taken at home";
    let uploaded = server.upload(&with_gain_map(&base, secret));
    assert_eq!(uploaded.details["frames"], serde_json::Value::Null);
    assert_eq!(uploaded.details["width"], 120);
    let kept = server.original(&uploaded.alias);
    for word in [&secret[..], b"hdrgm", b"MPF", b"21496"] {
        assert!(!kept.windows(word.len()).any(|w| w == word), "{word:?}");
    }
    pixels::assert_equal(&pixels::decode(&kept), &pixels::decode(&base));
    let plain = server.upload(&base).alias;
    for operations in ["", "thumbnail=40"] {
        assert_eq!(
            server.process("webp", &uploaded.alias, operations),
            server.process("webp", &plain, operations),
        );
    }
}
