//! Planes of AV1 samples, and their conversion to rows of RGB.
//!
//! Chroma is upsampled bilinearly between the centres of the samples, as in libavif and browsers,
//! whatever position the file gives. All computation is in floats, which is exact enough for 12
//! bits, fast without special instructions, and the same for all matrices.

use super::{corrupt, properties::Nclx};
use crate::{Error, Result};

/// One picture.
pub(super) struct Planes {
    pub(super) bits: u8,
    /// `None` if there is only luma.
    pub(super) subsampling: Option<Subsampling>,
    /// The colours given by the AV1 data themselves.
    pub(super) nclx: Nclx,
    pub(super) samples: Samples,
}

/// The directions in which chroma has half the resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subsampling {
    pub(super) across: bool,
    pub(super) down: bool,
}

/// One or three planes.
pub(super) enum Samples {
    U8(Vec<Plane<u8>>),
    U16(Vec<Plane<u16>>),
}

/// One plane, row by row without gaps.
pub(super) struct Plane<T> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) samples: Vec<T>,
}

impl<T: Copy + Default> Plane<T> {
    fn row(&self, y: usize) -> &[T] {
        let y = y.min(self.height - 1);
        &self.samples[y * self.width..][..self.width]
    }

    fn blank(width: usize, height: usize) -> Result<Self> {
        let no_memory = || Error::Internal("no memory for the picture".into());
        let length = width.checked_mul(height).ok_or_else(no_memory)?;
        let mut samples = Vec::new();
        samples.try_reserve_exact(length).map_err(|_| no_memory())?;
        samples.resize(length, T::default());
        Ok(Self {
            width,
            height,
            samples,
        })
    }

    /// Copies another plane into it, cropped at the edge.
    fn paste(&mut self, other: &Self, x: usize, y: usize) {
        let rows = other.height.min(self.height.saturating_sub(y));
        let length = other.width.min(self.width.saturating_sub(x));
        for row in 0..rows {
            let start = (y + row) * self.width + x;
            self.samples[start..start + length].copy_from_slice(&other.row(row)[..length]);
        }
    }
}

impl Planes {
    pub(super) fn size(&self) -> (u32, u32) {
        let (width, height) = match &self.samples {
            Samples::U8(planes) => (planes[0].width, planes[0].height),
            Samples::U16(planes) => (planes[0].width, planes[0].height),
        };
        (width as u32, height as u32)
    }

    /// An empty picture of another size, with the same coding.
    pub(super) fn blank(&self, (width, height): (u32, u32)) -> Result<Self> {
        let (width, height) = (width as usize, height as usize);
        let sizes = [(width, height)].into_iter().chain(
            self.subsampling
                .map(|chroma| chroma.size(width, height))
                .into_iter()
                .flat_map(|size| [size; 2]),
        );
        Ok(Self {
            samples: match &self.samples {
                Samples::U8(_) => Samples::U8(
                    sizes
                        .map(|(w, h)| Plane::blank(w, h))
                        .collect::<Result<_>>()?,
                ),
                Samples::U16(_) => Samples::U16(
                    sizes
                        .map(|(w, h)| Plane::blank(w, h))
                        .collect::<Result<_>>()?,
                ),
            },
            ..*self
        })
    }

