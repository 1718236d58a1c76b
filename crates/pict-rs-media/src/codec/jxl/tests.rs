//! Tests of JPEG XL with the output of our own encoder, and with small files from cjxl.

use jxl_encoder::{AnimationFrame, AnimationParams, LosslessConfig, PixelLayout};

use super::*;
use crate::codec::testing::{Collect, Film, Picture, picture};
use crate::rows::{Layout, RowSink};
use crate::{codec::testing::inspect as inspect_any, preview::preview};

const LAYOUTS: [Layout; 5] = [
    Layout::Gray8,
    Layout::Rgb8,
    Layout::Rgba8,
    Layout::Rgb16,
    Layout::Rgba16,
];

fn inspect(file: &[u8]) -> Result<Facts> {
    super::inspect(file, &Bounds::NONE, &Control::new())
}

fn encode(picture: &Picture, quality: u8) -> Vec<u8> {
    let mut encoder = Encoder::new(Some(quality), false);
    picture.push(&mut encoder).expect("encodes");
    encoder.into_bytes()
}

fn decoded(file: &[u8]) -> Result<Picture> {
    let facts = inspect(file)?;
    let mut sink = Collect::default();
    decode(file, &facts, &Control::new(), &mut sink)?;
    Ok(sink.picture())
}

fn cleaned(file: &[u8]) -> Vec<u8> {
    clean(file, &Control::new()).expect("cleans").concat()
}

/// Frames of plain colours that are shown for `ticks` 1/100 s each.
fn animation(width: u32, height: u32, ticks: &[u32]) -> Vec<u8> {
    let pictures: Vec<Vec<u8>> = (0..ticks.len())
        .map(|n| {
            let colour = [40 * n as u8, 200, 7, 255 - n as u8];
            colour.repeat((width * height) as usize)
        })
        .collect();
    let frames: Vec<_> = pictures
        .iter()
        .zip(ticks)
        .map(|(pixels, &duration)| AnimationFrame { pixels, duration })
        .collect();
    let params = AnimationParams {
        num_loops: 3,
        ..AnimationParams::default()
    };
    LosslessConfig::new()
        .with_effort(1)
        .encode_animation(width, height, PixelLayout::Rgba8, &params, &frames)
        .expect("encodes")
}

/// The animation, or its first canvases.
fn played(file: &[u8], stop_after: usize) -> Film {
    let facts = inspect(file).expect("is a JPEG XL");
    let mut film = Film {
        stop_after,
        ..Film::default()
    };
    decode_animation(file, &facts, &Control::new(), &mut film).expect("decodes");
    assert!(film.ended);
    film
}

fn boxed(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let size = (data.len() as u32 + 8).to_be_bytes();
    [&size, &name[..], data].concat()
}

fn contained(boxes: &[Vec<u8>]) -> Vec<u8> {
    let brand = boxed(b"ftyp", b"jxl \0\0\0\0jxl ");
    [container::SIGNATURE, &brand, &boxes.concat()].concat()
}

fn piece(number: u32, data: &[u8]) -> Vec<u8> {
    boxed(b"jxlp", &[&number.to_be_bytes(), data].concat())
}

#[test]
fn every_layout_comes_back_without_loss_at_quality_100() {
    for layout in LAYOUTS {
        for (width, height) in [(1, 1), (3, 7), (130, 61)] {
            let original = picture(width, height, layout);
            let file = encode(&original, 100);
            let facts = inspect_any(&file).expect("is a JPEG XL");
            assert_eq!((facts.stored_width, facts.stored_height), (width, height));
            assert_eq!(facts.bits, if layout.is_16_bit() { 16 } else { 8 });
            assert_eq!(facts.has_alpha, layout.has_alpha());
            assert_eq!(facts.colour == ColourModel::Gray, layout == Layout::Gray8);
            assert_eq!((facts.frames, facts.duration_ms), (1, None));
            assert_eq!(decoded(&file).expect("decodes"), original, "{layout:?}");
            assert!(icc(&file, &Control::new()).is_none());
            assert_eq!(cicp(&file, &Control::new()), Some((1, 13)));
        }
    }
}

