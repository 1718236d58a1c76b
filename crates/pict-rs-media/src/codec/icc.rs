//! Cleans ICC profiles: keeps what is needed to interpret colours (ICC.1:2022, section 7).
//!
//! A profile is a header, a table of tags, and data that the table refers to. Programs add various
//! things: private tags with the name of a machine, the settings of a calibration, bytes after the
//! end.

use std::ops::Range;

const HEADER: usize = 128;
/// Unused bytes of the header.
const RESERVED: Range<usize> = 100..HEADER;
const ENTRY: usize = 12;
/// More tags than in any profile.
const MAX_TAGS: usize = 200;

/// Tags that define colours, and the two texts that every profile must have.
const KEPT: [&[u8; 4]; 33] = [
    b"A2B0", b"A2B1", b"A2B2", b"A2B3", b"B2A0", b"B2A1", b"B2A2", b"B2A3", b"D2B0", b"D2B1",
    b"D2B2", b"D2B3", b"B2D0", b"B2D1", b"B2D2", b"B2D3", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC",
    b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"bkpt", b"chad", b"chrm", b"cicp", b"gamt", b"lumi",
    b"desc", b"cprt", b"aabg",
];

/// The profile up to the end stated in its header, with zeros for everything that does not define
/// colours. `None` if it is not a profile.
pub(crate) fn clean(profile: &[u8]) -> Option<Vec<u8>> {
    let size = u32::from_be_bytes(*profile.first_chunk()?);
    let profile = profile.get(..usize::try_from(size).ok()?)?;
    if profile.get(36..40)? != b"acsp" {
        return None;
    }
    let count = u32::from_be_bytes(*profile.get(HEADER..)?.first_chunk()?);
    let count = usize::try_from(count)
        .ok()
        .filter(|count| *count <= MAX_TAGS)?;
    let table = HEADER + 4..HEADER + 4 + count * ENTRY;
    let mut kept = Vec::with_capacity(count + 1);
    kept.push(0..table.end);
    for entry in profile.get(table)?.chunks_exact(ENTRY) {
        let (name, place) = entry.split_at(4);
        if KEPT.iter().any(|kept| *kept == name) {
            kept.push(range(place, profile.len())?);
        }
    }
    kept.sort_unstable_by_key(|range| range.start);
    let mut cleaned = vec![0; profile.len()];
    for range in kept {
        cleaned[range.clone()].copy_from_slice(&profile[range]);
    }
    cleaned[RESERVED].fill(0);
    Some(cleaned)
}

/// The range of a tag's data; `None` if it is not inside the profile.
fn range(place: &[u8], end: usize) -> Option<Range<usize>> {
    let (offset, rest) = place.split_first_chunk()?;
    let offset = usize::try_from(u32::from_be_bytes(*offset)).ok()?;
    let size = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
    let range = offset..offset.checked_add(size)?;
    (range.end <= end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name and data of each tag, in sequence.
    fn profile(tags: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[36..40].copy_from_slice(b"acsp");
        bytes.extend((tags.len() as u32).to_be_bytes());
        let mut at = HEADER + 4 + tags.len() * ENTRY;
        for (name, data) in tags {
            bytes.extend(*name);
            bytes.extend((at as u32).to_be_bytes());
            bytes.extend((data.len() as u32).to_be_bytes());
            at += data.len();
        }
        tags.iter().for_each(|(_, data)| bytes.extend(*data));
        let size = (bytes.len() as u32).to_be_bytes();
        bytes[..4].copy_from_slice(&size);
        bytes
    }

    #[test]
    fn a_profile_ends_where_it_says_and_has_no_private_tags() {
        let clean_one = profile(&[(b"wtpt", b"XYZ white"), (b"rTRC", b"curv red")]);
        assert_eq!(clean(&clean_one), Some(clean_one.clone()));
        let longer = [&clean_one[..], b"LEAKMARK"].concat();
        assert_eq!(clean(&longer), Some(clean_one));
        let private = profile(&[(b"wtpt", b"XYZ white"), (b"meta", b"LEAKMARK")]);
        let cleaned = clean(&private).expect("is a profile");
        assert_eq!(cleaned.len(), private.len());
        assert!(!cleaned.windows(8).any(|bytes| bytes == b"LEAKMARK"));
        assert!(cleaned.windows(9).any(|bytes| bytes == b"XYZ white"));
        assert_eq!(clean(&cleaned), Some(cleaned.clone()));
    }

    #[test]
    fn what_is_not_a_profile_is_none() {
        let whole = profile(&[(b"wtpt", b"XYZ white")]);
        for length in 0..whole.len() {
            assert_eq!(clean(&whole[..length]), None, "{length}");
        }
        assert_eq!(clean(&[b'L'; 300]), None);
        let mut outside = whole;
        outside[HEADER + 4 + 7] = 255;
        assert_eq!(clean(&outside), None);
    }

    #[test]
    fn profiles_in_use_stay_as_they_are() {
        for made in [
            moxcms::ColorProfile::new_srgb(),
            moxcms::ColorProfile::new_display_p3(),
            moxcms::ColorProfile::new_adobe_rgb(),
        ] {
            let made = made.encode().expect("encodes");
            assert_eq!(clean(&made).as_deref(), made.get(..made.len()));
        }
    }
}
