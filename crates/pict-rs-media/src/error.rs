//! What can go wrong between bytes and pixels. Never holds a path, never prints.

use serde::{Deserialize, Serialize};

use crate::{Format, limits::Violation};

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the engine refused or failed. Callers act on the variant, people read the message.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The input has no bytes at all.
    #[error("the file is empty")]
    Empty,
    /// The first bytes belong to no format this crate has heard of.
    #[error("the file is not a picture, animation or clip that can be recognised")]
    Unrecognised,
    /// The format is known, but this build cannot do what was asked with it.
    #[error("{0}")]
    Unsupported(String),
    /// The bytes break the rules of their own format, or end too early.
    #[error("the {format} file is damaged: {reason}")]
    Corrupt {
        /// What the file claims to be.
        format: Format,
        /// What was found, for people.
        reason: String,
    },
    /// A limit was exceeded; carries its name, its value and what was found.
    #[error(transparent)]
    Limit(#[from] Violation),
    /// The caller asked for the work to stop (see [`crate::Control`]).
    #[error("the work was cancelled")]
    Cancelled,
    /// Our own fault: an encoder refused pixels that we prepared.
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