#[test]
fn lower_quality_is_smaller_and_still_near() {
    for layout in LAYOUTS {
        let original = picture(200, 120, layout);
        assert!(encode(&original, 30).len() < encode(&original, 95).len());
        for quality in [95, 73, 40, 5, 0] {
            let file = encode(&original, quality);
            let found = decoded(&file).expect("decodes");
            let scale = if layout.is_16_bit() { 257 } else { 1 };
            let pairs = found.samples.iter().zip(&original.samples);
            let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = sum / original.samples.len() as u64 / scale;
            let allowed = if quality > 70 { 3 } else { 20 };
            assert!(mean <= allowed, "{layout:?} {quality} {mean}");
        }
    }
}

#[test]
fn an_animation_is_counted_and_played() {
    // Frames of zero ticks in the middle are layers of the next frame, not frames.
    let file = animation(20, 10, &[10, 25, 3, 7]);
    let facts = inspect_any(&file).expect("is a JPEG XL");
    assert_eq!((facts.frames, facts.duration_ms), (4, Some(450)));
    assert_eq!((facts.width(), facts.height(), facts.bits), (20, 10, 8));
    assert!(facts.is_animated() && facts.has_alpha);
    assert_eq!(facts.kind(), crate::Kind::Animation);
    let all = played(&file, 0);
    let shape = all.shape.expect("begun");
    assert_eq!((shape.loop_count, shape.has_alpha), (3, true));
    let first = |(rgba, delay): &(Vec<u8>, u32)| (*rgba.first_chunk().expect("a pixel"), *delay);
    assert_eq!(
        all.canvases.iter().map(first).collect::<Vec<_>>(),
        [
            ([0, 200, 7, 255], 100),
            ([40, 200, 7, 254], 250),
            ([80, 200, 7, 253], 30),
            ([120, 200, 7, 252], 70),
        ]
    );
    assert_eq!(played(&file, 1).canvases.len(), 1);
    // Bytes after the last frame are not kept.
    let longer = [&file[..], b"secret"].concat();
    assert_eq!(inspect(&longer).expect("is a JPEG XL"), facts);
    assert_eq!(cleaned(&longer), file);
}

#[test]
fn an_animation_of_one_frame_is_a_still() {
    let file = animation(20, 10, &[10]);
    let facts = inspect(&file).expect("is a JPEG XL");
    assert_eq!((facts.frames, facts.duration_ms), (1, None));
    assert_eq!(decoded(&file).expect("decodes").at(3, 3), [0, 200, 7, 255]);
}

#[test]
fn cleaning_keeps_the_codestream_and_nothing_that_tells_more() {
    let picture = picture(40, 30, Layout::Rgb8);
    let bare = encode(&picture, 80);
    assert_eq!(cleaned(&bare), bare);
    assert_eq!(cleaned(&[&bare[..], b"trailer"].concat()), bare);

    let level = boxed(b"jxll", &[5]);
    let private = [
        boxed(b"Exif", b"\0\0\0\0II*\0private"),
        boxed(b"xml ", b"<private/>"),
        boxed(b"jumb", b"private"),
        boxed(b"brob", b"xml private"),
        boxed(b"jbrd", b"private"),
        boxed(b"jhgm", b"private"),
        boxed(b"free", b"private"),
    ]
    .concat();
    let whole = boxed(b"jxlc", &bare);
    let dirty = contained(&[
        level.clone(),
        private.clone(),
        whole.clone(),
        private.clone(),
    ]);
    let clean = contained(&[level.clone(), whole]);
    assert_eq!(cleaned(&dirty), clean);
    assert_eq!(decoded(&clean).ok(), decoded(&bare).ok());

    // Data after the codestream in its own box, with the three ways to specify its length.
    let long = [&bare[..], b"private"].concat();
    let endless = [&0_u32.to_be_bytes(), &b"jxlc"[..], &long].concat();
    let size = (long.len() as u64 + 16).to_be_bytes();
    let wide = [&1_u32.to_be_bytes(), &b"jxlc"[..], &size, &long].concat();
    for whole in [boxed(b"jxlc", &long), endless, wide] {
        assert_eq!(cleaned(&contained(&[level.clone(), whole])), clean);
    }

    // In pieces.
    let (a, rest) = bare.split_at(20);
    let (b, c) = rest.split_at(30);
    let last = piece(2 | 1 << 31, c);
    let clean = contained(&[piece(0, a), piece(1, b), last.clone()]);
    let dirty = contained(&[
        piece(0, a),
        private.clone(),
        piece(1, b),
        last.clone(),
        private,
    ]);
    assert_eq!(cleaned(&dirty), clean);
    assert_eq!(decoded(&clean).ok(), decoded(&bare).ok());
    let long = piece(2 | 1 << 31, &[c, b"private"].concat());
    assert_eq!(
        cleaned(&contained(&[piece(0, a), piece(1, b), long])),
        clean
    );
    // A later version of the container allows any order.
    let brand = boxed(b"ftyp", b"jxl \0\0\0\x01jxl ");
    let pieces = [piece(0, a), last, piece(1, b)].concat();
    let mixed = [container::SIGNATURE, &brand, &pieces].concat();
    assert_eq!(cleaned(&mixed), mixed);
    assert_eq!(
        decoded(&mixed).expect("decodes"),
        decoded(&bare).expect("decodes")
    );
}

