//! What all pages for people have in common: the frame around their content, and headers that let
//! a browser load and run nothing but the style.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use pict_rs_core::Error;
use uuid::Uuid;

use super::error::{self, ApiError};

const STYLE: &str = include_str!("page/style.css");

/// A page with its title.
pub fn answer(title: &str, content: &Markup) -> HttpResponse {
    fill(
        HttpResponse::Ok().finish(),
        title,
        &html! { main { (content) } },
    )
}

/// A page that tells why a request failed, with the status of the error.
pub fn refusal(title: &str, error: ApiError) -> HttpResponse {
    let content = html! {
        main {
            h1 { (title) }
            p.state.bad role="alert" { (told(&error.0)) }
            p { a href="/" { "Back" } }
        }
    };
    // As with every other error, its causes are logged with the answer.
    fill(HttpResponse::from_error(error), title, &content)
}

/// What a client is told of an error.
pub fn told(error: &Error) -> String {
    let body = error::body(error);
    let told = ["msg", "detail"].into_iter();
    let told: Vec<_> = told.filter_map(|key| body[key].as_str()).collect();
    told.join(". ")
}

/// Fills an answer with a page. It is not cached, because it may show what holds now.
pub fn fill(answer: HttpResponse, title: &str, body: &Markup) -> HttpResponse {
    let nonce = Uuid::new_v4().simple().to_string();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – pict-rs" }
                // An empty icon, so that browsers do not ask for one.
                link rel="icon" href="data:,";
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    let policy = format!(
        "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'nonce-{nonce}'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    let mut answer = answer.set_body(BoxBody::new(page.into_string()));
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        answer
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}
