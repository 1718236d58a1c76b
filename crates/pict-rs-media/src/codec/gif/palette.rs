//! At most 256 colours for a box of pixels: its own if they are few enough, else the best that
//! can be found, with the error diffused. Knows no blocks and no frames.
//! Start reading at [`exact`] and [`quantised`].

use quantette::deps::palette::Srgb;
use quantette::kmeans::KmeansOptions;
use quantette::{PaletteSize, Pipeline, QuantizeMethod};

/// A box of pixels and which of them must be drawn.
pub(super) struct Pixels<'a> {
    pub(super) width: usize,
    /// Red, green, blue and something that is not looked at, row by row.
    pub(super) rgba: &'a [u8],
    /// For every pixel, whether it must be drawn. The others are left transparent.
    pub(super) drawn: &'a [bool],
}

/// Indices into a palette.
pub(super) struct Indexed {
    pub(super) palette: Palette,
    /// The index of pixels that are not drawn, if there are any.
    pub(super) transparent: Option<u8>,
    /// One for every pixel of the box.
    pub(super) indices: Vec<u8>,
}

/// Up to 256 colours. If there are fewer, the index after the last one is free for
/// transparency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Palette {
    colours: Vec<[u8; 3]>,
}

impl Palette {
    /// Red, green and blue of all colours; with one more for transparency if that is wanted and
    /// there is room.
    pub(super) fn bytes(&self, transparency: bool) -> Vec<u8> {
        let mut bytes = self.colours.concat();
        if transparency && self.free().is_some() {
            bytes.extend([0; 3]);
        }
        bytes
    }

    /// The index after the last colour.
    fn free(&self) -> Option<u8> {
        u8::try_from(self.colours.len()).ok()
    }
}

/// Indexes the pixels with colours of their own, without any loss; `None` if there are more
/// than 256 of them (255 when some pixels are not drawn).
pub(super) fn exact(pixels: &Pixels<'_>) -> Option<Indexed> {
    let limit = if pixels.drawn.contains(&false) {
        255
    } else {
        256
    };
    let mut colours = ColourSet::default();
    let mut indices = Vec::with_capacity(pixels.drawn.len());
    for (rgba, drawn) in pixels.rgba.chunks_exact(4).zip(pixels.drawn) {
        let index = if *drawn {
            colours.insert([rgba[0], rgba[1], rgba[2]], limit)?
        } else {
            u8::MAX
        };
        indices.push(index);
    }
    Some(finish(colours.colours, indices, pixels.drawn))
}

/// Indexes the pixels with the colours of `palette`, without any loss; `None` if one is missing.
pub(super) fn with_palette(pixels: &Pixels<'_>, palette: &Palette) -> Option<Indexed> {
    if pixels.drawn.contains(&false) && palette.free().is_none() {
        return None;
    }
    let mut colours = ColourSet::default();
    for colour in &palette.colours {
        colours.insert(*colour, 256)?;
    }
    let limit = colours.colours.len();
    let mut indices = Vec::with_capacity(pixels.drawn.len());
    for (rgba, drawn) in pixels.rgba.chunks_exact(4).zip(pixels.drawn) {
        let index = if *drawn {
            colours.insert([rgba[0], rgba[1], rgba[2]], limit)?
        } else {
            u8::MAX
        };
        indices.push(index);
    }
    Some(finish(colours.colours, indices, pixels.drawn))
}

/// Indexes the pixels with the best colours that can be found, and dithers.
pub(super) fn quantised(pixels: &Pixels<'_>, fast: bool, scratch: &mut Nearest) -> Indexed {
    let colours = best_colours(pixels, fast);
    scratch.begin(&colours);
    let indices = dither(pixels, scratch);
    finish(colours, indices, pixels.drawn)
}

/// `colours` leave an index free if some pixels are not drawn.
fn finish(colours: Vec<[u8; 3]>, mut indices: Vec<u8>, drawn: &[bool]) -> Indexed {
    let palette = Palette { colours };
    let transparent = palette.free().filter(|_| drawn.contains(&false));
    if let Some(transparent) = transparent {
        for (index, drawn) in indices.iter_mut().zip(drawn) {
            if !drawn {
                *index = transparent;
            }
        }
    }
    Indexed {
        palette,
        transparent,
        indices,
    }
}

/// Colours in the order in which they were met, found again by hashing.
struct ColourSet {
    colours: Vec<[u8; 3]>,
    /// Colour and index; a free slot has a key that no colour has.
    slots: Box<[(u32, u8); Self::SLOTS]>,
    last: (u32, u8),
}

impl Default for ColourSet {
    fn default() -> Self {
        Self {
            colours: Vec::new(),
            slots: Box::new([(u32::MAX, 0); Self::SLOTS]),
            last: (u32::MAX, 0),
        }
    }
}

impl ColourSet {
    /// Four times as many as colours, so that few collide.
    const SLOTS: usize = 1024;

