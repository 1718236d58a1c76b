//! Tests of reading and writing APNG. The `image` crate, which shares only the inflating with this
//! code, is the reference.

use std::io::Cursor;

use image::AnimationDecoder as _;

use super::*;
use crate::codec::png::{clean, decode_animation};
use crate::codec::testing::{self, inspect};
use crate::{Facts, Format};

/// Canvases with their delays.
type Canvases = Vec<(Vec<u8>, u32)>;

fn decoded(file: &[u8]) -> Result<Canvases> {
    let facts = inspect(file)?;
    let mut sink = testing::Film::default();
    decode_animation(file, &facts, &Control::new(), &mut sink)?;
    Ok(sink.canvases)
}

/// The canvases according to the `image` crate.
fn judged(file: &[u8]) -> Canvases {
    let decoder = image::codecs::png::PngDecoder::new(Cursor::new(file)).expect("is a PNG");
    let frames = decoder.apng().expect("is an APNG").into_frames();
    let frames = frames.collect_frames().expect("decodes");
    let frame = |frame: image::Frame| {
        let (ms, parts) = frame.delay().numer_denom_ms();
        (frame.into_buffer().into_raw(), ms / parts)
    };
    frames.into_iter().map(frame).collect()
}

const WIDTH: u32 = 50;
const HEIGHT: u32 = 30;

fn encode(film: &[(Vec<u8>, u32)], has_alpha: bool, loop_count: u32) -> Vec<u8> {
    let control = Control::new();
    let mut encoder = AnimationEncoder::new(false, &control);
    let shape = AnimationShape {
        width: WIDTH,
        height: HEIGHT,
        loop_count,
        has_alpha,
    };
    testing::animate(&mut encoder, shape, film);
    encoder.into_bytes()
}

fn canvas(pixel: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
    let pixel = &pixel;
    let rows = (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| pixel(x, y)));
    rows.collect()
}

fn colour_type(file: &[u8]) -> u8 {
    file[25]
}

/// A square of 9 pixels that moves over a background given by `ground`.
fn moving(ground: impl Fn(u32, u32) -> [u8; 4], frames: u32) -> Canvases {
    let frame = |number: u32| {
        let square =
            |x: u32, y: u32| (number * 3..number * 3 + 9).contains(&x) && (5..14).contains(&y);
        canvas(|x, y| {
            if square(x, y) {
                [200, number as u8, 7, 255]
            } else {
                ground(x, y)
            }
        })
    };
    (0..frames).map(|n| (frame(n), 40 + n * 30)).collect()
}

#[test]
fn what_is_written_shows_what_was_given() {
    let plain = |_, _| [10, 20, 30, 255];
    let many = |x: u32, y: u32| [(x * 5) as u8, (y * 8) as u8, (x * y) as u8, 255];
    let holes = |x: u32, _| if x % 7 < 3 { [0; 4] } else { [1, 2, 3, 255] };
    let veils = |x: u32, y: u32| [9, 9, 9, (x * y % 250 + 1) as u8];
    for (film, has_alpha, colour, what) in [
        (moving(plain, 6), false, 3, "few colours"),
        (moving(many, 6), false, 6, "many colours"),
        (moving(many, 1), false, 2, "one opaque canvas"),
        (moving(holes, 6), true, 3, "holes"),
        (moving(veils, 6), true, 3, "veils"),
        (moving(holes, 1), true, 3, "one canvas with holes"),
    ] {
        let file = encode(&film, has_alpha, 4);
        assert_eq!(colour_type(&file), colour, "{what}");
        assert!(judged(&file) == film, "{what}");
        assert!(decoded(&file).expect("decodes") == film, "{what}");
        let facts = inspect(&file).expect("is an APNG");
        assert_eq!(facts.format, Format::Apng);
        assert_eq!(facts.frames as usize, film.len());
        let duration = film.iter().map(|(_, delay)| u64::from(*delay)).sum();
        assert_eq!(facts.duration_ms, Some(duration));
    }
}

#[test]
fn a_file_that_is_begun_anew_notices_a_cancellation() {
    let control = Control::new();
    let mut encoder = AnimationEncoder::new(false, &control);
    let shape = AnimationShape {
        width: WIDTH,
        height: HEIGHT,
        loop_count: 0,
        has_alpha: false,
    };
    encoder.begin(shape).expect("begins");
    let mut add = |pixel: fn(u32, u32) -> [u8; 4]| {
        let rgba = canvas(pixel);
        let canvas = Canvas {
            rgba: &rgba,
            delay_ms: 50,
        };
        encoder.canvas(canvas).map(drop)
    };
    add(|_, _| [1, 2, 3, 255]).expect("is added");
    add(|_, _| [3, 2, 1, 255]).expect("is added");
    control.cancel();
    let outgrown = add(|x, y| [x as u8, y as u8, 0, 255]);
    assert!(matches!(outgrown, Err(Error::Cancelled)), "{outgrown:?}");
}

