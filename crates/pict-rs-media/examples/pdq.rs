//! What PDQ hashes recognise, and what they cost: `pdq FILE…` changes each of these photographs in
//! several ways, and tells in how many bits the hashes differ. It also compares all of them with each
//! other, and small squares of half of them with those of the other half, searches a million random
//! hashes, and times the hash of the first file.
#![expect(clippy::print_stdout, reason = "figures are its purpose")]

use std::time::{Duration, Instant};
use std::{env, error::Error, fs};

use image::{DynamicImage, ImageFormat, Rgba};
use pict_rs_media::{
    Control, Facts, Job, Output, OutputFormat, Pdq, PdqHash, Speed, limits::Bounds, near,
    operation, run,
};

/// The distance for a match by default.
const MATCH: u32 = 31;
/// The quality that hashes need for a match by default.
const QUALITY: u8 = 50;
/// Side of the squares that photographs are cut into, in pixels.
const SQUARE: u32 = 64;
/// Squares that are listed.
const LISTED: usize = 1000;
/// Hashes that are searched.
const MANY: usize = 1_000_000;
/// Runs of what is timed; the median counts.
const RUNS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<_> = env::args().skip(1).collect();
    let sources: Vec<_> = files.iter().map(fs::read).collect::<Result<_, _>>()?;
    let first = sources.first().ok_or("pdq FILE…")?;
    let hashes: Vec<_> = sources
        .iter()
        .map(|source| pdq(source))
        .collect::<Result<_, _>>()?;
    println!("{} photographs\n", files.len());
    println!("| change | recognised | bits, median | bits, at most |");
    println!("| --- | ---: | ---: | ---: |");
    for (name, change) in CHANGES {
        let mut distances = Vec::new();
        for (source, hash) in sources.iter().zip(&hashes) {
            let changed = pdq(&change(source)?)?;
            let turned = changed.turned().iter();
            distances.extend(turned.map(|turned| turned.distance(&hash.hash())).min());
        }
        distances.sort_unstable();
        let recognised = distances.iter().filter(|bits| **bits <= MATCH).count();
        let percent = 100 * recognised / distances.len();
        let (median, most) = (
            distances[distances.len() / 2],
            distances[distances.len() - 1],
        );
        println!("| {name} | {percent} % | {median} | {most} |");
    }
    let mut lost: Vec<_> = hashes
        .iter()
        .flat_map(|pdq| {
            let of_bits = pdq.hash().turned();
            let pairs = of_bits.into_iter().zip(*pdq.turned());
            pairs.map(|(found, exact)| found.distance(&exact))
        })
        .collect();
    lost.sort_unstable();
    println!(
        "\nThe hash alone gives the hashes of all turns up to {} bits in the median, {} at most.",
        lost[lost.len() / 2],
        lost[lost.len() - 1]
    );
    let mut nearest = 256;
    for (at, one) in hashes.iter().enumerate() {
        for other in &hashes[at + 1..] {
            let turned = other.turned().iter();
            let distance = turned.map(|turned| turned.distance(&one.hash())).min();
            nearest = nearest.min(distance.unwrap_or(256));
        }
    }
    println!("\nTwo different photographs differ in {nearest} bits or more.");
    mistakes(&sources)?;
    search(&hashes[0])?;
    cost(first)
}

/// How many squares of each second photograph look like one of a thousand squares of the others.
fn mistakes(sources: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
    let mut squares = [Vec::new(), Vec::new()];
    for (at, source) in sources.iter().enumerate() {
        let png = convert(source, "", OutputFormat::Png, 85)?;
        let picture = image::load_from_memory(&png)?;
        for y in (0..picture.height() / SQUARE).map(|y| y * SQUARE) {
            for x in (0..picture.width() / SQUARE).map(|x| x * SQUARE) {
                let square = picture.crop_imm(x, y, SQUARE, SQUARE).to_rgb8();
                let mut file = std::io::Cursor::new(Vec::new());
                square.write_to(&mut file, ImageFormat::Png)?;
                squares[at % 2].push(pdq(&file.into_inner())?);
            }
        }
    }
    let [listed, others] = squares.map(|squares| {
        let mut matched = squares;
        matched.retain(|pdq| pdq.quality() >= QUALITY);
        matched
    });
    let step = (listed.len() / LISTED).max(1);
    let listed: Vec<_> = listed.iter().step_by(step).map(Pdq::hash).collect();
    let is_match = |pdq: &&Pdq| !near(&listed, pdq.turned(), MATCH).is_empty();
    println!(
        "Of {} squares of other photographs {} look like one of {} listed ones.",
        others.len(),
        others.iter().filter(is_match).count(),
        listed.len()
    );
    Ok(())
}

type Change = fn(&[u8]) -> Result<Vec<u8>, Box<dyn Error>>;

