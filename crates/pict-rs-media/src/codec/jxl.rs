//! JPEG XL, still and animated: decoded by the `jxl` crate, stills are written by `jxl-encoder`.
//!
//! The decoder turns pictures upright by itself, so facts have the upright size and a normal
//! orientation. [`read`] is the only module that calls the decoder, [`container`] handles the boxes
//! around a codestream. Start reading at [`inspect`].

mod container;
mod decode;
mod encode;
mod read;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use jxl::api::JxlWhitePoint;
use jxl::api::{JxlColorEncoding, JxlColorProfile, JxlPrimaries, JxlTransferFunction};

use crate::codec::interface::{Codec, Credits, Kept, streamed};
use crate::codec::panics::guard;
use crate::codec::pieces;
use crate::colour::{Code, Colours, profile_fits};
use crate::limits::{Bounds, LimitKind, at_most};
use crate::{ColourModel, Control, Error, Facts, Format, Orientation, Result};

use decode::{decode, decode_animation};
pub(crate) use encode::Encoder;

use read::{Clock, Header, Reader, Scan, Watch};

/// The codec.
pub(crate) const CODEC: Codec = Codec {
    formats: &[Format::Jxl],
    detect: |source| {
        source.starts_with(b"\xff\x0a") || source.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n")
    },
    inspect,
    clean: Some(|source, _, control| clean(source, control).map(Kept::from)),
    decode: Some(|source, facts, _, control, sink| decode(source, facts, control, sink)),
    canvases: Some(decode_animation),
    colours: |source, facts, control| {
        let code = cicp(source, control);
        let icc = icc(source, control).filter(|icc| profile_fits(icc, facts.colour));
        Colours::told(icc, code.map(Code::from))
    },
    credits: Some(Credits {
        exif: |source, _| container::exif(source),
        xmp: |source, _| container::xmp(source),
        photoshop: |_| Vec::new(),
        put: |file, tiff, _| put_exif(file.pieces, tiff),
    }),
    memory,
    // Hidden frames are decoded while finding the end.
    clean_memory: |facts| memory(facts) + facts.decoder_tables,
    ..Codec::NONE
};

fn memory(facts: &Facts) -> u64 {
    facts.pixels() * (facts.pixel_bytes() + DECODER) + streamed(facts) + TABLES
}

/// Bytes per pixel inside a decoder, besides the decoded pixels. Measured for stills: 1.5, or 4
/// when lossless. The memory for reference frames is in the facts.
const DECODER: u64 = 16;
/// What it needs for a picture of any size: matrices and codes. Measured: 2.5 MB.
const TABLES: u64 = 6 << 20;

/// Facts from the headers. Frames are counted by skipping them; only hidden ones, which others are
/// made from, are decoded, after their number and size were checked.
fn inspect(source: &[u8], bounds: &Bounds, control: &Control) -> Result<Facts> {
    let watch = Watch::new(control);
    let header = Reader::open(source, &watch, None, false)?.header().clone();
    bounds.check_size((header.width, header.height), header.animation.is_some())?;
    let mut facts = Facts {
        format: Format::Jxl,
        stored_width: header.width,
        stored_height: header.height,
        // The codestream has one, but the decoder has already applied it, and that in EXIF is
        // ignored in this format.
        orientation: Orientation::Normal,
        frames: 1,
        duration_ms: None,
        has_alpha: header.has_alpha,
        bits: if header.deep { 16 } else { 8 },
        colour: header.colour,
        buffered: true,
        // The header does not tell, and nothing depends on it.
        lossless: false,
        decoder_tables: header.extra_memory(),
    };
    if let Some(animation) = &header.animation {
        let scan = frames(source, &header, bounds, control)?;
        let (frames, ticks) = scan.frames;
        facts.frames = frames;
        if frames > 1 || scan.hidden > 0 {
            facts.decoder_tables = header.kept_memory(read::MAX_SLOTS);
        }
        if frames > 1 {
            let mut clock = Clock::new(animation);
            facts.duration_ms = Some(clock.advance(ticks));
            // Canvases have 8 bits.
            facts.bits = 8;
            if facts.colour == ColourModel::Cmyk {
                return Err(Error::Unsupported(
                    "animations in inks cannot be read".into(),
                ));
            }
        }
    } else {
        let slots = slots(source, &header, bounds, control)?;
        if slots > 0 {
            facts.decoder_tables = header.kept_memory(slots);
        }
    }
    Ok(facts)
}

/// Skips the frames of an animation. Hidden frames count like shown ones.
fn frames(source: &[u8], header: &Header, bounds: &Bounds, control: &Control) -> Result<Scan> {
    if let Some(scan) = read::scan(source, header, 0, control)? {
        return Ok(scan);
    }
    let memory = header.kept_memory(read::MAX_SLOTS);
    at_most(LimitKind::Memory, bounds.memory, memory)?;
    let limit = bounds.animation.max_frame_count;
    let most = limit.min(header.most_hidden());
    let too_many = |found: u32| at_most(LimitKind::Frames, limit.into(), found.into());
    let Some(scan) = read::scan(source, header, most, control)? else {
        too_many(most.saturating_add(1))?;
        return Err(too_much_hidden(header));
    };
    too_many(scan.frames.0.saturating_add(scan.hidden))?;
    Ok(scan)
}

