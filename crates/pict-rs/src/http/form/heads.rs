//! Fixes heads of multipart bodies that some clients send: file names in Latin-1, and whitespace
//! after the boundary (which RFC 2046 allows). The parser accepts neither, so the bytes are
//! corrected before it reads them. The contents of files are unchanged.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::web::Bytes;
use futures_util::Stream;

/// A longer head is passed on unchanged, and the parser refuses it.
const LONGEST_HEAD: usize = 16 * 1024;
/// The same for whitespace after a boundary.
const MOST_PADDING: usize = 1024;

/// What is kept of a body is usually shorter.
const DELIMITER_AND_MORE: usize = 128;

/// A body with heads that the parser accepts.
pub struct Heads<S> {
    body: S,
    text: Text,
    has_ended: bool,
}

impl<S> Heads<S> {
    /// Without a boundary nothing is changed.
    pub fn new(body: S, boundary: Option<&str>) -> Self {
        Self {
            body,
            text: Text::new(boundary),
            has_ended: false,
        }
    }
}

impl<S, E> Stream for Heads<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.has_ended {
            let item = ready!(Pin::new(&mut self.body).poll_next(cx));
            let bytes = match item {
                Some(Ok(bytes)) => self.text.feed(bytes),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.has_ended = true;
                    self.text.finish()
                }
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
        Poll::Ready(None)
    }
}

/// The position in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first boundary, or inside a file.
    Data,
    /// Right after a boundary.
    Boundary,
    /// In the head of a part.
    Head,
    /// After the last boundary, where everything is ignored.
    End,
    /// The rest is passed on unchanged.
    Plain,
}

struct Text {
    place: Place,
    /// The delimiter of parts: a line break, two hyphens and the boundary.
    delimiter: Vec<u8>,
    /// Bytes that cannot be classified yet.
    held: Vec<u8>,
    /// Bytes at the start of `held` that we added.
    ours: usize,
}

impl Text {
    fn new(boundary: Option<&str>) -> Self {
        let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) else {
            return Self {
                place: Place::Plain,
                delimiter: Vec::new(),
                held: Vec::new(),
                ours: 0,
            };
        };
        Self {
            place: Place::Data,
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // The first boundary has no line break before it.
            held: b"\r\n".to_vec(),
            ours: 2,
        }
    }

    fn feed(&mut self, bytes: Bytes) -> Bytes {
        if self.place == Place::Plain {
            return bytes;
        }
        self.held.extend_from_slice(&bytes);
        let mut out = Vec::with_capacity(self.held.len());
        while self.step(&mut out) {}
        // Else each upload that pauses would keep as much as came last.
        self.held.shrink_to(DELIMITER_AND_MORE);
        self.without_ours(out)
    }

    fn finish(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        self.without_ours(held)
    }

    fn without_ours(&mut self, mut out: Vec<u8>) -> Bytes {
        let ours = self.ours.min(out.len());
        self.ours -= ours;
        out.drain(..ours);
        out.into()
    }

    /// Moves bytes that can be classified to `out`; returns false when more bytes are needed.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        match self.place {
            Place::Data => self.data(out),
            Place::Boundary => self.boundary(out),
            Place::Head => self.head(out),
            Place::End => {
                self.held.clear();
                false
            }
            Place::Plain => false,
        }
    }

    fn data(&mut self, out: &mut Vec<u8>) -> bool {
        if let Some(at) = memchr::memmem::find(&self.held, &self.delimiter) {
            out.extend(self.held.drain(..at + self.delimiter.len()));
            self.place = Place::Boundary;
            return true;
        }
        // The end may be the start of a boundary.
        let certain = self.held.len().saturating_sub(self.delimiter.len() - 1);
        out.extend(self.held.drain(..certain));
        false
    }

    fn boundary(&mut self, out: &mut Vec<u8>) -> bool {
        let mut held = self.held.iter();
        let padding = held.position(|byte| !matches!(byte, b' ' | b'\t'));
        let padding = padding.unwrap_or(self.held.len());
        if padding > MOST_PADDING {
            self.place = Place::Data;
            return true;
        }
        match &self.held[padding..] {
            [] | [_] => return false,
            [b'\r', b'\n', ..] => {
                self.held.drain(..padding);
                self.place = Place::Head;
            }
            [b'-', b'-', ..] if padding == 0 => {
                out.extend_from_slice(b"--\r\n");
                self.place = Place::End;
            }
            // It is not a boundary after all.
            _ => self.place = Place::Data,
        }
        true
    }

    fn head(&mut self, out: &mut Vec<u8>) -> bool {
        // Begins with the line break after the boundary.
        match memchr::memmem::find(&self.held, b"\r\n\r\n") {
            Some(at) => {
                for line in self.held[..at].split_inclusive(|byte| *byte == b'\n') {
                    recode(line, out);
                }
                self.held.drain(..at);
                // The empty line may belong to a boundary that follows immediately.
                out.extend(self.held.drain(..2));
                self.place = Place::Data;
                true
            }
            None if self.held.len() > LONGEST_HEAD => {
                self.place = Place::Data;
                true
            }
            None => false,
        }
    }
}

