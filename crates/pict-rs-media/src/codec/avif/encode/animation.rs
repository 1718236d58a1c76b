//! Encodes canvases as an animated AVIF, one at a time: only the planes of one canvas, the
//! encoder's references and the encoded data are in memory.

use std::ops::ControlFlow;

use super::av1::{Av1, Stream, Unit};
use super::boxes::{self, Size, Track};
use super::obu::{self, SequenceHeader};
use super::planes::{Frame, Planes};
use super::{Settings, check_size, misused};
use crate::rows::{AnimationShape, Canvas, CanvasSink, Layout};
use crate::{Error, Result};

/// An animation that is being encoded.
pub(crate) struct Canvases<A> {
    settings: Settings,
    animation: Option<Animation<A>>,
    bytes: Vec<u8>,
}

impl<A> Canvases<A> {
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

impl<A: Av1> CanvasSink for Canvases<A> {
    fn begin(&mut self, shape: AnimationShape) -> Result<()> {
        let size = check_size(shape.width, shape.height)?;
        self.animation = Some(Animation {
            settings: self.settings,
            size,
            loop_count: shape.loop_count,
            colour: Coder::new(&self.settings.colour(size, false, false))?,
            alpha: None,
            durations: Vec::new(),
        });
        Ok(())
    }

    fn canvas(&mut self, canvas: Canvas<'_>) -> Result<ControlFlow<()>> {
        self.animation.as_mut().ok_or_else(misused)?.add(&canvas)?;
        Ok(ControlFlow::Continue(()))
    }

    fn end(&mut self) -> Result<()> {
        self.bytes = self.animation.take().ok_or_else(misused)?.finish()?;
        Ok(())
    }
}

struct Animation<A> {
    settings: Settings,
    size: Size,
    loop_count: u32,
    colour: Coder<A>,
    /// Created with the first canvas that is not opaque.
    alpha: Option<Coder<A>>,
    durations: Vec<u32>,
}

impl<A: Av1> Animation<A> {
    fn add(&mut self, canvas: &Canvas<'_>) -> Result<()> {
        if canvas.rgba.len() != self.size.pixels() * 4 {
            return Err(misused());
        }
        let mut planes = Planes::new(self.size, false, false);
        planes.import(0, Layout::Rgba8, canvas.rgba)?;
        self.colour.add(&planes.colour())?;
        match planes.alpha() {
            Some(alpha) => self.add_alpha(&alpha)?,
            None if self.alpha.is_some() => self.add_alpha(&opaque(self.size).frame())?,
            None => {}
        }
        // Players do not show a picture without a duration.
        self.durations.push(canvas.delay_ms.max(1));
        Ok(())
    }

    fn add_alpha(&mut self, alpha: &Frame<'_>) -> Result<()> {
        if let Some(coder) = &mut self.alpha {
            return coder.add(alpha);
        }
        let mut coder = Coder::new(&self.settings.alpha(self.size, false))?;
        // Both tracks need a picture for each canvas. These cost a few bytes each.
        let before = opaque(self.size);
        for _ in &self.durations {
            coder.add(&before.frame())?;
        }
        coder.add(alpha)?;
        self.alpha = Some(coder);
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>> {
        let canvases = self.durations.len();
        let colour = self.colour.finish(canvases)?;
        let alpha = match self.alpha {
            Some(alpha) => Some(alpha.finish(canvases)?),
            None => None,
        };
        boxes::animation(
            self.size,
            self.loop_count,
            &self.durations,
            &colour,
            alpha.as_ref(),
        )
    }
}

/// A fully opaque plane of alpha.
struct Opaque {
    size: Size,
    samples: Vec<u8>,
}

fn opaque(size: Size) -> Opaque {
    Opaque {
        size,
        samples: vec![255; size.pixels()],
    }
}

impl Opaque {
    fn frame(&self) -> Frame<'_> {
        Frame {
            size: self.size,
            y: &self.samples,
            chroma: None,
        }
    }
}

/// An encoder and its output.
struct Coder<A> {
    encoder: A,
    monochrome: bool,
    units: Vec<Unit>,
    track: Option<Track>,
}

impl<A: Av1> Coder<A> {
    fn new(stream: &Stream) -> Result<Self> {
        Ok(Self {
            encoder: A::new(stream)?,
            monochrome: stream.monochrome,
            units: Vec::new(),
            track: None,
        })
    }

    fn add(&mut self, frame: &Frame<'_>) -> Result<()> {
        self.encoder.encode(frame, &mut self.units)?;
        self.collect()
    }

    fn collect(&mut self) -> Result<()> {
        for Unit { data, is_key } in self.units.drain(..) {
            let track = match &mut self.track {
                Some(track) => track,
                None => {
                    let header = SequenceHeader::find(&data, self.monochrome)?;
                    self.track.insert(Track::new(header))
                }
            };
            track.push(obu::without_delimiter(&data), is_key)?;
        }
        Ok(())
    }

    /// The track, which must have this number of pictures.
    fn finish(mut self, pictures: usize) -> Result<Track> {
        self.encoder.finish(&mut self.units)?;
        self.collect()?;
        match self.track {
            Some(track) if track.len() == pictures => Ok(track),
            track => Err(Error::Internal(format!(
                "an AV1 encoder made {} pictures of {pictures}",
                track.map_or(0, |track| track.len())
            ))),
        }
    }
}
