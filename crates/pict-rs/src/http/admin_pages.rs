//! `/admin`: pages for administrators, made on the server. They sign in with an API key. What a page
//! changes, the API below `/internal` can change as well.

mod growth;
mod jobs;
mod log;
mod media;
mod moderation;
mod overview;
mod owners;
mod quarantine;
mod session;
mod settings;
mod sign_in;
mod similar;
mod storage;
mod upload;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::config::Secret;
use pict_rs_core::service::serve::Purpose;
use pict_rs_core::{Alias, Context, ErrorCode, Owner};

pub use self::jobs::jobs;
pub use self::log::{log, log_as_csv};
pub use self::media::{delete, grid, picture, purge};
pub use self::moderation::{begin_scan, block, list, moderation, unblock, unlist};
pub use self::overview::overview;
pub use self::owners::{list as owners, purge as purge_owner};
pub use self::quarantine::{
    begin as quarantine, picture as quarantined_picture, quarantined, release,
};
pub use self::session::Sessions;
pub use self::settings::settings;
pub use self::sign_in::{form as sign_in_form, sign_in, sign_out};
pub use self::similar::{form as similar_form, search as similar};
pub use self::storage::{collect, drop_variants, prune, storage};
pub use self::upload::{form as upload_form, upload};

use self::session::Session;
use super::error::{self, ApiError};
use super::page::encoded;
use super::pages::Query;
use super::request::Settings;
use super::{index, page, target};

/// The sessions of this server; `None` where it has no admin page.
pub type Shared = Option<Arc<Sessions>>;

/// The page that needs no session.
const SIGN_IN: &str = "/admin/sign-in";
/// The pages that each of them leads to.
const PAGES: [(&str, &str); 11] = [
    ("/admin", "Overview"),
    ("/admin/media", "Media"),
    ("/admin/upload", "Upload"),
    ("/admin/owners", "Owners"),
    ("/admin/similar", "Similar"),
    ("/admin/quarantine", "Quarantine"),
    ("/admin/moderation", "Moderation"),
    ("/admin/log", "Log"),
    ("/admin/storage", "Storage"),
    ("/admin/jobs", "Jobs"),
    ("/admin/settings", "Settings"),
];

/// Lets only requests with a session pass, and of those that change something only what one of our
/// forms sent: the token of its session is in its address, where it is found without the body. Errors
/// become pages.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    let shared = request.app_data::<web::Data<Shared>>();
    let Some(sessions) = shared.and_then(|shared| shared.as_ref().as_ref()) else {
        let message = "There is nothing at this path";
        let error = ApiError::user(ErrorCode::NotFound, message);
        return Ok(request.error_response(error));
    };
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    if request.path() != SIGN_IN {
        let cookie = request.cookie(session::COOKIE);
        let found = cookie.and_then(|cookie| sessions.find(cookie.value(), unix_time()));
        let Some(session) = found else {
            let answer = match is_reading {
                true => see(SIGN_IN),
                false => sign_in::again("The session has ended."),
            };
            return Ok(request.into_response(answer));
        };
        let given = target::find(request.query_string(), "token").unwrap_or_default();
        if !is_reading && !Secret::new(session.token.as_str()).matches(given.as_bytes()) {
            let content = html! {
                h1 { "Refused" }
                p.state.bad role="alert" { "This form is not of this session. Open its page again." }
            };
            let answer = HttpResponse::build(StatusCode::FORBIDDEN).finish();
            let answer = page::fill(answer, "Refused", &frame(&session, "", &content));
            return Ok(request.into_response(answer));
        }
        request.extensions_mut().insert(session.key.clone());
        request.extensions_mut().insert(session);
        request.extensions_mut().insert(Purpose::Inspection);
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    keep_private(&mut response);
    let cause = response.response().error().and_then(error::cause);
    let Some(message) = cause.map(page::told) else {
        return Ok(response);
    };
    let session = response.request().extensions().get::<Session>().cloned();
    let content = html! {
        h1 { "It did not work" }
        p.state.bad role="alert" { (message) }
    };
    let body = match session {
        Some(session) => frame(&session, "", &content),
        None => html! { main { (content) } },
    };
    let (request, answer) = response.into_parts();
    let answer = page::fill(answer, "It did not work", &body);
    Ok(ServiceResponse::new(request, answer))
}

