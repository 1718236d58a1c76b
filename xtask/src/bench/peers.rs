//! The tools under test, each built or installed into the cache, each behind a small driver that
//! reads the file first and then reports CPU time from inside the process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{aom, cache, command};

const SHARP: &str = "0.35.5";
/// As pinned in the drivers' manifest.
const OXIMG: &str = "0.18.1";

/// A participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Ours with default settings.
    Ours,
    /// Ours with the documented `fast` setting.
    OursFast,
    /// sharp: libvips with node. WebP with its default method, 4.
    Sharp,
    /// The same with WebP method 2, which ours uses for large pictures. Only for WebP.
    Sharp2,
    /// oximg's library with WebP method 4.
    Oximg,
    /// The same with its own default, method 2. Only for WebP.
    Oximg2,
    /// ImageMagick's program with the arguments of the existing pict-rs.
    Magick,
    /// Debian's libvips program with libheif, because sharp's libvips has no HEVC. Only for HEIC.
    Vips,
    /// libjxl's and libwebp's programs, one after the other. Only for JPEG XL.
    Djxl,
    /// exiftool, as the existing pict-rs uses it for cleaning. Only for cleaning.
    Exiftool,
}

impl Kind {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "pict-rs",
            Self::OursFast => "pict-rs fast",
            Self::Sharp => "sharp",
            Self::Sharp2 => "sharp, method 2",
            Self::Oximg => "oximg",
            Self::Oximg2 => "oximg, method 2",
            Self::Magick => "ImageMagick",
            Self::Vips => "vipsthumbnail",
            Self::Djxl => "djxl and cwebp",
            Self::Exiftool => "exiftool",
        }
    }
}

/// The tools that are available.
pub struct Tools {
    kinds: Vec<Kind>,
    /// Name and version, for the document.
    pub versions: Vec<String>,
    /// What is missing, and why.
    pub missing: Vec<String>,
    ours: PathBuf,
    drivers: PathBuf,
    node_folder: PathBuf,
}

/// One piece of work for every tool.
pub struct Job<'a> {
    /// The source.
    pub input: &'a Path,
    /// The file that `input` was made from, if the score program cannot read `input`.
    pub reference: &'a Path,
    /// What to do with it.
    pub task: Task,
    /// `jpg`, `png`, `webp`, `avif` or `jxl`.
    pub extension: &'a str,
}

/// What to do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A picture with this longest side in pixels; 0 keeps the size.
    Variant(u32),
    /// The same pixels without metadata, not re-encoded.
    Clean,
}

impl Task {
    /// The longest side of the result in pixels; 0 keeps the size.
    fn side(self) -> u32 {
        match self {
            Self::Variant(side) => side,
            Self::Clean => 0,
        }
    }
}

impl Job<'_> {
    /// The extension of the input.
    pub fn source(&self) -> &str {
        let extension = self.input.extension().unwrap_or_default();
        extension.to_str().unwrap_or_default()
    }

    fn is_done_by(&self, kind: Kind) -> bool {
        let is_one_of = |kinds: &[Kind]| kinds.contains(&kind);
        if self.task == Task::Clean {
            return is_one_of(&[Kind::Ours, Kind::Exiftool]);
        }
        match (self.source(), self.extension) {
            ("heic", _) => is_one_of(&[Kind::Ours, Kind::Magick, Kind::Vips]),
            ("jxl", _) => is_one_of(&[Kind::Ours, Kind::Djxl]),
            ("avif", _) | (_, "avif") => is_one_of(&[Kind::Ours, Kind::Sharp]),
            (_, "webp") => !is_one_of(&[Kind::Vips, Kind::Djxl, Kind::Exiftool]),
            _ => is_one_of(&[
                Kind::Ours,
                Kind::OursFast,
                Kind::Sharp,
                Kind::Oximg,
                Kind::Magick,
            ]),
        }
    }
}

/// The quality for every tool; for AVIF, the one at which ours scores about 75.
fn quality(extension: &str) -> u8 {
    if extension == "avif" { 75 } else { 80 }
}

