//! JPEG: container, cleaning, scaled row decoding, encoding, lossless turning.
//!
//! [`container`] parses segments, `sys` wraps libjpeg (decoding, turning, the fast encoder), and
//! [`encode`] chooses between that and zenjpeg. Pixels are delivered as stored: neither turned nor
//! colour managed.

use std::borrow::Cow;

use crate::codec::interface::{Codec, Credits, Kept, Repair, streamed};
use crate::codec::pieces;
use crate::colour::Colours;
use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{
    ColourModel, Control, Error, Extent, Facts, Format, Missing, Orientation, Repaired, Result,
};

mod container;
mod eighth;
mod encode;
mod huffman;
mod scan;
mod sys;

pub(crate) use encode::Encoder;

/// The codec.
pub(crate) const CODEC: Codec = Codec {
    formats: &[Format::Jpeg],
    detect: |source| source.starts_with(b"\xff\xd8\xff"),
    inspect: |source, _, control| inspect(source, control),
    clean: Some(|source, _, control| clean(source, control)),
    clean_memory: |facts| {
        // For each block its first coefficient, and which ones are nonzero.
        let blocks = |side: u32| u64::from(side.div_ceil(32) * 4);
        let all = blocks(facts.stored_width) * blocks(facts.stored_height) * facts.components();
        all * if facts.buffered { 10 } else { 2 }
    },
    decode: Some(decode),
    shrinks: true,
    colours: |source, facts, _| Colours::of_profile(icc(source), facts.colour),
    credits: Some(Credits {
        exif: |source, _| container::exif(source).map(Cow::Borrowed),
        xmp: |source, _| container::xmp(source).map(Cow::Borrowed),
        photoshop: container::photoshop,
        put: |file, tiff, _| put_exif(file.pieces, tiff),
    }),
    repair: Some(Repair {
        claimed_size: |source, _| container::claimed_size(source),
        may_move: |_| false,
        repair,
    }),
    memory: |facts| {
        if facts.buffered {
            // Two bytes for each coefficient, at most at full size in each component.
            facts.pixels() * 2 * facts.components() + streamed(facts)
        } else {
            streamed(facts)
        }
    },
    ..Codec::NONE
};

/// Facts from the container; no pixel is decoded.
pub(crate) fn inspect(source: &[u8], control: &Control) -> Result<Facts> {
    Ok(container::read(source, control)?.facts())
}

/// Whether it is a JPEG of a kind that [`inspect`] refuses, according to its frame header.
pub(crate) fn is_rare(source: &[u8]) -> bool {
    container::is_rare(source)
}

/// The file without metadata, pixels untouched. Keeps the ICC profile, drops everything after
/// the end of the picture.
pub(crate) fn clean<'a>(source: &'a [u8], control: &Control) -> Result<Kept<'a>> {
    let cleaned = container::clean(source, control)?;
    let means = cleaned.means;
    Ok(Kept {
        pieces: cleaned.pieces,
        eighth: means.and_then(|means| eighth::of(source, means)),
    })
}

/// Inserts an EXIF segment into a cleaned file, after the JFIF segment, which must be the first if
/// there is one.
fn put_exif<'a>(mut pieces: Vec<Cow<'a, [u8]>>, tiff: &[u8]) -> Vec<Cow<'a, [u8]>> {
    let at = match pieces::start(&pieces)[..] {
        [0xff, container::SOI, 0xff, container::APP0, high, low, ..] => {
            4 + usize::from(u16::from_be_bytes([high, low]))
        }
        [0xff, container::SOI, ..] => 2,
        _ => return pieces,
    };
    let payload = [b"Exif\0\0", tiff].concat();
    // Credits are far shorter than the longest segment.
    let length = (payload.len() + 2) as u16;
    let segment = [&[0xff, 0xe1][..], &length.to_be_bytes(), &payload].concat();
    pieces::insert(&mut pieces, at, segment);
    pieces
}

/// The embedded ICC profile, if there is one.
pub(crate) fn icc(source: &[u8]) -> Option<Cow<'_, [u8]>> {
    container::icc(source)
}

