//! Decodes GIF to canvases: applies palettes, interlacing, transparency and disposal.

use super::blocks::{Block, Disposal, Frame, Gif};
use super::lzw::Lzw;
use crate::rows::{AnimationShape, Canvas, CanvasSink};
use crate::{Control, Facts, Result};

/// Browsers show frames with a shorter delay than this for [`SHOWN_INSTEAD`], both in hundredths of
/// a second.
const SHORTEST_DELAY: u16 = 2;
const SHOWN_INSTEAD: u16 = 10;

/// Rows between two checks of the control.
const CHECK_ROWS: usize = 256;

/// Pushes the animation, one composed canvas after another; memory does not grow with the number of
/// frames. Delays are those that browsers use.
pub(crate) fn decode_animation(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    sink: &mut dyn CanvasSink,
) -> Result<()> {
    let gif = Gif::read(source)?;
    sink.begin(AnimationShape {
        width: facts.stored_width,
        height: facts.stored_height,
        loop_count: loop_count(&gif),
        has_alpha: facts.has_alpha,
    })?;
    let mut composer = Composer::new(facts.stored_width as usize, facts.stored_height as usize);
    for frame in gif.frames() {
        let area = composer.visible(&frame);
        let before = match frame.disposal {
            Disposal::Previous => composer.save(&area),
            Disposal::Keep | Disposal::Background => Vec::new(),
        };
        composer.draw(&frame, &area, control)?;
        let delay = if frame.delay < SHORTEST_DELAY {
            SHOWN_INSTEAD
        } else {
            frame.delay
        };
        let canvas = Canvas {
            rgba: &composer.canvas,
            delay_ms: u32::from(delay) * 10,
        };
        if sink.canvas(canvas)?.is_break() {
            break;
        }
        match frame.disposal {
            Disposal::Keep => {}
            Disposal::Background => composer.clear(&area),
            Disposal::Previous => composer.restore(&area, &before),
        }
    }
    sink.end()
}

/// The number of plays, 0 = for ever. By default once.
fn loop_count(gif: &Gif<'_>) -> u32 {
    gif.blocks()
        .find_map(|block| match block {
            Block::Loop(plays, _) => Some(plays),
            Block::Frame(_) => None,
        })
        .unwrap_or(1)
}

/// The part of a frame that is on the canvas, in pixels.
struct Area {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

struct Composer {
    width: usize,
    height: usize,
    /// RGBA, straight alpha; initially transparent.
    canvas: Vec<u8>,
    lzw: Lzw,
    /// One row of palette indices.
    indices: Vec<u8>,
}

impl Composer {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            canvas: vec![0; width * height * 4],
            lzw: Lzw::new(),
            indices: Vec::new(),
        }
    }

    fn visible(&self, frame: &Frame<'_>) -> Area {
        let (left, top) = (usize::from(frame.left), usize::from(frame.top));
        Area {
            left: left.min(self.width),
            top: top.min(self.height),
            width: usize::from(frame.width).min(self.width.saturating_sub(left)),
            height: usize::from(frame.height).min(self.height.saturating_sub(top)),
        }
    }

    fn draw(&mut self, frame: &Frame<'_>, area: &Area, control: &Control) -> Result<()> {
        control.check()?;
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        if width == 0 || height == 0 {
            return Ok(());
        }
        let colours = colours(frame);
        let all_drawn = colours.iter().all(|colour| colour[3] != 0);
        self.lzw.begin(frame.min_code_size, frame.data)?;
        self.indices.resize(width, 0);
        for (count, row) in rows(height, frame.interlaced).enumerate() {
            if count % CHECK_ROWS == 0 {
                control.check()?;
            }
            // Without interlacing, no later row is visible.
            if row >= area.height && !frame.interlaced {
                break;
            }
            self.lzw.read(&mut self.indices)?;
            if row >= area.height {
                continue;
            }
            let start = ((area.top + row) * self.width + area.left) * 4;
            let pixels = self.canvas[start..][..area.width * 4].chunks_exact_mut(4);
            for (pixel, index) in pixels.zip(&self.indices) {
                let colour = colours[usize::from(*index)];
                if all_drawn || colour[3] != 0 {
                    pixel.copy_from_slice(&colour);
                }
            }
        }
        Ok(())
    }

    fn save(&self, area: &Area) -> Vec<u8> {
        let mut saved = Vec::with_capacity(area.width * area.height * 4);
        for row in 0..area.height {
            let start = ((area.top + row) * self.width + area.left) * 4;
            saved.extend_from_slice(&self.canvas[start..][..area.width * 4]);
        }
        saved
    }

    fn restore(&mut self, area: &Area, saved: &[u8]) {
        for row in 0..area.height {
            let start = ((area.top + row) * self.width + area.left) * 4;
            self.canvas[start..][..area.width * 4]
                .copy_from_slice(&saved[row * area.width * 4..][..area.width * 4]);
        }
    }

    fn clear(&mut self, area: &Area) {
        for row in 0..area.height {
            let start = ((area.top + row) * self.width + area.left) * 4;
            self.canvas[start..][..area.width * 4].fill(0);
        }
    }
}

/// RGBA for every index; alpha 0 for the transparent index and for those past the palette, which
/// browsers do not draw either.
pub(super) fn colours(frame: &Frame<'_>) -> [[u8; 4]; 256] {
    let mut colours = [[0; 4]; 256];
    for (colour, rgb) in colours.iter_mut().zip(frame.palette.chunks_exact(3)) {
        *colour = [rgb[0], rgb[1], rgb[2], 255];
    }
    if let Some(transparent) = frame.transparent {
        colours[usize::from(transparent)] = [0; 4];
    }
    colours
}

/// The rows of a frame in storage order.
pub(super) fn rows(height: usize, interlaced: bool) -> impl Iterator<Item = usize> {
    const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];
    const ONE_PASS: [(usize, usize); 1] = [(0, 1)];
    let passes = if interlaced { &PASSES[..] } else { &ONE_PASS };
    passes
        .iter()
        .flat_map(move |(start, step)| (*start..height).step_by(*step))
}
