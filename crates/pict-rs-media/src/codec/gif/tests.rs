//! Tests of the codec through the pipeline, on generated pictures.

use super::*;
use crate::codec::testing::{self, Film};
use crate::rows::{AnimationShape, CanvasSink as _};
use crate::{Control, Error};

fn inspect(source: &[u8]) -> Result<Facts> {
    super::inspect(source, &Control::new())
}

fn clean(source: &[u8]) -> Result<Vec<Cow<'_, [u8]>>> {
    super::clean(source, &Control::new())
}

fn animate(fast: bool, shape: AnimationShape, canvases: &[(Vec<u8>, u32)]) -> Vec<u8> {
    let mut encoder = AnimationEncoder::new(fast);
    testing::animate(&mut encoder, shape, canvases);
    encoder.into_bytes()
}

fn decode_film(bytes: &[u8]) -> Result<Film> {
    let facts = inspect(bytes)?;
    let mut film = Film::default();
    decode_animation(bytes, &facts, &Control::new(), &mut film)?;
    Ok(film)
}

const RED: u8 = 0;
const BLUE: u8 = 1;
const CLEAR: u8 = 3;

/// A box of one colour index, as stored in a file.
#[derive(Clone, Copy)]
struct Box {
    left: u8,
    top: u8,
    width: u8,
    height: u8,
    index: u8,
    disposal: u8,
    delay: u8,
}

