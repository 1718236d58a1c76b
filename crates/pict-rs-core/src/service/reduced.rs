//! Reduced copies: a large photograph is decoded and shrunk once, and its small variants are made from
//! that. Decoding costs most of the time of a small variant.
//!
//! A reduced copy is a row among the variants of its original, under a key that no request can name. So
//! it is counted, moved and dropped like a variant, and can be made again.

use pict_rs_media::operation::{Filter, Operation, ResizeTo};
use pict_rs_media::{Facts, Format, Output, OutputFormat, Speed};

use crate::query::ProcessRequest;
use crate::repo::Representation;
use crate::{Error, ErrorCode, Result, VariantKey};

/// The longer side of a reduced copy, in pixels.
const SIDE: u32 = 1024;
/// The longer side of the largest variant that is made from one, in pixels. Beyond that the second
/// resampling would show.
const LARGEST_VARIANT: u32 = 640;
/// The longer side of the smallest original that has one, in pixels: smaller ones are decoded quickly.
const SMALLEST_ORIGINAL: u32 = 2 * SIDE;
/// Of a JPEG with full chroma. A variant loses less than a point of SSIMULACRA2 by it.
const QUALITY: u8 = 95;

const SHRINK: ResizeTo = ResizeTo::Fit(SIDE);

/// Whether a variant can be made from a reduced copy of its original. It has the same size then. PNG and
/// JPEG XL are left out, because they can have more than 8 bits.
pub(super) fn serves(original: &Representation, request: &ProcessRequest) -> bool {
    let is_photograph = matches!(
        original.key.format(),
        Format::Jpeg | Format::Avif | Format::Webp | Format::Jxl
    ) && original.frames == 1
        && original.width.max(original.height) >= SMALLEST_ORIGINAL;
    let is_still_format = matches!(
        request.format,
        OutputFormat::Jpeg | OutputFormat::Webp | OutputFormat::Avif
    );
    let [operation] = request.operations[..] else {
        return false;
    };
    let to = match operation {
        Operation::Thumbnail(size) => ResizeTo::Fit(size),
        Operation::Resize { to, .. } => to,
        Operation::Crop { .. } | Operation::Blur(_) => return false,
    };
    let size = to.size(original.width, original.height);
    let (width, height) = SHRINK.size(original.width, original.height);
    is_photograph
        && is_still_format
        && request.frame.is_none()
        && size.0.max(size.1) <= LARGEST_VARIANT
        // Sides are rounded twice, which can differ by a pixel.
        && to.size(width, height) == size
}

/// The key of a reduced copy among the variants of its original.
pub(super) fn key() -> VariantKey {
    VariantKey::reduced(SIDE)
}

/// The reduced copy as a variant.
pub(super) fn request() -> ProcessRequest {
    ProcessRequest {
        operations: vec![Operation::Resize {
            filter: Filter::Lanczos,
            to: SHRINK,
        }],
        frame: None,
        format: OutputFormat::Jpeg,
        time: None,
        key: key(),
    }
}

/// The output options of a reduced copy; `None` for a variant that clients see.
pub(super) fn output(request: &ProcessRequest) -> Option<Output> {
    (request.key == key()).then_some(Output {
        format: OutputFormat::Jpeg,
        quality: Some(QUALITY),
        lossless: false,
        speed: Speed::Quality,
    })
}

/// Drawings would lose their edges in a JPEG, and transparent pictures their transparency.
///
/// # Errors
/// [`ErrorCode::MediaFailed`] when an original with these facts has no reduced copy.
pub(super) fn check(facts: &Facts) -> Result<()> {
    if facts.lossless || facts.has_alpha {
        return Err(Error::Internal {
            code: ErrorCode::MediaFailed,
            message: "pictures that are transparent or lossless have no reduced copy".to_owned(),
            source: None,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContentKey, ObjectKey};

    fn original(format: Format, width: u32, height: u32) -> Representation {
        Representation {
            object: ObjectKey::generate(format),
            key: ContentKey::new([1; 32], 9, format),
            width,
            height,
            frames: 1,
            duration_ms: None,
            created_at: 0,
        }
    }

    fn asked(extension: &str, query: &str) -> ProcessRequest {
        let filters = pict_rs_media::operation::NAMES.map(str::to_owned);
        ProcessRequest::parse(extension, query, &filters).expect("valid")
    }

    #[test]
    fn small_variants_of_large_photographs_are_made_from_it() {
        let photograph = original(Format::Jpeg, 4000, 3000);
        for (extension, query) in [
            ("webp", "thumbnail=256"),
            ("jpg", "resize=640"),
            ("avif", "resize=Lanczos.a65536"),
        ] {
            assert!(serves(&photograph, &asked(extension, query)), "{query}");
        }
        for (extension, query) in [
            ("webp", ""),
            ("webp", "thumbnail=641"),
            ("png", "thumbnail=256"),
            ("jxl", "thumbnail=256"),
            ("webp", "crop=1x1&thumbnail=256"),
            ("webp", "blur=3"),
        ] {
            assert!(!serves(&photograph, &asked(extension, query)), "{query}");
        }
        let thumbnail = asked("webp", "thumbnail=256");
        for (format, width, height, expected) in [
            (Format::Jpeg, 2048, 10, true),
            (Format::Jpeg, 2047, 2047, false),
            (Format::Avif, 4000, 3000, true),
            (Format::Png, 4000, 3000, false),
            (Format::Gif, 4000, 3000, false),
        ] {
            let original = original(format, width, height);
            assert_eq!(
                serves(&original, &thumbnail),
                expected,
                "{format:?} {width}×{height}"
            );
        }
        assert!(!serves(&photograph, &request()));
    }

    #[test]
    fn variants_from_it_have_the_size_that_they_would_have_without() {
        let mut left_out = 0;
        for width in 2048..2348 {
            let photograph = original(Format::Jpeg, width, 1531);
            let thumbnail = asked("webp", "thumbnail=333");
            let reduced = SHRINK.size(width, 1531);
            let to = ResizeTo::Fit(333);
            match serves(&photograph, &thumbnail) {
                true => assert_eq!(to.size(reduced.0, reduced.1), to.size(width, 1531)),
                false => left_out += 1,
            }
        }
        assert!((1..60).contains(&left_out), "{left_out}");
    }
}
