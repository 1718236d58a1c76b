//! Writes PNG, row by row.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use png::{BitDepth, ColorType, DeflateCompression, Filter, SrgbRenderingIntent, StreamWriter};

use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{Error, Result};

/// Bytes of one `IDAT` chunk.
const CHUNK: usize = 64 << 10;

/// Receives rows of any layout but `Cmyk8`, sRGB by default.
pub(crate) struct Encoder {
    fast: bool,
    /// Whether the file declares its colours as sRGB.
    says_srgb: bool,
    bytes: Output,
    writer: Option<StreamWriter<'static, Output>>,
    /// One row of 16-bit samples in the file's byte order.
    swapped: Vec<u8>,
}

impl Encoder {
    /// `fast` trades bytes for time.
    pub(crate) fn new(fast: bool) -> Self {
        Self {
            fast,
            says_srgb: true,
            bytes: Output::default(),
            writer: None,
            swapped: Vec::new(),
        }
    }

    /// Omits the declaration of colours, for a file that gets other colour chunks.
    pub(crate) fn without_colours(mut self) -> Self {
        self.says_srgb = false;
        self
    }

    /// The file; only valid after `end`.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes.0.take()
    }
}

impl RowSink for Encoder {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        let (colour, depth) = match shape.layout {
            Layout::Gray8 => (ColorType::Grayscale, BitDepth::Eight),
            Layout::Rgb8 => (ColorType::Rgb, BitDepth::Eight),
            Layout::Rgba8 => (ColorType::Rgba, BitDepth::Eight),
            Layout::Rgb16 => (ColorType::Rgb, BitDepth::Sixteen),
            Layout::Rgba16 => (ColorType::Rgba, BitDepth::Sixteen),
            Layout::Cmyk8 => return Err(Error::Internal("PNG has no inks".into())),
        };
        let mut encoder = png::Encoder::new(self.bytes.clone(), shape.width, shape.height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if self.says_srgb {
            encoder.set_source_srgb(SrgbRenderingIntent::Perceptual);
        }
        configure(&mut encoder, self.fast);
        let writer = encoder.write_header().map_err(internal)?;
        self.writer = Some(
            writer
                .into_stream_writer_with_size(CHUNK)
                .map_err(internal)?,
        );
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let writer = self
            .writer
            .as_mut()
            .ok_or_else(|| Error::Internal("the PNG encoder was not begun".into()))?;
        let bytes = match row {
            Row::U8(row) => row,
            Row::U16(row) => {
                self.swapped.clear();
                self.swapped
                    .extend(row.iter().flat_map(|s| s.to_be_bytes()));
                &self.swapped
            }
        };
        writer.write_all(bytes).map_err(internal)
    }

    fn end(&mut self) -> Result<()> {
        match self.writer.take() {
            Some(writer) => writer.finish().map_err(internal),
            None => Err(Error::Internal("the PNG encoder was not begun".into())),
        }
    }
}

/// The effort of the encoder.
pub(super) fn configure<W: Write>(encoder: &mut png::Encoder<'_, W>, fast: bool) {
    // Photographs of 1024 pixels, and a screen full of text: 1688, 896 and 315 kB in
    // about 70, 40 and 21 ms. Level 6 gains 0 to 5 % for up to three times the time.
    // `fast`: 2001, 852 and 725 kB in 11, 5 and 3 ms.
    let (compression, filter) = if fast {
        (DeflateCompression::FdeflateUltraFast, Filter::Paeth)
    } else {
        (DeflateCompression::Level(4), Filter::Adaptive)
    };
    encoder.set_deflate_compression(compression);
    encoder.set_filter(filter);
}

/// The stream writer owns its output, so the bytes are shared with it.
#[derive(Clone, Default)]
struct Output(Rc<RefCell<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}
