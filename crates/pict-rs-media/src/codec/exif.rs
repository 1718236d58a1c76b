//! What the engine reads of EXIF: how the picture must be turned, and who made it.
//!
//! Reads a TIFF structure as JPEG, PNG and WebP embed it. It looks at the first directory
//! only, and never fails: damaged EXIF means a normal orientation, as in browsers.

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
    let reader = Reader::new(tiff)?;
    let entry = reader.entry(ORIENTATION)?;
    (reader.u16(entry + 2)? == SHORT && reader.u32(entry + 4)? == 1)
        .then(|| reader.u16(entry + 8))?
}

/// The first value of a tag in the first directory, when it is a small or a large whole number
/// that stands in the directory itself.
pub(crate) fn number(tiff: &[u8], tag: u16) -> Option<u32> {
    let reader = Reader::new(tiff)?;
    let entry = reader.entry(tag)?;
    match (reader.u16(entry + 2)?, reader.u32(entry + 4)?) {
        (BYTE, 1..=4) => reader.bytes.get(entry + 8).copied().map(u32::from),
        (SHORT, 1..=2) => reader.u16(entry + 8).map(u32::from),
        (LONG, 1) => reader.u32(entry + 8),
        _ => None,
    }
}

/// EXIF 2.32, table 4.
const ARTIST: u16 = 0x013b;
const COPYRIGHT: u16 = 0x8298;
const ASCII: u16 = 2;
/// Longer texts are no names.
const MAX_CREDIT: usize = 2048;

/// Who made a picture and whose it is, as far as its EXIF says it; at least one of both.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Credits<'a> {
    /// In the order of their tags, without zeros at the end.
    fields: Vec<(u16, &'a [u8])>,
}

/// The credits in a TIFF structure.
pub(crate) fn credits(tiff: &[u8]) -> Option<Credits<'_>> {
    let tiff = tiff.strip_prefix(b"Exif\0\0").unwrap_or(tiff);
    let reader = Reader::new(tiff)?;
    let field = |tag| Some((tag, reader.text(tag)?));
    let fields: Vec<_> = [ARTIST, COPYRIGHT].into_iter().filter_map(field).collect();
    (!fields.is_empty()).then_some(Credits { fields })
}

impl Credits<'_> {
    /// A TIFF structure with these fields and no others.
    pub(crate) fn to_tiff(&self) -> Vec<u8> {
        let mut tiff = b"MM\0*\0\0\0\x08\0".to_vec();
        // At most two fields of at most `MAX_CREDIT` bytes.
        tiff.push(self.fields.len() as u8);
        let mut texts = Vec::new();
        let after = tiff.len() + self.fields.len() * 12 + 4;
        for (tag, text) in &self.fields {
            let length = text.len() + 1;
            tiff.extend(tag.to_be_bytes());
            tiff.extend(ASCII.to_be_bytes());
            tiff.extend((length as u32).to_be_bytes());
            if length <= 4 {
                let mut inline = [0; 4];
                inline[..text.len()].copy_from_slice(text);
                tiff.extend(inline);
                continue;
            }
            tiff.extend(((after + texts.len()) as u32).to_be_bytes());
            texts.extend_from_slice(text);
            texts.push(0);
        }
        tiff.extend([0; 4]);
        tiff.extend(texts);
        tiff
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = match bytes.get(..4)? {
            b"II*\0" => false,
            b"MM\0*" => true,
            _ => return None,
        };
        Some(Self { bytes, big_endian })
    }

    /// Where the first directory has an entry for `tag`.
    fn entry(&self, tag: u16) -> Option<usize> {
        let directory = self.u32(4)? as usize;
        let entries = usize::from(self.u16(directory)?);
        // Not sorted in every file, although they should be.
        (0..entries)
            .map_while(|n| directory.checked_add(2 + n * 12))
            .find(|at| self.u16(*at) == Some(tag))
    }

    /// A text of some length, without zeros at its end.
    fn text(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(tag)?;
        let length = self.u32(entry + 4)? as usize;
        if self.u16(entry + 2)? != ASCII || length > MAX_CREDIT {
            return None;
        }
        let start = if length <= 4 {
            entry + 8
        } else {
            self.u32(entry + 8)? as usize
        };
        let text = self.bytes.get(start..start.checked_add(length)?)?;
        let end = text.iter().rposition(|byte| !matches!(byte, 0 | b' '))?;
        Some(&text[..=end])
    }

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

    #[test]
    fn credits_are_read_and_written_again_alone() {
        let check = |fields: &[(u16, &[u8])]| {
            let credits = Credits {
                fields: fields.to_vec(),
            };
            let tiff = credits.to_tiff();
            assert_eq!(super::credits(&tiff), Some(credits));
            assert_eq!(orientation(&tiff), Orientation::Normal);
            for end in 0..tiff.len() {
                let _ = super::credits(&tiff[..end]);
            }
        };
        check(&[(ARTIST, b"Ada")]);
        check(&[(COPYRIGHT, b"(c) 2024 Ada Lovelace\0Editor")]);
        check(&[(ARTIST, b"Ada Lovelace"), (COPYRIGHT, b"CC0")]);
        assert_eq!(credits(&tiff(6)), None);
        assert_eq!(credits(b"garbage"), None);
    }
}
