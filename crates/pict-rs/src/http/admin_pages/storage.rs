//! `/admin/storage`: files that no row of the database names, rows that have lost their file, what
//! limits drop, and variants that can be made again.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::Context;
use pict_rs_core::service::collect::{self, Fate, Report};
use pict_rs_core::service::preview::BudgetPreview;
use pict_rs_core::service::{maintain, preview};
use serde::Deserialize;

use super::jobs::progress;
use super::session::Session;
use super::{action, counted, see, shown, size, time};
use crate::http::error::Result;
use crate::http::pages::Query;
use crate::http::{cause, storage};

const PATH: &str = "/admin/storage";

/// `GET /admin/storage`, with `disk=` and `unused=` for a preview
pub async fn storage(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    page(&ctx, &session, &Query(request.query_string()), None).await
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
    page(&ctx, &session, &Query(""), Some((fate, &report))).await
}

/// What the form sends.
#[derive(Deserialize)]
pub struct Prune {
    #[serde(default)]
    reason: String,
    block: Option<String>,
    force: Option<String>,
}

/// `POST /admin/prune`
pub async fn prune(
    ctx: web::Data<Context>,
    request: HttpRequest,
    form: web::Form<Prune>,
) -> Result<HttpResponse> {
    let reason = Some(form.reason.clone()).filter(|reason| !reason.is_empty());
    let cause = cause::given(&request, reason)?;
    maintain::request_prune(&ctx, form.force.is_some(), form.block.is_some(), &cause).await?;
    Ok(see(PATH))
}

/// `POST /admin/drop-variants`
pub async fn drop_variants(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    maintain::drop_variants(&ctx, &cause::given(&request, None)?).await?;
    Ok(see(PATH))
}

async fn page(
    ctx: &Context,
    session: &Session,
    query: &Query<'_>,
    found: Option<(Fate, &Report)>,
) -> Result<HttpResponse> {
    let run = maintain::last_drop(ctx).await?;
    let pruned = maintain::last_prune(ctx).await?;
    let limits = limits(ctx, query).await?;
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
        h2 { "Lost files" }
        p { "Media whose file is gone cannot be shown until they are uploaded again. A purge removes them with all \
             their aliases." }
        @if let Some(run) = &pruned { (progress(run)) }
        @if pruned.as_ref().is_none_or(|run| run.is_finished) { details {
            summary { "Purge what has lost its file" }
            p { "It looks for all files first. Unless forced, it stops if what is lost is more than "
                (ctx.config.server.max_removal_count) " files and also more than " (ctx.config.server.max_removal_percent)
                " % of all, because then a disk may be missing." }
            form method="post" action=(action("/admin/prune", session)) {
                label for="prune-reason" { "Reason, for the log" }
                input #prune-reason name="reason" maxlength="1000";
                label.check { input type="checkbox" name="block" value="true"; " and refuse them from now on" }
                label.check { input type="checkbox" name="force" value="true"; " also if they are many" }
                button { "Purge what is lost" }
            }
        } }
        h2 { "Limits" }
        (limits)
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

/// The limits that are set, and what others would drop.
async fn limits(ctx: &Context, query: &Query<'_>) -> Result<Markup> {
    let (disk, unused) = storage::previewed(query)?;
    let budget = match disk {
        Some(disk) => Some(preview::budget(ctx, disk).await?),
        None => None,
    };
    let unused = match unused {
        Some(age) => Some((age, preview::retention(ctx, age).await?)),
        None => None,
    };
    let media = &ctx.config.media;
    let size_of = |mib: Option<u64>| {
        mib.map_or("–".to_owned(), |mib| {
            size(mib.saturating_mul(storage::MIB))
        })
    };
    let rows = [
        (
            "media.disk",
            media.disk.map_or("–".to_owned(), |disk| disk.to_string()),
            "everything that is stored",
        ),
        (
            "media.retention.variants",
            media.retention.variants.to_string(),
            "variants that were not used for so long",
        ),
        (
            "media.retention.proxy",
            media.retention.proxy.to_string(),
            "pictures of other servers that were not used for so long",
        ),
        (
            "media.retention.variants_size",
            size_of(media.retention.variants_size),
            "all variants",
        ),
        (
            "media.retention.proxy_size",
            size_of(media.retention.proxy_size),
            "all pictures of other servers",
        ),
    ];
    Ok(html! {
        table {
            thead { tr { th { "Setting" } th { "Value" } th { "Of" } } }
            tbody {
                @for (key, value, of) in &rows {
                    tr { td.long { code { (key) } } td { (value) } td.long { (of) } }
                }
            }
        }
        h3 { "What would go" }
        form.filters method="get" action=(PATH) {
            div {
                label for="disk" { "With media.disk =" }
                input #disk name="disk" placeholder="40 GiB" value=[query.find("disk")];
            }
            div {
                label for="unused" { "With media.retention.* =" }
                input #unused name="unused" placeholder="30d" value=[query.find("unused")];
            }
            button { "Preview" }
        }
        @if let Some(preview) = &budget { (of_budget(preview)) }
        @if let Some((age, unused)) = &unused {
            p.state.good role="status" {
                (counted(unused.variants, "variant", "variants")) " with " (size(unused.bytes)) " and "
                (counted(unused.proxied, "picture of another server was", "pictures of other servers were"))
                " not used for " (age) "."
            }
        }
    })
}

fn of_budget(preview: &BudgetPreview) -> Markup {
    let figures = &preview.figures;
    html! {
        p.state.good[figures.left() > 0].bad[figures.left() == 0] role="status" {
            "Of " (size(figures.budget)) ", files may take " (size(figures.capacity)) ". Uploads take " (size(figures.uploads))
            ", and everything " (size(figures.used)) ". "
            @if preview.excess == 0 { "Nothing would be dropped." }
            @else { (size(preview.excess)) " would be dropped." }
            @if figures.left() == 0 { " No upload would be taken in." }
            @else if figures.refuses_proxied() { " No new picture of another server would be taken in." }
        }
        @if !preview.candidates.is_empty() {
            table {
                thead { tr { th { "Among the first" } th { "Of" } th.number { "Size" } th { "Last used" } } }
                tbody {
                    @for file in &preview.candidates {
                        @let digest = file.content.digest().to_hex();
                        tr {
                            td { @if file.is_proxied { "picture of another server" } @else { "variant" } }
                            td.long { a href=(format!("/admin/media?find={digest}")) { code { (digest.get(..16).unwrap_or_default()) "…" } } }
                            td.number { (size(file.size)) }
                            td { (time(file.accessed_at)) }
                        }
                    }
                }
            }
        }
    }
}
