//! Lists all contents.

use pict_rs_media::Kind;

use crate::repo::{Original, Page};
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
}

impl MediaFilter {
    fn takes(&self, original: &Original, is_proxied: bool) -> bool {
        let stored = &original.representation;
        let (extension, size) = (stored.key.format().extension(), stored.key.size());
        self.kind.is_none_or(|kind| kind == stored.kind())
            && self.extension.is_none_or(|wanted| wanted == extension)
            && self.min_bytes.is_none_or(|bytes| size >= bytes)
            && self.max_bytes.is_none_or(|bytes| size <= bytes)
            && self
                .origin
                .is_none_or(|origin| is_proxied == (origin == MediaOrigin::Proxied))
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
    for _ in 0..LOOKED_AT / AT_A_TIME {
        // The first one of the next step is read, too.
        let found = ctx
            .repo
            .contents(first.as_ref(), time, AT_A_TIME + 1)
            .await?;
        let has_more = found.len() > AT_A_TIME as usize;
        for (at, (original, is_proxied)) in found.into_iter().enumerate() {
            page.next = Some(*original.hash());
            first = page.next;
            // A content that goes meanwhile must not make the next step begin at the newest.
            time = Some(original.representation.created_at);
            let is_wanted = filter.takes(&original, is_proxied);
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
