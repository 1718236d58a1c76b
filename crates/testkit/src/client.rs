//! An HTTP client: blocking, keeps its connections, and writes multipart bodies by hand; also raw
//! connections for tests of single bytes.
//!
//! It is implemented here because chores use it for measurements: an answer costs it some
//! microseconds, even in a build without optimisation.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than any answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
const BOUNDARY: &str = "a-boundary-that-no-file-has";
/// How many idle connections are kept.
const IDLE: usize = 3;
/// Larger bodies are an error.
const LARGEST: usize = 1 << 30;
/// Bodies of at most this size are sent in one write with the head of the request.
const SMALL: usize = 64 * 1024;

/// A client of one server.
pub struct Client {
    /// Where the server listens.
    pub address: SocketAddr,
    host: String,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// In the order received, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without chunk framing.
    pub body: Vec<u8>,
}

/// One file of an upload form.
pub struct File<'a> {
    /// The name of the form field.
    pub field: &'a str,
    /// The file name that the client sends.
    pub filename: Option<&'a str>,
    /// Its contents.
    pub bytes: &'a [u8],
}

impl<'a> File<'a> {
    /// A file as most clients send it.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            field: "images[]",
            filename: Some("upload.bin"),
            bytes,
        }
    }
}

/// The result of an upload.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// Its public name.
    pub alias: String,
    /// The delete token.
    pub token: String,
    /// The details from the server.
    pub details: Value,
}

impl Client {
    /// A client of the server at this address; an answer may take a minute.
    pub fn new(address: SocketAddr) -> Self {
        Self::with_timeout(address, TIMEOUT)
    }

    /// The same with another timeout, from the request to the last byte of the answer.
    pub fn with_timeout(address: SocketAddr, timeout: Duration) -> Self {
        Self {
            address,
            host: address.to_string(),
            timeout,
            idle: Mutex::default(),
        }
    }

    /// Its server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of the server at `http://HOST:PORT`.
    ///
    /// # Errors
    /// When the URL is invalid, or the name has no address.
    pub fn at(url: &str) -> io::Result<Self> {
        let host = url.strip_prefix("http://").unwrap_or(url);
        let host = host.trim_end_matches('/');
        let address = host.to_socket_addrs()?.next();
        let address = address.ok_or_else(|| broken(format!("{host} has no address")))?;
        Ok(Self {
            host: host.to_owned(),
            ..Self::new(address)
        })
    }

