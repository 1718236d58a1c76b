//! The two passes, optimised for processors: groups of rows, blocks of samples, sums.
//!
//! Everything here is compiled once for each instruction set that `pulp` distinguishes at run time;
//! the loops are written so that the compiler vectorises them.

use std::collections::VecDeque;

use pulp::{Simd, WithSimd};

use super::{kernel::Weights, light::Sample};
use crate::{Error, Result, rows::Row};

/// The number of input rows that are added to the sums at once: enough that the sums, which do not
/// fit the fastest cache, are not loaded and stored for each row.
pub(super) const GROUP: usize = 4;

/// Samples of a row that are processed at once; a multiple of 1, 3 and 4 channels, and small enough
/// that a group of them stays in the fastest cache.
const BLOCK: usize = 1008;

/// Padding after each row of light, so that its last pixel too can be processed as four samples.
pub(super) const PADDING: usize = 4;

/// A weighted sum of input rows, in light: an output row in progress.
pub(super) struct Sum {
    /// The index of the output row.
    pub(super) output: usize,
    /// The weights of the rows of the current group.
    pub(super) weights: [f32; GROUP],
    /// Whether nothing was added yet, so that `samples` contains an old sum.
    pub(super) fresh: bool,
    /// A sum for each sample of an input row, followed by [`PADDING`]. They begin at `first`, which
    /// is aligned to a cache line.
    samples: Vec<f32>,
    first: usize,
}

/// The length of a cache line in samples; aligned reads never cross two lines.
const LINE: usize = 16;

impl Sum {
    pub(super) fn new(row_len: usize) -> Self {
        let samples = vec![0.0f32; row_len + PADDING + LINE];
        let first = samples.as_ptr().align_offset(LINE * size_of::<f32>());
        Self {
            output: 0,
            weights: [0.0; GROUP],
            fresh: true,
            // A pointer need not be alignable; that only costs speed.
            first: first.min(LINE),
            samples,
        }
    }

    /// The light of the finished row, followed by [`PADDING`].
    pub(super) fn light(&self) -> &[f32] {
        &self.samples[self.first..]
    }

    fn part(&mut self, at: usize, len: usize) -> Part<'_> {
        Part {
            samples: &mut self.samples[self.first + at..][..len],
            weights: self.weights,
            keep: if self.fresh { 0.0 } else { 1.0 },
        }
    }
}

/// Input rows that are collected until there are [`GROUP`] of them.
pub(super) struct Group {
    rows: Samples,
    row_len: usize,
    pub(super) filled: usize,
}

enum Samples {
    U8(Vec<u8>),
    U16(Vec<u16>),
}

impl Group {
    pub(super) fn new(deep: bool, row_len: usize) -> Self {
        Self {
            rows: if deep {
                Samples::U16(vec![0; row_len * GROUP])
            } else {
                Samples::U8(vec![0; row_len * GROUP])
            },
            row_len,
            filled: 0,
        }
    }

    pub(super) fn push(&mut self, row: Row<'_>, first: usize, len: usize) -> Result<()> {
        let at = self.filled * self.row_len;
        let copied = match (&mut self.rows, row) {
            (Samples::U8(rows), Row::U8(row)) => copy_part(rows, at, row, first, len),
            (Samples::U16(rows), Row::U16(row)) => copy_part(rows, at, row, first, len),
            _ => None,
        };
        self.filled += 1;
        copied.ok_or_else(|| Error::Internal("a row of another length".into()))
    }
}

fn copy_part<T: Copy>(to: &mut [T], at: usize, from: &[T], first: usize, len: usize) -> Option<()> {
    let from = from.get(first..first.checked_add(len)?)?;
    to.get_mut(at..at + len)?.copy_from_slice(from);
    Some(())
}

/// The vertical pass over one group of rows.
pub(super) struct AddGroup<'a> {
    pub(super) group: &'a Group,
    pub(super) channels: usize,
    pub(super) sums: &'a mut VecDeque<Sum>,
}

