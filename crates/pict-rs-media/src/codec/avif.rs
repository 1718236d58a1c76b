//! AVIF, still and animated. The container is read here; AV1 is decoded by rav1d-safe. Files are
//! written by `encode`.
//!
//! A file contains items (stills, `container` and `picture`), tracks (sequences, `track`) or both;
//! its brand tells which of them is meant. Start reading at [`inspect`].

mod av1;
mod clean;
mod container;
mod encode;
mod header;
mod metadata;
mod obus;
mod picture;
mod planes;
mod properties;
mod read;
mod repair;
#[cfg(test)]
mod tests;
mod track;

use std::borrow::Cow;

use crate::codec::coding::{Coding, coding};
use crate::codec::interface::{Codec, Credits, Kept, Repair};
use crate::colour::{Code, Colours, profile_fits};
use crate::{ColourModel, Control, Error, Facts, Format, Result};

use clean::{clean, with_exif};
pub(crate) use encode::{AnimationEncoder, Encoder, Settings};
use metadata::{exif, xmp};
use read::{decode, decode_animation};
use repair::{claimed_size, repair};

use container::Meta;
use picture::Picture;
use properties::{Properties, Window};
use track::Sequence;

/// The codec.
pub(crate) const CODEC: Codec = Codec {
    formats: &[Format::Avif, Format::AvifAnimation],
    detect: |source| source.get(4..8) == Some(b"ftyp") && coding(source) == Some(Coding::Av1),
    inspect: |source, _, control| inspect(source, control),
    clean: Some(|source, _, control| clean(source, control).map(Kept::from)),
    keeps_orientation: true,
    decode: Some(|source, facts, _, control, sink| decode(source, facts, control, sink)),
    canvases: Some(decode_animation),
    colours: |source, _, control| colours(source, control),
    credits: Some(Credits {
        exif: |source, control| exif(source, control).map(Cow::Borrowed),
        xmp: |source, control| xmp(source, control).map(Cow::Borrowed),
        photoshop: |_| Vec::new(),
        put: |file, tiff, control| with_exif(file.source, tiff, control).unwrap_or(file.pieces),
    }),
    repair: Some(Repair {
        claimed_size,
        may_move: |_| false,
        repair,
    }),
    memory: |facts| facts.pixels() * pixel_memory(facts) + TABLES,
    ..Codec::NONE
};

/// What an AV1 decoder needs for a picture of any size: probabilities, and state of blocks.
/// Measured: 4.5 MB including everything around it.
const TABLES: u64 = 4 << 20;

/// Bytes per pixel of the decoder. It depends on properties that the facts do not include:
/// subsampling, film grain, references. Measured for stills of 12 MP: 5 with 4:2:0 and 8 bits, 15
/// with 4:4:4, 10 bits and alpha.
fn pixel_memory(facts: &Facts) -> u64 {
    if facts.is_animated() {
        // Ten pictures of 4:4:4 and 10 bits: eight references, the current one, its copy; plus the
        // canvas. For alpha the same without chroma.
        return 64 + if facts.has_alpha { 24 } else { 0 };
    }
    // Four pictures of 4:4:4: as decoded, with grain, copied, and the decoder's own copy.
    12 * facts.sample_bytes()
}

fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Avif, reason)
}

/// The part of a file that is shown.
enum Opened<'a> {
    Picture(Meta<'a>, Box<Picture<'a>>),
    Sequence(Box<Sequence<'a>>),
}

/// Sequences are shown if the brand says so, or if there is nothing else, as in browsers.
fn open<'a>(source: &'a [u8], control: &Control) -> Result<Opened<'a>> {
    let file = container::read(source, control)?;
    let still = file.meta.filter(|meta| meta.primary.is_some());
    Ok(match (file.moov, still) {
        (Some(moov), still) if file.brand == *b"avis" || still.is_none() => {
            match (Sequence::read(source, moov, control), still) {
                (Err(Error::Cancelled), _) => return Err(Error::Cancelled),
                (Ok(sequence), _) => Opened::Sequence(Box::new(sequence)),
                (Err(broken), None) => return Err(broken),
                // A brand can be wrong; then there is no AV1 track at all.
                (Err(broken), Some(meta)) => match Picture::read(&meta) {
                    Ok(picture) if !has_track(source, moov) => {
                        Opened::Picture(meta, Box::new(picture))
                    }
                    _ => return Err(broken),
                },
            }
        }
        (_, Some(meta)) => {
            let picture = Picture::read(&meta)?;
            Opened::Picture(meta, Box::new(picture))
        }
        (_, None) => return Err(corrupt("no item is the picture")),
    })
}

fn has_track(source: &[u8], moov: crate::codec::bmff::BoxRef<'_>) -> bool {
    crate::codec::bmff::boxes(source, moov.inside())
        .map_while(std::result::Result::ok)
        .any(|child| child.kind == *b"trak")
}

