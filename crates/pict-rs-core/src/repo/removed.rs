//! What transactions have removed: for caches and the store, for the audit log, and for others who
//! are told of it.

use super::change::Change;
use super::sql::{self, Row, sql};
use crate::{Alias, ContentKey, ObjectKey, Result};

/// Variants that caches are told of at most.
const SHOWN: i64 = 1000;

/// What a transaction has removed. After the commit it is passed on, so that caches and store
/// remove it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Removed aliases.
    pub aliases: Vec<Alias>,
    /// Contents that remain, but lost variants or point to another object.
    pub contents: Vec<ContentKey>,
    /// Objects that no row names any more.
    pub objects: Vec<ObjectKey>,
}

/// What was destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// How many variants.
    pub variants: u64,
    /// Bytes of original and variants.
    pub bytes: u64,
}

/// What caches in front may hold of aliases that were removed, besides what their names tell. Empty
/// where the server knows of no caches.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// The names of variants.
    pub(super) variants: Vec<String>,
    /// The URLs that they were fetched from.
    pub(super) urls: Vec<String>,
}

/// What part of a transaction has removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Removed {
    pub(super) removal: Removal,
    /// The content that the aliases named. `None` when they did not exist.
    pub(super) hash: Option<ContentKey>,
    pub(super) destroyed: Destroyed,
    pub(super) shown: Shown,
}

impl Removed {
    /// Adds the file of the content itself, if `rows` has its object.
    pub(super) fn take_original(&mut self, hash: &ContentKey, rows: &[Row]) -> Result<()> {
        self.removal.objects.extend(sql::objects(rows)?);
        self.destroyed.bytes += hash.size() * rows.len() as u64;
        Ok(())
    }
}

/// The names of variants that caches may hold.
pub(super) async fn variants_in(tx: &mut Change, hash: &ContentKey) -> Result<Vec<String>> {
    if !tx.listeners().wanted.caches {
        return Ok(Vec::new());
    }
    let rows = sql("SELECT variant FROM variants WHERE hash = $1 ORDER BY variant LIMIT $2")
        .bind(hash.as_bytes())
        .bind(SHOWN)
        .all(&mut *tx)
        .await?;
    texts(&rows, "variant")
}

pub(super) fn texts(rows: &[Row], column: &str) -> Result<Vec<String>> {
    rows.iter().map(|row| row.text(column)).collect()
}
