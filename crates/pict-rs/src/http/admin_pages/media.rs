//! `/admin/media`: all contents as a grid, newest first, and each with what belongs to it.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::query::ProcessRequest;
use pict_rs_core::repo::audit::Cause;
use pict_rs_core::repo::{Original, Refused};
use pict_rs_core::service::inspect::{Inspected, inspect};
use pict_rs_core::service::target::{Target, Unknown};
use pict_rs_core::service::{find, hashes, remove};
use pict_rs_core::{Alias, ContentKey, Context, Digest, Error, SourceUrl};
use pict_rs_media::Kind;
use serde::Deserialize;

use super::session::Session;
use super::{
    action, choice, counted, kept, page_of, page_of_owner, quarantine, see, shown, size, time,
};
use crate::http::error::Result;
use crate::http::page::encoded;
use crate::http::pages::{self, Query};
use crate::http::{cause, index, target, view};

/// Contents on a page.
const ON_A_PAGE: u32 = 60;
/// The side of a square in the grid, in pixels of a screen with two for each.
const THUMBNAIL: u32 = 320;
/// Extensions of the pictures in the grid.
const OF_STILLS: &str = "webp";
const OF_ANIMATIONS: &str = "jpg";
const PATH: &str = "/admin/media";

/// `GET /admin/media?slug=` or `?find=`
pub async fn grid(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let wanted = target::find(request.query_string(), "find");
    let wanted = wanted
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    if let Some(wanted) = wanted {
        if let Some(digest) = digest(wanted) {
            let aliases = find::aliases_of_digest(&ctx, &digest).await?;
            let alias = aliases.first().ok_or_else(Error::alias_not_found)?;
            return Ok(see(&page_of(alias)));
        }
        let named = async |alias: &Alias| {
            find::content(&ctx, alias).await?;
            Ok(alias.clone())
        };
        let target = named_by(wanted)?;
        let found = target.with_alias(&ctx, Unknown::Refuse, named).await?;
        return Ok(see(&page_of(&found)));
    }
    let query = Query(request.query_string());
    let first = query.find("slug");
    let first = first.and_then(|slug| ContentKey::from_slug(&slug));
    let (first, limit) = (first.as_ref(), Some(ON_A_PAGE));
    let filter = pages::filter(&query)?;
    let time = query.until("until")?;
    let (_, page) = match &filter {
        None => hashes::page(&ctx, first, time, limit).await?,
        Some(filter) => hashes::filtered(&ctx, filter, first, time, limit).await?,
    };
    let allowed = &ctx.config.media.filters.0;
    let [still, moving] = [OF_STILLS, OF_ANIMATIONS]
        .map(|extension| ProcessRequest::parse(extension, &operations(), allowed));
    if let Err(error) = hashes::preload(&ctx, &page, [&still?.key, &moving?.key]).await {
        // It only saves statements.
        tracing::warn!(%error, "pictures of the grid are looked up one by one");
    }
    let kept = kept(&query, names());
    let link = |key: &ContentKey| format!("{PATH}?{kept}slug={}", key.to_slug());
    let content = html! {
        h1 { "Media" }
        form method="get" action=(PATH) role="search" {
            label for="find" { "Alias, address, SHA-256, or URL of a picture of another server" }
            input #find type="search" name="find" required;
            button { "Find" }
        }
        (filters(&query))
        @if page.contents.is_empty() {
            p {
                @match (kept.is_empty(), page.next.is_some()) {
                    (true, _) => "Nothing is stored yet.",
                    (false, false) => "Nothing more is like that.",
                    (false, true) => "Nothing among the next 10,000 is like that. There are older ones.",
                }
            }
        }
        ul.grid {
            @for (original, aliases) in &page.contents {
                @if let Some(alias) = aliases.first() { li { (tile(original, alias)) } }
            }
        }
        p.pages {
            @if let Some(prev) = &page.prev { a rel="prev" href=(link(prev)) { "Newer" } " " }
            @if let Some(next) = &page.next { a rel="next" href=(link(next)) { "Older" } }
        }
    };
    Ok(shown(&session, PATH, "Media", &content))
}

