//! Errors of the engine. They never contain a path.

use serde::{Deserialize, Serialize};

use crate::{Format, limits::Violation};

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the engine refused or failed. Callers use the variant, people read the message.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The input is empty.
    #[error("the file is empty")]
    Empty,
    /// The first bytes belong to no known format.
    #[error("the file is not a picture, animation or clip that can be recognised")]
    Unrecognised,
    /// The format is known, but this build does not support what was requested.
    #[error("{0}")]
    Unsupported(String),
    /// The file violates its format, or ends too early.
    #[error("the {format} file is damaged: {reason}")]
    Corrupt {
        /// The claimed format.
        format: Format,
        /// What is wrong, for people.
        reason: String,
    },
    /// A limit was exceeded; contains its name, its value and what was found.
    #[error(transparent)]
    Limit(#[from] Violation),
    /// The caller cancelled the work (see [`crate::Control`]).
    #[error("the work was cancelled")]
    Cancelled,
    /// An internal error, for example an encoder that refuses pixels we prepared.
    #[error("the media engine failed: {0}")]
    Internal(String),
}

impl Error {
    /// Shorthand for [`Error::Corrupt`] from anything printable.
    pub(crate) fn corrupt(format: Format, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            format,
            reason: reason.to_string(),
        }
    }
}
