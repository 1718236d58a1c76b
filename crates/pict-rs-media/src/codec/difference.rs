//! Differences between the shown canvas and the next one. Works on pixels only, for any codec.

/// Side of the squares that are encoded or kept as a whole: VP8's chroma blocks cover 8×8 pixels,
/// and frames must start at even positions.
pub(crate) const BLOCK: usize = 8;

/// A box of the canvas and which of its blocks changed.
pub(crate) struct Difference {
    /// Left edge of the box, a multiple of [`BLOCK`].
    pub(crate) x: usize,
    /// Upper edge of the box, a multiple of [`BLOCK`].
    pub(crate) y: usize,
    right: usize,
    bottom: usize,
    canvas_width: usize,
    /// For every block of the canvas, row by row, whether it changed.
    blocks: Vec<bool>,
    /// Blocks in one row of `blocks`.
    columns: usize,
}

impl Difference {
    /// A difference of the whole canvas.
    pub(crate) fn everything(width: usize, height: usize) -> Self {
        let (columns, rows) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
        Self {
            x: 0,
            y: 0,
            right: width,
            bottom: height,
            canvas_width: width,
            blocks: vec![true; columns * rows],
            columns,
        }
    }

    /// A single block, although it did not change.
    pub(crate) fn corner(width: usize, height: usize) -> Self {
        Self {
            right: width.min(BLOCK),
            bottom: height.min(BLOCK),
            ..Self::everything(width, height)
        }
    }

    /// The difference by more than `tolerance` in any channel; `None` if there is none. Alpha must
    /// be equal, and pixels that are invisible in both do not differ.
    pub(crate) fn between(
        shown: &[u8],
        next: &[u8],
        width: usize,
        height: usize,
        tolerance: u8,
    ) -> Option<Self> {
        let (columns, rows) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
        let mut blocks = vec![false; columns * rows];
        let (mut left, mut right, mut top, mut bottom) = (columns, 0, rows, 0);
        for (row, blocks) in blocks.chunks_exact_mut(columns).enumerate() {
            for y in row * BLOCK..height.min((row + 1) * BLOCK) {
                let line = y * width * 4..(y + 1) * width * 4;
                let (shown, next) = (&shown[line.clone()], &next[line]);
                if shown == next {
                    continue;
                }
                let pairs = shown.chunks(BLOCK * 4).zip(next.chunks(BLOCK * 4));
                for (changed, (shown, next)) in blocks.iter_mut().zip(pairs) {
                    *changed |= shown != next && differs(shown, next, tolerance);
                }
            }
            let Some(first) = blocks.iter().position(|changed| *changed) else {
                continue;
            };
            let last = blocks.iter().rposition(|changed| *changed)?;
            (left, right) = (left.min(first), right.max(last + 1));
            (top, bottom) = (top.min(row), row + 1);
        }
        (bottom > 0).then(|| Self {
            x: left * BLOCK,
            y: top * BLOCK,
            right: width.min(right * BLOCK),
            bottom: height.min(bottom * BLOCK),
            canvas_width: width,
            blocks,
            columns,
        })
    }

    pub(crate) fn width(&self) -> usize {
        self.right - self.x
    }

    pub(crate) fn height(&self) -> usize {
        self.bottom - self.y
    }

    /// Whether some blocks inside the box did not change.
    pub(crate) fn has_gaps(&self) -> bool {
        (self.y..self.bottom)
            .step_by(BLOCK)
            .any(|y| self.block_row(y).contains(&false))
    }

    /// Whether no pixel of the next canvas in the box is transparent.
    pub(crate) fn is_opaque(&self, next: &[u8]) -> bool {
        (self.y..self.bottom).all(|y| {
            next[self.line(y)]
                .chunks_exact(4)
                .all(|rgba| rgba[3] == 255)
        })
    }

    /// Whether blending opaque pixels over the shown ones gives the next canvas. Pixels that become
    /// more transparent can only be replaced.
    pub(crate) fn can_blend(&self, shown: &[u8], next: &[u8]) -> bool {
        (self.y..self.bottom).all(|y| {
            let line = self.line(y);
            let changed = self.block_row(y).iter();
            let pairs = next[line.clone()]
                .chunks(BLOCK * 4)
                .zip(shown[line].chunks(BLOCK * 4));
            changed.zip(pairs).all(|(changed, (next, shown))| {
                !changed
                    || next
                        .chunks_exact(4)
                        .zip(shown.chunks_exact(4))
                        .all(|(next, shown)| next[3] == 255 || is_kept(next, shown))
            })
        })
    }

