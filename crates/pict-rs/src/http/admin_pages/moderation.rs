//! `/admin/moderation`: what is refused, and what was removed by whom.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::repo::Blocked;
use pict_rs_core::repo::audit::Entry;
use pict_rs_core::service::moderate::{self, Subject};
use pict_rs_core::{Context, Digest};
use serde::Deserialize;

use super::session::Session;
use super::{action, see, shown, time};
use crate::http::cause;
use crate::http::error::Result;
use crate::http::pages::{self, Query};

const PATH: &str = "/admin/moderation";

/// `GET /admin/moderation?before=&blocked=`, with the cursors of both lists.
pub async fn moderation(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let after = pages::after(&query, "blocked")?;
    let (blocked, next_blocked) = moderate::blocklist(&ctx, after, None).await?;
    let before = pages::before(&query)?;
    let (entries, next_entry) = moderate::audit(&ctx, before, None).await?;
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
        h2 { "Removals" }
        (removals(&entries))
        @if let Some(next) = next_entry {
            p.pages { a rel="next" href=(format!("{PATH}?before={next}")) { "Older" } }
        }
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

fn removals(entries: &[Entry]) -> Markup {
    if entries.is_empty() {
        return html! { p { "Nothing was removed yet." } };
    }
    html! {
        table {
            thead { tr { th { "When" } th { "What" } th { "By" } th { "Of" } th { "Reason" } } }
            tbody {
                @for entry in entries {
                    tr {
                        td { (time(entry.created_at)) }
                        td { (entry.action) }
                        td { (entry.actor) }
                        td.long {
                            @for alias in &entry.aliases { (alias) " " }
                            @match (entry.aliases.is_empty(), &entry.hash, entry.amount) {
                                (true, Some(hash), _) => code { (hash) },
                                (true, None, Some(amount)) => (amount),
                                _ => {}
                            }
                        }
                        td.long { (entry.reason.as_deref().unwrap_or("–")) }
                    }
                }
            }
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
