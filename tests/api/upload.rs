//! Uploads that are taken.

use std::io::{Read as _, Write as _};

use crate::support::client::{content_type, multipart};
use crate::support::{Answer, File, Launch, Server, Uploaded, dirty, disk, pictures, pixels};

#[test]
fn one_upload_is_told_in_the_shapes_of_both_versions() {
    let server = Server::start();
    let before = std::time::SystemTime::now();
    let bytes = pictures::jpeg(&pictures::photo(120, 80));
    let answer = server.upload_form("", &[File::new(&bytes)]).status(201);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    assert_eq!(json["msg"], "ok");
    assert_eq!(json["files"], json["uploads"]);
    let file = &json["files"][0];
    assert_eq!(file["file"], file["alias"]);
    let alias = file["file"].as_str().expect("an alias");
    let (name, extension) = alias.split_once('.').expect("an extension");
    assert_eq!(extension, "jpeg");
    assert!(uuid::Uuid::parse_str(name).is_ok());
    assert!(uuid::Uuid::parse_str(file["delete_token"].as_str().expect("a token")).is_ok());

    let details = &file["details"];
    assert_eq!(details["width"], 120);
    assert_eq!(details["height"], 80);
    assert_eq!(details["frames"], serde_json::Value::Null);
    assert_eq!(details["content_type"], "image/jpeg");
    assert_eq!(details["format"], "Image");
    let blurhash = details["blurhash"].as_str().expect("a blurhash");
    assert!(blurhash.len() >= 6, "{blurhash}");
    let thumbhash = details["thumbhash"].as_str().expect("a ThumbHash");
    assert!((8..=36).contains(&thumbhash.len()), "{thumbhash}");
    let colour = details["colour"].as_str().expect("a colour");
    assert!(colour.len() == 7 && colour.starts_with('#'), "{colour}");
    let created = details["created_at"].as_str().expect("a time");
    let created =
        time::OffsetDateTime::parse(created, &time::format_description::well_known::Rfc3339)
            .expect("RFC 3339");
    let age = created - time::OffsetDateTime::from(before);
    assert!(age.abs() < time::Duration::seconds(60), "{created}");
    let answer = server.get(&format!("/image/blurhash?alias={alias}")).ok();
    assert_eq!(answer.json()["blurhash"], *blurhash);
    assert_eq!(answer.json()["msg"], "ok");
}

#[test]
fn several_files_are_answered_in_their_order() {
    let server = Server::with([("server.max_file_count", "3")]);
    let pictures: Vec<_> = (1..=3)
        .map(|n| pictures::png(&pictures::photo(n * 10, 8)))
        .collect();
    let files: Vec<_> = pictures.iter().map(|bytes| File::new(bytes)).collect();
    let uploaded = server.upload_form("", &files).uploaded();
    let widths: Vec<_> = uploaded
        .iter()
        .map(|file| file.details["width"].as_u64())
        .collect();
    assert_eq!(widths, [Some(10), Some(20), Some(30)]);
    assert_eq!(disk::objects(&server.files()).len(), 3);
    for (file, bytes) in uploaded.iter().zip(&pictures) {
        pixels::assert_equal(
            &pixels::decode(&server.original(&file.alias)),
            &pixels::decode(bytes),
        );
    }
}

#[test]
fn name_and_type_of_the_part_are_not_believed() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::photo(20, 20));
    for filename in ["../../etc/passwd", "a.gif", "ä b;.exe", ""] {
        let file = File {
            filename: Some(filename),
            ..File::new(&bytes)
        };
        let uploaded = server.upload_form("", &[file]).uploaded();
        assert!(uploaded[0].alias.ends_with(".png"), "{filename}");
    }
    let form = String::from_utf8_lossy(&multipart(&[File::new(b"@")]))
        .replace("\r\n\r\n", "\r\nContent-Type: application/x-sh\r\n\r\n");
    let (head, tail) = form.split_once('@').expect("there");
    let body = [head.as_bytes(), &bytes, tail.as_bytes()].concat();
    let headers = [("content-type", &*content_type())];
    let answer = server.send("POST", "/image", &headers, Some(&body));
    assert_eq!(answer.uploaded()[0].details["content_type"], "image/png");
}

#[test]
fn a_body_in_chunks_without_a_length_is_taken() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::noise(200, 200, 1));
    let mut stream = server.connect();
    let head = format!(
        "POST /image HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        content_type()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    for chunk in multipart(&[File::new(&bytes)]).chunks(7001) {
        write!(stream, "{:x}\r\n", chunk.len()).expect("sent");
        stream.write_all(chunk).expect("sent");
        stream.write_all(b"\r\n").expect("sent");
    }
    stream.write_all(b"0\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(disk::objects(&server.files()).len(), 1);
}