/// The names of what the grid is filtered by, with the values to choose from.
const CHOICES: [(&str, &str, &[&str]); 4] = [
    ("kind", "Kind", &["image", "animation", "video"]),
    (
        "format",
        "Format",
        &[
            "jpeg", "png", "webp", "gif", "avif", "jxl", "apng", "mp4", "webm",
        ],
    ),
    ("origin", "From", &["uploaded", "proxied"]),
    ("last_used", "Last used", &["never", "30d", "90d", "1y"]),
];

/// The names of all that the grid is filtered by.
fn names() -> impl Iterator<Item = &'static str> {
    let names = CHOICES.iter().map(|(name, ..)| *name);
    names.chain(["min_bytes", "max_bytes", "until"])
}

fn filters(query: &Query<'_>) -> Markup {
    html! {
        details open[!kept(query, names()).is_empty()] {
            summary { "Filter" }
            form.filters method="get" action=(PATH) {
                @for (name, label, values) in CHOICES {
                    (choice(query, name, label, values))
                }
                @for (name, label) in [("min_bytes", "Bytes, at least"), ("max_bytes", "Bytes, at most")] {
                    div {
                        label for=(name) { (label) }
                        input #(name) name=(name) type="number" min="0" value=[query.find(name)];
                    }
                }
                div {
                    label for="until" { "Stored until" }
                    input #until name="until" type="date" value=[query.find("until")];
                }
                button { "Show" }
            }
        }
    }
}

/// A SHA-256, which no alias of ours looks like.
fn digest(text: &str) -> Option<Digest> {
    let is_one =
        text.len() >= 2 * Digest::BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    Digest::parse(text).ok().filter(|_| is_one)
}

/// What else a person may paste: an alias, the address of a picture here, or that of a proxied one.
fn named_by(text: &str) -> Result<Target> {
    let path = text.split_once("/image/original/").map(|(_, alias)| alias);
    if let Some(alias) = path {
        let alias = percent_encoding::percent_decode_str(alias).decode_utf8_lossy();
        return Ok(Target::Alias(Alias::parse(alias.into_owned())?));
    }
    if let Some((_, asked)) = text.split_once('?')
        && text.contains("/image/")
    {
        return Ok(target::of_process(asked)?.0);
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(Target::Proxy(SourceUrl::parse(text)?));
    }
    Ok(Target::Alias(Alias::parse(text)?))
}

pub fn tile(original: &Original, alias: &Alias) -> Markup {
    let shown = &original.representation;
    let about = format!(
        "{} × {}, {}, {}",
        shown.width,
        shown.height,
        shown.key.format().extension(),
        size(shown.key.size())
    );
    html! {
        a href=(page_of(alias)) {
            (thumbnail(original, alias))
            span { (about) }
        }
    }
}

/// A picture in the grid. Of an animation it is the first frame, and a clip is shown as it is.
fn thumbnail(original: &Original, alias: &Alias) -> Markup {
    let alias = encoded(alias.as_str());
    let extension = match original.representation.kind() {
        Kind::Image => OF_STILLS,
        Kind::Animation => OF_ANIMATIONS,
        Kind::Video => {
            let address = format!("/admin/original/{alias}");
            return html! { video src=(address) preload="metadata" muted {} };
        }
    };
    let address = format!("/admin/process.{extension}?src={alias}&{}", operations());
    html! { img src=(address) loading="lazy" width="160" height="160" alt=""; }
}

/// What makes a picture of the grid.
fn operations() -> String {
    format!("thumbnail={THUMBNAIL}")
}

