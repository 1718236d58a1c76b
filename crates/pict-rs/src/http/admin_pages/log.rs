//! `/admin/log`: what was removed, by whom and why.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::Context;
use pict_rs_core::repo::audit::{Action, Actor, Entry};
use pict_rs_core::service::moderate;

use super::session::Session;
use super::{choice, kept, shown, size, time};
use crate::http::audit;
use crate::http::error::Result;
use crate::http::pages::Query;

/// Entries on a page.
const ON_A_PAGE: u32 = 50;
const PATH: &str = "/admin/log";
/// The names of what the log is filtered by.
const FILTERS: [&str; 5] = ["action", "actor", "key", "since", "until"];

/// `GET /admin/log?before=`, with the filters of the API
pub async fn log(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let (filter, before) = (audit::filter(&query)?, audit::before(&query)?);
    let (entries, next) = moderate::audit(&ctx, &filter, before, Some(ON_A_PAGE)).await?;
    let kept = kept(&query, FILTERS);
    let names: Vec<_> = ctx.config.server.named_keys.0.keys().collect();
    let content = html! {
        h1 { "Log" }
        p { "What was removed, refused, listed or put into quarantine." }
        (filters(&query, &names))
        @if entries.is_empty() {
            p { @if kept.is_empty() { "Nothing was removed yet." } @else { "No entries match." } }
        } @else {
            (table(&entries))
            p { a href=(format!("/admin/log.csv?{}", kept.trim_end_matches('&'))) { "Download as CSV" } }
        }
        @if let Some(next) = next {
            p.pages { a rel="next" href=(format!("{PATH}?{kept}before={next}")) { "Older" } }
        }
    };
    Ok(shown(&session, PATH, "Log", &content))
}

/// `GET /admin/log.csv`, with the same filters
pub async fn log_as_csv(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    Ok(audit::csv(ctx.into_inner(), audit::filter(&query)?, None))
}

fn filters(query: &Query<'_>, names: &[&String]) -> Markup {
    let actions = Action::ALL.map(Action::as_str);
    let actors = Actor::ALL.map(Actor::as_str);
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    let choices: [(&str, &str, &[&str]); 3] = [
        ("action", "What", &actions),
        ("actor", "By", &actors),
        ("key", "With the key", &names),
    ];
    html! {
        details open[!kept(query, FILTERS).is_empty()] {
            summary { "Filter" }
            form.filters method="get" action=(PATH) {
                @for (name, label, values) in choices {
                    @if !values.is_empty() || query.find(name).is_some() { (choice(query, name, label, values)) }
                }
                @for (name, label) in [("since", "From"), ("until", "Until")] {
                    div {
                        label for=(name) { (label) }
                        input #(name) name=(name) type="date" value=[query.find(name).map(|day| day.chars().take(10).collect::<String>())];
                    }
                }
                button { "Show" }
            }
        }
    }
}

fn table(entries: &[Entry]) -> Markup {
    html! {
        table {
            thead { tr { th { "When" } th { "What" } th { "By" } th { "Of" } th { "Reason" } } }
            tbody {
                @for entry in entries {
                    tr {
                        td { (time(entry.created_at)) }
                        td { (entry.action) }
                        td { (entry.actor) @if let Some(key) = &entry.key { " (" (key) ")" } }
                        td.long {
                            @for alias in &entry.aliases { (alias) " " }
                            @match (entry.aliases.is_empty(), &entry.hash, entry.amount) {
                                (true, Some(hash), _) => code { (hash) },
                                (true, None, Some(amount)) => (amount),
                                _ => {}
                            }
                            @if let Some(destroyed) = entry.destroyed { " (" (size(destroyed.bytes)) ")" }
                        }
                        td.long { (entry.reason.as_deref().unwrap_or("–")) }
                    }
                }
            }
        }
    }
}
