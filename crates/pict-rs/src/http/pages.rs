//! Paged lists, with an API key.

use std::collections::BTreeSet;
use std::fmt::Display;

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::config::Span;
use pict_rs_core::service::hashes::{self, Disuse, MediaFilter, MediaOrigin};
use pict_rs_core::service::moderate;
use pict_rs_core::{ContentKey, Context, Digest, Error, ErrorCode, query};
use pict_rs_media::{Format, Kind};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::Result;
use super::view;

/// What a filter by size can be.
const NUMBER: &str = "a number of 0 or more";

/// `GET /internal/hashes?slug=&timestamp=&limit=`, with `kind=`, `format=`, `min_bytes=`,
/// `max_bytes=`, `origin=` and `last_used=` of those that fulfil them
pub async fn hashes(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    // An invalid slug is ignored, as in the existing pict-rs.
    let first = query
        .find("slug")
        .and_then(|slug| ContentKey::from_slug(&slug));
    let time = query.time("timestamp")?;
    let limit = query.number("limit")?;
    let (limit, page) = match filter(&query)? {
        None => hashes::page(&ctx, first.as_ref(), time, limit).await?,
        Some(filter) => hashes::filtered(&ctx, &filter, first.as_ref(), time, limit).await?,
    };
    let mut answer = json!({ "limit": limit, "hashes": [] });
    for (original, aliases) in &page.contents {
        let aliases: Vec<_> = aliases.iter().map(pict_rs_core::Alias::as_str).collect();
        let details = view::Details::new(original, &original.representation);
        let content = json!({
            "hex": original.hash().to_hex(),
            "aliases": aliases,
            "details": details,
        });
        if let Some(list) = answer["hashes"].as_array_mut() {
            list.push(content);
        }
    }
    let current = page.contents.first().map(|(original, _)| *original.hash());
    for (name, key) in [
        ("current", current),
        ("prev", page.prev),
        ("next", page.next),
    ] {
        if let Some(key) = key {
            answer[name] = key.to_slug().into();
        }
    }
    Ok(HttpResponse::Ok().json(json!({ "msg": "ok", "page": answer })))
}

/// Which contents are wanted; `None` for all of them.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`].
pub fn filter(query: &Query<'_>) -> Result<Option<MediaFilter>> {
    let kind = query.word("kind", "image, animation or video", |word| match word {
        "image" => Some(Kind::Image),
        "animation" => Some(Kind::Animation),
        "video" => Some(Kind::Video),
        _ => None,
    })?;
    let extensions: BTreeSet<_> = Format::all()
        .filter(|format| format.is_kept())
        .map(Format::extension)
        .collect();
    let possible = extensions.iter().copied().collect::<Vec<_>>().join(", ");
    let extension = query.word("format", possible, |word| {
        let wanted = if word == "jpg" { "jpeg" } else { word };
        extensions.get(wanted).copied()
    })?;
    let origin = query.word("origin", "uploaded or proxied", |word| match word {
        "uploaded" => Some(MediaOrigin::Uploaded),
        "proxied" => Some(MediaOrigin::Proxied),
        _ => None,
    })?;
    let filter = MediaFilter {
        kind,
        extension,
        min_bytes: query.word("min_bytes", NUMBER, |word| word.parse().ok())?,
        max_bytes: query.word("max_bytes", NUMBER, |word| word.parse().ok())?,
        origin,
        disuse: query.word(
            "last_used",
            "never, or a time such as 30d",
            |word| match word {
                "never" => Some(Disuse::Always),
                _ => Span::parse(word).map(|span| Disuse::For(span.duration())),
            },
        )?,
    };
    Ok((filter != MediaFilter::default()).then_some(filter))
}

