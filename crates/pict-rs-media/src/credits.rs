//! Who made a picture and whose it is: the one kind of metadata that can survive cleaning.
//!
//! Nothing of the file's own metadata is kept: two fields are read, of EXIF, of a JPEG's
//! IPTC-IIM and of XMP, and written into a block of EXIF that has nothing else. Not for GIF, which
//! has no place for it, and not for an AVIF that has a sequence and no item.

use std::borrow::Cow;

use crate::{
    Control, Facts, Format,
    codec::{self, exif, iptc, xmp},
};

/// The file's pieces with its credits put in, if it has any. The facts are of the pieces.
pub(crate) fn keep<'a>(
    facts: &Facts,
    source: &'a [u8],
    mut pieces: Vec<Cow<'a, [u8]>>,
    control: &Control,
) -> Vec<Cow<'a, [u8]>> {
    let Some(tiff) = tiff(facts.format, source, control) else {
        return pieces;
    };
    let start: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| piece.iter().copied())
        .take(LONGEST_START)
        .collect();
    let placed = match facts.format {
        Format::Jpeg => after_jfif(&start).map(|at| (at, segment(&tiff))),
        Format::Png | Format::Apng => {
            let chunk = codec::png::exif_chunk(&tiff).ok();
            let has_header = start.len() >= codec::png::HEADER_END;
            chunk
                .filter(|_| has_header)
                .map(|chunk| (codec::png::HEADER_END, chunk))
        }
        Format::Jxl => codec::jxl::exif_box(&start, &tiff),
        Format::Webp | Format::WebpAnimation => {
            let size = pieces.iter().map(|piece| piece.len()).sum();
            let made = codec::webp::with_exif(&start, facts, size, &tiff);
            if let Some((head, replaced, chunk)) = made {
                let index = split(&mut pieces, replaced);
                pieces.splice(..index, [Cow::Owned(head)]);
                pieces.push(Cow::Owned(chunk));
            }
            None
        }
        Format::Avif | Format::AvifAnimation => {
            if let Some(written) = codec::avif::with_exif(source, &tiff, control) {
                pieces = written;
            }
            None
        }
        _ => None,
    };
    if let Some((at, bytes)) = placed {
        let index = split(&mut pieces, at);
        pieces.insert(index, Cow::Owned(bytes));
    }
    pieces
}

/// A block of metadata.
type Said<'a> = Option<Cow<'a, [u8]>>;

/// What the source says, as EXIF. Where several say something, EXIF counts, then IPTC-IIM, then
/// XMP.
fn tiff(format: Format, source: &[u8], control: &Control) -> Option<Vec<u8>> {
    let (tiff, packet): (Said<'_>, Said<'_>) = match format {
        Format::Jpeg => (
            codec::jpeg::exif(source).map(Cow::Borrowed),
            codec::jpeg::xmp(source).map(Cow::Borrowed),
        ),
        Format::Png | Format::Apng => (
            codec::png::exif(source).map(Cow::Borrowed),
            codec::png::xmp(source).map(Cow::Borrowed),
        ),
        Format::Webp | Format::WebpAnimation => (
            codec::webp::exif(source, control).map(Cow::Borrowed),
            codec::webp::xmp(source, control).map(Cow::Borrowed),
        ),
        Format::Jxl => (codec::jxl::exif(source), codec::jxl::xmp(source)),
        Format::Avif | Format::AvifAnimation => (
            codec::avif::exif(source, control).map(Cow::Borrowed),
            codec::avif::xmp(source, control).map(Cow::Borrowed),
        ),
        _ => return None,
    };
    let mut credits = tiff.as_deref().map(exif::credits).unwrap_or_default();
    if format == Format::Jpeg {
        credits = credits.or(iptc::credits(&codec::jpeg::photoshop(source)));
    }
    if let Some(packet) = packet.as_deref() {
        credits = credits.or(xmp::credits(packet));
    }
    credits.to_tiff()
}

/// Bytes that are looked at to find the place.
const LONGEST_START: usize = 64;

/// Behind the start marker, and behind the JFIF segment, which wants to be the first.
fn after_jfif(start: &[u8]) -> Option<usize> {
    let (soi, rest) = start.split_first_chunk::<2>()?;
    if soi != &[0xff, 0xd8] {
        return None;
    }
    match rest {
        [0xff, 0xe0, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([*high, *low]))),
        _ => Some(2),
    }
}

fn segment(tiff: &[u8]) -> Vec<u8> {
    let payload = [b"Exif\0\0", tiff].concat();
    // Credits are far shorter than a segment may be.
    let length = (payload.len() + 2) as u16;
    [&[0xff, 0xe1][..], &length.to_be_bytes(), &payload].concat()
}

/// Makes the first `at` bytes pieces of their own; returns how many these are.
fn split(pieces: &mut Vec<Cow<'_, [u8]>>, mut at: usize) -> usize {
    let mut index = 0;
    while let Some(piece) = pieces.get(index)
        && at >= piece.len()
    {
        at -= piece.len();
        index += 1;
    }
    if at == 0 || index == pieces.len() {
        return index;
    }
    let rest = match &mut pieces[index] {
        Cow::Borrowed(piece) => {
            let (start, rest) = piece.split_at(at);
            *piece = start;
            Cow::Borrowed(rest)
        }
        Cow::Owned(piece) => Cow::Owned(piece.split_off(at)),
    };
    pieces.insert(index + 1, rest);
    index + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_split_at_any_byte() {
        for at in 0..=6 {
            let mut pieces = vec![
                Cow::Borrowed(&b"ab"[..]),
                Cow::Owned(b"cd".to_vec()),
                Cow::Borrowed(&b"ef"[..]),
            ];
            let index = split(&mut pieces, at);
            assert_eq!(pieces[..index].concat(), b"abcdef"[..at]);
            assert_eq!(pieces.concat(), b"abcdef");
        }
    }

    #[test]
    fn jfif_stays_the_first() {
        assert_eq!(after_jfif(b"\xff\xd8\xff\xe0\0\x10JFIF\0"), Some(20));
        assert_eq!(after_jfif(b"\xff\xd8\xff\xdb\0\x10"), Some(2));
        assert_eq!(after_jfif(b"\x89PNG"), None);
    }
}
