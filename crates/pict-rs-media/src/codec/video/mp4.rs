//! MP4 and QuickTime: sample tables, and the fragments of streamed files.

use super::boxes::{boxes, broken, find, need};
use super::{AudioCodec, Clip, ClipColours, Picture, VideoCodec, millis, square};
use crate::codec::bmff::{Fields, endless};
use crate::{Control, Error, Format, Orientation, Result};

pub(super) fn inspect(source: &[u8], control: &Control) -> Result<Clip> {
    let mut movie = None;
    let mut fragments = Vec::new();
    for found in boxes(source) {
        control.check()?;
        let found = found?;
        match &found.kind {
            b"moov" if movie.is_none() => movie = Some(found.body),
            b"moof" => fragments.push(found.body),
            _ => {}
        }
    }
    let movie = movie.ok_or_else(|| broken("it has no moov: it ends too early"))?;
    let mut pictures = None;
    let mut sound = None;
    for found in boxes(movie) {
        control.check()?;
        let found = found?;
        if &found.kind != b"trak" {
            continue;
        }
        let media = need(found.body, b"mdia")?;
        match handler(media)? {
            b"vide" if pictures.is_none() => pictures = Some(Track::read(found.body, media)?),
            b"soun" if sound.is_none() => sound = audio(media)?,
            _ => {}
        }
    }
    let track = pictures.ok_or_else(|| {
        Error::Unsupported("an MP4 file without pictures is no clip that is taken".to_owned())
    })?;
    let streamed = streamed(movie, &fragments, track.id, control)?;
    let frames = track.samples.saturating_add(streamed.samples);
    if frames == 0 {
        return Err(broken("it has no frame"));
    }
    let duration = if streamed.samples > 0 {
        // In a fragmented file, the header's duration was written before there were samples.
        let told = if track.samples > 0 { track.duration } else { 0 };
        millis(told.saturating_add(streamed.duration), track.timescale)
    } else {
        match whole(movie)? {
            0 => millis(track.duration, track.timescale),
            told => told,
        }
    };
    let (width, height) = square(track.width, track.height, track.aspect);
    let picture = Picture {
        format: Format::Mp4,
        width,
        height,
        orientation: track.orientation,
        frames,
        duration_ms: duration,
        has_alpha: false,
        colours: track.colours,
    };
    Ok(Clip {
        facts: picture.facts(),
        video: track.codec,
        audio: sound,
        colours: track.colours,
    })
}

/// The type of a track. A track without a handler contains camera data.
fn handler(media: &[u8]) -> Result<&[u8]> {
    let handler = find(media, b"hdlr")?;
    Ok(handler.and_then(|body| body.get(8..12)).unwrap_or(b"none"))
}

/// The movie's duration in milliseconds; 0 if unknown.
fn whole(movie: &[u8]) -> Result<u64> {
    let read = |body| {
        let mut reader = Fields::new(body);
        let (version, _) = reader.full()?;
        reader.take(if version == 1 { 16 } else { 8 })?;
        let scale = reader.u32()?;
        let duration = reader.long(version)?;
        Some(if duration == endless(version) {
            0
        } else {
            millis(duration, scale.into())
        })
    };
    Ok(find(movie, b"mvhd")?.and_then(read).unwrap_or(0))
}

struct Track {
    id: u32,
    codec: VideoCodec,
    width: u32,
    height: u32,
    /// The aspect ratio of a pixel.
    aspect: (u32, u32),
    colours: ClipColours,
    orientation: Orientation,
    samples: u64,
    timescale: u64,
    /// In units of the time scale.
    duration: u64,
}