/// Builds ours and installs the peers. A missing peer is recorded, not an error.
///
/// # Errors
/// When ours cannot be built.
pub fn prepare(folder: &Path, with_ours: bool) -> Result<Tools> {
    let mut tools = Tools {
        kinds: Vec::new(),
        versions: Vec::new(),
        missing: Vec::new(),
        ours: PathBuf::new(),
        drivers: folder.join("target/release"),
        node_folder: folder.join("node"),
    };
    if with_ours {
        tools.ours = build_ours()?;
        tools.kinds.extend([Kind::Ours, Kind::OursFast]);
        tools
            .versions
            .push(format!("pict-rs {}", env!("CARGO_PKG_VERSION")));
    }
    let sharp = install_sharp(&tools.node_folder);
    tools.add(&[Kind::Sharp, Kind::Sharp2], sharp);
    let oximg = build_drivers(folder).map(|()| format!("oximg {OXIMG}"));
    tools.add(&[Kind::Oximg, Kind::Oximg2], oximg);
    let magick = command::output(command::new("convert").arg("-version"));
    tools.add(
        &[Kind::Magick],
        magick.map(|text| {
            let words: Vec<_> = text.split_whitespace().skip(1).take(2).collect();
            words.join(" ")
        }),
    );
    tools.add(&[Kind::Vips], version("vipsthumbnail", "--vips-version"));
    let djxl = version("djxl", "--version").and_then(|djxl| {
        let cwebp = command::output(command::new("cwebp").arg("-version"))?;
        let cwebp = cwebp.lines().next().unwrap_or_default().to_owned();
        Ok(format!("{djxl} and cwebp {cwebp}"))
    });
    tools.add(&[Kind::Djxl], djxl);
    let exiftool = version("exiftool", "-ver").map(|number| format!("exiftool {number}"));
    tools.add(&[Kind::Exiftool], exiftool);
    Ok(tools)
}

/// Prepares ours and the score program.
///
/// # Errors
/// When they cannot be built.
pub fn without_peers(folder: &Path) -> Result<Tools> {
    build_drivers(folder)?;
    Ok(Tools {
        kinds: vec![Kind::Ours],
        versions: Vec::new(),
        missing: Vec::new(),
        ours: build_ours()?,
        drivers: folder.join("target/release"),
        node_folder: folder.join("node"),
    })
}

impl Tools {
    /// The tools that take part in this job, in the order of their turns.
    pub fn doing(&self, job: &Job<'_>) -> Vec<Kind> {
        let kinds = self.kinds.iter().copied();
        kinds.filter(|&kind| job.is_done_by(kind)).collect()
    }

    /// Whether this tool is available.
    pub fn have(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    fn add(&mut self, kinds: &[Kind], version: Result<String>) {
        match version {
            Ok(version) => {
                self.kinds.extend(kinds);
                self.versions.push(version);
            }
            Err(error) => {
                let missing = format!("{}: {error:#}", kinds[0].name());
                println!("MISSING: {missing}");
                self.missing.push(missing);
            }
        }
    }

    /// The command for one job. It prints `peak BYTES` and `repeat` lines `cpu MILLISECONDS`;
    /// ImageMagick is run once under time(1), which prints the same values in its own format.
    pub fn command(&self, kind: Kind, job: &Job<'_>, output: &Path, repeat: u32) -> Command {
        let (side, repeat) = (job.task.side().to_string(), repeat.to_string());
        match kind {
            Kind::Ours => self.ours(job, "quality", quality(job.extension), output, &repeat),
            Kind::OursFast => self.ours(job, "fast", 80, output, &repeat),
            Kind::Sharp | Kind::Sharp2 => {
                let mut command = command::new("node");
                command.arg(driver_sources().join("sharp.mjs"));
                command.arg(&self.node_folder).arg(job.input);
                command.args([&side, job.extension]).arg(output).arg(repeat);
                command.env(
                    "SHARP_WEBP_EFFORT",
                    if kind == Kind::Sharp { "4" } else { "2" },
                );
                command
            }
            Kind::Oximg | Kind::Oximg2 => {
                let mut command = command::new(self.drivers.join("drive-oximg"));
                command.arg(job.input).args([&side, job.extension]);
                command.arg(output).arg(repeat);
                command.env(
                    "OXIMG_WEBP_EFFORT",
                    if kind == Kind::Oximg { "4" } else { "2" },
                );
                command
            }
            Kind::Magick => magick(job, output),
            Kind::Vips => {
                let mut command = timed("vipsthumbnail");
                command.arg(job.input).args(["-s", &side, "-o"]);
                command.arg(format!("{}[Q=80,strip]", output.display()));
                command.env("VIPS_CONCURRENCY", "1");
                command
            }
            Kind::Djxl => {
                let mut command = timed("sh");
                let both = "djxl --quiet --num_threads=0 \"$0\" \"$1.ppm\" \
                            && cwebp -quiet -q 80 -resize \"$2\" 0 \"$1.ppm\" -o \"$1\"";
                command.args(["-c", both]).arg(job.input).arg(output);
                command.arg(side);
                command
            }
            Kind::Exiftool => {
                let mut command = timed("sh");
                // exiftool does not overwrite files; the removal is negligible next to perl's
                // start.
                let both = "rm -f \"$1\"; exec exiftool -q -all= \"$0\" -o \"$1\"";
                command.args(["-c", both]).arg(job.input).arg(output);
                command
            }
        }
    }

    /// Ours at any quality, once, for curves of score over bytes.
    pub fn ours_once(&self, job: &Job<'_>, speed: &str, quality: u8, output: &Path) -> Command {
        self.ours(job, speed, quality, output, "0")
    }

    fn ours(&self, job: &Job<'_>, speed: &str, q: u8, output: &Path, repeat: &str) -> Command {
        let query = match job.task {
            Task::Clean => "clean".to_owned(),
            Task::Variant(0) => String::new(),
            // The kernel that sharp and oximg use, and the reference; the default is Lanczos2.
            Task::Variant(side) => format!("resize=Lanczos.{side}"),
        };
        let mut command = command::new(&self.ours);
        command.arg(job.input);
        command.args([&query, job.extension, speed, &q.to_string()]);
        command.arg(output).arg(repeat);
        command
    }

    /// The same picture in a format that the score program reads: ours decodes AVIF and JPEG XL for
    /// it.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn readable(&self, made: &Path) -> Result<PathBuf> {
        let extension = made.extension().unwrap_or_default();
        if extension != "avif" && extension != "jxl" {
            return Ok(made.to_owned());
        }
        let png = made.with_extension(format!("{}.png", extension.display()));
        let mut command = command::new(&self.ours);
        command.arg(made).args(["", "png", "quality", "100"]);
        command::output(command.arg(&png).arg("0"))?;
        Ok(png)
    }

