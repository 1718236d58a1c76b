//! Complete transforms, from files to files, through the real codecs.

use std::ops::ControlFlow;

use super::*;
use crate::{
    Error, Format, Orientation,
    clean::clean,
    codec::testing::{Collect, Picture, inspect, picture},
    operation::{Filter, ResizeTo},
    orient::{
        tests::{ALL, inverse},
        turn,
    },
    rows::{AnimationShape, Canvas, Layout, Row, RowSink, Shape},
};

fn png(picture: &Picture) -> Vec<u8> {
    let mut encoder = codec::png::Encoder::new(true);
    picture.push(&mut encoder).expect("encodes");
    encoder.into_bytes()
}

fn jpeg(picture: &Picture) -> Vec<u8> {
    let mut encoder = codec::jpeg::Encoder::new(Some(100), true);
    picture.push(&mut encoder).expect("encodes");
    encoder.into_bytes()
}

fn webp(picture: &Picture) -> Vec<u8> {
    let mut encoder = codec::webp::Encoder::new(codec::webp::Settings {
        quality: None,
        lossless: true,
        fast: true,
    });
    picture.push(&mut encoder).expect("encodes");
    encoder.into_bytes()
}

fn gif(colours: &[[u8; 3]], width: u32, height: u32) -> Vec<u8> {
    let mut encoder = codec::gif::AnimationEncoder::new(false);
    encoder
        .begin(AnimationShape {
            width,
            height,
            loop_count: 0,
            has_alpha: false,
        })
        .expect("begins");
    for [r, g, b] in colours {
        let rgba = [*r, *g, *b, 255].repeat((width * height) as usize);
        let canvas = Canvas {
            rgba: &rgba,
            delay_ms: 100,
        };
        let flow = encoder.canvas(canvas).expect("takes the canvas");
        assert_eq!(flow, ControlFlow::Continue(()));
    }
    encoder.end().expect("ends");
    encoder.into_bytes()
}

fn decoded(file: &[u8]) -> Picture {
    let facts = inspect(file).expect("is a picture");
    let mut sink = Collect::default();
    pipeline::decode(file, &facts, 1, &Control::new(), &mut sink).expect("decodes");
    sink.picture()
}

fn output(format: OutputFormat) -> Output {
    Output {
        format,
        quality: None,
        lossless: false,
        speed: Speed::Quality,
    }
}

/// The stored form of a picture that is displayed as `upright`.
fn stored(upright: &Picture, orientation: Orientation) -> Picture {
    let (width, height) = orientation.swap_size((upright.shape.width, upright.shape.height));
    let mut samples = Vec::new();
    turn(
        &upright.samples,
        upright.shape,
        inverse(orientation),
        |row| {
            samples.extend_from_slice(row);
            Ok(())
        },
    )
    .expect("the sizes fit");
    Picture {
        shape: Shape {
            width,
            height,
            ..upright.shape
        },
        samples,
    }
}

fn run(file: &[u8], orientation: Orientation, operations: &[Operation]) -> Picture {
    let mut facts = inspect(file).expect("is a picture");
    facts.orientation = orientation;
    let output = output(OutputFormat::Png);
    let made = transform(file, &facts, operations, &output, &Control::new()).expect("works");
    assert_eq!(made.facts.format, Format::Png);
    assert_eq!(made.facts.orientation, Orientation::Normal);
    let picture = decoded(&made.bytes);
    assert_eq!(
        (made.facts.stored_width, made.facts.stored_height),
        (picture.shape.width, picture.shape.height)
    );
    picture
}

const SQUARE: Operation = Operation::Crop {
    width: 1,
    height: 1,
};
const WIDE: Operation = Operation::Crop {
    width: 16,
    height: 9,
};

fn resize(size: u32) -> Operation {
    Operation::Resize {
        filter: Filter::Mitchell,
        to: ResizeTo::Fit(size),
    }
}

#[test]
fn all_orientations_give_the_same_upright_picture() {
    // Odd sizes, so that a centred crop must decide on which side the odd pixel goes.
    let upright = picture(61, 40, Layout::Rgb8);
    let lists: [&[Operation]; 8] = [
        &[],
        &[SQUARE],
        &[WIDE],
        &[Operation::Thumbnail(17)],
        &[SQUARE, resize(13)],
        &[resize(31), WIDE, resize(11), SQUARE],
        &[Operation::Blur(1.0)],
        &[WIDE, Operation::Blur(9.0)],
    ];
    for operations in lists {
        let expected = run(&png(&upright), Orientation::Normal, operations);
        for orientation in ALL {
            let file = png(&stored(&upright, orientation));
            let found = run(&file, orientation, operations);
            // A sum in a different order may round differently.
            let difference = found.difference(&expected);
            assert!(
                difference <= 1,
                "{orientation:?} {operations:?} {difference}"
            );
        }
    }
}