    /// # Errors
    /// When the connection breaks, or the answer is late or invalid.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Answer> {
        let deadline = Instant::now() + self.timeout;
        let kept = self.lock_idle().pop().filter(Connection::is_usable);
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(self.address, self.timeout)?,
        };
        connection.stream.get_mut().deadline = deadline;
        let head = self.request_head(method, path, headers, body);
        let sent = connection.send(&head, body.unwrap_or_default());
        // A server may answer and close before it has read the whole body.
        let (answer, is_reusable) = match (sent, connection.answer(method == "HEAD")) {
            (Err(error), Err(_)) => return Err(error),
            (Err(_), Ok((answer, _))) => (answer, false),
            (Ok(()), answer) => answer?,
        };
        let mut idle = self.lock_idle();
        if is_reusable && idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(answer)
    }

    fn request_head(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        let is_given = |wanted: &str| {
            let mut names = headers.iter();
            names.any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if !is_given("accept") {
            head += "accept: */*\r\n";
        }
        let length = body.map(<[u8]>::len);
        let length = length.or((method == "POST" || method == "PUT").then_some(0));
        if let Some(length) = length.filter(|_| !is_given("content-length")) {
            // Writing to a String cannot fail.
            let _ = write!(head, "content-length: {length}\r\n");
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head += "\r\n";
        head.into_bytes()
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and returns the answer.
    #[track_caller]
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A GET without extra headers.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    /// A GET with these headers.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, None)
    }

    /// A HEAD without extra headers.
    pub fn head(&self, path: &str) -> Answer {
        self.send("HEAD", path, &[], None)
    }

    /// A DELETE without extra headers.
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    /// The bytes of an original; panics if it does not exist.
    pub fn original(&self, alias: &str) -> Vec<u8> {
        self.get(&format!("/image/original/{alias}")).ok().body
    }

    /// A variant; panics if it cannot be made: `process("webp", alias, "thumbnail=64")`.
    pub fn process(&self, extension: &str, alias: &str, operations: &str) -> Vec<u8> {
        self.get(&process_path(extension, alias, operations))
            .ok()
            .body
    }

    /// Uploads files to `/image?{query}`.
    pub fn upload_form(&self, query: &str, files: &[File]) -> Answer {
        self.try_upload_form(query, files)
            .unwrap_or_else(|error| panic!("POST /image: {error}"))
    }

    /// # Errors
    /// When the connection breaks.
    pub fn try_upload_form(&self, query: &str, files: &[File]) -> io::Result<Answer> {
        let path = match query {
            "" => "/image".to_owned(),
            query => format!("/image?{query}"),
        };
        let body = multipart(files);
        let kind = content_type();
        self.try_send("POST", &path, &[("content-type", &kind)], Some(&body))
    }

    /// Uploads to `/image/backgrounded{query}`.
    pub fn background_form(&self, query: &str, files: &[File]) -> Answer {
        self.try_background_form(query, files)
            .unwrap_or_else(|error| panic!("POST /image/backgrounded: {error}"))
    }

    /// # Errors
    /// When the connection breaks.
    pub fn try_background_form(&self, query: &str, files: &[File]) -> io::Result<Answer> {
        let path = format!("/image/backgrounded{query}");
        let body = multipart(files);
        let kind = content_type();
        self.try_send("POST", &path, &[("content-type", &kind)], Some(&body))
    }

    /// Uploads one file in the background; returns its id.
    pub fn background(&self, bytes: &[u8]) -> String {
        let mut ids = self.background_form("", &[File::new(bytes)]).upload_ids();
        assert_eq!(ids.len(), 1);
        ids.remove(0)
    }

    /// Claims once; the server may wait for the outcome.
    pub fn claim_once(&self, id: &str) -> Answer {
        self.get(&claim_path(id))
    }

    /// Claims until there is an outcome.
    pub fn claim(&self, id: &str) -> Answer {
        crate::eventually("an outcome", || {
            Some(self.claim_once(id)).filter(|answer| answer.status != 204)
        })
    }

    /// Uploads one file, which must be accepted.
    pub fn upload(&self, bytes: &[u8]) -> Uploaded {
        self.upload_with("", bytes)
    }

    /// The same with limits or operations.
    pub fn upload_with(&self, query: &str, bytes: &[u8]) -> Uploaded {
        let answer = self.upload_form(query, &[File::new(bytes)]);
        answer
            .uploaded()
            .pop()
            .unwrap_or_else(|| panic!("no file in {answer:?}"))
    }

    /// Uploads one file, which must be refused with this status and code. Returns the message.
    pub fn upload_refused(&self, query: &str, bytes: &[u8], status: u16, code: &str) -> String {
        self.upload_form(query, &[File::new(bytes)])
            .refused(status, code)
    }

    /// A raw connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("set");
        stream.set_write_timeout(Some(TIMEOUT)).expect("set");
        stream
    }

    /// Sends bytes as they are and reads until the server closes the connection.
    pub fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A connection that stays open between requests.
struct Connection {
    stream: BufReader<Timed>,
}

/// A socket with a deadline for reading, however slowly the bytes arrive.
struct Timed {
    socket: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        self.socket.read(buffer)
    }
}

