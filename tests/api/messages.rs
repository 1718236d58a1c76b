//! What a refused client is told: the sentence that it knows from the existing pict-rs, and
//! beside it what this server knows beyond that.

use serde_json::{Value, json};

use crate::support::{File, Server, pictures};

/// `msg`, `limit` and `found` of a refusal whose detail names both numbers.
#[track_caller]
fn told(answer: &crate::support::Answer, status: u16, code: &str) -> (Value, Value, Value) {
    answer.refused(status, code);
    let json = answer.json();
    let detail = json["detail"].as_str().expect("a detail");
    for number in [&json["limit"], &json["found"]] {
        assert!(
            number.is_null() || detail.contains(&number.to_string()),
            "{json}"
        );
    }
    (
        json["msg"].clone(),
        json["limit"].clone(),
        json["found"].clone(),
    )
}

#[test]
fn a_limit_of_a_kind_is_told_in_the_known_sentence_with_both_numbers() {
    let still = pictures::png(&pictures::photo(120, 90));
    let moving = pictures::gif(&pictures::film(60, 40, 3));
    let cases = [
        ("image", &still, "width", "width", "Too wide", 100, 120),
        ("image", &still, "height", "height", "Too tall", 80, 90),
        (
            "image",
            &still,
            "area",
            "area",
            "Too many pixels",
            10_000,
            10_800,
        ),
        ("animation", &moving, "width", "width", "Too wide", 50, 60),
        ("animation", &moving, "height", "height", "Too tall", 30, 40),
        (
            "animation",
            &moving,
            "area",
            "area",
            "Too many pixels",
            2000,
            2400,
        ),
        (
            "animation",
            &moving,
            "frame_count",
            "frames",
            "Too many frames",
            2,
            3,
        ),
    ];
    for (kind, bytes, setting, code, msg, limit, found) in cases {
        let setting = format!("media.{kind}.max_{setting}");
        let server = Server::with([(setting.as_str(), limit.to_string().as_str())]);
        let code = format!("validate-{code}");
        let expected = (json!(msg), json!(limit), json!(found));
        let answer = server.upload_form("", &[File::new(bytes)]);
        assert_eq!(told(&answer, 400, &code), expected);
        // The outcome of a backgrounded upload tells as much.
        let claimed = server.claim(&server.background(bytes));
        assert_eq!(told(&claimed, 422, &code), expected);
    }
}

#[test]
fn too_many_bytes_are_told_apart_by_whose_limit_it_is() {
    let noise = pictures::png(&pictures::noise(800, 800, 1));
    assert!(noise.len() > 1024 * 1024, "{}", noise.len());
    for (setting, msg) in [
        ("media.max_file_size", "File too large"),
        ("media.image.max_file_size", "Filesize is too large"),
    ] {
        let server = Server::with([(setting, "1")]);
        let answer = server.upload_form("", &[File::new(&noise)]);
        let (told, limit, found) = told(&answer, 413, "validate-file-size");
        assert_eq!((told, limit), (json!(msg), json!(1024 * 1024)));
        assert!(found.as_u64().expect("bytes") > 1024 * 1024, "{found}");
    }
}

#[test]
fn mistakes_without_numbers_are_told_in_the_known_sentences() {
    let server = Server::with([("server.api_key", "key"), ("media.video.enable", "false")]);
    let bytes = pictures::png(&pictures::photo(10, 10));
    let check = |answer: crate::support::Answer, status: u16, code: &str, msg: &str| {
        answer.refused(status, code);
        assert_eq!(answer.json()["msg"], msg);
        assert!(answer.json()["detail"].is_string(), "{}", answer.text());
    };
    let two = [File::new(&bytes), File::new(&bytes)];
    let answer = server.upload_form("", &two);
    assert_eq!(answer.json()["limit"], 1);
    check(
        answer,
        400,
        "file-upload-error",
        "Too many files in request",
    );
    let stray = File {
        field: "image",
        ..File::new(&bytes)
    };
    check(
        server.upload_form("", &[stray]),
        400,
        "file-upload-error",
        "Found field with unexpected name or type",
    );
    check(
        server.get("/internal/hashes"),
        401,
        "invalid-api-token",
        "Invalid API Token",
    );
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[2001:db8::1]",
        "0.0.0.0",
    ] {
        for path in ["original?proxy", "download?url"] {
            check(
                server.get(&format!("/image/{path}=http://{host}/image.jpg")),
                400,
                "download-file-error",
                "Proxy url resolves to local address",
            );
        }
    }
}
