//! Decodes AVIF: rows of a still, canvases of a sequence.

use super::{
    Opened,
    av1::Av1,
    container::Meta,
    corrupt,
    picture::{Grid, Picture},
    planes::{Level, Painter, Planes},
    properties::{Coding, Properties, Window},
    track::Sequence,
};
use crate::{
    Control, Facts, Result,
    rows::{AnimationShape, Canvas, CanvasSink, Layout, Row, RowSink, Shape},
};

/// Pushes the rows of the picture, or those of the first frame of a sequence. Neither turned nor
/// colour managed.
pub(crate) fn decode(
    source: &[u8],
    _facts: &Facts,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    let opened = super::open(source, control)?;
    let layout = opened.layout();
    let window = opened.window();
    let painter = painter(&opened, source, control)?;
    let shape = Shape {
        width: window.width,
        height: window.height,
        layout,
    };
    sink.begin(shape)?;
    if layout.is_16_bit() {
        push::<u16>(painter, shape, window, control, sink, |row| Row::U16(row))
    } else {
        push::<u8>(painter, shape, window, control, sink, |row| Row::U8(row))
    }
}

/// Decodes all parts of the picture.
fn painter(opened: &Opened<'_>, source: &[u8], control: &Control) -> Result<Painter> {
    match opened {
        Opened::Picture(meta, picture) => still(meta, picture, control),
        Opened::Sequence(sequence) => {
            let (mut colour, mut alpha) = decoders(sequence, control)?;
            let first = |track: &super::track::Track<'_>, av1: &mut Av1<'_>, luma_only| {
                let sample = track.samples(source).next();
                let range = sample.ok_or_else(|| corrupt("it has no frame"))??;
                av1.picture(&source[range], luma_only)
            };
            let planes = first(&sequence.colour, &mut colour, false)?;
            let alpha = match (&sequence.alpha, &mut alpha) {
                (Some(track), Some(av1)) => Some(first(track, av1, true)?),
                _ => None,
            };
            let said = sequence.colour.properties.nclx;
            Painter::new(planes, alpha, sequence.premultiplied, said)
        }
    }
}

fn push<O: Level>(
    mut painter: Painter,
    shape: Shape,
    window: Window,
    control: &Control,
    sink: &mut dyn RowSink,
    wrap: impl for<'a> Fn(&'a [O]) -> Row<'a>,
) -> Result<()> {
    let mut row = vec![O::default(); shape.row_len()];
    for y in 0..window.height {
        if y % 64 == 0 {
            control.check()?;
        }
        let (x, y) = (window.x as usize, (window.y + y) as usize);
        painter.row(x, y, shape.layout.channels(), &mut row);
        sink.row(wrap(&row))?;
    }
    drop(painter);
    sink.end()
}

fn still(meta: &Meta<'_>, picture: &Picture<'_>, control: &Control) -> Result<Painter> {
    let colour = grid(meta, &picture.colour, false, control)?;
    let alpha = match &picture.alpha {
        Some(alpha) => Some(grid(meta, alpha, true, control)?),
        None => None,
    };
    let said = picture.properties.nclx;
    Painter::new(colour, alpha, picture.premultiplied, said)
}

/// Decodes the cells one by one and combines them.
fn grid(meta: &Meta<'_>, grid: &Grid, luma_only: bool, control: &Control) -> Result<Planes> {
    let mut whole: Option<Planes> = None;
    let mut places = (0..grid.rows).flat_map(|y| (0..grid.columns).map(move |x| (x, y)));
    for id in &grid.cells {
        let said = Properties::read(meta.properties_of(*id));
        let mut av1 = Av1::new(grid.cell, &said, control)?;
        let cell = av1.picture(&meta.data(*id)?, luma_only)?;
        if grid.cells.len() == 1 && grid.size == grid.cell {
            return Ok(cell);
        }
        let (column, row) = places.next().unwrap_or_default();
        let whole = match &mut whole {
            Some(whole) => whole,
            none => none.insert(cell.blank(grid.size)?),
        };
        whole.paste(&cell, column * grid.cell.0, row * grid.cell.1)?;
    }
    whole.ok_or_else(|| corrupt("it has no picture"))
}

fn decoders<'c>(
    sequence: &Sequence<'_>,
    control: &'c Control,
) -> Result<(Av1<'c>, Option<Av1<'c>>)> {
    let decoder =
        |track: &super::track::Track<'_>| Av1::new(track.size, &track.properties, control);
    let alpha = sequence.alpha.as_ref().map(decoder).transpose()?;
    Ok((decoder(&sequence.colour)?, alpha))
}

/// Pushes the sequence, one canvas after another; memory does not grow with the number of frames.
pub(crate) fn decode_animation(
    source: &[u8],
    _facts: &Facts,
    control: &Control,
    sink: &mut dyn CanvasSink,
) -> Result<()> {
    let opened = super::open(source, control)?;
    let Opened::Sequence(sequence) = &opened else {
        return Err(crate::Error::Internal("a still is not a sequence".into()));
    };
    let window = opened.window();
    sink.begin(AnimationShape {
        width: window.width,
        height: window.height,
        loop_count: sequence.loop_count,
        has_alpha: sequence.alpha.is_some(),
    })?;
    let (mut colour, mut alpha) = decoders(sequence, control)?;
    let mut covers = sequence.alpha.as_ref().map(|track| track.samples(source));
    let row_len = window.width as usize * 4;
    let mut rgba = vec![0; row_len * window.height as usize];
    let samples = sequence.colour.samples(source);
    for (sample, delay_ms) in samples.zip(sequence.colour.delays()) {
        control.check()?;
        let planes = colour.picture(&source[sample?], false)?;
        let cover = match (&mut covers, &mut alpha) {
            (Some(covers), Some(alpha)) => {
                let sample = covers
                    .next()
                    .ok_or_else(|| corrupt("its alpha ends early"))?;
                Some(alpha.picture(&source[sample?], true)?)
            }
            _ => None,
        };
        let said = sequence.colour.properties.nclx;
        let mut painter = Painter::new(planes, cover, sequence.premultiplied, said)?;
        for (y, row) in rgba.chunks_exact_mut(row_len).enumerate() {
            painter.row(window.x as usize, window.y as usize + y, 4, row);
        }
        let canvas = Canvas {
            rgba: &rgba,
            delay_ms,
        };
        if sink.canvas(canvas)?.is_break() {
            break;
        }
    }
    sink.end()
}

impl Opened<'_> {
    pub(super) fn coding(&self) -> Coding {
        match self {
            Opened::Picture(_, picture) => picture.coding,
            Opened::Sequence(sequence) => sequence.colour.coding,
        }
    }

    /// There is no gray layout with more than 8 bits, and none with alpha.
    fn layout(&self) -> Layout {
        let coding = self.coding();
        match (coding.bits > 8, self.has_alpha(), coding.monochrome) {
            (false, true, _) => Layout::Rgba8,
            (false, false, true) => Layout::Gray8,
            (false, false, false) => Layout::Rgb8,
            (true, true, _) => Layout::Rgba16,
            (true, false, _) => Layout::Rgb16,
        }
    }
}
