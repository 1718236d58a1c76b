//! Encodes canvases as an animated WebP.
//!
//! The container is written here; libwebp only encodes the box of each canvas that differs from
//! what is already shown ([`Difference`]). So only the shown canvas, the planes of one box and the
//! finished file are in memory.

use std::ops::ControlFlow;

use super::riff;
use super::still::{self, check_size};
use super::sys::{self, Config, Pixels, Planes};
use super::{Settings, chunk_header};
use crate::codec::difference::{BLOCK, Difference};
use crate::rows::{AnimationShape, Canvas, CanvasSink};
use crate::{Control, Error, Result};

/// Durations have 24 bits.
const MAX_DURATION_MS: u32 = (1 << 24) - 1;

/// Receives canvases.
pub(crate) struct AnimationEncoder {
    settings: Settings,
    animation: Option<Animation>,
    bytes: Vec<u8>,
}

impl AnimationEncoder {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            animation: None,
            bytes: Vec::new(),
        }
    }

    /// The file; only valid after `end`.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl CanvasSink for AnimationEncoder {
    fn begin(&mut self, shape: AnimationShape) -> Result<()> {
        check_size(shape.width, shape.height)?;
        self.animation = Some(Animation::new(shape, self.settings)?);
        Ok(())
    }

    fn canvas(&mut self, canvas: Canvas<'_>) -> Result<ControlFlow<()>> {
        let animation = self.animation.as_mut().ok_or_else(misused)?;
        if canvas.rgba.len() != animation.shown.len() {
            return Err(misused());
        }
        animation.add(&canvas)?;
        Ok(ControlFlow::Continue(()))
    }

    fn end(&mut self) -> Result<()> {
        let animation = self.animation.take().ok_or_else(misused)?;
        self.bytes = animation.finish()?;
        Ok(())
    }
}

struct Animation {
    shape: AnimationShape,
    config: Config,
    /// How much a channel may differ from what is shown before its block is encoded again.
    tolerance: u8,
    /// For every block, the pixels that were last encoded.
    shown: Vec<u8>,
    file: Vec<u8>,
    /// The position of the last frame's chunk in `file`.
    last_frame: Option<usize>,
    last_duration_ms: u32,
    has_alpha: bool,
}

impl Animation {
    fn new(shape: AnimationShape, settings: Settings) -> Result<Self> {
        let mut file = chunk_header(b"RIFF", 0);
        file.extend(b"WEBP");
        file.extend(riff::vp8x(riff::ANIMATION, shape.width, shape.height));
        file.extend(chunk_header(b"ANIM", 6));
        // The background colour, which browsers ignore.
        file.extend([0; 4]);
        let loop_count = u16::try_from(shape.loop_count).unwrap_or(u16::MAX);
        file.extend(loop_count.to_le_bytes());
        // Every frame costs as much as a large still.
        let config = still::config(settings, u64::MAX)?;
        Ok(Self {
            shape,
            tolerance: if settings.lossless {
                0
            } else {
                tolerance(config.quality)
            },
            config,
            shown: vec![0; shape.width as usize * shape.height as usize * 4],
            file,
            last_frame: None,
            last_duration_ms: 0,
            has_alpha: false,
        })
    }

    fn add(&mut self, canvas: &Canvas<'_>) -> Result<()> {
        let delay_ms = canvas.delay_ms.min(MAX_DURATION_MS);
        let (width, height) = (self.shape.width as usize, self.shape.height as usize);
        let difference = match self.last_frame {
            None => Difference::everything(width, height),
            Some(frame) => {
                let found =
                    Difference::between(&self.shown, canvas.rgba, width, height, self.tolerance);
                let together_ms = self.last_duration_ms + delay_ms;
                match found {
                    Some(difference) => difference,
                    None if together_ms <= MAX_DURATION_MS => {
                        self.set_duration(frame, together_ms);
                        return Ok(());
                    }
                    None => Difference::corner(width, height),
                }
            }
        };
        let blend = self.last_frame.is_some() && difference.can_blend(&self.shown, canvas.rgba);
        let encoded = if self.config.lossless == 1 {
            self.encode_lossless(canvas.rgba, &difference, blend)?
        } else {
            self.encode_lossy(canvas.rgba, &difference, blend)?
        };
        self.push_frame(&difference, blend, delay_ms, &encoded)?;
        difference.copy(canvas.rgba, &mut self.shown, blend);
        Ok(())
    }

