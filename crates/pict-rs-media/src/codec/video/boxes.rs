//! The boxes of ISO/IEC 14496-12: a size, four letters, and what is in it.

use crate::{Error, Format, Result};

/// One box.
#[derive(Clone, Copy, Debug)]
pub(super) struct Box<'a> {
    pub(super) kind: [u8; 4],
    pub(super) body: &'a [u8],
}

/// The boxes that stand one behind another in `rest`. Ends at the first one that is broken; each
/// takes at least eight bytes, so this is never long.
pub(super) struct Boxes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<Box<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        // QuickTime ends some lists with four zero bytes.
        if rest.len() < 8 {
            return None;
        }
        let mut head = Reader(rest);
        let small = u64::from(head.u32()?);
        let kind = head.array()?;
        let size = match small {
            // To the end of the file.
            0 => rest.len() as u64,
            1 => match head.u64() {
                Some(large) => large,
                None => return Some(Err(broken("a box of unknown size"))),
            },
            small => small,
        };
        let header = rest.len() - head.0.len();
        let end = usize::try_from(size).ok().filter(|end| *end >= header);
        match end.and_then(|end| Some((rest.get(header..end)?, rest.get(end..)?))) {
            Some((body, rest)) => {
                self.0 = rest;
                Some(Ok(Box { kind, body }))
            }
            None => Some(Err(broken(format!(
                "its box {} says that it has {size} bytes, and there are {}",
                kind.escape_ascii(),
                rest.len()
            )))),
        }
    }
}

/// The first box of that kind.
pub(super) fn find<'a>(within: &'a [u8], kind: &[u8; 4]) -> Result<Option<&'a [u8]>> {
    for found in Boxes(within) {
        let found = found?;
        if found.kind == *kind {
            return Ok(Some(found.body));
        }
    }
    Ok(None)
}

/// The first box of that kind, which has to be there.
pub(super) fn need<'a>(within: &'a [u8], kind: &[u8; 4]) -> Result<&'a [u8]> {
    find(within, kind)?.ok_or_else(|| broken(format!("it has no {}", kind.escape_ascii())))
}

/// The file breaks the rules.
pub(super) fn broken(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Mp4, reason)
}

/// Reads numbers, most significant byte first; `None` at the end.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number that takes eight bytes in version 1 of a box and four in version 0.
    pub(super) fn long(&mut self, version: u8) -> Option<u64> {
        if version == 1 {
            self.u64()
        } else {
            self.u32().map(u64::from)
        }
    }

    /// Version and flags of a full box.
    pub(super) fn full(&mut self) -> Option<(u8, u32)> {
        let [version, a, b, c] = self.array()?;
        Some((version, u32::from_be_bytes([0, a, b, c])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_never_longer_than_what_holds_it() {
        let ok = b"\0\0\0\x09abcdZ\0\0\0\x01long\0\0\0\0\0\0\0\x11Y\0\0\0\0restX";
        let found: Result<Vec<_>> = Boxes(ok).collect();
        let found: Vec<_> = found.expect("whole").iter().map(|b| b.body).collect();
        assert_eq!(found, [&b"Z"[..], b"Y", b"X"]);
        for bad in [
            &b"\0\0\0\x0aabcdZ"[..],
            b"\0\0\0\x07abcd",
            b"\0\0\0\x01abcd\0\0",
            b"\0\0\0\x01abcd\0\0\0\0\0\0\0\x0f",
            b"\0\0\0\x01abcd\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            let all: Result<Vec<_>> = Boxes(bad).collect();
            assert!(all.is_err(), "{bad:?}");
            assert_eq!(Boxes(bad).count(), 1);
        }
        assert_eq!(Boxes(b"\0\0\0\0").count(), 0);
    }
}
