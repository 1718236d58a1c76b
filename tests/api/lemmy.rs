//! What Lemmy's backend asks, as its versions 0.19 and 1.0 do, a test for each of their calls; and
//! what it reads of the answers, by structures that demand what its own demand.

use std::io::{Read as _, Write as _};

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::client::{content_type, multipart};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{Answer, File, Launch, Server, pictures, pixels};

const KEY: &str = "my-pictrs-key";
/// In lower case, as Lemmy writes it.
const TOKEN: (&str, &str) = ("x-api-token", KEY);

/// The answer to uploads and downloads in 0.19.
#[derive(Debug, Deserialize)]
struct Images19 {
    msg: String,
    files: Option<Vec<Image19>>,
}

#[derive(Debug, Deserialize)]
struct Image19 {
    file: String,
    delete_token: String,
    details: Details,
}

/// The same in 1.0, which keeps no tokens.
#[derive(Debug, Deserialize)]
struct Images10 {
    msg: String,
    #[serde(default)]
    files: Vec<Image10>,
}

#[derive(Debug, Deserialize)]
struct Image10 {
    file: String,
    details: Details,
}

#[derive(Debug, Deserialize)]
struct Details {
    width: u16,
    height: u16,
    content_type: String,
    created_at: String,
    blurhash: Option<String>,
}

/// Of a purge.
#[derive(Debug, Deserialize)]
struct Purged {
    msg: String,
    #[serde(default)]
    aliases: Vec<String>,
}

#[track_caller]
fn read<'a, T: Deserialize<'a>>(answer: &'a Answer) -> T {
    serde_json::from_slice(&answer.body)
        .unwrap_or_else(|error| panic!("{error}: {} {}", answer.status, answer.text()))
}

#[track_caller]
fn read_19(answer: &Answer) -> Image19 {
    let mut images: Images19 = read(answer);
    assert_eq!(images.msg, "ok");
    let image = images.files.as_mut().and_then(Vec::pop).expect("a file");
    assert_sound(&image.details);
    image
}

#[track_caller]
fn read_10(answer: &Answer) -> Image10 {
    let mut images: Images10 = read(answer);
    assert_eq!(images.msg, "ok");
    let image = images.files.pop().expect("a file");
    assert_sound(&image.details);
    image
}

#[track_caller]
fn assert_sound(details: &Details) {
    OffsetDateTime::parse(&details.created_at, &Rfc3339).expect("a time");
    assert!(details.blurhash.as_ref().is_some_and(|hash| hash.len() > 5));
}

fn server() -> Server {
    launch().start()
}

fn launch() -> Launch {
    Launch::new()
        .setting("server.api_key", KEY)
        .setting("client.allow_local_connections", true)
}

fn upload(server: &Server, query: &str, bytes: &[u8]) -> Answer {
    server.upload_form(query, &[File::new(bytes)])
}

fn internal(server: &Server, call: &str) -> Answer {
    server.send("POST", &format!("/internal/{call}"), &[TOKEN], None)
}

fn photo() -> Vec<u8> {
    pictures::jpeg(&pictures::photo(900, 600))
}

/// `url::form_urlencoded` or `NON_ALPHANUMERIC`: nothing of the URL is left as it was.
fn encoded(url: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    url.bytes().map(byte).collect()
}

fn width(bytes: &[u8]) -> u32 {
    pixels::decode(bytes).width()
}

#[test]
fn lemmy_0_19_streams_an_upload_through_with_all_headers_of_its_user() {
    let server = server();
    let mut stream = server.connect();
    let head = format!(
        "POST /image HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {}\r\n\
         accept: */*\r\norigin: https://lemmy.example\r\nuser-agent: Mozilla/5.0\r\n\
         cookie: jwt=eyJ0eXAiOiJKV1Qi; theme=darkly\r\nauthorization: Bearer eyJ0eXAiOiJKV1Qi\r\n\
         x-forwarded-for: 203.0.113.7:51234\r\ntransfer-encoding: chunked\r\n\r\n",
        content_type()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    for chunk in multipart(&[File::new(&photo())]).chunks(8191) {
        write!(stream, "{:x}\r\n", chunk.len()).expect("sent");
        stream.write_all(chunk).expect("sent");
        stream.write_all(b"\r\n").expect("sent");
    }
    stream.write_all(b"0\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 201 "), "{answer}");
    let images: Images19 = serde_json::from_str(body).expect("what Lemmy reads");
    let image = &images.files.expect("files")[0];
    assert_eq!((image.details.width, image.details.height), (900, 600));
    assert_eq!(image.details.content_type, "image/jpeg");
    assert!(!image.delete_token.is_empty());

    // What is refused is read as well, and lemmy-js-client goes by 413.
    let refused = upload(&server, "", b"no picture");
    let images: Images19 = read(&refused);
    assert!(images.msg != "ok" && images.files.is_none());
    let too_large = launch().setting("media.max_file_size", 1).start();
    let refused = upload(
        &too_large,
        "",
        &pictures::png(&pictures::noise(800, 800, 1)),
    )
    .status(413);
    let images: Images19 = read(&refused);
    assert!(images.msg != "ok" && images.files.is_none());
}

