//! The codec as the pipeline sees it, on small files that libavif wrote (`testdata`, all of one
//! computed picture), whole, damaged and hostile.

use super::*;
use crate::{
    Control, Orientation,
    codec::coding::{Coding, coding},
    codec::testing::{Collect, Film, Picture as Pixels, picture},
    rows::Layout,
};

fn inspect(source: &[u8]) -> Result<Facts> {
    super::inspect(source, &Control::new())
}

fn clean(source: &[u8]) -> Result<Vec<Cow<'_, [u8]>>> {
    super::clean(source, &Control::new())
}

const GRID: &[u8] = include_bytes!("../testdata/grid.avif");
const HALF: &[u8] = include_bytes!("../testdata/420.avif");
const DEEP: &[u8] = include_bytes!("../testdata/422-10.avif");
const GRAY: &[u8] = include_bytes!("../testdata/gray.avif");
const DEEP_GRAY: &[u8] = include_bytes!("../testdata/gray-12.avif");
const IDENTITY: &[u8] = include_bytes!("../testdata/identity.avif");
const PREMULTIPLIED: &[u8] = include_bytes!("../testdata/premultiplied.avif");
const SEQUENCE: &[u8] = include_bytes!("../testdata/sequence.avif");
/// Its EXIF is at 336 and has 168 bytes, followed by the picture.
const CREDITS: &[u8] = include_bytes!("../testdata/credits.avif");

const STILLS: [&[u8]; 7] = [GRID, HALF, DEEP, GRAY, DEEP_GRAY, IDENTITY, PREMULTIPLIED];

fn still(source: &[u8]) -> Result<Pixels> {
    let facts = inspect(source)?;
    let mut pixels = Collect::default();
    decode(source, &facts, &Control::new(), &mut pixels)?;
    Ok(pixels.picture())
}

fn film(source: &[u8]) -> Result<Film> {
    let facts = inspect(source)?;
    let mut film = Film::default();
    decode_animation(source, &facts, &Control::new(), &mut film)?;
    Ok(film)
}

/// Decodes anything, unless it claims to be larger than the limits.
fn anything(source: &[u8]) -> Result<()> {
    let facts = inspect(source)?;
    if u64::from(facts.stored_width) * u64::from(facts.stored_height) > 1 << 20 {
        return Ok(());
    }
    if facts.is_animated() {
        film(source).map(drop)
    } else {
        still(source).map(drop)
    }
}

#[test]
fn facts_are_read_without_decoding() {
    let check = |source, size, orientation, has_alpha, bits, colour| {
        let facts = inspect(source).expect("whole");
        assert_eq!((facts.stored_width, facts.stored_height), size);
        assert_eq!(facts.orientation, orientation);
        assert_eq!((facts.has_alpha, facts.bits), (has_alpha, bits));
        assert_eq!(facts.colour, colour);
        assert_eq!((facts.frames, facts.duration_ms), (1, None));
        assert_eq!(facts.format, Format::Avif);
    };
    use ColourModel::{Gray, Rgb};
    let (whole, normal) = ((129, 70), Orientation::Normal);
    check(GRID, (128, 64), Orientation::Transverse, true, 8, Rgb);
    check(HALF, whole, Orientation::Rotate90, false, 8, Rgb);
    check(DEEP, whole, normal, false, 16, Rgb);
    check(GRAY, (99, 50), normal, false, 8, Gray);
    check(DEEP_GRAY, whole, normal, false, 16, Gray);
    check(IDENTITY, whole, normal, false, 8, Rgb);
    check(PREMULTIPLIED, whole, normal, true, 8, Rgb);

    let facts = inspect(SEQUENCE).expect("whole");
    assert_eq!(facts.format, Format::AvifAnimation);
    assert_eq!((facts.stored_width, facts.stored_height), (80, 64));
    assert_eq!((facts.frames, facts.duration_ms), (4, Some(240)));
    assert!(facts.has_alpha);
}

