//! `GET /`: what this server is, whether it works, and where its sources are. Programs get JSON,
//! browsers a page, which may have a form for uploads.

use actix_web::http::header::{self, Accept, Header as _, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::repo::Representation;
use pict_rs_core::service::health;
use pict_rs_core::service::pending_upload::Uploaded;
use pict_rs_core::{Alias, Context};
use pict_rs_media::Kind;
use serde_json::json;

use super::error::with_cause;
use super::page::encoded;
use super::{fallback, image, page};
use crate::source;

/// JSON is answered without a look at database or files.
pub async fn get(ctx: web::Data<Context>, request: HttpRequest) -> HttpResponse {
    let mut answer = if prefers_page(&request) {
        let health = health::stores(&ctx).await;
        if let Err(error) = &health {
            tracing::warn!(error = with_cause(error), "nothing can be stored");
        }
        let address = address(&ctx, &request);
        let content = content(&ctx, &address, health.is_ok());
        page::answer(
            "Image server",
            &content,
            has_form(&ctx).then_some(page::UPLOAD),
        )
    } else {
        HttpResponse::Ok().json(json!({
            "msg": "ok",
            "name": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "license": env!("CARGO_PKG_LICENSE"),
            "source": source::URL,
        }))
    };
    let vary = HeaderValue::from_static("accept");
    answer.headers_mut().append(header::VARY, vary);
    answer
}

/// `POST /`: the form of the page.
pub async fn upload(
    ctx: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    if !ctx.config.server.public_upload {
        return fallback::method_not_allowed(&request, "GET, HEAD");
    }
    match image::take_in(&ctx, &request, request.query_string(), payload).await {
        Ok(uploaded) => {
            let content = uploads(&ctx, &request, &uploaded, "/");
            page::answer("Uploaded", &content, None)
        }
        Err(error) => page::refusal("Not uploaded", error),
    }
}

/// The address that the client has used.
pub fn address(ctx: &Context, request: &HttpRequest) -> String {
    let connection = request.connection_info();
    let scheme = match ctx.config.server.certificate {
        Some(_) => "https",
        None => connection.scheme(),
    };
    format!("{scheme}://{}", connection.host())
}

/// In the data of an application that listens on `server.admin_address`.
pub struct OnlyForAdmins;

/// The address in HTML for other pages. It is empty, which leaves paths, if the client has used an
/// address that only administrators can reach.
pub fn public_address(ctx: &Context, request: &HttpRequest) -> String {
    match request.app_data::<OnlyForAdmins>() {
        Some(OnlyForAdmins) => String::new(),
        None => address(ctx, request),
    }
}

/// Whether the client names HTML, and nothing that JSON would do for before it.
fn prefers_page(request: &HttpRequest) -> bool {
    let Ok(accept) = Accept::parse(request) else {
        return false;
    };
    let ranked = accept.ranked();
    let first = ranked.iter().find(|kind| {
        let kind = kind.essence_str();
        matches!(
            kind,
            "text/html" | "application/json" | "application/*" | "*/*"
        )
    });
    first.is_some_and(|kind| kind.essence_str() == "text/html")
}

fn has_form(ctx: &Context) -> bool {
    ctx.config.server.public_upload && !ctx.config.server.read_only
}

fn content(ctx: &Context, address: &str, works: bool) -> Markup {
    let server = &ctx.config.server;
    let state = match (works, server.read_only) {
        (false, _) => "It answers, but it cannot store anything now. Its log says why.",
        (true, true) => "It works. It is read-only, so it takes no pictures.",
        (true, false) => "It works, and it takes pictures.",
    };
    html! {
        header {
            h1 { "pict-rs" }
            p { "An image server. It keeps pictures, animations and clips, cleans them of metadata, and \
                 serves any size and format of them." }
        }
        p.state.good[works].bad[!works] role="status" { (state) }
        h2 { "Upload a picture" }
        @if has_form(ctx) {
            form method="post" action="/" enctype="multipart/form-data" data-upload {
                label for="files" { "Pictures, animations or clips" }
                input #files type="file" name="images[]" accept="image/*,video/*" required
                    multiple[server.max_file_count > 1];
                button { "Upload" }
            }
            p { "Or from a shell:" }
        }
        pre tabindex="0" { code { "curl -F 'images[]=@photo.jpg' " (address) "/image" } }
        p { "The answer names the alias of the picture, and a token that deletes it." }
        h2 { "Look at it" }
        dl {
            dt { code { (address) "/image/original/ALIAS" } }
            dd { "as it was uploaded, without metadata" }
            dt { code { (address) "/image/process.webp?src=ALIAS&resize=800" } }
            dd { "as WebP, no side longer than 800 pixels" }
            dt { code { (address) "/image/process.jpg?src=ALIAS&crop=1x1&thumbnail=256" } }
            dd { "as JPEG, a square of at most 256 pixels" }
        }
        h2 { "Administer it" }
        @if server.api_keys().next().is_some() {
            @if server.admin && server.admin_address.is_some() {
                p { "The admin page has an address of its own, " code { "server.admin_address" } "." }
            } @else if server.admin {
                p { a href="/admin" { "The admin page" } " shows what is stored and how it fares." }
            }
            p { "Paths below " code { "/internal/" } " need the API key of this server:" }
            pre tabindex="0" { code { "curl -H 'X-Api-Token: KEY' " (address) "/internal/usage" } }
        } @else {
            p { "The admin page, and paths below " code { "/internal/" } ", need an API key, and none is set. Start \
                 the server with one:" }
            pre tabindex="0" { code { "PICTRS__SERVER__API_KEY=KEY pict-rs run" } }
        }
        footer {
            "Version " (env!("CARGO_PKG_VERSION")) " · "
            a href="/openapi.json" { "API" } " · "
            a href=(source::URL) { "Sources" } ", " (env!("CARGO_PKG_LICENSE"))
        }
    }
}

/// What was uploaded, with addresses for the client of `request`. `back` is the page with the form.
pub fn uploads(ctx: &Context, request: &HttpRequest, uploaded: &[Uploaded], back: &str) -> Markup {
    let (address, public) = (address(ctx, request), public_address(ctx, request));
    html! {
        h1 { "Uploaded" }
        @for file in uploaded {
            @let alias = file.alias.as_str();
            @let shown = &file.original.representation;
            @let original = format!("/image/original/{alias}");
            section.upload {
                @match shown.key.format().kind_of(shown.frames) {
                    Kind::Video => { video controls src=(original) {} }
                    Kind::Image | Kind::Animation => { img src=(original) alt="What was uploaded"; }
                }
                p {
                    a href=(original) { (alias) }
                    ", " (shown.width) " × " (shown.height) " pixels"
                }
                @if shown.key.format().kind_of(shown.frames) == Kind::Image {
                    details {
                        summary { "For a page" }
                        pre tabindex="0" { code { (srcset(&public, &file.alias, shown)) } }
                    }
                }
                // No link: a click would delete it at once, and show nothing.
                p { "To delete it later, keep this line:" }
                pre tabindex="0" {
                    code { "curl -X DELETE " (address) "/image/delete/" (file.token.expose()) "/" (alias) }
                }
            }
        }
        p { a href=(back) { "Upload more" } }
    }
}

/// An element that lets browsers choose among sizes.
pub fn srcset(address: &str, alias: &Alias, shown: &Representation) -> String {
    sized(address, alias, shown.width, shown.height)
}

fn sized(address: &str, alias: &Alias, width: u32, height: u32) -> String {
    let alias = encoded(alias.as_str());
    let longest = width.max(height).max(1);
    let variant = |side: u32| format!("{address}/image/process.webp?src={alias}&amp;resize={side}");
    let mut sides: Vec<_> = [480, 960, 1920]
        .into_iter()
        .filter(|side| *side < longest)
        .collect();
    sides.push(longest.min(3840));
    let widths = sides.iter().map(|side| {
        let wide = (u64::from(width) * u64::from(*side) / u64::from(longest)).max(1);
        format!("{} {wide}w", variant(*side))
    });
    let widths = widths.collect::<Vec<_>>().join(",\n    ");
    let largest = sides.last().map(|side| variant(*side)).unwrap_or_default();
    format!(
        "<img src=\"{largest}\"\n  srcset=\"{widths}\"\n  sizes=\"100vw\" width=\"{width}\" height=\"{height}\" alt=\"\">"
    )
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_page_gets_sizes_up_to_that_of_the_picture() {
        let text = sized(
            "https://a.example",
            &Alias::parse("a b.png").expect("valid"),
            1000,
            2000,
        );
        let widths = [
            "resize=480 240w",
            "resize=960 480w",
            "resize=1920 960w",
            "resize=2000 1000w",
        ];
        for width in widths {
            assert!(text.contains(width), "{width}: {text}");
        }
        assert_eq!(
            text.matches("https://a.example/image/process.webp?src=a%20b.png&amp;")
                .count(),
            5
        );
        let small = sized("", &Alias::parse("a.png").expect("valid"), 30, 20);
        assert!(
            small.contains("resize=30 30w\"") && !small.contains("480"),
            "{small}"
        );
    }

    #[test]
    fn only_who_prefers_html_gets_a_page() {
        let check = |accept: &str, expected: bool| {
            let request = TestRequest::get().insert_header((header::ACCEPT, accept));
            assert_eq!(
                prefers_page(&request.to_http_request()),
                expected,
                "{accept}"
            );
        };
        // Firefox and Chromium.
        check(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            true,
        );
        check(
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;\
             q=0.8,application/signed-exchange;v=b3;q=0.7",
            true,
        );
        check("text/html", true);
        check("text/html;q=0.5, application/json;q=0.4", true);
        for json in [
            "*/*",
            "",
            "application/json",
            "application/json, text/plain, */*",
            "text/html;q=0.5, application/json",
            "image/webp",
            "not a type",
        ] {
            check(json, false);
        }
        let none = TestRequest::get().to_http_request();
        assert!(!prefers_page(&none));
    }
}