/// Pushes the picture's rows, shrunk by `shrink` (1, 2, 4 or 8; sizes are rounded up) in the
/// inverse DCT. Delivers `Gray8`, `Rgb8` or `Cmyk8`; neither turned nor colour managed.
pub(crate) fn decode(
    source: &[u8],
    facts: &Facts,
    shrink: u32,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let header = container::read(source, control)?;
    let mut picture = sys::Decompress::new(&source[..header.end], control)?;
    let (width, height) = picture.start(shrink, header.colour())?;
    if (width, height)
        != (
            facts.stored_width.div_ceil(shrink),
            facts.stored_height.div_ceil(shrink),
        )
    {
        return Err(Error::Internal("the facts are of another file".into()));
    }
    let shape = Shape {
        width,
        height,
        layout: match header.colour() {
            ColourModel::Gray => Layout::Gray8,
            ColourModel::Rgb => Layout::Rgb8,
            ColourModel::Cmyk => Layout::Cmyk8,
        },
    };
    sink.begin(shape)?;
    // Adobe's marker says that inks are stored inverted. Browsers assume that for files without it
    // too, and so do the programs that omit it.
    let inverted = shape.layout == Layout::Cmyk8;
    let mut buffer = vec![0; picture.row_len() * picture.group()];
    let mut left = height as usize;
    while left > 0 {
        control.check()?;
        let count = picture.read(&mut buffer)?.min(left);
        let rows = &mut buffer[..count * shape.row_len()];
        if inverted {
            rows.iter_mut().for_each(|ink| *ink = 255 - *ink);
        }
        for row in rows.chunks_exact(shape.row_len()) {
            sink.row(Row::U8(row))?;
        }
        left -= count;
    }
    sink.end()
}

/// The same picture with its orientation applied to the DCT coefficients, losslessly; `None` when
/// its size does not allow that. The result contains no metadata but the ICC profile.
pub(crate) fn turn<'a>(
    source: &'a [u8],
    facts: &Facts,
    control: &Control,
) -> Result<Option<Kept<'a>>> {
    let header = container::read(source, control)?;
    let how = moves(facts.orientation);
    // Blocks at the right and bottom edge may extend beyond the picture. They must stay there.
    let (across, down) = mcu_size(&header.sampling);
    let (mut whole_x, mut whole_y) = (
        u32::from(header.width).is_multiple_of(across),
        u32::from(header.height).is_multiple_of(down),
    );
    if how.transpose {
        std::mem::swap(&mut whole_x, &mut whole_y);
    }
    if (how.mirror_x && !whole_x) || (how.mirror_y && !whole_y) {
        return Ok(None);
    }
    let profile = container::profile_segments(source);
    let markers: Vec<_> = profile
        .iter()
        .map(|segment| (segment[1], &segment[4..]))
        .collect();
    let turned = sys::turn(
        &source[..header.end],
        how,
        header.progressive,
        header.adobe,
        &markers,
        control,
    )?;
    Ok(turned.map(|turned| Kept {
        pieces: vec![Cow::Owned(turned.bytes)],
        eighth: eighth::of(source, turned.means),
    }))
}

/// Reads the coefficients of a damaged file as browsers do and writes them again, with the segments
/// that describe the picture. Missing rows are white, because JPEG has no transparency.
///
/// A file with an end marker counts as complete, whatever its data give for the last rows: a
/// flipped bit cannot be distinguished from a missing row.
pub(crate) fn repair(source: &[u8], control: &Control) -> Result<Option<Repaired>> {
    let Some(remains) = container::remains(source) else {
        return Ok(None);
    };
    let mut ended = source[..remains.end].to_vec();
    ended.extend([0xff, container::EOI]);
    let again = sys::rewrite(
        &ended,
        remains.progressive,
        remains.adobe,
        &container::told(source),
        |loss| is_cut(&remains, loss),
        control,
    )?;
    let Some((bytes, loss)) = again else {
        return Ok(None);
    };
    let there = match loss.first {
        _ if remains.is_ended => None,
        Some((_, row)) if is_cut(&remains, &loss) => {
            let height = u32::from(remains.height);
            Some(Extent::Rows((row * remains.unit).min(height), height))
        }
        // The last scan refines the lowest bits, whose absence is not visible.
        _ => loss.is_coarse.then_some(Extent::Coarse),
    };
    if matches!(there, Some(Extent::Rows(0, _))) {
        return Ok(None);
    }
    let missing = there.map(|there| Missing {
        format: Format::Jpeg,
        there,
    });
    Ok(Some(Repaired { bytes, missing }))
}

/// Whether rows are missing, and not only detail in them.
fn is_cut(remains: &container::Remains, loss: &sys::Loss) -> bool {
    let in_first = |(scan, _)| scan <= 1 || !remains.progressive;
    !remains.is_ended && loss.first.is_some_and(in_first)
}

