//! Clients that read or send slowly, or not at all: they cost little memory, lose their connection
//! after a while, and do no harm to others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::support::client::Client;
use crate::support::server::address_after;
use crate::support::{Server, disk, eventually, pictures};
use crate::tls;

/// More than the buffers of the system between here and there take.
fn large() -> Vec<u8> {
    pictures::png(&pictures::noise(2200, 2200, 1))
}

fn metrics(server: &Server) -> Client {
    let output = server.output();
    let address = output
        .lines()
        .find_map(|line| address_after("metrics on http://", line));
    Client::new(address.expect("an address"))
}

fn stalled(metrics: &Client) -> u64 {
    let text = String::from_utf8(metrics.get("/metrics").ok().body).expect("text");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("pict_rs_stalled_clients "));
    line.map_or(0, |count| count.parse().expect("a number"))
}

/// A connection on which a picture was asked for, with a small buffer on our side.
fn ask(server: &Server, alias: &str) -> TcpStream {
    let mut stream = server.connect();
    set_socket_recv_buffer_size(&stream, 16 * 1024).expect("set");
    let request = format!("GET /image/original/{alias} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    stream
}

#[test]
fn a_client_that_reads_nothing_loses_its_connection() {
    let server = Server::with([
        ("server.write_timeout", "1"),
        ("metrics.prometheus_address", "127.0.0.1:0"),
    ]);
    let bytes = large();
    let alias = server.upload(&bytes).alias;
    let metrics = metrics(&server);
    let mut stream = ask(&server, &alias);
    eventually("it is cut off", || (stalled(&metrics) == 1).then_some(()));
    let mut answer = Vec::new();
    // What the system had taken may still arrive.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.len() < bytes.len(), "{}", answer.len());
    server.original(&alias);
}

#[test]
fn a_client_that_reads_slowly_and_steadily_gets_everything() {
    let server = Server::with([
        ("server.write_timeout", "3"),
        ("metrics.prometheus_address", "127.0.0.1:0"),
    ]);
    let alias = server.upload(&large()).alias;
    let expected = server.original(&alias);
    let mut stream = ask(&server, &alias);
    let mut answer = Vec::new();
    let mut buffer = vec![0; expected.len() / 80];
    // Several times as long as the limit.
    while answer.len() < expected.len() {
        let read = stream.read(&mut buffer).expect("the connection stays");
        assert!(read > 0, "{} of {} bytes", answer.len(), expected.len());
        answer.extend_from_slice(&buffer[..read]);
        std::thread::sleep(Duration::from_millis(100) * u32::from(read > 16 * 1024));
    }
    assert!(answer.ends_with(&expected[expected.len() / 2..]));
    assert_eq!(stalled(&metrics(&server)), 0);
}

#[test]
fn clients_that_read_nothing_share_one_budget_of_memory() {
    let server = Server::with([
        ("server.response_memory", "8"),
        ("server.write_timeout", "600"),
    ]);
    let alias = server.upload(&large()).alias;
    server.original(&alias);
    let before = server.memory_kib("VmRSS");
    let streams: Vec<_> = (0..300).map(|_| ask(&server, &alias)).collect();
    // Each was half a MiB.
    let mut last = 0;
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(300));
        last = server.memory_kib("VmRSS");
    }
    let grown = last.saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB for {}", streams.len());
    // What is small needs none of it.
    server.get("/image/limits").ok();
    // Where one has gone there is room for another.
    drop(streams);
    server.original(&alias);
}

#[test]
fn an_upload_that_stalls_keeps_little_in_memory() {
    let server = Server::with([("server.upload_timeout", "600")]);
    server.upload(&pictures::png(&pictures::photo(40, 30)));
    let before = server.memory_kib("VmRSS");
    let head = "--b\r\nContent-Disposition: form-data; name=\"images[]\"; filename=\"a.png\"\r\n\
                Content-Type: image/png\r\n\r\n";
    let streams: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = server.connect();
            let request = "POST /image HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\
                           Content-Type: multipart/form-data; boundary=b\r\n\r\n";
            stream.write_all(request.as_bytes()).expect("sent");
            stream.write_all(head.as_bytes()).expect("sent");
            stream.write_all(&[0x55; 250_000]).expect("sent");
            stream
        })
        .collect();
    let mut last = 0;
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(300));
        last = server.memory_kib("VmRSS");
    }
    let grown = last.saturating_sub(before);
    // It was 0.75 MiB for each, and some of what is left is what the allocator keeps.
    assert!(grown < 100 * 1024, "{grown} KiB for {}", streams.len());
    drop(streams);
    eventually("nothing is left", || {
        disk::unfinished(&server.files()).is_empty().then_some(())
    });
}

#[test]
fn no_more_connections_are_served_than_the_settings_say() {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let server = Server::with([("server.max_connections", &*workers.to_string())]);
    let held: Vec<_> = (0..workers).map(|_| server.connect()).collect();
    // Each of these is served, and the next one waits until one ends.
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let read = |mut stream: &TcpStream| {
        stream.write_all(request).expect("sent");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).map(|()| answer)
    };
    for stream in &held {
        assert_eq!(&read(stream).expect("served"), b"HTTP/1.1 200");
    }
    let waiting = server.connect();
    let patience = Some(Duration::from_secs(1));
    waiting.set_read_timeout(patience).expect("set");
    read(&waiting).expect_err("it waits");
    drop(held);
    let mut answer = [0; 12];
    let patience = Some(Duration::from_secs(60));
    waiting.set_read_timeout(patience).expect("set");
    (&waiting).read_exact(&mut answer).expect("its turn");
    assert_eq!(&answer, b"HTTP/1.1 200");
}