#[test]
fn lemmy_0_19_passes_originals_on_with_status_and_headers() {
    let server = server();
    let file = read_19(&upload(&server, "", &photo())).file;
    let path = format!("/image/original/{file}");
    let whole = server.get_with(&path, &[("cookie", "jwt=x")]).ok();
    assert_eq!(whole.header("content-type"), Some("image/jpeg"));
    assert!(whole.header("content-length").is_some());
    let part = server.get_with(&path, &[("range", "bytes=0-99")]);
    assert_eq!(part.status(206).body, whole.body[..100]);
    let etag = whole.header("etag").expect("an etag");
    server
        .get_with(&path, &[("if-none-match", etag)])
        .status(304);
    server.get("/image/original/absent.jpeg").status(404);
}

#[test]
fn lemmy_asks_for_a_format_that_is_named_or_the_files_extension_or_jpg() {
    let server = server();
    // `.jpeg` is not among the extensions that Lemmy knows.
    for (bytes, extension, kind) in [
        (photo(), "jpg", "image/jpeg"),
        (
            pictures::png(&pictures::photo(400, 300)),
            "png",
            "image/png",
        ),
        (
            pictures::webp(&pictures::photo(400, 300)),
            "webp",
            "image/webp",
        ),
        (
            pictures::gif(&pictures::film(300, 200, 2)),
            "gif",
            "image/gif",
        ),
    ] {
        let file = read_19(&upload(&server, "", &bytes)).file;
        for extension in [extension, "webp"] {
            let path = format!("/image/process.{extension}?src={file}&thumbnail=256");
            let answer = server.get(&path).ok();
            let kind = if extension == "webp" {
                "image/webp"
            } else {
                kind
            };
            assert_eq!(answer.header("content-type"), Some(kind), "{path}");
            assert_eq!(width(&answer.body), 256, "{path}");
        }
        let path = format!("/image/process.{extension}?src={file}");
        let answer = server.get(&path).ok();
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
    server
        .get("/image/process.jpg?src=absent.jpeg&thumbnail=256")
        .status(404);
}

#[test]
fn lemmy_0_19_deletes_with_the_token_of_the_upload() {
    let server = server();
    let image = read_19(&upload(&server, "", &photo()));
    let path = format!("/image/delete/{}/{}", image.delete_token, image.file);
    server.delete(&path).status(204);
    server
        .get(&format!("/image/original/{}", image.file))
        .status(404);
    // Twice does no harm.
    server.delete(&path).status(204);
}

#[test]
fn lemmy_asks_whether_the_server_is_well() {
    server().get("/healthz").ok();
}

#[test]
fn lemmy_0_19_purges_and_goes_by_the_message() {
    let server = server();
    let file = read_19(&upload(&server, "", &photo())).file;
    let purged = |answer: &Answer| read::<Purged>(answer).msg;
    let wrong = [("x-api-token", "wrong")];
    let path = format!("/internal/purge?alias={file}");
    assert_ne!(purged(&server.send("POST", &path, &wrong, None)), "ok");
    assert_eq!(
        purged(&internal(&server, &format!("purge?alias={file}"))),
        "ok"
    );
    assert_ne!(
        purged(&internal(&server, &format!("purge?alias={file}"))),
        "ok"
    );
}

#[test]
fn lemmy_0_19_keeps_thumbnails_of_links() {
    let server = server();
    let upstream = Upstream::serving(&photo());
    let url = encoded(&upstream.url("/preview.jpg?size=large&v=2"));
    let answer = server.get(&format!("/image/download?url={url}&resize=512"));
    let image = read_19(&answer);
    assert_eq!((image.details.width, image.details.height), (512, 341));
    assert!(!image.delete_token.is_empty());
    assert_eq!(upstream.paths(), ["/preview.jpg?size=large&v=2"]);
    // Whatever goes wrong has a message and no files.
    let page = Upstream::serving(b"<html>");
    let url = encoded(&page.url("/"));
    let answer = server.get(&format!("/image/download?url={url}&resize=512"));
    let images: Images19 = read(&answer);
    assert!(images.msg != "ok" && images.files.is_none());
}

#[test]
fn lemmy_0_19_proxies_urls_that_it_does_not_encode() {
    let server = server();
    let upstream = Upstream::serving(&photo());
    let url = upstream.url("/a.jpg?foo=bar&baz=1");
    let path = format!("/image/original?proxy={url}");
    let original = server.get(&path).ok();
    assert_eq!(original.header("content-type"), Some("image/jpeg"));
    assert_eq!(width(&original.body), 900);
    let path = format!("/image/process.jpg?proxy={url}&thumbnail=256");
    assert_eq!(width(&server.get(&path).ok().body), 256);
    // Both are of the URL that was meant, which was asked for once.
    assert_eq!(upstream.paths(), ["/a.jpg?foo=bar&baz=1"]);
}

#[test]
fn lemmy_reads_details_of_what_it_has_proxied() {
    let server = server();
    let upstream = Upstream::serving(&photo());
    let url = encoded(&upstream.url("/a.jpg?b=c"));
    server.get(&format!("/image/original?proxy={url}")).ok();
    let answer = server.get(&format!("/image/details/original?proxy={url}"));
    let details: Details = read(&answer.ok());
    assert_sound(&details);
    assert_eq!(details.width, 900);
}

#[test]
fn lemmy_1_0_uploads_with_a_size_and_without_videos() {
    let server = server();
    let large = pictures::jpeg(&pictures::photo(1500, 1000));
    let answer = upload(&server, "allow_video=false&resize=1024", &large);
    let image = read_10(&answer);
    assert_eq!((image.details.width, image.details.height), (1024, 683));
    let small = upload(&server, "allow_video=true&resize=1024", &photo());
    assert_eq!(read_10(&small).details.width, 900);
    // The status is not looked at: no file is what says that it was refused.
    let images: Images10 = read(&upload(&server, "allow_video=false&resize=1024", b"no"));
    assert!(images.msg != "ok" && images.files.is_empty());
}

#[test]
fn lemmy_1_0_swaps_avatars_and_banners() {
    let server = server();
    let query = "resize=512&allow_animation=false&allow_video=false";
    let old = read_10(&upload(&server, query, &photo()));
    assert_eq!(old.details.width, 512);
    let banner = "resize=1024&allow_animation=false&allow_video=false";
    assert_eq!(
        read_10(&upload(&server, banner, &photo())).details.width,
        900
    );
    let moving = pictures::gif(&pictures::film(60, 40, 3));
    let images: Images10 = read(&upload(&server, query, &moving));
    assert!(images.msg != "ok" && images.files.is_empty());
    internal(&server, &format!("delete?alias={}", old.file)).ok();
}

#[test]
fn lemmy_1_0_shows_pictures_as_they_are_and_made_smaller() {
    let server = server();
    let file = read_10(&upload(&server, "allow_video=false&resize=1024", &photo())).file;
    server.get(&format!("/image/original/{file}")).ok();
    for (extension, size) in [("jpg", 256), ("webp", 512)] {
        let path = format!("/image/process.{extension}?src={file}&thumbnail={size}");
        assert_eq!(width(&server.get(&path).ok().body), size);
    }
}

#[test]
fn lemmy_1_0_proxies_urls_of_which_every_sign_is_encoded() {
    let server = server();
    let upstream = Upstream::start({
        let photo = photo();
        move |asked| match asked.path.as_str() {
            "/a%20b.jpg?c=d&e=%26" => Reply::ok(&photo),
            _ => Reply::status("404 Not Found", "", b""),
        }
    });
    let url = encoded(&upstream.url("/a%20b.jpg?c=d&e=%26"));
    let path = format!("/image/original?proxy={url}");
    assert_eq!(width(&server.get(&path).ok().body), 900);
    let path = format!("/image/process.webp?proxy={url}&thumbnail=96");
    assert_eq!(width(&server.get(&path).ok().body), 96);
    assert_eq!(upstream.asked().len(), 1);
    let absent = encoded(&upstream.url("/absent.jpg"));
    let answer = server.get(&format!("/image/original?proxy={absent}"));
    answer.refused(502, "upstream-error");
}

#[test]
fn lemmy_1_0_deletes_with_the_key_and_takes_a_404_for_an_error() {
    let server = server();
    let file = read_10(&upload(&server, "allow_video=false", &photo())).file;
    let call = format!("delete?alias={file}");
    internal(&server, &call).ok();
    internal(&server, &call).status(404);
}

#[test]
fn lemmy_1_0_purges_and_forgets_every_alias_that_is_listed() {
    let server = server();
    let files: Vec<_> = (0..3)
        .map(|_| read_10(&upload(&server, "allow_video=false", &photo())).file)
        .collect();
    let answer = internal(&server, &format!("purge?alias={}", files[1])).ok();
    let mut purged: Purged = read(&answer);
    assert_eq!(purged.msg, "ok");
    let mut files = files;
    files.sort();
    purged.aliases.sort();
    assert_eq!(purged.aliases, files);
}

#[test]
fn lemmy_1_0_keeps_thumbnails_of_links_with_their_details() {
    let server = server();
    let upstream = Upstream::serving(&photo());
    let url = encoded(&upstream.url("/preview.jpg"));
    let answer = server.get(&format!("/image/download?url={url}&resize=512"));
    assert!((200..300).contains(&answer.status));
    let image = read_10(&answer);
    assert_eq!(image.details.width, 512);
    let path = format!("/image/details/original?alias={}", image.file);
    let details: Details = read(&server.get(&path).ok());
    assert_sound(&details);
    assert_eq!(details.width, 512);
}
