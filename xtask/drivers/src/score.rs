//! SSIMULACRA2 of pictures against a reference that no tool under test has made: the source,
//! shrunk in linear light with a Lanczos-3 kernel in double precision.
//! `score SOURCE MADE...` prints `score POINTS BYTES PATH` for each; the reference has MADE's size.

use std::{collections::HashMap, env, error::Error, f64::consts::PI, fs};

use fast_ssim2::{PixelDescriptor, PixelSlice, compute_ssimulacra2};
use image::RgbImage;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [source, made @ ..] = &arguments[..] else {
        return Err("score SOURCE MADE...".into());
    };
    let source = open(source)?;
    let mut references = HashMap::new();
    for path in made {
        let picture = open(path)?;
        let size = picture.dimensions();
        let reference = references
            .entry(size)
            .or_insert_with(|| shrink(&source, size.0, size.1));
        let score = compute_ssimulacra2(&view(reference)?, &view(&picture)?)?;
        println!("score {score:.3} {} {path}", fs::metadata(path)?.len());
    }
    Ok(())
}

/// Whatever its extension says; flattened, which is right for sources without transparency.
fn open(path: &str) -> Result<RgbImage, Box<dyn Error>> {
    let reader = image::ImageReader::open(path)?.with_guessed_format()?;
    Ok(reader.decode()?.into_rgb8())
}

fn view(picture: &RgbImage) -> Result<PixelSlice<'_>, Box<dyn Error>> {
    let (width, height) = picture.dimensions();
    let stride = width as usize * 3;
    PixelSlice::new(picture, width, height, stride, PixelDescriptor::RGB8_SRGB)
        .map_err(|error| format!("{error:?}").into())
}

fn shrink(source: &RgbImage, width: u32, height: u32) -> RgbImage {
    if source.dimensions() == (width, height) {
        return source.clone();
    }
    let linear: Vec<f64> = (0..=255u8).map(to_linear).collect();
    let (source_width, source_height) = source.dimensions();
    let across = kernels(source_width, width);
    let down = kernels(source_height, height);
    let row_length = width as usize * 3;

    // Rows first: every source row shrunk to the new width.
    let mut rows = vec![0.0; row_length * source_height as usize];
    for (y, row) in rows.chunks_exact_mut(row_length).enumerate() {
        let start = y * source_width as usize * 3;
        let pixels = &source.as_raw()[start..start + source_width as usize * 3];
        for (out, (first, weights)) in row.chunks_exact_mut(3).zip(&across) {
            for (weight, pixel) in weights.iter().zip(pixels[first * 3..].chunks_exact(3)) {
                for (sum, &sample) in out.iter_mut().zip(pixel) {
                    *sum += weight * linear[usize::from(sample)];
                }
            }
        }
    }
    let mut made = RgbImage::new(width, height);
    let made_rows = made.chunks_exact_mut(row_length);
    for (out, (first, weights)) in made_rows.zip(&down) {
        for (x, sample) in out.iter_mut().enumerate() {
            let column = rows[first * row_length + x..].iter().step_by(row_length);
            *sample = to_srgb(weights.iter().zip(column).map(|(w, v)| w * v).sum());
        }
    }
    made
}

/// For each target sample: the first source sample and the weights from there on.
fn kernels(from: u32, to: u32) -> Vec<(usize, Vec<f64>)> {
    let scale = (f64::from(from) / f64::from(to)).max(1.0);
    let support = 3.0 * scale;
    (0..to)
        .map(|index| {
            let centre = (f64::from(index) + 0.5) * f64::from(from) / f64::from(to);
            let first = (centre - support).floor().max(0.0) as usize;
            let last = ((centre + support).ceil() as usize).min(from as usize);
            let weight = |i: usize| lanczos((i as f64 + 0.5 - centre) / scale);
            let weights: Vec<f64> = (first..last).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            (first, weights.iter().map(|weight| weight / sum).collect())
        })
        .collect()
}

fn lanczos(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    if x.abs() >= 3.0 {
        return 0.0;
    }
    3.0 * (PI * x).sin() * (PI * x / 3.0).sin() / (PI * PI * x * x)
}

fn to_linear(sample: u8) -> f64 {
    let value = f64::from(sample) / 255.0;
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

fn to_srgb(linear: f64) -> u8 {
    let linear = linear.clamp(0.0, 1.0);
    let value = if linear <= 0.003_130_8 {
        linear * 12.92
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    };
    (value * 255.0 + 0.5) as u8
}
