//! The segments of a JPEG file: facts, cleaning and the ICC profile. Decodes no pixels.
//!
//! The parser sees the same segments as libjpeg: garbage between segments is skipped, and markers
//! may be preceded by fill bytes. Everything after the end marker (a second picture, the clip of a
//! motion photo) is not part of the file.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::{Means, Scans};
use crate::codec::exif;
use crate::codec::pieces::Pieces;
use crate::{ColourModel, Control, Error, Facts, Format, Orientation, Result};

pub(super) const SOI: u8 = 0xd8;
pub(super) const EOI: u8 = 0xd9;
pub(super) const SOS: u8 = 0xda;
const DHT: u8 = 0xc4;
const DQT: u8 = 0xdb;
const DRI: u8 = 0xdd;
pub(super) const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP13: u8 = 0xed;
const APP14: u8 = 0xee;
const COM: u8 = 0xfe;

const EXIF: &[u8] = b"Exif\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
const ADOBE: &[u8] = b"Adobe";
const ADOBE_LEN: usize = 12;
const JFIF: &[u8] = b"JFIF\0";

/// Bytes of a profile in one segment.
const MAX_ICC_CHUNK: usize = 65_533 - ICC.len() - 2;
/// Larger profiles are not colour profiles.
const MAX_ICC: usize = 4 << 20;

/// More scans than any encoder needs (a full successive approximation of three components has
/// fewer); beyond that, their number times the area is limited, because every scan processes the
/// whole picture, however few bytes it has.
const PLENTY_OF_SCANS: u64 = 100;
const MAX_SCANNED_PIXELS: u64 = 1 << 30;

/// The contents of the segments.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) width: u16,
    pub(super) height: u16,
    /// Sampling factors (across, down) of each component.
    pub(super) sampling: Vec<(u8, u8)>,
    pub(super) progressive: bool,
    /// The components arrive in several scans, so the decoder must collect them first.
    pub(super) buffered: bool,
    /// Whether Adobe's marker exists, which determines the colour transform.
    pub(super) adobe: bool,
    /// The end of the picture. Decoders must not be given more: libjpeg uses a faster and more
    /// lenient path while many bytes are left, so bytes after the end would change its result.
    pub(super) end: usize,
    orientation: Orientation,
}

impl Header {
    pub(super) fn colour(&self) -> ColourModel {
        match self.sampling.len() {
            1 => ColourModel::Gray,
            4 => ColourModel::Cmyk,
            _ => ColourModel::Rgb,
        }
    }

    pub(super) fn facts(&self) -> Facts {
        Facts {
            format: Format::Jpeg,
            stored_width: self.width.into(),
            stored_height: self.height.into(),
            orientation: self.orientation,
            frames: 1,
            duration_ms: None,
            has_alpha: false,
            bits: 8,
            colour: self.colour(),
            buffered: self.buffered,
            lossless: false,
            decoder_tables: 0,
        }
    }
}

/// Parses the whole file.
pub(super) fn read(source: &[u8], control: &Control) -> Result<Header> {
    let mut frame: Option<Frame> = None;
    let mut orientation = None;
    let mut adobe = false;
    let mut scans = 0_u64;
    let mut end = None;
    for segment in Segments::new(source)? {
        control.check()?;
        let segment = segment?;
        match segment.marker {
            marker if is_frame(marker) => {
                if frame.is_some() {
                    return Err(corrupt("it has two frame headers"));
                }
                frame = Some(Frame::parse(&segment)?);
            }
            // Decoders fix the colours, and viewers the orientation, at the first scan.
            APP1 if scans == 0 && orientation.is_none() && segment.payload.starts_with(EXIF) => {
                // "Exif", a zero and a byte that should be zero.
                orientation = segment.payload.get(6..).map(exif::orientation);
            }
            APP14 if scans == 0 && is_adobe(&segment) => adobe = true,
            SOS => {
                let frame = frame
                    .as_mut()
                    .ok_or_else(|| corrupt("a scan comes before the frame header"))?;
                frame.add_scan(segment.payload)?;
                scans += 1;
                if scans > PLENTY_OF_SCANS && scans * frame.area() > MAX_SCANNED_PIXELS {
                    return Err(corrupt("it has far too many scans"));
                }
            }
            EOI => end = Some(segment.range.end),
            _ => {}
        }
    }
    let frame = frame.ok_or_else(|| corrupt("it has no frame header"))?;
    if scans == 0 {
        return Err(corrupt("it has no picture data"));
    }
    if frame.components.iter().any(|component| !component.scanned) {
        return Err(corrupt("a colour component has no data"));
    }
    let buffered = frame.progressive || scans > 1;
    if buffered && end.is_none() {
        // In a single scan the decoder notices missing data; between scans it would not be noticed.
        return Err(corrupt("the end of the file is missing"));
    }
    Ok(Header {
        width: frame.width,
        height: frame.height,
        sampling: frame.components.iter().map(|c| c.sampling).collect(),
        progressive: frame.progressive,
        buffered,
        adobe,
        end: end.unwrap_or(source.len()),
        orientation: orientation.unwrap_or_default(),
    })
}