/// `GET /admin/media/{alias}`
pub async fn picture(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
    request: HttpRequest,
    alias: web::Path<String>,
) -> Result<HttpResponse> {
    let alias = Alias::parse(alias.into_inner())?;
    let found = inspect(&ctx, &alias).await?;
    let content = html! {
        h1 { (alias.as_str()) }
        @if let Some(quarantined) = &found.quarantined {
            p.state.bad role="status" { "In quarantine. " (quarantine::why(quarantined)) }
            (quarantine::picture_of(&found.original, &alias))
            (quarantine::decision(&session, &alias))
        } @else {
            (preview(&found, &alias))
        }
        (facts(&found))
        @if found.original.representation.kind() == Kind::Image && found.quarantined.is_none() {
            details {
                summary { "For a page" }
                pre tabindex="0" {
                    code { (index::srcset(&index::public_address(&ctx, &request), &alias, &found.original.representation)) }
                }
            }
        }
        p { a href=(format!("/admin/similar?alias={}", encoded(alias.as_str()))) { "Similar pictures" } }
        h2 { "Aliases" }
        ul {
            @for one in &found.aliases {
                li.long {
                    a href=(format!("/admin/original/{}", encoded(one.as_str()))) { (one.as_str()) }
                    @if let Some((_, owner)) = found.owners.iter().find(|(alias, _)| alias == one) {
                        " of " a href=(page_of_owner(owner)) { bdi { (owner.as_str()) } }
                    }
                }
            }
        }
        @if !found.urls.is_empty() {
            h2 { "Fetched from" }
            ul { @for url in &found.urls { li.long { (url) } } }
        }
        h2 { "Variants" }
        (variants(&found))
        h2 { "Remove" }
        (removal(&session, &alias, &found))
    };
    Ok(shown(&session, "", alias.as_str(), &content))
}

fn preview(found: &Inspected, alias: &Alias) -> Markup {
    let shown = &found.original.representation;
    let address = format!("/admin/original/{}", encoded(alias.as_str()));
    html! {
        @match shown.kind() {
            Kind::Video => { video controls src=(address) {} }
            Kind::Image | Kind::Animation => {
                img.preview src=(address) width=(shown.width) height=(shown.height) alt="The original";
            }
        }
    }
}

fn facts(found: &Inspected) -> Markup {
    let shown = &found.original.representation;
    html! {
        table {
            tbody {
                tr { th scope="row" { "Size" }
                    td { (shown.width) " × " (shown.height) " pixels, " (size(shown.key.size())) } }
                tr { th scope="row" { "Format" } td { (shown.key.format().extension()) } }
                @if shown.frames > 1 {
                    tr { th scope="row" { "Frames" } td { (shown.frames) } }
                }
                @if let Some(ms) = shown.duration_ms.filter(|ms| *ms > 0) {
                    tr { th scope="row" { "Duration" } td { (format!("{:.1} s", ms as f64 / 1000.0)) } }
                }
                tr { th scope="row" { "Stored" } td { (time(shown.created_at)) " UTC" } }
                tr { th scope="row" { "Last used" } td { (used(found)) } }
                tr { th scope="row" { "Digest" } td { code { (shown.key.digest().to_hex()) } } }
                @if let Some(colour) = found.original.hints.colour {
                    @let colour = view::hex_colour(colour);
                    tr { th scope="row" { "Colour" }
                        td {
                            svg.key viewBox="0 0 1 1" aria-hidden="true" { rect width="1" height="1" fill=(colour) {} }
                            code { (colour) }
                        }
                    }
                }
                @if let Some(hash) = found.pdq.as_ref().and_then(|pdq| pdq.hash) {
                    tr { th scope="row" { "PDQ hash" } td { code { (hash.to_string()) } } }
                }
                tr { th scope="row" { "Object" } td { code { (shown.object.as_str()) } } }
            }
        }
    }
}

/// When a client was last served it.
fn used(found: &Inspected) -> Markup {
    let stored_at = found.original.representation.created_at;
    html! {
        @match found.used_at {
            Some(used_at) => { "On " (day(used_at)) " or the day after" }
            None if stored_at < found.uses_since => {
                "Not since " (day(found.uses_since)) ", when recording began"
            }
            None => "Never",
        }
    }
}

