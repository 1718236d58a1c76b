//! Every format that comes in as every format that goes out, by the bare binary with an empty
//! PATH: natively and, where the static binaries are, on each of their processors. The table in
//! `docs/formats.md` is what came out; with `PICTRS_TEST_WRITE` set the native binary writes it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cross::{AMD64, ARM64, ARMV7L, Target};
use crate::support::client::process_path;
use crate::support::{File, Launch, Server};

const TEST: &str = "the format matrix";
const OUTPUTS: [&str; 7] = ["apng", "avif", "gif", "jpg", "jxl", "png", "webp"];
const BEGIN: &str = "<!-- matrix: written by tests/matrix.rs -->\n";
const END: &str = "<!-- end of matrix -->\n";

/// Files that other programs made of the same four pictures.
const INPUTS: [(&str, &str); 20] = [
    ("JPEG", "still.jpeg"),
    ("PNG", "still.png"),
    ("APNG", "moving.apng"),
    ("GIF, one frame", "still.gif"),
    ("GIF", "moving.gif"),
    ("WebP", "still.webp"),
    ("animated WebP", "moving.webp"),
    ("AVIF", "still.avif"),
    ("animated AVIF", "moving.avif"),
    ("JPEG XL", "still.jxl"),
    ("animated JPEG XL", "moving.jxl"),
    ("HEIC", "still.heic"),
    ("TIFF", "still.tiff"),
    ("BMP", "still.bmp"),
    ("ICO", "still.ico"),
    ("QOI", "still.qoi"),
    ("SVG, enabled", "still.svg"),
    ("SVG, as it is by default", "still.svg"),
    ("MP4, without ffmpeg", "clip.mp4"),
    ("WebM, without ffmpeg", "clip.webm"),
];

#[test]
fn the_native_binary_does_what_the_table_says() {
    let table = table(&Launch::new().start(), &enabled(Launch::new()).start());
    if std::env::var_os("PICTRS_TEST_WRITE").is_some() {
        return write(&table);
    }
    assert_is_documented(&table);
}

#[test]
fn amd64_does_what_the_table_says() {
    check(&AMD64);
}

#[test]
fn arm64_does_what_the_table_says() {
    check(&ARM64);
}

#[test]
fn armv7l_does_what_the_table_says() {
    check(&ARMV7L);
}

fn check(target: &Target) {
    let (Some(plain), Some(svg)) = (target.launch(TEST), target.launch(TEST)) else {
        return;
    };
    assert_is_documented(&table(&plain.start(), &enabled(svg).start()));
}

/// With everything on that is off by default.
fn enabled(launch: Launch) -> Launch {
    launch.setting("media.svg.enable", true)
}

fn table(plain: &Server, enabled: &Server) -> String {
    let mut text = String::from("| in | stored as |");
    for extension in OUTPUTS {
        let _ = write!(text, " {extension} |");
    }
    text.push_str("\n| --- | --- |");
    text.push_str(&" --- |".repeat(OUTPUTS.len()));
    text.push('\n');
    for (name, file) in INPUTS {
        let server = if name.contains("enabled") {
            enabled
        } else {
            plain
        };
        let bytes = fs::read(data().join(file)).expect("a sample can be read");
        let answer = server.upload_form("", &[File::new(&bytes)]);
        if answer.status != 201 {
            let refused = answer.json()["code"].as_str().expect("a code").to_owned();
            assert!((400..500).contains(&answer.status) || answer.status == 501);
            let _ = write!(text, "| {name} | refused: `{refused}` |");
            text.push_str(&"  |".repeat(OUTPUTS.len()));
            text.push('\n');
            continue;
        }
        let uploaded = &answer.uploaded()[0];
        let stored = words(&uploaded.details);
        let _ = write!(text, "| {name} | {stored} |");
        for extension in OUTPUTS {
            let _ = write!(text, " {} |", made(server, extension, &uploaded.alias));
        }
        text.push('\n');
    }
    text
}

/// What a variant is, or the code of its refusal.
fn made(server: &Server, extension: &str, alias: &str) -> String {
    let path = process_path(extension, alias, "thumbnail=32");
    let answer = server.get(&path);
    if answer.status != 200 {
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        return format!("`{}`", answer.json()["code"].as_str().expect("a code"));
    }
    let details = server
        .get(&path.replace("/process", "/details/process"))
        .ok()
        .json();
    assert_eq!(
        answer.header("content-type"),
        details["content_type"].as_str(),
        "{path}"
    );
    let size = (&details["width"], &details["height"]);
    assert!(
        size.0 == 32 && (size.1 == 24 || size.1 == 32),
        "{path}: {size:?}"
    );
    match details["frames"].as_u64() {
        Some(frames) => format!("{frames} frames"),
        None => "still".to_owned(),
    }
}

/// Type and frames of what was stored.
fn words(details: &serde_json::Value) -> String {
    let kind = details["content_type"].as_str().expect("a type");
    match details["frames"].as_u64() {
        Some(frames) => format!("{kind}, {frames} frames"),
        None => kind.to_owned(),
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/formats")
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md")
}

/// What stands before the table, the table, and what stands behind it.
fn parts(docs: &str) -> (&str, &str, &str) {
    let (before, rest) = docs
        .split_once(BEGIN)
        .expect("docs/formats.md has the mark");
    let (table, after) = rest.split_once(END).expect("and its end");
    (before, table, after)
}

fn write(table: &str) {
    let text = fs::read_to_string(docs()).expect("readable");
    let (before, _, after) = parts(&text);
    fs::write(docs(), format!("{before}{BEGIN}{table}{END}{after}")).expect("written");
}

fn assert_is_documented(table: &str) {
    let text = fs::read_to_string(docs()).expect("readable");
    let (_, documented, _) = parts(&text);
    for (found, told) in table.lines().zip(documented.lines()) {
        assert_eq!(found, told, "docs/formats.md says otherwise");
    }
    assert_eq!(table.lines().count(), documented.lines().count());
}
