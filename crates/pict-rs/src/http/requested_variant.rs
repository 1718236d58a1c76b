//! The variant that a process URL requests: in the format that it names, or with `process.auto` in
//! the best format that its client can show.

use actix_web::http::header::{self, CACHE_CONTROL, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};
use pict_rs_core::accept::Accept;
use pict_rs_core::query::{self, ProcessRequest};
use pict_rs_core::service::requested::{Chosen, Requested};
use pict_rs_core::{Context, Result};
use pict_rs_media::OutputFormat;

use super::request::Settings;

/// The extension that requests the best format.
pub const AUTO: &str = "auto";

/// Parses the extension, and the query without its target.
///
/// # Errors
/// As [`ProcessRequest::parse`].
pub fn parse(
    ctx: &Context,
    extension: &str,
    query: &str,
    request: &HttpRequest,
) -> Result<Requested> {
    let filters = &ctx.config.media.filters.0;
    if ctx.config.media.strict_operations {
        query::refuse_unknown(query, filters)?;
    }
    if extension != AUTO {
        return ProcessRequest::parse(extension, query, filters).map(Requested::Named);
    }
    // A placeholder; the format is chosen later.
    let any = OutputFormat::Jpeg.extension();
    let values = request.headers().get_all(header::ACCEPT);
    let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    let accept = Accept::parse(&values.join(","));
    Ok(Requested::Best(
        ProcessRequest::parse(any, query, filters)?,
        accept,
    ))
}

/// Adds `Vary` if the format was chosen by a header.
pub fn mark_choice(chosen: &Chosen, response: &mut HttpResponse) {
    if chosen.fallback.is_some() {
        let accept = HeaderValue::from_static("Accept");
        response.headers_mut().append(VARY, accept);
    }
}

/// As [`mark_choice`], and sets how long the choice may be cached.
pub fn mark(chosen: &Chosen, settings: &Settings, response: &mut HttpResponse) {
    mark_choice(chosen, response);
    let headers = response.headers_mut();
    if chosen.fallback == Some(true) && headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, settings.fallback_cache_control.clone());
    }
}
