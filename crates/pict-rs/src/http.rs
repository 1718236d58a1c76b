//! The HTTP side: the route table, and what all routes share. The work behind a route is a function
//! of `pict_rs_core::service`.

mod about;
mod admin;
mod admin_pages;
mod audit;
mod background;
mod body;
mod cause;
mod conditional;
mod content;
mod cors;
mod deadline;
mod details;
mod download;
mod error;
mod fallback;
mod form;
mod health;
mod image;
mod index;
mod internal;
mod jobs;
mod limits;
mod listen;
pub mod metrics;
mod openapi;
mod owners;
mod page;
mod pages;
mod perceptual;
mod placeholder;
mod process;
mod request;
mod request_id;
mod requested_variant;
mod storage;
mod target;
mod timing;
pub mod tls;
#[cfg(feature = "otlp")]
mod trace;
mod view;
mod who;

use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, FromRequest, Handler, HttpRequest, Resource, Responder, Route, web};
use futures_util::future::try_join_all;
use metrics_exporter_prometheus::PrometheusHandle;
use pict_rs_core::Context;
use pict_rs_core::worker::Worker;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::listen::Listener;
use crate::load::Origins;

/// The route table. Unsupported methods of a path are answered with 405 and `Allow`.
fn routes(app: &mut web::ServiceConfig) {
    let get_or_head = "GET, HEAD";
    // Before the scope, which would also match the path.
    app.service(resource("/image", "POST", [web::post().to(image::upload)]));
    app.service(
        web::scope("/image")
            .service(reading("/original/{alias:.+}", image::by_path))
            .service(reading("/original", image::by_query))
            .service(resource(
                "/process.{extension}",
                get_or_head,
                [web::get().to(process::get), web::head().to(process::head)],
            ))
            .service(reading("/details/original/{alias:.+}", details::by_path))
            .service(reading("/details/original", details::by_query))
            .service(reading("/details/process.{extension}", details::of_variant))
            .service(reading("/blurhash", details::blurhash))
            .service(reading("/limits", limits::public))
            .service(resource(
                "/backgrounded",
                "POST",
                [web::post().to(background::upload)],
            ))
            // These three change data, so HEAD is refused.
            .service(resource("/download", "GET", [web::get().to(download::get)]))
            .service(resource(
                "/backgrounded/claim",
                "GET",
                [web::get().to(background::claim)],
            ))
            .service(resource(
                "/process_backgrounded.{extension}",
                "GET",
                [web::get().to(background::process)],
            ))
            .service(resource(
                "/delete/{token}/{alias:.+}",
                "DELETE, GET",
                [
                    web::delete().to(image::delete),
                    web::get().to(image::delete),
                ],
            )),
    )
    .service(resource(
        "/",
        // POST is there only with server.public_upload.
        get_or_head,
        [
            web::get().to(index::get),
            web::head().to(index::get),
            web::post().to(index::upload),
        ],
    ))
    .service(reading("/healthz", health::live))
    .service(reading("/readyz", health::ready))
    .service(reading("/openapi.json", openapi::serve))
    .service(
        web::scope("/internal")
            .app_data(metrics::Route::named("/internal"))
            .wrap(from_fn(internal::require_api_key))
            .service(resource(
                "/import",
                "POST",
                [web::post().to(internal::import)],
            ))
            .service(reading("/hashes", pages::hashes))
            .service(reading("/content", content::content))
            .service(resource(
                "/variants",
                "DELETE",
                [web::delete().to(admin::drop_variants)],
            ))
            .service(resource(
                "/set_not_found",
                "POST",
                [web::post().to(admin::set_not_found)],
            ))
            .service(resource(
                "/prune_missing",
                "POST",
                [web::post().to(admin::prune_missing)],
            ))
            .service(resource("/export", "POST", [web::post().to(admin::export)]))
            .service(reading("/limits", limits::internal))
            .service(reading("/health", health::deep))
            .service(reading("/audit", audit::list))
            .service(resource(
                "/blocklist",
                "GET, HEAD, POST, DELETE",
                [
                    web::get().to(pages::blocklist),
                    web::head().to(pages::blocklist),
                    web::post().to(admin::block),
                    web::delete().to(admin::unblock),
                ],
            ))
            .service(reading("/pdq", perceptual::overview))
            .service(resource(
                "/pdq/scan",
                "POST",
                [web::post().to(perceptual::scan)],
            ))
            .service(resource(
                "/pdq/list",
                "GET, HEAD, POST, DELETE",
                [
                    web::get().to(perceptual::entries),
                    web::head().to(perceptual::entries),
                    web::post().to(perceptual::import),
                    web::delete().to(perceptual::unlist),
                ],
            ))
            .service(resource(
                "/similar",
                "GET, HEAD, POST",
                [
                    web::get().to(perceptual::similar_to_stored),
                    web::head().to(perceptual::similar_to_stored),
                    web::post().to(perceptual::similar_to_sent),
                ],
            ))
            .service(resource(
                "/quarantine",
                "GET, HEAD, POST, DELETE",
                [
                    web::get().to(perceptual::quarantined),
                    web::head().to(perceptual::quarantined),
                    web::post().to(perceptual::begin),
                    web::delete().to(perceptual::release),
                ],
            ))
            .service(resource(
                "/prepare_upgrade",
                "POST",
                [web::post().to(admin::prepare_upgrade)],
            ))
            .service(resource(
                "/purge",
                "POST",
                [web::post().to(internal::purge)],
            ))
            .service(resource(
                "/delete",
                "POST",
                [web::post().to(internal::delete)],
            ))
            .service(reading("/aliases", internal::aliases))
            .service(reading("/owners", owners::list))
            .service(resource(
                "/owner",
                "GET, HEAD, POST, DELETE",
                [
                    web::get().to(owners::of_one),
                    web::head().to(owners::of_one),
                    web::post().to(owners::set),
                    web::delete().to(owners::unset),
                ],
            ))
            .service(reading("/usage", storage::usage))
            .service(reading("/growth", storage::growth))
            .service(reading("/retention", storage::retention))
            .service(reading("/jobs", jobs::list))
            .service(resource(
                "/collect",
                "POST",
                [web::post().to(storage::collect)],
            ))
            .service(reading("/identifier", internal::identifier)),
    );
}

