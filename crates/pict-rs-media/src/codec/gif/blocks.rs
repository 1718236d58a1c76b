//! The block structure of a GIF, read without decoding a pixel.
//!
//! As lenient as browsers: a file may end without its trailer or inside a later frame, and anything
//! that is not a block ends the file. Never allocates. Start reading at [`Gif::read`].

use std::ops::Range;

use crate::{Error, Format, Result};

/// The header, and an iterator over the blocks after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gif<'a> {
    source: &'a [u8],
    /// Size of the logical screen, in pixels; zero in some broken files.
    screen: (u16, u16),
    /// Red, green and blue of up to 256 colours.
    global_palette: Option<&'a [u8]>,
    /// The position of the first block.
    pub(super) body: usize,
}

/// Relevant blocks between header and trailer.
#[derive(Clone, Debug)]
pub(super) enum Block<'a> {
    Frame(Frame<'a>),
    /// The number of plays, 0 = for ever, and the bytes that specify it.
    Loop(u32, Range<usize>),
}

/// One complete image with its graphic control extension.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    pub(super) left: u16,
    pub(super) top: u16,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) interlaced: bool,
    /// In hundredths of a second.
    pub(super) delay: u16,
    pub(super) disposal: Disposal,
    pub(super) transparent: Option<u8>,
    /// Red, green and blue of up to 256 colours. Empty if the file has no palette for this frame:
    /// then nothing is drawn.
    pub(super) palette: &'a [u8],
    pub(super) min_code_size: u8,
    /// The sub-blocks with LZW data, including the terminator.
    pub(super) data: &'a [u8],
    /// The bytes of the graphic control extension.
    pub(super) control: Option<Range<usize>>,
    /// The bytes from the image separator to the end of the data.
    pub(super) image: Range<usize>,
}

/// What happens to a frame's box before the next frame is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Disposal {
    #[default]
    Keep,
    /// The box becomes transparent, as in all browsers; the background colour is not used.
    Background,
    /// The box is restored to the pixels before the frame.
    Previous,
}

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2c;
const CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;
/// Marks the end of the file.
pub(super) const TRAILER: u8 = 0x3b;

impl<'a> Gif<'a> {
    /// Reads the header.
    pub(super) fn read(source: &'a [u8]) -> Result<Self> {
        if !source.starts_with(b"GIF87a") && !source.starts_with(b"GIF89a") {
            return Err(corrupt("it does not start with GIF87a or GIF89a"));
        }
        let mut reader = Reader {
            source,
            position: 6,
        };
        let too_short = || corrupt("its header ends too early");
        let screen = (
            reader.u16().ok_or_else(too_short)?,
            reader.u16().ok_or_else(too_short)?,
        );
        let flags = reader.u8().ok_or_else(too_short)?;
        // Background colour and aspect ratio, which browsers ignore.
        reader.take(2).ok_or_else(too_short)?;
        let global_palette = reader.palette(flags).ok_or_else(too_short)?;
        Ok(Self {
            source,
            screen,
            global_palette,
            body: reader.position,
        })
    }

    /// Size of the canvas: that of the logical screen, enlarged (as in browsers) until the first
    /// frame fits. Later frames are clipped.
    pub(super) fn canvas(&self, first: &Frame<'_>) -> (u32, u32) {
        let width = u32::from(first.left) + u32::from(first.width);
        let height = u32::from(first.top) + u32::from(first.height);
        (
            width.max(self.screen.0.into()),
            height.max(self.screen.1.into()),
        )
    }

    /// Iterates over the relevant blocks, up to the trailer or to the first damage.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Block<'a>> + use<'a> {
        let mut walk = Walk {
            reader: Reader {
                source: self.source,
                position: self.body,
            },
            global_palette: self.global_palette,
            control: None,
            loops: false,
        };
        std::iter::from_fn(move || walk.next())
    }

    /// The frames among the blocks.
    pub(super) fn frames(&self) -> impl Iterator<Item = Frame<'a>> + use<'a> {
        self.blocks().filter_map(|block| match block {
            Block::Frame(frame) => Some(frame),
            Block::Loop(..) => None,
        })
    }
}

struct Walk<'a> {
    reader: Reader<'a>,
    global_palette: Option<&'a [u8]>,
    /// The graphic control extension for the next image.
    control: Option<(Control, Range<usize>)>,
    /// Whether there was a loop count; only the first applies.
    loops: bool,
}

