//! Formats that another program has to convert before the engine can take them in. Only their
//! first bytes are looked at.

use crate::codec::exif;

/// What a file is that the engine recognises and cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Foreign {
    /// Photoshop.
    Psd,
    /// JPEG 2000 in its container.
    Jp2,
    /// JPEG 2000 as a bare stream.
    J2k,
    /// Camera raw in Adobe's form, also that of phones.
    Dng,
    /// Camera raw of Canon.
    Cr2,
    /// Camera raw of Nikon.
    Nef,
    /// Camera raw of Sony.
    Arw,
}

impl Foreign {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Psd,
        Self::Jp2,
        Self::J2k,
        Self::Dng,
        Self::Cr2,
        Self::Nef,
        Self::Arw,
    ];

    /// Whether it is what a camera's sensor saw, so that no two programs make the same of it.
    pub fn is_raw(self) -> bool {
        matches!(self, Self::Dng | Self::Cr2 | Self::Nef | Self::Arw)
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
        }
    }
}

/// Whether the file is one that another program has to convert. Camera raw files look like TIFF
/// files: ask this first.
pub fn foreign(source: &[u8]) -> Option<Foreign> {
    const MAGIC: [(&[u8], Foreign); 3] = [
        (b"8BPS\0\x01", Foreign::Psd),
        (b"\0\0\0\x0cjP  \r\n\x87\n", Foreign::Jp2),
        (b"\xff\x4f\xff\x51", Foreign::J2k),
    ];
    let found = MAGIC.iter().find(|(magic, _)| source.starts_with(magic));
    found.map(|(_, what)| *what).or_else(|| raw(source))
}

/// The first directory of a TIFF file tells whether it came out of a camera as it was.
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

    fn tiff(entries: &[(u16, u32)], tail: &[u8]) -> Vec<u8> {
        let mut file = b"II*\0\x08\0\0\0".to_vec();
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            file.extend(tag.to_le_bytes());
            // A text, whose end is the file's.
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
        // A picture that a camera's program has developed.
        assert_eq!(foreign(&tiff(&[(0x10f, 22)], b"NIKON CORPORATION\0")), None);
        assert_eq!(foreign(b"II*\0\x10\0\0\0CR\x02\0"), Some(Foreign::Cr2));
        assert_eq!(foreign(b"II*\0\xff\xff\xff\xff"), None);
        assert_eq!(foreign(b"8BPS\0\x01\0\0"), Some(Foreign::Psd));
        assert_eq!(foreign(b""), None);
    }
}