#[test]
fn a_palette_that_is_outgrown_is_left_behind() {
    // Each canvas adds 50 colours.
    let film: Canvases = (0..8)
        .map(|n| (canvas(|x, _| [x as u8, n * 30, 0, 255]), 100))
        .collect();
    for frames in 1..=8 {
        let film = &film[..frames];
        let file = encode(film, false, 0);
        assert!(judged(&file) == film, "{frames}");
        assert_eq!(colour_type(&file) == 3, frames <= 5, "{frames}");
    }
}

#[test]
fn only_what_changes_is_written() {
    let noise = |x: u32, y: u32| {
        let value = (x * 7919 + y * 104_729).wrapping_mul(2_654_435_761);
        let [a, b, c, _] = value.to_be_bytes();
        [a, b, c, 255]
    };
    let one = encode(&moving(noise, 1), false, 0).len();
    let ten = encode(&moving(noise, 10), false, 0).len();
    assert!(ten < one * 4, "{one} {ten}");
}

#[test]
fn what_becomes_transparent_is_replaced() {
    let opaque = canvas(|_, _| [1, 2, 3, 255]);
    let veiled = canvas(|x, _| [1, 2, 3, if x < 20 { 100 } else { 255 }]);
    let hole = canvas(|x, _| if x < 9 { [0; 4] } else { [1, 2, 3, 255] });
    let film = vec![(opaque, 10), (veiled, 20), (hole, 30)];
    assert!(judged(&encode(&film, true, 0)) == film);
}

#[test]
fn long_delays_are_kept_and_invisible_changes_only_take_time() {
    for delay_ms in [0, 1, 65_535, 65_536, 600_000, 700_001, 70_000_000, u32::MAX] {
        let film = [(canvas(|_, _| [1, 1, 1, 255]), delay_ms)];
        let file = encode(&film, false, 1);
        let found = decoded(&file).expect("decodes")[0].1;
        let expected = delay_ms.min(LONGEST_DELAY_MS);
        // The finest of 1, 10, 100 and 1000 ms whose multiple fits in 16 bits.
        let unit = [1, 10, 100, 1000]
            .into_iter()
            .find(|unit| expected / unit <= 65_535);
        assert!(
            unit.is_some_and(|unit| expected - found < unit),
            "{delay_ms} {found}"
        );
    }
    let clear = canvas(|_, _| [5, 5, 5, 0]);
    let other = canvas(|_, _| [6, 6, 6, 0]);
    let file = encode(&[(clear, 40), (other, 50)], true, 0);
    let facts = inspect(&file).expect("is an APNG");
    assert_eq!((facts.frames, facts.duration_ms), (1, Some(90)));
    decoded(&file).expect("its checksum is right");
}

#[test]
fn plays_are_handed_on() {
    for plays in [0, 1, 9] {
        let file = encode(&moving(|_, _| [3, 3, 3, 255], 2), false, plays);
        let mut sink = testing::Film::default();
        let facts = inspect(&file).expect("is an APNG");
        decode_animation(&file, &facts, &Control::new(), &mut sink).expect("decodes");
        assert_eq!(sink.shape.map(|shape| shape.loop_count), Some(plays));
    }
}

/// One frame of a handmade file.
#[derive(Clone, Copy)]
struct Part {
    area: [u32; 4],
    dispose: u8,
    blend: u8,
    colour: [u8; 4],
}

const WHOLE: [u32; 4] = [8, 8, 0, 0];

fn part(area: [u32; 4], dispose: u8, blend: u8, colour: [u8; 4]) -> Part {
    Part {
        area,
        dispose,
        blend,
        colour,
    }
}

