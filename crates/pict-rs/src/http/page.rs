//! What all pages for people have in common: the frame around their content, and headers that let
//! a browser load and run nothing but the style, and on pages with a form for uploads one script.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pict_rs_core::Error;
use uuid::Uuid;

use super::error::{self, ApiError};

const STYLE: &str = include_str!("page/style.css");

/// A script of a page.
#[derive(Clone, Copy)]
pub struct Script(&'static str);

/// Sends the files of the form with `data-upload` one by one, and shows how far each is.
pub const UPLOAD: Script = Script(include_str!("page/upload.js"));

/// A page with its title.
pub fn answer(title: &str, content: &Markup, script: Option<Script>) -> HttpResponse {
    let body = html! { main { (content) } };
    fill_with(HttpResponse::Ok().finish(), title, &body, script)
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

/// For a path or a query.
pub fn encoded(text: &str) -> String {
    const KEPT: AsciiSet = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, &KEPT).to_string()
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
    fill_with(answer, title, body, None)
}

/// The same, with a script.
pub fn fill_with(
    answer: HttpResponse,
    title: &str,
    body: &Markup,
    script: Option<Script>,
) -> HttpResponse {
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
            body {
                (body)
                @if let Some(Script(script)) = script {
                    script nonce=(nonce) { (PreEscaped(script)) }
                }
            }
        }
    };
    let scripts = match script {
        Some(_) => format!("script-src 'nonce-{nonce}'; connect-src 'self'; "),
        None => String::new(),
    };
    let policy = format!(
        "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'nonce-{nonce}'; \
         {scripts}base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths_and_queries() {
        assert_eq!(encoded("ä b/c.png"), "%C3%A4%20b%2Fc.png");
        assert_eq!(encoded("a&b?c#d\"-._~"), "a%26b%3Fc%23d%22-._~");
    }
}
