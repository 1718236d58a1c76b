//! Runs ImageMagick: to make a PNG of a file that the engine recognises but cannot read. Version 7
//! (`magick`), or 6 as in Debian 12 (`convert`).
//!
//! It may only read the file's own format and write PNG: the policy in its folder forbids all other
//! coders, all delegate programs, and lists of files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use pict_rs_media::{Control, Foreign};

use super::{Helper, Program, ResourceLimits, run};
use crate::config::MagickConfig;
use crate::{Error, ErrorCode, Result};

const MIB: u64 = 1024 * 1024;
const WRITTEN: &str = "written.png";

/// Bytes that ImageMagick needs besides the file.
pub(crate) fn memory(config: &MagickConfig) -> u64 {
    config.memory.saturating_mul(MIB)
}

/// Makes a PNG of the first picture of `source`, in a folder for this run.
pub(crate) fn convert(
    program: Program<'_>,
    folder: &Path,
    source: &[u8],
    (what, config, time): (Foreign, &MagickConfig, Duration),
    control: &Control,
) -> Result<Vec<u8>> {
    let failed = |e| Error::io("cannot prepare a conversion", e);
    fs::write(folder.join("source"), source).map_err(failed)?;
    fs::write(folder.join("policy.xml"), policy(what, config, time)).map_err(failed)?;
    let mut command = program.command();
    command
        .env("MAGICK_CONFIGURE_PATH", folder)
        .env("MAGICK_TEMPORARY_PATH", folder)
        .env("OMP_NUM_THREADS", "1")
        .arg(format!("{}:source[0]", coder(what).to_lowercase()))
        .args([
            "-auto-orient",
            "-depth",
            "8",
            "-define",
            "png:compression-level=1",
            // ImageMagick writes both chunks even for sRGB, and readers would apply them.
            "-define",
            "png:exclude-chunks=gAMA,cHRM",
        ])
        .arg(format!("png:{WRITTEN}"));
    let limits = ResourceLimits {
        // Memory that ImageMagick maps from files counts too.
        memory: memory(config).saturating_add(config.map.saturating_mul(MIB)),
        file_size: config.disk.saturating_mul(MIB),
        time,
    };
    run::run(Helper::Magick, command, folder, limits, control)?;
    let png = fs::read(folder.join(WRITTEN)).map_err(|_| {
        Error::user(
            ErrorCode::MediaDamaged,
            format!("ImageMagick finds no picture in this {} file", what.name()),
        )
    })?;
    Ok(pict_rs_media::converted(source, what, png, control)?)
}

/// ImageMagick's name of the format.
fn coder(what: Foreign) -> &'static str {
    match what {
        Foreign::Psd => "PSD",
        Foreign::Jp2 => "JP2",
        Foreign::J2k => "J2K",
        Foreign::Dng => "DNG",
        Foreign::Cr2 => "CR2",
        Foreign::Nef => "NEF",
        Foreign::Arw => "ARW",
        Foreign::Heif => "HEIC",
        Foreign::Tiff => "TIFF",
        Foreign::Jpeg => "JPEG",
    }
}

/// The policy file. When two rules match, the later one applies.
fn policy(what: Foreign, config: &MagickConfig, time: Duration) -> String {
    let mut text = String::from("<policymap>\n");
    let resources = [
        ("width", format!("{}P", config.max_width)),
        ("height", format!("{}P", config.max_height)),
        ("area", format!("{}P", config.max_area)),
        ("memory", format!("{}MiB", config.memory)),
        ("map", format!("{}MiB", config.map)),
        ("disk", format!("{}MiB", config.disk)),
        ("list-length", "64".to_owned()),
        ("file", "64".to_owned()),
        ("thread", "1".to_owned()),
        ("time", time.as_secs().to_string()),
    ];
    for (name, value) in resources {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            r#"<policy domain="resource" name="{name}" value="{value}"/>"#
        );
    }
    let rights = [
        ("delegate", "none", "*"),
        ("filter", "none", "*"),
        ("path", "none", "@*"),
        ("path", "none", "|*"),
        ("coder", "none", "*"),
        ("coder", "read", coder(what)),
        ("coder", "read|write", "PNG"),
    ];
    for (domain, rights, pattern) in rights {
        let _ = writeln!(
            text,
            r#"<policy domain="{domain}" rights="{rights}" pattern="{pattern}"/>"#
        );
    }
    text.push_str("</policymap>\n");
    text
}
