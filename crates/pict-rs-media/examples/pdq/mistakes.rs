//! Counts pictures that look like a listed one, though they have nothing to do with it.

use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io::Cursor};

use image::{DynamicImage, GenericImage, ImageFormat, Rgb, RgbImage, imageops::FilterType};
use pict_rs_media::{OutputFormat, Pdq, PdqHash, near};

use crate::{MATCH, QUALITY, convert, pdq};

/// Distances that are counted.
const DISTANCES: [u32; 5] = [23, 27, MATCH, 35, 39];
/// One of so many files is listed, and the others are compared.
const LISTED_PART: u64 = 6;
/// Hashes of a kind that are listed.
const LISTED: usize = 2000;
/// Side of the pictures of a sheet, in pixels, and pairs in its rows and columns.
const SHOWN: u32 = 96;
const ACROSS: u32 = 6;
const DOWN: u32 = 10;

/// Pictures of one kind, in the files of a folder.
pub struct Kind {
    name: String,
    folder: PathBuf,
    /// Their files are cut into squares with sides of so many pixels, and each is a picture.
    square: Option<u32>,
}

impl Kind {
    /// From `NAME=FOLDER` or `NAME:SIDE=FOLDER`.
    pub fn parse(text: &str) -> Result<Option<Self>, Box<dyn Error>> {
        let Some((name, folder)) = text.split_once('=') else {
            return Ok(None);
        };
        let (name, square) = match name.split_once(':') {
            Some((name, side)) => (name, Some(side.parse()?)),
            None => (name, None),
        };
        Ok(Some(Self {
            name: name.replace('-', " "),
            folder: folder.into(),
            square,
        }))
    }
}

/// A picture: a file, or a square of one.
#[derive(Clone, Copy)]
struct Picture {
    file: usize,
    corner: Option<(u32, u32)>,
    pdq: Pdq,
}

/// The pictures of a kind.
#[derive(Default)]
struct Pictures {
    listed: Vec<Picture>,
    compared: Vec<Picture>,
    /// Compared ones below the quality that a match needs.
    vague: usize,
    /// Files that cannot be read, or are too small.
    skipped: usize,
}

/// Prints how many pictures of each kind look like one that is listed. Pairs within [`MATCH`] bits are
/// drawn into PNGs in the folder `sheets`.
pub fn count(kinds: &[Kind], sheets: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    let mut all = Vec::new();
    for kind in kinds {
        all.push(read(kind, &mut files)?);
    }
    let listed: Vec<_> = all.iter().flat_map(|kind| &kind.listed).collect();
    let hashes: Vec<PdqHash> = listed.iter().map(|picture| picture.pdq.hash()).collect();
    print!("\n| kind | files | listed | compared | quality below {QUALITY} |");
    DISTANCES.iter().for_each(|bits| print!(" {bits} bits |"));
    println!("\n| --- |{}", " ---: |".repeat(4 + DISTANCES.len()));
    let mut total = Row::default();
    for (kind, pictures) in kinds.iter().zip(&all) {
        let mut row = Row {
            files: count_files(pictures),
            listed: pictures.listed.len(),
            compared: pictures.compared.len(),
            vague: pictures.vague,
            ..Row::default()
        };
        let mut pairs = Vec::new();
        for picture in &pictures.compared {
            let found = near(&hashes, picture.pdq.turned(), 39);
            for (at, distance) in DISTANCES.into_iter().enumerate() {
                let near = found.iter().filter(|(_, bits)| *bits <= distance).count();
                row.pictures[at] += usize::from(near > 0);
                row.pairs[at] += near;
            }
            let shown = found.iter().filter(|(_, bits)| *bits <= MATCH);
            pairs.extend(shown.map(|(at, bits)| (*picture, *listed[*at], *bits)));
        }
        row.print(&kind.name);
        total.add(&row);
        if pictures.skipped > 0 {
            eprintln!("{}: {} files have no hash", kind.name, pictures.skipped);
        }
        if let Some(sheets) = sheets {
            draw(&pairs, kinds, &all, &files, &sheets.join(&kind.name))?;
        }
    }
    total.print("all");
    println!("\nPictures that look like a listed one / pairs of such.");
    Ok(())
}

fn count_files(pictures: &Pictures) -> usize {
    let all = pictures.compared.iter().chain(&pictures.listed);
    all.map(|picture| picture.file)
        .collect::<HashSet<_>>()
        .len()
}

#[derive(Default)]
struct Row {
    files: usize,
    listed: usize,
    compared: usize,
    vague: usize,
    pictures: [usize; DISTANCES.len()],
    pairs: [usize; DISTANCES.len()],
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.listed += other.listed;
        self.compared += other.compared;
        self.vague += other.vague;
        for at in 0..DISTANCES.len() {
            self.pictures[at] += other.pictures[at];
            self.pairs[at] += other.pairs[at];
        }
    }

    fn print(&self, name: &str) {
        let [files, listed] = [self.files, self.listed];
        let [compared, vague] = [self.compared, self.vague];
        print!("| {name} | {files} | {listed} | {compared} | {vague} |");
        let found = self.pictures.iter().zip(&self.pairs);
        found.for_each(|(pictures, pairs)| print!(" {pictures} / {pairs} |"));
        println!();
    }
}

