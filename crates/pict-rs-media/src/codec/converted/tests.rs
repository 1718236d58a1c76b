//! Test files are written by the `image` crate where possible.

use image::{DynamicImage, ImageFormat, Rgb, Rgba};

use super::*;
use crate::codec::of;
use crate::codec::testing::{Collect, Picture, inspect};

fn decoded(file: &[u8]) -> Result<Picture> {
    let facts = inspect(file)?;
    let mut sink = Collect::default();
    (of(facts.format).decode.expect("is read"))(file, &facts, 1, &Control::new(), &mut sink)?;
    Ok(sink.picture())
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).expect("writes");
    file.into_inner()
}

fn rgb(width: u32, height: u32) -> DynamicImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 5) as u8, (y * 9) as u8, 77])
    })
    .into()
}

fn rgba(width: u32, height: u32) -> DynamicImage {
    let pixel = |x, y| Rgba([(x * 5) as u8, (y * 9) as u8, 77, (x * 3 + y + 1) as u8]);
    image::RgbaImage::from_fn(width, height, pixel).into()
}

fn all() -> Vec<(DynamicImage, ImageFormat, Format)> {
    let (rgb, rgba) = (rgb(23, 17), rgba(23, 17));
    vec![
        (rgb.clone(), ImageFormat::Bmp, Format::Bmp),
        (rgba.clone(), ImageFormat::Bmp, Format::Bmp),
        (rgb.clone(), ImageFormat::Qoi, Format::Qoi),
        (rgba.clone(), ImageFormat::Qoi, Format::Qoi),
        (rgb.clone(), ImageFormat::Pnm, Format::Pnm),
        (rgba.clone(), ImageFormat::Pnm, Format::Pnm),
        (rgb.to_luma8().into(), ImageFormat::Pnm, Format::Pnm),
        (rgb.clone(), ImageFormat::Tiff, Format::Tiff),
        (rgba.clone(), ImageFormat::Tiff, Format::Tiff),
        (rgba.clone(), ImageFormat::Ico, Format::Ico),
        (rgb.to_luma8().into(), ImageFormat::Tiff, Format::Tiff),
        (rgb.to_rgb16().into(), ImageFormat::Tiff, Format::Tiff),
        (rgba.to_rgba16().into(), ImageFormat::Tiff, Format::Tiff),
        (rgb.to_luma16().into(), ImageFormat::Tiff, Format::Tiff),
        (rgb.to_rgb32f().into(), ImageFormat::Tiff, Format::Tiff),
    ]
}

#[test]
fn every_format_is_recognised_and_read() {
    for (image, written_as, format) in all() {
        let file = written(&image, written_as);
        let facts = inspect(&file).expect("is read");
        let what = format!("{format} {:?}", image.color());
        assert_eq!((facts.format, facts.frames), (format, 1), "{what}");
        assert_eq!((facts.width(), facts.height()), (23, 17), "{what}");
        assert_eq!(facts.has_alpha, image.color().has_alpha(), "{what}");
        let deep = image.color().bytes_per_pixel() > 4;
        assert_eq!(
            facts.bits > 8,
            deep || image.color() == ColorType::L16,
            "{what}"
        );
        assert!(facts.lossless, "{what}");
        let found = decoded(&file).expect("is read");
        let expected: Vec<u16> = match found.shape.layout {
            Layout::Gray8 => image
                .to_luma8()
                .into_raw()
                .into_iter()
                .map(u16::from)
                .collect(),
            Layout::Rgb8 => image
                .to_rgb8()
                .into_raw()
                .into_iter()
                .map(u16::from)
                .collect(),
            Layout::Rgba8 => image
                .to_rgba8()
                .into_raw()
                .into_iter()
                .map(u16::from)
                .collect(),
            Layout::Rgb16 => image.to_rgb16().into_raw(),
            _ => image.to_rgba16().into_raw(),
        };
        assert!(found.samples == expected, "{what}");
    }
}

#[test]
fn what_looks_alike_is_not_taken_for_a_picture() {
    let is_one = |source: &[u8]| {
        let codecs = [TIFF, QOI, PNM, BMP, ICO];
        codecs.iter().any(|codec| (codec.detect)(source))
    };
    assert!(!is_one(b"BMW and other cars are not bitmaps"));
    // A TGA file, and a header without pictures.
    assert!(!is_one(&[0, 0, 2, 0, 0, 0, 0, 0, 0, 0]));
    assert!(!is_one(&[0, 0, 1, 0, 1, 0]));
    assert!(!is_one(b"II"));
    for text in [
        "P1",
        "P2P",
        "P3 of the plan",
        "P4\n# only a comment",
        "P5# 5",
        "P6\n\n",
        "P7 5",
        "P7\nwords",
        "P8\n1 1\n",
    ] {
        assert!(!is_one(text.as_bytes()), "{text:?}");
    }
}

