//! Formats that ImageMagick reads for us: with the program of this machine, and with its faults.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::upstream::Upstream;
use crate::support::{Launch, Server, disk, pictures, pixels, programs};

/// Looks like a Photoshop file, and is none.
const PSD: &[u8] = b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x01\0\0\0\x01\0\x08\0\x03";

/// The program of this machine, and a server that has it on its PATH.
fn with_magick(test: &str) -> Option<(PathBuf, Server)> {
    let program = program(test)?;
    let server = launch(&program).start();
    Some((program, server))
}

/// The program of this machine.
fn program(test: &str) -> Option<PathBuf> {
    let found = ["magick", "convert-im6.q16"]
        .into_iter()
        .find_map(programs::find);
    found.or_else(|| programs::find_or_skip("magick", test))
}

/// A server that has the program on its PATH.
fn launch(program: &Path) -> Launch {
    let folder = program.parent().expect("a folder").display();
    Launch::new().environment("PATH", folder)
}

/// A picture in a format that ImageMagick writes.
fn picture(program: &Path, how: &[&str], format: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let photo = pictures::png(&pictures::photo(60, 40));
    std::fs::write(folder.path().join("in.png"), photo).expect("written");
    let status = Command::new(program)
        .arg("in.png")
        .args(how)
        .arg(format!("{format}:out"))
        .current_dir(&folder)
        .status()
        .expect("runs");
    assert!(status.success());
    std::fs::read(folder.path().join("out")).expect("written")
}

#[test]
fn studio_formats_are_taken_in_where_imagemagick_is_there() {
    let Some((program, server)) = with_magick("formats of ImageMagick") else {
        return;
    };
    let without = Server::start();
    for format in ["psd", "jp2"] {
        let bytes = picture(&program, &["-quality", "0"], format);
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

#[test]
fn rare_kinds_of_usual_formats_are_taken_in_where_imagemagick_is_there() {
    let Some(program) = program("rare kinds of formats") else {
        return;
    };
    let server = launch(&program)
        .setting("media.magick.formats", "heif,jpeg,tiff")
        .start();
    let without = Server::start();
    let gray = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/gray.heic");
    let arithmetic = include_bytes!("../data/arithmetic.jpeg");
    let palette = picture(&program, &["-colors", "200", "-type", "Palette"], "tiff");
    for (bytes, stored, reason) in [
        (&gray[..], "image/jpeg", "4:0:0"),
        (&arithmetic[..], "image/jpeg", "arithmetic-coded"),
        (&palette, "image/webp", "TIFF files of this kind"),
    ] {
        let uploaded = server.upload(bytes);
        assert_eq!(uploaded.details["content_type"], stored, "{reason}");
        let picture = pixels::decode(&server.original(&uploaded.alias));
        if bytes == palette {
            pixels::assert_similar(&picture, &pictures::photo(60, 40), 6.0);
        } else if bytes == arithmetic {
            // From red at the top to blue.
            let [red, _, blue] = picture.to_rgb8().get_pixel(30, 2).0;
            assert!(red > 200 && blue < 60, "{red} {blue}");
        }
        let message = without.upload_refused("", bytes, 400, "discover-error");
        assert!(message.contains(reason), "{message}");
    }
    // What is damaged is not handed on.
    let photo = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/phone.heic");
    server.upload_refused("", &photo[..photo.len() / 2], 400, "media-damaged");
}

#[test]
fn no_uploader_chooses_a_decoder_that_the_settings_do_not_name() {
    let note = tempfile::tempdir().expect("a folder");
    let started = note.path().join("started");
    let folder = fake(&format!("echo yes > {}; exit 1", started.display()));
    let path = folder.path().to_str().expect("text");
    let gray = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/gray.heic");
    let arithmetic = include_bytes!("../data/arithmetic.jpeg");
    // HEIF is not named by default.
    let server = Launch::new().environment("PATH", path).start();
    let message = server.upload_refused("", gray, 400, "discover-error");
    assert!(message.contains("4:0:0"), "{message}");
    assert!(!started.exists());
    server.upload_refused("", arithmetic, 400, "media-damaged");
    assert!(started.exists());
    std::fs::remove_file(&started).expect("there");
    // With an empty list nothing is handed on, and the answer names the setting.
    let server = Launch::new()
        .environment("PATH", path)
        .setting("media.magick.formats", "")
        .start();
    let message = server.upload_refused("", PSD, 400, "discover-error");
    assert!(message.contains("media.magick.formats"), "{message}");
    let message = server.upload_refused("", arithmetic, 400, "discover-error");
    assert!(message.contains("arithmetic-coded"), "{message}");
    let fax = include_bytes!("../data/cases/fax3.tif");
    server.upload_refused("", fax, 400, "discover-error");
    let types = &server.get("/image/limits").ok().json()["image"]["content_types"];
    assert!(!types.to_string().contains("photoshop"), "{types}");
    assert!(!started.exists());
    disk::assert_nothing_stored(&server);
    let refusal = Launch::new()
        .setting("media.magick.formats", "psd,gif")
        .refused();
    assert!(refusal.output.contains("'gif'"), "{}", refusal.output);
}

#[test]
fn doctor_says_which_formats_imagemagick_is_not_asked_for() {
    let folder = fake("echo Version: ImageMagick 7");
    let path = folder.path().to_str().expect("text");
    let launch = Launch::new()
        .environment("PATH", path)
        .arguments(["doctor"]);
    let output = launch.command().output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("media.magick.formats does not name heif"),
        "{said}"
    );
    assert_eq!(said.matches("media.magick.formats").count(), 1, "{said}");
}

#[test]
fn kinds_that_only_their_data_betray_are_handed_on_as_well() {
    let Some((program, server)) = with_magick("compressions of TIFF") else {
        return;
    };
    let without = Server::start();
    let plain = picture(&program, &["-compress", "none"], "tiff");
    let fax = include_bytes!("../data/cases/fax3.tif").to_vec();
    let mut files = vec![("group 3", fax)];
    for (name, words) in [
        (
            "group 3, made here",
            &["-monochrome", "-compress", "Fax"][..],
        ),
        ("LZMA", &["-compress", "LZMA"]),
        ("Zstandard", &["-compress", "Zstd"]),
        ("WebP", &["-compress", "WebP"]),
    ] {
        let file = picture(&program, words, "tiff");
        // A program that was built without a compression writes none.
        if file.len() != plain.len() {
            files.push((name, file));
        }
    }
    for (name, file) in files {
        let uploaded = server.upload(&file);
        assert_eq!(uploaded.details["content_type"], "image/webp", "{name}");
        let shown = pixels::decode(&server.original(&uploaded.alias));
        if !name.starts_with("group") {
            pixels::assert_similar(&shown, &pictures::photo(60, 40), 8.0);
        }
        let message = without.upload_refused("", &file, 400, "discover-error");
        assert!(message.contains("TIFF"), "{name}: {message}");
    }
}

#[test]
fn colours_and_transparency_of_heif_are_carried_over_or_refused() {
    let Some(program) = program("colours of rare HEIF") else {
        return;
    };
    let server = launch(&program)
        .setting("media.magick.formats", "heif")
        .start();
    let wide = include_bytes!("../data/cases/444-p3.heic");
    let alias = server.upload(wide).alias;
    let made = pixels::decode(&server.process("png", &alias, "")).to_rgb8();
    let untouched = pixels::decode(&picture_of(&program, wide)).to_rgb8();
    // Colours of Display P3 are more vivid when they are written as sRGB.
    let spread = |image: &image::RgbImage| -> u64 {
        let spread = |pixel: &image::Rgb<u8>| {
            let [low, high] = [pixel.0.iter().min(), pixel.0.iter().max()];
            u64::from(high.expect("three") - low.expect("three"))
        };
        image.pixels().map(spread).sum()
    };
    assert!(spread(&made) > spread(&untouched) * 101 / 100);
    let alpha = include_bytes!("../data/cases/alpha.heic");
    let answer = server.upload_form("", &[crate::support::client::File::new(alpha)]);
    if answer.status == 201 {
        let alias = &answer.uploaded()[0].alias;
        assert!(pixels::decode(&server.original(alias)).color().has_alpha());
    } else {
        let message = answer.refused(400, "discover-error");
        assert!(message.contains("transparency"), "{message}");
    }
}

/// What the program makes of a HEIF, as PNG.
fn picture_of(program: &Path, bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("in.heic"), bytes).expect("written");
    let status = Command::new(program)
        .args(["in.heic", "-depth", "8", "png:out"])
        .current_dir(&folder)
        .status()
        .expect("runs");
    assert!(status.success());
    std::fs::read(folder.path().join("out")).expect("written")
}