#[test]
fn pixels_are_those_of_the_picture() {
    let check = |source, width, height, layout, most| {
        let found = still(source).expect("whole");
        let difference = found.difference(&picture(width, height, layout));
        assert!(difference <= most, "{layout:?} {difference}");
    };
    check(IDENTITY, 129, 70, Layout::Rgb8, 0);
    check(GRID, 128, 64, Layout::Rgba8, 10);
    check(HALF, 129, 70, Layout::Rgb8, 10);
    check(PREMULTIPLIED, 129, 70, Layout::Rgba8, 10);
    check(DEEP, 129, 70, Layout::Rgb16, 10 * 257);
}

#[test]
fn gray_pictures_are_gray_and_cut_to_their_aperture() {
    let whole = picture(129, 70, Layout::Rgb8);
    let cut = still(GRAY).expect("whole");
    assert_eq!(cut.shape.layout, Layout::Gray8);
    let deep = still(DEEP_GRAY).expect("whole");
    assert_eq!(deep.shape.layout, Layout::Rgb16);
    for (x, y) in [(0, 0), (98, 0), (50, 25), (98, 49)] {
        let expected = whole.at(x + 10, y + 8)[0];
        assert!(cut.at(x, y)[0].abs_diff(expected) <= 4, "{x} {y}");
        let found = deep.at(x + 10, y + 8);
        assert!(found[0].abs_diff(expected * 257) <= 4 * 257, "{x} {y}");
        assert_eq!((found[0], found[0]), (found[1], found[2]));
    }
}

#[test]
fn a_sequence_is_canvases_with_their_delays() {
    let film = film(SEQUENCE).expect("whole");
    assert!(film.ended);
    let shape = film.shape.expect("begun");
    assert_eq!((shape.width, shape.height), (80, 64));
    assert!(shape.has_alpha);
    let delays: Vec<_> = film.canvases.iter().map(|(_, delay)| *delay).collect();
    assert_eq!(delays, [40, 100, 70, 30]);
    // Each frame is the picture, ten pixels further to the right.
    let first = picture(80, 64, Layout::Rgba8);
    for (frame, (rgba, _)) in film.canvases.iter().enumerate() {
        for (x, y) in [(70, 10), (45, 60), (60, 30)] {
            let expected = first.at((x + 80 - 10 * frame as u32) % 80, y);
            let found = &rgba[(y as usize * 80 + x as usize) * 4..][..4];
            for (found, expected) in found.iter().zip(expected) {
                let difference = u16::from(*found).abs_diff(*expected);
                assert!(difference <= 12, "{frame} {x} {y}: {difference}");
            }
        }
    }
}

/// `SEQUENCE` with tables of sizes that end after `count` frames.
fn shortened(count: u32) -> Vec<u8> {
    let mut bytes = SEQUENCE.to_vec();
    let places: Vec<_> = memchr::memmem::find_iter(SEQUENCE, b"stsz").collect();
    assert_eq!(places.len(), 2);
    for place in places {
        bytes[place + 12..place + 16].copy_from_slice(&count.to_be_bytes());
    }
    bytes
}

fn refusal(bytes: &[u8]) -> String {
    inspect(bytes).expect_err("is refused").to_string()
}

#[test]
fn a_sequence_of_one_frame_is_a_still() {
    let bytes = shortened(1);
    let facts = inspect(&bytes).expect("whole");
    assert_eq!((facts.format, facts.frames), (Format::Avif, 1));
    assert_eq!(facts.duration_ms, None);
    let first = &film(SEQUENCE).expect("whole").canvases[0].0;
    let found = still(&bytes).expect("whole").samples;
    assert!(found.iter().zip(first).all(|(a, b)| *a == u16::from(*b)));
    // No frame, and more of them than the tables have.
    for (count, words) in [
        (0, "tables of frames do not fit"),
        (5, "a frame lies outside"),
        (u32::MAX, "a frame lies outside"),
    ] {
        let told = refusal(&shortened(count));
        assert!(told.contains(words), "{count}: {told}");
    }
}

