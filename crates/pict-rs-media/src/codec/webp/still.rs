//! Encodes rows as a still WebP. Lossy pictures are stored as VP8's own planes (1.5 bytes a pixel,
//! one more for alpha), lossless ones at four bytes a pixel.

use super::Settings;
use super::sys::{self, Config, Pixels, Planes};
use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{Error, Result};

/// Rows that are converted at a time; even, because two rows share their chroma.
const STRIP: usize = 16;

/// Receives `Gray8`, `Rgb8` or `Rgba8` rows of an sRGB picture.
pub(crate) struct Encoder {
    settings: Settings,
    picture: Option<Picture>,
    bytes: Vec<u8>,
}

struct Picture {
    shape: Shape,
    samples: Samples,
}

enum Samples {
    Lossy {
        planes: Planes,
        /// Rows that are not converted yet.
        strip: Vec<u8>,
        pixels: Pixels,
        converted: usize,
    },
    Lossless {
        argb: Vec<u32>,
    },
}

impl Encoder {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            picture: None,
            bytes: Vec::new(),
        }
    }

    /// The file; only valid after `end`.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl RowSink for Encoder {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        check_size(shape.width, shape.height)?;
        let samples = if self.settings.lossless {
            Samples::Lossless {
                argb: Vec::with_capacity(shape.width as usize * shape.height as usize),
            }
        } else {
            let pixels = match shape.layout {
                Layout::Rgba8 => Pixels::Rgba,
                _ => Pixels::Rgb,
            };
            Samples::Lossy {
                planes: Planes::new(shape.width, shape.height)?,
                strip: Vec::with_capacity(STRIP * shape.width as usize * pixels.channels()),
                pixels,
                converted: 0,
            }
        };
        self.picture = Some(Picture { shape, samples });
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let (Some(picture), Row::U8(row)) = (&mut self.picture, row) else {
            return Err(misused());
        };
        let layout = picture.shape.layout;
        match &mut picture.samples {
            Samples::Lossless { argb } => push_argb(argb, layout, row)?,
            Samples::Lossy {
                planes,
                strip,
                pixels,
                converted,
            } => {
                match layout {
                    Layout::Gray8 => strip.extend(row.iter().flat_map(|gray| [*gray; 3])),
                    Layout::Rgb8 | Layout::Rgba8 => strip.extend_from_slice(row),
                    _ => return Err(misused()),
                }
                if strip.len() == strip_len(picture.shape.width, *pixels) {
                    planes.import(*converted, *pixels, strip)?;
                    *converted += STRIP;
                    strip.clear();
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(picture) = self.picture.take() else {
            return Err(misused());
        };
        let Shape { width, height, .. } = picture.shape;
        let config = config(self.settings, u64::from(width) * u64::from(height))?;
        self.bytes = match picture.samples {
            Samples::Lossless { mut argb } => sys::encode_argb(&config, width, height, &mut argb)?,
            Samples::Lossy {
                mut planes,
                strip,
                pixels,
                converted,
            } => {
                if !strip.is_empty() {
                    planes.import(converted, pixels, &strip)?;
                }
                planes.encode(&config)?
            }
        };
        Ok(())
    }
}

/// On libwebp's scale.
const DEFAULT_QUALITY: u8 = 80;

/// Stills with at most this many pixels get libwebp's full search.
const SMALL: u64 = 1 << 19;

/// libwebp's configuration for a picture of `pixels` pixels.
///
/// Over eight photographs at 1024 px, methods 1, 2 and 4 take 13, 17 and 43 ms, and 18, 4 and 0 %
/// more bytes than method 4 for the same SSIMULACRA2 score. So method 2 is the default; small
/// pictures, whose cost is mostly decoding their large originals, get method 4.
pub(super) fn config(settings: Settings, pixels: u64) -> Result<Config> {
    let mut config = sys::config()?;
    config.thread_level = 0;
    if settings.lossless {
        config.lossless = 1;
        // For lossless pictures this is effort, not quality. More is 3 % smaller in twice the time;
        // less is 14 % larger in a sixth of it.
        (config.method, config.quality) = if settings.fast { (0, 0.0) } else { (2, 25.0) };
        return Ok(config);
    }
    config.quality = f32::from(settings.quality.unwrap_or(DEFAULT_QUALITY).min(100));
    if settings.fast || pixels > SMALL {
        config.method = 2;
        // Saves 1 % of the bytes with this method, nothing with the slower ones.
        config.filter_strength = 80;
    } else {
        config.method = 4;
    }
    Ok(config)
}

/// # Errors
/// [`Error::Unsupported`] for sizes that the format cannot represent.
pub(super) fn check_size(width: u32, height: u32) -> Result<()> {
    if width.max(height) <= sys::MAX_SIZE && width > 0 && height > 0 {
        return Ok(());
    }
    Err(Error::Unsupported(format!(
        "WebP pictures have 1 to {} pixels on each side, this one would have {width}×{height}",
        sys::MAX_SIZE
    )))
}

fn strip_len(width: u32, pixels: Pixels) -> usize {
    STRIP * width as usize * pixels.channels()
}

fn push_argb(argb: &mut Vec<u32>, layout: Layout, row: &[u8]) -> Result<()> {
    let pixel = |a, r, g, b| u32::from_be_bytes([a, r, g, b]);
    match layout {
        Layout::Gray8 => argb.extend(row.iter().map(|gray| pixel(255, *gray, *gray, *gray))),
        Layout::Rgb8 => argb.extend(
            row.chunks_exact(3)
                .map(|rgb| pixel(255, rgb[0], rgb[1], rgb[2])),
        ),
        Layout::Rgba8 => argb.extend(
            row.chunks_exact(4)
                .map(|rgba| pixel(rgba[3], rgba[0], rgba[1], rgba[2])),
        ),
        _ => return Err(misused()),
    }
    Ok(())
}

fn misused() -> Error {
    Error::Internal("the WebP encoder was given rows it did not ask for".into())
}
