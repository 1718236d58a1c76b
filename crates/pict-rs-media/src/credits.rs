//! Who made a picture and whose it is: the one kind of metadata that can survive cleaning.
//!
//! Nothing of the file's own metadata is kept: the two EXIF fields are read, and written into a
//! block of EXIF that has nothing else. JPEG and PNG only.

use std::borrow::Cow;

use crate::{
    Format,
    codec::{
        self,
        exif::{self, Credits},
    },
};

/// The file's pieces with its credits put in, if it has any.
pub(crate) fn keep<'a>(
    format: Format,
    source: &[u8],
    mut pieces: Vec<Cow<'a, [u8]>>,
) -> Vec<Cow<'a, [u8]>> {
    let tiff = match format {
        Format::Jpeg => codec::jpeg::exif(source),
        Format::Png => codec::png::exif(source),
        _ => None,
    };
    let Some(credits) = tiff.and_then(exif::credits) else {
        return pieces;
    };
    let start: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| piece.iter().copied())
        .take(LONGEST_START)
        .collect();
    let placed = match format {
        Format::Jpeg => after_jfif(&start).map(|at| (at, segment(&credits))),
        _ => {
            let chunk = codec::png::exif_chunk(&credits.to_tiff()).ok();
            chunk
                .filter(|_| start.len() == LONGEST_START)
                .map(|chunk| (codec::png::HEADER_END, chunk))
        }
    };
    if let Some((at, bytes)) = placed {
        insert(&mut pieces, at, bytes);
    }
    pieces
}

/// Bytes that are looked at to find the place.
const LONGEST_START: usize = codec::png::HEADER_END;

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

fn segment(credits: &Credits<'_>) -> Vec<u8> {
    let payload = [b"Exif\0\0", &credits.to_tiff()[..]].concat();
    // Credits are far shorter than a segment may be.
    let length = (payload.len() + 2) as u16;
    [&[0xff, 0xe1][..], &length.to_be_bytes(), &payload].concat()
}

/// Between the first `at` bytes and the rest.
fn insert(pieces: &mut Vec<Cow<'_, [u8]>>, mut at: usize, bytes: Vec<u8>) {
    let mut index = 0;
    while let Some(piece) = pieces.get(index)
        && at >= piece.len()
    {
        at -= piece.len();
        index += 1;
    }
    if at > 0 && index < pieces.len() {
        let rest = match &mut pieces[index] {
            Cow::Borrowed(piece) => {
                let (start, rest) = piece.split_at(at);
                *piece = start;
                Cow::Borrowed(rest)
            }
            Cow::Owned(piece) => Cow::Owned(piece.split_off(at)),
        };
        pieces.insert(index + 1, rest);
        index += 1;
    }
    pieces.insert(index, Cow::Owned(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_put_between_and_into_pieces() {
        for at in 0..=6 {
            let mut pieces = vec![
                Cow::Borrowed(&b"ab"[..]),
                Cow::Owned(b"cd".to_vec()),
                Cow::Borrowed(&b"ef"[..]),
            ];
            insert(&mut pieces, at, b"-".to_vec());
            let mut expected = b"abcdef".to_vec();
            expected.insert(at, b'-');
            assert_eq!(pieces.concat(), expected);
        }
    }

    #[test]
    fn jfif_stays_the_first() {
        assert_eq!(after_jfif(b"\xff\xd8\xff\xe0\0\x10JFIF\0"), Some(20));
        assert_eq!(after_jfif(b"\xff\xd8\xff\xdb\0\x10"), Some(2));
        assert_eq!(after_jfif(b"\x89PNG"), None);
    }
}
