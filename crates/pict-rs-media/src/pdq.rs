//! PDQ, a perceptual hash of 256 bits: pictures that look alike have hashes that differ in few bits.
//!
//! After "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019) and its
//! reference implementation, <https://github.com/facebook/ThreatExchange/tree/main/pdq>, whose
//! published hashes this computes bit for bit. Only large pictures are reduced first, as newer
//! versions of the reference do; that changes a few bits at most.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Orientation;
use crate::rows::{Layout, Shape};

/// A PDQ hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PdqHash([u8; Self::BYTES]);

impl PdqHash {
    /// Bytes of a hash.
    pub const BYTES: usize = 32;

    /// A hash from its bytes, in the order of its digits.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes, in the order of its digits.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The hashes of the picture as it is, and turned and mirrored in the seven other ways, as far
    /// as this one tells them: a value near the median may fall on its other side, which costs a few
    /// bits. [`Pdq::turned`] has them exactly.
    pub fn turned(&self) -> Turned {
        let mut signs = [[-1.0; KEPT]; KEPT];
        for (at, value) in signs.as_flattened_mut().iter_mut().enumerate() {
            let (byte, bit) = place(at);
            if self.0[byte] >> bit & 1 != 0 {
                *value = 1.0;
            }
        }
        let mut hashes = [*self; 8];
        for (hash, turn) in hashes.iter_mut().zip(Turn::all()) {
            *hash = Self::of(&turn.apply(&signs), 0.0);
        }
        hashes
    }

    /// A bit for each value above `threshold`.
    fn of(values: &[f32; KEPT * KEPT], threshold: f32) -> Self {
        let mut bytes = [0; Self::BYTES];
        for (at, value) in values.iter().enumerate() {
            let (byte, bit) = place(at);
            bytes[byte] |= u8::from(*value > threshold) << bit;
        }
        Self(bytes)
    }

    #[inline(always)]
    fn words(&self) -> [u64; 4] {
        let (words, _) = self.0.as_chunks::<8>();
        std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
    }

    /// The number of bits, 0 to 256, in which two hashes differ.
    pub fn distance(&self, other: &Self) -> u32 {
        let bits = self.0.iter().zip(other.0);
        bits.map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

/// The byte and the bit of a value: the first one is the last bit.
fn place(at: usize) -> (usize, usize) {
    (PdqHash::BYTES - 1 - at / 8, at % 8)
}

/// 64 hexadecimal digits, as in lists that are exchanged.
impl fmt::Display for PdqHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PdqHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hashes of a picture as it is shown, and turned and mirrored in the seven other ways.
pub type Turned = [PdqHash; 8];

/// A text that is no PDQ hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPdq;

impl fmt::Display for NotPdq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a PDQ hash has 64 hexadecimal digits")
    }
}

impl std::error::Error for NotPdq {}

impl FromStr for PdqHash {
    type Err = NotPdq;

