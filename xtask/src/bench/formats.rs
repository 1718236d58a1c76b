//! How many bytes `process.auto` saves, compared with one format for all pictures, at equal score.
//!
//! The bytes of a format at a score are interpolated on a curve over qualities, so that the choice
//! of the format is measured and not how well the default qualities agree. The score is that of a
//! WebP at quality 80 of the same picture and size.

use std::collections::BTreeMap;
use std::fmt::Write as _;
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
/// The formats that are compared, besides PNG, which has no quality.
const FORMATS: [&str; 4] = ["avif", "jxl", "webp", "jpg"];
const LADDER: [u8; 6] = [30, 50, 65, 78, 88, 96];
/// The `Accept` header of a current browser with JPEG XL.
const ACCEPT: &str = "Accept: image/avif,image/jxl,image/webp,image/png,image/*;q=0.8";

const CLIPART: &str = "openclipart-png";
const SCREENS: &str = "gimp-help-en";
const PHOTOGRAPHS: &str = "lomiri-wallpapers-16.04";

/// Which pictures to use: weights derived from some must hold for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// The pictures of the document.
    Measured,
    /// The pictures from which the weights of `service/auto/choice.rs` are derived.
    Learned,
}

impl Set {
    fn drawings(self) -> &'static [&'static str] {
        match self {
            Self::Measured => &[
                "animals/mammals/bears/sleeping_bear_under_sta_01.png",
                "computer/hardware/workstation_hash_0x89c79_01.png",
                "plants/island_palm_and_the_sun_01.png",
                "recreation/music/electric_guitar_andrea__01r.png",
            ],
            Self::Learned => &[
                "animals/birds/emperor_penguin_ralf_ste_01.png",
                "computer/hardware/joystick_black_red_petri_01.png",
                "computer/icons/redroundbutton_01.png",
                "food/fruit/pear_02.png",
                "geography/globe_marcelo_staudt_.png",
                "office/reunion_02.png",
                "recreation/music/fifties_jukebox_gerald_g_01.png",
                "signs_and_symbols/flags/europe/spain/spain_galicia.png",
            ],
        }
    }

    fn screenshots(self) -> &'static [&'static str] {
        match self {
            Self::Measured => &[
                "using/single-window.png",
                "using/multi-window.png",
                "using/single-window-mode.png",
                "filters/render/gfig.png",
            ],
            Self::Learned => &[
                "filters/light-and-shadow/gflare-options-2.png",
                "filters/render/cmlexplorer1.png",
                "filters/render/fractalexplorer2.png",
                "filters/render/spyrogimp.png",
                "menus/colors/map/samplecolorize.png",
                "menus/file/save-as.png",
                "preferences/prefs-default-new-image.png",
                "preferences/prefs-icon-theme.png",
            ],
        }
    }

    /// `None` for the photographs of the other parts.
    fn photographs(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Measured => None,
            Self::Learned => Some(&[
                "Dragonfly_by_Bolly.jpg",
                "Wine_by_Jakkub_Mede.jpg",
                "friends_by_Aitzol_Berasategi.jpg",
                "greentock_by_Peter_Nerlich.jpg",
                "life_by_Aitzol_Berasategi.jpg",
                "seeding_by_Clements_Engelhardt.jpg",
                "sunset_by_Aitzol_Berasategi.jpg",
                "umang_by_Abhishek_Mudgal.jpg",
            ]),
        }
    }
}

/// A drawing with 64 × 64 pixels and 32 colours, each pixel enlarged to 16.
const PIXELS: &str =
    "-background white -flatten -resize 64x64 -colors 32 -filter point -resize 1600%";

/// One kind of picture.
struct Class {
    name: &'static str,
    /// Whether the server classifies them as drawings, by bits per pixel.
    drawn: bool,
    pictures: Vec<PathBuf>,
}

fn classes(set: Set, folder: &Path, photographs: &[PathBuf]) -> Result<Vec<Class>> {
    let packages = folder.join("photos");
    for package in [CLIPART, SCREENS, PHOTOGRAPHS] {
        inputs::unpack(&packages, package)?;
    }
    let made = folder.join("inputs");
    let share = |package: &str, path: &str| packages.join(package).join("usr/share").join(path);
    let clipart = share(CLIPART, "openclipart/png");
    let screens = share(SCREENS, "gimp/2.0/help/en/images");
    let scenes = share(PHOTOGRAPHS, "backgrounds");
    let in_folder = |folder: &Path, names: &[&str]| -> Vec<_> {
        names.iter().map(|name| folder.join(name)).collect()
    };
    let drawings = in_folder(&clipart, set.drawings());
    let mut pixel_art = Vec::new();
    for drawing in &drawings {
        let name = drawing.file_name().unwrap_or_default();
        let path = made.join(format!("pixels-{}", name.display()));
        inputs::magick(drawing, PIXELS, &path)?;
        pixel_art.push(path);
    }
    let photographs = match set.photographs() {
        Some(names) => in_folder(&scenes, names),
        None => photographs.iter().take(4).cloned().collect(),
    };
    let class = |name, pictures| Class {
        name,
        drawn: name != "photographs",
        pictures,
    };
    Ok(vec![
        class("photographs", photographs),
        class("drawings", drawings),
        class("screenshots", in_folder(&screens, set.screenshots())),
        class("pixel art", pixel_art),
    ])
}

