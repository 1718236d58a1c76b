//! Variants.

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::service::requested::Chosen;
use pict_rs_core::service::serve::{self, Purpose};
use pict_rs_core::service::target::Target;
use pict_rs_core::{Context, Error, ErrorCode, Result as CoreResult};

use super::error::Result;
use super::request::Settings;
use super::{body, placeholder, requested_variant, target, who};

/// `GET /image/process.{ext}?src=…&{operation}={argument}…`
pub async fn get(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    extension: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let found = async {
        let (target, rest) = target::of_process(request.query_string())?;
        let requested = requested_variant::parse(&ctx, &extension, &rest, &request)?;
        let answer = async |chosen: &Chosen| respond(&ctx, &settings, &request, chosen).await;
        let purpose = who::purpose(&request);
        if purpose == Purpose::Inspection && matches!(target, Target::Proxy(_)) {
            let message = "A page shows only what is stored: give src, not proxy";
            return Err(Error::user(ErrorCode::InvalidQuery, message));
        }
        serve::variant(&ctx, &target, &requested, purpose, answer).await
    };
    placeholder::or_placeholder(&ctx, &settings, &request, found.await).await
}

/// `HEAD /image/process.{ext}?…`; never makes the variant.
pub async fn head(
    ctx: web::Data<Context>,
    settings: web::Data<Settings>,
    extension: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (target, rest) = target::of_process(request.query_string())?;
    let requested = requested_variant::parse(&ctx, &extension, &rest, &request)?;
    let answer = async |chosen: &Chosen| respond(&ctx, &settings, &request, chosen).await;
    Ok(serve::existing_variant(&ctx, &target, &requested, answer).await?)
}

async fn respond(
    ctx: &Context,
    settings: &Settings,
    request: &HttpRequest,
    chosen: &Chosen,
) -> CoreResult<HttpResponse> {
    let (content, variant) = (chosen.content(), chosen.variant());
    let mut response = body::respond(ctx, settings, request, content, variant).await?;
    requested_variant::mark(chosen, settings, &mut response);
    Ok(response)
}
