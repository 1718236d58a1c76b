//! `/internal/content`: everything about one content, with an API key.

use actix_web::{HttpRequest, HttpResponse, web};
use pict_rs_core::repo::{FramePdq, ListedVariant};
use pict_rs_core::service::inspect::{Inspected, inspect};
use pict_rs_core::service::target::Unknown;
use pict_rs_core::{Alias, Context};
use serde_json::{Value, json};

use super::error::Result;
use super::{perceptual, target, view};

/// `GET /internal/content?alias=` or `?proxy=`
pub async fn content(ctx: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse> {
    let target = target::plain(request.query_string())?;
    let inspect = async |alias: &Alias| inspect(&ctx, alias).await;
    let found = target.with_alias(&ctx, Unknown::Refuse, inspect).await?;
    Ok(HttpResponse::Ok().json(json!({ "msg": "ok", "content": in_json(&found) })))
}

fn in_json(found: &Inspected) -> Value {
    let stored = &found.original.representation;
    let aliases = found.aliases.iter().map(|alias| {
        let owner = found.owners.iter().find(|(owned, _)| owned == alias);
        json!({ "alias": alias.as_str(), "owner": owner.map(|(_, owner)| owner.as_str()) })
    });
    let pdq = found.pdq.as_ref();
    let frame = |frame: &FramePdq| json!({ "hash": frame.hash, "quality": frame.quality });
    let pdq = pdq.and_then(|pdq| {
        let frames = pdq.frames.as_ref();
        let frames = frames.map(|frames| frames.iter().map(frame).collect::<Vec<_>>());
        Some(json!({ "hash": pdq.hash?, "quality": pdq.quality, "frames": frames }))
    });
    let uses_since = Some(found.uses_since).filter(|since| *since > 0);
    json!({
        "hex": stored.key.to_hex(),
        "size": stored.key.size(),
        "identifier": stored.object.as_str(),
        "details": view::Details::new(&found.original, stored),
        "aliases": aliases.collect::<Vec<_>>(),
        "urls": found.urls,
        "pdq": pdq,
        "used_at": found.used_at.map(view::rfc3339),
        "uses_since": uses_since.map(view::rfc3339),
        "quarantined": found.quarantined.as_ref().map(perceptual::quarantined_json),
        "variants": found.variants.iter().map(variant_in_json).collect::<Vec<_>>(),
    })
}

fn variant_in_json(variant: &ListedVariant) -> Value {
    let made = &variant.made;
    json!({
        "variant": variant.name,
        "content_type": made.key.format().mime(),
        "width": made.width,
        "height": made.height,
        "size": made.key.size(),
        "created_at": view::rfc3339(made.created_at),
        "used_at": view::rfc3339(variant.used_at),
    })
}
