//! The units of an AV1 stream (AV1 specification, 5.3), and which of them belong to a picture.

use std::ops::Range;

const SEQUENCE_HEADER: u8 = 1;
const METADATA: u8 = 5;
/// Kinds of metadata about the brightness of a picture.
const BRIGHTNESS: Range<u8> = 1..3;

struct Unit {
    kind: u8,
    /// Including its header.
    range: Range<usize>,
    content: Range<usize>,
}

fn units(data: &[u8]) -> Option<Vec<Unit>> {
    let (mut units, mut at) = (Vec::new(), 0);
    while let Some(&header) = data.get(at) {
        let (is_extended, has_size) = (header & 4 != 0, header & 2 != 0);
        let mut start = at + 1 + usize::from(is_extended);
        let end = if has_size {
            let (length, digits) = leb128(data.get(start..)?)?;
            start += digits;
            start.checked_add(length)?
        } else {
            data.len()
        };
        if start > end || end > data.len() {
            return None;
        }
        units.push(Unit {
            kind: header >> 3 & 15,
            range: at..end,
            content: start..end,
        });
        at = end;
    }
    Some(units)
}

/// A number and its length in bytes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (digit, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * digit);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, digit + 1));
        }
    }
    None
}

/// The ranges of `data` that belong to a picture: no padding, and no metadata except brightness.
/// The whole range if it cannot be parsed, because then a decoder cannot parse it either.
pub(super) fn pictures_alone(data: &[u8]) -> Vec<Range<usize>> {
    let mut kept: Vec<Range<usize>> = Vec::new();
    let Some(units) = units(data) else {
        kept.push(0..data.len());
        return kept;
    };
    for unit in units {
        let is_kept = match unit.kind {
            METADATA => {
                (data.get(unit.content.start)).is_some_and(|kind| BRIGHTNESS.contains(kind))
            }
            kind => (1..=8).contains(&kind),
        };
        match kept.last_mut() {
            _ if !is_kept => {}
            Some(last) if last.end == unit.range.start => last.end = unit.range.end,
            _ => kept.push(unit.range),
        }
    }
    kept
}

/// The sequence headers among the units.
pub(super) fn sequence_headers(data: &[u8]) -> Vec<u8> {
    let units = units(data).unwrap_or_default();
    let headers = units.iter().filter(|unit| unit.kind == SEQUENCE_HEADER);
    headers
        .flat_map(|unit| &data[unit.range.clone()])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_padding_go_and_brightness_stays() {
        let unit = |kind: u8, content: &[u8]| {
            [&[kind << 3 | 2, content.len() as u8][..], content].concat()
        };
        let parts = [
            unit(2, b""),
            unit(1, b"sequence"),
            unit(5, b"\x04SECRET"),
            unit(5, b"\x01bright"),
            unit(6, b"frame"),
            unit(15, b"SECRET"),
            unit(9, b"SECRET"),
        ];
        let data = parts.concat();
        let kept: Vec<_> = pictures_alone(&data).into_iter().collect();
        let kept: Vec<u8> = kept
            .into_iter()
            .flat_map(|range| data[range].to_vec())
            .collect();
        let expected = [&parts[..2], &parts[3..5]].concat().concat();
        assert_eq!(kept, expected);
        assert_eq!(sequence_headers(&data), parts[1]);
        let cut = &data[..data.len() - 1];
        let kept = pictures_alone(cut);
        assert!(kept.len() == 1 && kept[0] == (0..cut.len()));
    }
}
