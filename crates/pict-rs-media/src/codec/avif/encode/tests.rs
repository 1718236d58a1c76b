//! Written files are read back by a different parser and decoder.

use rav1d_safe::{Decoder, Planes as Decoded, Settings as DecoderSettings};
use zenavif_parse::AvifParser;

use super::*;
use crate::codec::testing::{self, Picture as Pixels, picture as pixels};
use crate::rows::{AnimationShape, CanvasSink as _};

/// Runs a check with every encoder of this build.
macro_rules! with_each {
    ($check:ident) => {
        $check::<rav1e::Rav1e>();
        #[cfg(feature = "libaom")]
        $check::<aom::Aom>();
    };
}

const FINE: Settings = Settings { quality: Some(95) };

fn still<A: Av1>(pixels: &Pixels, settings: Settings) -> Vec<u8> {
    let mut encoder = Still::<A>::new(settings);
    pixels.push(&mut encoder).expect("encodes");
    encoder.into_bytes()
}

/// Size, luma, and chroma, which is empty if there is none.
type Shown = (Size, Vec<u8>, [Vec<u8>; 2]);

/// Decodes a sequence of temporal units to planes: luma, and chroma unless there is none.
fn decode<'a>(units: impl Iterator<Item = &'a [u8]>) -> Vec<Shown> {
    let mut settings = DecoderSettings::default();
    settings.threads = 1;
    settings.max_frame_delay = 1;
    let mut decoder = Decoder::with_settings(settings).expect("decoder");
    let mut frames = Vec::new();
    for unit in units {
        frames.extend(decoder.decode(unit).expect("decodes"));
    }
    frames.extend(decoder.flush().expect("flushes"));
    frames
        .iter()
        .map(|frame| {
            let Decoded::Depth8(planes) = frame.planes() else {
                panic!("8 bits were encoded");
            };
            let luma = planes.y().rows().flatten().copied().collect();
            let chroma = [planes.u(), planes.v()].map(|plane| {
                plane.map_or(Vec::new(), |plane| {
                    plane.rows().flatten().copied().collect()
                })
            });
            let size = Size {
                width: frame.width(),
                height: frame.height(),
            };
            (size, luma, chroma)
        })
        .collect()
}

/// The pixels of one picture as RGBA.
fn rgba((size, y, [u, v]): &Shown, alpha: Option<&Shown>, range: yuv::YuvRange) -> Vec<u8> {
    let chroma_width = size.width.div_ceil(2);
    let mut rgba = vec![255; size.pixels() * 4];
    if u.is_empty() {
        for (pixel, y) in rgba.chunks_exact_mut(4).zip(y) {
            pixel[..3].fill(*y);
        }
    } else {
        let image = yuv::YuvPlanarImage {
            y_plane: y,
            y_stride: size.width,
            u_plane: u,
            u_stride: chroma_width,
            v_plane: v,
            v_stride: chroma_width,
            width: size.width,
            height: size.height,
        };
        yuv::yuv420_to_rgba(
            &image,
            &mut rgba,
            size.width * 4,
            range,
            yuv::YuvStandardMatrix::Bt601,
        )
        .expect("converts");
    }
    if let Some((alpha_size, alpha, _)) = alpha {
        assert_eq!(
            (alpha_size.width, alpha_size.height),
            (size.width, size.height)
        );
        for (pixel, alpha) in rgba.chunks_exact_mut(4).zip(alpha) {
            pixel[3] = *alpha;
        }
    }
    rgba
}

/// The picture of a still file, and whether it has alpha.
fn shown(file: &[u8]) -> (Size, Vec<u8>, bool) {
    let parser = AvifParser::from_bytes(file).expect("is AVIF");
    let data = parser.primary_data().expect("has a picture");
    let colour = decode([&data[..]].into_iter()).remove(0);
    let alpha = parser.alpha_data().map(|alpha| {
        let alpha = alpha.expect("has alpha");
        decode([&alpha[..]].into_iter()).remove(0)
    });
    (
        colour.0,
        rgba(&colour, alpha.as_ref(), yuv::YuvRange::Full),
        alpha.is_some(),
    )
}

/// The mean difference of two pictures, in levels.
fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

fn as_rgba(pixels: &Pixels) -> Vec<u8> {
    let channels = pixels.shape.layout.channels();
    let samples = pixels.samples.iter().map(|sample| *sample as u8);
    let samples: Vec<_> = samples.collect();
    samples
        .chunks_exact(channels)
        .flat_map(|pixel| match *pixel {
            [gray] => [gray, gray, gray, 255],
            [r, g, b] => [r, g, b, 255],
            [r, g, b, a] => [r, g, b, a],
            _ => unreachable!("no other layout is encoded"),
        })
        .collect()
}