/// The maximum number of hidden frames that a decoder keeps for a still. Only the first one is
/// decoded to find out.
fn slots(source: &[u8], header: &Header, bounds: &Bounds, control: &Control) -> Result<u64> {
    let is_hidden = |most| {
        let scan = read::scan(source, header, most, control);
        control.check()?;
        match scan {
            Err(error @ Error::Unsupported(_)) => Err(error),
            // Damage is reported when the picture is decoded.
            scan => Ok(matches!(scan, Ok(None))),
        }
    };
    if !is_hidden(0)? {
        return Ok(0);
    }
    at_most(LimitKind::Memory, bounds.memory, header.kept_memory(1))?;
    Ok(if is_hidden(1)? { read::MAX_SLOTS } else { 1 })
}

fn too_much_hidden(header: &Header) -> Error {
    Error::Unsupported(format!(
        "a JPEG XL of {}×{} pixels that has more than {} frames that are not shown cannot be read",
        header.width,
        header.height,
        header.most_hidden()
    ))
}

/// The file without metadata, the codestream untouched. The ICC profile is part of the codestream.
fn clean<'a>(source: &'a [u8], control: &Control) -> Result<Vec<Cow<'a, [u8]>>> {
    let watch = Watch::new(control);
    let header = Reader::open(source, &watch, None, false)?.header().clone();
    let scan = read::scan(source, &header, header.most_hidden(), control)?;
    let scan = scan.ok_or_else(|| too_much_hidden(&header))?;
    container::clean(source, scan.end)
}

/// The pieces of a cleaned file with a box of EXIF.
fn put_exif<'a>(mut pieces: Vec<Cow<'a, [u8]>>, tiff: &[u8]) -> Vec<Cow<'a, [u8]>> {
    if let Some((at, made)) = container::exif_box(&pieces::start(&pieces), tiff) {
        pieces::insert(&mut pieces, at, made);
    }
    pieces
}

/// A profile of the colours that [`decode()`] delivers, unless they are sRGB or HDR.
///
/// Pictures that were compressed in the format's own colours (XYB) are decoded to the colours that
/// they are tagged with, including wide gamut. If that tag is an ICC profile, they are decoded to
/// sRGB.
fn icc<'a>(source: &'a [u8], control: &Control) -> Option<Cow<'a, [u8]>> {
    let profile = profile(source, control)?;
    if let JxlColorProfile::Simple(encoding) = &profile
        && (is_srgb(encoding) || is_hdr(profile.transfer_function()))
    {
        return None;
    }
    // It may panic on colours that no profile can represent.
    let icc = guard(Format::Jxl, || {
        Ok(profile.try_as_icc().map(Cow::into_owned))
    })
    .ok()?;
    icc.map(Cow::Owned)
}

/// Primaries and transfer of the colours that [`decode()`] delivers, as code points of H.273, if
/// there are any.
fn cicp(source: &[u8], control: &Control) -> Option<(u8, u8)> {
    let JxlColorProfile::Simple(encoding) = profile(source, control)? else {
        return None;
    };
    let (white, primaries, transfer) = match &encoding {
        JxlColorEncoding::RgbColorSpace {
            white_point,
            primaries,
            transfer_function,
            ..
        } => (white_point, primaries, transfer_function),
        JxlColorEncoding::GrayscaleColorSpace {
            white_point,
            transfer_function,
            ..
        } => (white_point, &JxlPrimaries::SRGB, transfer_function),
        JxlColorEncoding::XYB { .. } => return None,
    };
    let primaries = match (primaries, white) {
        (JxlPrimaries::SRGB, JxlWhitePoint::D65) => 1,
        (JxlPrimaries::BT2100, JxlWhitePoint::D65) => 9,
        (JxlPrimaries::P3, JxlWhitePoint::DCI) => 11,
        (JxlPrimaries::P3, JxlWhitePoint::D65) => 12,
        _ => return None,
    };
    let transfer = match transfer {
        JxlTransferFunction::BT709 => 1,
        JxlTransferFunction::Linear => 8,
        JxlTransferFunction::SRGB => 13,
        JxlTransferFunction::PQ => 16,
        JxlTransferFunction::DCI => 17,
        JxlTransferFunction::HLG => 18,
        JxlTransferFunction::Gamma(_) => return None,
    };
    Some((primaries, transfer))
}

fn profile(source: &[u8], control: &Control) -> Option<JxlColorProfile> {
    let watch = Watch::new(control);
    let reader = Reader::open(source, &watch, None, false).ok()?;
    Some(reader.header().profile.clone())
}

fn is_srgb(encoding: &JxlColorEncoding) -> bool {
    matches!(
        encoding,
        JxlColorEncoding::RgbColorSpace {
            white_point: JxlWhitePoint::D65,
            primaries: JxlPrimaries::SRGB,
            transfer_function: JxlTransferFunction::SRGB,
            ..
        } | JxlColorEncoding::GrayscaleColorSpace {
            transfer_function: JxlTransferFunction::SRGB,
            ..
        }
    )
}

fn is_hdr(transfer: Option<&JxlTransferFunction>) -> bool {
    matches!(
        transfer,
        Some(JxlTransferFunction::PQ | JxlTransferFunction::HLG)
    )
}

fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Jxl, reason)
}
