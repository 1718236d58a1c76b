//! Lists all contents.

use std::time::Duration;

use pict_rs_media::Kind;

use crate::clock::{millis, now};
use crate::repo::{FilteredContent, Page};
use crate::state::last_used::DAY;
use crate::{ContentKey, Context, Result, VariantKey};

/// Contents in a page by default.
pub const DEFAULT: u32 = 20;
/// Contents in a page at most, so that an answer stays small.
pub const MOST: u32 = 1000;
/// Contents that are looked at for a page of those that are wanted, at most.
const LOOKED_AT: u32 = 10_000;
/// Those that are read in one statement.
const AT_A_TIME: u32 = 1000;

/// How a content came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaOrigin {
    /// It was uploaded or imported.
    Uploaded,
    /// It was fetched for a client, and nothing else names it.
    Proxied,
}

/// For how long a content was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disuse {
    /// It was never used.
    Always,
    /// For this long at least.
    For(Duration),
}

impl Disuse {
    /// Whether it holds for `content`, where uses are recorded since `uses_since` (unix milliseconds).
    /// What was stored before that may have been used until then.
    fn takes(self, content: &FilteredContent, uses_since: i64, now: i64) -> bool {
        let stored_at = content.original.representation.created_at;
        match self {
            Self::Always => content.used_at.is_none() && stored_at >= uses_since,
            Self::For(time) => {
                // It may have been used once more before the next use was recorded.
                let used_at = content.used_at.map(|at| at.saturating_add(millis(DAY)));
                let used_at = used_at.unwrap_or(stored_at.max(uses_since));
                now.saturating_sub(used_at) >= millis(time)
            }
        }
    }
}

/// Which contents are wanted: those that fulfil all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaFilter {
    /// Stills, animations or clips.
    pub kind: Option<Kind>,
    /// The extension of the stored file; one stands for stills and animations of WebP and AVIF.
    pub extension: Option<&'static str>,
    /// Bytes, or more.
    pub min_bytes: Option<u64>,
    /// Bytes, or less.
    pub max_bytes: Option<u64>,
    /// How it came here.
    pub origin: Option<MediaOrigin>,
    /// For how long it was not used.
    pub disuse: Option<Disuse>,
}

impl MediaFilter {
    fn takes(&self, content: &FilteredContent, uses_since: i64, now: i64) -> bool {
        let stored = &content.original.representation;
        let (extension, size) = (stored.key.format().extension(), stored.key.size());
        self.kind.is_none_or(|kind| kind == stored.kind())
            && self.extension.is_none_or(|wanted| wanted == extension)
            && self.min_bytes.is_none_or(|bytes| size >= bytes)
            && self.max_bytes.is_none_or(|bytes| size <= bytes)
            && self
                .origin
                .is_none_or(|origin| content.is_proxied == (origin == MediaOrigin::Proxied))
            && self
                .disuse
                .is_none_or(|disuse| disuse.takes(content, uses_since, now))
    }
}

/// A page of contents, newest first; see [`crate::repo::Repo::page`]. Also returns the page size
/// that was used, at most [`MOST`].
///
/// # Errors
/// When the database fails.
pub async fn page(
    ctx: &Context,
    first: Option<&ContentKey>,
    time: Option<i64>,
    limit: Option<u32>,
) -> Result<(u32, Page)> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST);
    Ok((limit, ctx.repo.page(first, time, limit).await?))
}

