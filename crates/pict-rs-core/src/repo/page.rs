//! Lists all contents in pages, newest first. Every page costs the same: its neighbours are found
//! by key in an index, never by counting.

use std::collections::HashMap;

use super::sql::{composed, sql};
use super::{Original, Repo, content};
use crate::{Alias, ContentKey, Result};

/// A page of contents, and where its neighbours begin.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Newest first, each with all its aliases, sorted.
    pub contents: Vec<(Original, Vec<Alias>)>,
    /// The first content of the page with newer ones, if there are any.
    pub prev: Option<ContentKey>,
    /// The first content of the page with older ones, if there are any.
    pub next: Option<ContentKey>,
}

/// Sorts after every content of the same time, because it is longer than their keys.
const LAST: [u8; ContentKey::BYTES + 1] = [0xff; ContentKey::BYTES + 1];

impl Repo {
    /// Up to `limit` contents, beginning with `first`, none newer than `time` (Unix time in
    /// milliseconds). A `first` that does not exist is ignored.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn page(
        &self,
        first: Option<&ContentKey>,
        time: Option<i64>,
        limit: u32,
    ) -> Result<Page> {
        // A read transaction, for a consistent view.
        let mut tx = self.read.begin_read().await?;
        let mut bound = time.map(|time| (time, LAST.to_vec()));
        if let Some(first) = first {
            let row = sql("SELECT created_at FROM hashes WHERE hash = $1")
                .bind(first.as_bytes())
                .optional(&mut tx)
                .await?;
            let created_at = row.map(|row| row.int("created_at")).transpose()?;
            let first = created_at.map(|time| (time, first.as_bytes().to_vec()));
            // The older of the two.
            bound = match (first, bound) {
                (Some(first), Some(bound)) => Some(first.min(bound)),
                (first, bound) => first.or(bound),
            };
        }
        let mut page = Page::default();
        if let Some((time, key)) = &bound {
            let newer = sql("SELECT hash FROM (SELECT created_at, hash FROM hashes \
                 WHERE (created_at, hash) > ($1, $2) ORDER BY created_at, hash LIMIT $3) AS newer \
                 ORDER BY created_at DESC, hash DESC LIMIT 1")
            .bind(*time)
            .bind(key.as_slice())
            .bind(i64::from(limit))
            .optional(&mut tx)
            .await?;
            page.prev = newer.map(|row| row.content_key("hash")).transpose()?;
        }
        let (time, key) = bound.unwrap_or((i64::MAX, LAST.to_vec()));
        let rows = composed(format!(
            "SELECT {} FROM hashes h WHERE (h.created_at, h.hash) <= ($1, $2) \
             ORDER BY h.created_at DESC, h.hash DESC LIMIT $3",
            content::COLUMNS
        ))
        .bind(time)
        .bind(key.as_slice())
        .bind(i64::from(limit) + 1)
        .all(&mut tx)
        .await?;
        let (rows, next) = rows.split_at(rows.len().min(limit as usize));
        page.next = next
            .first()
            .map(|row| row.content_key("hash"))
            .transpose()?;
        // In one query: asking for each content would take longer than finding them.
        let named = sql(
            "SELECT hash, alias FROM aliases WHERE hash IN (SELECT hash FROM hashes \
             WHERE (created_at, hash) <= ($1, $2) ORDER BY created_at DESC, hash DESC LIMIT $3) \
             ORDER BY alias",
        )
        .bind(time)
        .bind(key.as_slice())
        .bind(i64::from(limit))
        .all(&mut tx)
        .await?;
        let mut aliases: HashMap<ContentKey, Vec<Alias>> = HashMap::new();
        for row in &named {
            let alias = row.alias("alias")?;
            let hash = row.content_key("hash")?;
            aliases.entry(hash).or_default().push(alias);
        }
        for row in rows {
            let original = content::from_row(row)?;
            let aliases = aliases.remove(original.hash()).unwrap_or_default();
            page.contents.push((original, aliases));
        }
        Ok(page)
    }
}
