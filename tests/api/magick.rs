//! Formats that ImageMagick reads for us: with the program of this machine, and with its faults.

use std::process::Command;

use crate::support::{Launch, disk, pictures, pixels, programs};

/// A picture as Photoshop, or JPEG 2000, has it.
fn picture(program: &std::path::Path, format: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let photo = pictures::png(&pictures::photo(60, 40));
    std::fs::write(folder.path().join("in.png"), photo).expect("written");
    let status = Command::new(program)
        .args(["in.png", "-quality", "0", &format!("{format}:out")])
        .current_dir(&folder)
        .status()
        .expect("runs");
    assert!(status.success());
    std::fs::read(folder.path().join("out")).expect("written")
}

#[test]
fn studio_formats_are_taken_in_where_imagemagick_is_there() {
    let name = "formats of ImageMagick";
    let found = ["magick", "convert-im6.q16"]
        .into_iter()
        .find_map(programs::find);
    let Some(program) = found.or_else(|| programs::find_or_skip("magick", name)) else {
        return;
    };
    let folder = program.parent().and_then(|p| p.to_str()).expect("text");
    let server = Launch::new().environment("PATH", folder).start();
    let without = crate::support::Server::start();
    for format in ["psd", "jp2"] {
        let bytes = picture(&program, format);
        let uploaded = server.upload(&bytes);
        assert_eq!(uploaded.details["content_type"], "image/webp", "{format}");
        let stored = pixels::decode(&server.original(&uploaded.alias));
        pixels::assert_similar(&stored, &pictures::photo(60, 40), 6.0);
        server.upload_refused("max_width=59", &bytes, 400, "validate-width");

        let message = without.upload_refused("", &bytes, 501, "program-missing");
        assert!(message.contains("magick"), "{message}");
        let mut broken = bytes;
        broken.truncate(60);
        server.upload_refused("", &broken, 400, "media-damaged");
    }
    disk::assert_nothing_stored(&without);
    assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
}
