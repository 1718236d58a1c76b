//! Who made a picture and whose it is: the one kind of metadata that can survive cleaning.
//!
//! Nothing of the file's own metadata is kept: two fields are read, of EXIF, of a JPEG's
//! IPTC-IIM and of XMP, and written into a block of EXIF that has nothing else. Not for GIF, which
//! has no place for it, and not for an AVIF that has a sequence and no item.

use crate::codec::interface::{Cleaned, Credits, Pieces};
use crate::codec::{self, exif, iptc, xmp};
use crate::{Control, Facts};

/// A cleaned file with its credits put in, if it has any. The facts are of the cleaned file.
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

/// What the source says, as EXIF. Where several say something, EXIF counts, then IPTC-IIM, then
/// XMP.
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