/// The part of a damaged file that a decoder can process.
pub(super) struct Remains {
    pub(super) height: u16,
    pub(super) progressive: bool,
    pub(super) adobe: bool,
    /// Rows of pixels per row of units.
    pub(super) unit: u32,
    /// The end of the last complete segment, without an end marker.
    pub(super) end: usize,
    /// Whether there is an end marker.
    pub(super) is_ended: bool,
}

/// Parses as far as the file is valid. `None` if a component has no data at all, and for kinds of
/// JPEG that cannot be decoded here.
pub(super) fn remains(source: &[u8]) -> Option<Remains> {
    let mut frame: Option<Frame> = None;
    let (mut adobe, mut is_ended, mut end, mut scans) = (false, false, 2, 0_u64);
    for segment in Segments::new(source).ok()?.map_while(Result::ok) {
        match segment.marker {
            EOI => {
                is_ended = true;
                break;
            }
            // A second picture.
            marker if is_frame(marker) && frame.is_some() => break,
            marker if is_frame(marker) => frame = Some(Frame::parse(&segment).ok()?),
            APP14 if is_adobe(&segment) => adobe = true,
            SOS => {
                let frame = frame.as_mut()?;
                if frame.add_scan(segment.payload).is_err() {
                    break;
                }
                scans += 1;
                if scans > PLENTY_OF_SCANS && scans * frame.area() > MAX_SCANNED_PIXELS {
                    return None;
                }
            }
            _ => {}
        }
        end = segment.range.end;
    }
    let frame = frame.filter(|frame| frame.components.iter().all(|c| c.scanned))?;
    while end > 2 && source[end - 1] == 0xff {
        end -= 1;
    }
    let unit = match frame.components[..] {
        [_] => 1,
        _ => (frame.components.iter().map(|c| c.sampling.1).max()).unwrap_or(1),
    };
    Some(Remains {
        height: frame.height,
        progressive: frame.progressive,
        adobe,
        unit: u32::from(unit) * 8,
        end,
        is_ended,
    })
}

/// The size that the frame header of a damaged file claims.
pub(super) fn claimed_size(source: &[u8]) -> Option<(u32, u32)> {
    let mut segments = Segments::new(source).ok()?.map_while(Result::ok);
    let frame = segments.find(|segment| is_frame(segment.marker))?;
    let frame = Frame::parse(&frame).ok()?;
    Some((frame.width.into(), frame.height.into()))
}

/// Marker and payload of the segments that describe the picture and are not written by libjpeg
/// itself.
pub(super) fn told(source: &[u8]) -> Vec<(u8, &[u8])> {
    Segments::new(source)
        .into_iter()
        .flatten()
        .map_while(Result::ok)
        .take_while(|segment| segment.marker != SOS)
        .filter(|segment| matches!(segment.marker, APP1..=APP13))
        .map(|segment| (segment.marker, segment.payload))
        .collect()
}

/// Whether this marker starts a frame header.
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// Whether the frame header names a kind that cannot be decoded here.
pub(super) fn is_rare(source: &[u8]) -> bool {
    let Ok(segments) = Segments::new(source) else {
        return false;
    };
    let mut frames = segments
        .map_while(Result::ok)
        .take_while(|segment| segment.marker != SOS)
        .filter(|segment| is_frame(segment.marker));
    let frame = frames.next().map(|segment| Frame::parse(&segment));
    matches!(frame, Some(Err(Error::Unsupported(_))))
}

/// A cleaned file.
pub(super) struct Cleaned<'a> {
    pub(super) pieces: Vec<Cow<'a, [u8]>>,
    /// The first coefficients of all blocks, unless a decoder might refuse the file.
    pub(super) means: Option<Vec<Means>>,
}