    fn from_str(text: &str) -> Result<Self, NotPdq> {
        let digits = text.as_bytes();
        let mut bytes = [0; Self::BYTES];
        if digits.len() != 2 * bytes.len() {
            return Err(NotPdq);
        }
        let value = |digit: u8| char::from(digit).to_digit(16).ok_or(NotPdq);
        for (byte, digits) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (value(digits[0])? << 4 | value(digits[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for PdqHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PdqHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The positions of those `hashes` that differ from one of `wanted` in at most `distance` bits, with
/// the least distance of each, in the order of `hashes`.
pub fn near(hashes: &[PdqHash], wanted: &Turned, distance: u32) -> Vec<(usize, u32)> {
    let wanted = wanted.map(|hash| hash.words());
    let halves = [wanted.map(|words| words[0]), wanted.map(|words| words[1])];
    // Counting bits is one instruction on processors that are not older than 2013.
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut found = Vec::new();
            for (at, hash) in hashes.iter().enumerate() {
                let [a, b, c, d] = hash.words();
                // Without a branch for each, so that the loop is vectorised. Most are too far already.
                let mut least = u64::MAX;
                for (first, second) in halves[0].iter().zip(&halves[1]) {
                    let half = (a ^ first).count_ones() + (b ^ second).count_ones();
                    least = least.min(half.into());
                }
                if least > distance.into() {
                    continue;
                }
                let distances = wanted.iter().map(|words| {
                    let pairs = words.iter().zip([a, b, c, d]);
                    pairs.map(|(one, other)| (one ^ other).count_ones()).sum()
                });
                let least: u32 = distances.min().unwrap_or(u32::MAX);
                if least <= distance {
                    found.push((at, least));
                }
            }
            found
        },
    )
}

/// The hashes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pdq {
    hashes: Turned,
    quality: u8,
}

impl Pdq {
    /// The hash of the picture as it is shown.
    pub fn hash(&self) -> PdqHash {
        self.hashes[0]
    }

    /// The hashes of the picture as it is shown, and turned and mirrored in the seven other ways.
    pub fn turned(&self) -> &Turned {
        &self.hashes
    }

    /// How much there is to recognise, from 0, a uniform area, to 100. The reference advises
    /// against matching hashes of a quality below 50.
    pub fn quality(&self) -> u8 {
        self.quality
    }
}

/// A picture with a side of fewer pixels has no hash, as in the reference.
const LEAST_SIDE: u32 = 5;
/// A longer side is reduced by a whole factor, to more than half of this.
const LONGEST_SIDE: u32 = 512;
/// Both sides of the picture that is transformed.
const SMALL: usize = 64;
/// Both sides of the part of the transform that is kept: low frequencies without the mean.
const KEPT: usize = 16;

/// Rows of 8-bit samples that have a sum of 16 bits.
const MOST_ADDED: u32 = u16::MAX as u32 / u8::MAX as u32;

/// The longest side of a picture whose memory a hash takes, in bytes: its luma, and once more while
/// it is blurred.
pub(crate) const MEMORY: u64 = (LONGEST_SIDE as u64).pow(2) * 4 * 2;

/// Takes the rows of a stored picture, and keeps its luma. Alpha is ignored, as by the programs that
/// make lists.
#[derive(Debug)]
pub(crate) struct Luma {
    shape: Shape,
    /// Columns and rows that become one.
    factors: (usize, usize),
    /// Sums of the samples of some rows, one for each column and channel.
    columns: Vec<u16>,
    /// Rows in `columns`.
    added: u32,
    /// Sums of the reduced row that is being filled, in thousandths, without what is in `columns`.
    sums: Vec<u64>,
    received: u32,
    /// Rows of the reduced row so far.
    summed: usize,
    reduced: Picture,
}

impl Luma {
    /// `None` when the picture is too small.
    pub(crate) fn new(shape: Shape) -> Option<Self> {
        if shape.width < LEAST_SIDE || shape.height < LEAST_SIDE {
            return None;
        }
        let factor = |side: u32| side.div_ceil(LONGEST_SIDE);
        let factors = (factor(shape.width), factor(shape.height));
        let width = shape.width.div_ceil(factors.0) as usize;
        let height = shape.height.div_ceil(factors.1) as usize;
        Some(Self {
            shape,
            factors: (factors.0 as usize, factors.1 as usize),
            columns: vec![0; shape.width as usize * shape.layout.channels()],
            added: 0,
            sums: vec![0; width],
            received: 0,
            summed: 0,
            reduced: Picture {
                width,
                values: Vec::with_capacity(width * height),
            },
        })
    }

    /// Takes the next row of 8-bit samples.
    pub(crate) fn row(&mut self, row: &[u8]) {
        // Rows are added to each other first, because that is a few instructions for many samples.
        // What is done for each pixel is done once for all of them.
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let samples = self.columns.iter_mut().zip(row);
                samples.for_each(|(sum, sample)| *sum += u16::from(*sample));
            },
        );
        self.added += 1;
        self.received += 1;
        self.summed += 1;
        let is_last = self.summed == self.factors.1 || self.received == self.shape.height;
        if is_last || self.added == MOST_ADDED {
            self.gather();
        }
        if !is_last {
            return;
        }
        let mut rest = self.shape.width as usize;
        for sum in &mut self.sums {
            let pixels = rest.min(self.factors.0) * self.summed;
            rest -= rest.min(self.factors.0);
            self.reduced
                .values
                .push((*sum as f64 / (1000 * pixels) as f64) as f32);
            *sum = 0;
        }
        self.summed = 0;
    }

