//! Author and copyright in IPTC-IIM: the fields that agencies fill in, inside Photoshop's data in a
//! JPEG (IPTC-IIM 4.2, section 1.6; Adobe Photoshop file formats, "image resource blocks"). Never
//! fails: damaged parts are missing from the result.

use std::borrow::Cow;

use super::exif::{Credits, MAX_CREDIT};

/// The resource that contains IPTC-IIM.
const IPTC: u16 = 0x0404;
/// Datasets of record 2.
const BY_LINE: u8 = 80;
const COPYRIGHT_NOTICE: u8 = 116;

/// The credits in Photoshop's resources.
pub(crate) fn credits(resources: &[u8]) -> Credits<'static> {
    let Some(data) = resource(resources) else {
        return Credits::default();
    };
    // There may be several names.
    let text = |wanted| {
        let texts: Vec<_> = datasets(data)
            .filter(|(dataset, text)| *dataset == wanted && !text.is_empty())
            .map(|(_, text)| text)
            .collect();
        let joined = texts.join(&b"; "[..]);
        (!joined.is_empty() && joined.len() < MAX_CREDIT).then_some(Cow::Owned(joined))
    };
    Credits {
        artist: text(BY_LINE),
        copyright: text(COPYRIGHT_NOTICE),
    }
}

fn resource(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = rest.strip_prefix(b"8BIM")?;
        let (id, after) = rest.split_first_chunk()?;
        // A name preceded by its length, padded to an even number of bytes.
        let name = (usize::from(*after.first()?) + 1).next_multiple_of(2);
        let (size, after) = after.get(name..)?.split_first_chunk()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        if u16::from_be_bytes(*id) == IPTC {
            return after.get(..size);
        }
        rest = after.get(size.checked_next_multiple_of(2)?..)?;
    }
}

/// The datasets of record 2, without zeros and spaces at their ends.
fn datasets(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let next = move || {
        let [0x1c, record, dataset, high, low, after @ ..] = rest else {
            return None;
        };
        // The highest bit marks an extended length, which names never need.
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (text, after) = after.split_at_checked(length)?;
        rest = after;
        let end = text.iter().rposition(|byte| !matches!(byte, 0 | b' '));
        let text = end.map_or(&[][..], |end| &text[..=end]);
        Some((*record, *dataset, text))
    };
    std::iter::from_fn(next)
        .filter(|(record, ..)| *record == 2)
        .map(|(_, dataset, text)| (dataset, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(record: u8, dataset: u8, text: &[u8]) -> Vec<u8> {
        let length = (text.len() as u16).to_be_bytes();
        [&[0x1c, record, dataset][..], &length, text].concat()
    }

    fn block(id: u16, name: &[u8], data: &[u8]) -> Vec<u8> {
        let mut block = [b"8BIM", &id.to_be_bytes()[..], &[name.len() as u8], name].concat();
        block.resize(block.len().next_multiple_of(2), 0);
        block.extend((data.len() as u32).to_be_bytes());
        block.extend(data);
        block.resize(block.len().next_multiple_of(2), 0);
        block
    }

    #[test]
    fn names_and_notice_are_found_among_others() {
        let data = [
            dataset(1, 90, b"\x1b%G"),
            dataset(2, 5, b"A title"),
            dataset(2, BY_LINE, b"Ada Lovelace "),
            dataset(2, BY_LINE, b"Charles Babbage"),
            dataset(2, COPYRIGHT_NOTICE, b"(c) 1843 Ada\0"),
        ];
        let file = [
            block(0x03ed, b"odd", b"\0\x48\0"),
            block(IPTC, b"", &data.concat()),
        ]
        .concat();
        let expected = Credits {
            artist: Some(b"Ada Lovelace; Charles Babbage".into()),
            copyright: Some(b"(c) 1843 Ada".into()),
        };
        assert_eq!(credits(&file), expected);
        for end in 0..file.len() {
            credits(&file[..end]);
        }
        assert_eq!(credits(&block(0x03ed, b"", b"")), Credits::default());
        let long = block(IPTC, b"", &dataset(2, BY_LINE, &[b'a'; MAX_CREDIT]));
        assert_eq!(credits(&long), Credits::default());
    }
}