    /// The colour's index; `None` if it is new and there are `limit` colours already.
    #[inline]
    fn insert(&mut self, colour: [u8; 3], limit: usize) -> Option<u8> {
        let key = u32::from_be_bytes([0, colour[0], colour[1], colour[2]]);
        if key == self.last.0 {
            return Some(self.last.1);
        }
        // The upper ten bits of a multiplicative hash.
        let mut slot = (key.wrapping_mul(0x9e37_79b1) >> 22) as usize;
        loop {
            let (found, index) = self.slots[slot];
            if found == key {
                self.last = (key, index);
                return Some(index);
            }
            if found == u32::MAX {
                break;
            }
            slot = (slot + 1) % Self::SLOTS;
        }
        if self.colours.len() >= limit {
            return None;
        }
        let index = self.colours.len() as u8;
        self.colours.push(colour);
        self.slots[slot] = (key, index);
        self.last = (key, index);
        Some(index)
    }
}

/// Pixels that are looked at to find colours; more make no visible difference.
const SAMPLES: usize = 1 << 16;

fn best_colours(pixels: &Pixels<'_>, fast: bool) -> Vec<[u8; 3]> {
    let drawn = pixels.drawn.iter().filter(|drawn| **drawn).count();
    let step = drawn.div_ceil(SAMPLES).max(1);
    let samples: Vec<Srgb<u8>> = pixels
        .rgba
        .chunks_exact(4)
        .zip(pixels.drawn)
        .filter(|(_, drawn)| **drawn)
        .step_by(step)
        .map(|(rgba, _)| Srgb::new(rgba[0], rgba[1], rgba[2]))
        .collect();
    let method = if fast {
        QuantizeMethod::Wu
    } else {
        let options = KmeansOptions::new().sampling_factor(1.0);
        QuantizeMethod::Kmeans(options)
    };
    let pipeline = Pipeline::new()
        .palette_size(PaletteSize::from_u8_clamped(255))
        .quantize_method(method)
        .parallel(false);
    match pipeline.input_slice(&samples) {
        Ok(input) => input
            .output_srgb8_palette()
            .iter()
            .map(|colour| [colour.red, colour.green, colour.blue])
            .collect(),
        // Nothing is drawn, so any colour does.
        Err(_) => vec![[0; 3]],
    }
}

/// Finds the nearest colour of a palette, and remembers it.
pub(super) struct Nearest {
    colours: Vec<[i32; 3]>,
    /// The index for the upper six bits of each channel.
    known: Vec<u16>,
}

impl Nearest {
    const UNKNOWN: u16 = u16::MAX;

    pub(super) fn new() -> Self {
        Self {
            colours: Vec::new(),
            known: Vec::new(),
        }
    }

    fn begin(&mut self, colours: &[[u8; 3]]) {
        self.colours.clear();
        self.colours
            .extend(colours.iter().map(|colour| colour.map(i32::from)));
        self.known.clear();
        self.known.resize(1 << 18, Self::UNKNOWN);
    }

    #[inline]
    fn find(&mut self, colour: [i32; 3]) -> (u8, [i32; 3]) {
        let slot = (colour[0] >> 2) << 12 | (colour[1] >> 2) << 6 | colour[2] >> 2;
        let known = self.known[slot as usize];
        let index = if known == Self::UNKNOWN {
            let found = self.search(colour);
            self.known[slot as usize] = found;
            found
        } else {
            known
        };
        (index as u8, self.colours[usize::from(index)])
    }

    fn search(&self, colour: [i32; 3]) -> u16 {
        let distance = |other: &[i32; 3]| {
            let [red, green, blue] = [0, 1, 2].map(|n| (other[n] - colour[n]).pow(2));
            // How much each channel counts for the eye, roughly.
            2 * red + 4 * green + 3 * blue
        };
        let nearest = self
            .colours
            .iter()
            .enumerate()
            .min_by_key(|(_, other)| distance(other));
        nearest.map_or(0, |(index, _)| index as u16)
    }
}

/// Floyd-Steinberg, every other row from right to left. Pixels that are not drawn take no part,
/// so that what changes beside them does not make them flicker.
fn dither(pixels: &Pixels<'_>, nearest: &mut Nearest) -> Vec<u8> {
    let width = pixels.width;
    let mut indices = vec![0; pixels.drawn.len()];
    // Errors in sixteenths, with one more place at either end.
    let (mut here, mut below) = (vec![[0i32; 3]; width + 2], vec![[0i32; 3]; width + 2]);
    for row in 0..pixels.drawn.len() / width {
        let start = row * width;
        let forward = row % 2 == 0;
        for step in 0..width {
            let x = if forward { step } else { width - 1 - step };
            let at = start + x;
            if !pixels.drawn[at] {
                continue;
            }
            let wanted = [0, 1, 2].map(|n| {
                let error = (here[x + 1][n] + 8) >> 4;
                (i32::from(pixels.rgba[at * 4 + n]) + error).clamp(0, 255)
            });
            let (index, got) = nearest.find(wanted);
            indices[at] = index;
            let (ahead, behind) = if forward { (x + 2, x) } else { (x, x + 2) };
            for n in 0..3 {
                let error = wanted[n] - got[n];
                here[ahead][n] += error * 7;
                below[behind][n] += error * 3;
                below[x + 1][n] += error * 5;
                below[ahead][n] += error;
            }
        }
        std::mem::swap(&mut here, &mut below);
        below.fill([0; 3]);
    }
    indices
}
