//! Resizes or blurs a picture while its rows are streamed.
//!
//! Works in linear light with premultiplied alpha and in 32-bit floats until the end, so that the
//! overshoot of one pass is preserved for the next. It holds a few rows, never the picture. Colours
//! are assumed to be sRGB: start at [`Resample`].

mod kernel;
mod light;
mod passes;

use std::collections::VecDeque;

use pulp::Arch;

use crate::{
    Error, Result,
    rows::{Layout, Row, RowSink, Shape},
};
use kernel::Weights;
pub(crate) use kernel::{Kernel, Span};
use passes::{AddGroup, GROUP, Group, PADDING, ShrinkRow, Sum};

/// The parameters of a resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Geometry {
    /// The input columns that are used.
    pub(crate) columns: Span,
    /// The input rows that are used.
    pub(crate) rows: Span,
    /// Width of the output in pixels.
    pub(crate) width: u32,
    /// Height of the output in pixels.
    pub(crate) height: u32,
    /// The kernel, for both axes.
    pub(crate) kernel: Kernel,
}

impl Geometry {
    /// An upper estimate of the number of output rows in progress at once.
    pub(crate) fn rows_in_flight(&self) -> f64 {
        let scale = self.rows.length / f64::from(self.height.max(1));
        let reach = (2.0 * self.kernel.support(scale) + 1.0).min(self.rows.length);
        ((reach + GROUP as f64) / scale + 2.0).min(f64::from(self.height))
    }
}

/// The stage: receives a picture, passes a smaller (or blurred) one to `next`.
///
/// Rows come in groups. A group is converted to light in small blocks that stay in the fastest
/// cache, and added with its weights to the sums of all output rows that it affects. A complete sum
/// is shrunk along the row and passed on. The horizontal pass comes second because fewer rows are
/// left by then.
pub(crate) struct Resample<N> {
    geometry: Geometry,
    /// Whether to deliver 16-bit samples (if the layout exists).
    deep: bool,
    next: N,
    arch: Arch,
    pass: Option<Pass>,
}

impl<N: RowSink> Resample<N> {
    pub(crate) fn new(geometry: Geometry, deep: bool, next: N) -> Self {
        Self {
            geometry,
            deep,
            next,
            arch: Arch::new(),
            pass: None,
        }
    }
}

impl<N: RowSink> RowSink for Resample<N> {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        if shape.layout == Layout::Cmyk8 {
            return Err(Error::Internal("inks cannot be resampled".into()));
        }
        // The frames of an animation are alike, so weights and buffers are reused.
        let pass = match self.pass.take() {
            Some(mut pass) if pass.shape == shape => {
                pass.rewind();
                pass
            }
            _ => Pass::new(shape, &self.geometry, self.deep),
        };
        self.next.begin(pass.output)?;
        self.pass = Some(pass);
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let Some(pass) = &mut self.pass else {
            return Err(Error::Internal("a row before its picture".into()));
        };
        let y = pass.received;
        pass.received += 1;
        if !(pass.first_row..pass.end_row).contains(&y) {
            return Ok(());
        }
        pass.group.push(row, pass.first_sample, pass.row_len)?;
        if pass.group.filled < GROUP && y + 1 < pass.end_row {
            return Ok(());
        }
        pass.add_group(self.arch);
        while let Some(sum) = pass.pop_complete() {
            let row = pass.output_row(self.arch, &sum);
            self.next.row(row)?;
            pass.spare.push(sum);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let complete = self
            .pass
            .as_ref()
            .is_some_and(|pass| pass.started == pass.rows.starts.len() && pass.sums.is_empty());
        if !complete {
            return Err(Error::Internal("a picture with too few rows".into()));
        }
        self.next.end()
    }
}

/// The state of one picture.
struct Pass {
    shape: Shape,
    output: Shape,
    columns: Weights,
    rows: Weights,
    /// The input rows that are used, and the range of samples in each.
    first_row: u32,
    end_row: u32,
    first_sample: usize,
    row_len: usize,
    /// Input rows so far.
    received: u32,
    group: Group,
    /// Rows of the window that were already added to the sums.
    added: usize,
    /// Output rows whose sum was started.
    started: usize,
    sums: VecDeque<Sum>,
    spare: Vec<Sum>,
    light: Vec<f32>,
    out_8: Vec<u8>,
    out_16: Vec<u16>,
}

