//! Turning: where a stored pixel is displayed, and the stage that moves it there.
//!
//! A turn needs the whole picture, so it comes last, when the picture is small.

use crate::{
    Error, Orientation, Result,
    operation::Rect,
    rows::{Row, RowSink, Shape},
};

impl Orientation {
    /// Whether the stored rows run from right to left in the upright picture (after swapping the
    /// axes, if they are swapped).
    pub(crate) fn flips_x(self) -> bool {
        matches!(
            self,
            Self::FlipHorizontal | Self::Rotate180 | Self::Transverse | Self::Rotate270
        )
    }

    pub(crate) fn flips_y(self) -> bool {
        matches!(
            self,
            Self::FlipVertical | Self::Rotate180 | Self::Transverse | Self::Rotate90
        )
    }

    /// Converts a size between the upright and the stored picture, in either direction.
    pub(crate) fn swap_size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.swaps_axes() {
            (height, width)
        } else {
            (width, height)
        }
    }

    /// The position of `rect` of the upright picture in the stored one, which is `width` ×
    /// `height`.
    pub(crate) fn stored_rect(self, rect: Rect, width: u32, height: u32) -> Rect {
        let mut stored = rect;
        if self.swaps_axes() {
            stored = Rect {
                x: rect.y,
                y: rect.x,
                width: rect.height,
                height: rect.width,
            };
        }
        if self.flips_x() {
            stored.x = width.saturating_sub(stored.x.saturating_add(stored.width));
        }
        if self.flips_y() {
            stored.y = height.saturating_sub(stored.y.saturating_add(stored.height));
        }
        stored
    }
}

/// The stage that makes stored rows upright. Passes rows through if the orientation is normal;
/// otherwise it holds the picture.
pub(crate) struct Turn<N> {
    orientation: Orientation,
    next: N,
    shape: Option<Shape>,
    held_8: Vec<u8>,
    held_16: Vec<u16>,
}

impl<N: RowSink> Turn<N> {
    pub(crate) fn new(orientation: Orientation, next: N) -> Self {
        Self {
            orientation,
            next,
            shape: None,
            held_8: Vec::new(),
            held_16: Vec::new(),
        }
    }
}

impl<N: RowSink> RowSink for Turn<N> {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        let (width, height) = self.orientation.swap_size((shape.width, shape.height));
        self.shape = Some(shape);
        self.held_8.clear();
        self.held_16.clear();
        if self.orientation != Orientation::Normal {
            let samples = shape.row_len().saturating_mul(shape.height as usize);
            let reserved = if shape.layout.is_16_bit() {
                self.held_16.try_reserve_exact(samples)
            } else {
                self.held_8.try_reserve_exact(samples)
            };
            reserved.map_err(|_| Error::Internal("no memory to turn the picture".into()))?;
        }
        self.next.begin(Shape {
            width,
            height,
            layout: shape.layout,
        })
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        if self.orientation == Orientation::Normal {
            return self.next.row(row);
        }
        match row {
            Row::U8(row) => self.held_8.extend_from_slice(row),
            Row::U16(row) => self.held_16.extend_from_slice(row),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if let Some(shape) = self.shape.take()
            && self.orientation != Orientation::Normal
        {
            let next = &mut self.next;
            if shape.layout.is_16_bit() {
                turn(&self.held_16, shape, self.orientation, |row| {
                    next.row(Row::U16(row))
                })?;
            } else {
                turn(&self.held_8, shape, self.orientation, |row| {
                    next.row(Row::U8(row))
                })?;
            }
        }
        self.next.end()
    }
}

/// Upright rows that are assembled at once, so that a cache line of a stored row is used completely
/// before it is evicted.
const STRIP: usize = 16;

