//! What `process.auto` saves: bytes of the format that it chooses beside one format for all
//! pictures, at equal score.
//!
//! A format's bytes at a score are read off a curve of qualities, so that what counts is the choice
//! of the format and not how well their default qualities agree. The score is that of a WebP at
//! quality 80 of the same picture and size.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::inputs;
use super::peers::{Job, Task, Tools};
use super::quality::quiet;
use super::server::Server;
use crate::command;

/// Longest sides in pixels.
const SIDES: [u32; 6] = [64, 128, 256, 320, 640, 1024];
/// The formats that are compared, beside PNG, which has no quality.
const FORMATS: [&str; 4] = ["avif", "jxl", "webp", "jpg"];
const LADDER: [u8; 6] = [30, 50, 65, 78, 88, 96];
/// What a current browser accepts, with JPEG XL.
const ACCEPT: &str = "Accept: image/avif,image/jxl,image/webp,image/png,image/*;q=0.8";

const CLIPART: &str = "openclipart-png";
const SCREENS: &str = "gimp-help-en";
const DRAWINGS: [&str; 4] = [
    "animals/mammals/bears/sleeping_bear_under_sta_01.png",
    "computer/hardware/workstation_hash_0x89c79_01.png",
    "plants/island_palm_and_the_sun_01.png",
    "recreation/music/electric_guitar_andrea__01r.png",
];
const SCREENSHOTS: [&str; 4] = [
    "using/single-window.png",
    "using/multi-window.png",
    "using/single-window-mode.png",
    "filters/render/gfig.png",
];
/// A drawing in 64 pixels and 32 colours, each pixel enlarged to 16.
const PIXELS: &str =
    "-background white -flatten -resize 64x64 -colors 32 -filter point -resize 1600%";

/// One kind of picture.
struct Class {
    name: &'static str,
    pictures: Vec<PathBuf>,
}

fn classes(folder: &Path, photographs: &[PathBuf]) -> Result<Vec<Class>> {
    let packages = folder.join("photos");
    for package in [CLIPART, SCREENS] {
        inputs::unpack(&packages, package)?;
    }
    let made = folder.join("inputs");
    let clipart = packages.join(CLIPART).join("usr/share/openclipart/png");
    let screens = packages
        .join(SCREENS)
        .join("usr/share/gimp/2.0/help/en/images");
    let mut pixel_art = Vec::new();
    for (number, drawing) in DRAWINGS.iter().enumerate() {
        let path = made.join(format!("pixels-{number}.png"));
        inputs::magick(&clipart.join(drawing), PIXELS, &path)?;
        pixel_art.push(path);
    }
    let class = |name, pictures| Class { name, pictures };
    Ok(vec![
        class("photographs", photographs.iter().take(4).cloned().collect()),
        class("drawings", DRAWINGS.map(|path| clipart.join(path)).to_vec()),
        class(
            "screenshots",
            SCREENSHOTS.map(|path| screens.join(path)).to_vec(),
        ),
        class("pixel art", pixel_art),
    ])
}

/// Sums of bytes over the pictures of a class, at one size or at all.
#[derive(Clone, Copy, Default)]
pub struct Sums {
    auto: f64,
    avif: f64,
    webp: f64,
    best: f64,
    /// How often the format was chosen that is the best, and of how many.
    hits: (u32, u32),
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.auto += other.auto;
        self.avif += other.avif;
        self.webp += other.webp;
        self.best += other.best;
        self.hits.0 += other.hits.0;
        self.hits.1 += other.hits.1;
    }

    fn row(&self, class: &str, side: &str) -> String {
        let share = |bytes: f64| format!("{:.2}", self.auto / bytes);
        format!(
            "| {class} | {side} | {:.1} | {} | {} | {} | {} of {} |\n",
            self.auto / 1e3,
            share(self.avif),
            share(self.webp),
            share(self.best),
            self.hits.0,
            self.hits.1,
        )
    }
}

/// Measures every class at every size; a section of the document.
///
/// # Errors
/// When a picture cannot be had, or a program fails.
pub fn measure(folder: &Path, photographs: &[PathBuf], tools: &Tools) -> Result<String> {
    let scratch = folder.join("formats");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch)?;
    let server = Server::start_with(&scratch, &[("PICTRS__MEDIA__AUTO__BUDGET", "600000")])?;
    let mut text = String::from(HEAD);
    let mut all = Sums::default();
    for class in classes(folder, photographs)? {
        let mut sums = [Sums::default(); SIDES.len()];
        for picture in &class.pictures {
            println!("formats: {}", picture.display());
            let alias = server.upload(picture)?.alias;
            for (sum, side) in sums.iter_mut().zip(SIDES) {
                sum.add(&one(&server, &alias, tools, picture, side, &scratch)?);
            }
        }
        let mut total = Sums::default();
        for (sum, side) in sums.iter().zip(SIDES) {
            text += &sum.row(class.name, &side.to_string());
            total.add(sum);
        }
        text += &total.row(&format!("**{}**", class.name), "all");
        all.add(&total);
    }
    text += &all.row("**all**", "all");
    Ok(text + "\n")
}