impl Track {
    fn read(track: &[u8], media: &[u8]) -> Result<Self> {
        let short = |what| move || broken(format!("its {what} is too short"));
        let (id, orientation) = header(need(track, b"tkhd")?).ok_or_else(short("tkhd"))?;
        let mut times = Fields::new(need(media, b"mdhd")?);
        let times = || -> Option<(u64, u64)> {
            let (version, _) = times.full()?;
            times.take(if version == 1 { 16 } else { 8 })?;
            Some((times.u32()?.into(), times.long(version)?))
        };
        let (timescale, duration) = { times }().ok_or_else(short("mdhd"))?;
        let table = need(need(media, b"minf")?, b"stbl")?;
        let entries = need(table, b"stsd")?;
        let entry = boxes(entries.get(8..).unwrap_or_default())
            .next()
            .ok_or_else(|| broken("a track does not say how it is coded"))??;
        let codec = match &entry.kind {
            b"avc1" | b"avc2" | b"avc3" | b"avc4" => VideoCodec::H264,
            b"hvc1" | b"hev1" => VideoCodec::Hevc,
            b"av01" => VideoCodec::Av1,
            b"vp09" => VideoCodec::Vp9,
            other => {
                return Err(Error::Unsupported(format!(
                    "MP4 files with pictures in the coding '{}' are not taken; those in H.264, \
                     HEVC, AV1 and VP9 are",
                    other.escape_ascii()
                )));
            }
        };
        let mut reader = Fields::new(entry.body);
        let size = || -> Option<(u32, u32)> {
            reader.take(24)?;
            Some((reader.u16()?.into(), reader.u16()?.into()))
        };
        let (width, height) = { size }().ok_or_else(short("stsd"))?;
        if width == 0 || height == 0 {
            return Err(broken(format!("its pictures are {width}x{height} pixels")));
        }
        // Some QuickTime entries end with bytes that are not a box.
        let part = |kind: &[u8; 4]| {
            let found = boxes(entry.body.get(78..)?).map_while(Result::ok);
            { found }.find(|part| &part.kind == kind)
        };
        let aspect = part(b"pasp").and_then(|part| {
            let mut reader = Fields::new(part.body);
            Some((reader.u32()?, reader.u32()?))
        });
        let colours = part(b"colr").and_then(|part| code_points(part.body));
        Ok(Self {
            id,
            codec,
            width,
            height,
            aspect: aspect.unwrap_or((1, 1)),
            colours: colours.unwrap_or_default(),
            orientation,
            samples: samples(table)?,
            timescale,
            duration,
        })
    }
}

/// The contents of a `colr` box: `nclc` is QuickTime's name for MP4's `nclx`.
fn code_points(body: &[u8]) -> Option<ClipColours> {
    let mut reader = Fields::new(body);
    if !matches!(reader.take(4)?, b"nclx" | b"nclc") {
        return None;
    }
    let mut point = || u8::try_from(reader.u16()?).ok();
    Some(ClipColours {
        primaries: point()?,
        transfer: point()?,
        matrix: point()?,
    })
}

/// The number of samples in the table of a track.
fn samples(table: &[u8]) -> Result<u64> {
    let count = |body: &[u8]| {
        let mut reader = Fields::new(body);
        reader.full()?;
        reader.u32()?;
        reader.u32()
    };
    let sizes = match find(table, b"stsz")? {
        Some(body) => Some(body),
        None => find(table, b"stz2")?,
    };
    let Some(body) = sizes else { return Ok(0) };
    let count = count(body).ok_or_else(|| broken("its table of samples is too short"))?;
    Ok(count.into())
}

/// Number and orientation of a track.
fn header(body: &[u8]) -> Option<(u32, Orientation)> {
    let mut reader = Fields::new(body);
    let (version, _) = reader.full()?;
    reader.take(if version == 1 { 16 } else { 8 })?;
    let id = reader.u32()?;
    reader.take(4)?;
    reader.long(version)?;
    reader.take(16)?;
    // Two rows of a matrix; only their signs matter for rotations by right angles.
    let mut number = || reader.u32().map(|bits| bits.cast_signed().signum());
    let (a, b, _) = (number()?, number()?, number()?);
    let (c, d) = (number()?, number()?);
    Some((id, turn(a, b, c, d)))
}

fn turn(a: i32, b: i32, c: i32, d: i32) -> Orientation {
    match (a, b, c, d) {
        (0, 1, -1, 0) => Orientation::Rotate90,
        (-1, 0, 0, -1) => Orientation::Rotate180,
        (0, -1, 1, 0) => Orientation::Rotate270,
        (-1, 0, 0, 1) => Orientation::FlipHorizontal,
        (1, 0, 0, -1) => Orientation::FlipVertical,
        (0, 1, 1, 0) => Orientation::Transpose,
        (0, -1, -1, 0) => Orientation::Transverse,
        _ => Orientation::Normal,
    }
}

fn audio(media: &[u8]) -> Result<Option<AudioCodec>> {
    let table = need(need(media, b"minf")?, b"stbl")?;
    let entries = need(table, b"stsd")?;
    let Some(entry) = boxes(entries.get(8..).unwrap_or_default()).next() else {
        return Ok(None);
    };
    Ok(Some(match &entry?.kind {
        b"mp4a" => AudioCodec::Aac,
        b"Opus" => AudioCodec::Opus,
        b"fLaC" => AudioCodec::Flac,
        b".mp3" => AudioCodec::Mp3,
        _ => AudioCodec::Other,
    }))
}

