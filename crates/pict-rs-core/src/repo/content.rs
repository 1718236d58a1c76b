//! The row of a content: its columns, its lock, and whether only proxied aliases name it.

use pict_rs_media::Preview;

use super::Representation;
use super::change::Change;
use super::sql::{Row, composed, sql};
use super::usage::Class;
use crate::{ContentKey, Result};

/// A content as it was uploaded (and cleaned).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// The stored file.
    pub representation: Representation,
    /// What clients show while it is loading.
    pub hints: LoadingHints,
}

/// What clients show of a picture while it is loading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadingHints {
    /// Its blurhash.
    pub blurhash: String,
    /// Its ThumbHash; `None` when it was not computed.
    pub thumbhash: Option<Vec<u8>>,
    /// Its dominant colour in sRGB; `None` when it was not computed, or nothing can be seen.
    pub colour: Option<[u8; 3]>,
}

impl LoadingHints {
    /// With nothing else.
    pub fn of_blurhash(blurhash: impl Into<String>) -> Self {
        Self {
            blurhash: blurhash.into(),
            ..Self::default()
        }
    }

    /// The dominant colour as in the database: red, green and blue, a byte each.
    pub(super) fn colour_number(&self) -> Option<i64> {
        let [r, g, b] = self.colour?;
        Some(u32::from_be_bytes([0, r, g, b]).into())
    }
}

impl From<Preview> for LoadingHints {
    fn from(preview: Preview) -> Self {
        Self {
            blurhash: preview.blurhash,
            thumbhash: Some(preview.thumbhash),
            colour: preview.colour,
        }
    }
}

impl Original {
    /// The key of the content.
    pub fn hash(&self) -> &ContentKey {
        &self.representation.key
    }
}

pub(super) const COLUMNS: &str = "h.hash, h.object, h.width, h.height, h.frames, h.duration_ms, h.blurhash, h.thumbhash, h.colour, h.created_at";

pub(super) fn from_row(row: &Row) -> Result<Original> {
    Ok(Original {
        representation: Representation::from_row(row, "hash")?,
        hints: LoadingHints {
            blurhash: row.text("blurhash")?,
            thumbhash: row.blob_or_null("thumbhash")?.map(<[u8]>::to_vec),
            colour: row.int_or_null("colour")?.map(|number| {
                let [.., r, g, b] = number.to_be_bytes();
                [r, g, b]
            }),
        },
    })
}

/// Locks the row of a content until the transaction ends, and reads it. `None` when it is gone.
///
/// Every transaction that adds something to a content or removes something from it calls this
/// first, so that of two concurrent transactions the second sees the changes of the first.
/// Otherwise two transactions could each remove one of the last two aliases and leave the content
/// to the other, or a variant could be added while its content is removed. Dropping variants needs
/// no lock: each is removed by the statement that finds it.
pub(super) async fn lock_in(tx: &mut Change, hash: &ContentKey) -> Result<Option<Original>> {
    let row = composed(format!(
        "SELECT {COLUMNS} FROM hashes h WHERE h.hash = $1 FOR UPDATE"
    ))
    .bind(hash.as_bytes())
    .optional(tx)
    .await?;
    row.map(|row| from_row(&row)).transpose()
}

/// Called after an alias or a proxied URL of a content was added or removed: updates whether only
/// proxied aliases name it, in which case removing them frees its bytes.
pub(super) async fn settle_in(tx: &mut Change, hash: &ContentKey) -> Result<()> {
    // The first alias that is not proxied decides.
    let is_shared = sql("SELECT 1 FROM aliases a WHERE a.hash = $1 \
         AND NOT EXISTS (SELECT 1 FROM proxies p WHERE p.alias = a.alias) LIMIT 1")
    .bind(hash.as_bytes())
    .any(&mut *tx)
    .await?;
    if is_shared {
        return share_in(tx, hash).await;
    }
    let noted = sql("INSERT INTO proxied (hash) VALUES ($1) ON CONFLICT (hash) DO NOTHING")
        .bind(hash.as_bytes())
        .run(&mut *tx)
        .await?;
    if noted == 1 {
        tx.add_file(Class::Proxied, hash.size());
    }
    Ok(())
}

/// Called when a content gets an alias that is not proxied, or is about to be removed.
pub(super) async fn share_in(tx: &mut Change, hash: &ContentKey) -> Result<()> {
    let noted = sql("DELETE FROM proxied WHERE hash = $1")
        .bind(hash.as_bytes())
        .run(&mut *tx)
        .await?;
    if noted == 1 {
        tx.take_file(Class::Proxied, hash.size());
    }
    Ok(())
}