#[derive(Clone, Copy, Default)]
struct Control {
    delay: u16,
    disposal: Disposal,
    transparent: Option<u8>,
}

impl<'a> Walk<'a> {
    /// `None` at the end.
    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            let start = self.reader.position;
            match self.reader.u8()? {
                IMAGE => {
                    let image = self.reader.image()?;
                    return Some(Block::Frame(self.frame(image, start)));
                }
                EXTENSION => {
                    if let Some(block) = self.extension(start)? {
                        return Some(block);
                    }
                }
                _ => return None,
            }
        }
    }

    fn frame(&mut self, image: Image<'a>, start: usize) -> Frame<'a> {
        let (control, control_bytes) = self.control.take().unzip();
        let Control {
            delay,
            disposal,
            transparent,
        } = control.unwrap_or_default();
        Frame {
            left: image.left,
            top: image.top,
            width: image.width,
            height: image.height,
            interlaced: image.interlaced,
            delay,
            disposal,
            transparent,
            palette: image.palette.or(self.global_palette).unwrap_or_default(),
            min_code_size: image.min_code_size,
            data: image.data,
            control: control_bytes,
            image: start..self.reader.position,
        }
    }

    /// `None` when the file ends inside the extension.
    fn extension(&mut self, start: usize) -> Option<Option<Block<'a>>> {
        let label = self.reader.u8()?;
        let data = self.reader.sub_blocks()?;
        let bytes = start..self.reader.position;
        match (label, data) {
            (CONTROL, [4, flags, delay_low, delay_high, transparent, 0]) => {
                let control = Control {
                    delay: u16::from_le_bytes([*delay_low, *delay_high]),
                    disposal: match flags >> 2 & 7 {
                        2 => Disposal::Background,
                        // Some old programs write 4, and browsers accept it.
                        3 | 4 => Disposal::Previous,
                        _ => Disposal::Keep,
                    },
                    transparent: (flags & 1 == 1).then_some(*transparent),
                };
                self.control = Some((control, bytes));
            }
            (APPLICATION, data) if !self.loops => {
                let extra = data
                    .strip_prefix(b"\x0bNETSCAPE2.0")
                    .or_else(|| data.strip_prefix(b"\x0bANIMEXTS1.0"));
                if let Some([3, 1, low, high, 0]) = extra {
                    self.loops = true;
                    // The number counts repetitions.
                    let plays = match u16::from_le_bytes([*low, *high]) {
                        0 => 0,
                        again => u32::from(again) + 1,
                    };
                    return Some(Some(Block::Loop(plays, bytes)));
                }
            }
            // Plain text is a picture that no viewer draws, and uses up its control extension.
            (0x01, _) => self.control = None,
            _ => {}
        }
        Some(None)
    }
}

struct Image<'a> {
    left: u16,
    top: u16,
    width: u16,
    height: u16,
    interlaced: bool,
    palette: Option<&'a [u8]>,
    min_code_size: u8,
    data: &'a [u8],
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    source: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let bytes = self.source.get(self.position..)?.get(..length)?;
        self.position += length;
        Some(bytes)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)
            .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// The colour table according to `flags`.
    fn palette(&mut self, flags: u8) -> Option<Option<&'a [u8]>> {
        if flags & 0x80 == 0 {
            return Some(None);
        }
        self.take(3 << ((flags & 7) + 1)).map(Some)
    }

    /// Skips sub-blocks and their terminator; returns all their bytes.
    fn sub_blocks(&mut self) -> Option<&'a [u8]> {
        let start = self.position;
        loop {
            match self.u8()? {
                0 => return self.source.get(start..self.position),
                length => self.take(length.into())?,
            };
        }
    }

    /// An image, after its separator. `None` when the file ends inside it.
    fn image(&mut self) -> Option<Image<'a>> {
        let (left, top) = (self.u16()?, self.u16()?);
        let (width, height) = (self.u16()?, self.u16()?);
        let flags = self.u8()?;
        Some(Image {
            left,
            top,
            width,
            height,
            interlaced: flags & 0x40 != 0,
            palette: self.palette(flags)?,
            min_code_size: self.u8()?,
            data: self.sub_blocks()?,
        })
    }
}

pub(super) fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Gif, reason)
}
