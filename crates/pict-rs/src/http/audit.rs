//! The log of removals, as JSON and as CSV.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use pict_rs_core::config::KeyName;
use pict_rs_core::repo::Destroyed;
use pict_rs_core::repo::audit::{Action, Actor, AuditFilter, Entry};
use pict_rs_core::service::moderate;
use pict_rs_core::{Context, Error, ErrorCode};
use serde_json::{Value, json};

use super::error::Result;
use super::pages::{Query, bad};
use super::view;

/// The columns of the CSV.
const COLUMNS: [&str; 12] = [
    "number",
    "time",
    "action",
    "actor",
    "key",
    "aliases",
    "hash",
    "amount",
    "reason",
    "request_id",
    "variants",
    "bytes",
];

/// `GET /internal/audit?before=&limit=`, with `action=`, `actor=`, `key=`, `since=` and `until=` of
/// those that fulfil them, or `?format=csv` for all of them
pub async fn list(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let is_csv = query.word("format", "csv or json", |word| match word {
        "csv" => Some(true),
        "json" => Some(false),
        _ => None,
    })?;
    let (filter, before) = (filter(&query)?, before(&query)?);
    let limit = query.number("limit")?;
    if is_csv == Some(true) {
        return Ok(csv(ctx.into_inner(), filter, before));
    }
    let (entries, next) = moderate::audit(&ctx, &filter, before, limit).await?;
    let entries: Vec<_> = entries.iter().map(entry_json).collect();
    Ok(HttpResponse::Ok().json(json!({ "msg": "ok", "audit": entries, "next": next })))
}

/// Which entries are wanted.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`].
pub fn filter(query: &Query<'_>) -> Result<AuditFilter> {
    let action = |word: &str| {
        let mut all = Action::ALL.into_iter();
        all.find(|action| action.as_str() == word)
    };
    let actor = |word: &str| {
        let mut all = Actor::ALL.into_iter();
        all.find(|actor| actor.as_str() == word)
    };
    let key = |word: &str| KeyName::is_valid(word).then(|| word.to_owned());
    Ok(AuditFilter {
        action: query.word("action", Action::ALL.map(Action::as_str).join(", "), action)?,
        actor: query.word("actor", Actor::ALL.map(Actor::as_str).join(", "), actor)?,
        key: query.word("key", "the name of a key", key)?,
        since: query.since("since")?,
        until: query.until("until")?,
    })
}

/// The entry that a page begins after.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] when it is not a number.
pub fn before(query: &Query<'_>) -> Result<Option<i64>> {
    let Some(text) = query.find("before") else {
        return Ok(None);
    };
    let number = text.parse();
    let number = number.map_err(|_| bad(format!("before={text} is not the number of an entry")))?;
    Ok(Some(number))
}

fn entry_json(entry: &Entry) -> Value {
    json!({
        "number": entry.number,
        "time": view::rfc3339(entry.created_at),
        "action": entry.action,
        "actor": entry.actor,
        "key": entry.key,
        "aliases": entry.aliases,
        "hash": entry.hash,
        "amount": entry.amount,
        "reason": entry.reason,
        "request_id": entry.request_id,
        "receipt": receipt(entry),
    })
}

/// What an entry tells of files that were destroyed; null for what destroys none.
fn receipt(entry: &Entry) -> Value {
    let Some(Destroyed { variants, bytes }) = entry.destroyed else {
        return Value::Null;
    };
    // A key of a content begins with its digest.
    let sha256 = entry.hash.as_deref().and_then(|hash| hash.get(..64));
    json!({ "sha256": sha256, "variants": variants, "bytes": bytes, "caches": entry.caches })
}

/// Where the next part of a CSV begins.
enum Part {
    Head,
    Before(Option<i64>),
    End,
}

/// Everything that `filter` wants, sent page by page, so that a long log takes no more memory than a
/// short one.
pub fn csv(ctx: Arc<Context>, filter: AuditFilter, before: Option<i64>) -> HttpResponse {
    let parts = stream::try_unfold(Part::Head, move |part| {
        let (ctx, filter) = (ctx.clone(), filter.clone());
        async move {
            let before = match part {
                Part::Head => {
                    let head = rows([COLUMNS.map(str::to_owned)])?;
                    return Ok(Some((head, Part::Before(before))));
                }
                Part::Before(before) => before,
                Part::End => return Ok(None),
            };
            let limit = Some(moderate::MOST);
            let (entries, next) = moderate::audit(&ctx, &filter, before, limit).await?;
            let next = next.map_or(Part::End, |next| Part::Before(Some(next)));
            let text = rows(entries.iter().map(cells))?;
            Ok::<_, Error>(Some((text, next)))
        }
    });
    let mut answer = HttpResponse::Ok();
    answer.content_type("text/csv; charset=utf-8");
    for (name, value) in [
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"pict-rs-audit.csv\"",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        answer.insert_header((name, HeaderValue::from_static(value)));
    }
    answer.streaming(Box::pin(parts))
}

/// The cells of an entry, in the order of [`COLUMNS`].
fn cells(entry: &Entry) -> [String; 12] {
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let text = |text: &Option<String>| harmless(text.as_deref().unwrap_or_default());
    [
        entry.number.to_string(),
        view::rfc3339(entry.created_at),
        entry.action.clone(),
        entry.actor.clone(),
        text(&entry.key),
        harmless(&entry.aliases.join(" ")),
        text(&entry.hash),
        number(entry.amount),
        text(&entry.reason),
        text(&entry.request_id),
        number(entry.destroyed.map(|destroyed| destroyed.variants)),
        number(entry.destroyed.map(|destroyed| destroyed.bytes)),
    ]
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    match text.starts_with(FORMULA) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

fn rows(rows: impl IntoIterator<Item = [String; 12]>) -> pict_rs_core::Result<Bytes> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::Internal {
        code: ErrorCode::UnknownError,
        message: "the log cannot be written as CSV".to_owned(),
        source: Some(error),
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer
            .write_record(row)
            .map_err(|error| failed(error.into()))?;
    }
    let text = writer.into_inner();
    Ok(text
        .map_err(|error| failed(error.to_string().into()))?
        .into())
}
