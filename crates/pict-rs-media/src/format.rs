//! The table of formats, with one row of properties each. Pure data, no decoding.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The format of a file. The discriminants of kept formats are the format byte of the content key
/// (the last of its 39 bytes), which clients of the HTTP API can see: never renumber. The others,
/// from 128 on, are only read: browsers do not show them, so they are stored converted (see
/// [`Format::is_kept`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Format {
    /// Animated PNG.
    Apng = 0,
    /// AVIF image sequence.
    AvifAnimation = 1,
    /// GIF, with any number of frames.
    Gif = 2,
    /// WebP with an `ANIM` chunk.
    WebpAnimation = 3,
    /// AVIF still picture.
    Avif = 4,
    /// JPEG.
    Jpeg = 5,
    /// JPEG XL.
    Jxl = 6,
    /// PNG without `acTL`.
    Png = 7,
    /// WebP still picture, lossy or lossless.
    Webp = 8,
    /// MP4 or QuickTime container.
    Mp4 = 9,
    /// WebM container.
    Webm = 10,
    /// HEIF with HEVC pictures, as taken by phones.
    Heif = 128,
    /// TIFF.
    Tiff = 129,
    /// Windows bitmap.
    Bmp = 130,
    /// Windows icon or cursor.
    Ico = 131,
    /// Quite OK Image.
    Qoi = 132,
    /// Scalable Vector Graphics.
    Svg = 133,
    /// Netpbm: PBM, PGM, PPM and PAM.
    Pnm = 134,
}

/// How clients should treat a file: `format` in the details object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A single picture.
    Image,
    /// Frames without sound. GIF and APNG are always this, even with one frame.
    Animation,
    /// A clip.
    Video,
}

impl Kind {
    /// The word used in the details object of the HTTP API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "Image",
            Self::Animation => "Animation",
            Self::Video => "Video",
        }
    }
}

struct Row {
    format: Format,
    name: &'static str,
    extension: &'static str,
    mime: &'static str,
    kind: Kind,
    readable: bool,
}

#[rustfmt::skip]
const TABLE: [Row; 18] = [
    Row { format: Format::Apng, name: "APNG", extension: "apng", mime: "image/apng", kind: Kind::Animation, readable: true },
    Row { format: Format::AvifAnimation, name: "animated AVIF", extension: "avif", mime: "image/avif", kind: Kind::Animation, readable: true },
    Row { format: Format::Gif, name: "GIF", extension: "gif", mime: "image/gif", kind: Kind::Animation, readable: true },
    Row { format: Format::WebpAnimation, name: "animated WebP", extension: "webp", mime: "image/webp", kind: Kind::Animation, readable: true },
    Row { format: Format::Avif, name: "AVIF", extension: "avif", mime: "image/avif", kind: Kind::Image, readable: true },
    Row { format: Format::Jpeg, name: "JPEG", extension: "jpeg", mime: "image/jpeg", kind: Kind::Image, readable: true },
    Row { format: Format::Jxl, name: "JPEG XL", extension: "jxl", mime: "image/jxl", kind: Kind::Image, readable: true },
    Row { format: Format::Png, name: "PNG", extension: "png", mime: "image/png", kind: Kind::Image, readable: true },
    Row { format: Format::Webp, name: "WebP", extension: "webp", mime: "image/webp", kind: Kind::Image, readable: true },
    Row { format: Format::Mp4, name: "MP4", extension: "mp4", mime: "video/mp4", kind: Kind::Video, readable: true },
    Row { format: Format::Webm, name: "WebM", extension: "webm", mime: "video/webm", kind: Kind::Video, readable: true },
    Row { format: Format::Heif, name: "HEIF", extension: "heic", mime: "image/heic", kind: Kind::Image, readable: cfg!(feature = "heic") },
    Row { format: Format::Tiff, name: "TIFF", extension: "tiff", mime: "image/tiff", kind: Kind::Image, readable: true },
    Row { format: Format::Bmp, name: "BMP", extension: "bmp", mime: "image/bmp", kind: Kind::Image, readable: true },
    Row { format: Format::Ico, name: "ICO", extension: "ico", mime: "image/vnd.microsoft.icon", kind: Kind::Image, readable: true },
    Row { format: Format::Qoi, name: "QOI", extension: "qoi", mime: "image/qoi", kind: Kind::Image, readable: true },
    Row { format: Format::Svg, name: "SVG", extension: "svg", mime: "image/svg+xml", kind: Kind::Image, readable: cfg!(feature = "svg") },
    Row { format: Format::Pnm, name: "PNM", extension: "pnm", mime: "image/x-portable-anymap", kind: Kind::Image, readable: true },
];

