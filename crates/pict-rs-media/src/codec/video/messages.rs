//! Messages in codec configurations.
//!
//! A container stores the configuration of its codec once, separate from the pictures. In HEVC and
//! AV1 the configuration may contain messages that a decoder does not need: SEI and metadata OBUs,
//! in which encoders write their settings and cameras their location. ffmpeg copies it unchanged.

use std::borrow::Cow;
use std::ops::Range;

use super::webm;
use crate::codec::bmff::{BoxRef, Fields, boxes};
use crate::codec::pieces::Pieces;

/// The file without messages in its codec configuration, otherwise unchanged. Nothing moves:
/// removed messages are replaced by zeros that no decoder reads. A container that cannot be parsed
/// is returned unchanged.
pub(crate) fn without_messages(source: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let place = if webm::is_ebml(source) {
        webm::description(source).map(|place| (*b"av1C", place))
    } else {
        description(source)
    };
    let cleaned = place.and_then(|(kind, place)| {
        let bytes = source.get(place.clone())?;
        let cleaned = match &kind {
            b"hvcC" => without_sei(bytes),
            _ => without_metadata(bytes),
        };
        Some((place, cleaned?))
    });
    let mut pieces = Pieces::new(source);
    match cleaned {
        None => pieces.keep(0..source.len()),
        Some((place, cleaned)) => {
            pieces.keep(0..place.start);
            pieces.own(cleaned);
            pieces.keep(place.end..source.len());
        }
    }
    pieces.finish()
}

/// The position of the configuration in an MP4, in a form that has messages.
fn description(source: &[u8]) -> Option<([u8; 4], Range<usize>)> {
    let find = |within: Range<usize>, kind: &'static [u8; 4]| {
        boxes(source, within)
            .map_while(Result::ok)
            .filter(move |found| found.kind == *kind)
    };
    let movie = find(0..source.len(), b"moov").next()?;
    let entries = |track: BoxRef<'_>| {
        let media = find(track.inside(), b"mdia").next()?;
        let table = find(find(media.inside(), b"minf").next()?.inside(), b"stbl").next()?;
        let entries = find(table.inside(), b"stsd").next()?.inside();
        boxes(source, entries.start.saturating_add(8)..entries.end)
            .next()?
            .ok()
    };
    find(movie.inside(), b"trak")
        .filter_map(entries)
        .find_map(|entry| {
            let parts = entry.body_start.saturating_add(78)..entry.end();
            let mut parts = boxes(source, parts).map_while(Result::ok);
            let part = parts.find(|part| matches!(&part.kind, b"hvcC" | b"av1C"))?;
            Some((part.kind, part.inside()))
        })
}

/// ISO/IEC 14496-15, 8.3.3.1: lists of NAL units, one for each type. `None` if there is nothing to
/// remove.
fn without_sei(hvcc: &[u8]) -> Option<Vec<u8>> {
    const HEAD: usize = 22;
    let mut fields = Fields::new(hvcc);
    let mut kept = fields.take(HEAD)?.to_vec();
    let count = fields.u8()?;
    let (mut left, mut lists) = (0, Vec::<u8>::new());
    for _ in 0..count {
        let list = fields.bytes;
        let kind = fields.u8()? & 0x3f;
        for _ in 0..fields.u16()? {
            let length = fields.u16()?;
            fields.take(length.into())?;
        }
        // Parameter sets.
        if (32..=34).contains(&kind) {
            left += 1;
            lists.extend(&list[..list.len() - fields.bytes.len()]);
        }
    }
    if left == count && fields.bytes.is_empty() {
        return None;
    }
    kept.push(left);
    kept.extend(lists);
    kept.resize(hvcc.len(), 0);
    Some(kept)
}

/// AV1 in ISOBMFF, 2.3.3: OBUs, each with its size. Those other than the sequence header become
/// padding. `None` if there is nothing to remove.
fn without_metadata(av1c: &[u8]) -> Option<Vec<u8>> {
    const HEAD: usize = 4;
    const SEQUENCE_HEADER: u8 = 1;
    const PADDING: u8 = 15;
    let mut cleaned = av1c.to_vec();
    let mut at = HEAD;
    while let Some(&header) = av1c.get(at) {
        let (kind, is_extended, has_size) = (header >> 3 & 15, header & 4 != 0, header & 2 != 0);
        let size = at + 1 + usize::from(is_extended);
        let (start, end) = if has_size {
            let (length, digits) = leb128(av1c.get(size..)?)?;
            let start = size + digits;
            (start, start.checked_add(length)?)
        } else {
            (size, av1c.len())
        };
        let content = cleaned.get_mut(start..end)?;
        if kind != SEQUENCE_HEADER {
            content.fill(0);
            if let Some(last) = content.last_mut() {
                // The trailing bit of an OBU.
                *last = 0x80;
            }
            cleaned[at] = header & 0x87 | PADDING << 3;
        }
        at = end;
    }
    (cleaned != av1c).then_some(cleaned)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sets_of_parameters_stay_in_a_description_of_hevc() {
        let list = |kind: u8, unit: &[u8]| [&[kind, 0, 1, 0, unit.len() as u8][..], unit].concat();
        let head = [7; 22];
        let (sps, sei) = (list(33, b"\x42\x01sps"), list(0x80 | 39, b"\x4e\x01SECRET"));
        let dirty = [&head[..], &[2], &sei, &sps].concat();
        let cleaned = without_sei(&dirty).expect("something goes");
        assert_eq!(cleaned.len(), dirty.len());
        assert_eq!(cleaned[..23 + sps.len()], [&head[..], &[1], &sps].concat());
        assert!(cleaned[23 + sps.len()..].iter().all(|byte| *byte == 0));
        assert_eq!(without_sei(&[&head[..], &[1], &sps].concat()), None);
        // Bytes after the lists are removed too.
        let tail = [&head[..], &[1], &sps, b"SECRET"].concat();
        assert!(without_sei(&tail).is_some_and(|cleaned| !cleaned.ends_with(b"SECRET")));
        assert_eq!(without_sei(&dirty[..30]), None);
    }

    #[test]
    fn only_the_sequence_header_stays_in_a_description_of_av1() {
        let head = [0x81, 0, 0, 0];
        let sequence = [0x0a, 3, 1, 2, 3];
        let message = [&[0x2a, 7, 4][..], b"SECRET"].concat();
        let dirty = [&head[..], &sequence, &message].concat();
        let cleaned = without_metadata(&dirty).expect("something goes");
        let padding = [0x7a, 7, 0, 0, 0, 0, 0, 0, 0x80];
        assert_eq!(cleaned, [&head[..], &sequence, &padding].concat());
        assert_eq!(without_metadata(&cleaned), None);
        assert_eq!(without_metadata(&dirty[..dirty.len() - 1]), None);
    }

    #[test]
    fn damage_anywhere_leaves_a_file_of_the_same_length() {
        for file in [
            &include_bytes!("../testdata/clip.mp4")[..],
            include_bytes!("../testdata/clip.webm"),
        ] {
            for length in 0..file.len() {
                let cleaned = without_messages(&file[..length]).concat();
                assert_eq!(cleaned.len(), length);
            }
            assert_eq!(without_messages(file).concat(), file);
        }
    }
}