/// The pieces of the file that a decoder needs, and the ICC profile. Entropy-coded data are kept as
/// far as they code a block; those of a damaged scan, which cannot be parsed, are kept entirely.
pub(super) fn clean<'a>(source: &'a [u8], control: &Control) -> Result<Cleaned<'a>> {
    let mut pieces = Pieces::new(source);
    pieces.keep(0..2);
    let mut scans = Scans::default();
    let mut profile = profile_segments(source);
    let mut is_ended = false;
    for segment in Segments::new(source)? {
        control.check()?;
        let segment = segment?;
        is_ended |= segment.marker == EOI;
        match segment.marker {
            APP0 if segment.payload.starts_with(JFIF) => keep_jfif(&mut pieces, &segment),
            APP14 if is_adobe(&segment) => keep_adobe(&mut pieces, &segment),
            // At the position of its first segment.
            APP2 if segment.payload.starts_with(ICC) => {
                for segment in std::mem::take(&mut profile) {
                    pieces.own(segment);
                }
            }
            APP0..=0xef | COM => {}
            // Reserved and JPEG-LS extension codes, which our decoders ignore.
            0xf0..=0xfd | 0x02..=0xbf => scans.doubt(),
            // The number of lines, which is known.
            0xdc => {}
            // For arithmetic and hierarchical coding.
            0xcc | 0xde | 0xdf => scans.doubt(),
            SOS => keep_scan(&mut pieces, &mut scans, &segment, source, control)?,
            marker => {
                // If this cannot be parsed, the scans that need it cannot be parsed either.
                let parsed = match marker {
                    EOI => Some(()),
                    DHT => scans.tables(segment.payload),
                    DQT => scans.steps(segment.payload),
                    DRI => scans.restarts(segment.payload),
                    _ if is_frame(marker) => scans.frame(marker == 0xc2, segment.payload),
                    _ => None,
                };
                if parsed.is_none() {
                    scans.doubt();
                }
                pieces.keep(segment.range);
            }
        }
    }
    if !is_ended {
        pieces.borrow(&[0xff, EOI]);
    }
    Ok(Cleaned {
        pieces: pieces.finish(),
        means: scans.into_means(),
    })
}

/// The header of a scan and its codes, without bytes between them and the next marker.
fn keep_scan(
    pieces: &mut Pieces<'_>,
    scans: &mut Scans,
    segment: &Segment<'_>,
    source: &[u8],
    control: &Control,
) -> Result<()> {
    let data = segment.range.start + 4 + segment.payload.len();
    let ranges = source
        .get(data..segment.range.end)
        .and_then(|codes| scans.ranges(segment.payload, codes, control));
    control.check()?;
    let Some(ranges) = ranges else {
        pieces.keep(segment.range.clone());
        return Ok(());
    };
    pieces.keep(segment.range.start..data);
    for range in ranges {
        pieces.keep(data + range.start..data + range.end);
    }
    Ok(())
}

/// The cleaned ICC profile as segments; none if it is invalid.
pub(super) fn profile_segments(source: &[u8]) -> Vec<Vec<u8>> {
    let profile = icc(source);
    let Some(profile) = profile.as_deref().and_then(crate::codec::icc::clean) else {
        return Vec::new();
    };
    let chunks = profile.chunks(MAX_ICC_CHUNK);
    let count = chunks.len() as u8;
    let segments = (1_u8..).zip(chunks).map(|(number, data)| {
        // A segment has at most 65,533 bytes after its length.
        let length = (2 + ICC.len() + 2 + data.len()) as u16;
        let head = [
            &[0xff, APP2][..],
            &length.to_be_bytes(),
            ICC,
            &[number, count],
        ];
        [&head.concat(), data].concat()
    });
    segments.collect()
}

/// JFIF without its thumbnail: version and density are kept.
fn keep_jfif(pieces: &mut Pieces<'_>, segment: &Segment<'_>) {
    match segment.payload.split_at_checked(12) {
        // Too short to have a meaning; libjpeg ignores it too.
        None => {}
        Some((_, [0, 0])) => pieces.keep(segment.range.clone()),
        Some((start, _)) => {
            let mut owned = vec![0xff, APP0, 0, 16];
            owned.extend_from_slice(start);
            owned.extend([0, 0]);
            pieces.own(owned);
        }
    }
}