#[test]
fn a_jpeg_shrunk_while_decoded_is_in_its_place() {
    // 405 and 307 are not multiples of 8: the last shrunk pixel is partial.
    let upright = picture(405, 307, Layout::Rgb8);
    let operations: [&[Operation]; 2] = [&[Operation::Thumbnail(40)], &[SQUARE, resize(24)]];
    for operations in operations {
        let expected = run(&png(&upright), Orientation::Normal, operations);
        for orientation in ALL {
            let file = jpeg(&stored(&upright, orientation));
            let facts = inspect(&file).expect("is a JPEG");
            assert!(Plan::new(&facts, operations, Speed::Quality).shrink > 1);
            let found = run(&file, orientation, operations);
            let difference = found.difference(&expected);
            assert!(
                difference <= 6,
                "{orientation:?} {operations:?} {difference}"
            );
        }
    }
}

#[test]
fn nothing_to_do_keeps_every_sample() {
    for layout in [
        Layout::Gray8,
        Layout::Rgb8,
        Layout::Rgba8,
        Layout::Rgb16,
        Layout::Rgba16,
    ] {
        let before = picture(9, 5, layout);
        let same = [Operation::Thumbnail(9), resize(1000), Operation::Blur(0.0)];
        assert_eq!(run(&png(&before), Orientation::Normal, &same), before);
    }
}

#[test]
fn depth_is_kept_where_the_format_can_and_rounded_where_not() {
    let file = png(&picture(64, 64, Layout::Rgb16));
    let small = run(&file, Orientation::Normal, &[resize(16)]);
    assert_eq!(small.shape.layout, Layout::Rgb16);
    let facts = inspect(&file).expect("is a PNG");
    for operations in [&[][..], &[resize(16)]] {
        for format in [OutputFormat::Jpeg, OutputFormat::Webp, OutputFormat::Gif] {
            let output = output(format);
            let made = transform(&file, &facts, operations, &output, &Control::new());
            assert_eq!(made.expect("works").facts.bits, 8, "{format:?}");
        }
    }
}

#[test]
fn transparency_becomes_white_where_the_format_has_none() {
    let shape = Shape {
        width: 16,
        height: 16,
        layout: Layout::Rgba8,
    };
    let clear = Picture {
        shape,
        samples: [255, 0, 0, 0].repeat(256),
    };
    let file = png(&clear);
    let facts = inspect(&file).expect("is a PNG");
    assert!(facts.has_alpha);
    let output = output(OutputFormat::Jpeg);
    let made = transform(&file, &facts, &[resize(8)], &output, &Control::new()).expect("works");
    assert!(!made.facts.has_alpha);
    assert!(decoded(&made.bytes).samples.iter().all(|v| *v >= 254));
}

#[test]
fn animations_stay_where_they_can_and_become_their_first_frame_elsewhere() {
    let (red, blue) = ([255, 0, 0], [0, 0, 255]);
    let file = gif(&[red, red, blue], 30, 20);
    let facts = inspect(&file).expect("is a GIF");
    let small = [Operation::Thumbnail(15)];
    for (format, animated) in [
        (OutputFormat::Png, false),
        (OutputFormat::Jpeg, false),
        (OutputFormat::Webp, true),
        (OutputFormat::Gif, true),
    ] {
        let made = transform(&file, &facts, &small, &output(format), &Control::new());
        let made = made.expect("works");
        assert_eq!(made.facts.is_animated(), animated, "{format:?}");
        assert_eq!(made.facts.format, format.file_format(animated));
        assert_eq!((made.facts.width(), made.facts.height()), (15, 10));
        if animated {
            assert_eq!(made.facts.duration_ms, Some(300), "{format:?}");
        }
        let first = decoded(&made.bytes);
        let pixel = first.at(7, 5);
        assert!(pixel[0] >= 250 && pixel[2] <= 5, "{format:?} {pixel:?}");
    }
}

#[test]
fn a_still_becomes_an_animation_of_one_frame() {
    let file = png(&picture(20, 30, Layout::Rgba8));
    let facts = inspect(&file).expect("is a PNG");
    let output = output(OutputFormat::Gif);
    let made = transform(&file, &facts, &[SQUARE], &output, &Control::new()).expect("works");
    assert_eq!((made.facts.format, made.facts.frames), (Format::Gif, 1));
    assert_eq!((made.facts.width(), made.facts.height()), (20, 20));
}

