//! Exact palettes that grow during an animation. Works on colours only, for any codec.

/// Slots of the table; far more than colours, so that searches are short.
const SLOTS: usize = 2048;

/// Up to 255 colours and, at index 0, the transparent one, which frames use for unchanged pixels.
#[derive(Clone)]
pub(super) struct Palette {
    /// RGBA.
    colours: Vec<[u8; 4]>,
    /// Index plus one of the colour in this slot; 0 if it is free.
    slots: Vec<u16>,
    uses_transparent: bool,
}

impl Palette {
    pub(super) fn new() -> Self {
        Self {
            colours: vec![[0; 4]],
            slots: vec![0; SLOTS],
            uses_transparent: false,
        }
    }

    /// The index of each pixel, adding new colours; `None`, and nothing is changed, when there are
    /// too many.
    pub(super) fn indices(&mut self, rgba: &[u8]) -> Option<Vec<u8>> {
        let before = self.clone();
        let found = self.add(rgba);
        if found.is_none() {
            *self = before;
        }
        found
    }

    fn add(&mut self, rgba: &[u8]) -> Option<Vec<u8>> {
        let mut indices = Vec::with_capacity(rgba.len() / 4);
        let mut last = ([0; 4], 0);
        for pixel in rgba.chunks_exact(4) {
            if pixel[3] == 0 {
                self.uses_transparent = true;
                indices.push(0);
                continue;
            }
            if pixel != last.0 {
                let colour = [pixel[0], pixel[1], pixel[2], pixel[3]];
                last = (colour, self.index(colour)?);
            }
            indices.push(last.1);
        }
        Some(indices)
    }

    fn index(&mut self, colour: [u8; 4]) -> Option<u8> {
        let hash = u32::from_le_bytes(colour).wrapping_mul(0x9e37_79b1);
        let mut slot = (hash >> 21) as usize;
        loop {
            let Some(index) = self.slots[slot].checked_sub(1) else {
                let index = u8::try_from(self.colours.len()).ok()?;
                self.colours.push(colour);
                self.slots[slot] = u16::from(index) + 1;
                return Some(index);
            };
            if self.colours[usize::from(index)] == colour {
                return u8::try_from(index).ok();
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// The data of `PLTE`.
    pub(super) fn colours(&self) -> Vec<u8> {
        let rgb = self.colours.iter().flat_map(|c| [c[0], c[1], c[2]]);
        rgb.collect()
    }

    /// The data of `tRNS`, empty if everything is opaque.
    pub(super) fn alphas(&self) -> Vec<u8> {
        let mut alphas: Vec<_> = self.colours.iter().map(|colour| colour[3]).collect();
        if !self.uses_transparent {
            alphas[0] = 255;
        }
        let length = alphas.iter().rposition(|alpha| *alpha != 255);
        alphas.truncate(length.map_or(0, |last| last + 1));
        alphas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_numbered_as_they_come_and_invisible_ones_are_one() {
        let mut palette = Palette::new();
        let pixels = [[9, 9, 9, 255], [1, 2, 3, 0], [9, 9, 9, 255], [9, 9, 9, 7]];
        assert_eq!(palette.indices(&pixels.concat()), Some(vec![1, 0, 1, 2]));
        assert_eq!(palette.colours(), [0, 0, 0, 9, 9, 9, 9, 9, 9]);
        assert_eq!(palette.alphas(), [0, 255, 7]);
    }

    #[test]
    fn the_256th_colour_changes_nothing() {
        let mut palette = Palette::new();
        let colour = |n: u8| [n, n.wrapping_mul(3), 0, 255];
        let all: Vec<u8> = (0..255).flat_map(colour).collect();
        let indices = palette.indices(&all).expect("255 colours fit");
        assert!(indices.iter().copied().eq(1..=255));
        assert!(palette.alphas().is_empty());
        assert_eq!(palette.indices(&[colour(3), colour(255)].concat()), None);
        assert_eq!(palette.colours().len(), 256 * 3);
        assert_eq!(palette.indices(&colour(3)), Some(vec![4]));
    }
}
