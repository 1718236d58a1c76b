//! Files full of what must not be passed on. Every kind of metadata that a format can carry
//! holds the word [`SECRET`] with a name behind it, so a raw search finds what was kept.

use image::DynamicImage;

use super::pictures::{chunk, find, jpeg, png, png_chunk, riff, webp};
use super::{icc, pictures};

/// Stands in every piece of metadata.
pub const SECRET: &str = "SECRET-";

/// The names of all secrets that are in `bytes` as they are.
pub fn secrets(bytes: &[u8]) -> Vec<String> {
    let mut found: Vec<_> = bytes
        .windows(SECRET.len())
        .enumerate()
        .filter(|(_, window)| *window == SECRET.as_bytes())
        .map(|(at, _)| {
            let name = bytes[at + SECRET.len()..]
                .iter()
                .take_while(|byte| byte.is_ascii_lowercase());
            name.map(|byte| char::from(*byte)).collect()
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// EXIF with an orientation, a maker, GPS coordinates and a thumbnail, as little-endian TIFF.
pub fn exif(orientation: u16) -> Vec<u8> {
    let thumbnail = [
        &[0xff, 0xd8, 0xff, 0xfe, 0, 20][..],
        b"SECRET-exif-thumb\0",
        &[0xff, 0xd9],
    ]
    .concat();
    let (main, gps, second, data) = (8u32, 8u32 + 2 + 48 + 4, 130u32, 200u32);
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [
            &tag.to_le_bytes()[..],
            &kind.to_le_bytes(),
            &count.to_le_bytes(),
            &value,
        ]
        .concat()
    };
    let short = |value: u16| [value.to_le_bytes(), [0, 0]].concat();
    let four = |bytes: Vec<u8>| <[u8; 4]>::try_from(bytes).expect("four bytes");
    let mut tiff = b"II\x2a\0".to_vec();
    tiff.extend(main.to_le_bytes());
    // The main folder: description, maker, orientation, GPS.
    tiff.extend(4u16.to_le_bytes());
    tiff.extend(entry(0x010e, 2, 18, data.to_le_bytes()));
    tiff.extend(entry(0x010f, 2, 18, (data + 18).to_le_bytes()));
    tiff.extend(entry(0x0112, 3, 1, four(short(orientation))));
    tiff.extend(entry(0x8825, 4, 1, gps.to_le_bytes()));
    tiff.extend(second.to_le_bytes());
    // GPS: 52.5 degrees north, and the map's datum.
    assert_eq!(tiff.len(), gps as usize);
    tiff.extend(3u16.to_le_bytes());
    tiff.extend(entry(1, 2, 2, *b"N\0\0\0"));
    tiff.extend(entry(2, 5, 3, (data + 36).to_le_bytes()));
    tiff.extend(entry(0x12, 2, 18, (data + 60).to_le_bytes()));
    tiff.extend([0; 4]);
    tiff.resize(second as usize, 0);
    // The second folder: a thumbnail.
    let length = u32::try_from(thumbnail.len()).expect("small");
    tiff.extend(3u16.to_le_bytes());
    tiff.extend(entry(0x0103, 3, 1, four(short(6))));
    tiff.extend(entry(0x0201, 4, 1, (data + 78).to_le_bytes()));
    tiff.extend(entry(0x0202, 4, 1, length.to_le_bytes()));
    tiff.extend([0; 4]);
    tiff.resize(data as usize, 0);
    tiff.extend(*b"SECRET-exif-text0\0");
    tiff.extend(*b"SECRET-exif-maker\0");
    for (numerator, denominator) in [(52u32, 1u32), (30, 1), (0, 1)] {
        tiff.extend(numerator.to_le_bytes());
        tiff.extend(denominator.to_le_bytes());
    }
    tiff.extend(*b"SECRET-exif-gps00\0");
    tiff.extend(thumbnail);
    tiff
}

/// An XMP packet.
fn xmp() -> &'static str {
    "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
     <rdf:Description xmlns:dc=\"http://purl.org/dc/elements/1.1/\" dc:source=\"SECRET-xmp\"/></rdf:RDF></x:xmpmeta>"
}

/// A JPEG segment.
fn segment(marker: u8, data: &[&[u8]]) -> Vec<u8> {
    let data = data.concat();
    let size = u16::try_from(data.len() + 2).expect("small");
    [&[0xff, marker][..], &size.to_be_bytes(), &data].concat()
}

/// A JPEG with nothing but an orientation added.
pub fn turned_jpeg(stored: &DynamicImage, orientation: u16) -> Vec<u8> {
    let clean = jpeg(stored);
    let exif = segment(0xe1, &[b"Exif\0\0", &exif(orientation)]);
    [&clean[..2], &exif, &clean[2..]].concat()
}

/// A PNG with nothing but an orientation added.
pub fn turned_png(stored: &DynamicImage, orientation: u16) -> Vec<u8> {
    let clean = png(stored);
    let after = 8 + 25;
    let exif = png_chunk(b"eXIf", &exif(orientation));
    [&clean[..after], &exif, &clean[after..]].concat()
}

/// A WebP with such a TIFF structure.
pub fn webp_with_exif(image: &DynamicImage, exif: &[u8]) -> Vec<u8> {
    let clean = webp(image);
    let exif = chunk(b"EXIF", exif);
    riff(&[vp8x(image, 0x08), clean[12..].to_vec(), exif].concat())
}

/// A JPEG with these datasets of IPTC-IIM, as Photoshop writes them.
pub fn jpeg_with_iptc(image: &DynamicImage, datasets: &[u8]) -> Vec<u8> {
    let clean = jpeg(image);
    let size = u32::try_from(datasets.len()).expect("small").to_be_bytes();
    let block = [b"8BIM\x04\x04\0\0", &size[..], datasets].concat();
    let segment = segment(0xed, &[b"Photoshop 3.0\0", &block]);
    [&clean[..2], &segment, &clean[2..]].concat()
}

/// A WebP with nothing but an orientation added.
pub fn turned_webp(stored: &DynamicImage, orientation: u16) -> Vec<u8> {
    webp_with_exif(stored, &exif(orientation))
}

/// The chunk that announces others.
fn vp8x(image: &DynamicImage, flags: u8) -> Vec<u8> {
    let [w0, w1, w2, _] = (image.width() - 1).to_le_bytes();
    let [h0, h1, h2, _] = (image.height() - 1).to_le_bytes();
    let alpha = if image.color().has_alpha() { 0x10 } else { 0 };
    chunk(b"VP8X", &[flags | alpha, 0, 0, 0, w0, w1, w2, h0, h1, h2])
}

/// A JPEG with nothing but a comment added.
pub fn commented_jpeg(image: &DynamicImage, comment: &str) -> Vec<u8> {
    let clean = jpeg(image);
    let comment = segment(0xfe, &[comment.as_bytes()]);
    [&clean[..2], &comment, &clean[2..]].concat()
}

/// A JPEG with a colour profile and nothing else.
pub fn profiled_jpeg(image: &DynamicImage, profile: &[u8]) -> Vec<u8> {
    let clean = jpeg(image);
    let segment = segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", profile]);
    [&clean[..2], &segment, &clean[2..]].concat()
}

/// EXIF, XMP, IPTC, a comment, a strange segment, and bytes after the end; and a profile.
pub fn dirty_jpeg(image: &DynamicImage) -> Vec<u8> {
    let clean = jpeg(image);
    let iptc = b"8BIM\x04\x04\0\0\0\0\0\x10\x1c\x02\x78\0\x0bSECRET-iptc";
    let segments = [
        segment(0xe1, &[b"Exif\0\0", &exif(1)]),
        segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", xmp().as_bytes()]),
        segment(
            0xe2,
            &[b"ICC_PROFILE\0\x01\x01", &icc::swapped_red_and_green()],
        ),
        segment(0xed, &[b"Photoshop 3.0\0", iptc]),
        segment(0xec, &[b"Ducky\0SECRET-ducky"]),
        segment(0xea, &[b"SECRET-appten"]),
        segment(0xfe, &[b"SECRET-comment"]),
    ];
    [
        &clean[..2],
        &segments.concat(),
        &clean[2..],
        b"SECRET-trailing",
    ]
    .concat()
}

/// All text chunks, EXIF, XMP, a time, a private chunk, and bytes after the end.
pub fn dirty_png(image: &DynamicImage) -> Vec<u8> {
    let clean = with_profile_png(image);
    let end = clean.len() - 12;
    let data = find(&clean, b"IDAT") - 4;
    let before = [
        png_chunk(b"tEXt", b"Comment\0SECRET-text"),
        png_chunk(
            b"iTXt",
            &[b"XML:com.adobe.xmp\0\0\0\0\0", xmp().as_bytes()].concat(),
        ),
        png_chunk(b"eXIf", &exif(1)),
        png_chunk(b"tIME", &[7, 0xe6, 1, 2, 3, 4, 5]),
        png_chunk(b"prVt", b"SECRET-private"),
    ];
    let after = [
        png_chunk(b"tEXt", b"Author\0SECRET-author"),
        png_chunk(
            b"zTXt",
            &[&b"Hidden\0\0"[..], &stored(b"SECRET-ztxt")].concat(),
        ),
    ];
    [
        &clean[..data],
        &before.concat(),
        &clean[data..end],
        &after.concat(),
        &clean[end..],
        b"SECRET-trailing",
    ]
    .concat()
}

/// A zlib stream that is not compressed at all, so that a raw search looks into it.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let size = u16::try_from(bytes.len()).expect("small");
    let (mut a, mut b) = (1u32, 0u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    [
        &[0x78, 0x01, 0x01][..],
        &size.to_le_bytes(),
        &(!size).to_le_bytes(),
        bytes,
        &(b << 16 | a).to_be_bytes(),
    ]
    .concat()
}

/// EXIF, XMP, an unknown chunk, and bytes after the end; and a profile.
pub fn dirty_webp(image: &DynamicImage) -> Vec<u8> {
    let clean = webp(image);
    let chunks = [
        // Profile, EXIF and XMP are announced.
        vp8x(image, 0x2c),
        chunk(b"ICCP", &icc::swapped_red_and_green()),
        clean[12..].to_vec(),
        chunk(b"EXIF", &exif(1)),
        chunk(b"XMP ", xmp().as_bytes()),
        chunk(b"UNKN", b"SECRET-unknown"),
    ];
    [riff(&chunks.concat()), b"SECRET-trailing".to_vec()].concat()
}

/// Comments and application extensions between the frames, and bytes after the end.
pub fn dirty_gif(frames: &[image::RgbaImage]) -> Vec<u8> {
    let clean = pictures::gif(frames);
    let extension = |head: &[u8], data: &[u8]| {
        let size = u8::try_from(data.len()).expect("one block");
        [&[0x21][..], head, &[size], data, &[0]].concat()
    };
    let comment = extension(&[0xfe], b"SECRET-comment");
    let application = extension(b"\xff\x0bSECRETAPP10", b"SECRET-application");
    // XMP in GIF is no sequence of blocks; a trailer of falling numbers ends it.
    let trailer: Vec<u8> = [1].into_iter().chain((0..=255).rev()).chain([0]).collect();
    let xmp = [b"\x21\xff\x0bXMP DataXMP", xmp().as_bytes(), &trailer].concat();
    let first = find(&clean, &[0x21, 0xff, 0x0b]);
    let end = clean.len() - 1;
    [
        &clean[..first],
        &comment,
        &xmp,
        &application,
        &clean[first..end],
        &comment,
        &clean[end..],
        b"SECRET-trailing",
    ]
    .concat()
}

/// Texts before, between and behind the frames, EXIF, XMP, and bytes after the end.
pub fn dirty_apng(frames: &[image::RgbaImage]) -> Vec<u8> {
    let clean = pictures::apng(frames);
    let text = |name: &str| {
        let text = format!("Comment\0SECRET-{name}");
        png_chunk(b"tEXt", text.as_bytes())
    };
    let packet = [b"XML:com.adobe.xmp\0\0\0\0\0", xmp().as_bytes()].concat();
    let (header, second, end) = (33, find(&clean, b"fdAT") - 4, clean.len() - 12);
    [
        &clean[..header],
        &text("text"),
        &png_chunk(b"eXIf", &exif(1)),
        &clean[header..second],
        &text("between"),
        &clean[second..end],
        &png_chunk(b"iTXt", &packet),
        &clean[end..],
        b"SECRET-trailing",
    ]
    .concat()
}

/// A PNG with the profile of [`icc`].
pub fn with_profile_png(image: &DynamicImage) -> Vec<u8> {
    let clean = png(image);
    let profile = [&b"swapped\0\0"[..], &stored(&icc::swapped_red_and_green())].concat();
    // Behind signature and IHDR.
    let after = 8 + 25;
    [
        &clean[..after],
        &png_chunk(b"iCCP", &profile),
        &clean[after..],
    ]
    .concat()
}

/// A JPEG XL in boxes, with EXIF or XMP behind the picture.
pub fn boxed_jxl(codestream: &[u8], kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let part = |name: &[u8; 4], data: &[u8]| {
        let size = u32::try_from(data.len() + 8).expect("small");
        [&size.to_be_bytes(), &name[..], data].concat()
    };
    [
        part(b"JXL ", b"\r\n\x87\n"),
        part(b"ftyp", b"jxl \0\0\0\0jxl "),
        part(b"jxlc", codestream),
        part(kind, content),
    ]
    .concat()
}

/// One of each format whose metadata is written here.
pub fn files() -> [(&'static str, Vec<u8>); 5] {
    let image = pictures::photo(75, 51);
    let transparent = pictures::fading(75, 51);
    [
        ("jpeg", dirty_jpeg(&image)),
        ("png", dirty_png(&transparent)),
        ("webp", dirty_webp(&transparent)),
        ("apng", dirty_apng(&pictures::film(75, 51, 4))),
        ("gif", dirty_gif(&pictures::film(75, 51, 4))),
    ]
}
