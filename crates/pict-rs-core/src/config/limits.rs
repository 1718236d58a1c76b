//! The limits and output settings of each kind of media.

use pict_rs_media::Foreign;
use pict_rs_media::limits::Limits;
use serde::{Deserialize, Serialize};

use super::{AnimationFormat, AudioCodec, ImageFormat, List, MediaConfig, VideoCodec, invalid};
use crate::Result;

/// Bytes in a MiB, which the settings call MB.
const MIB: u64 = 1024 * 1024;

/// The only value of `media.keep_metadata`.
const COPYRIGHT: &str = "copyright";

impl MediaConfig {
    /// Whether originals keep author and copyright.
    pub fn keeps_credits(&self) -> bool {
        self.keep_metadata.0.iter().any(|word| word == COPYRIGHT)
    }

    /// Refuses unknown values of `media.keep_metadata`.
    pub(super) fn validate_kept(&self) -> Result<()> {
        let mut words = self.keep_metadata.0.iter();
        words
            .find(|word| *word != COPYRIGHT)
            .map_or(Ok(()), |word| {
                Err(super::invalid(format!(
                    "media.keep_metadata: '{word}' cannot be kept; {COPYRIGHT} can"
                )))
            })
    }

    /// Refuses a quality outside its scale.
    pub(super) fn validate_quality(&self) -> Result<()> {
        let (image, animation, video) = (
            &self.image.quality,
            &self.animation.quality,
            &self.video.quality,
        );
        let scales = [
            ("image.quality.avif", image.avif, 100),
            ("image.quality.png", image.png, 100),
            ("image.quality.jpeg", image.jpeg, 100),
            ("image.quality.jxl", image.jxl, 100),
            ("image.quality.webp", image.webp, 100),
            ("animation.quality.apng", animation.apng, 100),
            ("animation.quality.avif", animation.avif, 100),
            ("animation.quality.webp", animation.webp, 100),
            ("video.quality.crf_max", Some(video.crf_max), 63),
            ("video.quality.crf_240", video.crf_240, 63),
            ("video.quality.crf_360", video.crf_360, 63),
            ("video.quality.crf_480", video.crf_480, 63),
            ("video.quality.crf_720", video.crf_720, 63),
            ("video.quality.crf_1080", video.crf_1080, 63),
            ("video.quality.crf_1440", video.crf_1440, 63),
            ("video.quality.crf_2160", video.crf_2160, 63),
        ];
        for (key, value, most) in scales {
            if let Some(value) = value.filter(|value| *value > most) {
                return Err(invalid(format!(
                    "media.{key} = {value}: expected a number from 0 to {most}"
                )));
            }
        }
        Ok(())
    }
}

/// `[media.magick]`: what ImageMagick is asked to read, and its limits.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct MagickConfig {
    /// The formats that are converted, named as in [`Foreign::key`].
    pub formats: List,
    /// Pixels.
    pub max_width: u32,
    /// Pixels.
    pub max_height: u32,
    /// Pixels held in memory.
    pub max_area: u64,
    /// MiB.
    pub memory: u64,
    /// MiB.
    pub map: u64,
    /// MiB.
    pub disk: u64,
}

impl Default for MagickConfig {
    fn default() -> Self {
        Self {
            // HEIF is left out: its library has had many exploited vulnerabilities.
            formats: List(
                Foreign::ALL
                    .into_iter()
                    .filter(|what| *what != Foreign::Heif)
                    .map(|what| what.key().to_owned())
                    .collect(),
            ),
            max_width: 10_000,
            max_height: 10_000,
            max_area: 20_000,
            memory: 256,
            map: 512,
            disk: 1024,
        }
    }
}

impl MagickConfig {
    /// Whether `media.magick.formats` lists this format.
    pub fn takes(&self, what: Foreign) -> bool {
        self.formats.0.iter().any(|format| format == what.key())
    }

    pub(super) fn validate_formats(&self) -> Result<()> {
        let known = Foreign::ALL.map(Foreign::key);
        let unknown = |format: &&String| !known.contains(&format.as_str());
        match self.formats.0.iter().find(unknown) {
            None => Ok(()),
            Some(format) => Err(invalid(format!(
                "media.magick.formats: '{format}' is not a format that ImageMagick is asked to \
                 read; there are {}",
                known.join(", ")
            ))),
        }
    }
}

