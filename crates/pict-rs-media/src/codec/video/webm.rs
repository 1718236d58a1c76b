//! WebM, the subset of Matroska (RFC 9559) that browsers play.

use std::ops::Range;

use super::{AudioCodec, Clip, ClipColours, Picture, VideoCodec, millis, square};
use crate::codec::bmff::Fields;
use crate::{Control, Error, Format, Orientation, Result};

/// Whether it begins like a Matroska file.
pub(crate) fn is_ebml(source: &[u8]) -> bool {
    source.starts_with(b"\x1a\x45\xdf\xa3")
}

const EBML: u32 = 0x1a45_dfa3;
const DOC_TYPE: u32 = 0x4282;
const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_a966;
const TIMESTAMP_SCALE: u32 = 0x002a_d7b1;
const DURATION: u32 = 0x4489;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK: u32 = 0xae;
const TRACK_NUMBER: u32 = 0xd7;
const TRACK_TYPE: u32 = 0x83;
const CODEC: u32 = 0x86;
const PRIVATE: u32 = 0x63a2;
const DEFAULT_DURATION: u32 = 0x0023_e383;
const VIDEO: u32 = 0xe0;
const PIXEL_WIDTH: u32 = 0xb0;
const PIXEL_HEIGHT: u32 = 0xba;
const CROP_BOTTOM: u32 = 0x54aa;
const CROP_TOP: u32 = 0x54bb;
const CROP_LEFT: u32 = 0x54cc;
const CROP_RIGHT: u32 = 0x54dd;
const DISPLAY_WIDTH: u32 = 0x54b0;
const DISPLAY_HEIGHT: u32 = 0x54ba;
const ALPHA_MODE: u32 = 0x53c0;
const COLOUR: u32 = 0x55b0;
const MATRIX: u32 = 0x55b1;
const TRANSFER: u32 = 0x55ba;
const PRIMARIES: u32 = 0x55bb;
const CLUSTER: u32 = 0x1f43_b675;
const CLUSTER_TIMESTAMP: u32 = 0xe7;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const SIMPLE_BLOCK: u32 = 0xa3;

fn broken(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Webm, reason)
}

pub(super) fn inspect(source: &[u8], control: &Control) -> Result<Clip> {
    let mut found = Found::default();
    for element in (Elements {
        rest: source,
        opens: opens_file,
    }) {
        control.check()?;
        found.take(element?)?;
    }
    found.clip()
}

/// The position of the configuration of the first AV1 track.
pub(super) fn description(source: &[u8]) -> Option<Range<usize>> {
    let all = Elements {
        rest: source,
        opens: |id| opens_file(id) || matches!(id, TRACKS | TRACK),
    };
    let mut is_av1 = false;
    for element in all.map_while(Result::ok) {
        match element.id {
            CODEC => is_av1 = element.body == b"V_AV1",
            PRIVATE if is_av1 => {
                // A slice of the file, so its position is the distance of both.
                let start = element.body.as_ptr().addr() - source.as_ptr().addr();
                return Some(start..start + element.body.len());
            }
            CLUSTER => break,
            _ => {}
        }
    }
    None
}

/// Elements whose contents are parsed: segments and clusters may have unknown size, so everything
/// is read as one long list.
fn opens_file(id: u32) -> bool {
    matches!(id, SEGMENT | CLUSTER | BLOCK_GROUP)
}

#[derive(Clone, Copy)]
struct Element<'a> {
    id: u32,
    body: &'a [u8],
}

struct Elements<'a> {
    rest: &'a [u8],
    opens: fn(u32) -> bool,
}

impl<'a> Elements<'a> {
    fn within(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            opens: |_| false,
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let mut reader = Fields::new(rest);
        let head = id(&mut reader).and_then(|id| Some((id, size(&mut reader)?)));
        let Some((id, size)) = head else {
            return Some(Err(broken("it ends in the middle of an element")));
        };
        let there = reader.bytes.len();
        let fits = size.map(|size| usize::try_from(size).ok().filter(|size| *size <= there));
        match fits {
            // A truncated live stream ends where the file ends.
            None | Some(Some(_)) if (self.opens)(id) => {
                self.rest = reader.bytes;
                Some(Ok(Element { id, body: &[] }))
            }
            Some(Some(size)) => {
                let (body, rest) = reader.bytes.split_at(size);
                self.rest = rest;
                Some(Ok(Element { id, body }))
            }
            _ => Some(Err(broken(format!(
                "its element {id:x} is longer than the {there} bytes that are left"
            )))),
        }
    }
}

/// One to four bytes, including the marker.
fn id(reader: &mut Fields<'_>) -> Option<u32> {
    let length = reader.bytes.first()?.leading_zeros() as usize + 1;
    if length > 4 {
        return None;
    }
    let bytes = reader.take(length)?;
    Some(bytes.iter().fold(0, |id, byte| id << 8 | u32::from(*byte)))
}

