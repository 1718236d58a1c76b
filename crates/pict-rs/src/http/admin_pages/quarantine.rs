//! `/admin/quarantine`: what only administrators see, until they release or purge it.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::repo::{Original, Quarantined};
use pict_rs_core::service::quarantine;
use pict_rs_core::service::target::{Target, Unknown};
use pict_rs_core::{Alias, Context};
use pict_rs_media::operation::ResizeTo;
use serde::Deserialize;

use super::session::Session;
use super::{action, page_of, see, shown, size, time};
use crate::http::error::Result;
use crate::http::page::encoded;
use crate::http::pages::Query;
use crate::http::{cause, perceptual, target};

const PATH: &str = "/admin/quarantine";
/// The longest side of a picture, in pixels.
const SIDE: u32 = 640;

/// `GET /admin/quarantine?before=`
pub async fn quarantined(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let after = perceptual::after(&Query(request.query_string()), "before")?;
    let (found, next) = quarantine::page(&ctx, after, None).await?;
    let content = html! {
        h1 { "Quarantine" }
        p { "Only administrators see these. Clients are told that they do not exist." }
        @if found.is_empty() { p { "Nothing is in quarantine." } }
        @for one in &found {
            @if let Some(alias) = one.aliases.first() { (case(&session, one, alias)) }
        }
        @if let Some(next) = next {
            p.pages { a rel="next" href=(format!("{PATH}?before={}", perceptual::cursor(next))) { "Older" } }
        }
    };
    Ok(shown(&session, PATH, "Quarantine", &content))
}

fn case(session: &Session, found: &Quarantined, alias: &Alias) -> Markup {
    let stored = &found.original.representation;
    html! {
        article.case {
            a href=(page_of(alias)) { (picture_of(&found.original, alias)) }
            div {
                h2.long { (alias.as_str()) }
                p {
                    (stored.width) " × " (stored.height) ", " (stored.key.format().extension()) ", "
                    (size(stored.key.size())) ", since " (time(found.created_at)) " UTC"
                }
                p { (why(found)) }
                (decision(session, alias))
            }
        }
    }
}

/// What a content in quarantine looks like.
pub fn picture_of(original: &Original, alias: &Alias) -> Markup {
    let stored = &original.representation;
    let address = format!("{PATH}/picture?alias={}", encoded(alias.as_str()));
    let (width, height) = ResizeTo::Fit(SIDE).size(stored.width, stored.height);
    html! {
        img.preview src=(address) width=(width) height=(height) loading="lazy" alt="What is in quarantine";
    }
}

/// Why a content is in quarantine.
pub fn why(found: &Quarantined) -> Markup {
    html! {
        @match &found.matched {
            Some((list, pdq, distance)) => {
                "It differs in " (distance) " of 256 bits from "
                code.long { (pdq.to_string()) } " on the list " (list_name(list)) "."
            }
            None => "An administrator put it here.",
        }
        @if let Some(reason) = &found.reason { " Reason: " (reason) }
    }
}

/// A list for people.
pub fn list_name(list: &str) -> &str {
    match list {
        "" => "of administrators",
        list => list,
    }
}

/// The forms that end a quarantine.
pub fn decision(session: &Session, alias: &Alias) -> Markup {
    html! {
        form method="post" action=(action("/admin/release", session)) {
            input type="hidden" name="alias" value=(alias.as_str());
            button { "Release" }
        }
        form method="post" action=(action("/admin/purge", session)) {
            input type="hidden" name="alias" value=(alias.as_str());
            input type="hidden" name="block" value="true";
            button { "Purge and refuse" }
        }
    }
}

/// `GET /admin/quarantine/picture?alias=`
pub async fn picture(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let alias = target::find(request.query_string(), "alias").unwrap_or_default();
    let bytes = quarantine::thumbnail(&ctx, &Alias::parse(alias)?, SIDE).await?;
    let mut answer = HttpResponse::Ok();
    // Nothing keeps a copy.
    answer.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    Ok(answer.content_type("image/webp").body(bytes))
}

/// What the forms send.
#[derive(Deserialize)]
pub struct Named {
    alias: String,
    #[serde(default)]
    reason: String,
}

/// `POST /admin/quarantine`
pub async fn begin(
    ctx: web::Data<Context>,
    request: HttpRequest,
    form: web::Form<Named>,
) -> Result<HttpResponse> {
    let reason = Some(form.reason.clone()).filter(|reason| !reason.is_empty());
    let cause = cause::given(&request, reason)?;
    let target = Target::Alias(Alias::parse(form.alias.as_str())?);
    let begin = async |alias: &Alias| quarantine::begin(&ctx, alias, cause.clone()).await;
    target.with_alias(&ctx, Unknown::Refuse, begin).await?;
    Ok(see(PATH))
}

/// `POST /admin/release`
pub async fn release(
    ctx: web::Data<Context>,
    request: HttpRequest,
    form: web::Form<Named>,
) -> Result<HttpResponse> {
    let alias = Alias::parse(form.alias.as_str())?;
    quarantine::release(&ctx, &alias, &cause::given(&request, None)?).await?;
    Ok(see(PATH))
}
