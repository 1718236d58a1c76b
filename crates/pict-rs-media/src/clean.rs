//! Drops metadata without re-encoding: keeps what a decoder needs and drops the rest.
//!
//! A picture whose orientation is not normal is also turned, because the orientation itself is
//! metadata. That is lossless where the codec supports it, otherwise at high quality. The exception
//! are formats in which the orientation is part of the picture.

use std::borrow::Cow;

use crate::{
    Control, Error, Facts, Format, Orientation, Result,
    codec::{
        self,
        interface::{Eighth, Kept},
    },
    colour::Flatten,
    credits,
    inspect::inspect,
    limits::Bounds,
    transform::{
        canvases,
        pipeline::{Pipeline, conversion},
        plan::Plan,
    },
};

/// A file without metadata, as pieces to be written one after another. Most of them borrow from the
/// source, so that no data is in memory twice.
pub struct Cleaned<'a> {
    /// The pieces, in order.
    pub pieces: Vec<Cow<'a, [u8]>>,
    /// The facts of the cleaned file; its orientation is normal unless it is part of the picture
    /// (AVIF).
    pub facts: Facts,
    /// The picture at an eighth of its size, not turned, if cleaning has read all of its data.
    pub(crate) eighth: Option<Box<dyn Eighth + 'a>>,
}

impl<'a> Cleaned<'a> {
    /// Restores author and copyright as `source`, the file before cleaning, states them in EXIF,
    /// XMP or, for a JPEG, IPTC-IIM. Not for GIF, nor for AVIF without EXIF.
    #[must_use]
    pub fn with_credits(mut self, source: &'a [u8], control: &Control) -> Self {
        self.pieces = credits::keep(&self.facts, source, self.pieces, control);
        self
    }
}

/// Drops all metadata but the ICC profile. Pixels stay bit-identical unless the orientation must be
/// applied and the codec cannot do that losslessly.
///
/// # Errors
/// [`Error::Corrupt`] when the container is invalid, or when the picture must be turned and its
/// pixels cannot be decoded; [`Error::Unsupported`] for formats that are never kept;
/// [`Error::Cancelled`] through `control`.
pub fn clean<'a>(source: &'a [u8], facts: &Facts, control: &Control) -> Result<Cleaned<'a>> {
    control.check()?;
    if is_turned(facts) {
        return turned(source, facts, control);
    }
    let Some(clean) = codec::of(facts.format).clean else {
        return Err(cannot_clean(facts.format));
    };
    let kept = clean(source, facts, control)?;
    Ok(Cleaned {
        pieces: kept.pieces,
        facts: facts.clone(),
        eighth: kept.eighth,
    })
}

/// Whether cleaning a file turns its picture. The orientation of an AVIF is not metadata but part
/// of the picture, and every viewer applies it.
pub(crate) fn is_turned(facts: &Facts) -> bool {
    facts.orientation != Orientation::Normal && !codec::of(facts.format).keeps_orientation
}

fn cannot_clean(format: Format) -> Error {
    Error::Unsupported(format!("{format} files cannot be cleaned"))
}

/// Quality for formats in which turning requires re-encoding.
const TURNED_QUALITY: u8 = 95;

fn turned<'a>(source: &'a [u8], facts: &Facts, control: &Control) -> Result<Cleaned<'a>> {
    let whole = |bytes| Kept::from(vec![Cow::Owned(bytes)]);
    let Kept { pieces, eighth } = match facts.format {
        Format::Jpeg => match codec::jpeg::turn(source, facts, control)? {
            Some(kept) => kept,
            None => whole(turned_jpeg(source, facts, control)?),
        },
        Format::Png => turned_png(source, facts, control)?.into(),
        Format::Webp => whole(turned_webp(source, facts, control)?),
        // Frames after the first depend on earlier ones, so all are composed again.
        Format::Apng => {
            let encoder = codec::png::AnimationEncoder::new(false, control);
            let pipeline = pipeline(source, facts, control, true);
            whole(canvases(&pipeline, encoder)?.into_bytes())
        }
        Format::WebpAnimation => {
            let encoder = codec::webp::AnimationEncoder::new(webp_settings(facts));
            let pipeline = pipeline(source, facts, control, true);
            whole(canvases(&pipeline, encoder)?.into_bytes())
        }
        other => return Err(cannot_clean(other)),
    };
    let facts = inspect(&pieces.concat(), &Bounds::NONE, control)?;
    Ok(Cleaned {
        pieces,
        facts,
        eighth,
    })
}

/// A pipeline that only turns, and converts colours if the profile cannot be kept.
fn pipeline<'a>(
    source: &'a [u8],
    facts: &'a Facts,
    control: &'a Control,
    convert: bool,
) -> Pipeline<'a> {
    Pipeline {
        source,
        facts,
        plan: Plan::unchanged(facts),
        conversion: convert
            .then(|| conversion(source, facts, control))
            .flatten(),
        deep: facts.format == Format::Png,
        control,
    }
}

fn turned_jpeg(source: &[u8], facts: &Facts, control: &Control) -> Result<Vec<u8>> {
    let mut encoder = codec::jpeg::Encoder::new(Some(TURNED_QUALITY), false);
    pipeline(source, facts, control, true).still(&mut Flatten::new(&mut encoder))?;
    Ok(encoder.into_bytes())
}

fn webp_settings(facts: &Facts) -> codec::webp::Settings {
    codec::webp::Settings {
        quality: Some(TURNED_QUALITY),
        lossless: facts.lossless,
        fast: false,
    }
}

fn turned_webp(source: &[u8], facts: &Facts, control: &Control) -> Result<Vec<u8>> {
    let mut encoder = codec::webp::Encoder::new(webp_settings(facts));
    pipeline(source, facts, control, true).still(&mut encoder)?;
    Ok(encoder.into_bytes())
}

/// Turns losslessly: the samples are unchanged, and so are the chunks that define their colours.
fn turned_png<'a>(
    source: &'a [u8],
    facts: &Facts,
    control: &Control,
) -> Result<Vec<Cow<'a, [u8]>>> {
    // The encoder may write a gray picture as RGB (16 bits, alpha). A gray profile would not fit
    // that, so such a picture is converted.
    let icc = codec::png::icc(source);
    let fits = icc
        .as_deref()
        .is_none_or(|icc| icc.get(16..20) == Some(b"RGB "));
    let kept = if fits {
        codec::png::colour_chunks(source)
    } else {
        Vec::new()
    };
    let mut encoder = codec::png::Encoder::new(false);
    if !kept.is_empty() {
        // Chunks of the encoder would override the kept ones.
        encoder = encoder.without_colours();
    }
    pipeline(source, facts, control, !fits).still(&mut encoder)?;
    let mut bytes = encoder.into_bytes();
    if kept.is_empty() || bytes.len() < codec::png::HEADER_END {
        return Ok(vec![Cow::Owned(bytes)]);
    }
    let rest = bytes.split_off(codec::png::HEADER_END);
    let mut pieces = vec![Cow::Owned(bytes)];
    pieces.extend(kept);
    pieces.push(Cow::Owned(rest));
    Ok(pieces)
}