/// One to eight bytes without the marker; `Some(None)` if the size is unknown.
fn size(reader: &mut Fields<'_>) -> Option<Option<u64>> {
    let length = reader.bytes.first()?.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let bytes = reader.take(length)?;
    let all = bytes
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte));
    let mask = (1 << (7 * length)) - 1;
    let size = all & mask;
    Some((size != mask).then_some(size))
}

fn number(body: &[u8]) -> u64 {
    let tail = &body[body.len().saturating_sub(8)..];
    tail.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

fn float(body: &[u8]) -> f64 {
    match *body {
        [a, b, c, d] => f32::from_be_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] => f64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => 0.0,
    }
}

#[derive(Default)]
struct Track {
    number: u64,
    codec: String,
    /// Duration of a frame in nanoseconds.
    frame: u64,
    pixels: (u64, u64),
    crop: (u64, u64),
    display: (u64, u64),
    has_alpha: bool,
    colours: ClipColours,
}

#[derive(Default)]
struct Found {
    is_matroska: bool,
    /// Nanoseconds per tick; 0 means the default.
    scale: u64,
    /// In ticks.
    duration: f64,
    video: Option<(Track, VideoCodec)>,
    audio: Option<AudioCodec>,
    frames: u64,
    cluster: u64,
    first: Option<u64>,
    last: u64,
}

impl Found {
    fn take(&mut self, element: Element<'_>) -> Result<()> {
        match element.id {
            EBML => {
                for inner in Elements::within(element.body) {
                    let inner = inner?;
                    if inner.id == DOC_TYPE {
                        self.is_matroska = inner.body != b"webm";
                    }
                }
            }
            INFO => {
                for inner in Elements::within(element.body) {
                    let inner = inner?;
                    match inner.id {
                        TIMESTAMP_SCALE => self.scale = number(inner.body),
                        DURATION => self.duration = float(inner.body),
                        _ => {}
                    }
                }
            }
            TRACKS => {
                for inner in Elements::within(element.body) {
                    let inner = inner?;
                    if inner.id == TRACK {
                        self.track(inner.body)?;
                    }
                }
            }
            CLUSTER_TIMESTAMP => self.cluster = number(element.body),
            SIMPLE_BLOCK | BLOCK => self.block(element.body)?,
            _ => {}
        }
        Ok(())
    }

