//! `/admin/jobs`: what is done in the background.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::Context;
use pict_rs_core::repo::{QueuedJob, Run, Task};
use pict_rs_core::service::jobs;

use super::session::Session;
use super::{counted, page_of, shown, time};
use crate::http::error::Result;

/// Jobs on the page.
const LISTED: u32 = 100;

/// `GET /admin/jobs`
pub async fn jobs(ctx: web::Data<Context>, session: web::ReqData<Session>) -> Result<HttpResponse> {
    let work = jobs::work(&ctx, Some(LISTED)).await?;
    let load = ctx.media.load();
    let content = html! {
        h1 { "Jobs" }
        h2 { "Now" }
        p {
            (load.running) " of " (load.slots) " decoders and encoders of this server are running, "
            (load.waiting) " requests wait for one."
        }
        h2 { "Queue" }
        p {
            "Uploads and variants that were accepted to be done in the background: "
            (work.count) " of at most " (ctx.config.media.background_length) "."
        }
        @if !work.jobs.is_empty() {
            table {
                thead { tr { th { "What" } th { "State" } th.number { "Started" } th { "Accepted" } } }
                tbody { @for job in &work.jobs { (row(job, work.at)) } }
            }
        }
        @if work.count > work.jobs.len() as u64 { p { "These are the first " (work.jobs.len()) "." } }
        h2 { "Long runs" }
        @if work.runs.is_empty() { p { "There was none yet." } }
        @for run in &work.runs {
            h3 { (name(run.task)) }
            (progress(run))
        }
    };
    Ok(shown(&session, "/admin/jobs", "Jobs", &content))
}

/// `now` is unix time in milliseconds.
fn row(job: &QueuedJob, now: i64) -> Markup {
    html! {
        tr {
            td.long {
                @match (&job.variant_of, &job.variant) {
                    (Some(alias), Some(variant)) => { code { (variant) } " of " a href=(page_of(alias)) { (alias) } }
                    _ => "upload",
                }
            }
            td {
                @match (job.is_running(now), job.due_at > now) {
                    (true, _) => "runs",
                    (false, true) => { "retry at " (time(job.due_at)) }
                    (false, false) => "waits",
                }
                @if job.deaths > 0 { ", the server died " (counted(job.deaths.into(), "time", "times")) }
            }
            td.number { (job.attempts) }
            td { (time(job.created_at)) }
        }
    }
}

fn name(task: Task) -> &'static str {
    match task {
        Task::Prune => "Purge of what has lost its file",
        Task::Variants => "Removal of all variants",
        Task::Scan => "Scan for listed pictures",
    }
}

/// How far a run is, and how it ended.
pub fn progress(run: &Run) -> Markup {
    let since = time(run.started_at);
    let ended = match run.task {
        Task::Prune => format!(
            "The run of {since} purged {} of {}.",
            run.progress,
            counted(run.total, "content", "contents")
        ),
        Task::Variants => format!("All variants of {since} were removed."),
        Task::Scan => format!(
            "The scan of {since} looked at {}.",
            counted(run.progress, "content", "contents")
        ),
    };
    html! {
        @if run.is_stopped {
            p.state.bad role="alert" {
                "The run of " (since) " was stopped, because at least " (run.lost) " of "
                (counted(run.total, "content", "contents")) " have lost their files, and without being forced it purges "
                (run.allowed.unwrap_or(0)) " at most. Is everything mounted?"
            }
        } @else if run.is_finished {
            p.state.good role="status" { (ended) }
        } @else {
            p.state.good role="status" {
                @match run.task {
                    Task::Prune if run.is_counted => { (run.progress) " of " (run.lost) " were purged since " (since) "." }
                    Task::Prune => { "It looks at " (counted(run.total, "content", "contents")) " since " (since) "." }
                    Task::Variants => { (run.progress) " of " (run.total) " variants were removed since " (since) "." }
                    Task::Scan => { (run.progress) " of " (counted(run.total, "content", "contents")) " were looked at since " (since) "." }
                }
                @if let Some(left) = jobs::time_left(run) { " It takes about " (span(left)) " more." }
                " Open this page again to see more."
            }
            progress aria-label=(name(run.task)) max="1" value=(format!("{:.3}", run.fraction_done())) {}
        }
    }
}

/// A span of time for people, rounded up.
fn span(time: Duration) -> String {
    let seconds = time.as_secs().max(1);
    match seconds {
        ..100 => counted(seconds, "second", "seconds"),
        100..6000 => counted(seconds.div_ceil(60), "minute", "minutes"),
        _ => counted(seconds.div_ceil(3600), "hour", "hours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_for_people() {
        for (seconds, expected) in [
            (0, "1 second"),
            (99, "99 seconds"),
            (100, "2 minutes"),
            (5_999, "100 minutes"),
            (6_000, "2 hours"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }
}
