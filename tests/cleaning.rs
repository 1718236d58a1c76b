//! Metadata goes, pixels and colour profiles stay.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ImageDecoder as _, ImageFormat};

use crate::support::client::process_path;
use crate::support::exiftool::Exiftool;
use crate::support::{Launch, Server, dirty, icc, pictures, pixels};

#[test]
fn the_test_files_are_as_dirty_as_they_should_be() {
    let expected = |format| match format {
        "jpeg" => &[
            "appten", "comment", "ducky", "exif", "iptc", "trailing", "xmp",
        ][..],
        "png" => &[
            "author", "exif", "private", "text", "trailing", "xmp", "ztxt",
        ],
        "apng" => &["between", "exif", "text", "trailing", "xmp"],
        "webp" => &["exif", "trailing", "unknown", "xmp"],
        _ => &["application", "comment", "trailing", "xmp"],
    };
    for (format, bytes) in dirty::files() {
        assert_eq!(dirty::secrets(&bytes), expected(format), "{format}");
    }
}

#[test]
fn an_upload_without_conversion_keeps_no_metadata_and_every_pixel() {
    let server = Server::start();
    for (format, bytes) in dirty::files() {
        let uploaded = server.upload(&bytes);
        let cleaned = server.original(&uploaded.alias);
        assert_eq!(dirty::secrets(&cleaned), Vec::<String>::new(), "{format}");
        for tell_tale in [
            &b"Exif\0\0"[..],
            b"EXIF",
            b"eXIf",
            b"xmpmeta",
            b"8BIM",
            b"tIME",
        ] {
            let found = cleaned
                .windows(tell_tale.len())
                .any(|window| window == tell_tale);
            assert!(!found, "{format}: {}", String::from_utf8_lossy(tell_tale));
        }
        pixels::assert_equal(&pixels::decode(&cleaned), &pixels::decode(&bytes));
        if matches!(format, "apng" | "gif") {
            assert!(pixels::frames(&cleaned) == pixels::frames(&bytes));
        }
        assert!(cleaned.len() < bytes.len());
        // Cleaning what is clean changes nothing.
        let again = server.upload(&cleaned);
        assert_eq!(server.original(&again.alias), cleaned, "{format}");
    }
}

#[test]
fn colour_profiles_stay_in_originals() {
    let server = Server::start();
    for (format, bytes) in dirty::files() {
        if matches!(format, "apng" | "gif") {
            continue;
        }
        let cleaned = server.original(&server.upload(&bytes).alias);
        let found = profile(&cleaned);
        assert!(found == Some(icc::swapped_red_and_green()), "{format}");
    }
}

fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = Cursor::new(bytes);
    match pixels::format(bytes.get_ref()) {
        Some(ImageFormat::Jpeg) => JpegDecoder::new(bytes).expect("a JPEG").icc_profile(),
        Some(ImageFormat::Png) => PngDecoder::new(bytes).expect("a PNG").icc_profile(),
        Some(ImageFormat::WebP) => WebPDecoder::new(bytes).expect("a WebP").icc_profile(),
        other => panic!("{other:?}"),
    }
    .expect("readable")
}

#[test]
fn an_animated_webp_is_cleaned_and_moves_on() {
    let server = Server::start();
    let clean = pictures::animated_webp(&pictures::film(40, 30, 5));
    let mut chunks = clean[12..].to_vec();
    // In VP8X, the first chunk: EXIF and XMP are there as well.
    chunks[8] |= 0x0c;
    chunks.extend(pictures::chunk(b"EXIF", &dirty::exif(1)));
    chunks.extend(pictures::chunk(b"XMP ", b"SECRET-xmp"));
    let bytes = pictures::riff(&chunks);
    assert_eq!(dirty::secrets(&bytes), ["exif", "xmp"]);
    let cleaned = server.original(&server.upload(&bytes).alias);
    assert_eq!(dirty::secrets(&cleaned), Vec::<String>::new());
    assert!(pixels::frames(&cleaned) == pixels::frames(&clean));
}

#[test]
fn variants_and_converted_uploads_have_no_metadata_either() {
    let server = Server::start();
    for (format, bytes) in dirty::files() {
        let alias = server.upload(&bytes).alias;
        for extension in ["jpg", "png", "webp", "gif", "apng"] {
            for operations in ["", "thumbnail=20"] {
                let made = server.process(extension, &alias, operations);
                assert_eq!(
                    dirty::secrets(&made),
                    Vec::<String>::new(),
                    "{format} as {extension}"
                );
            }
        }
        let converted = server.upload_with("resize=30", &bytes);
        let original = server.original(&converted.alias);
        assert_eq!(dirty::secrets(&original), Vec::<String>::new(), "{format}");
    }
}