/// Makes caches in front ask again for media that the pages show: the address alone must not be enough.
fn keep_private(response: &mut ServiceResponse<BoxBody>) {
    let settings = response.request().app_data::<web::Data<Settings>>();
    let tags = settings.map_or_else(Vec::new, |settings| settings.tag_headers.clone());
    let headers = response.headers_mut();
    tags.iter().for_each(|name| drop(headers.remove(name)));
    let is_stored = headers
        .get(header::CACHE_CONTROL)
        .is_some_and(|value| value != "no-store");
    if is_stored {
        let private = HeaderValue::from_static("private, no-cache");
        headers.insert(header::CACHE_CONTROL, private);
    }
}

/// A page of a session. `path` is its own among [`PAGES`].
fn shown(session: &Session, path: &str, title: &str, content: &Markup) -> HttpResponse {
    page::fill(
        HttpResponse::Ok().finish(),
        title,
        &frame(session, path, content),
    )
}

fn frame(session: &Session, path: &str, content: &Markup) -> Markup {
    html! {
        nav aria-label="Pages" {
            @for (to, name) in PAGES {
                a href=(to) aria-current=[(to == path).then_some("page")] { (name) }
            }
            form method="post" action=(action("/admin/sign-out", session)) {
                button { "Sign out" }
            }
        }
        main.wide { (content) }
    }
}

/// Everything that a page is filtered by, for the addresses of other pages.
fn kept<'a>(query: &Query<'_>, names: impl IntoIterator<Item = &'a str>) -> String {
    let kept = names.into_iter().filter_map(|name| {
        let value = query.find(name)?;
        Some(format!("{name}={}&", encoded(&value)))
    });
    kept.collect()
}

/// A field of a form with filters. What was chosen is there even if it is none of the values.
fn choice(query: &Query<'_>, name: &str, label: &str, values: &[&str]) -> Markup {
    let chosen = query.find(name);
    let other = chosen.as_deref().filter(|chosen| !values.contains(chosen));
    html! {
        div {
            label for=(name) { (label) }
            select #(name) name=(name) {
                option value="" { "any" }
                @for value in other.iter().chain(values) {
                    option value=(value) selected[chosen.as_deref() == Some(*value)] { (value) }
                }
            }
        }
    }
}

/// The address that a form is sent to.
fn action(path: &str, session: &Session) -> String {
    format!("{path}?token={}", session.token)
}

/// Leads to another page with GET.
fn see(path: &str) -> HttpResponse {
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    answer.insert_header((header::LOCATION, path)).finish()
}

/// The page of a picture.
fn page_of(alias: &Alias) -> String {
    format!("/admin/media/{}", encoded(alias.as_str()))
}

/// The page of an owner.
fn page_of_owner(owner: &Owner) -> String {
    format!("/admin/owners?owner={}", encoded(owner.as_str()))
}

/// Whether the client has come over TLS, as far as a proxy in front tells.
fn is_secure(ctx: &Context, request: &HttpRequest) -> bool {
    index::address(ctx, request).starts_with("https:")
}

/// Seconds.
fn unix_time() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Bytes for people. The unit stays on the line of its number.
fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes}\u{a0}bytes");
    }
    let (mut value, mut unit) = (bytes as f64 / 1e3, "kB");
    for larger in ["MB", "GB", "TB"] {
        if value < 1e3 {
            break;
        }
        (value, unit) = (value / 1e3, larger);
    }
    match value {
        ..10.0 => format!("{value:.1}\u{a0}{unit}"),
        _ => format!("{value:.0}\u{a0}{unit}"),
    }
}

/// A number with its noun.
fn counted(number: u64, noun: &str, nouns: &str) -> String {
    format!("{number} {}", if number == 1 { noun } else { nouns })
}

/// A day and time of UTC, as [`super::view::rfc3339`] without fractions.
fn time(unix_ms: i64) -> String {
    let text = super::view::rfc3339(unix_ms);
    let whole = text.split(['.', 'Z']).next().unwrap_or_default();
    whole.replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_times_and_counts_are_for_people() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_500, "1.5 kB"),
            (12_345_678, "12 MB"),
            (7_300_000_000_000_000, "7300 TB"),
        ] {
            assert_eq!(size(bytes).replace('\u{a0}', " "), expected);
        }
        assert_eq!(time(1_795_000_000_917), "2026-11-18 11:06:40");
        assert_eq!(counted(1, "file", "files"), "1 file");
        assert_eq!(counted(0, "file", "files"), "0 files");
    }
}