    fn track(&mut self, body: &[u8]) -> Result<()> {
        let (mut track, mut kind) = (Track::default(), 0);
        for inner in Elements::within(body) {
            let inner = inner?;
            match inner.id {
                TRACK_NUMBER => track.number = number(inner.body),
                TRACK_TYPE => kind = number(inner.body),
                CODEC => track.codec = String::from_utf8_lossy(inner.body).into_owned(),
                DEFAULT_DURATION => track.frame = number(inner.body),
                VIDEO => track.picture(inner.body)?,
                _ => {}
            }
        }
        match kind {
            1 if self.video.is_none() => {
                let codec = match track.codec.trim_end_matches('\0') {
                    "V_VP8" => VideoCodec::Vp8,
                    "V_VP9" => VideoCodec::Vp9,
                    "V_AV1" => VideoCodec::Av1,
                    other => return Err(self.refuse(other)),
                };
                self.video = Some((track, codec));
            }
            2 if self.audio.is_none() => {
                self.audio = Some(match track.codec.trim_end_matches('\0') {
                    "A_OPUS" => AudioCodec::Opus,
                    "A_VORBIS" => AudioCodec::Vorbis,
                    codec if codec.starts_with("A_AAC") => AudioCodec::Aac,
                    "A_FLAC" => AudioCodec::Flac,
                    "A_MPEG/L3" => AudioCodec::Mp3,
                    _ => AudioCodec::Other,
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn refuse(&self, codec: &str) -> Error {
        let name = if self.is_matroska { "Matroska" } else { "WebM" };
        let shown: String = codec.chars().filter(|c| !c.is_control()).take(40).collect();
        Error::Unsupported(format!(
            "{name} files with pictures in the coding '{shown}' are not taken; those in VP8, VP9 \
             and AV1 are, and MP4 files with H.264 or HEVC"
        ))
    }

    /// Counts the frames of one block.
    fn block(&mut self, body: &[u8]) -> Result<()> {
        let Some((track, codec)) = &self.video else {
            return Ok(());
        };
        let mut reader = Fields::new(body);
        let mut head = || Some((size(&mut reader)??, reader.u16()?, reader.take(1)?[0]));
        let (number, time, flags) = head().ok_or_else(|| broken("a block is too short"))?;
        if number != track.number {
            return Ok(());
        }
        // A block may contain several frames; the count field is one less.
        let frames = match flags & 0x06 {
            0 => 1,
            _ => 1 + u64::from(*reader.bytes.first().unwrap_or(&0)),
        };
        // VP8 has hidden frames that are only used as references.
        let is_hidden = *codec == VideoCodec::Vp8
            && frames == 1
            && reader.bytes.first().is_some_and(|tag| tag & 0x10 == 0);
        if is_hidden {
            return Ok(());
        }
        self.frames += frames;
        let at = self
            .cluster
            .saturating_add_signed(time.cast_signed().into());
        self.first = Some(self.first.unwrap_or(at).min(at));
        self.last = self.last.max(at);
        Ok(())
    }

    fn clip(self) -> Result<Clip> {
        let Some((track, codec)) = self.video else {
            let name = if self.is_matroska { "Matroska" } else { "WebM" };
            return Err(Error::Unsupported(format!(
                "a {name} file without pictures is no clip that is taken"
            )));
        };
        if self.frames == 0 {
            return Err(broken("it has no frame"));
        }
        let scale = match self.scale {
            0 => 1_000_000,
            scale => scale,
        };
        let duration_ms = if self.duration.is_finite() && self.duration >= 1.0 {
            // Rounds down and saturates.
            (self.duration * scale as f64 / 1_000_000.0) as u64
        } else {
            let ticks = self.last.saturating_sub(self.first.unwrap_or(0));
            let length = ticks.saturating_mul(scale);
            let frame = match track.frame {
                0 => length.checked_div(self.frames - 1).unwrap_or(0),
                frame => frame,
            };
            millis(length.saturating_add(frame), 1_000_000_000)
        };
        let (width, height) = track.size()?;
        let picture = Picture {
            format: Format::Webm,
            width,
            height,
            orientation: Orientation::Normal,
            frames: self.frames,
            duration_ms,
            has_alpha: track.has_alpha && codec != VideoCodec::Av1,
            colours: track.colours,
        };
        Ok(Clip {
            facts: picture.facts(),
            video: codec,
            audio: self.audio,
            colours: track.colours,
        })
    }
}

impl Track {
    fn picture(&mut self, body: &[u8]) -> Result<()> {
        for inner in Elements::within(body) {
            let inner = inner?;
            let value = number(inner.body);
            match inner.id {
                PIXEL_WIDTH => self.pixels.0 = value,
                PIXEL_HEIGHT => self.pixels.1 = value,
                CROP_LEFT | CROP_RIGHT => self.crop.0 = self.crop.0.saturating_add(value),
                CROP_TOP | CROP_BOTTOM => self.crop.1 = self.crop.1.saturating_add(value),
                DISPLAY_WIDTH => self.display.0 = value,
                DISPLAY_HEIGHT => self.display.1 = value,
                ALPHA_MODE => self.has_alpha = value == 1,
                COLOUR => self.colours(inner.body)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn colours(&mut self, body: &[u8]) -> Result<()> {
        for inner in Elements::within(body) {
            let inner = inner?;
            let point = u8::try_from(number(inner.body)).unwrap_or(2);
            match inner.id {
                MATRIX => self.colours.matrix = point,
                TRANSFER => self.colours.transfer = point,
                PRIMARIES => self.colours.primaries = point,
                _ => {}
            }
        }
        Ok(())
    }

    /// The size as shown: the display size gives the shape of the pixels, in any unit.
    fn size(&self) -> Result<(u32, u32)> {
        let side = |pixels: u64, crop: u64| {
            let left = u32::try_from(pixels.saturating_sub(crop)).unwrap_or(u32::MAX);
            (left > 0).then_some(left)
        };
        let size = side(self.pixels.0, self.crop.0).zip(side(self.pixels.1, self.crop.1));
        let (width, height) = size.ok_or_else(|| {
            broken(format!(
                "its pictures are {}x{} pixels",
                self.pixels.0, self.pixels.1
            ))
        })?;
        let aspect = || {
            let across = u32::try_from(self.display.0.checked_mul(height.into())?).ok()?;
            let down = u32::try_from(self.display.1.checked_mul(width.into())?).ok()?;
            Some((across, down))
        };
        Ok(square(width, height, aspect().unwrap_or((1, 1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_marker_off() {
        let check = |bytes: &[u8], expected| {
            assert_eq!(size(&mut Fields::new(bytes)), expected, "{bytes:?}");
        };
        check(b"\x81", Some(Some(1)));
        check(b"\x40\x02", Some(Some(2)));
        check(b"\xff", Some(None));
        check(b"\x01\xff\xff\xff\xff\xff\xff\xff", Some(None));
        check(b"\x00", None);
        check(b"\x40", None);
    }

    fn inspect(source: &[u8]) -> Result<Clip> {
        super::inspect(source, &Control::new())
    }

    #[test]
    fn what_is_no_webm_is_refused_and_never_panics() {
        assert!(inspect(b"\x1a\x45\xdf\xa3").is_err());
        assert!(inspect(b"\x1a\x45\xdf\xa3\x84\x42\x82\x81x\x18\x53\x80\x67\xff").is_err());
        assert!(inspect(&[0x1a; 64]).is_err());
    }
}
