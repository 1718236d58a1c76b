//! Files that are not quite right, beside what Chromium shows of them
//! (`tests/data/cases/shown`, a canvas read back).

use image::DynamicImage;

use crate::support::{Server, pixels};

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/cases")
}

fn case(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn shown(name: &str) -> DynamicImage {
    let path = |extension: &str| folder().join("shown").join(format!("{name}.{extension}"));
    let bytes = std::fs::read(path("png")).or_else(|_| std::fs::read(path("webp")));
    pixels::decode(&bytes.unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Uploads it, and expects original and variant to look as in Chromium. Cleaning a second time
/// changes nothing, so what is stored is a right file.
#[track_caller]
fn looks_like(server: &Server, name: &str, tolerance: f64) {
    let expected = shown(name);
    let uploaded = server.upload(&case(name));
    let variant = server.process("png", &uploaded.alias, "");
    pixels::assert_similar(&pixels::decode(&variant), &expected, tolerance);
    let original = server.original(&uploaded.alias);
    let again = server.upload(&original);
    assert_eq!(server.original(&again.alias), original, "{name}");
    let variant = server.process("png", &again.alias, "");
    pixels::assert_similar(&pixels::decode(&variant), &expected, tolerance);
}

#[test]
fn inks_are_inverted_without_the_marker_of_adobe() {
    looks_like(&Server::start(), "cmyk-no-adobe.jpg", 2.0);
}

#[test]
fn a_gamma_stands_for_itself() {
    let server = Server::start();
    looks_like(&server, "gama-1.0-only.png", 0.6);
    looks_like(&server, "gama-0.45455-with-srgb-chrm.png", 0.6);
}

#[test]
fn an_alpha_plane_that_the_header_does_not_announce_is_not_there() {
    looks_like(&Server::start(), "alph-without-flag.webp", 2.0);
}

#[test]
fn a_profile_of_another_colour_space_changes_nothing() {
    looks_like(&Server::start(), "gray-icc-on-rgb.jpg", 2.0);
}

#[test]
fn an_icon_without_alpha_is_seen_through_its_mask() {
    looks_like(&Server::start(), "alpha-all-zero.ico", 0.1);
}
