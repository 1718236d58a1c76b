//! Opens a connection to a checked target. The name is resolved once, each address is checked, and
//! the socket is opened to a checked address, never to a name.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Host;

use super::policy::Endpoint;
use super::{NetworkPermit, upstream};
use crate::task::blocking;
use crate::tls;
use crate::{Error, Result};

/// Timeout for one address, which leaves time for the next.
const CONNECT: Duration = Duration::from_secs(3);
/// Addresses that are tried: two of each family if available.
const ADDRESSES: usize = 4;
/// Maximum size of the head of an answer.
const HEAD: usize = 64 * 1024;

/// A connection for one exchange. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: JoinHandle<()>,
}

impl Connection {
    pub(super) async fn send(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.send_request(request).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Opens a connection to an address that `target` allows.
///
/// # Errors
/// [`crate::ErrorCode::DownloadFileError`] when it has no such address,
/// [`crate::ErrorCode::UpstreamError`] when the name or the host cannot be reached.
pub(super) async fn open(
    target: &Endpoint,
    tls: &Tls,
    permit: &NetworkPermit,
) -> Result<Connection> {
    let addresses = addresses(target, permit).await?;
    let tcp = reach(&addresses, target).await?;
    if target.is_https {
        let name = server_name(&target.host)?;
        let secured = tls.connector().await?.connect(name, tcp).await;
        let secured = secured.map_err(|error| {
            tracing::debug!(host = %target.host, %error, "no TLS with an upstream");
            upstream(format!(
                "{} cannot be trusted: its TLS is refused",
                target.host
            ))
        })?;
        drive(secured).await
    } else {
        drive(tcp).await
    }
}

async fn addresses(target: &Endpoint, permit: &NetworkPermit) -> Result<Vec<SocketAddr>> {
    let found = match (&target.host, target.literal()) {
        (_, Some(address)) => vec![SocketAddr::new(address, target.port)],
        (host, None) => {
            let (host, port, permit) = (host.to_string(), target.port, permit.clone());
            // The system's resolver cannot be interrupted, so it keeps the permit until it returns.
            let found = blocking(move || {
                let _held = permit;
                Ok((host.as_str(), port).to_socket_addrs().map(Vec::from_iter))
            });
            found.await?.map_err(|error| {
                tracing::debug!(host = %target.host, %error, "no address of an upstream");
                unresolved(target)
            })?
        }
    };
    judge(target, found)
}

/// The allowed addresses, in the order in which they are tried.
fn judge(target: &Endpoint, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>> {
    if found.is_empty() {
        return Err(unresolved(target));
    }
    let mut allowed = found;
    allowed.retain(|address| target.allows(address.ip()));
    let Some(first) = allowed.first().map(SocketAddr::is_ipv6) else {
        return Err(target.is_local());
    };
    // The families alternate: if one of them is unreachable, the other is tried soon.
    let (preferred, others): (Vec<_>, Vec<_>) = allowed
        .into_iter()
        .partition(|address| address.is_ipv6() == first);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let turns = std::iter::repeat_with(|| [preferred.next(), others.next()])
        .take(ADDRESSES)
        .flatten()
        .flatten();
    Ok(turns.take(ADDRESSES).collect())
}

fn unresolved(target: &Endpoint) -> Error {
    upstream(format!("The name {} cannot be resolved", target.host))
}

async fn reach(addresses: &[SocketAddr], target: &Endpoint) -> Result<TcpStream> {
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Only an optimisation, so a failure is ignored.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => tracing::debug!(%address, %error, "an upstream is not reached"),
            Err(_) => tracing::debug!(%address, "an upstream is not reached in time"),
        }
    }
    Err(upstream(format!("{} cannot be reached", target.host)))
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| upstream(format!("{name} is no name that TLS knows"))),
        Host::Ipv4(address) => Ok(std::net::IpAddr::V4(*address).into()),
        Host::Ipv6(address) => Ok(std::net::IpAddr::V6(*address).into()),
    }
}

async fn drive(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Connection> {
    let handshake = http1::Builder::new()
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|error| {
        tracing::debug!(%error, "no HTTP with an upstream");
        upstream("The upstream does not speak HTTP")
    })?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an upstream ended badly");
        }
    });
    Ok(Connection { sender, driver })
}

/// The trusted certificates, read when first needed.
#[derive(Debug, Default)]
pub(super) struct Tls(OnceCell<Trust>);

struct Trust(TlsConnector);

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

impl Tls {
    async fn connector(&self) -> Result<&TlsConnector> {
        let trust = self.0.get_or_try_init(|| blocking(trust)).await?;
        Ok(&trust.0)
    }
}

fn trust() -> Result<Trust> {
    Ok(Trust(Arc::new(tls::client_config(None)?).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use std::net::Ipv4Addr;
    use tokio::sync::Semaphore;

    fn target(host: &str, is_trusted: bool) -> Endpoint {
        Endpoint {
            host: Host::parse(host).expect("a host"),
            port: 80,
            is_https: false,
            is_trusted,
        }
    }

    async fn look_up(target: &Endpoint) -> Result<Vec<SocketAddr>> {
        let permits = Arc::new(Semaphore::new(1));
        let permit = permits.acquire_owned().await.expect("open");
        addresses(target, &Arc::new(permit)).await
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_host_has_no_address() {
        for host in ["localhost", "LOCALHOST"] {
            let error = look_up(&target(host, false)).await.expect_err(host);
            assert_eq!(error.code(), ErrorCode::DownloadFileError, "{error}");
        }
        let error = look_up(&target("127.0.0.1", false)).await;
        let error = error.expect_err("checked here as well");
        assert_eq!(error.code(), ErrorCode::DownloadFileError);
    }

    fn judged(is_trusted: bool, found: &[&str]) -> Result<Vec<String>, ErrorCode> {
        let address = |text: &&str| text.parse().expect("an address");
        let found = found.iter().map(address).collect();
        let judged = judge(&target("a.example", is_trusted), found);
        let judged = judged.map_err(|error| error.code())?;
        Ok(judged.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn of_a_name_only_public_addresses_are_left() {
        let mixed = ["10.0.0.1:80", "8.8.8.8:80", "[::1]:80", "127.0.0.1:80"];
        assert_eq!(judged(false, &mixed).expect("one"), ["8.8.8.8:80"]);
        assert_eq!(judged(true, &mixed).expect("all").len(), 4);
        let local = judged(false, &["10.0.0.1:80", "[fd00::1]:80"]);
        assert_eq!(local, Err(ErrorCode::DownloadFileError));
        assert_eq!(judged(true, &[]), Err(ErrorCode::UpstreamError));
    }

    #[test]
    fn families_of_addresses_take_turns() {
        let found = [
            "[2a00::1]:80",
            "[2a00::2]:80",
            "[2a00::3]:80",
            "[2a00::4]:80",
            "1.1.1.1:80",
        ];
        let expected = ["[2a00::1]:80", "1.1.1.1:80", "[2a00::2]:80", "[2a00::3]:80"];
        assert_eq!(judged(false, &found).expect("allowed"), expected);
    }

    #[tokio::test]
    async fn a_trusted_name_keeps_all_its_addresses() {
        let found = look_up(&target("localhost", true)).await.expect("resolved");
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        assert!(found.contains(&here), "{found:?}");
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_is_a_fault_of_the_upstream() {
        let error = look_up(&target("absent.invalid", true)).await;
        assert_eq!(error.expect_err("none").code(), ErrorCode::UpstreamError);
    }

    #[test]
    fn certificates_are_found_or_built_in() {
        trust().expect("set up");
    }
}
