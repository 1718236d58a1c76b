//! Requests and answers: a blocking client, multipart bodies written by hand, and a raw
//! connection for when single bytes of a request or answer matter.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, Request};

/// Longer than any answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
const BOUNDARY: &str = "a-boundary-that-no-file-has";

/// Speaks to one server.
pub struct Client {
    pub address: SocketAddr,
    agent: ureq::Agent,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// One file of an upload form.
pub struct File<'a> {
    pub field: &'a str,
    pub filename: Option<&'a str>,
    pub bytes: &'a [u8],
}

impl<'a> File<'a> {
    /// As every client sends it.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            field: "images[]",
            filename: Some("upload.bin"),
            bytes,
        }
    }
}

/// What a client keeps of an accepted file.
#[derive(Clone, Debug)]
pub struct Uploaded {
    pub alias: String,
    pub token: String,
    pub details: Value,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .build();
        Self {
            address,
            agent: config.into(),
        }
    }

    /// # Errors
    /// When the connection breaks.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            None => self.agent.run(request.body(()).expect("a request"))?,
            Some(body) => self.agent.run(request.body(body).expect("a request"))?,
        };
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_vec()?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

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

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, None)
    }

    pub fn head(&self, path: &str) -> Answer {
        self.send("HEAD", path, &[], None)
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    /// The bytes of an original that must be there.
    pub fn original(&self, alias: &str) -> Vec<u8> {
        self.get(&format!("/image/original/{alias}")).ok().body
    }

    /// A variant that must be made: `process("webp", alias, "thumbnail=64")`.
    pub fn process(&self, extension: &str, alias: &str, operations: &str) -> Vec<u8> {
        self.get(&process_path(extension, alias, operations))
            .ok()
            .body
    }

    /// Uploads whatever is given to `/image?{query}`.
    pub fn upload_form(&self, query: &str, files: &[File]) -> Answer {
        self.try_upload_form(query, files)
            .unwrap_or_else(|error| panic!("POST /image: {error}"))
    }

    /// # Errors
    /// When the connection breaks.
    pub fn try_upload_form(&self, query: &str, files: &[File]) -> Result<Answer, ureq::Error> {
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
    pub fn try_background_form(&self, query: &str, files: &[File]) -> Result<Answer, ureq::Error> {
        let path = format!("/image/backgrounded{query}");
        let body = multipart(files);
        let kind = content_type();
        self.try_send("POST", &path, &[("content-type", &kind)], Some(&body))
    }

    /// One file that is expected to be taken on; its id.
    pub fn background(&self, bytes: &[u8]) -> String {
        let mut ids = self.background_form("", &[File::new(bytes)]).upload_ids();
        assert_eq!(ids.len(), 1);
        ids.remove(0)
    }

    /// Asks once; waits as long as the server wants to wait.
    pub fn claim_once(&self, id: &str) -> Answer {
        self.get(&claim_path(id))
    }

    /// Asks until there is an outcome.
    pub fn claim(&self, id: &str) -> Answer {
        super::eventually("an outcome", || {
            Some(self.claim_once(id)).filter(|answer| answer.status != 204)
        })
    }

    /// One file that is expected to be taken.
    pub fn upload(&self, bytes: &[u8]) -> Uploaded {
        self.upload_with("", bytes)
    }

    /// The same, with limits or operations.
    pub fn upload_with(&self, query: &str, bytes: &[u8]) -> Uploaded {
        let answer = self.upload_form(query, &[File::new(bytes)]);
        answer
            .uploaded()
            .pop()
            .unwrap_or_else(|| panic!("no file in {answer:?}"))
    }

    /// One file that is expected to be refused with this status and code. Returns the message.
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

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        let end = self.body.len().min(2000);
        String::from_utf8_lossy(&self.body[..end]).into_owned()
    }

    /// Expects a status.
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

    /// Expects the JSON of an error, whose message and detail are returned. No error may say where
    /// on the server's disk something lies.
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

    /// Expects the outcome of a backgrounded upload that was taken in.
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

/// Where the outcome of a backgrounded upload is asked for.
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

/// What stands before the bytes of one file.
pub fn part_head(field: &str, filename: Option<&str>) -> String {
    let filename = filename.map_or_else(String::new, |name| format!("; filename=\"{name}\""));
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"{filename}\r\n\r\n")
}

/// What stands after the last file.
pub fn form_end() -> String {
    format!("--{BOUNDARY}--\r\n")
}
