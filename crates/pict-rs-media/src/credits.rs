//! Author and copyright: the only kind of metadata that can survive cleaning.
//!
//! The file's own metadata are dropped: two fields are read from EXIF, from a JPEG's IPTC-IIM and
//! from XMP, and written to a new block of EXIF. Not for GIF, which has no place for it, and not
//! for an AVIF with a sequence and no item.

use crate::codec::interface::{Cleaned, Credits, Pieces};
use crate::codec::{self, exif, iptc, xmp};
use crate::{Control, Facts};

/// Adds its credits to a cleaned file, if it has any. The facts are those of the cleaned file.
pub(crate) fn keep<'a>(
    facts: &Facts,
    source: &'a [u8],
    pieces: Pieces<'a>,
    control: &Control,
) -> Pieces<'a> {
    let Some(credits) = &codec::of(facts.format).credits else {
        return pieces;
    };
    match tiff(credits, source, control) {
        Some(tiff) => {
            let file = Cleaned {
                source,
                facts,
                pieces,
            };
            (credits.put)(file, &tiff, control)
        }
        None => pieces,
    }
}

/// The credits of the source, as EXIF. If there are several, EXIF takes precedence, then IPTC-IIM,
/// then XMP.
fn tiff(places: &Credits, source: &[u8], control: &Control) -> Option<Vec<u8>> {
    let tiff = (places.exif)(source, control);
    let mut credits = tiff.as_deref().map(exif::credits).unwrap_or_default();
    credits = credits.or(iptc::credits(&(places.photoshop)(source)));
    let packet = (places.xmp)(source, control);
    if let Some(packet) = packet.as_deref() {
        credits = credits.or(xmp::credits(packet));
    }
    credits.to_tiff()
}
