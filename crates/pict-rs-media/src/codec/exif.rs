//! The one EXIF value the engine acts on: how the picture must be turned.
//!
//! Reads a TIFF structure as JPEG, PNG and WebP embed it. It looks at the first directory
//! only, follows no other offset and never fails: damaged EXIF means a normal orientation,
//! as in browsers.

use crate::Orientation;

/// EXIF 2.32, table 4.
const ORIENTATION: u16 = 0x0112;
const BYTE: u16 = 1;
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// The orientation named in a TIFF structure (`II*\0…` or `MM\0*…`). A leading `Exif\0\0`, which
/// some programs wrongly write into PNG and WebP, is skipped.
pub(crate) fn orientation(tiff: &[u8]) -> Orientation {
    let tiff = tiff.strip_prefix(b"Exif\0\0").unwrap_or(tiff);
    find(tiff).map_or(Orientation::Normal, Orientation::from_exif)
}

fn find(tiff: &[u8]) -> Option<u16> {
    let (reader, entry) = entry(tiff, ORIENTATION)?;
    (reader.u16(entry + 2)? == SHORT && reader.u32(entry + 4)? == 1)
        .then(|| reader.u16(entry + 8))?
}

/// The first value of a tag in the first directory, when it is a small or a large whole number
/// that stands in the directory itself.
pub(crate) fn number(tiff: &[u8], tag: u16) -> Option<u32> {
    let (reader, entry) = entry(tiff, tag)?;
    match (reader.u16(entry + 2)?, reader.u32(entry + 4)?) {
        (BYTE, 1..=4) => reader.bytes.get(entry + 8).copied().map(u32::from),
        (SHORT, 1..=2) => reader.u16(entry + 8).map(u32::from),
        (LONG, 1) => reader.u32(entry + 8),
        _ => None,
    }
}

/// Where the entry of a tag stands in the first directory.
fn entry(tiff: &[u8], tag: u16) -> Option<(Reader<'_>, usize)> {
    let reader = Reader {
        big_endian: match tiff.get(..4)? {
            b"II*\0" => false,
            b"MM\0*" => true,
            _ => return None,
        },
        bytes: tiff,
    };
    let directory = reader.u32(4)? as usize;
    let entries = usize::from(reader.u16(directory)?);
    // Not sorted in every file, although they should be.
    let entry = (0..entries)
        .map_while(|n| directory.checked_add(2 + n * 12))
        .find(|at| reader.u16(*at) == Some(tag))?;
    Some((reader, entry))
}

struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Reader<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }
}

/// A TIFF structure that holds `value` as its orientation, for the tests of the codecs.
#[cfg(test)]
pub(crate) fn tiff(value: u16) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    // A tag before it, so that the search is exercised: ImageWidth = 1.
    tiff.extend(b"\x01\0\0\x03\0\0\0\x01\0\x01\0\0");
    tiff.extend(b"\x01\x12\0\x03\0\0\0\x01");
    tiff.extend(value.to_be_bytes());
    tiff.extend([0; 6]);
    tiff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_are_read() {
        assert_eq!(orientation(&tiff(6)), Orientation::Rotate90);
        let little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0".as_slice();
        assert_eq!(orientation(little), Orientation::Rotate180);
        let prefixed = [b"Exif\0\0", little].concat();
        assert_eq!(orientation(&prefixed), Orientation::Rotate180);
    }

    #[test]
    fn damage_means_a_normal_orientation() {
        let whole = tiff(6);
        // The last six bytes are padding of the value and the link to the next directory.
        for end in 0..whole.len() - 6 {
            assert_eq!(orientation(&whole[..end]), Orientation::Normal, "{end}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut broken = whole.clone();
                broken[at] = value;
                orientation(&broken);
            }
        }
        for (value, expected) in [
            (0, Orientation::Normal),
            (9, Orientation::Normal),
            (u16::MAX, Orientation::Normal),
            (8, Orientation::Rotate270),
        ] {
            assert_eq!(orientation(&tiff(value)), expected);
        }
    }
}