#[test]
fn work_stops_when_it_is_cancelled() {
    let control = Control::new();
    control.cancel();
    let still = encode(&picture(300, 300, Layout::Rgb8), 80);
    let facts = inspect(&still).expect("is a JPEG XL");
    let outcome = decode(&still, &facts, &control, &mut Collect::default());
    assert!(matches!(outcome, Err(Error::Cancelled)));
    let moving = animation(20, 10, &[1, 1]);
    let facts = inspect(&moving).expect("is a JPEG XL");
    let outcome = decode_animation(&moving, &facts, &control, &mut Film::default());
    assert!(matches!(outcome, Err(Error::Cancelled)));
}

#[test]
fn facts_of_another_file_are_noticed() {
    let file = encode(&picture(10, 10, Layout::Rgb8), 80);
    let other = inspect(&encode(&picture(10, 11, Layout::Rgb8), 80)).expect("is a JPEG XL");
    let outcome = decode(&file, &other, &Control::new(), &mut Collect::default());
    assert!(matches!(outcome, Err(Error::Internal(_))));
    let outcome = decode_animation(&file, &other, &Control::new(), &mut Film::default());
    assert!(matches!(outcome, Err(Error::Internal(_))));
}

/// Whatever is changed in the bytes, the only errors are those of a damaged file.
fn survives(file: &[u8]) {
    let blames = |error: &Error| {
        matches!(
            error,
            Error::Corrupt { .. } | Error::Unsupported(_) | Error::Unrecognised | Error::Empty
        )
    };
    let facts = match inspect_any(file) {
        Ok(facts) => facts,
        Err(error) => {
            assert!(blames(&error), "{error:?}");
            return;
        }
    };
    if u64::from(facts.stored_width) * u64::from(facts.stored_height) > 1 << 20 {
        return;
    }
    for outcome in [
        crate::clean::clean(file, &facts, &Control::new()).map(|_| ()),
        preview(file, &facts, &Control::new()).map(|_| ()),
    ] {
        if let Err(error) = outcome {
            assert!(blames(&error), "{error:?}");
        }
    }
}

#[test]
fn damaged_files_are_refused_politely() {
    let still = encode(&picture(70, 50, Layout::Rgba8), 60);
    let contained = contained(&[boxed(b"jxlc", &still), boxed(b"Exif", b"x")]);
    let lossless = encode(&picture(30, 20, Layout::Rgb16), 100);
    let moving = animation(16, 16, &[1, 2, 3]);
    for file in [still, contained, lossless, moving] {
        for end in 0..file.len() {
            survives(&file[..end]);
        }
        for at in 0..file.len() {
            for change in [1, 0x80, 0xff] {
                let mut broken = file.clone();
                broken[at] ^= change;
                survives(&broken);
            }
        }
        let half = &file[..file.len() / 2];
        let refused = inspect(half).and_then(|facts| preview(half, &facts, &Control::new()));
        assert!(refused.is_err());
    }
}

