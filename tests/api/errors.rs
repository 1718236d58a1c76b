//! What a client may not, and what it hears then.

use std::io::{Read as _, Write as _};

use crate::support::client::{content_type, multipart};
use crate::support::{Answer, File, Server, pictures};

#[test]
fn an_unknown_alias_is_404_with_json_everywhere() {
    let server = Server::start();
    for path in [
        "/image/original/absent.png",
        "/image/original?alias=absent.png",
        "/image/original/a%20b%2Fc.png",
        "/image/original/..%2f..%2fdatabase%2fpict-rs.sqlite3",
        "/image/details/original/absent.png",
        "/image/details/original?alias=absent.png",
        "/image/process.webp?src=absent.png",
        "/image/details/process.webp?src=absent.png",
        "/image/blurhash?alias=absent.png",
        "/image/original?alias=%00",
    ] {
        server.get(path).refused(404, "alias-not-found");
        let head = server.head(path);
        assert_eq!(head.status, 404, "{path}");
        assert!(head.body.is_empty());
    }
    let long = format!("/image/original/{}.png", "x".repeat(5000));
    server.get(&long).refused(404, "alias-not-found");
}

#[test]
fn a_path_that_climbs_out_finds_nothing() {
    let server = Server::start();
    for path in [
        "/image/original/../../data/database/pict-rs.sqlite3",
        "/image/original/%2e%2e/%2e%2e/etc/passwd",
        "/image/original//etc/passwd",
        "/image/original/%ff%fe",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

#[test]
fn a_query_that_names_nothing_is_400() {
    let server = Server::start();
    for path in [
        "/image/original",
        "/image/original?src=a.png",
        "/image/details/original?x=y",
        "/image/blurhash",
        "/image/details/process.webp?thumbnail=3",
    ] {
        server.get(path).refused(400, "invalid-query");
    }
}

#[test]
fn unknown_paths_are_404_with_json() {
    let server = Server::start();
    for path in [
        "/image/",
        "/image/absent",
        "/image/delete",
        "/favicon.ico",
        "/images",
        "/healthz/",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            server
                .send(method, path, &[], None)
                .refused(404, "not-found");
        }
        assert!(server.head(path).status(404).body.is_empty(), "{path}");
    }
}

#[test]
fn a_wrong_method_is_405_with_the_right_ones() {
    let server = Server::start();
    for (method, path, allow) in [
        ("GET", "/image", "POST"),
        ("OPTIONS", "/image", "POST"),
        ("DELETE", "/image", "POST"),
        ("POST", "/image/original/a.png", "GET, HEAD"),
        ("PUT", "/image/original?alias=a.png", "GET, HEAD"),
        ("POST", "/image/process.webp?src=a.png", "GET, HEAD"),
        ("DELETE", "/image/details/original/a.png", "GET, HEAD"),
        ("POST", "/image/blurhash?alias=a.png", "GET, HEAD"),
        ("POST", "/image/delete/token/a.png", "DELETE, GET"),
        ("POST", "/healthz", "GET, HEAD"),
        ("GET", "/image/backgrounded", "POST"),
        ("POST", "/image/backgrounded/claim?upload_id=x", "GET"),
        ("HEAD", "/image/backgrounded/claim?upload_id=x", "GET"),
        ("HEAD", "/image/process_backgrounded.webp?src=a.png", "GET"),
    ] {
        let answer = server.send(method, path, &[], None);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        if method == "HEAD" {
            assert!(answer.status(405).body.is_empty());
        } else {
            let message = answer.refused(405, "method-not-allowed");
            assert!(
                message.contains(method) && message.contains(allow),
                "{message}"
            );
        }
    }
}

#[test]
fn a_path_that_cannot_be_decoded_is_404_with_json() {
    let server = Server::start();
    for path in ["/image/original/%ff%fe", "/image/details/original/%ff"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(answer.contains("application/json"), "{path}: {answer}");
        assert!(answer.contains("-found\""), "{path}: {answer}");
    }
}

#[test]
fn a_head_beyond_every_measure_is_refused_and_harms_nothing() {
    let server = Server::start();
    let mut stream = server.connect();
    let request = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000));
    // The server closes on what it has not read, which can overtake its answer.
    let mut status = [0; 12];
    let sent = stream.write_all(request.as_bytes());
    if sent.and_then(|()| stream.read_exact(&mut status)).is_ok() {
        assert_eq!(&status, b"HTTP/1.1 431");
    }
    server.get("/healthz").ok();
}

