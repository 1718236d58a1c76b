//! Properties of a picture: coding, colours, crop and orientation. Items have them as associations,
//! tracks in their sample entry; the boxes are the same.

use crate::{
    Orientation,
    codec::{
        aperture::cut,
        bmff::{BoxRef, Fields},
    },
};

/// Colour code points of ITU-T H.273.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nclx {
    pub(super) primaries: u16,
    pub(super) transfer: u16,
    pub(super) matrix: u16,
    pub(super) full_range: bool,
}

/// The coding of the samples (`av1C`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) bits: u8,
    pub(super) monochrome: bool,
}

/// The visible part of the coded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// All properties that are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Properties<'a> {
    pub(super) size: Option<(u32, u32)>,
    pub(super) coding: Option<Coding>,
    /// AV1 units stored with the configuration, if any: a copy of the sequence header.
    pub(super) units: Option<&'a [u8]>,
    pub(super) nclx: Option<Nclx>,
    pub(super) icc: Option<&'a [u8]>,
    pub(super) aux_type: Option<&'a [u8]>,
    clap: Option<&'a [u8]>,
    /// Counterclockwise quarter turns.
    quarters: u8,
    /// 0 swaps top and bottom, 1 swaps left and right.
    mirror: Option<u8>,
    /// The operating point of a layered picture to decode.
    pub(super) operating_point: u8,
    /// The layer to show, if not the best.
    pub(super) layer: Option<u16>,
}

impl<'a> Properties<'a> {
    /// Of several sizes, codings and colours the first applies, of other properties the last.
    pub(super) fn read<'b>(boxes: impl Iterator<Item = &'b BoxRef<'a>>) -> Self
    where
        'a: 'b,
    {
        let mut known = Self::default();
        for each in boxes {
            known.add(each);
        }
        known
    }

    /// Damaged properties are ignored.
    fn add(&mut self, property: &BoxRef<'a>) -> Option<()> {
        let body = property.body;
        let mut fields = Fields::new(body);
        match &property.kind {
            b"ispe" if self.size.is_none() => {
                fields.u32()?;
                self.size = Some((fields.u32()?, fields.u32()?));
            }
            b"av1C" if self.coding.is_none() => {
                let bits = *body.get(2)?;
                self.units = body.get(4..).filter(|units| !units.is_empty());
                self.coding = Some(Coding {
                    bits: match (bits & 0x40 != 0, bits & 0x20 != 0) {
                        (false, _) => 8,
                        (true, false) => 10,
                        (true, true) => 12,
                    },
                    monochrome: bits & 0x10 != 0,
                });
            }
            b"colr" => match &fields.array()? {
                b"nclx" if self.nclx.is_none() => {
                    self.nclx = Some(Nclx {
                        primaries: fields.u16()?,
                        transfer: fields.u16()?,
                        matrix: fields.u16()?,
                        full_range: fields.u8()? & 0x80 != 0,
                    });
                }
                b"prof" | b"rICC" if self.icc.is_none() => self.icc = Some(fields.bytes),
                _ => {}
            },
            b"auxC" | b"auxi" => {
                let name = body.get(4..)?;
                let end = memchr::memchr(0, name).unwrap_or(name.len());
                self.aux_type = Some(&name[..end]);
            }
            b"clap" => self.clap = Some(body),
            b"irot" => self.quarters = fields.u8()? & 3,
            b"imir" => self.mirror = Some(fields.u8()? & 1),
            b"a1op" => self.operating_point = fields.u8()? & 31,
            b"lsel" => self.layer = Some(fields.u16()?).filter(|layer| *layer != 0xffff),
            _ => {}
        }
        Some(())
    }

    /// Whether this marks the picture as the alpha of another.
    pub(super) fn is_alpha(&self) -> bool {
        matches!(
            self.aux_type,
            Some(b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha" | b"urn:mpeg:hevc:2015:auxid:1")
        )
    }

    /// The rotation is applied before the mirror.
    pub(super) fn orientation(&self) -> Orientation {
        match (self.quarters, self.mirror) {
            (0, None) => Orientation::Normal,
            (1, None) => Orientation::Rotate270,
            (2, None) => Orientation::Rotate180,
            (_, None) => Orientation::Rotate90,
            (0, Some(0)) | (2, Some(1)) => Orientation::FlipVertical,
            (0, Some(_)) | (2, Some(_)) => Orientation::FlipHorizontal,
            (1, Some(0)) | (3, Some(1)) => Orientation::Transpose,
            (_, Some(_)) => Orientation::Transverse,
        }
    }

    /// The visible window of a coded picture of this size. One that is not on whole pixels inside
    /// it is ignored, as in browsers.
    pub(super) fn window(&self, (width, height): (u32, u32)) -> Window {
        self.clean_aperture(width, height).unwrap_or(Window {
            x: 0,
            y: 0,
            width,
            height,
        })
    }

    fn clean_aperture(&self, width: u32, height: u32) -> Option<Window> {
        let mut fields = Fields::new(self.clap?);
        let mut fraction = || {
            let (over, under) = (fields.u32()? as i32, fields.u32()? as i32);
            Some((i64::from(over), i64::from(under)))
        };
        let (across, down) = (fraction()?, fraction()?);
        let (right, below) = (fraction()?, fraction()?);
        let (x, width) = cut(width, across, right)?;
        let (y, height) = cut(height, down, below)?;
        Some(Window {
            x,
            y,
            width,
            height,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turn_and_mirror_make_all_eight_orientations() {
        let mut seen = Vec::new();
        for quarters in 0..4 {
            for mirror in [None, Some(0), Some(1)] {
                let properties = Properties {
                    quarters,
                    mirror,
                    ..Properties::default()
                };
                seen.push(properties.orientation() as u8);
            }
        }
        assert_eq!(seen, [1, 4, 2, 8, 5, 7, 3, 2, 4, 6, 7, 5]);
    }
}
