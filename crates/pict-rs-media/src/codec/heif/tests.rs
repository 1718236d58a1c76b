//! Tests of HEIF with small files from x265 in our own containers: intact, modified and damaged.

use super::*;
use crate::codec::testing::{Collect, Picture};
use crate::colour::Colours;
use crate::rows::Layout;
use crate::{
    Control, Error, Format, Orientation, Output, OutputFormat, Result, Speed,
    codec::testing::inspect as inspect_any, preview::preview, transform::transform,
};

/// Four tiles of 64×64 form 120×100, rotated by 90° clockwise, which EXIF repeats.
const PHONE: &[u8] = include_bytes!("../testdata/phone.heic");
/// The same without EXIF, and with a rotation and a mirror that do nothing.
const TURNED: &[u8] = include_bytes!("../testdata/turned.heic");
/// The same, cropped to 60×40 and rotated.
const CROPPED: &[u8] = include_bytes!("../testdata/cropped.heic");
/// 64×64, 10 bits.
const DEEP: &[u8] = include_bytes!("../testdata/deep.heic");
const GRAY: &[u8] = include_bytes!("../testdata/gray.heic");
const LOSSLESS: &[u8] = include_bytes!("../testdata/lossless.heic");

fn inspect(file: &[u8]) -> Result<crate::Facts> {
    super::inspect(file, &Control::new())
}

fn decoded(file: &[u8]) -> Result<Picture> {
    let facts = inspect(file)?;
    let mut sink = Collect::default();
    decode(file, &facts, &Control::new(), &mut sink)?;
    Ok(sink.picture())
}

/// Replaces the byte right after the first `name`.
fn with(file: &[u8], name: &[u8; 4], value: u8) -> Vec<u8> {
    let at = file.windows(4).position(|w| w == name).expect("is there");
    let mut changed = file.to_vec();
    changed[at + 4] = value;
    changed
}

#[test]
fn a_photograph_of_a_phone_is_upright_and_of_the_right_size() {
    let facts = inspect_any(PHONE).expect("is a HEIF");
    assert_eq!(facts.format, Format::Heif);
    assert_eq!((facts.width(), facts.height()), (100, 120));
    assert_eq!(facts.orientation, Orientation::Rotate90);
    assert_eq!((facts.frames, facts.duration_ms, facts.bits), (1, None, 8));
    assert!(!facts.has_alpha && !facts.lossless);
    assert_eq!(
        colours(PHONE, &Control::new()),
        Colours::Code((12, 13).into())
    );
    let picture = decoded(PHONE).expect("decodes");
    assert_eq!(picture.shape.layout, Layout::Rgb8);
    let near = |x, y, expected: [u16; 3]| {
        let found = picture.at(x, y);
        let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 12);
        assert!(near, "{x} {y} {found:?}");
    };
    // A mark, and the gradients around it, in the second, third and last tile too.
    near(15, 25, [250, 250, 40]);
    near(100, 10, [200, 235, 172]);
    near(10, 90, [20, 75, 87]);
    near(110, 90, [220, 75, 137]);
    assert_eq!(decoded(TURNED).expect("decodes"), picture);
}

#[test]
fn every_turn_and_mirror_is_a_fact() {
    use Orientation::*;
    let cases = [
        (0, 0, FlipVertical),
        (0, 1, FlipHorizontal),
        (1, 0, Transpose),
        (1, 1, Transverse),
        (2, 0, FlipHorizontal),
        (2, 1, FlipVertical),
        (3, 0, Transverse),
        (3, 1, Transpose),
    ];
    let upright = decoded(TURNED).expect("decodes");
    for (turn, mirror, expected) in cases {
        let file = with(&with(TURNED, b"irot", turn), b"imir", mirror);
        let facts = inspect(&file).expect("is a HEIF");
        // These were compared with libheif, pixel for pixel.
        assert_eq!(facts.orientation, expected, "{turn} {mirror}");
        assert_eq!(decoded(&file).expect("decodes"), upright);
    }
    for (turn, expected) in [(0, Normal), (1, Rotate270), (2, Rotate180), (3, Rotate90)] {
        let facts = inspect(&with(PHONE, b"irot", turn)).expect("is a HEIF");
        assert_eq!(facts.orientation, expected);
    }
}

