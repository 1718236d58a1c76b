//! Signing in with an API key, and out.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, web};
use maud::html;
use pict_rs_core::Context;
use serde::Deserialize;

use super::session;
use super::{SIGN_IN, Shared, is_secure, see, unix_time};
use crate::http::page;
use crate::http::request::Settings;

/// What the form sends.
#[derive(Deserialize)]
pub struct Given {
    key: String,
}

/// `GET /admin/sign-in`
pub async fn form() -> HttpResponse {
    ask(StatusCode::OK, None)
}

/// `POST /admin/sign-in`
pub async fn sign_in(
    ctx: web::Data<Context>,
    shared: web::Data<Shared>,
    settings: web::Data<Settings>,
    request: HttpRequest,
    given: web::Form<Given>,
) -> HttpResponse {
    let Some(sessions) = shared.as_ref() else {
        return HttpResponse::NotFound().finish();
    };
    let client = settings.client(&request);
    if let Err(left) = sessions.admit(client) {
        let seconds = left.as_secs() + 1;
        let why = format!("Too many wrong keys. Try again in {seconds} seconds.");
        let mut answer = ask(StatusCode::TOO_MANY_REQUESTS, Some(&why));
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        return answer;
    }
    let Some(key) = ctx.config.server.find_api_key(given.key.as_bytes()) else {
        sessions.failed(client);
        tracing::warn!(?client, "a wrong key for the admin page");
        return ask(
            StatusCode::UNAUTHORIZED,
            Some("That is no API key of this server."),
        );
    };
    tracing::info!(?client, key = key.0, "signed in to the admin page");
    let mut answer = see("/admin");
    let cookie = sessions.begin(&key, unix_time(), is_secure(&ctx, &request));
    // Its value has only characters that a cookie may have.
    let _ = answer.add_cookie(&cookie);
    answer
}

/// `POST /admin/sign-out`
pub async fn sign_out(ctx: web::Data<Context>, request: HttpRequest) -> HttpResponse {
    let mut answer = see(SIGN_IN);
    let _ = answer.add_cookie(&session::end(is_secure(&ctx, &request)));
    answer
}

/// The form, after something that needs a session.
pub(super) fn again(why: &str) -> HttpResponse {
    ask(StatusCode::UNAUTHORIZED, Some(why))
}

fn ask(status: StatusCode, why: Option<&str>) -> HttpResponse {
    let body = html! {
        main {
            h1 { "Sign in" }
            @if let Some(why) = why {
                p.state.bad role="alert" { (why) }
            }
            form method="post" action=(SIGN_IN) {
                label for="key" { "API key" }
                input #key type="password" name="key" autocomplete="current-password" required;
                button { "Sign in" }
            }
            p { "One of " code { "server.api_key" } " and " code { "server.api_keys" } " or those of " code { "server.named_keys" } " in the settings of this server." }
        }
    };
    page::fill(HttpResponse::build(status).finish(), "Sign in", &body)
}
