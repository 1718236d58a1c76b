//! Encodes canvases as GIF: only the box that changed, only its changed pixels, and losslessly if
//! there are few enough colours.
//!
//! A frame is held back until the next canvas is known, because GIF can make pixels transparent
//! again only by the disposal of the previous frame.

use std::borrow::Cow;
use std::ops::ControlFlow;

use gif::{DisposalMethod, Encoder, Repeat};

use super::palette::{self, Indexed, Nearest, Palette, Pixels};
use crate::rows::{AnimationShape, Canvas, CanvasSink};
use crate::{Error, Result};

/// Pixels with at least this alpha are opaque.
const OPAQUE: u8 = 128;

/// How much a channel may differ from what is shown before a pixel is drawn again, in pictures that
/// have too many colours anyway.
const TOLERANCE: u8 = 3;

/// Receives canvases.
pub(crate) struct AnimationEncoder {
    fast: bool,
    animation: Option<Animation>,
    bytes: Vec<u8>,
}

impl AnimationEncoder {
    /// `fast` trades palette quality for time.
    pub(crate) fn new(fast: bool) -> Self {
        Self {
            fast,
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
        self.animation = Some(Animation::new(shape, self.fast)?);
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
    width: u16,
    height: u16,
    loop_count: u32,
    fast: bool,
    /// Created when the first frame is written, whose palette becomes the global one.
    encoder: Option<Encoder<Vec<u8>>>,
    global: Palette,
    /// The canvas that the pending frame will be drawn on: RGBA with alpha 0 or 255. Pixels that
    /// were kept although they differ slightly have the value that was drawn.
    shown: Vec<u8>,
    /// The canvas after the pending frame, in the same form.
    pending: Vec<u8>,
    /// Its delay in milliseconds; `None` before the first canvas.
    pending_delay_ms: Option<u64>,
    /// Milliseconds that rounding has added to or removed from the frames so far.
    owed_ms: i64,
    nearest: Nearest,
}

/// A part of the canvas, in pixels.
#[derive(Clone, Copy)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Animation {
    fn new(shape: AnimationShape, fast: bool) -> Result<Self> {
        let side = |pixels: u32| u16::try_from(pixels).ok().filter(|pixels| *pixels > 0);
        let (Some(width), Some(height)) = (side(shape.width), side(shape.height)) else {
            return Err(Error::Unsupported(format!(
                "GIF pictures have 1 to 65535 pixels on each side, this one would have {}×{}",
                shape.width, shape.height
            )));
        };
        let bytes = usize::from(width) * usize::from(height) * 4;
        Ok(Self {
            width,
            height,
            loop_count: shape.loop_count,
            fast,
            encoder: None,
            global: Palette::default(),
            shown: vec![0; bytes],
            pending: vec![0; bytes],
            pending_delay_ms: None,
            owed_ms: 0,
            nearest: Nearest::new(),
        })
    }

    fn add(&mut self, canvas: &Canvas<'_>) -> Result<()> {
        let delay_ms = u64::from(canvas.delay_ms);
        if let Some(pending_ms) = self.pending_delay_ms {
            if is_same(&self.pending, canvas.rgba) {
                self.pending_delay_ms = Some(pending_ms + delay_ms);
                return Ok(());
            }
            let erased = self.area_where(&self.pending, canvas.rgba, |pending, next| {
                pending[3] != 0 && next[3] < OPAQUE
            });
            self.write_pending(erased)?;
        }
        for (pending, next) in self
            .pending
            .chunks_exact_mut(4)
            .zip(canvas.rgba.chunks_exact(4))
        {
            pending.copy_from_slice(&thresholded(next));
        }
        self.pending_delay_ms = Some(delay_ms);
        Ok(())
    }

    /// Writes the pending frame. After it is shown, at least `erased` becomes transparent.
    fn write_pending(&mut self, erased: Option<Area>) -> Result<()> {
        let changed = self.area_where(&self.shown, &self.pending, |shown, pending| {
            shown != pending
        });
        // A frame must have a pixel, even if nothing has to be drawn.
        let mut area = changed.or(erased).unwrap_or(Area {
            left: 0,
            top: 0,
            right: 1,
            bottom: 1,
        });
        if let Some(erased) = erased {
            area = area.with(&erased);
        }
        let indexed = self.index(&area);
        self.write(&area, indexed, erased.is_some())?;
        if erased.is_some() {
            for row in area.rows(self.width) {
                self.shown[row].fill(0);
            }
        }
        Ok(())
    }

    /// Indices for an area of the pending canvas; copies what will be drawn into `shown`.
    fn index(&mut self, area: &Area) -> Indexed {
        let mut rgba = Vec::with_capacity(area.len() * 4);
        let mut drawn = Vec::with_capacity(area.len());
        let mut all_opaque = true;
        for row in area.rows(self.width) {
            let (pending, shown) = (&self.pending[row.clone()], &self.shown[row]);
            rgba.extend_from_slice(pending);
            for (pending, shown) in pending.chunks_exact(4).zip(shown.chunks_exact(4)) {
                drawn.push(pending != shown);
                all_opaque &= pending[3] != 0;
            }
        }
        let width = area.right - area.left;
        let pixels = Pixels {
            width,
            rgba: &rgba,
            drawn: &drawn,
        };
        let exact = palette::with_palette(&pixels, &self.global)
            .filter(|_| self.encoder.is_some())
            .or_else(|| palette::exact(&pixels));
        if let Some(indexed) = exact {
            self.take_over(area, &drawn);
            return indexed;
        }
        let everything = vec![true; drawn.len()];
        let pixels = Pixels {
            drawn: &everything,
            ..pixels
        };
        if let Some(indexed) = palette::exact(&pixels).filter(|_| all_opaque) {
            self.take_over(area, &everything);
            return indexed;
        }
        let mut drawn = Vec::with_capacity(drawn.len());
        for (row, pending) in area.rows(self.width).zip(rgba.chunks_exact(width * 4)) {
            let pairs = self.shown[row].chunks_exact(4).zip(pending.chunks_exact(4));
            drawn.extend(pairs.map(|(shown, pending)| differs(shown, pending)));
        }
        let pixels = Pixels {
            drawn: &drawn,
            ..pixels
        };
        // The slow search for colours gains 4 points of SSIMULACRA2 in a still, half a point in the
        // frames of an animation, and doubles the time of both.
        let fast = self.fast || self.encoder.is_some();
        let indexed = palette::quantised(&pixels, fast, &mut self.nearest);
        self.take_over(area, &drawn);
        indexed
    }

    fn take_over(&mut self, area: &Area, drawn: &[bool]) {
        let mut drawn = drawn.iter();
        for row in area.rows(self.width) {
            let pairs = self.shown[row.clone()]
                .chunks_exact_mut(4)
                .zip(self.pending[row].chunks_exact(4));
            for ((shown, pending), drawn) in pairs.zip(&mut drawn) {
                if *drawn {
                    shown.copy_from_slice(pending);
                }
            }
        }
    }

    fn write(&mut self, area: &Area, indexed: Indexed, erase: bool) -> Result<()> {
        let Indexed {
            palette,
            transparent,
            indices,
        } = indexed;
        let delay = self.delay();
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => {
                self.global = palette.clone();
                let mut encoder =
                    Encoder::new(Vec::new(), self.width, self.height, &palette.bytes(true))
                        .map_err(refused)?;
                encoder
                    .set_repeat(match self.loop_count {
                        0 => Repeat::Infinite,
                        // The file contains the number of repetitions; without it there are none.
                        plays => Repeat::Finite(u16::try_from(plays - 1).unwrap_or(u16::MAX)),
                    })
                    .map_err(refused)?;
                none.insert(encoder)
            }
        };
        let frame = gif::Frame {
            delay,
            dispose: if erase {
                DisposalMethod::Background
            } else {
                DisposalMethod::Keep
            },
            transparent,
            left: coordinate(area.left),
            top: coordinate(area.top),
            width: coordinate(area.right - area.left),
            height: coordinate(area.bottom - area.top),
            palette: (palette != self.global).then(|| palette.bytes(transparent.is_some())),
            buffer: Cow::Owned(indices),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).map_err(refused)
    }