#[test]
fn a_wide_gamut_photograph_becomes_srgb() {
    let shape = Shape {
        width: 64,
        height: 64,
        layout: Layout::Rgb8,
    };
    let red = Picture {
        shape,
        // sRGB's (255, 0, 0) in Display P3.
        samples: [234, 51, 35].repeat(64 * 64),
    };
    let icc = moxcms::ColorProfile::new_display_p3()
        .encode()
        .expect("encodes");
    let length = u16::try_from(icc.len() + 16).expect("a short profile");
    let plain = jpeg(&red);
    let file = [
        &plain[..2],
        b"\xff\xe2",
        &length.to_be_bytes(),
        b"ICC_PROFILE\0\x01\x01",
        &icc,
        &plain[2..],
    ]
    .concat();
    for operations in [&[][..], &[Operation::Thumbnail(8)]] {
        let found = run(&file, Orientation::Normal, operations);
        for pixel in found.samples.chunks_exact(3) {
            assert!(
                pixel[0] >= 252 && pixel[1] <= 6 && pixel[2] <= 6,
                "{pixel:?}"
            );
        }
        let plain = run(&plain, Orientation::Normal, operations);
        assert!(plain.samples[1].abs_diff(51) <= 2);
    }
}

#[test]
fn work_that_nobody_waits_for_stops() {
    let control = Control::new();
    control.cancel();
    let files = [
        png(&picture(64, 64, Layout::Rgb8)),
        jpeg(&picture(64, 64, Layout::Rgb8)),
        webp(&picture(64, 64, Layout::Rgb8)),
        gif(&[[1, 2, 3], [4, 5, 6]], 8, 8),
    ];
    for file in &files {
        let facts = inspect(file).expect("is a picture");
        let output = output(OutputFormat::Webp);
        let made = transform(file, &facts, &[], &output, &control);
        assert!(matches!(made, Err(Error::Cancelled)), "{made:?}");
        let cleaned = clean(file, &facts, &control).map(|cleaned| cleaned.pieces);
        assert!(matches!(cleaned, Err(Error::Cancelled)), "{cleaned:?}");
    }
}

/// Cancels after some rows have passed.
struct CancelAfter<'a>(&'a Control, u32);

impl RowSink for CancelAfter<'_> {
    fn begin(&mut self, _: Shape) -> Result<()> {
        Ok(())
    }
    fn row(&mut self, _: Row<'_>) -> Result<()> {
        self.1 = self.1.saturating_sub(1);
        if self.1 == 0 {
            self.0.cancel();
        }
        Ok(())
    }
    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn cancelling_is_noticed_in_the_middle_of_a_picture() {
    let file = png(&picture(8, 400, Layout::Rgb8));
    let facts = inspect(&file).expect("is a PNG");
    let control = Control::new();
    let pipeline = Pipeline {
        source: &file,
        facts: &facts,
        plan: Plan::unchanged(&facts),
        conversion: None,
        deep: false,
        control: &control,
    };
    let mut sink = CancelAfter(&control, 20);
    assert!(matches!(pipeline.still(&mut sink), Err(Error::Cancelled)));
}

#[test]
fn every_output_is_what_it_is_called() {
    let file = png(&picture(4, 4, Layout::Rgb8));
    let facts = inspect(&file).expect("is a PNG");
    for format in OutputFormat::ALL {
        let made = transform(&file, &facts, &[], &output(format), &Control::new());
        let made = made.expect("is written");
        assert_eq!(made.facts.format, format.file_format(false));
    }
}

#[test]
fn tiny_and_thin_pictures_pass_every_operation() {
    for (width, height) in [(1, 1), (1, 90), (90, 1), (2, 3)] {
        for layout in [Layout::Gray8, Layout::Rgb8] {
            let picture = picture(width, height, layout);
            for file in [png(&picture), jpeg(&picture), webp(&rgb(&picture))] {
                let facts = inspect(&file).expect("is a picture");
                for operation in [
                    Operation::Thumbnail(0),
                    Operation::Thumbnail(7),
                    resize(1),
                    Operation::Resize {
                        filter: Filter::Lanczos,
                        to: ResizeTo::Area(0),
                    },
                    SQUARE,
                    WIDE,
                    Operation::Blur(0.3),
                    Operation::Blur(f32::MAX),
                ] {
                    for format in [OutputFormat::Jpeg, OutputFormat::Webp, OutputFormat::Gif] {
                        let output = output(format);
                        let made = transform(&file, &facts, &[operation], &output, &Control::new());
                        assert!(made.is_ok(), "{width}x{height} {operation:?} {made:?}");
                    }
                }
            }
        }
    }
}