impl Pass {
    fn new(shape: Shape, geometry: &Geometry, deep: bool) -> Self {
        let channels = shape.layout.channels();
        let layout = match shape.layout {
            Layout::Rgb8 | Layout::Rgb16 if deep => Layout::Rgb16,
            Layout::Rgba8 | Layout::Rgba16 if deep => Layout::Rgba16,
            Layout::Rgb16 => Layout::Rgb8,
            Layout::Rgba16 => Layout::Rgba8,
            other => other,
        };
        let output = Shape {
            width: geometry.width,
            height: geometry.height,
            layout,
        };
        let (first_column, end_column) = geometry.columns.pixels(shape.width);
        let (first_row, end_row) = geometry.rows.pixels(shape.height);
        let row_len = (end_column - first_column) as usize * channels;
        let out_len = output.row_len();
        Self {
            shape,
            output,
            columns: Weights::new(
                geometry.kernel,
                geometry.columns,
                shape.width,
                geometry.width,
            ),
            rows: Weights::new(
                geometry.kernel,
                geometry.rows,
                shape.height,
                geometry.height,
            ),
            first_row,
            end_row,
            first_sample: first_column as usize * channels,
            row_len,
            received: 0,
            group: Group::new(shape.layout.is_16_bit(), row_len),
            added: 0,
            started: 0,
            sums: VecDeque::new(),
            spare: Vec::new(),
            light: vec![0.0; out_len + PADDING],
            out_8: vec![0; if layout.is_16_bit() { 0 } else { out_len }],
            out_16: vec![0; if layout.is_16_bit() { out_len } else { 0 }],
        }
    }

    fn rewind(&mut self) {
        self.received = 0;
        self.group.filled = 0;
        self.added = 0;
        self.started = 0;
        self.spare.extend(self.sums.drain(..));
    }

    /// Adds the rows of the group to every sum they belong to, and empties the group.
    fn add_group(&mut self, arch: Arch) {
        let filled = self.group.filled;
        let end = self.added + filled;
        while let Some(&start) = self.rows.starts.get(self.started) {
            if start as usize >= end {
                break;
            }
            let mut sum = self.spare.pop().unwrap_or_else(|| Sum::new(self.row_len));
            sum.output = self.started;
            sum.fresh = true;
            self.sums.push_back(sum);
            self.started += 1;
        }
        for sum in &mut self.sums {
            let start = self.rows.starts[sum.output] as usize;
            let weights = self.rows.of(sum.output);
            for (row, weight) in sum.weights.iter_mut().enumerate() {
                *weight = (self.added + row)
                    .checked_sub(start)
                    .filter(|_| row < filled)
                    .and_then(|tap| weights.get(tap))
                    .copied()
                    .unwrap_or(0.0);
            }
        }
        arch.dispatch(AddGroup {
            group: &self.group,
            channels: self.shape.layout.channels(),
            sums: &mut self.sums,
        });
        for sum in &mut self.sums {
            sum.fresh = false;
        }
        self.added = end;
        self.group.filled = 0;
    }

    /// The next output row whose last input row was added.
    fn pop_complete(&mut self) -> Option<Sum> {
        let start = self.rows.starts[self.sums.front()?.output] as usize;
        let count = (self.end_row - self.first_row) as usize;
        if self.added < (start + self.rows.taps).min(count) {
            return None;
        }
        self.sums.pop_front()
    }

