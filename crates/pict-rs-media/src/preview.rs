//! Proves that a picture's pixels decode, and computes the hashes that tell what it looks like.

use blurhash_update::{Encoder, ImageBounds};
use serde::{Deserialize, Serialize};

use crate::{
    Control, Error, Facts, Orientation, Result,
    clean::Cleaned,
    codec,
    colour::{Conversion, InksToRgb, Narrow, ToSrgb},
    operation::Rect,
    pdq::{Luma, Pdq},
    rows::{Layout, Row, RowSink, Shape},
    small::Small,
    transform::pipeline::{conversion, decode},
};

/// What a picture looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// For clients that show it while the picture is loading.
    pub blurhash: String,
    /// The same in other bytes: smaller, with alpha and the ratio of the sides.
    pub thumbhash: Vec<u8>,
    /// The dominant colour in sRGB; `None` when nothing can be seen.
    pub colour: Option<[u8; 3]>,
    /// For comparing it with others. `None` when the picture is too small to be compared.
    pub pdq: Option<Pdq>,
}

/// Decodes the picture (an animation's first frame) far enough to know that it is complete, and
/// returns its hashes. A large JPEG is decoded at an eighth of its size, which also reads all of
/// its data; its hashes may differ in some digits from those of the whole picture.
///
/// # Errors
/// [`Error::Corrupt`] when pixels cannot be decoded, [`Error::Cancelled`] through `control`.
pub(crate) fn preview(source: &[u8], facts: &Facts, control: &Control) -> Result<Preview> {
    let shrink = if is_shrunk(facts) { 8 } else { 1 };
    hash(source, facts, control, |sink| {
        decode(source, facts, shrink, control, sink)
    })
}

/// As [`preview`], of a file that has been cleaned: if that has read all data of a large JPEG, they
/// are not read again. `source` and `facts` are those before cleaning.
///
/// # Errors
/// As [`preview`].
pub(crate) fn preview_of_cleaned(
    cleaned: &Cleaned<'_>,
    source: &[u8],
    facts: &Facts,
    control: &Control,
) -> Result<Preview> {
    match &cleaned.eighth {
        Some(eighth) if is_shrunk(facts) => {
            hash(source, facts, control, |sink| eighth.push(control, sink))
        }
        _ => preview(source, facts, control),
    }
}

fn is_shrunk(facts: &Facts) -> bool {
    let area = u64::from(facts.stored_width) * u64::from(facts.stored_height);
    codec::of(facts.format).shrinks && area > WHOLE_JPEG_AREA
}

/// The hashes of the rows that `push` delivers of a picture.
fn hash(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    push: impl FnOnce(&mut dyn RowSink) -> Result<()>,
) -> Result<Preview> {
    let mut hash = Hash::new(facts.orientation);
    // Colours are not converted: the hash is only a hint, and published values of other
    // implementations are computed like this. Only samples that would look wrong, such as HDR, are
    // converted.
    let conversion = conversion(source, facts, control).filter(Conversion::goes_first);
    let hash_sink = ToSrgb::new(conversion.as_ref(), Narrow::new(&mut hash));
    push(&mut InksToRgb::new(None, hash_sink))?;
    hash.finish()
}

/// JPEGs of at most this many pixels are decoded at full size.
const WHOLE_JPEG_AREA: u64 = 4_000_000;

/// Collects rows for the hashes. Of a picture that must be turned it keeps only the pixels that the
/// blurhash samples, a few hundred of them.
struct Hash {
    orientation: Orientation,
    shape: Option<Shape>,
    received: u32,
    /// The blurhash samples every `skip`-th pixel of every `skip`-th row.
    skip: u32,
    /// The sampled pixels, upright; only filled if the picture must be turned.
    upright: Vec<[u8; 4]>,
    rgba: Vec<u8>,
    encoder: Option<Encoder>,
    small: Option<Small>,
    luma: Option<Luma>,
}

impl Hash {
    fn new(orientation: Orientation) -> Self {
        Self {
            orientation,
            shape: None,
            received: 0,
            skip: 1,
            upright: Vec::new(),
            rgba: Vec::new(),
            encoder: None,
            small: None,
            luma: None,
        }
    }

    fn finish(mut self) -> Result<Preview> {
        let (Some(mut encoder), Some(small), Some(shape)) =
            (self.encoder.take(), self.small.take(), self.shape)
        else {
            return Err(Error::Internal("a picture without rows".into()));
        };
        if self.orientation != Orientation::Normal {
            let (width, height) = self.orientation.swap_size((shape.width, shape.height));
            let across = width.div_ceil(self.skip) as usize;
            let mut row = vec![0; width as usize * 4];
            for y in 0..height {
                if y % self.skip == 0 {
                    let from = (y / self.skip) as usize * across;
                    let to = row.chunks_mut(self.skip as usize * 4);
                    for (to, pixel) in to.zip(&self.upright[from..]) {
                        to[..4].copy_from_slice(pixel);
                    }
                }
                encoder.update(&row);
            }
        }
        let (thumbhash, colour) = small.finish(self.orientation)?;
        Ok(Preview {
            blurhash: encoder.finalize(),
            thumbhash,
            colour,
            pdq: self.luma.and_then(|luma| luma.finish(self.orientation)),
        })
    }

