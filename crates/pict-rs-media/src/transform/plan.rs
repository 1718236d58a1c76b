//! Which steps turn the stored picture into the result, and which frame of an animation is
//! selected.
//!
//! Operations refer to the upright picture. The steps are the equivalents for the stored picture,
//! so that the turn can wait until the picture is small. No pixel is processed here.

use crate::{
    Facts, codec,
    operation::{Filter, Operation, Rect, ResizeTo, centred_crop},
    resample::{Geometry, Kernel, Span},
    transform::Speed,
};

/// What to do with the decoder's rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// The factor by which the decoder shrinks the picture: 1, 2, 4 or 8. Only for JPEG.
    pub(crate) shrink: u32,
    /// The steps, in order.
    pub(crate) steps: Vec<Step>,
    /// Size of the result after the steps, before the turn.
    pub(crate) stored_size: (u32, u32),
    /// The selected frame of an animation, counted from 1; `None` for all of them, or for the
    /// first.
    pub(crate) frame: Option<u32>,
}

/// One step, in pixels of its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    Cut(Rect),
    Resample {
        geometry: Geometry,
        /// Whether 8 bits would be too few for the next step.
        deep: bool,
    },
}

impl Plan {
    /// The picture as it is.
    pub(crate) fn unchanged(facts: &Facts) -> Self {
        Self::new(facts, &[], Speed::Quality)
    }

    pub(crate) fn new(facts: &Facts, operations: &[Operation], speed: Speed) -> Self {
        let mut builder = Builder::new(facts.stored_width, facts.stored_height);
        for &operation in operations {
            let upright = facts
                .orientation
                .swap_size((builder.window.width, builder.window.height));
            match operation {
                Operation::Thumbnail(size) => {
                    let size = ResizeTo::Fit(size).size(upright.0, upright.1);
                    builder.resize(facts.orientation.swap_size(size), THUMBNAIL_FILTER);
                }
                Operation::Resize { filter, to } => {
                    let size = to.size(upright.0, upright.1);
                    builder.resize(facts.orientation.swap_size(size), filter);
                }
                Operation::Crop { width, height } => {
                    let rect = centred_crop(upright.0, upright.1, width, height);
                    let window = builder.window;
                    builder.cut(
                        facts
                            .orientation
                            .stored_rect(rect, window.width, window.height),
                    );
                }
                Operation::Blur(sigma) => builder.blur(f64::from(sigma)),
            }
        }
        builder.flush();
        let stored_size = (builder.window.width, builder.window.height);
        let mut plan = Self {
            shrink: 1,
            steps: builder.steps,
            stored_size,
            frame: None,
        };
        if codec::of(facts.format).shrinks {
            plan.shrink_early(speed);
        }
        plan
    }

    /// Lets the decoder do a part of the first resize. That is cheap, but it averages in the wrong
    /// light and without overlap, so the resampler keeps a share of the work.
    fn shrink_early(&mut self, speed: Speed) {
        let Some(Step::Resample { geometry, .. }) = self.steps.first_mut() else {
            return;
        };
        if !matches!(geometry.kernel, Kernel::Filter(_)) {
            return;
        }
        let ratio = (geometry.columns.length / f64::from(geometry.width))
            .min(geometry.rows.length / f64::from(geometry.height));
        let table = match speed {
            Speed::Quality => QUALITY_SHRINKS,
            Speed::Fast => FAST_SHRINKS,
        };
        let fits = table.iter().find(|(_, from)| ratio >= *from);
        self.shrink = fits.map_or(1, |(by, _)| *by);
        let by = f64::from(self.shrink);
        for span in [&mut geometry.columns, &mut geometry.rows] {
            span.start /= by;
            span.length /= by;
        }
    }

    /// The index of the last resample.
    pub(crate) fn last_resample(&self) -> Option<usize> {
        self.steps
            .iter()
            .rposition(|step| matches!(step, Step::Resample { .. }))
    }
}

