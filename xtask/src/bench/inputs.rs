//! The input pictures: photographs from Debian's wallpaper packages, unpacked into the cache (never
//! installed, never redistributed), and versions of the required size made from them by
//! ImageMagick. They are made once and reused by later runs.

use std::{
    fs,
    path::{Path, PathBuf},
    slice::from_ref,
};

use anyhow::{Context as _, Result};

use crate::{clients, command};

/// Packages with photographs under free licences (see each package's `copyright`).
const PACKAGES: [&str; 3] = [
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "plasma-workspace-wallpapers",
];

const BIRD: &str = "lomiri-wallpapers-20.04/usr/share/backgrounds/Kleiber_by_Lukas_Baubkus.jpg";
const PNG: &str =
    "plasma-workspace-wallpapers/usr/share/wallpapers/Canopee/contents/images/3840x2160.png";

/// Six photographs of 6 to 20 megapixels: bird, bridge, hills, mountains, sunset, dragonfly.
const PHOTOGRAPHS: [&str; 6] = [
    BIRD,
    "lomiri-wallpapers-16.04/usr/share/backgrounds/Bridge_by_Sander_Klootwijk.jpg",
    "lomiri-wallpapers-16.04/usr/share/backgrounds/aitzgorri_by_Aitzol_Berasategi.jpg",
    "lomiri-wallpapers-16.04/usr/share/backgrounds/picosdeeuropa_by_Aitzol_Berasategi.jpg",
    "lomiri-wallpapers-16.04/usr/share/backgrounds/sunset_by_Aitzol_Berasategi.jpg",
    "lomiri-wallpapers-16.04/usr/share/backgrounds/Dragonfly_by_Bolly.jpg",
];

/// Four photographs of at least 12 megapixels, from which the required sizes are made.
const LARGE: [&str; 4] = [
    BIRD,
    "lomiri-wallpapers-16.04/usr/share/backgrounds/Dragonfly_by_Bolly.jpg",
    "lomiri-wallpapers-16.04/usr/share/backgrounds/seeding_by_Clements_Engelhardt.jpg",
    "lomiri-wallpapers-16.04/usr/share/backgrounds/sunset_by_Aitzol_Berasategi.jpg",
];

/// Number of different 12 megapixel files to upload: equal bytes are stored only once.
const UPLOADS: u32 = 9;

/// Frames of the long animation.
const FRAMES: u32 = 125;

/// The same pictures in formats that ImageMagick does not write well: extension, program and its
/// arguments, with `IN` and `OUT` as placeholders. Lossy, with the quality that cameras use.
const CODED: [(&str, &str); 3] = [
    ("heic", "heif-enc -q 80 IN -o OUT"),
    (
        "avif",
        "avifenc -j all -s 8 -y 420 --min 0 --max 63 -a end-usage=q -a cq-level=20 IN OUT",
    ),
    ("jxl", "cjxl --quiet -d 1 --lossless_jpeg=0 IN OUT"),
];

/// Encoder options like those of a phone's camera.
const CAMERA: &str = "-sampling-factor 4:2:0 -quality 95 -strip";

/// All inputs.
pub struct Inputs {
    /// 4032 × 3024 JPEGs of different photographs.
    pub jpeg_12: Vec<PathBuf>,
    /// 6000 × 4000 JPEGs of the same photographs.
    pub jpeg_24: Vec<PathBuf>,
    /// 3840 × 2160 PNG as packaged.
    pub png_8: PathBuf,
    /// 125 frames of 640 × 360: a slow pan over a photograph, every pixel new in every frame.
    pub gif_125: PathBuf,
    /// The first 25 frames of it.
    pub gif_25: PathBuf,
    /// 44 frames of 400 × 400: a rotating earth, from the examples of the existing pict-rs.
    pub gif_44: PathBuf,
    /// As `gif_125`, with frames of 978 × 720.
    pub gif_large: PathBuf,
    /// [`Self::jpeg_12`], each coded as HEIC.
    pub heic_12: Vec<PathBuf>,
    /// The same as AVIF.
    pub avif_12: Vec<PathBuf>,
    /// The same as JPEG XL.
    pub jxl_12: Vec<PathBuf>,
    /// A JPEG, a PNG and a WebP of 12 megapixels with EXIF and GPS.
    pub private: [PathBuf; 3],
    /// The photographs as packaged.
    pub photographs: Vec<PathBuf>,
    /// 12 megapixel JPEGs with EXIF, GPS and an embedded thumbnail, upright; all different.
    pub phone: Vec<PathBuf>,
    /// The same, but held sideways (orientation 6).
    pub phone_turned: Vec<PathBuf>,
    /// How the derived inputs were made, for the document.
    pub notes: Vec<String>,
}

