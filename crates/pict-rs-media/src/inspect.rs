//! Names a file by its first bytes and asks its codec for the facts.

use crate::codec::coding::{Coding, coding};
use crate::limits::{self, Bounds};
use crate::{Control, Error, Facts, Format, Result, codec};

/// What the file is, learned from its headers, and held to `bounds`. The whole file must be given:
/// frames are counted by walking it. No pixel that is shown is decoded; what a JPEG XL hides has to
/// be, on the way to the frames behind it, but not before the size that its header claims was
/// checked.
///
/// # Errors
/// [`Error::Empty`], [`Error::Unrecognised`], [`Error::Unsupported`] for formats that this
/// build cannot read, [`Error::Corrupt`] when the container breaks its own rules, [`Error::Limit`]
/// when the file exceeds `bounds`, [`Error::Cancelled`] through `control`.
pub fn inspect(source: &[u8], bounds: &Bounds, control: &Control) -> Result<Facts> {
    if source.is_empty() {
        return Err(Error::Empty);
    }
    control.check()?;
    let facts = match detect(source).ok_or(Error::Unrecognised)? {
        Detected::Jpeg => codec::jpeg::inspect(source, control),
        Detected::Png => codec::png::inspect(source, control),
        Detected::Gif => codec::gif::inspect(source, control),
        Detected::Webp => codec::webp::inspect(source, control),
        Detected::Jxl => codec::jxl::inspect(source, bounds, control),
        Detected::Video => codec::video::clip(source, control).map(|clip| clip.facts),
        Detected::Heif => codec::heif::inspect(source, control),
        Detected::Svg => codec::svg::inspect(source, bounds, control),
        Detected::Converted(format) => codec::converted::inspect(source, format, control),
        Detected::Avif => codec::avif::inspect(source, control),
        Detected::Other(name) => Err(Error::Unsupported(format!(
            "{name} files cannot be read by this build; it reads {}",
            readable()
        ))),
    };
    // A library that was stopped may say something else.
    control.check()?;
    let facts = facts?;
    limits::check(&facts, source.len() as u64, bounds.of(facts.kind()))?;
    Ok(facts)
}

/// Whether the file is an SVG, found out without parsing it. Drawing one is work that a server may
/// not want to do for others. Always false in a build without the feature `svg`, which [`inspect()`]
/// refuses by that name.
pub fn is_svg(source: &[u8]) -> bool {
    cfg!(feature = "svg") && codec::svg::is_one(source)
}

/// The names of all formats that can be read, for messages.
fn readable() -> String {
    let names: Vec<_> = Format::all()
        .filter(|format| format.is_readable())
        .map(|format| format.to_string())
        .collect();
    names.join(", ")
}

/// The format of a still that only its first bytes were asked for.
pub(crate) fn format(source: &[u8]) -> Option<Format> {
    match detect(source)? {
        Detected::Jpeg => Some(Format::Jpeg),
        Detected::Heif => Some(Format::Heif),
        Detected::Converted(format) => Some(format),
        _ => None,
    }
}

/// The format of a file that may be damaged behind its first bytes. Stills and animations of one
/// family count as its still.
pub(crate) fn damaged_format(source: &[u8]) -> Option<Format> {
    match detect(source)? {
        Detected::Jpeg => Some(Format::Jpeg),
        Detected::Png => Some(Format::Png),
        Detected::Gif => Some(Format::Gif),
        Detected::Webp => Some(Format::Webp),
        Detected::Avif => Some(Format::Avif),
        Detected::Converted(format) => Some(format),
        _ => None,
    }
}

enum Detected {
    Jpeg,
    Png,
    Gif,
    Webp,
    Jxl,
    Video,
    Heif,
    Converted(Format),
    Avif,
    Svg,
    /// Recognised so that the refusal can name it.
    Other(&'static str),
}

fn detect(source: &[u8]) -> Option<Detected> {
    let starts = |magic: &[u8]| source.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| {
        source
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    if starts(b"\xff\xd8\xff") {
        return Some(Detected::Jpeg);
    }
    if starts(b"\x89PNG\r\n\x1a\n") {
        return Some(Detected::Png);
    }
    if starts(b"GIF87a") || starts(b"GIF89a") {
        return Some(Detected::Gif);
    }
    if starts(b"RIFF") && at(8, b"WEBP") {
        return Some(Detected::Webp);
    }
    if starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL \r\n\x87\n") {
        return Some(Detected::Jxl);
    }
    if at(4, b"ftyp") {
        return Some(match coding(source) {
            Some(Coding::Hevc) => Detected::Heif,
            Some(Coding::Av1) => Detected::Avif,
            None => Detected::Video,
        });
    }
    if codec::video::is_mp4(source) || codec::video::is_webm(source) {
        return Some(Detected::Video);
    }
    if let Some(format) = codec::converted::detect(source) {
        return Some(Detected::Converted(format));
    }
    if codec::svg::is_one(source) {
        return Some(Detected::Svg);
    }
    const OTHERS: [(&[u8], &str); 2] = [(b"%PDF-", "PDF"), (b"\x1f\x8b", "compressed")];
    let (_, name) = OTHERS.iter().find(|(magic, _)| starts(magic))?;
    Some(Detected::Other(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{LimitKind, Limits};

    fn inspect(source: &[u8]) -> Result<Facts> {
        super::inspect(source, &Bounds::NONE, &Control::new())
    }

    #[test]
    fn the_limits_of_the_kind_that_was_found_count() {
        let file = include_bytes!("codec/testdata/420.avif");
        let narrow = Limits {
            max_width: 1,
            ..Limits::NONE
        };
        let bounds = Bounds {
            animation: narrow,
            ..Bounds::NONE
        };
        super::inspect(file, &bounds, &Control::new()).expect("is a still");
        let bounds = Bounds {
            image: narrow,
            ..Bounds::NONE
        };
        let refused = super::inspect(file, &bounds, &Control::new());
        let Err(Error::Limit(violation)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((violation.limit, violation.allowed), (LimitKind::Width, 1));
    }

    #[test]
    fn inspection_is_not_begun_when_nobody_waits_for_it() {
        let control = Control::new();
        control.cancel();
        let file = include_bytes!("codec/testdata/420.avif");
        let outcome = super::inspect(file, &Bounds::NONE, &control);
        assert!(matches!(outcome, Err(Error::Cancelled)));
    }

    #[cfg(not(feature = "svg"))]
    #[test]
    fn a_build_without_svg_says_what_is_missing() {
        let message = inspect(b"<svg/>").expect_err("not readable").to_string();
        assert!(message.contains("build with the feature svg"), "{message}");
    }

    #[test]
    fn refusals_say_what_the_file_is() {
        assert!(matches!(inspect(b""), Err(Error::Empty)));
        assert!(matches!(inspect(b"hello, world"), Err(Error::Unrecognised)));
        let message = inspect(b"%PDF-1.7").expect_err("not readable").to_string();
        assert!(message.starts_with("PDF files cannot be read"), "{message}");
    }
}
