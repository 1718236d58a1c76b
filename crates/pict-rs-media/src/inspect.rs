//! Detects the format of a file by its first bytes and reads its facts.

use crate::limits::{self, Bounds};
use crate::{Control, Error, Facts, Format, Result, codec};

/// The facts of a file, read from its headers and checked against `bounds`. The whole file must be
/// given, because frames are counted in it. No shown pixel is decoded; hidden frames of a JPEG XL
/// must be decoded to reach the frames after them, but only after the size in its header was
/// checked.
///
/// # Errors
/// [`Error::Empty`], [`Error::Unrecognised`], [`Error::Unsupported`] for formats that this build
/// cannot read, [`Error::Corrupt`] when the container is invalid, [`Error::Limit`] when the file
/// exceeds `bounds`, [`Error::Cancelled`] through `control`.
pub fn inspect(source: &[u8], bounds: &Bounds, control: &Control) -> Result<Facts> {
    if source.is_empty() {
        return Err(Error::Empty);
    }
    control.check()?;
    let codec = codec::of_file(source).ok_or_else(|| unreadable(source))?;
    let facts = (codec.inspect)(source, bounds, control);
    // A cancelled library may return a different error.
    control.check()?;
    let facts = facts?;
    limits::check(&facts, source.len() as u64, bounds.of(facts.kind()))?;
    Ok(facts)
}

/// Whether the file is an SVG, detected without parsing it. A server may not want to render SVG
/// from untrusted clients. Always false in a build without the feature `svg`, where [`inspect()`]
/// refuses SVG by name.
pub fn is_svg(source: &[u8]) -> bool {
    cfg!(feature = "svg") && codec::svg::is_one(source)
}

/// The error for a file that no codec accepts. Some formats are recognised so that the error can
/// name them.
fn unreadable(source: &[u8]) -> Error {
    const OTHERS: [(&[u8], &str); 2] = [(b"%PDF-", "PDF"), (b"\x1f\x8b", "compressed")];
    match OTHERS.iter().find(|(magic, _)| source.starts_with(magic)) {
        Some((_, name)) => Error::Unsupported(format!(
            "{name} files cannot be read by this build; it reads {}",
            readable()
        )),
        None => Error::Unrecognised,
    }
}

/// The names of all readable formats, for messages.
fn readable() -> String {
    let names: Vec<_> = Format::all()
        .filter(|format| format.is_readable())
        .map(|format| format.to_string())
        .collect();
    names.join(", ")
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