/// `GET /internal/blocklist?before=&limit=`
pub async fn blocklist(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let after = after(&query, "before")?;
    let (entries, next) = moderate::blocklist(&ctx, after, query.number("limit")?).await?;
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            json!({
                "hash": entry.digest.to_hex(),
                "reason": entry.reason,
                "created_at": view::rfc3339(entry.created_at),
            })
        })
        .collect();
    let next = next.map(cursor);
    Ok(HttpResponse::Ok().json(json!({ "msg": "ok", "blocklist": entries, "next": next })))
}

/// The place in the blocklist that a page begins after.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] for what no page had as its end.
pub fn after(query: &Query<'_>, name: &str) -> Result<Option<(i64, Digest)>> {
    let Some(text) = query.find(name) else {
        return Ok(None);
    };
    match place(&text) {
        Some(place) => Ok(Some(place)),
        None => Err(bad(format!("{name}={text} is not what a page has as \"next\"")).into()),
    }
}

/// A place in the blocklist as text.
pub fn cursor((time, digest): (i64, Digest)) -> String {
    format!("{time}.{}", digest.to_hex())
}

/// The cursor of an entry in the list, `<unix milliseconds>.<digest>`.
fn place(text: &str) -> Option<(i64, Digest)> {
    let (time, digest) = text.split_once('.')?;
    Some((time.parse().ok()?, Digest::parse(digest).ok()?))
}

/// A query string.
pub struct Query<'a>(pub &'a str);

impl Query<'_> {
    /// An empty value counts as missing.
    pub fn find(&self, name: &str) -> Option<String> {
        query::pairs(self.0)
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    }

    /// A number of 0 or more; `None` when it is missing.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`] for anything else.
    pub fn number(&self, name: &str) -> Result<Option<u32>> {
        let Some(text) = self.find(name) else {
            return Ok(None);
        };
        // A number that does not fit exceeds our maximum anyway.
        let number: u64 = text
            .parse()
            .map_err(|_| bad(format!("{name}={text} is no number of 0 or more")))?;
        Ok(Some(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    /// What `read` makes of a value; `None` when it is missing. `possible` names the values.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`] for what `read` does not know.
    pub fn word<T>(
        &self,
        name: &str,
        possible: impl Display,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.find(name) else {
            return Ok(None);
        };
        match read(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(bad(format!("{name}={text} is not valid; expected {possible}")).into()),
        }
    }

    /// A time or the beginning of a day such as `2026-12-01`, in UTC, as unix time in milliseconds.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`] for anything else.
    pub fn since(&self, name: &str) -> Result<Option<i64>> {
        self.day_or_time(name, "T00:00:00Z")
    }

    /// A time or the end of a day, as [`Self::since`].
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`] for anything else.
    pub fn until(&self, name: &str) -> Result<Option<i64>> {
        self.day_or_time(name, "T23:59:59.999Z")
    }

    /// `of_day` is what a day without a time means.
    fn day_or_time(&self, name: &str, of_day: &str) -> Result<Option<i64>> {
        let Some(text) = self.find(name) else {
            return Ok(None);
        };
        match unix_ms(&format!("{text}{of_day}")).or_else(|| unix_ms(&text)) {
            Some(time) => Ok(Some(time)),
            None => Err(bad(format!(
                "{name}={text} is neither a day such as 2026-11-22 nor a time such as 2026-11-22T11:07:22Z"
            ))
            .into()),
        }
    }

    /// Unix time in milliseconds.
    fn time(&self, name: &str) -> Result<Option<i64>> {
        let Some(text) = self.find(name) else {
            return Ok(None);
        };
        match unix_ms(&text) {
            Some(time) => Ok(Some(time)),
            None => Err(bad(format!(
                "{name}={text} is no time such as 2026-11-22T11:07:22Z"
            ))
            .into()),
        }
    }
}

/// A time as RFC 3339 writes it, as unix time in milliseconds.
fn unix_ms(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// A query that cannot be understood.
pub fn bad(message: String) -> Error {
    Error::user(ErrorCode::InvalidQuery, message)
}
