//! Restricts the decoder: what it may allocate, how long it may run; and a panic in it counts as a
//! damaged file and does not end the thread.

use std::cell::Cell;
use std::io;

use jxl::api::{
    AlphaMode, Event, ExtraChannel, JxlAnimation, JxlBitstreamInput, JxlColorProfile, JxlDecoder,
    JxlDecoderOptions, JxlOutputBuffer, JxlParallelRunner, JxlParallelRunnerFun, JxlPixelFormat,
    ProfileLevel,
};

use super::{corrupt, is_hdr};
use crate::codec::panics::guard;
use crate::{ColourModel, Control, Error, Format, Result};

/// Channels besides the colours: alpha, black ink, depth and so on.
const MAX_EXTRA_CHANNELS: usize = 4;

/// What is known before the first frame.
#[derive(Clone)]
pub(super) struct Header {
    /// Upright, in pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) has_alpha: bool,
    /// Whether the samples have more than 8 bits.
    pub(super) deep: bool,
    pub(super) colour: ColourModel,
    pub(super) extra_channels: usize,
    pub(super) animation: Option<JxlAnimation>,
    /// The colours of the decoded samples.
    pub(super) profile: JxlColorProfile,
}

impl Header {
    fn read(decoder: &JxlDecoder) -> Result<Self> {
        let (Some(info), Some(profile)) = (decoder.basic_info(), decoder.output_color_profile())
        else {
            return Err(Error::Internal("JPEG XL headers without facts".into()));
        };
        // The memory of each is unknown, and those beyond alpha and black are not used.
        let extra = info.extra_channels.len();
        if extra > MAX_EXTRA_CHANNELS {
            return Err(Error::Unsupported(format!(
                "a JPEG XL with {extra} extra channels cannot be read, the limit is \
                 {MAX_EXTRA_CHANNELS}"
            )));
        }
        let side = |side: usize| u32::try_from(side).map_err(|_| corrupt("it is too large"));
        let has = |kind| {
            info.extra_channels
                .iter()
                .any(|extra| extra.ec_type == kind)
        };
        let colour = if profile.is_cmyk() {
            if !has(ExtraChannel::Black) {
                return Err(corrupt("it has no black ink"));
            }
            ColourModel::Cmyk
        } else if profile.channels() == 1 {
            ColourModel::Gray
        } else {
            ColourModel::Rgb
        };
        let inks = colour == ColourModel::Cmyk;
        let bits = info.bit_depth.bits_per_sample();
        Ok(Self {
            width: side(info.size.0)?,
            height: side(info.size.1)?,
            // There is no layout for transparent CMYK.
            has_alpha: has(ExtraChannel::Alpha) && !inks,
            deep: (bits > 8 || is_hdr(profile.transfer_function())) && !inks,
            colour,
            extra_channels: info.extra_channels.len(),
            animation: info.animation.clone(),
            profile: profile.clone(),
        })
    }

    fn pixels(&self) -> usize {
        (self.width as usize).saturating_mul(self.height as usize)
    }

    /// Samples of the largest frame that is decoded. Frames may be slightly larger than the
    /// picture, which other frames are cut from. The decoder counts at least 16 pixels a row.
    fn sample_limit(&self) -> usize {
        let samples = self.pixels().saturating_mul(3 + self.extra_channels);
        samples.saturating_add(samples / 8).saturating_add(1 << 20)
    }

    /// Bytes that the decoder takes for this number of reference frames, and for composing them.
    /// Measured: 31 a sample with all four.
    pub(super) fn kept_memory(&self, slots: u64) -> u64 {
        let samples = self.sample_limit() as u64;
        samples.saturating_mul(4 * slots.min(MAX_SLOTS) + 8)
    }

    /// Bytes of channels besides the colours in a decoder.
    pub(super) fn extra_memory(&self) -> u64 {
        let samples = self.pixels().saturating_mul(self.extra_channels);
        (samples as u64).saturating_mul(8)
    }

    /// How many hidden frames may be decoded. Each is as much work as a shown one, so if there are
    /// many they must be small.
    pub(super) fn most_hidden(&self) -> u32 {
        let most = match self.animation {
            Some(_) => MAX_HIDDEN_PIXELS_MOVING,
            None => MAX_HIDDEN_PIXELS,
        };
        let frames = most / (self.pixels() as u64).max(1);
        u32::try_from(frames).unwrap_or(u32::MAX).min(MAX_FRAMES)
    }
}

/// Reference frames that the format can keep.
pub(super) const MAX_SLOTS: u64 = 4;

/// Pixels of all hidden frames of a still: layers, and patches. Eight pictures of the largest area
/// that is allowed by default.
const MAX_HIDDEN_PIXELS: u64 = 320_000_000;

