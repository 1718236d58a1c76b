//! `/admin/moderation`: what is refused, and what looks like it.

use actix_multipart::Field;
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::config::{OnMatch, PdqConfig};
use pict_rs_core::query::UploadQuery;
use pict_rs_core::repo::{Blocked, Run, Unlisted};
use pict_rs_core::service::moderate::{self, Subject};
use pict_rs_core::service::subscribe::{self, SubscriptionStatus};
use pict_rs_core::service::{maintain, perceptual};
use pict_rs_core::{Context, Digest};
use serde::Deserialize;

use super::jobs::progress;
use super::quarantine::list_name;
use super::session::Session;
use super::{action, see, shown, time};
use crate::http::error::Result;
use crate::http::pages::{self, Query};
use crate::http::{cause, form, perceptual as http_perceptual};

const PATH: &str = "/admin/moderation";

/// `GET /admin/moderation?blocked=`, with the cursor of the list of files
pub async fn moderation(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let after = pages::after(&query, "blocked")?;
    let (blocked, next_blocked) = moderate::blocklist(&ctx, after, None).await?;
    let content = html! {
        h1 { "Moderation" }
        h2 { "Refused files" }
        form method="post" action=(action("/admin/block", &session)) {
            label for="hash" { "SHA-256 of a file, in hexadecimal digits" }
            input #hash name="hash" required minlength="64" spellcheck="false" autocomplete="off";
            button { "Refuse it" }
        }
        (blocklist(&blocked, &session))
        @if let Some(next) = next_blocked {
            p.pages { a rel="next" href=(format!("{PATH}?blocked={}", pages::cursor(next))) { "Older" } }
        }
        h2 { "Refused pictures" }
        (lists(&session, &perceptual::lists(&ctx).await?, &ctx.config.media.pdq))
        (subscriptions(&subscribe::statuses(&ctx).await?))
        (scan(&session, maintain::last_scan(&ctx).await?.as_ref()))
    };
    Ok(shown(&session, PATH, "Moderation", &content))
}

fn blocklist(entries: &[Blocked], session: &Session) -> Markup {
    if entries.is_empty() {
        return html! { p { "No file is refused." } };
    }
    html! {
        table {
            thead { tr { th { "File" } th { "Since" } th { "Reason" } th { "Change" } } }
            tbody {
                @for entry in entries {
                    @let hash = entry.digest.to_hex();
                    tr {
                        td { code { (hash) } }
                        td { (time(entry.created_at)) }
                        td.long { (entry.reason.as_deref().unwrap_or("–")) }
                        td {
                            form method="post" action=(action("/admin/unblock", session)) {
                                input type="hidden" name="hash" value=(hash);
                                button { "Allow" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The lists of PDQ hashes.
fn lists(session: &Session, lists: &[(String, usize)], settings: &PdqConfig) -> Markup {
    html! {
        p {
            "What differs from a listed PDQ hash in at most " (settings.distance) " of 256 bits "
            @match settings.on_match {
                OnMatch::Refuse => "is refused.",
                OnMatch::Quarantine => "is put into quarantine.",
            }
        }
        @if lists.is_empty() { p { "There is no list." } }
        @else {
            table {
                thead { tr { th { "List" } th.number { "Hashes" } th { "Change" } } }
                tbody {
                    @for (list, count) in lists {
                        tr {
                            td.long { (list_name(list)) }
                            td.number { (count) }
                            td {
                                form method="post" action=(action("/admin/unlist", session)) {
                                    input type="hidden" name="list" value=(list);
                                    button { "Remove the list" }
                                }
                            }
                        }
                    }
                }
            }
        }
        form method="post" action=(action("/admin/list", session)) enctype="multipart/form-data" {
            label for="list" { "A file with a hash on each line, or CSV. The list gets its name" }
            input #list type="file" name="images[]" accept=".txt,.csv,text/*" required;
            button { "Add a list" }
        }
    }
}

/// Lists that other servers publish.
fn subscriptions(all: &[(String, SubscriptionStatus)]) -> Markup {
    if all.is_empty() {
        return Markup::default();
    }
    html! {
        h3 { "Subscriptions" }
        table {
            thead { tr { th { "List" } th { "Signed" } th { "Looked at" } } }
            tbody {
                @for (list, status) in all {
                    tr {
                        td.long {
                            (list)
                            @if let Some(error) = &status.error { br; strong { "It stays as it is: " (error) } }
                        }
                        td { @if let Some(at) = status.signed_at { (time(at.saturating_mul(1000))) } @else { "–" } }
                        td { @if let Some(at) = status.checked_at { (time(at)) } @else { "–" } }
                    }
                }
            }
        }
    }
}

fn scan(session: &Session, run: Option<&Run>) -> Markup {
    html! {
        p { "A scan looks at everything that is stored: missing hashes are computed, and what looks like a \
             listed one is put into quarantine." }
        @if let Some(run) = run { (progress(run)) }
        form method="post" action=(action("/admin/scan", session)) {
            button { "Scan" }
        }
    }
}

/// What the forms send.
#[derive(Deserialize)]
pub struct Named {
    hash: String,
}

/// `POST /admin/block`
pub async fn block(
    ctx: web::Data<Context>,
    request: HttpRequest,
    form: web::Form<Named>,
) -> Result<HttpResponse> {
    let subject = Subject::Digest(Digest::parse(form.hash.trim())?);
    moderate::block(&ctx, &subject, &cause::given(&request, None)?).await?;
    Ok(see(PATH))
}

/// `POST /admin/list`, with a file, whose name the list gets.
pub async fn list(
    ctx: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let take = async |_: &UploadQuery, field: Field| {
        let name = form::filename(&field).unwrap_or_default();
        Ok((name, http_perceptual::text(field).await?))
    };
    let (files, _) = form::receive(&ctx, &request, "", payload, take).await?;
    let cause = cause::given(&request, None)?;
    for (name, text) in files {
        perceptual::import(&ctx, &name, &text, &cause).await?;
    }
    Ok(see(PATH))
}

/// What the form of a list sends.
#[derive(Deserialize)]
pub struct NamedList {
    list: String,
}

/// `POST /admin/unlist`
pub async fn unlist(
    ctx: web::Data<Context>,
    request: HttpRequest,
    form: web::Form<NamedList>,
) -> Result<HttpResponse> {
    let what = Unlisted::List(form.list.clone());
    perceptual::unlist(&ctx, &what, &cause::given(&request, None)?).await?;
    Ok(see(PATH))
}

/// `POST /admin/scan`
pub async fn begin_scan(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    maintain::scan(&ctx, &cause::given(&request, None)?).await?;
    Ok(see(PATH))
}

/// `POST /admin/unblock`
pub async fn unblock(
    ctx: web::Data<Context>,
    request: HttpRequest,
    form: web::Form<Named>,
) -> Result<HttpResponse> {
    let digest = Digest::parse(&form.hash)?;
    moderate::unblock(&ctx, &digest, &cause::given(&request, None)?).await?;
    Ok(see(PATH))
}
