//! Encodes rows and canvases as AVIF.
//!
//! Colours become planes of 4:2:0 ([`planes`]), an AV1 encoder encodes them ([`Av1`]), and
//! [`boxes`] writes the file. Alpha is a separate monochrome picture, not premultiplied. The
//! encoder is chosen when the crate is built: libaom with the feature `libaom`, else rav1e, which
//! needs no C. Start reading at [`Still`].

mod animation;
#[cfg(feature = "libaom")]
mod aom;
mod av1;
mod boxes;
pub(super) mod obu;
mod planes;
#[cfg(any(test, not(feature = "libaom")))]
mod rav1e;
#[cfg(test)]
mod tests;

use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{Error, Result};

use av1::{Av1, Stream};
use boxes::{Picture, Size};
use obu::SequenceHeader;
use planes::{Frame, Planes};

#[cfg(feature = "libaom")]
use aom::Aom as Chosen;
#[cfg(not(feature = "libaom"))]
use rav1e::Rav1e as Chosen;

/// Receives `Gray8`, `Rgb8` or `Rgba8` rows of an sRGB picture.
pub(crate) type Encoder = Still<Chosen>;

/// Receives canvases.
pub(crate) type AnimationEncoder = animation::Canvases<Chosen>;

/// Options of the encoder. There is only one speed: libaom's fastest is also the best at equal
/// score, and rav1e is slow enough as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// 0-100; the default when unset.
    pub(crate) quality: Option<u8>,
}

/// SSIMULACRA2 75 for photographs at 1024 px.
const DEFAULT_QUALITY: u8 = 75;

/// AV1 allows one more; both encoders and the boxes stop here.
const MAX_SIZE: u32 = 65_535;

impl Settings {
    fn colour_quality(self) -> u8 {
        self.quality.unwrap_or(DEFAULT_QUALITY).min(100)
    }

    /// Artefacts at edges of alpha are more visible than in colours, and avoiding them costs
    /// little.
    fn alpha_quality(self) -> u8 {
        50 + self.colour_quality() / 2
    }

    fn colour(self, size: Size, monochrome: bool, single: bool) -> Stream {
        Stream {
            size,
            monochrome,
            single,
            // Chromium treats every animation as limited range.
            full_range: single,
            quality: self.colour_quality(),
        }
    }

    fn alpha(self, size: Size, single: bool) -> Stream {
        Stream {
            quality: self.alpha_quality(),
            full_range: true,
            ..self.colour(size, true, single)
        }
    }
}

/// A still picture that is being encoded.
pub(crate) struct Still<A> {
    settings: Settings,
    picture: Option<Rows>,
    bytes: Vec<u8>,
    encoder: std::marker::PhantomData<A>,
}

struct Rows {
    shape: Shape,
    planes: Planes,
    /// Rows that are not converted yet.
    strip: Vec<u8>,
    converted: usize,
}

/// Rows that are converted at a time; even, because two rows share their chroma.
const STRIP: usize = 16;

impl<A> Still<A> {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            picture: None,
            bytes: Vec::new(),
            encoder: std::marker::PhantomData,
        }
    }

    /// The file; only valid after `end`.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl<A: Av1> RowSink for Still<A> {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        let size = check_size(shape.width, shape.height)?;
        let is_gray = match shape.layout {
            Layout::Gray8 => true,
            Layout::Rgb8 | Layout::Rgba8 => false,
            _ => return Err(misused()),
        };
        self.picture = Some(Rows {
            shape,
            planes: Planes::new(size, is_gray, true),
            strip: Vec::with_capacity(STRIP * shape.row_len()),
            converted: 0,
        });
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let (Some(rows), Row::U8(row)) = (&mut self.picture, row) else {
            return Err(misused());
        };
        rows.strip.extend_from_slice(row);
        if rows.strip.len() == STRIP * rows.shape.row_len() {
            rows.convert()?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let mut rows = self.picture.take().ok_or_else(misused)?;
        rows.convert()?;
        if rows.converted != rows.shape.height as usize {
            return Err(misused());
        }
        let Rows { planes, strip, .. } = rows;
        drop(strip);
        let (size, monochrome) = (planes.size(), planes.is_gray());
        let stream = self.settings.colour(size, monochrome, true);
        let colour = picture::<A>(&stream, &planes.colour())?;
        let alpha = match planes.alpha() {
            Some(alpha) => Some(picture::<A>(&self.settings.alpha(size, true), &alpha)?),
            None => None,
        };
        drop(planes);
        self.bytes = boxes::still(size, &colour, alpha.as_ref())?;
        Ok(())
    }
}

impl Rows {
    fn convert(&mut self) -> Result<()> {
        let rows = self.strip.len() / self.shape.row_len();
        if rows > 0 {
            self.planes
                .import(self.converted, self.shape.layout, &self.strip)?;
            self.converted += rows;
            self.strip.clear();
        }
        Ok(())
    }
}

/// Encodes the only picture of a stream.
fn picture<A: Av1>(stream: &Stream, frame: &Frame<'_>) -> Result<Picture> {
    let mut units = Vec::new();
    let mut encoder = A::new(stream)?;
    encoder.encode(frame, &mut units)?;
    encoder.finish(&mut units)?;
    let [unit] = &mut units[..] else {
        return Err(Error::Internal(format!(
            "an AV1 encoder made {} pictures of one",
            units.len()
        )));
    };
    let data = obu::without_delimiter(&unit.data).to_vec();
    let header = SequenceHeader::find(&data, stream.monochrome)?;
    Ok(Picture { data, header })
}

/// # Errors
/// [`Error::Unsupported`] for sizes that the format cannot represent.
fn check_size(width: u32, height: u32) -> Result<Size> {
    if width.max(height) <= MAX_SIZE && width > 0 && height > 0 {
        return Ok(Size { width, height });
    }
    Err(Error::Unsupported(format!(
        "AVIF pictures have 1 to {MAX_SIZE} pixels on each side, \
         this one would have {width}×{height}"
    )))
}

fn misused() -> Error {
    Error::Internal("the AVIF encoder was given pixels it did not ask for".into())
}