impl Box {
    fn new(left: u8, top: u8, side: u8, index: u8, disposal: u8) -> Self {
        Self {
            left,
            top,
            width: side,
            height: side,
            index,
            disposal,
            delay: 7,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        // Index 3 is transparent in every frame.
        let mut bytes = vec![
            0x21,
            0xf9,
            4,
            self.disposal << 2 | 1,
            self.delay,
            0,
            CLEAR,
            0,
        ];
        bytes.extend([
            0x2c,
            self.left,
            0,
            self.top,
            0,
            self.width,
            0,
            self.height,
            0,
            0,
        ]);
        bytes.extend(codes(&vec![
            self.index;
            usize::from(self.width)
                * usize::from(self.height)
        ]));
        bytes
    }
}

/// Pixels below 4 as image data, with a reset before each so that all codes have three bits.
fn codes(pixels: &[u8]) -> Vec<u8> {
    let (mut bits, mut count, mut packed) = (0u32, 0, Vec::new());
    let codes = pixels.iter().flat_map(|pixel| [4, u32::from(*pixel)]);
    for code in codes.chain([5]) {
        bits |= code << count;
        count += 3;
        while count >= 8 {
            packed.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    packed.push(bits as u8);
    let mut data = vec![2];
    for block in packed.chunks(255) {
        data.push(block.len() as u8);
        data.extend(block);
    }
    data.push(0);
    data
}

const PALETTE: [[u8; 3]; 4] = [[255, 0, 0], [0, 0, 255], [0, 255, 0], [9, 9, 9]];

fn gif(width: u8, height: u8, blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    file.extend([width, 0, height, 0, 0x81, 0, 0]);
    file.extend(PALETTE.concat());
    file.extend(blocks.concat());
    file.push(TRAILER);
    file
}

fn netscape(again: u8) -> Vec<u8> {
    let mut block = b"\x21\xff\x0bNETSCAPE2.0\x03\x01".to_vec();
    block.extend([again, 0, 0]);
    block
}

/// A canvas as letters, one for each pixel.
fn letters(rgba: &[u8]) -> String {
    rgba.chunks_exact(4)
        .map(|pixel| match pixel {
            [_, _, _, 0] => '.',
            [255, 0, 0, 255] => 'r',
            [0, 0, 255, 255] => 'b',
            [0, 255, 0, 255] => 'g',
            _ => '?',
        })
        .collect()
}

fn shown(file: &[u8]) -> Vec<String> {
    let film = decode_film(file).expect("decodes");
    film.canvases
        .iter()
        .map(|(rgba, _)| letters(rgba))
        .collect()
}

#[test]
fn every_disposal_is_applied_before_the_next_frame() {
    const KEEP: u8 = 1;
    const BACKGROUND: u8 = 2;
    const PREVIOUS: u8 = 3;
    let check = |disposals: [u8; 2], expected: [&str; 3]| {
        let file = gif(
            3,
            1,
            &[
                Box::new(0, 0, 2, RED, disposals[0]).bytes(),
                Box::new(1, 0, 1, BLUE, disposals[1]).bytes(),
                Box::new(2, 0, 1, BLUE, KEEP).bytes(),
            ],
        );
        // The first frame is two pixels high, and so is the canvas.
        let tops: Vec<_> = shown(&file)
            .iter()
            .map(|canvas| canvas[..3].to_owned())
            .collect();
        assert_eq!(tops, expected, "{disposals:?}");
    };
    check([KEEP, KEEP], ["rr.", "rb.", "rbb"]);
    check([0, 5], ["rr.", "rb.", "rbb"]);
    check([KEEP, BACKGROUND], ["rr.", "rb.", "r.b"]);
    check([KEEP, PREVIOUS], ["rr.", "rb.", "rrb"]);
    check([KEEP, 4], ["rr.", "rb.", "rrb"]);
    check([BACKGROUND, KEEP], ["rr.", ".b.", ".bb"]);
    check([PREVIOUS, PREVIOUS], ["rr.", ".b.", "..b"]);
}

#[test]
fn transparent_pixels_let_the_canvas_through() {
    let file = gif(
        2,
        2,
        &[
            Box::new(0, 0, 2, RED, 1).bytes(),
            Box::new(0, 0, 2, CLEAR, 1).bytes(),
        ],
    );
    assert_eq!(shown(&file), ["rrrr", "rrrr"]);
}

#[test]
fn the_canvas_grows_for_the_first_frame_and_clips_the_others() {
    let file = gif(
        1,
        1,
        &[
            Box::new(1, 0, 2, RED, 1).bytes(),
            Box::new(2, 1, 4, BLUE, 1).bytes(),
            Box::new(9, 9, 4, BLUE, 1).bytes(),
        ],
    );
    let facts = inspect(&file).expect("is a GIF");
    assert_eq!((facts.stored_width, facts.stored_height), (3, 2));
    assert_eq!(shown(&file), [".rr.rr", ".rr.rb", ".rr.rb"]);
}

#[test]
fn only_the_first_frame_needs_colours() {
    let mut first = vec![0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0x81];
    first.extend(PALETTE.concat());
    first.extend(codes(&[BLUE]));
    let mut second = vec![0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0];
    second.extend(codes(&[RED]));
    let check = |blocks: &[&[u8]]| {
        let mut file = b"GIF89a\x01\0\x01\0\0\0\0".to_vec();
        file.extend(blocks.concat());
        decode_film(&file).map(|film| film.canvases.len())
    };
    assert_eq!(check(&[&first, &second]).ok(), Some(2));
    assert!(matches!(
        check(&[&second, &first]),
        Err(Error::Corrupt { .. })
    ));
}

#[test]
fn interlaced_rows_find_their_places() {
    let stored: Vec<u8> = [0, 8, 4, 2, 6, 1, 3, 5, 7].map(|row| row % 3).to_vec();
    let mut image = vec![0x2c, 0, 0, 0, 0, 1, 0, 9, 0, 0x40];
    image.extend(codes(&stored));
    assert_eq!(shown(&gif(1, 9, &[image])), ["rbgrbgrbg"]);
}

#[test]
fn delays_and_loops_are_those_that_browsers_show() {
    let frame = |delay| {
        let frame = Box {
            delay,
            ..Box::new(0, 0, 1, RED, 1)
        };
        frame.bytes()
    };
    let frames = [frame(0), frame(1), frame(2), frame(30)].concat();
    for (extension, plays) in [
        (vec![], 1),
        (netscape(0), 0),
        (netscape(1), 2),
        (netscape(9), 10),
    ] {
        let file = gif(1, 1, &[extension, frames.clone()]);
        assert_eq!(inspect(&file).expect("is a GIF").duration_ms, Some(330));
        let film = decode_film(&file).expect("decodes");
        assert_eq!(film.shape.map(|shape| shape.loop_count), Some(plays));
        let delays: Vec<_> = film.canvases.iter().map(|(_, delay)| *delay).collect();
        assert_eq!(delays, [100, 100, 20, 300]);
    }
}

#[test]
fn a_file_without_its_end_keeps_its_whole_frames() {
    let frames = [
        Box::new(0, 0, 1, RED, 1).bytes(),
        Box::new(0, 0, 1, BLUE, 1).bytes(),
    ];
    let file = gif(1, 1, &frames);
    let first_ends = file.len() - 1 - frames[1].len();
    for length in 0..file.len() {
        let prefix = &file[..length];
        let facts = inspect(prefix);
        if length < first_ends {
            assert!(matches!(facts, Err(Error::Corrupt { .. })), "{length}");
            continue;
        }
        let facts = facts.expect("has a frame");
        let whole = if length == file.len() - 1 { 2 } else { 1 };
        assert_eq!(facts.frames, whole, "{length}");
        assert_eq!(shown(prefix).len(), whole as usize);
        let cleaned = clean(prefix).expect("cleans").concat();
        assert_eq!(cleaned.last(), Some(&TRAILER));
        assert_eq!(shown(&cleaned), shown(prefix));
    }
}

#[test]
fn cleaning_keeps_frames_and_loops_only() {
    let frame = Box::new(0, 0, 2, RED, 1).bytes();
    let (control, image) = frame.split_at(8);
    let comment = b"\x21\xfe\x06secret\0".to_vec();
    let plain_text = b"\x21\x01\x0c0123456789ab\x06secret\0".to_vec();
    let xmp = b"\x21\xff\x0bXMP DataXMP\x06secret\0".to_vec();
    let own = b"\x21\xff\x0bNETSCAPE2.0\x06secret\0".to_vec();
    let empty = b"\x21\xff\0".to_vec();
    let mut dirty = gif(
        2,
        2,
        &[
            comment.clone(),
            own,
            netscape(4),
            xmp,
            netscape(9),
            control.to_vec(),
            comment,
            image.to_vec(),
            empty,
            control.to_vec(),
            plain_text,
            image.to_vec(),
        ],
    );
    dirty.extend(b"secret");
    let facts = inspect(&dirty).expect("is a GIF");
    assert_eq!(facts.frames, 2);
    let cleaned = clean(&dirty).expect("cleans");
    let expected = gif(2, 2, &[netscape(4), frame.clone(), image.to_vec()]);
    assert!(cleaned.concat() == expected);
    assert!(cleaned.len() < 7, "neighbours stay together");
    let film = decode_film(&expected).expect("decodes");
    assert_eq!(film, decode_film(&dirty).expect("decodes"));
}

#[test]
fn damaged_pixels_are_corrupt_in_any_frame() {
    let good = Box::new(0, 0, 2, RED, 1).bytes();
    let with_data = |data: &[u8]| {
        let mut image = vec![0x2c, 0, 0, 0, 0, 2, 0, 2, 0, 0];
        image.extend(data);
        image
    };
    let bad = [
        // An undefined code, too few pixels, no pixels, impossible code sizes.
        with_data(&[2, 2, 0x3c, 0, 0]),
        with_data(&codes(&[0, 0, 0])),
        with_data(&[2, 0]),
        with_data(&[0, 1, 0, 0]),
        with_data(&[12, 1, 0, 0]),
    ];
    for bad in bad {
        for blocks in [vec![bad.clone()], vec![good.clone(), bad.clone()]] {
            let file = gif(2, 2, &blocks);
            assert_eq!(
                inspect(&file).expect("is a GIF").frames as usize,
                blocks.len()
            );
            let result = decode_film(&file);
            assert!(matches!(result, Err(Error::Corrupt { .. })), "{result:?}");
        }
    }
}

#[test]
fn a_huge_frame_on_a_small_canvas_costs_only_what_can_be_seen() {
    let mut image = vec![0x2c, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0];
    image.extend(codes(&[0; 4]));
    let file = gif(2, 2, &[Box::new(0, 0, 2, RED, 1).bytes(), image]);
    let facts = inspect(&file).expect("is a GIF");
    assert_eq!((facts.stored_width, facts.stored_height), (2, 2));
    assert!(matches!(decode_film(&file), Err(Error::Corrupt { .. })));
}

#[test]
fn alpha_is_reported_only_where_it_can_be_seen() {
    let opaque = |disposal| {
        let mut bytes = Box::new(0, 0, 2, RED, disposal).bytes();
        bytes[3] &= !1;
        bytes
    };
    let check = |blocks: &[Vec<u8>], expected: bool| {
        let facts = inspect(&gif(2, 2, blocks)).expect("is a GIF");
        assert_eq!(facts.has_alpha, expected);
    };
    check(&[opaque(1)], false);
    check(&[opaque(1), Box::new(0, 0, 1, CLEAR, 1).bytes()], false);
    check(
        &[opaque(1), Box::new(0, 0, 1, CLEAR, 3).bytes(), opaque(1)],
        false,
    );
    check(&[Box::new(0, 0, 2, RED, 1).bytes()], true);
    check(&[Box::new(0, 0, 1, RED, 1).bytes(), opaque(1)], true);
    check(&[opaque(2), Box::new(0, 0, 1, RED, 1).bytes()], true);
    check(&[opaque(2), opaque(1)], false);
}

/// A canvas with a square that moves over a background of few colours.
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

#[test]
fn few_colours_come_back_bit_for_bit_with_delays_and_loops() {
    for background in [[10, 20, 30, 255], [0, 0, 0, 0]] {
        let canvases: Vec<_> = (0..4)
            .map(|step| (wandering_square(step, background), 40 + step * 10))
            .collect();
        for fast in [false, true] {
            let bytes = animate(fast, shape(background[3] == 0), &canvases);
            let film = decode_film(&bytes).expect("decodes");
            assert!(film.canvases == canvases, "{background:?}");
            assert_eq!(film.shape.map(|shape| shape.loop_count), Some(3));
            assert!(film.ended);
        }
    }
}

#[test]
fn a_single_frame_needs_no_second() {
    let canvas = (wandering_square(1, [7, 7, 7, 255]), 0);
    let bytes = animate(true, shape(false), std::slice::from_ref(&canvas));
    let facts = inspect(&bytes).expect("is a GIF");
    assert_eq!((facts.frames, facts.has_alpha), (1, false));
    assert!(decode_film(&bytes).expect("decodes").canvases[0].0 == canvas.0);
}

#[test]
fn canvases_that_do_not_differ_become_one_frame() {
    let still = wandering_square(0, [1, 2, 3, 255]);
    let mut faint = still.clone();
    faint[3] = 128;
    let canvases = [
        (still.clone(), 30),
        (faint, 45),
        (wandering_square(1, [1, 2, 3, 255]), 5),
        (still, 20),
    ];
    let film = decode_film(&animate(true, shape(false), &canvases)).expect("decodes");
    let delays: Vec<_> = film.canvases.iter().map(|(_, delay)| *delay).collect();
    // 75 is rounded up, so that 5 becomes 0, which is shown as 100; 20 is exact again.
    assert_eq!(delays, [80, 100, 20]);
}

#[test]
fn alpha_is_thresholded() {
    let mut canvas = wandering_square(0, [1, 2, 3, 255]);
    canvas[3] = 127;
    canvas[7] = 128;
    let film = decode_film(&animate(true, shape(true), &[(canvas, 0)])).expect("decodes");
    let (rgba, _) = &film.canvases[0];
    assert_eq!(rgba[..8], [0, 0, 0, 0, 1, 2, 3, 255]);
}

/// A canvas with thousands of colours.
fn colourful(step: u32) -> Vec<u8> {
    let mut rgba = Vec::new();
    for y in 0..60u32 {
        for x in 0..90u32 {
            // The lower part never changes.
            let moved = if y < 30 { step * 20 } else { 0 };
            rgba.extend([((x + moved) * 2) as u8, (y * 4) as u8, (x ^ y) as u8, 255]);
        }
    }
    rgba
}

#[test]
fn many_colours_are_dithered_and_do_not_flicker_where_nothing_changes() {
    let shape = AnimationShape {
        width: 90,
        height: 60,
        loop_count: 0,
        has_alpha: false,
    };
    let canvases: Vec<_> = (0..3).map(|step| (colourful(step), 50)).collect();
    for fast in [false, true] {
        let bytes = animate(fast, shape, &canvases);
        let film = decode_film(&bytes).expect("decodes");
        assert_eq!(film.shape, Some(shape));
        for ((got, _), (expected, _)) in film.canvases.iter().zip(&canvases) {
            let sum: u64 = got
                .iter()
                .zip(expected)
                .map(|(a, b)| u64::from(a.abs_diff(*b)))
                .sum();
            let mean = sum as f64 / got.len() as f64;
            assert!(mean < 6.0, "{mean}");
        }
        let half = 90 * 30 * 4;
        for pair in film.canvases.windows(2) {
            assert!(pair[0].0[half..] == pair[1].0[half..]);
            assert!(pair[0].0[..half] != pair[1].0[..half]);
        }
    }
}

#[test]
fn pictures_that_are_too_large_are_refused_by_name_and_number() {
    let shape = AnimationShape {
        width: 65536,
        height: 1,
        loop_count: 0,
        has_alpha: false,
    };
    let error = AnimationEncoder::new(true)
        .begin(shape)
        .expect_err("too wide");
    assert!(matches!(error, Error::Unsupported(_)));
    let message = error.to_string();
    assert!(
        message.contains("65535") && message.contains("65536"),
        "{message}"
    );
}

#[test]
fn no_damaged_byte_makes_it_panic() {
    let canvases: Vec<_> = (0..3)
        .map(|step| (wandering_square(step, [0; 4]), 50))
        .collect();
    let file = animate(true, shape(true), &canvases);
    let mut decoded = 0;
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
            let cleaned = clean(&damaged).expect("what can be read can be cleaned");
            let cleaned = cleaned.concat();
            assert_eq!(inspect(&cleaned).expect("still a GIF"), facts);
            let film = decode_film(&damaged);
            decoded += usize::from(film.is_ok());
            assert_eq!(decode_film(&cleaned).ok(), film.ok());
        }
    }
    assert!(decoded > 0);
}
