//! exiftool: a second opinion on what a file says besides its picture. No server runs it, only
//! `pict-rs verify-clean`.
//!
//! What a file of a format needs, so that it can be shown, is a list: [`STRUCTURE`], made with version
//! 12.57. Whatever is not on it counts as metadata, so a tag that a later exiftool learns is reported
//! and not overlooked. Numbers and `Unknown_…` are parts of containers that it has no name for.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pict_rs_media::Control;

use super::run::{MAX_OUTPUT, run};
use super::{Helper, ResourceLimits};
use crate::Result;

const MIB: u64 = 1024 * 1024;
/// Characters of a value that are kept: a whole XMP packet can be one.
const VALUE: usize = 200;

/// Something that exiftool finds in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Where it stands, such as `IFD0` or `XMP-dc`.
    pub group: String,
    /// Its name, such as `Artist`.
    pub name: String,
    /// What it says, shortened.
    pub value: String,
}

/// An upper estimate, in bytes, of the memory that exiftool needs for a file of `size` bytes.
pub(crate) fn memory(size: u64) -> u64 {
    (256 * MIB).saturating_add(size.saturating_mul(2))
}

/// Everything that exiftool finds in the file `name` of `folder`, also twice, also inside of
/// streams, and also what it has no name for. Blocks.
///
/// # Errors
/// As [`run`].
pub(crate) fn look(
    program: &Path,
    folder: &Path,
    name: &str,
    limits: (u64, Duration),
    control: &Control,
) -> Result<Vec<Tag>> {
    let mut command = Command::new(program);
    // The first option says that no configuration of the user applies.
    command.args(["-config", "", "-G1", "-a", "-s", "-ee", "-u", name]);
    let (memory, time) = limits;
    let limits = ResourceLimits {
        memory,
        file_size: MIB,
        time,
    };
    let said = run(Helper::Exiftool, command, folder, limits, control)?;
    let mut tags = parse(&String::from_utf8_lossy(&said));
    if said.len() >= MAX_OUTPUT {
        tags.push(Tag {
            group: "ExifTool".to_owned(),
            name: "Warning".to_owned(),
            value: format!("there is more than the {MAX_OUTPUT} bytes that were read"),
        });
    }
    Ok(tags)
}

fn parse(said: &str) -> Vec<Tag> {
    let tag = |line: &str| {
        let (group, rest) = line.strip_prefix('[')?.split_once(']')?;
        let (name, value) = rest.split_once(':')?;
        let value = value.trim().chars().filter(|c| !c.is_control());
        Some(Tag {
            group: group.to_owned(),
            name: name.trim().to_owned(),
            value: value.take(VALUE).collect(),
        })
    };
    // Other lines are not of a file that was read: they are kept as they are.
    let other = |line: &str| Tag {
        group: "ExifTool".to_owned(),
        name: "Line".to_owned(),
        value: line.chars().take(VALUE).collect(),
    };
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| tag(line).unwrap_or_else(|| other(line)))
        .collect()
}

impl Tag {
    /// Whether it is of the file system, computed by exiftool, or something that a file without
    /// metadata has as well: sizes, codings, colours with their profile, times of frames.
    pub fn is_structure(&self) -> bool {
        let Self { group, name, value } = self;
        if is_of_container(group) && name.ends_with("Date") {
            // The field has to be there; cleaning sets it to nothing.
            return value.starts_with("0000:00:00 00:00:00");
        }
        if group == "QuickTime" && name == "Free" {
            return value.starts_with("(Binary data 0 bytes");
        }
        match group.as_str() {
            // A complaint about the profile, which stays as it is.
            "ExifTool" if name == "Warning" => value.starts_with("Invalid ICC "),
            "ExifTool" => name == "ExifToolVersion",
            // Composite tags are computed from others, which are judged themselves.
            "System" | "Composite" => true,
            group if group.starts_with("ICC") => true,
            group => {
                let of_track = group.strip_prefix("Track");
                let is_track =
                    of_track.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
                let group = if is_track { "Track" } else { group };
                let names = STRUCTURE.iter().find(|(of, _)| *of == group);
                names.is_some_and(|(_, names)| names.contains(&name.as_str()))
            }
        }
    }

    /// Whether it belongs to what `media.keep_metadata = ["copyright"]` keeps: the author, the
    /// copyright, and what stands around them.
    pub fn is_credit(&self) -> bool {
        CREDITS.contains(&(self.group.as_str(), self.name.as_str()))
    }
}

fn is_of_container(group: &str) -> bool {
    group == "QuickTime" || group.starts_with("Track")
}