/// 8×8 pixels. If `hidden` the picture is not part of the animation.
fn by_hand(parts: &[Part], hidden: bool, deep: bool) -> Vec<u8> {
    let mut file = SIGNATURE.to_vec();
    let mut push = |kind: &[u8; 4], data: &[u8]| {
        push_chunk(&mut file, kind, &[data]).expect("fits");
    };
    let depth = if deep { 16 } else { 8 };
    push(b"IHDR", &[0, 0, 0, 8, 0, 0, 0, 8, depth, 6, 0, 0, 0]);
    let count = parts.len() as u32;
    push(b"acTL", &[count, 2].map(u32::to_be_bytes).concat());
    push(b"tEXt", b"Comment\0secret");
    let data = |part: &Part| {
        let area = [part.area[0], part.area[1]];
        let mut picture = Vec::new();
        let mut encoder = png::Encoder::new(&mut picture, area[0], area[1]);
        encoder.set_color(ColorType::Rgba);
        let pixels = part.colour.repeat((area[0] * area[1]) as usize);
        let pixels = if deep {
            encoder.set_depth(BitDepth::Sixteen);
            pixels.iter().flat_map(|v| [*v; 2]).collect()
        } else {
            pixels
        };
        let mut writer = encoder.write_header().expect("begins");
        writer.write_image_data(&pixels).expect("writes");
        writer.finish().expect("ends");
        let chunks = Chunks::new(&picture).expect("is a PNG");
        let chunks = chunks.map(|chunk| chunk.expect("is whole"));
        let data = chunks.filter(|chunk| &chunk.kind == b"IDAT");
        data.flat_map(|chunk| chunk.data.to_vec())
            .collect::<Vec<u8>>()
    };
    if hidden {
        push(b"IDAT", &data(&part(WHOLE, 0, 0, [255, 0, 255, 255])));
    }
    let mut sequence = 0_u32;
    for (index, part) in parts.iter().enumerate() {
        let mut control = sequence.to_be_bytes().to_vec();
        control.extend(part.area.map(u32::to_be_bytes).concat());
        control.extend([0, 1, 0, 10, part.dispose, part.blend]);
        push(b"fcTL", &control);
        sequence += 1;
        if index == 0 && !hidden {
            push(b"IDAT", &data(part));
            continue;
        }
        // In two pieces, which must make no difference.
        let data = data(part);
        for half in data.chunks(data.len().div_ceil(2)) {
            push(b"fdAT", &[&sequence.to_be_bytes()[..], half].concat());
            sequence += 1;
        }
    }
    push(b"IEND", b"");
    file
}

