//! Encodes a JPEG XL still.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jxl_encoder::{LosslessConfig, LosslessEncoder, LossyConfig, LossyEncoder, PixelLayout};

use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{Error, Result};

/// On the scale of [`distance`]; gives a score of 76 on the scale of SSIMULACRA2, where our other
/// formats get 75.
const DEFAULT_QUALITY: u8 = 73;

/// Photographs at 1024 px: effort 4 takes 40 ms, 5 takes 118 ms for 5 % fewer bytes at the same
/// score, 1 and 2 give 30 % larger files.
const EFFORT: u8 = 4;
const FAST_EFFORT: u8 = 3;

/// When lossless, more effort costs four times the time for 2 % of the bytes.
const LOSSLESS_EFFORT: u8 = 1;

/// The final stage: collects the picture, then writes a bare codestream. 16-bit samples are written
/// as such, alpha has 8 bits.
pub(crate) struct Encoder {
    quality: u8,
    fast: bool,
    layout: Layout,
    state: Option<State>,
    raw: Vec<u8>,
    bytes: Vec<u8>,
}

enum State {
    Lossy(Box<LossyEncoder>),
    Lossless(Box<LosslessEncoder>),
}

impl Encoder {
    /// Quality 0–100; 100 is lossless.
    pub(crate) fn new(quality: Option<u8>, fast: bool) -> Self {
        Self {
            quality: quality.unwrap_or(DEFAULT_QUALITY).min(100),
            fast,
            layout: Layout::Rgb8,
            state: None,
            raw: Vec::new(),
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
        let layout = match shape.layout {
            Layout::Gray8 => PixelLayout::Gray8,
            Layout::Rgb8 => PixelLayout::Rgb8,
            Layout::Rgba8 => PixelLayout::Rgba8,
            Layout::Rgb16 => PixelLayout::Rgb16,
            Layout::Rgba16 => PixelLayout::Rgba16,
            Layout::Cmyk8 => return Err(misused()),
        };
        let (width, height) = (shape.width, shape.height);
        self.layout = shape.layout;
        self.state = Some(if self.quality == 100 {
            let config = LosslessConfig::new().with_effort(LOSSLESS_EFFORT);
            let encoder = config.encoder(width, height, layout).map_err(failed)?;
            State::Lossless(Box::new(encoder))
        } else {
            let effort = if self.fast { FAST_EFFORT } else { EFFORT };
            let config = LossyConfig::new(distance(self.quality)).with_effort(effort);
            let encoder = config.encoder(width, height, layout).map_err(failed)?;
            State::Lossy(Box::new(encoder))
        });
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let bytes = match row {
            Row::U8(row) if !self.layout.is_16_bit() => row,
            Row::U16(row) if self.layout.is_16_bit() => {
                self.raw.clear();
                self.raw.extend(row.iter().flat_map(|v| v.to_ne_bytes()));
                &self.raw
            }
            _ => return Err(misused()),
        };
        match &mut self.state {
            Some(State::Lossy(encoder)) => encoder.push_rows(bytes, 1).map_err(failed),
            Some(State::Lossless(encoder)) => encoder.push_rows(bytes, 1).map_err(failed),
            None => Err(misused()),
        }
    }

    fn end(&mut self) -> Result<()> {
        let state = self.state.take().ok_or_else(misused)?;
        // It cannot be cancelled, and it is young enough to panic.
        let finished = catch_unwind(AssertUnwindSafe(|| match state {
            State::Lossy(encoder) => encoder.finish(),
            State::Lossless(encoder) => encoder.finish(),
        }));
        let panicked = |_| Error::Internal("the JPEG XL encoder panicked".into());
        self.bytes = finished.map_err(panicked)?.map_err(failed)?;
        Ok(())
    }
}

/// The distance that libjxl, and programs based on it, use for a quality below 100.
fn distance(quality: u8) -> f32 {
    let quality = f32::from(quality);
    if quality >= 30.0 {
        0.1 + (100.0 - quality) * 0.09
    } else {
        // Continuous with the line above at 30; ends at 25, the largest distance.
        53.0 / 3000.0 * quality * quality - 23.0 / 20.0 * quality + 25.0
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("JPEG XL encoder: {error}"))
}

fn misused() -> Error {
    Error::Internal("the JPEG XL encoder was given rows it did not ask for".into())
}
