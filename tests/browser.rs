//! A browser looks at what was uploaded, at what is stored of it and at its variants, and has to
//! see the same picture. It is Debian's Chromium, headless; `support/browser.rs` drives it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use image::DynamicImage;
use image::imageops::FilterType;

use crate::support::browser::{Pair, Shown, Verdict, judge};
use crate::support::client::process_path;
use crate::support::server::is_emulated;
use crate::support::{File, Launch, Server, clips, pictures, programs};

/// Behind a picture: what is transparent shows both.
const GROUNDS: &[&str] = &["#fff", "#000"];
/// JPEG has no transparency: what was transparent is put onto white.
const OPAQUE: &[&str] = &["#fff"];
/// The formats that variants are asked for in.
const VARIANTS: [&str; 4] = ["png", "webp", "avif", "jpeg"];

/// Mean difference, and the one of the worst block of 8 × 8, out of 255, that a variant may have:
/// it is encoded again, small and with few samples of colour, and that is hardly seen.
const VARIANT: (f64, f64) = (6.0, 24.0);
/// What a stored file may have, whose pixels are those of the upload.
const STORED: (f64, f64) = (1.0, 8.0);

/// Chromium's own mistake; other programs read such files right.
const FULL_RANGE: &str = "Chromium shows an animated AVIF of full range as one of limited range";

/// What does not look the same, and why that is so. One that does look the same does not belong
/// here.
const EXCEPTIONS: [(&str, &str); 1] =
    [("fax3.tif -> jpeg", "JPEG does not keep single black dots")];

/// As [`EXCEPTIONS`], of the sample of others' files.
const CORPUS: [(&str, &str); 1] = [(
    "libpng-1.6.48__contrib__testpngs__badpal__test-palette-1.png -> png",
    "an index beyond the palette is black, as in libpng; in Chromium it is the last colour",
)];

/// The same where it depends on the version of the browser, or on how animated AVIF is written: in
/// limited range Chromium is right about what is written here, and what was sent in full range looks
/// other than it.
const EITHER: [(&str, &str); 14] = [
    ("animated-full-range.avif -> avif", FULL_RANGE),
    ("animated-full-range.avif -> png", FULL_RANGE),
    ("animated-full-range.avif -> webp", FULL_RANGE),
    ("animated-full-range.avif -> jpeg", FULL_RANGE),
    ("moving.apng -> avif", FULL_RANGE),
    ("moving.avif -> avif", FULL_RANGE),
    ("moving.avif -> png", FULL_RANGE),
    ("moving.avif -> webp", FULL_RANGE),
    ("moving.avif -> jpeg", FULL_RANGE),
    ("moving.gif -> avif", FULL_RANGE),
    ("moving.jxl -> avif", FULL_RANGE),
    ("moving.webp -> avif", FULL_RANGE),
    (
        "wrong-riff-size.webp -> stored",
        "Chromium shows nothing or a part of a WebP that is shorter than it says",
    ),
    (
        "pillow-11.1.0__Tests__images__bmp__q__pal4rletrns.bmp -> stored",
        "pixels that the codes jump over are of the first colour; some versions show none there",
    ),
];

#[test]
fn what_is_stored_and_its_variants_look_like_what_was_uploaded() {
    if is_emulated() {
        return programs::skip("programs", "a browser", "the program is emulated");
    }
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    let formats = listed(&data.join("formats"));
    // Some of these are refused, which is for other tests to judge.
    let mut cases = vec![data.join("cmyk.jpeg")];
    if data.join("cases").is_dir() {
        // Those that want much are not for looking at.
        let hostile = data.join("cases/hostile");
        let files = listed(&data.join("cases")).into_iter();
        cases.extend(files.filter(|file| !file.starts_with(&hostile)));
    }
    let Some(server) = server("a browser") else {
        return;
    };
    let mut pairs = Vec::new();
    for file in &formats {
        let found = pairs_of(&server, file, &VARIANTS);
        pairs.extend(found.unwrap_or_else(|code| panic!("{}: {code}", file.display())));
    }
    assert!(pairs.len() > 70, "{}", pairs.len());
    let taken = cases
        .iter()
        .filter_map(|file| pairs_of(&server, file, &VARIANTS).ok());
    pairs.extend(taken.flatten());
    judge_all("a browser", &pairs, &EXCEPTIONS);
}

