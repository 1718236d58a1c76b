//! Somebody else is asked before a file is kept.

use std::net::TcpListener;

use crate::support::validator::Validator;
use crate::support::{File, Launch, Server, dirty, disk, pictures};

fn asking(validator: &Validator) -> Launch {
    Launch::new().setting("media.external_validation", validator.url())
}

#[test]
fn the_validator_sees_what_will_be_served_and_its_type() {
    let validator = Validator::start(200);
    let server = asking(&validator).start();
    let files = [
        ("image/png", pictures::png(&pictures::noise(500, 400, 3))),
        ("image/jpeg", dirty::dirty_jpeg(&pictures::photo(60, 40))),
    ];
    for (number, (kind, bytes)) in files.iter().enumerate() {
        let alias = server.upload(bytes).alias;
        let questions = validator.questions();
        assert_eq!(questions.len(), number + 1);
        let question = &questions[number];
        assert_eq!(question.line, "POST /scan HTTP/1.1");
        assert_eq!(question.header("content-type"), Some(*kind));
        let agent = question.header("user-agent").expect("a name");
        assert!(agent.starts_with("pict-rs "), "{agent}");
        assert_eq!(question.body, server.original(&alias), "{kind}");
        // Variants are nobody's question.
        server.process("webp", &alias, "thumbnail=8");
    }
    // Duplicates are asked about again.
    server.upload(&files[0].1);
    assert_eq!(validator.questions().len(), 3);
}

#[test]
fn as_a_form_the_picture_is_one_part_with_its_type() {
    let validator = Validator::start(204);
    let server = asking(&validator)
        .setting("media.external_validation_form", "multipart")
        .start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(40, 30)))
        .alias;
    let question = validator.questions().remove(0);
    let kind = question.header("content-type").expect("a type");
    let boundary = kind
        .strip_prefix("multipart/form-data; boundary=")
        .expect("a boundary");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let body = &question.body;
    let head_end = body
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head")
        + 4;
    let head = text(&body[..head_end]);
    assert!(head.starts_with(&format!("--{boundary}\r\n")), "{head}");
    assert!(head.contains("name=\"") && head.contains("filename=\""));
    assert!(head.contains("Content-Type: image/png\r\n"), "{head}");
    let tail = format!("\r\n--{boundary}--\r\n");
    let end = body.len() - tail.len();
    assert_eq!(text(&body[end..]), tail);
    assert_eq!(body[head_end..end], server.original(&alias));
}

#[test]
fn whatever_is_not_2xx_refuses_and_leaves_nothing() {
    let validator = Validator::start(406);
    let server = asking(&validator).start();
    let bytes = pictures::png(&pictures::photo(30, 30));
    for status in [406, 302, 404, 500, 503] {
        validator.answer(Some(status));
        server.upload_refused("", &bytes, 400, "failed-external-validation");
    }
    let id = server.background(&bytes);
    server.claim(&id).refused(422, "failed-external-validation");
    // Asked once: the answer is final.
    assert_eq!(validator.questions().len(), 6);
    disk::assert_nothing_stored(&server);
    validator.answer(Some(200));
    server.upload(&bytes);
}

#[test]
fn a_validator_that_is_down_or_slow_is_not_the_clients_fault() {
    // Nobody listens here any more.
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound")
    };
    let down = Launch::new().setting("media.external_validation", format!("http://{gone}/"));
    let silent = Validator::start(200);
    silent.answer(None);
    let slow = asking(&silent).setting("media.external_validation_timeout", 1);
    let bytes = pictures::png(&pictures::photo(30, 30));
    for launch in [down, slow] {
        let server = launch.start();
        let answer = server.upload_form("", &[File::new(&bytes)]);
        answer.refused(503, "external-validation-unavailable");
        assert!(answer.header("retry-after").is_some());
        disk::assert_nothing_stored(&server);
        server.wait_for_output("the external validation does not answer");

        let server = server
            .stop()
            .setting("media.external_validation_failure", "accept")
            .start();
        let alias = server.upload(&bytes).alias;
        server.original(&alias);
        server.wait_for_output("accepted without it");
    }
}

#[test]
fn background_uploads_wait_for_a_validator_to_come_back() {
    let validator = Validator::start(200);
    validator.answer(None);
    let server = asking(&validator)
        .setting("media.external_validation_timeout", 1)
        .start();
    let id = server.background(&pictures::png(&pictures::photo(30, 30)));
    server.wait_for_output("to be tried again");
    validator.answer(Some(200));
    let alias = server.claim(&id).claimed().alias;
    server.original(&alias);
}

#[test]
fn an_address_that_cannot_be_asked_is_refused_at_start() {
    for (key, value, word) in [
        ("media.external_validation", "validator:14051", "http://"),
        ("media.external_validation_timeout", "0", "at least 1"),
        ("media.external_validation_form", "json", "validation_form"),
        (
            "media.external_validation_failure",
            "ignore",
            "validation_failure",
        ),
    ] {
        let refusal = Launch::new().setting(key, value).refused();
        assert_eq!(refusal.status.code(), Some(1));
        assert!(refusal.output.contains(word), "{}", refusal.output);
    }
    // Left empty, as deployments do.
    Server::with([("media.external_validation", "")])
        .get("/healthz")
        .ok();
}
