//! SSIMULACRA2 of pictures against a reference that no tool under test has made: the source,
//! shrunk in linear light with a Lanczos-3 kernel in double precision. What is transparent is compared
//! as browsers show it on a white page.
//! `score SOURCE MADE...` prints `score POINTS BYTES PATH` for each; the reference has MADE's size.

use std::{collections::HashMap, env, error::Error, f64::consts::PI, fs};

use fast_ssim2::{PixelDescriptor, PixelSlice, compute_ssimulacra2};
use image::{RgbImage, RgbaImage};

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
            .or_insert_with(|| on_white(&shrink(&source, size.0, size.1)));
        let score = compute_ssimulacra2(&view(reference)?, &view(&on_white(&picture))?)?;
        println!("score {score:.3} {} {path}", fs::metadata(path)?.len());
    }
    Ok(())
}

/// Whatever its extension says.
fn open(path: &str) -> Result<RgbaImage, Box<dyn Error>> {
    let reader = image::ImageReader::open(path)?.with_guessed_format()?;
    Ok(reader.decode()?.into_rgba8())
}

/// Blended as browsers do it, which is not in linear light.
fn on_white(picture: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [colour @ .., alpha] = picture.get_pixel(x, y).0;
        let alpha = u32::from(alpha);
        let blend = |sample: u8| (u32::from(sample) * alpha + 255 * (255 - alpha) + 127) / 255;
        image::Rgb(colour.map(|sample| blend(sample) as u8))
    })
}

fn view(picture: &RgbImage) -> Result<PixelSlice<'_>, Box<dyn Error>> {
    let (width, height) = picture.dimensions();
    let stride = width as usize * 3;
    PixelSlice::new(picture, width, height, stride, PixelDescriptor::RGB8_SRGB)
        .map_err(|error| format!("{error:?}").into())
}

fn shrink(source: &RgbaImage, width: u32, height: u32) -> RgbaImage {
    if source.dimensions() == (width, height) {
        return source.clone();
    }
    let linear: Vec<f64> = (0..=255u8).map(to_linear).collect();
    let (source_width, source_height) = source.dimensions();
    let across = kernels(source_width, width);
    let down = kernels(source_height, height);
    let row_length = width as usize * 4;
    // Light that a pixel gives, and how much it covers.
    let covered = |pixel: &[u8]| -> [f64; 4] {
        let alpha = f64::from(pixel[3]) / 255.0;
        let light = |sample: u8| linear[usize::from(sample)] * alpha;
        [light(pixel[0]), light(pixel[1]), light(pixel[2]), alpha]
    };

    // Rows first: every source row shrunk to the new width.
    let mut rows = vec![0.0; row_length * source_height as usize];
    for (y, row) in rows.chunks_exact_mut(row_length).enumerate() {
        let start = y * source_width as usize * 4;
        let pixels = &source.as_raw()[start..start + source_width as usize * 4];
        let pixels: Vec<_> = pixels.chunks_exact(4).map(covered).collect();
        for (out, (first, weights)) in row.chunks_exact_mut(4).zip(&across) {
            for (weight, pixel) in weights.iter().zip(&pixels[*first..]) {
                for (sum, sample) in out.iter_mut().zip(pixel) {
                    *sum += weight * sample;
                }
            }
        }
    }
    let mut made = RgbaImage::new(width, height);
    let made_rows = made.chunks_exact_mut(row_length);
    for (out, (first, weights)) in made_rows.zip(&down) {
        let mut sums = vec![0.0; row_length];
        for (weight, row) in weights
            .iter()
            .zip(rows.chunks_exact(row_length).skip(*first))
        {
            for (sum, sample) in sums.iter_mut().zip(row) {
                *sum += weight * sample;
            }
        }
        for (out, sum) in out.chunks_exact_mut(4).zip(sums.chunks_exact(4)) {
            let alpha = sum[3].clamp(0.0, 1.0);
            let colour = |light: f64| {
                if alpha > 0.0 {
                    to_srgb(light / alpha)
                } else {
                    0
                }
            };
            out.copy_from_slice(&[
                colour(sum[0]),
                colour(sum[1]),
                colour(sum[2]),
                (alpha * 255.0 + 0.5) as u8,
            ]);
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
