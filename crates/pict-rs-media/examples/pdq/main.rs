//! What PDQ hashes recognise, what they confuse, and what they cost.
//!
//! `pdq PHOTOGRAPH…` changes each of these photographs in several ways, and tells in how many bits the
//! hashes differ. It also compares all of them with each other, searches a million random hashes, and
//! times the hashes of the first file.
//!
//! `pdq NAME=FOLDER… NAME:SIDE=FOLDER…` lists some of the pictures in each folder, and counts which of
//! the others look like a listed one of any folder. With a side, files are cut into squares of so many
//! pixels. With `--sheets FOLDER` it draws what it found there. Both can be asked for at once.
#![expect(clippy::print_stdout, reason = "figures are its purpose")]

use std::path::PathBuf;
use std::time::Duration;
use std::{env, error::Error, fs};

use image::{DynamicImage, ImageFormat, Rgba};
use pict_rs_media::{
    Control, Facts, Job, Output, OutputFormat, Pdq, PdqHash, Speed, limits::Bounds, near,
    operation, run,
};
use rustix::time::{ClockId, clock_gettime};

mod mistakes;

use mistakes::Kind;

/// The distance for a match by default.
const MATCH: u32 = 31;
/// The quality that hashes need for a match by default.
const QUALITY: u8 = 50;
/// Hashes that are searched.
const MANY: usize = 1_000_000;
/// Runs of what is timed; the median counts.
const RUNS: usize = 51;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut files, mut kinds, mut sheets) = (Vec::new(), Vec::new(), None);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--sheets" {
            sheets = arguments.next().map(PathBuf::from);
        } else if let Some(kind) = Kind::parse(&argument)? {
            kinds.push(kind);
        } else {
            files.push(argument);
        }
    }
    if files.is_empty() && kinds.is_empty() {
        return Err("pdq [--sheets FOLDER] PHOTOGRAPH… NAME=FOLDER… NAME:SIDE=FOLDER…".into());
    }
    if !files.is_empty() {
        photographs(&files)?;
    }
    if !kinds.is_empty() {
        mistakes::count(&kinds, sheets.as_deref())?;
    }
    Ok(())
}

fn photographs(files: &[String]) -> Result<(), Box<dyn Error>> {
    let sources: Vec<_> = files.iter().map(fs::read).collect::<Result<_, _>>()?;
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
    search(&hashes[0])?;
    cost(&sources[0])
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

/// The processor time of this program so far.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The median of the processor times of each of `work`, which take turns.
fn medians<const N: usize>(
    mut work: [&mut dyn FnMut() -> Result<(), Box<dyn Error>>; N],
) -> Result<[f64; N], Box<dyn Error>> {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..RUNS {
        for (work, times) in work.iter_mut().zip(&mut times) {
            let begun = now();
            work()?;
            times.push(now() - begun);
        }
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times[RUNS / 2].as_secs_f64() * 1e3
    }))
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
    let [took] = medians([&mut || {
        std::hint::black_box(near(&stored, wanted.turned(), MATCH));
        Ok(())
    }])?;
    println!("A search for all turns among {MANY} hashes takes {took:.1} ms of a processor.");
    Ok(())
}

/// Cleaning with both hashes, beside cleaning alone: the difference is what hashes cost.
fn cost(source: &[u8]) -> Result<(), Box<dyn Error>> {
    let facts = inspect(source)?;
    let clean = |preview| {
        let job = Job::Keep {
            facts: facts.clone(),
            credits: false,
            preview,
        };
        run(&job, source, &Control::new())?;
        Ok(())
    };
    let [alone, with_hashes] = medians([&mut || clean(false), &mut || clean(true)])?;
    println!(
        "Cleaning the first one, of {:.1} MP, takes {alone:.1} ms of a processor, with all hashes {with_hashes:.1} ms.",
        f64::from(facts.width()) * f64::from(facts.height()) / 1e6,
    );
    Ok(())
}
