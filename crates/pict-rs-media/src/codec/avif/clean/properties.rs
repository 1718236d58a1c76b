//! Properties of items and tracks, with their standard lengths.

use std::borrow::Cow;

use crate::codec::{avif::obus, bmff::BoxRef, icc};

/// The part of a property that determines how a picture is shown. `None` for one that is unknown or
/// too short.
pub(super) fn clean<'a>(property: &BoxRef<'a>) -> Option<Cow<'a, [u8]>> {
    let body = property.body;
    let length = match &property.kind {
        b"irot" | b"imir" | b"a1op" => 1,
        b"lsel" => 2,
        b"clli" => 4,
        b"pasp" | b"amve" | b"ccst" => 8,
        b"ispe" | b"btrt" => 12,
        b"mdcv" => 24,
        b"clap" => 32,
        // Version and flags, then a count of channels and their depths.
        b"pixi" => 5 + usize::from(*body.get(4)?),
        // Three sizes of layers, each of 4 bytes or of 2.
        b"a1lx" => 1 + 3 * if body.first()? & 1 == 1 { 4 } else { 2 },
        // Flags for primaries and three luminances.
        b"cclv" => {
            let has = |bit: u8| usize::from(body[0] & bit != 0);
            body.first()?;
            1 + 24 * has(0x20) + 4 * (has(0x10) + has(0x08) + has(0x04))
        }
        // Version and flags, then a zero-terminated name.
        b"auxC" | b"auxi" => 5 + memchr::memchr(0, body.get(4..)?)?,
        b"av1C" => {
            let headers = obus::sequence_headers(body.get(4..)?);
            return Some(Cow::Owned([&body[..4], &headers].concat()));
        }
        b"colr" => return colours(body),
        _ => return None,
    };
    body.get(..length).map(Cow::Borrowed)
}

fn colours(body: &[u8]) -> Option<Cow<'_, [u8]>> {
    match body.get(..4)? {
        b"nclx" => {
            let mut points = body.get(..11)?.to_vec();
            // One bit is the range.
            points[10] &= 0x80;
            Some(Cow::Owned(points))
        }
        kind @ (b"prof" | b"rICC") => {
            let profile = icc::clean(&body[4..])?;
            Some(Cow::Owned([kind, &profile].concat()))
        }
        _ => None,
    }
}
