//! `/admin/similar`: stored pictures that look like one that is stored, or that is sent.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::service::similar::{self, Sample, Similar};
use pict_rs_core::{Alias, Context};

use super::media::tile;
use super::session::Session;
use super::{action, page_of, quarantine, shown};
use crate::http::error::Result;
use crate::http::pages::Query;
use crate::http::perceptual;

const PATH: &str = "/admin/similar";
/// Pictures on the page.
const SHOWN: u32 = 60;

/// `GET /admin/similar?alias=&distance=`
pub async fn form(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    let Some(alias) = query.find("alias") else {
        return Ok(page(&session, None));
    };
    let wanted = Sample::Alias(Alias::parse(alias)?);
    let distance = query.number("distance")?;
    let found = similar::search(&ctx, wanted, distance, Some(SHOWN)).await?;
    Ok(page(&session, Some(&found)))
}

/// `POST /admin/similar?distance=`, with a file.
pub async fn search(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let file = perceptual::one_file(&ctx, &request, payload).await?;
    let distance = Query(request.query_string()).number("distance")?;
    let found = similar::search(&ctx, Sample::File(file), distance, Some(SHOWN)).await?;
    Ok(page(&session, Some(&found)))
}

fn page(session: &Session, found: Option<&[Similar]>) -> HttpResponse {
    let content = html! {
        h1 { "Similar pictures" }
        p { "Finds what is stored and looks like a picture, also if it was resized, recompressed, turned or \
             mirrored. The picture is not kept. Pictures that have nothing in common differ in about 128 of 256 bits; \
             up to " (similar::DISTANCE) " bits they usually show the same." }
        form method="post" action=(action(PATH, session)) enctype="multipart/form-data" {
            label for="file" { "Picture, animation or clip" }
            input #file type="file" name="images[]" accept="image/*,video/*" required;
            button { "Search" }
        }
        @if let Some(found) = found { (results(found)) }
    };
    shown(session, PATH, "Similar pictures", &content)
}

fn results(found: &[Similar]) -> Markup {
    html! {
        h2 { "Found" }
        @if found.is_empty() { p { "Nothing that is stored looks like it." } }
        ul.grid {
            @for Similar { content, distance } in found {
                @if let Some(alias) = content.aliases.first() {
                    li {
                        @if content.is_quarantined {
                            a href=(page_of(alias)) {
                                (quarantine::picture_of(&content.original, alias))
                                span { "In quarantine" }
                            }
                        } @else { (tile(&content.original, alias)) }
                        span { (distance) " bits" }
                    }
                }
            }
        }
    }
}