fn rgb(picture: &Picture) -> Picture {
    if picture.shape.layout != Layout::Gray8 {
        return picture.clone();
    }
    Picture {
        shape: Shape {
            layout: Layout::Rgb8,
            ..picture.shape
        },
        samples: picture.samples.iter().flat_map(|v| [*v; 3]).collect(),
    }
}

#[test]
fn cleaning_turns_without_loss_where_the_codec_can() {
    let upright = picture(48, 32, Layout::Rgb8);
    let deep = picture(21, 13, Layout::Rgba16);
    for orientation in ALL {
        for (upright, tolerance, encode) in [
            (&upright, 0, png as fn(&Picture) -> Vec<u8>),
            (&deep, 0, png),
            (&upright, 0, webp),
            (&upright, 4, jpeg),
        ] {
            let file = encode(&stored(upright, orientation));
            let mut facts = inspect(&file).expect("is a picture");
            facts.orientation = orientation;
            let cleaned = clean(&file, &facts, &Control::new()).expect("cleans");
            assert_eq!(cleaned.facts.orientation, Orientation::Normal);
            let bytes = cleaned.pieces.concat();
            assert_eq!(inspect(&bytes).expect("is a picture"), cleaned.facts);
            let found = decoded(&bytes);
            assert!(found.difference(upright) <= tolerance, "{orientation:?}");
        }
    }
}

#[test]
fn a_jpeg_that_cannot_be_turned_without_loss_is_turned_well() {
    let upright = picture(45, 31, Layout::Rgb8);
    for orientation in ALL {
        let file = jpeg(&stored(&upright, orientation));
        let mut facts = inspect(&file).expect("is a JPEG");
        facts.orientation = orientation;
        let cleaned = clean(&file, &facts, &Control::new()).expect("cleans");
        assert_eq!((cleaned.facts.width(), cleaned.facts.height()), (45, 31));
        let found = decoded(&cleaned.pieces.concat());
        let difference = found.difference(&upright);
        assert!(difference <= 8, "{orientation:?} {difference}");
    }
}

#[test]
fn a_profile_stays_with_a_turned_png() {
    let upright = picture(6, 4, Layout::Rgb8);
    let plain = png(&stored(&upright, Orientation::Rotate90));
    let chunk = b"\0\0\0\x04gAMA\0\0\xb1\x8f\x0b\xfc\x61\x05";
    let file = [&plain[..33], chunk, &plain[33..]].concat();
    let mut facts = inspect(&file).expect("is a PNG");
    facts.orientation = Orientation::Rotate90;
    let cleaned = clean(&file, &facts, &Control::new()).expect("cleans");
    let bytes = cleaned.pieces.concat();
    assert_eq!(decoded(&bytes), upright);
    assert_eq!(bytes[33..49], *chunk);
}

#[test]
fn a_turned_png_says_of_its_colours_what_it_said_before() {
    let picture = picture(6, 4, Layout::Rgb8);
    let mut encoder = codec::png::Encoder::new(true).without_colours();
    picture.push(&mut encoder).expect("encodes");
    let plain = encoder.into_bytes();
    let turned = codec::png::exif_chunk(&codec::exif::tiff(6)).expect("is short");
    let gamma = b"\0\0\0\x04gAMA\0\x01\x86\xa0\x31\xe8\x96\x5f";
    let names = |said: &[u8]| {
        let (start, rest) = plain.split_at(codec::png::HEADER_END);
        let file = [start, said, &turned, rest].concat();
        let facts = inspect(&file).expect("is a picture");
        let bytes = clean(&file, &facts, &Control::new())
            .expect("cleans")
            .pieces
            .concat();
        let has = |name: &[u8; 4]| bytes.windows(4).filter(|found| found == name).count();
        (has(b"gAMA"), has(b"sRGB"), has(b"eXIf"))
    };
    assert_eq!(names(gamma), (1, 0, 0));
    assert_eq!(names(b"\0\0\0\x01sRGB\0\xae\xce\x1c\xe9"), (0, 1, 0));
    assert_eq!(names(b""), (0, 1, 0));
}

