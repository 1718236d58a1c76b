//! Resampling kernels, and the weights along one axis of a picture. Pure arithmetic; the
//! definitions are ImageMagick's, in its orthogonal form.

use std::f64::consts::PI;

use crate::operation::Filter;

/// How an output sample is computed from input samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kernel {
    /// A resize filter; stretched by the scale, so that it also removes detail that the output
    /// cannot represent.
    Filter(Filter),
    /// A Gaussian of this standard deviation in input pixels, whatever the scale.
    Gaussian(f64),
    /// Smooth interpolation for enlarging a blurred picture (Catmull-Rom).
    Interpolate,
}

impl Kernel {
    /// The half width in input pixels at `scale` input pixels per output pixel.
    pub(super) fn support(self, scale: f64) -> f64 {
        let stretch = self.stretch(scale);
        let support = match self {
            Self::Filter(Filter::Lanczos) => 3.0,
            Self::Filter(Filter::LanczosSharp) => 3.0 * LANCZOS_SHARP,
            Self::Filter(Filter::Lanczos2Sharp) => 2.0 * LANCZOS2_SHARP,
            // The weight beyond 3.5 deviations is 0.05 %.
            Self::Gaussian(_) => 3.5,
            _ => 2.0,
        };
        (support * stretch).max(0.5)
    }

    /// The length of one unit of the kernel's own axis in input pixels.
    fn stretch(self, scale: f64) -> f64 {
        match self {
            Self::Filter(_) | Self::Interpolate => scale.max(1.0),
            Self::Gaussian(sigma) => sigma,
        }
    }

    /// The kernel's value at `x` of its own axis; not normalised.
    fn value(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Filter(Filter::Lanczos) => lanczos(x, 3.0),
            Self::Filter(Filter::LanczosSharp) => lanczos(x / LANCZOS_SHARP, 3.0),
            Self::Filter(Filter::Lanczos2) => lanczos(x, 2.0),
            Self::Filter(Filter::Lanczos2Sharp) => lanczos(x / LANCZOS2_SHARP, 2.0),
            Self::Filter(Filter::Mitchell) => cubic(x, 1.0 / 3.0, 1.0 / 3.0),
            Self::Filter(Filter::RobidouxSharp) => {
                cubic(x, 0.262_014_512_399_014_2, 0.368_992_743_800_492_9)
            }
            Self::Gaussian(_) => (-0.5 * x * x).exp(),
            Self::Interpolate => cubic(x, 0.0, 0.5),
        }
    }
}

const LANCZOS_SHARP: f64 = 0.981_250_564_426_935_6;
const LANCZOS2_SHARP: f64 = 0.954_996_363_978_548_5;

