//! A cleaned file as pieces: most borrowed from the source, a few made anew.

use std::borrow::Cow;
use std::ops::Range;

/// Collects pieces and joins neighbouring ranges, so that a clean file costs one piece.
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

    /// Takes a range of the source, which must lie inside it.
    pub(crate) fn keep(&mut self, range: Range<usize>) {
        if self.pending.end == range.start {
            self.pending.end = range.end;
            return;
        }
        self.flush();
        self.pending = range;
    }

    /// Takes bytes that live longer than the work.
    pub(crate) fn borrow(&mut self, bytes: &'a [u8]) {
        self.flush();
        self.done.push(Cow::Borrowed(bytes));
    }

    /// Takes bytes that are not in the source.
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
}
