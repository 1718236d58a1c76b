//! Work that takes long, and the certainty that it has begun.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use super::client::{Client, process_path};
use super::{Answer, Server, eventually, pictures};

/// Steps that cost some thirty milliseconds for each megapixel and are never merged: wider blurs
/// are done on a smaller picture.
pub fn blurs(count: usize) -> String {
    vec!["blur=4"; count].join("&")
}

/// Lets another thread ask for a variant that takes long, and returns once it is being made.
/// For servers with one permit and no queue.
pub fn occupy(server: &Server, alias: &str) -> JoinHandle<Answer> {
    let path = long_path(alias);
    let address = server.address;
    let request = std::thread::spawn(move || {
        let client = Client::new(address);
        // The probe below may have the permit just now.
        eventually("it is our turn", || {
            Some(client.get(&path)).filter(|answer| answer.status != 503)
        })
    });
    eventually("the server is busy", || {
        is_busy(server, alias).then_some(())
    });
    request
}

/// Keeps the only processor busy until the connection is dropped. For servers with one permit,
/// no queue and a long `media.process_timeout`.
pub fn hold_processor(server: &Server) -> TcpStream {
    let alias = server
        .upload(&pictures::png(&pictures::plain(6000, 6000)))
        .alias;
    // A minute of work, if anybody let it go on.
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\n\r\n",
        process_path("png", &alias, &blurs(70))
    );
    eventually("the work has begun", || {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        stream.set_nonblocking(true).expect("set");
        while !is_busy(server, &alias) {
            if stream.peek(&mut [0]).is_ok() {
                // Refused, because a probe was at work just then.
                return None;
            }
        }
        Some(stream)
    })
}

/// Where the long work is asked for.
pub fn long_path(alias: &str) -> String {
    process_path("png", alias, &blurs(40))
}

/// Whether no permit is free. The probe takes a free one itself for a moment; whoever wants it
/// just then is refused and has to come again.
pub fn is_busy(server: &Server, alias: &str) -> bool {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let size = NEXT.fetch_add(1, Ordering::Relaxed);
    let probe = process_path("jpg", alias, &format!("thumbnail={size}"));
    server.get(&probe).status == 503
}
