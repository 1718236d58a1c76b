//! Listens, and serves each connection: TLS, the version of HTTP, and limits on clients that read
//! slowly. actix-web's own server has no time limit for writing and no limit of HTTP/2 streams.

mod paced;
pub mod streams;

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Request, Response};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_factory, fn_service,
    map_config,
};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Server};
use actix_web::rt::net::TcpStream;
use anyhow::Context as _;
use pict_rs_core::config::ServerConfig;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_rustls::TlsAcceptor;

use self::paced::{Paced, Stream};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long a connection without a request is kept, on either version of HTTP.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the head of a request, or the beginning of an HTTP/2 connection, may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long TLS may take to begin.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a client may take to end a connection.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of an answer that HTTP/1 gathers before it writes.
const WRITE_BUFFER: usize = 16 * 1024;
/// Encrypted bytes that TLS keeps for a client.
const TLS_BUFFER: usize = 32 * 1024;

/// Connections at a time unless the settings say more.
const MOST_CONNECTIONS: u64 = 4096;
/// Connections at a time to the address for administrators.
const ADMIN_CONNECTIONS: u64 = 64;
/// Descriptors that are not for connections: database, programs, files that are written.
const OTHER_DESCRIPTORS: u64 = 256;

/// What a connection is served with.
#[derive(Clone)]
struct Terms {
    acceptor: Option<TlsAcceptor>,
    write_timeout: Duration,
}

/// A socket to accept connections from, and how many at a time.
pub struct Listener {
    socket: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
    /// Connections at a time.
    pub connections: u64,
    /// Threads that serve them.
    workers: usize,
}

impl Listener {
    /// Listens as configured, after raising the limit of descriptors.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub fn open(config: &ServerConfig) -> anyhow::Result<Self> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self::bind(config.address, connections(config), workers)
    }

    /// Listens for administrators as configured, if they have an address of their own.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub fn for_admins(config: &ServerConfig) -> anyhow::Result<Option<Self>> {
        let listen = |address| {
            Self::bind(address, ADMIN_CONNECTIONS, 1).context("server.admin_address cannot be used")
        };
        config.admin_address.map(listen).transpose()
    }

    fn bind(address: SocketAddr, connections: u64, workers: usize) -> anyhow::Result<Self> {
        let open = || {
            let socket = TcpListener::bind(address)?;
            // The standard library lets only 128 connections wait.
            rustix::net::listen(&socket, BACKLOG)?;
            let address = socket.local_addr()?;
            std::io::Result::Ok((socket, address))
        };
        let (socket, address) = open().with_context(|| format!("cannot listen on {address}"))?;
        Ok(Self {
            socket,
            address,
            connections,
            workers,
        })
    }

    /// Serves `app` on it.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn serve<F, I, S, B>(
        self,
        config: &ServerConfig,
        tls: Option<rustls::ServerConfig>,
        app: F,
    ) -> std::io::Result<Server>
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<actix_web::Error> + 'static,
        S::InitError: std::fmt::Debug,
        S::Response: Into<Response<B>> + 'static,
        S::Service: 'static,
        <S::Service as Service<Request>>::Future: 'static,
        B: MessageBody + 'static,
    {
        let terms = Terms {
            acceptor: tls.map(|tls| TlsAcceptor::from(Arc::new(tls))),
            write_timeout: config.write_timeout.duration(),
        };
        let workers = self.workers;
        let connections = usize::try_from(self.connections).unwrap_or(usize::MAX);
        let builder = Server::build()
            .workers(workers)
            .max_concurrent_connections(connections.div_ceil(workers))
            .disable_signals()
            .shutdown_timeout(config.shutdown_timeout.duration().as_secs());
        let stop = builder.graceful_shutdown_signal();
        let builder = builder.listen("http", self.socket, move || {
            let make = || {
                let app = app().into_factory();
                let app = app.map_err(|error| error.into().error_response());
                map_config(app, |()| AppConfig::default())
            };
            let (terms, stop) = (terms.clone(), stop.clone());
            let stopped = {
                let stop = stop.clone();
                move || {
                    let stop = stop.clone();
                    async move { stop.notified().await }
                }
            };
            let first = HttpService::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(REQUEST_TIMEOUT)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                // A client that closes its side counts as gone, as in nginx, so that work is dropped
                // when no client waits for it.
                .h1_allow_half_closed(false)
                .h1_write_buffer_size(WRITE_BUFFER)
                .graceful_shutdown_signal(stopped.clone())
                .h1(make());
            let second = make();
            fn_factory(move || {
                let (first, second) = (first.new_service(()), second.new_service(()));
                let (terms, stopped) = (terms.clone(), stopped.clone());
                async move {
                    let first = Rc::new(first.await?);
                    let second = Rc::new(second.await.map_err(drop)?);
                    Ok::<_, ()>(fn_service(move |socket: TcpStream| {
                        let (first, second) = (first.clone(), second.clone());
                        connection(socket, first, second, terms.clone(), stopped())
                    }))
                }
            })
        })?;
        Ok(builder.run())
    }
}

/// Serves one connection to its end.
async fn connection<First, Second, B>(
    socket: TcpStream,
    first: Rc<First>,
    second: Rc<Second>,
    terms: Terms,
    stopped: impl Future<Output = ()>,
) -> Result<(), ()>
where
    First: Service<(Stream, Option<SocketAddr>)>,
    Second: Service<Request> + 'static,
    Second::Error: Into<Response<BoxBody>>,
    Second::Response: Into<Response<B>>,
    Second::Future: 'static,
    B: MessageBody + 'static,
{
    let peer = socket.peer_addr().ok();
    let socket = Paced::new(socket, terms.write_timeout);
    let Some(acceptor) = &terms.acceptor else {
        return first
            .call((Stream::Plain(socket), peer))
            .await
            .map(drop)
            .map_err(drop);
    };
    let accepted = acceptor.accept_with(socket, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
    let accepted = tokio::time::timeout(HANDSHAKE_TIMEOUT, accepted).await;
    let tls = accepted.map_err(drop)?.map_err(drop)?;
    let is_second = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = Stream::Tls(Box::new(tls));
    if is_second {
        streams::serve(stream, peer, second, terms.write_timeout, stopped).await;
        return Ok(());
    }
    first.call((stream, peer)).await.map(drop).map_err(drop)
}

/// How many connections there may be at a time. Each has a descriptor, and one for every file that
/// is sent over it.
fn connections(config: &ServerConfig) -> u64 {
    let descriptors = raise_descriptors();
    let each = match config.certificate {
        None => 2,
        Some(_) => 1 + streams::BODIES as u64,
    };
    let others = OTHER_DESCRIPTORS + config.admin_address.map_or(0, |_| each * ADMIN_CONNECTIONS);
    let most = (descriptors.saturating_sub(others) / each).max(16);
    match config.max_connections {
        0 => most.min(MOST_CONNECTIONS),
        wanted => {
            let wanted = wanted as u64;
            if wanted > most {
                tracing::warn!(
                    descriptors,
                    "server.max_connections = {wanted}: the limit of open files allows {most}"
                );
            }
            wanted
        }
    }
}

/// Raises the limit of descriptors to what the system allows, and returns it. The usual 1024 are
/// meant for programs that use `select`.
fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised,
        // macOS has a limit that this one must not exceed.
        Err(_) => limit,
    };
    limit.current.unwrap_or(u64::MAX)
}