    /// Copies a cell of a grid into it.
    pub(super) fn paste(&mut self, cell: &Self, x: u32, y: u32) -> Result<()> {
        let chroma = self.subsampling;
        let halves = chroma.is_some_and(|c| (c.across && x % 2 == 1) || (c.down && y % 2 == 1));
        if cell.bits != self.bits || cell.subsampling != chroma || halves {
            return Err(corrupt("the cells of its grid do not fit each other"));
        }
        let places = |n: usize| {
            let (x, y) = (x as usize, y as usize);
            match chroma {
                Some(chroma) if n > 0 => chroma.size(x, y),
                _ => (x, y),
            }
        };
        match (&mut self.samples, &cell.samples) {
            (Samples::U8(planes), Samples::U8(cells)) => {
                for (n, (plane, cell)) in planes.iter_mut().zip(cells).enumerate() {
                    let (x, y) = places(n);
                    plane.paste(cell, x, y);
                }
            }
            (Samples::U16(planes), Samples::U16(cells)) => {
                for (n, (plane, cell)) in planes.iter_mut().zip(cells).enumerate() {
                    let (x, y) = places(n);
                    plane.paste(cell, x, y);
                }
            }
            _ => return Err(corrupt("the cells of its grid do not fit each other")),
        }
        Ok(())
    }
}

impl Subsampling {
    fn size(self, width: usize, height: usize) -> (usize, usize) {
        let half = |whole: usize, yes| if yes { whole.div_ceil(2) } else { whole };
        (half(width, self.across), half(height, self.down))
    }
}

/// A sample type of rows.
pub(super) trait Level: Copy + Default + Into<f32> {
    const MOST: f32;
    /// The nearest level; `value` may be out of range.
    fn of(value: f32) -> Self;
}

/// Adding this leaves the rounded number in the low bits of the sum. Unlike a cast it takes one
/// instruction for many samples.
const ROUND: f32 = 8_388_608.0;

impl Level for u8 {
    const MOST: f32 = 255.0;
    fn of(value: f32) -> Self {
        (value.clamp(0.0, Self::MOST) + ROUND).to_bits() as Self
    }
}

impl Level for u16 {
    const MOST: f32 = 65535.0;
    fn of(value: f32) -> Self {
        (value.clamp(0.0, Self::MOST) + ROUND).to_bits() as Self
    }
}

/// The conversion of the three planes to red, green and blue, each between 0 and 1.
#[derive(Clone, Copy)]
struct Matrix {
    luma_offset: f32,
    chroma_offset: f32,
    /// The contribution of each plane to red, green and blue.
    parts: [[f32; 3]; 3],
}

impl Matrix {
    fn new(nclx: Nclx, bits: u8) -> Result<Self> {
        let one = f32::from(1u16 << (bits - 8));
        let most = 256.0 * one - 1.0;
        let (luma_offset, luma, chroma) = if nclx.full_range {
            (0.0, 1.0 / most, 1.0 / most)
        } else {
            (16.0 * one, 1.0 / (219.0 * one), 1.0 / (224.0 * one))
        };
        let matrix = |parts: [[f32; 3]; 3]| Self {
            luma_offset,
            chroma_offset: 128.0 * one,
            parts: parts.map(|[y, u, v]| [y * luma, u * chroma, v * chroma]),
        };
        let (red, blue) = match nclx.matrix {
            0 => {
                return Ok(Self {
                    luma_offset,
                    chroma_offset: luma_offset,
                    parts: [[0.0, 0.0, luma], [luma, 0.0, 0.0], [0.0, luma, 0.0]],
                });
            }
            8 => {
                return Ok(matrix([
                    [1.0, -1.0, 1.0],
                    [1.0, 1.0, 0.0],
                    [1.0, -1.0, -1.0],
                ]));
            }
            1 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            7 => (0.212, 0.087),
            9 | 10 => (0.2627, 0.0593),
            12 | 13 => derived(nclx.primaries),
            11 | 14.. => {
                return Err(Error::Unsupported(format!(
                    "AVIF colours of matrix {} cannot be read",
                    nclx.matrix
                )));
            }
            // Unspecified or unknown: the matrix of JPEG, as in libavif.
            2 | 3 | 5 | 6 => (0.299, 0.114),
        };
        let green = 1.0 - red - blue;
        Ok(matrix([
            [1.0, 0.0, 2.0 * (1.0 - red)],
            [
                1.0,
                -2.0 * (1.0 - blue) * blue / green,
                -2.0 * (1.0 - red) * red / green,
            ],
            [1.0, 2.0 * (1.0 - blue), 0.0],
        ]))
    }
}

