//! Variants and uploads that are written as AVIF.

use crate::support::client::process_path;
use crate::support::{Server, pictures, pixels};

#[test]
fn stills_become_avif_and_their_details_are_true() {
    let server = Server::start();
    let still = pictures::photo(300, 200);
    for bytes in [pictures::jpeg(&still), pictures::png(&still)] {
        let alias = server.upload(&bytes).alias;
        let path = process_path("avif", &alias, "resize=150");
        let answer = server.get(&path).ok();
        assert_eq!(answer.header("content-type"), Some("image/avif"));
        assert_eq!(&answer.body[4..12], b"ftypavif");
        let details = server
            .get(&path.replace("/process", "/details/process"))
            .ok()
            .json();
        assert_eq!(details["content_type"], "image/avif");
        assert_eq!(details["format"], "Image");
        assert_eq!(
            (&details["width"], &details["height"]),
            (&150.into(), &100.into())
        );
    }
}

#[test]
fn an_avif_variant_shows_the_picture_it_was_made_of() {
    let server = Server::start();
    let still = pictures::photo(300, 200);
    let alias = server.upload(&pictures::png(&still)).alias;
    let avif = server.process("avif", &alias, "");
    let again = server.upload(&avif).alias;
    let png = pixels::decode(&server.process("png", &again, ""));
    pixels::assert_similar(&png, &still, 4.0);
}

#[test]
fn a_gif_becomes_an_animated_avif_with_all_its_frames() {
    let server = Server::start();
    let film = pictures::film(60, 40, 6);
    let alias = server.upload(&pictures::gif(&film)).alias;
    let path = process_path("avif", &alias, "");
    let answer = server.get(&path).ok();
    assert_eq!(answer.header("content-type"), Some("image/avif"));
    assert_eq!(&answer.body[4..12], b"ftypavis");
    let details = server
        .get(&path.replace("/process", "/details/process"))
        .ok()
        .json();
    assert_eq!(details["content_type"], "image/avif");
    assert_eq!(details["format"], "Animation");
    assert_eq!(details["frames"], 6);
    assert_eq!(
        (&details["width"], &details["height"]),
        (&60.into(), &40.into())
    );
}

#[test]
fn uploads_are_converted_to_avif_where_the_settings_say_so() {
    let server = Server::with([("media.image.format", "avif")]);
    let uploaded = server.upload(&pictures::jpeg(&pictures::photo(90, 60)));
    assert_eq!(uploaded.details["content_type"], "image/avif");
    assert_eq!(&server.original(&uploaded.alias)[4..12], b"ftypavif");
}