/// Of the files that others test with, one in so many of those that the browser knows.
const SAMPLE: usize = 30;
/// Bytes of the largest file that is looked at.
const LARGEST: u64 = 300_000;

#[test]
fn a_sample_of_what_others_test_with_looks_like_what_was_uploaded() {
    const TEST: &str = "a browser on a corpus of others' files";
    let Some(folder) = std::env::var_os("PICTRS_TEST_CORPUS_DIR") else {
        return programs::skip("corpus", TEST, "PICTRS_TEST_CORPUS_DIR is not set");
    };
    if is_emulated() {
        return programs::skip("corpus", TEST, "the program is emulated");
    }
    let Some(server) = server(TEST) else {
        return;
    };
    let is_small = |file: &PathBuf| fs::metadata(file).is_ok_and(|file| file.len() <= LARGEST);
    let known = listed(Path::new(&folder)).into_iter();
    // Two programs that draw an SVG differ at its edges, for which docs/formats.md has figures.
    let is_known = |file: &PathBuf| content_type(file).is_some_and(|of| of != "image/svg+xml");
    let known = known.filter(|file| is_known(file) && is_small(file));
    let sample = known.step_by(SAMPLE);
    // Others would show what is lost in them, which is much in pictures of a few pixels.
    let pairs = sample.filter_map(|file| pairs_of(&server, &file, &["png"]).ok());
    let pairs: Vec<_> = pairs.flatten().collect();
    assert!(pairs.len() > 100, "{}", pairs.len());
    judge_all(TEST, &pairs, &CORPUS);
}