/// Adobe's marker without data that some programs append to it.
fn keep_adobe(pieces: &mut Pieces<'_>, segment: &Segment<'_>) {
    if segment.payload.len() == ADOBE_LEN {
        return pieces.keep(segment.range.clone());
    }
    let mut owned = vec![0xff, APP14, 0, ADOBE_LEN as u8 + 2];
    owned.extend_from_slice(&segment.payload[..ADOBE_LEN]);
    pieces.own(owned);
}

/// The EXIF structure, if there is one before the first scan.
pub(super) fn exif(source: &[u8]) -> Option<&[u8]> {
    app1(source, EXIF)?.get(1..)
}

/// The XMP packet, if there is one before the first scan.
pub(super) fn xmp(source: &[u8]) -> Option<&[u8]> {
    app1(source, XMP)
}

/// The data after `name` in the first segment that begins with it.
fn app1<'a>(source: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    Segments::new(source)
        .into_iter()
        .flatten()
        .map_while(Result::ok)
        .take_while(|segment| segment.marker != SOS)
        .filter(|segment| segment.marker == APP1)
        .find_map(|segment| segment.payload.strip_prefix(name))
}

/// Photoshop's resources, joined from their segments.
pub(super) fn photoshop(source: &[u8]) -> Vec<u8> {
    let segments = Segments::new(source)
        .into_iter()
        .flatten()
        .map_while(Result::ok)
        .take_while(|segment| segment.marker != SOS)
        .filter(|segment| segment.marker == APP13);
    segments
        .filter_map(|segment| segment.payload.strip_prefix(b"Photoshop 3.0\0"))
        .flatten()
        .copied()
        .collect()
}

/// Marker and payload of the segments that hold the ICC profile.
pub(super) fn icc_segments(source: &[u8]) -> Vec<(u8, &[u8])> {
    Segments::new(source)
        .into_iter()
        .flatten()
        .map_while(Result::ok)
        .take_while(|segment| segment.marker != SOS)
        .filter(|segment| segment.marker == APP2 && segment.payload.starts_with(ICC))
        .map(|segment| (APP2, segment.payload))
        .collect()
}

/// The ICC profile, joined from its chunks.
pub(super) fn icc(source: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut chunks: Vec<(u8, &[u8])> = icc_segments(source)
        .into_iter()
        .filter_map(|(_, payload)| {
            // The sequence number, the number of chunks, the data.
            let [number, _, data @ ..] = payload.strip_prefix(ICC)? else {
                return None;
            };
            Some((*number, data))
        })
        .collect();
    if let [(_, only)] = chunks[..] {
        return (!only.is_empty()).then_some(Cow::Borrowed(only));
    }
    // A stable sort, so that files in which every chunk has the same number keep their order.
    chunks.sort_by_key(|(number, _)| *number);
    let len: usize = chunks.iter().map(|(_, data)| data.len()).sum();
    if len == 0 || len > MAX_ICC {
        return None;
    }
    let mut profile = Vec::with_capacity(len);
    for (_, data) in chunks {
        profile.extend_from_slice(data);
    }
    Some(Cow::Owned(profile))
}

fn is_adobe(segment: &Segment<'_>) -> bool {
    segment.payload.len() >= ADOBE_LEN && segment.payload.starts_with(ADOBE)
}

struct Frame {
    width: u16,
    height: u16,
    progressive: bool,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    sampling: (u8, u8),
    scanned: bool,
}