/// The pictures of a kind, each hash once. Files whose names have the same letters are on one side,
/// because they may be one drawing in two sizes, or two pages of one text.
fn read(kind: &Kind, files: &mut Vec<PathBuf>) -> Result<Pictures, Box<dyn Error>> {
    let mut found = Vec::new();
    walk(&kind.folder, &mut found)?;
    found.sort();
    let mut pictures = Pictures::default();
    let mut seen = HashSet::new();
    for path in found {
        let is_listed = group(&path).is_multiple_of(LISTED_PART);
        let file = files.len();
        let Some(read) = read_file(&path, kind.square) else {
            pictures.skipped += 1;
            continue;
        };
        files.push(path);
        for (corner, pdq) in read {
            if !seen.insert(pdq.hash()) {
                continue;
            }
            let picture = Picture { file, corner, pdq };
            match (is_listed, pdq.quality() >= QUALITY) {
                (true, true) => pictures.listed.push(picture),
                (false, true) => pictures.compared.push(picture),
                (false, false) => pictures.vague += 1,
                (true, false) => {}
            }
        }
    }
    let step = pictures.listed.len().div_ceil(LISTED).max(1);
    pictures.listed = pictures.listed.into_iter().step_by(step).collect();
    Ok(pictures)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Links would be the same picture once more.
        match entry.file_type()? {
            kind if kind.is_dir() => walk(&entry.path(), found)?,
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// The same number (FNV-1a) for names with the same letters.
fn group(path: &Path) -> u64 {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let letters = stem.bytes().filter(u8::is_ascii_alphabetic);
    let number = letters.fold(0xcbf2_9ce4_8422_2325u64, |number, letter| {
        (number ^ u64::from(letter.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    });
    // The last bits of FNV depend on the last bits of letters only.
    number >> 32
}

type Hashed = (Option<(u32, u32)>, Pdq);

/// `None` for what is not a picture.
fn read_file(path: &Path, square: Option<u32>) -> Option<Vec<Hashed>> {
    let source = fs::read(path).ok()?;
    let Some(side) = square else {
        return Some(vec![(None, pdq(&source).ok()?)]);
    };
    let picture = open(&source).ok()?;
    let mut found = Vec::new();
    for y in (0..picture.height() / side).map(|y| y * side) {
        for x in (0..picture.width() / side).map(|x| x * side) {
            let square = picture.crop_imm(x, y, side, side).to_rgb8();
            let mut file = Cursor::new(Vec::new());
            square.write_to(&mut file, ImageFormat::Pnm).ok()?;
            found.push((Some((x, y)), pdq(&file.into_inner()).ok()?));
        }
    }
    Some(found)
}

fn open(source: &[u8]) -> Result<DynamicImage, Box<dyn Error>> {
    let png = convert(source, "", OutputFormat::Png, 85)?;
    Ok(image::load_from_memory(&png)?)
}

/// Draws pairs beside each other: what was compared, then what is listed, evenly taken from all of them.
fn draw(
    pairs: &[(Picture, Picture, u32)],
    kinds: &[Kind],
    all: &[Pictures],
    files: &[PathBuf],
    to: &Path,
) -> Result<(), Box<dyn Error>> {
    if pairs.is_empty() {
        return Ok(());
    }
    let step = pairs.len().div_ceil((ACROSS * DOWN) as usize);
    let (width, height) = (2 * SHOWN + 16, SHOWN + 8);
    let mut sheet = RgbImage::from_pixel(ACROSS * width, DOWN * height, Rgb([255, 128, 0]));
    let mut listed = String::new();
    for (place, (compared, like, bits)) in (0..).zip(pairs.iter().step_by(step)) {
        let (x, y) = (place % ACROSS * width, place / ACROSS * height);
        for (dx, picture) in [(0, compared), (SHOWN + 4, like)] {
            let whole = open(&fs::read(&files[picture.file])?)?;
            let side = kinds.iter().zip(all).find_map(|(kind, pictures)| {
                let mut of_kind = pictures.compared.iter().chain(&pictures.listed);
                of_kind
                    .any(|other| other.file == picture.file)
                    .then_some(kind.square)
            });
            let shown = match (picture.corner, side.flatten()) {
                (Some((x, y)), Some(side)) => whole.crop_imm(x, y, side, side),
                _ => whole,
            };
            let shown = shown.resize(SHOWN, SHOWN, FilterType::Triangle).to_rgb8();
            sheet.copy_from(&shown, x + dx, y)?;
        }
        let name = |picture: &Picture| files[picture.file].display().to_string();
        listed += &format!("{place} {bits} {} {}\n", name(compared), name(like));
    }
    sheet.save_with_format(to.with_extension("png"), ImageFormat::Png)?;
    fs::write(to.with_extension("txt"), listed)?;
    Ok(())
}