#[test]
fn a_gif_still_runs_forever_after_cleaning() {
    let server = Server::start();
    let (_, bytes) = dirty::files().into_iter().next_back().expect("the GIF");
    let loops = |bytes: &[u8]| bytes.windows(11).any(|window| window == b"NETSCAPE2.0");
    assert!(loops(&bytes));
    let alias = server.upload(&bytes).alias;
    assert!(loops(&server.original(&alias)));
    assert!(loops(&server.process("gif", &alias, "thumbnail=20")));
}

const STILL_JXL: &[u8] = include_bytes!("data/formats/still.jxl");

/// A TIFF structure with a maker, an artist and an owner.
fn credited_exif() -> Vec<u8> {
    let texts = [
        (0x010f_u16, &b"a secret camera\0"[..]),
        (0x013b, b"Ada Lovelace\0"),
        (0x8298, b"(c) 1843 Ada\0"),
    ];
    let mut exif = b"MM\0*\0\0\0\x08\0\x03".to_vec();
    let mut at = 8 + 2 + 3 * 12 + 4;
    for (tag, text) in texts {
        exif.extend([&tag.to_be_bytes()[..], &[0, 2]].concat());
        exif.extend((text.len() as u32).to_be_bytes());
        exif.extend((at as u32).to_be_bytes());
        at += text.len();
    }
    exif.extend([0; 4]);
    exif.extend(texts.iter().flat_map(|(_, text)| *text));
    exif
}

/// What `credited_exif` says, as XMP.
fn credited_xmp() -> Vec<u8> {
    b"<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>\
      <x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='a secret program'>\
      <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about='' \
      xmlns:dc='http://purl.org/dc/elements/1.1/' dc:source='a secret'>\
      <dc:creator><rdf:Seq><rdf:li>Ada Lovelace</rdf:li></rdf:Seq></dc:creator>\
      <dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>(c) 1843 Ada</rdf:li></rdf:Alt></dc:rights>\
      </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
        .to_vec()
}

#[test]
fn credits_in_compressed_boxes_are_found() {
    let server = Server::with([("media.keep_metadata", "copyright")]);
    let case = include_bytes!("data/cases/credits-in-brob.jxl");
    assert!(pictures::find(case, b"brobExif") > 0);
    let stored = server.original(&server.upload(case).alias);
    let has = |word: &[u8]| stored.windows(word.len()).any(|window| window == word);
    assert!(has(b"Exif") && !has(b"brob"));
    let again = server.original(&server.upload(&stored).alias);
    assert!(again == stored);
    // One that is damaged, or that would fill the memory, is as good as none.
    let at = pictures::find(case, b"brobExif") + 8;
    let mut broken = case.to_vec();
    broken[at..at + 6].fill(0xff);
    let stored = server.original(&server.upload(&broken).alias);
    assert!(!stored.windows(4).any(|window| window == b"Exif"));
}

