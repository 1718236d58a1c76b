//! What a client may not, and what it hears then.

use crate::support::Server;

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
fn unknown_paths_are_404_and_empty() {
    let server = Server::start();
    for path in [
        "/",
        "/image/",
        "/image/absent",
        "/image/delete",
        "/favicon.ico",
        "/images",
        "/healthz/",
    ] {
        let answer = server.get(path).status(404);
        assert!(answer.body.is_empty(), "{path}");
    }
}

#[test]
fn a_wrong_method_is_405_with_the_right_ones() {
    let server = Server::start();
    for (method, path, allow) in [
        ("GET", "/image", "POST"),
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
        let answer = server.send(method, path, &[], None).status(405);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert!(answer.body.is_empty());
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
}
