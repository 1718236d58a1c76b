//! HTTP/2: serves the streams of a connection. As actix-http does it, but with bounds: streams at a
//! time, answers that are sent at a time, and time without progress.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_http::{Payload, Request, Response};
use actix_service::Service;
use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::Method;
use actix_web::http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderValue, HttpDate, TRANSFER_ENCODING, UPGRADE,
};
use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Ping, Reason, RecvStream, SendStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::paced::{Stream, stalled};
use super::{KEEP_ALIVE, REQUEST_TIMEOUT};

/// Streams that a client may have open at a time, as in nginx and Apache (128 and 100).
const STREAMS: u32 = 100;
/// Answers of a connection that are sent at a time; the other streams wait for their turn. They
/// share one socket, so more at a time would not be faster.
pub const BODIES: usize = 8;
/// Bytes of uploads that a client may send before we have read them, in a stream and in all.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of an answer that wait in a stream.
const SEND_BUFFER: usize = 32 * 1024;
/// Bytes that are sent at a time.
const FRAME: usize = 16 * 1024;
/// All headers of a request, as in HTTP/1.
const HEADERS: u32 = 128 * 1024;
/// A stream that takes nothing is kept while others of its connection go on, but not for ever: as
/// many times the limit of the connection.
const STREAM_PATIENCE: u32 = 4;

/// In a request of HTTP/2: the turns of its connection.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

/// The right to send the body of an answer, until it is dropped.
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits for a turn.
    pub async fn take(self) -> Turn {
        // The semaphore is never closed.
        let permit = self.0.acquire_owned().await.ok();
        Turn { _permit: permit }
    }
}

/// What the streams of a connection share.
struct Shared {
    turns: Turns,
    /// When the client last took something.
    progress: Cell<Instant>,
    patience: Duration,
}

/// Serves a connection to its end.
pub async fn serve<S, B>(
    stream: Stream,
    peer: Option<SocketAddr>,
    app: Rc<S>,
    patience: Duration,
    stopped: impl Future<Output = ()>,
) where
    S: Service<Request> + 'static,
    S::Error: Into<Response<BoxBody>>,
    S::Response: Into<Response<B>>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEADERS);
    let begun = timeout(REQUEST_TIMEOUT, builder.handshake(stream)).await;
    let Ok(Ok(connection)) = begun else { return };
    let shared = Rc::new(Shared {
        turns: Turns(Arc::new(Semaphore::new(BODIES))),
        progress: Cell::new(Instant::now()),
        patience,
    });
    accept(connection, peer, &app, &shared, stopped).await;
}

/// Takes requests until the connection ends. Without any for a while it is ended, and a client that
/// does not answer then has gone.
async fn accept<S, B>(
    mut connection: Connection<Stream, Bytes>,
    peer: Option<SocketAddr>,
    app: &Rc<S>,
    shared: &Rc<Shared>,
    stopped: impl Future<Output = ()>,
) where
    S: Service<Request> + 'static,
    S::Error: Into<Response<BoxBody>>,
    S::Response: Into<Response<B>>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    let Some(mut pings) = connection.ping_pong() else {
        return;
    };
    let mut ticks = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut has_pinged, mut had_requests, mut is_ending) = (false, false, false);
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    had_requests = true;
                    let request = translated(request, peer, shared);
                    actix_web::rt::spawn(answer(app.clone(), request, respond, shared.clone()));
                }
                // The client has gone, or broke the protocol.
                Some(Err(_)) | None => return,
            },
            pong = poll_fn(|cx| pings.poll_pong(cx)), if has_pinged => match pong {
                Ok(_) => has_pinged = false,
                Err(_) => return,
            },
            _ = ticks.tick() => {
                // One is ours, the others are those of streams.
                let is_idle = Rc::strong_count(shared) == 1 && !std::mem::take(&mut had_requests);
                if has_pinged {
                    return;
                }
                if is_idle && !is_ending {
                    is_ending = true;
                    connection.graceful_shutdown();
                }
                if pings.send_ping(Ping::opaque()).is_err() {
                    return;
                }
                has_pinged = true;
            }
            () = &mut stopped, if !is_ending => {
                is_ending = true;
                connection.graceful_shutdown();
            }
        }
    }
}

/// The request as actix-web knows it.
fn translated(
    request: http::Request<RecvStream>,
    peer: Option<SocketAddr>,
    shared: &Shared,
) -> Request {
    let (parts, body) = request.into_parts();
    let mut request = Request::with_payload(Payload::from(body));
    request.extensions_mut().insert(shared.turns.clone());
    let head = request.head_mut();
    head.uri = parts.uri;
    head.method = parts.method;
    head.version = parts.version;
    head.headers = parts.headers.into();
    head.peer_addr = peer;
    request
}