/// Sums of bytes over the pictures of a class, at one size or at all sizes.
#[derive(Clone, Copy, Default)]
pub struct Sums {
    auto: f64,
    avif: f64,
    webp: f64,
    best: f64,
    /// How often the best format was chosen, and the number of choices.
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

/// Measures every class at every size; returns a section of the document.
///
/// # Errors
/// When a picture cannot be obtained, or a program fails.
pub fn measure(folder: &Path, photographs: &[PathBuf], tools: &Tools) -> Result<String> {
    let (scratch, server) = start(folder)?;
    let mut text = String::from(HEAD);
    let mut all = Sums::default();
    for class in classes(Set::Measured, folder, photographs)? {
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

/// The bytes of one picture in one format.
struct Written {
    extension: &'static str,
    /// With the server's default quality.
    by_default: f64,
    /// At the score at which all formats are compared.
    at_score: f64,
}

/// One picture in one size in every format.
fn written(
    server: &Server,
    alias: &str,
    tools: &Tools,
    picture: &Path,
    side: u32,
    scratch: &Path,
) -> Result<Vec<Written>> {
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
    let by_default = |extension: &str| -> Result<f64> {
        let path = scratch.join("default");
        answered(
            server,
            &format!("process.{extension}?src={alias}&resize=Lanczos.{side}"),
            &path,
        )?;
        Ok(fs::metadata(&path)?.len() as f64)
    };
    let (target, _) = score_of(&[made("webp", 80)?])?[0];
    let png = by_default("png")?;
    let mut written = vec![Written {
        extension: "png",
        by_default: png,
        at_score: png,
    }];
    for extension in FORMATS {
        let paths: Vec<_> = (LADDER.iter())
            .map(|&quality| made(extension, quality))
            .collect::<Result<_>>()?;
        written.push(Written {
            extension,
            by_default: by_default(extension)?,
            at_score: at_score(&score_of(&paths)?, target),
        });
    }
    Ok(written)
}

fn one(
    server: &Server,
    alias: &str,
    tools: &Tools,
    picture: &Path,
    side: u32,
    scratch: &Path,
) -> Result<Sums> {
    let chosen = chosen(server, alias, side, scratch)?;
    let written = written(server, alias, tools, picture, side, scratch)?;
    let of = |wanted: &str| {
        let found = written.iter().find(|format| format.extension == wanted);
        found.map(|format| format.at_score)
    };
    let sizes = written.iter().map(|format| format.at_score);
    let best = sizes.fold(f64::MAX, f64::min);
    let auto = of(&chosen).with_context(|| format!("{chosen} was not measured"))?;
    Ok(Sums {
        auto,
        avif: of("avif").unwrap_or_default(),
        webp: of("webp").unwrap_or_default(),
        best,
        hits: (u32::from(auto <= best * 1.02), 1),
    })
}

/// Factors that convert the bytes of formats to those at equal score, relative to WebP: geometric
/// means over pictures, for the weights of `service/auto/choice.rs`.
///
/// # Errors
/// As [`measure`].
pub fn weights(folder: &Path, photographs: &[PathBuf], tools: &Tools) -> Result<String> {
    let (scratch, server) = start(folder)?;
    // By drawing or not, longest side and format: sum of logarithms, and their number.
    let mut sums: BTreeMap<(bool, u32, &str), (f64, u32)> = BTreeMap::new();
    for class in classes(Set::Learned, folder, photographs)? {
        for picture in &class.pictures {
            println!("formats: {}", picture.display());
            let alias = server.upload(picture)?.alias;
            for side in SIDES {
                let written = written(&server, &alias, tools, picture, side, &scratch)?;
                let worth = |format: &Written| (format.at_score / format.by_default).ln();
                let webp = written.iter().find(|format| format.extension == "webp");
                let webp = webp.map(worth).context("WebP is one of the formats")?;
                for format in &written {
                    let key = (class.drawn, side, format.extension);
                    let sum = sums.entry(key).or_default();
                    sum.0 += worth(format) - webp;
                    sum.1 += 1;
                }
            }
        }
    }
    let mut text = String::from("| drawn | px | format | weight |\n| --- | ---: | --- | ---: |\n");
    for ((drawn, side, extension), (sum, count)) in sums {
        let weight = (sum / f64::from(count)).exp();
        let _ = writeln!(text, "| {drawn} | {side} | {extension} | {weight:.2} |");
    }
    Ok(text)
}

/// Starts a server without a time limit for slow formats.
fn start(folder: &Path) -> Result<(PathBuf, Server)> {
    let scratch = folder.join("formats");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch)?;
    let server = Server::start_with(&scratch, &[("PICTRS__MEDIA__AUTO__BUDGET", "600000")])?;
    Ok((scratch, server))
}

/// The format that the server chooses.
fn chosen(server: &Server, alias: &str, side: u32, scratch: &Path) -> Result<String> {
    let query = format!("process.auto?src={alias}&resize=Lanczos.{side}");
    let said = answered(server, &query, &scratch.join("auto"))?;
    let kind = said.strip_prefix("image/").context("not a picture")?;
    ensure!(!kind.is_empty(), "no type");
    Ok(kind.replace("jpeg", "jpg"))
}

/// Writes an answer to a file; returns its media type.
fn answered(server: &Server, query: &str, path: &Path) -> Result<String> {
    let mut curl = command::new("curl");
    curl.args(["-sS", "--fail-with-body", "-H", ACCEPT]);
    curl.args(["-w", "%{content_type}", "-o"]);
    let url = format!("{}/image/{query}", server.address);
    command::output(curl.arg(path).arg(url))
}

/// The bytes at `target`, interpolated between steps of (score, bytes) on the logarithm of bytes.
/// Outside the ladder, those of the nearest step.
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