/// The weights of red and blue in luma that follow from the primaries, for those that libavif
/// supports.
fn derived(primaries: u16) -> (f32, f32) {
    match primaries {
        4 => (0.299, 0.114),
        5..=7 => (0.212_395, 0.086_559),
        8 => (0.253_711, 0.068_361),
        9 => (0.2627, 0.0593),
        11 => (0.209_492, 0.068_872),
        12 => (0.228_975, 0.079_287),
        22 => (0.231_8, 0.096_0),
        _ => (0.2126, 0.0722),
    }
}

/// Converts planes to rows of pixels.
pub(super) struct Painter {
    colour: Planes,
    alpha: Option<Planes>,
    premultiplied: bool,
    matrix: Matrix,
    /// One row of each chroma plane, at the resolution of luma.
    chroma: [Vec<f32>; 2],
    /// The blend of two rows of chroma.
    blend: Vec<f32>,
    /// One row of alpha, 0 to 1.
    cover: Vec<f32>,
}

impl Painter {
    /// `said` are the colours given by the container; they take precedence over those of the AV1
    /// data.
    pub(super) fn new(
        colour: Planes,
        alpha: Option<Planes>,
        premultiplied: bool,
        said: Option<Nclx>,
    ) -> Result<Self> {
        let matrix = Matrix::new(said.unwrap_or(colour.nclx), colour.bits)?;
        Ok(Self {
            colour,
            alpha,
            premultiplied,
            matrix,
            chroma: [Vec::new(), Vec::new()],
            blend: Vec::new(),
            cover: Vec::new(),
        })
    }

    /// Converts row `y` from `x` on into `row`, whose pixels have 1, 3 or 4 samples.
    pub(super) fn row<O: Level>(&mut self, x: usize, y: usize, channels: usize, row: &mut [O]) {
        let pixels = x..x + row.len() / channels;
        if channels == 4 {
            self.fill_cover(y);
        }
        let cover = self.cover.get(pixels.clone()).unwrap_or_default();
        let mut brush = Brush {
            matrix: self.matrix,
            subsampling: self.colour.subsampling,
            chroma: &mut self.chroma,
            blend: &mut self.blend,
        };
        match &self.colour.samples {
            Samples::U8(planes) => brush.paint(planes, pixels.clone(), y, channels, row),
            Samples::U16(planes) => brush.paint(planes, pixels.clone(), y, channels, row),
        }
        if channels == 4 {
            set_alpha(row, cover, self.premultiplied);
        }
    }

    fn fill_cover(&mut self, y: usize) {
        self.cover.clear();
        let Some(alpha) = &self.alpha else {
            self.cover.resize(self.colour.size().0 as usize, 1.0);
            return;
        };
        let one = f32::from(1u16 << (alpha.bits - 8));
        let (offset, range) = if alpha.nclx.full_range {
            (0.0, 256.0 * one - 1.0)
        } else {
            (16.0 * one, 219.0 * one)
        };
        let scale = 1.0 / range;
        let level = |sample: f32| ((sample - offset) * scale).clamp(0.0, 1.0);
        match &alpha.samples {
            Samples::U8(planes) => {
                let row = planes[0].row(y).iter();
                self.cover
                    .extend(row.map(|sample| level(f32::from(*sample))));
            }
            Samples::U16(planes) => {
                let row = planes[0].row(y).iter();
                self.cover
                    .extend(row.map(|sample| level(f32::from(*sample))));
            }
        }
    }
}

/// The state for converting colours.
struct Brush<'a> {
    matrix: Matrix,
    subsampling: Option<Subsampling>,
    chroma: &'a mut [Vec<f32>; 2],
    blend: &'a mut Vec<f32>,
}

