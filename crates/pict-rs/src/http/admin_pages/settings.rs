//! `/admin/settings`: what this server was started with, and where that was set.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::{Context, Error, ErrorCode};

use super::session::Session;
use super::shown;
use crate::http::error::Result;
use crate::load::{self, Origins};

const PATH: &str = "/admin/settings";

/// A key, its value, and where it was set.
type Setting = (String, String, Option<String>);

/// `GET /admin/settings`
pub async fn settings(
    ctx: web::Data<Context>,
    origins: web::Data<Origins>,
    session: web::ReqData<Session>,
) -> Result<HttpResponse> {
    let all = load::settings(&ctx.config).map_err(|error| Error::Internal {
        code: ErrorCode::UnknownError,
        message: "the settings cannot be shown".to_owned(),
        source: Some(error.into()),
    })?;
    let all = all.into_iter().map(|(key, value)| {
        let origin = origins
            .of(&key)
            .or_else(|| origins.of(&format!("{key}_file")));
        (key, value, origin)
    });
    let (set, defaults): (Vec<Setting>, Vec<_>) = all.partition(|(.., origin)| origin.is_some());
    let content = html! {
        h1 { "Settings" }
        p { "They are read at the start, and changed where they were set. Secrets are masked." }
        @if set.is_empty() { p { "None was set." } } @else { (table(&set)) }
        details {
            summary { "Defaults" }
            (table(&defaults))
        }
    };
    Ok(shown(&session, PATH, "Settings", &content))
}

fn table(settings: &[Setting]) -> Markup {
    let is_set = settings.iter().any(|(.., origin)| origin.is_some());
    html! {
        table {
            thead { tr { th { "Setting" } th { "Value" } @if is_set { th { "Set by" } } } }
            tbody {
                @for (key, value, origin) in settings {
                    tr {
                        td.long { code { (key) } }
                        td.long { code { (value) } }
                        @if let Some(origin) = origin { td.long { (origin) } }
                    }
                }
            }
        }
    }
}