fn stills_come_back<A: Av1>() {
    for layout in [Layout::Gray8, Layout::Rgb8, Layout::Rgba8] {
        for (width, height) in [
            (64, 48),
            (1, 1),
            (1, 9),
            (9, 1),
            (3, 5),
            (33, 17),
            (130, 70),
        ] {
            let pixels = pixels(width, height, layout);
            let file = still::<A>(&pixels, FINE);
            let (size, rgba, has_alpha) = shown(&file);
            assert_eq!((size.width, size.height), (width, height));
            let expected = as_rgba(&pixels);
            let is_opaque = expected.chunks_exact(4).all(|pixel| pixel[3] == 255);
            assert_eq!(has_alpha, !is_opaque, "{layout:?} {width}×{height}");
            // Two pixels share their chroma, and in such a small picture they differ.
            let allowed = if width.min(height) < 16 { 40.0 } else { 3.0 };
            let difference = mean_difference(&rgba, &expected);
            assert!(
                difference < allowed,
                "{layout:?} {width}×{height}: {difference}"
            );
        }
    }
}

#[test]
fn stills_of_every_shape_come_back_as_they_were() {
    with_each!(stills_come_back);
}

fn a_flat_colour_stays<A: Av1>() {
    for colour in [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [250, 240, 10],
        [0; 3],
    ] {
        for (width, height) in [(40, 30), (1, 1), (5, 3)] {
            let shape = Shape {
                width,
                height,
                layout: Layout::Rgb8,
            };
            let count = (width * height) as usize;
            let pixels = Pixels {
                shape,
                samples: colour.repeat(count),
            };
            let (_, rgba, _) = shown(&still::<A>(&pixels, FINE));
            let difference = mean_difference(&rgba, &as_rgba(&pixels));
            assert!(
                difference < 3.0,
                "{colour:?} {width}×{height}: {difference}"
            );
        }
    }
}

#[test]
fn flat_colours_stay_what_they_are() {
    with_each!(a_flat_colour_stays);
}

fn quality_is_monotone<A: Av1>() {
    // Texture, so that there is detail to lose.
    let mut pixels = pixels(200, 150, Layout::Rgb8);
    for (index, sample) in pixels.samples.iter_mut().enumerate() {
        *sample = (*sample + (index * index / 7 % 61) as u16).min(255);
    }
    let expected = as_rgba(&pixels);
    let mut last = (0, f64::MAX);
    for quality in [0, 20, 40, 60, 70, 80, 90, 100, 255] {
        let settings = Settings {
            quality: Some(quality),
        };
        let file = still::<A>(&pixels, settings);
        let difference = mean_difference(&shown(&file).1, &expected);
        assert!(
            file.len() >= last.0 && difference <= last.1,
            "{quality}: {} bytes, {difference} levels after {last:?}",
            file.len()
        );
        last = (file.len(), difference);
    }
}

#[test]
fn more_quality_is_more_bytes_and_less_difference() {
    with_each!(quality_is_monotone);
}

#[test]
fn pictures_that_the_format_cannot_hold_are_refused_by_their_size() {
    let mut encoder = Encoder::new(FINE);
    let shape = Shape {
        width: 65_536,
        height: 1,
        layout: Layout::Rgb8,
    };
    let Err(Error::Unsupported(message)) = encoder.begin(shape) else {
        panic!("must be refused");
    };
    assert!(message.contains("1 to 65535 pixels"), "{message}");
    let mut encoder = AnimationEncoder::new(FINE);
    let shape = AnimationShape {
        width: 1,
        height: 65_536,
        loop_count: 0,
        has_alpha: false,
    };
    assert!(matches!(encoder.begin(shape), Err(Error::Unsupported(_))));
}

fn the_longest_sides_work<A: Av1>() {
    for (width, height) in [(65_535, 1), (1, 65_535), (9_000, 64)] {
        let pixels = pixels(width, height, Layout::Gray8);
        let (size, ..) = shown(&still::<A>(&pixels, FINE));
        assert_eq!((size.width, size.height), (width, height));
    }
}

#[test]
fn pictures_of_the_longest_side_are_written() {
    with_each!(the_longest_sides_work);
}

/// A square that moves over a background, fading in if `has_alpha`.
fn canvas(size: Size, number: u32, has_alpha: bool) -> Vec<u8> {
    let (width, height) = (size.width, size.height);
    let mut rgba = Vec::with_capacity(size.pixels() * 4);
    for y in 0..height {
        for x in 0..width {
            let inside = (number * 4..number * 4 + 12).contains(&x) && (4..16).contains(&y);
            let alpha = if has_alpha && !inside { 60 } else { 255 };
            let colour = if inside {
                [220, 40, 60]
            } else {
                [(x * 200 / width) as u8, 90, (y * 200 / height) as u8]
            };
            rgba.extend(colour);
            rgba.push(alpha);
        }
    }
    rgba
}

fn animate<A: Av1>(
    size: Size,
    loop_count: u32,
    canvases: &[(Vec<u8>, u32)],
    settings: Settings,
) -> Vec<u8> {
    let mut encoder = animation::Canvases::<A>::new(settings);
    let shape = AnimationShape {
        width: size.width,
        height: size.height,
        loop_count,
        has_alpha: true,
    };
    testing::animate(&mut encoder, shape, canvases);
    encoder.into_bytes()
}