/// What a fragmented file has after its header.
#[derive(Default)]
struct Streamed {
    samples: u64,
    /// In units of the track's time scale.
    duration: u64,
}

fn streamed(movie: &[u8], fragments: &[&[u8]], track: u32, control: &Control) -> Result<Streamed> {
    let mut sum = Streamed::default();
    if fragments.is_empty() {
        return Ok(sum);
    }
    let usual = usual_duration(movie, track)?;
    for fragment in fragments {
        control.check()?;
        for found in boxes(fragment) {
            let found = found?;
            if &found.kind == b"traf" {
                add(found.body, track, usual, &mut sum)?;
            }
        }
    }
    Ok(sum)
}

/// The default duration of a sample, which its fragment may override.
fn usual_duration(movie: &[u8], track: u32) -> Result<u64> {
    let Some(extends) = find(movie, b"mvex")? else {
        return Ok(0);
    };
    for found in boxes(extends) {
        let found = found?;
        let mut reader = Fields::new(found.body);
        let mut read = || {
            reader.full()?;
            let id = reader.u32()?;
            reader.u32()?;
            Some((id, reader.u32()?))
        };
        if &found.kind == b"trex"
            && let Some((id, duration)) = read()
            && id == track
        {
            return Ok(duration.into());
        }
    }
    Ok(0)
}

fn add(fragment: &[u8], track: u32, usual: u64, sum: &mut Streamed) -> Result<()> {
    let mut reader = Fields::new(need(fragment, b"tfhd")?);
    let mut read = || {
        let (_, flags) = reader.full()?;
        let id = reader.u32()?;
        for (flag, size) in [(0x1, 8), (0x2, 4)] {
            reader.take(if flags & flag == 0 { 0 } else { size })?;
        }
        let duration = if flags & 0x8 == 0 {
            usual
        } else {
            reader.u32()?.into()
        };
        Some((id, duration))
    };
    let (id, usual) = read().ok_or_else(|| broken("its tfhd is too short"))?;
    if id != track {
        return Ok(());
    }
    for found in boxes(fragment) {
        let found = found?;
        if &found.kind == b"trun" {
            run(found.body, usual, sum).ok_or_else(|| broken("its trun is too short"))?;
        }
    }
    Ok(())
}

/// One run of samples. Its table is in the file, so its claimed size cannot exceed the file.
fn run(body: &[u8], usual: u64, sum: &mut Streamed) -> Option<()> {
    let mut reader = Fields::new(body);
    let (_, flags) = reader.full()?;
    let count = reader.u32()?;
    for flag in [0x1, 0x4] {
        reader.take(if flags & flag == 0 { 0 } else { 4 })?;
    }
    sum.samples = sum.samples.saturating_add(count.into());
    if flags & 0x100 == 0 {
        let duration = usual.saturating_mul(count.into());
        sum.duration = sum.duration.saturating_add(duration);
        return Some(());
    }
    let others = [0x200, 0x400, 0x800]
        .iter()
        .filter(|flag| flags & **flag != 0)
        .count();
    for _ in 0..count {
        sum.duration = sum.duration.saturating_add(reader.u32()?.into());
        reader.take(others * 4)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_costs_no_more_than_its_bytes() {
        let mut sum = Streamed::default();
        let huge = b"\0\0\x01\0\xff\xff\xff\xff\0\0\0\x05";
        assert!(run(huge, 0, &mut sum).is_none());
        let mut sum = Streamed::default();
        run(b"\0\0\0\0\xff\xff\xff\xff", u64::MAX, &mut sum).expect("whole");
        assert_eq!((sum.samples, sum.duration), (u64::from(u32::MAX), u64::MAX));
        let mut sum = Streamed::default();
        let two = b"\0\0\x03\x01\0\0\0\x02\0\0\0\0\0\0\0\x05SIZE\0\0\0\x07SIZE";
        run(two, 0, &mut sum).expect("whole");
        assert_eq!((sum.samples, sum.duration), (2, 12));
    }

    #[test]
    fn the_matrix_turns_as_players_do() {
        assert_eq!(turn(1, 0, 0, 1), Orientation::Normal);
        assert_eq!(turn(0, 1, -1, 0), Orientation::Rotate90);
        assert_eq!(turn(0, -1, 1, 0), Orientation::Rotate270);
        assert_eq!(turn(1, 1, 1, 1), Orientation::Normal);
    }
}