/// Thumbnails are small, so the sharpest filter costs them nothing.
const THUMBNAIL_FILTER: Filter = Filter::Lanczos;

/// The decoder's shrink factors, with the minimum ratio of the first resize for each. The resampler
/// keeps a factor of about 2, then more, because the decoder's errors grow with its share.
/// Photographs of 12 megapixels, SSIMULACRA2 against a full decode: to 1000 pixels by 2 it is 93,
/// by 1 96; to 256 pixels by 4 92, by 8 83, by 2 96 (and each step costs 5 to 20 ms).
const QUALITY_SHRINKS: [(u32, f64); 3] = [(8, 24.0), (4, 8.0), (2, 3.8)];
const FAST_SHRINKS: [(u32, f64); 3] = [(8, 8.0), (4, 4.0), (2, 2.0)];

/// Blurs of at most this deviation are done at full size; above it, the cost is limited by blurring
/// a smaller picture.
const DIRECT_BLUR: f64 = 4.0;

struct Builder {
    steps: Vec<Step>,
    /// Width of the result of the steps so far.
    width: u32,
    height: u32,
    /// The part of it that is left after crops, which are not steps yet: a following resize
    /// includes them.
    window: Rect,
}

impl Builder {
    fn new(width: u32, height: u32) -> Self {
        Self {
            steps: Vec::new(),
            width,
            height,
            window: whole(width, height),
        }
    }

    fn cut(&mut self, rect: Rect) {
        self.window.x += rect.x;
        self.window.y += rect.y;
        self.window.width = rect.width;
        self.window.height = rect.height;
    }

    /// Makes a step of the pending crops.
    fn flush(&mut self) {
        if self.window != whole(self.width, self.height) {
            self.steps.push(Step::Cut(self.window));
            self.continue_with(self.window.width, self.window.height);
        }
    }

    fn resize(&mut self, (width, height): (u32, u32), filter: Filter) {
        if (width, height) != (self.window.width, self.window.height) {
            self.resample(width, height, Kernel::Filter(filter), false);
        }
    }

    fn blur(&mut self, sigma: f64) {
        if sigma <= 0.0 {
            return;
        }
        let (width, height) = (self.window.width, self.window.height);
        if sigma <= DIRECT_BLUR {
            self.resample(width, height, Kernel::Gaussian(sigma), false);
            return;
        }
        // Two samples per deviation represent everything that such a blur leaves.
        let small = |side: u32| ((f64::from(side) * 2.0 / sigma).ceil() as u32).clamp(1, side);
        self.resample(small(width), small(height), Kernel::Gaussian(sigma), true);
        self.resample(width, height, Kernel::Interpolate, false);
    }

    fn resample(&mut self, width: u32, height: u32, kernel: Kernel, deep: bool) {
        let span = |start: u32, length: u32| Span {
            start: start.into(),
            length: length.into(),
        };
        self.steps.push(Step::Resample {
            geometry: Geometry {
                columns: span(self.window.x, self.window.width),
                rows: span(self.window.y, self.window.height),
                width,
                height,
                kernel,
            },
            deep,
        });
        self.continue_with(width, height);
    }

    fn continue_with(&mut self, width: u32, height: u32) {
        self.width = width;
        self.height = height;
        self.window = whole(width, height);
    }
}

