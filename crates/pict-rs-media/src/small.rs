//! A picture of at most 64 × 64 pixels, for what tells the colours of a picture in a few bytes: its
//! [ThumbHash](https://evanw.github.io/thumbhash/) and its dominant colour.

use crate::orient::turn;
use crate::rows::{Layout, Shape};
use crate::{Orientation, Result};

/// Its longest side. A ThumbHash has no use for more, and its time grows with the area.
const LONGEST_SIDE: u32 = 64;
/// Rows and columns of pixels that become one pixel at most; the others are passed over.
const SAMPLES: u32 = 4;
/// Bits of a channel that tell apart the boxes of colours.
const BITS: u32 = 3;

/// Takes the rows of a stored picture.
#[derive(Debug)]
pub(crate) struct Small {
    shape: Shape,
    /// Columns, and rows, that become one.
    factor: u32,
    /// The distance of the columns, and rows, that are looked at.
    step: u32,
    received: u32,
    /// Of the row that is being filled.
    cells: Vec<Cell>,
    rgba: Vec<u8>,
}

/// Sums over the pixels that become one, colours weighted with alpha.
#[derive(Clone, Debug, Default)]
struct Cell {
    colour: [u32; 3],
    alpha: u32,
    pixels: u32,
}

impl Small {
    /// Of a stored picture of this size; its rows come in RGBA.
    pub(crate) fn new(shape: Shape) -> Self {
        let factor = shape.width.max(shape.height).div_ceil(LONGEST_SIDE).max(1);
        let across = shape.width.div_ceil(factor) as usize;
        let down = shape.height.div_ceil(factor) as usize;
        Self {
            shape: Shape {
                width: across as u32,
                height: down as u32,
                layout: Layout::Rgba8,
            },
            factor,
            step: factor.div_ceil(SAMPLES),
            received: 0,
            cells: vec![Cell::default(); across],
            rgba: Vec::with_capacity(across * down * 4),
        }
    }

    /// Takes the next row.
    pub(crate) fn row(&mut self, rgba: &[u8]) {
        let in_cell = self.received % self.factor;
        if in_cell == 0 && self.received > 0 {
            self.end_row();
        }
        self.received += 1;
        if !in_cell.is_multiple_of(self.step) {
            return;
        }
        let (pixels, _) = rgba.as_chunks::<4>();
        let parts = pixels.chunks(self.factor as usize);
        for (cell, part) in self.cells.iter_mut().zip(parts) {
            for [r, g, b, a] in part.iter().step_by(self.step as usize).copied() {
                let alpha = u32::from(a);
                for (sum, value) in cell.colour.iter_mut().zip([r, g, b]) {
                    *sum += u32::from(value) * alpha;
                }
                cell.alpha += alpha;
                cell.pixels += 1;
            }
        }
    }

    fn end_row(&mut self) {
        for cell in &mut self.cells {
            let mean = |sum: u32, count: u32| ((sum + count / 2) / count.max(1)) as u8;
            let colour = cell.colour.map(|sum| mean(sum, cell.alpha));
            self.rgba.extend_from_slice(&colour);
            self.rgba.push(mean(cell.alpha, cell.pixels));
            *cell = Cell::default();
        }
    }

    /// The ThumbHash and the dominant colour in sRGB, when all rows have been taken; no colour when
    /// nothing can be seen. `orientation` is how the stored picture is shown.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when rows are missing.
    pub(crate) fn finish(mut self, orientation: Orientation) -> Result<(Vec<u8>, Option<[u8; 3]>)> {
        self.end_row();
        let (width, height) = orientation.swap_size((self.shape.width, self.shape.height));
        let mut upright = Vec::with_capacity(self.rgba.len());
        turn(&self.rgba, self.shape, orientation, |row| {
            upright.extend_from_slice(row);
            Ok(())
        })?;
        let hash = thumbhash(width as usize, height as usize, &upright);
        Ok((hash, dominant(&self.rgba)))
    }
}

/// A ThumbHash is made of up to seven waves along the longer side, and three or more along the other
/// one. A picture with fewer pixels than waves is enlarged first, or they would be mistaken for others.
fn thumbhash(width: usize, height: usize, rgba: &[u8]) -> Vec<u8> {
    const LONG: usize = 32;
    const SHORT: usize = 3;
    let both = LONG.div_ceil(width.max(height));
    let (across, down) = (
        both * SHORT.div_ceil(both * width),
        both * SHORT.div_ceil(both * height),
    );
    let (pixels, _) = rgba.as_chunks::<4>();
    let rows = pixels.chunks(width).flat_map(|row| {
        let row: Vec<_> = row.iter().flat_map(|pixel| vec![*pixel; across]).collect();
        vec![row.concat(); down]
    });
    let enlarged = rows.collect::<Vec<_>>().concat();
    thumbhash::rgba_to_thumb_hash(width * across, height * down, &enlarged)
}

