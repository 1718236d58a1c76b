//! Tests of the codec through the pipeline, on generated pictures.

use super::*;
use crate::codec::testing::{self, Film};
use crate::rows::{AnimationShape, Layout, Row, RowSink, Shape};
use crate::{Control, Error};

fn inspect(source: &[u8]) -> Result<Facts> {
    super::inspect(source, &Control::new())
}

fn icc(source: &[u8]) -> Option<Cow<'_, [u8]>> {
    super::icc(source, &Control::new())
}

const LOSSLESS: Settings = Settings {
    quality: None,
    lossless: true,
    fast: true,
};
const LOSSY: Settings = Settings {
    quality: None,
    lossless: false,
    fast: true,
};

/// A still, as rows.
#[derive(Debug, PartialEq)]
struct Still {
    shape: Shape,
    samples: Vec<u8>,
}

impl Still {
    fn empty() -> Self {
        Self {
            shape: Shape {
                width: 0,
                height: 0,
                layout: Layout::Rgb8,
            },
            samples: Vec::new(),
        }
    }
}

impl RowSink for Still {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        self.shape = shape;
        Ok(())
    }
    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let Row::U8(row) = row else {
            panic!("WebP has 8 bits");
        };
        assert_eq!(row.len(), self.shape.row_len());
        self.samples.extend_from_slice(row);
        Ok(())
    }
    fn end(&mut self) -> Result<()> {
        assert_eq!(
            self.samples.len(),
            self.shape.row_len() * self.shape.height as usize
        );
        Ok(())
    }
}

fn encode(settings: Settings, still: &Still) -> Vec<u8> {
    let mut encoder = Encoder::new(settings);
    encoder.begin(still.shape).expect("begins");
    for row in still.samples.chunks_exact(still.shape.row_len()) {
        encoder.row(Row::U8(row)).expect("takes rows");
    }
    encoder.end().expect("ends");
    encoder.into_bytes()
}

fn decode_still(bytes: &[u8]) -> Result<Still> {
    let facts = inspect(bytes)?;
    let mut still = Still::empty();
    decode(bytes, &facts, &Control::new(), &mut still)?;
    Ok(still)
}

fn animate(settings: Settings, shape: AnimationShape, canvases: &[(Vec<u8>, u32)]) -> Vec<u8> {
    let mut encoder = AnimationEncoder::new(settings);
    testing::animate(&mut encoder, shape, canvases);
    encoder.into_bytes()
}

fn decode_film(bytes: &[u8]) -> Result<Film> {
    let facts = inspect(bytes)?;
    let mut film = Film::default();
    decode_animation(bytes, &facts, &Control::new(), &mut film)?;
    Ok(film)
}

/// Soft gradients with a hard edge; alpha is never 0, so that no colour is lost.
fn picture(width: u32, height: u32, layout: Layout) -> Still {
    let shape = Shape {
        width,
        height,
        layout,
    };
    let mut samples = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let edge = if x * 3 > y * 2 + 9 { 60 } else { 0 };
            let rgba = [
                (x * 3 + edge) as u8,
                (y * 2 + 40) as u8,
                ((x + y) * 2) as u8,
                (254 - (x * 5 + y) % 250) as u8,
            ];
            samples.extend(&rgba[..layout.channels()]);
        }
    }
    Still { shape, samples }
}

/// A canvas with a square that moves over a background, or over transparency.
fn wandering_square(step: u32, background: [u8; 4]) -> Vec<u8> {
    let mut rgba = Vec::new();
    for y in 0..40 {
        for x in 0..50 {
            let inside = (step * 9..step * 9 + 11).contains(&x) && (12..25).contains(&y);
            rgba.extend(if inside {
                [200, (x * 4) as u8, 30, 255]
            } else {
                background
            });
        }
    }
    rgba
}

