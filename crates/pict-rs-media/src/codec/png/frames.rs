//! The chunks of an APNG: its frames, the position of their data, and whether they are valid.
//! Nothing is inflated.

use std::ops::Range;

use super::container::{Chunk, Chunks};
use crate::{Control, Error, Facts, Format, Result};

/// The animation chunks of a file.
pub(super) struct Animation {
    /// The number of plays; 0 = for ever.
    pub(super) plays: u32,
    /// At least one.
    pub(super) frames: Vec<Frame>,
}

/// One frame: a box of the canvas, and how it is drawn.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) delay_ms: u32,
    pub(super) dispose: Dispose,
    /// Whether it is blended over the canvas; otherwise it replaces it.
    pub(super) blend: bool,
    /// From its first data chunk to the end of its last.
    data: Range<usize>,
}

/// What happens to a frame's box before the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dispose {
    Keep,
    Background,
    Previous,
}

/// Facts from the container; no pixel is decoded. The depth is that of the canvases, 8 bits.
pub(super) fn facts(source: &[u8], still: Facts, control: &Control) -> Result<Facts> {
    let animation = read(source, still.stored_width, still.stored_height, control)?;
    let frames = &animation.frames;
    let covers =
        |frame: &Frame| (frame.width, frame.height) == (still.stored_width, still.stored_height);
    let has_holes = frames
        .iter()
        .any(|frame| frame.dispose == Dispose::Background)
        || frames
            .first()
            .is_some_and(|first| !covers(first) || first.dispose == Dispose::Previous);
    Ok(Facts {
        format: Format::Apng,
        // A frame has at least 38 bytes, so the count fits.
        frames: u32::try_from(frames.len()).unwrap_or(u32::MAX),
        duration_ms: Some(frames.iter().map(|frame| u64::from(frame.delay_ms)).sum()),
        has_alpha: still.has_alpha || has_holes,
        bits: 8,
        ..still
    })
}

/// Parses the whole file, whose canvas has this size.
///
/// # Errors
/// [`Error::Corrupt`] for chunks in the wrong order or number, and for frames outside the canvas.
pub(super) fn read(source: &[u8], width: u32, height: u32, control: &Control) -> Result<Animation> {
    let mut walk = Walk {
        canvas: (width, height),
        control: None,
        sequence: 0,
        has_data: false,
        current: None,
        frames: Vec::new(),
    };
    for chunk in Chunks::new(source)? {
        control.check()?;
        walk.chunk(&chunk?)?;
    }
    walk.finish()
}

/// The data of a frame, in order, after verifying their checksums.
pub(super) fn data<'a>(source: &'a [u8], frame: &Frame) -> Result<Vec<&'a [u8]>> {
    let mut data = Vec::new();
    for chunk in Chunks::within(source, frame.data.clone()) {
        let chunk = chunk?;
        let sequence = match &chunk.kind {
            b"IDAT" => 0,
            b"fdAT" => 4,
            // An unneeded chunk between two of them.
            _ => continue,
        };
        if !chunk.is_intact(source) {
            return Err(corrupt("a checksum does not match"));
        }
        data.push(chunk.data.get(sequence..).unwrap_or_default());
    }
    Ok(data)
}

struct Walk {
    canvas: (u32, u32),
    /// Number of frames and plays, as declared.
    control: Option<(u32, u32)>,
    /// The number that the next numbered chunk must have.
    sequence: u32,
    /// Whether the default picture has begun.
    has_data: bool,
    /// The last `fcTL`; its data have not arrived while they are empty.
    current: Option<Frame>,
    frames: Vec<Frame>,
}

impl Walk {
    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<()> {
        match &chunk.kind {
            b"acTL" if !self.has_data => {
                let (Some(frames), Some(plays), 8) = (
                    number(chunk.data, 0),
                    number(chunk.data, 4),
                    chunk.data.len(),
                ) else {
                    return Err(corrupt("its animation header is not valid"));
                };
                if self.control.replace((frames, plays)).is_some() {
                    return Err(corrupt("it has two animation headers"));
                }
            }
            b"fcTL" => {
                self.next_sequence(chunk)?;
                let frame = self.parse(chunk.data)?;
                self.take_current()?;
                self.current = Some(frame);
            }
            b"IDAT" => {
                self.has_data = true;
                // Without a frame before it, the picture is only for viewers without support for
                // animations.
                if let Some(frame) = &mut self.current {
                    frame.extend(chunk);
                }
            }
            b"fdAT" => {
                self.next_sequence(chunk)?;
                match &mut self.current {
                    Some(frame) if self.has_data => frame.extend(chunk),
                    _ => return Err(corrupt("data belong to no frame")),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn next_sequence(&mut self, chunk: &Chunk<'_>) -> Result<()> {
        if number(chunk.data, 0) != Some(self.sequence) {
            return Err(corrupt("its frames are not in order"));
        }
        self.sequence += 1;
        Ok(())
    }

    fn parse(&self, data: &[u8]) -> Result<Frame> {
        let field = |at| number(data, at).ok_or_else(|| corrupt("a frame header is too short"));
        let [width, height, x, y] = [field(4)?, field(8)?, field(12)?, field(16)?];
        let delay = field(20)?;
        let (Some(&[dispose, blend]), 26) = (data.get(24..), data.len()) else {
            return Err(corrupt("a frame header is not valid"));
        };
        let ends_within = |start: u32, length: u32, limit: u32| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= limit)
        };
        if !ends_within(x, width, self.canvas.0) || !ends_within(y, height, self.canvas.1) {
            return Err(corrupt("a frame does not lie on the canvas"));
        }
        if !self.has_data && (width, height) != self.canvas {
            return Err(corrupt("the first frame is not as large as the canvas"));
        }
        Ok(Frame {
            x,
            y,
            width,
            height,
            delay_ms: delay_ms(delay >> 16, delay & 0xffff),
            dispose: match dispose {
                0 => Dispose::Keep,
                1 => Dispose::Background,
                2 => Dispose::Previous,
                _ => return Err(corrupt("a frame is to be disposed of in an unknown way")),
            },
            blend: match blend {
                0 => false,
                1 => true,
                _ => return Err(corrupt("a frame is to be blended in an unknown way")),
            },
            data: 0..0,
        })
    }

    fn take_current(&mut self) -> Result<()> {
        if let Some(frame) = self.current.take() {
            if frame.data.is_empty() {
                return Err(corrupt("a frame has no data"));
            }
            self.frames.push(frame);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Animation> {
        self.take_current()?;
        let (declared, plays) = self
            .control
            .ok_or_else(|| corrupt("it has no animation header"))?;
        if self.frames.is_empty() || declared as usize != self.frames.len() {
            return Err(corrupt(format_args!(
                "it says that it has {declared} frames, and has {}",
                self.frames.len()
            )));
        }
        Ok(Animation {
            plays,
            frames: self.frames,
        })
    }
}

impl Frame {
    fn extend(&mut self, chunk: &Chunk<'_>) {
        if self.data.is_empty() {
            self.data = chunk.range.clone();
        } else {
            self.data.end = chunk.range.end;
        }
    }
}

/// The delay of a frame as fraction of a second; a denominator of 0 means 100.
fn delay_ms(numerator: u32, denominator: u32) -> u32 {
    let denominator = if denominator == 0 { 100 } else { denominator };
    (numerator * 1000 + denominator / 2) / denominator
}

fn number(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

pub(super) fn corrupt(reason: impl std::fmt::Display) -> Error {
    Error::corrupt(Format::Apng, reason)
}
