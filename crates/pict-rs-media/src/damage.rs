//! What could be had of a damaged file.

use serde::{Deserialize, Serialize};

use crate::{Error, Format};

/// A file that can be read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// The whole file. It may be of another format than the one it was made from.
    pub bytes: Vec<u8>,
    /// What could not be had; `None` when nothing that is shown is missing.
    pub missing: Option<Missing>,
}

/// What a file that was cut lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Of which format the file is.
    pub format: Format,
    /// How much of it is there.
    pub there: Extent,
}

/// How much of a picture or an animation is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// Whole rows, from the top unless the format begins at the bottom, and the height.
    Rows(u32, u32),
    /// Whole frames, and how many the file says it has, if it does.
    Frames(u32, Option<u32>),
    /// The whole picture, in less detail than was meant.
    Coarse,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.there {
            Extent::Rows(rows, height) => write!(f, "it ends after row {rows} of {height}"),
            Extent::Frames(frames, Some(all)) => {
                write!(f, "it ends after frame {frames} of {all}")
            }
            Extent::Frames(frames, None) => write!(f, "it ends after frame {frames}"),
            Extent::Coarse => f.write_str("it ends too early, and is coarse"),
        }
    }
}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        Self::corrupt(missing.format, missing)
    }
}