fn shape(has_alpha: bool) -> AnimationShape {
    AnimationShape {
        width: 50,
        height: 40,
        loop_count: 3,
        has_alpha,
    }
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

/// The file with additional chunks before and after its picture, and bytes after its end.
fn with_metadata(file: &[u8]) -> Vec<u8> {
    let facts = inspect(file).expect("a file of ours");
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let chunk = |name: &[u8; 4], data: &[u8]| {
        let mut chunk = chunk_header(name, data.len());
        chunk.extend(data);
        chunk.extend(vec![0; data.len() % 2]);
        chunk
    };
    let mut body = Vec::new();
    let rest = if &file[12..16] == b"VP8X" {
        body.extend(&file[12..30]);
        body[8] |= 0x2c;
        &file[30..]
    } else {
        let flags = 0x2c | if facts.has_alpha { riff::ALPHA } else { 0 };
        body.extend(riff::vp8x(flags, facts.stored_width, facts.stored_height));
        &file[12..]
    };
    body.extend(chunk(b"ICCP", &crate::codec::testing::profile(150)));
    body.extend(chunk(b"JUNK", b"secret one"));
    body.extend(rest);
    body.extend(chunk(b"EXIF", exif));
    body.extend(chunk(b"XMP ", b"<x:xmpmeta>secret</x:xmpmeta>"));
    let mut file = chunk_header(b"RIFF", body.len() + 4);
    file.extend(b"WEBP");
    file.extend(body);
    file.extend(b"secret tail");
    file
}

#[test]
fn lossless_stills_come_back_bit_for_bit() {
    for layout in [Layout::Rgb8, Layout::Rgba8] {
        for (width, height) in [(1, 1), (17, 33), (64, 16)] {
            let still = picture(width, height, layout);
            let bytes = encode(LOSSLESS, &still);
            assert_eq!(decode_still(&bytes).expect("decodes"), still);
            let facts = inspect(&bytes).expect("is a WebP");
            assert!(facts.lossless && facts.buffered);
            assert_eq!(facts.has_alpha, layout.has_alpha());
            assert_eq!((facts.format, facts.frames), (Format::Webp, 1));
        }
    }
}

#[test]
fn lossy_stills_come_back_alike_with_their_alpha_exact() {
    for (width, height) in [(1, 1), (31, 47), (80, 64)] {
        for layout in [Layout::Gray8, Layout::Rgb8, Layout::Rgba8] {
            let still = picture(width, height, layout);
            let bytes = encode(LOSSY, &still);
            let back = decode_still(&bytes).expect("decodes");
            let expected: Vec<u8> = match layout {
                Layout::Gray8 => still.samples.iter().flat_map(|gray| [*gray; 3]).collect(),
                _ => still.samples.clone(),
            };
            let difference = mean_difference(&back.samples, &expected);
            assert!(
                difference < 6.0,
                "{width}×{height} {layout:?}: {difference}"
            );
            if layout == Layout::Rgba8 {
                let alpha = |samples: &[u8]| -> Vec<u8> {
                    samples.iter().skip(3).step_by(4).copied().collect()
                };
                assert_eq!(alpha(&back.samples), alpha(&still.samples));
            }
        }
    }
}

#[test]
fn an_opaque_picture_with_an_alpha_channel_is_written_without() {
    let mut still = picture(40, 30, Layout::Rgba8);
    still
        .samples
        .chunks_exact_mut(4)
        .for_each(|rgba| rgba[3] = 255);
    for settings in [LOSSY, LOSSLESS] {
        let facts = inspect(&encode(settings, &still)).expect("is a WebP");
        assert!(!facts.has_alpha);
    }
}

#[test]
fn alpha_that_starts_below_the_first_strip_is_kept() {
    let mut still = picture(20, 50, Layout::Rgba8);
    for (n, rgba) in still.samples.chunks_exact_mut(4).enumerate() {
        rgba[3] = if n / 20 < 37 { 255 } else { 9 };
    }
    let back = decode_still(&encode(LOSSY, &still)).expect("decodes");
    assert_eq!(back.shape.layout, Layout::Rgba8);
    let rows: Vec<u8> = back.samples.iter().skip(3).step_by(80).copied().collect();
    assert_eq!(rows, [vec![255; 37], vec![9; 13]].concat());
}

#[test]
fn pictures_that_are_too_large_are_refused_by_name_and_number() {
    let shape = Shape {
        width: 16384,
        height: 1,
        layout: Layout::Rgb8,
    };
    let error = Encoder::new(LOSSY).begin(shape).expect_err("too wide");
    assert!(matches!(error, Error::Unsupported(_)));
    let message = error.to_string();
    assert!(
        message.contains("16383") && message.contains("16384"),
        "{message}"
    );
}

#[test]
fn lossless_animations_come_back_bit_for_bit_with_delays_and_loops() {
    for background in [[10, 20, 30, 255], [0, 0, 0, 0], [90, 80, 70, 128]] {
        let has_alpha = background[3] != 255;
        let canvases: Vec<_> = (0..4)
            .map(|step| (wandering_square(step, background), 40 + step * 10))
            .collect();
        let bytes = animate(LOSSLESS, shape(has_alpha), &canvases);
        let facts = inspect(&bytes).expect("is a WebP");
        assert_eq!((facts.format, facts.frames), (Format::WebpAnimation, 4));
        assert_eq!(facts.duration_ms, Some(40 + 50 + 60 + 70));
        assert_eq!((facts.has_alpha, facts.lossless), (has_alpha, true));
        let film = decode_film(&bytes).expect("decodes");
        assert_eq!(film.shape, Some(shape(has_alpha)));
        assert!(film.ended);
        assert!(film.canvases == canvases, "{background:?}");
    }
}

#[test]
fn lossy_animations_come_back_alike() {
    for background in [[10, 20, 30, 255], [0, 0, 0, 0], [90, 80, 70, 128]] {
        let has_alpha = background[3] != 255;
        let canvases: Vec<_> = (0..4)
            .map(|step| (wandering_square(step, background), 100))
            .collect();
        let film = decode_film(&animate(LOSSY, shape(has_alpha), &canvases)).expect("decodes");
        assert_eq!(film.canvases.len(), 4);
        for ((got, _), (expected, _)) in film.canvases.iter().zip(&canvases) {
            for (got, expected) in got.chunks_exact(4).zip(expected.chunks_exact(4)) {
                assert_eq!(got[3], expected[3], "alpha over {background:?}");
            }
            let visible = |rgba: &[u8]| -> Vec<u8> {
                let pixels = rgba.chunks_exact(4).filter(|rgba| rgba[3] != 0);
                pixels.flatten().copied().collect()
            };
            let difference = mean_difference(&visible(got), &visible(expected));
            assert!(difference < 6.0, "{background:?}: {difference}");
        }
    }
}

#[test]
fn canvases_that_do_not_differ_become_one_frame() {
    let still = wandering_square(0, [1, 2, 3, 255]);
    let moved = wandering_square(1, [1, 2, 3, 255]);
    let canvases = [
        (still.clone(), 30),
        (still.clone(), 40),
        (moved, 50),
        (still.clone(), 0),
        (still, (1 << 24) + 5),
    ];
    for settings in [LOSSY, LOSSLESS] {
        let film = decode_film(&animate(settings, shape(false), &canvases)).expect("decodes");
        let delays: Vec<_> = film.canvases.iter().map(|(_, delay)| *delay).collect();
        assert_eq!(delays, [70, 50, (1 << 24) - 1]);
    }
}

#[test]
fn an_animation_can_be_left_after_its_first_frame() {
    let canvases = [
        (wandering_square(0, [1, 2, 3, 255]), 30),
        (wandering_square(1, [1, 2, 3, 255]), 40),
    ];
    let bytes = animate(LOSSLESS, shape(false), &canvases);
    let facts = inspect(&bytes).expect("is a WebP");
    let mut film = Film {
        stop_after: 1,
        ..Film::default()
    };
    decode_animation(&bytes, &facts, &Control::new(), &mut film).expect("decodes");
    assert!(film.ended);
    assert!(film.canvases == canvases[..1]);
}

#[test]
fn cancelled_work_stops() {
    let control = Control::new();
    control.cancel();
    let still = encode(LOSSLESS, &picture(9, 9, Layout::Rgb8));
    let facts = inspect(&still).expect("is a WebP");
    let result = decode(&still, &facts, &control, &mut Still::empty());
    assert!(matches!(result, Err(Error::Cancelled)));
}

/// A handmade frame: a box of one colour.
fn hand_made(x: u8, y: u8, side: u8, rgba: [u8; 4], flags: u8) -> Vec<u8> {
    let still = Still {
        shape: Shape {
            width: side.into(),
            height: side.into(),
            layout: Layout::Rgba8,
        },
        samples: rgba.repeat(usize::from(side) * usize::from(side)),
    };
    let file = encode(LOSSLESS, &still);
    let mut frame = chunk_header(b"ANMF", file.len() - 12 + 16);
    frame.extend([x / 2, 0, 0, y / 2, 0, 0, side - 1, 0, 0, side - 1, 0, 0]);
    frame.extend([7, 0, 0, flags]);
    frame.extend(&file[12..]);
    frame
}

#[test]
fn frames_are_blended_replaced_and_cleared() {
    const NO_BLEND: u8 = 2;
    const CLEAR: u8 = 1;
    let mut body = riff::vp8x(riff::ANIMATION | riff::ALPHA, 4, 4);
    body.extend(chunk_header(b"ANIM", 6));
    body.extend([0; 6]);
    body.extend(hand_made(0, 0, 4, [200, 0, 0, 255], 0));
    body.extend(hand_made(0, 0, 2, [0, 100, 0, 128], CLEAR));
    body.extend(hand_made(2, 2, 2, [0, 0, 50, 100], NO_BLEND));
    body.extend(hand_made(2, 2, 2, [0, 0, 200, 100], 0));
    let mut file = chunk_header(b"RIFF", body.len() + 4);
    file.extend(b"WEBP");
    file.extend(body);

    let facts = inspect(&file).expect("is a WebP");
    assert!(facts.has_alpha);
    let film = decode_film(&file).expect("decodes");
    let corners: Vec<_> = film
        .canvases
        .iter()
        .map(|(rgba, _)| {
            let first: [u8; 4] = rgba[..4].try_into().expect("four");
            let last: [u8; 4] = rgba[60..].try_into().expect("four");
            (first, last)
        })
        .collect();
    const RED: [u8; 4] = [200, 0, 0, 255];
    assert_eq!(
        corners,
        [
            (RED, RED),
            // 200 · 127/255 and 100 · 128/255.
            ([100, 50, 0, 255], RED),
            ([0, 0, 0, 0], [0, 0, 50, 100]),
            // (200 · 100 · 255 + 50 · 100 · 155) / (100 · 255 + 100 · 155), and 100 + 100 · 155/255.
            ([0, 0, 0, 0], [0, 0, 143, 161]),
        ]
    );
}

/// The same file, with a header that declares no transparency.
fn without_alpha_flag(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    assert_eq!(file[12..16], *b"VP8X");
    file[20] &= !riff::ALPHA;
    file
}

#[test]
fn a_still_has_no_alpha_plane_unless_its_header_says_so() {
    let file = without_alpha_flag(&encode(LOSSY, &picture(21, 9, Layout::Rgba8)));
    let facts = inspect(&file).expect("is a WebP");
    assert!(!facts.has_alpha);
    let opaque = decode_still(&file).expect("decodes");
    assert_eq!(opaque.shape.layout, Layout::Rgb8);
    let with_profile = without_alpha_flag(&with_metadata(&file));
    for file in [&file, &with_profile] {
        let cleaned = clean(file, &Control::new()).expect("cleans").concat();
        assert!(!cleaned.windows(4).any(|bytes| bytes == b"ALPH"));
        assert_eq!(decode_still(&cleaned).expect("decodes"), opaque);
        assert_eq!(inspect(&cleaned).expect("is a WebP"), facts);
    }
}

#[test]
fn the_alpha_channel_of_a_lossless_still_counts_without_the_flag() {
    let file = encode(LOSSLESS, &picture(21, 9, Layout::Rgba8));
    let before = decode_still(&file).expect("decodes");
    let unmarked = without_alpha_flag(&with_metadata(&file));
    assert_eq!(decode_still(&unmarked).expect("decodes"), before);
    let cleaned = clean(&unmarked, &Control::new()).expect("cleans").concat();
    assert_eq!(decode_still(&cleaned).expect("decodes"), before);
    assert_eq!(cleaned[20] & riff::ALPHA, riff::ALPHA);
}

#[test]
fn frames_have_no_alpha_unless_the_header_of_the_file_says_so() {
    let canvases = [
        (wandering_square(0, [9, 99, 9, 128]), 30),
        (wandering_square(1, [9, 99, 9, 128]), 40),
    ];
    for settings in [LOSSY, LOSSLESS] {
        let whole = animate(settings, shape(true), &canvases);
        assert!(inspect(&whole).expect("is a WebP").has_alpha);
        let file = without_alpha_flag(&whole);
        let facts = inspect(&file).expect("is a WebP");
        assert!(!facts.has_alpha);
        let film = decode_film(&file).expect("decodes");
        assert_eq!(film.canvases.len(), 2);
        for (rgba, _) in &film.canvases {
            assert!(rgba.chunks_exact(4).all(|pixel| pixel[3] == 255));
        }
        // The hidden colours become visible.
        assert!(
            film.canvases[0].0[..3]
                .iter()
                .zip([9, 99, 9])
                .all(|(a, b)| a.abs_diff(b) < 9)
        );
        let cleaned = clean(&file, &Control::new()).expect("cleans").concat();
        assert!(!cleaned.windows(4).any(|bytes| bytes == b"ALPH"));
        assert!(decode_film(&cleaned).expect("decodes") == film);
        assert_eq!(inspect(&cleaned).expect("is a WebP"), facts);
    }
}

#[test]
fn cleaning_drops_everything_but_pixels_and_profile() {
    let canvases = [
        (wandering_square(0, [0; 4]), 30),
        (wandering_square(1, [0; 4]), 40),
    ];
    let files = [
        encode(LOSSLESS, &picture(21, 9, Layout::Rgba8)),
        encode(LOSSY, &picture(21, 9, Layout::Rgb8)),
        encode(LOSSY, &picture(21, 9, Layout::Rgba8)),
        animate(LOSSY, shape(true), &canvases),
    ];
    for file in files {
        let dirty = with_metadata(&file);
        let facts = inspect(&dirty).expect("is a WebP");
        assert_eq!(facts.orientation, Orientation::Rotate90);
        assert_eq!(
            icc(&dirty).as_deref(),
            Some(&crate::codec::testing::profile(150)[..])
        );
        let cleaned = clean(&dirty, &Control::new()).expect("cleans").concat();
        assert!(!cleaned.windows(6).any(|bytes| bytes == b"secret"));
        assert!(
            !cleaned
                .windows(4)
                .any(|bytes| bytes == b"EXIF" || bytes == b"XMP ")
        );
        assert_eq!(
            icc(&cleaned).as_deref(),
            Some(&crate::codec::testing::profile(150)[..])
        );
        let clean_facts = inspect(&cleaned).expect("is a WebP still");
        assert_eq!(
            clean_facts,
            Facts {
                orientation: Orientation::Normal,
                ..facts.clone()
            }
        );
        assert_eq!(
            u32::from_le_bytes(cleaned[4..8].try_into().expect("four")) as usize,
            cleaned.len() - 8
        );
        if facts.format == Format::Webp {
            assert_eq!(
                decode_still(&cleaned).expect("decodes"),
                decode_still(&file).expect("decodes")
            );
        } else {
            assert!(
                decode_film(&cleaned).expect("decodes") == decode_film(&file).expect("decodes")
            );
        }
        let again = clean(&cleaned, &Control::new()).expect("cleans").concat();
        assert!(again == cleaned, "cleaning twice changes nothing");
    }
}

#[test]
fn cleaning_drops_unknown_chunks_inside_frames() {
    let canvases = [(wandering_square(0, [1, 2, 3, 255]), 30)];
    let file = animate(LOSSY, shape(false), &canvases);
    let at = file
        .windows(4)
        .position(|bytes| bytes == b"ANMF")
        .expect("a frame");
    let mut dirty = file.clone();
    dirty.extend(chunk_header(b"tEXt", 7));
    dirty.extend(b"secret!\0");
    for (position, added) in [(4, 16), (at + 4, 16)] {
        let size = u32::from_le_bytes(dirty[position..position + 4].try_into().expect("four"));
        dirty[position..position + 4].copy_from_slice(&(size + added).to_le_bytes());
    }
    let facts = inspect(&dirty).expect("is a WebP");
    assert_eq!((facts.format, facts.frames), (Format::WebpAnimation, 1));
    assert!(clean(&dirty, &Control::new()).expect("cleans").concat() == file);
}

#[test]
fn no_prefix_of_a_file_is_taken_for_a_whole_one() {
    let canvases = [
        (wandering_square(0, [0; 4]), 30),
        (wandering_square(1, [0; 4]), 40),
    ];
    let files = [
        with_metadata(&encode(LOSSLESS, &picture(21, 9, Layout::Rgba8))),
        with_metadata(&encode(LOSSY, &picture(21, 9, Layout::Rgba8))),
        with_metadata(&animate(LOSSLESS, shape(true), &canvases)),
    ];
    for file in files {
        let tail = "secret tail".len();
        for length in 0..file.len() - tail {
            let result = inspect(&file[..length]);
            assert!(
                matches!(result, Err(Error::Corrupt { .. })),
                "{length}: {result:?}"
            );
        }
    }
}

#[test]
fn truncated_bitstreams_in_whole_containers_are_corrupt() {
    for settings in [LOSSLESS, LOSSY] {
        let file = encode(settings, &picture(90, 70, Layout::Rgb8));
        let data = &file[20..];
        for length in 10..data.len() - 2 {
            let mut cut = chunk_header(b"RIFF", 4 + 8 + length + length % 2);
            cut.extend(b"WEBP");
            cut.extend(&file[12..16]);
            cut.extend((length as u32).to_le_bytes());
            cut.extend(&data[..length]);
            cut.extend(vec![0; length % 2]);
            let result = decode_still(&cut);
            // The last bytes of a lossy picture may only contain rounding of the coder.
            let harmless = !settings.lossless && length + 8 > data.len();
            assert!(
                harmless || matches!(result, Err(Error::Corrupt { .. })),
                "{length} of {}",
                data.len()
            );
        }
    }
}

#[test]
fn no_damaged_byte_makes_it_panic() {
    let canvases = [
        (wandering_square(0, [0; 4]), 30),
        (wandering_square(1, [0; 4]), 40),
    ];
    let files = [
        with_metadata(&encode(LOSSLESS, &picture(21, 9, Layout::Rgba8))),
        with_metadata(&encode(LOSSY, &picture(21, 9, Layout::Rgba8))),
        with_metadata(&animate(LOSSY, shape(true), &canvases)),
    ];
    let mut decoded = 0;
    for file in files {
        for at in 0..file.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] ^= flip;
                let Ok(facts) = inspect(&damaged) else {
                    continue;
                };
                if u64::from(facts.stored_width) * u64::from(facts.stored_height) > 1 << 20 {
                    continue;
                }
                let cleaned =
                    clean(&damaged, &Control::new()).expect("what can be read can be cleaned");
                assert_eq!(
                    inspect(&cleaned.concat()).map(|facts| facts.frames).ok(),
                    Some(facts.frames)
                );
                decoded += usize::from(match facts.format {
                    Format::Webp => decode_still(&damaged).is_ok(),
                    _ => decode_film(&damaged).is_ok(),
                });
            }
        }
    }
    assert!(decoded > 0);
}
