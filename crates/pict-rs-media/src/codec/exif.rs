//! The parts of EXIF that the engine reads: orientation, author and copyright.
//!
//! Reads a TIFF structure as embedded in JPEG, PNG and WebP, and TIFF files themselves. It reads
//! only the first directory, and never fails: damaged EXIF means a normal orientation, as in
//! browsers.

use std::borrow::Cow;

use crate::Orientation;

/// EXIF 2.32, table 4.
const ORIENTATION: u16 = 0x0112;
const BYTE: u16 = 1;
const SHORT: u16 = 3;
const LONG: u16 = 4;
/// Only in BigTIFF.
const LONG8: u16 = 16;

/// The orientation in a TIFF structure (`II*\0…`, or `MM\0*…`, or BigTIFF's). A leading
/// `Exif\0\0`, which some programs wrongly write into PNG and WebP, is skipped.
pub(crate) fn orientation(tiff: &[u8]) -> Orientation {
    let tiff = tiff.strip_prefix(b"Exif\0\0").unwrap_or(tiff);
    find(tiff).map_or(Orientation::Normal, Orientation::from_exif)
}

/// A TIFF structure that contains only an orientation.
pub(crate) fn of_orientation(orientation: Orientation) -> Vec<u8> {
    let number = (1..=8).find(|number| Orientation::from_exif(*number) == orientation);
    let [high, low] = number.unwrap_or(1_u16).to_be_bytes();
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    // The value, padded to four bytes, and no next directory.
    tiff.extend([high, low, 0, 0, 0, 0, 0, 0]);
    tiff
}

fn find(tiff: &[u8]) -> Option<u16> {
    let reader = Reader::new(tiff)?;
    let entry = reader.entry(ORIENTATION)?;
    (entry.kind == SHORT && entry.count == 1).then(|| reader.u16(entry.value))?
}

/// The first value of a tag in the first directory, if it is a short or long integer that is stored
/// in the directory itself.
pub(crate) fn number(tiff: &[u8], tag: u16) -> Option<u32> {
    let reader = Reader::new(tiff)?;
    let entry = reader.entry(tag)?;
    let room = reader.room() as u64;
    let fits = |size: u64| entry.count > 0 && entry.count.saturating_mul(size) <= room;
    match entry.kind {
        BYTE if fits(1) => reader.bytes.get(entry.value).copied().map(u32::from),
        SHORT if fits(2) => reader.u16(entry.value).map(u32::from),
        LONG if fits(4) => reader.u32(entry.value),
        LONG8 if fits(8) => u32::try_from(reader.u64(entry.value)?).ok(),
        _ => None,
    }
}

/// Whether the first directory has this tag.
pub(crate) fn has(tiff: &[u8], tag: u16) -> bool {
    Reader::new(tiff).is_some_and(|reader| reader.entry(tag).is_some())
}

/// The text of a tag in the first directory.
pub(crate) fn text(tiff: &[u8], tag: u16) -> Option<&[u8]> {
    Reader::new(tiff)?.text(tag)
}

/// EXIF 2.32, table 4.
const ARTIST: u16 = 0x013b;
const COPYRIGHT: u16 = 0x8298;
const ASCII: u16 = 2;
/// Longer texts are not names.
pub(crate) const MAX_CREDIT: usize = 2048;

/// Author and copyright, if the file gives them. Texts have no trailing zeros.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Credits<'a> {
    pub(crate) artist: Option<Cow<'a, [u8]>>,
    pub(crate) copyright: Option<Cow<'a, [u8]>>,
}

/// The TIFF structure in a box or an item of EXIF, which is preceded by its offset (ISO/IEC
/// 23008-12, annex A; ISO/IEC 18181-2).
pub(crate) fn behind_offset(body: &[u8]) -> Option<&[u8]> {
    let (offset, rest) = body.split_first_chunk()?;
    rest.get(usize::try_from(u32::from_be_bytes(*offset)).ok()?..)
}

/// The credits in a TIFF structure.
pub(crate) fn credits(tiff: &[u8]) -> Credits<'_> {
    let tiff = tiff.strip_prefix(b"Exif\0\0").unwrap_or(tiff);
    let field = |tag| Reader::new(tiff)?.text(tag).map(Cow::Borrowed);
    Credits {
        artist: field(ARTIST),
        copyright: field(COPYRIGHT),
    }
}

impl<'a> Credits<'a> {
    /// Fills missing fields from `others`.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            artist: self.artist.or(others.artist),
            copyright: self.copyright.or(others.copyright),
        }
    }

    /// A TIFF structure with only these fields; `None` if there are none.
    pub(crate) fn to_tiff(&self) -> Option<Vec<u8>> {
        // In the order of their tags.
        let fields = [(ARTIST, &self.artist), (COPYRIGHT, &self.copyright)];
        let fields: Vec<_> = fields
            .into_iter()
            .filter_map(|(tag, text)| Some((tag, text.as_deref()?)))
            .collect();
        if fields.is_empty() {
            return None;
        }
        let mut tiff = b"MM\0*\0\0\0\x08\0".to_vec();
        // At most two fields of at most `MAX_CREDIT` bytes.
        tiff.push(fields.len() as u8);
        let mut texts = Vec::new();
        let after = tiff.len() + fields.len() * 12 + 4;
        for (tag, text) in fields {
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
        Some(tiff)
    }
}