impl Connection {
    fn open(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, timeout)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(timeout))?;
        let deadline = Instant::now() + timeout;
        Ok(Self {
            stream: BufReader::new(Timed { socket, deadline }),
        })
    }

    /// Whether it is still open, without unread data.
    fn is_usable(&self) -> bool {
        let socket = &self.stream.get_ref().socket;
        let is_quiet = |socket: &TcpStream| {
            socket.set_nonblocking(true)?;
            let peeked = socket.peek(&mut [0]);
            socket.set_nonblocking(false)?;
            peeked
        };
        self.stream.buffer().is_empty()
            && is_quiet(socket).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let socket = &mut self.stream.get_mut().socket;
        if body.len() <= SMALL {
            return socket.write_all(&[head, body].concat());
        }
        socket.write_all(head)?;
        socket.write_all(body)
    }

    /// Reads an answer; also returns whether another request may follow.
    fn answer(&mut self, is_head: bool) -> io::Result<(Answer, bool)> {
        let (status, headers) = loop {
            let (status, headers) = self.read_head()?;
            // An interim answer precedes the final one.
            if status >= 200 {
                break (status, headers);
            }
        };
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        let says = |name: &str, word: &str| {
            let value = answer.header(name);
            value.is_some_and(|value| value.eq_ignore_ascii_case(word))
        };
        let mut is_reusable = !says("connection", "close");
        if is_head || matches!(status, 204 | 304) {
            return Ok((answer, is_reusable));
        }
        answer.body = if says("transfer-encoding", "chunked") {
            self.read_chunks()?
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(|_| broken(length))?;
            self.read_bytes(length)?
        } else {
            is_reusable = false;
            let mut body = Vec::new();
            self.stream.read_to_end(&mut body)?;
            body
        };
        Ok((answer, is_reusable))
    }

    fn read_head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let first = self.read_line()?;
        let status = first.strip_prefix("HTTP/1.1 ");
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| broken(&first))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        let line = String::from_utf8_lossy(&line);
        let whole = line.strip_suffix("\r\n");
        let whole = whole.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(whole.to_owned())
    }

    fn read_bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > LARGEST {
            return Err(broken(format!("{length} bytes")));
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let length = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(length, 16).map_err(|_| broken(&line))?;
            body.extend(self.read_bytes(length)?);
            // The end of the chunk; after the last one, the end of the body.
            let end = self.read_line()?;
            if !end.is_empty() {
                return Err(broken(end));
            }
            if length == 0 {
                return Ok(body);
            }
        }
    }
}

fn broken(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed: {what}"))
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body, which must be JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text()))
    }

    /// The start of the body, for messages.
    pub fn text(&self) -> String {
        let end = self.body.len().min(2000);
        String::from_utf8_lossy(&self.body[..end]).into_owned()
    }

    /// Expects this status.
    #[track_caller]
    pub fn status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Expects 200.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.status(200)
    }

    /// Expects the JSON of an error, and returns its message and detail. No error may reveal paths
    /// on the server's disk.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        assert_eq!(json["code"], code, "{json}");
        let message = json["msg"].as_str().expect("a message");
        assert!(!message.is_empty());
        let message = match json.get("detail") {
            Some(detail) => format!("{message}: {}", detail.as_str().expect("a sentence")),
            None => message.to_owned(),
        };
        assert!(!message.contains("/data/") && !message.contains("pict-rs-test"));
        for (key, value) in json.as_object().expect("an object") {
            match key.as_str() {
                "msg" | "detail" | "code" => assert!(value.is_string(), "{json}"),
                "limit" | "found" => assert!(value.is_u64(), "{json}"),
                _ => panic!("an error has no {key}: {json}"),
            }
        }
        message
    }

    /// Expects 201 and returns the files.
    #[track_caller]
    pub fn uploaded(&self) -> Vec<Uploaded> {
        assert_eq!(self.status, 201, "{}", self.text());
        self.files()
    }

    /// Expects the outcome of a successful backgrounded upload.
    #[track_caller]
    pub fn claimed(&self) -> Uploaded {
        assert_eq!(self.status, 200, "{}", self.text());
        let mut files = self.files();
        assert_eq!(files.len(), 1);
        files.remove(0)
    }

    /// Expects 202 and returns the ids of the files.
    #[track_caller]
    pub fn upload_ids(&self) -> Vec<String> {
        assert_eq!(self.status, 202, "{}", self.text());
        let json = self.json();
        assert_eq!(json["msg"], "ok");
        let uploads = json["uploads"].as_array().expect("uploads");
        let id = |upload: &Value| upload["upload_id"].as_str().expect("an id").to_owned();
        uploads.iter().map(id).collect()
    }

    #[track_caller]
    fn files(&self) -> Vec<Uploaded> {
        let json = self.json();
        assert_eq!(json["msg"], "ok");
        let files = json["files"].as_array().expect("files");
        files
            .iter()
            .map(|file| Uploaded {
                alias: file["file"].as_str().expect("an alias").to_owned(),
                token: file["delete_token"].as_str().expect("a token").to_owned(),
                details: file["details"].clone(),
            })
            .collect()
    }
}

