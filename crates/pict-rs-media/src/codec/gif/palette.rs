//! At most 256 colours for a box of pixels: its own colours if they are few enough, else the best
//! approximation, with the error diffused. Independent of blocks and frames. Start reading at
//! [`exact`] and [`quantised`].

use quantette::deps::palette::Srgb;
use quantette::kmeans::KmeansOptions;
use quantette::{PaletteSize, Pipeline, QuantizeMethod};

/// A box of pixels and which of them must be drawn.
pub(super) struct Pixels<'a> {
    pub(super) width: usize,
    /// Red, green, blue and an ignored byte, row by row.
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
    /// Red, green and blue of all colours; with an additional one for transparency if that is
    /// wanted and there is room.
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

/// Indexes the pixels with their own colours, losslessly; `None` if there are more than 256 of them
/// (255 when some pixels are not drawn).
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

/// Indexes the pixels with the colours of `palette`, losslessly; `None` if one is missing.
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

/// Indexes the pixels with the best palette that can be found, and dithers.
pub(super) fn quantised(pixels: &Pixels<'_>, fast: bool, scratch: &mut Nearest) -> Indexed {
    let colours = best_colours(pixels, fast);
    scratch.begin(&colours);
    let indices = dither(pixels, scratch);
    finish(colours, indices, pixels.drawn)
}

/// `colours` must leave an index free if some pixels are not drawn.
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

/// Colours in the order of appearance, with a hash table.
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
    /// Four times the number of colours, so that collisions are rare.
    const SLOTS: usize = 1024;

    /// The colour's index; `None` if it is new and there are already `limit` colours.
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

/// Pixels that are sampled to find colours; more make no visible difference.
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
        // Nothing is drawn, so any colour will do.
        Err(_) => vec![[0; 3]],
    }
}

/// Finds the perceptually nearest colour of a palette.
///
/// Distances are measured in Oklab: over eight photographs that gains 4 points of SSIMULACRA2 over
/// weighted red, green and blue. Only the few colours are compared that can be nearest to some
/// point of the same small cube of RGB.
pub(super) struct Nearest {
    colours: Vec<[i32; 3]>,
    /// Lightness and the two opponent channels of the colours. Entries past the last colour are far
    /// from all colours.
    channels: Box<[[f32; 256]; 3]>,
    /// The linear light of an sRGB sample.
    linear: Box<[f32; 256]>,
    /// For each cube, the number of candidates, or one of the two marks below.
    counts: Vec<u8>,
    /// The candidates of each cube.
    candidates: Vec<[u8; CANDIDATES]>,
}

/// Bits of each channel that name a cube.
const CUBE_BITS: u32 = 5;
const CUBES: usize = 1 << (3 * CUBE_BITS);
/// With more candidates than this, all colours are compared.
const CANDIDATES: usize = 16;
const UNKNOWN: u8 = 0;
const TOO_MANY: u8 = u8::MAX;

impl Nearest {
    pub(super) fn new() -> Self {
        let linear = |sample: usize| {
            let sample = sample as f32 / 255.0;
            if sample <= 0.04045 {
                sample / 12.92
            } else {
                ((sample + 0.055) / 1.055).powf(2.4)
            }
        };
        Self {
            colours: Vec::new(),
            channels: Box::new([[0.0; 256]; 3]),
            linear: Box::new(std::array::from_fn(linear)),
            counts: Vec::new(),
            candidates: Vec::new(),
        }
    }

    fn begin(&mut self, colours: &[[u8; 3]]) {
        self.colours.clear();
        self.colours
            .extend(colours.iter().map(|colour| colour.map(i32::from)));
        for channel in self.channels.iter_mut() {
            channel.fill(1e6);
        }
        for (n, colour) in colours.iter().enumerate() {
            let lab = self.oklab(colour.map(usize::from));
            for (channel, value) in self.channels.iter_mut().zip(lab) {
                channel[n] = value;
            }
        }
        self.counts.clear();
        self.counts.resize(CUBES, UNKNOWN);
        self.candidates.resize(CUBES, [0; CANDIDATES]);
    }

