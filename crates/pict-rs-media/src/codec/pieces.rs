//! A cleaned file as pieces: most are borrowed from the source, a few are newly written.

use std::borrow::Cow;
use std::ops::Range;

/// Collects pieces and joins adjacent ranges, so that an already clean file is one piece.
pub(crate) struct Pieces<'a> {
    source: &'a [u8],
    done: Vec<Cow<'a, [u8]>>,
    pending: Range<usize>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            done: Vec::new(),
            pending: 0..0,
        }
    }

    /// Appends a range of the source, which must be inside it.
    pub(crate) fn keep(&mut self, range: Range<usize>) {
        if self.pending.end == range.start {
            self.pending.end = range.end;
            return;
        }
        self.flush();
        self.pending = range;
    }

    /// Appends bytes that outlive the work.
    pub(crate) fn borrow(&mut self, bytes: &'a [u8]) {
        self.flush();
        self.done.push(Cow::Borrowed(bytes));
    }

    /// Appends bytes that are not in the source.
    pub(crate) fn own(&mut self, bytes: Vec<u8>) {
        self.flush();
        self.done.push(Cow::Owned(bytes));
    }

    pub(crate) fn finish(mut self) -> Vec<Cow<'a, [u8]>> {
        self.flush();
        self.done
    }

    fn flush(&mut self) {
        let range = std::mem::replace(&mut self.pending, 0..0);
        if !range.is_empty() {
            self.done.push(Cow::Borrowed(&self.source[range]));
        }
    }
}

/// Bytes that are examined to find the insertion position.
const LONGEST_START: usize = 64;

/// The first bytes of a file in pieces.
pub(crate) fn start(pieces: &[Cow<'_, [u8]>]) -> Vec<u8> {
    let bytes = pieces.iter().flat_map(|piece| piece.iter().copied());
    bytes.take(LONGEST_START).collect()
}

/// Inserts bytes after the first `at` bytes of a file in pieces.
pub(crate) fn insert(pieces: &mut Vec<Cow<'_, [u8]>>, at: usize, bytes: Vec<u8>) {
    let index = split(pieces, at);
    pieces.insert(index, Cow::Owned(bytes));
}

/// Splits the pieces after the first `at` bytes; returns the number of pieces before that.
pub(crate) fn split(pieces: &mut Vec<Cow<'_, [u8]>>, mut at: usize) -> usize {
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
    fn neighbours_are_joined() {
        let source = b"abcdef";
        let mut pieces = Pieces::new(source);
        pieces.keep(0..2);
        pieces.keep(2..3);
        pieces.keep(4..6);
        pieces.own(b"new".to_vec());
        pieces.keep(0..1);
        let pieces = pieces.finish();
        assert_eq!(pieces, [&b"abc"[..], b"ef", b"new", b"a"]);
        assert!(matches!(pieces[0], Cow::Borrowed(_)));
    }

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
}
