//! What the engine asks of a codec. Each codec has one [`Codec`], a constant in the root of its
//! folder, and stands in [`super::ALL`].

use std::borrow::Cow;

use crate::colour::Colours;
use crate::damage::Repaired;
use crate::limits::Bounds;
use crate::rows::{CanvasSink, RowSink};
use crate::{Control, Error, Facts, Format, Result};

/// The pieces of a file, most of them borrowed from another.
pub(crate) type Pieces<'a> = Vec<Cow<'a, [u8]>>;

type Clean = for<'a> fn(&'a [u8], &Facts, &Control) -> Result<Pieces<'a>>;
type Decode = fn(&[u8], &Facts, u32, &Control, &mut dyn RowSink) -> Result<()>;
type Canvases = fn(&[u8], &Facts, &Control, &mut dyn CanvasSink) -> Result<()>;
type Size = fn(&[u8], &Control) -> Option<(u32, u32)>;
type Block = for<'a> fn(&'a [u8], &Control) -> Option<Cow<'a, [u8]>>;

/// One codec, as functions. Those that a codec does not have come from [`Codec::NONE`].
pub(crate) struct Codec {
    /// The formats that it reads. A still and an animation may be two of them.
    pub(crate) formats: &'static [Format],
    /// Whether a file is one of its own, by its first bytes. It is asked after all codecs that
    /// stand before it in [`super::ALL`].
    pub(crate) detect: fn(&[u8]) -> bool,
    /// Facts from the headers. No pixel that is shown is decoded.
    pub(crate) inspect: fn(&[u8], &Bounds, &Control) -> Result<Facts>,
    /// The file without metadata, pixels untouched; `None` when such files are never kept.
    pub(crate) clean: Option<Clean>,
    /// Whether the orientation is part of the picture, so that cleaning leaves it.
    pub(crate) keeps_orientation: bool,
    /// Pushes the rows of a still as they are stored, shrunk by the number (1, 2, 4 or 8), which is
    /// 1 unless [`Codec::shrinks`].
    pub(crate) decode: Option<Decode>,
    /// Whether its decoder can shrink.
    pub(crate) shrinks: bool,
    /// Pushes the canvases of an animation.
    pub(crate) canvases: Option<Canvases>,
    /// Which colours the samples are in that come out of the decoder.
    pub(crate) colours: for<'a> fn(&'a [u8], &Facts, &Control) -> Colours<'a>,
    /// Where it says who made the picture; `None` when it has no place for that.
    pub(crate) credits: Option<Credits>,
    /// How a damaged file is written again.
    pub(crate) repair: Option<Repair>,
    /// Bytes that its decoder holds at most, beside the source and [`Facts::decoder_tables`].
    pub(crate) memory: fn(&Facts) -> u64,
    /// Bytes that cleaning holds at most, beside the source and what any work needs.
    pub(crate) clean_memory: fn(&Facts) -> u64,
}

/// Blocks of metadata that can name the author and the owner of a picture.
pub(crate) struct Credits {
    /// The EXIF structure.
    pub(crate) exif: Block,
    /// The XMP packet.
    pub(crate) xmp: Block,
    /// What Photoshop wrote, IPTC-IIM among it; empty when there is none.
    pub(crate) photoshop: fn(&[u8]) -> Vec<u8>,
    /// Puts EXIF into a cleaned file.
    pub(crate) put: for<'a> fn(Cleaned<'a, '_>, &[u8], &Control) -> Pieces<'a>,
}

/// A cleaned file, and what it was made from.
pub(crate) struct Cleaned<'a, 'f> {
    pub(crate) source: &'a [u8],
    pub(crate) facts: &'f Facts,
    pub(crate) pieces: Pieces<'a>,
}

/// What is done about a damaged file.
pub(crate) struct Repair {
    /// Width and height that it claims.
    pub(crate) claimed_size: Size,
    /// Whether it may be an animation.
    pub(crate) may_move: fn(&[u8]) -> bool,
    /// Writes it again. `None` when too little of it is there.
    pub(crate) repair: fn(&[u8], &Control) -> Result<Option<Repaired>>,
}

impl Codec {
    /// Reads nothing.
    pub(crate) const NONE: Self = Self {
        formats: &[],
        detect: |_| false,
        inspect: |_, _, _| Err(Error::Internal("a codec without inspection".into())),
        clean: None,
        keeps_orientation: false,
        decode: None,
        shrinks: false,
        canvases: None,
        colours: |_, _, _| Colours::Srgb,
        credits: None,
        repair: None,
        memory: streamed,
        clean_memory: |_| 0,
    };
}

/// Bytes that a decoder holds at most which gives rows while it reads.
pub(crate) fn streamed(facts: &Facts) -> u64 {
    facts.row_bytes() * 32
}

/// Bytes that a decoder of animations holds at most: the canvas, the one before it, the frame on
/// its own, and its indices. A frame of an APNG is on its own only when it is interlaced.
pub(crate) fn animated(facts: &Facts) -> u64 {
    facts.pixels() * 13
}
