//! External programs for what the engine cannot do: ffmpeg for the frames of clips, ImageMagick for
//! a few formats of cameras and studios; exiftool to verify cleaning. A missing program is not an internal error: requests that
//! need it get [`ErrorCode::ProgramMissing`].
//!
//! The binary finds each program once, at start, by PATH. It is run by its absolute path, never
//! through a shell; see [`run`] for its limits. Where files are decoded in sandboxes, a program is
//! confined too: this program is started in its place, gives up what that has no use for, and becomes
//! it ([`confined`]).

pub mod confined;
pub mod exiftool;
pub(crate) mod ffmpeg;
pub(crate) mod magick;
mod run;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pict_rs_media::Control;

use crate::config::{Isolation, MediaConfig};
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

/// Absolute paths of the programs, found at start, and how they are run.
#[derive(Clone, Debug, Default)]
pub struct Helpers {
    found: Vec<Installed>,
    own: Option<PathBuf>,
    isolation: Isolation,
}

#[derive(Clone, Debug)]
struct Installed {
    helper: Helper,
    path: PathBuf,
    /// Whether it runs when it is confined. Tried before it is used for the first time.
    bears_it: Arc<OnceLock<bool>>,
}

/// A program to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program<'a> {
    helper: Helper,
    path: &'a Path,
    /// The file of this program, if the other one is to be confined.
    own: Option<&'a Path>,
}

impl Program<'_> {
    /// The command that runs it, still without its arguments.
    pub(crate) fn command(&self) -> Command {
        let Some(own) = self.own else {
            return Command::new(self.path);
        };
        let mut command = Command::new(own);
        command.arg(confined::COMMAND).arg(self.path);
        command
    }
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
            let (_, path) = path.next()?;
            Some(Installed {
                helper,
                path,
                bears_it: Arc::default(),
            })
        });
        Self {
            found: found.collect(),
            own: None,
            isolation: Isolation::Thread,
        }
    }

    /// As [`Helpers::with_own`] says what could be done, this says what is wanted: with
    /// [`Isolation::Thread`] programs are not confined; with [`Isolation::Auto`] one that does not run
    /// then is not either.
    #[must_use]
    pub fn isolated(self, isolation: Isolation) -> Self {
        Self { isolation, ..self }
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
        self.get(helper).map(|found| &*found.path)
    }

    fn get(&self, helper: Helper) -> Option<&Installed> {
        self.found.iter().find(|found| found.helper == helper)
    }

    /// As [`Helpers::path`].
    ///
    /// # Errors
    /// [`ErrorCode::ProgramMissing`], which names the program.
    pub fn need(&self, helper: Helper) -> Result<&Path> {
        self.path(helper).ok_or_else(|| missing(helper))
    }

    /// The program, confined if that is wanted and it runs then. Blocks the first time.
    ///
    /// # Errors
    /// As [`Helpers::need`].
    pub(crate) fn program(&self, helper: Helper) -> Result<Program<'_>> {
        let found = self.get(helper).ok_or_else(|| missing(helper))?;
        Ok(Program {
            helper,
            path: &found.path,
            own: self.confines(found),
        })
    }

    /// Whether a program that was found is confined. Blocks the first time.
    pub fn is_confined(&self, helper: Helper) -> bool {
        self.get(helper)
            .is_some_and(|found| self.confines(found).is_some())
    }

    fn confines(&self, found: &Installed) -> Option<&Path> {
        let own = self.own.as_deref()?;
        let is_confined = match self.isolation {
            Isolation::Thread => false,
            Isolation::Process => true,
            Isolation::Auto => *found.bears_it.get_or_init(|| bears_it(found, own)),
        };
        is_confined.then_some(own)
    }
}

/// Whether a program runs when it is confined. If it never runs, that says nothing about it.
fn bears_it(found: &Installed, own: &Path) -> bool {
    let as_it_is = Program {
        helper: found.helper,
        path: &found.path,
        own: None,
    };
    let confined = Program {
        own: Some(own),
        ..as_it_is
    };
    // Twice, because the machine may just be busy.
    let Err(error) = said_version(confined) else {
        return true;
    };
    if said_version(as_it_is).is_err() || said_version(confined).is_ok() {
        return true;
    }
    tracing::warn!(
        program = found.helper.name(),
        path = %found.path.display(),
        %error,
        "this program does not run without access to other files, so it is run within limits alone"
    );
    false
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
    let program = Program {
        helper,
        path,
        own: None,
    };
    said_version(program)
}

fn said_version(program: Program<'_>) -> Result<String> {
    let helper = program.helper;
    let folder = tempfile::tempdir().map_err(|e| Error::io("no temporary folder", e))?;
    let mut command = program.command();
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