/// The same for an animation, whose frames may each need hidden ones: 960 of Full HD.
const MAX_HIDDEN_PIXELS_MOVING: u64 = 2_000_000_000;

/// The decoder after its headers.
pub(super) struct Reader<'a> {
    decoder: JxlDecoder,
    input: Input<'a>,
    header: Header,
}

impl<'a> Reader<'a> {
    /// Reads the headers. `limit` is the header of the same file if frames are to be read;
    /// `step_over` skips shown frames without decoding them.
    pub(super) fn open(
        source: &'a [u8],
        watch: &'a Watch<'a>,
        limit: Option<&Header>,
        step_over: bool,
    ) -> Result<Self> {
        let mut options = JxlDecoderOptions::default();
        options.sample_limit = limit.map(Header::sample_limit);
        options.alpha_mode = AlphaMode::Unpremultiplied;
        options.scan_frames_only = step_over;
        options.max_profile_level = ProfileLevel::Main10;
        let mut decoder = JxlDecoder::new(options);
        let mut input = Input {
            rest: source,
            watch,
        };
        match next(&mut decoder, &mut input, None)? {
            Event::BasicInfo => {}
            _ => return Err(Error::Internal("JPEG XL frames before headers".into())),
        }
        let header = guard(Format::Jxl, || Header::read(&decoder))?;
        Ok(Self {
            decoder,
            input,
            header,
        })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Called once, before the first frame.
    pub(super) fn set_format(&mut self, format: JxlPixelFormat) -> Result<()> {
        guard(Format::Jxl, || {
            self.decoder.set_pixel_format(format).map_err(corrupt)
        })
    }

    /// The next event, never [`Event::NeedMoreInput`].
    pub(super) fn next(&mut self, buffer: Option<JxlOutputBuffer<'_>>) -> Result<Event> {
        next(&mut self.decoder, &mut self.input, buffer)
    }

    /// The duration of the last frame, in ticks.
    pub(super) fn ticks(&self) -> u64 {
        let frames = self.decoder.scanned_frames();
        frames.last().map_or(0, |frame| frame.duration_ticks.into())
    }
}

fn next(
    decoder: &mut JxlDecoder,
    input: &mut Input<'_>,
    mut buffer: Option<JxlOutputBuffer<'_>>,
) -> Result<Event> {
    let watch = input.watch;
    let event = guard(Format::Jxl, || {
        let buffers = buffer.as_mut().map(std::slice::from_mut);
        decoder
            .process(input, buffers, Some(&mut Runner { watch }))
            .map_err(failed)
    });
    // When the decoder is stopped, it returns an error of its input.
    watch.control.check()?;
    if watch.is_exceeded() {
        return Err(Error::Unsupported(format!(
            "a JPEG XL of this size that has more than {} frames to decode cannot be read",
            watch.most
        )));
    }
    match event? {
        Event::NeedMoreInput { .. } => Err(corrupt("it ends too early")),
        event => Ok(event),
    }
}

fn failed(error: jxl::error::Error) -> Error {
    match error {
        // The format has levels, and a file may exceed its own.
        jxl::error::Error::LevelLimitExceeded {
            limit, val, max, ..
        } => Error::Unsupported(format!(
            "a JPEG XL with {val} {limit} cannot be read, the limit is {max}"
        )),
        jxl::error::Error::ImageSizeTooLarge(width, height) => Error::Unsupported(format!(
            "a JPEG XL with a frame of {width}×{height} pixels, which is larger than the picture, \
             cannot be read"
        )),
        other => corrupt(other),
    }
}

/// The result of skipping all frames.
pub(super) struct Scan {
    /// The number of shown frames, and their total ticks.
    pub(super) frames: (u32, u64),
    /// The number of hidden frames.
    pub(super) hidden: u32,
    /// The end of the codestream in the file.
    pub(super) end: usize,
}

/// Skips all frames, decoding hidden ones. `None` if there are more than `most_hidden` of them.
pub(super) fn scan(
    source: &[u8],
    header: &Header,
    most_hidden: u32,
    control: &Control,
) -> Result<Option<Scan>> {
    let watch = Watch::at_most(most_hidden, control);
    let mut reader = match Reader::open(source, &watch, Some(header), true) {
        // Out-of-order pieces are requested before the first frame.
        Err(_) if watch.is_exceeded() => {
            control.check()?;
            return Ok(None);
        }
        reader => reader?,
    };
    let mut frames = (0, 0);
    loop {
        let event = match reader.next(None) {
            Err(_) if watch.is_exceeded() => {
                control.check()?;
                return Ok(None);
            }
            event => event?,
        };
        match event {
            Event::FrameHeader => {
                frames.0 += 1;
                frames.1 += reader.ticks();
                if frames.0 > MAX_FRAMES {
                    return Err(Error::Unsupported(format!(
                        "a JPEG XL of more than {MAX_FRAMES} frames cannot be read"
                    )));
                }
            }
            Event::FrameComplete {
                has_more_frames: true,
            } => {}
            _ => break,
        }
    }
    if frames.0 == 0 {
        return Err(corrupt("it has no frame"));
    }
    let end = reader.decoder.file_length();
    Ok(Some(Scan {
        frames,
        hidden: watch.decoded.get(),
        end: end
            .and_then(|end| usize::try_from(end).ok())
            .map_or(source.len(), |end| end.min(source.len())),
    }))
}

/// The decoder keeps a kilobyte for each frame.
const MAX_FRAMES: u32 = 1 << 14;

/// Sums ticks and converts them to milliseconds, so that rounding errors do not accumulate.
pub(super) struct Clock {
    numerator: u128,
    denominator: u128,
    ticks: u64,
    shown: u64,
}

impl Clock {
    pub(super) fn new(animation: &JxlAnimation) -> Self {
        Self {
            numerator: 1000 * u128::from(animation.tps_denominator),
            denominator: u128::from(animation.tps_numerator.max(1)),
            ticks: 0,
            shown: 0,
        }
    }

