//! Pages of other sites that use the API from a browser (CORS).

use crate::support::{Answer, File, Launch, Server, pictures};

const PAGE: &str = "https://app.example";

fn preflight(server: &Server, origin: &str, path: &str, method: &str) -> Answer {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        (
            "Access-Control-Request-Headers",
            "x-api-token, content-type",
        ),
    ];
    server.send("OPTIONS", path, &headers, None)
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[test]
fn without_the_setting_no_page_is_allowed() {
    let server = Server::start();
    let answer = preflight(&server, PAGE, "/image", "POST").status(405);
    assert_eq!(allowed(&answer), None);
    let answer = server.get_with("/image/limits", &[("Origin", PAGE)]).ok();
    assert_eq!(allowed(&answer), None);
}

#[test]
fn a_page_that_is_named_may_ask_and_read_everything() {
    let server = Server::with([(
        "server.cors_origins",
        "https://app.example,http://localhost:3000",
    )]);
    for page in [PAGE, "http://localhost:3000"] {
        for (path, method) in [
            ("/image", "POST"),
            ("/image/original/a.png", "GET"),
            ("/image/delete/token/a.png", "DELETE"),
            ("/internal/purge?alias=a.png", "POST"),
        ] {
            let answer = preflight(&server, page, path, method);
            assert!(
                matches!(answer.status, 200 | 204),
                "{path}: {}",
                answer.status
            );
            assert_eq!(allowed(&answer), Some(page), "{path}");
            let methods = answer
                .header("access-control-allow-methods")
                .expect("methods");
            assert!(methods.contains(method), "{methods}");
            let headers = answer
                .header("access-control-allow-headers")
                .expect("headers");
            let headers = headers.to_ascii_lowercase();
            assert!(
                headers.contains("x-api-token") && headers.contains("content-type"),
                "{headers}"
            );
            assert!(answer.header("access-control-max-age").is_some());
        }
    }
    let bytes = pictures::png(&pictures::photo(20, 10));
    let alias = server.upload(&bytes).alias;
    let origin = [("Origin", PAGE)];
    let answer = server
        .get_with(&format!("/image/original/{alias}"), &origin)
        .ok();
    assert_eq!(allowed(&answer), Some(PAGE));
    assert!(answer.header("access-control-expose-headers").is_some());
    // A cache keeps the answers to different pages apart.
    let auto = format!("/image/process.auto?src={alias}&thumbnail=5");
    let answer = server.get_with(&auto, &origin).ok();
    let vary: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "vary")
        .collect();
    let vary = format!("{vary:?}").to_ascii_lowercase();
    assert!(
        vary.contains("origin") && vary.contains("\"accept") | vary.contains(" accept"),
        "{vary}"
    );
    // A page reads what went wrong, too.
    let missing = server.get_with("/image/original/absent.png", &origin);
    missing.refused(404, "alias-not-found");
    assert_eq!(allowed(&missing), Some(PAGE));
    // The key is asked for all the same.
    server
        .get_with("/internal/hashes", &origin)
        .refused(401, "invalid-api-token");
    // Other pages can read nothing, and clients that are not browsers notice nothing.
    let answer = server.get_with("/image/limits", &[("Origin", "https://evil.example")]);
    assert_eq!(allowed(&answer), None);
    assert_eq!(allowed(&server.get("/image/limits").ok()), None);
    server.upload_form("", &[File::new(&bytes)]).uploaded();
}

#[test]
fn a_star_allows_every_page() {
    let server = Server::with([("server.cors_origins", "*")]);
    let answer = preflight(&server, "https://anything.example", "/image", "POST");
    assert_eq!(allowed(&answer), Some("*"));
    let answer = server.get_with("/image/limits", &[("Origin", PAGE)]).ok();
    assert_eq!(allowed(&answer), Some("*"));
}

#[test]
fn what_no_browser_would_send_is_refused_at_start() {
    for origin in [
        "app.example",
        "https://app.example/",
        "https://app.example/x",
        "ftp:",
        "null",
    ] {
        let refusal = Launch::new()
            .setting("server.cors_origins", origin)
            .refused();
        assert!(
            refusal.output.contains("server.cors_origins"),
            "{}",
            refusal.output
        );
        assert!(refusal.output.contains(origin), "{}", refusal.output);
    }
}