/// Passes the upright rows of the `held` picture to `emit`, from the top.
pub(crate) fn turn<T: Copy + Default>(
    held: &[T],
    shape: Shape,
    orientation: Orientation,
    mut emit: impl FnMut(&[T]) -> Result<()>,
) -> Result<()> {
    let channels = shape.layout.channels();
    let stored_len = shape.row_len();
    let (width, height) = orientation.swap_size((shape.width, shape.height));
    let (width, height) = (width as usize, height as usize);
    if held.len() != stored_len * shape.height as usize {
        return Err(Error::Internal("a picture of another size".into()));
    }
    let (last_x, last_y) = (shape.width as usize - 1, shape.height as usize - 1);
    let at = |x: usize, y: usize| {
        let (x, y) = if orientation.swaps_axes() {
            (y, x)
        } else {
            (x, y)
        };
        let x = if orientation.flips_x() { last_x - x } else { x };
        let y = if orientation.flips_y() { last_y - y } else { y };
        y * stored_len + x * channels
    };
    let out_len = width * channels;
    let mut strip = vec![T::default(); out_len * STRIP.min(height)];
    for top in (0..height).step_by(STRIP) {
        let rows = STRIP.min(height - top);
        for x in 0..width {
            for row in 0..rows {
                let from = at(x, top + row);
                let to = row * out_len + x * channels;
                strip[to..to + channels].copy_from_slice(&held[from..from + channels]);
            }
        }
        for row in strip.chunks_exact(out_len).take(rows) {
            emit(row)?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::rows::Layout;

    pub(crate) const ALL: [Orientation; 8] = [
        Orientation::Normal,
        Orientation::FlipHorizontal,
        Orientation::Rotate180,
        Orientation::FlipVertical,
        Orientation::Transpose,
        Orientation::Rotate90,
        Orientation::Transverse,
        Orientation::Rotate270,
    ];

    /// The orientation that undoes `orientation`.
    pub(crate) fn inverse(orientation: Orientation) -> Orientation {
        match orientation {
            Orientation::Rotate90 => Orientation::Rotate270,
            Orientation::Rotate270 => Orientation::Rotate90,
            other => other,
        }
    }

    fn turned(held: &[u8], width: u32, height: u32, orientation: Orientation) -> Vec<u8> {
        let shape = Shape {
            width,
            height,
            layout: Layout::Gray8,
        };
        let mut out = Vec::new();
        turn(held, shape, orientation, |row| {
            out.extend_from_slice(row);
            Ok(())
        })
        .expect("the sizes fit");
        out
    }

    #[test]
    fn each_orientation_does_what_exif_says() {
        // 1 2 3
        // 4 5 6
        let held = [1, 2, 3, 4, 5, 6];
        let check = |value, expected: [u8; 6]| {
            let orientation = Orientation::from_exif(value);
            assert_eq!(turned(&held, 3, 2, orientation), expected, "{value}");
        };
        check(1, [1, 2, 3, 4, 5, 6]);
        check(2, [3, 2, 1, 6, 5, 4]);
        check(3, [6, 5, 4, 3, 2, 1]);
        check(4, [4, 5, 6, 1, 2, 3]);
        check(5, [1, 4, 2, 5, 3, 6]);
        check(6, [4, 1, 5, 2, 6, 3]);
        check(7, [6, 3, 5, 2, 4, 1]);
        check(8, [3, 6, 2, 5, 1, 4]);
    }

    #[test]
    fn cutting_the_stored_picture_is_cutting_the_upright_one() {
        let (width, height) = (7u32, 5u32);
        let held: Vec<u8> = (0..35).collect();
        for orientation in ALL {
            let (up_w, up_h) = orientation.swap_size((width, height));
            let upright = turned(&held, width, height, orientation);
            let rect = Rect {
                x: 1,
                y: 2,
                width: 2,
                height: 3,
            };
            assert!(rect.x + rect.width <= up_w && rect.y + rect.height <= up_h);
            let cut = |from: &[u8], stride: u32, r: Rect| -> Vec<u8> {
                (r.y..r.y + r.height)
                    .flat_map(|y| (r.x..r.x + r.width).map(move |x| (y * stride + x) as usize))
                    .map(|at| from[at])
                    .collect()
            };
            let expected = cut(&upright, up_w, rect);
            let stored = orientation.stored_rect(rect, width, height);
            let part = cut(&held, width, stored);
            assert_eq!(
                turned(&part, stored.width, stored.height, orientation),
                expected,
                "{orientation:?}"
            );
        }
    }

    #[test]
    fn large_pictures_are_turned_in_strips_without_a_seam() {
        let (width, height) = (37u32, 50u32);
        let held: Vec<u8> = (0..width * height).map(|i| (i * 7 % 251) as u8).collect();
        for orientation in ALL {
            let (up_w, up_h) = orientation.swap_size((width, height));
            let there = turned(&held, width, height, orientation);
            assert_eq!(turned(&there, up_w, up_h, inverse(orientation)), held);
        }
    }
}
