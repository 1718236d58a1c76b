//! Uploads that are refused, and what is left of them: nothing.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::support::client::{content_type, form_end, multipart, part_head};
use crate::support::server::is_emulated;
use crate::support::{File, Server, disk, pictures, pixels, programs, work};

const MIB: usize = 1024 * 1024;

#[test]
fn a_body_that_is_no_form_is_refused() {
    let server = Server::start();
    for headers in [
        &[][..],
        &[("content-type", "image/png")],
        &[("content-type", "multipart/form-data")],
        &[("content-type", "application/json")],
    ] {
        let answer = server.send("POST", "/image", headers, Some(b"{}"));
        answer.refused(400, "file-upload-error");
    }
    let headers = [("content-type", &*content_type())];
    let whole = multipart(&[File::new(&pictures::png(&pictures::photo(10, 10)))]);
    let end = form_end().len();
    for body in [
        &b"no boundary at all"[..],
        &whole[..40],
        // All of the file is there, but nothing says so.
        &whole[..whole.len() - end],
        &whole[..whole.len() - end - 2],
        &whole[..whole.len() - end + 5],
    ] {
        let answer = server.send("POST", "/image", &headers, Some(body));
        answer.refused(400, "file-upload-error");
    }
    disk::assert_nothing_stored(&server);
}

#[test]
fn only_the_field_images_is_taken_and_only_with_a_file_name() {
    let server = Server::with([("server.max_file_count", "2")]);
    let bytes = pictures::png(&pictures::photo(10, 10));
    for field in ["images", "image", "file", "images[0]", "Images[]", ""] {
        let file = File {
            field,
            ..File::new(&bytes)
        };
        let message = server
            .upload_form("", &[file])
            .refused(400, "file-upload-error");
        assert!(message.contains("images[]"), "{message}");
        // A good file before it does not help.
        let file = File {
            field,
            ..File::new(&bytes)
        };
        server
            .upload_form("", &[File::new(&bytes), file])
            .refused(400, "file-upload-error");
    }
    let nameless = File {
        filename: None,
        ..File::new(&bytes)
    };
    let message = server
        .upload_form("", &[nameless])
        .refused(400, "file-upload-error");
    assert!(message.contains("Filename"), "{message}");
    disk::assert_nothing_stored(&server);
}

#[test]
fn no_files_and_empty_files_are_refused() {
    let server = Server::start();
    server
        .upload_form("", &[])
        .refused(400, "validate-no-files");
    server.upload_refused("", b"", 400, "validate-file-empty");
    disk::assert_nothing_stored(&server);
}