/// `/image/process.webp?src=…&thumbnail=64`
pub fn process_path(extension: &str, alias: &str, operations: &str) -> String {
    let and = if operations.is_empty() { "" } else { "&" };
    format!("/image/process.{extension}?src={alias}{and}{operations}")
}

/// The path to claim a backgrounded upload.
pub fn claim_path(id: &str) -> String {
    format!("/image/backgrounded/claim?upload_id={id}")
}

/// The content type of every form here.
pub fn content_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// A form with these files.
pub fn multipart(files: &[File]) -> Vec<u8> {
    let mut body = Vec::new();
    for file in files {
        body.extend_from_slice(part_head(file.field, file.filename).as_bytes());
        body.extend_from_slice(file.bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(form_end().as_bytes());
    body
}

/// The bytes before the contents of a file.
pub fn part_head(field: &str, filename: Option<&str>) -> String {
    let filename = filename.map_or_else(String::new, |name| format!("; filename=\"{name}\""));
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"{filename}\r\n\r\n")
}

/// The bytes after the last file.
pub fn form_end() -> String {
    format!("--{BOUNDARY}--\r\n")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::upstream::{Reply, Upstream};

    fn body(reply: &str) -> io::Result<Vec<u8>> {
        let reply = Reply::Raw(reply.as_bytes().to_vec());
        let upstream = Upstream::start(move |_| reply.clone());
        let client = Client::new(upstream.address);
        Ok(client.try_send("GET", "/", &[], None)?.body)
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let expect = |reply: &str, expected: &[u8]| {
            assert_eq!(body(reply).expect("an answer"), expected, "{reply:?}");
        };
        expect("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd", b"ab");
        expect("HTTP/1.1 200 OK\r\n\r\nabcd", b"abcd");
        expect("HTTP/1.1 204 No Content\r\n\r\n", b"");
        expect(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
            b"abc0123456789",
        );
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error() {
        for reply in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "nonsense\r\n\r\n",
        ] {
            assert!(body(reply).is_err(), "{reply:?}");
        }
    }

    #[test]
    fn a_connection_is_kept_until_the_server_closes_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = std::thread::spawn(move || {
            for requests in [2, 1] {
                let (mut stream, _) = listener.accept().expect("a connection");
                for left in (0..requests).rev() {
                    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                    assert!(lines.any(|line| line.is_empty()));
                    let close = if left == 0 {
                        "Connection: close\r\n"
                    } else {
                        ""
                    };
                    write!(
                        stream,
                        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n{close}\r\nx"
                    )
                    .expect("sent");
                }
            }
        });
        let client = Client::new(address);
        for _ in 0..3 {
            assert_eq!(client.get("/").ok().body, b"x");
        }
        server.join().expect("two connections were enough");
    }
}
