//! Media that are fetched from elsewhere and stay.

use std::io::{Read as _, Write as _};

use crate::support::upstream::{Reply, Upstream, authority, serving_tls};
use crate::support::{Answer, Launch, Server, database, disk, eventually, pictures, pixels, work};

/// May fetch from this machine.
fn open() -> Launch {
    Launch::new().setting("client.allow_local_connections", true)
}

fn small() -> Vec<u8> {
    pictures::png(&pictures::photo(48, 32))
}

/// Everything but letters and digits percent-encoded.
fn encoded(url: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    url.bytes().map(byte).collect()
}

fn download(server: &Server, url: &str, query: &str) -> Answer {
    server.get(&format!("/image/download?url={}{query}", encoded(url)))
}

#[test]
fn a_download_is_answered_like_an_upload() {
    let server = open().start();
    let bytes = small();
    let upstream = Upstream::serving(&bytes);
    let answer = download(&server, &upstream.url("/a/b.png?c=d&e=%26#f"), "");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let uploaded = answer.uploaded().remove(0);
    let json = answer.json();
    assert_eq!(json["files"], json["uploads"]);
    assert_eq!(uploaded.details["width"], 48);
    pixels::assert_equal(
        &pixels::decode(&server.original(&uploaded.alias)),
        &pixels::decode(&bytes),
    );
    let asked = upstream.asked();
    assert_eq!(upstream.paths(), ["/a/b.png?c=d&e=%26"]);
    assert_eq!(asked[0].header("accept"), Some("*/*"));
    let agent = asked[0].header("user-agent").expect("an agent");
    assert!(agent.starts_with("pict-rs "), "{agent}");
    assert_eq!(
        asked[0].header("host"),
        Some(&*upstream.address.to_string())
    );
    assert_eq!(asked[0].header("if-none-match"), None);

    // Each download has an alias of its own, and each its token.
    let again = download(&server, &upstream.url("/a/b.png"), "")
        .uploaded()
        .remove(0);
    assert_ne!(again.alias, uploaded.alias);
    for uploaded in [uploaded, again] {
        let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
        server.delete(&path).status(204);
    }
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_download_resizes_and_limits_like_an_upload() {
    let server = open().start();
    let upstream = Upstream::serving(&small());
    let url = upstream.url("/x.png");
    let resized = download(&server, &url, "&resize=12").uploaded().remove(0);
    assert_eq!(resized.details["width"], 12);
    download(&server, &url, "&max_width=20").refused(400, "validate-width");
    download(&server, &url, "&allow_image=false").refused(400, "media-disallowed");
    download(&server, &url, "&max_file_size=0").refused(413, "validate-file-size");
    assert_eq!(disk::objects(&server.files()).len(), 1);
}

#[test]
fn a_bad_query_is_refused_before_anything_is_fetched() {
    let server = open().start();
    let upstream = Upstream::serving(&small());
    let url = upstream.url("/x.png");
    for (query, code) in [
        ("&colour=red", "invalid-process-path"),
        ("&resize=big", "invalid-process-path"),
        ("&max_width=wide", "invalid-query"),
        ("&backgrounded=1", "invalid-query"),
    ] {
        download(&server, &url, query).refused(400, code);
    }
    for path in [
        "/image/download",
        "/image/download?url=",
        "/image/download?url=x.png",
        "/image/download?url=/x.png",
        "/image/download?backgrounded=true",
    ] {
        server.get(path).refused(400, "invalid-query");
    }
    let path = format!("/image/download?url={}", encoded(&url));
    let answer = server.head(&path).status(405);
    assert_eq!(answer.header("allow"), Some("GET"));
    server.send("POST", &path, &[], None).status(405);
    upstream.assert_untouched();
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_url_that_was_not_encoded_keeps_its_own_keys() {
    let server = open().start();
    let upstream = Upstream::serving(&small());
    let url = upstream.url("/i?src=/x%2Fy.png&w=64&crop=faces");
    let path = format!("/image/download?url={url}&resize=16&q=a+b");
    let uploaded = server.get(&path).uploaded().remove(0);
    assert_eq!(uploaded.details["width"], 16);
    let path = "/i?src=/x%2Fy.png&w=64&crop=faces&q=a+b";
    assert_eq!(upstream.paths(), [path]);
}

#[test]
fn a_download_in_the_background_is_on_disk_when_it_is_acknowledged() {
    let server = open()
        .setting("media.concurrency", 1)
        .setting("media.queue_length", 0)
        .setting("media.process_timeout", 600)
        .start();
    let held = work::hold_processor(&server);
    let upstream = Upstream::serving(&small());
    let ids = download(&server, &upstream.url("/x"), "&backgrounded=true&resize=9").upload_ids();
    assert_eq!(ids.len(), 1);
    let launch = server.kill();
    drop((held, upstream));
    let server = launch.start();
    assert_eq!(server.claim(&ids[0]).claimed().details["width"], 9);
    disk::assert_nothing_unfinished(&server);
}

#[test]
fn a_download_in_the_background_hears_of_its_upstream_at_once() {
    let server = open().start();
    let upstream = Upstream::start(|asked| match &*asked.path {
        "/text" => Reply::ok(b"hello, world"),
        _ => Reply::status("404 Not Found", "", b""),
    });
    let absent = download(&server, &upstream.url("/x"), "&backgrounded=true");
    absent.refused(502, "upstream-error");
    let ids = download(&server, &upstream.url("/text"), "&backgrounded=true").upload_ids();
    server.claim(&ids[0]).refused(422, "discover-error");
    disk::assert_nothing_stored(&server);
    assert_eq!(database::jobs(&server.data()), Vec::<String>::new());
}

#[test]
fn redirects_are_followed_up_to_ten() {
    let server = open().start();
    let bytes = small();
    let upstream = Upstream::start(move |asked| {
        let left: usize = asked.path[1..].parse().expect("a number");
        match left {
            0 => Reply::ok(&bytes),
            1 => Reply::redirect("303 See Other", "0"),
            2 => Reply::redirect("308 Permanent Redirect", "/1#fragment"),
            left => Reply::redirect("302 Found", &format!("/{}", left - 1)),
        }
    });
    download(&server, &upstream.url("/10"), "").uploaded();
    assert_eq!(upstream.asked().len(), 11);
    let message = download(&server, &upstream.url("/11"), "").refused(502, "upstream-error");
    assert!(message.contains("10"), "{message}");
    assert_eq!(upstream.asked().len(), 22);
}

#[test]
fn what_an_upstream_does_wrong_is_502_and_says_what() {
    let server = open().start();
    let bytes = small();
    let half = bytes[..bytes.len() / 2].to_vec();
    let length = bytes.len();
    let upstream = Upstream::start(move |asked| match &*asked.path {
        "/404" => Reply::status("404 Not Found", "", &bytes),
        "/500" => Reply::status("500 Oh No", "", &bytes),
        "/304" => Reply::Raw(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
        "/206" => Reply::status("206 Partial Content", "", &bytes),
        "/nowhere" => Reply::redirect("302 Found", "http://["),
        "/gzip" => Reply::with("Content-Encoding: gzip\r\n", &bytes),
        "/short" => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            Reply::Raw([head.as_bytes(), &half].concat())
        }
        "/chunk" => {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n";
            Reply::Raw([head.as_bytes(), &half].concat())
        }
        "/mail" => Reply::Raw(b"220 mail.example ESMTP\r\n".to_vec()),
        "/head" => Reply::Raw([b"HTTP/1.1 200 OK\r\nX: ", &*vec![b'x'; 200_000]].concat()),
        _ => Reply::Raw(Vec::new()),
    });
    for (path, words) in [
        ("/404", "404 Not Found"),
        ("/500", "500"),
        ("/304", "304"),
        ("/206", "206"),
        ("/nowhere", "redirected"),
        ("/gzip", "compressed"),
        ("/short", "broke off"),
        ("/chunk", "broke off"),
        ("/mail", "HTTP"),
        ("/head", "HTTP"),
        ("/nothing", "broke"),
    ] {
        let answer = download(&server, &upstream.url(path), "");
        let message = answer.refused(502, "upstream-error");
        assert!(message.contains(words), "{path}: {message}");
    }
    let gone = Upstream::serving(b"").url("/");
    let message = download(&server, &gone, "").refused(502, "upstream-error");
    assert!(message.contains("reached"), "{message}");
    let answer = download(&server, "http://absent.invalid/x.png", "");
    let message = answer.refused(502, "upstream-error");
    assert!(message.contains("absent.invalid"), "{message}");
    // A fault of others is a line in the log and no alarm.
    assert!(!server.output().contains("ERROR"));
    disk::assert_nothing_stored(&server);
}

#[test]
fn an_answer_that_came_compressed_is_the_file_that_it_was() {
    let server = open().setting("media.max_file_size", 1).start();
    let bytes = pictures::png(&pictures::photo(300, 200));
    let gzip = |bytes: &[u8]| {
        let mut out = Vec::new();
        let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::best());
        encoder.read_to_end(&mut out).expect("compressed");
        out
    };
    let (whole, bomb) = (gzip(&bytes), gzip(&vec![0; 64 << 20]));
    assert!(bomb.len() < 1 << 20);
    let upstream = Upstream::start(move |asked| match &*asked.path {
        "/plain" => Reply::ok(&bytes),
        "/gzip" => Reply::with("Content-Encoding: gzip\r\n", &whole),
        "/cut" => Reply::with("Content-Encoding: gzip\r\n", &whole[..whole.len() / 2]),
        "/bomb" => Reply::with("Content-Encoding: gzip\r\n", &bomb),
        _ => Reply::with("Content-Encoding: br\r\n", &bytes),
    });
    let fetched =
        |path| server.original(&download(&server, &upstream.url(path), "").uploaded()[0].alias);
    assert!(fetched("/gzip") == fetched("/plain"));
    download(&server, &upstream.url("/cut"), "").refused(502, "upstream-error");
    download(&server, &upstream.url("/bomb"), "").refused(413, "validate-file-size");
    let message = download(&server, &upstream.url("/br"), "").refused(502, "upstream-error");
    assert!(
        message.contains("compressed") && message.contains("br"),
        "{message}"
    );
}

#[test]
fn what_is_no_picture_is_refused_as_in_an_upload() {
    let server = open().start();
    let bytes = small();
    let upstream = Upstream::start(move |asked| match &*asked.path {
        "/text" => Reply::with("Content-Type: image/png\r\n", b"hello, world"),
        "/half" => Reply::ok(&bytes[..bytes.len() / 2]),
        _ => Reply::ok(b""),
    });
    let refused = |path, code| download(&server, &upstream.url(path), "").refused(400, code);
    refused("/text", "discover-error");
    refused("/half", "media-damaged");
    refused("/empty", "validate-file-empty");
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_file_that_is_too_large_is_refused_when_it_is_announced_and_when_it_comes() {
    let server = open().setting("media.max_file_size", 1).start();
    let upstream = Upstream::start(|asked| match &*asked.path {
        "/announced" => {
            Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\nx".to_vec())
        }
        _ => Reply::Endless(b"HTTP/1.0 200 OK\r\n\r\n".to_vec()),
    });
    for path in ["/announced", "/endless"] {
        let answer = download(&server, &upstream.url(path), "");
        let message = answer.refused(413, "validate-file-size");
        assert!(message.contains("1048576"), "{message}");
    }
    eventually("both are left alone", || {
        (upstream.left() == 2).then_some(())
    });
    disk::assert_nothing_stored(&server);
}

#[test]
fn an_upstream_that_does_not_deliver_in_time_is_504() {
    let server = open().setting("client.timeout", 1).start();
    let upstream = Upstream::start(|asked| match &*asked.path {
        "/head" => Reply::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()),
        "/body" => Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx".to_vec()),
        _ => Reply::Stall(Vec::new()),
    });
    for path in ["/silence", "/head", "/body"] {
        let answer = download(&server, &upstream.url(path), "");
        let message = answer.refused(504, "upstream-timeout");
        assert!(message.contains("1 second"), "{message}");
    }
    eventually("all are left alone", || {
        (upstream.left() == 3).then_some(())
    });
    disk::assert_nothing_stored(&server);
}

#[test]
fn more_fetches_than_allowed_are_503_with_a_time_to_come_back() {
    let server = open().setting("client.concurrency", 1).start();
    let slow = Upstream::start(|_| Reply::Stall(Vec::new()));
    let path = format!("/image/download?url={}", encoded(&slow.url("/")));
    let mut stream = server.connect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    eventually("it is asked", || (slow.asked().len() == 1).then_some(()));
    let quick = Upstream::serving(&small());
    let answer = download(&server, &quick.url("/"), "");
    let message = answer.refused(503, "too-busy");
    assert!(message.contains('1'), "{message}");
    assert!(answer.header("retry-after").is_some());
    quick.assert_untouched();
    // Whoever waited has gone, so the fetch ends.
    drop(stream);
    eventually("the slow one is left alone", || {
        (slow.left() == 1).then_some(())
    });
    eventually("there is room again", || {
        (download(&server, &quick.url("/"), "").status == 201).then_some(())
    });
}

/// Other names of this machine and its network, with a port to be filled in.
const LOCAL: [&str; 16] = [
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0:PORT/",
    "http://127.8.9.10:PORT/",
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://localhost:PORT/",
    "http://LocalHost:PORT/",
    "http://10.0.0.1:PORT/",
];

#[test]
fn a_local_address_is_refused_in_every_spelling_before_anything_connects() {
    let server = Server::start();
    let upstream = Upstream::serving(&small());
    let port = upstream.address.port().to_string();
    for url in LOCAL {
        let url = url.replace("PORT", &port);
        for query in ["", "&backgrounded=true"] {
            let message = download(&server, &url, query).refused(400, "download-file-error");
            assert!(message.contains("special address"), "{url}: {message}");
        }
        let proxied = format!("/image/original?proxy={}", encoded(&url));
        server.get(&proxied).refused(400, "download-file-error");
    }
    upstream.assert_untouched();
    disk::assert_nothing_stored(&server);
}

#[test]
fn other_schemes_ports_and_users_are_refused_even_where_local_addresses_are_not() {
    let server = open().start();
    let upstream = Upstream::serving(&small());
    let address = upstream.address;
    for (url, words) in [
        (format!("ftp://{address}/x.png"), "ftp"),
        ("file:///etc/passwd".to_owned(), "file"),
        ("data:image/png;base64,AA".to_owned(), "data"),
        (format!("http://user:secret@{address}/"), "user name"),
        ("http://127.0.0.1:25/".to_owned(), "Port 25"),
        ("http://127.0.0.1:6379/".to_owned(), "Port 6379"),
    ] {
        let message = download(&server, &url, "").refused(400, "download-file-error");
        assert!(message.contains(words), "{url}: {message}");
        assert!(!message.contains("secret"), "{message}");
    }
    upstream.assert_untouched();
}

#[test]
fn a_listed_host_is_fetched_from_and_may_not_lead_elsewhere() {
    let secret = Upstream::serving(&small());
    let target = secret.address;
    let bytes = small();
    let listed = Upstream::start(move |asked| match &*asked.path {
        "/port" => Reply::redirect("302 Found", &format!("http://{target}/x")),
        "/name" => Reply::redirect(
            "307 Moved",
            &format!("http://localhost:{}/x", target.port()),
        ),
        "/spelling" => Reply::redirect(
            "301 Moved",
            &format!("http://2130706433:{}/", target.port()),
        ),
        "/zero" => Reply::redirect("308 Moved", &format!("//0.0.0.0:{}/x", target.port())),
        "/scheme" => Reply::redirect("302 Found", "file:///etc/passwd"),
        "/user" => Reply::redirect("302 Found", &format!("http://a:b@{target}/")),
        "/itself" => Reply::redirect("302 Found", "/x"),
        _ => Reply::ok(&bytes),
    });
    let server = Launch::new()
        .setting("client.allowed_hosts", listed.address)
        .start();
    for path in ["/port", "/name", "/spelling", "/zero", "/scheme", "/user"] {
        download(&server, &listed.url(path), "").refused(400, "download-file-error");
        let proxied = format!("/image/original?proxy={}", encoded(&listed.url(path)));
        server.get(&proxied).refused(400, "download-file-error");
    }
    download(&server, &listed.url("/itself"), "").uploaded();
    // Only the host as it is listed.
    let named = format!("http://localhost:{}/x", listed.address.port());
    download(&server, &named, "").refused(400, "download-file-error");
    secret.assert_untouched();
}

#[test]
fn a_proxy_of_the_environment_is_not_used() {
    let proxy = Upstream::serving(&small());
    let upstream = Upstream::serving(&small());
    let address = format!("http://{}", proxy.address);
    let server = ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .fold(open(), |launch, name| launch.environment(name, &address))
        .start();
    download(&server, &upstream.url("/x"), "").uploaded();
    proxy.assert_untouched();
}

#[test]
fn tls_is_trusted_when_the_systems_certificates_say_so() {
    let upstream = serving_tls(&small());
    let named = format!("https://localhost:{}/x", upstream.address.port());
    let server = open().start();
    let message = download(&server, &named, "").refused(502, "upstream-error");
    assert!(message.contains("TLS"), "{message}");
    let server = open()
        .environment("SSL_CERT_FILE", authority().display())
        .start();
    download(&server, &named, "").uploaded();
    download(&server, &upstream.url("/x"), "").uploaded();
    // Where no TLS is spoken there is nothing to trust.
    let plain = Upstream::serving(&small());
    let wrong = format!("https://{}/", plain.address);
    download(&server, &wrong, "").refused(502, "upstream-error");
}

#[test]
fn a_server_that_changes_nothing_fetches_nothing() {
    let launch = open().start().stop();
    let server = launch.setting("server.read_only", true).start();
    let upstream = Upstream::serving(&small());
    for query in ["", "&backgrounded=true"] {
        download(&server, &upstream.url("/x"), query).refused(400, "read-only");
    }
    upstream.assert_untouched();
}
