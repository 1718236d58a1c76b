//! Makes a variant: decode, operations in order, encode.
//!
//! [`plan`] decides the geometry, [`pipeline`] connects decoder and stages, [`frames`] repeats that
//! for each frame of an animation. This module calls the encoders.

pub(crate) mod frames;
mod nth;
pub(crate) mod pipeline;
pub(crate) mod plan;

use serde::{Deserialize, Serialize};

use crate::{
    Control, Facts, OutputFormat, Result, codec, colour::Flatten, inspect::inspect, limits::Bounds,
    operation::Operation, rows::CanvasSink,
};
use frames::{Assemble, Link};
use pipeline::Pipeline;
use plan::Plan;

/// The trade-off between quality and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speed {
    /// Full quality; the default.
    #[default]
    Quality,
    /// Less CPU, at some cost of sharpness and bytes.
    Fast,
}

/// The output options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The format; an animated source remains animated if the format supports that.
    pub format: OutputFormat,
    /// 0-100; each codec's default when unset.
    pub quality: Option<u8>,
    /// Whether a WebP must be lossless; ignored by other formats.
    pub lossless: bool,
    /// The trade-off between quality and time.
    pub speed: Speed,
}

/// A finished variant.
#[derive(Debug)]
pub struct Transformed {
    /// The encoded file.
    pub bytes: Vec<u8>,
    /// Its facts, read from the encoded file.
    pub facts: Facts,
}

/// Applies `operations` in order and encodes the result. The orientation is applied, colours are
/// converted to sRGB, metadata are dropped.
///
/// # Errors
/// [`crate::Error::Corrupt`] when pixels cannot be decoded, [`crate::Error::Unsupported`] when the
/// format cannot represent the result, [`crate::Error::Cancelled`] through `control`.
pub fn transform(
    source: &[u8],
    facts: &Facts,
    operations: &[Operation],
    output: &Output,
    control: &Control,
) -> Result<Transformed> {
    let plan = Plan::new(facts, operations, output.speed);
    made(source, facts, plan, output, control)
}

/// As [`transform()`], for one frame of an animation, counted from 1. The result is a still.
///
/// # Errors
/// As [`transform()`]; [`crate::Error::Unsupported`] when there is no such frame.
pub fn transform_frame(
    source: &[u8],
    facts: &Facts,
    frame: u32,
    operations: &[Operation],
    output: &Output,
    control: &Control,
) -> Result<Transformed> {
    let mut plan = Plan::new(facts, operations, output.speed);
    plan.frame = Some(frame);
    made(source, facts, plan, output, control)
}

fn made(
    source: &[u8],
    facts: &Facts,
    plan: Plan,
    output: &Output,
    control: &Control,
) -> Result<Transformed> {
    control.check()?;
    let pipeline = Pipeline {
        source,
        facts,
        plan,
        conversion: pipeline::conversion(source, facts, control),
        deep: keeps_depth(facts, output),
        control,
    };
    let bytes = encode(&pipeline, output)?;
    // The facts are read from what was written: an encoder may drop unused alpha or merge frames.
    // Reading its own container is cheap.
    let facts = inspect(&bytes, &Bounds::NONE, control)?;
    Ok(Transformed { bytes, facts })
}

/// Only PNG and JPEG XL are written with 16 bits; that is worthwhile for a crop or a thumbnail of a
/// deep picture too.
pub(crate) fn keeps_depth(facts: &Facts, output: &Output) -> bool {
    facts.bits > 8 && matches!(output.format, OutputFormat::Png | OutputFormat::Jxl)
}

fn encode(pipeline: &Pipeline<'_>, output: &Output) -> Result<Vec<u8>> {
    let fast = output.speed == Speed::Fast;
    let settings = codec::webp::Settings {
        quality: output.quality,
        lossless: output.lossless,
        fast,
    };
    let avif = codec::avif::Settings {
        quality: output.quality,
    };
    let animated = pipeline.is_animated();
    match output.format {
        OutputFormat::Jpeg => {
            let mut encoder = codec::jpeg::Encoder::new(output.quality, fast);
            pipeline.still(&mut Flatten::new(&mut encoder))?;
            Ok(encoder.into_bytes())
        }
        OutputFormat::Png => {
            let mut encoder = codec::png::Encoder::new(fast);
            pipeline.still(&mut encoder)?;
            Ok(encoder.into_bytes())
        }
        OutputFormat::Webp if animated => {
            canvases(pipeline, codec::webp::AnimationEncoder::new(settings))
                .map(codec::webp::AnimationEncoder::into_bytes)
        }
        OutputFormat::Webp => {
            let mut encoder = codec::webp::Encoder::new(settings);
            pipeline.still(&mut encoder)?;
            Ok(encoder.into_bytes())
        }
        OutputFormat::Gif => canvases(pipeline, codec::gif::AnimationEncoder::new(fast))
            .map(codec::gif::AnimationEncoder::into_bytes),
        OutputFormat::Apng => {
            let encoder = codec::png::AnimationEncoder::new(fast, pipeline.control);
            canvases(pipeline, encoder).map(codec::png::AnimationEncoder::into_bytes)
        }
        OutputFormat::Jxl => {
            let mut encoder = codec::jxl::Encoder::new(output.quality, fast);
            pipeline.still(&mut encoder)?;
            Ok(encoder.into_bytes())
        }
        OutputFormat::Avif if animated => {
            canvases(pipeline, codec::avif::AnimationEncoder::new(avif))
                .map(codec::avif::AnimationEncoder::into_bytes)
        }
        OutputFormat::Avif => {
            let mut encoder = codec::avif::Encoder::new(avif);
            pipeline.still(&mut encoder)?;
            Ok(encoder.into_bytes())
        }
    }
}

/// Encodes all canvases of an animation, or the single one of a still picture.
pub(crate) fn canvases<E: CanvasSink>(pipeline: &Pipeline<'_>, encoder: E) -> Result<E> {
    let link = Link::new();
    let mut assemble = Assemble::new(&link, encoder);
    if pipeline.is_animated() {
        pipeline.animation(&link, &mut assemble)?;
    } else {
        pipeline.still(&mut assemble)?;
    }
    assemble.finish()
}

#[cfg(test)]
mod tests;