    /// Moves what is in `columns` to `sums`.
    fn gather(&mut self) {
        let step = self.shape.layout.channels() * self.factors.0;
        let parts = self.sums.iter_mut().zip(self.columns.chunks(step));
        match self.shape.layout {
            Layout::Rgba8 => parts.for_each(|(sum, part)| *sum += sum_of_luma::<4>(part)),
            Layout::Rgb8 => parts.for_each(|(sum, part)| *sum += sum_of_luma::<3>(part)),
            _ => parts.for_each(|(sum, part)| {
                *sum += 1000 * part.iter().map(|&v| u64::from(v)).sum::<u64>();
            }),
        }
        self.columns.fill(0);
        self.added = 0;
    }

    /// The hashes, when all rows have been taken. `orientation` is how the stored picture is shown.
    pub(crate) fn finish(self, orientation: Orientation) -> Option<Pdq> {
        (self.received == self.shape.height).then(|| self.reduced.hash(orientation))
    }
}

/// The luma of pixels of `N` samples, in thousandths (ITU-R BT.601).
fn sum_of_luma<const N: usize>(samples: &[u16]) -> u64 {
    let (pixels, _) = samples.as_chunks::<N>();
    let mut sums = [0u64; N];
    for pixel in pixels {
        let sums = sums.iter_mut().zip(pixel);
        sums.for_each(|(sum, sample)| *sum += u64::from(*sample));
    }
    299 * sums[0] + 587 * sums[1] + 114 * sums[2]
}

/// A picture of one channel, 0 to 255, in rows.
#[derive(Debug)]
struct Picture {
    width: usize,
    values: Vec<f32>,
}

impl Picture {
    fn height(&self) -> usize {
        self.values.len() / self.width
    }

    fn hash(mut self, orientation: Orientation) -> Pdq {
        // Two passes of a box are about a tent.
        for _ in 0..2 {
            self.blur_rows();
            self.blur_columns();
        }
        let small = self.decimated();
        let transform = transform(&small);
        // Upright first. Which of the others is which way does not matter.
        let upright = Turn::of(orientation);
        let mut hashes = [upright.hash(&transform); 8];
        let others = Turn::all().filter(|turn| *turn != upright);
        for (hash, turn) in hashes[1..].iter_mut().zip(others) {
            *hash = turn.hash(&transform);
        }
        Pdq {
            hashes,
            quality: quality(&small),
        }
    }

    fn blur_rows(&mut self) {
        let window = window(self.width);
        let mut blurred = vec![0.0; self.width];
        for row in self.values.chunks_exact_mut(self.width) {
            let (mut sum, mut count) = (0.0, 0.0);
            for value in &row[..window.ahead] {
                sum += value;
                count += 1.0;
            }
            for (at, blurred) in blurred.iter_mut().enumerate() {
                if let Some(value) = row.get(at + window.ahead) {
                    sum += value;
                    count += 1.0;
                }
                if let Some(left) = at.checked_sub(window.behind + 1) {
                    sum -= row[left];
                    count -= 1.0;
                }
                *blurred = sum / count;
            }
            row.copy_from_slice(&blurred);
        }
    }

    /// As [`Self::blur_rows`], for all columns at once.
    fn blur_columns(&mut self) {
        let (width, height) = (self.width, self.height());
        let window = window(height);
        let row = |y: usize| y * width..(y + 1) * width;
        let mut blurred = vec![0.0; self.values.len()];
        let mut sums = vec![0.0; width];
        let add = |sums: &mut [f32], values: &[f32]| {
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += value);
        };
        let mut count = 0.0;
        for y in 0..window.ahead {
            add(&mut sums, &self.values[row(y)]);
            count += 1.0;
        }
        for y in 0..height {
            if y + window.ahead < height {
                add(&mut sums, &self.values[row(y + window.ahead)]);
                count += 1.0;
            }
            if let Some(left) = y.checked_sub(window.behind + 1) {
                let left = &self.values[row(left)];
                sums.iter_mut()
                    .zip(left)
                    .for_each(|(sum, value)| *sum -= value);
                count -= 1.0;
            }
            let blurred = blurred[row(y)].iter_mut();
            blurred
                .zip(&sums)
                .for_each(|(blurred, sum)| *blurred = sum / count);
        }
        self.values = blurred;
    }

    /// The pixels in the middle of each of 64 × 64 parts.
    fn decimated(&self) -> Small {
        let middle = |part: usize, side: usize| (2 * part + 1) * side / (2 * SMALL);
        let mut small = [[0.0; SMALL]; SMALL];
        for (part_y, row) in small.iter_mut().enumerate() {
            let y = middle(part_y, self.height());
            for (part_x, value) in row.iter_mut().enumerate() {
                *value = self.values[y * self.width + middle(part_x, self.width)];
            }
        }
        small
    }
}