    /// As [`scores`].
    ///
    /// # Errors
    /// As [`scores`].
    pub fn scores(&self, source: &Path, made: &[PathBuf]) -> Result<Vec<(f64, u64)>> {
        scores(&self.drivers.join("score"), source, made)
    }
}

/// The program for [`scores`], which is built if necessary.
///
/// # Errors
/// When it cannot be built.
pub fn scorer(folder: &Path) -> Result<PathBuf> {
    build_drivers(folder)?;
    Ok(folder.join("target/release/score"))
}

/// SSIMULACRA2 and bytes of each of `made`, against a linear-light reference from `source`.
///
/// # Errors
/// When the program is missing or cannot read a picture.
pub fn scores(scorer: &Path, source: &Path, made: &[PathBuf]) -> Result<Vec<(f64, u64)>> {
    let text = command::output(command::new(scorer).arg(source).args(made))?;
    let parse = |line: &str| -> Option<(f64, u64)> {
        let mut words = line.strip_prefix("score ")?.split(' ');
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    let scores: Vec<_> = text.lines().filter_map(parse).collect();
    anyhow::ensure!(scores.len() == made.len(), "a score is missing in: {text}");
    Ok(scores)
}

/// A program whose whole run is measured.
fn timed(program: &str) -> Command {
    let mut command = command::new("/usr/bin/time");
    command.args(["-f", "time %U %S %M", program]);
    command
}

/// The first line of a program's version output.
fn version(program: &str, option: &str) -> Result<String> {
    let text = command::output(command::new(program).arg(option))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn magick(job: &Job<'_>, output: &Path) -> Command {
    let mut command = timed("convert");
    command.arg(job.input);
    if job.source() == "gif" {
        command.arg("-coalesce");
    }
    command.args(["-strip", "-auto-orient"]);
    let side = job.task.side();
    if side > 0 {
        command.args(["-filter", "Lanczos2", "-resize"]);
        command.arg(format!("{side}x{side}>"));
    }
    command.args(["-quality", "80"]).arg(output);
    // Threads that wait for each other would count as CPU time.
    command.env("MAGICK_THREAD_LIMIT", "1");
    command
}

fn build_ours() -> Result<PathBuf> {
    println!("building pict-rs");
    let mut build = command::cargo();
    build.args([
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--bins",
        "--examples",
    ]);
    // As in releases.
    aom::library(&aom::Compiler::Host)?.enable(&mut build);
    command::run(build.args(["-p", "pict-rs", "-p", "pict-rs-media"]))?;
    Ok(command::target_folder()?.join("release/examples/measure"))
}

fn driver_sources() -> PathBuf {
    cache::repository().join("xtask/drivers")
}

fn install_sharp(folder: &Path) -> Result<String> {
    let package = folder.join("node_modules/sharp/package.json");
    let wanted = format!("\"version\": \"{SHARP}\"");
    if !fs::read_to_string(package).is_ok_and(|text| text.contains(&wanted)) {
        println!("installing sharp {SHARP}");
        fs::create_dir_all(folder)?;
        let mut npm = command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
        npm.arg(folder).arg(format!("sharp@{SHARP}"));
        command::run(npm.current_dir(folder))?;
    }
    let mut vips = command::new("node");
    vips.args(["-p", "require('sharp').versions.vips"]);
    let vips = command::output(vips.current_dir(folder)).context("sharp does not load")?;
    let node = command::output(command::new("node").arg("--version"))?;
    let (vips, node) = (vips.trim(), node.trim());
    Ok(format!("sharp {SHARP} (libvips {vips}, node {node})"))
}

fn build_drivers(folder: &Path) -> Result<()> {
    println!("building the drivers");
    let mut build = command::cargo();
    build.args([
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--manifest-path",
    ]);
    build.arg(driver_sources().join("Cargo.toml"));
    command::run(build.env("CARGO_TARGET_DIR", folder.join("target")))
}