#[test]
fn the_encoder_refuses_rows_that_it_did_not_ask_for() {
    use crate::rows::{Row, Shape};
    let shape = |layout| Shape {
        width: 1,
        height: 1,
        layout,
    };
    let mut encoder = Encoder::new(None, true);
    assert!(encoder.row(Row::U8(&[1])).is_err());
    assert!(encoder.begin(shape(Layout::Cmyk8)).is_err());
    encoder.begin(shape(Layout::Gray8)).expect("begins");
    assert!(encoder.row(Row::U16(&[1])).is_err());
    assert!(encoder.row(Row::U8(&[1, 2])).is_err());
    assert!(encoder.end().is_err());
}

#[test]
fn files_of_others_are_what_they_say() {
    // Losslessly recompressed from a JPEG that EXIF turns: 64×96 stored.
    let file = include_bytes!("../testdata/from_jpeg.jxl");
    let facts = inspect_any(file).expect("is a JPEG XL");
    assert_eq!((facts.width(), facts.height()), (96, 64));
    assert_eq!(facts.orientation, Orientation::Normal);
    let cleaned = cleaned(file);
    for secret in [&b"Exif"[..], b"jbrd", b"SECRET"] {
        assert!(file.len() > cleaned.len());
        assert!(!cleaned.windows(secret.len()).any(|w| w == secret));
    }
    assert_eq!(decoded(&cleaned).ok(), decoded(file).ok());

    let file = include_bytes!("../testdata/moving.jxl");
    let facts = inspect_any(file).expect("is a JPEG XL");
    assert_eq!((facts.frames, facts.duration_ms), (4, Some(500)));
    let delays: Vec<_> = played(file, 0).canvases.iter().map(|seen| seen.1).collect();
    assert_eq!(delays, [50, 100, 150, 200]);

    // Display P3 has a profile, HDR has code points and all its bits.
    let file = include_bytes!("../testdata/p3.jxl");
    assert_eq!(cicp(file, &Control::new()), Some((12, 13)));
    assert!(icc(file, &Control::new()).is_some_and(|icc| icc.get(36..40) == Some(b"acsp")));
    let file = include_bytes!("../testdata/pq.jxl");
    assert_eq!(
        (cicp(file, &Control::new()), icc(file, &Control::new())),
        (Some((9, 16)), None)
    );
    assert_eq!(inspect(file).map(|facts| facts.bits).ok(), Some(16));
    let shape = decoded(file).expect("decodes").shape;
    assert_eq!(shape.layout, Layout::Rgb16);
}

/// Headers of a picture of 8 by 8 pixels with this many extra channels, and nothing after them.
fn headers(extra_channels: u64) -> Vec<u8> {
    let mut bits = Vec::new();
    let mut push = |value: u64, count: u32| bits.extend((0..count).map(|n| value >> n & 1 == 1));
    push(0x0aff, 16);
    // Small, one times eight high, as wide as high.
    push(1, 1);
    push(0, 5);
    push(1, 3);
    // Not all as usual, nothing of turns and animations, eight bits, which are enough inside.
    push(0, 1);
    push(0, 1);
    push(0, 1);
    push(0, 2);
    push(1, 1);
    // The number as an offset from two, each as usual, which is alpha.
    push(2, 2);
    push(extra_channels - 2, 4);
    (0..extra_channels).for_each(|_| push(1, 1));
    // The format's own colours, tagged as sRGB; no extensions; transforms as usual.
    push(1, 1);
    push(1, 1);
    push(0, 2);
    push(1, 1);
    let mut file: Vec<u8> = bits
        .chunks(8)
        .map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |sum, bit| sum << 1 | u8::from(*bit))
        })
        .collect();
    file.extend([0; 64]);
    file
}

#[test]
fn many_extra_channels_are_refused_by_number() {
    assert!(inspect(&headers(4)).expect("is allowed").has_alpha);
    // In a container that asks for more than the usual level.
    let many = headers(5);
    let boxes = [
        container::SIGNATURE,
        b"\0\0\0\x14ftypjxl \0\0\0\0jxl ",
        b"\0\0\0\x09jxll\x0a",
        b"\0\0\0\0jxlc",
        &many,
    ];
    for file in [boxes.concat(), many.clone()] {
        let error = inspect(&file).expect_err("is too many");
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
        let told = error.to_string();
        assert!(
            told.contains("5 extra channels") && told.contains("limit is 4"),
            "{told}"
        );
    }
}
