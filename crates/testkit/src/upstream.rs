//! A test upstream from which media are fetched: real sockets, byte-exact answers, and a record of
//! the requests.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::eventually;

/// A request as received.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Includes the query.
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    /// The value of this header; the name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The answer; then the connection is closed.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sends these bytes.
    Raw(Vec<u8>),
    /// Sends these bytes, then nothing until the other side disconnects.
    Stall(Vec<u8>),
    /// Sends these bytes, then zeros until the other side disconnects.
    Endless(Vec<u8>),
}

impl Reply {
    /// 200 with these headers, as lines that end in `\r
    /// `.
    pub fn with(headers: &str, body: &[u8]) -> Self {
        Self::status("200 OK", headers, body)
    }

    /// 200 with this body.
    pub fn ok(body: &[u8]) -> Self {
        Self::with("", body)
    }

    /// A status such as `404 Not Found`, with headers and a body.
    pub fn status(status: &str, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
        Self::Raw([head.as_bytes(), body].concat())
    }

    /// A redirect with a status such as `302 Found`.
    pub fn redirect(status: &str, to: &str) -> Self {
        Self::status(status, &format!("Location: {to}\r\n"), b"")
    }
}

/// A socket, or an encrypted stream over one.
pub trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

type Answer = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;
type Wrap = Box<dyn Fn(TcpStream) -> Box<dyn Stream> + Send + Sync>;

struct State {
    answer: Answer,
    /// The scheme of its URLs.
    scheme: &'static str,
    wrap: Wrap,
    connections: AtomicUsize,
    asked: Mutex<Vec<Asked>>,
    left: AtomicUsize,
    stops: AtomicBool,
}

/// A running upstream. Dropping it stops it.
pub struct Upstream {
    /// The address it listens on, on this machine.
    pub address: SocketAddr,
    state: Arc<State>,
    accept: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Answers each request with the result of this function.
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::launch(
            Box::new(answer),
            "http",
            Box::new(|socket| Box::new(socket)),
        )
    }

    /// Answers every request with the same bytes.
    pub fn serving(bytes: &[u8]) -> Self {
        let reply = Reply::ok(bytes);
        Self::start(move |_| reply.clone())
    }

    /// The same over TLS, which `wrap` adds to each socket.
    pub fn serving_tls(
        bytes: &[u8],
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
    ) -> Self {
        let reply = Reply::ok(bytes);
        Self::launch(Box::new(move |_| reply.clone()), "https", Box::new(wrap))
    }

    fn launch(answer: Answer, scheme: &'static str, wrap: Wrap) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            answer,
            scheme,
            wrap,
            connections: AtomicUsize::new(0),
            asked: Mutex::default(),
            left: AtomicUsize::new(0),
            stops: AtomicBool::new(false),
        });
        let shared = state.clone();
        let accept = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stops.load(Ordering::SeqCst) {
                    return;
                }
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let (stream, state) = (stream.expect("accepted"), shared.clone());
                // Some tests are about clients that disconnect.
                std::thread::spawn(move || drop(serve(&state, stream)));
            }
        });
        Self {
            address,
            state,
            accept: Some(accept),
        }
    }

    /// The URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.state.scheme, self.address)
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = self.state.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The paths of all requests so far.
    pub fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }

    /// How many clients disconnected while an answer was being sent or stalled.
    pub fn left(&self) -> usize {
        self.state.left.load(Ordering::SeqCst)
    }

    /// Expects that no client has ever connected. Connections are accepted in order, so one of our
    /// own proves that there is none before it.
    #[track_caller]
    pub fn assert_untouched(&self) {
        let before = self.state.connections.load(Ordering::SeqCst);
        let probe = TcpStream::connect(self.address).expect("it listens");
        eventually("our own connection is accepted", || {
            let connections = self.state.connections.load(Ordering::SeqCst);
            (connections > before).then_some(())
        });
        drop(probe);
        let connections = self.state.connections.fetch_sub(1, Ordering::SeqCst);
        assert_eq!(connections, 1, "only the probe may have connected");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.state.stops.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        if let Some(accept) = self.accept.take() {
            let _ = accept.join();
        }
    }
}

fn serve(state: &State, stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let socket = stream.try_clone()?;
    exchange(state, (state.wrap)(stream), &socket)
}

fn exchange(state: &State, mut stream: Box<dyn Stream>, socket: &TcpStream) -> std::io::Result<()> {
    let Some(asked) = read_head(&mut stream)? else {
        return Ok(());
    };
    let reply = (state.answer)(&asked);
    let asked_so_far = state.asked.lock();
    asked_so_far
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked);
    match reply {
        Reply::Raw(bytes) => {
            stream.write_all(&bytes)?;
            stream.flush()?;
            socket.shutdown(Shutdown::Write)?;
            // Waits until the other side has read everything.
            let _ = socket.try_clone()?.read(&mut [0; 64]);
        }
        Reply::Stall(bytes) => {
            stream.write_all(&bytes)?;
            stream.flush()?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            while !state.stops.load(Ordering::SeqCst) {
                if let Ok(0) = socket.try_clone()?.read(&mut [0; 64]) {
                    state.left.fetch_add(1, Ordering::SeqCst);
                    break;
                }
            }
        }
        Reply::Endless(bytes) => {
            stream.write_all(&bytes)?;
            while !state.stops.load(Ordering::SeqCst) {
                if stream.write_all(&[0; 16 * 1024]).is_err() {
                    state.left.fetch_add(1, Ordering::SeqCst);
                    break;
                }
            }
        }
    }
    Ok(())
}

fn read_head(stream: &mut impl Read) -> std::io::Result<Option<Asked>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
        // The first byte of TLS, which this server does not support.
        if head == [0x16] {
            return Ok(None);
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.trim_end().lines();
    let first = lines.next().unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Ok(Some(Asked { path, headers }))
}
