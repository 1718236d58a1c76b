//! Upper estimates of the memory that work needs, known before any pixel is decoded.
//!
//! All are bytes in addition to the source itself. They sum up the maxima of each decoder, stage
//! and encoder; a server uses them to decide what may run concurrently.

use crate::{
    Facts, Format, Orientation, Output, OutputFormat,
    clean::is_turned,
    codec,
    operation::Operation,
    pdq,
    transform::{
        keeps_depth,
        plan::{Plan, Step},
    },
};

/// An upper estimate, in bytes, of the memory that [`Job::Convert`](crate::Job::Convert) needs in
/// addition to the source.
pub fn predicted_memory(facts: &Facts, operations: &[Operation], output: &Output) -> u64 {
    let plan = Plan::new(facts, operations, output.speed);
    let result = area(plan.stored_size.0, plan.stored_size.1);
    let deep = if keeps_depth(facts, output) { 2 } else { 1 };
    let decoded = decoder(facts);
    // Two whole canvases are assembled.
    let animated = facts.is_animated() && output.format.keeps_animation();
    let frames = if animated { result * CANVASES } else { 0 };
    FIXED
        + decoded
        + stages(facts, &plan)
        + turned(facts, result * deep)
        + frames
        + encoder(facts, output, &plan)
}

/// An upper estimate, in bytes, of the memory that [`clean()`](crate::clean::clean()) needs in
/// addition to the source.
pub fn clean_memory(facts: &Facts) -> u64 {
    if !is_turned(facts) {
        return FIXED + (codec::of(facts.format).clean_memory)(facts);
    }
    let pixels = facts.pixels();
    let turned = decoder(facts) + turned(facts, pixels * facts.sample_bytes());
    let work = match facts.format {
        // Two bytes for each coefficient, before and after the move. Turning pixels instead, where
        // that is not possible, needs less.
        Format::Jpeg => pixels * 4 * facts.components(),
        Format::Png => turned + pixels * facts.channels() * facts.sample_bytes(),
        Format::Webp if facts.lossless => turned + pixels * LOSSLESS_WEBP_ENCODER,
        Format::Webp => turned + pixels * WEBP_ENCODER,
        Format::Apng => turned + pixels * (CANVASES + apng_encoder(facts)),
        _ => turned + pixels * (CANVASES + animation_encoder(facts, facts.lossless)),
    };
    FIXED + work
}

/// An upper estimate, in bytes, of the memory that its hashes need in addition to the source.
pub fn preview_memory(facts: &Facts) -> u64 {
    FIXED + decoder(facts) + pdq::MEMORY
}

/// Tables and small buffers that all work needs.
const FIXED: u64 = 2 << 20;

/// Bytes per pixel of a JPEG encoder: only the file grows, to this size at the highest quality.
const JPEG_ENCODER: u64 = 3;

/// Bytes per column of a JPEG encoder: the rows of two rows of blocks, and their coefficients.
/// Measured: 660.
const JPEG_STRIP: u64 = 768;

/// Bytes per pixel of a lossy WebP encoder: its planes, and the file. Measured: 1.6 for a
/// photograph.
const WEBP_ENCODER: u64 = 4;

/// Bytes per pixel of a lossless WebP encoder: the pixels, the residuals after each transform, and
/// the hash chains of the search.
const LOSSLESS_WEBP_ENCODER: u64 = 32;

/// Bytes per pixel of a JPEG XL encoder: the picture in floats, before and after colour conversion,
/// and its coefficients. Measured: 50.
const JXL_ENCODER: u64 = 60;

/// Bytes per pixel of an encoder of animations: the canvas, the previous one, and the encoder's own
/// copies of both.
const ANIMATION_ENCODER: u64 = 24;

/// Bytes per pixel of assembled canvases: one that is being assembled, one that waits for its
/// delay.
const CANVASES: u64 = 8;

/// What an APNG encoder holds: the canvas, its box, a copy of it while it may still exceed the
/// palette, samples, and their compressed form, twice.
const APNG_ENCODER: u64 = 28;

/// Bytes per pixel of an AVIF encoder. Measured: 21 for a photograph with libaom, 20 with rav1e, 24
/// with alpha.
const AVIF_ENCODER: u64 = 32;

