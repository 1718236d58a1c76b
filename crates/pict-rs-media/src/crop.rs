//! The stage that crops a picture.

use crate::{
    Error, Result,
    operation::Rect,
    rows::{Row, RowSink, Shape},
};

/// Passes on the pixels of `rect`, which must be inside the picture.
pub(crate) struct Cut<N> {
    rect: Rect,
    next: N,
    /// Input rows so far.
    received: u32,
    channels: usize,
}

impl<N: RowSink> Cut<N> {
    pub(crate) fn new(rect: Rect, next: N) -> Self {
        Self {
            rect,
            next,
            received: 0,
            channels: 0,
        }
    }
}

impl<N: RowSink> RowSink for Cut<N> {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        let Rect {
            x,
            y,
            width,
            height,
        } = self.rect;
        let inside = x.checked_add(width).is_some_and(|end| end <= shape.width)
            && y.checked_add(height).is_some_and(|end| end <= shape.height);
        if !inside {
            return Err(Error::Internal("a crop outside the picture".into()));
        }
        self.received = 0;
        self.channels = shape.layout.channels();
        self.next.begin(Shape {
            width,
            height,
            layout: shape.layout,
        })
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let y = self.received;
        self.received += 1;
        if !(self.rect.y..self.rect.y + self.rect.height).contains(&y) {
            return Ok(());
        }
        let first = self.rect.x as usize * self.channels;
        let end = first + self.rect.width as usize * self.channels;
        let part = match row {
            Row::U8(row) => row.get(first..end).map(Row::U8),
            Row::U16(row) => row.get(first..end).map(Row::U16),
        };
        self.next
            .row(part.ok_or_else(|| Error::Internal("a row of another length".into()))?)
    }

    fn end(&mut self) -> Result<()> {
        self.next.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{
        Layout,
        testing::{Collected, picture_8},
    };

    #[test]
    fn only_the_rectangle_passes() {
        let rect = Rect {
            x: 1,
            y: 1,
            width: 2,
            height: 2,
        };
        let samples: Vec<u8> = (0..20).collect();
        let mut out = Collected::default();
        picture_8(Cut::new(rect, &mut out), 4, 5, Layout::Gray8, &samples);
        assert_eq!(out.bytes, [5, 6, 9, 10]);
    }

    #[test]
    fn a_rectangle_outside_is_an_error() {
        let rect = Rect {
            x: 3,
            y: 0,
            width: 2,
            height: 1,
        };
        let mut out = Collected::default();
        let shape = Shape {
            width: 4,
            height: 4,
            layout: Layout::Gray8,
        };
        assert!(Cut::new(rect, &mut out).begin(shape).is_err());
    }
}