/// The pages for administrators. They are no part of the API.
fn pages_of_admins(app: &mut web::ServiceConfig) {
    let both = "GET, HEAD, POST";
    app.service(
        web::scope("/admin")
            .app_data(metrics::Route::named("/admin"))
            .wrap(from_fn(admin_pages::guard))
            .service(reading("", admin_pages::overview))
            .service(reading("/", admin_pages::overview))
            .service(resource(
                "/sign-in",
                both,
                [
                    web::get().to(admin_pages::sign_in_form),
                    web::head().to(admin_pages::sign_in_form),
                    web::post().to(admin_pages::sign_in),
                ],
            ))
            .service(resource(
                "/sign-out",
                "POST",
                [web::post().to(admin_pages::sign_out)],
            ))
            .service(reading("/media", admin_pages::grid))
            .service(reading("/media/{alias:.+}", admin_pages::picture))
            // What the pages show: looking at it does not count as use.
            .service(reading("/original/{alias:.+}", image::by_path))
            .service(resource(
                "/process.{extension}",
                "GET, HEAD",
                [web::get().to(process::get), web::head().to(process::head)],
            ))
            .service(resource(
                "/delete",
                "POST",
                [web::post().to(admin_pages::delete)],
            ))
            .service(resource(
                "/purge",
                "POST",
                [web::post().to(admin_pages::purge)],
            ))
            .service(reading("/moderation", admin_pages::moderation))
            .service(reading("/log", admin_pages::log))
            .service(reading("/log.csv", admin_pages::log_as_csv))
            .service(resource(
                "/block",
                "POST",
                [web::post().to(admin_pages::block)],
            ))
            .service(resource(
                "/list",
                "POST",
                [web::post().to(admin_pages::list)],
            ))
            .service(resource(
                "/unlist",
                "POST",
                [web::post().to(admin_pages::unlist)],
            ))
            .service(resource(
                "/scan",
                "POST",
                [web::post().to(admin_pages::begin_scan)],
            ))
            .service(resource(
                "/quarantine",
                both,
                [
                    web::get().to(admin_pages::quarantined),
                    web::head().to(admin_pages::quarantined),
                    web::post().to(admin_pages::quarantine),
                ],
            ))
            .service(reading(
                "/quarantine/picture",
                admin_pages::quarantined_picture,
            ))
            .service(resource(
                "/release",
                "POST",
                [web::post().to(admin_pages::release)],
            ))
            .service(resource(
                "/similar",
                both,
                [
                    web::get().to(admin_pages::similar_form),
                    web::head().to(admin_pages::similar_form),
                    web::post().to(admin_pages::similar),
                ],
            ))
            .service(reading("/owners", admin_pages::owners))
            .service(resource(
                "/purge-owner",
                "POST",
                [web::post().to(admin_pages::purge_owner)],
            ))
            .service(resource(
                "/unblock",
                "POST",
                [web::post().to(admin_pages::unblock)],
            ))
            .service(reading("/storage", admin_pages::storage))
            .service(resource(
                "/collect",
                "POST",
                [web::post().to(admin_pages::collect)],
            ))
            .service(reading("/jobs", admin_pages::jobs))
            .service(resource(
                "/prune",
                "POST",
                [web::post().to(admin_pages::prune)],
            ))
            .service(resource(
                "/drop-variants",
                "POST",
                [web::post().to(admin_pages::drop_variants)],
            ))
            .service(reading("/settings", admin_pages::settings))
            .service(resource(
                "/upload",
                both,
                [
                    web::get().to(admin_pages::upload_form),
                    web::head().to(admin_pages::upload_form),
                    web::post().to(admin_pages::upload),
                ],
            )),
    );
}

/// A resource that is only read, so that HEAD is as GET.
fn reading<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let routes = [web::get().to(handler.clone()), web::head().to(handler)];
    resource(path, "GET, HEAD", routes)
}