/// Sends a form as it is.
fn send_form(server: &Server, body: &[u8]) -> Answer {
    let headers = [("content-type", &*content_type())];
    server.send("POST", "/image", &headers, Some(body))
}

#[test]
fn forms_may_be_written_as_different_clients_do() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::photo(31, 17));
    let form = multipart(&[File::new(&bytes)]);
    // No line break behind the last boundary, something behind it, something before the first.
    send_form(&server, &form[..form.len() - 2]).uploaded();
    send_form(&server, &[&form[..], b"what is this?\r\n"].concat()).uploaded();
    send_form(&server, &[b"for old mail programs\r\n", &form[..]].concat()).uploaded();
    // More headers, other spellings, the extended form of the name.
    let disposition = b"Content-Disposition: form-data; name=\"images[]\"; filename=\"upload.bin\"";
    let length = bytes.len();
    let with_length = format!(
        "Content-Type: image/png\r\nContent-Disposition: form-data; name=\"images[]\"; \
         filename=\"a\"\r\nContent-Length: {length}\r\nX-Own: 1"
    );
    for other in [
        &b"content-disposition:form-data;filename=a.png;name=\"images[]\""[..],
        b"Content-Disposition: form-data; name=\"images[]\"; filename*=UTF-8''%e2%82%ac.png",
        with_length.as_bytes(),
    ] {
        let start = pictures::find(&form, disposition);
        let rest = &form[start + disposition.len()..];
        send_form(&server, &[&form[..start], other, rest].concat()).uploaded();
    }
    assert_eq!(disk::objects(&server.files()).len(), 1);
}

#[test]
fn cookies_and_credentials_that_a_proxy_passes_on_do_no_harm() {
    let server = Server::start();
    let body = multipart(&[File::new(&pictures::png(&pictures::photo(9, 9)))]);
    let headers = [
        ("content-type", &*content_type()),
        ("cookie", "jwt=abc"),
        ("authorization", "Bearer abc"),
        ("x-forwarded-for", "203.0.113.9:4711"),
    ];
    server
        .send("POST", "/image", &headers, Some(&body))
        .uploaded();
}

#[test]
fn expect_100_continue_is_answered() {
    let server = Server::start();
    let body = multipart(&[File::new(&pictures::png(&pictures::photo(9, 9)))]);
    let mut stream = server.connect();
    let head = format!(
        "POST /image HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\
         Content-Type: {}\r\nContent-Length: {}\r\n\r\n",
        content_type(),
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("answered");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[test]
fn the_same_bytes_are_stored_once_and_named_twice() {
    let server = Server::start();
    let bytes = pictures::jpeg(&pictures::photo(100, 100));
    let first = server.upload(&bytes);
    let second = server.upload(&bytes);
    assert_ne!(first.alias, second.alias);
    assert_ne!(first.token, second.token);
    // The time of the first upload, not a new one.
    assert_eq!(first.details, second.details);
    assert_eq!(disk::objects(&server.files()).len(), 1);
    assert_eq!(
        server.original(&first.alias),
        server.original(&second.alias)
    );
}

#[test]
fn the_same_picture_with_other_metadata_is_the_same_content() {
    let server = Server::start();
    let image = pictures::photo(64, 64);
    let first = server.upload(&dirty::commented_jpeg(&image, "one comment"));
    let second = server.upload(&dirty::commented_jpeg(&image, "another one, longer"));
    assert_eq!(first.details, second.details);
    assert_eq!(disk::objects(&server.files()).len(), 1);
}

#[test]
fn many_uploads_of_the_same_bytes_at_once_store_one_file() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::noise(300, 300, 2));
    let uploads: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| server.upload(&bytes)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("uploaded"))
            .collect()
    });
    assert_eq!(disk::objects(&server.files()).len(), 1);
    assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
    for uploaded in &uploads {
        assert_eq!(uploaded.details, uploads[0].details);
        server.original(&uploaded.alias);
    }
}

#[test]
fn operations_in_the_query_are_applied_at_upload() {
    let server = Server::start();
    let bytes = pictures::jpeg(&pictures::photo(400, 200));
    let uploaded = server.upload_with("resize=100&crop=1x1", &bytes);
    assert_eq!(uploaded.details["width"], 50);
    assert_eq!(uploaded.details["height"], 50);
    assert_eq!(uploaded.details["content_type"], "image/jpeg");
    let stored = pixels::decode(&server.original(&uploaded.alias));
    assert_eq!((stored.width(), stored.height()), (50, 50));
    // What changes nothing costs no quality: the bytes stay.
    let kept = server.upload_with("resize=1024", &bytes);
    pixels::assert_equal(
        &pixels::decode(&server.original(&kept.alias)),
        &pixels::decode(&bytes),
    );
}

