//! Adjacent HEVC pictures. Each is decoded when its row of tiles is needed, and then dropped.

use std::borrow::Cow;

use heic::heif::{FourCC, HeifContainer, HevcDecoderConfig, Item, ItemType};
use heic::{DecodedFrame, hevc};

use super::error::{corrupt, failed, hevc_failed};
use super::size::{SMALL, area};
use super::sps::{self, Sps};
use crate::codec::panics::guard;
use crate::{Control, Error, Format, Result};

/// One picture, or those of a grid.
pub(super) struct Tiles<'a> {
    config: HevcDecoderConfig,
    /// In reading order.
    data: Vec<Cow<'a, [u8]>>,
    columns: u32,
    pub(super) rows: u32,
    /// The visible size of each.
    tile: (u32, u32),
    /// The size of all together; the last ones are cropped to it.
    pub(super) size: (u32, u32),
    pub(super) bits: u32,
}

/// Maximum tiles of a grid. Each one is searched in tables whose length the file chooses; a
/// photograph of 200 megapixels has 800.
const MAX_TILES: u32 = 4096;

/// Pixels that may be decoded more than once, because a picture can have several slices, and only
/// their number proves that they do not overlap.
const MAX_WORK: u64 = 1 << 29;

/// NAL units (H.265, table 7-1).
const SPS: u8 = 33;
const PPS: u8 = 34;
const FIRST_NOT_PICTURE: u8 = 32;

impl<'a> Tiles<'a> {
    /// Opens an item that is a picture or a grid of pictures, in a file of this size.
    pub(super) fn open(
        container: &HeifContainer<'a>,
        item: &Item,
        source_len: usize,
    ) -> Result<Self> {
        if item.item_type == ItemType::Grid {
            return Self::grid(container, item, source_len);
        }
        let config = config(item)?;
        let sps = parameters(&config)?;
        let data = data(container, item.id)?;
        check(&config, sps, &data)?;
        Ok(Self {
            config,
            data: vec![data],
            columns: 1,
            rows: 1,
            tile: sps.size,
            size: sps.size,
            bits: sps.bits,
        })
    }

    fn grid(container: &HeifContainer<'a>, item: &Item, source_len: usize) -> Result<Self> {
        let grid = data(container, item.id)?;
        let (columns, rows, size) = layout(&grid).ok_or_else(|| corrupt("its grid is cut off"))?;
        let parts = container.get_item_references(item.id, FourCC(*b"dimg"));
        if columns * rows > MAX_TILES {
            return Err(Error::Unsupported(format!(
                "a HEIF file of more than {MAX_TILES} tiles cannot be read"
            )));
        }
        if parts.len() != (columns * rows) as usize {
            return Err(corrupt("tiles are missing"));
        }
        let first = parts.first().and_then(|first| container.get_item(*first));
        let config = config(&first.ok_or_else(|| corrupt("tiles are missing"))?)?;
        let sps = parameters(&config)?;
        let tile = sps.size;
        let fits = |tiles: u32, tile: u32, whole: u32| {
            let (all, whole) = (u64::from(tiles) * u64::from(tile), u64::from(whole));
            all >= whole && all - u64::from(tile) < whole
        };
        if !fits(columns, tile.0, size.0) || !fits(rows, tile.1, size.1) {
            return Err(corrupt("its tiles do not make up the whole"));
        }
        if area(sps.coded) > area(size).saturating_mul(4).max(SMALL) {
            return Err(corrupt("a part of it is larger than the whole"));
        }
        let mut tiles = Vec::with_capacity(parts.len());
        let mut held = 0;
        for part in parts {
            let data = data(container, part)?;
            // Data in several pieces are copied, so none may be referenced repeatedly.
            held += data.len();
            if held > source_len {
                return Err(corrupt("its tiles lie over each other"));
            }
            check(&config, sps, &data)?;
            tiles.push(data);
        }
        Ok(Self {
            config,
            data: tiles,
            columns,
            rows,
            tile,
            size,
            bits: sps.bits,
        })
    }

    /// Decodes one row of tiles after another. `take` gets each with the rows of the whole picture
    /// that it covers.
    pub(super) fn for_each_row(
        &self,
        control: &Control,
        mut take: impl FnMut(std::ops::Range<u32>, &mut [DecodedFrame]) -> Result<()>,
    ) -> Result<()> {
        for (row, data) in self.data.chunks(self.columns as usize).enumerate() {
            let mut frames = Vec::with_capacity(data.len());
            for data in data {
                // Decoding a tile cannot be cancelled.
                control.check()?;
                let frame = guard(Format::Heif, || {
                    hevc::decode_with_config(&self.config, data).map_err(|e| hevc_failed(&e))
                })?;
                let size = (frame.cropped_width(), frame.cropped_height());
                if size != self.tile || !(8..=16).contains(&frame.bit_depth) {
                    return Err(corrupt("a tile is not what it said"));
                }
                whole(&frame)?;
                frames.push(frame);
            }
            let top = row as u32 * self.tile.1;
            take(top..(top + self.tile.1).min(self.size.1), &mut frames)?;
        }
        Ok(())
    }
}

