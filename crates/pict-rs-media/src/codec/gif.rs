//! GIF, still and animated.
//!
//! [`blocks`] reads blocks, [`lzw`] pixels, [`read`] composes canvases; [`mod@write`] writes frames
//! with the `gif` crate's encoder and `quantette`'s palettes. Start reading at [`inspect`].

mod blocks;
mod end;
mod lzw;
mod palette;
mod read;
mod repair;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;

use crate::codec::interface::{Codec, Kept, Repair, animated};
use crate::codec::pieces::Pieces;
use crate::{ColourModel, Control, Facts, Format, Orientation, Result};

use blocks::{Block, Disposal, Frame, Gif, TRAILER, corrupt};

use read::decode_animation;
use repair::{claimed_size, repair};
pub(crate) use write::AnimationEncoder;

/// The codec.
pub(crate) const CODEC: Codec = Codec {
    formats: &[Format::Gif],
    detect: |source| source.starts_with(b"GIF87a") || source.starts_with(b"GIF89a"),
    inspect: |source, _, control| inspect(source, control),
    clean: Some(|source, _, control| clean(source, control).map(Kept::from)),
    canvases: Some(decode_animation),
    repair: Some(Repair {
        claimed_size: |source, _| claimed_size(source),
        may_move: |_| true,
        repair,
    }),
    memory: animated,
    ..Codec::NONE
};

/// Facts from the container; no pixel is decoded.
///
/// A file that is truncated inside a later frame has the frames before it, as in browsers. The
/// duration is the sum of the delays in the file, although browsers show frames without a delay for
/// longer.
pub(crate) fn inspect(source: &[u8], control: &Control) -> Result<Facts> {
    let gif = Gif::read(source)?;
    let mut frames = gif.frames();
    let first = frames
        .next()
        .ok_or_else(|| corrupt("it has no complete frame"))?;
    if first.palette.is_empty() {
        return Err(corrupt("it has no colours"));
    }
    let (width, height) = gif.canvas(&first);
    if width == 0 || height == 0 {
        return Err(corrupt("it has no pixels"));
    }
    let mut opacity = Opacity {
        size: (width, height),
        ..Opacity::default()
    };
    let (mut count, mut hundredths) = (0, 0);
    for frame in std::iter::once(first).chain(frames) {
        control.check()?;
        opacity.add(&frame);
        // A frame has at least 12 bytes, so neither sum can overflow.
        count += 1;
        hundredths += u64::from(frame.delay);
    }
    Ok(Facts {
        format: Format::Gif,
        stored_width: width,
        stored_height: height,
        orientation: Orientation::Normal,
        frames: count,
        duration_ms: Some(hundredths * 10),
        has_alpha: opacity.has_alpha,
        bits: 8,
        colour: ColourModel::Rgb,
        buffered: false,
        lossless: true,
        decoder_tables: 0,
    })
}

/// The file without metadata, pixels untouched. Drops everything after the end of the picture, and
/// everything that is neither a frame nor the loop count.
pub(crate) fn clean<'a>(source: &'a [u8], control: &Control) -> Result<Vec<Cow<'a, [u8]>>> {
    let gif = Gif::read(source)?;
    let mut pieces = Pieces::new(source);
    pieces.keep(0..gif.body);
    for block in gif.blocks() {
        control.check()?;
        match block {
            Block::Loop(_, bytes) => pieces.keep(bytes),
            Block::Frame(frame) => {
                if let Some(extension) = frame.control {
                    pieces.keep(extension);
                }
                let pixels = u64::from(frame.width) * u64::from(frame.height);
                let shorter = end::without_rest(frame.min_code_size, pixels, frame.data, control);
                control.check()?;
                match shorter {
                    None => pieces.keep(frame.image),
                    Some(blocks) => {
                        pieces.keep(frame.image.start..frame.image.end - frame.data.len());
                        pieces.own(blocks);
                    }
                }
            }
        }
    }
    pieces.borrow(&[TRAILER]);
    Ok(pieces.finish())
}

/// Whether transparent pixels can be seen, judged only by boxes and disposals.
#[derive(Default)]
struct Opacity {
    size: (u32, u32),
    /// Whether the canvas before the next frame is known to be opaque.
    opaque: bool,
    has_alpha: bool,
}

impl Opacity {
    fn add(&mut self, frame: &Frame<'_>) {
        let right = u32::from(frame.left) + u32::from(frame.width);
        let bottom = u32::from(frame.top) + u32::from(frame.height);
        let covers = (frame.left, frame.top) == (0, 0)
            && right >= self.size.0
            && bottom >= self.size.1
            && frame.transparent.is_none();
        let before = self.opaque;
        self.opaque |= covers;
        self.has_alpha |= !self.opaque;
        match frame.disposal {
            Disposal::Keep => {}
            Disposal::Background => self.opaque = false,
            Disposal::Previous => self.opaque = before,
        }
    }
}
