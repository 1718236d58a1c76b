//! Somebody else is asked before a file is kept.

use std::net::TcpListener;

use crate::support::validator::Validator;
use crate::support::{File, Launch, Server, clips, dirty, disk, pictures, pixels};

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
fn an_answer_about_the_file_that_is_not_2xx_refuses_and_leaves_nothing() {
    let validator = Validator::start(406);
    let server = asking(&validator).start();
    let bytes = pictures::png(&pictures::photo(30, 30));
    for status in [406, 302, 404, 413, 415] {
        validator.answer(Some(status));
        server.upload_refused("", &bytes, 400, "failed-external-validation");
        server.wait_for_output(&format!("status={status}"));
    }
    validator.answer(Some(406));
    let id = server.background(&bytes);
    server.claim(&id).refused(422, "failed-external-validation");
    // Asked once: the answer is final.
    assert_eq!(validator.questions().len(), 6);
    disk::assert_nothing_stored(&server);
    validator.answer(Some(200));
    server.upload(&bytes);
}

/// A gateway in front of a scanner that is down answers in its place.
#[test]
fn a_validator_that_fails_has_not_refused_the_file() {
    let validator = Validator::start(500);
    let server = asking(&validator).start();
    let bytes = pictures::png(&pictures::photo(30, 30));
    for status in [500, 502, 503, 504, 429, 408] {
        validator.answer(Some(status));
        let answer = server.upload_form("", &[File::new(&bytes)]);
        answer.refused(503, "external-validation-unavailable");
        assert!(answer.header("retry-after").is_some());
        server.wait_for_output(&format!("its status is {status}"));
    }
    disk::assert_nothing_stored(&server);
    let server = server
        .stop()
        .setting("media.external_validation_failure", "accept")
        .start();
    validator.answer(Some(502));
    let alias = server.upload(&bytes).alias;
    server.original(&alias);
    server.wait_for_output("accepted without it");
    server.wait_for_output("its status is 502");
    // It tries again what is not urgent.
    validator.answer_first(&[503]);
    validator.answer(Some(200));
    let server = server
        .stop()
        .setting("media.external_validation_failure", "refuse")
        .start();
    let id = server.background(&pictures::png(&pictures::photo(31, 30)));
    server.claim(&id).claimed();
}

/// With `media.external_validation_as = "jpeg"`.
fn showing(validator: &Validator) -> Launch {
    asking(validator).setting("media.external_validation_as", "jpeg")
}

#[test]
fn what_a_validator_may_not_open_is_shown_to_it_as_jpeg() {
    let picture = pictures::photo(60, 40);
    for (format, sent) in [
        ("avif", pictures::png(&picture)),
        ("jxl", pictures::png(&picture)),
        ("webp", pictures::png(&picture)),
        ("png", pictures::jpeg(&picture)),
        ("jpeg", pictures::png(&picture)),
    ] {
        let validator = Validator::start(200);
        let server = showing(&validator)
            .setting("media.image.format", format)
            .start();
        let uploaded = server.upload(&sent);
        let kind = format!("image/{format}");
        assert_eq!(uploaded.details["content_type"], kind.as_str());
        let questions = validator.questions();
        assert_eq!(questions.len(), 1, "{format}");
        let question = &questions[0];
        assert_eq!(question.line, "POST /scan HTTP/1.1");
        assert_eq!(question.header("content-type"), Some("image/jpeg"));
        let shown = pixels::decode(&question.body);
        pixels::assert_similar(&shown, &picture, 6.0);
        if format == "jpeg" {
            assert_eq!(question.body, server.original(&uploaded.alias));
        }
    }
}

#[test]
fn each_frame_that_is_shown_must_be_accepted() {
    let frames = pictures::film(40, 30, 10);
    for (name, bytes) in [
        ("gif", pictures::gif(&frames)),
        ("webp", pictures::animated_webp(&frames)),
        ("apng", pictures::apng(&frames)),
    ] {
        let validator = Validator::start(200);
        let server = showing(&validator)
            .setting("media.external_validation_form", "multipart")
            .start();
        server.upload(&bytes);
        let questions = validator.questions();
        assert_eq!(questions.len(), 4, "{name}");
        for (question, number) in questions.iter().zip([0, 3, 6, 9]) {
            let head = question
                .body
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .expect("a head");
            let shown = pixels::decode(&question.body[head + 4..]);
            let expected = frames[number].clone().into();
            pixels::assert_similar(&shown, &expected, 12.0);
            let head = String::from_utf8_lossy(&question.body[..head]).into_owned();
            assert!(head.contains(".jpeg\""), "{head}");
            assert!(head.contains("Content-Type: image/jpeg"), "{head}");
        }
        // The third one is not.
        validator.answer_first(&[200, 204, 406]);
        let other = pictures::gif(&pictures::film(42, 30, 10));
        server.upload_refused("", &other, 400, "failed-external-validation");
        assert_eq!(validator.questions().len(), 7, "{name}");
        // No client has seen the last one.
        validator.answer_first(&[200, 200, 200, 503]);
        server
            .upload_form("", &[File::new(&other)])
            .refused(503, "external-validation-unavailable");
        assert_eq!(disk::objects(&server.files()).len(), 1);
    }
}

#[test]
fn a_clip_is_shown_as_frames_of_its_whole_length() {
    let Some(path) = clips::path_or_skip("clips and the external validation") else {
        return;
    };
    let words = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "clip.mp4"];
    let clip = clips::make("96x64", "2", false, &words);
    let validator = Validator::start(200);
    let server = showing(&validator).environment("PATH", path).start();
    let alias = server.upload(&clip).alias;
    let shown: Vec<_> = validator
        .questions()
        .iter()
        .map(|question| {
            assert_eq!(question.header("content-type"), Some("image/jpeg"));
            pixels::decode(&question.body)
        })
        .collect();
    assert_eq!(shown.len(), 4);
    for (number, frame) in shown.iter().enumerate() {
        assert_eq!((frame.width(), frame.height()), (96, 64));
        let time = format!("time={}", number as f64 * 0.5);
        let expected = pixels::decode(&server.process("png", &alias, &time));
        pixels::assert_similar(frame, &expected, 12.0);
    }
    assert!(pixels::difference(&shown[0], &shown[3]) > 1.0, "they move");
    validator.answer_first(&[200, 200, 200, 451]);
    let words = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "clip.mov"];
    let other = clips::make("64x64", "1", false, &words);
    server.upload_refused("", &other, 400, "failed-external-validation");
    // The clip and the variants that it was compared with.
    assert_eq!(disk::objects(&server.files()).len(), 5);
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
        ("media.external_validation_as", "png", "validation_as"),
    ] {
        let refusal = Launch::new().setting(key, value).refused();
        assert_eq!(refusal.status.code(), Some(78));
        assert!(refusal.output.contains(word), "{}", refusal.output);
    }
    // Left empty, as deployments do.
    Server::with([("media.external_validation", "")])
        .get("/healthz")
        .ok();
}
