//! Formats, and varieties of formats, that another program must convert before the engine can read
//! them. No pixel is decoded.

use serde::{Deserialize, Serialize};

use crate::codec::{self, exif};
use crate::limits::Bounds;
use crate::{Control, Error, Format, Result};

/// A file that the engine recognises but cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Foreign {
    /// Photoshop.
    Psd,
    /// JPEG 2000 in its container.
    Jp2,
    /// JPEG 2000 as a bare stream.
    J2k,
    /// Camera raw in Adobe's format, also used by phones.
    Dng,
    /// Camera raw of Canon.
    Cr2,
    /// Camera raw of Nikon.
    Nef,
    /// Camera raw of Sony.
    Arw,
    /// A HEIF of a variety that the engine refuses: without chroma subsampling, gray, …
    Heif,
    /// A TIFF of such a variety: palettes, YCbCr, …
    Tiff,
    /// A JPEG of such a variety: arithmetic coding, 12 bits, …
    Jpeg,
}

impl Foreign {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Psd,
        Self::Jp2,
        Self::J2k,
        Self::Dng,
        Self::Cr2,
        Self::Nef,
        Self::Arw,
        Self::Heif,
        Self::Tiff,
        Self::Jpeg,
    ];

    /// Its name in `media.magick.formats`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Psd => "psd",
            Self::Jp2 => "jp2",
            Self::J2k => "j2k",
            Self::Dng => "dng",
            Self::Cr2 => "cr2",
            Self::Nef => "nef",
            Self::Arw => "arw",
            Self::Heif => "heif",
            Self::Tiff => "tiff",
            Self::Jpeg => "jpeg",
        }
    }

    /// Whether it is a variety of a format that the engine otherwise reads, refused with a reason.
    pub fn is_rare(self) -> bool {
        matches!(self, Self::Heif | Self::Tiff | Self::Jpeg)
    }

    /// Whether the converted file need not be lossless: the source is lossy, or raw sensor data,
    /// which no two programs develop in the same way.
    pub fn is_lossy(self) -> bool {
        match self {
            Self::Dng | Self::Cr2 | Self::Nef | Self::Arw | Self::Heif | Self::Jpeg => true,
            Self::Psd | Self::Jp2 | Self::J2k | Self::Tiff => false,
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Psd => "PSD",
            Self::Jp2 => "JPEG 2000 (JP2)",
            Self::J2k => "JPEG 2000 (J2K)",
            Self::Dng => "DNG",
            Self::Cr2 => "CR2",
            Self::Nef => "NEF",
            Self::Arw => "ARW",
            Self::Heif => "HEIF of a rare kind",
            Self::Tiff => "TIFF of a rare kind",
            Self::Jpeg => "JPEG of a rare kind",
        }
    }
}

/// Which program must convert the file, if it is one of these. Camera raw files look like TIFF
/// files, so this must be checked first. Damaged or oversized files are not passed to another
/// program either.
pub fn foreign(source: &[u8], control: &Control) -> Option<Foreign> {
    const MAGIC: [(&[u8], Foreign); 3] = [
        (b"8BPS\0\x01", Foreign::Psd),
        (b"\0\0\0\x0cjP  \r\n\x87\n", Foreign::Jp2),
        (b"\xff\x4f\xff\x51", Foreign::J2k),
    ];
    let found = MAGIC.iter().find(|(magic, _)| source.starts_with(magic));
    let found = found.map(|(_, what)| *what);
    found
        .or_else(|| raw(source))
        .or_else(|| rare(source, control))
}

/// The variety of a file that seemed readable until it was decoded. Camera raw files and sequences
/// are excluded.
pub fn rare_kind(source: &[u8]) -> Option<Foreign> {
    match codec::of_file(source)?.formats {
        [Format::Heif] if codec::heif::is_still(source) => Some(Foreign::Heif),
        [Format::Tiff] if !codec::converted::is_camera_raw(source) => Some(Foreign::Tiff),
        [Format::Jpeg] => Some(Foreign::Jpeg),
        _ => None,
    }
}