#[test]
fn credits_stay_by_setting_and_nothing_else_does() {
    let image = pictures::photo(40, 30);
    let exif = credited_exif();
    let xmp = credited_xmp();
    let with_app1 = |name: &[u8], content: &[u8]| {
        let jpeg = pictures::jpeg(&image);
        let length = (2 + name.len() + content.len()) as u16;
        let head = [0xff, 0xe1, (length >> 8) as u8, length as u8];
        [&jpeg[..2], &head, name, content, &jpeg[2..]].concat()
    };
    let jpeg = with_app1(b"Exif\0\0", &exif);
    let with_chunk = |kind: &[u8; 4], content: &[u8]| {
        let png = pictures::png(&image);
        [&png[..33], &pictures::png_chunk(kind, content), &png[33..]].concat()
    };
    let png = with_chunk(b"eXIf", &exif);
    let webp = dirty::webp_with_exif(&image, &exif);
    // EXIF is announced, or XMP.
    let animated = |flag: u8, name: &[u8; 4], content: &[u8]| {
        let mut animation = pictures::animated_webp(&pictures::film(20, 16, 3));
        animation[20] |= flag;
        animation.extend(pictures::chunk(name, content));
        pictures::riff(&animation[12..])
    };
    let iptc = [
        &b"\x1c\x02\x05\0\x08a secret\x1c\x02\x50\0\x0cAda Lovelace"[..],
        b"\x1c\x02\x74\0\x0c(c) 1843 Ada",
    ];
    let agency = dirty::jpeg_with_iptc(&image, &iptc.concat());
    let has = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|w| w == word);
    let keeping = Server::with([("media.keep_metadata", "copyright")]);
    let plain = Server::start();
    let exiftool = Exiftool::find_or_skip("credits as exiftool sees and writes them");
    let mut files = vec![
        jpeg.clone(),
        png.clone(),
        webp.clone(),
        animated(0x08, b"EXIF", &exif),
        agency,
        dirty::boxed_jxl(STILL_JXL, b"Exif", &[&[0; 4], &exif[..]].concat()),
        with_app1(b"http://ns.adobe.com/xap/1.0/\0", &xmp),
        with_chunk(
            b"iTXt",
            &[b"XML:com.adobe.xmp\0\0\0\0\0", &xmp[..]].concat(),
        ),
        animated(0x04, b"XMP ", &xmp),
        dirty::boxed_jxl(STILL_JXL, b"xml ", &xmp),
    ];
    let avif = exiftool.as_ref().map(|exiftool| {
        let tags = [
            "Artist=Ada Lovelace",
            "Copyright=(c) 1843 Ada",
            "Make=a secret camera",
            "XMP-dc:Source=a secret",
        ];
        exiftool.write(include_bytes!("data/formats/still.avif"), "avif", &tags)
    });
    files.extend(avif.clone());
    for (number, file) in files.iter().enumerate() {
        let alias = keeping.upload(file).alias;
        let kept = keeping.original(&alias);
        let credited = has(&kept, b"Ada Lovelace") && has(&kept, b"(c) 1843 Ada");
        assert!(credited, "file {number}");
        assert!(!has(&kept, b"secret"));
        let other = plain.upload(file).alias;
        let shown = |server: &Server, alias| pixels::decode(&server.process("png", alias, ""));
        pixels::assert_equal(&shown(&keeping, &alias), &shown(&plain, &other));
        // What was kept is kept again as it is.
        assert_eq!(keeping.original(&keeping.upload(&kept).alias), kept);
        for variant in ["jpg", "png", "webp"] {
            assert!(!has(&keeping.process(variant, &alias, "resize=20"), b"Ada"));
        }
        assert!(!has(&plain.original(&other), b"Ada"));
    }
    if let (Some(exiftool), Some(avif)) = (exiftool, &avif) {
        for (file, extension) in [
            (&jpeg, "jpg"),
            (&png, "png"),
            (&webp, "webp"),
            (avif, "avif"),
        ] {
            let tags = exiftool.look(&keeping.original(&keeping.upload(file).alias), extension);
            assert!(
                tags.contains(&"IFD0:Artist=Ada Lovelace".to_owned()),
                "{tags:?}"
            );
            assert!(!tags.iter().any(|tag| tag.contains("Warning")), "{tags:?}");
        }
    }
    let launch = Launch::new().setting("media.keep_metadata", "gps");
    let refusal = launch.refused();
    assert!(refusal.output.contains("'gps' cannot be kept"));
}

#[test]
fn exiftool_finds_nothing_that_it_found_before() {
    let Some(exiftool) = Exiftool::find_or_skip("cleaning as exiftool sees it") else {
        return;
    };
    let look = |bytes: &[u8], extension: &str| {
        let mut tags = exiftool.look(bytes, extension);
        tags.retain(|tag| is_metadata(tag));
        tags
    };
    let server = Server::start();
    for (format, bytes) in dirty::files() {
        let before = look(&bytes, format);
        assert!(before.len() >= 2, "{format}: {before:?}");
        let alias = server.upload(&bytes).alias;
        assert_eq!(look(&server.original(&alias), format), Vec::<String>::new());
        for extension in ["jpg", "png", "webp", "gif", "apng"] {
            let answer = server.get(&process_path(extension, &alias, "thumbnail=20"));
            let found = look(&answer.ok().body, extension);
            assert_eq!(found, Vec::<String>::new(), "{format} as {extension}");
        }
    }
}

/// What is neither the file system's, nor needed to decode, nor computed by exiftool.
fn is_metadata(tag: &str) -> bool {
    let (group, rest) = tag.split_once(':').unwrap_or(("", tag));
    let describes = [
        "Comment",
        "Text",
        "Author",
        "Hidden",
        "ModifyDate",
        "Warning",
        "Trailer",
    ];
    match group {
        "System" | "ExifTool" | "Composite" => rest.starts_with("Warning"),
        "File" | "PNG" | "RIFF" | "GIF" | "JFIF" | "Adobe" => {
            describes.iter().any(|name| rest.starts_with(name))
        }
        "PNG-pHYs" => false,
        // The profile, and PNG's short colour chunks.
        group => !group.starts_with("ICC"),
    }
}