    fn encode_lossless(
        &self,
        rgba: &[u8],
        difference: &Difference,
        blend: bool,
    ) -> Result<Vec<u8>> {
        let (width, height) = (difference.width(), difference.height());
        let mut argb = Vec::with_capacity(width * height);
        for y in difference.y..difference.y + height {
            let start = (y * self.shape.width as usize + difference.x) * 4;
            let (new, old) = (
                &rgba[start..][..width * 4],
                &self.shown[start..][..width * 4],
            );
            argb.extend(
                new.chunks_exact(4)
                    .zip(old.chunks_exact(4))
                    .map(|(new, old)| {
                        if blend && new == old {
                            return 0;
                        }
                        u32::from_be_bytes([new[3], new[0], new[1], new[2]])
                    }),
            );
        }
        sys::encode_argb(&self.config, width as u32, height as u32, &mut argb)
    }

    fn encode_lossy(&self, rgba: &[u8], difference: &Difference, blend: bool) -> Result<Vec<u8>> {
        let (width, height) = (difference.width(), difference.height());
        let mut planes = Planes::new(width as u32, height as u32)?;
        let masked = blend && difference.has_gaps();
        let opaque = !masked && (!self.shape.has_alpha || difference.is_opaque(rgba));
        let pixels = if opaque { Pixels::Rgb } else { Pixels::Rgba };
        let mut strip = Vec::with_capacity(width * 2 * BLOCK * pixels.channels());
        for top in (0..height).step_by(2 * BLOCK) {
            strip.clear();
            for y in top..height.min(top + 2 * BLOCK) {
                let y = difference.y + y;
                let start = (y * self.shape.width as usize + difference.x) * 4;
                let row = &rgba[start..][..width * 4];
                if opaque {
                    strip.extend(
                        row.chunks_exact(4)
                            .flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]),
                    );
                } else if blend {
                    let shown = &self.shown[start..][..width * 4];
                    difference.push_masked(y, row, shown, &mut strip);
                } else {
                    strip.extend_from_slice(row);
                }
            }
            planes.import(top, pixels, &strip)?;
        }
        planes.encode(&self.config)
    }

    /// Appends a frame with the picture in `encoded`, a whole WebP file.
    fn push_frame(
        &mut self,
        difference: &Difference,
        blend: bool,
        delay_ms: u32,
        encoded: &[u8],
    ) -> Result<()> {
        // It was just written and has one frame.
        let picture = riff::read(encoded, &Control::new())?;
        let riff::Content::Still(bitstream) = picture.content else {
            return Err(misused());
        };
        let start = self.file.len();
        let size: usize = bitstream
            .chunks()
            .map(|chunk| chunk.bytes().len().next_multiple_of(2))
            .sum();
        self.file
            .reserve(size + riff::CHUNK_HEADER + riff::FRAME_HEADER);
        self.file
            .extend(chunk_header(b"ANMF", size + riff::FRAME_HEADER));
        for field in [
            difference.x / 2,
            difference.y / 2,
            difference.width() - 1,
            difference.height() - 1,
        ] {
            self.file.extend(&(field as u32).to_le_bytes()[..3]);
        }
        self.file.extend([0, 0, 0, if blend { 0 } else { 2 }]);
        for chunk in bitstream.chunks() {
            self.file.extend_from_slice(chunk.bytes());
            if chunk.data.len() % 2 == 1 {
                self.file.push(0);
            }
        }
        self.has_alpha |= bitstream.has_alpha;
        self.last_frame = Some(start);
        self.set_duration(start, delay_ms);
        Ok(())
    }

    fn set_duration(&mut self, frame: usize, duration_ms: u32) {
        let at = frame + riff::CHUNK_HEADER + 12;
        self.file[at..at + 3].copy_from_slice(&duration_ms.to_le_bytes()[..3]);
        self.last_duration_ms = duration_ms;
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        if self.last_frame.is_none() {
            return Err(Error::Internal("an animation has no canvas".into()));
        }
        let size = u32::try_from(self.file.len() - riff::CHUNK_HEADER)
            .map_err(|_| Error::Unsupported("WebP files have at most 4 GiB".into()))?;
        self.file[4..8].copy_from_slice(&size.to_le_bytes());
        if self.has_alpha {
            self.file[riff::RIFF_HEADER + riff::CHUNK_HEADER] |= riff::ALPHA;
        }
        Ok(self.file)
    }
}

/// Differences that the quantiser would lose anyway: from 31 levels at quality 0 to one at 100.
fn tolerance(quality: f32) -> u8 {
    let fine = (quality / 100.0).sqrt();
    (31.0 * (1.0 - fine) + fine).round() as u8
}

fn misused() -> Error {
    Error::Internal("the WebP animation encoder was given canvases it did not ask for".into())
}
