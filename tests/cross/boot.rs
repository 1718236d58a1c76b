//! Each binary alone, with an empty PATH: command line, service, death and restart.

use assert_cmd::assert::OutputAssertExt as _;
use image::ImageFormat;
use predicates::prelude::*;

use super::{Target, on_each_target};
use crate::support::client::process_path;
use crate::support::{disk, pictures, pixels};

on_each_target!(
    the_command_line_answers,
    every_format_is_taken_shown_made_and_deleted,
    an_upload_in_the_background_is_claimed_and_survives_death,
    death_loses_nothing_and_a_signal_ends_it_well,
);

const SIZE: (u32, u32) = (64, 48);

fn the_command_line_answers(target: &Target) {
    let Some(program) = target.program("command line") else {
        return;
    };
    let run = |arguments: &[&str]| program.command().args(arguments).assert();
    let version = concat!("pict-rs ", env!("CARGO_PKG_VERSION"), "\n");
    run(&["-V"]).success().stdout(version).stderr("");
    let sources = predicate::str::contains(env!("CARGO_PKG_REPOSITORY"));
    run(&["--version"]).success().stdout(sources).stderr("");
    run(&["--help"])
        .success()
        .stdout(predicate::str::contains("check-config"));
    run(&["--no-such-flag"])
        .code(2)
        .stderr(predicate::str::contains("--no-such-flag"));
    run(&["--config-file", "absent.toml", "run"])
        .code(78)
        .stderr(predicate::str::contains("absent.toml"));
    run(&["check-config"])
        .success()
        .stdout(predicate::str::contains("valid"));
}

fn every_format_is_taken_shown_made_and_deleted(target: &Target) {
    let Some(launch) = target.launch("use") else {
        return;
    };
    let server = launch.start();
    server.get("/healthz").ok();
    let still = pictures::photo(SIZE.0, SIZE.1);
    let film = pictures::film(SIZE.0, SIZE.1, 4);
    for (bytes, kind, extension, formats) in [
        (pictures::jpeg(&still), "image/jpeg", "jpeg", &STILL[..]),
        (pictures::png(&still), "image/png", "png", &STILL[..]),
        (pictures::webp(&still), "image/webp", "webp", &STILL[..]),
        (pictures::gif(&film), "image/gif", "gif", &MOVING[..]),
        (
            pictures::animated_webp(&film),
            "image/webp",
            "webp",
            &MOVING[..],
        ),
    ] {
        let uploaded = server.upload(&bytes);
        assert!(uploaded.alias.ends_with(extension), "{}", uploaded.alias);
        let details = format!("/image/details/original/{}", uploaded.alias);
        let details = server.get(&details).ok().json();
        assert_eq!(details["content_type"], kind);
        assert_eq!(
            (&details["width"], &details["height"]),
            (&SIZE.0.into(), &SIZE.1.into())
        );
        let original = server.original(&uploaded.alias);
        let path = format!("/image/original/{}", uploaded.alias);
        let range = server
            .get_with(&path, &[("Range", "bytes=2-17")])
            .status(206);
        assert_eq!(range.body, original[2..18]);
        for (extension, format) in formats {
            let made = server.process(extension, &uploaded.alias, "thumbnail=16");
            assert_eq!(
                pixels::format(&made),
                Some(*format),
                "{kind} to {extension}"
            );
            let made = pixels::decode(&made);
            assert_eq!(
                (made.width(), made.height()),
                (16, 12),
                "{kind} to {extension}"
            );
        }
        server
            .delete(&format!(
                "/image/delete/{}/{}",
                uploaded.token, uploaded.alias
            ))
            .status(204);
        server.get(&path).refused(404, "alias-not-found");
    }
    disk::assert_nothing_stored(&server);
    server.upload_refused("", b"no picture at all", 400, "discover-error");
    server.stop();
}

/// What stills and animations can be made into.
const STILL: [(&str, ImageFormat); 3] = [
    ("jpg", ImageFormat::Jpeg),
    ("png", ImageFormat::Png),
    ("webp", ImageFormat::WebP),
];
const MOVING: [(&str, ImageFormat); 4] = [
    ("gif", ImageFormat::Gif),
    ("webp", ImageFormat::WebP),
    ("jpg", ImageFormat::Jpeg),
    ("png", ImageFormat::Png),
];

fn an_upload_in_the_background_is_claimed_and_survives_death(target: &Target) {
    let Some(launch) = target.launch("background") else {
        return;
    };
    let server = launch.start();
    let claimed = server.background(&pictures::png(&pictures::noise(40, 40, 1)));
    let claimed = server.claim(&claimed).claimed();
    server.original(&claimed.alias);
    // Acknowledged, and maybe being worked on, when the server dies.
    let waiting = server.background(&pictures::png(&pictures::noise(400, 400, 2)));
    let server = server.kill().start();
    let finished = server.claim(&waiting).claimed();
    server.original(&finished.alias);
    server.claim_once(&waiting).refused(400, "already-claimed");
    assert_eq!(disk::objects(&server.files()).len(), 2);
    server.stop();
}

fn death_loses_nothing_and_a_signal_ends_it_well(target: &Target) {
    let Some(launch) = target.launch("death") else {
        return;
    };
    let server = launch.start();
    let uploaded: Vec<_> = (0..4)
        .map(|seed| server.upload(&pictures::png(&pictures::noise(40, 40, seed))))
        .collect();
    let originals: Vec<_> = uploaded
        .iter()
        .map(|file| server.original(&file.alias))
        .collect();
    let variant = server.process("webp", &uploaded[0].alias, "thumbnail=16");
    server.settle();
    let server = server.kill().start();
    for (file, original) in uploaded.iter().zip(&originals) {
        assert_eq!(&server.original(&file.alias), original);
    }
    // HEAD never makes one, so it is the one from before.
    server
        .head(&process_path("webp", &uploaded[0].alias, "thumbnail=16"))
        .ok();
    assert_eq!(
        server.process("webp", &uploaded[0].alias, "thumbnail=16"),
        variant
    );
    assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
    let launch = server.stop();
    launch.start().original(&uploaded[3].alias);
}
