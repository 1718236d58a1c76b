//! Replays the seeds of the fuzz targets through the targets' own entry functions, on the
//! stable compiler, so that a finding once fixed stays fixed without a fuzzer.

#[path = "../../../fuzz/entry.rs"]
mod entry;

use std::{fs, path::Path};

use pict_rs_media::Format;

/// Gives every seed of a target to `entry`, whole, cut short and with single bytes changed.
fn replay(target: &str, entry: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let mut seeds: Vec<_> = fs::read_dir(folder.join(target))
        .expect("every target has a folder of seeds")
        .map(|item| item.expect("the folder can be listed").path())
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "there is no seed for {target}");
    for path in seeds {
        let seed = fs::read(&path).expect("a seed can be read");
        assert!(seed.len() <= 2048, "{} is not small", path.display());
        let name = path.display();
        eprintln!("{name}");
        entry(&seed);
        for end in (0..seed.len()).step_by(seed.len() / 40 + 1) {
            eprintln!("{name} cut at {end}");
            entry(&seed[..end]);
        }
        for at in (0..seed.len()).step_by(seed.len() / 60 + 1) {
            eprintln!("{name} with byte {at} changed");
            let mut changed = seed.clone();
            changed[at] ^= 0x55;
            entry(&changed);
        }
    }
}

#[test]
fn jpeg_seeds_break_no_promise() {
    replay("jpeg", |seed| entry::picture(seed, &[Format::Jpeg]));
}

#[test]
fn png_seeds_break_no_promise() {
    replay("png", |seed| entry::picture(seed, &[Format::Png]));
}

#[test]
fn gif_seeds_break_no_promise() {
    replay("gif", |seed| entry::picture(seed, &[Format::Gif]));
}

#[test]
fn webp_seeds_break_no_promise() {
    let formats = [Format::Webp, Format::WebpAnimation];
    replay("webp", |seed| entry::picture(seed, &formats));
}

#[test]
fn avif_seeds_break_no_promise() {
    let formats = [Format::Avif, Format::AvifAnimation];
    replay("avif", |seed| entry::picture(seed, &formats));
}

#[test]
fn jxl_seeds_break_no_promise() {
    replay("jxl", |seed| entry::picture(seed, &[Format::Jxl]));
}

#[test]
fn heif_seeds_break_no_promise() {
    replay("heif", |seed| entry::picture(seed, &[Format::Heif]));
}

#[cfg(feature = "svg")]
#[test]
fn svg_seeds_break_no_promise() {
    replay("svg", |seed| entry::picture(seed, &[Format::Svg]));
}

#[test]
fn converted_seeds_break_no_promise() {
    replay("converted", |seed| entry::picture(seed, &entry::CONVERTED));
}

#[test]
fn clip_seeds_break_no_promise() {
    replay("clip", entry::clip);
}

#[test]
fn containers_of_every_format_break_no_promise() {
    for target in [
        "jpeg",
        "png",
        "gif",
        "webp",
        "avif",
        "jxl",
        "heif",
        "svg",
        "converted",
        "clip",
    ] {
        replay(target, entry::container);
    }
}

#[test]
fn query_seeds_break_no_promise() {
    replay("query", entry::query);
}