/// Converts Latin-1 to UTF-8; UTF-8 is unchanged.
fn recode(line: &[u8], out: &mut Vec<u8>) {
    if std::str::from_utf8(line).is_ok() {
        return out.extend_from_slice(line);
    }
    let text: String = line.iter().copied().map(char::from).collect();
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result must not depend on how the network splits the bytes.
    fn check(body: &[u8], expected: &[u8]) {
        for size in (1..40).chain([body.len().max(1)]) {
            let mut text = Text::new(Some("xx"));
            let mut out = Vec::new();
            for piece in body.chunks(size) {
                out.extend_from_slice(&text.feed(Bytes::copy_from_slice(piece)));
            }
            out.extend_from_slice(&text.finish());
            let (out, expected) = (out.escape_ascii(), expected.escape_ascii());
            assert_eq!(out.to_string(), expected.to_string(), "in pieces of {size}");
        }
    }

    #[test]
    fn latin_1_in_heads_becomes_utf_8_and_blanks_behind_boundaries_go() {
        check(
            b"--xx \t\r\nA: caf\xe9\r\nB: \xc3\xa9\r\n\r\ncaf\xe9\r\n--xx  \r\nC: d\r\n\r\n\r\n--xx--  \r\n",
            b"--xx\r\nA: caf\xc3\xa9\r\nB: \xc3\xa9\r\n\r\ncaf\xe9\r\n--xx\r\nC: d\r\n\r\n\r\n--xx--\r\n",
        );
    }

    #[test]
    fn what_is_inside_of_files_passes_unchanged() {
        let data = b"\xff\r\n--xy \r\n--\r\n--x\r\n--xxx \xe9\r\n\r\n--xx- \r\n\xfe";
        let body = [b"--xx\r\nA: b\r\n\r\n", &data[..], b"\r\n--xx--\r\n"].concat();
        check(&body, &body);
        // Data before the first boundary, and a truncated body.
        check(b"\xe9 \r\n--xx\r\nA: b", b"\xe9 \r\n--xx\r\nA: b");
        check(b"no boundary at all \xe9", b"no boundary at all \xe9");
        check(b"--xx", b"--xx");
        check(b"", b"");
    }

    #[test]
    fn a_head_without_end_is_not_kept_for_ever() {
        let body = [&b"--xx\r\n"[..], &[b'a'; 3 * LONGEST_HEAD]].concat();
        check(&body, &body);
        let mut text = Text::new(Some("xx"));
        for piece in body.chunks(100) {
            text.feed(Bytes::copy_from_slice(piece));
            assert!(text.held.len() <= LONGEST_HEAD + 100);
        }
        let body = [&b"--xx"[..], &[b' '; 3 * MOST_PADDING]].concat();
        check(&body, &body);
    }

    #[test]
    fn without_a_boundary_nothing_is_changed() {
        let mut text = Text::new(None);
        assert_eq!(&text.feed(Bytes::from_static(b"\xe9"))[..], b"\xe9");
        assert_eq!(&text.finish()[..], b"");
    }
}