/// Reads TIFF, or BigTIFF, whose numbers have eight bytes where TIFF's have four.
struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    is_big: bool,
}

struct Entry {
    kind: u16,
    count: u64,
    /// The position of its value, or of the offset to it.
    value: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (big_endian, is_big) = match bytes.get(..4)? {
            b"II*\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return None,
        };
        Some(Self {
            bytes,
            big_endian,
            is_big,
        })
    }

    /// Bytes of a value that is stored in the directory, and of an offset.
    fn room(&self) -> usize {
        if self.is_big { 8 } else { 4 }
    }

    /// The entry of `tag` in the first directory.
    fn entry(&self, tag: u16) -> Option<Entry> {
        let room = self.room();
        let directory = self.place(if self.is_big { 8 } else { 4 })?;
        let (entries, first) = if self.is_big {
            (self.u64(directory)?, 8)
        } else {
            (self.u16(directory)?.into(), 2)
        };
        let size = 4 + 2 * room;
        // Not sorted in every file, although they should be.
        let at = (0..usize::try_from(entries).ok()?)
            .map_while(|n| {
                let at = directory.checked_add(n.checked_mul(size)?.checked_add(first)?)?;
                Some((at, self.u16(at)?))
            })
            .find_map(|(at, found)| (found == tag).then_some(at))?;
        Some(Entry {
            kind: self.u16(at + 2)?,
            count: if self.is_big {
                self.u64(at + 4)?
            } else {
                self.u32(at + 4)?.into()
            },
            value: at + 4 + room,
        })
    }

    /// A text of this length, without trailing zeros.
    fn text(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(tag)?;
        let length = usize::try_from(entry.count).ok()?;
        if entry.kind != ASCII || length > MAX_CREDIT {
            return None;
        }
        let start = if length <= self.room() {
            entry.value
        } else {
            self.place(entry.value)?
        };
        let text = self.bytes.get(start..start.checked_add(length)?)?;
        let end = text.iter().rposition(|byte| !matches!(byte, 0 | b' '))?;
        Some(&text[..=end])
    }

    /// Reads an offset in the file.
    fn place(&self, at: usize) -> Option<usize> {
        if self.is_big {
            return usize::try_from(self.u64(at)?).ok();
        }
        usize::try_from(self.u32(at)?).ok()
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

    fn u64(&self, at: usize) -> Option<u64> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        })
    }
}

/// A TIFF structure with `value` as its orientation, for the tests of the codecs.
#[cfg(test)]
pub(crate) fn tiff(value: u16) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    // Preceded by another tag, so that the search is tested: ImageWidth = 1.
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
    fn the_directory_of_big_files_is_read() {
        let write =
            |short: &dyn Fn(u16) -> [u8; 2], long: &dyn Fn(u64) -> [u8; 8], start: &[u8]| {
                let mut file = [start, &short(8), &short(0), &long(16), &long(4)].concat();
                let texts = 24 + 4 * 20 + 8;
                for (tag, kind, count, value) in [
                    (0x0103, SHORT, 1, [&short(7)[..], &[0; 6]].concat()),
                    (ORIENTATION, SHORT, 1, [&short(6)[..], &[0; 6]].concat()),
                    (ARTIST, ASCII, 13, long(texts).to_vec()),
                    (0xc612, LONG8, 1, long(5).to_vec()),
                ] {
                    file.extend([&short(tag)[..], &short(kind), &long(count), &value].concat());
                }
                file.extend([&long(0)[..], b"Ada Lovelace\0"].concat());
                file
            };
        let little = write(&u16::to_le_bytes, &u64::to_le_bytes, b"II+\0");
        let big = write(&u16::to_be_bytes, &u64::to_be_bytes, b"MM\0+");
        for file in [little, big] {
            assert_eq!(orientation(&file), Orientation::Rotate90);
            assert_eq!(number(&file, 0x0103), Some(7));
            assert_eq!(number(&file, 0xc612), Some(5));
            assert_eq!(text(&file, ARTIST), Some(&b"Ada Lovelace"[..]));
            assert!(has(&file, ARTIST) && !has(&file, COPYRIGHT));
            for end in 0..file.len() {
                let _ = (orientation(&file[..end]), text(&file[..end], ARTIST));
            }
            for at in 8..24 {
                let mut broken = file.clone();
                broken[at] = 0xff;
                orientation(&broken);
            }
        }
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
        let check = |artist: Option<&'static str>, copyright: Option<&'static str>| {
            let credits = Credits {
                artist: artist.map(|text| Cow::Borrowed(text.as_bytes())),
                copyright: copyright.map(|text| Cow::Borrowed(text.as_bytes())),
            };
            let tiff = credits.to_tiff().expect("some");
            assert_eq!(super::credits(&tiff), credits);
            assert_eq!(orientation(&tiff), Orientation::Normal);
            for end in 0..tiff.len() {
                let _ = super::credits(&tiff[..end]);
            }
        };
        check(Some("Ada"), None);
        check(None, Some("(c) 2024 Ada Lovelace\0Editor"));
        check(Some("Ada Lovelace"), Some("CC0"));
        for nothing in [&tiff(6)[..], b"garbage"] {
            assert_eq!(credits(nothing).to_tiff(), None);
        }
    }
}