#[test]
fn a_crop_is_where_the_container_says() {
    let facts = inspect(CROPPED).expect("is a HEIF");
    assert_eq!((facts.width(), facts.height()), (40, 60));
    let (part, whole) = (
        decoded(CROPPED).expect("decodes"),
        decoded(TURNED).expect("decodes"),
    );
    for (x, y) in [(0, 0), (59, 0), (0, 39), (59, 39), (30, 20)] {
        assert_eq!(part.at(x, y), whole.at(x + 40, y + 22));
    }
}

#[test]
fn deep_pictures_keep_their_bits() {
    let facts = inspect(DEEP).expect("is a HEIF");
    assert_eq!((facts.bits, facts.stored_width), (16, 64));
    let picture = decoded(DEEP).expect("decodes");
    assert_eq!(picture.shape.layout, Layout::Rgb16);
    // Red increases to the right by 1040 per pixel, green decreases downwards.
    for (x, y) in [(5, 5), (20, 40), (60, 10)] {
        let found = picture.at(x, y);
        assert!(found[0].abs_diff(x as u16 * 1040) < 3000, "{found:?}");
        assert!(
            found[1].abs_diff(65535 - y as u16 * 1040) < 3000,
            "{found:?}"
        );
    }
    assert!(picture.samples.iter().any(|sample| sample % 257 != 0));
}

#[test]
fn a_variant_is_made_upright() {
    let facts = inspect(PHONE).expect("is a HEIF");
    let output = Output {
        format: OutputFormat::Jpeg,
        quality: Some(90),
        lossless: false,
        speed: Speed::Quality,
    };
    let made = transform(PHONE, &facts, &[], &output, &Control::new()).expect("works");
    assert_eq!((made.facts.width(), made.facts.height()), (100, 120));
    assert_eq!(made.facts.orientation, Orientation::Normal);
}

#[test]
fn what_the_decoder_would_spoil_is_refused_by_name() {
    for (file, word) in [(GRAY, "4:0:0"), (LOSSLESS, "without loss")] {
        let error = inspect_any(file).expect_err("is not read");
        assert!(matches!(error, Error::Unsupported(_)));
        assert!(error.to_string().contains(word), "{error}");
    }
    // A film of HEVC pictures, without a still picture.
    let film = b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc\0\0\0\x08moov";
    let error = inspect_any(film).expect_err("is not read");
    assert!(error.to_string().contains("without a still"), "{error}");
    let none = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic\0\0\0\x0cmeta\0\0\0\0";
    assert!(matches!(inspect_any(none), Err(Error::Unsupported(_))));
}

#[test]
fn work_stops_when_it_is_cancelled() {
    let control = Control::new();
    control.cancel();
    let facts = inspect(PHONE).expect("is a HEIF");
    let outcome = decode(PHONE, &facts, &control, &mut Collect::default());
    assert!(matches!(outcome, Err(Error::Cancelled)));
}

#[test]
fn damaged_files_are_refused_politely() {
    let blames = |error: &Error| {
        matches!(
            error,
            Error::Corrupt { .. } | Error::Unsupported(_) | Error::Unrecognised | Error::Empty
        )
    };
    let survives = |file: &[u8]| {
        let facts = match inspect_any(file) {
            Ok(facts) => facts,
            Err(error) => return assert!(blames(&error), "{error:?}"),
        };
        if u64::from(facts.stored_width) * u64::from(facts.stored_height) > 1 << 18 {
            return;
        }
        if let Err(error) = preview(file, &facts, &Control::new()) {
            assert!(blames(&error), "{error:?}");
        }
    };
    for file in [PHONE, CROPPED, DEEP] {
        for end in 0..file.len() {
            survives(&file[..end]);
        }
        for at in 0..file.len() {
            for change in [1, 0xff] {
                let mut broken = file.to_vec();
                broken[at] ^= change;
                survives(&broken);
            }
        }
        let half = &file[..file.len() - 150];
        let outcome = inspect(half).and_then(|facts| preview(half, &facts, &Control::new()));
        assert!(outcome.is_err());
    }
}
