//! Repairs a GIF whose codes are damaged or truncated. Files that end inside a later frame need no
//! repair: [`blocks`](super::blocks) reads them as browsers do.

use super::blocks::{Frame, Gif, TRAILER};
use super::lzw::Lzw;
use super::read::{colours, rows};
use crate::codec::partial::Partial;
use crate::codec::png;
use crate::{Control, Extent, Format, Missing, Repaired, Result};

/// The size of the canvas that a damaged file claims.
pub(crate) fn claimed_size(source: &[u8]) -> Option<(u32, u32)> {
    let padded = padded(source);
    let gif = Gif::read(&padded).ok()?;
    Some(gif.canvas(&gif.frames().next()?))
}

/// The file with enough zeros to end a truncated block, and all blocks.
fn padded(source: &[u8]) -> Vec<u8> {
    let mut padded = source.to_vec();
    padded.resize(source.len() + usize::from(u8::MAX) + 2, 0);
    padded
}

/// See [`crate::repair::repair()`].
pub(crate) fn repair(source: &[u8], control: &Control) -> Result<Option<Repaired>> {
    let gif = Gif::read(source)?;
    let mut lzw = Lzw::new();
    let (mut whole, mut all, mut end) = (0_u32, 0_u32, 0);
    for frame in gif.frames() {
        control.check()?;
        if whole == all && can_be_read(&mut lzw, &frame, control)? {
            whole += 1;
            end = frame.image.end;
        }
        all += 1;
    }
    if whole == 0 {
        return first(source, control);
    }
    let mut bytes = source[..end].to_vec();
    bytes.push(TRAILER);
    let missing = (whole < all).then_some(Missing {
        format: Format::Gif,
        there: Extent::Frames(whole, Some(all)),
    });
    Ok(Some(Repaired { bytes, missing }))
}

fn can_be_read(lzw: &mut Lzw, frame: &Frame<'_>, control: &Control) -> Result<bool> {
    if lzw.begin(frame.min_code_size, frame.data).is_err() {
        return Ok(false);
    }
    let mut row = vec![0; frame.width.into()];
    for _ in 0..frame.height {
        control.check()?;
        if lzw.read(&mut row).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The available part of the first frame, as a still.
fn first(source: &[u8], control: &Control) -> Result<Option<Repaired>> {
    let padded = padded(source);
    let gif = Gif::read(&padded)?;
    let Some(frame) = gif.frames().next() else {
        return Ok(None);
    };
    let data = frame.image.end - frame.data.len();
    let data = padded.get(data..source.len().min(frame.image.end));
    let mut lzw = Lzw::new();
    lzw.begin(frame.min_code_size, data.unwrap_or_default())?;
    let (width, height) = gif.canvas(&frame);
    let (width, height) = (width as usize, height as usize);
    let colours = colours(&frame);
    let mut pixels = vec![[0; 4]; width * height];
    let mut known = vec![false; height];
    let mut row = vec![0; frame.width.into()];
    for y in rows(frame.height.into(), frame.interlaced) {
        control.check()?;
        if lzw.read(&mut row).is_err() {
            break;
        }
        let y = y + usize::from(frame.top);
        known[y] = true;
        let start = y * width + usize::from(frame.left);
        for (pixel, index) in pixels[start..].iter_mut().zip(&row) {
            *pixel = colours[usize::from(*index)];
        }
    }
    // While an interlaced picture loads, a row also stands for the missing ones below it.
    let top = usize::from(frame.top);
    let blocks: &[usize] = if frame.interlaced {
        &[0, 1, 3, 7]
    } else {
        &[0]
    };
    let nearest = |y: usize| {
        let row = y.checked_sub(top)?;
        let mut rows = blocks.iter().map(|block| (row & !block) + top);
        rows.find(|y| known.get(*y) == Some(&true))
    };
    let bottom = top + usize::from(frame.height);
    let there = (top..bottom).take_while(|y| nearest(*y).is_some()).count();
    if there == 0 {
        return Ok(None);
    }
    let mut partial = Partial::new(width, height, pixels);
    partial.fill(|x, y| nearest(y).map(|y| (x, y)));
    let mut encoder = png::Encoder::new(true);
    partial.write(control, &mut encoder)?;
    let height = u32::from(frame.height);
    let there = match u32::try_from(there) {
        Ok(rows) if rows < height => Extent::Rows(rows, height),
        _ => Extent::Coarse,
    };
    Ok(Some(Repaired {
        bytes: encoder.into_bytes(),
        missing: Some(Missing {
            format: Format::Gif,
            there,
        }),
    }))
}