/// A day of UTC.
fn day(unix_ms: i64) -> String {
    let mut text = time(unix_ms);
    text.truncate("2026-12-01".len());
    text
}

fn variants(found: &Inspected) -> Markup {
    if found.variants.is_empty() {
        return html! { p { "There is none." } };
    }
    html! {
        table {
            thead { tr { th { "Operations" } th.number { "Pixels" } th.number { "Size" } th { "Made, last used" } } }
            tbody {
                @for variant in &found.variants {
                    @let made = &variant.made;
                    tr {
                        td { code { (variant.name) } }
                        td.number { (made.width) " × " (made.height) }
                        td.number { (size(made.key.size())) }
                        td { span.day { (day(made.created_at)) } " " span.day { (day(variant.used_at)) } }
                    }
                }
            }
        }
    }
}

/// Each form is behind a click, so that nothing is removed by a slip.
fn removal(session: &Session, alias: &Alias, found: &Inspected) -> Markup {
    let aliases = found.aliases.len();
    let reason = |id: &str| {
        html! {
            label for=(id) { "Reason, for the log" }
            input #(id) name="reason" maxlength="1000";
        }
    };
    html! {
        details {
            summary { "Delete this alias" }
            p { @if aliases > 1 { "The content stays for its other aliases." }
                @else { "It is the only one, so the content goes with it." } }
            form method="post" action=(action("/admin/delete", session)) {
                input type="hidden" name="alias" value=(alias.as_str());
                (reason("delete-reason"))
                button { "Delete" }
            }
        }
        @if found.quarantined.is_none() { details {
            summary { "Put it into quarantine" }
            p { "Only administrators see it until it is released." }
            form method="post" action=(action("/admin/quarantine", session)) {
                input type="hidden" name="alias" value=(alias.as_str());
                (reason("quarantine-reason"))
                button { "Put into quarantine" }
            }
        } }
        details {
            summary { "Purge the content" }
            p { "Removes it with " (counted(aliases as u64, "alias", "aliases")) " and all its variants." }
            form method="post" action=(action("/admin/purge", session)) {
                input type="hidden" name="alias" value=(alias.as_str());
                (reason("purge-reason"))
                label.check { input type="checkbox" name="block" value="true"; " and refuse it from now on" }
                label.check { input type="checkbox" name="near" value="true"; " and what looks like it" }
                button { "Purge" }
            }
        }
    }
}

/// What the forms send.
#[derive(Deserialize)]
pub struct Removal {
    alias: String,
    #[serde(default)]
    reason: String,
    block: Option<String>,
    near: Option<String>,
}

impl Removal {
    /// What is removed, by which request and why.
    fn of(&self, request: &HttpRequest) -> Result<(Target, Cause)> {
        let target = Target::Alias(Alias::parse(self.alias.as_str())?);
        let reason = Some(self.reason.clone()).filter(|reason| !reason.is_empty());
        Ok((target, cause::given(request, reason)?))
    }
}

/// `POST /admin/delete`
pub async fn delete(
    ctx: web::Data<Context>,
    request: HttpRequest,
    form: web::Form<Removal>,
) -> Result<HttpResponse> {
    let (target, cause) = form.of(&request)?;
    let delete = async |alias: &Alias| remove::alias(&ctx, alias, cause.clone()).await;
    target.with_alias(&ctx, Unknown::Refuse, delete).await?;
    Ok(see(PATH))
}

/// `POST /admin/purge`
pub async fn purge(
    ctx: web::Data<Context>,
    request: HttpRequest,
    form: web::Form<Removal>,
) -> Result<HttpResponse> {
    let (target, cause) = form.of(&request)?;
    let refused = match (&form.block, &form.near) {
        (_, Some(_)) => Refused::Similar,
        (Some(_), None) => Refused::Same,
        (None, None) => Refused::Nothing,
    };
    let purge = async |alias: &Alias| remove::purge(&ctx, alias, refused, cause.clone()).await;
    target.with_alias(&ctx, Unknown::Refuse, purge).await?;
    Ok(see(PATH))
}