impl<'a> Opened<'a> {
    fn properties(&self) -> &Properties<'a> {
        match self {
            Opened::Picture(_, picture) => &picture.properties,
            Opened::Sequence(sequence) => &sequence.colour.properties,
        }
    }

    fn has_alpha(&self) -> bool {
        match self {
            Opened::Picture(_, picture) => picture.alpha.is_some(),
            Opened::Sequence(sequence) => sequence.alpha.is_some(),
        }
    }

    /// The colours given by the pictures themselves.
    fn coded_colours(&self, source: &[u8]) -> Option<(u8, u8)> {
        if let Some(colours) = self.properties().units.and_then(header::colours) {
            return Some(colours);
        }
        match self {
            Opened::Picture(meta, picture) => {
                header::colours(&meta.data(*picture.colour.cells.first()?).ok()?)
            }
            Opened::Sequence(sequence) => {
                let first = sequence.colour.samples(source).next()?.ok()?;
                header::colours(source.get(first)?)
            }
        }
    }

    /// The visible part of the coded picture.
    fn window(&self) -> Window {
        self.properties().window(match self {
            Opened::Picture(_, picture) => picture.colour.size,
            Opened::Sequence(sequence) => sequence.colour.size,
        })
    }
}

/// Facts from the container; no pixel is decoded.
fn inspect(source: &[u8], control: &Control) -> Result<Facts> {
    let opened = open(source, control)?;
    let (coding, frames, duration_ms) = match &opened {
        Opened::Picture(_, picture) => (picture.coding, 1, None),
        Opened::Sequence(sequence) => (
            sequence.colour.coding,
            sequence.frames,
            Some(sequence.duration_ms),
        ),
    };
    // A sequence of one frame is a still.
    let animated = frames > 1;
    let window = opened.window();
    Ok(Facts {
        format: if animated {
            Format::AvifAnimation
        } else {
            Format::Avif
        },
        stored_width: window.width,
        stored_height: window.height,
        orientation: opened.properties().orientation(),
        frames,
        duration_ms: duration_ms.filter(|_| animated),
        has_alpha: opened.has_alpha(),
        // Canvases have 8 bits.
        bits: if coding.bits > 8 && !animated { 16 } else { 8 },
        colour: if coding.monochrome && !animated {
            ColourModel::Gray
        } else {
            ColourModel::Rgb
        },
        buffered: true,
        lossless: false,
        decoder_tables: match &opened {
            Opened::Picture(meta, picture) => kept_memory(meta, picture, control)?,
            Opened::Sequence(_) => 0,
        },
    })
}

/// Bytes that a decoder keeps of frames from which a still is made, besides the one that is shown.
fn kept_memory(meta: &Meta<'_>, picture: &Picture<'_>, control: &Control) -> Result<u64> {
    /// Eight reference frames, and the one that is being decoded.
    const MOST: usize = 9;
    let sample = if picture.coding.bits > 8 { 2 } else { 1 };
    let grids = [Some(&picture.colour), picture.alpha.as_ref()];
    let cells = grids.into_iter().flatten().flat_map(|grid| {
        let area = u64::from(grid.cell.0) * u64::from(grid.cell.1);
        grid.cells.iter().map(move |id| (id, area))
    });
    // Cells are decoded one after the other.
    let mut most = 0;
    for (id, area) in cells {
        control.check()?;
        let frames = meta.data(*id).map_or(1, |units| header::frames(&units));
        let kept = frames.min(MOST).saturating_sub(1) as u64;
        most = area.saturating_mul(kept * 3 * sample).max(most);
    }
    Ok(most)
}

/// The colours given by the container or, if it gives none, by the pictures.
fn colours<'a>(source: &'a [u8], control: &Control) -> Colours<'a> {
    let Ok(opened) = open(source, control) else {
        return Colours::Srgb;
    };
    let said = opened.properties();
    let samples = if opened.coding().monochrome {
        ColourModel::Gray
    } else {
        ColourModel::Rgb
    };
    let icc = said.icc.filter(|icc| profile_fits(icc, samples));
    let code = match (said.nclx, icc) {
        (Some(nclx), _) => {
            let (primaries, transfer) = (nclx.primaries.try_into(), nclx.transfer.try_into());
            primaries.ok().zip(transfer.ok())
        }
        (None, Some(_)) => None,
        (None, None) => opened.coded_colours(source),
    };
    Colours::told(icc.map(Cow::Borrowed), code.map(Code::from))
}

/// Properties of the picture in a HEIF container, whatever its codec.
pub(crate) struct Look<'a> {
    pub(crate) has_alpha: bool,
    pub(crate) icc: Option<&'a [u8]>,
    /// Primaries and transfer.
    pub(crate) code: Option<(u8, u8)>,
}

/// `None` when it contains no picture.
pub(crate) fn look<'a>(source: &'a [u8], control: &Control) -> Option<Look<'a>> {
    let meta = container::read(source, control).ok()?.meta?;
    let primary = meta.primary?;
    let parts = meta.parts(primary);
    let items = || std::iter::once(primary).chain(parts.iter().copied());
    let said = |id| properties::Properties::read(meta.properties_of(id));
    let nclx = items().find_map(|id| said(id).nclx);
    let point = |point: u16| u8::try_from(point).unwrap_or(2);
    Some(Look {
        has_alpha: items().any(|id| picture::alpha_of(&meta, id).is_some()),
        icc: items().find_map(|id| said(id).icc),
        code: nclx.map(|nclx| (point(nclx.primaries), point(nclx.transfer))),
    })
}