    /// The pending frame's delay in hundredths of a second. Later frames compensate for rounding.
    fn delay(&mut self) -> u16 {
        let delay_ms = self.pending_delay_ms.unwrap_or(0);
        let wanted_ms = i64::try_from(delay_ms).unwrap_or(i64::MAX / 2) + self.owed_ms;
        // Browsers show delays below two hundredths for much longer.
        let shortest = if delay_ms > 10 { 2 } else { 0 };
        let hundredths = ((wanted_ms + 5).div_euclid(10)).clamp(shortest, u16::MAX.into());
        self.owed_ms = (wanted_ms - hundredths * 10).clamp(-1000, 1000);
        hundredths as u16
    }

    /// The smallest area with all pixels for which `condition` holds.
    fn area_where(
        &self,
        a: &[u8],
        b: &[u8],
        condition: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Option<Area> {
        let width = usize::from(self.width);
        let mut area: Option<Area> = None;
        let rows = a.chunks_exact(width * 4).zip(b.chunks_exact(width * 4));
        for (y, (a, b)) in rows.enumerate() {
            if a == b {
                continue;
            }
            let mut holds = a
                .chunks_exact(4)
                .zip(b.chunks_exact(4))
                .map(|(a, b)| condition(a, b));
            let Some(first) = holds.position(|holds| holds) else {
                continue;
            };
            let last = holds
                .rposition(|holds| holds)
                .map_or(first, |n| first + 1 + n);
            let row = Area {
                left: first,
                top: y,
                right: last + 1,
                bottom: y + 1,
            };
            area = Some(area.map_or(row, |area| area.with(&row)));
        }
        area
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        if self.pending_delay_ms.is_none() {
            return Err(Error::Internal("an animation has no canvas".into()));
        }
        self.write_pending(None)?;
        let encoder = self.encoder.ok_or_else(misused)?;
        encoder.into_inner().map_err(refused)
    }
}

impl Area {
    fn with(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    fn len(&self) -> usize {
        (self.right - self.left) * (self.bottom - self.top)
    }

    /// For each row, its byte range in a canvas of this width.
    fn rows(&self, width: u16) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let Self {
            left,
            top,
            right,
            bottom,
        } = *self;
        (top..bottom).map(move |y| {
            let start = y * usize::from(width);
            (start + left) * 4..(start + right) * 4
        })
    }
}

fn thresholded(pixel: &[u8]) -> [u8; 4] {
    if pixel[3] < OPAQUE {
        [0; 4]
    } else {
        [pixel[0], pixel[1], pixel[2], 255]
    }
}

/// Whether a canvas has the same pixels as the pending one.
fn is_same(pending: &[u8], next: &[u8]) -> bool {
    pending == next
        || pending
            .chunks_exact(4)
            .zip(next.chunks_exact(4))
            .all(|(pending, next)| pending == thresholded(next))
}

/// Whether a pixel differs too much from what is shown.
fn differs(shown: &[u8], pending: &[u8]) -> bool {
    shown[3] != pending[3]
        || shown
            .iter()
            .zip(pending)
            .any(|(shown, pending)| shown.abs_diff(*pending) > TOLERANCE)
}

fn coordinate(pixels: usize) -> u16 {
    u16::try_from(pixels).expect("areas lie on a canvas whose sides fit in 16 bits")
}

fn refused(error: gif::EncodingError) -> Error {
    Error::Internal(format!("the GIF encoder refused: {error}"))
}

fn misused() -> Error {
    Error::Internal("the GIF encoder was given canvases it did not ask for".into())
}