fn moves(orientation: Orientation) -> sys::Move {
    let (transpose, mirror_x, mirror_y) = match orientation {
        Orientation::Normal => (false, false, false),
        Orientation::FlipHorizontal => (false, true, false),
        Orientation::Rotate180 => (false, true, true),
        Orientation::FlipVertical => (false, false, true),
        Orientation::Transpose => (true, false, false),
        Orientation::Rotate90 => (true, true, false),
        Orientation::Transverse => (true, true, true),
        Orientation::Rotate270 => (true, false, true),
    };
    sys::Move {
        transpose,
        mirror_x,
        mirror_y,
    }
}

/// The size of the smallest unit that holds whole blocks of every component, in pixels.
fn mcu_size(sampling: &[(u8, u8)]) -> (u32, u32) {
    if sampling.len() == 1 {
        return (8, 8);
    }
    let across = sampling.iter().map(|(h, _)| *h).max().unwrap_or(1);
    let down = sampling.iter().map(|(_, v)| *v).max().unwrap_or(1);
    (u32::from(across) * 8, u32::from(down) * 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::exif;
    use crate::codec::testing::{Collect, Picture, picture};

    fn inspect(source: &[u8]) -> Result<Facts> {
        super::inspect(source, &Control::new())
    }

    fn clean(source: &[u8]) -> Result<Vec<Cow<'_, [u8]>>> {
        super::clean(source, &Control::new()).map(|kept| kept.pieces)
    }

    fn turn(source: &[u8], facts: &Facts) -> Result<Option<Vec<u8>>> {
        let kept = super::turn(source, facts, &Control::new())?;
        Ok(kept.map(|kept| kept.pieces.concat()))
    }

    const ALL: [Orientation; 8] = [
        Orientation::Normal,
        Orientation::FlipHorizontal,
        Orientation::Rotate180,
        Orientation::FlipVertical,
        Orientation::Transpose,
        Orientation::Rotate90,
        Orientation::Transverse,
        Orientation::Rotate270,
    ];

    fn encode(picture: &Picture, quality: u8, fast: bool) -> Vec<u8> {
        let mut encoder = Encoder::new(Some(quality), fast);
        picture.push(&mut encoder).expect("encodes");
        encoder.into_bytes()
    }

    fn progressive(picture: &Picture) -> Vec<u8> {
        use zenjpeg::encoder::{ChromaSubsampling, EncoderConfig, PixelLayout, Unstoppable};
        let shape = picture.shape;
        let config = EncoderConfig::ycbcr(85.0, ChromaSubsampling::Quarter).progressive(true);
        let mut encoder = config
            .encode_from_bytes(shape.width, shape.height, PixelLayout::Rgb8Srgb)
            .expect("starts");
        let bytes: Vec<u8> = picture.samples.iter().map(|s| *s as u8).collect();
        encoder.push_packed(&bytes, Unstoppable).expect("encodes");
        encoder.finish().expect("finishes")
    }

    fn cmyk(picture: &Picture) -> Vec<u8> {
        let size = (picture.shape.width, picture.shape.height);
        let mut encoder = sys::Compress::start(size, ColourModel::Cmyk, 100, true).expect("starts");
        for row in picture.samples.chunks_exact(picture.shape.row_len()) {
            let inverted: Vec<u8> = row.iter().map(|ink| 255 - *ink as u8).collect();
            encoder.write(&inverted).expect("encodes");
        }
        encoder.finish().expect("finishes")
    }

    fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
        let len = (payload.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker], &len[..], payload].concat()
    }

    /// Inserts segments after the start marker.
    fn insert(file: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
        [&file[..2], &segments.concat(), &file[2..]].concat()
    }

    fn exif_segment(orientation: Orientation) -> Vec<u8> {
        let tiff = exif::tiff(orientation as u16);
        segment(0xe1, &[b"Exif\0\0", &tiff[..]].concat())
    }

    fn decode_by(file: &[u8], shrink: u32) -> Result<Picture> {
        let facts = inspect(file)?;
        let mut sink = Collect::default();
        decode(file, &facts, shrink, &Control::new(), &mut sink)?;
        Ok(sink.picture())
    }

    fn cleaned(file: &[u8]) -> Vec<u8> {
        inspect(file).expect("is a JPEG");
        clean(file).expect("cleans").concat()
    }

    fn turned(picture: &Picture, orientation: Orientation) -> Picture {
        let (w, h) = (picture.shape.width, picture.shape.height);
        let mut shape = picture.shape;
        if orientation.swaps_axes() {
            (shape.width, shape.height) = (h, w);
        }
        let mut samples = Vec::new();
        for y in 0..shape.height {
            for x in 0..shape.width {
                // The stored position of the pixel seen at (x, y), according to EXIF.
                let (x, y) = match orientation {
                    Orientation::Normal => (x, y),
                    Orientation::FlipHorizontal => (w - 1 - x, y),
                    Orientation::Rotate180 => (w - 1 - x, h - 1 - y),
                    Orientation::FlipVertical => (x, h - 1 - y),
                    Orientation::Transpose => (y, x),
                    Orientation::Rotate90 => (y, h - 1 - x),
                    Orientation::Transverse => (w - 1 - y, h - 1 - x),
                    Orientation::Rotate270 => (w - 1 - y, x),
                };
                samples.extend_from_slice(picture.at(x, y));
            }
        }
        Picture { shape, samples }
    }

    #[test]
    fn facts_come_from_the_container() {
        let check = |file: &[u8], size: (u32, u32), colour, buffered, orientation| {
            let facts = inspect(file).expect("is a JPEG");
            assert_eq!((facts.stored_width, facts.stored_height), size);
            assert_eq!(facts.colour, colour);
            assert_eq!(facts.buffered, buffered);
            assert_eq!(facts.orientation, orientation);
            assert_eq!((facts.frames, facts.bits), (1, 8));
            assert!(!facts.has_alpha && !facts.lossless);
        };
        let normal = Orientation::Normal;
        let rgb = picture(37, 21, Layout::Rgb8);
        check(
            &encode(&rgb, 80, false),
            (37, 21),
            ColourModel::Rgb,
            false,
            normal,
        );
        check(
            &encode(&rgb, 80, true),
            (37, 21),
            ColourModel::Rgb,
            false,
            normal,
        );
        check(&progressive(&rgb), (37, 21), ColourModel::Rgb, true, normal);
        let gray = encode(&picture(9, 17, Layout::Gray8), 80, false);
        check(&gray, (9, 17), ColourModel::Gray, false, normal);
        let inks = cmyk(&picture(9, 17, Layout::Cmyk8));
        check(&inks, (9, 17), ColourModel::Cmyk, false, normal);
        let exif = [
            exif_segment(Orientation::Rotate90),
            exif_segment(Orientation::Rotate180),
        ];
        check(
            &insert(&gray, &exif),
            (9, 17),
            ColourModel::Gray,
            false,
            Orientation::Rotate90,
        );
    }

    #[test]
    fn every_encoder_gives_the_picture_back() {
        for (width, height) in [(1, 1), (7, 9), (64, 48), (131, 77)] {
            for layout in [Layout::Gray8, Layout::Rgb8] {
                let original = picture(width, height, layout);
                for fast in [false, true] {
                    for quality in [80, 95] {
                        let file = encode(&original, quality, fast);
                        let decoded = decode_by(&file, 1).expect("decodes");
                        let off = decoded.difference(&original);
                        assert!(
                            off <= 40,
                            "{width}x{height} {layout:?} {fast} {quality}: {off}"
                        );
                    }
                }
            }
            let original = picture(width, height, Layout::Rgb8);
            let decoded = decode_by(&progressive(&original), 1).expect("decodes");
            assert!(decoded.difference(&original) <= 40);
        }
    }

    #[test]
    fn inks_are_inverted_whether_adobe_says_so_or_not() {
        let original = picture(40, 24, Layout::Cmyk8);
        let file = cmyk(&original);
        let decoded = decode_by(&file, 1).expect("decodes");
        assert!(decoded.difference(&original) <= 6);
        let at = file
            .windows(5)
            .position(|w| w == b"Adobe")
            .expect("is there");
        let plain = [&file[..at - 4], &file[at + 12..]].concat();
        let decoded = decode_by(&plain, 1).expect("decodes");
        assert!(decoded.difference(&original) <= 6);
    }

    #[test]
    fn shrinking_rounds_sizes_up() {
        for layout in [Layout::Gray8, Layout::Rgb8] {
            let file = encode(&picture(67, 41, layout), 90, false);
            for shrink in [1, 2, 4, 8] {
                let decoded = decode_by(&file, shrink).expect("decodes");
                let expected = picture(67_u32.div_ceil(shrink), 41_u32.div_ceil(shrink), layout);
                assert!(decoded.difference(&expected) <= 60, "{layout:?} {shrink}");
            }
        }
    }

    #[test]
    fn cleaning_drops_metadata_and_keeps_pixels_and_profile() {
        let rgb = picture(50, 40, Layout::Rgb8);
        let profile = crate::codec::testing::profile(100_000);
        let chunk = |n: usize| {
            let data = profile.chunks(60_000).nth(n).expect("two chunks");
            segment(
                0xe2,
                &[b"ICC_PROFILE\0", &[n as u8 + 1, 2][..], data].concat(),
            )
        };
        for file in [
            encode(&rgb, 80, false),
            encode(&rgb, 80, true),
            progressive(&rgb),
        ] {
            let mut dirty = insert(
                &file,
                &[
                    segment(0xe0, b"JFIF\0\x01\x02\x01\0\x48\0\x48\x01\x01RGB"),
                    segment(0xe0, b"JFXX\0\x10thumbnail"),
                    exif_segment(Orientation::Rotate90),
                    segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"),
                    segment(0xe2, b"MPF\0II*\0"),
                    chunk(1),
                    chunk(0),
                    segment(0xed, b"Photoshop 3.0\08BIM"),
                    vec![0xff, 0xff],
                    segment(0xfe, b"a comment"),
                ],
            );
            dirty.extend_from_slice(b"trailing bytes");
            dirty.extend_from_slice(&file);
            let clean = cleaned(&dirty);
            for word in [
                b"Exif".as_slice(),
                b"http://ns.adobe.com",
                b"JFXX",
                b"RGB",
                b"MPF",
                b"8BIM",
                b"a comment",
                b"trailing",
            ] {
                assert!(!clean.windows(word.len()).any(|w| w == word), "{word:?}");
            }
            assert!(clean.ends_with(&[0xff, 0xd9]));
            assert_eq!(decode_by(&clean, 1).ok(), decode_by(&file, 1).ok());
            assert_eq!(icc(&clean).as_deref(), Some(&profile[..]));
            assert_eq!(icc(&dirty).as_deref(), Some(&profile[..]));
            assert_eq!(
                inspect(&clean).expect("is a JPEG").orientation,
                Orientation::Normal
            );
            assert_eq!(cleaned(&clean), clean, "cleaning again changes nothing");
        }
    }

    #[test]
    fn a_clean_file_is_one_borrowed_piece() {
        for fast in [false, true] {
            let file = cleaned(&encode(&picture(50, 40, Layout::Rgb8), 80, fast));
            inspect(&file).expect("is a JPEG");
            let pieces = clean(&file).expect("cleans");
            assert!(matches!(pieces[..], [Cow::Borrowed(all)] if all == file));
        }
    }

    #[test]
    fn a_turn_moves_exactly_the_pixels() {
        let profile = crate::codec::testing::profile(150);
        let profile = segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", &profile[..]].concat());
        // Full chroma and grey have no upsampling that depends on neighbours across a turn.
        for (layout, quality, tolerance) in [
            (Layout::Gray8, 90, 0),
            (Layout::Rgb8, 95, 0),
            (Layout::Rgb8, 80, 3),
        ] {
            for fast in [false, true] {
                let stored = encode(&picture(64, 48, layout), quality, fast);
                check_turns(&stored, &profile, tolerance);
            }
        }
        check_turns(&progressive(&picture(64, 48, Layout::Rgb8)), &profile, 3);
        check_turns(&cmyk(&picture(64, 48, Layout::Cmyk8)), &profile, 0);
    }

    fn check_turns(stored: &[u8], profile: &[u8], tolerance: u16) {
        let upright = decode_by(stored, 1).expect("decodes");
        for orientation in ALL {
            let file = insert(stored, &[exif_segment(orientation), profile.to_vec()]);
            let facts = inspect(&file).expect("is a JPEG");
            assert_eq!(facts.orientation, orientation);
            let bytes = turn(&file, &facts).expect("turns").expect("sizes allow it");
            let decoded = decode_by(&bytes, 1).expect("decodes");
            let expected = turned(&upright, orientation);
            // The integer inverse DCT rounds rows and columns differently, by 1 in each component;
            // the conversion from YCbCr amplifies that to at most 3.
            let rounding = if upright.shape.layout == Layout::Rgb8 {
                3
            } else {
                1
            };
            let tolerance = tolerance + rounding * u16::from(orientation.swaps_axes());
            let off = decoded.difference(&expected);
            assert!(off <= tolerance, "{orientation:?}: {off} > {tolerance}");
            assert_eq!(
                icc(&bytes).as_deref(),
                Some(&crate::codec::testing::profile(150)[..])
            );
            assert!(!bytes.windows(4).any(|w| w == b"Exif"));
            let turned_facts = inspect(&bytes).expect("is a JPEG");
            assert_eq!(turned_facts.buffered, facts.buffered);
            assert_eq!(turned_facts.orientation, Orientation::Normal);
        }
    }

    #[test]
    fn a_turn_and_its_inverse_give_the_coefficients_back() {
        for stored in [
            encode(&picture(64, 48, Layout::Rgb8), 80, true),
            encode(&picture(64, 48, Layout::Rgb8), 80, false),
            progressive(&picture(64, 48, Layout::Rgb8)),
        ] {
            let by = |file: &[u8], orientation: Orientation| {
                let mut facts = inspect(file).expect("is a JPEG");
                facts.orientation = orientation;
                let turned = turn(file, &facts).expect("turns");
                turned.expect("sizes allow it")
            };
            let same = by(&stored, Orientation::Normal);
            for orientation in ALL {
                let inverse = match orientation {
                    Orientation::Rotate90 => Orientation::Rotate270,
                    Orientation::Rotate270 => Orientation::Rotate90,
                    own => own,
                };
                assert_eq!(
                    by(&by(&stored, orientation), inverse),
                    same,
                    "{orientation:?}"
                );
            }
            // They are not only inverse to each other: the decoder agrees with the untouched file.
            assert_eq!(decode_by(&same, 1).ok(), decode_by(&stored, 1).ok());
        }
    }

    #[test]
    fn a_turn_that_would_move_a_partial_block_is_left_to_others() {
        let possible = |width, height, layout, quality| {
            let file = encode(&picture(width, height, layout), quality, true);
            let mut facts = inspect(&file).expect("is a JPEG");
            ALL.map(|orientation| {
                facts.orientation = orientation;
                let turned = turn(&file, &facts).expect("works");
                if let Some(turned) = &turned {
                    decode_by(turned, 1).expect("decodes");
                }
                turned.is_some()
            })
        };
        let (t, f) = (true, false);
        // In the order of EXIF; with halved chroma the unit is 16 pixels.
        assert_eq!(possible(32, 48, Layout::Rgb8, 80), [t; 8]);
        assert_eq!(possible(40, 48, Layout::Rgb8, 80), [t, f, f, t, t, t, f, f]);
        assert_eq!(possible(32, 40, Layout::Rgb8, 80), [t, t, f, f, t, f, f, t]);
        assert_eq!(possible(40, 40, Layout::Rgb8, 95), [t; 8]);
        assert_eq!(
            possible(40, 41, Layout::Gray8, 80),
            [t, t, f, f, t, f, f, t]
        );
        assert_eq!(
            possible(41, 41, Layout::Gray8, 80),
            [t, f, f, f, t, f, f, f]
        );
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_or_complete() {
        let rgb = picture(40, 33, Layout::Rgb8);
        for file in [
            encode(&rgb, 80, false),
            encode(&rgb, 80, true),
            encode(&picture(40, 33, Layout::Gray8), 80, true),
            progressive(&rgb),
        ] {
            let file = insert(&file, &[exif_segment(Orientation::Rotate90)]);
            let whole = decode_by(&file, 1).expect("decodes");
            let mut complete = 0;
            for end in 0..file.len() {
                let cut = &file[..end];
                let Ok(facts) = inspect(cut) else { continue };
                clean(cut).expect("walks like inspect");
                icc(cut);
                let _ = turn(cut, &facts);
                if let Ok(decoded) = decode_by(cut, 1) {
                    assert_eq!(decoded, whole, "cut at {end} of {}", file.len());
                    complete += 1;
                }
            }
            assert!(complete <= 4, "{complete} cuts went unnoticed");
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let rgb = picture(24, 24, Layout::Rgb8);
        for file in [
            encode(&rgb, 80, true),
            progressive(&rgb),
            cmyk(&picture(16, 16, Layout::Cmyk8)),
        ] {
            for at in 2..file.len() {
                for value in [0, 1, 0x7f, 0xd9, 0xff] {
                    let mut broken = file.clone();
                    broken[at] = value;
                    let Ok(facts) = inspect(&broken) else {
                        continue;
                    };
                    if facts.stored_width > 4000 || facts.stored_height > 4000 {
                        continue;
                    }
                    clean(&broken).expect("walks like inspect");
                    let _ = decode_by(&broken, 1);
                    let _ = turn(&broken, &facts);
                }
            }
        }
    }

    #[test]
    fn garbage_is_refused_with_a_reason() {
        let file = encode(&picture(16, 16, Layout::Rgb8), 80, true);
        let frame = file
            .windows(2)
            .position(|w| w == [0xff, 0xc0])
            .expect("is there");
        let with = |at: usize, value: u8| {
            let mut file = file.clone();
            file[frame + at] = value;
            inspect(&file).expect_err("is refused").to_string()
        };
        let check = |message: String, expected: &str| {
            assert!(message.contains(expected), "{message}");
        };
        check(with(1, 0xc3), "lossless JPEG files cannot be read");
        check(with(1, 0xc9), "arithmetic-coded JPEG files cannot be read");
        check(with(1, 0xc5), "hierarchical JPEG files cannot be read");
        check(with(4, 12), "12-bit JPEG files cannot be read");
        let mut flat = file.clone();
        flat[frame + 5..frame + 7].fill(0);
        check(
            inspect(&flat).expect_err("is refused").to_string(),
            "width or height is zero",
        );
        let refused = |file: &[u8]| inspect(file).expect_err("is refused").to_string();
        check(refused(b"\xff\xd8\xff\xd9"), "no frame header");
        check(refused(&file[..frame + 19]), "no picture data");
        check(refused(&[&file[..2], &file].concat()), "second time");
        let twice = [&file[..frame + 19], &file[frame..]].concat();
        check(refused(&twice), "two frame headers");
        let mut scan = file.clone();
        let at = scan
            .windows(2)
            .position(|w| w == [0xff, 0xda])
            .expect("is there");
        scan[at + 4] = 1;
        check(refused(&scan), "colour component has no data");
    }

    #[test]
    fn a_bomb_of_scans_is_refused_before_decoding() {
        let file = progressive(&picture(16, 16, Layout::Rgb8));
        let frame = file
            .windows(2)
            .position(|w| w == [0xff, 0xc2])
            .expect("is there");
        let start = file
            .windows(2)
            .position(|w| w == [0xff, 0xda])
            .expect("is there");
        let len = usize::from(file[start + 3]) + 2;
        let scan = file[start..start + len].to_vec();
        let many = [&file[..start], &scan.repeat(101), &file[start..]].concat();
        inspect(&many).expect("many scans of a small picture do no harm");
        let mut huge = many;
        huge[frame + 5..frame + 9].fill(0x7f);
        let message = inspect(&huge).expect_err("is refused").to_string();
        assert!(message.contains("too many scans"), "{message}");
    }

    #[test]
    fn bytes_that_code_no_block_go_in_every_kind_of_scan() {
        let rgb = picture(70, 45, Layout::Rgb8);
        let mark = b"LEAKMARK".repeat(5);
        for file in [
            encode(&rgb, 80, true),
            encode(&rgb, 95, false),
            encode(&picture(33, 17, Layout::Gray8), 80, true),
            progressive(&rgb),
            cmyk(&picture(40, 24, Layout::Cmyk8)),
        ] {
            let clean = cleaned(&file);
            assert!(clean == file, "a clean file stays as it is");
            // Before each marker that follows a scan.
            let mut dirty = file[..2].to_vec();
            let mut scans = 0;
            for segment in container::Segments::new(&file).expect("a JPEG") {
                let segment = segment.expect("whole");
                dirty.extend(&file[segment.range.clone()]);
                if segment.marker == container::SOS {
                    dirty.extend(&mark);
                    scans += 1;
                }
            }
            assert!(scans > 0 && dirty.len() == file.len() + scans * mark.len());
            assert!(cleaned(&dirty) == file, "{scans} scans");
        }
    }

    #[test]
    fn bytes_before_restart_markers_go() {
        // One interval for each unit of a gray picture of 16 × 16 pixels: four blocks, each with a
        // difference and an end in codes of one bit.
        let tables: Vec<u8> = [0x00, 0x10]
            .iter()
            .flat_map(|class| [&[*class, 1][..], &[0; 15], &[0]].concat())
            .collect();
        let quantisation = segment(0xdb, &[&[0][..], &[1; 64]].concat());
        let head = [
            &[0xff, 0xd8][..],
            &quantisation,
            &segment(0xc0, &[8, 0, 16, 0, 16, 1, 1, 0x11, 0]),
            &segment(0xc4, &tables),
            &segment(0xdd, &[0, 1]),
            &segment(0xda, &[1, 1, 0, 0, 63, 0]),
        ]
        .concat();
        let scan = |rest: &[u8]| {
            let mut bytes = head.clone();
            for interval in 0..4 {
                bytes.push(0x3f);
                bytes.extend(rest);
                if interval < 3 {
                    bytes.extend([0xff, 0xd0 + interval]);
                }
            }
            [&bytes[..], &[0xff, 0xd9]].concat()
        };
        let (clean, dirty) = (scan(b""), scan(b"LEAKMARK"));
        assert_eq!(decode_by(&clean, 1).ok(), decode_by(&dirty, 1).ok());
        assert!(decode_by(&clean, 1).is_ok());
        assert!(cleaned(&clean) == clean);
        assert!(cleaned(&dirty) == clean);
    }

    #[test]
    fn harmless_oddities_are_accepted() {
        let file = encode(&picture(32, 32, Layout::Rgb8), 80, true);
        let whole = decode_by(&file, 1).ok();
        assert!(whole.is_some());
        // Fill bytes before markers, garbage between segments, no end marker, padding zeros.
        let filled = insert(&file, &[vec![0xff; 9]]);
        let end = file.len() - 2;
        let padded = [&file[..end], &[0; 100], &file[end..]].concat();
        let garbage = insert(&file, &[b"garbage\xff\0".to_vec()]);
        for odd in [&filled, &padded, &garbage, &file[..end].to_vec()] {
            assert_eq!(decode_by(odd, 1).ok(), whole);
            assert_eq!(decode_by(&cleaned(odd), 1).ok(), whole);
        }
    }

    #[test]
    fn what_follows_the_end_does_not_change_the_verdict() {
        // The entropy-coded data of a small picture is within the reach of libjpeg's careful
        // decoder, unless more bytes follow.
        let file = encode(&picture(64, 64, Layout::Gray8), 90, true);
        let scan = file
            .windows(2)
            .position(|w| w == [0xff, 0xda])
            .expect("is there");
        let (mut accepted, mut refused) = (0, 0);
        for at in scan + 12..file.len() - 2 {
            for value in [0x55, 0xfe] {
                let mut broken = file.clone();
                broken[at] = value;
                let alone = decode_by(&broken, 1).ok();
                broken.extend_from_slice(&[0x42; 100_000]);
                let followed = decode_by(&broken, 1).ok();
                assert!(followed == alone, "{value:#x} at {at}");
                if alone.is_some() {
                    accepted += 1;
                } else {
                    refused += 1;
                }
            }
        }
        assert!(accepted > 0 && refused > 0, "{accepted} {refused}");
    }

    #[test]
    fn a_cancelled_decode_stops() {
        let control = Control::new();
        control.cancel();
        for file in [
            encode(&picture(64, 64, Layout::Rgb8), 80, true),
            progressive(&picture(64, 64, Layout::Rgb8)),
        ] {
            let facts = inspect(&file).expect("is a JPEG");
            let mut sink = Collect::default();
            let result = decode(&file, &facts, 1, &control, &mut sink);
            assert!(matches!(result, Err(Error::Cancelled)));
            assert!(matches!(
                super::turn(&file, &facts, &control).map(|_| ()),
                Err(Error::Cancelled)
            ));
        }
    }

    #[test]
    fn credits_stand_behind_the_jfif_segment() {
        let with_credits =
            |file: &'static [u8]| put_exif(vec![Cow::Borrowed(file)], b"II").concat();
        let segment = b"\xff\xe1\0\x0aExif\0\0II";
        let jfif = b"\xff\xd8\xff\xe0\0\x06JFIF\xff\xdb";
        let expected = [&jfif[..10], segment, &jfif[10..]].concat();
        assert_eq!(with_credits(jfif), expected);
        let expected = [b"\xff\xd8", &segment[..], b"\xff\xdb"].concat();
        assert_eq!(with_credits(b"\xff\xd8\xff\xdb"), expected);
        assert_eq!(with_credits(b"\x89PNG"), b"\x89PNG");
    }
}
