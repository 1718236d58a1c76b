//! How the external validation is asked, and what its silence means.

use serde::{Deserialize, Serialize};

/// Shape of the question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidationForm {
    /// The bytes themselves, as pict-rs 0.5 sends them.
    #[default]
    Raw,
    /// One part of a form, as pict-rs 0.6 sends it.
    Multipart,
}

/// What becomes of a file about which the validator says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidationFailure {
    /// It is refused for now.
    #[default]
    Refuse,
    /// It is accepted, with a warning.
    Accept,
}