#[test]
fn the_brand_tells_what_is_meant() {
    let branded = |source: &[u8], brand: &[u8; 4]| {
        let mut bytes = source.to_vec();
        bytes[8..12].copy_from_slice(brand);
        bytes
    };
    // A file with both, whose brand says it is a still.
    let bytes = branded(SEQUENCE, b"avif");
    assert_eq!(inspect(&bytes).expect("whole").format, Format::Avif);
    assert_eq!(coding(&branded(HALF, b"mif1")), Some(Coding::Av1));
    assert_eq!(coding(&branded(HALF, b"heic")), Some(Coding::Hevc));
    // If no brand names AVIF, the type of the picture decides.
    let mut bytes = branded(HALF, b"mif1");
    let end = u32::from_be_bytes(bytes[..4].try_into().expect("four")) as usize;
    for at in (16..end).step_by(4) {
        bytes[at..at + 4].copy_from_slice(b"miaf");
    }
    assert_eq!(coding(&bytes), Some(Coding::Av1));
}

#[test]
fn cleaning_keeps_pixels_and_drops_secrets() {
    let has_secret = |bytes: &[u8]| memchr::memmem::find(bytes, b"SECRET").is_some();
    let mut secrets = 0;
    for source in STILLS.into_iter().chain([SEQUENCE]) {
        secrets += usize::from(has_secret(source));
        let cleaned = clean(source).expect("whole").concat();
        assert!(!has_secret(&cleaned));
        for word in [&b"Exif"[..], b"rdf+xml"] {
            assert_eq!(memchr::memmem::find(&cleaned, word), None);
        }
        assert!(cleaned.len() <= source.len() + 40);
        assert_eq!(inspect(&cleaned).ok(), inspect(source).ok());
        assert_eq!(
            colours(&cleaned, &Control::new()),
            colours(source, &Control::new())
        );
        if source == SEQUENCE {
            assert!(film(&cleaned).expect("whole") == film(source).expect("whole"));
        } else {
            assert!(still(&cleaned).expect("whole") == still(source).expect("whole"));
        }
        // Nothing is left to clean.
        assert_eq!(clean(&cleaned).expect("whole").concat(), cleaned);
    }
    assert_eq!(secrets, 3, "the test data have something to find");
    assert!(matches!(
        colours(GRID, &Control::new()),
        Colours::Profile(_)
    ));
}

fn with_credits(source: &[u8]) -> Vec<u8> {
    let facts = inspect(source).expect("whole");
    let cleaned = crate::clean::clean(source, &facts, &Control::new()).expect("whole");
    cleaned
        .with_credits(source, &Control::new())
        .pieces
        .concat()
}

#[test]
fn credits_are_all_that_stays_of_the_exif() {
    let has = |bytes: &[u8], word: &[u8]| memchr::memmem::find(bytes, word).is_some();
    let kept = with_credits(CREDITS);
    assert!(kept.len() < CREDITS.len());
    assert!(has(&kept, b"Ada Lovelace\0(c) 1843 Ada\0") && !has(&kept, b"camera"));
    assert!(still(&kept).expect("whole") == still(CREDITS).expect("whole"));
    assert_eq!(with_credits(&kept), kept);
    let cleaned = clean(&kept).expect("whole").concat();
    assert_eq!(cleaned, clean(CREDITS).expect("whole").concat());
    assert!(!has(&cleaned, b"Ada"));
}

#[test]
fn credits_come_into_a_picture_that_had_none() {
    let has = |bytes: &[u8], word: &[u8]| memchr::memmem::find(bytes, word).is_some();
    for source in STILLS {
        let kept = with_exif(source, b"MM\0*", &Control::new())
            .expect("it has a picture")
            .concat();
        assert_eq!(exif(&kept, &Control::new()), Some(&b"MM\0*"[..]));
        assert!(!has(&kept, b"SECRET"));
        assert!(still(&kept).expect("whole") == still(source).expect("whole"));
        let cleaned = clean(&kept).expect("whole").concat();
        assert!(cleaned == clean(source).expect("whole").concat());
    }
    assert!(with_exif(SEQUENCE, b"MM\0*", &Control::new()).is_none() || clean(SEQUENCE).is_ok());
}

/// Names the kinds of all boxes at the top.
fn kinds(source: &[u8]) -> Vec<[u8; 4]> {
    crate::codec::bmff::boxes_in(source)
        .map(|found| found.expect("whole").kind)
        .collect()
}