    /// The index and the value of the colour that is nearest to `colour`.
    #[inline]
    fn find(&mut self, colour: [i32; 3]) -> (u8, [i32; 3]) {
        let colour = colour.map(|sample| sample as usize);
        let cube = colour.iter().fold(0, |cube, sample| {
            cube << CUBE_BITS | sample >> (8 - CUBE_BITS)
        });
        if self.counts[cube] == UNKNOWN {
            self.learn(cube, colour);
        }
        let index = match self.counts[cube] {
            1 => self.candidates[cube][0],
            TOO_MANY => lowest(&self.distances(self.oklab(colour))),
            count => {
                let lab = self.oklab(colour);
                let mut nearest = (f32::MAX, 0);
                for index in &self.candidates[cube][..usize::from(count)] {
                    let distance = self.distance(lab, usize::from(*index));
                    if distance < nearest.0 {
                        nearest = (distance, *index);
                    }
                }
                nearest.1
            }
        };
        (index, self.colours[usize::from(index)])
    }

    /// Finds the candidates of the cube that contains `colour`.
    #[cold]
    fn learn(&mut self, cube: usize, colour: [usize; 3]) {
        let side = 1 << (8 - CUBE_BITS);
        let low = colour.map(|sample| sample & !(side - 1));
        let centre = self.oklab(low.map(|sample| sample + side / 2));
        let radius = (0..8)
            .map(|corner| {
                let corner = [0, 1, 2].map(|n| low[n] + (corner >> n & 1) * (side - 1));
                squared(centre, self.oklab(corner))
            })
            .fold(0.0, f32::max)
            .sqrt();
        let distances = self.distances(centre);
        let nearest = distances[usize::from(lowest(&distances))].sqrt();
        // The nearest colour to any point of the cube is at most this far from the centre.
        let limit = (nearest + 2.0 * radius).powi(2);
        let mut count = 0;
        for (index, distance) in distances.iter().enumerate() {
            if *distance <= limit {
                if count == CANDIDATES {
                    self.counts[cube] = TOO_MANY;
                    return;
                }
                self.candidates[cube][count] = index as u8;
                count += 1;
            }
        }
        self.counts[cube] = count as u8;
    }

    #[inline]
    fn distance(&self, lab: [f32; 3], index: usize) -> f32 {
        squared(lab, [0, 1, 2].map(|n| self.channels[n][index]))
    }

    fn distances(&self, lab: [f32; 3]) -> [f32; 256] {
        std::array::from_fn(|index| self.distance(lab, index))
    }

    /// Oklab of sRGB (Björn Ottosson, 2020).
    #[inline]
    fn oklab(&self, colour: [usize; 3]) -> [f32; 3] {
        let [red, green, blue] = colour.map(|sample| self.linear[sample]);
        let long = cube_root(0.412_221_46 * red + 0.536_332_55 * green + 0.051_445_995 * blue);
        let medium = cube_root(0.211_903_5 * red + 0.680_699_5 * green + 0.107_396_96 * blue);
        let short = cube_root(0.088_302_46 * red + 0.281_718_85 * green + 0.629_978_7 * blue);
        [
            0.210_454_26 * long + 0.793_617_8 * medium - 0.004_072_047 * short,
            1.977_998_5 * long - 2.428_592_2 * medium + 0.450_593_7 * short,
            0.025_904_037 * long + 0.782_771_77 * medium - 0.808_675_77 * short,
        ]
    }
}

/// The cube root of 0 to 1, to four digits: a guess from the exponent, and one step of Halley's
/// method. Several times faster than the exact one, which would take half of the time here.
#[inline]
fn cube_root(x: f32) -> f32 {
    let x = x.max(1e-9);
    let guess = f32::from_bits(x.to_bits() / 3 + 0x2a51_19f2);
    let cube = guess * guess * guess;
    guess * (cube + 2.0 * x) / (2.0 * cube + x)
}

fn squared(a: [f32; 3], b: [f32; 3]) -> f32 {
    let [x, y, z] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    x * x + y * y + z * z
}