    /// Milliseconds between the last call and `ticks` later.
    pub(super) fn advance(&mut self, ticks: u64) -> u64 {
        self.ticks = self.ticks.saturating_add(ticks);
        let now =
            (u128::from(self.ticks) * self.numerator + self.denominator / 2) / self.denominator;
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let passed = now - self.shown;
        self.shown = now;
        passed
    }
}

/// Cancels the decoder, and counts the frames that it decodes, because it does not report hidden
/// ones. For each frame it asks how much data there are, and then runs a few rounds of work.
pub(super) struct Watch<'a> {
    control: &'a Control,
    /// Frames that may be decoded.
    most: u32,
    decoded: Cell<u32>,
    /// Whether data were requested since the last round.
    is_fed: Cell<bool>,
    /// Rounds for the current frame.
    rounds: Cell<u32>,
}

/// More rounds than a frame takes. A container with out-of-order pieces can supply frames without a
/// request, so this many rounds count as another frame.
const MAX_ROUNDS: u32 = 8;

impl<'a> Watch<'a> {
    pub(super) fn new(control: &'a Control) -> Self {
        Self::at_most(u32::MAX, control)
    }

    /// Stops the decoder before it decodes more frames than this.
    pub(super) fn at_most(frames: u32, control: &'a Control) -> Self {
        Self {
            control,
            most: frames,
            decoded: Cell::new(0),
            is_fed: Cell::new(false),
            rounds: Cell::new(0),
        }
    }

    fn is_exceeded(&self) -> bool {
        self.decoded.get() > self.most
    }

    /// Called when data of a frame to decode are requested.
    fn feed(&self) -> io::Result<()> {
        self.is_fed.set(true);
        // Not even memory may be allocated for a frame that will not be decoded.
        if self.most == 0 {
            self.decoded.set(1);
        }
        self.look()
    }

    fn round(&self) -> io::Result<()> {
        let rounds = self.rounds.get() + 1;
        let begins = self.is_fed.replace(false) || rounds > MAX_ROUNDS;
        self.rounds.set(if begins { 1 } else { rounds });
        if begins {
            self.decoded.set(self.decoded.get().saturating_add(1));
        }
        self.look()
    }

    fn look(&self) -> io::Result<()> {
        if self.is_exceeded() || self.control.check().is_err() {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(())
    }
}

/// The file. At each frame the decoder asks whether there is more of it.
struct Input<'a> {
    rest: &'a [u8],
    watch: &'a Watch<'a>,
}

impl JxlBitstreamInput for Input<'_> {
    fn available_bytes(&mut self) -> io::Result<usize> {
        self.watch.feed()?;
        Ok(self.rest.len())
    }

    fn read(&mut self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        io::Read::read_vectored(&mut self.rest, buffers)
    }

    fn skip(&mut self, bytes: usize) -> io::Result<usize> {
        let count = bytes.min(self.rest.len());
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

/// Runs the decoder's parallel work sequentially.
struct Runner<'a> {
    watch: &'a Watch<'a>,
}

impl JxlParallelRunner for Runner<'_> {
    fn run(&mut self, count: usize, work: &JxlParallelRunnerFun<'_>) -> jxl::error::Result<()> {
        if count > 0 {
            self.watch.round()?;
        }
        for index in 0..count {
            self.watch.look()?;
            work(index)?;
        }
        Ok(())
    }

    fn num_threads(&self) -> usize {
        1
    }

    fn run_ordered(
        &mut self,
        count: usize,
        _max_threads: Option<usize>,
        work: &JxlParallelRunnerFun<'_>,
    ) -> jxl::error::Result<()> {
        self.run(count, work)
    }
}