/// The PNG that another program made of `source`, with lost properties restored. For HEIF the
/// program may lose colours and transparency declared by the container.
///
/// # Errors
/// [`Error::Unsupported`] when something is lost that cannot be restored, [`Error::Corrupt`] when
/// it is not a PNG, [`Error::Cancelled`] through `control`.
pub fn converted(source: &[u8], what: Foreign, png: Vec<u8>, control: &Control) -> Result<Vec<u8>> {
    if what != Foreign::Heif {
        return Ok(png);
    }
    let Some(look) = codec::avif::look(source, control) else {
        return Ok(png);
    };
    if look.has_alpha && !codec::png::inspect(&png, control)?.has_alpha {
        return Err(Error::Unsupported(
            "the transparency of this HEIF file cannot be read: the program that reads its kind \
             leaves it out"
                .into(),
        ));
    }
    if codec::png::icc(&png).is_some() {
        return Ok(png);
    }
    match (look.icc, look.code) {
        (Some(icc), _) => codec::png::with_profile(&png, icc, control),
        (None, code) => codec::png::with_code(&png, code, control),
    }
}

/// Varieties that the engine does not read, of formats that it otherwise reads.
fn rare(source: &[u8], control: &Control) -> Option<Foreign> {
    let what = rare_kind(source)?;
    if what == Foreign::Jpeg {
        return codec::jpeg::is_rare(source).then_some(what);
    }
    let facts = (codec::of_file(source)?.inspect)(source, &Bounds::NONE, control);
    matches!(facts, Err(Error::Unsupported(_))).then_some(what)
}

/// Whether the first directory of a TIFF file shows that it is an undeveloped camera raw file.
fn raw(source: &[u8]) -> Option<Foreign> {
    const MAKE: u16 = 0x010f;
    const SUB_DIRECTORIES: u16 = 0x014a;
    const DNG_VERSION: u16 = 0xc612;
    if matches!(source.get(..4)?, b"II*\0" | b"MM\0*") && source.get(8..10) == Some(b"CR") {
        return Some(Foreign::Cr2);
    }
    if exif::has(source, DNG_VERSION) {
        return Some(Foreign::Dng);
    }
    if !exif::has(source, SUB_DIRECTORIES) {
        return None;
    }
    let make = exif::text(source, MAKE)?;
    if make.starts_with(b"NIKON") {
        Some(Foreign::Nef)
    } else if make.starts_with(b"SONY") {
        Some(Foreign::Arw)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(source: &[u8]) -> Option<Foreign> {
        super::foreign(source, &Control::new())
    }

    fn tiff(entries: &[(u16, u32)], tail: &[u8]) -> Vec<u8> {
        let mut file = b"II*\0\x08\0\0\0".to_vec();
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            file.extend(tag.to_le_bytes());
            // A text that extends to the end of the file.
            file.extend([2, 0, 18, 0, 0, 0]);
            file.extend(value.to_le_bytes());
        }
        file.extend(tail);
        file
    }

    #[test]
    fn camera_raw_is_told_from_tiff() {
        assert_eq!(foreign(&tiff(&[(0x100, 5)], b"")), None);
        assert_eq!(foreign(&tiff(&[(0xc612, 5)], b"")), Some(Foreign::Dng));
        let nikon = tiff(&[(0x10f, 34), (0x14a, 0)], b"NIKON CORPORATION\0");
        assert_eq!(foreign(&nikon), Some(Foreign::Nef));
        // A picture developed by a camera's program.
        assert_eq!(foreign(&tiff(&[(0x10f, 22)], b"NIKON CORPORATION\0")), None);
        assert_eq!(foreign(b"II*\0\x10\0\0\0CR\x02\0"), Some(Foreign::Cr2));
        assert_eq!(foreign(b"II*\0\xff\xff\xff\xff"), None);
        assert_eq!(foreign(b"8BPS\0\x01\0\0"), Some(Foreign::Psd));
        assert_eq!(foreign(b""), None);
    }

    #[test]
    fn kinds_that_the_engine_refuses_are_for_another_program() {
        let gray = include_bytes!("codec/testdata/gray.heic");
        let photo = include_bytes!("codec/testdata/phone.heic");
        let expected = cfg!(feature = "heic").then_some(None);
        assert_eq!(foreign(gray), Some(Foreign::Heif));
        assert_eq!(foreign(photo), expected.unwrap_or(Some(Foreign::Heif)));
        // Damaged, but not such a variety.
        assert_eq!(foreign(&photo[..photo.len() / 2]), None);
        let jpeg = |marker| {
            [
                b"\xff\xd8\xff",
                &[marker, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0][..],
            ]
            .concat()
        };
        assert_eq!(foreign(&jpeg(0xc0)), None);
        assert_eq!(foreign(&jpeg(0xc9)), Some(Foreign::Jpeg));
        assert_eq!(foreign(&jpeg(0xc9)[..8]), None);
    }
}