const CREDITS: [(&str, &str); 10] = [
    ("File", "CurrentIPTCDigest"),
    ("File", "ExifByteOrder"),
    ("IFD0", "Artist"),
    ("IFD0", "Copyright"),
    ("IPTC", "ApplicationRecordVersion"),
    ("IPTC", "By-line"),
    ("IPTC", "CodedCharacterSet"),
    ("IPTC", "CopyrightNotice"),
    ("XMP-dc", "Creator"),
    ("XMP-dc", "Rights"),
];

/// By group, the tags without which a file could not be shown, or that say how it is coded.
const STRUCTURE: [(&str, &[&str]); 13] = [
    (
        "File",
        &[
            "BitsPerSample",
            "ColorComponents",
            "EncodingProcess",
            "FileType",
            "FileTypeExtension",
            "ImageHeight",
            "ImageWidth",
            "MIMEType",
            "YCbCrSubSampling",
        ],
    ),
    (
        "JFIF",
        &[
            "JFIFVersion",
            "ResolutionUnit",
            "XResolution",
            "YResolution",
        ],
    ),
    (
        "Adobe",
        &[
            "APP14Flags0",
            "APP14Flags1",
            "ColorTransform",
            "DCTEncodeVersion",
        ],
    ),
    (
        "PNG",
        &[
            "AnimationFrames",
            "AnimationPlays",
            "BackgroundColor",
            "BitDepth",
            "BlueX",
            "BlueY",
            "ColorType",
            "Compression",
            "Filter",
            "Gamma",
            "GreenX",
            "GreenY",
            "ImageHeight",
            "ImageWidth",
            "Interlace",
            "Palette",
            "ProfileName",
            "RedX",
            "RedY",
            "SRGBRendering",
            "SignificantBits",
            "Transparency",
            "WhitePointX",
            "WhitePointY",
        ],
    ),
    (
        "PNG-cICP",
        &[
            "ColorPrimaries",
            "MatrixCoefficients",
            "TransferCharacteristics",
            "VideoFullRangeFlag",
        ],
    ),
    (
        "PNG-pHYs",
        &["PixelUnits", "PixelsPerUnitX", "PixelsPerUnitY"],
    ),
    (
        "RIFF",
        &[
            "AlphaCompression",
            "AlphaFiltering",
            "AlphaPreprocessing",
            "AnimationLoopCount",
            "BackgroundColor",
            "Duration",
            "FrameCount",
            "HorizontalScale",
            "ImageHeight",
            "ImageWidth",
            "VP8Version",
            "VerticalScale",
            "WebP_Flags",
        ],
    ),
    (
        "GIF",
        &[
            "AnimationIterations",
            "BackgroundColor",
            "BitsPerPixel",
            "ColorResolutionDepth",
            "Duration",
            "FrameCount",
            "GIFVersion",
            "HasColorMap",
            "ImageHeight",
            "ImageWidth",
            "PixelAspectRatio",
            "TransparentColor",
        ],
    ),
    // MP4 and AVIF.
    (
        "QuickTime",
        &[
            "AV1ConfigurationVersion",
            "AuxiliaryImageType",
            "ChromaFormat",
            "ChromaSamplePosition",
            "CleanAperture",
            "ColorPrimaries",
            "ColorProfiles",
            "CompatibleBrands",
            "CurrentTime",
            "Duration",
            "HandlerType",
            "HandlerVendorID",
            "HighBitDepth",
            "ImagePixelDepth",
            "ImageSpatialExtent",
            "InitialDelaySamples",
            "MajorBrand",
            "MatrixCoefficients",
            "MatrixStructure",
            "MediaData",
            "MediaDataOffset",
            "MediaDataSize",
            "MinorVersion",
            "Mirroring",
            "MovieHeaderVersion",
            "NextTrackID",
            "PixelAspectRatio",
            "PosterTime",
            "PreferredRate",
            "PreferredVolume",
            "PreviewDuration",
            "PreviewTime",
            "Rotation",
            "SelectionDuration",
            "SelectionTime",
            "SeqLevelIdx0",
            "SeqProfile",
            "SeqTier0",
            "TimeScale",
            "TransferCharacteristics",
            "TwelveBit",
            "Unknown_imir",
            "Unknown_irot",
            "VideoFullRangeFlag",
        ],
    ),
    ("Meta", &["PrimaryItemReference"]),
    // JPEG XL.
    (
        "Jpeg2000",
        &["CompatibleBrands", "MajorBrand", "MinorVersion"],
    ),
    (
        "Matroska",
        &[
            "CueClusterPosition",
            "CueTime",
            "CueTrack",
            "DocType",
            "DocTypeReadVersion",
            "DocTypeVersion",
            "Duration",
            "EBMLMaxIDLength",
            "EBMLMaxSizeLength",
            "EBMLReadVersion",
            "EBMLVersion",
            "Matroska_0x0070",
            "MuxingApp",
            "SeekID",
            "SeekPosition",
            "TagTrackUID",
            "TimecodeScale",
            "WritingApp",
        ],
    ),
    // Of MP4, AVIF and WebM.
    (
        "Track",
        &[
            "AVCConfiguration",
            "AudioBitsPerSample",
            "AudioChannels",
            "AudioFormat",
            "AudioSampleRate",
            "Balance",
            "BitDepth",
            "ChunkOffset",
            "CodecID",
            "CodecPrivate",
            "ColorPrimaries",
            "ColorProfiles",
            "CompositionTimeToSample",
            "CompressorID",
            "CompressorName",
            "GraphicsMode",
            "HandlerDescription",
            "HandlerType",
            "IdependentAndDisposableSamples",
            "ImageHeight",
            "ImageWidth",
            "IndependentAndDisposableSamples",
            "MatrixCoefficients",
            "MatrixStructure",
            "Matroska_0x15b0",
            "Matroska_0x16aa",
            "Matroska_0x16bb",
            "MediaDuration",
            "MediaHeaderVersion",
            "MediaLanguageCode",
            "MediaTimeScale",
            "OpColor",
            "OtherFormat",
            "PixelAspectRatio",
            "SampleGroupDescription",
            "SampleSizes",
            "SampleToChunk",
            "SampleToGroup",
            "SourceImageHeight",
            "SourceImageWidth",
            "SyncSampleTable",
            "TimeToSampleTable",
            "TrackDefault",
            "TrackDuration",
            "TrackHeaderVersion",
            "TrackID",
            "TrackLacing",
            "TrackLanguage",
            "TrackLayer",
            "TrackNumber",
            "TrackType",
            "TrackUID",
            "TrackVolume",
            "TransferCharacteristics",
            "Unknown_auxi",
            "Unknown_auxl",
            "Unknown_av1C",
            "Unknown_ccst",
            "Unknown_colr",
            "Unknown_edts",
            "Unknown_esds",
            "Unknown_hvcC",
            "Unknown_imir",
            "Unknown_irot",
            "VideoFieldOrder",
            "VideoFrameRate",
            "VideoFullRangeFlag",
            "VideoScanType",
            "XResolution",
            "YResolution",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Tag {
        let mut tags = parse(line);
        assert_eq!(tags.len(), 1, "{line}");
        tags.remove(0)
    }

    #[test]
    fn what_a_picture_needs_is_told_from_what_it_says() {
        for line in [
            "[ExifTool]      ExifToolVersion                 : 12.57",
            "[System]        FileModifyDate                  : 2026:11:24 15:45:22+00:00",
            "[PNG]           ImageWidth                      : 64",
            "[ICC_Profile]   ProfileDescription              : sRGB",
            "[ICC-header]    ProfileDateTime                 : 1998:02:09 06:49:00",
            "[Track12]       TrackCreateDate                 : 0000:00:00 00:00:00",
            "[Composite]     ImageSize                       : 64x48",
            "[ExifTool]      Warning                         : Invalid ICC Measurement data",
            "[QuickTime]     Free                            : (Binary data 0 bytes, use -b option to extract)",
        ] {
            assert!(one(line).is_structure(), "{line}");
        }
        for line in [
            "[ExifTool]      Warning                         : Trailer data after PNG IEND chunk",
            "[PNG]           Comment                         : a: b",
            "[PNG]           ModifyDate                      : 0000:00:00 00:00:00",
            "[IFD0]          Make                            : Canon",
            "[GPS]           GPSLatitude                     : 1 deg",
            "[Track1]        TrackCreateDate                 : 2026:11:24 15:45:22",
            "[Trackside]     ImageWidth                      : 1",
            "[QuickTime]     Free                            : (Binary data 9 bytes, use -b option to extract)",
            "======== file.png",
        ] {
            assert!(!one(line).is_structure(), "{line}");
        }
        let artist = one("[IFD0]          Artist                          : Ada: Lovelace");
        assert!(artist.is_credit() && !artist.is_structure());
        assert_eq!(artist.value, "Ada: Lovelace");
        assert!(!one("[ExifIFD] Artist : Ada").is_credit());
    }
}