impl Frame {
    fn parse(segment: &Segment<'_>) -> Result<Self> {
        let kind = match segment.marker {
            0xc0..=0xc2 => None,
            0xc3 => Some("lossless JPEG"),
            0xc9..=0xcb => Some("arithmetic-coded JPEG"),
            _ => Some("hierarchical JPEG"),
        };
        if let Some(kind) = kind {
            return Err(unsupported(kind));
        }
        let [bits, h1, h0, w1, w0, count, components @ ..] = segment.payload else {
            return Err(corrupt("the frame header is too short"));
        };
        if *bits != 8 {
            return Err(unsupported(&format!("{bits}-bit JPEG")));
        }
        let width = u16::from_be_bytes([*w1, *w0]);
        let height = u16::from_be_bytes([*h1, *h0]);
        if width == 0 || height == 0 {
            return Err(corrupt("its width or height is zero"));
        }
        if components.len() != usize::from(*count) * 3 {
            return Err(corrupt("the frame header has a wrong length"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(unsupported(&format!("JPEG with {count} components")));
        }
        let components: Vec<_> = components
            .chunks_exact(3)
            .map(|c| Component {
                id: c[0],
                sampling: (c[1] >> 4, c[1] & 15),
                scanned: false,
            })
            .collect();
        let in_range = |n: u8| (1..=4).contains(&n);
        if components
            .iter()
            .any(|c| !in_range(c.sampling.0) || !in_range(c.sampling.1))
        {
            return Err(corrupt("a sampling factor is out of range"));
        }
        Ok(Self {
            width,
            height,
            progressive: segment.marker == 0xc2,
            components,
        })
    }

    fn area(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    fn add_scan(&mut self, header: &[u8]) -> Result<()> {
        let (count, rest) = header
            .split_first()
            .ok_or_else(|| corrupt("a scan header is empty"))?;
        let ids = rest
            .get(..usize::from(*count) * 2)
            .ok_or_else(|| corrupt("a scan header is too short"))?;
        for id in ids.chunks_exact(2) {
            // Duplicate ids exist in practice; libjpeg uses them in order.
            let mut same: Vec<_> = self
                .components
                .iter_mut()
                .filter(|component| component.id == id[0])
                .collect();
            let at = same.iter().position(|c| !c.scanned).unwrap_or(0);
            let component = same
                .get_mut(at)
                .ok_or_else(|| corrupt("a scan names a component that does not exist"))?;
            component.scanned = true;
        }
        Ok(())
    }
}

/// One marker with its payload and, after a scan header, the entropy-coded data.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    /// Without the length field.
    pub(super) payload: &'a [u8],
    /// From the marker's `0xff` to the end of the data.
    pub(super) range: Range<usize>,
}

/// Everything between the start and the end marker; the latter is the last item. Ends without one
/// if the file ends inside entropy-coded data.
pub(super) struct Segments<'a> {
    source: &'a [u8],
    at: usize,
    done: bool,
}

impl<'a> Segments<'a> {
    pub(super) fn new(source: &'a [u8]) -> Result<Self> {
        if !source.starts_with(&[0xff, SOI]) {
            return Err(corrupt("it does not start as one"));
        }
        Ok(Self {
            source,
            at: 2,
            done: false,
        })
    }

    /// The position and code of the next marker, past garbage and fill bytes.
    fn marker(&self) -> Option<(usize, u8)> {
        let mut at = self.at;
        loop {
            at += memchr::memchr(0xff, self.source.get(at..)?)?;
            match self.source.get(at + 1)? {
                0xff => at += 1,
                0 => at += 2,
                code => return Some((at, *code)),
            }
        }
    }

    fn segment(&mut self) -> Result<Option<Segment<'a>>> {
        let (start, marker) = loop {
            let Some((start, marker)) = self.marker() else {
                // libjpeg would insert an end marker. The caller knows whether that matters.
                return Ok(None);
            };
            self.at = start + 2;
            match marker {
                // Restarts and TEM have no payload and are ignored here.
                0x01 | 0xd0..=0xd7 => {}
                SOI => return Err(corrupt("it starts a second time before it ends")),
                EOI => {
                    self.done = true;
                    let segment = Segment {
                        marker,
                        payload: &[],
                        range: start..self.at,
                    };
                    return Ok(Some(segment));
                }
                _ => break (start, marker),
            }
        };
        let rest = self.source.get(self.at..).unwrap_or_default();
        let payload = rest
            .first_chunk()
            .and_then(|len| rest.get(2..u16::from_be_bytes(*len).into()))
            .ok_or_else(|| corrupt("a segment is cut off or has no valid length"))?;
        self.at += 2 + payload.len();
        if marker == SOS {
            self.at = entropy_end(self.source, self.at);
        }
        Ok(Some(Segment {
            marker,
            payload,
            range: start..self.at,
        }))
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let segment = self.segment().transpose();
        if !matches!(segment, Some(Ok(_))) {
            self.done = true;
        }
        segment
    }
}

/// The end of the entropy-coded data: at the first marker that is not a restart, or at the end of
/// the file.
fn entropy_end(source: &[u8], mut at: usize) -> usize {
    loop {
        let rest = source.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr(0xff, rest) else {
            return source.len();
        };
        at += found;
        match source.get(at + 1) {
            None => return source.len(),
            Some(0 | 0xd0..=0xd7) => at += 2,
            Some(0xff) => at += 1,
            Some(_) => return at,
        }
    }
}

pub(super) fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Jpeg, reason)
}

fn unsupported(kind: &str) -> Error {
    Error::Unsupported(format!("{kind} files cannot be read"))
}