impl Inputs {
    /// The files of a row of `targets.toml`.
    pub fn named(&self, name: &str) -> Option<&[PathBuf]> {
        let [jpeg, png, webp] = &self.private;
        Some(match name {
            "jpeg-12" => &self.jpeg_12,
            "jpeg-24" => &self.jpeg_24,
            "heic-12" => &self.heic_12,
            "avif-12" => &self.avif_12,
            "jxl-12" => &self.jxl_12,
            "png-8" => from_ref(&self.png_8),
            "gif-125" => from_ref(&self.gif_125),
            "gif-44" => from_ref(&self.gif_44),
            "gif-large" => from_ref(&self.gif_large),
            "phone-jpeg" => from_ref(jpeg),
            "phone-png" => from_ref(png),
            "phone-webp" => from_ref(webp),
            _ => return None,
        })
    }

    /// The reference for scoring: the JPEG that it was made from, or itself.
    pub fn reference<'a>(&'a self, input: &'a Path, number: usize) -> &'a Path {
        let made = [&self.heic_12, &self.avif_12, &self.jxl_12];
        match made
            .iter()
            .any(|list| list.iter().any(|path| path == input))
        {
            true => &self.jpeg_12[number],
            false => input,
        }
    }
}

/// Fetches missing photographs.
///
/// # Errors
/// When a package cannot be fetched.
pub fn photographs(folder: &Path) -> Result<Vec<PathBuf>> {
    let photos = folder.join("photos");
    for package in PACKAGES {
        unpack(&photos, package)?;
    }
    fs::create_dir_all(folder.join("inputs"))?;
    Ok(PHOTOGRAPHS.map(|path| photos.join(path)).to_vec())
}

/// Fetches, unpacks and derives missing inputs.
///
/// # Errors
/// When a package cannot be fetched or ImageMagick fails.
pub fn prepare(folder: &Path) -> Result<Inputs> {
    let photographs = photographs(folder)?;
    let photos = folder.join("photos");
    let made = folder.join("inputs");
    let bird = photos.join(BIRD);
    let fill = |size: &str| format!("-resize {size}^ -gravity center -extent {size} {CAMERA}");

    let (mut jpeg_12, mut jpeg_24) = (Vec::new(), Vec::new());
    for (number, photograph) in LARGE.map(|path| photos.join(path)).iter().enumerate() {
        for (name, size, list) in [
            ("12mp", "4032x3024", &mut jpeg_12),
            ("24mp", "6000x4000", &mut jpeg_24),
        ] {
            let path = made.join(format!("{name}-{number}.jpg"));
            magick(photograph, &fill(size), &path)?;
            list.push(path);
        }
    }
    let gif_125 = made.join("pan-125.gif");
    let gif_25 = made.join("pan-25.gif");
    let gif_large = made.join("pan-large.gif");
    magick(&bird, &pan(FRAMES, "640x360"), &gif_125)?;
    magick(&bird, &pan(25, "640x360"), &gif_25)?;
    magick(&bird, &pan(FRAMES, "978x720"), &gif_large)?;
    let [heic_12, avif_12, jxl_12] = CODED.map(|(extension, command)| {
        let all = jpeg_12.iter().map(|jpeg| coded(jpeg, extension, command));
        all.collect::<Result<Vec<_>>>()
    });
    let phone_jpegs = phone(&bird, &made, 1)?;
    let private = [
        phone_jpegs[0].clone(),
        private(&phone_jpegs[0], &made.join("phone.png"))?,
        private(&phone_jpegs[0], &made.join("phone.webp"))?,
    ];

    let notes = vec![
        format!(
            "12 MP JPEG, means over {}: `convert PHOTOGRAPH {}`",
            LARGE.map(|path| name(Path::new(path))).join(", "),
            fill("4032x3024")
        ),
        "24 MP JPEG: the same four with 6000x4000; no photograph of that size is packaged, so they are enlarged".to_owned(),
        "8 MP PNG: Canopee 3840x2160 of plasma-workspace-wallpapers, as packaged".to_owned(),
        format!("GIF of {FRAMES} frames: windows moving over {} at 1,600 px; of 44 frames: `earth.gif` of the existing pict-rs' examples", name(&bird)),
        format!(
            "12 MP HEIC, AVIF, JPEG XL: the JPEGs by {}, with Debian's programs",
            CODED.map(|(_, command)| format!("`{command}`")).join(", ")
        ),
        "cleaned: one of the phone JPEGs, and the PNG and the WebP that ImageMagick makes of it, with EXIF and GPS".to_owned(),
        format!("phone JPEG: 12 MP cuts of {} with EXIF, GPS and an embedded thumbnail", name(&bird)),
        format!(
            "six photographs, as packaged in lomiri-wallpapers: {}",
            PHOTOGRAPHS.map(|path| name(Path::new(path))).join(", ")
        ),
    ];
    Ok(Inputs {
        jpeg_12,
        jpeg_24,
        png_8: photos.join(PNG),
        gif_125,
        gif_25,
        gif_44: clients::animation()?,
        gif_large,
        heic_12: heic_12?,
        avif_12: avif_12?,
        jxl_12: jxl_12?,
        private,
        photographs,
        phone: phone_jpegs,
        phone_turned: phone(&bird, &made, 6)?,
        notes,
    })
}

