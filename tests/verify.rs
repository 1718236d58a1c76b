//! `verify-clean`: files as cameras and programs leave them, what would be stored of each, and two
//! judges.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::exiftool::Exiftool;
use crate::support::{Launch, clips, dirty, pictures, programs};

const SEQUENCE: &[u8] = include_bytes!("../crates/pict-rs-media/src/codec/testdata/sequence.avif");
const GRID: &[u8] = include_bytes!("../crates/pict-rs-media/src/codec/testdata/grid.avif");
const JXL: &[u8] = include_bytes!("../crates/pict-rs-media/src/codec/testdata/from_jpeg.jxl");
const MOVING_JXL: &[u8] = include_bytes!("../crates/pict-rs-media/src/codec/testdata/moving.jxl");
const SEI: &[u8] = include_bytes!("data/cases/sei-gps.mp4");

/// A shell in which some programs are installed.
struct Shell {
    launch: Launch,
    path: String,
}

impl Shell {
    fn with(names: &[&str]) -> Self {
        let launch = Launch::new();
        let folder = launch.folder().join("programs");
        std::fs::create_dir(&folder).expect("made");
        for name in names {
            let program = programs::find(name).expect("found before");
            symlink(program, folder.join(name)).expect("linked");
        }
        std::fs::create_dir(launch.folder().join("temporary")).expect("made");
        let path = folder.to_str().expect("text").to_owned();
        Self { launch, path }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.launch.folder().join(name);
        std::fs::write(&file, bytes).expect("written");
        file
    }

    fn setting(mut self, key: &str, value: &str) -> Self {
        self.launch = self.launch.setting(key, value);
        self
    }

    /// Its exit code and what it says.
    fn verify(&self, words: &[&str], files: &[&Path]) -> (Option<i32>, String) {
        let temporary = self.launch.folder().join("temporary");
        let mut command = self.launch.command();
        command.env("PATH", &self.path).env("TMPDIR", &temporary);
        command.arg("verify-clean").args(words).args(files);
        let output = command.output().expect("runs");
        let left = std::fs::read_dir(&temporary).expect("there").count();
        assert_eq!(left, 0, "something stays in {}", temporary.display());
        // Nor is there a database of its own.
        assert!(!self.launch.folder().join("data").exists());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code(), said)
    }

    #[track_caller]
    fn report(&self, words: &[&str], file: &Path, code: i32) -> Value {
        let (found, said) = self.verify(&[words, &["--json"]].concat(), &[file]);
        assert_eq!(found, Some(code), "{}: {said}", file.display());
        let report: Value =
            serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(report["is_clean"], code == 0);
        report["files"][0].clone()
    }
}

/// A file of every format that is stored, full of metadata; videos only if there is ffmpeg.
fn dirty_files(has_ffmpeg: bool) -> Vec<(&'static str, Vec<u8>)> {
    let mut animated = pictures::animated_webp(&pictures::film(40, 30, 5))[12..].to_vec();
    // EXIF is announced in VP8X, the first chunk.
    animated[8] |= 0x08;
    animated.extend(pictures::chunk(b"EXIF", &dirty::exif(1)));
    let mut files = vec![
        ("animated.webp", pictures::riff(&animated)),
        ("grid.avif", GRID.to_vec()),
        ("sequence.avif", SEQUENCE.to_vec()),
        ("still.jxl", JXL.to_vec()),
        (
            "moving.jxl",
            dirty::boxed_jxl(
                MOVING_JXL,
                b"Exif",
                &[&[0; 4][..], &dirty::exif(1)].concat(),
            ),
        ),
    ];
    files.extend(dirty::files());
    if has_ffmpeg {
        let tags = [
            "-metadata",
            "title=SECRET-title",
            "-metadata",
            "comment=SECRET-comment",
            "-metadata",
            "location=+47.1-122.2/",
            "-metadata:s:v",
            "handler_name=SECRET-handler",
        ];
        let make = |codec: &[&str], name| {
            clips::make("64x48", "0.4", false, &[codec, &tags, &[name]].concat())
        };
        files.push(("messages.mp4", SEI.to_vec()));
        files.push(("tags.mp4", make(&["-c:v", "libx264"], "tags.mp4")));
        files.push(("tags.webm", make(&["-c:v", "libvpx-vp9"], "tags.webm")));
    }
    files
}

