//! A picture of which some pixels are missing: collected whole, cropped to the known part, and
//! written with transparency for the rest.

use crate::rows::{Layout, Row, RowSink, Shape};
use crate::{Control, Error, Result};

/// RGBA, with 8 or 16 bits.
#[derive(Default)]
pub(crate) struct Partial {
    width: usize,
    height: usize,
    samples: Samples,
}

enum Samples {
    Narrow(Vec<[u8; 4]>),
    Wide(Vec<[u16; 4]>),
}

impl Default for Samples {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl Partial {
    /// From pixels with 8 bits, row by row from the top.
    pub(crate) fn new(width: usize, height: usize, pixels: Vec<[u8; 4]>) -> Self {
        Self {
            width,
            height,
            samples: Samples::Narrow(pixels),
        }
    }

    /// For each pixel, given as column and row, `source` returns the position whose colour it gets:
    /// its own, that of a known neighbour, or none. Neighbours must come before it.
    pub(crate) fn fill(&mut self, source: impl Fn(usize, usize) -> Option<(usize, usize)>) {
        let width = self.width;
        for y in 0..self.height {
            for x in 0..width {
                let at = y * width + x;
                let from = source(x, y).map(|(x, y)| y * width + x);
                match &mut self.samples {
                    Samples::Narrow(pixels) => {
                        pixels[at] = from.map_or([0; 4], |from| pixels[from]);
                    }
                    Samples::Wide(pixels) => {
                        pixels[at] = from.map_or([0; 4], |from| pixels[from]);
                    }
                }
            }
        }
    }

    /// Drops all rows outside `known`.
    pub(crate) fn keep_rows(&mut self, known: std::ops::Range<usize>) {
        self.fill(|x, y| known.contains(&y).then_some((x, y)));
    }

    /// How many rows from the top equal those of `other`.
    pub(crate) fn same_rows(&self, other: &Self) -> usize {
        fn count<P: PartialEq>(a: &[P], b: &[P], width: usize) -> usize {
            let rows = a.chunks_exact(width).zip(b.chunks_exact(width));
            rows.take_while(|(a, b)| a == b).count()
        }
        match (&self.samples, &other.samples) {
            _ if self.width == 0 || self.width != other.width => 0,
            (Samples::Narrow(a), Samples::Narrow(b)) => count(a, b, self.width),
            (Samples::Wide(a), Samples::Wide(b)) => count(a, b, self.width),
            _ => 0,
        }
    }

    /// Pushes the picture to `sink`.
    pub(crate) fn write(&self, control: &Control, sink: &mut dyn RowSink) -> Result<()> {
        let side = |side: usize| u32::try_from(side).map_err(|_| misused());
        sink.begin(Shape {
            width: side(self.width)?,
            height: side(self.height)?,
            layout: match self.samples {
                Samples::Narrow(_) => Layout::Rgba8,
                Samples::Wide(_) => Layout::Rgba16,
            },
        })?;
        for y in 0..self.height {
            control.check()?;
            let row = y * self.width..(y + 1) * self.width;
            match &self.samples {
                Samples::Narrow(pixels) => sink.row(Row::U8(pixels[row].as_flattened()))?,
                Samples::Wide(pixels) => sink.row(Row::U16(pixels[row].as_flattened()))?,
            }
        }
        sink.end()
    }
}

/// Converts samples to RGBA.
fn spread<S: Copy>(layout: Layout, row: &[S], opaque: S, pixels: &mut Vec<[S; 4]>) -> Result<()> {
    match layout.channels() {
        1 => pixels.extend(row.iter().map(|gray| [*gray, *gray, *gray, opaque])),
        3 => pixels.extend(row.chunks_exact(3).map(|p| [p[0], p[1], p[2], opaque])),
        4 if layout.has_alpha() => {
            pixels.extend(row.chunks_exact(4).map(|p| [p[0], p[1], p[2], p[3]]));
        }
        _ => return Err(misused()),
    }
    Ok(())
}

fn misused() -> Error {
    Error::Internal("a partial picture was misused".into())
}

/// A sink that collects a picture.
pub(crate) struct Collector {
    layout: Layout,
    partial: Partial,
}

impl Collector {
    pub(crate) fn new() -> Self {
        Self {
            layout: Layout::Rgb8,
            partial: Partial::default(),
        }
    }

    pub(crate) fn into_partial(self) -> Partial {
        self.partial
    }
}

impl RowSink for Collector {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        self.layout = shape.layout;
        let (width, height) = (shape.width as usize, shape.height as usize);
        let count = width * height;
        self.partial = Partial {
            width,
            height,
            samples: if shape.layout.is_16_bit() {
                Samples::Wide(Vec::with_capacity(count))
            } else {
                Samples::Narrow(Vec::with_capacity(count))
            },
        };
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        match (row, &mut self.partial.samples) {
            (Row::U8(row), Samples::Narrow(pixels)) => spread(self.layout, row, u8::MAX, pixels),
            (Row::U16(row), Samples::Wide(pixels)) => spread(self.layout, row, u16::MAX, pixels),
            _ => Err(misused()),
        }
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::testing::Collected;

    #[test]
    fn what_is_not_known_is_transparent_or_its_neighbours() {
        let mut collector = Collector::new();
        collector
            .begin(Shape {
                width: 2,
                height: 3,
                layout: Layout::Gray8,
            })
            .expect("begins");
        for row in [[1, 2], [3, 4], [5, 6]] {
            collector.row(Row::U8(&row)).expect("takes the row");
        }
        let mut partial = collector.into_partial();
        partial.keep_rows(1..3);
        partial.fill(|x, y| Some((x & !1, y)));
        let mut collected = Collected::default();
        partial
            .write(&Control::new(), &mut collected)
            .expect("writes");
        let expected = [
            [0; 8],
            [3, 3, 3, 255, 3, 3, 3, 255],
            [5, 5, 5, 255, 5, 5, 5, 255],
        ];
        assert_eq!(collected.bytes, expected.concat());
    }
}
