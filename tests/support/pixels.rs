//! Looking at pictures: decoded by the `image` crate, which the server does not use for this,
//! and compared with a tolerance.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder as _, DynamicImage, ImageFormat, RgbaImage};

/// Decodes a still, or the first frame.
#[track_caller]
pub fn decode(bytes: &[u8]) -> DynamicImage {
    match image::load_from_memory(bytes) {
        Ok(image) => image,
        Err(error) => panic!("not a picture: {error}"),
    }
}

/// What the bytes are.
pub fn format(bytes: &[u8]) -> Option<ImageFormat> {
    image::guess_format(bytes).ok()
}

/// Every frame with its time in milliseconds.
#[track_caller]
pub fn frames(bytes: &[u8]) -> Vec<(RgbaImage, u32)> {
    let frames = match format(bytes) {
        Some(ImageFormat::Gif) => GifDecoder::new(Cursor::new(bytes))
            .expect("a GIF")
            .into_frames()
            .collect_frames(),
        Some(ImageFormat::Png) => PngDecoder::new(Cursor::new(bytes))
            .expect("a PNG")
            .apng()
            .expect("an APNG")
            .into_frames()
            .collect_frames(),
        Some(ImageFormat::WebP) => WebPDecoder::new(Cursor::new(bytes))
            .expect("a WebP")
            .into_frames()
            .collect_frames(),
        other => panic!("no animation: {other:?}"),
    };
    frames
        .expect("all frames decode")
        .into_iter()
        .map(|frame| {
            let (numerator, denominator) = frame.delay().numer_denom_ms();
            (frame.into_buffer(), numerator / denominator.max(1))
        })
        .collect()
}

/// Mean difference of all samples, 0 to 255. Colours count as much as they are opaque.
#[track_caller]
pub fn difference(a: &DynamicImage, b: &DynamicImage) -> f64 {
    let (a, b) = (a.to_rgba8(), b.to_rgba8());
    assert_eq!(a.dimensions(), b.dimensions());
    let mut sum = 0.0;
    for (a, b) in a.pixels().zip(b.pixels()) {
        let (opacity_a, opacity_b) = (f64::from(a[3]) / 255.0, f64::from(b[3]) / 255.0);
        for channel in 0..3 {
            let (a, b) = (f64::from(a[channel]), f64::from(b[channel]));
            sum += (a * opacity_a - b * opacity_b).abs();
        }
        sum += (opacity_a - opacity_b).abs() * 255.0;
    }
    sum / (f64::from(a.width()) * f64::from(a.height()) * 4.0)
}

/// Expects the same picture, give or take what a lossy format costs.
#[track_caller]
pub fn assert_similar(got: &DynamicImage, expected: &DynamicImage, tolerance: f64) {
    let found = difference(got, expected);
    assert!(
        found <= tolerance,
        "differs by {found:.2} levels in the mean, {tolerance} are allowed; see {}",
        show(got, expected)
    );
}

/// Expects the very same samples.
#[track_caller]
pub fn assert_equal(got: &DynamicImage, expected: &DynamicImage) {
    assert_eq!(
        (got.width(), got.height()),
        (expected.width(), expected.height())
    );
    assert!(
        got.to_rgba16() == expected.to_rgba16(),
        "pixels differ; see {}",
        show(got, expected)
    );
}

/// Expects a colour, each channel within `tolerance`.
#[track_caller]
pub fn assert_colour(image: &DynamicImage, x: u32, y: u32, expected: [u8; 3], tolerance: u8) {
    let found = image.to_rgba8().get_pixel(x, y).0;
    let close = (0..3).all(|i| found[i].abs_diff(expected[i]) <= tolerance);
    assert!(close, "at {x},{y}: {found:?}, expected {expected:?}");
}

/// Leaves both pictures beside the build, for people to look at.
fn show(got: &DynamicImage, expected: &DynamicImage) -> String {
    let name = std::thread::current()
        .name()
        .unwrap_or("test")
        .replace("::", "-");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let paths = ["got", "expected"].map(|what| folder.join(format!("{name}-{what}.png")));
    for (path, image) in paths.iter().zip([got, expected]) {
        // A picture that cannot be written must not hide the failure it belongs to.
        let _ = image.save(path);
    }
    format!("{} and {}", paths[0].display(), paths[1].display())
}
