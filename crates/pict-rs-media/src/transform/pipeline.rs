//! Connects decoder, stages and sink.

use crate::{
    Control, Error, Facts, Kind, Result, codec,
    colour::{Conversion, InksToRgb, Narrow, ToSrgb},
    crop::Cut,
    orient::Turn,
    resample::Resample,
    rows::{CanvasSink, Row, RowSink, Shape},
    transform::{
        frames::{Link, Unroll},
        nth,
        plan::{Plan, Step},
    },
};

/// The processing between a decoder and an encoder.
pub(crate) struct Pipeline<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) facts: &'a Facts,
    pub(crate) plan: Plan,
    /// `None` leaves the colours as stored.
    pub(crate) conversion: Option<Conversion>,
    /// Whether 16-bit samples are passed on as such.
    pub(crate) deep: bool,
    pub(crate) control: &'a Control,
}

impl Pipeline<'_> {
    /// Whether there is more than one frame to deliver.
    pub(crate) fn is_animated(&self) -> bool {
        self.facts.is_animated() && self.plan.frame.is_none()
    }

    /// Pushes the still picture, or an animation's selected or first frame, into `sink`.
    pub(crate) fn still(&self, sink: &mut dyn RowSink) -> Result<()> {
        let mut stages = self.stages(sink);
        if let Some(frame) = self.plan.frame.filter(|frame| *frame != 1) {
            return nth::push(frame, &mut stages, self.facts, |sink| {
                decode_canvases(self.source, self.facts, self.control, sink)
            });
        }
        decode(
            self.source,
            self.facts,
            self.plan.shrink,
            self.control,
            &mut stages,
        )
    }

    /// Pushes every canvas of an animation into `sink`, as one picture each. `link` contains its
    /// delay.
    pub(crate) fn animation(&self, link: &Link, sink: &mut dyn RowSink) -> Result<()> {
        let mut unroll = Unroll::new(link, false, self.stages(sink));
        match decode_canvases(self.source, self.facts, self.control, &mut unroll) {
            // As in browsers: playback ends before the first damaged frame. Only the first frame
            // was checked at upload.
            Err(Error::Corrupt { .. }) if unroll.has_shown() => Ok(()),
            outcome => outcome,
        }
    }

    /// The stages in order of the rows: CMYK, colours that geometry does not support, geometry,
    /// other colours, depth, turn. They are constructed from the end, because each owns the next.
    fn stages<'s>(&'s self, sink: &'s mut dyn RowSink) -> Box<dyn RowSink + 's> {
        let conversion = self.conversion.as_ref();
        let first = conversion.filter(|conversion| conversion.goes_first());
        let last = conversion.filter(|conversion| !conversion.goes_first());
        let turn = Turn::new(self.facts.orientation, sink);
        let mut stage: Box<dyn RowSink + 's> = if self.deep {
            Box::new(ToSrgb::new(last, turn))
        } else {
            Box::new(ToSrgb::new(last, Narrow::new(turn)))
        };
        let source_is_deep = self.facts.bits > 8;
        let converts_last = last.is_some();
        let last = self.plan.last_resample();
        for (index, step) in self.plan.steps.iter().enumerate().rev() {
            stage = match *step {
                Step::Cut(rect) => Box::new(Cut::new(rect, stage)),
                Step::Resample { geometry, deep } => {
                    let keeps = if last == Some(index) {
                        self.deep || converts_last
                    } else {
                        true
                    };
                    let deep = deep || (source_is_deep && keeps);
                    Box::new(Resample::new(geometry, deep, stage))
                }
            };
        }
        Box::new(Watch {
            control: self.control,
            next: InksToRgb::new(conversion, ToSrgb::new(first, stage)),
            rows: 0,
        })
    }
}

/// The conversion from the file's colours to sRGB, if it needs one.
pub(crate) fn conversion(source: &[u8], facts: &Facts, control: &Control) -> Option<Conversion> {
    Conversion::of(&(codec::of(facts.format).colours)(source, facts, control))
}

/// Pushes the rows of a still picture, or of an animation's first frame. `shrink` (1, 2, 4
/// or 8) is 1 unless the codec can shrink.
pub(crate) fn decode(
    source: &[u8],
    facts: &Facts,
    shrink: u32,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    match codec::of(facts.format).decode {
        Some(decode) if facts.kind() == Kind::Image => decode(source, facts, shrink, control, sink),
        _ => {
            let link = Link::new();
            let mut first = Unroll::new(&link, true, sink);
            decode_canvases(source, facts, control, &mut first)
        }
    }
}

fn decode_canvases(
    source: &[u8],
    facts: &Facts,
    control: &Control,
    sink: &mut dyn CanvasSink,
) -> Result<()> {
    match codec::of(facts.format).canvases {
        Some(canvases) if facts.kind() == Kind::Animation => canvases(source, facts, control, sink),
        _ => Err(Error::Unsupported(format!(
            "{} files cannot be decoded here",
            facts.format
        ))),
    }
}

/// Rows between two checks of the control.
const ROWS_PER_LOOK: u32 = 16;

/// The stage that stops the work when it is cancelled.
struct Watch<'a, N> {
    control: &'a Control,
    next: N,
    rows: u32,
}

impl<N: RowSink> RowSink for Watch<'_, N> {
    fn begin(&mut self, shape: Shape) -> Result<()> {
        self.rows = 0;
        self.control.check()?;
        self.next.begin(shape)
    }

    fn row(&mut self, row: Row<'_>) -> Result<()> {
        self.rows = self.rows.wrapping_add(1);
        if self.rows.is_multiple_of(ROWS_PER_LOOK) {
            self.control.check()?;
        }
        self.next.row(row)
    }

    fn end(&mut self) -> Result<()> {
        self.control.check()?;
        self.next.end()
    }
}
