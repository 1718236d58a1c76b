//! The decoder, held on a leash: what it may allocate, how long it may run, and that a panic in
//! it is a damaged file and not the end of the thread.

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

/// Channels beside the colours: alpha, black ink, depth and the like.
const MAX_EXTRA_CHANNELS: usize = 4;

/// What is known before the first frame.
#[derive(Clone)]
pub(super) struct Header {
    /// Upright, in pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) has_alpha: bool,
    /// Whether the samples are worth more than 8 bits.
    pub(super) deep: bool,
    pub(super) colour: ColourModel,
    pub(super) extra_channels: usize,
    pub(super) animation: Option<JxlAnimation>,
    /// The colours of the samples that come out.
    pub(super) profile: JxlColorProfile,
}

impl Header {
    fn read(decoder: &JxlDecoder) -> Result<Self> {
        let (Some(info), Some(profile)) = (decoder.basic_info(), decoder.output_color_profile())
        else {
            return Err(Error::Internal("JPEG XL headers without facts".into()));
        };
        // What each of them needs is not known, and nothing is made of those beyond alpha and black.
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
            // There is no layout for transparent ink.
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

    /// Samples of the largest frame that is decoded. Frames may be a little larger than the picture,
    /// which is what others are cut out of. The decoder counts at least 16 pixels a row.
    fn sample_limit(&self) -> usize {
        let samples = self.pixels().saturating_mul(3 + self.extra_channels);
        samples.saturating_add(samples / 8).saturating_add(1 << 20)
    }

    /// Bytes that the decoder takes for so many frames that it keeps for others to be made from, and
    /// for making them. Seen: 31 a sample with all four.
    pub(super) fn kept_memory(&self, slots: u64) -> u64 {
        let samples = self.sample_limit() as u64;
        samples.saturating_mul(4 * slots.min(MAX_SLOTS) + 8)
    }

    /// Bytes that channels beside the colours take in a decoder.
    pub(super) fn extra_memory(&self) -> u64 {
        let samples = self.pixels().saturating_mul(self.extra_channels);
        (samples as u64).saturating_mul(8)
    }

    /// How many frames are decoded that are never shown. Each is as much work as one that is, so
    /// many of them must be small.
    pub(super) fn most_hidden(&self) -> u32 {
        let most = match self.animation {
            Some(_) => MAX_HIDDEN_PIXELS_MOVING,
            None => MAX_HIDDEN_PIXELS,
        };
        let frames = most / (self.pixels() as u64).max(1);
        u32::try_from(frames).unwrap_or(u32::MAX).min(MAX_FRAMES)
    }
}

/// Frames that the format can keep to make others from.
pub(super) const MAX_SLOTS: u64 = 4;

/// Pixels of all frames of a still that are not shown: layers, and what is cut out to be repeated.
/// Eight pictures of the largest area that is allowed by default.
const MAX_HIDDEN_PIXELS: u64 = 320_000_000;

/// The same of an animation, whose frames may be made from as many others: 960 of Full HD.
const MAX_HIDDEN_PIXELS_MOVING: u64 = 2_000_000_000;

/// The decoder behind its headers.
pub(super) struct Reader<'a> {
    decoder: JxlDecoder,
    input: Input<'a>,
    header: Header,
}

impl<'a> Reader<'a> {
    /// Reads the headers. `limit` are those of the same file when frames are to be read;
    /// `step_over` does not decode those that are shown.
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

    /// Of the last frame that was seen, in ticks.
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
    // The decoder hands on why it was stopped as an error of its input.
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
        // The format has levels, and a file may ask for more than its own.
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

/// What stepping over all frames tells.
pub(super) struct Scan {
    /// How many are shown, and the ticks of all.
    pub(super) frames: (u32, u64),
    /// How many are not.
    pub(super) hidden: u32,
    /// Where the codestream ends in the file.
    pub(super) end: usize,
}

/// Steps over all frames, and decodes those that are not shown. `None` when there are more than
/// `most_hidden` of them.
pub(super) fn scan(
    source: &[u8],
    header: &Header,
    most_hidden: u32,
    control: &Control,
) -> Result<Option<Scan>> {
    let watch = Watch::at_most(most_hidden, control);
    let mut reader = match Reader::open(source, &watch, Some(header), true) {
        // Pieces that are not in order are asked for before the first frame.
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

/// The decoder remembers a kilobyte of each frame.
const MAX_FRAMES: u32 = 1 << 14;

/// Adds ticks up and gives milliseconds, so that rounding does not add up.
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

    /// Milliseconds from the last call to `ticks` later.
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

/// Tells the decoder to stop, and counts the frames that it decodes: it does not say so itself of
/// those that are not shown. For each frame it asks what there is of its data, and then runs a few
/// rounds of work.
pub(super) struct Watch<'a> {
    control: &'a Control,
    /// Frames that may be decoded.
    most: u32,
    decoded: Cell<u32>,
    /// Whether data were asked for since the last round.
    is_fed: Cell<bool>,
    /// Rounds of the current frame.
    rounds: Cell<u32>,
}

/// More rounds than a frame takes. A container with its pieces out of order can feed frames without
/// a question, so this many count as another one.
const MAX_ROUNDS: u32 = 8;

impl<'a> Watch<'a> {
    pub(super) fn new(control: &'a Control) -> Self {
        Self::at_most(u32::MAX, control)
    }

    /// Stops the decoder when it has more frames than that to decode.
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

    /// Data of a frame that is to be decoded are asked for.
    fn feed(&self) -> io::Result<()> {
        self.is_fed.set(true);
        // Not even memory is wanted for a frame that will not be decoded.
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

/// The file. The decoder asks at each frame whether there is more of it.
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

/// Runs what the decoder would like to run in parallel, one after another.
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