#[test]
fn a_cleaned_file_has_no_gaps() {
    // 4 kB of zeros before the data, and more items than are shown.
    for source in STILLS.into_iter().chain([SEQUENCE, CREDITS]) {
        let padded = padded(source);
        let cleaned = clean(&padded).expect("whole").concat();
        assert!(cleaned == clean(source).expect("whole").concat());
        assert!(
            !cleaned
                .windows(300)
                .any(|bytes| bytes.iter().all(|byte| *byte == 0))
        );
        let mut kinds = kinds(&cleaned);
        kinds.retain(|kind| ![*b"ftyp", *b"meta", *b"moov", *b"mdat"].contains(kind));
        assert!(kinds.is_empty(), "{kinds:?}");
    }
}

/// Appends a box of zeros, and text in it.
fn padded(source: &[u8]) -> Vec<u8> {
    [
        source,
        &boxed(b"free", &[0; 70_000]),
        &boxed(b"skip", b"LEAKMARK"),
    ]
    .concat()
}

#[test]
fn metadata_in_the_stream_goes() {
    // AV1 units that do not belong to a picture, at the end of the only item.
    let meta = container::read(GRAY, &Control::new())
        .expect("whole")
        .meta
        .expect("items");
    let primary = meta.primary.expect("a picture");
    let [place] = &meta.ranges(primary).expect("whole")[..] else {
        panic!("one piece");
    };
    let unit = [&[5 << 3 | 2, 9, 4][..], b"LEAKMARK"].concat();
    let mut bytes = GRAY.to_vec();
    assert_eq!(place.end, bytes.len(), "the data come last");
    let iloc = memchr::memmem::find(&bytes, b"iloc").expect("locations") + 4;
    let old = u32::try_from(place.len()).expect("small").to_be_bytes();
    let at = iloc + memchr::memmem::find(&bytes[iloc..], &old).expect("its length");
    let new = u32::try_from(place.len() + unit.len())
        .expect("small")
        .to_be_bytes();
    bytes[at..at + 4].copy_from_slice(&new);
    let mdat = memchr::memmem::find(&bytes, b"mdat").expect("data") - 4;
    let length = u32::from_be_bytes(bytes[mdat..mdat + 4].try_into().expect("four"));
    let length = length + u32::try_from(unit.len()).expect("small");
    bytes[mdat..mdat + 4].copy_from_slice(&length.to_be_bytes());
    bytes.extend(&unit);
    assert!(still(&bytes).expect("whole") == still(GRAY).expect("whole"));
    let cleaned = clean(&bytes).expect("whole").concat();
    assert!(cleaned == clean(GRAY).expect("whole").concat());
}

#[test]
fn boxes_that_nobody_needs_go() {
    let extra = |body: &[u8]| {
        let length = (body.len() as u32 + 8).to_be_bytes();
        [&length[..], b"uuid", body].concat()
    };
    let bytes = [HALF, &extra(b"SECRET at the end")].concat();
    assert_eq!(
        clean(&bytes).expect("whole").concat(),
        clean(HALF).expect("whole").concat()
    );
    let head = u32::from_be_bytes(HALF[..4].try_into().expect("four")) as usize;
    let secret = extra(b"SECRET in the middle");
    let mut bytes = [&HALF[..head], &secret, &HALF[head..]].concat();
    // Locations in version 0: id, file, number of pieces, which is one, offset, length.
    let iloc = memchr::memmem::find(&bytes, b"iloc").expect("it has locations") + 4;
    assert_eq!(bytes[iloc..iloc + 6], [0, 0, 0, 0, 0x44, 0]);
    for entry in 0..usize::from(bytes[iloc + 7]) {
        let at = iloc + 8 + entry * 14 + 6;
        let offset = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
        let moved = offset + secret.len() as u32;
        bytes[at..at + 4].copy_from_slice(&moved.to_be_bytes());
    }
    assert!(still(&bytes).expect("whole") == still(HALF).expect("whole"));
    let cleaned = clean(&bytes).expect("whole").concat();
    assert_eq!(memchr::memmem::find(&cleaned, b"SECRET"), None);
    assert!(still(&cleaned).expect("whole") == still(HALF).expect("whole"));
}