/// A PATH with a program that is called magick.
fn fake(script: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("magick");
    std::fs::write(&file, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("set");
    folder
}

#[test]
fn a_blocked_file_starts_no_program() {
    use sha2::Digest as _;
    let note = tempfile::tempdir().expect("a folder");
    let started = note.path().join("started");
    let folder = fake(&format!("echo yes > {}; exit 1", started.display()));
    let server = Launch::new()
        .environment("PATH", folder.path().to_str().expect("text"))
        // So that the program can leave a note in another folder.
        .setting("media.isolation", "thread")
        .setting("server.api_key", "the-key")
        .start();
    let hash = hex::encode(sha2::Sha256::digest(PSD));
    let path = format!("/internal/blocklist?hash={hash}");
    server
        .send("POST", &path, &[("X-Api-Token", "the-key")], None)
        .status(201);
    server.upload_refused("", PSD, 400, "blocked");
    assert!(!started.exists());
    // Another one does.
    server.upload_refused("", &[PSD, b"!"].concat(), 400, "media-damaged");
    assert!(started.exists());
}

#[test]
fn a_proxied_file_whose_program_is_missing_or_hangs_is_not_fetched_again_at_once() {
    let upstream = Upstream::serving(PSD);
    let folder = fake("exec sleep 1000");
    for (path, status, code) in [
        ("/nowhere", 501, "program-missing"),
        (
            folder.path().to_str().expect("text"),
            400,
            "process-timeout",
        ),
    ] {
        let before = upstream.asked().len();
        let server = Launch::new()
            .environment("PATH", path)
            .setting("client.allow_local_connections", true)
            .setting("media.process_timeout", "1")
            .start();
        let path = format!("/image/original?proxy={}", upstream.url("/a.psd"));
        for _ in 0..2 {
            server.get(&path).refused(status, code);
        }
        assert_eq!(upstream.asked().len() - before, 1, "{code}");
    }
}