    /// Keeps the pixels of the row in `rgba` that the hash samples.
    fn keep(&mut self, shape: Shape, stored_y: u32) {
        let (up_w, up_h) = self.orientation.swap_size((shape.width, shape.height));
        let across = up_w.div_ceil(self.skip);
        // A stored row is an upright row or an upright column.
        let line = Rect {
            x: 0,
            y: stored_y,
            width: 1,
            height: 1,
        };
        let inverse = match self.orientation {
            Orientation::Rotate90 => Orientation::Rotate270,
            Orientation::Rotate270 => Orientation::Rotate90,
            other => other,
        };
        let at = |stored_x| {
            let pixel = Rect {
                x: stored_x,
                ..line
            };
            let upright = inverse.stored_rect(pixel, up_w, up_h);
            (upright.x, upright.y)
        };
        for (stored_x, pixel) in (0..shape.width).zip(self.rgba.chunks_exact(4)) {
            let (x, y) = at(stored_x);
            if x % self.skip == 0 && y % self.skip == 0 {
                let index = (y / self.skip) as usize * across as usize + (x / self.skip) as usize;
                if let Some(kept) = self.upright.get_mut(index) {
                    kept.copy_from_slice(pixel);
                }
            }
        }
    }
}

impl RowSink for Hash {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        let (width, height) = self.orientation.swap_size((shape.width, shape.height));
        let Some(area) = width.checked_mul(height) else {
            return Err(Error::Unsupported(
                "a picture of more than 2^32 pixels has no blurhash".into(),
            ));
        };
        self.shape = Some(shape);
        self.luma = Luma::new(shape);
        self.small = Some(Small::new(shape));
        self.skip = skip(area);
        self.encoder = Some(Encoder::auto(ImageBounds { width, height }));
        if self.orientation != Orientation::Normal {
            let across = width.div_ceil(self.skip) as usize;
            let down = height.div_ceil(self.skip) as usize;
            self.upright = vec![[0; 4]; across * down];
        }
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let (Some(shape), Row::U8(row)) = (self.shape, row) else {
            return Err(Error::Internal("a row of another kind".into()));
        };
        let y = self.received;
        self.received += 1;
        if let Some(luma) = &mut self.luma {
            luma.row(row);
        }
        self.rgba.clear();
        match shape.layout {
            Layout::Rgba8 => self.rgba.extend_from_slice(row),
            Layout::Rgb8 => self
                .rgba
                .extend(row.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255])),
            _ => self.rgba.extend(row.iter().flat_map(|&v| [v, v, v, 255])),
        }
        if let Some(small) = &mut self.small {
            small.row(&self.rgba);
        }
        if self.orientation == Orientation::Normal {
            if let Some(encoder) = &mut self.encoder {
                encoder.update(&self.rgba);
            }
        } else {
            self.keep(shape, y);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The sampling step that the hash's encoder chooses by itself: the largest power of two below the
/// side of a square of a 512th of the area. A test compares both.
fn skip(area: u32) -> u32 {
    let side = ((area / 512) as f32).sqrt().floor() as u32;
    let mut skip = 1;
    while skip * 2 < side {
        skip *= 2;
    }
    skip
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        orient::{tests as turns, turn},
        rows::testing::picture_8,
    };

    fn hash(orientation: Orientation, width: u32, height: u32, rgb: &[u8]) -> String {
        let mut hash = Hash::new(orientation);
        picture_8(&mut hash, width, height, Layout::Rgb8, rgb);
        hash.finish().expect("the picture is whole").blurhash
    }

    #[test]
    fn every_orientation_has_the_hash_of_the_upright_picture() {
        for (width, height) in [(300u32, 200u32), (31, 77), (1, 1), (1, 9), (97, 1000)] {
            let pixel = |x: u32, y: u32| {
                [
                    (x * 255 / width) as u8,
                    (y * 255 / height) as u8,
                    if x < width / 3 && y < height / 4 {
                        255
                    } else {
                        20
                    },
                ]
            };
            let upright: Vec<u8> = (0..height)
                .flat_map(|y| (0..width).flat_map(move |x| pixel(x, y)))
                .collect();
            let rgba: Vec<u8> = upright
                .chunks_exact(3)
                .flat_map(|p| [p[0], p[1], p[2], 255])
                .collect();
            let expected = blurhash_update::auto_encode(ImageBounds { width, height }, &rgba);
            for orientation in turns::ALL {
                let mut stored = Vec::new();
                let shape = Shape {
                    width,
                    height,
                    layout: Layout::Rgb8,
                };
                turn(&upright, shape, turns::inverse(orientation), |row| {
                    stored.extend_from_slice(row);
                    Ok(())
                })
                .expect("the sizes fit");
                let (w, h) = orientation.swap_size((width, height));
                assert_eq!(
                    hash(orientation, w, h, &stored),
                    expected,
                    "{orientation:?} {width}x{height}"
                );
            }
        }
    }

    #[test]
    fn a_picture_beyond_counting_is_refused() {
        let mut hash = Hash::new(Orientation::Normal);
        let shape = Shape {
            width: 1 << 17,
            height: 1 << 17,
            layout: Layout::Gray8,
        };
        assert!(matches!(hash.begin(shape), Err(Error::Unsupported(_))));
    }
}
