//! The files that are uploaded, made on the spot: what a picture shows does not matter here.

use std::io::Cursor;

use anyhow::{Context as _, Result, bail};
use image::codecs::gif::GifEncoder;
use image::{Delay, DynamicImage, Frame, ImageFormat, RgbImage, RgbaImage};

/// Of the file with this name.
///
/// # Errors
/// When there is no such file.
pub fn bytes(name: &str) -> Result<Vec<u8>> {
    Ok(match name {
        "photo.jpg" => still(240, 160, ImageFormat::Jpeg)?,
        "photo.png" => still(240, 160, ImageFormat::Png)?,
        "photo.webp" => still(120, 90, ImageFormat::WebP)?,
        "alone.webp" => still(100, 70, ImageFormat::WebP)?,
        "moving.gif" => moving()?,
        "cut.png" => {
            let mut whole = still(240, 160, ImageFormat::Png)?;
            whole.truncate(whole.len() / 2);
            whole
        }
        "text.txt" => b"this is no picture".to_vec(),
        "empty" => Vec::new(),
        // Larger than the default of `media.max_file_size`.
        "huge" => vec![0; 41 * 1024 * 1024],
        _ => bail!("there is no file {name}"),
    })
}

fn still(width: u32, height: u32, format: ImageFormat) -> Result<Vec<u8>> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x * 255 / width, y * 255 / height);
        let channel = |value: u32| u8::try_from(value % 256).unwrap_or(u8::MAX);
        image::Rgb([channel(x), channel(y), channel(x + y)])
    });
    let mut bytes = Cursor::new(Vec::new());
    let picture = DynamicImage::from(picture);
    picture
        .write_to(&mut bytes, format)
        .context("cannot make a picture")?;
    Ok(bytes.into_inner())
}

fn moving() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for shade in [40, 120, 200] {
        let picture = RgbaImage::from_pixel(64, 48, image::Rgba([shade, 80, 255 - shade, 255]));
        let delay = Delay::from_numer_denom_ms(100, 1);
        encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay))?;
    }
    drop(encoder);
    Ok(bytes)
}
