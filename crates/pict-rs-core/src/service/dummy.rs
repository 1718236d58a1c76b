//! `server.danger_dummy_mode`: accepts any bytes as a picture, for the tests of other projects,
//! which upload text and expect to read it back.

use pict_rs_media::{ColourModel, Facts, Format, Orientation};

/// The blurhash of every upload.
pub(crate) const BLURHASH: &str = "LGF5?xYk^6AAAAAAAAAAAAAAAAAA";

/// The ThumbHash of every upload: gray.
pub(crate) const THUMBHASH: [u8; 5] = [0xdf, 0xf7, 0x81, 0x07, 0x00];

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