/// The mean of the pixels in that of 512 boxes of colours that covers most of the picture.
fn dominant(rgba: &[u8]) -> Option<[u8; 3]> {
    let mut boxes = vec![([0_u64; 3], 0_u64); 1 << (3 * BITS)];
    for pixel in rgba.as_chunks::<4>().0 {
        let [r, g, b, a] = pixel.map(u32::from);
        let at = [r, g, b]
            .iter()
            .fold(0, |at, value| at << BITS | value >> (8 - BITS));
        let (colour, alpha) = &mut boxes[at as usize];
        for (sum, value) in colour.iter_mut().zip([r, g, b]) {
            *sum += u64::from(value * a);
        }
        *alpha += u64::from(a);
    }
    let (colour, alpha) = boxes.into_iter().max_by_key(|(_, alpha)| *alpha)?;
    (alpha > 0).then(|| colour.map(|sum| ((sum + alpha / 2) / alpha) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orient::tests::{ALL, inverse};

    fn shape(width: u32, height: u32) -> Shape {
        Shape {
            width,
            height,
            layout: Layout::Rgba8,
        }
    }

    fn of(shape: Shape, rgba: &[u8], orientation: Orientation) -> (Vec<u8>, Option<[u8; 3]>) {
        let mut small = Small::new(shape);
        rgba.chunks_exact(shape.row_len())
            .for_each(|row| small.row(row));
        small.finish(orientation).expect("is whole")
    }

    /// Blue, with a red third at the left.
    fn flag(width: u32, height: u32) -> Vec<u8> {
        let pixel = |at: u32| match at % width {
            x if x < width / 3 => [200, 10, 20, 255],
            _ => [20, 40, 210, 255],
        };
        (0..width * height).flat_map(pixel).collect()
    }

    #[test]
    fn the_hash_shows_the_picture_and_the_colour_is_that_of_most_of_it() {
        for (width, height) in [
            (90, 60),
            (100, 100),
            (1000, 150),
            (3001, 9),
            (40, 300),
            (3, 2),
        ] {
            let (hash, colour) = of(
                shape(width, height),
                &flag(width, height),
                Orientation::Normal,
            );
            assert!((5..=25).contains(&hash.len()), "{}", hash.len());
            let (across, _, shown) = thumbhash::thumb_hash_to_rgba(&hash).expect("a hash");
            let [first, last] = [&shown[..4], &shown[4 * (across - 1)..4 * across]];
            assert!(first[0] > first[2], "{width} × {height}: {first:?}");
            assert!(last[2] > last[0], "{width} × {height}: {last:?}");
            assert_eq!(colour, Some([20, 40, 210]), "{width} × {height}");
        }
        let (hash, colour) = of(shape(1, 1), &[20, 40, 210, 255], Orientation::Normal);
        let mean = thumbhash::thumb_hash_to_average_rgba(&hash).expect("a hash");
        assert!(mean.0 < 0.2 && mean.2 > 0.7, "{mean:?}");
        assert_eq!(colour, Some([20, 40, 210]));
    }

    #[test]
    fn a_stored_orientation_gives_the_hash_of_what_is_shown() {
        let upright = flag(300, 200);
        let (expected, _) = of(shape(300, 200), &upright, Orientation::Normal);
        for orientation in ALL {
            let mut stored = Vec::new();
            turn(&upright, shape(300, 200), inverse(orientation), |row| {
                stored.extend_from_slice(row);
                Ok(())
            })
            .expect("the sizes fit");
            let (width, height) = orientation.swap_size((300, 200));
            let (found, _) = of(shape(width, height), &stored, orientation);
            assert_eq!(found, expected, "{orientation:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_has_no_colour_and_does_not_count() {
        let clear = [250, 0, 0, 0].repeat(64);
        let (hash, colour) = of(shape(8, 8), &clear, Orientation::Normal);
        assert!(!hash.is_empty());
        assert_eq!(colour, None);
        let dot = [clear[..63 * 4].to_vec(), vec![0, 250, 0, 255]].concat();
        let (_, colour) = of(shape(8, 8), &dot, Orientation::Normal);
        assert_eq!(colour, Some([0, 250, 0]));
    }

    #[test]
    fn missing_rows_are_an_error() {
        let mut small = Small::new(shape(300, 200));
        small.row(&[0; 1200]);
        assert!(small.finish(Orientation::Normal).is_err());
    }
}
