//! `server.danger_dummy_mode`: any bytes are a picture. For the tests of other projects, which
//! upload text and want it back.

use crate::Result;
use crate::store::{Store, StoredObject};
use crate::task::blocking;

use pict_rs_media::{ColourModel, Facts, Format, Orientation};

/// What every upload looks like.
pub(crate) const BLURHASH: &str = "LGF5?xYk^6AAAAAAAAAAAAAAAAAA";

/// Stores bytes as they are.
///
/// # Errors
/// [`crate::ErrorCode::FileIoError`].
pub(crate) async fn keep(
    store: &Store,
    read: impl FnOnce() -> Result<Vec<u8>> + Send + 'static,
) -> Result<(StoredObject, Facts)> {
    let store = store.clone();
    let stored = blocking(move || {
        let mut writer = store.create(Format::Png)?;
        writer.write(&read()?)?;
        writer.finish()
    })
    .await?;
    Ok((stored, facts()))
}

/// A picture of which nothing is known.
fn facts() -> Facts {
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
