//! `/admin/owners`: for whom applications have uploaded, and how much.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::repo::{OwnerUsage, Refused};
use pict_rs_core::service::{find, owner};
use pict_rs_core::{Context, ErrorCode, Owner};
use serde::Deserialize;

use super::media::tile;
use super::session::Session;
use super::{action, counted, page_of, page_of_owner, see, shown, size};
use crate::http::error::Result;
use crate::http::page::encoded;
use crate::http::pages::Query;
use crate::http::{cause, owners};

/// Aliases on a page.
const ON_A_PAGE: u32 = 60;
const PATH: &str = "/admin/owners";

/// `GET /admin/owners?after=`, or `?owner=&before=` for what one of them has
pub async fn list(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let query = Query(request.query_string());
    if let Some(owner) = query.find("owner") {
        return of_one(&ctx, &session, &query, &Owner::parse(owner)?).await;
    }
    let after = query.find("after").map(Owner::parse).transpose()?;
    let (all, next) = owner::owners(&ctx, after.as_ref(), None).await?;
    let quota = owner::quota(&ctx);
    let content = html! {
        h1 { "Owners" }
        p { "An application with an API key says with " code { "owner=" } " for whom it uploads." }
        @if all.is_empty() { p { "No upload has an owner." } }
        @else {
            table {
                thead { tr { th { "Owner" } th.number { "Aliases" } th.number { "Bytes" } @if quota.is_some() { th { "Of the quota" } } } }
                tbody {
                    @for (owner, usage) in &all {
                        tr {
                            td.long { a href=(page_of_owner(owner)) { bdi { (owner.as_str()) } } }
                            td.number { (usage.aliases) }
                            td.number { (size(usage.bytes)) }
                            @if let Some(quota) = quota { td { (share(owner, usage, quota)) } }
                        }
                    }
                }
            }
        }
        @if let Some(next) = next {
            p.pages { a rel="next" href=(format!("{PATH}?after={}", encoded(next.as_str()))) { "More" } }
        }
    };
    Ok(shown(&session, PATH, "Owners", &content))
}

fn share(owner: &Owner, usage: &OwnerUsage, quota: u64) -> Markup {
    html! {
        progress aria-label=(format!("What {owner} has of the quota")) max=(quota.max(1)) value=(usage.bytes.min(quota)) {}
    }
}

async fn of_one(
    ctx: &Context,
    session: &Session,
    query: &Query<'_>,
    owner: &Owner,
) -> Result<HttpResponse> {
    let after = owners::after(query)?;
    let (aliases, next) = owner::owned(ctx, owner, after.as_ref(), Some(ON_A_PAGE)).await?;
    let usage = ctx.repo.usage_of_owner(owner).await?;
    let mut tiles = Vec::with_capacity(aliases.len());
    for one in aliases {
        match find::original(ctx, &one.alias).await {
            Ok(original) => tiles.push((one.alias, Some(original))),
            // It is in quarantine, or its file is lost.
            Err(error)
                if matches!(error.code(), ErrorCode::AliasNotFound | ErrorCode::LostFile) =>
            {
                tiles.push((one.alias, None));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let content = html! {
        h1 { bdi { (owner.as_str()) } }
        p {
            (counted(usage.aliases, "alias", "aliases")) ", " (size(usage.bytes))
            @if let Some(quota) = owner::quota(ctx) { " of " (size(quota)) (share(owner, &usage, quota)) }
        }
        @if tiles.is_empty() { p { "Nothing belongs to this owner." } }
        ul.grid {
            @for (alias, original) in &tiles {
                li {
                    @match original {
                        Some(original) => (tile(original, alias)),
                        None => { a href=(page_of(alias)) { "Not shown: in quarantine, or lost" } }
                    }
                }
            }
        }
        @if let Some(next) = next {
            @let next = owners::cursor(&next);
            p.pages { a rel="next" href=(format!("{}&before={}", page_of_owner(owner), encoded(&next))) { "Older" } }
        }
        @if usage.aliases > 0 {
            h2 { "Remove" }
            details {
                summary { "Purge everything of this owner" }
                p { "Removes " (counted(usage.aliases, "alias", "aliases")) ". Contents stay where others have uploaded "
                    "them too, unless they are refused from now on." }
                form method="post" action=(action("/admin/purge-owner", session)) {
                    input type="hidden" name="owner" value=(owner.as_str());
                    label for="purge-reason" { "Reason, for the log" }
                    input #purge-reason name="reason" maxlength="1000";
                    label.check { input type="checkbox" name="block" value="true"; " and refuse it from now on" }
                    button { "Purge" }
                }
            }
        }
    };
    Ok(shown(session, PATH, owner.as_str(), &content))
}

/// What the form sends.
#[derive(Deserialize)]
pub struct PurgeOfOwner {
    owner: String,
    #[serde(default)]
    reason: String,
    block: Option<String>,
}

/// `POST /admin/purge-owner`
pub async fn purge(
    ctx: web::Data<Context>,
    request: HttpRequest,
    form: web::Form<PurgeOfOwner>,
) -> Result<HttpResponse> {
    let reason = Some(form.reason.clone()).filter(|reason| !reason.is_empty());
    let refused = match form.block {
        Some(_) => Refused::Same,
        None => Refused::Nothing,
    };
    let owner = Owner::parse(form.owner.as_str())?;
    owner::purge(&ctx, &owner, refused, &cause::given(&request, reason)?).await?;
    Ok(see(PATH))
}
