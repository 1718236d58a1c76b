//! Files that are taken in under their own names.

use crate::support::client::{content_type, multipart, part_head};
use crate::support::{Answer, File, Server, disk, pictures, pixels};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn with_key() -> Server {
    Server::with([("server.api_key", KEY.1), ("server.max_file_count", "3")])
}

fn import(server: &Server, query: &str, files: &[(&str, &[u8])]) -> Answer {
    let files: Vec<_> = files
        .iter()
        .map(|(name, bytes)| File {
            filename: Some(name),
            ..File::new(bytes)
        })
        .collect();
    send(server, query, &multipart(&files))
}

fn send(server: &Server, query: &str, body: &[u8]) -> Answer {
    let path = format!("/internal/import{query}");
    let headers = [KEY, ("content-type", &content_type())];
    server.send("POST", &path, &headers, Some(body))
}

#[test]
fn an_imported_file_keeps_its_name_and_is_served_under_it() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(30, 20));
    for (given, alias, path) in [
        ("cat.png", "cat.png", "cat.png"),
        ("some/folder/dog", "dog", "dog"),
        (
            "Üb er 猫 100%.jpeg",
            "Üb er 猫 100%.jpeg",
            "%C3%9Cb%20er%20%E7%8C%AB%20100%25.jpeg",
        ),
    ] {
        let imported = import(&server, "", &[(given, &bytes)]).uploaded().remove(0);
        assert_eq!(imported.alias, alias);
        assert_eq!(imported.details["width"], 30);
        let stored = pixels::decode(&server.original(path));
        pixels::assert_equal(&stored, &pictures::photo(30, 20));
        server.process("webp", path, "thumbnail=9");
        server.get(&format!("/image/original?alias={path}")).ok();
        let token = &imported.token;
        server
            .delete(&format!("/image/delete/{token}/{path}"))
            .status(204);
        server
            .get(&format!("/image/original/{path}"))
            .refused(404, "alias-not-found");
    }
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_name_in_the_extended_form_is_taken_as_well() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(30, 20));
    let mut body = part_head("images[]", Some("plain.png"))
        .replace(
            "filename=\"plain.png\"",
            "filename=\"plain.png\"; filename*=UTF-8''%e2%82%ac.png",
        )
        .into_bytes();
    body.extend_from_slice(&bytes);
    body.extend_from_slice(b"\r\n");
    body.extend_from_slice(crate::support::client::form_end().as_bytes());
    let imported = send(&server, "", &body).uploaded().remove(0);
    assert_eq!(imported.alias, "€.png");
}

#[test]
fn a_name_that_is_taken_is_duplicate_alias_and_nothing_is_changed() {
    let server = with_key();
    let first = pictures::png(&pictures::photo(30, 20));
    let second = pictures::png(&pictures::photo(31, 20));
    import(&server, "", &[("a.png", &first)]).uploaded();
    let original = server.original("a.png");
    for bytes in [&first, &second] {
        let message = import(&server, "", &[("x/a.png", bytes)]).refused(400, "duplicate-alias");
        assert!(message.contains("a.png"), "{message}");
    }
    // The same name twice in one request, the second of which is found out at the end.
    import(&server, "", &[("b.png", &first), ("b.png", &second)]).refused(400, "duplicate-alias");
    server
        .get("/image/original/b.png")
        .refused(404, "alias-not-found");
    assert_eq!(server.original("a.png"), original);
    assert_eq!(disk::objects(&server.files()).len(), 1);
    assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
    // A name that is free again can be taken again.
    let removed = server.send("POST", "/internal/delete?alias=a.png", &[KEY], None);
    removed.ok();
    import(&server, "", &[("a.png", &second)]).uploaded();
}

#[test]
fn names_that_cannot_be_aliases_are_refused() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(30, 20));
    let long = "x".repeat(1025);
    for name in ["", "/", "..", "a/.", &long] {
        let message = import(&server, "", &[(name, &bytes)]).refused(400, "file-upload-error");
        assert!(message.contains("name"), "{message}");
    }
    import(&server, "", &[(&"y".repeat(1024), &bytes)]).uploaded();
}

#[test]
fn limits_and_operations_of_an_import_are_those_of_an_upload() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(300, 200));
    import(&server, "?max_width=299", &[("a", &bytes)]).refused(400, "validate-width");
    import(&server, "?colour=red", &[("a", &bytes)]).refused(400, "invalid-process-path");
    import(&server, "", &[("a", b"text")]).refused(400, "discover-error");
    let imported = import(&server, "?resize=100", &[("a", &bytes), ("b", &bytes)]).uploaded();
    assert_eq!(imported.len(), 2);
    assert_eq!(imported[1].details["width"], 100);
    assert_eq!(disk::objects(&server.files()).len(), 1);
}