/// The offset of the first directory of a little-endian TIFF, and that of its entries.
fn entries(file: &[u8]) -> (usize, usize) {
    assert_eq!(&file[..4], b"II*\0");
    let at = u32::from_le_bytes(*file[4..].first_chunk().expect("long enough")) as usize;
    (at + 2, usize::from(file[at]))
}

/// Replaces the entry of a tag by another tag with a short value.
fn replaced(file: &[u8], tag: u16, by: u16, value: u16) -> Vec<u8> {
    let (start, count) = entries(file);
    let mut file = file.to_vec();
    for entry in file[start..start + count * 12].chunks_exact_mut(12) {
        if entry[..2] == tag.to_le_bytes() {
            let fields = [
                &by.to_le_bytes()[..],
                &[3, 0, 1, 0, 0, 0],
                &value.to_le_bytes(),
                &[0, 0],
            ];
            entry.copy_from_slice(&fields.concat());
            return file;
        }
    }
    panic!("there is no tag {tag}");
}

const X_RESOLUTION: u16 = 282;

#[test]
fn a_tiff_is_turned_as_it_says() {
    let file = written(&rgb(23, 17), ImageFormat::Tiff);
    let turned = replaced(&file, X_RESOLUTION, 274, 6);
    let facts = inspect(&turned).expect("is read");
    assert_eq!(facts.orientation, Orientation::Rotate90);
    assert_eq!((facts.width(), facts.height()), (17, 23));
}

#[test]
fn the_preview_of_a_raw_file_is_not_taken_for_the_picture() {
    let file = written(&rgb(23, 17), ImageFormat::Tiff);
    for (tag, value) in [(SUBFILE, 1), (DNG_VERSION, 1)] {
        let raw = replaced(&file, X_RESOLUTION, tag, value);
        let error = inspect(&raw).expect_err("is refused").to_string();
        assert!(error.starts_with("raw files"), "{error}");
    }
    let reversed = replaced(&file, X_RESOLUTION, FILL_ORDER, 2);
    let error = inspect(&reversed).expect_err("is refused").to_string();
    assert!(error.contains("reversed bits"), "{error}");
    let other = replaced(&file, X_RESOLUTION, SUBFILE, 2);
    inspect(&other).expect("a page is no preview");
}

#[test]
fn colours_multiplied_by_alpha_are_divided() {
    let mut pixel = [50_u8, 100, 0, 100];
    divide_by_alpha(&mut pixel);
    assert_eq!(pixel, [128, 255, 0, 100]);
    let mut nothing = [9_u16, 9, 9, 0];
    divide_by_alpha(&mut nothing);
    assert_eq!(nothing, [0; 4]);
    let mut wide = [30_000_u16, 65_535, 1, 60_000];
    divide_by_alpha(&mut wide);
    assert_eq!(wide, [32_768, 65_535, 1, 60_000]);
}

/// An icon of these pictures, each a PNG.
fn icon(kind: u8, pictures: &[DynamicImage], hot_spot: u16) -> Vec<u8> {
    let files: Vec<_> = pictures
        .iter()
        .map(|image| written(image, ImageFormat::Png))
        .collect();
    let mut icon = vec![0, 0, kind, 0, files.len() as u8, 0];
    let mut start = header_and_entries(files.len());
    for (image, file) in pictures.iter().zip(&files) {
        icon.extend([image.width() as u8, image.height() as u8, 0, 0]);
        icon.extend(hot_spot.to_le_bytes());
        icon.extend(hot_spot.to_le_bytes());
        icon.extend((file.len() as u32).to_le_bytes());
        icon.extend((start as u32).to_le_bytes());
        start += file.len();
    }
    icon.extend(files.concat());
    icon
}

fn header_and_entries(count: usize) -> usize {
    6 + 16 * count
}