const HEAD: &str = "## What `process.auto` saves

Bytes of the format that `process.auto` chooses for a browser with AVIF, JPEG XL and WebP, over those of
one format for all, at the SSIMULACRA2 score of a WebP at quality 80; below 1 is less. \"Best\" is the
smallest of AVIF, JPEG XL, WebP, JPEG and PNG for each picture and size.

| pictures | px | kB | × always AVIF | × always WebP | × best | best was chosen |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
";

fn one(
    server: &Server,
    alias: &str,
    tools: &Tools,
    picture: &Path,
    side: u32,
    scratch: &Path,
) -> Result<Sums> {
    let chosen = chosen(server, alias, side, scratch)?;
    let made = |extension: &str, quality: u8| -> Result<PathBuf> {
        let path = scratch.join(format!("{quality}.{extension}"));
        let job = Job {
            input: picture,
            reference: picture,
            task: Task::Variant(side),
            extension,
        };
        quiet(&mut tools.ours_once(&job, "quality", quality, &path))?;
        Ok(path)
    };
    let score_of = |paths: &[PathBuf]| -> Result<Vec<(f64, u64)>> {
        let mut readable = Vec::new();
        for path in paths {
            readable.push(tools.readable(path)?);
        }
        let mut scores = tools.scores(picture, &readable)?;
        for (score, path) in scores.iter_mut().zip(paths) {
            score.1 = fs::metadata(path)?.len();
        }
        Ok(scores)
    };
    let (target, _) = score_of(&[made("webp", 80)?])?[0];
    let png = fs::metadata(made("png", 100)?)?.len() as f64;
    let mut bytes = vec![("png", png)];
    for extension in FORMATS {
        let paths: Vec<_> = (LADDER.iter())
            .map(|&quality| made(extension, quality))
            .collect::<Result<_>>()?;
        bytes.push((extension, at_score(&score_of(&paths)?, target)));
    }
    let of = |wanted: &str| {
        let found = bytes.iter().find(|(format, _)| *format == wanted);
        found.map(|(_, bytes)| *bytes)
    };
    let best = bytes
        .iter()
        .map(|(_, bytes)| *bytes)
        .fold(f64::MAX, f64::min);
    let auto = of(&chosen).with_context(|| format!("{chosen} was not measured"))?;
    Ok(Sums {
        auto,
        avif: of("avif").unwrap_or_default(),
        webp: of("webp").unwrap_or_default(),
        best,
        hits: (u32::from(auto <= best * 1.02), 1),
    })
}

/// The format that the server answers with.
fn chosen(server: &Server, alias: &str, side: u32, scratch: &Path) -> Result<String> {
    let url = format!(
        "{}/image/process.auto?src={alias}&resize=Lanczos.{side}",
        server.address
    );
    let mut curl = command::new("curl");
    curl.args([
        "-sS",
        "--fail-with-body",
        "-H",
        ACCEPT,
        "-w",
        "%{content_type}",
        "-o",
    ]);
    let said = command::output(curl.arg(scratch.join("auto")).arg(url))?;
    let kind = said.strip_prefix("image/").context("not a picture")?;
    ensure!(!kind.is_empty(), "no type");
    Ok(kind.replace("jpeg", "jpg"))
}

/// The bytes at `target`, on straight lines between steps of (score, bytes) over the logarithm of
/// bytes. Outside of the ladder those of its nearest step.
fn at_score(ladder: &[(f64, u64)], target: f64) -> f64 {
    let mut steps: Vec<(f64, f64)> = (ladder.iter())
        .map(|(score, bytes)| (*score, (*bytes as f64).ln()))
        .collect();
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bytes = steps.windows(2).find_map(|pair| {
        let [(low, small), (high, large)] = pair else {
            return None;
        };
        let is_between = (*low..=*high).contains(&target) && high > low;
        is_between.then(|| small + (target - low) / (high - low) * (large - small))
    });
    let nearest = match (steps.first(), steps.last()) {
        (Some(first), _) if target < first.0 => first.1,
        (_, Some(last)) => last.1,
        _ => f64::NAN,
    };
    bytes.unwrap_or(nearest).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_a_score_are_on_the_line_or_at_the_end() {
        let ladder = [(60.0, 1000), (80.0, 4000), (70.0, 2000)];
        let about = |target: f64, bytes: f64| {
            let found = at_score(&ladder, target);
            assert!((found / bytes - 1.0).abs() < 1e-3, "{target}: {found}");
        };
        about(70.0, 2000.0);
        about(65.0, 1414.2);
        about(50.0, 1000.0);
        about(90.0, 4000.0);
    }
}