/// Sinc windowed by the main lobe of a sinc `lobes` times as wide.
fn lanczos(x: f64, lobes: f64) -> f64 {
    if x < lobes {
        sinc(x) * sinc(x / lobes)
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x < 1e-9 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// The Mitchell-Netravali family of cubics.
fn cubic(x: f64, b: f64, c: f64) -> f64 {
    let (x2, x3) = (x * x, x * x * x);
    if x < 1.0 {
        ((12.0 - 9.0 * b - 6.0 * c) * x3 + (-18.0 + 12.0 * b + 6.0 * c) * x2 + 6.0 - 2.0 * b) / 6.0
    } else if x < 2.0 {
        ((-b - 6.0 * c) * x3
            + (6.0 * b + 30.0 * c) * x2
            + (-12.0 * b - 48.0 * c) * x
            + 8.0 * b
            + 24.0 * c)
            / 6.0
    } else {
        0.0
    }
}

/// The visible part of an axis, in input pixels. It may begin and end inside a pixel, because a
/// JPEG decoded at a fraction of its size ends with a fraction of a pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: f64,
    pub(crate) length: f64,
}

impl Span {
    /// The whole pixels that the span overlaps, of `pixels`; at least one.
    pub(crate) fn pixels(self, pixels: u32) -> (u32, u32) {
        let first = (self.start.floor().max(0.0) as u32).min(pixels.saturating_sub(1));
        let end = (self.start + self.length - 1e-6).ceil().max(0.0) as u32;
        (first, end.clamp(first + 1, pixels.max(first + 1)))
    }
}

/// For each output sample the input samples that it is computed from. All have the same number of
/// weights, padded with zeros, which keeps the inner loops simple.
#[derive(Debug)]
pub(crate) struct Weights {
    /// First input sample of each output sample; never decreases.
    pub(crate) starts: Vec<u32>,
    /// The number of weights of each output sample.
    pub(crate) taps: usize,
    /// `taps` weights for each output sample, which sum to one.
    pub(crate) values: Vec<f32>,
}

impl Weights {
    /// For `outputs` samples from the pixels of `span`, numbered from the first one that it
    /// overlaps; `pixels` is their number.
    pub(crate) fn new(kernel: Kernel, span: Span, pixels: u32, outputs: u32) -> Self {
        let (first, end) = span.pixels(pixels);
        let count = (end - first) as usize;
        let start = span.start - f64::from(first);
        let scale = span.length / f64::from(outputs.max(1));
        let (support, stretch) = (kernel.support(scale), kernel.stretch(scale));
        let taps = ((2.0 * support + 1.0).ceil() as usize).clamp(1, count);

        let mut starts = Vec::with_capacity(outputs as usize);
        let mut values = vec![0.0; outputs as usize * taps];
        let mut exact = vec![0.0; taps];
        for (output, values) in values.chunks_exact_mut(taps).enumerate() {
            let centre = start + (output as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).floor().max(0.0) as usize;
            let first = first.min(count - taps);
            let mut sum = 0.0;
            for (tap, weight) in exact.iter_mut().enumerate() {
                let distance = (first + tap) as f64 + 0.5 - centre;
                *weight = if distance.abs() <= support {
                    kernel.value(distance / stretch)
                } else {
                    0.0
                };
                sum += *weight;
            }
            if sum.abs() < 1e-12 {
                // Only reached when a kernel is far narrower than a pixel.
                let nearest = (centre as usize).clamp(first, first + taps - 1) - first;
                exact.fill(0.0);
                exact[nearest] = 1.0;
                sum = 1.0;
            }
            for (value, weight) in values.iter_mut().zip(&exact) {
                *value = (weight / sum) as f32;
            }
            // Fits: `count` came from a u32.
            starts.push(first as u32);
        }
        Self {
            starts,
            taps,
            values,
        }
    }

    /// The weights of output sample `output`.
    pub(crate) fn of(&self, output: usize) -> &[f32] {
        &self.values[output * self.taps..][..self.taps]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: [Filter; 6] = [
        Filter::Lanczos,
        Filter::LanczosSharp,
        Filter::Lanczos2,
        Filter::Lanczos2Sharp,
        Filter::Mitchell,
        Filter::RobidouxSharp,
    ];

    #[test]
    fn weights_sum_to_one_and_stay_inside() {
        let kernels = FILTERS.map(Kernel::Filter).into_iter().chain([
            Kernel::Gaussian(1e-30),
            Kernel::Gaussian(0.3),
            Kernel::Gaussian(40.0),
            Kernel::Interpolate,
        ]);
        for kernel in kernels {
            for (start, length, pixels, outputs) in [
                (0.0, 1.0, 1, 1),
                (0.0, 4032.0, 4032, 256),
                (0.0, 2016.5, 2017, 1024),
                (10.25, 100.5, 200, 7),
                (0.0, 65535.0, 65535, 1),
                (0.0, 3.0, 3, 100),
                (199.0, 1.0, 200, 1),
                (0.0, 50.0, 50, 50),
            ] {
                let span = Span { start, length };
                let weights = Weights::new(kernel, span, pixels, outputs);
                let (first, end) = span.pixels(pixels);
                assert_eq!(weights.starts.len(), outputs as usize);
                assert!(weights.starts.is_sorted());
                for output in 0..outputs as usize {
                    let sum: f32 = weights.of(output).iter().sum();
                    assert!((sum - 1.0).abs() < 1e-4, "{kernel:?} {span:?} {sum}");
                    let last = weights.starts[output] as usize + weights.taps;
                    assert!(last <= (end - first) as usize, "{kernel:?} {span:?}");
                }
            }
        }
    }

    #[test]
    fn kernels_have_the_shape_they_are_named_for() {
        let at = |filter, x| Kernel::Filter(filter).value(x);
        let check = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        };
        check(at(Filter::Lanczos, 0.0), 1.0);
        check(at(Filter::Lanczos, 1.0), 0.0);
        check(at(Filter::Lanczos, 0.5), 0.607_927_1);
        check(at(Filter::Lanczos2, 0.5), 0.573_159_4);
        check(at(Filter::Lanczos2, 2.0), 0.0);
        check(at(Filter::Mitchell, 0.0), 8.0 / 9.0);
        check(at(Filter::Mitchell, 1.0), 1.0 / 18.0);
        // Robidoux's condition: the filter keeps vertical and horizontal lines.
        check(
            at(Filter::RobidouxSharp, 0.0),
            1.0 - 0.262_014_512_399_014_2 / 3.0,
        );
        check(
            at(Filter::LanczosSharp, 1.0),
            lanczos(1.0 / LANCZOS_SHARP, 3.0),
        );
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let span = Span {
            start: 0.0,
            length: 9.0,
        };
        let weights = Weights::new(Kernel::Filter(Filter::Lanczos2), span, 9, 9);
        for output in 0..9 {
            for (tap, weight) in weights.of(output).iter().enumerate() {
                let here = weights.starts[output] as usize + tap == output;
                assert!((weight - f32::from(u8::from(here))).abs() < 1e-6);
            }
        }
    }
}