    fn output_row(&mut self, arch: Arch, sum: &Sum) -> Row<'_> {
        arch.dispatch(ShrinkRow {
            columns: &self.columns,
            channels: self.output.layout.channels(),
            from: sum.light(),
            light: &mut self.light,
            out_8: &mut self.out_8,
            out_16: &mut self.out_16,
        });
        if self.output.layout.is_16_bit() {
            Row::U16(&self.out_16)
        } else {
            Row::U8(&self.out_8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Filter,
        rows::testing::{Collected, picture_8, picture_16},
    };

    const FILTERS: [Filter; 6] = [
        Filter::Lanczos,
        Filter::LanczosSharp,
        Filter::Lanczos2,
        Filter::Lanczos2Sharp,
        Filter::Mitchell,
        Filter::RobidouxSharp,
    ];

    fn geometry(from: (u32, u32), to: (u32, u32), kernel: Kernel) -> Geometry {
        let span = |length: u32| Span {
            start: 0.0,
            length: length.into(),
        };
        Geometry {
            columns: span(from.0),
            rows: span(from.1),
            width: to.0,
            height: to.1,
            kernel,
        }
    }

    fn resampled(
        from: (u32, u32),
        to: (u32, u32),
        kernel: Kernel,
        layout: Layout,
        samples: &[u8],
    ) -> Vec<u8> {
        let mut out = Collected::default();
        let stage = Resample::new(geometry(from, to, kernel), false, &mut out);
        picture_8(stage, from.0, from.1, layout, samples);
        assert!(out.ended);
        out.bytes
    }

    #[test]
    fn half_the_light_is_not_half_the_level() {
        let board: Vec<u8> = (0..64 * 64)
            .map(|i| if (i / 64 + i) % 2 == 0 { 255 } else { 0 })
            .collect();
        for filter in FILTERS {
            let kernel = Kernel::Filter(filter);
            let gray = resampled((64, 64), (8, 8), kernel, Layout::Gray8, &board);
            assert!(gray.iter().all(|v| v.abs_diff(188) <= 2), "{gray:?}");
        }
    }

    #[test]
    fn flat_pictures_stay_what_they_are_at_any_size() {
        for layout in [Layout::Gray8, Layout::Rgb8, Layout::Rgba8] {
            let pixel = &[40, 130, 250, 200][..layout.channels()];
            for (from, to) in [
                ((1, 1), (1, 1)),
                ((1, 9), (1, 3)),
                ((9, 1), (4, 1)),
                ((300, 2), (1, 1)),
                ((5, 5), (5, 5)),
                ((1009, 3), (7, 2)),
                ((2, 3), (50, 60)),
                ((400, 33), (13, 32)),
            ] {
                let samples = pixel.repeat((from.0 * from.1) as usize);
                for filter in FILTERS {
                    let out = resampled(from, to, Kernel::Filter(filter), layout, &samples);
                    assert_eq!(out, pixel.repeat((to.0 * to.1) as usize), "{from:?} {to:?}");
                }
            }
        }
    }

    #[test]
    fn transparent_pixels_lend_no_colour() {
        let row: Vec<u8> = [[0, 0, 255, 255], [255, 0, 0, 0]].repeat(20).concat();
        let out = resampled(
            (40, 2),
            (10, 1),
            Kernel::Filter(Filter::Lanczos),
            Layout::Rgba8,
            &row.repeat(2),
        );
        for pixel in out.chunks_exact(4) {
            assert_eq!(&pixel[..3], [0, 0, 255]);
            assert!(pixel[3].abs_diff(128) <= 12, "{pixel:?}");
        }
    }

    /// A slow but obvious resample for comparison.
    fn expected(from: (u32, u32), to: (u32, u32), kernel: Kernel, samples: &[u8]) -> Vec<f64> {
        let span = |length: u32| Span {
            start: 0.0,
            length: length.into(),
        };
        let columns = Weights::new(kernel, span(from.0), from.0, to.0);
        let rows = Weights::new(kernel, span(from.1), from.1, to.1);
        let mut out = Vec::new();
        for y in 0..to.1 as usize {
            for x in 0..to.0 as usize {
                for channel in 0..3 {
                    let mut sum = 0.0;
                    for (v, wy) in rows.of(y).iter().enumerate() {
                        for (u, wx) in columns.of(x).iter().enumerate() {
                            let row = rows.starts[y] as usize + v;
                            let column = columns.starts[x] as usize + u;
                            let at = (row * from.0 as usize + column) * 3 + channel;
                            let light = light::DECODE_8[usize::from(samples[at])];
                            sum += f64::from(wy * wx * light);
                        }
                    }
                    let light = sum.clamp(0.0, 1.0);
                    out.push(if light <= 0.003_130_8 {
                        light * 12.92 * 255.0
                    } else {
                        (1.055 * light.powf(1.0 / 2.4) - 0.055) * 255.0
                    });
                }
            }
        }
        out
    }

    #[test]
    fn the_fast_passes_agree_with_the_obvious_ones() {
        let mut seed = 12345u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        for (from, to) in [
            ((61, 47), (20, 15)),
            ((700, 9), (341, 5)),
            ((9, 70), (8, 3)),
        ] {
            let samples: Vec<u8> = (0..from.0 * from.1 * 3).map(|_| random()).collect();
            for kernel in [
                Kernel::Filter(Filter::Lanczos),
                Kernel::Filter(Filter::Mitchell),
                Kernel::Gaussian(1.5),
            ] {
                let found = resampled(from, to, kernel, Layout::Rgb8, &samples);
                let expected = expected(from, to, kernel, &samples);
                for (found, expected) in found.iter().zip(&expected) {
                    let difference = (f64::from(*found) - expected).abs();
                    assert!(difference < 0.65, "{from:?} {kernel:?} {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn processors_without_vectors_get_the_same_picture() {
        for layout in [Layout::Gray8, Layout::Rgb8, Layout::Rgba8] {
            let (width, height) = (83, 57);
            let samples: Vec<u8> = (0..width * height * layout.channels() as u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect();
            let kernel = Kernel::Filter(Filter::Lanczos);
            let run = |arch| {
                let mut out = Collected::default();
                let geometry = geometry((width, height), (31, 20), kernel);
                let mut stage = Resample::new(geometry, false, &mut out);
                stage.arch = arch;
                picture_8(stage, width, height, layout, &samples);
                out.bytes
            };
            for (fast, plain) in run(Arch::new()).iter().zip(run(Arch::Scalar)) {
                assert!(fast.abs_diff(plain) <= 1, "{layout:?} {fast} {plain}");
            }
        }
    }

    #[test]
    fn a_deep_gradient_keeps_its_steps() {
        let (width, height) = (2048u32, 4u32);
        // A dark gradient over four 8-bit levels.
        let row: Vec<u16> = (0..width)
            .flat_map(|x| [(2570 + x / 2) as u16; 3])
            .collect();
        let samples = row.repeat(height as usize);
        let geometry = geometry((width, height), (1024, 2), Kernel::Filter(Filter::Lanczos2));
        let mut out = Collected::default();
        let stage = Resample::new(geometry, true, &mut out);
        picture_16(stage, width, height, Layout::Rgb16, &samples);
        let first: Vec<u16> = out.words[..1024 * 3]
            .chunks_exact(3)
            .map(|p| p[0])
            .collect();
        assert!(first.is_sorted());
        for (x, value) in first.iter().enumerate() {
            assert!(value.abs_diff(2570 + x as u16) <= 1, "{x} {value}");
        }
        let mut out = Collected::default();
        let stage = Resample::new(geometry, false, &mut out);
        picture_16(stage, width, height, Layout::Rgb16, &samples);
        for (x, pixel) in out.bytes[..1024 * 3].chunks_exact(3).enumerate() {
            let exact = (2570.0 + x as f64) / 257.0;
            assert!((f64::from(pixel[0]) - exact).abs() < 0.62, "{x} {pixel:?}");
        }
    }

    #[test]
    fn a_second_picture_starts_afresh() {
        let geometry = geometry((8, 8), (3, 3), Kernel::Filter(Filter::Lanczos));
        let mut out = Collected::default();
        let mut stage = Resample::new(geometry, false, &mut out);
        picture_8(&mut stage, 8, 8, Layout::Gray8, &[255; 64]);
        picture_8(&mut stage, 8, 8, Layout::Gray8, &[7; 64]);
        picture_8(&mut stage, 8, 8, Layout::Rgb8, &[9; 192]);
        assert_eq!(out.bytes, [9; 27]);
    }

    #[test]
    fn a_window_inside_pixels_is_the_middle_of_the_picture() {
        // 3.5 columns of which the last is partial: the gradient ends early.
        let samples = [0, 80, 160, 240];
        let mut narrow = geometry((4, 1), (2, 1), Kernel::Filter(Filter::Mitchell));
        narrow.columns.length = 3.5;
        let run = |geometry| {
            let mut out = Collected::default();
            picture_8(
                Resample::new(geometry, false, &mut out),
                4,
                1,
                Layout::Gray8,
                &samples,
            );
            out.bytes
        };
        let whole = run(geometry((4, 1), (2, 1), Kernel::Filter(Filter::Mitchell)));
        let part = run(narrow);
        assert!(part[1] < whole[1], "{part:?} {whole:?}");
        let mut one = geometry((4, 1), (1, 1), Kernel::Filter(Filter::Mitchell));
        one.columns = Span {
            start: 2.0,
            length: 1.0,
        };
        assert_eq!(run(one), [160]);
    }

    #[test]
    fn a_picture_with_too_few_rows_does_not_end() {
        let geometry = geometry((4, 4), (2, 2), Kernel::Filter(Filter::Lanczos));
        let mut out = Collected::default();
        let mut stage = Resample::new(geometry, false, &mut out);
        let shape = Shape {
            width: 4,
            height: 4,
            layout: Layout::Gray8,
        };
        stage.begin(shape).expect("begins");
        stage.row(Row::U8(&[0; 4])).expect("takes a row");
        assert!(stage.end().is_err());
    }
}