/// Has the browser judge, and holds that against the exceptions.
fn judge_all(test: &str, pairs: &[Pair], exceptions: &[(&str, &str)]) {
    let Some(verdicts) = judge(test, pairs) else {
        return;
    };
    let excused: BTreeMap<_, _> = exceptions.iter().copied().collect();
    let (mut wrong, mut table, mut judged) = (Vec::new(), String::new(), 0);
    for (pair, verdict) in pairs.iter().zip(&verdicts) {
        table.push_str(&format!("{}: {verdict:?}\n", pair.name));
        let is_either = EITHER.iter().any(|(name, _)| *name == pair.name);
        if is_either || is_unknown(pair, verdict) {
            continue;
        }
        judged += 1;
        match (fault(pair, verdict), excused.get(&*pair.name)) {
            (Some(fault), None) => wrong.push(format!("{}: {fault}", pair.name)),
            (None, Some(reason)) => {
                wrong.push(format!("{} looks the same now: {reason}", pair.name));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}\n---\n{table}", wrong.join("\n"));
    assert!(judged * 3 > pairs.len() * 2, "{judged} judged:\n{table}");
}

/// What the browser does not show as it was sent, it cannot judge.
fn is_unknown(pair: &Pair, verdict: &Verdict) -> bool {
    let is_unshown = matches!(verdict, Verdict::Unshown(reason) if reason.starts_with("first"));
    // JPEG XL is switched on in some versions only.
    let is_optional = pair.first.content_type == "image/jxl";
    is_unshown && (is_optional || pair.name.ends_with(" -> stored"))
}

/// One that takes all that a browser can show.
fn server(test: &str) -> Option<Server> {
    let path = clips::path_or_skip(test)?;
    let launch = Launch::new().environment("PATH", path);
    Some(launch.setting("media.svg.enable", "true").start())
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(listed(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn the_browser_sees_a_turn_a_colour_and_a_hole() {
    let png = |picture: &DynamicImage| Shown {
        content_type: "image/png".to_owned(),
        bytes: pictures::png(picture),
    };
    let photo = pictures::photo(60, 60);
    let mut darker = photo.to_rgba8();
    darker.pixels_mut().for_each(|pixel| pixel[0] /= 2);
    let mut hole = photo.to_rgba8();
    for (x, y) in (20..32).flat_map(|x| (20..32).map(move |y| (x, y))) {
        hole.get_pixel_mut(x, y)[3] = 0;
    }
    let others = [
        ("turned", photo.rotate90()),
        ("darker", darker.into()),
        ("with a hole", hole.into()),
        ("smaller", photo.resize_exact(30, 30, FilterType::Triangle)),
    ];
    let mut pairs: Vec<_> = others
        .iter()
        .map(|(name, other)| Pair {
            name: (*name).to_owned(),
            first: png(&photo),
            second: png(other),
            is_clip: false,
            grounds: GROUNDS,
        })
        .collect();
    pairs.push(Pair {
        name: "broken".to_owned(),
        first: png(&photo),
        second: Shown {
            content_type: "image/png".to_owned(),
            bytes: b"nothing".to_vec(),
        },
        is_clip: false,
        grounds: GROUNDS,
    });
    let Some(verdicts) = judge("a browser's eyes", &pairs) else {
        return;
    };
    for (pair, verdict) in pairs.iter().zip(&verdicts) {
        assert!(fault(pair, verdict).is_some(), "{}: {verdict:?}", pair.name);
    }
}

fn fault(pair: &Pair, verdict: &Verdict) -> Option<String> {
    let (most, worst_block) = match pair.name.ends_with(" -> stored") {
        true => STORED,
        false => VARIANT,
    };
    match verdict {
        Verdict::Unshown(reason) => Some(format!("cannot be shown, {reason}")),
        Verdict::Seen { mean, worst, .. } if *mean > most || *worst > worst_block => Some(format!(
            "differs by {mean:.1} in the mean, {worst:.1} in the worst block"
        )),
        Verdict::Seen {
            sizes: [width, height, w, h],
            ..
        } if (width, height) != (w, h) => Some(format!("{width} x {height} became {w} x {h}")),
        Verdict::Seen { .. } => None,
    }
}

/// What has to look the same of one file; or the code of its refusal.
fn pairs_of(server: &Server, file: &Path, variants: &[&str]) -> Result<Vec<Pair>, String> {
    let name = file.file_name().expect("a name").to_string_lossy();
    let bytes = fs::read(file).expect("readable");
    let answer = server.upload_form("", &[File::new(&bytes)]);
    if answer.status != 201 {
        return Err(answer.json()["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned());
    }
    let uploaded = answer.uploaded().remove(0);
    let original = shown(server, &format!("/image/original/{}", uploaded.alias));
    let is_clip = original.content_type.starts_with("video/");
    let mut pairs = Vec::new();
    let mut add = |what: &str, first: &Shown, second: Shown, grounds| {
        pairs.push(Pair {
            name: format!("{name} -> {what}"),
            first: first.clone(),
            second,
            is_clip,
            grounds,
        });
    };
    if let Some(content_type) = content_type(file) {
        let sent = Shown {
            content_type: content_type.to_owned(),
            bytes,
        };
        add("stored", &sent, original.clone(), GROUNDS);
    }
    if is_clip {
        return Ok(pairs);
    }
    for &format in variants {
        let variant = shown(server, &process_path(format, &uploaded.alias, "quality=95"));
        let grounds = if format == "jpeg" { OPAQUE } else { GROUNDS };
        add(format, &original, variant, grounds);
    }
    Ok(pairs)
}

fn shown(server: &Server, path: &str) -> Shown {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    Shown {
        content_type: answer.header("content-type").unwrap_or_default().to_owned(),
        bytes: answer.body,
    }
}

/// Of what the browser can show; others are compared from what is stored on.
fn content_type(file: &Path) -> Option<&'static str> {
    let extension = file.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "png" | "apng" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "bmp" => "image/bmp",
        "ico" => "image/x-icon",
        "jxl" => "image/jxl",
        "svg" => "image/svg+xml",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => return None,
    })
}
