//! The facts of a file, read from its container without decoding pixels.

use serde::{Deserialize, Serialize};

use crate::{Format, Kind};

/// EXIF orientation 1–8: how stored pixels must be turned for display (EXIF 2.32, tag 0x0112).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Orientation {
    /// Nothing to do.
    #[default]
    Normal = 1,
    /// Mirror left to right.
    FlipHorizontal = 2,
    /// Turn by 180°.
    Rotate180 = 3,
    /// Mirror top to bottom.
    FlipVertical = 4,
    /// Mirror along the main diagonal.
    Transpose = 5,
    /// Turn by 90° clockwise.
    Rotate90 = 6,
    /// Mirror along the other diagonal.
    Transverse = 7,
    /// Turn by 270° clockwise.
    Rotate270 = 8,
}

impl Orientation {
    /// From the EXIF value; anything outside 1–8 counts as [`Orientation::Normal`].
    pub fn from_exif(value: u16) -> Self {
        match value {
            2 => Self::FlipHorizontal,
            3 => Self::Rotate180,
            4 => Self::FlipVertical,
            5 => Self::Transpose,
            6 => Self::Rotate90,
            7 => Self::Transverse,
            8 => Self::Rotate270,
            _ => Self::Normal,
        }
    }

    /// Whether width and height are swapped.
    pub fn swaps_axes(self) -> bool {
        self as u8 >= 5
    }
}

/// The colour model of the stored samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColourModel {
    /// One channel of light.
    Gray,
    /// Red, green, blue (or a luma-chroma form of it, or a palette).
    Rgb,
    /// Four inks; only in JPEG and JPEG XL.
    Cmyk,
}

/// The facts of a file. Widths and heights are in pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The format of the file.
    pub format: Format,
    /// Width as stored, before the orientation is applied.
    pub stored_width: u32,
    /// Height as stored, before the orientation is applied.
    pub stored_height: u32,
    /// How the stored pixels must be turned. Always normal for GIF, BMP, ICO with a bitmap, QOI,
    /// PNM and SVG, which have no orientation, and for JPEG XL, whose decoder turns them by itself.
    pub orientation: Orientation,
    /// Number of frames, at least 1. Counted in the container.
    pub frames: u32,
    /// Length of one run of the animation in milliseconds; `None` for stills.
    pub duration_ms: Option<u64>,
    /// Whether any pixel can be transparent.
    pub has_alpha: bool,
    /// Bits per sample: 8 or 16 (smaller depths are expanded and count as 8).
    pub bits: u8,
    /// The colour model of the stored samples.
    pub colour: ColourModel,
    /// Whether the decoder must keep the whole picture to deliver its first row: progressive JPEG,
    /// interlaced PNG, HEIF that is not many rows of tiles or is transparent, and every WebP, AVIF,
    /// JPEG XL, TIFF, BMP, QOI, PNM, SVG and bitmap of an ICO. Canvases of GIF and APNG do not
    /// count.
    pub buffered: bool,
    /// Whether the stored samples were compressed losslessly.
    pub lossless: bool,
    /// Bytes that the file makes its decoder keep, in addition to those that follow from its size
    /// in pixels: the prefix codes of lossless WebP, and the reference frames of a JPEG XL or AVIF.
    /// 0 for all other formats.
    pub decoder_tables: u64,
}

impl Facts {
    /// Displayed width in pixels, after applying the orientation.
    pub fn width(&self) -> u32 {
        if self.orientation.swaps_axes() {
            self.stored_height
        } else {
            self.stored_width
        }
    }

    /// Displayed height in pixels, after applying the orientation.
    pub fn height(&self) -> u32 {
        if self.orientation.swaps_axes() {
            self.stored_width
        } else {
            self.stored_height
        }
    }

    /// Picture, animation or clip: a JPEG XL can be either of the first two.
    pub fn kind(&self) -> Kind {
        self.format.kind_of(self.frames)
    }

    /// Pixels as stored.
    pub(crate) fn pixels(&self) -> u64 {
        u64::from(self.stored_width) * u64::from(self.stored_height)
    }

    /// Samples per pixel as stored.
    pub(crate) fn components(&self) -> u64 {
        match (self.colour, self.has_alpha) {
            (ColourModel::Gray, false) => 1,
            (ColourModel::Rgb, false) => 3,
            _ => 4,
        }
    }

    /// Maximum samples per pixel as delivered by the decoder: some decoders deliver gray as RGB.
    pub(crate) fn channels(&self) -> u64 {
        self.components().max(3)
    }

    /// Bytes per sample.
    pub(crate) fn sample_bytes(&self) -> u64 {
        if self.bits > 8 { 2 } else { 1 }
    }

    /// Bytes per pixel as delivered by the decoder.
    pub(crate) fn pixel_bytes(&self) -> u64 {
        // Deep gray is delivered as RGB.
        self.components().max(if self.bits > 8 { 3 } else { 1 }) * self.sample_bytes()
    }

    /// Bytes per row as delivered by the decoder.
    pub(crate) fn row_bytes(&self) -> u64 {
        u64::from(self.stored_width) * self.pixel_bytes()
    }

    /// Whether there is more than one frame.
    pub fn is_animated(&self) -> bool {
        self.frames > 1
    }
}