#[test]
fn what_is_no_media_is_refused() {
    let server = Server::start();
    for bytes in [
        &b"hello, world"[..],
        b"\0",
        b"%PDF-1.7",
        b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0",
        b"\0\0\0\x18ftypheic\0\0\0\0heicmif1",
        b"RIFF\x04\0\0\0WAVE",
        b"#!/bin/sh\n",
    ] {
        server.upload_refused("", bytes, 400, "discover-error");
    }
    server.upload_refused("", b"II\x2a\0\x08\0\0\0", 400, "media-damaged");
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_damaged_file_is_refused_wherever_it_is_cut() {
    let server = Server::start();
    let image = pictures::noise(40, 40, 7);
    for whole in [
        pictures::png(&image),
        pictures::webp(&image),
        pictures::gif(&[image.to_rgba8()]),
        pictures::animated_webp(&pictures::film(40, 40, 3)),
        pictures::jpeg(&image),
    ] {
        for tenths in 1..=6 {
            let cut = &whole[..whole.len() * tenths / 10];
            let answer = server.upload_form("", &[File::new(cut)]);
            let code = answer.json()["code"].clone();
            assert!(
                code == "media-damaged" || code == "discover-error",
                "{code} for {tenths}/10 of {:?}",
                &whole[..4]
            );
            answer.refused(400, code.as_str().expect("text"));
        }
    }
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_gif_that_is_cut_in_a_later_frame_is_as_long_as_browsers_show_it() {
    let server = Server::start();
    let whole = pictures::gif(&pictures::film(40, 40, 6));
    let uploaded = server.upload(&whole[..whole.len() * 3 / 4]);
    let frames = uploaded.details["frames"].as_u64().expect("a number");
    assert!((2..6).contains(&frames), "{frames}");
    let shown = pixels::frames(&server.original(&uploaded.alias));
    assert_eq!(shown.len() as u64, frames);
}

#[test]
fn a_small_file_that_claims_to_be_huge_costs_no_memory() {
    let server = Server::start();
    // Something real first, so that the code has been paged in.
    server
        .upload_form("", &[File::new(&pictures::png(&pictures::photo(500, 500)))])
        .uploaded();
    let before = server.peak_memory_kib();
    for (name, bytes) in pictures::bombs(60_000) {
        assert!((90_000..120_000).contains(&bytes.len()), "{name}");
        let started = Instant::now();
        let message = server.upload_refused("", &bytes, 400, "validate-width");
        assert!(
            message.contains("60000") && message.contains("limit"),
            "{message}"
        );
        assert!(started.elapsed() < Duration::from_secs(5), "{name}");
    }
    if is_emulated() {
        return programs::skip("memory", "bombs cost no memory", "the program is emulated");
    }
    let grown = server.peak_memory_kib() - before;
    assert!(grown < 8 * 1024, "the peak grew by {grown} KiB");
}

#[test]
fn each_limit_of_the_settings_is_kept_and_told() {
    let still = pictures::png(&pictures::photo(100, 60));
    let film = pictures::gif(&pictures::film(100, 60, 4));
    for (key, value, bytes, code, words) in [
        (
            "media.image.max_width",
            "99",
            &still,
            "validate-width",
            ["100", "99"],
        ),
        (
            "media.image.max_height",
            "59",
            &still,
            "validate-height",
            ["60", "59"],
        ),
        (
            "media.image.max_area",
            "5999",
            &still,
            "validate-area",
            ["6000", "5999"],
        ),
        (
            "media.animation.max_width",
            "99",
            &film,
            "validate-width",
            ["100", "99"],
        ),
        (
            "media.animation.max_height",
            "59",
            &film,
            "validate-height",
            ["60", "59"],
        ),
        (
            "media.animation.max_area",
            "5999",
            &film,
            "validate-area",
            ["6000", "5999"],
        ),
        (
            "media.animation.max_frame_count",
            "3",
            &film,
            "validate-frames",
            ["4", "3"],
        ),
    ] {
        let server = Server::with([(key, value)]);
        let message = server.upload_refused("", bytes, 400, code);
        for word in words {
            assert!(message.contains(word), "{key}: {message}");
        }
        disk::assert_nothing_stored(&server);
    }
}

#[test]
fn limits_of_one_kind_leave_the_other_alone() {
    let server = Server::with([
        ("media.image.max_width", "50"),
        ("media.animation.max_frame_count", "2"),
    ]);
    server.upload(&pictures::gif(&pictures::film(60, 60, 2)));
    server.upload(&pictures::png(&pictures::photo(50, 60)));
}

#[test]
fn limits_in_the_query_only_tighten() {
    let server = Server::with([("media.image.max_width", "150")]);
    let still = pictures::png(&pictures::photo(100, 60));
    let film = pictures::gif(&pictures::film(100, 60, 4));
    for (query, bytes, code) in [
        ("max_width=99", &still, "validate-width"),
        ("max_height=59", &still, "validate-height"),
        ("max_area=5999", &still, "validate-area"),
        ("max_frame_count=3", &film, "validate-frames"),
        ("allow_image=false", &still, "media-disallowed"),
        ("allow_animation=false", &film, "media-disallowed"),
    ] {
        server.upload_refused(query, bytes, 400, code);
    }
    disk::assert_nothing_stored(&server);
    let wide = pictures::png(&pictures::photo(160, 10));
    server.upload_refused("max_width=9999", &wide, 400, "validate-width");
    server.upload_with("max_width=100&max_height=60&max_area=6000", &still);
    server.upload_with(
        "max_frame_count=4&allow_image=false&allow_video=false",
        &film,
    );
    // Limits look at the original, before operations.
    server.upload_refused("max_width=99&resize=50", &still, 400, "validate-width");
}

#[test]
fn an_upload_query_that_makes_no_sense_is_refused() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::photo(10, 10));
    for (query, code) in [
        ("colour=red", "invalid-process-path"),
        ("Resize=10", "invalid-process-path"),
        ("resize=a100", "invalid-process-path"),
        ("crop=21x9", "invalid-process-path"),
        ("max_width=wide", "invalid-query"),
        ("max_area=-1", "invalid-query"),
        ("allow_video=1", "invalid-query"),
        ("allow_image=", "invalid-query"),
    ] {
        let message = server.upload_refused(query, &bytes, 400, code);
        let key = query.split('=').next().unwrap_or_default();
        assert!(message.contains(key), "{query}: {message}");
    }
    disk::assert_nothing_stored(&server);
}