fn resource(path: &str, allow: &'static str, routes: impl IntoIterator<Item = Route>) -> Resource {
    let resource = routes
        .into_iter()
        .fold(web::resource(path), Resource::route)
        .app_data(metrics::Route::default());
    resource.default_service(web::to(move |request: HttpRequest| async move {
        fallback::method_not_allowed(&request, allow)
    }))
}

/// Who can reach a socket.
#[derive(Clone, Copy)]
enum Audience {
    /// Clients and administrators.
    All,
    /// Clients, where administrators have a socket of their own.
    Public,
    /// Administrators.
    Admins,
}

/// Serves until SIGTERM or SIGINT, then lets running requests and jobs end.
///
/// # Errors
/// When the socket cannot be opened.
pub async fn serve(
    context: Arc<Context>,
    worker: Worker,
    counted: Option<PrometheusHandle>,
    origins: Origins,
) -> anyhow::Result<()> {
    let origins = web::Data::new(origins);
    let server = &context.config.server;
    let shared = web::Data::from(context.clone());
    let settings = Arc::new(request::Settings::new(&context.config));
    let sessions: admin_pages::Shared = admin_pages::Sessions::new(server).map(Arc::new);
    let has_admins = sessions.is_some();
    let sessions = web::Data::new(sessions);
    let app = move |listens_to: Audience| {
        App::new()
            .app_data(shared.clone())
            .app_data(web::Data::from(settings.clone()))
            .app_data(sessions.clone())
            .app_data(origins.clone())
            .wrap(from_fn(fallback::in_json))
            .wrap(cors::layer(&shared.config.server))
            .wrap(from_fn(request::identify))
            .configure(routes)
            .configure(|app| match listens_to {
                Audience::All => pages_of_admins(app),
                Audience::Public => {}
                Audience::Admins => {
                    app.app_data(index::OnlyForAdmins);
                    pages_of_admins(app);
                }
            })
            .default_service(web::to(fallback::not_found))
    };
    let certificate = tls::Certificate::open(server)?;
    let acceptor = certificate.as_ref().map(tls::Certificate::acceptor);
    let acceptor = acceptor.transpose()?;
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    let listener = Listener::open(server)?;
    let (address, connections) = (listener.address, listener.connections);
    let for_admins = match has_admins {
        true => Listener::for_admins(server)?,
        false => {
            if server.admin_address.is_some() {
                tracing::warn!(
                    "server.admin_address has no effect without an API key or with server.admin = false"
                );
            }
            None
        }
    };
    let scraped = counted.map_or(Ok(None), |handle| metrics::listen(&context, handle))?;
    // Before the log line below announces the server: a signal right after it must stop the server
    // cleanly.
    let signals = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    // Also without TLS: there is nothing to reload then, but the signal must not end the server.
    let hangup = signal(SignalKind::hangup())?;
    let clients = match for_admins {
        Some(_) => Audience::Public,
        None => Audience::All,
    };
    let mut running = Vec::new();
    if let Some(listener) = for_admins {
        let address = listener.address;
        let app = app.clone();
        running.push(listener.serve(server, acceptor.clone(), move || app(Audience::Admins))?);
        tracing::info!("admin page on {scheme}://{address}/admin");
    }
    running.push(listener.serve(server, acceptor, move || app(clients))?);
    tracing::info!("listening on {scheme}://{address}");
    // Installers wait for this line, which the existing pict-rs logs.
    tracing::info!("starting in existing Tokio runtime");
    let files = match context.store.root() {
        Some(root) => root.display().to_string(),
        None => context.store.place(),
    };
    tracing::info!(
        database = %context.repo.place(),
        files = %files,
        connections,
        api_key = if server.api_keys().next().is_some() { "set" } else { "not set, /internal is closed" },
        "ready"
    );
    tell_service_manager(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("listening on {scheme}://{address}")),
    ]);
    if let Some(certificate) = certificate {
        actix_web::rt::spawn(certificate.follow(hangup));
    }
    if let Some(server) = scraped {
        actix_web::rt::spawn(server);
    }
    let stoppers = running.iter().map(Server::handle).collect();
    tokio::select! {
        ended = async {
            try_join_all(running).await?;
            worker.ended().await;
            anyhow::Ok(())
        } => ended?,
        // Work that still runs then is aborted as by a crash, and the next start cleans up.
        () = stop_on_signal(signals, stoppers, &context) => {}
    }
    context.repo.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Tells systemd, if it has started the server and waits for this (sd_notify(3)).
fn tell_service_manager(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told: {state:?}");
    }
}

/// The first signal stops gracefully; returns on the second.
async fn stop_on_signal(
    (mut terminate, mut interrupt): (Signal, Signal),
    servers: Vec<ServerHandle>,
    context: &Context,
) {
    for is_first in [true, false] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(graceful = is_first, "stopping");
        tell_service_manager(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
        if is_first {
            context.stop();
            // Not awaited: it completes when the server has stopped, and a second call would have
            // no effect.
            for server in &servers {
                drop(server.stop(true));
            }
        }
    }
}