impl Brush<'_> {
    fn paint<T: Copy + Default + Into<f32>, O: Level>(
        &mut self,
        planes: &[Plane<T>],
        pixels: std::ops::Range<usize>,
        y: usize,
        channels: usize,
        row: &mut [O],
    ) {
        let luma = &planes[0].row(y)[pixels.clone()];
        let Matrix {
            luma_offset,
            chroma_offset,
            parts,
        } = self.matrix;
        let ([_, u, v], Some(subsampling), 3..) = (planes, self.subsampling, channels) else {
            // Gray, of which only luma is used. Its scale is that of green with every matrix.
            let scale = parts[1][0] * O::MOST;
            for (pixel, luma) in row.chunks_exact_mut(channels).zip(luma) {
                pixel.fill(O::of(((*luma).into() - luma_offset) * scale));
            }
            return;
        };
        for (plane, into) in [u, v].into_iter().zip(self.chroma.iter_mut()) {
            spread(plane, subsampling, y, planes[0].width, self.blend, into);
        }
        let parts = parts.map(|plane| plane.map(|part| part * O::MOST));
        let (u, v) = (&self.chroma[0][pixels.clone()], &self.chroma[1][pixels]);
        let paint = |((pixel, luma), (u, v)): ((&mut [O], &T), (&f32, &f32))| {
            let y = (*luma).into() - luma_offset;
            let (u, v) = (u - chroma_offset, v - chroma_offset);
            for (sample, [from_y, from_u, from_v]) in pixel.iter_mut().zip(parts) {
                *sample = O::of(y * from_y + u * from_u + v * from_v);
            }
        };
        let chroma = u.iter().zip(v);
        // The number of channels must be known for the loop to be unrolled.
        if channels == 3 {
            let pixels = row.chunks_exact_mut(3).zip(luma);
            pixels.zip(chroma).for_each(paint);
        } else {
            let pixels = row.chunks_exact_mut(4).zip(luma);
            pixels.zip(chroma).for_each(paint);
        }
    }
}

/// One row of chroma at the resolution of luma.
fn spread<T: Copy + Default + Into<f32>>(
    plane: &Plane<T>,
    subsampling: Subsampling,
    y: usize,
    width: usize,
    blend: &mut Vec<f32>,
    into: &mut Vec<f32>,
) {
    let (near, far) = if subsampling.down {
        let near = y / 2;
        let far = if y % 2 == 1 {
            near + 1
        } else {
            near.saturating_sub(1)
        };
        (plane.row(near), plane.row(far))
    } else {
        (plane.row(y), plane.row(y))
    };
    let mix = |(near, far): (&T, &T)| (*near).into() * 0.75 + (*far).into() * 0.25;
    if !subsampling.across {
        into.clear();
        into.extend(near.iter().zip(far).map(mix));
        return;
    }
    blend.clear();
    blend.extend(near.iter().zip(far).map(mix));
    into.resize(blend.len() * 2, 0.0);
    let last = blend.len() - 1;
    into[0] = blend[0];
    into[2 * last + 1] = blend[last];
    // Between two samples there are two pixels.
    for (pair, between) in into[1..].chunks_exact_mut(2).zip(blend.windows(2)) {
        pair[0] = between[0] * 0.75 + between[1] * 0.25;
        pair[1] = between[0] * 0.25 + between[1] * 0.75;
    }
    into.truncate(width);
}

/// Sets the alpha of RGBA pixels, and undoes premultiplication.
fn set_alpha<O: Level>(row: &mut [O], cover: &[f32], premultiplied: bool) {
    for (pixel, cover) in row.chunks_exact_mut(4).zip(cover) {
        pixel[3] = O::of(cover * O::MOST);
        if premultiplied && *cover < 1.0 {
            let scale = if *cover > 0.0 { 1.0 / cover } else { 0.0 };
            for sample in &mut pixel[..3] {
                *sample = O::of((*sample).into() * scale);
            }
        }
    }
}