/// As [`page`], of those that `filter` takes. At most 10,000 contents are looked at, so that a page
/// costs no more on a large server: it may have fewer than `limit`, or none, and the next one goes on
/// behind them. It does not tell the page before it.
///
/// # Errors
/// When the database fails.
pub async fn filtered(
    ctx: &Context,
    filter: &MediaFilter,
    first: Option<&ContentKey>,
    time: Option<i64>,
    limit: Option<u32>,
) -> Result<(u32, Page)> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST);
    let mut page = Page::default();
    let (mut first, mut time) = (first.copied(), time);
    let uses_since = match filter.disuse {
        Some(_) => ctx.repo.uses_since().await?,
        None => 0,
    };
    let now = now();
    for _ in 0..LOOKED_AT / AT_A_TIME {
        // The first one of the next step is read, too.
        let found = ctx
            .repo
            .contents(first.as_ref(), time, AT_A_TIME + 1)
            .await?;
        let has_more = found.len() > AT_A_TIME as usize;
        for (at, mut content) in found.into_iter().enumerate() {
            if filter.disuse.is_some() {
                // What this server has served within the last seconds, or since the disk is full.
                let noted = ctx.last_used.contents.noted_at(content.original.hash());
                content.used_at = noted.or(content.used_at);
            }
            let is_wanted = filter.takes(&content, uses_since, now);
            let original = content.original;
            page.next = Some(*original.hash());
            first = page.next;
            // A content that goes meanwhile must not make the next step begin at the newest.
            time = Some(original.representation.created_at);
            if at == AT_A_TIME as usize {
                break;
            }
            if is_wanted && page.contents.len() == limit as usize {
                return Ok((limit, with_aliases(ctx, page).await?));
            }
            if is_wanted {
                page.contents.push((original, Vec::new()));
            }
        }
        if !has_more {
            page.next = None;
            break;
        }
    }
    Ok((limit, with_aliases(ctx, page).await?))
}

/// Reads what is needed to serve two variants of the first alias of each content into the cache, so that
/// requests for them take no statement of their own.
///
/// # Errors
/// When the database fails.
pub async fn preload(ctx: &Context, page: &Page, variants: [&VariantKey; 2]) -> Result<()> {
    let aliases = page.contents.iter();
    let aliases: Vec<_> = aliases
        .filter_map(|(_, names)| names.first().cloned())
        .collect();
    let generation = ctx.fact_cache.generation();
    let found = ctx.repo.originals_with_variants(&aliases, variants).await?;
    for (alias, shown) in found {
        let variants = shown.variants.into_iter().filter_map(|(name, variant)| {
            let key = variants.into_iter().find(|key| key.as_str() == name)?;
            Some((key, variant))
        });
        ctx.fact_cache
            .preload(generation, &alias, shown.original, variants);
    }
    Ok(())
}

async fn with_aliases(ctx: &Context, mut page: Page) -> Result<Page> {
    let hashes: Vec<_> = page.contents.iter().map(|(one, _)| *one.hash()).collect();
    let mut aliases = ctx.repo.aliases_of_all(&hashes).await?;
    for (original, names) in &mut page.contents {
        *names = aliases.remove(original.hash()).unwrap_or_default();
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use pict_rs_media::Format;

    use super::*;
    use crate::ObjectKey;
    use crate::repo::{LoadingHints, Original, Representation};

    const A_DAY: i64 = 24 * 60 * 60 * 1000;

    fn content(stored_at: i64, used_at: Option<i64>) -> FilteredContent {
        let key = ContentKey::new([1; 32], 1, Format::Png);
        let representation = Representation {
            object: ObjectKey::generate(Format::Png),
            key,
            width: 1,
            height: 1,
            frames: 1,
            duration_ms: None,
            created_at: stored_at,
        };
        let original = Original {
            representation,
            hints: LoadingHints::default(),
        };
        FilteredContent {
            original,
            is_proxied: false,
            used_at,
        }
    }

    #[test]
    fn nothing_is_unused_before_uses_were_recorded() {
        let check = |stored, used: Option<i64>, since, never, for_ten_days| {
            let content = content(stored * A_DAY, used.map(|day| day * A_DAY));
            let takes = |disuse: Disuse| disuse.takes(&content, since * A_DAY, 100 * A_DAY);
            let found = [
                Disuse::Always,
                Disuse::For(Duration::from_secs(10 * 24 * 60 * 60)),
            ]
            .map(takes);
            assert_eq!(found, [never, for_ten_days], "{stored} {used:?} {since}");
        };
        check(50, None, 0, true, true);
        check(95, None, 0, true, false);
        check(50, Some(60), 0, false, true);
        check(50, Some(95), 0, false, false);
        check(50, Some(90), 0, false, false);
        check(50, Some(89), 0, false, true);
        // Stored before uses were recorded.
        check(50, None, 70, false, true);
        check(50, None, 95, false, false);
        check(50, Some(80), 70, false, true);
    }
}
