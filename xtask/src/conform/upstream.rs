//! The server that both are asked to fetch from: `/NAME` is a file of [`super::pictures`], `/to/NAME`
//! leads there, and nothing else is there.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;

use super::pictures;

/// Bytes of a request's head; whatever is longer is not answered.
const HEAD: u64 = 64 * 1024;

/// Runs until it is dropped.
pub struct Upstream {
    address: SocketAddr,
    stops: Arc<AtomicBool>,
    accept: Option<JoinHandle<()>>,
}

impl Upstream {
    /// On a port of the system's choice, for programs of this machine.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stops = Arc::new(AtomicBool::new(false));
        let has_stopped = stops.clone();
        let accept = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if has_stopped.load(Ordering::SeqCst) {
                    return;
                }
                // Whoever goes away early has heard enough.
                std::thread::spawn(move || drop(answer(stream)));
            }
        });
        Ok(Self {
            address,
            stops,
            accept: Some(accept),
        })
    }

    /// Without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(accept) = self.accept.take() {
            drop(accept.join());
        }
    }
}

fn answer(mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?).take(HEAD);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let (status, header, body) = match path.strip_prefix("/to/") {
        Some(name) => ("302 Found", format!("Location: /{name}\r\n"), Vec::new()),
        None => match pictures::bytes(path.trim_start_matches('/')) {
            Ok(bytes) => ("200 OK", String::new(), bytes),
            Err(_) => ("404 Not Found", String::new(), Vec::new()),
        },
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    stream.shutdown(Shutdown::Write)?;
    // Until the other side has read it all.
    stream.read_exact(&mut [0; 1])?;
    Ok(())
}