/// How many rows at the start of the table are kept formats.
const KEPT: usize = 11;

impl Format {
    /// Every format, in the order of its byte.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.format)
    }

    fn row(self) -> &'static Row {
        let byte = self as usize;
        &TABLE[if self.is_kept() {
            byte
        } else {
            byte - 128 + KEPT
        }]
    }

    /// Whether such files are stored unconverted. Other formats are always converted at upload, and
    /// their bytes never occur in content keys.
    pub fn is_kept(self) -> bool {
        (self as usize) < KEPT
    }

    /// The kept format whose byte in the content key is `byte`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        TABLE[..KEPT].get(usize::from(byte)).map(|row| row.format)
    }

    /// The format's byte in the content key.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// File name extension without a dot; that of a kept format is part of every alias. JPEG's is
    /// `jpeg`.
    pub fn extension(self) -> &'static str {
        self.row().extension
    }

    /// The media type sent as `Content-Type`.
    pub fn mime(self) -> &'static str {
        self.row().mime
    }

    /// Picture, animation or clip.
    pub fn kind(self) -> Kind {
        self.row().kind
    }

    /// The kind of a file with this number of frames. Only JPEG XL has one format for stills and
    /// animations.
    pub fn kind_of(self, frames: u32) -> Kind {
        match self {
            Self::Jxl if frames > 1 => Kind::Animation,
            _ => self.kind(),
        }
    }

    /// Whether this build can decode it. For clips, only the containers are read: an external
    /// program decodes their frames.
    pub fn is_readable(self) -> bool {
        self.row().readable
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

/// The formats of variants and conversions: the `{ext}` of `process.{ext}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OutputFormat {
    /// Animated PNG.
    Apng,
    /// AVIF.
    Avif,
    /// GIF.
    Gif,
    /// JPEG; `jpg` and `jpeg` are the same.
    Jpeg,
    /// JPEG XL.
    Jxl,
    /// PNG.
    Png,
    /// WebP, still or animated as the source is.
    Webp,
}

impl OutputFormat {
    /// Every output format.
    pub const ALL: [Self; 7] = [
        Self::Apng,
        Self::Avif,
        Self::Gif,
        Self::Jpeg,
        Self::Jxl,
        Self::Png,
        Self::Webp,
    ];

    /// The format of a (case-sensitive) extension.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension {
            "jpg" => Some(Self::Jpeg),
            _ => Self::ALL
                .into_iter()
                .find(|format| format.extension() == extension),
        }
    }

    /// Its canonical extension, used in variant keys.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Apng => "apng",
            Self::Avif => "avif",
            Self::Gif => "gif",
            Self::Jpeg => "jpeg",
            Self::Jxl => "jxl",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    /// Whether an animated source remains animated in it.
    pub fn keeps_animation(self) -> bool {
        !matches!(self, Self::Jpeg | Self::Jxl | Self::Png)
    }

    /// The format of the resulting file, given whether the source is animated.
    pub fn file_format(self, animated: bool) -> Format {
        match (self, animated) {
            (Self::Apng, _) => Format::Apng,
            (Self::Avif, false) => Format::Avif,
            (Self::Avif, true) => Format::AvifAnimation,
            (Self::Gif, _) => Format::Gif,
            (Self::Jpeg, _) => Format::Jpeg,
            (Self::Jxl, _) => Format::Jxl,
            (Self::Png, _) => Format::Png,
            (Self::Webp, false) => Format::Webp,
            (Self::Webp, true) => Format::WebpAnimation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_at_its_byte() {
        for (index, format) in Format::all().enumerate() {
            assert_eq!(format.row().format, format);
            assert_eq!(format.is_kept(), index < KEPT);
            if format.is_kept() {
                assert_eq!(usize::from(format.byte()), index);
                assert_eq!(Format::from_byte(format.byte()), Some(format));
            } else {
                assert_eq!(Format::from_byte(format.byte()), None);
            }
        }
        assert_eq!(Format::from_byte(11), None);
    }

    #[test]
    fn jpg_and_jpeg_are_one_output() {
        assert_eq!(
            OutputFormat::from_extension("jpg"),
            OutputFormat::from_extension("jpeg")
        );
        assert_eq!(OutputFormat::from_extension("WEBP"), None);
        assert_eq!(OutputFormat::from_extension("mp4"), None);
    }
}
