//! Pictures made in code: their content is known, so results can be compared with it.

use std::f32::consts::PI;
use std::io::Cursor;

use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{
    Delay, DynamicImage, ExtendedColorType, Frame, GrayImage, ImageBuffer, ImageEncoder as _,
    ImageFormat, Rgb, RgbImage, Rgba, RgbaImage,
};

/// Smooth like a photograph, so that lossy formats keep it well; every part is different.
pub fn photo(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        let wave = |phase: f32| 0.5 + 0.4 * (PI * (x * 3.0 + phase)).sin() * (PI * y * 2.0).cos();
        Rgb([wave(0.0), wave(0.7), wave(1.3)].map(|value| (value * 255.0) as u8))
    })
    .into()
}

/// A uniform picture, fast to make and small on disk.
pub fn plain(width: u32, height: u32) -> DynamicImage {
    DynamicImage::new_rgb8(width, height)
}

/// Unique for each seed, and incompressible.
pub fn noise(width: u32, height: u32, seed: u64) -> DynamicImage {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    RgbImage::from_fn(width, height, |_, _| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [r, g, b, ..] = state.to_le_bytes();
        Rgb([r, g, b])
    })
    .into()
}

/// Top left.
pub const RED: [u8; 3] = [220, 30, 30];
/// Top right.
pub const GREEN: [u8; 3] = [30, 200, 40];
/// Bottom left.
pub const BLUE: [u8; 3] = [40, 60, 220];
/// Bottom right.
pub const WHITE: [u8; 3] = [240, 240, 240];

/// Four colours: red and green above blue and white. Shows the orientation.
pub fn quarters(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(match (x < width / 2, y < height / 2) {
            (true, true) => RED,
            (false, true) => GREEN,
            (true, false) => BLUE,
            (false, false) => WHITE,
        })
    })
    .into()
}

/// Red, increasingly transparent to the right; fully transparent pixels are green.
pub fn fading(width: u32, height: u32) -> DynamicImage {
    RgbaImage::from_fn(width, height, |x, _| {
        let opacity = 255 - (x * 255 / (width - 1)) as u8;
        match opacity {
            0 => Rgba([0, 255, 0, 0]),
            _ => Rgba([255, 0, 0, opacity]),
        }
    })
    .into()
}

/// A dark 16-bit ramp of fewer than 1,000 levels, of which 8 bits keep only four.
pub fn deep_ramp(width: u32, height: u32) -> DynamicImage {
    ImageBuffer::from_fn(width, height, |x, _| {
        let level = 8000 + (x * 1000 / width) as u16;
        Rgb([level, level, level])
    })
    .into()
}

/// Encodes it as PNG.
pub fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .expect("a PNG");
    bytes
}

/// Encodes it as JPEG, with quality 92.
pub fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 92))
        .expect("a JPEG");
    bytes
}

/// Encodes it as lossless WebP.
pub fn webp(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .write_with_encoder(WebPEncoder::new_lossless(&mut bytes))
        .expect("a WebP");
    bytes
}

/// Encodes it as JPEG with one channel.
pub fn grey_jpeg(image: &GrayImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 92)
        .write_image(image, image.width(), image.height(), ExtendedColorType::L8)
        .expect("a JPEG");
    bytes
}

/// Duration of each frame of the animations, in milliseconds.
pub const FRAME_MS: u32 = 80;

/// A bright square that moves over a dark background.
pub fn film(width: u32, height: u32, frames: u32) -> Vec<RgbaImage> {
    (0..frames)
        .map(|number| {
            let left = number * (width / 2) / frames.max(1);
            RgbaImage::from_fn(width, height, |x, y| {
                let inside = (left..left + width / 2).contains(&x) && y < height / 2;
                Rgba(if inside {
                    [250, 220, 40, 255]
                } else {
                    [20, 30, 60, 255]
                })
            })
        })
        .collect()
}

/// Encodes the frames as GIF, looping forever.
pub fn gif(frames: &[RgbaImage]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    encoder.set_repeat(Repeat::Infinite).expect("written");
    for frame in frames {
        let delay = Delay::from_numer_denom_ms(FRAME_MS, 1);
        encoder
            .encode_frame(Frame::from_parts(frame.clone(), 0, 0, delay))
            .expect("written");
    }
    drop(encoder);
    bytes
}

/// Encodes each frame as a separate lossless picture, looping forever.
pub fn animated_webp(frames: &[RgbaImage]) -> Vec<u8> {
    let (width, height) = frames[0].dimensions();
    let size = [u24(width - 1), u24(height - 1)].concat();
    let mut chunks = chunk(b"VP8X", &[&[0x02, 0, 0, 0][..], &size].concat());
    chunks.extend(chunk(b"ANIM", &[0; 6]));
    for frame in frames {
        let still = webp(&frame.clone().into());
        // After "RIFF", size and "WEBP".
        let picture = &still[12..];
        let head = [&[0; 6][..], &size, &u24(FRAME_MS), &[0x02]].concat();
        chunks.extend(chunk(b"ANMF", &[&head, picture].concat()));
    }
    riff(&chunks)
}

