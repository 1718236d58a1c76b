//! AVIF, still and animated. The container is read here; AV1 is decoded by rav1d-safe.
//! What is written is made in `encode`.
//!
//! A file holds items (stills, `container` and `picture`), tracks (sequences, `track`) or both;
//! its brand tells which of them is meant. Start reading at [`inspect`].

mod av1;
mod clean;
mod container;
mod encode;
mod picture;
mod planes;
mod properties;
mod read;
#[cfg(test)]
mod tests;
mod track;

use std::borrow::Cow;

use crate::{ColourModel, Error, Facts, Format, Result};

pub(crate) use clean::clean;
pub(crate) use encode::{AnimationEncoder, Encoder, Settings};
pub(crate) use read::{decode, decode_animation};

use container::Meta;
use picture::Picture;
use properties::{Properties, Window};
use track::Sequence;

fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Avif, reason)
}

/// A file and what of it is shown.
struct Opened<'a> {
    content: Content<'a>,
}

enum Content<'a> {
    Picture(Meta<'a>, Box<Picture<'a>>),
    Sequence(Box<Sequence<'a>>),
}

/// Sequences are shown where the brand says so, or where there is nothing else; this is what
/// browsers do.
fn open(source: &[u8]) -> Result<Opened<'_>> {
    let file = container::read(source)?;
    let still = file.meta.filter(|meta| meta.primary.is_some());
    let content = match (file.moov, still) {
        (Some(moov), still) if file.brand == *b"avis" || still.is_none() => {
            match (Sequence::read(source, moov), still) {
                (Ok(sequence), _) => Content::Sequence(Box::new(sequence)),
                (Err(broken), None) => return Err(broken),
                // A brand can be wrong; then there is no track of AV1 at all.
                (Err(broken), Some(meta)) => match Picture::read(&meta) {
                    Ok(picture) if !has_track(source, moov) => {
                        Content::Picture(meta, Box::new(picture))
                    }
                    _ => return Err(broken),
                },
            }
        }
        (_, Some(meta)) => {
            let picture = Picture::read(&meta)?;
            Content::Picture(meta, Box::new(picture))
        }
        (_, None) => return Err(corrupt("no item is the picture")),
    };
    Ok(Opened { content })
}

fn has_track(source: &[u8], moov: crate::codec::bmff::BoxRef<'_>) -> bool {
    crate::codec::bmff::boxes(source, moov.inside())
        .map_while(std::result::Result::ok)
        .any(|child| child.kind == *b"trak")
}

impl<'a> Opened<'a> {
    fn properties(&self) -> &Properties<'a> {
        match &self.content {
            Content::Picture(_, picture) => &picture.properties,
            Content::Sequence(sequence) => &sequence.colour.properties,
        }
    }

    fn has_alpha(&self) -> bool {
        match &self.content {
            Content::Picture(_, picture) => picture.alpha.is_some(),
            Content::Sequence(sequence) => sequence.alpha.is_some(),
        }
    }

    /// The part of the coded picture that is shown.
    fn window(&self) -> Window {
        self.properties().window(match &self.content {
            Content::Picture(_, picture) => picture.colour.size,
            Content::Sequence(sequence) => sequence.colour.size,
        })
    }
}

/// Facts from the container; no pixel is decoded.
pub(crate) fn inspect(source: &[u8]) -> Result<Facts> {
    let opened = open(source)?;
    let (coding, frames, duration_ms) = match &opened.content {
        Content::Picture(_, picture) => (picture.coding, 1, None),
        Content::Sequence(sequence) => (
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
    })
}

/// The embedded ICC profile, if there is one.
pub(crate) fn icc(source: &[u8]) -> Option<Cow<'_, [u8]>> {
    let opened = open(source).ok()?;
    opened.properties().icc.map(Cow::Borrowed)
}

/// Primaries and transfer as code points of ITU-T H.273, if the container names them.
pub(crate) fn cicp(source: &[u8]) -> Option<(u8, u8)> {
    let nclx = open(source).ok()?.properties().nclx?;
    Some((
        nclx.primaries.try_into().ok()?,
        nclx.transfer.try_into().ok()?,
    ))
}
