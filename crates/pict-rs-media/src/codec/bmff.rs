//! Boxes of the ISO base media file format (ISO/IEC 14496-12): iterating over them and reading
//! their fields. It does not depend on any type of box, so that all formats based on it can use it.
//!
//! Nothing here allocates, and every step makes progress, so no file can make it take long.

use std::ops::Range;

/// A box and its position. Positions are relative to the start of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoxRef<'a> {
    pub(crate) kind: [u8; 4],
    /// The position of its header.
    pub(crate) start: usize,
    /// The position of its body.
    pub(crate) body_start: usize,
    pub(crate) body: &'a [u8],
}

impl<'a> BoxRef<'a> {
    pub(crate) fn end(&self) -> usize {
        self.body_start + self.body.len()
    }

    /// The range of its body in the file.
    pub(crate) fn inside(&self) -> Range<usize> {
        self.body_start..self.end()
    }

    /// Version and flags of a full box, and the fields after them.
    pub(crate) fn full(&self) -> Option<(u8, u32, Fields<'a>)> {
        let mut fields = Fields::new(self.body);
        let (version, flags) = fields.full()?;
        Some((version, flags, fields))
    }
}

/// Why a box is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// Fewer bytes are left than the shortest box has. QuickTime ends some lists with four zeros.
    #[error("what is left is no box")]
    Rest,
    /// The header is truncated, or the box is shorter than its header.
    #[error("a box has no whole header")]
    Header,
    /// It extends beyond its container.
    #[error("a box is longer than what it is in")]
    Length,
}

/// Iterates over the boxes in `range` of the file. Ends after an error.
pub(crate) fn boxes(source: &[u8], range: Range<usize>) -> Boxes<'_> {
    Boxes {
        source,
        at: range.start,
        end: range.end.min(source.len()),
    }
}

/// Iterates over the boxes in the body of another box, or in a whole file.
pub(crate) fn boxes_in(body: &[u8]) -> Boxes<'_> {
    boxes(body, 0..body.len())
}

/// See [`boxes`].
#[derive(Clone, Debug)]
pub(crate) struct Boxes<'a> {
    source: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<BoxRef<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.source.get(self.at..self.end)?;
        if rest.is_empty() {
            return None;
        }
        let found = header(rest, self.at);
        self.at = match &found {
            Ok(found) => found.end(),
            Err(_) => self.end,
        };
        Some(found)
    }
}

fn header(rest: &[u8], start: usize) -> Result<BoxRef<'_>, Broken> {
    let mut fields = Fields::new(rest);
    let short = fields.u32().ok_or(Broken::Rest)?;
    let kind = fields.array().ok_or(Broken::Rest)?;
    let (length, head) = match short {
        // To the end of its container.
        0 => (rest.len() as u64, 8),
        1 => (fields.u64().ok_or(Broken::Header)?, 16),
        short => (u64::from(short), 8),
    };
    if length < head as u64 {
        return Err(Broken::Header);
    }
    let length = usize::try_from(length).map_err(|_| Broken::Length)?;
    let body = rest.get(head..length).ok_or(Broken::Length)?;
    Ok(BoxRef {
        kind,
        start,
        body_start: start + head,
        body,
    })
}

/// The value of a duration that is unknown or infinite.
pub(crate) fn endless(version: u8) -> u64 {
    if version == 1 {
        u64::MAX
    } else {
        u32::MAX.into()
    }
}

/// Reads fields in order, big endian. Returns `None` at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Version and flags of a full box.
    pub(crate) fn full(&mut self) -> Option<(u8, u32)> {
        let [version, a, b, c] = self.array()?;
        Some((version, u32::from_be_bytes([0, a, b, c])))
    }

    /// A number of eight bytes in version 1 of a box and four in version 0.
    pub(crate) fn long(&mut self, version: u8) -> Option<u64> {
        if version == 1 {
            self.u64()
        } else {
            self.u32().map(u64::from)
        }
    }

    /// A number of `size` bytes, at most 8. Zero bytes give 0.
    pub(crate) fn number(&mut self, size: usize) -> Option<u64> {
        let bytes = self.take(size)?;
        Some(bytes.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte)))
    }

    /// 16 bits, or 32 if `wide`, as in many tables.
    pub(crate) fn id(&mut self, wide: bool) -> Option<u32> {
        if wide {
            self.u32()
        } else {
            self.u16().map(u32::from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &[u8]) -> (Vec<[u8; 4]>, Option<Broken>) {
        let mut found = Vec::new();
        for each in boxes_in(source) {
            match each {
                Ok(each) => found.push(each.kind),
                Err(broken) => return (found, Some(broken)),
            }
        }
        (found, None)
    }

    #[test]
    fn all_forms_of_length_are_read() {
        let source = [
            &b"\0\0\0\x09free!"[..],
            b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x12ab",
            b"\0\0\0\0skipto the end",
        ]
        .concat();
        assert_eq!(kinds(&source), (vec![*b"free", *b"mdat", *b"skip"], None));
        let bodies: Vec<_> = boxes_in(&source)
            .map(|each| each.expect("whole").body)
            .collect();
        assert_eq!(bodies, [&b"!"[..], b"ab", b"to the end"]);
    }

    #[test]
    fn broken_lengths_end_the_walk() {
        for (source, broken) in [
            (&b"\0\0\0\x07free"[..], Broken::Header),
            (b"\0\0\0", Broken::Rest),
            (b"\0\0\0\0", Broken::Rest),
            (b"\0\0\0\x01free\0\0\0\0", Broken::Header),
            (b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f", Broken::Header),
            (b"\0\0\0\x09free", Broken::Length),
            (
                b"\0\0\0\x01free\xff\xff\xff\xff\xff\xff\xff\xff",
                Broken::Length,
            ),
        ] {
            let whole = [&b"\0\0\0\x08skip"[..], source].concat();
            assert_eq!(kinds(&whole), (vec![*b"skip"], Some(broken)), "{source:?}");
        }
    }
}
