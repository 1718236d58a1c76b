//! `/admin`: what is stored, what runs, and what is wrong.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use pict_rs_core::Context;
use pict_rs_core::repo::{OutboxTarget, Total, Usage};
use pict_rs_core::service::growth as growth_of;
use pict_rs_core::service::health::{self, Health, Part};
use pict_rs_core::service::{budget, collect};

use super::session::Session;
use super::{counted, growth, shown, size, time};
use crate::http::error::{Result, with_cause};
use crate::programs;

const MIB: u64 = 1024 * 1024;

/// `GET /admin`
pub async fn overview(
    ctx: web::Data<Context>,
    session: web::ReqData<Session>,
) -> Result<HttpResponse> {
    let health = health::deep(&ctx).await;
    // A database that fails is told above.
    let usage = collect::usage(&ctx).await.ok();
    let disk = budget::figures(&ctx).await.ok().flatten();
    let grown = growth_of::report(&ctx).await.ok();
    let content = html! {
        h1 { "Overview" }
        (state(&ctx, &health))
        @if let Some(usage) = &usage {
            h2 { "Stored" }
            (stored(&ctx, usage, &health))
            @if let Some(figures) = &disk { (growth::used(figures)) }
        }
        @if let Some(grown) = &grown {
            h2 { "Growth" }
            (growth::growth(grown, disk.as_ref()))
        }
        h2 { "At work" }
        (work(&ctx, &health, usage.as_ref()))
        @if let Some(nodes) = health.nodes.as_ref().filter(|nodes| !nodes.is_empty()) {
            h2 { "Servers" }
            table {
                thead { tr { th { "Host" } th { "Version" } th.number { "Silent for" } } }
                tbody {
                    @for node in nodes {
                        tr {
                            td { (node.host) @if node.is_this { " (this one)" } }
                            td { (node.version) }
                            td.number { (node.silent_for.as_secs()) " s" }
                        }
                    }
                }
            }
        }
    };
    Ok(shown(&session, "/admin", "Overview", &content))
}

fn state(ctx: &Context, health: &Health) -> Markup {
    let parts = [("Database", &health.repo), ("Files", &health.store)];
    let broken = parts.iter().filter_map(|(name, part)| {
        let error = part.written.as_ref().err()?;
        Some((name, with_cause(error)))
    });
    let broken: Vec<_> = broken.collect();
    html! {
        @for (name, why) in &broken {
            p.state.bad role="alert" { (name) ": " (why) }
        }
        @for (target, status) in &health.deliveries {
            @if let Some(error) = &status.error {
                p.state.bad role="alert" {
                    @match target {
                        OutboxTarget::Events => "The receiver of events does not confirm",
                        OutboxTarget::Caches => "A cache does not confirm that it dropped removed media",
                    }
                    ", " (status.waiting) " waiting: " (error)
                }
            }
        }
        @if broken.is_empty() {
            p.state.good role="status" {
                @if ctx.config.server.read_only { "It works, and is read-only." } @else { "It works." }
                " Version " (env!("CARGO_PKG_VERSION")) "."
            }
        }
    }
}

fn stored(ctx: &Context, usage: &Usage, health: &Health) -> Markup {
    let retention = &ctx.config.media.retention;
    // Contents that only proxied URLs name are among the originals.
    let uploads = Total {
        count: usage.originals.count.saturating_sub(usage.proxied.count),
        bytes: usage.originals.bytes.saturating_sub(usage.proxied.bytes),
        ..usage.originals
    };
    let budget = |size: Option<u64>| size.map(|mib| mib.saturating_mul(MIB));
    let rows = [
        ("uploads", "Uploads", uploads, None, None),
        (
            "variants",
            "Variants",
            usage.variants,
            budget(retention.variants_size),
            usage.oldest_variant,
        ),
        (
            "proxied",
            "Of other servers",
            usage.proxied,
            budget(retention.proxy_size),
            usage.oldest_proxied,
        ),
    ];
    let space = health.store.space;
    html! {
        @if let Some(space) = space {
            (bar(&rows.map(|(class, name, total, ..)| (class, name, total.bytes)), space))
        }
        table {
            thead {
                tr { th { "What" } th.number { "Files" } th.number { "Size" } th.number { "Limit" } th { "Oldest use" } }
            }
            tbody {
                @for (class, name, total, budget, oldest) in rows {
                    tr {
                        td { span.key.(class) {} (name) }
                        td.number { (total.count) }
                        td.number { (size(total.bytes)) }
                        td.number { @match budget { Some(budget) => (size(budget)), None => "–" } }
                        td { @match oldest { Some(oldest) => (time(oldest)), None => "–" } }
                    }
                }
            }
        }
        p { (counted(usage.aliases, "alias", "aliases")) ", " (counted(usage.originals.count, "content", "contents")) "." }
        @if let Some(space) = space {
            p { (size(space.free)) " of " (size(space.total)) " are free on the disk of the files." }
        } @else {
            p { "The files are in a bucket." }
        }
    }
}

/// The disk, with what is ours of it.
fn bar(parts: &[(&str, &str, u64)], space: health::Space) -> Markup {
    let total = (space.total as f64).max(1.0);
    let ours: u64 = parts.iter().map(|(.., bytes)| bytes).sum();
    let others = space.total.saturating_sub(space.free).saturating_sub(ours);
    let mut at = 0.0;
    let all = parts
        .iter()
        .map(|(class, name, bytes)| (*class, *name, *bytes));
    let all = all.chain([("others", "other files", others)]);
    let pieces: Vec<_> = all
        .map(|(class, name, bytes)| {
            let width = bytes as f64 / total * 1000.0;
            let piece = (class, at, width, format!("{name}: {}", size(bytes)));
            at += width;
            piece
        })
        .collect();
    let label = pieces.iter().map(|(.., text)| text.as_str());
    let label = format!(
        "The disk. {}, free: {}",
        label.collect::<Vec<_>>().join(", "),
        size(space.free)
    );
    html! {
        svg.disk viewBox="0 0 1000 24" preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (class, at, width, text) in &pieces {
                rect.(class) x=(format!("{at:.2}")) y="0" width=(format!("{width:.2}")) height="24" {
                    title { (text) }
                }
            }
        }
    }
}

fn work(ctx: &Context, health: &Health, usage: Option<&Usage>) -> Markup {
    let media = &health.media;
    let (found, missing) = programs::look(&ctx.helpers);
    let list = |names: &[&str]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let took = |part: &Part| format!("{:.1} ms", part.took.as_secs_f64() * 1000.0);
    html! {
        table {
            tbody {
                tr { th scope="row" { "Decoders and encoders" }
                    td { (media.running) " of " (media.slots) " running, " (media.waiting) " waiting, "
                         (size(media.memory)) " of " (size(media.memory_limit)) " reserved" } }
                @if let Some(jobs) = health.jobs {
                    tr { th scope="row" { "Background jobs" } td { (jobs) " waiting or running" } }
                }
                @if let Some(usage) = usage {
                    tr { th scope="row" { "Backgrounded uploads" }
                        td { (usage.waiting) " waiting, " (usage.unclaimed) " not claimed" } }
                    tr { th scope="row" { "Files to remove" } td { (usage.garbage) } }
                }
                tr { th scope="row" { "A write to the database" } td { (took(&health.repo)) } }
                tr { th scope="row" { "A write to the files" } td { (took(&health.store)) } }
                tr { th scope="row" { "Optional programs" }
                    td { "found: " (list(&found)) "; missing: " (list(&missing)) } }
            }
        }
    }
}