/// `apt-get download` and `dpkg-deb -x`: neither needs root, nothing is installed.
pub(super) fn unpack(photos: &Path, package: &str) -> Result<()> {
    let folder = photos.join(package);
    if folder.is_dir() {
        return Ok(());
    }
    println!("fetching {package}");
    let scratch = photos.join("download");
    fs::create_dir_all(&scratch)?;
    let mut download = command::new("apt-get");
    download
        .args(["-q", "download", package])
        .current_dir(&scratch);
    command::run(&mut download)
        .with_context(|| format!("the pictures of {package} cannot be had"))?;
    let part = photos.join(format!("{package}.part"));
    for file in fs::read_dir(&scratch)? {
        let mut extract = command::new("dpkg-deb");
        command::run(extract.arg("-x").arg(file?.path()).arg(&part))?;
    }
    fs::remove_dir_all(&scratch)?;
    fs::rename(&part, &folder)?;
    Ok(())
}

/// `convert FROM ARGUMENTS TO`, unless TO exists.
pub(super) fn magick(from: &Path, arguments: &str, to: &Path) -> Result<()> {
    if to.is_file() {
        return Ok(());
    }
    println!("making {}", name(to));
    // Written to a temporary name and renamed, so that an interrupted run leaves no partial file.
    let part = to.with_file_name(format!("part-{}", name(to)));
    let mut convert = command::new("convert");
    convert
        .arg(from)
        .args(arguments.split_whitespace())
        .arg(&part);
    command::run(&mut convert)?;
    fs::rename(part, to)?;
    Ok(())
}

/// ImageMagick arguments that cut successive windows out of the photograph.
fn pan(frames: u32, size: &str) -> String {
    let mut arguments = "-resize 1600x -write mpr:photo -delete 0".to_owned();
    for frame in 0..frames {
        let (x, y) = (40 + frame * 7, 120 + frame * 3);
        arguments += &format!(" ( mpr:photo -crop {size}+{x}+{y} +repage )");
    }
    arguments + " -set delay 4 -loop 0"
}

/// The file in another format, in the same folder.
fn coded(jpeg: &Path, extension: &str, line: &str) -> Result<PathBuf> {
    let path = jpeg.with_extension(extension);
    if path.is_file() {
        return Ok(path);
    }
    println!("making {}", name(&path));
    let part = jpeg.with_file_name(format!("part-{}", name(&path)));
    let mut words = line.split(' ');
    let mut encoder = command::new(words.next().unwrap_or_default());
    for word in words {
        match word {
            "IN" => encoder.arg(jpeg),
            "OUT" => encoder.arg(&part),
            word => encoder.arg(word),
        };
    }
    command::run(&mut encoder)?;
    fs::rename(part, &path)?;
    Ok(path)
}

/// A phone's photograph in the format of `path`, with typical camera metadata.
fn private(jpeg: &Path, path: &Path) -> Result<PathBuf> {
    if !path.is_file() {
        let bare = path.with_file_name(format!("bare-{}", name(path)));
        magick(jpeg, "-strip -quality 90", &bare)?;
        let mut exiftool = command::new("exiftool");
        exiftool.args(["-q", "-overwrite_original", "-TagsFromFile"]);
        exiftool
            .arg(jpeg)
            .args(["-EXIF:all", "-XMP:all"])
            .arg(&bare);
        command::run(&mut exiftool)?;
        fs::rename(bare, path)?;
    }
    Ok(path.to_owned())
}

fn phone(from: &Path, folder: &Path, orientation: u8) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for number in 0..UPLOADS {
        let path = folder.join(format!("phone-{orientation}-{number}.jpg"));
        if !path.is_file() {
            // A shift of a few pixels gives a different file with the same cost.
            let x = 8 * number;
            let cut = format!("-resize 4600x3400^ -crop 4032x3024+{x}+40 +repage {CAMERA}");
            let bare = folder.join("bare.jpg");
            magick(from, &cut, &bare)?;
            add_phone_metadata(&bare, orientation)?;
            fs::rename(&bare, &path)?;
        }
        files.push(path);
    }
    Ok(files)
}

fn add_phone_metadata(path: &Path, orientation: u8) -> Result<()> {
    let thumbnail = path.with_file_name("thumbnail.jpg");
    magick(path, "-thumbnail 160x120", &thumbnail)?;
    let mut exiftool = command::new("exiftool");
    exiftool
        .args(["-q", "-overwrite_original", "-Make=Phone", "-Model=Camera"])
        .args([
            "-GPSLatitude=52.5",
            "-GPSLatitudeRef=N",
            "-GPSLongitude=13.4",
        ])
        .args(["-GPSLongitudeRef=E", "-ExposureTime=1/120", "-XMP:Rating=3"])
        .arg(format!("-Orientation#={orientation}"))
        .arg(format!("-ThumbnailImage<={}", thumbnail.display()))
        .arg(path);
    command::run(&mut exiftool)?;
    fs::remove_file(thumbnail)?;
    Ok(())
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
