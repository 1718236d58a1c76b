//! Fetches media from other servers, for downloads and the proxy. The URLs are untrusted, so this
//! module keeps requests out of the server's own network.
//!
//! `policy` checks URLs and `address` checks addresses; both are pure. `connect` resolves a name
//! once and connects only to addresses that passed the check. Every redirect starts over. A
//! connection serves one request, so none is reused for another host, and proxies from the
//! environment are ignored. Knows neither `store` nor `repo`.
//!
//! `predecessor`, `validator`, `receiver`, `caches` and `lists` speak to servers that the settings name.

mod address;
mod answer;
pub(crate) mod caches;
mod coding;
mod connect;
pub(crate) mod lists;
pub(crate) mod outgoing;
mod policy;
pub(crate) mod predecessor;
pub(crate) mod receiver;
pub(crate) mod validator;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::header::{self, HeaderMap};
use hyper::{Request, Response, StatusCode, body::Incoming};
use pict_rs_media::limits::{LimitKind, at_most};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use crate::config::{ClientConfig, Config};
use crate::id::url::loggable;
use crate::{Error, ErrorCode, Result, SourceUrl};

pub use answer::{Freshness, Validators};

use coding::Decoder;
use connect::{Connection, Tls};
use policy::Policy;

/// Redirects that are followed, the same number as in the existing pict-rs.
const REDIRECTS: usize = 10;
const USER_AGENT: &str = concat!("pict-rs ", env!("CARGO_PKG_VERSION"));

/// Fetches from other servers.
#[derive(Debug)]
pub struct Fetcher {
    policy: Policy,
    tls: Tls,
    timeout: Duration,
    permits: Arc<Semaphore>,
    limit: usize,
}

/// An upstream's answer.
#[derive(Debug)]
pub enum Fetched {
    /// The caller's copy is still current.
    NotModified(Freshness),
    /// The content.
    Body(Box<Body>),
}

/// A body that is being received.
#[derive(Debug)]
pub struct Body {
    /// The upstream's host, for the log.
    host: String,
    incoming: Incoming,
    freshness: Freshness,
    deadline: Deadline,
    limit: u64,
    decoder: Decoder,
    /// Bytes that came over the network.
    received: u64,
    /// Bytes of the file.
    found: u64,
    /// The connection behind `incoming`, and the permit to fetch.
    _held: (Connection, NetworkPermit),
}

/// The upstream that was asked.
struct Asked {
    url: Url,
    /// The status of its answer, once there is one.
    status: Option<u16>,
}

/// A permit to use the network. A name lookup holds it even after its caller has gone.
type NetworkPermit = Arc<OwnedSemaphorePermit>;