    /// Appends the box's part of a row, already cut out of both canvases, with unchanged pixels
    /// made transparent. Only valid if [`Difference::can_blend`] is true.
    pub(crate) fn push_masked(&self, y: usize, next: &[u8], shown: &[u8], out: &mut Vec<u8>) {
        let pairs = next.chunks(BLOCK * 4).zip(shown.chunks(BLOCK * 4));
        for (changed, (next, shown)) in self.block_row(y).iter().zip(pairs) {
            for (next, shown) in next.chunks_exact(4).zip(shown.chunks_exact(4)) {
                let alpha = if !changed || (next[3] != 255 && is_kept(next, shown)) {
                    0
                } else {
                    next[3]
                };
                out.extend([next[0], next[1], next[2], alpha]);
            }
        }
    }

    /// Copies what was encoded into `shown`: the changed blocks, or the whole box.
    pub(crate) fn copy(&self, next: &[u8], shown: &mut [u8], only_changed: bool) {
        for y in self.y..self.bottom {
            let line = self.line(y);
            let (next, shown) = (&next[line.clone()], &mut shown[line]);
            let pairs = next.chunks(BLOCK * 4).zip(shown.chunks_mut(BLOCK * 4));
            for (changed, (next, shown)) in self.block_row(y).iter().zip(pairs) {
                if *changed || !only_changed {
                    shown.copy_from_slice(next);
                }
            }
        }
    }

    /// The bytes of the box's part of row `y` in a canvas.
    fn line(&self, y: usize) -> std::ops::Range<usize> {
        let start = y * self.canvas_width;
        (start + self.x) * 4..(start + self.right) * 4
    }

    /// The blocks of the box in row `y`.
    fn block_row(&self, y: usize) -> &[bool] {
        let row = &self.blocks[y / BLOCK * self.columns..][..self.columns];
        &row[self.x / BLOCK..self.right.div_ceil(BLOCK)]
    }
}

fn differs(shown: &[u8], next: &[u8], tolerance: u8) -> bool {
    shown
        .chunks_exact(4)
        .zip(next.chunks_exact(4))
        .any(|(shown, next)| {
            shown[3] != next[3]
                || (next[3] != 0
                    && shown[..3]
                        .iter()
                        .zip(next)
                        .any(|(shown, next)| shown.abs_diff(*next) > tolerance))
        })
}

/// Whether a pixel is unchanged.
fn is_kept(next: &[u8], shown: &[u8]) -> bool {
    next == shown || (next[3] == 0 && shown[3] == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 30;
    const HEIGHT: usize = 20;

    fn canvas(rgba: [u8; 4]) -> Vec<u8> {
        rgba.repeat(WIDTH * HEIGHT)
    }

    fn set(canvas: &mut [u8], x: usize, y: usize, rgba: [u8; 4]) {
        canvas[(y * WIDTH + x) * 4..][..4].copy_from_slice(&rgba);
    }

    fn between(shown: &[u8], next: &[u8], tolerance: u8) -> Option<Difference> {
        Difference::between(shown, next, WIDTH, HEIGHT, tolerance)
    }

    #[test]
    fn the_box_holds_all_changed_blocks_and_ends_with_the_canvas() {
        let shown = canvas([50, 50, 50, 255]);
        let mut next = shown.clone();
        set(&mut next, 9, 3, [90, 50, 50, 255]);
        set(&mut next, 29, 19, [50, 50, 10, 255]);
        let found = between(&shown, &next, 4).expect("differs");
        assert_eq!((found.x, found.y), (8, 0));
        assert_eq!((found.width(), found.height()), (22, 20));
        assert!(found.has_gaps());
        let mut now = shown.clone();
        found.copy(&next, &mut now, true);
        assert!(now == next);
    }

    #[test]
    fn tolerance_is_for_colours_that_can_be_seen() {
        let shown = canvas([50, 50, 50, 200]);
        let check = |rgba, expected| {
            let mut next = shown.clone();
            set(&mut next, 5, 5, rgba);
            assert_eq!(between(&shown, &next, 4).is_some(), expected, "{rgba:?}");
        };
        check([54, 46, 50, 200], false);
        check([55, 50, 50, 200], true);
        check([50, 50, 50, 199], true);
        let hidden = canvas([1, 2, 3, 0]);
        assert!(between(&hidden, &canvas([9, 9, 9, 0]), 0).is_none());
    }

    #[test]
    fn what_becomes_more_transparent_cannot_be_blended() {
        let check = |before, after, expected| {
            let shown = canvas(before);
            let mut next = shown.clone();
            set(&mut next, 5, 5, after);
            let found = between(&shown, &next, 0).expect("differs");
            assert_eq!(
                found.can_blend(&shown, &next),
                expected,
                "{before:?} {after:?}"
            );
        };
        check([1, 1, 1, 255], [2, 2, 2, 255], true);
        check([1, 1, 1, 0], [2, 2, 2, 255], true);
        check([1, 1, 1, 128], [2, 2, 2, 255], true);
        check([1, 1, 1, 255], [0, 0, 0, 0], false);
        check([1, 1, 1, 0], [2, 2, 2, 128], false);
        check([1, 1, 1, 128], [2, 2, 2, 128], false);
    }
}