/// Bytes per pixel of an encoder of AVIF animations: eight reference pictures, for colours and for
/// alpha. Measured: 110 after six frames.
const AVIF_ANIMATION_ENCODER: u64 = 192;

fn area(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// The memory of the decoder.
fn decoder(facts: &Facts) -> u64 {
    (codec::of(facts.format).memory)(facts) + facts.decoder_tables
}

/// The sums of each resample: as many rows as its kernel spans output rows, in floats.
fn stages(facts: &Facts, plan: &Plan) -> u64 {
    let mut width = f64::from(facts.stored_width) / f64::from(plan.shrink);
    let mut samples = 0.0;
    for step in &plan.steps {
        match step {
            Step::Cut(rect) => width = rect.width.into(),
            Step::Resample { geometry, .. } => {
                samples += width * (4.0 * geometry.rows_in_flight() + 8.0);
                width = geometry.width.into();
                samples += width * 6.0;
            }
        }
    }
    (samples * facts.channels() as f64) as u64
}

/// The picture that is held for turning; `samples` per component.
fn turned(facts: &Facts, samples: u64) -> u64 {
    if facts.orientation == Orientation::Normal {
        0
    } else {
        samples * facts.channels()
    }
}

/// Bytes per pixel of an encoder of animations. The file grows with the frames, but only by the
/// changes between them.
fn animation_encoder(facts: &Facts, lossless: bool) -> u64 {
    let working = if lossless {
        LOSSLESS_WEBP_ENCODER + 4
    } else {
        ANIMATION_ENCODER
    };
    working + u64::from(facts.frames.min(64))
}

/// The same for APNG, whose frames may be true colour that hardly compresses.
fn apng_encoder(facts: &Facts) -> u64 {
    APNG_ENCODER + u64::from(facts.frames.min(64)) * 3
}

fn encoder(facts: &Facts, output: &Output, plan: &Plan) -> u64 {
    let result = area(plan.stored_size.0, plan.stored_size.1);
    let longest = u64::from(plan.stored_size.0.max(plan.stored_size.1));
    match output.format {
        OutputFormat::Jpeg => result * JPEG_ENCODER + longest * JPEG_STRIP,
        OutputFormat::Png => result * facts.channels() * facts.sample_bytes(),
        OutputFormat::Apng => result * apng_encoder(facts),
        OutputFormat::Webp if facts.is_animated() => {
            result * animation_encoder(facts, output.lossless)
        }
        OutputFormat::Webp if output.lossless => result * LOSSLESS_WEBP_ENCODER,
        OutputFormat::Webp => result * WEBP_ENCODER,
        OutputFormat::Jxl => result * JXL_ENCODER,
        OutputFormat::Avif if !facts.is_animated() => result * AVIF_ENCODER,
        OutputFormat::Avif => result * (AVIF_ANIMATION_ENCODER + u64::from(facts.frames.min(64))),
        OutputFormat::Gif => result * animation_encoder(facts, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ColourModel, Speed};

    fn photograph(width: u32, height: u32) -> Facts {
        Facts {
            format: Format::Jpeg,
            stored_width: width,
            stored_height: height,
            orientation: Orientation::Normal,
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

    fn thumbnail(facts: &Facts, format: OutputFormat) -> u64 {
        let output = Output {
            format,
            quality: None,
            lossless: false,
            speed: Speed::Quality,
        };
        predicted_memory(facts, &[Operation::Thumbnail(1024)], &output)
    }

    #[test]
    fn a_streamed_photograph_costs_little_whatever_its_size() {
        let facts = photograph(6000, 4000);
        assert!(thumbnail(&facts, OutputFormat::Webp) < 24 << 20);
        assert!(preview_memory(&facts) < 6 << 20);
        // Two bytes for each block of 64 samples.
        assert!(clean_memory(&facts) < 5 << 20);
    }

    #[test]
    fn what_must_be_held_is_counted() {
        let streamed = photograph(6000, 4000);
        let buffered = Facts {
            buffered: true,
            ..streamed.clone()
        };
        let held = 24_000_000 * 6;
        assert!(thumbnail(&buffered, OutputFormat::Jpeg) > held);
        assert!(preview_memory(&buffered) > held);
        let turned = Facts {
            orientation: Orientation::Rotate90,
            ..streamed
        };
        assert!(clean_memory(&turned) > held);
        assert!(thumbnail(&turned, OutputFormat::Jpeg) < 24 << 20);
    }

    #[test]
    fn an_avif_needs_more_than_a_webp_and_less_than_an_animation() {
        let still = photograph(6000, 4000);
        let animated = Facts {
            format: Format::Gif,
            frames: 10,
            ..still.clone()
        };
        let avif = thumbnail(&still, OutputFormat::Avif);
        assert!(thumbnail(&still, OutputFormat::Webp) < avif);
        assert!(avif < 48 << 20);
        assert!(avif < thumbnail(&animated, OutputFormat::Avif));
    }

    #[test]
    fn an_avif_is_counted_by_what_its_decoder_holds() {
        let still = Facts {
            format: Format::Avif,
            ..photograph(4032, 3024)
        };
        assert!(preview_memory(&still) > 4032 * 3024 * 6);
        let deep = Facts {
            bits: 16,
            has_alpha: true,
            ..still.clone()
        };
        assert!(preview_memory(&deep) > 4032 * 3024 * 15);
        // Its orientation is kept.
        let turned = Facts {
            orientation: Orientation::Rotate90,
            ..still
        };
        assert_eq!(clean_memory(&turned), FIXED);
    }

    #[test]
    fn what_is_lossless_needs_more() {
        let facts = photograph(1000, 1000);
        let webp = |lossless| {
            let output = Output {
                format: OutputFormat::Webp,
                quality: None,
                lossless,
                speed: Speed::Quality,
            };
            predicted_memory(&facts, &[], &output)
        };
        assert_eq!(webp(true) - webp(false), 28_000_000);
        let still = Facts {
            format: Format::Webp,
            ..facts.clone()
        };
        let lossless = Facts {
            lossless: true,
            ..still.clone()
        };
        assert!(preview_memory(&still) < preview_memory(&lossless));
        assert!(preview_memory(&lossless) > 8_000_000);
        let many_codes = Facts {
            decoder_tables: 800_000_000,
            ..lossless.clone()
        };
        assert!(preview_memory(&many_codes) > 808_000_000);
        // The largest picture that is allowed by default, with the maximum number of codes that
        // encoders use, within 512 MiB.
        let large = Facts {
            decoder_tables: 32_000_000,
            stored_width: 8000,
            stored_height: 5000,
            ..lossless
        };
        assert!(thumbnail(&large, OutputFormat::Webp) < 512 << 20);
        let animated = Facts {
            format: Format::Gif,
            frames: 20,
            ..facts
        };
        assert!(thumbnail(&animated, OutputFormat::Gif) < thumbnail(&animated, OutputFormat::Apng));
    }

    #[test]
    fn converted_formats_are_counted_up_to_what_their_decoder_may_take() {
        let tiff = |bits, has_alpha| {
            preview_memory(&Facts {
                format: Format::Tiff,
                bits,
                has_alpha,
                ..photograph(1000, 1000)
            })
        };
        assert!(tiff(8, false) > 12_000_000);
        assert!(tiff(8, true) > 16_000_000);
        // Floats.
        assert!(tiff(16, false) > 48_000_000);
        assert!(tiff(16, true) > 64_000_000);
    }

    #[test]
    fn gray_counts_as_the_colours_it_may_come_out_as() {
        let gray = Facts {
            format: Format::Png,
            colour: ColourModel::Gray,
            bits: 16,
            orientation: Orientation::Rotate90,
            ..photograph(1000, 1000)
        };
        assert!(clean_memory(&gray) > 12_000_000);
    }

    #[test]
    fn cleaning_a_jpeg_xl_may_decode_what_it_hides() {
        let facts = Facts {
            format: Format::Jxl,
            buffered: true,
            ..photograph(1000, 1000)
        };
        assert!(clean_memory(&facts) + pdq::MEMORY >= preview_memory(&facts));
    }

    #[test]
    fn the_largest_sizes_do_not_overflow() {
        let facts = Facts {
            format: Format::Gif,
            frames: u32::MAX,
            bits: 16,
            buffered: true,
            orientation: Orientation::Transpose,
            ..photograph(65535, 65535)
        };
        for format in OutputFormat::ALL {
            assert!(thumbnail(&facts, format) > 1 << 32);
        }
        assert!(clean_memory(&facts) > 1 << 32);
    }
}
