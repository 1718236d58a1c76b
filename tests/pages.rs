//! Pages for people, as programs and as Chromium see them.

use std::path::Path;

use crate::support::client::{content_type, multipart};
use crate::support::{Answer, File, Server, browser, eventually, pictures, programs};

const HTML: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

fn page(server: &Server) -> Answer {
    server.get_with("/", &[HTML])
}

/// The whole page; [`Answer::text`] is shorter.
fn html(answer: Answer) -> String {
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    String::from_utf8(answer.body).expect("UTF-8")
}

/// Sends the form of the page.
fn send(server: &Server, bytes: &[u8]) -> Answer {
    let form = multipart(&[File::new(bytes)]);
    let kind = content_type();
    server.send("POST", "/", &[("content-type", &kind)], Some(&form))
}

#[test]
fn browsers_get_a_page_where_programs_get_json() {
    let server = Server::start();
    for answer in [server.get("/"), server.get_with("/", &[("Accept", "*/*")])] {
        let answer = answer.ok();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("vary"), Some("accept"));
        assert_eq!(answer.json()["name"], "pict-rs");
    }
    let answer = page(&server).ok();
    assert_eq!(answer.header("vary"), Some("accept"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let text = html(answer);
    // The address is the one that was asked, so that lines can be copied.
    let command = format!(
        "curl -F 'images[]=@photo.jpg' http://{}/image",
        server.address
    );
    assert!(text.contains(&command), "{text}");
    assert!(text.contains("It works, and it takes pictures."), "{text}");
    assert!(text.contains("PICTRS__SERVER__API_KEY=KEY"), "{text}");
    let head = server.send("HEAD", "/", &[HTML], None).ok();
    assert!(head.body.is_empty());
    assert_eq!(
        head.header("content-type"),
        Some("text/html; charset=utf-8")
    );
}

#[test]
fn the_page_tells_what_holds() {
    let keyed = Server::with([("server.api_key", "the-key")]);
    let text = html(page(&keyed).ok());
    assert!(text.contains("X-Api-Token: KEY"), "{text}");
    assert!(!text.contains("the-key"), "{text}");
    let reading = Server::with([
        ("server.read_only", "true"),
        ("server.public_upload", "true"),
    ]);
    let text = html(page(&reading).ok());
    assert!(text.contains("It is read-only"), "{text}");
    assert!(!text.contains("<form"), "{text}");
    // The name of a host is the client's own word.
    let evil = [HTML, ("Host", "\"><script>alert(1)</script>")];
    let answer = String::from_utf8(keyed.get_with("/", &evil).body).expect("UTF-8");
    assert!(!answer.contains("<script"), "{answer}");
    let broken = Server::start();
    let (files, aside) = (broken.files(), broken.data().join("aside"));
    std::fs::rename(&files, &aside).expect("moved");
    eventually("the page says that nothing can be stored", || {
        let text = html(page(&broken).ok());
        text.contains("it cannot store anything now").then_some(())
    });
    std::fs::rename(&aside, &files).expect("moved back");
}

#[test]
fn the_form_is_there_only_if_it_is_wanted() {
    let png = pictures::png(&pictures::photo(40, 30));
    let server = Server::start();
    assert!(!html(page(&server).ok()).contains("<form"));
    let refused = send(&server, &png);
    assert_eq!(refused.status, 405);
    assert_eq!(refused.header("allow"), Some("GET, HEAD"));

    let server = Server::with([("server.public_upload", "true")]);
    assert!(html(page(&server).ok()).contains("<form"));
    let uploaded = html(send(&server, &png).ok());
    let path = |prefix: &str| {
        let (_, rest) = uploaded.split_once(prefix).expect("a path");
        let (rest, _) = rest.split_once(['"', '<']).expect("an end");
        format!("{prefix}{rest}")
    };
    server.get(&path("/image/original/")).ok();
    server.delete(&path("/image/delete/")).status(204);
    server.get(&path("/image/original/")).status(404);

    let refused = send(&server, b"no picture");
    assert_eq!(refused.status, 400);
    let text = html(refused);
    assert!(text.contains("Not uploaded"), "{text}");
}

/// A picture of the page, and what the browser complained about.
fn screenshot(program: &Path, address: &str, is_dark: bool) -> (image::RgbImage, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("page.png");
    let scheme = if is_dark { 0 } else { 1 };
    let output = browser::headless(program, folder.path())
        .args([
            "--hide-scrollbars",
            "--enable-logging=stderr",
            "--window-size=390,844",
        ])
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("--screenshot={}", file.display()))
        .arg(format!("http://{address}/"))
        .output()
        .expect("chromium can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let picture = image::open(&file).unwrap_or_else(|error| panic!("{error}: {said}"));
    (picture.to_rgb8(), said)
}

#[test]
fn the_page_is_styled_and_breaks_no_rule_of_its_own() {
    let Some(program) = programs::find_or_skip("chromium", "the front page in a browser") else {
        return;
    };
    let server = Server::with([("server.public_upload", "true")]);
    for (is_dark, ground) in [(false, [0xfd, 0xfd, 0xfc]), (true, [0x16, 0x19, 0x1c])] {
        let (picture, said) = screenshot(&program, &server.address.to_string(), is_dark);
        assert_eq!(picture.get_pixel(3, 3).0, ground, "{said}");
        // There is text, and it does not run out of the right side of a phone.
        let other = |x: u32| {
            picture
                .rows()
                .any(|mut row| row.nth(x as usize).is_some_and(|p| p.0 != ground))
        };
        assert!((20..300).any(other), "{said}");
        assert!(!(picture.width() - 8..picture.width()).any(other), "{said}");
        assert!(!said.contains("Content Security Policy"), "{said}");
    }
}