#[test]
fn work_stops_when_nobody_waits() {
    let control = Control::new();
    control.cancel();
    for source in STILLS {
        let facts = inspect(source).expect("whole");
        let stopped = decode(source, &facts, &control, &mut Collect::default());
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }
    let facts = inspect(SEQUENCE).expect("whole");
    let stopped = decode_animation(SEQUENCE, &facts, &control, &mut Film::default());
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

#[test]
fn a_file_that_is_cut_is_refused() {
    for source in STILLS.into_iter().chain([SEQUENCE]) {
        for end in 0..source.len() {
            let cut = &source[..end];
            let _ = clean(cut);
            assert!(inspect(cut).is_err() || anything(cut).is_err(), "{end}");
        }
    }
}

#[test]
fn changed_bytes_are_survived() {
    for source in [GRID, DEEP, GRAY, PREMULTIPLIED, SEQUENCE, CREDITS] {
        for at in 0..source.len() {
            // The container byte by byte; of the rest only some.
            if at > 900 && at % 11 != 0 {
                continue;
            }
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = source.to_vec();
                bytes[at] ^= change;
                coding(&bytes);
                if let Ok(pieces) = clean(&bytes) {
                    assert!(pieces.concat().len() <= bytes.len() + 100);
                }
                if let Some(pieces) = with_exif(&bytes, b"MM", &Control::new()) {
                    assert!(pieces.concat().ends_with(b"\0\0\0\0MM"));
                }
                match anything(&bytes) {
                    Ok(()) | Err(Error::Corrupt { .. } | Error::Unsupported(_)) => {}
                    Err(other) => panic!("{at}: {other}"),
                }
            }
        }
    }
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 8).to_be_bytes();
    [&length[..], kind, body].concat()
}

/// A file of nothing but these parts of `meta`.
fn hostile(parts: &[Vec<u8>]) -> Vec<u8> {
    let meta = [&[0; 4], &parts.concat()[..]].concat();
    [boxed(b"ftyp", b"avif\0\0\0\0avif"), boxed(b"meta", &meta)].concat()
}

fn entry(id: u32, kind: &[u8; 4]) -> Vec<u8> {
    boxed(
        b"infe",
        &[&[3, 0, 0, 0], &id.to_be_bytes()[..], &[0, 0], kind, &[0]].concat(),
    )
}

#[test]
fn hostile_items_are_refused_at_once() {
    let pitm = boxed(b"pitm", &[0, 0, 0, 0, 0, 1]);
    let iinf = |entries: &[Vec<u8>]| {
        boxed(
            b"iinf",
            &[&[1, 0, 0, 0, 0, 0, 0, 1], &entries.concat()[..]].concat(),
        )
    };
    // More items than in any real file.
    let many: Vec<_> = (1..60_000).map(|id| entry(id, b"av01")).collect();
    let told = refusal(&hostile(&[pitm.clone(), iinf(&many)]));
    assert!(told.contains("more than 20000 items"), "{told}");
    // A grid that is made of itself, whose alpha is its own alpha.
    let grid = iinf(&[entry(1, b"grid")]);
    let idat = boxed(b"idat", &[0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0]);
    let iloc = boxed(
        b"iloc",
        &[
            1, 0, 0, 0, 0x44, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 12,
        ],
    );
    let loops = boxed(
        b"iref",
        &[
            &[0; 4][..],
            &boxed(b"dimg", &[0, 1, 0, 1, 0, 1]),
            &boxed(b"auxl", &[0, 1, 0, 1, 0, 1]),
        ]
        .concat(),
    );
    let bytes = hostile(&[pitm.clone(), grid, idat, iloc, loops]);
    let told = refusal(&bytes);
    assert!(told.contains("not coded as AV1"), "{told}");
    assert!(clean(&bytes).is_ok());
    // Extents without bytes, and more extents than bytes.
    for sizes in [0x00, 0x04, 0x40, 0x44] {
        let iloc = boxed(
            b"iloc",
            &[
                0, 0, 0, 0, sizes, 0, 0, 1, 0, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0,
            ],
        );
        let bytes = hostile(&[pitm.clone(), iinf(&[entry(1, b"av01")]), iloc]);
        let told = refusal(&bytes);
        assert!(
            told.contains("its item locations end early"),
            "{sizes}: {told}"
        );
        let told = clean(&bytes).expect_err("refused").to_string();
        assert!(
            told.contains("its item locations end early"),
            "{sizes}: {told}"
        );
    }
}

