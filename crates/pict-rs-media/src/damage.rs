//! The result of repairing a damaged file.

use serde::{Deserialize, Serialize};

use crate::{Error, Format};

/// A repaired file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// The whole file. Its format may differ from that of the source.
    pub bytes: Vec<u8>,
    /// What could not be recovered; `None` if nothing visible is missing.
    pub missing: Option<Missing>,
}

/// The loss in a truncated file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The format of the file.
    pub format: Format,
    /// How much of it is left.
    pub there: Extent,
}

/// How much of a picture or an animation is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// Complete rows, from the top unless the format is stored bottom-up, and the height.
    Rows(u32, u32),
    /// Complete frames, and their declared number, if there is one.
    Frames(u32, Option<u32>),
    /// The whole picture, in less detail than intended.
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