/// `[media.image]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct ImageConfig {
    /// Pixels.
    pub max_width: u32,
    /// Pixels.
    pub max_height: u32,
    /// Pixels.
    pub max_area: u64,
    /// MiB.
    pub max_file_size: u64,
    /// Accept files with missing pixels or frames.
    pub accept_damaged: bool,
    /// Convert all stills to this at upload.
    pub format: Option<ImageFormat>,
    /// 0-100 for each output format.
    pub quality: ImageQuality,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            max_width: 10_000,
            max_height: 10_000,
            max_area: 40_000_000,
            max_file_size: 40,
            accept_damaged: false,
            format: None,
            quality: ImageQuality::default(),
        }
    }
}

impl ImageConfig {
    /// As the engine's limits.
    pub fn limits(&self) -> Limits {
        Limits {
            max_width: self.max_width,
            max_height: self.max_height,
            max_area: self.max_area,
            max_frame_count: 1,
            max_file_size: self.max_file_size.saturating_mul(MIB),
        }
    }
}

/// `[media.image.quality]`: 0-100, the codec's default when unset.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names say all")]
pub struct ImageQuality {
    pub avif: Option<u8>,
    pub png: Option<u8>,
    pub jpeg: Option<u8>,
    pub jxl: Option<u8>,
    pub webp: Option<u8>,
}

/// `[media.animation]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct AnimationConfig {
    /// Pixels.
    pub max_width: u32,
    /// Pixels.
    pub max_height: u32,
    /// Pixels of one frame.
    pub max_area: u64,
    /// Frames.
    pub max_frame_count: u32,
    /// MiB.
    pub max_file_size: u64,
    /// Convert all animations to this at upload.
    pub format: Option<AnimationFormat>,
    /// 0-100 for each output format.
    pub quality: AnimationQuality,
}

impl Default for AnimationConfig {
    fn default() -> Self {
        Self {
            max_width: 1920,
            max_height: 1920,
            max_area: 2_073_600,
            max_frame_count: 900,
            max_file_size: 40,
            format: None,
            quality: AnimationQuality::default(),
        }
    }
}

impl AnimationConfig {
    /// As the engine's limits.
    pub fn limits(&self) -> Limits {
        Limits {
            max_width: self.max_width,
            max_height: self.max_height,
            max_area: self.max_area,
            max_frame_count: self.max_frame_count,
            max_file_size: self.max_file_size.saturating_mul(MIB),
        }
    }
}

/// `[media.animation.quality]`: 0-100, the codec's default when unset.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names say all")]
pub struct AnimationQuality {
    pub apng: Option<u8>,
    pub avif: Option<u8>,
    pub webp: Option<u8>,
}

/// `[media.svg]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SvgConfig {
    /// Render SVG files and store the result as a picture.
    pub enable: bool,
}

/// `[media.video]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct VideoConfig {
    /// Accept videos at all.
    pub enable: bool,
    /// Keep sound.
    pub allow_audio: bool,
    /// Pixels.
    pub max_width: u32,
    /// Pixels.
    pub max_height: u32,
    /// Pixels of one frame.
    pub max_area: u64,
    /// Frames.
    pub max_frame_count: u32,
    /// MiB.
    pub max_file_size: u64,
    /// Re-encode to this.
    pub video_codec: Option<VideoCodec>,
    /// Re-encode sound to this.
    pub audio_codec: Option<AudioCodec>,
    /// Constant rate factors.
    pub quality: VideoQuality,
}

impl Default for VideoConfig {
    fn default() -> Self {
        Self {
            enable: true,
            allow_audio: false,
            max_width: 3840,
            max_height: 3840,
            max_area: 8_294_400,
            max_frame_count: 900,
            max_file_size: 40,
            video_codec: None,
            audio_codec: None,
            quality: VideoQuality::default(),
        }
    }
}

impl VideoConfig {
    /// As the engine's limits.
    pub fn limits(&self) -> Limits {
        Limits {
            max_width: self.max_width,
            max_height: self.max_height,
            max_area: self.max_area,
            max_frame_count: self.max_frame_count,
            max_file_size: self.max_file_size.saturating_mul(MIB),
        }
    }
}

/// `[media.video.quality]`: constant rate factor 0-63 by the smaller side.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names say all")]
pub struct VideoQuality {
    pub crf_max: u8,
    pub crf_240: Option<u8>,
    pub crf_360: Option<u8>,
    pub crf_480: Option<u8>,
    pub crf_720: Option<u8>,
    pub crf_1080: Option<u8>,
    pub crf_1440: Option<u8>,
    pub crf_2160: Option<u8>,
}

impl Default for VideoQuality {
    fn default() -> Self {
        Self {
            crf_max: 32,
            crf_240: None,
            crf_360: None,
            crf_480: None,
            crf_720: None,
            crf_1080: None,
            crf_1440: None,
            crf_2160: None,
        }
    }
}
