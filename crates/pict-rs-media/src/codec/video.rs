//! Clips: reads their containers. No frame is decoded here; a program extracts frames, and the
//! engine processes those as pictures.

mod boxes;
mod colours;
mod messages;
mod mp4;
mod webm;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use colours::ClipColours;
pub(crate) use messages::without_messages;

use crate::codec::interface::Codec;
use crate::{ColourModel, Control, Facts, Format, Orientation, Result};

/// The codec.
pub(crate) const CODEC: Codec = Codec {
    formats: &[Format::Mp4, Format::Webm],
    detect: |source| is_mp4(source) || webm::is_ebml(source),
    inspect: |source, _, control| clip(source, control).map(|clip| clip.facts),
    ..Codec::NONE
};

/// The codec of a clip's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VideoCodec {
    /// AV1.
    Av1,
    /// H.264, AVC.
    H264,
    /// H.265, HEVC.
    Hevc,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Av1 => "AV1",
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
        })
    }
}

/// The codec of a clip's sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AudioCodec {
    /// AAC, common on phones.
    Aac,
    /// FLAC.
    Flac,
    /// MP3.
    Mp3,
    /// Opus.
    Opus,
    /// Vorbis.
    Vorbis,
    /// Anything that browsers do not play: PCM, ALAC, AC-3, …
    Other,
}

/// The contents of a clip's container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clip {
    /// Sizes, frames, duration. The size is in square pixels, as shown by browsers.
    pub facts: Facts,
    /// The codec of the first video track; other tracks are ignored.
    pub video: VideoCodec,
    /// The codec of the first audio track; `None` for a silent clip.
    pub audio: Option<AudioCodec>,
    /// The colours declared by the container.
    pub colours: ClipColours,
}

/// Reads an MP4, QuickTime or WebM file. Tracks of subtitles, time codes, locations and other data
/// are skipped.
///
/// # Errors
/// [`crate::Error::Unsupported`] for codecs that no browser plays and for Matroska files that
/// contain more than WebM allows, [`crate::Error::Corrupt`] for broken containers,
/// [`crate::Error::Unrecognised`] when it is neither, [`crate::Error::Cancelled`] through
/// `control`.
pub(crate) fn clip(source: &[u8], control: &Control) -> Result<Clip> {
    if webm::is_ebml(source) {
        webm::inspect(source, control)
    } else if is_mp4(source) {
        mp4::inspect(source, control)
    } else {
        Err(crate::Error::Unrecognised)
    }
}

/// Whether it begins like an MP4 or QuickTime file. Pictures in such boxes (AVIF, HEIF) begin in
/// the same way and must be distinguished first, by their brands.
fn is_mp4(source: &[u8]) -> bool {
    // The first QuickTime files had no `ftyp`.
    const FIRST: [&[u8]; 6] = [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"];
    source.get(4..8).is_some_and(|kind| FIRST.contains(&kind))
}

/// What both containers provide.
struct Picture {
    format: Format,
    width: u32,
    height: u32,
    orientation: Orientation,
    frames: u64,
    duration_ms: u64,
    has_alpha: bool,
    colours: ClipColours,
}

impl Picture {
    fn facts(self) -> Facts {
        Facts {
            format: self.format,
            stored_width: self.width,
            stored_height: self.height,
            orientation: self.orientation,
            frames: u32::try_from(self.frames).unwrap_or(u32::MAX).max(1),
            duration_ms: Some(self.duration_ms),
            has_alpha: self.has_alpha,
            bits: if self.colours.is_hdr() { 16 } else { 8 },
            colour: ColourModel::Rgb,
            buffered: true,
            lossless: false,
            decoder_tables: 0,
        }
    }
}

/// Converts `count` units of 1/`scale` seconds to milliseconds.
fn millis(count: u64, scale: u64) -> u64 {
    if scale == 0 {
        return 0;
    }
    let millis = u128::from(count) * 1000 / u128::from(scale);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// The size in square pixels: the narrower side grows and nothing shrinks, as in browsers.
fn square(width: u32, height: u32, (across, down): (u32, u32)) -> (u32, u32) {
    if across == 0 || down == 0 || across == down {
        return (width, height);
    }
    let grow = |side: u32, by: u32, of: u32| {
        let grown = (u64::from(side) * u64::from(by) + u64::from(of) / 2) / u64::from(of);
        u32::try_from(grown).unwrap_or(u32::MAX)
    };
    if across > down {
        (grow(width, across, down), height)
    } else {
        (width, grow(height, down, across))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&[u8]; 3] = [
        include_bytes!("testdata/clip.mp4"),
        include_bytes!("testdata/clip-fragmented.mp4"),
        include_bytes!("testdata/clip.webm"),
    ];

    #[test]
    fn frames_and_duration_are_counted_without_decoding() {
        for (file, video) in FILES
            .iter()
            .zip([VideoCodec::H264, VideoCodec::H264, VideoCodec::Vp9])
        {
            let clip = clip(file, &Control::new()).expect("whole");
            assert_eq!((clip.video, clip.audio), (video, None));
            assert_eq!((clip.facts.width(), clip.facts.height()), (32, 32));
            assert_eq!(clip.facts.frames, 3);
            assert_eq!(clip.facts.duration_ms, Some(600));
        }
    }

    #[test]
    fn damage_anywhere_is_an_error_or_another_clip_and_never_a_panic() {
        for file in FILES {
            for length in 0..file.len() {
                let _ = clip(&file[..length], &Control::new());
            }
            let mut damaged = file.to_vec();
            for at in 0..file.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    damaged[at] = value;
                    let _ = clip(&damaged, &Control::new());
                }
                damaged[at] = file[at];
            }
        }
    }

    #[test]
    fn narrow_pixels_grow_and_nothing_shrinks() {
        assert_eq!(square(720, 576, (16, 11)), (1047, 576));
        assert_eq!(square(720, 480, (8, 9)), (720, 540));
        assert_eq!(square(64, 48, (1, 1)), (64, 48));
        assert_eq!(square(64, 48, (0, 7)), (64, 48));
        assert_eq!(square(u32::MAX, 1, (u32::MAX, 1)), (u32::MAX, 1));
    }

    #[test]
    fn a_scale_of_nothing_is_no_time() {
        assert_eq!(millis(5, 0), 0);
        assert_eq!(millis(u64::MAX, 1), u64::MAX);
        assert_eq!(millis(30_030, 30_000), 1001);
    }
}