/// Has a request answered, unless the client withdraws it meanwhile.
async fn answer<S, B>(
    app: Rc<S>,
    request: Request,
    mut respond: SendResponse<Bytes>,
    shared: Rc<Shared>,
) where
    S: Service<Request>,
    S::Error: Into<Response<BoxBody>>,
    S::Response: Into<Response<B>>,
    B: MessageBody,
{
    let is_head = request.method() == Method::HEAD;
    let answered = tokio::select! {
        answered = app.call(request) => answered,
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
    };
    match answered {
        Ok(response) => send(response.into(), is_head, respond, &shared).await,
        Err(error) => send(error.into(), is_head, respond, &shared).await,
    }
}

async fn send<B: MessageBody>(
    response: Response<B>,
    is_head: bool,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
) {
    let (response, body) = response.into_parts();
    let size = body.size();
    let is_empty = is_head || size.is_eof();
    let Ok(mut stream) = respond.send_response(head(&response, size), is_empty) else {
        // The client has gone.
        return;
    };
    if is_empty {
        return;
    }
    match send_body(pin!(body), &mut stream, shared).await {
        Sent::Whole => {
            // Fails only when the client has gone.
            let _ = stream.send_data(Bytes::new(), true);
        }
        Sent::Gone => {}
        // So that the client sees that something is missing.
        Sent::BrokenOff => stream.send_reset(Reason::INTERNAL_ERROR),
        Sent::Stalled => {
            stalled();
            stream.send_reset(Reason::CANCEL);
        }
    }
}

/// Without what belongs to HTTP/1 (RFC 9113, section 8.2.2).
fn head(response: &Response<()>, size: BodySize) -> http::Response<()> {
    let mut head = http::Response::new(());
    *head.status_mut() = response.status();
    *head.version_mut() = http::Version::HTTP_2;
    let headers = head.headers_mut();
    for (name, value) in response.headers() {
        let is_of_first = [CONNECTION, TRANSFER_ENCODING, UPGRADE].contains(name)
            || matches!(name.as_str(), "keep-alive" | "proxy-connection");
        if !is_of_first && *name != CONTENT_LENGTH {
            headers.append(name, value.clone());
        }
    }
    if let BodySize::Sized(size) = size {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    if !headers.contains_key(DATE) {
        let now = HttpDate::from(SystemTime::now()).to_string();
        if let Ok(now) = HeaderValue::from_str(&now) {
            headers.insert(DATE, now);
        }
    }
    head
}

/// How the body of an answer ended.
enum Sent {
    Whole,
    /// The client has gone, or does not want it any more.
    Gone,
    /// It could not be read to its end, which was logged.
    BrokenOff,
    /// The client took nothing for too long.
    Stalled,
}

async fn send_body<B: MessageBody>(
    mut body: Pin<&mut B>,
    stream: &mut SendStream<Bytes>,
    shared: &Shared,
) -> Sent {
    loop {
        let next = tokio::select! {
            next = poll_fn(|cx| body.as_mut().poll_next(cx)) => next,
            _ = poll_fn(|cx| stream.poll_reset(cx)) => return Sent::Gone,
        };
        let mut piece = match next {
            None => return Sent::Whole,
            Some(Ok(piece)) => piece,
            Some(Err(_)) => return Sent::BrokenOff,
        };
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len().min(FRAME));
            let room = match capacity(stream, shared).await {
                Ok(room) => room.min(piece.len()),
                Err(ended) => return ended,
            };
            if stream.send_data(piece.split_to(room), false).is_err() {
                return Sent::Gone;
            }
        }
    }
}

/// Waits until the client takes more of a stream. Meanwhile it may take of others, which is progress
/// as well: over a slow connection one answer may be sent after the other.
async fn capacity(stream: &mut SendStream<Bytes>, shared: &Shared) -> Result<usize, Sent> {
    let begun = Instant::now();
    let longest = shared.patience.saturating_mul(STREAM_PATIENCE);
    loop {
        let ready = stream.capacity();
        if ready > 0 {
            shared.progress.set(Instant::now());
            return Ok(ready);
        }
        // Is ready only once the capacity has grown.
        match timeout(shared.patience, poll_fn(|cx| stream.poll_capacity(cx))).await {
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(_)) | None) => return Err(Sent::Gone),
            Err(_) => {
                let is_moving = shared.progress.get().elapsed() < shared.patience;
                if !is_moving || begun.elapsed() >= longest {
                    return Err(Sent::Stalled);
                }
            }
        }
    }
}