#[test]
fn a_mistake_of_a_client_is_one_line_in_the_log() {
    let server = Server::start();
    server.wait_for_output("starting service");
    let before = server.output().lines().count();
    let answer = server.get("/image/process.png?src=a&resize=%0A2040-01-01%20ERROR%20evil");
    let id = answer.header("x-request-id").expect("an id").to_owned();
    answer.refused(400, "invalid-process-path");
    server.upload_refused("", b"no picture", 400, "discover-error");
    server.wait_for_output("discover-error");
    let output = server.output();
    let lines: Vec<_> = output.lines().skip(before).collect();
    assert_eq!(lines.len(), 2, "{output}");
    for (line, words) in lines.iter().zip([
        ["INFO", id.as_str(), "invalid-process-path", "status=400"],
        ["INFO", "request", "discover-error", "status=400"],
    ]) {
        for word in words {
            assert!(line.contains(word), "no {word} in: {line}");
        }
        assert!(!line.contains("chain="), "{line}");
    }
}

#[test]
fn a_fault_of_ours_is_logged_with_its_chain_and_the_requests_id() {
    let server = Server::start();
    let files = server.files();
    std::fs::rename(&files, files.with_extension("away")).expect("renamed");
    let answer = server.get("/healthz");
    let id = answer.header("x-request-id").expect("an id").to_owned();
    let message = answer.refused(503, "file-io-error");
    assert!(!message.contains("No such file"), "{message}");
    server.wait_for_output("file-io-error");
    let output = server.output();
    let lines: Vec<_> = output
        .lines()
        // Maintenance misses the folder as well, and says so by itself.
        .filter(|line| line.contains("ERROR") && line.contains("request{"))
        .collect();
    assert_eq!(lines.len(), 1, "{output}");
    for word in [&id, "chain=", "No such file", "status=503", "/healthz"] {
        assert!(lines[0].contains(word), "no {word} in: {}", lines[0]);
    }
}

#[test]
fn every_answer_has_a_request_id_of_its_own() {
    let server = Server::start();
    let mut ids = std::collections::HashSet::new();
    for path in [
        "/healthz",
        "/image/original/a.png",
        "/absent",
        "/internal/x",
        "/image",
    ] {
        let answer = server.get(path);
        let id = answer.header("x-request-id").expect("an id").to_owned();
        assert!(ids.insert(id), "{path}");
    }
}

#[test]
fn broken_requests_do_not_break_the_server() {
    let server = Server::start();
    for request in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /image HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /image HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = server.raw(request);
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    server.get("/healthz").ok();
    // They are no fault of ours.
    assert!(!server.output().contains("ERROR"));
}

#[test]
fn a_compressed_body_is_415_and_says_how_to_send_it() {
    let server = Server::with([("server.api_key", "key")]);
    let bytes = pictures::png(&pictures::photo(10, 10));
    let form = multipart(&[File::new(&bytes)]);
    let json = b"{\"alias\":null}".to_vec();
    let form_type = content_type();
    for coding in ["gzip", "deflate", "br", "identity, gzip"] {
        for (path, kind, body) in [
            ("/image", &*form_type, &form),
            ("/image/backgrounded", &form_type, &form),
            ("/internal/import", &form_type, &form),
            ("/internal/set_not_found", "application/json", &json),
        ] {
            let headers = [
                ("content-type", kind),
                ("content-encoding", coding),
                ("X-Api-Token", "key"),
            ];
            let answer = server.send("POST", path, &headers, Some(body));
            let message = answer.refused(415, "unsupported-encoding");
            assert!(message.contains(coding), "{message}");
            assert_eq!(answer.header("accept-encoding"), Some("identity"));
        }
    }
    let headers = [
        ("content-type", &*form_type),
        ("content-encoding", "Identity"),
    ];
    server
        .send("POST", "/image", &headers, Some(&form))
        .uploaded();
}

#[test]
fn what_is_missing_or_gone_is_not_kept_by_caches_for_long() {
    let server = Server::with([("server.api_key", "key"), ("server.cache_max_age", "1y")]);
    let lifetime = |answer: Answer| answer.header("cache-control").map(str::to_owned);
    let short = Some("public, max-age=5".to_owned());
    let none = Some("no-cache".to_owned());
    for path in [
        "/image/original/absent.png",
        "/image/original?alias=absent.png",
        "/image/process.webp?src=absent.png",
        "/image/process.auto?src=absent.png",
    ] {
        assert_eq!(lifetime(server.get(path).status(404)), short, "{path}");
    }
    let key = [("X-Api-Token", "key")];
    for path in [
        "/image/details/original/absent.png",
        "/image/details/process.webp?src=absent.png",
        "/image/blurhash?alias=absent.png",
        "/absent",
        "/internal/aliases?alias=absent.png",
    ] {
        assert_eq!(
            lifetime(server.get_with(path, &key).status(404)),
            none,
            "{path}"
        );
    }
    let gone = server.send("POST", "/internal/prepare_upgrade", &key, None);
    assert_eq!(lifetime(gone.status(410)), none);
    let server = Server::with([("server.cache_max_age", "0s")]);
    let answer = server.get("/image/original/absent.png").status(404);
    assert_eq!(lifetime(answer), none);
}