#[test]
fn the_largest_picture_of_an_icon_or_a_cursor_is_shown() {
    let pictures = [rgba(16, 16), rgba(48, 40), rgb(32, 32)];
    for (kind, hot_spot) in [(1, 32), (2, 600)] {
        let file = icon(kind, &pictures, hot_spot);
        let facts = inspect(&file).expect("is read");
        assert_eq!(
            (facts.format, facts.width(), facts.height()),
            (Format::Ico, 48, 40)
        );
        let found = decoded(&file).expect("is read");
        let expected = pictures[1].to_rgba8().into_raw();
        assert!(
            found
                .samples
                .into_iter()
                .eq(expected.into_iter().map(u16::from))
        );
    }
    // A PNG in an icon need not have alpha.
    let opaque = icon(1, &[rgb(200, 256)], 24);
    assert!(!inspect(&opaque).expect("is read").has_alpha);
    decoded(&opaque).expect("is read");
}

/// An icon of one 32-bit bitmap, whose directory gives this depth.
fn bitmap_icon(width: u32, pixels: &[[u8; 4]], mask: &[u8], said: u8) -> Vec<u8> {
    let height = pixels.len() as u32 / width;
    let mut data = Vec::new();
    for number in [40, width, height * 2, 1 | 32 << 16, 0, 0, 0, 0, 0, 0] {
        data.extend(number.to_le_bytes());
    }
    for row in pixels.chunks_exact(width as usize).rev() {
        data.extend(row.iter().flat_map(|&[r, g, b, a]| [b, g, r, a]));
    }
    data.extend_from_slice(mask);
    let mut icon = vec![
        0,
        0,
        1,
        0,
        1,
        0,
        width as u8,
        height as u8,
        0,
        0,
        1,
        0,
        said,
        0,
    ];
    icon.extend((data.len() as u32).to_le_bytes());
    icon.extend(22_u32.to_le_bytes());
    icon.extend(data);
    icon
}

#[test]
fn the_mask_of_an_icon_counts_where_its_alpha_is_0_all_over() {
    let colours = [[1, 2, 3, 0], [4, 5, 6, 0], [7, 8, 9, 0], [10, 11, 12, 0]];
    // From the last row to the first, each padded to four bytes.
    let mask = [0b0100_0000, 0, 0, 0, 0b1000_0000, 0, 0, 0];
    let alpha = |file: &[u8]| {
        let found = decoded(file).expect("is read");
        let colours: Vec<u16> = found.samples.chunks(4).map(|p| p[0]).collect();
        assert_eq!(colours, [1, 4, 7, 10]);
        let alpha: Vec<u16> = found.samples.chunks(4).map(|p| p[3]).collect();
        alpha
    };
    for said in [32, 24, 8, 0] {
        let hidden = bitmap_icon(2, &colours, &mask, said);
        assert_eq!(alpha(&hidden), [0, 255, 255, 0], "{said}");
        // Without a mask, or with half of one, nothing else is hidden.
        assert_eq!(alpha(&bitmap_icon(2, &colours, &[], said)), [255; 4]);
        let half = bitmap_icon(2, &colours, &mask[..4], said);
        assert_eq!(alpha(&half), [255, 255, 255, 0]);
        // If one pixel has alpha, the mask is ignored.
        let mut seen = colours;
        seen[1][3] = 90;
        assert_eq!(alpha(&bitmap_icon(2, &seen, &mask, said)), [0, 90, 0, 0]);
    }
}

#[test]
fn what_the_directory_of_an_icon_says_of_depths_is_not_believed() {
    let deep = bitmap_icon(16, &[[200, 100, 50, 255]; 256], &[], 1);
    // The first entry claims to be deeper than it is.
    let mut bitmap = deep[22..].to_vec();
    let mut palette = Vec::new();
    for number in [40_u32, 16, 32, 1 | 1 << 16, 0, 0, 0, 0, 0, 0, 0, 0xff_ffff] {
        palette.extend(number.to_le_bytes());
    }
    palette.extend([0; 128]);
    let mut icon = vec![0, 0, 1, 0, 2, 0];
    icon.extend([16, 16, 0, 0, 1, 0, 32, 0]);
    icon.extend((palette.len() as u32).to_le_bytes());
    icon.extend(38_u32.to_le_bytes());
    icon.extend([16, 16, 0, 0, 1, 0, 1, 0]);
    icon.extend((bitmap.len() as u32).to_le_bytes());
    icon.extend((38 + palette.len() as u32).to_le_bytes());
    icon.append(&mut palette);
    icon.append(&mut bitmap);
    let found = decoded(&icon).expect("is read");
    assert_eq!(found.samples[..4], [200, 100, 50, 255]);
}

