//! `/admin/settings`: what this server was started with.

use actix_web::{HttpResponse, web};
use maud::html;
use pict_rs_core::{Context, Error, ErrorCode};

use super::session::Session;
use super::shown;
use crate::http::error::Result;
use crate::load;

const PATH: &str = "/admin/settings";

/// `GET /admin/settings`
pub async fn settings(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
) -> Result<HttpResponse> {
    let text = load::printable(&ctx.config).map_err(|error| Error::Internal {
        code: ErrorCode::UnknownError,
        message: "the settings cannot be shown".to_owned(),
        source: Some(error.into()),
    })?;
    let content = html! {
        h1 { "Settings" }
        p { "Of the file, the environment and the command line together. Secrets are masked. They are read at \
             the start, and changed there." }
        pre tabindex="0" { code { (text) } }
    };
    Ok(shown(&session, PATH, "Settings", &content))
}
