//! `/admin/storage`: files that no row of the database names.

use actix_web::{HttpResponse, web};
use maud::html;
use pict_rs_core::Context;
use pict_rs_core::service::collect::{self, Fate, Report};
use serde::Deserialize;

use super::session::Session;
use super::{action, counted, shown, size};
use crate::http::error::Result;

const PATH: &str = "/admin/storage";

/// `GET /admin/storage`
pub async fn storage(session: web::ReqData<Session>) -> HttpResponse {
    page(&session, None)
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
    Ok(page(&session, Some((fate, &report))))
}

fn page(session: &Session, found: Option<(Fate, &Report)>) -> HttpResponse {
    let hours = collect::AGE.as_secs() / 3600;
    let content = html! {
        h1 { "Storage" }
        h2 { "Orphans" }
        p { "Files that the database does not name, and that are older than " (hours) " hours. Deaths of the \
             server and restored backups leave such files; nobody can ask for them." }
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
    };
    shown(session, PATH, "Storage", &content)
}
