//! Puts decoder, stages and sink together.

use crate::{
    Control, Error, Facts, Format, Result, codec,
    colour::{Code, Colours, Conversion, InksToRgb, Narrow, ToSrgb, profile_fits},
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

/// What happens between a decoder and an encoder.
pub(crate) struct Pipeline<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) facts: &'a Facts,
    pub(crate) plan: Plan,
    /// `None` leaves the colours as they are stored.
    pub(crate) conversion: Option<Conversion>,
    /// Whether 16-bit samples are handed on as such.
    pub(crate) deep: bool,
    pub(crate) control: &'a Control,
}

impl Pipeline<'_> {
    /// Whether there is more than one frame to hand on.
    pub(crate) fn is_animated(&self) -> bool {
        self.facts.is_animated() && self.plan.frame.is_none()
    }

    /// Pushes the still picture, or an animation's chosen or first frame, into `sink`.
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

    /// Pushes every canvas of an animation into `sink`, as one picture each. `link` tells its
    /// delay.
    pub(crate) fn animation(&self, link: &Link, sink: &mut dyn RowSink) -> Result<()> {
        let mut unroll = Unroll::new(link, false, self.stages(sink));
        match decode_canvases(self.source, self.facts, self.control, &mut unroll) {
            // As browsers do: what is shown ends before the first frame that is damaged. Only
            // the first frame was proven whole when the file was taken in.
            Err(Error::Corrupt { .. }) if unroll.has_shown() => Ok(()),
            outcome => outcome,
        }
    }

    /// The stages in order of the rows: inks, colours that geometry would not understand, geometry,
    /// other colours, depth, turn. They are put together from the end, because each owns the next.
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
    let (icc, code) = match facts.format {
        Format::Png | Format::Apng => return Conversion::of(&codec::png::colours(source)),
        Format::Jpeg => (codec::jpeg::icc(source), None),
        Format::Webp | Format::WebpAnimation => (codec::webp::icc(source, control), None),
        Format::Jxl => {
            let code = codec::jxl::cicp(source, control);
            (codec::jxl::icc(source, control), code)
        }
        Format::Avif | Format::AvifAnimation => {
            return Conversion::of(&codec::avif::colours(source, control));
        }
        Format::Heif => return Conversion::of(&codec::heif::colours(source, control)),
        Format::Tiff | Format::Ico => (codec::converted::icc(source, facts.format, control), None),
        _ => (None, None),
    };
    let icc = icc.filter(|icc| profile_fits(icc, facts.colour));
    Conversion::of(&Colours::told(icc, code.map(Code::from)))
}

/// Pushes the rows of a still picture, or of an animation's first frame. `shrink` (1, 2, 4
/// or 8) is only for JPEG.
pub(crate) fn decode(
    source: &[u8],
    facts: &Facts,
    shrink: u32,
    control: &Control,
    sink: &mut dyn RowSink,
) -> Result<()> {
    match facts.format {
        Format::Jpeg => codec::jpeg::decode(source, facts, shrink, control, sink),
        Format::Png => codec::png::decode(source, facts, control, sink),
        Format::Webp => codec::webp::decode(source, facts, control, sink),
        Format::Heif => codec::heif::decode(source, facts, control, sink),
        Format::Jxl if !facts.is_animated() => codec::jxl::decode(source, facts, control, sink),
        Format::Svg => codec::svg::decode(source, facts, control, sink),
        Format::Tiff | Format::Bmp | Format::Ico | Format::Qoi => {
            codec::converted::decode(source, facts, control, sink)
        }
        Format::Avif => codec::avif::decode(source, facts, control, sink),
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
    match facts.format {
        Format::Apng => codec::png::decode_animation(source, facts, control, sink),
        Format::Gif => codec::gif::decode_animation(source, facts, control, sink),
        Format::WebpAnimation => codec::webp::decode_animation(source, facts, control, sink),
        Format::Jxl => codec::jxl::decode_animation(source, facts, control, sink),
        Format::AvifAnimation => codec::avif::decode_animation(source, facts, control, sink),
        other => Err(Error::Unsupported(format!(
            "{other} files cannot be decoded here"
        ))),
    }
}

/// How many rows pass between two looks at the control.
const ROWS_PER_LOOK: u32 = 16;

/// The stage that stops the work when nobody waits for it any more.
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