/// The index of the lowest value. Two plain loops, which the compiler vectorises.
fn lowest(values: &[f32; 256]) -> u8 {
    let mut lowest = [f32::MAX; 8];
    for values in values.as_chunks::<8>().0 {
        for (lowest, value) in lowest.iter_mut().zip(values) {
            *lowest = if *value < *lowest { *value } else { *lowest };
        }
    }
    let lowest = lowest.into_iter().fold(f32::MAX, f32::min);
    let at = values.iter().position(|value| *value == lowest);
    at.unwrap_or(0) as u8
}

/// The part of an error that is diffused, in sixteenths. All of it would turn colours that the
/// palette lacks into noise.
const DIFFUSED: i32 = 14;

/// Floyd-Steinberg, every other row from right to left. Pixels that are not drawn take no part, so
/// that changes next to them do not make them flicker.
fn dither(pixels: &Pixels<'_>, nearest: &mut Nearest) -> Vec<u8> {
    let width = pixels.width;
    let mut indices = vec![0; pixels.drawn.len()];
    // Errors in sixteenths, with an additional entry at both ends.
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
                let error = (wanted[n] - got[n]) * DIFFUSED / 16;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudorandom colours.
    fn colours(count: u32) -> Vec<[u8; 3]> {
        let colour = |n: u32| {
            let [_, red, green, blue] = (n + 1).wrapping_mul(0x9e37_79b1).to_be_bytes();
            [red, green, blue]
        };
        (0..count).map(colour).collect()
    }

    #[test]
    fn candidates_hold_the_nearest_colour() {
        let grey: Vec<_> = (0..=255).map(|grey| [grey; 3]).collect();
        for palette in [colours(1), colours(7), colours(256), grey] {
            let mut nearest = Nearest::new();
            nearest.begin(&palette);
            for wanted in colours(2000) {
                let lab = nearest.oklab(wanted.map(usize::from));
                let (index, colour) = nearest.find(wanted.map(i32::from));
                assert_eq!(palette[usize::from(index)].map(i32::from), colour);
                let expected = nearest.distances(lab)[usize::from(lowest(&nearest.distances(lab)))];
                assert_eq!(nearest.distance(lab, index.into()), expected);
            }
        }
    }

    #[test]
    fn colours_of_the_palette_find_themselves() {
        let grey: Vec<_> = (0..=255).map(|grey| [grey; 3]).collect();
        let mut nearest = Nearest::new();
        nearest.begin(&grey);
        for (index, colour) in grey.iter().enumerate() {
            let found = nearest.find(colour.map(i32::from));
            assert_eq!(usize::from(found.0), index);
        }
    }

    #[test]
    fn cube_roots_have_four_digits() {
        for n in 1..=1000 {
            let x = n as f32 / 1000.0;
            let error = (cube_root(x) - x.cbrt()).abs();
            assert!(error < 3e-4 * x.cbrt(), "{x}: {error}");
        }
        assert!(cube_root(0.0) < 0.002);
    }

    #[test]
    fn a_palette_is_exact_up_to_its_last_place() {
        let check = |count: u32, drawn: bool| {
            let colours: Vec<_> = (0..count).map(|n| [n as u8, (n >> 8) as u8, 7]).collect();
            let mut rgba: Vec<u8> = colours
                .iter()
                .flat_map(|c| [c[0], c[1], c[2], 255])
                .collect();
            let mut mask = vec![true; colours.len()];
            if !drawn {
                rgba.extend([9; 4]);
                mask.push(false);
            }
            let pixels = Pixels {
                width: mask.len(),
                rgba: &rgba,
                drawn: &mask,
            };
            exact(&pixels).map(|indexed| {
                assert_eq!(indexed.palette.colours, colours);
                let indices: Vec<_> = (0..count).map(|n| n as u8).collect();
                assert_eq!(indexed.indices[..count as usize], indices);
                indexed.transparent
            })
        };
        assert_eq!(check(256, true), Some(None));
        assert_eq!(check(257, true), None);
        assert_eq!(check(255, false), Some(Some(255)));
        assert_eq!(check(256, false), None);
    }
}
