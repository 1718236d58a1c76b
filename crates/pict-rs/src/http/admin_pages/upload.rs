//! `/admin/upload`: a form for several files.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::html;
use pict_rs_core::Context;

use super::session::Session;
use super::{action, shown};
use crate::http::error::Result;
use crate::http::{image, index};

const PATH: &str = "/admin/upload";

/// `GET /admin/upload`
pub async fn form(ctx: web::Data<Context>, session: web::ReqData<Session>) -> HttpResponse {
    let server = &ctx.config.server;
    let content = html! {
        h1 { "Upload" }
        @if server.read_only {
            p { "This server is read-only." }
        } @else {
            form method="post" action=(action(PATH, &session)) enctype="multipart/form-data" {
                label for="files" { "Pictures, animations or clips; at most " (server.max_file_count) " at a time" }
                input #files type="file" name="images[]" accept="image/*,video/*" required
                    multiple[server.max_file_count > 1];
                button { "Upload" }
            }
        }
    };
    shown(&session, PATH, "Upload", &content)
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
    let content = index::uploads(&index::address(&ctx, &request), &uploaded, PATH);
    Ok(shown(&session, PATH, "Uploaded", &content))
}
