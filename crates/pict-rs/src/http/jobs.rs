//! The queue of jobs and the long runs, with an API key.

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::Context;
use pict_rs_core::repo::{QueuedJob, Run};
use pict_rs_core::service::jobs;
use serde_json::{Value, json};

use super::error::Result;
use super::pages::Query;
use super::view;

/// `GET /internal/jobs?limit=`
pub async fn list(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let limit = Query(request.query_string()).number("limit")?;
    let work = jobs::work(&ctx, limit).await?;
    let jobs: Vec<_> = work.jobs.iter().map(|job| job_json(job, work.at)).collect();
    let runs: Vec<_> = work.runs.iter().map(run_json).collect();
    Ok(HttpResponse::Ok().json(json!({
        "msg": "ok",
        "queue": { "count": work.count, "limit": ctx.config.media.background_length },
        "jobs": jobs,
        "runs": runs,
    })))
}

/// `now` is unix time in milliseconds.
fn job_json(job: &QueuedJob, now: i64) -> Value {
    json!({
        "kind": if job.variant_of.is_some() { "variant" } else { "upload" },
        "alias": job.variant_of.as_ref().map(pict_rs_core::Alias::as_str),
        "variant": job.variant,
        "running": job.is_running(now),
        "attempts": job.attempts,
        "deaths": job.deaths,
        "due_at": view::rfc3339(job.due_at),
        "created_at": view::rfc3339(job.created_at),
    })
}

fn run_json(run: &Run) -> Value {
    let left = jobs::time_left(run);
    json!({
        "task": run.task.as_str(),
        "started_at": view::rfc3339(run.started_at),
        "complete": run.is_finished,
        "stopped": run.is_stopped,
        "done": (run.fraction_done() * 1e4).round() / 1e4,
        "seconds_left": left.map(|left| left.as_secs()),
        "progress": run.progress,
        "total": run.total,
        "reason": run.cause.reason,
    })
}