/// Checks that a picture is complete. The decoder leaves a mark where data were missing.
pub(super) fn whole(frame: &DecodedFrame) -> Result<()> {
    let max = u16::MAX >> (16 - frame.bit_depth.min(16));
    let planes = [&frame.y_plane, &frame.cb_plane, &frame.cr_plane];
    if planes
        .iter()
        .any(|plane| plane.iter().any(|sample| *sample > max))
    {
        return Err(corrupt("a part of it is missing"));
    }
    Ok(())
}

fn config(item: &Item) -> Result<HevcDecoderConfig> {
    let config = item.hevc_config.clone();
    config.ok_or_else(|| {
        Error::Unsupported("HEIF files whose pictures are not HEVC cannot be read".into())
    })
}

fn data<'a>(container: &HeifContainer<'a>, item: u32) -> Result<Cow<'a, [u8]>> {
    container.get_item_data(item).map_err(|e| failed(e.error()))
}

/// Columns, rows and size of a grid (ISO 23008-12, 6.6.2.3).
fn layout(grid: &[u8]) -> Option<(u32, u32, (u32, u32))> {
    let [_, flags, rows, columns] = *grid.first_chunk()?;
    let rest = &grid[4..];
    let size = if flags & 1 == 0 {
        let side = |at: usize| {
            Some(u32::from(u16::from_be_bytes(
                *rest.get(at..)?.first_chunk()?,
            )))
        };
        (side(0)?, side(2)?)
    } else {
        let side = |at: usize| Some(u32::from_be_bytes(*rest.get(at..)?.first_chunk()?));
        (side(0)?, side(4)?)
    };
    Some((u32::from(columns) + 1, u32::from(rows) + 1, size))
}

/// The parameters of all pictures with this configuration.
pub(super) fn parameters(config: &HevcDecoderConfig) -> Result<Sps> {
    let mut units = config.nal_units.iter();
    let unit = units.find(|unit| kind(unit) == Some(SPS));
    let sps = sps::read(unit.ok_or_else(|| corrupt("its parameters are missing"))?)?;
    // Otherwise the decoder would continue and deliver noise.
    if sps.chroma != 1 {
        return Err(Error::Unsupported(format!(
            "HEIF files with HEVC pictures in {}, or with transparency in it, cannot be read by \
             this build; it reads 4:2:0",
            ["4:0:0", "4:2:0", "4:2:2", "4:4:4"]
                .get(sps.chroma as usize)
                .unwrap_or(&"?")
        )));
    }
    Ok(sps)
}

fn kind(unit: &[u8]) -> Option<u8> {
    unit.first().map(|byte| byte >> 1 & 0x3f)
}

/// Checks that the data are a single picture of the announced size.
fn check(config: &HevcDecoderConfig, sps: Sps, data: &[u8]) -> Result<()> {
    let prefix = usize::from(config.length_size_minus_one & 3) + 1;
    let mut rest = data;
    let (mut pictures, mut slices) = (0_u64, 0_u64);
    let own = config.nal_units.iter().map(Vec::as_slice);
    let inline = std::iter::from_fn(|| {
        let (length, after) = rest.split_at_checked(prefix)?;
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        // The last one may be truncated; the decoder notices that.
        let (unit, after) = after.split_at(length.min(after.len()));
        rest = after;
        Some(unit)
    });
    for unit in own.chain(inline) {
        match kind(unit) {
            Some(SPS) if sps::read(unit)? != sps => {
                return Err(corrupt("it has two sizes or depths"));
            }
            Some(PPS) if sps::may_be_lossless(unit) != Some(false) => {
                return Err(Error::Unsupported(
                    "HEIF files with HEVC pictures without loss cannot be read".into(),
                ));
            }
            Some(kind) if kind < FIRST_NOT_PICTURE => {
                slices += 1;
                pictures += u64::from(unit.get(2).is_some_and(|byte| byte & 0x80 != 0));
            }
            _ => {}
        }
    }
    if pictures > 1 || (slices > 1 && area(sps.coded).saturating_mul(slices) > MAX_WORK) {
        return Err(Error::Unsupported(
            "a HEIF file with so many pictures in one cannot be read".into(),
        ));
    }
    Ok(())
}
