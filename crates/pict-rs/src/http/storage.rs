//! Disk usage, its growth, and orphaned files, with an API key.

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::config::{ByteSize, Span};
use pict_rs_core::repo::Total;
use pict_rs_core::service::budget::{self, BudgetFigures};
use pict_rs_core::service::collect::{self, Fate};
use pict_rs_core::service::growth::{self, Bound};
use pict_rs_core::service::preview;
use pict_rs_core::{Context, ErrorCode, query};
use serde_json::{Value, json};

use super::error::{ApiError, Result};
use super::pages::Query;
use super::target;
use super::view::{date, rfc3339};

/// Bytes.
pub const MIB: u64 = 1024 * 1024;

/// `GET /internal/usage`
pub async fn usage(ctx: web::Data<Context>) -> Result<HttpResponse> {
    let usage = collect::usage(&ctx).await?;
    let disk = budget::figures(&ctx).await?.map(figures_json);
    let retention = &ctx.config.media.retention;
    let total = |total: Total| json!({ "count": total.count, "bytes": total.bytes });
    let bounded = |sum: Total, budget: Option<u64>, oldest: Option<i64>| {
        json!({
            "count": sum.count,
            "bytes": sum.bytes,
            "allocated": sum.allocated,
            "budget": budget.map(|size| size.saturating_mul(MIB)),
            "oldest_access": oldest.map(rfc3339),
        })
    };
    Ok(HttpResponse::Ok().json(json!({
        "msg": "ok",
        "aliases": { "count": usage.aliases },
        "originals": total(usage.originals),
        "variants": bounded(usage.variants, retention.variants_size, usage.oldest_variant),
        "proxied": bounded(usage.proxied, retention.proxy_size, usage.oldest_proxied),
        "disk": disk,
        "garbage": { "count": usage.garbage },
        "uploads": { "waiting": usage.waiting, "unclaimed": usage.unclaimed },
    })))
}

fn figures_json(figures: BudgetFigures) -> Value {
    json!({
        "budget": figures.budget,
        "capacity": figures.capacity,
        "used": figures.used,
        "uploads": figures.uploads,
        "takes_proxied": !figures.refuses_proxied(),
        "takes_uploads": figures.left() > 0,
    })
}

/// `GET /internal/growth`
pub async fn growth(ctx: web::Data<Context>) -> Result<HttpResponse> {
    let report = growth::report(&ctx).await?;
    let days: Vec<_> = report
        .days
        .iter()
        .map(|day| {
            json!({
                "day": date(day.day),
                "uploads": day.stored.uploads,
                "variants": day.stored.variants,
                "proxied": day.stored.proxied,
            })
        })
        .collect();
    let pace = report.pace.map(|pace| {
        json!({
            "uploads": pace.uploads.round() as i64,
            "variants": pace.variants.round() as i64,
            "proxied": pace.proxied.round() as i64,
        })
    });
    let full = report.full.map(|full| {
        let bound = match full.bound {
            Bound::Budget => "budget",
            Bound::Disk => "disk",
        };
        json!({ "bound": bound, "left": full.left, "days": full.days })
    });
    Ok(HttpResponse::Ok().json(json!({
        "msg": "ok",
        "days": days,
        "bytes_per_day": pace,
        "full": full,
    })))
}

/// `GET /internal/retention?disk=&unused=`: what these limits would drop
pub async fn retention(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let (disk, unused) = previewed(&Query(request.query_string()))?;
    let mut answer = json!({ "msg": "ok", "disk": null, "unused": null });
    if let Some(disk) = disk {
        let preview = preview::budget(&ctx, disk).await?;
        let first: Vec<_> = preview
            .candidates
            .iter()
            .map(|file| {
                json!({
                    "kind": if file.is_proxied { "proxied" } else { "variant" },
                    "hex": file.content.to_hex(),
                    "bytes": file.size,
                    "accessed_at": rfc3339(file.accessed_at),
                })
            })
            .collect();
        let mut disk = figures_json(preview.figures);
        disk["would_drop"] = preview.excess.into();
        disk["first"] = first.into();
        answer["disk"] = disk;
    }
    if let Some(age) = unused {
        let unused = preview::retention(&ctx, age).await?;
        answer["unused"] = json!({
            "variants": { "count": unused.variants, "bytes": unused.bytes },
            "proxied": { "count": unused.proxied },
        });
    }
    Ok(HttpResponse::Ok().json(answer))
}

/// The limits of a preview: `media.disk`, and how long unused media are kept.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`].
pub fn previewed(query: &Query<'_>) -> Result<(Option<ByteSize>, Option<Span>)> {
    let disk = query.find("disk").map(|text| {
        ByteSize::parse(&text).ok_or_else(|| invalid("disk", &text, "a size such as 40 GiB"))
    });
    let unused = query.find("unused").map(|text| {
        Span::parse(&text).ok_or_else(|| invalid("unused", &text, "a time such as 30m, 6h or 7d"))
    });
    Ok((disk.transpose()?, unused.transpose()?))
}

/// `POST /internal/collect?dry_run=&min_age=&force=`
pub async fn collect(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let (mut is_dry_run, mut age) = (true, collect::AGE);
    for (key, value) in query::pairs(request.query_string()) {
        match &*key {
            "dry_run" => {
                is_dry_run = value
                    .parse()
                    .map_err(|_| invalid(&key, &value, "true or false"))?;
            }
            "min_age" => {
                age = Span::parse(&value)
                    .ok_or_else(|| invalid(&key, &value, "a time such as 30m, 6h or 7d"))?
                    .duration();
            }
            _ => {}
        }
    }
    let force = target::switch(request.query_string(), "force")?;
    let fate = match (is_dry_run, force) {
        (true, _) => Fate::Report,
        (false, false) => Fate::Remove,
        (false, true) => Fate::Force,
    };
    let report = collect::orphans(&ctx, age, fate).await?;
    let listed: Vec<_> = report.listed.iter().map(|object| object.as_str()).collect();
    Ok(HttpResponse::Ok().json(json!({
        "msg": "ok",
        "dry_run": is_dry_run,
        "complete": report.is_complete,
        "files": report.files,
        "orphans": { "count": report.orphans, "bytes": report.bytes, "identifiers": listed },
        "removed": report.removed,
        "young": report.young,
        "strangers": report.strangers,
    })))
}

fn invalid(key: &str, value: &str, wanted: &str) -> ApiError {
    ApiError::user(
        ErrorCode::InvalidQuery,
        format!("{key}={value} is not {wanted}"),
    )
}