/// A connection of HTTP/2 by a client that takes this many bytes of each answer without being asked.
async fn connect(server: &Server, pair: &tls::Pair, window: u32) -> SendRequest<Bytes> {
    let mut roots = RootCertStore::empty();
    roots.add(pair.cert.der().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("pict-rs.test").expect("a name");
    let socket = tokio::net::TcpStream::connect(server.address()).await;
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = tls.connect(name, socket.expect("connected")).await;
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(window)
        // An answer that is read late must not hold up the others.
        .initial_connection_window_size(64 * 1024 * 1024)
        // This client ignores what the server allows.
        .initial_max_send_streams(10_000)
        .handshake(stream.expect("trusted"))
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    requests
}

fn request(method: &str, path: &str) -> http::Request<()> {
    let url = format!("https://pict-rs.test{path}");
    let request = http::Request::builder().method(method).uri(url);
    request.body(()).expect("a request")
}

async fn read(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        bytes.extend_from_slice(&piece);
        let _ = body.flow_control().release_capacity(piece.len());
    }
    Ok(bytes)
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

#[test]
fn http_2_takes_and_serves_pictures() {
    let pair = tls::pair();
    let (server, _) = tls::start(&pair);
    let bytes = large();
    runtime().block_on(async {
        let mut requests = connect(&server, &pair, 64 * 1024).await;
        let mut upload = request("POST", "/image");
        let kind = format!("multipart/form-data; boundary={}", "b");
        let kind = kind.parse().expect("a value");
        upload.headers_mut().insert("content-type", kind);
        let head = "--b\r\nContent-Disposition: form-data; name=\"images[]\"; filename=\"a.png\"\r\n\
                    Content-Type: image/png\r\n\r\n";
        let form = [head.as_bytes(), &bytes, b"\r\n--b--\r\n"].concat();
        let (answer, mut body) = requests.send_request(upload, false).expect("sent");
        body.send_data(form.into(), true).expect("sent");
        let (head, body) = answer.await.expect("answered").into_parts();
        let text = read(body).await.expect("whole");
        let text = String::from_utf8(text).expect("text");
        assert_eq!(head.status, 201, "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let alias = json["files"][0]["file"].as_str().expect("an alias");

        let path = format!("/image/original/{alias}");
        let mut answers = Vec::new();
        for method in ["HEAD", "GET", "GET", "GET"] {
            let (answer, _) = requests
                .send_request(request(method, &path), true)
                .expect("sent");
            answers.push((method, answer));
        }
        let mut pictures = Vec::new();
        for (method, answer) in answers {
            let (head, body) = answer.await.expect("answered").into_parts();
            assert_eq!(head.status, 200);
            assert!(head.headers.contains_key("date"));
            assert!(head.headers.contains_key("etag"));
            let length = head.headers["content-length"].to_str().expect("text");
            let bytes = read(body).await.expect("whole");
            if method == "GET" {
                assert_eq!(bytes.len().to_string(), length);
                pictures.push(bytes);
            } else {
                assert!(bytes.is_empty());
            }
        }
        assert!(pictures.iter().all(|picture| *picture == pictures[0]));
        let path = "/image/original/absent.png";
        let (answer, _) = requests.send_request(request("GET", path), true).expect("sent");
        let (head, body) = answer.await.expect("answered").into_parts();
        assert_eq!(head.status, 404);
        let text = String::from_utf8(read(body).await.expect("whole")).expect("text");
        assert!(text.contains("alias-not-found"), "{text}");
    });
    // Idle connections do not hold up the end.
    server.stop();
}

#[test]
fn streams_of_http_2_that_take_nothing_are_few_and_end() {
    let pair = tls::pair();
    let launch = tls::launch()
        .setting("server.write_timeout", "2")
        .setting("metrics.prometheus_address", "127.0.0.1:0");
    tls::write_pair(launch.folder(), &pair);
    let server = launch.start();
    runtime().block_on(async {
        let mut requests = connect(&server, &pair, 1024 * 1024).await;
        let bytes = large();
        let mut upload = request("POST", "/image");
        let kind = "multipart/form-data; boundary=b".parse().expect("a value");
        upload.headers_mut().insert("content-type", kind);
        let head = "--b\r\nContent-Disposition: form-data; name=\"images[]\"; filename=\"a.png\"\r\n\
                    Content-Type: image/png\r\n\r\n";
        let form = [head.as_bytes(), &bytes, b"\r\n--b--\r\n"].concat();
        let (answer, mut body) = requests.send_request(upload, false).expect("sent");
        body.send_data(form.into(), true).expect("sent");
        let text = read(answer.await.expect("answered").into_body()).await;
        let json: serde_json::Value =
            serde_json::from_slice(&text.expect("whole")).expect("JSON");
        let alias = json["files"][0]["file"].as_str().expect("an alias");
        let path = format!("/image/original/{alias}");

        server.forget_peak_memory();
        let before = server.memory_kib("VmRSS");
        let mut greedy = connect(&server, &pair, 0).await;
        let mut answers = Vec::new();
        for _ in 0..300 {
            match greedy.send_request(request("GET", &path), true) {
                Ok((answer, _)) => answers.push(answer),
                Err(_) => break,
            }
        }
        let (mut refused, mut cut) = (0, 0);
        for answer in answers {
            let ended = match answer.await {
                Ok(answer) => read(answer.into_body()).await.map(drop),
                Err(error) => Err(error),
            };
            match ended.expect_err("nothing is taken").reason() {
                Some(Reason::REFUSED_STREAM) => refused += 1,
                Some(Reason::CANCEL) => cut += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((refused, cut), (200, 100));
        let grown = server.memory_kib("VmHWM").saturating_sub(before);
        assert!(grown < 64 * 1024, "{grown} KiB");
        assert_eq!(stalled(&metrics(&server)), 100);
    });
}