/// A profile that makes everything brighter.
fn bright_profile(kind: &str) -> Vec<u8> {
    let profile = match kind {
        "gray" => moxcms::ColorProfile::new_gray_with_gamma(1.0),
        _ => {
            let mut profile = moxcms::ColorProfile::new_srgb();
            let curve = moxcms::ToneReprCurve::Parametric(vec![1.0]);
            profile.cicp = None;
            profile.red_trc = Some(curve.clone());
            profile.green_trc = Some(curve.clone());
            profile.blue_trc = Some(curve);
            profile
        }
    };
    let mut icc = profile.encode().expect("encodes");
    if kind == "cmyk" {
        // Only its name is checked.
        icc[16..20].copy_from_slice(b"CMYK");
    }
    icc
}

fn jpeg_with(picture: &Picture, icc: &[u8]) -> Vec<u8> {
    let file = jpeg(picture);
    let mut payload = b"ICC_PROFILE\0\x01\x01".to_vec();
    payload.extend_from_slice(icc);
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [&file[..2], &[0xff, 0xe2], &length, &payload, &file[2..]].concat()
}

fn png_with(picture: &Picture, icc: &[u8]) -> Vec<u8> {
    let mut info = png::Info::with_size(picture.shape.width, picture.shape.height);
    info.icc_profile = Some(std::borrow::Cow::Borrowed(icc));
    (info.bit_depth, info.color_type) = match picture.shape.layout {
        Layout::Gray8 => (png::BitDepth::Eight, png::ColorType::Grayscale),
        Layout::Rgb8 => (png::BitDepth::Eight, png::ColorType::Rgb),
        Layout::Rgba8 => (png::BitDepth::Eight, png::ColorType::Rgba),
        other => panic!("no test needs {other:?}"),
    };
    let mut file = Vec::new();
    let encoder = png::Encoder::with_info(&mut file, info).expect("is valid");
    let mut writer = encoder.write_header().expect("starts");
    let samples: Vec<u8> = picture.samples.iter().map(|s| *s as u8).collect();
    writer.write_image_data(&samples).expect("writes");
    writer.finish().expect("finishes");
    file
}

fn webp_with(picture: &Picture, icc: &[u8]) -> Vec<u8> {
    let file = webp(picture);
    let (width, height) = (picture.shape.width - 1, picture.shape.height - 1);
    let alpha = if picture.shape.layout.has_alpha() {
        0x10
    } else {
        0
    };
    let mut body = b"WEBPVP8X\x0a\0\0\0".to_vec();
    body.extend([0x20 | alpha, 0, 0, 0]);
    body.extend(&width.to_le_bytes()[..3]);
    body.extend(&height.to_le_bytes()[..3]);
    body.extend(b"ICCP");
    body.extend((icc.len() as u32).to_le_bytes());
    body.extend_from_slice(icc);
    body.resize(body.len().next_multiple_of(2), 0);
    body.extend_from_slice(&file[12..]);
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

#[test]
fn a_profile_of_other_colours_than_the_pixels_is_not_looked_at() {
    let output = Output {
        format: OutputFormat::Png,
        quality: None,
        lossless: false,
        speed: Speed::Fast,
    };
    let shown = |file: &[u8]| {
        let facts = inspect(file).expect("is a picture");
        let made = transform(file, &facts, &[], &output, &Control::new()).expect("is made");
        decoded(&made.bytes)
    };
    type With = fn(&Picture, &[u8]) -> Vec<u8>;
    let formats: [(With, &[Layout]); 3] = [
        (jpeg_with, &[Layout::Gray8, Layout::Rgb8]),
        (png_with, &[Layout::Gray8, Layout::Rgb8, Layout::Rgba8]),
        (webp_with, &[Layout::Rgb8, Layout::Rgba8]),
    ];
    for (with, layouts) in formats {
        for &layout in layouts {
            let picture = picture(24, 16, layout);
            let plain = shown(&with(&picture, b""));
            for kind in ["gray", "rgb", "cmyk"] {
                let file = with(&picture, &bright_profile(kind));
                let brighter = shown(&file).difference(&plain) > 20;
                let fits = match kind {
                    "gray" => layout == Layout::Gray8,
                    // A gray picture is one whose channels are equal.
                    "rgb" => true,
                    _ => false,
                };
                assert_eq!(brighter, fits, "{kind} on {layout:?}");
                let facts = inspect(&file).expect("is a picture");
                let cleaned = clean(&file, &facts, &Control::new()).expect("cleans");
                assert_eq!(shown(&cleaned.pieces.concat()), shown(&file));
            }
        }
    }
}