fn whole(width: u32, height: u32) -> Rect {
    Rect {
        x: 0,
        y: 0,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ColourModel, Format, Orientation};

    fn facts(format: Format, width: u32, height: u32, orientation: Orientation) -> Facts {
        Facts {
            format,
            stored_width: width,
            stored_height: height,
            orientation,
            frames: 1,
            duration_ms: None,
            has_alpha: false,
            bits: 8,
            colour: ColourModel::Rgb,
            buffered: false,
            lossless: false,
            decoder_tables: 0,
        }
    }

    fn plan(facts: &Facts, operations: &[Operation]) -> Plan {
        Plan::new(facts, operations, Speed::Quality)
    }

    fn resize(size: u32) -> Operation {
        Operation::Resize {
            filter: Filter::Lanczos2,
            to: ResizeTo::Fit(size),
        }
    }

    #[test]
    fn no_operation_and_no_enlarging_need_no_step() {
        let facts = facts(Format::Jpeg, 400, 300, Orientation::Rotate90);
        for operations in [
            vec![],
            vec![Operation::Thumbnail(400)],
            vec![resize(5000), Operation::Blur(0.0)],
            vec![Operation::Crop {
                width: 3,
                height: 4,
            }],
        ] {
            let plan = plan(&facts, &operations);
            assert_eq!((plan.shrink, plan.steps.len()), (1, 0), "{operations:?}");
            assert_eq!(plan.stored_size, (400, 300));
        }
    }

    #[test]
    fn the_decoder_leaves_the_resampler_a_share() {
        let shrink = |width, height, operations: &[Operation], speed| {
            let facts = facts(Format::Jpeg, width, height, Orientation::Normal);
            Plan::new(&facts, operations, speed).shrink
        };
        let thumbnail = [Operation::Thumbnail(256)];
        assert_eq!(shrink(4032, 3024, &thumbnail, Speed::Quality), 4);
        assert_eq!(shrink(4032, 3024, &thumbnail, Speed::Fast), 8);
        let large = [Operation::Thumbnail(1024)];
        assert_eq!(shrink(4032, 3024, &large, Speed::Quality), 2);
        assert_eq!(shrink(3840, 2160, &large, Speed::Quality), 1);
        assert_eq!(shrink(6000, 4000, &large, Speed::Fast), 4);
        assert_eq!(shrink(300, 200, &thumbnail, Speed::Fast), 1);
        assert_eq!(shrink(100, 100, &thumbnail, Speed::Fast), 1);
        // One axis keeps its size: it must not lose detail.
        assert_eq!(shrink(10_000, 1, &[resize(10)], Speed::Fast), 1);
        // A blur in pixels of the original comes before the resize.
        let blurred = [Operation::Blur(3.0), Operation::Thumbnail(256)];
        assert_eq!(shrink(4032, 3024, &blurred, Speed::Fast), 1);
        let png = facts(Format::Png, 4032, 3024, Orientation::Normal);
        assert_eq!(plan(&png, &thumbnail).shrink, 1);
    }

    #[test]
    fn a_crop_before_a_resize_is_one_step() {
        let facts = facts(Format::Png, 400, 300, Orientation::Normal);
        let square = Operation::Crop {
            width: 1,
            height: 1,
        };
        let plan = plan(&facts, &[square, resize(64)]);
        let [Step::Resample { geometry, .. }] = plan.steps[..] else {
            panic!("{plan:?}");
        };
        assert_eq!(
            (geometry.columns.start, geometry.columns.length),
            (50.0, 300.0)
        );
        assert_eq!((geometry.width, geometry.height), (64, 64));
        let plan = super::Plan::new(&facts, &[resize(64), square], Speed::Quality);
        assert_eq!(plan.steps.len(), 2);
        assert_eq!(plan.stored_size, (48, 48));
    }

    #[test]
    fn a_wide_blur_is_done_on_a_small_picture() {
        let facts = facts(Format::Png, 4000, 3000, Orientation::Normal);
        assert_eq!(plan(&facts, &[Operation::Blur(2.0)]).steps.len(), 1);
        for sigma in [5.0, 100.0, 1e30, f32::MAX] {
            let plan = plan(&facts, &[Operation::Blur(sigma)]);
            let [
                Step::Resample { geometry, .. },
                Step::Resample { geometry: back, .. },
            ] = plan.steps[..]
            else {
                panic!("{plan:?}");
            };
            assert!(geometry.width < 2000 && geometry.height >= 1);
            assert_eq!((back.width, back.height), (4000, 3000));
        }
    }
}
