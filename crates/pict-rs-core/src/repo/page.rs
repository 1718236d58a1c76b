//! Lists all contents in pages, newest first. Every page costs the same: its neighbours are found
//! by key in an index, never by counting.

use std::collections::HashMap;

use super::content::COLUMNS;
use super::garbage::{ASKED, PARAMETERS};
use super::sql::{broken, composed, sql};
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

/// A content with its names.
#[derive(Clone, Debug)]
pub struct ContentWithAliases {
    /// The content.
    pub original: Original,
    /// All its aliases, sorted.
    pub aliases: Vec<Alias>,
    /// Whether only administrators see it.
    pub is_quarantined: bool,
}

/// A content in a list that is filtered.
#[derive(Clone, Debug)]
pub struct FilteredContent {
    /// The content.
    pub original: Original,
    /// Whether only proxied aliases name it.
    pub is_proxied: bool,
    /// When it was last used, in unix milliseconds, as far as uses are recorded.
    pub used_at: Option<i64>,
}

/// Sorts after every content of the same time, because it is longer than their keys.
const LAST: [u8; ContentKey::BYTES + 1] = [0xff; ContentKey::BYTES + 1];

impl Repo {
    /// A content, whether or not it is in quarantine; `None` when it is gone.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn content_with_aliases(
        &self,
        hash: &ContentKey,
    ) -> Result<Option<ContentWithAliases>> {
        let row = composed(format!(
            "SELECT {COLUMNS}, q.hash AS quarantined FROM hashes h \
             LEFT JOIN quarantine q ON q.hash = h.hash WHERE h.hash = $1"
        ))
        .bind(hash.as_bytes())
        .optional(&self.read)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(ContentWithAliases {
            original: content::from_row(&row)?,
            aliases: self.aliases(hash).await?,
            is_quarantined: row.blob_or_null("quarantined")?.is_some(),
        }))
    }

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
        let mut page = Page::default();
        let bound = match (first, time) {
            (Some(first), None) => {
                let start = self.start(first, limit).await?;
                start.map(|(time, prev)| {
                    page.prev = prev;
                    (time, first.as_bytes().to_vec())
                })
            }
            _ => {
                let bound = self.bound(first, time).await?;
                if let Some((time, key)) = &bound {
                    page.prev = self.before(*time, key, limit).await?;
                }
                bound
            }
        };
        let (time, key) = bound.unwrap_or_else(newest);
        // In one statement, so that no content is without the aliases that it had.
        let rows = composed(format!(
            "SELECT h.*, a.alias FROM (SELECT {COLUMNS} FROM hashes h \
             WHERE (h.created_at, h.hash) <= ($1, $2) ORDER BY h.created_at DESC, h.hash DESC LIMIT $3) AS h \
             LEFT JOIN aliases a ON a.hash = h.hash ORDER BY h.created_at DESC, h.hash DESC, a.alias"
        ))
        .bind(time)
        .bind(key.as_slice())
        .bind(i64::from(limit) + 1)
        .all(&self.read)
        .await?;
        for row in &rows {
            let hash = row.content_key("hash")?;
            let is_of_last = (page.contents.last()).is_some_and(|(last, _)| *last.hash() == hash);
            if !is_of_last {
                if page.contents.len() == limit as usize {
                    page.next = Some(hash);
                    break;
                }
                page.contents.push((content::from_row(row)?, Vec::new()));
            }
            if let Some((_, aliases)) = page.contents.last_mut()
                && row.text_or_null("alias")?.is_some()
            {
                aliases.push(row.alias("alias")?);
            }
        }
        Ok(page)
    }

    /// Up to `limit` contents, as [`Repo::page`], with what they are filtered by instead of their
    /// aliases.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn contents(
        &self,
        first: Option<&ContentKey>,
        time: Option<i64>,
        limit: u32,
    ) -> Result<Vec<FilteredContent>> {
        let (time, key) = self.bound(first, time).await?.unwrap_or_else(newest);
        let rows = composed(format!(
            "SELECT {COLUMNS}, h.used_at, p.hash AS proxied FROM hashes h LEFT JOIN proxied p ON p.hash = h.hash \
             WHERE (h.created_at, h.hash) <= ($1, $2) ORDER BY h.created_at DESC, h.hash DESC LIMIT $3"
        ))
        .bind(time)
        .bind(key.as_slice())
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(FilteredContent {
                    original: content::from_row(row)?,
                    is_proxied: row.blob_or_null("proxied")?.is_some(),
                    used_at: row.int_or_null("used_at")?,
                })
            })
            .collect()
    }

    /// All aliases of these contents, those of each sorted.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn aliases_of_all(
        &self,
        hashes: &[ContentKey],
    ) -> Result<HashMap<ContentKey, Vec<Alias>>> {
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for asked in hashes.chunks(ASKED) {
            // A shorter list is padded with its last one, so that one statement is prepared for all.
            let filled = asked.iter().chain(asked.last().into_iter().cycle());
            let statement = composed(format!(
                "SELECT hash, alias FROM aliases WHERE hash IN ({PARAMETERS}) ORDER BY alias"
            ));
            let rows = filled
                .take(ASKED)
                .fold(statement, |statement, hash| statement.bind(hash.as_bytes()))
                .all(&self.read)
                .await?;
            for row in &rows {
                let names = found.entry(row.content_key("hash")?).or_default();
                names.push(row.alias("alias")?);
            }
        }
        Ok(found)
    }

    /// The time of a content, and where the page before it begins, in one statement; `None` when it
    /// does not exist.
    async fn start(
        &self,
        first: &ContentKey,
        limit: u32,
    ) -> Result<Option<(i64, Option<ContentKey>)>> {
        let row = sql(
            "SELECT f.created_at, (SELECT n.hash FROM (SELECT created_at, hash FROM hashes \
             WHERE (created_at, hash) > (f.created_at, f.hash) ORDER BY created_at, hash LIMIT $2) AS n \
             ORDER BY n.created_at DESC, n.hash DESC LIMIT 1) AS prev \
             FROM hashes f WHERE f.hash = $1",
        )
        .bind(first.as_bytes())
        .bind(i64::from(limit))
        .optional(&self.read)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let prev = row.blob_or_null("prev")?;
        let prev = prev.map(|key| ContentKey::from_bytes(key).ok_or_else(|| broken("prev")));
        let prev = prev.transpose()?;
        Ok(Some((row.int("created_at")?, prev)))
    }

    /// Where the page before this place begins, if there is one.
    async fn before(&self, time: i64, key: &[u8], limit: u32) -> Result<Option<ContentKey>> {
        let newer = sql("SELECT hash FROM (SELECT created_at, hash FROM hashes \
             WHERE (created_at, hash) > ($1, $2) ORDER BY created_at, hash LIMIT $3) AS newer \
             ORDER BY created_at DESC, hash DESC LIMIT 1")
        .bind(time)
        .bind(key)
        .bind(i64::from(limit))
        .optional(&self.read)
        .await?;
        newer.map(|row| row.content_key("hash")).transpose()
    }

    /// Where a page begins: at the older of a content, which may be gone, and a time.
    async fn bound(
        &self,
        first: Option<&ContentKey>,
        time: Option<i64>,
    ) -> Result<Option<(i64, Vec<u8>)>> {
        let bound = time.map(|time| (time, LAST.to_vec()));
        let Some(first) = first else { return Ok(bound) };
        let row = sql("SELECT created_at FROM hashes WHERE hash = $1")
            .bind(first.as_bytes())
            .optional(&self.read)
            .await?;
        let created_at = row.map(|row| row.int("created_at")).transpose()?;
        let first = created_at.map(|time| (time, first.as_bytes().to_vec()));
        Ok(match (first, bound) {
            (Some(first), Some(bound)) => Some(first.min(bound)),
            (first, bound) => first.or(bound),
        })
    }
}

fn newest() -> (i64, Vec<u8>) {
    (i64::MAX, LAST.to_vec())
}
