//! The interface of codecs. Each codec has one [`Codec`], a constant in the root of its folder,
//! which is listed in [`super::ALL`].

use std::borrow::Cow;

use crate::colour::Colours;
use crate::damage::Repaired;
use crate::limits::Bounds;
use crate::rows::{CanvasSink, RowSink};
use crate::{Control, Error, Facts, Format, Result};

/// The pieces of a file, mostly borrowed from another.
pub(crate) type Pieces<'a> = Vec<Cow<'a, [u8]>>;

type Clean = for<'a> fn(&'a [u8], &Facts, &Control) -> Result<Kept<'a>>;
type Decode = fn(&[u8], &Facts, u32, &Control, &mut dyn RowSink) -> Result<()>;
type Canvases = fn(&[u8], &Facts, &Control, &mut dyn CanvasSink) -> Result<()>;
type Size = fn(&[u8], &Control) -> Option<(u32, u32)>;
type Block = for<'a> fn(&'a [u8], &Control) -> Option<Cow<'a, [u8]>>;

/// A codec, as functions. Defaults for missing ones come from [`Codec::NONE`].
pub(crate) struct Codec {
    /// The formats that it reads. A still and an animation may be two formats.
    pub(crate) formats: &'static [Format],
    /// Whether a file is of this codec, by its first bytes. Called after all codecs that come
    /// before it in [`super::ALL`].
    pub(crate) detect: fn(&[u8]) -> bool,
    /// Facts from the headers. No pixel that is shown is decoded.
    pub(crate) inspect: fn(&[u8], &Bounds, &Control) -> Result<Facts>,
    /// The file without metadata, pixels untouched; `None` when such files are never kept.
    pub(crate) clean: Option<Clean>,
    /// Whether the orientation is part of the picture, so that cleaning leaves it.
    pub(crate) keeps_orientation: bool,
    /// Pushes the rows of a still as stored, divided in size by the number (1, 2, 4 or 8), which is
    /// 1 unless [`Codec::shrinks`].
    pub(crate) decode: Option<Decode>,
    /// Whether its decoder can shrink.
    pub(crate) shrinks: bool,
    /// Pushes the canvases of an animation.
    pub(crate) canvases: Option<Canvases>,
    /// The colours of the samples that its decoder delivers.
    pub(crate) colours: for<'a> fn(&'a [u8], &Facts, &Control) -> Colours<'a>,
    /// Where its files name author and copyright; `None` if they cannot.
    pub(crate) credits: Option<Credits>,
    /// How a damaged file is repaired.
    pub(crate) repair: Option<Repair>,
    /// Maximum bytes held by its decoder, besides the source and [`Facts::decoder_tables`].
    pub(crate) memory: fn(&Facts) -> u64,
    /// Maximum bytes held by cleaning, besides the source and what all work needs.
    pub(crate) clean_memory: fn(&Facts) -> u64,
}

/// The result of cleaning.
pub(crate) struct Kept<'a> {
    pub(crate) pieces: Pieces<'a>,
    /// The whole picture at an eighth of its size, if cleaning has read all of its data.
    pub(crate) eighth: Option<Box<dyn Eighth + 'a>>,
}

impl<'a> From<Pieces<'a>> for Kept<'a> {
    fn from(pieces: Pieces<'a>) -> Self {
        Self {
            pieces,
            eighth: None,
        }
    }
}

/// A still at an eighth of its size (rounded up).
pub(crate) trait Eighth {
    /// Pushes its rows as [`Codec::decode`] would. Subsampled colours may be coarser.
    ///
    /// # Errors
    /// Those of [`Codec::decode`], if the picture is damaged.
    fn push(&self, control: &Control, sink: &mut dyn RowSink) -> Result<()>;
}

/// Blocks of metadata that can contain author and copyright.
pub(crate) struct Credits {
    /// The EXIF structure.
    pub(crate) exif: Block,
    /// The XMP packet.
    pub(crate) xmp: Block,
    /// Photoshop's resources, which include IPTC-IIM; empty if there are none.
    pub(crate) photoshop: fn(&[u8]) -> Vec<u8>,
    /// Puts EXIF into a cleaned file.
    pub(crate) put: for<'a> fn(Cleaned<'a, '_>, &[u8], &Control) -> Pieces<'a>,
}

/// A cleaned file and its source.
pub(crate) struct Cleaned<'a, 'f> {
    pub(crate) source: &'a [u8],
    pub(crate) facts: &'f Facts,
    pub(crate) pieces: Pieces<'a>,
}

/// Repair of damaged files.
pub(crate) struct Repair {
    /// The claimed width and height.
    pub(crate) claimed_size: Size,
    /// Whether it may be an animation.
    pub(crate) may_move: fn(&[u8]) -> bool,
    /// Repairs the file. `None` if too little of it is left.
    pub(crate) repair: fn(&[u8], &Control) -> Result<Option<Repaired>>,
}

impl Codec {
    /// A codec that reads nothing.
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

/// Maximum bytes held by a decoder that delivers rows while it reads.
pub(crate) fn streamed(facts: &Facts) -> u64 {
    facts.row_bytes() * 32
}

/// Maximum bytes held by a decoder of animations: the canvas, the previous one, the frame itself,
/// and its indices. A frame of an APNG is held separately only if it is interlaced.
pub(crate) fn animated(facts: &Facts) -> u64 {
    facts.pixels() * 13
}