#[test]
fn operations_in_the_query_replace_the_configured_ones() {
    let server = Server::with([("media.preprocess_steps", "resize=60")]);
    let bytes = pictures::png(&pictures::photo(200, 100));
    assert_eq!(server.upload(&bytes).details["width"], 60);
    assert_eq!(server.upload_with("resize=90", &bytes).details["width"], 90);
    assert_eq!(
        server.upload_with("identity=x", &bytes).details["width"],
        200
    );
}

#[test]
fn uploads_are_converted_to_the_configured_format() {
    let server = Server::with([
        ("media.image.format", "webp"),
        ("media.animation.format", "webp"),
    ]);
    let still = server.upload(&pictures::png(&pictures::photo(100, 80)));
    assert_eq!(still.details["content_type"], "image/webp");
    assert!(still.alias.ends_with(".webp"));
    pixels::assert_similar(
        &pixels::decode(&server.original(&still.alias)),
        &pictures::photo(100, 80),
        4.0,
    );
    let film = server.upload(&pictures::gif(&pictures::film(40, 40, 5)));
    assert_eq!(film.details["content_type"], "image/webp");
    assert_eq!(film.details["frames"], 5);
    assert_eq!(pixels::frames(&server.original(&film.alias)).len(), 5);
}

#[test]
fn uploads_are_spooled_where_the_settings_say() {
    let launch = Launch::new();
    let spool = launch.folder().join("spool");
    let server = launch
        .setting("server.temporary_directory", spool.display())
        .start();
    server.upload(&pictures::png(&pictures::noise(600, 600, 3)));
    assert!(spool.is_dir());
    assert_eq!(disk::snapshot(&spool).len(), 0);
}

#[test]
fn a_lost_file_is_an_error_until_the_same_bytes_come_again() {
    let server = Server::with([("media.heal", "all")]);
    let bytes = pictures::png(&pictures::noise(64, 64, 4));
    let first = server.upload(&bytes);
    let original = server.original(&first.alias);
    lose_everything(&server);
    let path = format!("/image/original/{}", first.alias);
    let message = server.get(&path).refused(500, "lost-file");
    assert!(message.contains("lost"), "{message}");
    assert_eq!(server.head(&path).status, 500);
    server
        .get(&format!(
            "/image/process.webp?src={}&thumbnail=9",
            first.alias
        ))
        .refused(500, "lost-file");
    let second = server.upload(&bytes);
    assert_eq!(second.details["created_at"], first.details["created_at"]);
    for alias in [&first.alias, &second.alias] {
        assert_eq!(server.original(alias), original);
        server.process("webp", alias, "thumbnail=9");
    }
    assert_eq!(disk::objects(&server.files()).len(), 2);
}

/// A scanner or a moderator may have deleted it: a stranger who has the same bytes must not bring it
/// back for everybody.
#[test]
fn a_file_that_was_deleted_comes_back_for_the_new_alias_only() {
    let server = Server::with([("server.api_key", "key")]);
    let bytes = pictures::png(&pictures::noise(64, 64, 4));
    let first = server.upload(&bytes);
    let other = server.upload(&bytes);
    let original = server.original(&first.alias);
    server.process("webp", &first.alias, "thumbnail=9");
    lose_everything(&server);
    let second = server.upload(&bytes);
    assert_eq!(server.original(&second.alias), original);
    server.process("webp", &second.alias, "thumbnail=9");
    let assert_lost = |server: &Server| {
        for alias in [&first.alias, &other.alias] {
            for path in [
                format!("/image/original/{alias}"),
                format!("/image/details/original/{alias}"),
                format!("/image/process.webp?src={alias}&thumbnail=9"),
                format!("/image/process.webp?src={alias}&thumbnail=10"),
            ] {
                server.get(&path).refused(500, "lost-file");
            }
        }
    };
    assert_lost(&server);
    let server = server.stop().start();
    assert_lost(&server);
    // One more is as good as the second.
    let third = server.upload(&bytes);
    for alias in [&second.alias, &third.alias] {
        assert_eq!(server.original(alias), original);
    }
    assert_lost(&server);
    // A token still deletes its alias, and when nothing shows the bytes they go.
    let delete = |uploaded: &Uploaded| {
        let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
        server.delete(&path).status(204);
    };
    delete(&other);
    let path = format!("/image/original/{}", other.alias);
    server.get(&path).refused(404, "alias-not-found");
    delete(&second);
    assert_eq!(server.original(&third.alias), original);
    delete(&third);
    assert_eq!(disk::objects(&server.files()).len(), 0);
    let path = format!("/image/original/{}", first.alias);
    server.get(&path).refused(500, "lost-file");
    // Again the same.
    let fourth = server.upload(&bytes);
    assert_eq!(server.original(&fourth.alias), original);
    server.get(&path).refused(500, "lost-file");
    // An admin reaches it by its old name.
    let purge = format!("/internal/purge?alias={}", first.alias);
    let key = [("X-Api-Token", "key")];
    let purged = server.send("POST", &purge, &key, None).ok().json();
    assert_eq!(purged["aliases"].as_array().map(Vec::len), Some(2));
    assert_eq!(disk::objects(&server.files()).len(), 0);
}

