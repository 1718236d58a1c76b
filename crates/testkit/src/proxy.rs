//! A [`Proxy`] that disturbs what is said to a server: an S3 server, or PostgreSQL.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How PostgreSQL is told to commit.
const COMMIT: &[u8] = b"COMMIT\0";

/// What a [`Proxy`] does to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// Passes everything on.
    None,
    /// Closes connections as they are opened.
    Closed,
    /// Accepts connections, and never answers.
    Silent,
    /// Answers every request with 503.
    Busy,
    /// Answers every request that would write with 403.
    ReadOnly,
    /// Answers every PUT with 403.
    NoPuts,
    /// Breaks off after this many bytes of what the server sends on a connection.
    CutAnswers(usize),
    /// Passes a commit on and closes its connection instead of passing on the answer, if this
    /// statement was prepared on that connection.
    CutCommits(&'static str),
    /// The same, and from then on [`Disturbance::Closed`].
    CutAfterCommit(&'static str),
}

/// Where the server listens.
#[derive(Clone, Debug)]
pub enum Target {
    /// On a port.
    Port(SocketAddr),
    /// On a socket with a name.
    Path(PathBuf),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Port(address)
    }
}

impl From<PathBuf> for Target {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

/// A socket before a server. What it does can be changed while it is used.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    disturbance: Disturbance,
    server: Target,
    open: Vec<UnixStream>,
    requests: u64,
    is_cut: bool,
}

impl State {
    /// Does something else from now on; open connections are closed.
    fn set(&mut self, disturbance: Disturbance) {
        self.disturbance = disturbance;
        for open in self.open.drain(..) {
            let _ = open.shutdown(Shutdown::Both);
        }
    }
}

impl Proxy {
    /// Stands before the server at this address.
    ///
    /// # Panics
    /// When no socket can be opened.
    pub fn before(server: impl Into<Target>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State {
            disturbance: Disturbance::None,
            server: server.into(),
            open: Vec::new(),
            requests: 0,
            is_cut: false,
        }));
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                thread::spawn(move || pass(client, &state));
            }
        });
        Self { address, state }
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on does this to connections; those that are open are closed.
    pub fn set(&self, disturbance: Disturbance) {
        lock(&self.state).set(disturbance);
    }

    /// From now on stands before another server; connections that are open are closed.
    pub fn lead_to(&self, server: impl Into<Target>) {
        let mut state = lock(&self.state);
        state.server = server.into();
        let disturbance = state.disturbance;
        state.set(disturbance);
    }

    /// From now on nothing passes, and no connection is closed, as when a network is cut; or what was
    /// held back passes, and everything else.
    pub fn cut(&self, is_cut: bool) {
        lock(&self.state).is_cut = is_cut;
    }

    /// How many requests have come, as far as can be told from where they begin.
    pub fn requests(&self) -> u64 {
        lock(&self.state).requests
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds something back while the network is cut.
fn hold(state: &Mutex<State>) {
    while lock(state).is_cut {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Any connected socket. Reading, writing and closing are the same for both families.
fn socket(stream: impl Into<OwnedFd>) -> UnixStream {
    UnixStream::from(stream.into())
}

/// Serves one connection.
fn pass(client: TcpStream, state: &Arc<Mutex<State>>) {
    let _ = client.set_nodelay(true);
    let mut client = socket(client);
    let (disturbance, server) = {
        let mut state = lock(state);
        state.open.extend(client.try_clone());
        (state.disturbance, state.server.clone())
    };
    let Some(mut upstream) = connect(disturbance, &server, state) else {
        if disturbance != Disturbance::Closed {
            // Read what is said, so that the client does not notice anything else.
            let mut bytes = [0; 16 * 1024];
            while matches!(client.read(&mut bytes), Ok(1..)) {}
        }
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    let is_cut = Arc::new(AtomicBool::new(false));
    {
        let (is_cut, state) = (is_cut.clone(), state.clone());
        let from = upstream.try_clone().expect("a socket");
        let to = client.try_clone().expect("a socket");
        thread::spawn(move || pass_answers(from, to, disturbance, &is_cut, &state));
    }
    let statement = match disturbance {
        Disturbance::CutCommits(statement) | Disturbance::CutAfterCommit(statement) => {
            Some(statement.as_bytes())
        }
        _ => None,
    };
    let mut is_prepared = false;
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = client.read(&mut bytes) {
        let is_write = [&b"PUT "[..], b"POST ", b"DELETE "]
            .iter()
            .any(|method| bytes[..read].starts_with(method));
        if is_write || bytes[..read].starts_with(b"GET ") || bytes[..read].starts_with(b"HEAD ") {
            lock(state).requests += 1;
        }
        let refusal = match disturbance {
            Disturbance::Busy => Some("503 Service Unavailable"),
            Disturbance::ReadOnly if is_write => Some("403 Forbidden"),
            Disturbance::NoPuts if bytes[..read].starts_with(b"PUT ") => Some("403 Forbidden"),
            _ => None,
        };
        if let Some(status) = refusal {
            let body = "<Error><Code>AccessDenied</Code></Error>";
            let body = if status.starts_with("403") { body } else { "" };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let _ = client.write_all(answer.as_bytes());
            // A body that is still coming must be read, or the answer is lost.
            let _ = client.shutdown(Shutdown::Write);
            while matches!(client.read(&mut bytes), Ok(1..)) {}
            break;
        }
        is_prepared |= statement.is_some_and(|statement| contains(&bytes[..read], statement));
        if is_prepared && contains(&bytes[..read], COMMIT) {
            is_cut.store(true, Ordering::Relaxed);
        }
        hold(state);
        if upstream.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    hold(state);
    let _ = upstream.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|found| found == part)
}

/// Passes on what the server says, until the end or what the disturbance says.
fn pass_answers(
    mut from: UnixStream,
    mut to: UnixStream,
    disturbance: Disturbance,
    is_cut: &AtomicBool,
    state: &Mutex<State>,
) {
    let mut left = match disturbance {
        Disturbance::CutAnswers(most) => most,
        _ => usize::MAX,
    };
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        // The server has answered, so what it was asked for is done.
        if is_cut.load(Ordering::Relaxed) {
            if matches!(disturbance, Disturbance::CutAfterCommit(_)) {
                lock(state).set(Disturbance::Closed);
            }
            break;
        }
        hold(state);
        let sent = read.min(left);
        left -= sent;
        if to.write_all(&bytes[..sent]).is_err() || left == 0 {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn connect(disturbance: Disturbance, server: &Target, state: &Mutex<State>) -> Option<UnixStream> {
    if matches!(disturbance, Disturbance::Closed | Disturbance::Silent) {
        return None;
    }
    hold(state);
    let upstream = reach(server).ok()?;
    lock(state).open.extend(upstream.try_clone());
    Some(upstream)
}

fn reach(server: &Target) -> io::Result<UnixStream> {
    match server {
        Target::Port(address) => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok(socket(stream))
        }
        Target::Path(path) => UnixStream::connect(path),
    }
}
