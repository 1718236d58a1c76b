//! `/admin/upload`: a form for several files.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::html;
use pict_rs_core::Context;

use super::session::Session;
use super::{action, frame, shown};
use crate::http::error::Result;
use crate::http::{image, index, page};

const PATH: &str = "/admin/upload";

/// `GET /admin/upload`
pub async fn form(ctx: web::Data<Context>, session: web::ReqData<Session>) -> HttpResponse {
    let server = &ctx.config.server;
    let content = html! {
        h1 { "Upload" }
        @if server.read_only {
            p { "This server is read-only." }
        } @else {
            form method="post" action=(action(PATH, &session)) enctype="multipart/form-data" data-upload {
                label for="files" { "Pictures, animations or clips" }
                input #files type="file" name="images[]" accept="image/*,video/*" required
                    multiple[server.max_file_count > 1];
                button { "Upload" }
            }
        }
    };
    let answer = HttpResponse::Ok().finish();
    let body = frame(&session, PATH, &content);
    page::fill_with(answer, "Upload", &body, Some(page::UPLOAD))
}

/// `POST /admin/upload`
pub async fn upload(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    // That of the request has the token of the session.
    let uploaded = image::take_in(&ctx, &request, "", payload).await?;
    let content = index::uploads(&ctx, &request, &uploaded, PATH);
    Ok(shown(&session, PATH, "Uploaded", &content))
}
