//! Every format that comes in as every format that goes out, by the bare binary with an empty
//! PATH: natively and, where the static binaries are, on each of their processors. The table in
//! `docs/formats.md` is what came out; with `PICTRS_TEST_WRITE` set the native binary writes it. The
//! colours of every variant are looked at as well, coarsely.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use image::DynamicImage;

use crate::cross::{Target, on_each_target};
use crate::support::client::process_path;
use crate::support::{File, Launch, Server, pixels};

const TEST: &str = "the format matrix";
const OUTPUTS: [&str; 7] = ["apng", "avif", "gif", "jpg", "jxl", "png", "webp"];
const BEGIN: &str = "<!-- matrix: written by tests/matrix.rs -->\n";
const END: &str = "<!-- end of matrix -->\n";

/// How far the mean colour of a variant may be from that of its source, of 255: for the loss of the
/// codecs and a palette.
const MEAN_TOLERANCE: f64 = 8.0;

/// Files that other programs made of the same four pictures.
const INPUTS: [(&str, &str); 21] = [
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
    ("PNM", "still.ppm"),
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

on_each_target!(the_static_binary_does_what_the_table_says);

fn the_static_binary_does_what_the_table_says(target: &Target) {
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
            let made = made(server, extension, &uploaded.alias);
            let _ = write!(text, " {} |", made.word);
            if let Some(bytes) = made.bytes {
                assert_looks_right(server, &bytes, file, &format!("{name} as {extension}"));
            }
        }
        text.push('\n');
    }
    text
}

/// What a variant is, or the code of its refusal.
fn made(server: &Server, extension: &str, alias: &str) -> Made {
    let path = process_path(extension, alias, "thumbnail=32");
    let answer = server.get(&path);
    if answer.status != 200 {
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        return Made {
            word: format!("`{}`", answer.json()["code"].as_str().expect("a code")),
            bytes: None,
        };
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
    let word = match details["frames"].as_u64() {
        Some(frames) => format!("{frames} frames"),
        None => "still".to_owned(),
    };
    Made {
        word,
        bytes: Some(answer.body),
    }
}

/// A variant.
struct Made {
    /// Its frames, or the code of its refusal.
    word: String,
    bytes: Option<Vec<u8>>,
}

/// A codec that swaps channels, loses a plane or shifts the light gives another mean.
fn assert_looks_right(server: &Server, made: &[u8], file: &str, what: &str) {
    // What the tests cannot decode the server shows as PNG; that it reads these formats rightly
    // is shown by the rows of files that other programs made.
    let shown = if can_decode(made) {
        pixels::decode(made)
    } else {
        let alias = server.upload(made).alias;
        pixels::decode(&server.process("png", &alias, ""))
    };
    let (found, expected) = (mean(&shown), expected_mean(file));
    let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    assert!(
        off.fold(0.0, f64::max) <= MEAN_TOLERANCE,
        "{what}: the mean colour is {found:.1?}, that of {file} is {expected:.1?}"
    );
}

/// By a decoder of others, of the file itself or of one with the same pictures.
fn expected_mean(file: &str) -> [f64; 3] {
    if file == "still.svg" {
        // Two halves, and a disc on the left one.
        let disc = std::f64::consts::PI * 49.0 / (64.0 * 48.0);
        let parts = [
            (0.5 - disc, [176.0, 48.0, 32.0]),
            (0.5, [32.0, 64.0, 192.0]),
            (disc, [255.0, 238.0, 64.0]),
        ];
        return [0, 1, 2].map(|channel| parts.iter().map(|(part, rgb)| part * rgb[channel]).sum());
    }
    let read = |name: &str| fs::read(data().join(name)).expect("a sample can be read");
    let bytes = read(file);
    mean(&pixels::decode(&if can_decode(&bytes) {
        bytes
    } else if file.starts_with("moving") {
        read("moving.apng")
    } else {
        read("still.png")
    }))
}

fn can_decode(bytes: &[u8]) -> bool {
    pixels::format(bytes).is_some_and(|format| format.reading_enabled())
}

/// On white, where it is transparent.
fn mean(picture: &DynamicImage) -> [f64; 3] {
    let picture = picture.to_rgba8();
    let count = f64::from(picture.width()) * f64::from(picture.height());
    [0, 1, 2].map(|channel| {
        let samples = picture.pixels().map(|pixel| {
            let alpha = f64::from(pixel[3]) / 255.0;
            f64::from(pixel[channel]) * alpha + 255.0 * (1.0 - alpha)
        });
        samples.sum::<f64>() / count
    })
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