type Small = [[f32; SMALL]; SMALL];
type Kept = [[f32; KEPT]; KEPT];

/// How many pixels before and behind one its mean is made of.
struct Window {
    behind: usize,
    ahead: usize,
}

/// For a side of this many pixels. An even window has one pixel more ahead.
fn window(side: usize) -> Window {
    let full = side.div_ceil(2 * SMALL);
    Window {
        behind: (full - 1) / 2,
        ahead: full / 2,
    }
}

/// Steps between neighbours that can be seen. The constants are those of the reference.
fn quality(small: &Small) -> u8 {
    let step = |a: f32, b: f32| ((a - b) * 100.0 / 255.0) as i32;
    let mut sum = 0;
    for (y, row) in small.iter().enumerate() {
        for (x, value) in row.iter().enumerate() {
            let below = small.get(y + 1).map(|below| below[x]);
            let right = row.get(x + 1).copied();
            let neighbours = [below, right].into_iter().flatten();
            sum += neighbours
                .map(|other| step(*value, other).abs())
                .sum::<i32>();
        }
    }
    (sum / 90).min(100) as u8
}

/// The cosine transform in both directions, frequencies 1 to 16.
fn transform(small: &Small) -> Kept {
    let scale = (2.0 / SMALL as f64).sqrt();
    let angle = |frequency: usize, at: usize| {
        PI / (2 * SMALL) as f64 * ((frequency + 1) * (2 * at + 1)) as f64
    };
    let mut cosines = [[0.0f32; SMALL]; KEPT];
    for (frequency, row) in cosines.iter_mut().enumerate() {
        for (at, cosine) in row.iter_mut().enumerate() {
            *cosine = (scale * angle(frequency, at).cos()) as f32;
        }
    }
    let mut columns = [[0.0f32; SMALL]; KEPT];
    for (cosines, column) in cosines.iter().zip(&mut columns) {
        for (cosine, row) in cosines.iter().zip(small) {
            column
                .iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += cosine * value);
        }
    }
    let mut kept = [[0.0; KEPT]; KEPT];
    for (column, row) in columns.iter().zip(&mut kept) {
        for (cosines, sum) in cosines.iter().zip(row) {
            let products = column
                .iter()
                .zip(cosines)
                .map(|(value, cosine)| value * cosine);
            *sum = products.fold(0.0, |sum, product| sum + product);
        }
    }
    kept
}

/// What is done to a picture: it is mirrored, then its axes are swapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    flips_x: bool,
    flips_y: bool,
    swaps_axes: bool,
}

impl Turn {
    /// What makes a stored picture upright.
    fn of(orientation: Orientation) -> Self {
        Self {
            flips_x: orientation.flips_x(),
            flips_y: orientation.flips_y(),
            swaps_axes: orientation.swaps_axes(),
        }
    }

    /// All of them; the first one does nothing.
    fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|bits| Self {
            flips_x: bits & 1 != 0,
            flips_y: bits & 2 != 0,
            swaps_axes: bits & 4 != 0,
        })
    }

    /// The transform of the turned picture, in rows. Mirroring negates odd frequencies.
    fn apply(self, transform: &Kept) -> [f32; KEPT * KEPT] {
        let value = |y: usize, x: usize| {
            let (from_y, from_x) = if self.swaps_axes { (x, y) } else { (y, x) };
            // The first frequency is 1.
            let is_odd = |index: usize| index.is_multiple_of(2);
            let is_negated = (self.flips_x && is_odd(from_x)) != (self.flips_y && is_odd(from_y));
            let value = transform[from_y][from_x];
            if is_negated { -value } else { value }
        };
        std::array::from_fn(|at| value(at / KEPT, at % KEPT))
    }

    /// The hash of the turned picture.
    fn hash(self, transform: &Kept) -> PdqHash {
        let values = self.apply(transform);
        let mut sorted = values;
        // The lower one of the two in the middle.
        let (_, median, _) = sorted.select_nth_unstable_by(values.len() / 2 - 1, f32::total_cmp);
        PdqHash::of(&values, *median)
    }
}

#[cfg(test)]
mod tests;