#[test]
fn of_uploads_that_find_a_lost_file_at_once_each_gets_it() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::noise(200, 200, 4));
    let first = server.upload(&bytes).alias;
    lose_everything(&server);
    let aliases: Vec<_> = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| server.upload(&bytes).alias))
            .collect();
        uploads
            .into_iter()
            .map(|upload| upload.join().expect("done"))
            .collect()
    });
    for alias in &aliases {
        server.original(alias);
    }
    server
        .get(&format!("/image/original/{first}"))
        .refused(500, "lost-file");
    assert_eq!(disk::objects(&server.files()).len(), 1);
}

#[test]
fn all_aliases_get_a_lost_file_back_once_an_admin_wants_it() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::noise(64, 64, 4));
    let first = server.upload(&bytes).alias;
    lose_everything(&server);
    server.upload(&bytes);
    let path = format!("/image/original/{first}");
    server.get(&path).refused(500, "lost-file");
    let server = server.stop().setting("media.heal", "all").start();
    server.get(&path).refused(500, "lost-file");
    server.upload(&bytes);
    server.original(&first);
}

#[test]
fn a_file_that_was_cut_short_on_disk_is_healed_as_well() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::noise(64, 64, 5));
    let first = server.upload(&bytes);
    let original = server.original(&first.alias);
    for name in disk::objects(&server.files()).into_keys() {
        std::fs::write(server.files().join(name), b"short").expect("written");
    }
    server
        .get(&format!("/image/original/{}", first.alias))
        .refused(500, "lost-file");
    server.upload(&bytes);
    assert_eq!(server.original(&first.alias), original);
    // Nothing is left of the damaged file.
    assert_eq!(disk::objects(&server.files()).len(), 1);
}

/// Deletes all stored files behind the server's back.
pub fn lose_everything(server: &Server) {
    for name in disk::objects(&server.files()).into_keys() {
        std::fs::remove_file(server.files().join(name)).expect("removed");
    }
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let server = Server::start();
    let body = multipart(&[File::new(&pictures::png(&pictures::noise(800, 800, 6)))]);
    for cut in [100, body.len() / 2, body.len() - 3] {
        let mut stream = server.connect();
        let head = format!(
            "POST /image HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            content_type(),
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(&body[..cut]).expect("sent");
        drop(stream);
    }
    // One request more, on a new connection: by then the others have been noticed.
    let _: Answer = server.get("/healthz").ok();
    disk::assert_nothing_stored(&server);
}

#[test]
fn heads_of_parts_may_have_names_in_latin_1_and_blanks_behind_the_boundary() {
    let server = Server::with([("server.api_key", "key"), ("server.max_file_count", "2")]);
    let bytes = pictures::png(&pictures::photo(30, 20));
    let part = |boundary: &[u8], name: &[u8]| {
        [
            boundary,
            b"\r\nContent-Disposition: form-data; name=\"images[]\"; filename=\"",
            name,
            b"\"\r\nContent-Type: image/png\r\n\r\n",
            &bytes,
            b"\r\n",
        ]
        .concat()
    };
    let headers = [
        ("content-type", "multipart/form-data; boundary=xx"),
        ("X-Api-Token", "key"),
    ];
    let send = |path, parts: &[Vec<u8>]| {
        let body = [&parts.concat()[..], b"--xx-- \t\r\n"].concat();
        server.send("POST", path, &headers, Some(&body))
    };
    let latin = part(b"--xx \t", b"caf\xe9.png");
    let utf_8 = part(b"--xx  ", "na\u{ef}ve.png".as_bytes());
    for path in ["/image", "/image/backgrounded"] {
        let answer = send(path, &[latin.clone(), utf_8.clone()]);
        assert!(matches!(answer.status, 201 | 202), "{}", answer.text());
    }
    // An imported file is called by that name.
    let imported = send("/internal/import", &[latin, utf_8]).uploaded();
    let names: Vec<_> = imported.iter().map(|file| file.alias.as_str()).collect();
    assert_eq!(names, ["caf\u{e9}.png", "na\u{ef}ve.png"]);
    for name in ["caf%C3%A9.png", "na%C3%AFve.png"] {
        assert_eq!(
            server.original(name),
            server.original(&imported[0].alias.replace('\u{e9}', "%C3%A9"))
        );
    }
}