#[test]
fn a_track_has_no_more_samples_than_bytes() {
    // Four samples at the same place, then billions of them.
    let stsz = memchr::memmem::find(SEQUENCE, b"stsz").expect("it has sizes") + 8;
    let stsc = memchr::memmem::find(SEQUENCE, b"stsc").expect("it has chunks") + 8;
    let mut bytes = SEQUENCE.to_vec();
    // One size of one byte, and a chunk with the maximum number of samples.
    bytes[stsz..stsz + 8].copy_from_slice(b"\0\0\0\x01\xff\xff\xff\xff");
    bytes[stsc + 8..stsc + 12].copy_from_slice(&u32::MAX.to_be_bytes());
    let told = inspect(&bytes).expect_err("too many").to_string();
    assert!(told.contains("a frame lies outside"), "{told}");
}

#[test]
fn tables_of_items_have_an_end() {
    let refused = |part: Vec<u8>, words: &str| {
        let iinf = [&[1, 0, 0, 0, 0, 0, 0, 1], &entry(1, b"av01")[..]].concat();
        let pitm = boxed(b"pitm", &[0, 0, 0, 0, 0, 1]);
        let bytes = hostile(&[pitm, boxed(b"iinf", &iinf), part]);
        let told = inspect(&bytes).expect_err("refused").to_string();
        assert!(told.contains(words), "{told}");
        let told = clean(&bytes).expect_err("refused").to_string();
        assert!(told.contains(words), "{told}");
    };
    // One item with the same property again and again.
    let associations = [0, 1, 255].into_iter().chain([1; 255]).collect::<Vec<u8>>();
    let ipma = [&[0, 0, 0, 0, 0, 0, 0, 2][..], &associations.repeat(2)].concat();
    refused(boxed(b"iprp", &boxed(b"ipma", &ipma)), "256 properties");
    let auxl = boxed(b"auxl", &[0, 2, 0, 1, 0, 1]).repeat(60_000);
    refused(boxed(b"iref", &[&[0; 4], &auxl[..]].concat()), "references");
    // Field sizes that are not in the standard.
    let iloc = boxed(b"iloc", &[0, 0, 0, 0, 0x90, 0, 0, 0]);
    refused(iloc, "item locations end early");
}

#[test]
fn words_do_not_hide_among_properties_and_handlers() {
    // Unknown properties are blanked, including one that is called free.
    let at = memchr::memmem::find(HALF, b"pixi").expect("it has depths");
    let mut bytes = HALF.to_vec();
    bytes[at..at + 4].copy_from_slice(b"free");
    let length = u32::from_be_bytes(bytes[at - 4..at].try_into().expect("four")) as usize;
    assert!(length >= 15);
    bytes[at + 4..at + 10].copy_from_slice(b"SECRET");
    let cleaned = clean(&bytes).expect("whole").concat();
    assert_eq!(memchr::memmem::find(&cleaned, b"SECRET"), None);
    // QuickTime's text in a handler: of the items, and of a track.
    for source in [HALF, SEQUENCE] {
        let at = memchr::memmem::rfind(source, b"hdlr").expect("it has a handler") + 4;
        let mut bytes = source.to_vec();
        bytes[at + 12..at + 18].copy_from_slice(b"SECRET");
        let cleaned = clean(&bytes).expect("whole").concat();
        assert_eq!(memchr::memmem::find(&cleaned, b"SECRET"), None);
        assert!(inspect(&cleaned).is_ok());
    }
}

#[test]
fn colours_are_those_of_the_pictures_where_the_container_names_none() {
    for source in [HALF, DEEP, GRAY, DEEP_GRAY, IDENTITY, SEQUENCE] {
        let said = colours(source, &Control::new());
        assert!(matches!(said, Colours::Code(_)), "{said:?}");
        let mut silent = source.to_vec();
        let places: Vec<_> = memchr::memmem::find_iter(source, b"colrnclx").collect();
        assert!(!places.is_empty());
        for place in places {
            silent[place..place + 4].copy_from_slice(b"none");
        }
        assert_eq!(colours(&silent, &Control::new()), said);
    }
}