#[test]
fn every_format_is_clean_once_it_is_stored_and_exiftool_agrees() {
    const TEST: &str = "verify-clean with exiftool";
    if Exiftool::find_or_skip(TEST).is_none() {
        return;
    }
    let has_ffmpeg = clips::path_or_skip(TEST).is_some();
    let names = ["exiftool", "ffmpeg"];
    let shell = Shell::with(if has_ffmpeg { &names } else { &names[..1] });
    let mut seen = std::collections::BTreeSet::new();
    for (name, bytes) in dirty_files(has_ffmpeg) {
        let file = shell.file(name, &bytes);
        let before = shell.report(&["--as-is"], &file, 1);
        assert_eq!(before["verdict"], "not-clean", "{name}");
        // Messages inside a stream are what exiftool does not see.
        let left = before["left"].as_array().expect("a list");
        assert!(!left.is_empty() || name == "messages.mp4", "{name}");
        let size = bytes.len() as u64;
        let again = before["cleaned_again_bytes"].as_u64();
        assert!(again.is_some(), "{name} is cleaned when it is stored");
        let after = shell.report(&[], &file, 0);
        assert_eq!(after["verdict"], "clean", "{name}");
        assert_eq!(after["left"], serde_json::json!([]), "{name}");
        assert_eq!(after["cleaned_again_bytes"], Value::Null, "{name}");
        assert_eq!(after["given_bytes"], size, "{name}");
        seen.insert(after["content_type"].as_str().expect("text").to_owned());
        assert_eq!(std::fs::read(&file).expect("there"), bytes, "{name}");
    }
    let mut expected: std::collections::BTreeSet<_> = [
        "image/apng",
        "image/avif",
        "image/gif",
        "image/jpeg",
        "image/jxl",
        "image/png",
        "image/webp",
    ]
    .map(str::to_owned)
    .into();
    if has_ffmpeg {
        expected.extend(["video/mp4".to_owned(), "video/webm".to_owned()]);
    }
    assert_eq!(seen, expected);
}

#[test]
fn without_exiftool_cleaning_again_is_the_judge() {
    let has_ffmpeg = clips::path_or_skip("verify-clean of videos without exiftool").is_some();
    let shell = Shell::with(if has_ffmpeg { &["ffmpeg"] } else { &[] });
    for (name, bytes) in dirty_files(has_ffmpeg) {
        let file = shell.file(name, &bytes);
        let before = shell.report(&["--as-is"], &file, 1);
        assert!(before["cleaned_again_bytes"].is_u64(), "{name}: {before}");
        assert_eq!(before["left"], serde_json::json!([]));
        shell.report(&[], &file, 0);
    }
    let file = shell.file("a.jpeg", &dirty::files()[0].1);
    let (_, said) = shell.verify(&[], &[&file]);
    assert!(said.contains("a.jpeg: clean: image/jpeg"), "{said}");
    assert!(said.contains("exiftool is not on PATH"), "{said}");
}

#[test]
fn what_is_left_is_named() {
    if Exiftool::find_or_skip("tags that verify-clean names").is_none() {
        return;
    }
    let shell = Shell::with(&["exiftool"]);
    let jpeg = shell.file("a.jpeg", &dirty::files()[0].1);
    let (code, said) = shell.verify(&["--as-is"], &[&jpeg]);
    assert_eq!(code, Some(1));
    for words in [
        "a.jpeg: not clean: image/jpeg",
        "pict-rs: cleaning it leaves",
        "exiftool: IFD0:Make = ",
        "exiftool: GPS:GPSLatitude",
        "exiftool: File:Comment = ",
        "exiftool: IPTC:",
        "exiftool: XMP-",
        "judged by exiftool",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn what_the_settings_keep_is_told_and_is_no_fault() {
    let Some(exiftool) = Exiftool::find_or_skip("credits in verify-clean") else {
        return;
    };
    let tags = [
        "Artist=Ada Lovelace",
        "Copyright=(c) 1843 Ada",
        "Make=camera",
    ];
    let bytes = pictures::jpeg(&pictures::photo(40, 30));
    let bytes = exiftool.write(&bytes, "jpg", &tags);
    let shell = Shell::with(&["exiftool"]).setting("media.keep_metadata", "copyright");
    let file = shell.file("a.jpg", &bytes);
    let found = shell.report(&[], &file, 0);
    let kept = found["kept"].to_string();
    assert!(kept.contains("Ada Lovelace") && !kept.contains("camera"));
    let plain = Shell::with(&["exiftool"]);
    let file = plain.file("a.jpg", &bytes);
    assert_eq!(plain.report(&[], &file, 0)["kept"], serde_json::json!([]));
}

#[test]
fn a_file_that_is_not_judged_has_its_own_exit_code() {
    let shell = Shell::with(&[]).setting("media.max_file_size", "1");
    let text = shell.file("a.txt", b"no picture");
    let found = shell.report(&[], &text, 3);
    assert_eq!(found["verdict"], "not-judged");
    assert_eq!(found["code"], "discover-error");
    let large = shell.file("large.png", &vec![0; (1 << 20) + 1]);
    assert_eq!(shell.report(&[], &large, 3)["code"], "validate-file-size");
    let missing = shell.launch.folder().join("missing.png");
    let found = shell.report(&[], &missing, 3);
    assert!(found["msg"].to_string().contains("missing.png"), "{found}");
    // A format that is never stored: only what is stored of it can be judged.
    let bmp = shell.file("a.bmp", include_bytes!("data/formats/still.bmp"));
    let found = shell.report(&["--as-is"], &bmp, 3);
    assert!(found["msg"].to_string().contains("never stored"), "{found}");
    assert_eq!(shell.report(&[], &bmp, 0)["content_type"], "image/webp");
    // What is left weighs more than what was not judged.
    let jpeg = shell.file("a.jpeg", &dirty::files()[0].1);
    let (code, said) = shell.verify(&["--as-is"], &[&text, &jpeg]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a.txt: not judged: "), "{said}");
    let (code, _) = shell.verify(&[], &[]);
    assert_eq!(code, Some(2), "no file");
    let dummy = Shell::with(&[]).setting("server.danger_dummy_mode", "true");
    let (code, said) = dummy.verify(&[], &[&text]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("nothing is cleaned"), "{said}");
}
