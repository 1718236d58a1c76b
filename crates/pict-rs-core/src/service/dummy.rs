//! `server.danger_dummy_mode`: accepts any bytes as a picture, for the tests of other projects,
//! which upload text and expect to read it back.

use pict_rs_media::{ColourModel, Facts, Format, Orientation};

/// The blurhash of every upload.
pub(crate) const BLURHASH: &str = "LGF5?xYk^6AAAAAAAAAAAAAAAAAA";

/// The facts of every upload.
pub(crate) fn facts() -> Facts {
    Facts {
        format: Format::Png,
        stored_width: 0,
        stored_height: 0,
        orientation: Orientation::Normal,
        frames: 1,
        duration_ms: None,
        has_alpha: false,
        bits: 8,
        colour: ColourModel::Rgb,
        buffered: false,
        lossless: true,
        decoder_tables: 0,
    }
}
