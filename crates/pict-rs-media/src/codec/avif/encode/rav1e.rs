//! Encodes AV1 with rav1e, built here without C or assembly.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rav1e::prelude::*;

use super::av1::{Av1, Stream, Unit};
use super::planes;
use crate::{Error, Result};

/// The smallest side of a picture in a sequence. Smaller ones are encoded as separate stills.
const MIN_SEQUENCE_SIZE: u32 = 16;

pub(crate) struct Rav1e {
    config: Config,
    /// `None` if every picture gets its own context.
    sequence: Option<Context<u8>>,
}

impl Av1 for Rav1e {
    fn new(stream: &Stream) -> Result<Self> {
        let stills = stream.single || stream.size.width.min(stream.size.height) < MIN_SEQUENCE_SIZE;
        let config = Config::new()
            .with_threads(1)
            .with_encoder_config(encoder_config(stream, stills));
        let sequence = if stills {
            None
        } else {
            Some(guarded(|| config.new_context().map_err(refused))?)
        };
        Ok(Self { config, sequence })
    }

    fn encode(&mut self, frame: &planes::Frame<'_>, units: &mut Vec<Unit>) -> Result<()> {
        let Self { config, sequence } = self;
        guarded(|| match sequence {
            Some(context) => {
                send(context, frame)?;
                receive(context, units)
            }
            None => {
                let mut context = config.new_context().map_err(refused)?;
                send(&mut context, frame)?;
                context.flush();
                receive(&mut context, units)
            }
        })
    }

    fn finish(&mut self, units: &mut Vec<Unit>) -> Result<()> {
        let Some(context) = &mut self.sequence else {
            return Ok(());
        };
        guarded(|| {
            context.flush();
            receive(context, units)
        })
    }
}

fn encoder_config(stream: &Stream, still: bool) -> EncoderConfig {
    // Speed 9 takes twice the time for a tenth of the bytes, and this is the slower encoder.
    let mut config = EncoderConfig::with_speed_preset(10);
    config.width = stream.size.width as usize;
    config.height = stream.size.height as usize;
    config.time_base = Rational::new(1, 1000);
    config.chroma_sampling = if stream.monochrome {
        ChromaSampling::Cs400
    } else {
        ChromaSampling::Cs420
    };
    config.pixel_range = if stream.full_range {
        PixelRange::Full
    } else {
        PixelRange::Limited
    };
    config.color_description = Some(ColorDescription {
        color_primaries: ColorPrimaries::BT709,
        transfer_characteristics: TransferCharacteristics::SRGB,
        matrix_coefficients: MatrixCoefficients::BT601,
    });
    config.still_picture = still;
    config.quantizer = quantizer(stream.quality);
    // One picture in, one picture out; only the first is a key frame.
    config.low_latency = true;
    config.set_key_frame_interval(0, 0);
    config.speed_settings.rdo_lookahead_frames = 1;
    config.speed_settings.scene_detection_mode = SceneDetectionSpeed::None;
    config
}

/// Qualities, and the quantiser indices that give photographs the same score as libaom at that
/// quality.
const QUANTIZERS: [(usize, usize); 5] = [(0, 255), (50, 153), (75, 113), (90, 70), (100, 0)];

/// The quantiser index for a quality.
fn quantizer(quality: u8) -> usize {
    let quality = usize::from(quality.min(100));
    let steps = QUANTIZERS.windows(2).map(|pair| (pair[0], pair[1]));
    for ((from, coarse), (to, fine)) in steps {
        if quality <= to {
            return coarse - (coarse - fine) * (quality - from) / (to - from);
        }
    }
    0
}

fn send(context: &mut Context<u8>, from: &planes::Frame<'_>) -> Result<()> {
    let mut frame = context.new_frame();
    let (luma, chroma) = from.strides();
    frame.planes[0].copy_from_raw_u8(from.y, luma, 1);
    if let Some((u, v)) = from.chroma {
        frame.planes[1].copy_from_raw_u8(u, chroma, 1);
        frame.planes[2].copy_from_raw_u8(v, chroma, 1);
    }
    context.send_frame(frame).map_err(refused)
}

/// Collects finished packets.
fn receive(context: &mut Context<u8>, units: &mut Vec<Unit>) -> Result<()> {
    loop {
        match context.receive_packet() {
            Ok(packet) => units.push(Unit {
                is_key: packet.frame_type == FrameType::KEY,
                data: packet.data,
            }),
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::NeedMoreData | EncoderStatus::LimitReached) => return Ok(()),
            Err(error) => return Err(refused(error)),
        }
    }
}

/// Catches panics: rav1e asserts its own invariants.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Internal("rav1e has panicked".into())))
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("rav1e refused to encode: {error}"))
}
