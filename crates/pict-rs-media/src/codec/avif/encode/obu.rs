//! The parts of an AV1 bitstream that the boxes need: its units, and its sequence header.

use crate::codec::bits::Bits;
use crate::{Error, Result};

pub(in crate::codec::avif) const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;

/// Level 5.1, the highest of AVIF's baseline profile.
const BASELINE_LEVEL: u8 = 13;

/// The part of a sequence header that is repeated in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SequenceHeader {
    pub(super) profile: u8,
    pub(super) level: u8,
    pub(super) tier: bool,
    pub(super) bits: u8,
    pub(super) monochrome: bool,
}

impl SequenceHeader {
    /// Finds the header in a temporal unit of 8 bits a sample.
    pub(super) fn find(unit: &[u8], monochrome: bool) -> Result<Self> {
        let (_, obu) = obus(unit)
            .find(|(kind, _)| *kind == SEQUENCE_HEADER)
            .ok_or_else(malformed)?;
        let (profile, level, tier) = operating_point(obu).ok_or_else(malformed)?;
        Ok(Self {
            profile,
            level,
            tier,
            bits: 8,
            monochrome,
        })
    }

    pub(super) fn is_baseline(&self) -> bool {
        self.profile == 0 && self.level <= BASELINE_LEVEL
    }

    /// The contents of an `av1C` box, without its optional copy of the header. Chroma is 4:2:0 with
    /// unknown position.
    pub(super) fn configuration(&self) -> [u8; 4] {
        let bit = |value: bool, place: u8| u8::from(value) << place;
        [
            // Marker and version.
            0x81,
            self.profile << 5 | self.level,
            bit(self.tier, 7)
                | bit(self.bits > 8, 6)
                | bit(self.bits > 10, 5)
                | bit(self.monochrome, 4)
                | 0b1100,
            0,
        ]
    }
}

/// A temporal unit without its leading delimiter, which files do not contain.
pub(super) fn without_delimiter(unit: &[u8]) -> &[u8] {
    let mut units = Obus { rest: unit };
    match units.next() {
        Some((TEMPORAL_DELIMITER, _)) => units.rest,
        _ => unit,
    }
}

/// Kind and payload of each unit.
pub(in crate::codec::avif) fn obus(unit: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    Obus { rest: unit }
}

struct Obus<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Obus<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (header, mut rest) = self.rest.split_first()?;
        if header & 4 != 0 {
            rest = rest.get(1..)?;
        }
        let size = if header & 2 != 0 {
            leb128(&mut rest)?
        } else {
            rest.len()
        };
        let (payload, rest) = rest.split_at_checked(size)?;
        self.rest = rest;
        Some((header >> 3 & 15, payload))
    }
}

fn leb128(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for place in 0..4 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << (place * 7);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Profile, level and tier of a header without timing information (neither encoder writes any).
fn operating_point(obu: &[u8]) -> Option<(u8, u8, bool)> {
    let mut bits = Bits::new(obu);
    let profile = bits.take(3)? as u8;
    let _still_picture = bits.flag()?;
    if bits.flag()? {
        return Some((profile, bits.take(5)? as u8, false));
    }
    let has_timing = bits.flag()?;
    let has_delay = bits.flag()?;
    if has_timing || has_delay {
        return None;
    }
    let _operating_points = bits.take(5)?;
    let _scalability = (bits.take(4)?, bits.take(8)?);
    let level = bits.take(5)? as u8;
    let tier = level > 7 && bits.flag()?;
    Some((profile, level, tier))
}

fn malformed() -> Error {
    Error::Internal("an AV1 encoder gave a bitstream that cannot be understood".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_go_and_nothing_else() {
        let unit = [0x12, 0, 0x0a, 2, 0b0001_1010, 0b0100_0000, 0x32, 1, 9];
        assert_eq!(without_delimiter(&unit), &unit[2..]);
        assert_eq!(without_delimiter(&unit[2..]), &unit[2..]);
        let header = SequenceHeader::find(&unit, false).expect("has a header");
        assert_eq!((header.profile, header.level, header.tier), (0, 9, false));
        assert_eq!(header.configuration(), [0x81, 9, 0b1100, 0]);
    }

    #[test]
    fn cut_units_have_no_header() {
        for cut in [
            &[0x0a][..],
            &[0x0a, 5, 0],
            &[0x0a, 0xff, 0xff, 0xff, 0xff],
            &[],
        ] {
            assert!(SequenceHeader::find(cut, true).is_err());
        }
    }
}