impl WithSimd for AddGroup<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Group {
            rows,
            row_len,
            filled,
        } = self.group;
        match (rows, S::IS_SCALAR) {
            (Samples::U8(rows), false) => {
                add::<u8, true>(rows, *row_len, *filled, self.channels, self.sums);
            }
            (Samples::U16(rows), false) => {
                add::<u16, true>(rows, *row_len, *filled, self.channels, self.sums);
            }
            (Samples::U8(rows), true) => {
                add::<u8, false>(rows, *row_len, *filled, self.channels, self.sums);
            }
            (Samples::U16(rows), true) => {
                add::<u16, false>(rows, *row_len, *filled, self.channels, self.sums);
            }
        }
    }
}

#[inline(always)]
fn add<T: Sample, const FUSED: bool>(
    rows: &[T],
    row_len: usize,
    filled: usize,
    channels: usize,
    sums: &mut VecDeque<Sum>,
) {
    let mut light = Block([[0.0; BLOCK]; GROUP]);
    let sums = sums.make_contiguous();
    for at in (0..row_len).step_by(BLOCK) {
        let len = BLOCK.min(row_len - at);
        for (row, light) in light.0.iter_mut().enumerate().take(filled) {
            T::decode::<FUSED>(
                &rows[row * row_len + at..][..len],
                channels,
                &mut light[..len],
            );
        }
        // In pairs, so that each sample of light is loaded half as often.
        let mut pairs = sums.chunks_exact_mut(2);
        for pair in &mut pairs {
            let [first, second] = pair else { continue };
            add_to_two::<FUSED>(&light, first.part(at, len), second.part(at, len));
        }
        for sum in pairs.into_remainder() {
            add_to_one::<FUSED>(&light, sum.part(at, len));
        }
    }
}

/// The light of a part of each row of a group, aligned so that vectors do not cross cache lines.
#[repr(align(64))]
struct Block([[f32; BLOCK]; GROUP]);

/// A part of a sum: its samples, the weights of the rows, and the factor for earlier samples.
struct Part<'a> {
    samples: &'a mut [f32],
    weights: [f32; GROUP],
    keep: f32,
}

#[inline(always)]
fn add_to_two<const FUSED: bool>(light: &Block, first: Part<'_>, second: Part<'_>) {
    let len = first.samples.len();
    let [a, b, c, d] = light.0.each_ref().map(|row| &row[..len]);
    let (one, two) = (first.samples, &mut second.samples[..len]);
    for i in 0..len {
        let (mut s, mut t) = (one[i] * first.keep, two[i] * second.keep);
        s = fma::<FUSED>(a[i], first.weights[0], s);
        t = fma::<FUSED>(a[i], second.weights[0], t);
        s = fma::<FUSED>(b[i], first.weights[1], s);
        t = fma::<FUSED>(b[i], second.weights[1], t);
        s = fma::<FUSED>(c[i], first.weights[2], s);
        t = fma::<FUSED>(c[i], second.weights[2], t);
        one[i] = fma::<FUSED>(d[i], first.weights[3], s);
        two[i] = fma::<FUSED>(d[i], second.weights[3], t);
    }
}

#[inline(always)]
fn add_to_one<const FUSED: bool>(light: &Block, part: Part<'_>) {
    let samples = part.samples;
    let len = samples.len();
    let [a, b, c, d] = light.0.each_ref().map(|row| &row[..len]);
    for i in 0..len {
        let mut s = samples[i] * part.keep;
        s = fma::<FUSED>(a[i], part.weights[0], s);
        s = fma::<FUSED>(b[i], part.weights[1], s);
        s = fma::<FUSED>(c[i], part.weights[2], s);
        samples[i] = fma::<FUSED>(d[i], part.weights[3], s);
    }
}