/// Encodes each frame as a separate whole picture, looping forever.
pub fn apng(frames: &[RgbaImage]) -> Vec<u8> {
    let stills: Vec<_> = frames.iter().map(|f| png(&f.clone().into())).collect();
    // Signature and header, which are the same for all frames.
    let mut file = stills[0][..33].to_vec();
    let count = u32::try_from(frames.len()).expect("few");
    file.extend(png_chunk(
        b"acTL",
        &[count, 0].map(u32::to_be_bytes).concat(),
    ));
    let mut sequence = 0u32;
    let mut next = || {
        sequence += 1;
        (sequence - 1).to_be_bytes()
    };
    let delay = u16::try_from(FRAME_MS).expect("short").to_be_bytes();
    for (number, (frame, still)) in frames.iter().zip(&stills).enumerate() {
        let area = [frame.width(), frame.height(), 0, 0].map(u32::to_be_bytes);
        let end = 1000u16.to_be_bytes();
        let control = [&next()[..], &area.concat(), &delay, &end, &[0, 0]].concat();
        file.extend(png_chunk(b"fcTL", &control));
        for data in png_data(still) {
            if number == 0 {
                file.extend(png_chunk(b"IDAT", data));
            } else {
                file.extend(png_chunk(b"fdAT", &[&next()[..], data].concat()));
            }
        }
    }
    file.extend(png_chunk(b"IEND", b""));
    file
}

/// The contents of the data chunks of a PNG.
fn png_data(still: &[u8]) -> Vec<&[u8]> {
    let mut data = Vec::new();
    let mut rest = &still[8..];
    while let Some((size, chunk)) = rest.split_first_chunk() {
        let size = u32::from_be_bytes(*size) as usize;
        if chunk.starts_with(b"IDAT") {
            data.push(&chunk[4..4 + size]);
        }
        rest = &chunk[size + 8..];
    }
    data
}

/// A WebP file of these chunks.
pub fn riff(chunks: &[u8]) -> Vec<u8> {
    let size = u32::try_from(chunks.len() + 4).expect("small");
    [b"RIFF", &size.to_le_bytes()[..], b"WEBP", chunks].concat()
}

/// One chunk of a WebP file.
pub fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).expect("small");
    let padding = &[0][..data.len() % 2];
    [&name[..], &size.to_le_bytes(), data, padding].concat()
}

fn u24(value: u32) -> [u8; 3] {
    let [a, b, c, _] = value.to_le_bytes();
    [a, b, c]
}

/// One chunk of a PNG file.
pub fn png_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).expect("small");
    let checked = [&name[..], data].concat();
    let sum = crc32(&checked);
    [&size.to_be_bytes()[..], &checked, &sum.to_be_bytes()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(sum & 1));
        }
    }
    !sum
}

/// Files of about 100 KB that claim this many pixels on each side, if the format allows it.
pub fn bombs(side: u16) -> [(&'static str, Vec<u8>); 4] {
    let side_be = side.to_be_bytes();
    let side_le = side.to_le_bytes();

    let mut png = png(&GrayImage::new(8, 8).into());
    let after_header = png.split_off(8 + 25);
    let header = [&[0, 0][..], &side_be, &[0, 0], &side_be, &[8, 2, 0, 0, 0]].concat();
    let mut bomb_png = png[..8].to_vec();
    bomb_png.extend(png_chunk(b"IHDR", &header));
    bomb_png.extend(png_chunk(b"IDAT", &stored_zeros(100_000)));
    bomb_png.extend_from_slice(&after_header[after_header.len() - 12..]);

    let mut bomb_jpeg = jpeg(&photo(16, 16));
    let frame = find(&bomb_jpeg, &[0xff, 0xc0]) + 5;
    bomb_jpeg[frame..frame + 2].copy_from_slice(&side_be);
    bomb_jpeg[frame + 2..frame + 4].copy_from_slice(&side_be);
    bomb_jpeg.truncate(bomb_jpeg.len() - 2);
    bomb_jpeg.resize(100_000, 0x55);
    bomb_jpeg.extend([0xff, 0xd9]);

    let mut bomb_gif = gif(&film(16, 16, 1));
    bomb_gif[6..8].copy_from_slice(&side_le);
    bomb_gif[8..10].copy_from_slice(&side_le);
    let descriptor = find(&bomb_gif, &[0x2c, 0, 0, 0, 0, 16, 0, 16, 0]);
    bomb_gif[descriptor + 5..descriptor + 7].copy_from_slice(&side_le);
    bomb_gif[descriptor + 7..descriptor + 9].copy_from_slice(&side_le);
    bomb_gif.truncate(bomb_gif.len() - 1);
    while bomb_gif.len() < 100_000 {
        bomb_gif.extend(*b"\x21\xfe\xff");
        bomb_gif.extend([b'x'; 255]);
        bomb_gif.push(0);
    }
    bomb_gif.push(0x3b);

    // The picture of a still must be as large as its canvas; the frames of an animation need not.
    let canvas = [u24(u32::from(side) - 1), u24(u32::from(side) - 1)].concat();
    let mut chunks = chunk(b"VP8X", &[&[0x02, 0, 0, 0][..], &canvas].concat());
    let film = animated_webp(&film(16, 16, 2));
    chunks.extend_from_slice(&film[12 + 18..]);
    chunks.extend(chunk(b"XTRA", &[0; 100_000]));

    [
        ("png", bomb_png),
        ("jpeg", bomb_jpeg),
        ("gif", bomb_gif),
        ("webp", riff(&chunks)),
    ]
}

/// A valid but incomplete zlib stream.
fn stored_zeros(length: usize) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x01];
    for block in vec![0; length].chunks(65_000) {
        let size = u16::try_from(block.len()).expect("at most 65,000");
        bytes.push(0);
        bytes.extend(size.to_le_bytes());
        bytes.extend((!size).to_le_bytes());
        bytes.extend_from_slice(block);
    }
    bytes
}

/// The position of `needle`.
#[track_caller]
pub fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .expect("it is there")
}
