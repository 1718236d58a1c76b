//! Replays the seeds of the fuzz targets through the targets' own entry functions, on the
//! stable compiler, so that a finding once fixed stays fixed without a fuzzer. With
//! `PICTRS_TEST_FUZZ` each target then goes on for so many seconds with mutations by chance.

#[path = "../../../fuzz/entry.rs"]
mod entry;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};
use std::{env, fs, path::Path};

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
    let mut all = Vec::new();
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
        all.push(seed);
    }
    mutate(target, &all, entry);
}

/// Goes on with mutations by chance, if that is asked for. An input that breaks a promise is kept in
/// cargo's folder for temporary files.
fn mutate(target: &str, seeds: &[Vec<u8>], entry: impl Fn(&[u8])) {
    let Ok(seconds) = env::var("PICTRS_TEST_FUZZ") else {
        return;
    };
    let span = Duration::from_secs(seconds.parse().expect("PICTRS_TEST_FUZZ is a number"));
    let chance = env::var("PICTRS_TEST_SEED").ok();
    let chance = chance.map_or_else(
        || u64::from(std::process::id()),
        |seed| seed.parse().expect("PICTRS_TEST_SEED is a number"),
    );
    let mut dice = Dice(chance.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (started, mut tried, mut slowest) = (Instant::now(), 0u64, Duration::ZERO);
    // Those that took longest, which often reach further than others, are mutated again.
    let mut grown = seeds.to_vec();
    while started.elapsed() < span {
        let input = dice.mutated(&grown);
        let began = Instant::now();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| entry(&input))) {
            let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-{tried}"));
            fs::write(&place, &input).expect("written");
            eprintln!("{} breaks a promise", place.display());
            resume_unwind(panic);
        }
        tried += 1;
        let took = began.elapsed();
        if took > slowest / 2 && grown.len() < 200 {
            grown.push(input);
        }
        slowest = slowest.max(took);
    }
    let _ = writeln!(
        std::io::stderr(),
        "{target}: {tried} mutations with PICTRS_TEST_SEED={chance}, the slowest took {slowest:?}"
    );
}

/// Xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % sides as u64).expect("below a usize")
    }

    /// One of the seeds with a few changes.
    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        const TELLING: [u8; 8] = [0, 1, 0x7F, 0x80, 0xFE, 0xFF, 0x10, 0x40];
        let mut bytes = seeds[self.roll(seeds.len())].clone();
        for _ in 0..=self.roll(6) {
            if bytes.is_empty() {
                break;
            }
            let at = self.roll(bytes.len());
            let end = (at + 1 + self.roll(32)).min(bytes.len());
            match self.roll(8) {
                0 => bytes[at] ^= 1 << self.roll(8),
                1 => bytes[at] = TELLING[self.roll(TELLING.len())],
                2 => bytes[at] = bytes[at].wrapping_add([1, 255, 2, 254][self.roll(4)]),
                3 => bytes[at..end].fill(TELLING[self.roll(TELLING.len())]),
                4 => drop(bytes.drain(at..end)),
                5 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                6 => {
                    let other = &seeds[self.roll(seeds.len())];
                    let from = self.roll(other.len().max(1));
                    let until = (from + 64).min(other.len());
                    bytes.splice(at..end, other[from.min(until)..until].iter().copied());
                }
                _ => bytes.truncate(at + 1),
            }
        }
        bytes.truncate(1 << 14);
        bytes
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
