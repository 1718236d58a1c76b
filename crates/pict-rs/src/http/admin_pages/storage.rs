//! `/admin/storage`: files that no row of the database names, and variants that can be made again.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::Context;
use pict_rs_core::repo::Run;
use pict_rs_core::service::collect::{self, Fate, Report};
use pict_rs_core::service::maintain;
use serde::Deserialize;

use super::session::Session;
use super::{action, counted, see, shown, size, time};
use crate::http::cause;
use crate::http::error::Result;

const PATH: &str = "/admin/storage";

/// `GET /admin/storage`
pub async fn storage(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
) -> Result<HttpResponse> {
    page(&ctx, &session, None).await
}

/// What the forms send.
#[derive(Deserialize)]
pub struct Search {
    /// Whether what is found is removed.
    remove: Option<String>,
}

/// `POST /admin/collect`
pub async fn collect(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    form: web::Form<Search>,
) -> Result<HttpResponse> {
    let fate = match form.remove {
        Some(_) => Fate::Remove,
        None => Fate::Report,
    };
    let report = collect::orphans(&ctx, collect::AGE, fate).await?;
    page(&ctx, &session, Some((fate, &report))).await
}

/// `POST /admin/drop-variants`
pub async fn drop_variants(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    maintain::drop_variants(&ctx, &cause::given(&request, None)?).await?;
    Ok(see(PATH))
}

async fn page(
    ctx: &Context,
    session: &Session,
    found: Option<(Fate, &Report)>,
) -> Result<HttpResponse> {
    let run = maintain::last_drop(ctx).await?;
    let hours = collect::AGE.as_secs() / 3600;
    let content = html! {
        h1 { "Storage" }
        h2 { "Orphans" }
        p { "Files that the database does not name, and that are older than " (hours) " hours. Deaths of the \
             server and restored backups leave such files. They cannot be requested." }
        form method="post" action=(action("/admin/collect", session)) {
            button { "Look for orphans" }
        }
        @if let Some((fate, report)) = found {
            p.state.good role="status" {
                "Of " (counted(report.files, "file", "files")) ", "
                @if report.orphans == 0 { "none is an orphan." }
                @else { (counted(report.orphans, "is an orphan", "are orphans")) ", with " (size(report.bytes)) "." }
                @if fate != Fate::Report { " Removed: " (report.removed) "." }
                @if report.young > 0 { " Too young to tell: " (report.young) "." }
                @if report.strangers > 0 { " Not of this server, so they stay: " (report.strangers) "." }
                @if !report.is_complete { " The server stopped before all were seen." }
            }
            @if !report.listed.is_empty() {
                ul { @for object in &report.listed { li { code { (object.as_str()) } } } }
            }
            @if fate == Fate::Report && report.orphans > 0 {
                form method="post" action=(action("/admin/collect", session)) {
                    input type="hidden" name="remove" value="true";
                    button { "Remove them" }
                }
            }
        }
        h2 { "Variants" }
        p { "They are made again when they are asked for, which takes time and processors." }
        @if let Some(run) = &run { (progress(run)) }
        details {
            summary { "Remove all variants" }
            form method="post" action=(action("/admin/drop-variants", session)) {
                button { "Remove all" }
            }
        }
    };
    Ok(shown(session, PATH, "Storage", &content))
}

fn progress(run: &Run) -> Markup {
    let since = time(run.started_at);
    html! {
        @if run.is_finished {
            p.state.good role="status" { "All variants of " (since) " were removed." }
        } @else {
            p.state.good role="status" {
                (run.progress) " of " (run.total) " variants were removed since " (since) ". Open this page again to see more."
            }
            progress aria-label="Removed variants" max=(run.total.max(1)) value=(run.progress) {}
        }
    }
}