const CHANGES: [(&str, Change); 9] = [
    ("256 pixels", |source| {
        convert(source, "thumbnail=256", OutputFormat::Jpeg, 85)
    }),
    ("1024 pixels, JPEG of quality 30", |source| {
        convert(source, "thumbnail=1024", OutputFormat::Jpeg, 30)
    }),
    ("1024 pixels, WebP of quality 50", |source| {
        convert(source, "thumbnail=1024", OutputFormat::Webp, 50)
    }),
    ("blurred", |source| {
        convert(source, "thumbnail=1024&blur=4", OutputFormat::Jpeg, 85)
    }),
    ("gray", |source| edit(source, |picture| picture.grayscale())),
    ("mirrored and turned", |source| {
        edit(source, |picture| picture.fliph().rotate90())
    }),
    ("a bar with text over a tenth", |source| {
        edit(source, with_bar)
    }),
    ("1 % cut off at each side", |source| {
        edit(source, |picture| cut(&picture, 100))
    }),
    ("5 % cut off at each side", |source| {
        edit(source, |picture| cut(&picture, 20))
    }),
];

fn edit(
    source: &[u8],
    change: impl Fn(DynamicImage) -> DynamicImage,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let png = convert(source, "thumbnail=1024", OutputFormat::Png, 85)?;
    let changed = change(image::load_from_memory(&png)?);
    let mut file = std::io::Cursor::new(Vec::new());
    changed.write_to(&mut file, ImageFormat::Png)?;
    Ok(file.into_inner())
}

/// A `part`-th of each side less at all four edges.
fn cut(picture: &DynamicImage, part: u32) -> DynamicImage {
    let (width, height) = (picture.width(), picture.height());
    let (x, y) = (width / part, height / part);
    picture.crop_imm(x, y, width - 2 * x, height - 2 * y)
}

/// White, with blocks as large as letters.
fn with_bar(picture: DynamicImage) -> DynamicImage {
    let mut picture = picture.to_rgba8();
    let (width, height) = picture.dimensions();
    let bar = height / 10;
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        if y < height - bar {
            continue;
        }
        let line = (y + bar - height) * 10 / bar;
        let is_ink = (2..8).contains(&line) && x * 60 / width % 2 == 0;
        *pixel = if is_ink {
            Rgba([0, 0, 0, 255])
        } else {
            Rgba([255; 4])
        };
    }
    picture.into()
}

fn convert(
    source: &[u8],
    query: &str,
    format: OutputFormat,
    quality: u8,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut operations = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        operations.extend(operation::parse(key, value)?);
    }
    let job = Job::Convert {
        facts: inspect(source)?,
        operations,
        output: Output {
            format,
            quality: Some(quality),
            lossless: format == OutputFormat::Png,
            speed: Speed::Quality,
        },
        frame: None,
        preview: false,
    };
    let made = run(&job, source, &Control::new())?.made()?;
    Ok(made.into_bytes(source)?)
}

fn inspect(source: &[u8]) -> Result<Facts, Box<dyn Error>> {
    Ok(run(&Job::Inspect(Bounds::NONE), source, &Control::new())?.facts()?)
}

fn pdq(source: &[u8]) -> Result<Pdq, Box<dyn Error>> {
    let job = Job::Preview(inspect(source)?);
    let preview = run(&job, source, &Control::new())?.preview()?;
    Ok(preview.pdq.ok_or("the picture is too small")?)
}

fn median(
    mut work: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let begun = Instant::now();
        work()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[RUNS / 2])
}

fn search(wanted: &Pdq) -> Result<(), Box<dyn Error>> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_ne_bytes()
    };
    let hash = |_| {
        let bytes = [random(), random(), random(), random()].concat();
        PdqHash::from_bytes(&bytes).ok_or("32 bytes")
    };
    let stored: Vec<_> = (0..MANY).map(hash).collect::<Result<_, _>>()?;
    let took = median(|| {
        std::hint::black_box(near(&stored, wanted.turned(), MATCH));
        Ok(())
    })?;
    println!(
        "A search for all turns among {MANY} hashes takes {:.1} ms.",
        took.as_secs_f64() * 1e3
    );
    Ok(())
}

/// Cleaning with both hashes, beside cleaning alone: the difference is what hashes cost.
fn cost(source: &[u8]) -> Result<(), Box<dyn Error>> {
    let facts = inspect(source)?;
    let mut times = Vec::new();
    for preview in [false, true] {
        let job = Job::Keep {
            facts: facts.clone(),
            credits: false,
            preview,
        };
        times.push(median(|| {
            run(&job, source, &Control::new())?;
            Ok(())
        })?);
    }
    println!(
        "Cleaning the first one, of {:.1} MP, takes {:.1} ms, with its hashes {:.1} ms.",
        f64::from(facts.width()) * f64::from(facts.height()) / 1e6,
        times[0].as_secs_f64() * 1e3,
        times[1].as_secs_f64() * 1e3
    );
    Ok(())
}
