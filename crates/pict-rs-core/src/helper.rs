//! External programs for what the engine cannot do: ffmpeg for the frames of clips, ImageMagick for
//! a few formats of cameras and studios; exiftool to verify cleaning. A missing program is not an internal error: requests that
//! need it get [`ErrorCode::ProgramMissing`].
//!
//! The binary finds each program once, at start, by PATH. It is run by its absolute path, never
//! through a shell; see [`run`] for its limits.

pub mod exiftool;
pub(crate) mod ffmpeg;
pub(crate) mod magick;
mod run;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pict_rs_media::Control;

use crate::config::MediaConfig;
use crate::{Error, ErrorCode, Result};

pub(crate) use run::ResourceLimits;

/// Several projects install a program of this name.
const AMBIGUOUS: &str = "convert";

/// An external program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Helper {
    /// Reads and rewrites clips.
    Ffmpeg,
    /// Reads formats that the engine cannot.
    Magick,
    /// Looks for metadata in cleaned files. Nothing that a client asks for runs it.
    Exiftool,
}

impl Helper {
    /// Those that a server uses.
    pub const ALL: [Self; 2] = [Self::Ffmpeg, Self::Magick];

    /// Its name in `media.helpers`, messages and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Magick => "magick",
            Self::Exiftool => "exiftool",
        }
    }

    /// Possible file names, best first. Debian 12 has ImageMagick 6, without `magick`.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::Ffmpeg => &["ffmpeg"],
            Self::Magick => &["magick", "convert-im6.q16", AMBIGUOUS],
            Self::Exiftool => &["exiftool"],
        }
    }

    /// What cannot be done without it.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Ffmpeg => "videos",
            Self::Magick => "PSD, JPEG 2000, camera raw and rare kinds of HEIF, TIFF and JPEG",
            Self::Exiftool => "verify-clean",
        }
    }
}

/// Absolute paths of the programs, found at start.
#[derive(Clone, Debug, Default)]
pub struct Helpers {
    found: Vec<(Helper, PathBuf)>,
    own: Option<PathBuf>,
}

impl Helpers {
    /// Calls `find` for the path of each file name, and ignores programs that `media.helpers` does
    /// not list. Blocks if a program has to be asked for its version.
    pub fn find(config: &MediaConfig, find: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let found = Helper::ALL.into_iter().filter_map(|helper| {
            let name = helper.name();
            if !config.helpers.0.iter().any(|used| used == name) {
                return None;
            }
            let files = helper.files().iter();
            let path = files.filter_map(|file| Some((*file, find(file)?)));
            let mut path = path.filter(|(file, path)| is_it(helper, file, path));
            path.next().map(|(_, path)| (helper, path))
        });
        Self {
            found: found.collect(),
            own: None,
        }
    }

    /// This program itself, which understands [`COMMAND`](crate::sandbox::COMMAND).
    #[must_use]
    pub fn with_own(self, program: Option<&str>) -> Self {
        Self {
            own: program.map(PathBuf::from),
            ..self
        }
    }

    /// The program that is started to decode files.
    pub fn own(&self) -> Option<&Path> {
        self.own.as_deref()
    }

    /// The path of a program, if it is installed and may be used.
    pub fn path(&self, helper: Helper) -> Option<&Path> {
        let found = self.found.iter().find(|(name, _)| *name == helper);
        found.map(|(_, path)| &**path)
    }

    /// As [`Helpers::path`].
    ///
    /// # Errors
    /// [`ErrorCode::ProgramMissing`], which names the program.
    pub fn need(&self, helper: Helper) -> Result<&Path> {
        self.path(helper).ok_or_else(|| missing(helper))
    }
}

/// Checks an ambiguous name: GraphicsMagick also has a `convert`, and others may.
fn is_it(helper: Helper, file: &str, path: &Path) -> bool {
    if file != AMBIGUOUS {
        return true;
    }
    let said = version(helper, path);
    if let Err(error) = &said {
        tracing::warn!(path = %path.display(), %error, "not ImageMagick, so it is not used");
    }
    said.is_ok()
}

pub(crate) fn missing(helper: Helper) -> Error {
    Error::user(
        ErrorCode::ProgramMissing,
        format!(
            "This server has no {}, which it needs for {}",
            helper.name(),
            helper.purpose()
        ),
    )
}

/// The first line of the program's version output. Blocks for at most ten seconds: the machine may
/// be booting.
///
/// # Errors
/// When it cannot be run, or is a different program with the same name.
pub fn version(helper: Helper, path: &Path) -> Result<String> {
    let folder = tempfile::tempdir().map_err(|e| Error::io("no temporary folder", e))?;
    let mut command = Command::new(path);
    command.arg(match helper {
        Helper::Exiftool => "-ver",
        Helper::Ffmpeg | Helper::Magick => "-version",
    });
    let limits = ResourceLimits {
        memory: 256 << 20,
        file_size: 1 << 20,
        time: Duration::from_secs(10),
    };
    let said = run::run(helper, command, folder.path(), limits, &Control::new())?;
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().next().unwrap_or_default().trim();
    let is_it = match helper {
        Helper::Ffmpeg => line.contains("ffmpeg version"),
        Helper::Magick => line.contains("ImageMagick"),
        // It says only the number.
        Helper::Exiftool => line.split('.').all(|part| part.parse::<u32>().is_ok()),
    };
    if is_it {
        Ok(line.to_owned())
    } else {
        Err(missing(helper))
    }
}

#[cfg(test)]
mod tests;