#[test]
fn too_many_files_are_refused_together() {
    let server = Server::with([("server.max_file_count", "2")]);
    let pictures: Vec<_> = (1..=3)
        .map(|n| pictures::png(&pictures::photo(n * 10, 8)))
        .collect();
    let files: Vec<_> = pictures.iter().map(|bytes| File::new(bytes)).collect();
    let message = server
        .upload_form("", &files)
        .refused(400, "file-upload-error");
    assert!(
        message.contains("Too many files") && message.contains('2'),
        "{message}"
    );
    disk::assert_nothing_stored(&server);
}

#[test]
fn one_bad_file_takes_its_siblings_with_it() {
    let server = Server::with([("server.max_file_count", "3")]);
    let good = pictures::png(&pictures::photo(20, 20));
    let known = server.upload(&good);
    let other = pictures::gif(&pictures::film(20, 20, 2));
    let files = [File::new(&good), File::new(&other), File::new(b"bad")];
    server
        .upload_form("", &files)
        .refused(400, "discover-error");
    // What somebody else uploaded before stays.
    assert_eq!(disk::objects(&server.files()).len(), 1);
    server.original(&known.alias);
    server
        .delete(&format!("/image/delete/{}/{}", known.token, known.alias))
        .status(204);
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_file_over_the_size_limit_is_413_and_the_limit_is_told() {
    for (settings, query) in [
        ([("media.max_file_size", "1")], ""),
        ([("media.image.max_file_size", "1")], ""),
        ([("media.max_file_size", "40")], "max_file_size=1"),
    ] {
        let server = Server::with(settings);
        let just_right = pad(pictures::png(&pictures::photo(10, 10)), MIB);
        let too_large = pad(pictures::png(&pictures::photo(10, 11)), MIB + 1);
        let message = server.upload_refused(query, &too_large, 413, "validate-file-size");
        assert!(message.contains("1048576"), "{message}");
        disk::assert_nothing_stored(&server);
        server.upload_with(query, &just_right);
    }
}

/// Bytes after the end, which the server drops.
fn pad(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    bytes.resize(size, 0);
    bytes
}

#[test]
fn a_client_that_is_still_sending_hears_why_it_was_refused() {
    let server = Server::with([("media.max_file_size", "1")]);
    let mut stream = server.connect();
    let head = part_head("images[]", Some("large.png"));
    let size = 64 * MIB;
    let length = head.len() + size + 2 + form_end().len();
    write!(
        stream,
        "POST /image HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {}\r\n\
         Content-Length: {length}\r\n\r\n{head}",
        content_type()
    )
    .expect("sent");
    let mut reader = stream.try_clone().expect("cloned");
    let answer = std::thread::spawn(move || {
        let mut answer = String::new();
        reader
            .read_to_string(&mut answer)
            .expect("the whole answer");
        answer
    });
    let mebibyte = vec![0; MIB];
    for _ in 0..size / MIB {
        stream.write_all(&mebibyte).expect("all of it is read");
    }
    stream.write_all(b"\r\n").expect("sent");
    stream.write_all(form_end().as_bytes()).expect("sent");
    let answer = answer.join().expect("read");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("\"validate-file-size\""), "{answer}");
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_body_that_comes_too_slowly_is_given_up() {
    let server = Server::with([("server.upload_timeout", "1")]);
    let mut stream = server.connect();
    let started = Instant::now();
    write!(
        stream,
        "POST /image HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {}\r\n\
         Content-Length: 100000\r\n\r\n{}",
        content_type(),
        part_head("images[]", Some("slow.png"))
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("\"stream-too-slow\""), "{answer}");
    assert!(started.elapsed() >= Duration::from_secs(1));
    disk::assert_nothing_stored(&server);
}

#[test]
fn work_that_would_need_too_much_memory_is_refused() {
    let server = Server::with([("media.memory", "1")]);
    let bytes = pictures::webp(&pictures::noise(1000, 1000, 8));
    let message = server.upload_refused("resize=100", &bytes, 400, "validate-memory");
    assert!(message.contains("memory"), "{message}");
    disk::assert_nothing_stored(&server);
}

#[test]
fn work_that_takes_too_long_is_given_up() {
    let server = Server::with([("media.process_timeout", "1")]);
    let large = pictures::png(&pictures::plain(2000, 2000));
    server.upload_refused(&work::blurs(150), &large, 400, "process-timeout");
    disk::assert_nothing_stored(&server);
    // The processor is free again.
    server.upload(&pictures::png(&pictures::photo(10, 10)));
}