/// The frames as seen by a parser of the container and a decoder of its tracks.
fn played(file: &[u8]) -> (Vec<Vec<u8>>, Vec<u32>) {
    let parser = AvifParser::from_bytes(file).expect("is AVIF");
    let info = parser.animation_info().expect("is animated");
    let frames: Vec<_> = parser
        .frames()
        .map(|frame| frame.expect("has a frame"))
        .collect();
    assert_eq!(frames.len(), info.frame_count);
    let colours = decode(frames.iter().map(|frame| &frame.data[..]));
    let alphas: Vec<_> = frames
        .iter()
        .filter_map(|frame| frame.alpha_data.as_deref())
        .collect();
    assert!(alphas.is_empty() || alphas.len() == colours.len());
    let alphas = decode(alphas.into_iter());
    let pictures = colours
        .iter()
        .enumerate()
        .map(|(index, colour)| rgba(colour, alphas.get(index), yuv::YuvRange::Limited))
        .collect();
    let durations = frames.iter().map(|frame| frame.duration_ms).collect();
    (pictures, durations)
}

fn animations_come_back<A: Av1>() {
    for (width, height) in [(64, 48), (7, 5), (16, 16), (15, 40), (1, 1)] {
        let size = Size { width, height };
        for has_alpha in [false, true] {
            let canvases: Vec<_> = (0..6)
                .map(|number| (canvas(size, number, has_alpha), number * 30))
                .collect();
            let file = animate::<A>(size, 3, &canvases, FINE);
            let (pictures, durations) = played(&file);
            assert_eq!(durations, [1, 30, 60, 90, 120, 150]);
            // The range that Chromium assumes for every animation is also signalled.
            let named = file.windows(11).filter(|bytes| bytes.starts_with(b"nclx"));
            let ranges: Vec<u8> = named.map(|bytes| bytes[10]).collect();
            // The first picture as a still, the track, and the track of alpha.
            let expected: &[u8] = if has_alpha { &[0, 0, 0x80] } else { &[0, 0] };
            assert_eq!(ranges, expected);
            assert_eq!(pictures.len(), canvases.len());
            for (number, (picture, (expected, _))) in pictures.iter().zip(&canvases).enumerate() {
                let difference = mean_difference(picture, expected);
                let allowed = if width < 16 { 12.0 } else { 5.0 };
                assert!(
                    difference < allowed,
                    "{width}×{height}, {number}: {difference}"
                );
            }
        }
    }
}

#[test]
fn animations_of_every_shape_come_back_as_they_were() {
    with_each!(animations_come_back);
}

#[test]
fn every_track_is_as_long_as_all_its_repetitions() {
    let size = Size {
        width: 20,
        height: 20,
    };
    for (loop_count, repeats, total) in [(0, 1, u64::MAX), (1, 0, 300), (4, 1, 1200)] {
        let canvases: Vec<_> = (0..3)
            .map(|number| (canvas(size, number, true), 100))
            .collect();
        let file = animate::<Chosen>(size, loop_count, &canvases, FINE);
        let after = |name: &[u8; 4], skip: usize, length: usize| -> Vec<Vec<u8>> {
            memchr::memmem::find_iter(&file, name)
                .map(|at| file[at + 4 + skip..][..length].to_vec())
                .collect()
        };
        let totals = after(b"tkhd", 28, 8);
        assert_eq!(totals, vec![total.to_be_bytes().to_vec(); 2]);
        assert_eq!(after(b"mvhd", 24, 8), vec![total.to_be_bytes().to_vec()]);
        assert_eq!(after(b"elst", 0, 4), vec![vec![1, 0, 0, repeats]; 2]);
        assert_eq!(
            after(b"mdhd", 24, 8),
            vec![300_u64.to_be_bytes().to_vec(); 2]
        );
    }
}

fn alpha_may_come_late<A: Av1>() {
    let size = Size {
        width: 32,
        height: 32,
    };
    let canvases: Vec<_> = (0..5)
        .map(|number| (canvas(size, number, number == 3), 40))
        .collect();
    let (pictures, _) = played(&animate::<A>(size, 0, &canvases, FINE));
    for (picture, (expected, _)) in pictures.iter().zip(&canvases) {
        assert!(mean_difference(picture, expected) < 6.0);
    }
}

#[test]
fn alpha_that_comes_late_was_opaque_before() {
    with_each!(alpha_may_come_late);
}

fn what_stays_costs_little<A: Av1>() {
    let size = Size {
        width: 160,
        height: 120,
    };
    let settings = Settings { quality: None };
    let one = animate::<A>(size, 0, &[(canvas(size, 0, false), 40)], settings);
    let canvases: Vec<_> = (0..10)
        .map(|number| (canvas(size, number, false), 40))
        .collect();
    let ten = animate::<A>(size, 0, &canvases, settings);
    assert!(ten.len() < one.len() * 5, "{} and {}", one.len(), ten.len());
}

#[test]
fn pictures_are_predicted_from_those_before() {
    with_each!(what_stays_costs_little);
}