impl Fetcher {
    /// As the settings say.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] for a bad `client.allowed_hosts`.
    pub fn new(config: &Config) -> Result<Self> {
        let ClientConfig {
            timeout,
            allow_local_connections,
            concurrency,
            ..
        } = config.client;
        Ok(Self {
            policy: Policy {
                // The tests of other projects, such as Lemmy's, run on one machine.
                allow_local: allow_local_connections || config.server.danger_dummy_mode,
                allowed_hosts: config.allowed_hosts()?,
            },
            tls: Tls::default(),
            timeout: timeout.duration(),
            permits: Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS))),
            limit: concurrency,
        })
    }

    /// Requests `url`, up to `limit` bytes. With `known` from an earlier answer the upstream may
    /// answer that nothing has changed. Everything up to the last byte of the body must happen
    /// within `client.timeout`.
    ///
    /// # Errors
    /// [`ErrorCode::DownloadFileError`] for a URL that is not allowed, before any connection is
    /// made; [`ErrorCode::TooBusy`]; [`ErrorCode::UpstreamError`];
    /// [`ErrorCode::UpstreamTimeout`]; [`ErrorCode::ValidateFileSize`] when the announced length
    /// exceeds the limit.
    pub async fn get(
        &self,
        url: &SourceUrl,
        known: Option<&Validators>,
        limit: u64,
    ) -> Result<Fetched> {
        let mut asked = Asked {
            url: url.url().clone(),
            status: None,
        };
        let fetched = self.follow(&mut asked, known, limit).await;
        if let Err(error) = &fetched {
            let (upstream, upstream_status) = (asked.url.host_str(), asked.status);
            let code = error.code().as_str();
            let source = url.loggable();
            tracing::info!(
                upstream,
                upstream_status,
                source,
                code,
                "nothing was fetched: {error}"
            );
        }
        fetched
    }

    /// Follows redirects; `asked` records the upstream asked last.
    async fn follow(
        &self,
        asked: &mut Asked,
        known: Option<&Validators>,
        limit: u64,
    ) -> Result<Fetched> {
        let permit = self.permit()?;
        let deadline = Deadline::after(self.timeout);
        for _ in 0..=REDIRECTS {
            asked.status = None;
            let exchange = self.exchange(&asked.url, known, &permit);
            let (connection, response) = deadline.keep(exchange).await??;
            let (status, headers) = (response.status(), response.headers());
            asked.status = Some(status.as_u16());
            if let Some(next) = redirect(&asked.url, status, headers)? {
                let (from, to) = (loggable(&asked.url), loggable(&next));
                tracing::debug!(from, to, "redirected");
                asked.url = next;
                continue;
            }
            let freshness = Freshness::of(headers);
            let has_asked = known.is_some_and(|known| known.conditions().next().is_some());
            if status == StatusCode::NOT_MODIFIED && has_asked {
                return Ok(Fetched::NotModified(freshness));
            }
            answer::check(status)?;
            let decoder = Decoder::of(headers)?;
            let announced = answer::length(headers).filter(|_| decoder.is_identity());
            if let Some(announced) = announced {
                at_most(LimitKind::FileSize, limit, announced)?;
            }
            return Ok(Fetched::Body(Box::new(Body {
                host: asked.url.host_str().unwrap_or_default().to_owned(),
                incoming: response.into_body(),
                freshness,
                deadline,
                limit,
                decoder,
                received: 0,
                found: 0,
                _held: (connection, permit),
            })));
        }
        Err(upstream(format!(
            "The upstream redirected more than {REDIRECTS} times"
        )))
    }

    fn permit(&self) -> Result<NetworkPermit> {
        let permit = self.permits.clone().try_acquire_owned();
        permit.map(Arc::new).map_err(|_| {
            let message = format!("The limit of {} fetches at a time is reached", self.limit);
            Error::user(ErrorCode::TooBusy, message).limit(self.limit)
        })
    }

    async fn exchange(
        &self,
        url: &Url,
        known: Option<&Validators>,
        permit: &NetworkPermit,
    ) -> Result<(Connection, Response<Incoming>)> {
        let target = self.policy.check(url)?;
        let mut connection = connect::open(&target, &self.tls, permit).await?;
        let mut request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
            .header(
                header::HOST,
                &url[Position::BeforeHost..Position::AfterPort],
            )
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "*/*")
            // Media are already compressed, so compressing them again only costs time.
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::CONNECTION, "close");
        for (name, value) in known.into_iter().flat_map(Validators::conditions) {
            request = request.header(name, value);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| {
            tracing::debug!(url = loggable(url), %error, "no request can be made of a URL");
            upstream("The URL cannot be asked for over HTTP")
        })?;
        let response = connection.send(request).await.map_err(|error| {
            tracing::debug!(url = loggable(url), %error, "an upstream broke off");
            upstream("The upstream broke the connection off or did not speak HTTP")
        })?;
        Ok((connection, response))
    }
}