/// `a * b + c`; fused only if the processor supports it, because it is a slow call otherwise.
#[inline(always)]
fn fma<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// The horizontal pass over one complete sum, and the conversion from light.
pub(super) struct ShrinkRow<'a> {
    pub(super) columns: &'a Weights,
    pub(super) channels: usize,
    pub(super) from: &'a [f32],
    pub(super) light: &'a mut [f32],
    pub(super) out_8: &'a mut [u8],
    pub(super) out_16: &'a mut [u16],
}

impl WithSimd for ShrinkRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match (self.channels, S::IS_SCALAR) {
            (1, false) => shrink_gray::<true>(self.columns, self.from, self.light),
            (1, true) => shrink_gray::<false>(self.columns, self.from, self.light),
            (3, false) => shrink::<3, true>(self.columns, self.from, self.light),
            (3, true) => shrink::<3, false>(self.columns, self.from, self.light),
            (_, false) => shrink::<4, true>(self.columns, self.from, self.light),
            (_, true) => shrink::<4, false>(self.columns, self.from, self.light),
        }
        if self.out_16.is_empty() {
            u8::encode(&self.light[..self.out_8.len()], self.channels, self.out_8);
        } else {
            u16::encode(&self.light[..self.out_16.len()], self.channels, self.out_16);
        }
    }
}

/// Processes four samples at each pixel even if it has three: the fourth belongs to the next pixel,
/// or to the padding, and its result is overwritten by the next pixel.
#[inline(always)]
fn shrink<const CHANNELS: usize, const FUSED: bool>(
    columns: &Weights,
    from: &[f32],
    to: &mut [f32],
) {
    let taps = columns.taps;
    let weights = columns.values.chunks_exact(taps);
    for (output, (&start, weights)) in columns.starts.iter().zip(weights).enumerate() {
        let from = &from[start as usize * CHANNELS..][..(taps - 1) * CHANNELS + 4];
        // Two sums, because an addition to a sum must wait for the previous one.
        let (mut even, mut odd) = ([0.0f32; 4], [0.0f32; 4]);
        let mut pairs = weights.chunks_exact(2);
        let pixels = from.windows(CHANNELS + 4).step_by(2 * CHANNELS);
        for (pixels, pair) in pixels.zip(&mut pairs) {
            for lane in 0..4 {
                even[lane] = fma::<FUSED>(pixels[lane], pair[0], even[lane]);
                odd[lane] = fma::<FUSED>(pixels[CHANNELS + lane], pair[1], odd[lane]);
            }
        }
        if let [weight] = pairs.remainder() {
            let last = &from[(taps - 1) * CHANNELS..];
            for lane in 0..4 {
                even[lane] = fma::<FUSED>(last[lane], *weight, even[lane]);
            }
        }
        for (to, (even, odd)) in to[output * CHANNELS..][..4]
            .iter_mut()
            .zip(even.iter().zip(odd))
        {
            *to = even + odd;
        }
    }
}

#[inline(always)]
fn shrink_gray<const FUSED: bool>(columns: &Weights, from: &[f32], to: &mut [f32]) {
    let taps = columns.taps;
    let starts = columns.starts.iter();
    let weights = columns.values.chunks_exact(taps);
    for ((to, &start), weights) in to.iter_mut().zip(starts).zip(weights) {
        let from = &from[start as usize..][..taps];
        let mut sum = [0.0f32; 8];
        let (from_8, weights_8) = (from.chunks_exact(8), weights.chunks_exact(8));
        let rest = from_8.remainder().iter().zip(weights_8.remainder());
        for (from, weights) in from_8.clone().zip(weights_8.clone()) {
            for ((sum, &sample), &weight) in sum.iter_mut().zip(from).zip(weights) {
                *sum = fma::<FUSED>(sample, weight, *sum);
            }
        }
        for ((&sample, &weight), sum) in rest.zip(&mut sum) {
            *sum += sample * weight;
        }
        let [a, b, c, d, e, f, g, h] = sum;
        *to = ((a + e) + (c + g)) + ((b + f) + (d + h));
    }
}