#[test]
fn damage_is_refused_and_never_panics() {
    for (image, written_as, format) in all() {
        let file = written(&image, written_as);
        for end in (0..file.len()).step_by(7) {
            let _ = decoded_small(&file[..end]);
        }
        let step = (file.len() / 300).max(1);
        for at in (0..file.len()).step_by(step).chain(0..200) {
            for value in [0, 0xff, file[at] ^ 0x10] {
                let mut damaged = file.clone();
                damaged[at] = value;
                let _ = decoded_small(&damaged);
            }
        }
        let half = &file[..file.len() / 2];
        let result = decoded_small(half);
        assert!(result.is_err() || format == Format::Bmp, "{format}");
    }
}

/// Like the limits: huge pictures are not decoded.
fn decoded_small(file: &[u8]) -> Result<()> {
    let facts = inspect(file)?;
    if u64::from(facts.stored_width) * u64::from(facts.stored_height) > 100_000 {
        return Ok(());
    }
    let mut sink = Collect::default();
    crate::transform::pipeline::decode(file, &facts, 1, &Control::new(), &mut sink)
}

#[test]
fn a_cancelled_decode_stops() {
    let control = Control::new();
    control.cancel();
    for (image, written_as, _) in all() {
        let file = written(&image, written_as);
        let facts = inspect(&file).expect("is read");
        let result = (of(facts.format).decode.expect("is read"))(
            &file,
            &facts,
            1,
            &control,
            &mut Collect::default(),
        );
        assert!(matches!(result, Err(Error::Cancelled)));
    }
}

/// All seven kinds, according to their specifications.
#[test]
fn pnm_of_every_kind_is_read() {
    let check = |file: &[u8], size: (u32, u32), layout, samples: &[u16]| {
        let what = file.escape_ascii().to_string();
        let facts = inspect(file).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(
            (facts.format, facts.lossless),
            (Format::Pnm, true),
            "{what}"
        );
        assert_eq!((facts.width(), facts.height()), size, "{what}");
        let found = decoded(file).expect("is whole");
        assert_eq!(found.shape.layout, layout, "{what}");
        assert_eq!(found.samples, samples, "{what}");
    };
    // In bitmaps 1 is black, in other kinds 0 is.
    check(b"P1\n3 1\n1 0 1\n", (3, 1), Layout::Gray8, &[0, 255, 0]);
    check(b"P2 2 1 15 0 15", (2, 1), Layout::Gray8, &[0, 255]);
    let plain = b"P3\n# a comment\n1 2 # another\n255\n1 2 3\n4 5 6\n";
    check(plain, (1, 2), Layout::Rgb8, &[1, 2, 3, 4, 5, 6]);
    check(
        b"P4\n9 1\n\x7f\x80",
        (9, 1),
        Layout::Gray8,
        &[255, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    check(b"P5 1 2 255\n\x07\xf8", (1, 2), Layout::Gray8, &[7, 248]);
    check(
        b"P6 1 1 255\n\x01\x02\x03more",
        (1, 1),
        Layout::Rgb8,
        &[1, 2, 3],
    );
    // Deep gray is passed on as RGB.
    let deep = b"P5#deep\n1 1 65535\n\x12\x34";
    check(deep, (1, 1), Layout::Rgb16, &[0x1234; 3]);
    let map =
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n\x01\x02\x03\x04";
    check(map, (1, 1), Layout::Rgba8, &[1, 2, 3, 4]);
}

#[test]
fn pnm_that_is_damaged_is_refused() {
    let told = |file: &[u8]| match inspect(file).and_then(|_| decoded(file)) {
        Ok(picture) => panic!("{:?} is {:?}", file.escape_ascii(), picture.shape),
        Err(error) => error.to_string(),
    };
    assert!(told(b"P6 2 2 255\n\x01\x02\x03").contains("ends too early"));
    assert!(told(b"P3 1 1 255 1 2").contains("PNM"));
    assert!(told(b"P2 1 1 255 x").contains("PNM"));
    for empty in [
        &b"P5 0 1 255\n"[..],
        b"P5 1 0 255\n",
        b"P5 1 1 0\n\0",
        b"P5 1 1 65536\n\0\0",
    ] {
        told(empty);
    }
    // Nothing is allocated for what only the header claims.
    told(b"P6 4294967295 4294967295 255\n");
}