/// The URL that an answer redirects to, if it does.
fn redirect(from: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Option<Url>> {
    let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = headers.get(header::LOCATION).filter(|_| is_redirect) else {
        return Ok(None);
    };
    // Some upstreams send raw UTF-8.
    let location = std::str::from_utf8(location.as_bytes()).ok();
    let next = location.and_then(|location| from.join(location).ok());
    let mut next = next.ok_or_else(|| upstream("The upstream redirected to no valid URL"))?;
    next.set_fragment(None);
    Ok(Some(next))
}

impl Body {
    /// What to remember of the answer.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The next bytes; `None` after the last.
    ///
    /// # Errors
    /// [`ErrorCode::UpstreamError`] when the upstream breaks off,
    /// [`ErrorCode::UpstreamTimeout`], [`ErrorCode::ValidateFileSize`] with the first byte over
    /// the limit.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(frame) = self.deadline.keep(self.incoming.frame()).await? else {
                let rest = self.decoder.finish()?;
                return self.take(rest.into());
            };
            let frame = frame.map_err(|error| {
                tracing::info!(upstream = self.host, %error, "an upstream broke off");
                upstream("The upstream broke off in the middle of the file")
            })?;
            // Trailers are of no use here.
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            // A compressed stream that decodes to nothing could go on for ever too.
            self.received += bytes.len() as u64;
            at_most(LimitKind::FileSize, self.limit, self.received)?;
            let bytes = if self.decoder.is_identity() {
                bytes
            } else {
                let decoded = self.decoder.decode(&bytes, self.found, self.limit)?;
                decoded.into()
            };
            if let Some(bytes) = self.take(bytes)? {
                return Ok(Some(bytes));
            }
        }
    }

    /// Counts bytes of the file; `None` when `bytes` is empty.
    fn take(&mut self, bytes: Bytes) -> Result<Option<Bytes>> {
        self.found += bytes.len() as u64;
        at_most(LimitKind::FileSize, self.limit, self.found)?;
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}

/// The deadline of a whole fetch.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Instant,
    patience: Duration,
}

impl Deadline {
    fn after(patience: Duration) -> Self {
        let far = Duration::from_secs(60 * 60 * 24 * 365);
        Self {
            at: Instant::now() + patience.min(far),
            patience,
        }
    }

    async fn keep<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        timeout_at(self.at, work).await.map_err(|_| {
            let message = format!(
                "The upstream did not deliver within {} seconds",
                self.patience.as_secs()
            );
            Error::user(ErrorCode::UpstreamTimeout, message).limit(self.patience.as_secs())
        })
    }
}

/// An upstream's error. The message goes to the client, so it must not reveal anything about the
/// network behind this server.
fn upstream(message: impl Into<String>) -> Error {
    Error::user(ErrorCode::UpstreamError, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_taken_relative_to_where_they_come_from() {
        let check = |status: u16, location: &[u8], expected: Option<&str>| {
            let from = Url::parse("https://a.example/b/c?d").expect("valid");
            let status = StatusCode::from_u16(status).expect("valid");
            let value = header::HeaderValue::from_bytes(location).expect("valid");
            let headers = HeaderMap::from_iter([(header::LOCATION, value)]);
            let next = redirect(&from, status, &headers).expect("well-formed");
            assert_eq!(next.as_ref().map(Url::as_str), expected);
        };
        check(302, b"x", Some("https://a.example/b/x"));
        check(301, b"/x?y#z", Some("https://a.example/x?y"));
        check(303, b"//b.example/", Some("https://b.example/"));
        check(307, b"http://b.example", Some("http://b.example/"));
        check(308, "/ü".as_bytes(), Some("https://a.example/%C3%BC"));
        check(300, b"/x", None);
        check(200, b"/x", None);
        let from = Url::parse("https://a.example/").expect("valid");
        let bad = header::HeaderValue::from_static("http://[");
        let headers = HeaderMap::from_iter([(header::LOCATION, bad)]);
        let error = redirect(&from, StatusCode::FOUND, &headers).expect_err("refused");
        assert_eq!(error.code(), ErrorCode::UpstreamError);
        let nowhere = redirect(&from, StatusCode::FOUND, &HeaderMap::new());
        assert!(nowhere.expect("left to the check of the status").is_none());
    }
}