#[test]
fn every_way_to_blend_and_to_dispose_is_followed() {
    let red = [200, 0, 0, 255];
    let veil = [0, 100, 0, 128];
    let hole = [0, 0, 0, 0];
    let box_ = [4, 5, 2, 1];
    for hidden in [false, true] {
        for first in 0..3 {
            for dispose in 0..3 {
                for blend in 0..2 {
                    for colour in [red, veil, hole] {
                        let parts = [
                            part(WHOLE, first, 0, [90, 90, 0, 200]),
                            part(box_, dispose, blend, colour),
                            part([3, 3, 4, 4], 0, 1, veil),
                        ];
                        let file = by_hand(&parts, hidden, false);
                        let (found, mut expected) =
                            (decoded(&file).expect("decodes"), judged(&file));
                        if (first, dispose) == (1, 2) {
                            // The reference restores what was already cleared.
                            expected.pop();
                        }
                        assert_eq!(found.len(), 3);
                        for (found, expected) in found.iter().zip(&expected) {
                            assert_eq!(found.1, 100);
                            let off = found.0.iter().zip(&expected.0).map(|(a, b)| a.abs_diff(*b));
                            // Blending is rounded here and truncated there.
                            assert!(
                                off.max() <= Some(2),
                                "{hidden} {first} {dispose} {blend} {colour:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_was_cleared_is_not_put_back() {
    let parts = [
        part(WHOLE, 1, 0, [9, 9, 9, 255]),
        part([4, 5, 2, 1], 2, 0, [1, 2, 3, 255]),
        part([1, 1, 7, 7], 0, 0, [4, 5, 6, 255]),
    ];
    let last = &decoded(&by_hand(&parts, false, false)).expect("decodes")[2].0;
    let (clear, set) = last.split_at(8 * 8 * 4 - 4);
    assert!(clear.iter().all(|sample| *sample == 0));
    assert_eq!(set, [4, 5, 6, 255]);
}

#[test]
fn sixteen_bits_become_eight_and_a_hidden_picture_is_not_shown() {
    let parts = [
        part(WHOLE, 0, 0, [77, 1, 2, 255]),
        part([1, 1, 7, 7], 0, 0, [5; 4]),
    ];
    let film = decoded(&by_hand(&parts, true, true)).expect("decodes");
    assert_eq!((film.len(), &film[0].0[..4]), (2, &[77, 1, 2, 255][..]));
    assert_eq!(&film[1].0[8 * 8 * 4 - 4..], [5; 4]);
    let facts = inspect(&by_hand(&parts, true, true)).expect("is an APNG");
    assert_eq!(
        (facts.bits, facts.frames, facts.duration_ms),
        (8, 2, Some(200))
    );
}

#[test]
fn cleaning_keeps_the_animation_and_drops_the_rest() {
    let parts = [
        part(WHOLE, 1, 0, [77, 1, 2, 255]),
        part([2, 2, 3, 3], 2, 1, [5; 4]),
    ];
    for hidden in [false, true] {
        let file = by_hand(&parts, hidden, false);
        let facts = inspect(&file).expect("is an APNG");
        let cleaned = clean(&file, &facts, &Control::new())
            .expect("cleans")
            .concat();
        assert!(!cleaned.windows(6).any(|window| window == b"secret"));
        assert_eq!(inspect(&cleaned).ok(), Some(facts));
        assert!(decoded(&cleaned).ok() == decoded(&file).ok());
    }
}

fn refusal(file: &[u8]) -> String {
    inspect(file).expect_err("is refused").to_string()
}

#[test]
fn refusals_say_what_is_wrong() {
    let ok = part(WHOLE, 0, 0, [1; 4]);
    let check = |parts: &[Part], expected: &str| {
        let message = refusal(&by_hand(parts, false, false));
        assert!(message.contains(expected), "{message}");
    };
    check(
        &[ok, part([5, 1, 4, 0], 0, 0, [1; 4])],
        "does not lie on the canvas",
    );
    check(
        &[ok, part([1, 1, u32::MAX, 0], 0, 0, [1; 4])],
        "does not lie on the canvas",
    );
    check(
        &[part([4, 4, 0, 0], 0, 0, [1; 4])],
        "not as large as the canvas",
    );
    check(&[ok, part(WHOLE, 3, 0, [1; 4])], "disposed of");
    check(&[ok, part(WHOLE, 0, 2, [1; 4])], "blended");
    let none = refusal(&by_hand(&[], true, false));
    assert!(
        none.contains("it says that it has 0 frames, and has 0"),
        "{none}"
    );
    let file = by_hand(&[ok, ok], false, false);
    let at = |name: &[u8], nth: usize| {
        let found = file.windows(4).enumerate().filter(|(_, w)| w == &name);
        found.map(|(at, _)| at).nth(nth).expect("is there")
    };
    let changed = |at: usize, value: u8| {
        let mut changed = file.clone();
        changed[at] = value;
        refusal(&changed)
    };
    assert!(changed(at(b"acTL", 0) + 7, 3).contains("3 frames, and has 2"));
    assert!(changed(at(b"fcTL", 1) + 7, 9).contains("not in order"));
    assert!(changed(at(b"fdAT", 1) + 7, 1).contains("not in order"));
    // A checksum is verified only when the frame is decoded.
    let mut broken = file.clone();
    broken[at(b"fdAT", 0) + 8] ^= 1;
    inspect(&broken).expect("the container is sound");
    let error = decoded(&broken).expect_err("is damaged").to_string();
    assert!(
        error.contains("APNG") && error.contains("checksum"),
        "{error}"
    );
}

#[test]
fn no_damage_panics_and_no_cut_file_is_taken() {
    let parts = [
        part(WHOLE, 1, 0, [77, 1, 2, 255]),
        part([2, 2, 3, 3], 2, 1, [5; 4]),
    ];
    let file = by_hand(&parts, true, false);
    for end in 0..file.len() {
        assert!(inspect(&file[..end]).is_err(), "cut at {end}");
    }
    for at in 8..file.len() {
        for value in [0, 0xff, file[at] ^ 1] {
            let mut damaged = file.clone();
            damaged[at] = value;
            let Ok(facts) = inspect(&damaged) else {
                continue;
            };
            // Sizes far beyond the limits are not decoded.
            if facts.stored_width.max(facts.stored_height) <= 300 && facts.format == Format::Apng {
                let _ = decoded(&damaged);
            }
        }
    }
}

#[test]
fn a_cancelled_decode_stops() {
    let file = encode(&moving(|_, _| [3, 3, 3, 255], 3), false, 0);
    let facts: Facts = inspect(&file).expect("is an APNG");
    let control = Control::new();
    control.cancel();
    let mut sink = testing::Film::default();
    let result = decode_animation(&file, &facts, &control, &mut sink);
    assert!(matches!(result, Err(Error::Cancelled)));
}
