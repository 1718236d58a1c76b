//! Converts errors of the crate `heic` to ours.

use heic::{HeicError, HevcError};

use crate::{Error, Format};

pub(super) fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Heif, reason)
}

pub(super) fn failed(error: &HeicError) -> Error {
    match error {
        HeicError::Cancelled(_) => Error::Cancelled,
        HeicError::Unsupported(_) | HeicError::UnsupportedCodec(_) => unsupported(error),
        HeicError::HevcDecode(error) => hevc_failed(error),
        error => corrupt(error),
    }
}

pub(super) fn hevc_failed(error: &HevcError) -> Error {
    match error {
        HevcError::Unsupported(_) | HevcError::UnsupportedProfile { .. } => unsupported(error),
        error => corrupt(error),
    }
}

fn unsupported(reason: impl std::fmt::Display) -> Error {
    Error::Unsupported(format!("this HEIF file cannot be read: {reason}"))
}
