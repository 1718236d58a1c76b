//! Health checks.

use actix_web::{HttpResponse, web};
use pict_rs_core::repo::{NodeStatus, OutboxStatus};
use pict_rs_core::sandbox::Protection;
use pict_rs_core::service::health::{self, Part};
use pict_rs_core::service::move_store::{self, MoveStatus};
use pict_rs_core::service::takeover::{self, TakeoverStatus};
use pict_rs_core::{Context, ErrorCode};
use serde_json::{Value, json};

use super::error::{Unhealthy, with_cause};
use super::view;
use crate::programs;

/// `GET /healthz`, for a supervisor that restarts a broken server: 200 as long as stored media can
/// be served.
pub async fn live(ctx: web::Data<Context>) -> Result<HttpResponse, Unhealthy> {
    health::serves(&ctx).await.map_err(Unhealthy)?;
    Ok(HttpResponse::Ok().finish())
}

/// `GET /readyz`, for a load balancer that can send uploads elsewhere: 200 if more can be stored.
pub async fn ready(ctx: web::Data<Context>) -> Result<HttpResponse, Unhealthy> {
    health::stores(&ctx).await.map_err(Unhealthy)?;
    Ok(HttpResponse::Ok().finish())
}

/// `GET /internal/health`: 200 or 503, with details in both cases. Internal errors are shown with
/// their causes, because the holder of a key may read the log too.
pub async fn deep(ctx: web::Data<Context>) -> HttpResponse {
    let health = health::deep(&ctx).await;
    let parts = [("repo", &health.repo), ("store", &health.store)];
    let broken: Vec<_> = parts
        .iter()
        .filter(|(_, part)| part.written.is_err())
        .map(|(name, _)| *name)
        .collect();
    let (found, missing) = programs::look(&ctx.helpers);
    // A database that fails is told above.
    let takeover = takeover::status(&ctx).await.ok().flatten();
    let mut answer = json!({
        "msg": if broken.is_empty() { "ok".to_owned() } else { format!("broken: {}", broken.join(", ")) },
        "broken": broken,
        "version": env!("CARGO_PKG_VERSION"),
        "read_only": ctx.config.server.read_only,
        "repo": part(&health.repo),
        "store": part(&health.store),
        "programs": { "found": found, "missing": missing },
        "jobs": { "waiting": health.jobs },
        "media": {
            "running": health.media.running,
            "waiting": health.media.waiting,
            "isolation": isolation(ctx.media.protections()),
        },
    });
    if let Some(nodes) = health.nodes.filter(|nodes| !nodes.is_empty()) {
        answer["nodes"] = nodes.iter().map(node).collect();
    }
    for (target, status) in &health.deliveries {
        answer[target.as_str()] = deliveries(status);
    }
    if let Some(status) = takeover {
        answer["takeover"] = takeover_json(&status);
    }
    if let Some(status) = move_store::status(&ctx).await.ok().flatten() {
        answer["store_move"] = move_json(&status);
    }
    let mut response = match broken.is_empty() {
        true => HttpResponse::Ok(),
        false => HttpResponse::ServiceUnavailable(),
    };
    response.json(answer)
}

/// Where files are decoded, and what the system does not enforce there.
fn isolation(protections: Option<&[Protection]>) -> Value {
    let missing = protections.into_iter().flatten();
    let missing = missing.filter_map(|one| {
        let why = one.missing.as_ref()?;
        Some(json!({ "name": one.name, "why": why }))
    });
    json!({
        "mode": if protections.is_some() { "process" } else { "thread" },
        "missing": missing.collect::<Vec<_>>(),
    })
}

fn takeover_json(status: &TakeoverStatus) -> Value {
    let run = &status.run;
    let is_complete = run.finished_at.is_some();
    let (code, cause) = status.trouble.clone().unzip();
    json!({
        "url": run.url,
        "complete": is_complete,
        "hint": match (is_complete, status.unknown_tokens) {
            (false, _) => "the old server is still needed",
            (true, 0) => "the old server can be stopped",
            (true, _) => "the old server can be stopped, but only it knows some delete tokens",
        },
        "pass": run.pass,
        "contents": run.found.contents,
        "changed": run.found.changed,
        "altered": run.found.altered,
        "lost": run.found.lost,
        "failed": run.found.failed,
        "copied": run.copied,
        "aliases": run.aliases,
        "bytes": run.bytes,
        "deletions_to_pass_on": status.untold,
        "unknown_tokens": status.unknown_tokens,
        "code": code.map(ErrorCode::as_str),
        "cause": cause,
        "started_at": view::rfc3339(run.started_at),
        "finished_at": run.finished_at.map(view::rfc3339),
    })
}

fn deliveries(status: &OutboxStatus) -> Value {
    json!({
        "waiting": status.waiting,
        "oldest": status.oldest.map(view::rfc3339),
        "error": status.error,
    })
}

fn node(node: &NodeStatus) -> Value {
    json!({
        "id": node.id,
        "this": node.is_this,
        "host": node.host,
        "version": node.version,
        "started_at": view::rfc3339(node.started_at),
        "seen_at": view::rfc3339(node.seen_at),
        "silent_ms": node.silent_for.as_millis() as u64,
    })
}

fn move_json(status: &MoveStatus) -> Value {
    let last = &status.last;
    let (code, cause) = status.trouble.clone().unzip();
    json!({
        "from": last.from,
        "to": last.to,
        "complete": last.is_finished(),
        "hint": match (last.is_finished(), last.lost) {
            (false, _) => "both stores are needed",
            (true, 0) => "the old store is not used any more",
            (true, _) => "the old store is not used any more; pict-rs fsck names the files that are lost",
        },
        "phase": last.phase.as_str(),
        "rows": last.rows,
        "total": status.total,
        "copied": last.copied,
        "bytes": last.bytes,
        "lost": last.lost,
        "damaged": last.damaged,
        "code": code.map(ErrorCode::as_str),
        "cause": cause,
        "started_at": view::rfc3339(last.started_at),
        "finished_at": last.finished_at.map(view::rfc3339),
    })
}

fn part(part: &Part) -> Value {
    let fault = part.written.as_ref().err();
    let cause = fault.map(with_cause);
    json!({
        "ok": fault.is_none(),
        "ms": part.took.as_secs_f64() * 1000.0,
        "code": fault.map(|fault| fault.code().as_str()),
        "cause": cause,
        "free_bytes": part.space.map(|space| space.free),
        "total_bytes": part.space.map(|space| space.total),
    })
}
